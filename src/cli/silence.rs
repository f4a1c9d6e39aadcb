//! `linedown silence`: adds, lists and ends silences.

use std::collections::BTreeMap;
use std::time::Duration;

use linedown_sinks::Problem;
use serde_json::{Map, Value};

use super::client::Daemon;
use super::table::{Column, table};
use super::{Code, CommandError, Place, output};
use crate::clock;
use crate::period::Period;
use crate::rule::matcher::Matcher;
use crate::server::api::{SilenceAnswer, SilenceQuery};
use crate::store::view::SilenceRow;

/// Silences that ended longer ago are not listed.
const LISTED: Duration = Duration::from_hours(24);

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Send nothing about matching lines for a while
    ///
    /// Messages that are being retried wait too. These are still sent: that somebody acknowledged an outage, that a sink
    /// gave up a notification, and tests.
    Add(AddArguments),
    /// List silences that are in force, are still to come, or ended within the last day
    List(ListArguments),
    /// End a silence now; what it held back is sent if the line is still down
    Expire(ExpireArguments),
}

#[derive(Debug, clap::Args)]
struct AddArguments {
    /// What must match, as in a rule: `labels.customer=acme`, `instance=39EC*`, `'labels.tier=["gold", "silver"]'`,
    /// `'name={ regex = "Loja .*" }'`
    #[arg(required = true, value_name = "FIELD=VALUE")]
    matchers: Vec<String>,
    /// For how long, such as 2h
    #[arg(long = "for", value_name = "PERIOD")]
    lasting: Period,
    /// Why, for whoever lists the silences
    #[arg(long, default_value = "")]
    comment: String,
    /// Who makes it; by default your user name on this machine
    #[arg(long = "as", value_name = "NAME")]
    by: Option<String>,
    /// Print the silence as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct ListArguments {
    /// Print them as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct ExpireArguments {
    /// The silence, by its number
    id: i64,
}

pub(super) async fn run(place: &Place, arguments: &Arguments) -> Result<Code, CommandError> {
    match &arguments.command {
        Command::Add(arguments) => add(place, arguments).await,
        Command::List(arguments) => list(place, arguments).await,
        Command::Expire(arguments) => expire(place, arguments).await,
    }
}

async fn add(place: &Place, arguments: &AddArguments) -> Result<Code, CommandError> {
    let now = clock::now();
    if arguments.lasting.0.is_zero() {
        return Err(
            CommandError::new(Code::Usage, "a silence of no duration holds nothing back").hint("such as --for 2h")
        );
    }
    let mut silence = SilenceRow {
        id: 0,
        matcher: matcher(&arguments.matchers)?,
        starts_at: now,
        ends_at: clock::later(now, arguments.lasting.0),
        comment: arguments.comment.clone(),
        made_by: super::person(arguments.by.as_deref()),
        made_at: now,
    };
    let daemon = Daemon::find_to_change(place).await?;
    if let Some(config) = place.config_if_right("linedown cannot tell whether this silence matches any of its lines") {
        warn(&config.amiss_with(&silence.matcher));
    }
    let answer: SilenceAnswer = daemon.post("silences", &silence).await?;
    silence.id = answer.id;
    if arguments.json {
        output::print_json(&silence)?;
    } else {
        output::print(&format!("silence {} until {}\n", silence.id, output::moment(silence.ends_at)))?;
    }
    Ok(Code::Done)
}

/// Warns that the silence holds nothing back, as far as the config shows.
fn warn(problems: &[Problem]) {
    for Problem { path, what, expected, hint, .. } in problems {
        let line = |name: &str, words: &Option<String>| {
            words.as_ref().map(|words| format!("  {name}: {}\n", output::printable(words))).unwrap_or_default()
        };
        let at = if path.0.is_empty() { String::new() } else { format!("{path}: ") };
        let what = output::printable(&format!("{at}{what}"));
        output::complain(&format!("warning: {what}\n{}{}", line("expected", expected), line("hint", hint)));
    }
}

/// The matchers as a rule's `match` table. A field that is given several times may have any of the values.
fn matcher(pairs: &[String]) -> Result<Value, CommandError> {
    let wrong = |what: String| CommandError::new(Code::Usage, what);
    let (mut fields, mut labels) = (BTreeMap::<&str, Vec<Value>>::new(), BTreeMap::<&str, Vec<Value>>::new());
    for pair in pairs {
        let example = "as in a rule: `labels.customer=acme`, `instance=39EC*`, `reason=other`";
        let Some((field, value)) = pair.split_once('=').filter(|(field, _)| !["labels", "labels."].contains(field))
        else {
            return Err(wrong(format!("{pair:?} is not of the form FIELD=VALUE")).hint(example));
        };
        let field = field.trim();
        match field.strip_prefix("labels.") {
            Some(key) => labels.entry(key).or_default().push(test(value)),
            None => fields.entry(field).or_default().push(test(value)),
        }
    }
    let table = |values: BTreeMap<&str, Vec<Value>>| -> Map<String, Value> {
        let one_or_any = |mut values: Vec<Value>| match (values.pop(), values.len()) {
            (Some(only), 0) => only,
            (last, _) => values.into_iter().chain(last).collect(),
        };
        values.into_iter().map(|(key, values)| (key.to_owned(), one_or_any(values))).collect()
    };
    let mut matcher = table(fields);
    if !labels.is_empty() {
        matcher.insert("labels".to_owned(), table(labels).into());
    }
    let matcher = Value::Object(matcher);
    match Matcher::whole(&matcher) {
        Ok(_) => Ok(matcher),
        Err(problem) => {
            let error = wrong(format!("{}: {}", problem.path, problem.what));
            Err(match problem.hint.or(problem.expected) {
                Some(hint) => error.hint(hint),
                None => error,
            })
        }
    }
}

/// Parses a value as TOML if it looks like a quoted text, a list or a table; otherwise takes it as it is. (Globs such
/// as `{A,B}` and `[AB]*` are not valid TOML.)
fn test(value: &str) -> Value {
    let value = value.trim();
    let written = Some(value).filter(|value| value.starts_with(['"', '\'', '[', '{']));
    let read = written.and_then(|value| toml::from_str::<BTreeMap<String, Value>>(&format!("test = {value}")).ok());
    let only = read.filter(|read| read.len() == 1).and_then(|mut read| read.remove("test"));
    only.unwrap_or_else(|| value.into())
}

async fn list(place: &Place, arguments: &ListArguments) -> Result<Code, CommandError> {
    let now = clock::now();
    let query = SilenceQuery { ended_after: now.checked_sub(LISTED).unwrap_or(now) };
    let silences: Vec<SilenceRow> = Daemon::find(place).await?.get("silences", &query).await?;
    if arguments.json {
        output::print_json(&silences)?;
    } else if silences.is_empty() {
        output::print("no silences\n")?;
    } else {
        let columns = [
            Column::whole("id"),
            Column::whole("state"),
            Column::moment("from"),
            Column::moment("until"),
            Column::text("matches"),
            Column::text("by"),
            Column::text("comment"),
        ];
        let rows = silences.into_iter().map(|silence| {
            let state = if silence.ends_at <= now {
                "over"
            } else if silence.starts_at > now {
                "to come"
            } else {
                "in force"
            };
            let matches = shown(&silence.matcher);
            let (from, until) = (output::moment(silence.starts_at), output::moment(silence.ends_at));
            vec![silence.id.to_string(), state.to_owned(), from, until, matches, silence.made_by, silence.comment]
        });
        output::print(&table(&columns, rows))?;
    }
    Ok(Code::Done)
}

/// A matcher as it is typed, except that lists and tables are in JSON: `labels.tier=["gold","silver"]`.
fn shown(matcher: &Value) -> String {
    let pairs = |table: &Value, prefix: &str| {
        let pairs = table.as_object().into_iter().flatten();
        let pairs = pairs.filter(|(key, _)| !prefix.is_empty() || *key != "labels");
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        pairs.map(|(key, value)| format!("{prefix}{key}={}", text(value))).collect::<Vec<_>>()
    };
    [pairs(matcher, ""), pairs(&matcher["labels"], "labels.")].concat().join(", ")
}

async fn expire(place: &Place, arguments: &ExpireArguments) -> Result<Code, CommandError> {
    let path = format!("silences/{}/expire", arguments.id);
    let answer: SilenceAnswer = Daemon::find_to_change(place).await?.post(&path, &()).await?;
    output::print(&format!("silence {} is over\n", answer.id))?;
    Ok(Code::Done)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_value_is_what_it_would_be_in_a_rule_or_else_a_text() {
        for (pair, matcher) in [
            ("name=Loja Centro", json!({ "name": "Loja Centro" })),
            ("name=\"Loja = Centro\"", json!({ "name": "Loja = Centro" })),
            ("instance='39EC*'", json!({ "instance": "39EC*" })),
            ("instance=[AB]*", json!({ "instance": "[AB]*" })),
            ("instance={A,B}", json!({ "instance": "{A,B}" })),
            ("instance=39", json!({ "instance": "39" })),
            ("labels.tier=[\"gold\", 'silver']", json!({ "labels": { "tier": ["gold", "silver"] } })),
            (" labels.tier = { not = [\"gold\"] } ", json!({ "labels": { "tier": { "not": ["gold"] } } })),
            ("name=\"a\"\nreason = \"other\"", json!({ "name": "\"a\"\nreason = \"other\"" })),
        ] {
            assert_eq!(super::matcher(&[pair.to_owned()]).unwrap(), matcher, "{pair}");
        }
    }

    #[test]
    fn a_matcher_is_listed_as_it_is_typed() {
        let matcher = json!({ "name": "Loja Centro", "labels": { "tier": ["gold", "silver"], "vip": "yes" } });
        assert_eq!(shown(&matcher), "name=Loja Centro, labels.tier=[\"gold\",\"silver\"], labels.vip=yes");
    }

    #[test]
    fn what_no_rule_takes_is_refused() {
        for pair in ["instance=[1, 2]", "instance=[]", "instance={ regx = \"A\" }", "instance=[A", "labels.=x", "name"]
        {
            assert!(matcher(&[pair.to_owned()]).is_err(), "{pair}");
        }
    }
}
