//! `stdout`: writes each notification to the standard output as one line, for people at a terminal and for pipes.
//!
//! ```toml
//! [sinks.console]
//! type = "stdout"
//! format = "json"   # or "text", the default
//! ```

mod line;

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd;
use std::sync::Arc;

use async_trait::async_trait;
use serde::Deserialize;
use tokio::sync::Mutex;

use crate::{
    BuildError, Failure, FailureKind, Limits, Notification, Receipt, Section, Settings, Sink, SinkKind, Texts,
};
use line::{Format, Printer};

/// This sink's entry in [`crate::KINDS`].
pub(crate) const KIND: SinkKind = SinkKind { name: "stdout", check };

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Keys {
    format: Format,
}

fn check(section: &mut Section<'_>, texts: Texts) -> Option<Arc<dyn Settings>> {
    let keys: Keys = section.read()?;
    Some(Arc::new(Checked { printer: Printer { format: keys.format, texts } }))
}

/// The object that `format = "json"` writes, for sinks that hand over the same.
pub(crate) fn object(texts: &Texts, notification: &Notification) -> String {
    Printer { format: Format::Json, texts: texts.clone() }.line(notification)
}

struct Checked {
    printer: Printer,
}

impl Settings for Checked {
    fn preview(&self, notification: &Notification) -> String {
        self.printer.line(notification)
    }

    fn limits(&self) -> Limits {
        Limits { in_flight: 1, ..Limits::default() }
    }

    fn build(&self) -> Result<Arc<dyn Sink>, BuildError> {
        let output = io::stdout().as_fd().try_clone_to_owned();
        let output = output.map_err(|error| BuildError(format!("the standard output is not available: {error}")))?;
        Ok(Arc::new(Stdout { printer: self.printer.clone(), output: Output::new(File::from(output)) }))
    }
}

struct Stdout {
    printer: Printer,
    output: Arc<Mutex<Output>>,
}

#[async_trait]
impl Sink for Stdout {
    async fn deliver(&self, notification: &Notification) -> Result<Receipt, Failure> {
        let line = self.printer.line(notification);
        // A reader that has stopped reading blocks one thread, not one per attempt: later attempts wait here.
        let mut output = Arc::clone(&self.output).lock_owned().await;
        let written = tokio::task::spawn_blocking(move || {
            let _others = io::stdout().lock();
            output.write(&line)
        });
        match written.await {
            Ok(Ok(())) => Ok(Receipt("written to the standard output".into())),
            Ok(Err(error)) => Err(failure(error)),
            Err(error) => Err(Failure::new(FailureKind::Busy, "the writing was interrupted").caused_by(error)),
        }
    }
}

fn failure(error: io::Error) -> Failure {
    let (kind, what) = match error.kind() {
        ErrorKind::BrokenPipe => (FailureKind::Unreachable, "nobody reads the standard output any more"),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            (FailureKind::Busy, "no space left where the standard output goes")
        }
        ErrorKind::WouldBlock => (FailureKind::Busy, "the reader of the standard output does not keep up"),
        _ => (FailureKind::Unreachable, "cannot write to the standard output"),
    };
    Failure::new(kind, what).caused_by(error)
}

/// The output, unbuffered: a line that could not be written must not turn up later in front of another one.
struct Output {
    file: File,
    /// Whether a line was begun and not finished.
    torn: bool,
}

impl Output {
    fn new(file: File) -> Arc<Mutex<Self>> {
        Arc::new(Mutex::new(Self { file, torn: false }))
    }

    /// Writes a line, after finishing a torn one. The system takes the whole line in one `write` for files and for
    /// short lines.
    fn write(&mut self, line: &str) -> io::Result<()> {
        let start = if self.torn { "\n" } else { "" };
        let bytes = format!("{start}{line}\n").into_bytes();
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            match self.file.write(rest) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => {
                    rest = &rest[written..];
                    self.torn = !rest.is_empty();
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;
    use crate::sample::notification as sample;

    fn sink(file: File) -> Stdout {
        Stdout { printer: Printer { format: Format::Json, texts: Texts::default() }, output: Output::new(file) }
    }

    #[tokio::test]
    async fn each_notification_is_one_line_of_json() {
        let mut file = tempfile::tempfile().unwrap();
        let sink = Arc::new(sink(file.try_clone().unwrap()));
        let tries: Vec<_> = (1..=20)
            .map(|attempt| {
                let sink = Arc::clone(&sink);
                tokio::spawn(async move { sink.deliver(&Notification { attempt, ..sample() }).await.unwrap() })
            })
            .collect();
        for each in tries {
            each.await.unwrap();
        }
        let mut text = String::new();
        io::Seek::rewind(&mut file).unwrap();
        file.read_to_string(&mut text).unwrap();
        let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 20);
        assert_eq!(lines[0]["key"], "42.q1w2e3");
        assert_eq!(lines[0]["phone"], "5544*****9999");
        assert_eq!(lines[0]["opened_at"], "2026-11-23T07:58:00Z");
        assert_eq!(lines[0]["closed_at"], serde_json::Value::Null);
        assert!(!text.contains("5544999999999"));
    }

    #[tokio::test]
    async fn a_full_disk_and_a_closed_pipe_are_failures() {
        let full = File::options().write(true).open("/dev/full").unwrap();
        assert_eq!(sink(full).deliver(&sample()).await.unwrap_err().kind, FailureKind::Busy);
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let closed = File::from(std::os::fd::OwnedFd::from(writer));
        assert_eq!(sink(closed).deliver(&sample()).await.unwrap_err().kind, FailureKind::Unreachable);
    }
}
