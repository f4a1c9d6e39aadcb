//! Where a config's daemon is found. It may run well while there are mistakes in the files, so they are read for
//! this alone, and whatever else is wrong in them does not matter.

use std::path::{Path as FilePath, PathBuf};

use serde_json::Value;

use super::layers::Layers;
use super::report::{Report, Row};
use super::{Process, server, store};

/// What says where a daemon listens for commands.
pub struct Whereabouts {
    /// `server.api`, if it can be used.
    pub api: Option<PathBuf>,
    /// The store's file.
    pub store: PathBuf,
    /// Why it may be elsewhere: something that cannot be read may say so.
    pub doubt: Option<Row>,
}

/// Reads where a config's daemon is found. The error is that there is no such config.
pub fn whereabouts(main: &FilePath, process: &Process) -> Result<Whereabouts, Report> {
    let state_directory = process.variable("STATE_DIRECTORY");
    let (mut layers, _) = match Layers::read(main, &process.variables) {
        Ok(read) => read,
        Err(row) => {
            let store = store::file(&Value::Null, state_directory);
            return Ok(Whereabouts { api: None, store, doubt: Some(*row) });
        }
    };
    let table = |name: &str| layers.tables.get(name).unwrap_or(&Value::Null);
    let (api, store) = (server::api(table("server")), store::file(table("store"), state_directory));
    let mut unread = layers.files.iter_mut().enumerate().filter_map(|(number, file)| {
        let may_say = file.may_set("api") || (api.is_none() && file.may_set("url"));
        may_say.then(|| (number, file.mistakes.swap_remove(0).1))
    });
    match unread.next() {
        Some((0, row)) if main.try_exists().is_ok_and(|there| !there) => Err(Report::new([row])),
        doubt => Ok(Whereabouts { api, store, doubt: doubt.map(|(_, row)| row) }),
    }
}
