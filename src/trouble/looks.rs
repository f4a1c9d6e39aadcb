//! Pure: decides from what is seen at each look which troubles to tell. Durations are measured by the monotonic clock,
//! from look to look, so that a step of the wall clock makes no trouble longer.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use linedown_sinks::Reason;
use tokio::time::Instant;

/// A trouble, by its reason and the name of the thing that has it.
pub(super) type Key = (Reason, String);

/// The state of a thing at one look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    /// Something is wrong, for the reason `why`. A different `since` (where it is known) means that it is a new spell.
    Amiss { why: String, since: Option<Timestamp> },
    /// Nothing is wrong.
    Right,
}

/// A thing that was looked at.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) key: Key,
    /// None if its state is unknown.
    pub(super) sign: Option<Sign>,
    /// For how long it must be in this state before anybody is told.
    pub(super) after: Duration,
}

/// A change to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct News {
    pub(super) key: Key,
    pub(super) what: What,
}

/// What to tell about a trouble.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// A trouble has begun: why, and how long ago.
    Begun { why: String, lasted: Duration },
    /// The trouble is over.
    Over,
    /// Nobody looks at it any more, so nobody could say later that it is over.
    Left,
}

/// The state of each thing, and since when.
#[derive(Debug, Default)]
pub(super) struct Looks(BTreeMap<Key, Look>);

/// How a thing looked, and since when.
#[derive(Debug, PartialEq, Eq)]
struct Look {
    amiss: bool,
    spell: Option<Timestamp>,
    since: Instant,
}

impl Looks {
    /// Returns what to tell now. `told` holds the troubles that were told and are not over.
    pub(super) fn judge(&mut self, seen: Vec<Seen>, told: &BTreeSet<Key>, now: Instant) -> Vec<News> {
        let mut before = std::mem::take(&mut self.0);
        let gone = told.iter().filter(|key| seen.iter().all(|seen| seen.key != **key));
        let mut news: Vec<News> = gone.map(|key| News { key: key.clone(), what: What::Left }).collect();
        for Seen { key, sign, after } in seen {
            let Some(sign) = sign else { continue };
            let look = look(&sign, before.remove(&key), now);
            let lasted = now.duration_since(look.since);
            let what = match (sign, told.contains(&key)) {
                (Sign::Amiss { why, .. }, false) => Some(What::Begun { why, lasted }),
                (Sign::Right, true) => Some(What::Over),
                (Sign::Amiss { .. }, true) | (Sign::Right, false) => None,
            };
            news.extend(what.filter(|_| lasted >= after).map(|what| News { key: key.clone(), what }));
            self.0.insert(key, look);
        }
        news
    }
}

/// Continues the last look if the state is the same, or starts anew.
fn look(sign: &Sign, before: Option<Look>, now: Instant) -> Look {
    let (amiss, spell) = match sign {
        Sign::Amiss { since, .. } => (true, *since),
        Sign::Right => (false, None),
    };
    let same = before.filter(|look| look.amiss == amiss && look.spell == spell);
    same.unwrap_or(Look { amiss, spell, since: now })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::from_millis;

    /// What is told of a sink that is looked at once a second, with `after` at three seconds. Each look: `f` failing,
    /// `g` failing anew since the last look, `w` well, `?` unknown, ` ` gone. Result: `B` for the beginning, `O` for
    /// the end, `L` if nobody looks any more.
    fn story(letters: &str) -> String {
        let (mut looks, mut told, start) = (Looks::default(), BTreeSet::new(), Instant::now());
        let mut spell = 0;
        let key = (Reason::SinkFailing, "slack".to_owned());
        let mut second = 0;
        let mut tell = |letter: char| {
            second += 1;
            spell += i64::from(letter == 'g');
            let sign = match letter {
                '?' => None,
                'w' => Some(Sign::Right),
                _ => Some(Sign::Amiss { why: "busy".to_owned(), since: Some(from_millis(spell)) }),
            };
            let seen = Seen { key: key.clone(), sign, after: Duration::from_secs(3) };
            let seen = if letter == ' ' { vec![] } else { vec![seen] };
            let news = looks.judge(seen, &told, start + Duration::from_secs(second));
            assert!(news.len() <= 1);
            match news.into_iter().next().map(|news| news.what) {
                None => '.',
                Some(What::Begun { why, lasted }) => {
                    assert_eq!((why.as_str(), lasted), ("busy", Duration::from_secs(3)));
                    told.insert(key.clone());
                    'B'
                }
                Some(What::Over) => {
                    told.remove(&key);
                    'O'
                }
                Some(What::Left) => {
                    told.remove(&key);
                    'L'
                }
            }
        };
        letters.chars().map(&mut tell).collect()
    }

    #[test]
    fn a_trouble_is_told_once_when_it_lasts_and_so_is_its_end() {
        for (what, looks, expected) in [
            ("well", "wwwwww", "......"),
            ("not for long", "fffww", "....."),
            ("for long", "ffffffff", "...B...."),
            ("over, when it has been well for as long", "ffffwwwww", "...B...O."),
            ("well in between, and it is not over", "ffffwwfffwwww", "...B........O"),
            ("failing anew between two looks", "ffgfff", ".....B"),
            ("failing anew, when it is told", "ffffgggg", "...B...."),
            ("nobody knows yet", "????ffff", ".......B"),
            ("nobody knows any more: it stays told", "ffff????wwww", "...B.......O"),
            ("not there any more", "ffff f", "...BL."),
            ("a second trouble", "ffffwwwwffff", "...B...O...B"),
        ] {
            assert_eq!(story(looks), expected, "{what}");
        }
    }

    #[test]
    fn what_was_told_before_a_restart_is_not_told_again_and_ends() {
        let key = |name: &str| (Reason::SinkFailing, name.to_owned());
        let told = BTreeSet::from([key("slack"), key("gone")]);
        let seen = |sign| vec![Seen { key: key("slack"), sign: Some(sign), after: Duration::ZERO }];
        let failing = Sign::Amiss { why: String::new(), since: None };
        let left = News { key: key("gone"), what: What::Left };
        let over = News { key: key("slack"), what: What::Over };
        let mut looks = Looks::default();
        assert_eq!(looks.judge(seen(failing), &told, Instant::now()), std::slice::from_ref(&left));
        assert_eq!(looks.judge(seen(Sign::Right), &told, Instant::now()), [left, over]);
    }
}
