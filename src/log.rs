//! The daemon's log: where it goes, what is in it, and a thread that writes it.

use std::env;
use std::fs::File;
use std::io::{self, BufWriter};
use std::mem;
use std::os::fd::AsFd;
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use clap::ValueEnum;
use linedown_sinks::{closest, excerpt, one_of};
use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::journal::{self, Entries, Journal};

/// How log records are written.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Format {
    /// One line per record, for people
    Text,
    /// One JSON object per line, for programs
    Json,
    /// To journald, with fields to filter by
    Journal,
}

/// Most records that wait to be written. Further ones are dropped: a slow reader of the log must not hold up the
/// daemon.
const RECORDS: usize = 32 * 1024;
/// Most bytes of records in one write.
const WRITTEN_AT_ONCE: usize = 64 * 1024;

/// How long the log's thread sleeps after each flush, to gather the next records into one write.
const REST: Duration = Duration::from_millis(5);

/// The variable that says what to log.
const VARIABLE: &str = "LINEDOWN_LOG";

/// The levels that `LINEDOWN_LOG` may name.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// The level of everything that `LINEDOWN_LOG` does not mention.
const DEFAULT: &str = "info";

/// The error for a `LINEDOWN_LOG` that cannot be understood.
#[derive(Debug, thiserror::Error)]
#[error("{VARIABLE}: `{part}` is not a log filter")]
pub(crate) struct NoFilter {
    part: String,
    /// What to do.
    pub(crate) hint: String,
}

/// Starts logging: to journald if systemd started linedown, else to standard error, filtered by `LINEDOWN_LOG`. A
/// thread of its own writes the records, several in one write. Dropping the returned guard writes those that still
/// wait.
pub(crate) fn start(format: Option<Format>, colour: bool) -> Result<WorkerGuard, NoFilter> {
    let filter = filter(&env::var(VARIABLE).unwrap_or_default())?;
    let by_itself = || if journal::has_stderr() { Format::Journal } else { Format::Text };
    let format = format.unwrap_or_else(by_itself);
    let (writer, guard) = match format {
        Format::Journal => in_the_background(Entries),
        _ => in_the_background(BufWriter::with_capacity(WRITTEN_AT_ONCE, stderr())),
    };
    if let Format::Journal = format {
        tracing_subscriber::registry().with(filter).with(Journal(writer)).init();
        return Ok(guard);
    }
    let written = fmt().with_env_filter(filter).with_writer(writer).with_target(false);
    match format {
        Format::Json => written.json().flatten_event(true).init(),
        // journald records the time itself.
        _ if journal::has_stderr() => written.with_ansi(false).without_time().init(),
        _ => written.with_ansi(colour).init(),
    }
    Ok(guard)
}

/// Parses `LINEDOWN_LOG`: a level, or a level for a part of the program (`linedown::store=debug`), or several of these
/// separated by commas. Anything that they do not mention is logged at `info`. A word that is no level is an error: the
/// library would take it for the name of a part, and silence everything else.
fn filter(text: &str) -> Result<EnvFilter, NoFilter> {
    let mut parts: Vec<&str> = text.split(',').map(str::trim).filter(|part| !part.is_empty()).collect();
    for part in &parts {
        let (target, level) = part.rsplit_once('=').map_or((None, *part), |(target, level)| (Some(target), level));
        if target == Some("") || !LEVELS.contains(&level.to_ascii_lowercase().as_str()) {
            return Err(no_filter(part, level));
        }
    }
    if parts.iter().all(|part| part.contains('=')) {
        parts.push(DEFAULT);
    }
    EnvFilter::builder().parse(parts.join(",")).map_err(|_| no_filter(text, text))
}

fn no_filter(part: &str, level: &str) -> NoFilter {
    let hint = match closest(level, LEVELS) {
        Some(near) => format!("did you mean `{near}`?"),
        None => {
            format!("write {}, or a part of the program with one of them: `linedown::store=debug`", one_of(&LEVELS))
        }
    };
    NoFilter { part: excerpt(part), hint }
}

/// Standard error without the lock of `io::stderr`: otherwise a log that nobody reads would block everybody who writes
/// to standard error.
fn stderr() -> Box<dyn io::Write + Send> {
    match io::stderr().as_fd().try_clone_to_owned() {
        Ok(file) => Box::new(File::from(file)),
        Err(_) => Box::new(io::stderr()),
    }
}

fn in_the_background(writer: impl io::Write + Send + 'static) -> (NonBlocking, WorkerGuard) {
    paced(writer, RECORDS, |records| {
        tracing::warn!(name: "log-dropped", records, "the log was not read in time: this many records are missing from it");
    })
}

/// Writes records on a thread of its own, with at most `most` waiting. `gap` is told how many records found no room.
fn paced(
    writer: impl io::Write + Send + 'static,
    most: usize,
    gap: impl Fn(usize) + Send + 'static,
) -> (NonBlocking, WorkerGuard) {
    let dropped = Arc::new(OnceLock::new());
    let paced = Paced { writer, gap, dropped: Arc::clone(&dropped), told: 0 };
    let (writer, guard) = NonBlockingBuilder::default().buffered_lines_limit(most).thread_name("log").finish(paced);
    let _ = dropped.set(writer.error_counter());
    (writer, guard)
}

/// Sleeps each time that all waiting records are written, so that those that come meanwhile go in one write.
struct Paced<W, G> {
    writer: W,
    gap: G,
    /// How many records have been dropped so far; set once the queue exists.
    dropped: Arc<OnceLock<ErrorCounter>>,
    /// How many of them have been reported to `gap`.
    told: usize,
}

impl<W: io::Write, G: Fn(usize)> io::Write for Paced<W, G> {
    fn write(&mut self, record: &[u8]) -> io::Result<usize> {
        self.writer.write(record)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()?;
        let dropped = self.dropped.get().map_or(0, ErrorCounter::dropped_lines);
        if dropped > self.told {
            (self.gap)(dropped - mem::replace(&mut self.told, dropped));
        }
        thread::sleep(REST);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    /// A writer that passes each record on as soon as it is allowed to.
    struct Slow(Receiver<()>, Sender<String>);

    impl Write for Slow {
        fn write(&mut self, record: &[u8]) -> io::Result<usize> {
            self.0.recv().map_err(io::Error::other)?;
            self.1.send(String::from_utf8_lossy(record).into_owned()).map_err(io::Error::other)?;
            Ok(record.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_is_wanted_of_the_log_is_laid_over_what_is_there_by_default() {
        for (text, most) in [("", "info"), ("off", "off"), ("Warn", "warn"), ("linedown::store=debug", "debug")] {
            let filter = filter(text).unwrap();
            assert_eq!(filter.max_level_hint().map(|level| level.to_string()).as_deref(), Some(most), "{text}");
        }
        let parts = filter("hyper=off, linedown::store=debug").unwrap().to_string();
        assert!(["info", "hyper=off", "linedown::store=debug"].iter().all(|part| parts.contains(part)), "{parts}");
    }

    #[test]
    fn what_finds_no_room_is_dropped_and_counted_and_the_rest_is_written_in_order() {
        let (let_go, held) = channel();
        let (write, written) = channel();
        let (tell, told) = channel();
        let gap = move |records| tell.send(records).unwrap();
        let (mut log, guard) = paced(Slow(held, write), 2, gap);
        log.write_all(b"first").unwrap();
        let_go.send(()).unwrap();
        assert_eq!(written.recv().unwrap(), "first");
        // At most one record is in the writer's hands, and two wait.
        for number in 0..10 {
            log.write_all(format!("{number}").as_bytes()).unwrap();
        }
        let dropped = log.error_counter().dropped_lines();
        assert!((7..=8).contains(&dropped), "{dropped}");
        (0..10 - dropped).for_each(|_| let_go.send(()).unwrap());
        let kept: Vec<String> = (0..10 - dropped).map(|_| written.recv().unwrap()).collect();
        assert!(kept.is_sorted() && kept[0] == "0", "{kept:?}");
        assert_eq!(told.recv().unwrap(), dropped);
        drop((guard, let_go));
    }
}
