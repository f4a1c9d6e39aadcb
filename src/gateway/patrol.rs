//! Asks the gateway how each line stands, evenly over the interval, and hands what it finds to the store on the way
//! that webhooks take.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use jiff::Timestamp;
use linedown_sinks::Reason;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::registration::Addresses;
use super::watch::{Suspicion, Watch, troubles};
use super::{Access, Client, Failure, FailureKind, Standing};
use crate::clock;
use crate::server::hook::Hook;
use crate::source::{self, Event, EventKind};
use crate::store::StoreError;

/// Most questions under way for one source. At half a second an answer that is 256 a second.
const AT_ONCE: usize = 128;
/// Questions begin together, so that a large fleet does not wake the daemon for each.
const TOGETHER: Duration = Duration::from_millis(100);
/// How long answers are gathered before they are judged together.
const GATHERED: Duration = Duration::from_secs(1);
/// Most findings on their way into the store at the same time; webhooks have the rest of its queue.
const FINDINGS: usize = 64;
/// The longest pause that the gateway may ask for.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// What a source is to be watched for; none of what is off.
#[derive(Clone)]
pub(crate) struct Orders {
    pub(crate) access: Arc<Access>,
    /// Where its webhooks are to be registered; none where there is no address that gateways post to.
    pub(crate) addresses: Option<Arc<Addresses>>,
}

/// The one who asks, for one source.
pub(crate) struct Patrol {
    name: String,
    hook: Arc<Hook>,
    orders: watch::Receiver<Orders>,
    stop: watch::Receiver<bool>,
}

/// An answer that waits to be judged.
struct Answer {
    line: usize,
    asked_at: Timestamp,
    said: Result<Standing, Failure>,
}

/// What is under way between two orders.
struct Round {
    client: Arc<Client>,
    watch: Watch,
    every: Duration,
    /// The next line to ask about, and when.
    next: usize,
    due: Instant,
    /// When it is looked what is due.
    woken_at: Instant,
    asking: JoinSet<Answer>,
    answers: Vec<Answer>,
    /// When the answers that are gathered are judged.
    judged_at: Option<Instant>,
    /// When the last line of the round before was asked about.
    begun: Instant,
}

impl Patrol {
    pub(crate) fn new(
        name: String,
        hook: Arc<Hook>,
        orders: watch::Receiver<Orders>,
        stop: watch::Receiver<bool>,
    ) -> Self {
        Self { name, hook, orders, stop }
    }

    /// Asks until the daemon stops or the source is gone. What is under way then is left: the next start asks anew.
    pub(crate) async fn run(mut self) {
        let mut told = self.told().await;
        let mut round: Option<Round> = None;
        loop {
            let orders = self.orders.borrow_and_update().clone();
            round = self.begin(round.take(), &orders);
            if round.is_none() {
                self.end_all(&mut told).await;
            }
            if !self.go_round(round.as_mut(), &mut told).await {
                if !*self.stop.borrow() {
                    self.end_all(&mut told).await;
                }
                return;
            }
        }
    }

    /// Goes on by new orders, with what is known of the lines that stay.
    fn begin(&self, before: Option<Round>, orders: &Orders) -> Option<Round> {
        let every = orders.access.watch.filter(|_| !orders.access.lines.is_empty())?;
        let client = match Client::new(Arc::clone(&orders.access), AT_ONCE) {
            Ok(client) => Arc::new(client),
            Err(error) => {
                tracing::error!(source = self.name, error = %error, "cannot watch the lines");
                return None;
            }
        };
        let (lines, now) = (&orders.access.lines, Instant::now());
        let watch = match before {
            Some(Round { client, watch, .. }) => watch.go_on(&client.access().lines, lines, every, now),
            None => Watch::new(lines.len(), every, now),
        };
        tracing::info!(source = self.name, lines = lines.len(), every_s = every.as_secs(), "watching the lines");
        Some(Round {
            client,
            watch,
            every,
            next: 0,
            due: now,
            woken_at: now,
            asking: JoinSet::new(),
            answers: Vec::new(),
            judged_at: None,
            begun: now,
        })
    }

    /// Works until there are new orders. Answers whether to go on.
    async fn go_round(&mut self, round: Option<&mut Round>, told: &mut BTreeSet<String>) -> bool {
        let Some(round) = round else {
            return tokio::select! {
                _ = self.stop.changed() => false,
                changed = self.orders.changed() => changed.is_ok(),
            };
        };
        loop {
            let may_ask = round.asking.len() < AT_ONCE;
            tokio::select! {
                _ = self.stop.changed() => return false,
                changed = self.orders.changed() => return changed.is_ok(),
                Some(answer) = round.asking.join_next() => round.gather(answer.ok()),
                () = sleep_until(round.woken_at), if may_ask => round.ask(&self.name),
                () = sleep_until(round.judged_at.unwrap_or(round.woken_at)), if round.judged_at.is_some() => {
                    let answers = std::mem::take(&mut round.answers);
                    round.judged_at = None;
                    self.judge(round, answers, told).await;
                }
            }
        }
    }

    /// Compares what was answered with what the store knows, and tells it what it does not.
    async fn judge(&self, round: &mut Round, answers: Vec<Answer>, told: &mut BTreeSet<String>) {
        let now = Instant::now();
        let mut suspicions = Vec::new();
        let mut failure = None;
        for answer in answers {
            self.hook.metrics.checked(&self.name, &answer.said);
            if let Some(suspicion) = round.watch.note(answer.line, &answer.said, now) {
                suspicions.push((answer.line, answer.asked_at, suspicion));
            }
            failure = answer.said.err().or(failure);
        }
        if let Err(error) = self.settle(round, suspicions).await {
            tracing::warn!(source = self.name, error = %error, "what asking the gateway found cannot be kept now; it is asked again");
        }
        let access = round.client.access();
        let gateway = access.api.host_str().unwrap_or_default();
        let (begun, over) = troubles(&round.watch.unknown(now), &access.lines, gateway, told);
        self.tell(told, begun, over, failure.as_ref()).await;
    }

    async fn settle(
        &self,
        round: &mut Round,
        suspicions: Vec<(usize, Timestamp, Suspicion)>,
    ) -> Result<(), StoreError> {
        let lines = Arc::clone(&round.client.access().lines);
        let instance = |line: usize| lines.get(line).map(|line| line.instance.to_string()).unwrap_or_default();
        let names = suspicions.iter().map(|(line, ..)| instance(*line)).collect();
        let down = self.hook.store.open(&self.name, Reason::Other, Some(names)).await?;
        let mut news = Vec::new();
        for (line, asked_at, suspicion) in suspicions {
            let instance = instance(line);
            match (suspicion, down.contains(&instance)) {
                (Suspicion::Down(_), true) => round.watch.known(line),
                (Suspicion::Down(error), false) => {
                    news.push((line, down_event(&self.name, &instance, error.as_deref(), asked_at)));
                }
                (Suspicion::Up, true) => {
                    let times = (asked_at, clock::now());
                    let up = Event::found((&self.name, &instance), EventKind::Connected, Reason::Other, None, times);
                    news.push((line, up));
                }
                (Suspicion::Up, false) => {}
            }
        }
        let mut accepting = stream::iter(news)
            .map(|(line, event)| async move { (line, self.hook.found(event).await) })
            .buffer_unordered(FINDINGS);
        let mut failed = Ok(());
        while let Some((line, accepted)) = accepting.next().await {
            match accepted {
                Ok(_) => round.watch.known(line),
                Err(error) => failed = Err(error),
            }
        }
        failed
    }

    /// Which troubles of the gateway the store has.
    async fn told(&self) -> BTreeSet<String> {
        self.hook.store.open(&self.name, Reason::GatewayUnreachable, None).await.unwrap_or_else(|error| {
            tracing::warn!(source = self.name, error = %error, "cannot look up what was told of the gateway");
            BTreeSet::new()
        })
    }

    /// Nobody asks any more, so nobody could say that a trouble is over.
    async fn end_all(&self, told: &mut BTreeSet<String>) {
        let all = told.iter().cloned().collect();
        self.tell(told, Vec::new(), all, None).await;
    }

    /// Tells of troubles with the gateway that begin, and of those that are over.
    async fn tell(&self, told: &mut BTreeSet<String>, begun: Vec<String>, over: Vec<String>, why: Option<&Failure>) {
        let why = why.map(ToString::to_string);
        let begun = begun.into_iter().map(|name| (name, EventKind::Disconnected, why.as_deref()));
        let over = over.into_iter().map(|name| (name, EventKind::Connected, None));
        for (name, kind, why) in begun.chain(over) {
            let times = (clock::now(), clock::now());
            let event = Event::found((&self.name, &name), kind, Reason::GatewayUnreachable, why, times);
            match self.hook.found(event).await {
                Ok(_) if kind == EventKind::Disconnected => _ = told.insert(name),
                Ok(_) => _ = told.remove(&name),
                Err(error) => {
                    tracing::warn!(source = self.name, error = %error, "a trouble with the gateway cannot be kept now");
                }
            }
        }
    }
}

fn down_event(source: &str, instance: &str, error: Option<&str>, asked_at: Timestamp) -> Event {
    let reason = source::z_api_reason(error);
    let times = (asked_at, clock::now());
    Event::found((source, instance), EventKind::Disconnected, reason, error, times)
}

impl Round {
    /// Begins the questions that are due, as far as there may be more under way.
    fn ask(&mut self, source: &str) {
        let now = Instant::now();
        let count = self.client.access().lines.len();
        let gap = self.every / u32::try_from(count).unwrap_or(u32::MAX).max(1);
        while self.due <= now && self.asking.len() < AT_ONCE {
            let (client, line) = (Arc::clone(&self.client), self.next);
            self.asking.spawn(async move {
                let asked_at = clock::now();
                let said = match client.access().lines.get(line) {
                    Some(line) => client.status(line).await,
                    None => Err(Failure::new(FailureKind::NotFound)),
                };
                Answer { line, asked_at, said }
            });
            self.next += 1;
            self.due += gap;
            if self.next >= count {
                self.next = 0;
                self.note_round(source, now);
            }
        }
        // What could not be asked in time is not made up for: the next round would be all at once.
        if self.due <= now {
            self.due = now;
        }
        self.woken_at = self.due.max(now + TOGETHER);
    }

    fn note_round(&mut self, source: &str, now: Instant) {
        let took = now.duration_since(self.begun);
        if took > self.every * 2 {
            tracing::warn!(
                source,
                took_s = took.as_secs(),
                every_s = self.every.as_secs(),
                "asking about all lines takes longer than `watch.every`; the gateway answers slowly, or `every` is too short"
            );
        }
        self.begun = now;
    }

    fn gather(&mut self, answer: Option<Answer>) {
        let Some(answer) = answer else { return };
        let asked_to_wait = match &answer.said {
            Err(Failure { kind: FailureKind::RateLimited, retry_after, .. }) => {
                Some(retry_after.unwrap_or(GATHERED).min(LONGEST_PAUSE))
            }
            _ => None,
        };
        let now = Instant::now();
        if let Some(pause) = asked_to_wait {
            self.due = self.due.max(now + pause);
            self.woken_at = self.woken_at.max(self.due);
        }
        self.answers.push(answer);
        self.judged_at.get_or_insert(now + GATHERED);
    }
}

#[cfg(test)]
mod tests {
    use arc_swap::ArcSwap;

    use super::super::{Audit, Line};
    use super::*;
    use crate::delivery::Delivery;
    use crate::metrics::Metrics;
    use crate::rule::Routing;
    use crate::server::hook::HookSettings;
    use crate::store::{Sqlite, Store};

    const MINUTE: Duration = Duration::from_mins(1);

    fn orders(lines: &[&str], every: Option<Duration>) -> Orders {
        let line = |name: &&str| Line { instance: (**name).into(), token: "t".into() };
        let lines = lines.iter().map(line).collect();
        // Nobody listens there.
        let api = "http://127.0.0.1:1".parse().unwrap();
        let access =
            Access { api, client_token: None, partner_token: None, lines, watch: every, audit: Audit::default() };
        Orders { access: Arc::new(access), addresses: None }
    }

    async fn wait_until_open(store: &dyn Store, expected: &[&str]) {
        loop {
            let open = store.open("z-api", Reason::GatewayUnreachable, None).await.unwrap();
            if open.iter().eq(expected) {
                return;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_gateway_that_is_silent_for_long_is_one_trouble_until_nobody_asks_it() {
        let folder = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> = Arc::new(Sqlite::open(&folder.path().join("x.db")).unwrap());
        let routing = Arc::new(ArcSwap::from_pointee(Routing::default()));
        let metrics = Arc::<Metrics>::default();
        let delivery =
            Arc::new(Delivery::new(Arc::clone(&store), Arc::clone(&routing), Arc::clone(&metrics), Arc::default()));
        let hook = Arc::new(Hook::new(
            HookSettings::default(),
            routing,
            Arc::clone(&store),
            delivery,
            metrics,
            Arc::default(),
            None,
        ));
        let (sender, receiver) = watch::channel(orders(&["A", "B", "C"], Some(MINUTE)));
        let (stop, stopped) = watch::channel(false);
        let begun = Instant::now();
        let patrol = tokio::spawn(Patrol::new("z-api".into(), hook, receiver, stopped).run());

        wait_until_open(store.as_ref(), &["127.0.0.1"]).await;
        let took = begun.elapsed();
        assert!((MINUTE * 10..MINUTE * 12).contains(&took), "{took:?}");
        assert_eq!(store.incidents(false, 10).await.unwrap().len(), 1, "and no line has an outage");
        sender.send_replace(orders(&["A", "B", "C"], None));
        wait_until_open(store.as_ref(), &[]).await;
        sender.send_replace(orders(&["A", "B"], Some(MINUTE)));
        wait_until_open(store.as_ref(), &["127.0.0.1"]).await;
        drop(sender);
        patrol.await.unwrap();
        wait_until_open(store.as_ref(), &[]).await;
        drop(stop);
    }
}
