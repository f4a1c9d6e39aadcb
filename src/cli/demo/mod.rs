//! `linedown demo`: the real daemon, told what a gateway tells it, and who hears of it.
//!
//! [`child`] runs the daemon, [`gateway`] posts to it, [`mailbox`] and the daemon's own output catch what it
//! sends, [`screen`] shows it; the story is told in [`story`].

mod child;
mod folder;
mod gateway;
mod letter;
mod mailbox;
mod screen;
mod story;
mod summary;

use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

use super::{Code, CommandError};
use folder::Folder;

/// The config the daemon is started with.
const CONFIG: &str = include_str!("../../../packaging/demo.toml");
/// Its name in the demo's folder.
const CONFIG_FILE: &str = "demo.toml";
/// How long anything may take before the demo has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// Runs the demo in a folder of its own, which is gone afterwards, whatever happens.
pub(super) async fn run() -> Result<Code, CommandError> {
    let folder = Folder::new().map_err(|error| {
        let temporary = std::env::temp_dir();
        let what = format!("cannot make a folder in {}", temporary.display());
        CommandError::new(Code::Failed, what).caused_by(&error).hint("name another place in the variable TMPDIR")
    })?;
    // Ended from outside, it leaves nothing behind either: dropping the story ends the daemon.
    tokio::select! {
        told = story::tell(&folder) => told?,
        () = told_to_end() => return Err(CommandError::new(Code::Failed, "the demo was interrupted")),
    }
    Ok(Code::Done)
}

/// Comes back when somebody wants the demo to end.
async fn told_to_end() {
    let signals = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()].map(signal);
    let [Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)] = signals else { return std::future::pending().await };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
}
