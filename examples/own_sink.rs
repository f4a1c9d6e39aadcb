//! linedown with a sink of its own: `type = "append"` writes a line a notification to a file.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use async_trait::async_trait;
use linedown_sinks::{
    BuildError, Failure, FailureKind, KINDS, Limits, Notification, Receipt, Section, Settings, Sink, SinkKind, Texts,
};
use serde::Deserialize;
use tokio::fs::File;
use tokio::io::AsyncWriteExt;

fn main() -> ExitCode {
    let append = SinkKind { name: "append", check };
    let kinds: Vec<SinkKind> = KINDS.iter().copied().chain([append]).collect();
    linedown::cli::run(kinds.leak())
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Keys {
    path: Option<PathBuf>,
}

fn check(section: &mut Section<'_>, texts: Texts) -> Option<Arc<dyn Settings>> {
    let keys: Keys = section.read()?;
    let Some(path) = keys.path else {
        section.missing("path", "name the file: path = \"/var/lib/linedown/alerts.txt\"");
        return None;
    };
    Some(Arc::new(Append { path, texts }))
}

#[derive(Clone)]
struct Append {
    path: PathBuf,
    texts: Texts,
}

impl Settings for Append {
    fn preview(&self, notification: &Notification) -> String {
        format!("{} {}\n", notification.key(), self.texts.title(notification))
    }

    fn limits(&self) -> Limits {
        Limits { in_flight: 1, ..Limits::default() }
    }

    fn build(&self) -> Result<Arc<dyn Sink>, BuildError> {
        Ok(Arc::new(self.clone()))
    }
}

#[async_trait]
impl Sink for Append {
    async fn deliver(&self, notification: &Notification) -> Result<Receipt, Failure> {
        let write = async {
            let mut file = File::options().create(true).append(true).open(&self.path).await?;
            file.write_all(self.preview(notification).as_bytes()).await?;
            file.sync_all().await
        };
        match write.await {
            Ok(()) => Ok(Receipt("appended".to_owned())),
            Err(error) => Err(Failure::new(FailureKind::Busy, "cannot write to the file of `path`").caused_by(error)),
        }
    }
}
