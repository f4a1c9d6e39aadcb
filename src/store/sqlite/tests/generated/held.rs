//! What silences and quiet hours must and must not hold back in a story.

use super::work::parts;
use super::*;

impl World<'_> {
    /// Checks that nothing is sent while a silence or quiet hours hold it back: no part of a message that is new, and not
    /// all parts of one that was tried before.
    pub(super) fn check_lease(&self, sink: &str, due: &Due) -> Result<(), TestCaseError> {
        // Only notices of losses by several rules have none, and nothing holds those back.
        let rule = due.notification.rule.as_deref().unwrap_or_default();
        let checked = parts(&due.notification)
            .into_iter()
            .map(|(_, kind, incident)| self.check_part(kind, incident, (sink, rule)))
            .collect::<Vec<_>>();
        if due.notification.attempt > 1 && checked.iter().any(Result::is_ok) {
            return Ok(());
        }
        checked.into_iter().collect()
    }

    pub(super) fn check_part(
        &self,
        kind: Kind,
        incident: &linedown_sinks::Incident,
        (sink, rule): (&str, &str),
    ) -> Result<(), TestCaseError> {
        if matches!(kind, Kind::Acknowledged | Kind::Undelivered) {
            return Ok(());
        }
        let line = &incident.instance.id;
        let silenced = self
            .silences
            .iter()
            .any(|silence| silence.is_about(line) && silence.from <= self.now && self.now < silence.to);
        prop_assert!(!silenced, "{kind:?} about {line} at {} in spite of a silence", self.now);
        let quiet = self.life().routing.quiet.iter().any(|quiet| quiet.ends(from_millis(self.now * 1000)).is_some());
        let critical = self.is_critical(incident.id, kind, sink, rule);
        prop_assert!(!quiet || critical, "{kind:?} at {} in quiet hours", self.now);
        Ok(())
    }

    /// Whether a rule that now applies to an incident, or the one that is named, is critical.
    pub(super) fn is_critical(&self, incident: i64, kind: Kind, sink: &str, named: &str) -> bool {
        let past = &self.past[&incident];
        let Some(reason) = past.reasons.last() else { return false };
        let mut rules = self.story.rules_for(&past.line, *reason).filter(|(_, plan)| plan.has_a_say(kind, sink));
        rules.any(|(_, plan)| plan.critical) || self.story.rules[named.parse::<usize>().unwrap()].critical
    }

    /// Checks that quiet hours hold back nothing that is critical, since whenever it has been.
    pub(super) async fn check_held(&self) -> Result<(), TestCaseError> {
        if !self.story.quiet {
            return Ok(());
        }
        for row in invariants::rows(self).await {
            let in_quiet_hours = row.held_by.as_ref().is_some_and(|by| by.starts_with("quiet hours"));
            let kind = Kind::parse(&row.kind).unwrap();
            let critical = self.is_critical(row.incident, kind, &row.sink, &row.rule);
            prop_assert!(!(in_quiet_hours && critical), "held back although it is critical: {row:?}");
        }
        Ok(())
    }
}
