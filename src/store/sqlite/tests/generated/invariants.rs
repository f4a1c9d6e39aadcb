//! What must hold for any story.

use std::collections::{BTreeMap, BTreeSet};

use linedown_sinks::Kind;
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use super::story::Plan;
use super::{Past, SINKS, Told, World};
use crate::store::Store as _;
use crate::store::view::{Delivery, DeliveryQuery};

pub(super) type Person = (String, String);

pub(super) fn person(delivery: &Delivery) -> Person {
    (delivery.sink.clone(), delivery.recipient.clone())
}

pub(super) async fn rows(world: &World<'_>) -> Vec<Delivery> {
    let mut rows = world.life().store.deliveries(DeliveryQuery::default()).await.unwrap();
    rows.reverse();
    rows
}

/// Checks that whoever was told of an outage that goes on has exactly one reminder ahead, if a rule says so. (If only
/// rules that no longer apply say so, one more reminder may come.)
pub(super) async fn reminders_are_ahead(world: &World<'_>) -> Result<(), TestCaseError> {
    let rows = rows(world).await;
    for row in rows.iter().filter(|row| row.kind == "down" && row.state != "withdrawn" && row.state != "pending") {
        let past = &world.past[&row.incident];
        let goes_on = past.closed_heard.is_none() && past.acknowledged.is_none();
        let reminds = |plan: &Plan| plan.tells(&row.sink) && !plan.remind.is_empty();
        let Some(reason) = past.reasons.last() else { continue };
        let now = world.story.rules_for(&past.line, *reason).any(|(_, plan)| reminds(plan))
            || !world.story.rules[row.rule.parse::<usize>().unwrap()].remind.is_empty();
        let ever = past.rules.iter().any(|rule| reminds(&world.story.rules[*rule])) || now;
        let mine = || rows.iter().filter(|other| other.incident == row.incident && person(other) == person(row));
        // Once they have heard the worse reason, the rules for that remind them.
        let hears = mine().any(|other| matches!(&*other.kind, "down" | "worse") && other.state == "pending");
        // A reminder that was in hand when somebody took the outage is withdrawn when it would be tried again.
        let ahead = mine().filter(|other| other.kind == "reminder" && (goes_on || other.tries == 0));
        let ahead: Vec<_> = ahead.filter(|other| other.state == "pending").collect();
        let by_itself = ahead.iter().filter(|other| !world.sent_again.contains(&other.id)).count();
        // What is refused as an address is not reminded.
        let refused = mine().any(|other| other.state == "dead" && !other.recipient.is_empty());
        let (least, most) = (usize::from(goes_on && now && !hears && !refused), usize::from(goes_on && ever));
        prop_assert!(least <= ahead.len() && by_itself <= most, "reminders {ahead:#?} of {row:?}: {rows:#?}");
    }
    Ok(())
}

/// Checks that whoever was told of an outage that goes on hears who has taken it.
pub(super) async fn who_knows_hears_who_took_it(world: &World<'_>) -> Result<(), TestCaseError> {
    let rows = rows(world).await;
    for told in world.told.iter().filter(|told| !told.closed && !jumps(world)) {
        let past = &world.past[&told.incident];
        let Some(taken) = past.acknowledged.filter(|_| past.closed_heard.is_none()) else { continue };
        let knows = world.told.iter().any(|other| {
            (other.incident, &other.sink, &other.recipient) == (told.incident, &told.sink, &told.recipient)
                && other.at >= taken
        });
        let waits = rows.iter().any(|row| {
            let later = matches!(row.kind.as_str(), "reminder" | "escalation") && row.tries == 0;
            (row.incident, &row.sink, &row.recipient) == (told.incident, &told.sink, &told.recipient)
                && (row.kind == "acknowledged" || (row.state == "pending" && !later))
        });
        prop_assert!(knows || waits, "they do not hear who took it: {:?} {:?}", told, rows);
    }
    Ok(())
}

/// What must be true when the story has ended.
pub(super) async fn hold(world: &World<'_>) -> Result<(), TestCaseError> {
    let rows = rows(world).await;
    for row in &rows {
        prop_assert!(row.state != "pending", "not settled: {:?}", row);
    }
    let mut names = BTreeMap::new();
    for told in &world.told {
        a_rule_names(world, told)?;
        not_before_its_time(world, told)?;
        let first = names.entry(&told.message).or_insert(told);
        prop_assert_eq!((first.at, first.attempt), (told.at, told.attempt), "two messages of one name: {:?}", told);
    }
    for (id, past) in &world.past {
        prop_assert!(past.closed_at.is_some());
        let rows: Vec<&Delivery> = rows.iter().filter(|row| row.incident == *id).collect();
        let told: Vec<&Told> = world.told.iter().filter(|told| told.incident == *id).collect();
        the_beginning(world, past, &rows, &told)?;
        steps_once(past, &rows)?;
        let people: BTreeSet<Person> = rows.iter().copied().map(person).collect();
        for person in people {
            the_end(world, past, &person, &rows, &told)?;
        }
    }
    Ok(())
}

pub(super) fn a_rule_names(world: &World<'_>, told: &Told) -> Result<(), TestCaseError> {
    let past = &world.past[&told.incident];
    let plan = &world.story.rules[told.rule.parse::<usize>().unwrap()];
    let matches = past.reasons.iter().any(|reason| plan.matches(&past.line, *reason));
    prop_assert!(matches, "a rule that is not about it: {:?}", told);
    let mut sinks: BTreeSet<&str> = plan.notify.iter().map(|sink| SINKS[*sink]).collect();
    sinks.extend(plan.escalate.iter().flat_map(|(_, sinks)| sinks).map(|sink| SINKS[*sink]));
    // Slack and mail are each other's fallback.
    if sinks.contains("slack") || sinks.contains("mail") {
        sinks.extend(["slack", "mail"]);
    }
    prop_assert!(sinks.contains(told.sink.as_str()), "no rule names the sink: {:?}", told);
    Ok(())
}

fn not_before_its_time(world: &World<'_>, told: &Told) -> Result<(), TestCaseError> {
    let past = &world.past[&told.incident];
    let plans = || past.rules.iter().map(|rule| &world.story.rules[*rule]);
    let seconds = |seconds: u64| i64::try_from(seconds).unwrap();
    let earliest = match told.kind {
        Kind::Down => past.down.get(&(told.sink.clone(), told.recipient.clone())).copied(),
        Kind::Reminder => plans().flat_map(|plan| &plan.remind).min().map(|after| past.opened_at + seconds(*after)),
        Kind::Escalation => past.steps.iter().map(|(_, after)| past.opened_at + seconds(*after)).min(),
        _ => Some(i64::MIN),
    };
    let in_time = told.attempt > 1 || jumps(world) || earliest.is_some_and(|earliest| told.at >= earliest);
    prop_assert!(in_time, "too early: {:?}, not before {:?}", told, earliest);
    let later = matches!(told.kind, Kind::Reminder | Kind::Escalation);
    if let (true, Some(taken)) = (later, past.acknowledged) {
        prop_assert!(!told_after_it_was_taken(world, told, taken), "somebody had taken it: {:?}", told);
    }
    Ok(())
}

/// (After the clock was set back, it may look so although it is not.)
fn told_after_it_was_taken(world: &World<'_>, told: &Told, taken: i64) -> bool {
    told.at > taken && !jumps(world) && !told.closed
}

/// Whether times cannot be compared, because the daemon's clock jumps.
pub(super) fn jumps(world: &World<'_>) -> bool {
    world.story.steps.iter().any(|step| matches!(step, super::Step::Jump(_)))
}

/// Everybody who is owed it hears once that the line is down, unless the outage was over before they were to hear. Whom
/// nothing has reached is told anew when it gets worse.
fn the_beginning(world: &World<'_>, past: &Past, rows: &[&Delivery], told: &[&Told]) -> Result<(), TestCaseError> {
    let mut by_person: BTreeMap<Person, Vec<&&Delivery>> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.kind == "down" && !world.told_besides.contains(&row.id)) {
        by_person.entry(person(row)).or_default().push(row);
    }
    for (person, due_at) in &past.down {
        let down = by_person.remove(person).unwrap_or_default();
        // Somebody who heard of it in another way before it concerned them hears how bad it is.
        let heard = rows.iter().any(|row| {
            self::person(row) == *person && row.kind != "down" && row.kind != "reminder" && row.state != "withdrawn"
        });
        if down.is_empty() && past.reasons.len() > 1 && heard {
            continue;
        }
        prop_assert!((1..=past.reasons.len()).contains(&down.len()), "{:?} of {:?}: {:?}", person, past, rows);
        let (former, down) = down.split_at(down.len() - 1);
        let is_sent_again = |row: &&&&Delivery| world.sent_again.contains(&row.id);
        let unreached = former.iter().all(|row| row.state == "dead" || is_sent_again(&row));
        prop_assert!(unreached, "told anew: {:?} of {:?}: {:?}", person, past, rows);
        let is_them = |told: &&&Told| told.sink == person.0 && told.recipient == person.1;
        // If that was given up, a reminder is the first that they hear. (A person may send the former again all the same.)
        let times = told.iter().filter(is_them).filter(|told| told.notification == down[0].id).count();
        let never_told = down[0].state != "delivered" || world.sent_again.contains(&down[0].id);
        let reminded = told.iter().filter(is_them).filter(|told| told.kind == Kind::Down).count() - times;
        let again = former.iter().filter(is_sent_again).count();
        prop_assert!(reminded <= usize::from(never_told) + again, "{:?}: {:?}", person, told);
        prop_assert_eq!(times, usize::from(down[0].state == "delivered"), "{:?}: {:?}", person, told);
        if !former.is_empty() {
            continue;
        }
        if down[0].state == "withdrawn" && down[0].tries > 0 {
            // When a person sent again what was given up, they had heard of it otherwise.
            prop_assert!(told.iter().any(|told| is_them(&told)), "withdrawn: {:?} {:?}", down[0], told);
        } else if down[0].state == "withdrawn" {
            let over_in_time = past.closed_heard < Some(*due_at) || past.closed_at < Some(*due_at);
            let back = past.closed_heard.min(past.closed_at);
            let held_back =
                world.silences.iter().any(|silence| silence.is_about(&past.line) && back < Some(silence.planned));
            prop_assert!(over_in_time || held_back || world.story.quiet, "withdrawn: {:?} {:?}", down[0], past);
        } else if let (Some(closed_at), true) = (past.closed_at, past.closed_heard < Some(*due_at) && !jumps(world)) {
            prop_assert!(closed_at >= *due_at, "over before it was to be told: {:?} {:?}", down[0], past);
        }
    }
    prop_assert!(by_person.is_empty(), "owed to nobody: {:?}", by_person);
    Ok(())
}

/// Each step of an escalation reaches each of its people once.
fn steps_once(past: &Past, rows: &[&Delivery]) -> Result<(), TestCaseError> {
    let mut owed: BTreeMap<Person, usize> = BTreeMap::new();
    for (person, _) in &past.steps {
        *owed.entry(person.clone()).or_default() += 1;
    }
    for row in rows.iter().filter(|row| row.kind == "escalation") {
        let left = owed.get_mut(&person(row)).filter(|left| **left > 0);
        prop_assert!(left.is_some(), "a step too many: {:?}", row);
        *left.unwrap() -= 1;
    }
    prop_assert!(owed.values().all(|left| *left == 0), "steps that are not owed: {:?}", owed);
    Ok(())
}

/// Somebody who knows that the line was down hears once that it is over, if they want to.
fn the_end(
    world: &World<'_>,
    past: &Past,
    who: &Person,
    rows: &[&Delivery],
    told: &[&Told],
) -> Result<(), TestCaseError> {
    let mine: Vec<&&Told> = told.iter().filter(|told| told.sink == who.0 && told.recipient == who.1).collect();
    let knew = mine.iter().any(|told| !told.closed);
    let ends = mine.iter().filter(|told| told.closed).count();
    let messages =
        |of: fn(&&&&Told) -> bool| mine.iter().filter(of).map(|told| &told.message).collect::<BTreeSet<_>>().len();
    let resolved = messages(|told| told.kind == Kind::Resolved);
    let rules = || rows.iter().filter(|row| person(row) == *who);
    let wanted = |row: &&Delivery| world.story.rules[row.rule.parse::<usize>().unwrap()].resolved;
    let told_by = |rule: &&usize| world.story.rules[**rule].tells(&who.0);
    let wants = past.rules.iter().filter(told_by).any(|rule| world.story.rules[*rule].resolved);
    let late = |row: &&&Delivery| row.settled_at.map(jiff::Timestamp::as_second) >= past.closed_heard;
    let given_up = rules().any(|row| row.state == "dead" && (jumps(world) || late(&row)));
    prop_assert!(resolved <= 1, "the end was told twice: {:?}", mine);
    if resolved == 1 {
        prop_assert!(knew, "the end of what they never heard of: {:?}", mine);
        // A recipient who stands in for another sink wants what that one wanted.
        let anybody = past.rules.iter().any(|rule| world.story.rules[*rule].resolved);
        prop_assert!(anybody || rules().any(wanted), "the end was not wanted: {:?}", mine);
        let other = messages(|told| told.closed && told.kind != Kind::Undelivered);
        prop_assert_eq!(other, 1, "the end was told in two ways: {:?}", mine);
    }
    if knew && (wants || rules().all(wanted)) && !given_up {
        prop_assert!(ends >= 1, "the end was not told to {:?}: {:?} {:?}", who, mine, rows);
    }
    Ok(())
}
