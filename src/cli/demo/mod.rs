//! `linedown demo`: runs the real daemon, posts what a gateway would, and shows who is told.
//!
//! [`child`] runs the daemon, [`gateway`] posts to it, [`mailbox`] and the daemon's own output receive what it sends,
//! and [`screen`] shows it. [`story`] has the plot.

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

/// The config of the demo's daemon.
const CONFIG: &str = include_str!("../../../packaging/demo.toml");
/// The config's file name in the demo's folder.
const CONFIG_FILE: &str = "demo.toml";
/// Time limit of each step of the demo.
const PATIENCE: Duration = Duration::from_secs(20);

/// Runs the demo in a folder of its own, which is removed afterwards, whatever happens.
pub(super) async fn run() -> Result<Code, CommandError> {
    // Signals are caught before there is anything to clean up.
    let mut end = signals().map_err(|error| failed("cannot catch signals", &error))?;
    let folder = Folder::new().map_err(|error| {
        let what = format!("cannot make a folder in {}", std::env::temp_dir().display());
        failed(what, &error).hint("name another place in the variable TMPDIR")
    })?;
    let [interrupt, terminate, hangup] = &mut end;
    // Also cleans up if a signal ends the demo: dropping the story kills the daemon.
    tokio::select! {
        told = story::tell(&folder) => told.map(|()| Code::Done),
        _ = interrupt.recv() => Err(interrupted()),
        _ = terminate.recv() => Err(interrupted()),
        _ = hangup.recv() => Err(interrupted()),
    }
}

/// The signals that end the demo early.
fn signals() -> io::Result<[Signal; 3]> {
    Ok([signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?, signal(SignalKind::hangup())?])
}

fn interrupted() -> CommandError {
    CommandError::new(Code::Failed, "the demo was interrupted")
}

fn failed(what: impl Into<String>, why: &dyn Error) -> CommandError {
    CommandError::new(Code::Failed, what).caused_by(why)
}
