//! The command line: one file for each subcommand.

mod ack;
mod check;
mod client;
mod deliveries;
mod demo;
mod explain;
mod failure;
mod generate;
mod incidents;
mod limit;
mod line;
mod output;
mod replay;
mod retry;
mod send_test;
mod serve;
mod silence;
mod table;
mod usage;
mod z_api;

use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use linedown_sinks::{SinkKind, closest};

use crate::clock;
use crate::config::{self, Config, Loaded, Process, Report, Whereabouts};
use crate::source;

pub use failure::{Code, CommandError};

/// The default config file.
const CONFIG: &str = "/etc/linedown/linedown.toml";

/// The end of the long help and of the manual.
const BESIDES: &str = "\
Exit codes: 0 done; 1 it failed; 64 wrong usage; 69 the daemon or a sink cannot be reached; 75 try again; 78 bad config.

Variables: LINEDOWN_CONFIG names the config file. LINEDOWN_LOG sets the log level (off, error, warn, info, debug, \
trace), LINEDOWN_LOG_FORMAT the format (text, json, journal). LINEDOWN__SERVER__LISTEN and the like override one value \
of the config: put two underscores between its keys, and one in place of a hyphen.

Files: /etc/linedown/linedown.toml and /etc/linedown/conf.d/*.toml; for the service also /etc/linedown/credentials, \
and the store in /var/lib/linedown.";

/// Know the moment a WhatsApp line drops, and that somebody was told.
#[derive(Debug, Parser)]
#[command(name = "linedown", version, max_term_width = 100, after_long_help = BESIDES)]
struct Arguments {
    /// Config file; by default `$LINEDOWN_CONFIG`, else /etc/linedown/linedown.toml. conf.d/*.toml beside it is merged in
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the daemon. SIGHUP reloads the config, SIGTERM stops it gracefully
    Serve(serve::Arguments),
    /// Read the whole config and print every problem in it
    Check(check::Arguments),
    /// Show what linedown would do with a webhook, and why; sends nothing
    Explain(explain::Arguments),
    /// Send one marked test message through one sink
    SendTest(send_test::Arguments),
    /// List outages, open and past
    Incidents(incidents::ListArguments),
    /// Show one outage with its events, notifications and attempts
    Incident(incidents::ShowArguments),
    /// List notifications and their states
    Deliveries(deliveries::Arguments),
    /// Show what the rules would have sent for past webhooks; sends nothing
    Replay(replay::Arguments),
    /// Send notifications again
    Retry(retry::Arguments),
    /// Acknowledge an outage: reminders and escalation stop
    Ack(ack::Arguments),
    /// Send nothing about some lines for a while
    Silence(silence::Arguments),
    /// Register and audit the webhooks at Z-API, and ask for the state of each line
    ZApi(z_api::Arguments),
    /// Show linedown at work, on this machine only; leaves nothing behind
    Demo,
    /// Print completions for a shell
    Completions(generate::CompletionArguments),
    /// Print the manual page
    Man(generate::ManualArguments),
}

/// Runs the command that the process's arguments name, with the kinds of sinks that a config may use.
pub fn run(kinds: &'static [SinkKind]) -> ExitCode {
    let arguments = match Arguments::try_parse_from(replay::spelt_out(std::env::args_os())) {
        Ok(arguments) => arguments,
        Err(error) => {
            // A closed pipe is not an error of ours, and neither are help and version.
            let unwritten = usage::complain(&error).is_err_and(|error| error.kind() != ErrorKind::BrokenPipe);
            return match (error.use_stderr(), unwritten) {
                (true, _) => Code::Usage.into(),
                (false, true) => Code::Failed.into(),
                (false, false) => Code::Done.into(),
            };
        }
    };
    let done = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let done = match done {
        Ok(runtime) => {
            let done = runtime.block_on(dispatch(arguments, kinds));
            // Does not wait for a blocking thread whose write hangs.
            runtime.shutdown_background();
            done
        }
        Err(error) => Err(CommandError::new(Code::Failed, "cannot start the runtime").caused_by(&error)),
    };
    match done {
        Ok(code) => code.into(),
        Err(error) => {
            output::complain(&error.render(output::colour_on_stderr()));
            error.code().into()
        }
    }
}

async fn dispatch(arguments: Arguments, kinds: &'static [SinkKind]) -> Result<Code, CommandError> {
    let config = arguments.config.or_else(|| variable("LINEDOWN_CONFIG").map(PathBuf::from));
    let place = Place { config: config.unwrap_or_else(|| PathBuf::from(CONFIG)), kinds };
    match arguments.command {
        Command::Serve(arguments) => serve::run(place, arguments).await,
        Command::Check(arguments) => check::run(&place, &arguments),
        Command::Explain(arguments) => explain::run(&place, &arguments),
        Command::SendTest(arguments) => send_test::run(&place, &arguments).await,
        Command::Incidents(arguments) => incidents::list(&place, &arguments).await,
        Command::Incident(arguments) => incidents::show(&place, &arguments).await,
        Command::Deliveries(arguments) => deliveries::run(&place, &arguments).await,
        Command::Replay(arguments) => replay::run(&place, &arguments).await,
        Command::Retry(arguments) => retry::run(&place, &arguments).await,
        Command::Ack(arguments) => ack::run(&place, &arguments).await,
        Command::Silence(arguments) => silence::run(&place, &arguments).await,
        Command::ZApi(arguments) => z_api::run(&place, &arguments).await,
        Command::Demo => demo::run().await,
        Command::Completions(arguments) => generate::completions(&arguments, &mut Arguments::command()),
        Command::Man(arguments) => generate::manual(&arguments, Arguments::command()),
    }
}

/// An environment variable, unless it is missing or empty.
fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// The name of the person who acts: the given one, or this machine's user.
fn person(given: Option<&str>) -> String {
    let user = || ["SUDO_USER", "USER", "LOGNAME"].into_iter().find_map(|name| variable(name)?.into_string().ok());
    let number = || match rustix::process::getuid() {
        root if root.is_root() => "root".to_owned(),
        user => format!("user {}", user.as_raw()),
    };
    given.map(str::to_owned).or_else(user).unwrap_or_else(number)
}

/// The error for a sink that is not in the config.
fn unknown_sink(config: &Config, name: &str) -> CommandError {
    let error = CommandError::new(Code::Usage, format!("there is no sink {name:?} in the config"));
    let names = config.routing.sinks.keys().map(String::as_str);
    match closest(name, names.clone()) {
        Some(near) => error.hint(format!("did you mean {near}?")),
        None => error.hint(format!("there are: {}", names.collect::<Vec<_>>().join(", "))),
    }
}

/// Fails if the config has no such sink: then it is no news that nothing was found for it.
fn is_there(place: &Place, sink: Option<&str>) -> Result<(), CommandError> {
    let Some(sink) = sink else { return Ok(()) };
    match place.config_if_right(&format!("linedown cannot tell whether it has a sink {sink:?}")) {
        Some(config) if !config.routing.sinks.contains_key(sink) => Err(unknown_sink(&config, sink)),
        _ => Ok(()),
    }
}

/// The config file of a command, and the kinds of sinks that it may use.
#[derive(Clone)]
struct Place {
    config: PathBuf,
    kinds: &'static [SinkKind],
}

impl Place {
    /// Reads the config. Returns it with its report.
    fn load(&self) -> Loaded {
        let sources: Vec<&str> = source::KINDS.iter().map(|kind| kind.name).collect();
        config::load(&self.config, self.kinds, &sources, &Process::this(clock::now()))
    }

    /// Reads where the config's daemon is.
    fn whereabouts(&self) -> Result<Whereabouts, CommandError> {
        let none = |report: Report| CommandError::Report(report.render(output::colour_on_stderr()));
        config::whereabouts(&self.config, &Process::this(clock::now())).map_err(none)
    }

    /// Reads the config for an additional check. If it has mistakes, warns with `otherwise`, which says what remains
    /// unknown.
    fn config_if_right(&self, otherwise: &str) -> Option<Config> {
        let config = self.load().config;
        if config.is_none() {
            let what = output::printable(&format!("the config has mistakes, so {otherwise}"));
            output::complain(&format!("warning: {what}\n  hint: `linedown check` shows them\n"));
        }
        config
    }

    /// Reads the config, and fails if it has mistakes.
    fn config(&self) -> Result<Config, CommandError> {
        let Loaded { config, report } = self.load();
        config.ok_or_else(|| CommandError::Report(report.render(output::colour_on_stderr())))
    }
}
