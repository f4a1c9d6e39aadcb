//! Finds the daemon that runs with a config. It may run well while the files have mistakes, so only the keys about its
//! place are read, and other mistakes do not matter.

use std::path::{Path as FilePath, PathBuf};

use linedown_sinks::{Key, Path};
use serde_json::Value;

use super::file::File;
use super::layers::Layers;
use super::report::{Report, Row};
use super::{Process, server, store};

/// The keys that say where a daemon listens for commands.
pub struct Whereabouts {
    /// `server.api`, if it is usable.
    pub api: Option<PathBuf>,
    /// The path of the store's file.
    pub store: PathBuf,
    /// Why the daemon may be elsewhere: a file that could not be read may say so.
    pub doubt: Option<Row>,
}

/// Reads where the daemon of a config is. Fails if there is no such config.
pub fn whereabouts(main: &FilePath, process: &Process) -> Result<Whereabouts, Report> {
    let state_directory = process.variable("STATE_DIRECTORY");
    let (mut layers, _) = match Layers::read(main, &process.variables) {
        Ok(read) => read,
        Err(row) => {
            let store = store::default_file(state_directory);
            return Ok(Whereabouts { api: None, store, doubt: Some(*row) });
        }
    };
    let table = |name: &str| layers.tables.get(name).unwrap_or(&Value::Null);
    let (api, named) = (server::api(table("server")), store::named(table("store")));
    if main.try_exists().is_ok_and(|there| !there) {
        return Err(Report::new(layers.files.swap_remove(0).mistakes.into_iter().map(|(_, row)| row)));
    }
    // A variable overrides all files.
    let is_open = |keys: [&str; 2]| !layers.variables.contains_key(&Path(keys.map(Key::from).into()));
    let (of_api, of_store) = (is_open(["server", "api"]), api.is_none() && is_open(["store", "url"]));
    let may_set = |file: &File, keys: [&str; 2]| keys.into_iter().all(|key| file.may_set(key));
    let may_say =
        |file: &File| (of_api && may_set(file, ["server", "api"])) || (of_store && may_set(file, ["store", "url"]));
    let mut unread = layers.files.iter_mut().filter(|file| file.has_gaps());
    let doubt = unread.find(|file| may_say(file)).map(|file| file.mistakes.swap_remove(0).1);
    let unusable = [("server", "api", api.is_none()), ("store", "url", api.is_none() && named.is_none())];
    let mut unusable = unusable.into_iter().filter(|(name, key, unknown)| *unknown && table(name).get(key).is_some());
    let wrong = |(name, key, _)| Row::error(main.to_string_lossy(), format!("{name}.{key} cannot be used as it is"));
    let doubt = doubt.or_else(|| unusable.next().map(wrong));
    let store = named.unwrap_or_else(|| store::default_file(state_directory));
    Ok(Whereabouts { api, store, doubt })
}
