//! Client of the running daemon's local API, over its Unix socket.

use std::error::Error as _;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::time::Duration;

use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Method, StatusCode};
use linedown_sinks::BuildError;
use linedown_sinks::http::{self, Client, Manners};
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use url::Url;

use super::{Code, CommandError, Place, output};
use crate::config::{Config, Row};
use crate::server::api::{self, StoreAnswer};

/// How long the daemon may take to answer: `send-test` waits for its sink. What it says has no bound.
const MANNERS: Manners =
    Manners { connect: Duration::from_secs(10), answer: Duration::from_secs(150), most: usize::MAX, kept: 1 };

/// The running daemon.
pub(super) struct Daemon {
    client: Client,
    /// The warning that the store cannot be written to is printed once.
    warned: Once,
}

impl Daemon {
    /// Finds the daemon of this config in order to read from it, whatever mistakes the config has by now.
    pub(super) async fn find(place: &Place) -> Result<Self, CommandError> {
        let (socket, doubt) = seek(place).await?;
        if let Some(doubt) = doubt {
            warn(&doubt, &socket);
        }
        Self::at(socket)
    }

    /// Finds the daemon of this config in order to change something. Fails if the daemon might belong to another
    /// config.
    pub(super) async fn find_to_change(place: &Place) -> Result<Self, CommandError> {
        match seek(place).await? {
            (socket, None) => Self::at(socket),
            (socket, Some(doubt)) => Err(unsure(&doubt, &socket)),
        }
    }

    /// Finds the daemon of this config, if it runs and this user may talk to it: in the usual places may be the daemon
    /// of another config, which has another store.
    pub(super) async fn running(place: &Place, config: &Config) -> Result<Option<Self>, CommandError> {
        let Some(store) = StoreAnswer::at(&config.store.path) else { return Ok(None) };
        for socket in api::sockets(&place.whereabouts()?) {
            if UnixStream::connect(&socket).await.is_ok() {
                let daemon = Self::at(socket)?;
                let its: Option<StoreAnswer> = daemon.get("store", &()).await?;
                return Ok((its == Some(store)).then_some(daemon));
            }
        }
        Ok(None)
    }

    fn at(socket: PathBuf) -> Result<Self, CommandError> {
        let client = Client::at_socket(socket, MANNERS);
        let failed = |error: BuildError| CommandError::new(Code::Failed, "cannot make a client").caused_by(&error);
        Ok(Self { client: client.map_err(failed)?, warned: Once::new() })
    }

    /// Sends a GET request.
    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &impl serde::Serialize,
    ) -> Result<T, CommandError> {
        let query = serde_urlencoded::to_string(query).map_err(|error| unsaid(&error))?;
        let mut to = address(path)?;
        to.set_query(Some(&query).filter(|query| !query.is_empty()).map(String::as_str));
        self.ask(Method::GET, &to, String::new()).await
    }

    /// Sends a POST request.
    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl serde::Serialize,
    ) -> Result<T, CommandError> {
        let body = serde_json::to_string(body).map_err(|error| unsaid(&error))?;
        self.ask(Method::POST, &address(path)?, body).await
    }

    async fn ask<T: DeserializeOwned>(&self, method: Method, to: &Url, body: String) -> Result<T, CommandError> {
        let request = http::request(method, to).header(CONTENT_TYPE, "application/json");
        let response = self.client.send(request, body).await.map_err(|error| failed(&error))?;
        if let Some(since) = response.parts.headers.get(api::NOT_WRITING_SINCE) {
            self.warned.call_once(|| warn_of_the_store(since));
        }
        let status = response.parts.status;
        let (body, _) = response.read(usize::MAX).await.map_err(|error| failed(&error))?;
        if status.is_success() {
            return serde_json::from_slice(&body).map_err(|error| unreadable(&error));
        }
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
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
}

/// Warns that the store cannot be written to, so that what is listed may be incomplete.
fn warn_of_the_store(since: &HeaderValue) {
    let since = since.to_str().ok().and_then(|since| since.parse().ok());
    let since = since.map(|since| format!(" since {}", output::moment(since))).unwrap_or_default();
    output::complain(&format!(
        "warning: the store cannot be written to{since}: webhooks are refused, so outages may be missing here\n"
    ));
}

/// The daemon's socket, and why it may be that of another daemon.
async fn seek(place: &Place) -> Result<(PathBuf, Option<Row>), CommandError> {
    let whereabouts = place.whereabouts()?;
    let sockets = api::sockets(&whereabouts);
    match (listening(&sockets).await, whereabouts.doubt) {
        (Some(socket), doubt) => Ok((socket.clone(), doubt)),
        (None, Some(doubt)) => Err(not_found(&doubt, &sockets)),
        (None, None) => Err(not_running(place, &sockets)),
    }
}

/// The first socket where somebody listens, or else one that we may not connect to: rather one that is there than one
/// in a folder that we may not look into.
async fn listening(sockets: &[PathBuf]) -> Option<&PathBuf> {
    let mut barred: Option<&PathBuf> = None;
    for socket in sockets {
        match UnixStream::connect(socket).await.map_err(|error| error.kind()) {
            Ok(_) => return Some(socket),
            // A daemon that was killed leaves its socket behind.
            Err(ErrorKind::NotFound | ErrorKind::ConnectionRefused) => {}
            Err(_) => barred = barred.filter(|socket| socket.exists()).or(Some(socket)),
        }
    }
    barred
}

/// The address of something that the daemon can be asked.
fn address(path: &str) -> Result<Url, CommandError> {
    Url::parse(&format!("http://linedown/{path}")).map_err(|error| unsaid(&error))
}

/// The daemon cannot be asked this at all.
fn unsaid(error: &dyn std::error::Error) -> CommandError {
    CommandError::new(Code::Failed, "cannot put the question to the daemon").caused_by(error)
}

fn failed(error: &http::Error) -> CommandError {
    let (what, hint) = match refusal(error) {
        Some(ErrorKind::PermissionDenied) => {
            ("no permission to talk to the daemon", "only root and the service's user may: use sudo")
        }
        _ => SILENT,
    };
    CommandError::new(Code::Unavailable, what).caused_by(error).hint(hint)
}

/// The daemon's answer is not what this command knows.
fn unreadable(error: &serde_json::Error) -> CommandError {
    let (what, hint) = SILENT;
    CommandError::new(Code::Unavailable, what).caused_by(error).hint(hint)
}

const SILENT: (&str, &str) = ("the daemon does not answer", "check it: systemctl status linedown");

/// The system's error when connecting, if that is why the request failed.
fn refusal(error: &http::Error) -> Option<ErrorKind> {
    let causes = std::iter::successors(error.source(), |error| (*error).source());
    causes.filter_map(|cause| cause.downcast_ref::<std::io::Error>()).last().map(std::io::Error::kind)
}

/// Warns that the config could not be read completely, and says which daemon is asked.
fn warn(doubt: &Row, socket: &Path) {
    let what = output::printable(&in_words(doubt));
    let asked = format!(
        "asked the daemon at {}, which is the right one unless that file names another socket",
        socket.display()
    );
    let asked = output::printable(&asked);
    output::complain(&format!("warning: {what}\n  {asked}\n  hint: `linedown check` shows what to correct\n"));
}

fn in_words(row: &Row) -> String {
    format!("{}: {}", row.place(), row.what)
}

fn unsure(doubt: &Row, socket: &Path) -> CommandError {
    let socket = socket.display();
    let what = format!("cannot tell whether the daemon at {socket} is the one of this config");
    CommandError::new(Code::Config, what).because(in_words(doubt)).hint(format!(
        "correct that file (`linedown check` shows what is wrong), or confirm the socket: \
         LINEDOWN__SERVER__API={socket}"
    ))
}

fn not_found(doubt: &Row, sockets: &[PathBuf]) -> CommandError {
    let what = "no daemon was found in the usual places, and the config may name another one";
    CommandError::new(Code::Unavailable, what).because(in_words(doubt)).hint(format!(
        "correct that file (`linedown check` shows what is wrong), or set LINEDOWN__SERVER__API to the daemon's \
         socket; {}",
        looked(sockets)
    ))
}

fn looked(sockets: &[PathBuf]) -> String {
    let sockets: Vec<String> = sockets.iter().map(|socket| socket.display().to_string()).collect();
    format!("looked for its socket at {}", sockets.join(", "))
}

fn not_running(place: &Place, sockets: &[PathBuf]) -> CommandError {
    let mut error = CommandError::new(Code::Unavailable, "the daemon is not running, or not with this config");
    let mut start = "start it: systemctl start linedown, or `linedown serve` where systemd does not run it".to_owned();
    let report = place.load().report;
    if report.errors() > 0 {
        error = error.because(format!("the daemon cannot start with this config, which has {}", report.count()));
        start = format!("`linedown check` shows them; then {start}");
    }
    error.hint(format!("{start}; {}", looked(sockets)))
}
