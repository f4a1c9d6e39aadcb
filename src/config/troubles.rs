//! `[troubles]`: the thresholds from which linedown tells of its own troubles.

use std::fmt;
use std::time::Duration;

use linedown_sinks::{Path, Problem, Section};
use serde::{Deserialize, Deserializer, de};
use serde_json::Value;

use super::periods::{Lasting, NOTICED};
use super::reader::Reader;
use crate::period::Period;
use crate::trouble::{Free, Troubles};

/// The bounds of how long a sink must fail, or the store not write.
const LASTING: Lasting = Lasting::within(NOTICED, Period(Duration::from_hours(24)));
/// The bounds of how long before its end a certificate is told of.
const EXPIRING: Lasting = Lasting::within(Period(Duration::from_hours(1)), Period(Duration::from_hours(365 * 24)));

/// The highest percentage with which the trouble can ever be over, which takes a fifth more free space.
const MOST_PERCENT: u8 = 83;
/// The smallest sensible number of bytes: the store writes more than that at once.
const LEAST_BYTES: u64 = 1024 * 1024;

/// How an amount of disk space is written.
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

/// An amount of disk space, as it is written.
struct Room(Free);

/// None if troubles are not to be told.
pub(super) fn read(value: &Value, path: &Path, reader: &mut Reader<'_>) -> Option<Troubles> {
    let mut section = Section::new(value, path.clone(), &[], reader.environment);
    let keys: Keys = reader.table(value, path, "[troubles]").and_then(|_| section.read()).unwrap_or_default();
    let mut period = |key: &str, written: Option<Period>, default: Duration, bounds: &Lasting| {
        let period = written.unwrap_or(Period(default));
        section.problems.extend(bounds.problem(path.join(key), period));
        period.0
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
    check_room(troubles.disk_free_below, path.join("disk_free_below"), reader);
    Some(troubles).filter(|_| keys.on != Some(false))
}

/// Zero is accepted: it turns this trouble off on purpose.
fn check_room(room: Free, path: Path, reader: &mut Reader<'_>) {
    let problem = match room {
        Free::Percent(percent @ 101..) => {
            Problem::error(path, format!("{percent}% is more than the whole disk")).expected(ROOM)
        }
        Free::Percent(percent) if percent > MOST_PERCENT => {
            let what = format!("at {percent}% it would always be reported, and never be over");
            Problem::warning(path, what).expected(format!("at most \"{MOST_PERCENT}%\""))
        }
        Free::Bytes(bytes @ 1..LEAST_BYTES) => {
            let problem =
                Problem::warning(path, format!("a disk with no more than {bytes} bytes free is full already"));
            let problem = problem.expected(ROOM);
            if bytes <= 100 { problem.hint(format!("did you mean \"{bytes}%\"?")) } else { problem }
        }
        _ => return,
    };
    reader.note(problem);
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
                // A variable is always a text.
                let bytes = || text.trim().parse().ok();
                let free = percent.map(Free::Percent).or_else(|| bytes().map(Free::Bytes));
                free.map(Room)
                    .ok_or_else(|| E::custom(format!("{text:?} is not an amount of disk space, expected {ROOM}")))
            }

            fn visit_u64<E: de::Error>(self, bytes: u64) -> Result<Room, E> {
                Ok(Room(Free::Bytes(bytes)))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}
