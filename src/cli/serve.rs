//! `linedown serve`: runs the daemon.

use std::io::ErrorKind;
use std::path::Path;

use clap::ValueEnum;

use super::{Code, CommandError, Place, output, variable};
use crate::config::{Config, Loaded};
use crate::daemon::{self, StartError};
use crate::log::{self, Format};
use crate::signals;
use crate::store::StoreError;
use crate::systemd;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Log format; by default `LINEDOWN_LOG_FORMAT`, else the journal if systemd started linedown, else text to
    /// standard error
    #[arg(long, value_enum)]
    log_format: Option<Format>,
}

pub(super) async fn run(place: Place, arguments: Arguments) -> Result<Code, CommandError> {
    let _log = log::start(log_format(&arguments)?, output::colour_on_stderr())
        .map_err(|error| CommandError::new(Code::Usage, error.to_string()).hint(error.hint))?;
    let config = load(&place, output::colour_on_stderr()).map_err(CommandError::Report)?;
    let signals =
        signals::catch().map_err(|error| CommandError::new(Code::Failed, "cannot catch signals").caused_by(&error))?;
    let store = config.store.path.clone();
    daemon::run(config, || load(&place, false), signals).await.map_err(|error| explained(&error, &store))?;
    Ok(Code::Done)
}

fn log_format(arguments: &Arguments) -> Result<Option<Format>, CommandError> {
    let Some(format) = variable("LINEDOWN_LOG_FORMAT").filter(|_| arguments.log_format.is_none()) else {
        return Ok(arguments.log_format);
    };
    let format = format.to_string_lossy();
    Format::from_str(&format, true).map(Some).map_err(|_| {
        let error =
            CommandError::new(Code::Usage, format!("LINEDOWN_LOG_FORMAT is {format:?}, which is not a log format"));
        error.hint("set it to text, json or journal")
    })
}

/// Reads a config that can be served with; the error is its report. Warnings go to the log.
fn load(place: &Place, colour: bool) -> Result<Config, String> {
    let Loaded { config, report } = place.load();
    let Some(config) = config else { return Err(report.render(colour)) };
    if config.lacks_credentials {
        let words = "a secret is a systemd credential, which is available only when systemd starts linedown";
        let hint = "use `systemctl start linedown`, or { file = … } for a trial";
        return Err(format!("{}error: {words}\n  hint: {hint}\n", report.render(colour)));
    }
    for row in report.rows() {
        let (expected, hint) = (row.expected.as_deref(), row.hint.as_deref());
        let key = Some(&row.path).filter(|key| !key.is_empty());
        tracing::warn!(file = row.file, line = row.line, key, expected, hint, "config: {}", row.what);
    }
    Ok(config)
}

/// An error with what the operator can do; `store` is the path of the store.
fn explained(error: &StartError, store: &Path) -> CommandError {
    let code = match error {
        StartError::Sink(_) | StartError::Gateway(_) | StartError::Store(StoreError::Foreign(_)) => Code::Config,
        StartError::Damaged | StartError::Store(StoreError::Damaged) => Code::TryAgain,
        _ => Code::Failed,
    };
    let mut described = CommandError::new(code, error.to_string());
    if let Some(cause) = std::error::Error::source(error) {
        described = described.caused_by(cause);
    }
    match (error, advice(error)) {
        (StartError::Store(error), _) => described.hint(advice_on_store(error, store, systemd::listens())),
        (_, Some(hint)) => described.hint(hint),
        (_, None) => described,
    }
}

/// What the operator can do, unless it is about the store.
fn advice(error: &StartError) -> Option<&'static str> {
    Some(match error {
        StartError::Listen { source, .. } => match source.kind() {
            ErrorKind::AddrInUse => "another program uses the port: stop it, or choose another `server.listen`",
            ErrorKind::AddrNotAvailable => {
                "this machine has no such address: set `server.listen` to one that `ip address` shows, or to 0.0.0.0"
            }
            ErrorKind::PermissionDenied => {
                "ports below 1024 need a privilege: let systemd open it (linedown.socket), or choose a higher one"
            }
            _ => "choose another `server.listen`",
        },
        StartError::Intake(_) => "the limit on threads or on memory is too low (TasksMax=, MemoryMax= in systemd)",
        StartError::Inherited(_) => {
            "`systemctl cat linedown.socket` shows it; it needs exactly one `ListenStream=` with a TCP port"
        }
        StartError::Damaged => DAMAGED,
        StartError::Local { .. } => "set `server.api` to a path that this user may write and nothing else uses",
        StartError::Store(_) | StartError::Sink(_) | StartError::Gateway(_) | StartError::Tls(_) => return None,
    })
}

/// A copy that root puts in place of the store belongs to root.
const BARRED: &str = "let the store and its folder belong to the user who runs linedown; for the service: \
                      chown --reference=/var/lib/linedown/ /var/lib/linedown/linedown.db";

/// Whether the user who runs linedown may not open the store, or may not write it.
fn is_barred(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{CannotOpen, PermissionDenied, ReadOnly};
    matches!(error.sqlite_error_code(), Some(CannotOpen | PermissionDenied | ReadOnly))
}

const DAMAGED: &str = "start linedown again (systemd does so by itself), then check the disk";

/// Where the unit of the service does not let it write.
const SEALED: &str = "the service may write below /var/lib/linedown only, until a drop-in for its unit allows more: see \
                      \"Moving the store\" in service.md (/usr/share/doc/linedown)";

/// What the operator can do about the store at this path.
fn advice_on_store(error: &StoreError, store: &Path, is_service: bool) -> String {
    let advice = match error {
        StoreError::InUse(_) => "another daemon is running with this store: use that one, or stop it first",
        StoreError::Foreign(_) => {
            "set `store.url` to a file that is linedown's alone; it makes the file if there is none"
        }
        StoreError::TooNew { .. } => {
            "install the version that wrote it, or a later one; or put back a copy of the store from before"
        }
        StoreError::Open { source, .. } if source.kind() == ErrorKind::IsADirectory => {
            "that is a folder: set `store.url` to a file in it, such as linedown.db"
        }
        StoreError::Open { source, .. } if source.kind() == ErrorKind::AlreadyExists => {
            "that is a folder: remove it; linedown makes a file of this name"
        }
        StoreError::Full => return format!("make room on the disk of {}", store.display()),
        StoreError::Open { source, .. }
            if is_service && matches!(source.kind(), ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem) =>
        {
            return format!("{WRITABLE}; {SEALED}");
        }
        StoreError::Damaged => DAMAGED,
        StoreError::Failed(error) if is_barred(error) => BARRED,
        StoreError::Failed(_) => "look for disk errors (dmesg | tail), then start linedown again",
        _ => WRITABLE,
    };
    advice.to_owned()
}

const WRITABLE: &str = "the folder must exist and be writable for the user that runs linedown";

#[cfg(test)]
mod tests {
    use rusqlite::{Error, ffi};

    use super::*;

    /// Root may write every file, so tests cannot bring this about.
    #[test]
    fn a_store_that_is_not_ours_is_no_broken_disk() {
        for (code, is_ours) in
            [(ffi::SQLITE_READONLY, false), (ffi::SQLITE_CANTOPEN, false), (ffi::SQLITE_IOERR_READ, true)]
        {
            let error = StoreError::Failed(Error::SqliteFailure(ffi::Error::new(code), None));
            assert_eq!(advice(&error, false) != BARRED, is_ours, "{error}");
        }
    }

    fn advice(error: &StoreError, is_service: bool) -> String {
        advice_on_store(error, Path::new("/data/linedown.db"), is_service)
    }

    #[test]
    fn what_the_unit_forbids_and_which_disk_is_full_is_said() {
        let open = |kind: ErrorKind| StoreError::Open { path: "/data/linedown.db".into(), source: kind.into() };
        for (error, is_service, is_of_unit) in [
            (open(ErrorKind::ReadOnlyFilesystem), true, true),
            (open(ErrorKind::PermissionDenied), true, true),
            (open(ErrorKind::PermissionDenied), false, false),
            (open(ErrorKind::NotFound), true, false),
        ] {
            let advice = advice(&error, is_service);
            assert_eq!(advice.contains("Moving the store"), is_of_unit, "{error:?}: {advice}");
            assert!(advice.starts_with(WRITABLE), "{advice}");
        }
        assert_eq!(advice(&StoreError::Full, true), "make room on the disk of /data/linedown.db");
    }
}
