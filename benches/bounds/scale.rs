//! What a webhook costs, up to its delivery, with few and with many lines in the inventory, rules, sinks, and events in
//! the store. The cost is processor time, since that does not depend on how busy the disk is.

use std::fmt::Write as _;
use std::path::Path;

use crate::daemon::{Daemon, configure};
use crate::history;
use crate::load::{self, Target, Webhooks, fleet};
use crate::{megabytes, row};

/// The number of a large reseller's lines.
pub(crate) const LINES: usize = 100_000;
/// The number of webhooks that are measured, each about another line.
const WEBHOOKS: usize = 20_000;
/// Clients that post them.
const CONNECTIONS: usize = 64;
/// The most that a webhook may cost in a large setting, as a multiple of its cost in the small one.
const FLAT: f64 = 1.2;

/// The size of a setting.
#[derive(Clone, Copy)]
struct Size {
    events: usize,
    lines: usize,
    rules: usize,
    sinks: usize,
}

const SMALL: Size = Size { events: 1_000, lines: 0, rules: 1, sinks: 1 };
const FLEET: Size = Size { lines: LINES, ..SMALL };
const RULES: Size = Size { rules: 1_000, ..FLEET };
const SINKS: Size = Size { sinks: 100, ..RULES };

pub(crate) fn measure() {
    let small = cost(SMALL);
    let compare = |what: &str, size: Size| row(&format!("cost of a webhook with {what}"), cost(size) / small, FLAT);
    compare("100,000 lines in the inventory", FLEET);
    compare("1,000 rules as well", RULES);
    compare("100 sinks as well", SINKS);
    compare("1,000,000 events stored as well", Size { events: 1_000_000, ..SINKS });
}

/// Takes minutes, and some 10 GB in the folder for temporary files.
pub(crate) fn measure_large() {
    let small = cost(SMALL);
    let large = cost(Size { events: 10_000_000, ..SINKS });
    row("cost of a webhook with all that and 10,000,000 events", large / small, FLAT);
}

/// The processor time of one webhook, from its request to its delivery, in microseconds.
fn cost(size: Size) -> f64 {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let config = configure(folder.path(), &sections(size));
    let store = folder.path().join("linedown.db");
    make_history(&config, &store, size.events);
    let daemon = Daemon::start(&config);
    let memory = daemon.resident();
    let before = daemon.busy();
    let first = LINES - WEBHOOKS;
    let intake =
        load::flood(Target { address: daemon.address(), webhooks: Webhooks::Down(first) }, CONNECTIONS, WEBHOOKS);
    daemon.wait_for_delivered(WEBHOOKS);
    let each = daemon.busy().saturating_sub(before).as_secs_f64() * 1e6 / WEBHOOKS as f64;
    let Size { events, lines, rules, sinks } = size;
    let stored = std::fs::metadata(&store).map(|file| file.len()).unwrap_or_default();
    println!(
        "{events} events ({:.0} MB), {lines} lines, {rules} rules, {sinks} sinks: {each:.0} µs each, {:.0} accepted/s, {}; \
         memory {:.1} MB before, {:.1} MB after",
        megabytes(stored),
        intake.rate,
        intake.took,
        megabytes(memory),
        megabytes(daemon.resident())
    );
    each
}

/// Fills the store with past outages: a few that the daemon takes itself, and copies of them.
fn make_history(config: &Path, store: &Path, events: usize) {
    let outages = history::LIVED / 2;
    let daemon = Daemon::start(config);
    load::flood(Target { address: daemon.address(), webhooks: Webhooks::Down(0) }, 1, outages);
    // Wait, or an outage that is over before it is told would make one message instead of two.
    daemon.wait_for_delivered(outages);
    load::flood(Target { address: daemon.address(), webhooks: Webhooks::Back(0) }, 1, outages);
    daemon.wait_for_delivered(history::LIVED);
    drop(daemon);
    history::repeat(store, events);
}

/// An inventory of this many lines with three labels each.
pub(crate) fn inventory(lines: usize) -> String {
    let mut text = String::new();
    for line in 0..lines {
        let (id, customer, city) = (fleet(line), line % 1_000, line % 100);
        let _ = write!(
            text,
            "[instances.{id}]\nname = \"Loja {line}\"\n\
             labels = {{ customer = \"customer {customer}\", tier = \"gold\", city = \"city {city}\" }}\n"
        );
    }
    text
}

fn sections(size: Size) -> String {
    let mut text = inventory(size.lines);
    for sink in 0..size.sinks {
        let _ = write!(text, "[sinks.sink{sink}]\ntype = \"stdout\"\nformat = \"json\"\n");
    }
    for rule in 0..size.rules {
        let which = if size.rules > 1 {
            format!("match = {{ labels.customer = \"customer {rule}\" }}\n")
        } else {
            String::new()
        };
        let sink = rule % size.sinks;
        let _ = write!(
            text,
            "[[rules]]\nname = \"rule {rule}\"\n{which}notify = [\"sink{sink}\"]\ngroup_interval = \"0s\"\n"
        );
    }
    text
}
