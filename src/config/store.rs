//! `[store]`: where the state is stored, and for how long.

use std::path::PathBuf;
use std::time::Duration;

use linedown_sinks::{Path, Problem};
use serde::Deserialize;
use serde_json::Value;

use super::periods::Lasting;
use super::reader::Reader;
use crate::period::Period;

/// The folder that systemd's `StateDirectory=linedown` names.
const DEFAULT_FOLDER: &str = "/var/lib/linedown";

/// How long closed incidents are kept: a year, plus a month in which to review it.
const DEFAULT_KEEP: Period = Period(Duration::from_hours(400 * 24));

/// Less than an hour would forget incidents while people look at them.
const KEEP: Lasting = Lasting::within(Period(Duration::from_hours(1)), Period::LONGEST);

const EXPECTED: &str = "sqlite:///absolute/path.db";

/// Where the state is stored, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    /// The database file.
    pub path: PathBuf,
    /// How long closed incidents and other finished things are kept.
    pub keep: Duration,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Keys {
    url: Option<String>,
    keep: Option<Period>,
}

pub(super) fn read(value: &Value, path: &Path, state_directory: Option<&str>, reader: &mut Reader<'_>) -> Store {
    let keys: Keys = reader.read(value, path, "[store]");
    let keep = keys.keep.unwrap_or(DEFAULT_KEEP);
    KEEP.check(path.join("keep"), keep, reader);
    let default = default_file(state_directory);
    let path = match keys.url.as_deref().map(database) {
        None => default,
        Some(Ok(database)) => {
            if database.is_relative() {
                let what = "where this is depends on the folder that linedown is started in";
                reader.note(Problem::warning(path.join("url"), what).expected(EXPECTED));
            }
            database
        }
        Some(Err((what, hint))) => {
            let mut problem = Problem::error(path.join("url"), what).expected(EXPECTED);
            problem.hint = hint.map(str::to_owned);
            reader.note(problem);
            default
        }
    };
    Store { path, keep: keep.0 }
}

pub(super) fn default_file(state_directory: Option<&str>) -> PathBuf {
    // systemd separates several folders by colons.
    let folder = state_directory.and_then(|folders| folders.split(':').next()).unwrap_or(DEFAULT_FOLDER);
    PathBuf::from(folder).join("linedown.db")
}

/// The database file that a table names. The table may have other mistakes.
pub(super) fn named(value: &Value) -> Option<PathBuf> {
    database(value.get("url")?.as_str()?).ok()
}

/// Errors do not repeat the address, since that of another kind of store may contain a password.
fn database(url: &str) -> Result<PathBuf, (&'static str, Option<&'static str>)> {
    let Some((scheme, rest)) = url.split_once(':') else {
        return Err(("not the address of a store", Some("begin it with `sqlite://`")));
    };
    match scheme {
        "sqlite" => {}
        "postgres" | "postgresql" => {
            return Err(("PostgreSQL is not available in this version", Some("the embedded store needs no set-up")));
        }
        _ => return Err(("an unknown sort of store", None)),
    }
    let file = rest.strip_prefix("//").unwrap_or(rest);
    match file {
        "" | "/" => Err(("the address names no file", None)),
        ":memory:" => Err(("a store in memory forgets everything at a restart", None)),
        _ if file.ends_with('/') => Err(("the address names a folder, not a file", Some("add `linedown.db`"))),
        _ if file.contains(['?', '#', '\0']) => {
            Err(("an address of a store has no options", Some("leave out what begins with `?` or `#`")))
        }
        _ => Ok(PathBuf::from(file)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (url, path) in [
            ("sqlite:///var/lib/x.db", "/var/lib/x.db"),
            ("sqlite://x.db", "x.db"),
            ("sqlite:x.db", "x.db"),
            ("sqlite:/x.db", "/x.db"),
        ] {
            assert_eq!(database(url), Ok(PathBuf::from(path)), "{url}");
        }
        for url in
            ["", "x.db", "sqlite:", "sqlite://", "sqlite:///", "sqlite::memory:", "sqlite:///x?mode=rwc", "mysql://h/x"]
        {
            assert!(database(url).is_err(), "{url}");
        }
        assert_eq!(database("postgres://u:p@h/d").unwrap_err().0, "PostgreSQL is not available in this version");
    }
}
