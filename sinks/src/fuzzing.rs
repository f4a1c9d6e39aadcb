//! The targets of `make fuzz` in this crate: everything that reads untrusted input. Each panics if a promise is broken.

use std::path::Path;

/// Feeds one input.
pub type Target = fn(&[u8]);

/// The targets, by the names of their folders in `fuzz/corpus`.
pub const TARGETS: &[(&str, Target)] = &[
    ("inline", crate::texts::fuzz::inline),
    ("retry-after", crate::slack::fuzz::retry_after),
    ("slack", crate::slack::fuzz::answer),
    ("smtp", crate::email::fuzz::reply),
    ("template", crate::texts::fuzz::template),
];

/// Feeds each target every input kept in its folder below `corpus`. Returns how many inputs there were.
pub fn replay(corpus: &Path, targets: &[(&str, Target)]) -> usize {
    let mut count = 0;
    for (name, target) in targets {
        let folder = corpus.join(name);
        for entry in std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            let path = entry.expect("a folder can be listed").path();
            // The message of a panic does not name the input.
            println!("{}", path.display());
            target(&std::fs::read(&path).expect("a file can be read"));
            count += 1;
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fuzzing_found_before_holds() {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
        assert!(replay(&corpus, TARGETS) >= TARGETS.len());
    }
}
