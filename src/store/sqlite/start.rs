//! Starts the store: over a file, which is replaced first if it is damaged, or in memory.

use std::fs::File;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::super::StoreError;
use super::damage::Damage;
use super::job::failure;
use super::opening::{Identity, connect, prepare, replace};
use super::scribe::Observer;
use super::writer::Writer;
use super::{Sqlite, damage, foreign, log, place, soundness};
use crate::clock;

impl Sqlite {
    /// Opens the store, creating it if it is missing. What workers had in hand when the daemon ended can be leased
    /// again. Fails if the file is there and is not linedown's.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Self::observed(path, |_| ())
    }

    /// Like [`Sqlite::open`]; `observer` is told how long each synced commit takes.
    pub fn observed(path: &Path, observer: impl Fn(Duration) + Send + 'static) -> Result<Self, StoreError> {
        let open = |source| StoreError::Open { path: path.display().to_string(), source };
        let path = &place::resolved(path).map_err(open)?;
        if foreign::is_foreign(path) {
            return Err(StoreError::Foreign(path.display().to_string()));
        }
        let lock = place::lock(path)?;
        place::warn_of_others(path);
        damage::end_replacing(path, clock::now()).map_err(open)?;
        // The daemon before this one may have ended because its disk did not sync.
        log::rewrite(&log::beside(path)).map_err(open)?;
        let connected = if damage::is_marked(path) { Err(StoreError::Damaged) } else { connect(path) };
        let connected = match connected {
            Err(StoreError::Damaged) if soundness::is_sound(path) => {
                tracing::warn!("the store is not damaged: its disk could not be read for a while");
                damage::unmark(path).map_err(open)?;
                connect(path)
            }
            connected => connected,
        };
        let (connection, identity) = match connected {
            Err(StoreError::Damaged) => {
                replace(path)?;
                connect(path)?
            }
            connected => connected?,
        };
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let reader = Connection::open_with_flags(path, flags).map_err(failure)?;
        Self::over(connection, reader, Arc::new(identity), Some(lock), path, Box::new(observer))
    }

    /// A store in memory that is gone with this value, for replays and tests.
    pub fn in_memory() -> Result<Self, StoreError> {
        let name = format!("file:linedown-{}?mode=memory&cache=shared", fastrand::u64(..));
        let mut connection = Connection::open(&name).map_err(failure)?;
        let identity = Arc::new(prepare(&mut connection).map_err(failure)??);
        let reader = Connection::open(&name).map_err(failure)?;
        Self::over(connection, reader, identity, None, Path::new(&name), Box::new(|_| ()))
    }

    fn over(
        connection: Connection,
        reader: Connection,
        identity: Arc<Identity>,
        lock: Option<File>,
        path: &Path,
        observer: Observer,
    ) -> Result<Self, StoreError> {
        reader.busy_timeout(Duration::from_secs(5)).map_err(failure)?;
        let path_on_disk = lock.is_some().then_some(path);
        let damage = Damage::of(path_on_disk);
        let writer = Writer::start(connection, path_on_disk.map(log::beside), damage.clone(), observer)
            .map_err(|source| StoreError::Open { path: path.display().to_string(), source })?;
        let (reader, path) = (Arc::new(Mutex::new(reader)), path.to_owned());
        Ok(Self { writer, reader, identity, silences: Arc::default(), damage, path, _lock: lock })
    }
}
