//! All fuzzing targets in one program; `LINEDOWN_FUZZ` names the one to run. `make fuzz` runs each.
#![no_main]

use std::sync::OnceLock;

use linedown_sinks::fuzzing::Target;

static TARGET: OnceLock<Target> = OnceLock::new();

fn target() -> Target {
    let name = std::env::var("LINEDOWN_FUZZ").unwrap_or_default();
    let mut targets = linedown::fuzzing::TARGETS.iter().chain(linedown_sinks::fuzzing::TARGETS);
    let found = targets.find(|(known, _)| *known == name);
    found.unwrap_or_else(|| panic!("LINEDOWN_FUZZ is {name:?}, not the name of a target")).1
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    TARGET.get_or_init(target)(data);
});
