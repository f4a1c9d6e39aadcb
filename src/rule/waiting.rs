//! Pure: what becomes of a pending notification when its line gets worse or the config changes.

use jiff::Timestamp;
use linedown_sinks::{Incident, Kind};

use super::timing::Silence;
use super::wait::Wait;
use super::{Owed, Routing};
use crate::clock::later;

impl Routing {
    /// A notification that a silence or quiet hours held back is held back for as long as they do so now, or due now if
    /// they no longer do.
    #[must_use]
    pub fn held_again(&self, waiting: Owed, incident: &Incident, silences: &[Silence], now: Timestamp) -> Owed {
        if !waiting.held_by.as_ref().is_some_and(Wait::holds_back) {
            return waiting;
        }
        match self.held(waiting.kind, (&waiting.sink, Some(&waiting.rule)), incident, silences, now) {
            Some(held) => Owed { due_at: held.until, held_by: Some(held.by), ..waiting },
            None => Owed { due_at: now, held_by: None, ..waiting },
        }
    }

    /// A notification whose line got worse goes by the most urgent of the rules that now apply to it: as soon as they
    /// want it, and never later than before. (A spell of flapping belongs to one rule, so its messages keep that; and
    /// notices of losses are gathered whatever the rules say.)
    #[must_use]
    pub fn sooner(&self, waiting: Owed, incident: &Incident, silences: &[Silence], now: Timestamp) -> Owed {
        let (was_due_at, was_in) = (waiting.due_at, waiting.group.clone());
        let terms = match waiting.kind {
            Kind::Flapping | Kind::Steady | Kind::Undelivered => None,
            kind => self.terms(kind, &waiting.sink, incident, Some(&waiting.rule)),
        };
        let Some(terms) = terms else { return self.held_again(waiting, incident, silences, now) };
        let waiting = terms.put_on(waiting, incident);
        let due_no_later = |wanted: Timestamp| wanted.max(now).min(was_due_at);
        match (&waiting.held_by, waiting.kind) {
            // It waits with a group that is not its own any more.
            (None, _) if waiting.group != was_in => Owed { due_at: due_no_later(now), ..waiting },
            (None, _) => waiting,
            (Some(_), Kind::Reminder) if let Some(next) = terms.next_reminder(incident.opened_at, now) => {
                let again = self.held_again(waiting, incident, silences, now);
                if again.held_by.as_ref().is_some_and(Wait::holds_back) {
                    return again;
                }
                Owed { due_at: due_no_later(next), held_by: Some(Wait::Reminder), ..again }
            }
            (Some(by), Kind::Down) if !by.holds_back() => {
                let due_at = due_no_later(later(incident.opened_at, terms.hold()));
                Owed { due_at, held_by: terms.waits_for(), ..waiting }
            }
            (Some(_), _) => self.held_again(waiting, incident, silences, now),
        }
    }

    /// Splits news to all who know of an incident into what to send and what need not be sent: a sink that stands in
    /// for one that has left the config, and hears the news itself, need not hear it twice.
    #[must_use]
    pub fn without_echoes(&self, news: &[Owed]) -> (Vec<Owed>, Vec<Owed>) {
        let hears = |sink: &str| news.iter().any(|owed| owed.sink == sink);
        let is_echo = |owed: &Owed| {
            !self.sinks.contains_key(&owed.sink) && self.next_sink(&owed.sink, &[]).is_some_and(|sink| hears(&sink))
        };
        let (echoes, news) = news.iter().cloned().partition(is_echo);
        (news, echoes)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use linedown_sinks::Reason;

    use super::super::Rule;
    use super::super::tests::{incident, routing, rule};
    use super::super::timing::Quiet;
    use super::*;
    use crate::clock::from_millis;
    use crate::rule::matcher::Matcher;

    fn at(second: i64) -> Timestamp {
        from_millis(second * 1000)
    }

    /// A notification by the rule `all`, due at a second and held by something.
    fn waiting(kind: Kind, due_at: i64, held_by: &str) -> Owed {
        let routing = routing(vec![rule("all", "{}", &["slack"], false)]);
        let owed = routing.owed(&incident(Reason::Other)).remove(0);
        Owed {
            kind,
            due_at: at(due_at),
            held_by: Some(held_by).filter(|by| !by.is_empty()).map(|by| Wait::read(by.to_owned())),
            ..owed
        }
    }

    fn words(owed: &Owed) -> String {
        owed.held_by.as_ref().map(Wait::to_string).unwrap_or_default()
    }

    /// A line that went down at second 0 is banned at second 10; `banned` holds for 20 s and reminds every 25 s.
    #[test]
    fn what_waits_comes_no_later_than_the_rules_for_what_is_worse_want_it() {
        let seconds = Duration::from_secs;
        let banned = rule("banned", r#"{"reason":"number-blocked"}"#, &["slack"], true);
        let banned = Rule { hold: Some(seconds(20)), remind: vec![seconds(25)], ..banned };
        let all = Rule { hold: Some(seconds(60)), remind: vec![seconds(100)], ..rule("all", "{}", &["slack"], false) };
        let routing = routing(vec![banned, all]);
        let silence = |matcher: &str| {
            let matcher = Matcher::whole(&serde_json::from_str(matcher).unwrap()).unwrap().into();
            vec![Silence { id: 1, matcher, starts_at: at(0), ends_at: at(500) }]
        };
        let (other, ban) = (r#"{"reason":"other"}"#, r#"{"reason":"number-blocked"}"#);
        for (what, kind, due_at, held_by, silenced, expected) in [
            ("a shorter hold", Kind::Down, 60, "hold of 1m", other, (20, "hold of 20s")),
            ("a hold that is nearly over", Kind::Down, 15, "hold of 15s", other, (15, "hold of 20s")),
            ("gathered with others of a former group", Kind::Down, 40, "", other, (10, "")),
            ("due", Kind::Down, 5, "", other, (5, "")),
            ("a silence of a milder reason", Kind::Down, 500, "silence 1", other, (10, "")),
            ("a silence of this one, too", Kind::Down, 500, "silence 1", ban, (500, "silence 1")),
            ("a step", Kind::Escalation, 90, "escalation of 1m30s", other, (90, "escalation of 1m30s")),
            ("a step that was silenced", Kind::Escalation, 500, "silence 1", other, (10, "")),
            ("a reminder", Kind::Reminder, 100, "reminder", other, (25, "reminder")),
            ("a reminder that was silenced", Kind::Reminder, 500, "silence 1", other, (25, "reminder")),
            ("a reminder that is silenced for this, too", Kind::Reminder, 500, "silence 1", ban, (500, "silence 1")),
            ("the tally of a line that flaps", Kind::Steady, 90, "flapping", other, (90, "flapping")),
        ] {
            let becomes = routing.sooner(
                waiting(kind, due_at, held_by),
                &incident(Reason::NumberBlocked),
                &silence(silenced),
                at(10),
            );
            let (due_at, held_by) = expected;
            assert_eq!((becomes.due_at, words(&becomes).as_str()), (at(due_at), held_by), "{what}");
            let by = if kind == Kind::Down || kind == Kind::Reminder { "banned" } else { "all" };
            assert_eq!(becomes.rule, by, "{what}");
        }
    }

    #[test]
    fn what_is_held_back_is_held_back_as_the_config_has_it_now() {
        let night = |from: &str, to: &str| Quiet {
            name: "night".to_owned(),
            matcher: Matcher::default(),
            // 1970 began on a Thursday.
            days: vec![jiff::civil::Weekday::Thursday],
            from: from.parse().unwrap(),
            to: to.parse().unwrap(),
            time_zone: jiff::tz::TimeZone::UTC,
        };
        let in_quiet_hours = r#"quiet hours "night""#;
        for (what, quiet, critical, held_by, expected) in [
            ("as before", vec![night("00:00", "07:00")], false, in_quiet_hours, (7 * 3600, in_quiet_hours)),
            ("shorter", vec![night("00:00", "06:00")], false, in_quiet_hours, (6 * 3600, in_quiet_hours)),
            ("over by now", vec![night("00:00", "01:00")], false, in_quiet_hours, (3600, "")),
            ("gone", vec![], false, in_quiet_hours, (3600, "")),
            ("for what is not critical", vec![night("00:00", "07:00")], true, in_quiet_hours, (3600, "")),
            ("a hold is none of them", vec![], false, "hold of 7h", (7 * 3600, "hold of 7h")),
        ] {
            let rule = Rule { critical, ..rule("all", "{}", &["slack"], false) };
            let routing = Routing { quiet, ..routing(vec![rule]) };
            let held = waiting(Kind::Down, 7 * 3600, held_by);
            let becomes = routing.held_again(held, &incident(Reason::Other), &[], at(3600));
            let (due_at, held_by) = expected;
            assert_eq!((becomes.due_at, words(&becomes).as_str()), (at(due_at), held_by), "{what}");
        }
    }

    #[test]
    fn who_stands_in_for_a_sink_that_is_gone_hears_once() {
        let routing = routing(Vec::new());
        let news = |sinks: &[&str]| -> Vec<Owed> {
            let to = |sink: &&str| Owed { sink: (*sink).to_owned(), ..waiting(Kind::Resolved, 0, "") };
            sinks.iter().map(to).collect()
        };
        for (sinks, left) in [
            (&["slack", "mail"][..], &["slack", "mail"][..]),
            (&["gone", "log"], &["log"]),
            (&["gone", "mail"], &["gone", "mail"]),
            (&["gone"], &["gone"]),
        ] {
            let told: Vec<String> = routing.without_echoes(&news(sinks)).0.into_iter().map(|owed| owed.sink).collect();
            assert_eq!(told, left, "`log` comes first by name");
        }
    }
}
