//! Watches the daemon's own health and reports it: as the status line of `systemctl status`, as the watchdog's sign of
//! life, in the log and as a metric.
//!
//! The watchdog follows the pipeline: linedown listens for webhooks and has threads free to answer them, every sink's
//! worker makes progress, the store answers. A store that answers "no space left" counts as alive: a restart would not
//! make room, and would only put a daemon that can still deliver into a restart loop.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use tokio::runtime::Handle;
use tokio::task::AbortHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::clock;
use crate::delivery::Failing;
use crate::readiness::NotReady;
use crate::reception::Reception;
use crate::store::Tally;
use crate::systemd;

/// The longest pause between two looks.
const LOOK: Duration = Duration::from_secs(5);
/// How long the threads that answer the port may take to come to a task that does nothing.
const PROMPT: Duration = Duration::from_secs(10);
/// How long the store may take to be read for the status line, which then lacks its figures: what takes long to list must
/// not keep the sign of life waiting.
const PATIENCE: Duration = Duration::from_secs(2);
/// Most failing sinks named in the status line.
const NAMED: usize = 5;

/// What the task watches.
pub(crate) struct HealthWatch {
    /// Leads to the readiness checks, the store and the workers.
    pub(crate) reception: Arc<Reception>,
    /// The tasks that accept connections.
    pub(crate) servers: Vec<AbortHandle>,
    /// The threads that answer the port.
    pub(crate) intake: Handle,
    /// Whether the last reload failed.
    pub(crate) reload_failed: Arc<AtomicBool>,
}

impl HealthWatch {
    /// Reports until the task is aborted. The status line is sent only when it has changed.
    pub(crate) async fn tell(self) {
        let mut looks = interval(systemd::watchdog().map_or(LOOK, |patience| patience.min(LOOK)));
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut told, mut trouble) = (String::new(), None);
        loop {
            looks.tick().await;
            let now = self.not_ready().await;
            note(trouble.as_ref(), now.as_ref());
            if !matches!(now, Some(NotReady::Stuck(_))) {
                systemd::alive();
            }
            self.reception.metrics.ready(now.is_none());
            trouble = now;
            if !systemd::listens() {
                continue;
            }
            let line = self.line(trouble.as_ref()).await;
            if line != told {
                systemd::status(&line);
                told = line;
            }
        }
    }

    async fn not_ready(&self) -> Option<NotReady> {
        if self.servers.iter().any(AbortHandle::is_finished) {
            return Some(NotReady::Stuck("linedown no longer listens for webhooks".to_owned()));
        }
        if !is_prompt(&self.intake, PROMPT).await {
            return Some(NotReady::Stuck("the threads that answer webhooks are stuck".to_owned()));
        }
        self.reception.readiness.not_ready().await
    }

    async fn line(&self, trouble: Option<&NotReady>) -> String {
        let trouble = trouble.map(ToString::to_string);
        let tally = timeout(PATIENCE, self.reception.store.tally(clock::now())).await;
        let line = StatusLine {
            trouble: trouble.as_deref(),
            reload_failed: self.reload_failed.load(Ordering::Relaxed),
            tally: tally.ok().and_then(Result::ok),
            failing: self.reception.delivery.failing(),
        };
        line.text(clock::now(), &TimeZone::system())
    }
}

/// Whether the threads of a runtime come to a task within this time.
async fn is_prompt(threads: &Handle, within: Duration) -> bool {
    timeout(within, threads.spawn(async {})).await.is_ok()
}

/// Logs a trouble when it begins, when it changes and when it ends.
fn note(before: Option<&NotReady>, now: Option<&NotReady>) {
    let [before, now] = [before, now].map(|trouble| trouble.map(ToString::to_string));
    match now {
        Some(reason) if before.as_deref() != Some(&*reason) => {
            tracing::error!(name: "not-ready", reason, "not ready");
        }
        None if before.is_some() => tracing::info!(name: "ready-again", "ready again"),
        _ => {}
    }
}

/// Everything that the status line says.
struct StatusLine<'a> {
    trouble: Option<&'a str>,
    reload_failed: bool,
    tally: Option<Tally>,
    failing: Vec<Failing>,
}

impl StatusLine<'_> {
    fn text(&self, now: Timestamp, zone: &TimeZone) -> String {
        let mut line = match self.trouble {
            None => "accepting".to_owned(),
            Some(trouble) => format!("not accepting: {trouble}"),
        };
        if let Some(Tally { down, pending }) = self.tally {
            let (lines, deliveries) = (plural(down, "line"), plural(pending, "delivery"));
            let _ = write!(line, "; {lines} down; {deliveries} pending");
        }
        for Failing { sink, since, failed_at } in self.failing.iter().take(NAMED) {
            let [since, tried] = [since, failed_at].map(|at| clock_time(*at, now, zone));
            let _ = write!(line, "; {sink} failing since {since}, last tried {tried}");
        }
        if let Some(more) = self.failing.len().checked_sub(NAMED).filter(|more| *more > 0) {
            let _ = write!(line, "; {more} more failing");
        }
        if self.reload_failed {
            line.push_str("; the last reload failed, the former config is in force");
        }
        line
    }
}

fn plural(count: u32, one: &str) -> String {
    match (count, one.strip_suffix('y')) {
        (1, _) => format!("1 {one}"),
        (_, Some(stem)) => format!("{count} {stem}ies"),
        _ => format!("{count} {one}s"),
    }
}

/// A time of day, with the date unless it is today.
fn clock_time(at: Timestamp, now: Timestamp, zone: &TimeZone) -> String {
    let [at, now] = [at, now].map(|moment| moment.to_zoned(zone.clone()));
    let format = if at.date() == now.date() { "%H:%M" } else { "%Y-%m-%d %H:%M" };
    at.strftime(format).to_string()
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;
    use crate::delivery::{Delivery, SharedRouting};
    use crate::metrics::Metrics;
    use crate::store::{Sqlite, Store};

    #[tokio::test]
    async fn threads_that_are_stuck_are_noticed() {
        let threads = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
        assert!(is_prompt(threads.handle(), PROMPT).await);
        let (free, stuck) = std::sync::mpsc::channel::<()>();
        threads.spawn(async move { stuck.recv() });
        assert!(!is_prompt(threads.handle(), Duration::from_millis(50)).await);
        drop(free);
        assert!(is_prompt(threads.handle(), PROMPT).await);
        threads.shutdown_background();
    }

    #[test]
    fn a_store_that_is_read_for_long_keeps_nobody_from_saying_that_linedown_lives() {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().start_paused(true).max_blocking_threads(1).build().unwrap();
        runtime.block_on(async {
            let (_free, busy) = std::sync::mpsc::channel::<()>();
            tokio::task::spawn_blocking(move || busy.recv());
            let store: Arc<dyn Store> = Arc::new(Sqlite::in_memory().unwrap());
            let (routing, metrics) = (Arc::new(SharedRouting::default()), Arc::<Metrics>::default());
            let delivery =
                Delivery::new(Arc::clone(&store), Arc::clone(&routing), Arc::clone(&metrics), Arc::default());
            let reception = Arc::new(Reception::new(routing, store, Arc::new(delivery), metrics, None));
            let (servers, intake, reload_failed) = (Vec::new(), Handle::current(), Arc::default());
            let watch = HealthWatch { reception, servers, intake, reload_failed };
            let mut line = Box::pin(watch.line(None));
            assert!(line.as_mut().now_or_never().is_none());
            tokio::time::advance(LOOK).await;
            assert_eq!(line.as_mut().now_or_never().as_deref(), Some("accepting"));
        });
    }

    fn text(line: &StatusLine<'_>) -> String {
        line.text("2026-11-24T15:00:00Z".parse().unwrap(), &TimeZone::UTC)
    }

    #[test]
    fn the_line_says_what_an_administrator_asks() {
        let failing = |sink: &str, since: &str, failed_at: &str| Failing {
            sink: sink.to_owned(),
            since: since.parse().unwrap(),
            failed_at: failed_at.parse().unwrap(),
        };
        let mut line = StatusLine {
            trouble: None,
            reload_failed: false,
            tally: Some(Tally { down: 0, pending: 1 }),
            failing: vec![],
        };
        assert_eq!(text(&line), "accepting; 0 lines down; 1 delivery pending");

        line.tally = Some(Tally { down: 3, pending: 2 });
        line.failing = vec![failing("ops-slack", "2026-11-24T12:03:59Z", "2026-11-24T14:50:00Z")];
        assert_eq!(
            text(&line),
            "accepting; 3 lines down; 2 deliveries pending; ops-slack failing since 12:03, last tried 14:50"
        );

        line.failing = vec![failing("ops", "2026-11-23T12:03:00Z", "2026-11-23T12:03:00Z"); 7];
        line.trouble = Some("cannot write to the store: no space left for the store");
        line.reload_failed = true;
        let said = text(&line);
        assert!(
            said.starts_with("not accepting: cannot write to the store: no space left for the store; 3 lines down")
        );
        assert!(said.contains("; ops failing since 2026-11-23 12:03, last tried 2026-11-23 12:03;"), "{said}");
        assert!(said.ends_with("; 2 more failing; the last reload failed, the former config is in force"), "{said}");
    }
}
