//! `linedown z-api`: manages what is registered at the gateway, and asks for the state of lines. Uses the config only,
//! not the daemon.

mod audit;
mod progress;
mod register;
mod status;

use std::sync::Arc;

use linedown_sinks::closest;
use secrecy::SecretString;
use serde::Serialize;

use super::{Code, CommandError, Place};
use crate::config::Config;
use crate::gateway::fleet::{A_SECOND, AT_ONCE, Fleet};
use crate::gateway::registration::Addresses;
use crate::gateway::{Access, Client, Failure, FailureKind};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Register both webhooks of instances with this daemon's address; changes only what differs
    Register(register::Arguments),
    /// Compare the registered webhooks with what they should be, and check that instances are paid for
    Audit(audit::Arguments),
    /// Ask the gateway for the state of each instance
    Status(status::Arguments),
}

pub(super) async fn run(place: &Place, arguments: &Arguments) -> Result<Code, CommandError> {
    let config = place.config()?;
    if config.lacks_credentials {
        let error =
            CommandError::new(Code::Config, "a token or secret is a systemd credential, and there are none here");
        let hint = "name their folder: sudo env CREDENTIALS_DIRECTORY=/etc/linedown/credentials linedown z-api …";
        return Err(error.hint(hint));
    }
    match &arguments.command {
        Command::Register(arguments) => register::run(&config, arguments).await,
        Command::Audit(arguments) => audit::run(&config, arguments).await,
        Command::Status(arguments) => status::run(&config, arguments).await,
    }
}

/// A source of type `z-api`.
struct Source<'c> {
    config: &'c Config,
    name: &'c str,
    secrets: &'c [SecretString],
    access: &'c Access,
}

impl<'c> Source<'c> {
    /// The sources to work on: the named one, or all.
    fn chosen(config: &'c Config, name: Option<&str>) -> Result<Vec<Self>, CommandError> {
        let all = config.sources.iter().filter_map(|(name, source)| {
            let access = source.gateway.as_ref()?;
            Some(Self { config, name, secrets: &source.secrets, access })
        });
        let all: Vec<Self> = all.collect();
        let Some(wanted) = name else { return Ok(all) };
        let names: Vec<&str> = all.iter().map(|source| source.name).collect();
        let unknown = CommandError::new(Code::Usage, format!("there is no source {wanted:?} of the type z-api"));
        let hint = match closest(wanted, names.iter().copied()) {
            Some(near) => format!("did you mean {near}?"),
            None => format!("there are: {}", names.join(", ")),
        };
        match all.into_iter().find(|source| source.name == wanted) {
            Some(source) => Ok(vec![source]),
            None => Err(unknown.hint(hint)),
        }
    }

    fn fleet(&self) -> Result<Fleet, CommandError> {
        let client = Client::new(Arc::new(self.access.clone()), AT_ONCE)
            .map_err(|error| CommandError::new(Code::Failed, "cannot ask the gateway").caused_by(&error))?;
        Ok(Fleet::new(client, A_SECOND))
    }

    /// The addresses at which its webhooks must be registered.
    fn addresses(&self) -> Result<Addresses, CommandError> {
        let wrong = |what: &str| {
            let error = CommandError::new(Code::Config, what);
            error.hint(
                "set `public_url` in [server] to the daemon's public address, such as \"https://alerts.example.com\"",
            )
        };
        let public_url = self.config.server.public_url.as_deref();
        let public_url =
            public_url.ok_or_else(|| wrong("`server.public_url` is not set, so there is no address to register"))?;
        if !public_url.starts_with("https://") {
            return Err(wrong("the gateway posts to https:// addresses only, and `server.public_url` is not one"));
        }
        Ok(Addresses::new(public_url, self.name, self.secrets))
    }

    /// The name of an instance in the inventory.
    fn title(&self, instance: &str) -> Option<&'c str> {
        self.config.routing.inventory.get(self.name, instance)?.name
    }

    /// The instances without a token, sorted. Those that may belong to any source are returned for the first source in
    /// `all`.
    fn without_token(&self, all: &[Self]) -> Vec<&'c str> {
        let is_first = all.first().is_some_and(|first| first.name == self.name);
        let inventory = self.config.routing.inventory.iter().filter(|entry| !entry.is_asked);
        inventory.filter(|entry| entry.source.map_or(is_first, |of| of == self.name)).map(|entry| entry.id).collect()
    }
}

/// Why nothing is known about an instance.
#[derive(Clone, Debug, Serialize)]
struct Trouble {
    kind: FailureKind,
    what: String,
    hint: &'static str,
}

impl Trouble {
    /// The instance has no token.
    fn no_token() -> Self {
        Self { kind: FailureKind::Unauthorised, what: NO_TOKEN.to_owned(), hint: ADD_TOKEN }
    }
}

impl From<&Failure> for Trouble {
    fn from(failure: &Failure) -> Self {
        Self { kind: failure.kind, what: failure.to_string(), hint: failure.hint() }
    }
}

/// The text below a table: each hint once.
fn hints<'f>(hints: impl Iterator<Item = &'f str>) -> String {
    let mut each: Vec<&str> = Vec::new();
    for hint in hints {
        if !each.contains(&hint) {
            each.push(hint);
        }
    }
    each.into_iter().flat_map(|hint| ["hint: ", hint, "\n"]).collect()
}

/// Printed if no instance can be asked about.
const NO_LINES: &str = "no instance in the inventory has a token: add `token` to [instances.ID]\n";
/// Printed for an instance without a token.
const NO_TOKEN: &str = "no token, so nothing can be asked";
/// The hint for an instance without a token.
const ADD_TOKEN: &str = "add `token` to [instances.ID]; Z-API's panel shows it";
