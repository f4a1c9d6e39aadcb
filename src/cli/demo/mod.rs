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

use std::error::Error;
use std::io;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

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
    // Before there is anything that could be left behind.
    let mut end = signals().map_err(|error| failed("cannot catch signals", &error))?;
    let folder = Folder::new().map_err(|error| {
        let what = format!("cannot make a folder in {}", std::env::temp_dir().display());
        failed(what, &error).hint("name another place in the variable TMPDIR")
    })?;
    let [interrupt, terminate, hangup] = &mut end;
    // Ended from outside, it leaves nothing behind either: dropping the story ends the daemon.
    tokio::select! {
        told = story::tell(&folder) => told.map(|()| Code::Done),
        _ = interrupt.recv() => Err(interrupted()),
        _ = terminate.recv() => Err(interrupted()),
        _ = hangup.recv() => Err(interrupted()),
    }
}

/// What ends the demo before its end.
fn signals() -> io::Result<[Signal; 3]> {
    Ok([signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?, signal(SignalKind::hangup())?])
}

fn interrupted() -> CommandError {
    CommandError::new(Code::Failed, "the demo was interrupted")
}

fn failed(what: impl Into<String>, why: &dyn Error) -> CommandError {
    CommandError::new(Code::Failed, what).caused_by(why)
}
