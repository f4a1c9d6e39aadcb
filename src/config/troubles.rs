//! `[troubles]`: from when on linedown's own troubles are told, by its own sinks.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use linedown_sinks::{Path, Problem, Section};
use serde::{Deserialize, Deserializer, de};
use serde_json::Value;

use super::reader::Reader;
use crate::period::Period;
use crate::trouble::{Free, Troubles};

/// How long a sink must fail, or a store not write, at the least and at the outside.
const LASTING: RangeInclusive<Period> = Period(Duration::from_secs(1))..=Period(Duration::from_hours(24));
/// How long before its end a certificate is told of, at the least and at the outside.
const EXPIRING: RangeInclusive<Period> = Period(Duration::from_hours(1))..=Period(Duration::from_hours(365 * 24));

const ROOM: &str = "a part of the disk such as \"5%\", or a number of bytes";

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Keys {
    on: Option<bool>,
    sink_failing_after: Option<Period>,
    store_not_writing_after: Option<Period>,
    disk_free_below: Option<Room>,
    certificate_expires_within: Option<Period>,
}

/// Room on a disk, as it is written.
struct Room(Free);

/// None where nothing is to be told.
pub(super) fn read(value: &Value, path: &Path, reader: &mut Reader<'_>) -> Option<Troubles> {
    let mut section = Section::new(value, path.clone(), &[], reader.environment);
    let keys: Keys = reader.table(value, path, "[troubles]").and_then(|_| section.read()).unwrap_or_default();
    let mut period = |key: &str, written: Option<Period>, default: Duration, bounds: &RangeInclusive<Period>| {
        section.within(&[key], written.unwrap_or(Period(default)), bounds).0
    };
    let default = Troubles::default();
    let Troubles { sink_failing_after: sink, store_not_writing_after: store, .. } = default;
    let certificate = default.certificate_expires_within;
    let troubles = Troubles {
        sink_failing_after: period("sink_failing_after", keys.sink_failing_after, sink, &LASTING),
        store_not_writing_after: period("store_not_writing_after", keys.store_not_writing_after, store, &LASTING),
        certificate_expires_within: period(
            "certificate_expires_within",
            keys.certificate_expires_within,
            certificate,
            &EXPIRING,
        ),
        disk_free_below: keys.disk_free_below.map_or(default.disk_free_below, |room| room.0),
    };
    reader.finish(section);
    if let Free::Percent(percent @ 101..) = troubles.disk_free_below {
        let problem = Problem::error(path.join("disk_free_below"), format!("{percent}% is more than the whole disk"));
        reader.note(problem.expected(ROOM));
    }
    Some(troubles).filter(|_| keys.on != Some(false))
}

impl<'de> Deserialize<'de> for Room {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Room;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(ROOM)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Room, E> {
                let percent = text.strip_suffix('%').and_then(|number| number.trim().parse().ok());
                let percent =
                    percent.ok_or_else(|| E::custom(format!("{text:?} is no room on a disk, expected {ROOM}")));
                percent.map(|percent| Room(Free::Percent(percent)))
            }

            fn visit_u64<E: de::Error>(self, bytes: u64) -> Result<Room, E> {
                Ok(Room(Free::Bytes(bytes)))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}
