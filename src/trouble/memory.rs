//! Tells that the store cannot write. Nothing can be kept of that, so it is told straight, each message a few times at
//! most, and whoever was told hears of the end. After a restart it would be told anew.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use linedown_sinks::{Incident, Kind, Notification};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::SOURCE;
use super::course::Key;
use crate::clock;
use crate::rule::{Owed, Routing};
use crate::server::hook::Hook;
use crate::store::Outcome;

/// Most messages under way.
const AT_ONCE: usize = 8;
/// How often each is tried, and the pause between.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_secs(10);

/// What is being told.
pub(super) struct Memory {
    hook: Arc<Hook>,
    /// Says when the trouble is over; none while there is none.
    over: Option<watch::Sender<Option<End>>>,
    stories: JoinSet<()>,
}

/// When a trouble ended, and how.
#[derive(Clone, Copy)]
struct End {
    at: Timestamp,
    /// Nobody looks any more.
    unwatched: bool,
}

/// One trouble, from its beginning to its end.
struct Story {
    hook: Arc<Hook>,
    incident: Incident,
    /// A random name in place of the store's.
    name: String,
    owed: Vec<Owed>,
}

impl Memory {
    pub(super) fn new(hook: Arc<Hook>) -> Self {
        Self { hook, over: None, stories: JoinSet::new() }
    }

    /// A trouble that has lasted for a while is told now.
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
        let story = Story { hook: Arc::clone(&self.hook), incident, name: random_name(), owed };
        self.stories.spawn(story.tell(ended));
    }

    /// It is over, or nobody looks any more.
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
        // Who could not be told before is told both.
        let news = |number: usize, owed: &Owed| {
            if told.contains(&number) { owed.resolved.then_some(Kind::Resolved) } else { Some(Kind::Down) }
        };
        let (_nobody, never) = watch::channel(None);
        self.tell_each(news, &never).await;
    }

    /// Tells each who has something to hear; answers who was told, by number.
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
            let (hook, over) = (Arc::clone(&self.hook), over.clone());
            async move { tell_one(&hook, &sink, notification, over).await.then_some(number) }
        });
        told.buffer_unordered(AT_ONCE).filter_map(|told| async move { told }).collect().await
    }

    /// Its number is negative, and no number of the store's: first all of the beginning, then all of the end.
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

/// Tries until it is told, or there is something else to tell.
async fn tell_one(
    hook: &Hook,
    sink: &str,
    mut notification: Notification,
    mut over: watch::Receiver<Option<End>>,
) -> bool {
    loop {
        notification.at = clock::now();
        let again_at = (notification.attempt < TRIES).then(|| clock::later(notification.at, PAUSE));
        match hook.delivery.hand_over(sink, &notification, again_at).await {
            Outcome::Delivered(_) => return true,
            Outcome::Dead { .. } => {
                hook.metrics.untold(1);
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
