//! Pure: decides what to tell about a partner's instances that the inventory lacks.
//!
//! Few instances get a notice each. Many get a single notice, about the gateway: the inventory was never written, or
//! somebody else looks after a part of the fleet.

use std::collections::{BTreeMap, BTreeSet};

/// At most this many get a notice each.
const FEW: usize = 20;
/// How many are named in the notice about many.
const NAMED: usize = 5;

/// The instances that the inventory lacks, with the text of each one's notice.
pub(super) struct Strangers(BTreeMap<String, String>);

impl Strangers {
    pub(super) fn of(amiss: impl Iterator<Item = (String, String)>) -> Self {
        Self(amiss.collect())
    }

    /// Returns the notices to open, with their texts, and those to close. Each is about an instance, or about the
    /// gateway by its name. An instance that has a notice keeps it for as long as the inventory lacks it.
    pub(super) fn changes(&self, gateway: &str, told: &BTreeSet<String>) -> (Vec<(String, String)>, Vec<String>) {
        let now: BTreeMap<&str, String> = if self.0.len() > FEW {
            let still = self.0.iter().filter(|(instance, _)| told.contains(*instance));
            still.map(|(instance, why)| (instance.as_str(), why.clone())).chain([(gateway, self.summary())]).collect()
        } else {
            self.0.iter().map(|(instance, why)| (instance.as_str(), why.clone())).collect()
        };
        let over = told.iter().filter(|told| !now.contains_key(told.as_str())).cloned().collect();
        let begun = now.into_iter().filter(|(name, _)| !told.contains(*name));
        (begun.map(|(name, why)| (name.to_owned(), why)).collect(), over)
    }

    fn summary(&self) -> String {
        let named: Vec<&str> = self.0.keys().take(NAMED).map(String::as_str).collect();
        format!("{} instances, such as {}", self.0.len(), named.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes(lacked: usize, told: &[&str]) -> (Vec<String>, Vec<String>) {
        let strangers = Strangers::of((0..lacked).map(|number| (format!("I{number:02}"), "why".to_owned())));
        let told = told.iter().map(|name| (*name).to_owned()).collect();
        let (begun, over) = strangers.changes("api", &told);
        (begun.into_iter().map(|(name, why)| format!("{name}: {why}")).collect(), over)
    }

    #[test]
    fn few_are_told_singly_and_many_at_once() {
        assert_eq!(changes(0, &[]), (vec![], vec![]));
        assert_eq!(changes(2, &[]), (vec!["I00: why".into(), "I01: why".into()], vec![]));
        assert_eq!(changes(2, &["I00", "I01"]), (vec![], vec![]), "once");
        assert_eq!(changes(1, &["I00", "I01"]), (vec![], vec!["I01".into()]));
        assert_eq!(changes(FEW, &[]).0.len(), FEW);
        let many = vec!["api: 21 instances, such as I00, I01, I02, I03, I04".to_owned()];
        assert_eq!(changes(FEW + 1, &[]), (many.clone(), vec![]));
        assert_eq!(changes(FEW + 1, &["I00", "gone"]), (many, vec!["gone".into()]), "what was told stays so");
        assert_eq!(changes(100_000, &["api"]), (vec![], vec![]));
        assert_eq!(changes(1, &["api"]), (vec!["I00: why".into()], vec!["api".into()]));
    }
}
