//! The user's config: reads its layers into a checked [`Config`], or reports every problem at once, each with its
//! place.
//!
//! Reading touches files and nothing else: no network, no store, no process-wide state. What a config needs to know of
//! its process is passed in as a [`Process`].

mod acme;
mod corrected;
mod file;
mod forms;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzz;
mod gateway;
mod heartbeat;
mod instances;
mod inventory;
mod labels;
mod layers;
mod lines;
mod matching;
mod overrides;
mod periods;
mod pieces;
mod places;
mod position;
mod privacy;
mod quiet;
mod reach;
mod reader;
mod remains;
mod report;
mod rules;
mod server;
mod sinks;
mod sources;
mod store;
mod syntax;
mod tls;
mod troubles;
mod values;
mod whereabouts;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path as FilePath;
use std::sync::Arc;

use jiff::Timestamp;
use linedown_sinks::{Environment, Path, Secrets, SinkKind, TextKeys};
use serde_json::{Map, Value};

pub use acme::Acme;
pub use heartbeat::Heartbeat;
pub use report::{Report, Row};
pub use server::Server;
pub use sources::Source;
pub use store::Store;
pub use tls::Tls;
pub use whereabouts::{Whereabouts, whereabouts};

use crate::rule::timing::Quiet;
use crate::rule::{self, Routing, Rule, Target};
use crate::trouble::{self, Troubles};
use inventory::Inventory;
use labels::Labels;
use layers::Layers;
use matching::Known;
use pieces::INVENTORY;
use reader::Reader;

/// The tables that a config may have.
const TABLES: [&str; 10] =
    ["server", "store", "heartbeat", "troubles", "sources", INVENTORY, "messages", "sinks", "quiet", "rules"];

/// The whole config, checked.
pub struct Config {
    /// How webhooks are accepted.
    pub server: Server,
    /// The watcher that gets heartbeats, if any.
    pub heartbeat: Option<Heartbeat>,
    /// The thresholds for linedown's own troubles; none if those are not told.
    pub troubles: Option<Troubles>,
    /// Where the state is stored.
    pub store: Store,
    /// The gateways, by the name in their webhooks' address.
    pub sources: BTreeMap<String, Source>,
    /// How messages are worded where a sink does not say otherwise.
    pub messages: TextKeys,
    /// Who is told of what, by which sinks.
    pub routing: Arc<Routing>,
    /// Whether a secret is a systemd credential and this process has no credentials. Such a config may be inspected,
    /// but must not be served with: its secrets are empty.
    pub lacks_credentials: bool,
    /// The sinks that such a secret belongs to.
    pub sinks_without_credentials: BTreeSet<String>,
}

/// What a config needs to know of the process that reads it.
#[derive(Clone, Debug)]
pub struct Process {
    /// The environment variables.
    pub variables: Vec<(String, String)>,
    /// Where secrets are looked up.
    pub secrets: Secrets,
    /// The current time, to check whether certificates have expired.
    pub now: Timestamp,
}

impl Process {
    /// The environment and the credentials of this process.
    pub fn this(now: Timestamp) -> Self {
        let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
        let variables = std::env::vars_os().map(|(name, value)| (text(name), text(value))).collect();
        Self { variables, secrets: Secrets::of_this_process(), now }
    }

    fn variable(&self, name: &str) -> Option<&str> {
        let found = self.variables.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }
}

/// The result of reading a config.
pub struct Loaded {
    /// The config, unless the report holds an error.
    pub config: Option<Config>,
    /// All problems.
    pub report: Report,
}

/// Reads the main file, its `conf.d` and the environment variables of the config, and checks all of it against these
/// kinds of sinks and sources.
pub fn load(main: &FilePath, kinds: &[SinkKind], source_kinds: &[&str], process: &Process) -> Loaded {
    let (layers, mut problems) = match Layers::read(main, &process.variables) {
        Ok(read) => read,
        Err(row) => return Loaded { config: None, report: Report::new([*row]) },
    };
    let textual = layers.variables.keys().cloned().collect();
    let environment = Environment { secrets: process.secrets.clone(), textual };
    let mut reader = Reader::new(&environment, &layers.files);
    let sources: Vec<&str> = layers.names("sources").collect();
    let inventory = inventory::read(&layers.instances, &sources, &Path(vec![INVENTORY.into()]), &mut reader);
    let config = check(&layers, inventory, kinds, source_kinds, process, &mut reader);
    let (mut more, written_out) = reader.finished();
    problems.append(&mut more);
    let report = places::report(&layers, problems, privacy::warnings(&layers.files, &written_out));
    Loaded { config: (report.errors() == 0).then_some(config), report }
}

fn check(
    layers: &Layers,
    inventory: Inventory,
    kinds: &[SinkKind],
    source_kinds: &[&str],
    process: &Process,
    reader: &mut Reader,
) -> Config {
    let empty = Map::new();
    let tables = layers.tables.as_object().unwrap_or(&empty);
    let none = Value::Object(Map::new());
    let table = |name: &str| tables.get(name).unwrap_or(&none);
    let at = |name: &str| Path(vec![name.into()]);
    for key in tables.keys().filter(|key| !TABLES.contains(&key.as_str())) {
        reader.note(reader::unknown_key(at(key), key, &TABLES));
    }
    let Inventory { lines: mut inventory, tokens } = inventory;
    let mut sources = sources::read(table("sources"), &at("sources"), source_kinds, reader);
    lines::give(&mut sources, tokens, &at(INVENTORY), reader);
    let gateways = sources.values().filter_map(|source| source.gateway.as_ref());
    gateways.flat_map(|access| access.lines.iter()).for_each(|line| inventory.ask(&line.instance));
    let messages = sinks::messages(table("messages"), &at("messages"), reader);
    let (sinks, sinks_without_credentials) = sinks::read(table("sinks"), &at("sinks"), kinds, &messages, reader);
    let (rules, quiet) = told(layers, table("sinks"), &sinks, &inventory, reader);
    let server = server::read(table("server"), &at("server"), process.now, reader);
    let (public_url, language) = (server.public_url.clone(), messages.language());
    Config {
        server,
        heartbeat: tables.get("heartbeat").and_then(|table| heartbeat::read(table, &at("heartbeat"), reader)),
        troubles: troubles::read(table("troubles"), &at("troubles"), reader),
        store: store::read(table("store"), &at("store"), process.variable("STATE_DIRECTORY"), reader),
        sources,
        messages: messages.keys,
        routing: Arc::new(Routing {
            rules: rules.into(),
            sinks,
            inventory,
            quiet,
            public_url,
            language,
            ..Routing::default()
        }),
        lacks_credentials: reader.lacks_credentials(),
        sinks_without_credentials,
    }
}

/// Reads who is told of what, and when they are not, and checks whether everybody can be. `written` has the sinks with
/// mistakes as well.
fn told(
    layers: &Layers,
    written: &Value,
    sinks: &BTreeMap<String, Target>,
    inventory: &rule::inventory::Inventory,
    reader: &mut Reader<'_>,
) -> (Vec<Rule>, Vec<Quiet>) {
    let labels = Labels::of(inventory);
    reach::check_labels(sinks, inventory, &labels, reader);
    reach::check_fallbacks(sinks, reader);
    let known = Known {
        sinks: layers.names("sinks").collect(),
        sources: layers.names("sources").chain([trouble::SOURCE]).collect(),
        labels,
    };
    let errors = reader.errors();
    let rules = rules::read(layers.appended("rules"), &known, reader);
    let quiet = quiet::read(layers.appended("quiet"), &known, reader);
    // A rule with a mistake may be the one that uses a sink.
    if reader.errors() == errors {
        reach::check_use(sinks, written, &rules, reader);
        reach::check_twice(sinks, &rules, reader);
        reach::check_people(sinks, inventory, &rules, &known.gateways(), reader);
    }
    (rules, quiet)
}

#[cfg(test)]
mod tests;
