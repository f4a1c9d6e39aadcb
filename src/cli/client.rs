//! Asks the running daemon, over its Unix socket.

use std::error::Error as _;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::{Client, RequestBuilder, StatusCode};
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use super::{Code, CommandError, Place, output};
use crate::config::Row;
use crate::server::api;

/// How long the daemon may take to answer; a test message waits for its sink.
const PATIENCE: Duration = Duration::from_secs(150);

/// The running daemon.
pub(super) struct Daemon {
    client: Client,
}

impl Daemon {
    /// Finds the daemon of this config, whatever mistakes have come into it meanwhile.
    pub(super) async fn find(place: &Place) -> Result<Self, CommandError> {
        let whereabouts = place.whereabouts()?;
        let sockets = api::sockets(&whereabouts);
        let Some(socket) = listening(&sockets).await else { return Err(not_running(place, &sockets)) };
        if let Some(doubt) = &whereabouts.doubt {
            warn(doubt, socket);
        }
        linedown_sinks::use_ring();
        let client = Client::builder().unix_socket(socket.clone()).no_proxy().timeout(PATIENCE).build();
        let client =
            client.map_err(|error| CommandError::new(Code::Failed, "cannot make a client").caused_by(&error))?;
        Ok(Self { client })
    }

    /// Asks for something.
    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &impl serde::Serialize,
    ) -> Result<T, CommandError> {
        ask(self.client.get(format!("http://linedown/{path}")).query(query)).await
    }

    /// Asks to do something.
    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl serde::Serialize,
    ) -> Result<T, CommandError> {
        ask(self.client.post(format!("http://linedown/{path}")).json(body)).await
    }
}

/// The first socket where somebody listens, else the first one that we may not look behind.
async fn listening(sockets: &[PathBuf]) -> Option<&PathBuf> {
    let mut barred = None;
    for socket in sockets {
        match UnixStream::connect(socket).await.map_err(|error| error.kind()) {
            Ok(_) => return Some(socket),
            // Who was killed has left its socket behind.
            Err(ErrorKind::NotFound | ErrorKind::ConnectionRefused) => {}
            Err(_) => barred = barred.or(Some(socket)),
        }
    }
    barred
}

async fn ask<T: DeserializeOwned>(request: RequestBuilder) -> Result<T, CommandError> {
    let failed = |error: reqwest::Error| {
        let error = error.without_url();
        let (what, hint) = match refusal(&error) {
            Some(ErrorKind::PermissionDenied) => {
                ("the daemon may not be asked", "only root and the service's user may: use sudo")
            }
            _ => ("the daemon does not answer", "see how it is: systemctl status linedown"),
        };
        CommandError::new(Code::Unavailable, what).caused_by(&error).hint(hint)
    };
    let response = request.send().await.map_err(failed)?;
    let status = response.status();
    if status.is_success() {
        return response.json().await.map_err(failed);
    }
    let body: serde_json::Value = response.json().await.unwrap_or_default();
    let words = body["error"].as_str().unwrap_or("it gave no reason").to_owned();
    let error = match status {
        StatusCode::SERVICE_UNAVAILABLE => CommandError::new(Code::TryAgain, words),
        _ => CommandError::new(Code::Failed, words),
    };
    Err(match body["hint"].as_str() {
        Some(hint) => error.hint(hint),
        None => error,
    })
}

/// What the system said to the attempt to connect.
fn refusal(error: &reqwest::Error) -> Option<ErrorKind> {
    let causes = std::iter::successors(error.source(), |error| (*error).source());
    causes.filter_map(|cause| cause.downcast_ref::<std::io::Error>()).last().map(std::io::Error::kind)
}

/// That it is asked where it is found by default, since the config cannot be read.
fn warn(Row { file, line, column, what, .. }: &Row, socket: &Path) {
    let at = line.zip(*column).map(|(line, column)| format!(":{line}:{column}")).unwrap_or_default();
    let what = output::printable(&format!("{file}{at}: {what}"));
    let asked = output::printable(&format!("asked the daemon at {}, where it is by default", socket.display()));
    output::complain(&format!("warning: {what}\n  {asked}\n  hint: `linedown check` shows what is to be corrected\n"));
}

fn not_running(place: &Place, sockets: &[PathBuf]) -> CommandError {
    let looked: Vec<String> = sockets.iter().map(|socket| socket.display().to_string()).collect();
    let mut error = CommandError::new(Code::Unavailable, "the daemon is not running, or not with this config");
    let mut start = "start it: systemctl start linedown, or `linedown serve` where systemd does not run it".to_owned();
    let report = place.load().report;
    if report.errors() > 0 {
        error = error.because(format!("none starts with this config, which has {}", report.count()));
        start = format!("`linedown check` shows them; then {start}");
    }
    error.hint(format!("{start}; looked for its socket at {}", looked.join(", ")))
}
