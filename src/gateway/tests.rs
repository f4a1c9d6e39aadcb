//! The tasks that ask gateways on a schedule, with a real store, which also fails for a while.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use arc_swap::ArcSwap;
use linedown_sinks::Reason;
use tokio::runtime::Builder;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::auditor::Auditor;
use super::notices::Notices;
use super::orders::Orders;
use super::patrol::Patrol;
use super::{Access, Audit, LineAccess, Watched};
use crate::delivery::Delivery;
use crate::metrics::Metrics;
use crate::reception::Reception;
use crate::rule::Routing;
use crate::store::{Sqlite, Store};

const MINUTE: Duration = Duration::from_mins(1);

/// So many looks take minutes: by then what is awaited has happened, or never will.
const LOOKS: usize = 1_000_000;

/// Orders without an audit.
fn orders(lines: &[&str], every: Option<Duration>) -> Orders {
    let line = |name: &&str| LineAccess { instance: (**name).into(), token: "t".into() };
    let lines = lines.iter().map(line).collect();
    // Nobody listens at this address.
    let api = "http://127.0.0.1:1".parse().unwrap();
    let watch = every.map(|every| Watched { every, ..Watched::default() });
    let audit = Audit { every: None, ..Audit::default() };
    let access = Access { api, client_token: None, partner_token: None, lines, watch, audit };
    Orders { access: Arc::new(access), addresses: None, routing: Arc::default() }
}

/// A store, and the reception that stores findings.
struct House {
    store: Arc<dyn Store>,
    reception: Arc<Reception>,
    path: PathBuf,
    _folder: tempfile::TempDir,
}

impl House {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.db");
        let store: Arc<dyn Store> = Arc::new(Sqlite::open(&path).unwrap());
        let routing = Arc::new(ArcSwap::from_pointee(Routing::default()));
        let metrics = Arc::<Metrics>::default();
        let delivery =
            Arc::new(Delivery::new(Arc::clone(&store), Arc::clone(&routing), Arc::clone(&metrics), Arc::default()));
        let reception = Arc::new(Reception::new(routing, Arc::clone(&store), delivery, metrics, None));
        Self { store, reception, path, _folder: folder }
    }

    async fn begin(&self, reason: Reason, name: &str) {
        Notices::new(&self.reception, "z-api", reason).begin(name, None).await.unwrap();
    }

    /// The same, while the paused clock stands still.
    fn begin_meanwhile(&self, reason: Reason, name: &str) {
        let begin = || Builder::new_current_thread().build().unwrap().block_on(self.begin(reason, name));
        thread::scope(|scope| scope.spawn(begin).join().unwrap());
    }

    async fn wait_until_open(&self, reason: Reason, expected: &[&str]) {
        for _ in 0..LOOKS {
            let open = self.store.open_lines("z-api", reason, None).await.unwrap();
            if open.iter().eq(expected) {
                return;
            }
            sleep(Duration::from_secs(1)).await;
        }
        panic!("{reason:?} is never open of {expected:?} alone");
    }

    /// Starts a patrol; its orders can be changed, and it can be stopped.
    fn patrol(&self, orders: Orders) -> (JoinHandle<()>, watch::Sender<Orders>, watch::Sender<bool>) {
        let ((sender, receiver), (stop, stopped)) = (watch::channel(orders), watch::channel(false));
        let patrol = Patrol::new("z-api".into(), Arc::clone(&self.reception), receiver, stopped);
        (tokio::spawn(patrol.run()), sender, stop)
    }

    /// The same with an auditor.
    fn auditor(&self, orders: Orders) -> (JoinHandle<()>, watch::Sender<Orders>, watch::Sender<bool>) {
        let ((sender, receiver), (stop, stopped)) = (watch::channel(orders), watch::channel(false));
        let auditor = Auditor::new("z-api".into(), &self.reception, receiver, stopped);
        (tokio::spawn(auditor.run()), sender, stop)
    }

    /// Makes the store fail until the returned function is called.
    fn fail(&self) -> impl FnOnce() + use<> {
        let other = rusqlite::Connection::open(&self.path).unwrap();
        other.execute_batch("ALTER TABLE line RENAME TO away").unwrap();
        move || other.execute_batch("ALTER TABLE away RENAME TO line").unwrap()
    }

    /// Whether the store works. It serves requests in order, so this is after everything that others have asked of it
    /// so far.
    async fn works(&self) -> bool {
        let probe = Notices::new(&self.reception, "probe", Reason::Expiring);
        let mut works = true;
        for _ in 0..10 {
            works &= probe.begin("probe", None).await.is_ok();
            works &= self.store.open_lines("z-api", Reason::Expiring, None).await.is_ok();
        }
        works
    }
}

/// Notices that were open before the start are loaded as soon as the store answers, and closed.
#[tokio::test(start_paused = true)]
async fn a_store_that_fails_at_the_start_is_asked_again_what_was_told() {
    let house = House::new();
    house.begin(Reason::GatewayUnreachable, "127.0.0.1").await;
    let mend = house.fail();
    let (patrol, _sender, stop) = house.patrol(orders(&["A"], None));
    assert!(!house.works().await);
    mend();
    house.wait_until_open(Reason::GatewayUnreachable, &[]).await;
    stop.send_replace(true);
    patrol.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_when_nobody_asks_any_more_is_told_again_that_the_trouble_is_over() {
    let house = House::new();
    house.begin(Reason::GatewayUnreachable, "127.0.0.1").await;
    let (patrol, sender, stop) = house.patrol(orders(&["A"], Some(MINUTE)));
    assert!(house.works().await, "the patrol knows what was told");
    let mend = house.fail();
    sender.send_replace(orders(&["A"], None));
    assert!(!house.works().await);
    mend();
    house.wait_until_open(Reason::GatewayUnreachable, &[]).await;
    stop.send_replace(true);
    patrol.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_when_nobody_audits_any_more_is_told_again_that_all_is_right() {
    let house = House::new();
    house.begin(Reason::WebhookDrift, "A").await;
    let mend = house.fail();
    let (auditor, _sender, stop) = house.auditor(orders(&["A"], None));
    assert!(!house.works().await);
    mend();
    house.wait_until_open(Reason::WebhookDrift, &[]).await;
    stop.send_replace(true);
    auditor.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_is_silent_for_long_is_one_trouble_until_nobody_asks_it() {
    let house = House::new();
    let begun = Instant::now();
    let (patrol, sender, stop) = house.patrol(orders(&["A", "B", "C"], Some(MINUTE)));

    let unreachable = Reason::GatewayUnreachable;
    house.wait_until_open(unreachable, &["127.0.0.1"]).await;
    // There is no upper bound: the paused clock runs ahead of the store, which has a thread of its own.
    assert!(begun.elapsed() >= MINUTE * 10, "{:?}", begun.elapsed());
    assert_eq!(house.store.incidents(false, 10).await.unwrap().len(), 1, "and no line has an outage");
    sender.send_replace(orders(&["A", "B", "C"], None));
    house.wait_until_open(unreachable, &[]).await;
    sender.send_replace(orders(&["A", "B"], Some(MINUTE)));
    house.wait_until_open(unreachable, &["127.0.0.1"]).await;
    drop(sender);
    patrol.await.unwrap();
    house.wait_until_open(unreachable, &[]).await;
    drop(stop);
}

/// An audit closes notices of instances that have left the config; until then they stay open.
#[tokio::test(start_paused = true)]
async fn only_a_change_of_what_is_audited_makes_an_audit_sooner() {
    let every = MINUTE * 60 * 6;
    let audited = |lines: &[&str], watch| {
        let Orders { access, addresses, routing } = orders(lines, watch);
        let access = Access { audit: Audit { every: Some(every), ..Audit::default() }, ..(*access).clone() };
        Orders { access: Arc::new(access), addresses, routing }
    };
    let house = House::new();
    let (auditor, sender, stop) = house.auditor(audited(&["A"], None));
    for (what, orders, is_sooner) in [
        ("the first", audited(&["A"], None), true),
        ("nothing that concerns it", audited(&["A"], Some(MINUTE)), false),
        ("another line", audited(&["A", "B"], Some(MINUTE)), true),
    ] {
        let begun = Instant::now();
        house.begin_meanwhile(Reason::WebhookDrift, "gone");
        sender.send_replace(orders);
        house.wait_until_open(Reason::WebhookDrift, &[]).await;
        // The bound is loose: the paused clock runs ahead of a store that writes, by a second for each look.
        let took = begun.elapsed();
        assert_eq!(took + MINUTE * 2 < every, is_sooner, "{what}: {took:?}");
    }
    stop.send_replace(true);
    auditor.await.unwrap();
}
