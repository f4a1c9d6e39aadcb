//! `linedown serve`: the daemon.

use super::{Code, CommandError, Place, output};
use crate::config::{Config, Loaded};
use crate::daemon::{self, StartError};
use crate::process::{self, LogFormat};
use crate::store::StoreError;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// How records are written: to the journal where systemd started this, else as text to standard error
    #[arg(long, value_enum, env = "LINEDOWN_LOG_FORMAT")]
    log_format: Option<LogFormat>,
}

pub(super) async fn run(place: Place, arguments: Arguments) -> Result<Code, CommandError> {
    let _log = process::log(arguments.log_format, output::colour_on_stderr())
        .map_err(|error| CommandError::new(Code::Usage, error.to_string()).hint(error.hint))?;
    let config = load(&place, output::colour_on_stderr()).map_err(CommandError::report)?;
    let signals = process::signals()
        .map_err(|error| CommandError::new(Code::Failed, "cannot catch signals").caused_by(&error))?;
    daemon::run(config, || load(&place, false), signals).await.map_err(|error| explained(&error))?;
    Ok(Code::Done)
}

/// Reads a config that is good enough to serve with; the error is its report. Warnings go to the log.
fn load(place: &Place, colour: bool) -> Result<Config, String> {
    let Loaded { config, report } = place.load();
    let Some(config) = config else { return Err(report.render(colour)) };
    if config.lacks_credentials {
        let words = "a secret is a systemd credential, and those are only there when systemd starts linedown";
        return Err(format!("error: {words}\n  hint: use `systemctl start linedown`, or {{ file = … }} for a trial\n"));
    }
    for row in report.rows() {
        let hint = row.hint.as_deref().unwrap_or_default();
        tracing::warn!(file = row.file, line = row.line, hint, "config: {}", row.what);
    }
    Ok(config)
}

fn explained(error: &StartError) -> CommandError {
    let code = match error {
        StartError::Sink(_) | StartError::Gateway(_) => Code::Config,
        StartError::Damaged => Code::TryAgain,
        _ => Code::Failed,
    };
    let mut described = CommandError::new(code, error.to_string());
    if let Some(cause) = std::error::Error::source(error) {
        described = described.caused_by(cause);
    }
    match error {
        StartError::Listen { .. } => {
            described.hint("another program may have the port; choose another `server.listen`")
        }
        StartError::Inherited(_) => described
            .hint("`systemctl cat linedown.socket` shows it; it needs exactly one `ListenStream=` with a TCP port"),
        StartError::Store(StoreError::InUse(_)) => {
            described.hint("a daemon is running already; look with `linedown incidents`")
        }
        StartError::Damaged => described.hint("start it again, as systemd does by itself; then look after the disk"),
        StartError::Store(_) => described.hint("the folder must exist and be writable for the user that runs linedown"),
        StartError::Local { .. } => described.hint("set `server.api` to a path of its own, which this user may write"),
        StartError::Sink(_) | StartError::Gateway(_) | StartError::Tls(_) => described,
    }
}
