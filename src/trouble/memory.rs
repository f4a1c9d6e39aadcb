//! Tells people that the store cannot write. Since nothing of that can be stored, the messages go to the sinks straight
//! from memory, each with a few attempts at most, and everybody who was told also hears of the end. After a restart,
//! people are told anew.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use linedown_sinks::{Incident, Kind, Notification};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::SOURCE;
use super::looks::Key;
use crate::clock;
use crate::reception::Reception;
use crate::rule::{Owed, Routing};
use crate::store::Outcome;

/// Most messages in progress at the same time.
const AT_ONCE: usize = 8;
/// Most attempts for each message, and the pause between them.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_secs(10);

/// The messages about stores that cannot write.
pub(super) struct Memory {
    reception: Arc<Reception>,
    /// Announces the end of the present trouble; none if there is none.
    over: Option<watch::Sender<Option<End>>>,
    stories: JoinSet<()>,
}

/// When and how a trouble ended.
#[derive(Clone, Copy)]
struct End {
    at: Timestamp,
    /// It was not seen to end: nobody looks any more.
    unwatched: bool,
}

/// All messages about one trouble, from its beginning to its end.
struct Story {
    reception: Arc<Reception>,
    incident: Incident,
    /// A random name in place of the store's, so that the messages' ids are unique.
    name: String,
    owed: Vec<Owed>,
}

impl Memory {
    pub(super) fn new(reception: Arc<Reception>) -> Self {
        Self { reception, over: None, stories: JoinSet::new() }
    }

    /// Starts to tell of a trouble that began `lasted` ago.
    pub(super) fn begin(&mut self, (reason, name): &Key, why: &str, lasted: Duration, routing: &Routing) {
        while self.stories.try_join_next().is_some() {}
        let now = clock::now();
        let opened_at = now.checked_sub(lasted).unwrap_or(now);
        let incident = Incident {
            error: Some(why.to_owned()),
            found: true,
            ..Incident::of(SOURCE, routing.instance(SOURCE, name, None), *reason, opened_at)
        };
        let mut owed = routing.owed(&incident);
        owed.retain(|owed| owed.kind == Kind::Down);
        tracing::error!(name: "own-trouble", reason = reason.as_str(), instance = name, owed = owed.len(), why, "a trouble of linedown's own");
        let (over, ended) = watch::channel(None);
        self.over = Some(over);
        let story = Story { reception: Arc::clone(&self.reception), incident, name: random_name(), owed };
        self.stories.spawn(story.tell(ended));
    }

    /// Tells of the end: the trouble is over, or nobody looks any more.
    pub(super) fn end(&mut self, unwatched: bool) {
        if let Some(over) = self.over.take() {
            tracing::info!(name: "own-trouble-over", reason = "store-not-writing", unwatched, "a trouble of linedown's own is over");
            over.send_replace(Some(End { at: clock::now(), unwatched }));
        }
    }
}

fn random_name() -> String {
    format!("not-stored-{:08x}", fastrand::u32(..))
}

impl Story {
    async fn tell(mut self, mut over: watch::Receiver<Option<End>>) {
        let told = self.tell_each(|_, _| Some(Kind::Down), &over).await;
        let Ok(Some(End { at, unwatched })) = over.wait_for(Option::is_some).await.map(|over| *over) else { return };
        self.incident.closed_at = Some(at);
        self.incident.unwatched = unwatched;
        // A recipient who could not be told before now gets both in one message.
        let news = |number: usize, owed: &Owed| {
            if told.contains(&number) { owed.resolved.then_some(Kind::Resolved) } else { Some(Kind::Down) }
        };
        let (_nobody, never) = watch::channel(None);
        self.tell_each(news, &never).await;
    }

    /// Sends a message to each recipient for whom `news` names a kind. Returns the numbers of those it was delivered
    /// to.
    async fn tell_each(
        &self,
        news: impl Fn(usize, &Owed) -> Option<Kind>,
        over: &watch::Receiver<Option<End>>,
    ) -> Vec<usize> {
        let mut messages = Vec::with_capacity(self.owed.len());
        for (number, owed) in self.owed.iter().enumerate() {
            let notification = news(number, owed).map(|kind| self.notification(number, owed, kind));
            messages.extend(notification.map(|notification| (number, owed.sink.clone(), notification)));
        }
        let told = stream::iter(messages).map(|(number, sink, notification)| {
            let (reception, over) = (Arc::clone(&self.reception), over.clone());
            async move { tell_one(&reception, &sink, notification, over).await.then_some(number) }
        });
        told.buffer_unordered(AT_ONCE).filter_map(|told| async move { told }).collect().await
    }

    /// Ids are negative, so they never equal one of the store's: first those of the beginning, then those of the end.
    fn notification(&self, number: usize, owed: &Owed, kind: Kind) -> Notification {
        let number = if self.incident.closed_at.is_some() { number + self.owed.len() } else { number };
        Notification {
            id: -1 - i64::try_from(number).unwrap_or(i64::MAX - 1),
            store: self.name.clone(),
            recipient: owed.recipient.clone(),
            rule: Some(owed.rule.clone()),
            ..Notification::about(self.incident.clone(), kind, clock::now())
        }
    }
}

/// Tries until the message is delivered, is given up, or is overtaken by the end. Returns whether it was delivered.
async fn tell_one(
    reception: &Reception,
    sink: &str,
    mut notification: Notification,
    mut over: watch::Receiver<Option<End>>,
) -> bool {
    loop {
        notification.at = clock::now();
        let again_at = (notification.attempt < TRIES).then(|| clock::later(notification.at, PAUSE));
        match reception.delivery.hand_over(sink, &notification, again_at).await {
            Outcome::Delivered(_) => return true,
            Outcome::Dead { .. } => {
                reception.metrics.untold(1);
                return false;
            }
            Outcome::Again { kind, why, .. } => {
                notification.attempt += 1;
                notification.last_failure = Some(format!("{}: {why}", kind.as_str()));
            }
        }
        tokio::select! {
            () = sleep(PAUSE) => {}
            Ok(()) = over.changed() => return false,
        }
    }
}
