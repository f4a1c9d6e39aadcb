//! Pure: decides what the gateway's answers about lines mean.
//!
//! Only "connected" means up. Two other answers in a row are an outage, unless one is known already. No answer says
//! nothing about a line: its state is unknown. If it stays unknown for long, people are told of that as a trouble of
//! its own: of the line, or of the gateway if at least half of the lines have it.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

use super::{Failure, LineAccess, Standing, Watched};

/// After this many answers in a row that a line is down, it is down.
const DOWNS: u8 = 2;
/// A state is not unknown for long before this many intervals have passed.
const INTERVALS: u32 = 3;

/// What is known about one line.
#[derive(Clone, Copy, Debug)]
struct Heard {
    /// Answers in a row that it is down, at most [`DOWNS`].
    downs: u8,
    /// When the gateway last answered about it; at first, when watching began.
    answered_at: Instant,
}

/// What is known about one source's lines, in their order.
pub(super) struct Watch {
    heard: Vec<Heard>,
    /// How long a state must be unknown to count as long.
    long: Duration,
}

/// What an answer means, unless the store knows it already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Suspicion {
    /// The line is down, with the gateway's explanation.
    Down(Option<String>),
    /// The line is up.
    Up,
}

impl Watch {
    /// Begins with nothing known.
    pub(super) fn new(lines: usize, watched: Watched, now: Instant) -> Self {
        let heard = Heard { downs: 0, answered_at: now };
        Self { heard: vec![heard; lines], long: watched.unknown_after.max(watched.every * INTERVALS) }
    }

    /// Continues with other lines, and keeps what is known about those that stay. Both lists are sorted by instance.
    pub(super) fn go_on(self, before: &[LineAccess], lines: &[LineAccess], watched: Watched, now: Instant) -> Self {
        let mut next = Self::new(lines.len(), watched, now);
        for (line, heard) in lines.iter().zip(&mut next.heard) {
            if let Ok(place) = before.binary_search_by(|known| known.instance.cmp(&line.instance)) {
                *heard = self.heard[place];
            }
        }
        next
    }

    /// Notes an answer and returns what it may mean.
    pub(super) fn note(&mut self, line: usize, answer: &Result<Standing, Failure>, now: Instant) -> Option<Suspicion> {
        let heard = self.heard.get_mut(line)?;
        let standing = answer.as_ref().ok()?;
        if now.duration_since(heard.answered_at) > self.long {
            // Answers before such a long silence do not count as in a row with this one.
            heard.downs = 0;
        }
        heard.answered_at = now;
        match standing {
            Standing::Up => {
                heard.downs = 0;
                Some(Suspicion::Up)
            }
            Standing::Down { error } => {
                heard.downs = (heard.downs + 1).min(DOWNS);
                (heard.downs == DOWNS).then(|| Suspicion::Down(error.clone()))
            }
        }
    }

    /// The store has an outage of this line now. The next outage needs two answers in a row of its own.
    pub(super) fn known(&mut self, line: usize) {
        if let Some(heard) = self.heard.get_mut(line) {
            heard.downs = 0;
        }
    }

    /// Which states have been unknown for long: the gateway as a whole, or else single lines.
    pub(super) fn unknown(&self, now: Instant) -> Unknown {
        let is_long = |heard: &Heard| now.duration_since(heard.answered_at) > self.long;
        let long = self.heard.iter().enumerate().filter(|(_, heard)| is_long(heard)).map(|(line, _)| line);
        let long: Vec<usize> = long.collect();
        if !long.is_empty() && long.len() * 2 >= self.heard.len() { Unknown::Gateway } else { Unknown::Lines(long) }
    }
}

/// Whose state has been unknown for long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unknown {
    /// That of at least half of the lines.
    Gateway,
    /// Only those of these lines, perhaps of none.
    Lines(Vec<usize>),
}

/// The names that must have a notice now, given which have one.
pub(super) fn unknown(
    unknown: &Unknown,
    lines: &[LineAccess],
    gateway: &str,
    told: &BTreeSet<String>,
) -> BTreeSet<String> {
    let name = |line: &usize| lines.get(*line).map(|line| line.instance.to_string());
    match unknown {
        // If a line had a notice before the whole gateway fell silent, it keeps that for as long as it is watched.
        Unknown::Gateway => {
            let watched = |told: &&String| lines.binary_search_by(|line| (*line.instance).cmp(told)).is_ok();
            told.iter().filter(watched).cloned().chain([gateway.to_owned()]).collect()
        }
        Unknown::Lines(long) => long.iter().filter_map(name).collect(),
    }
}

/// The notices to open, and those to close.
pub(super) fn changes(now: &BTreeSet<String>, told: &BTreeSet<String>) -> (Vec<String>, Vec<String>) {
    (now.difference(told).cloned().collect(), told.difference(now).cloned().collect())
}

#[cfg(test)]
mod tests {
    use super::super::FailureKind;
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);
    /// The default.
    const LONG: Duration = Duration::from_mins(10);

    fn watched(every: Duration) -> Watched {
        Watched { every, ..Watched::default() }
    }

    fn lines(names: &[&str]) -> Vec<LineAccess> {
        names.iter().map(|name| LineAccess { instance: (*name).into(), token: "t".into() }).collect()
    }

    fn answer(letter: char) -> Result<Standing, Failure> {
        match letter {
            'u' => Ok(Standing::Up),
            'd' => Ok(Standing::Down { error: Some("words".into()) }),
            _ => Err(Failure::new(FailureKind::TimedOut)),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn two_downs_in_a_row_are_an_outage() {
        for (what, answers, expected) in [
            ("up", "uuu", "UUU"),
            ("one down is nothing", "udu", "U.U"),
            ("two downs", "dd", ".D"),
            ("each down after that, until it is known", "ddd", ".DD"),
            ("an up between", "dudd", ".U.D"),
            ("unknown is neither", "d?d", "..D"),
            ("unknown is never an outage", "??????????", ".........."),
            ("unknown does not end one", "dd??u", ".D..U"),
            ("what was said before a long silence does not count", "d???????????dd", ".............D"),
        ] {
            let start = Instant::now();
            let mut watch = Watch::new(1, watched(MINUTE), start);
            let said: String = (1..)
                .zip(answers.chars())
                .map(|(minute, letter)| match watch.note(0, &answer(letter), start + MINUTE * minute) {
                    None => '.',
                    Some(Suspicion::Up) => 'U',
                    Some(Suspicion::Down(words)) => {
                        assert_eq!(words.as_deref(), Some("words"));
                        'D'
                    }
                })
                .collect();
            assert_eq!(said, expected, "{what}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn after_an_outage_is_known_another_needs_two_downs_again() {
        let now = Instant::now();
        let mut watch = Watch::new(1, watched(MINUTE), now);
        let mut down = || watch.note(0, &answer('d'), now).is_some();
        assert_eq!([down(), down()], [false, true]);
        watch.known(0);
        let mut down = || watch.note(0, &answer('d'), now).is_some();
        assert_eq!([down(), down()], [false, true]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_whole_gateway_is_one_trouble_and_single_lines_are_their_own() {
        let start = Instant::now();
        let late = start + LONG + Duration::from_secs(1);
        for (count, answered, expected) in [
            (0, vec![], Unknown::Lines(vec![])),
            (1, vec![0], Unknown::Lines(vec![])),
            (1, vec![], Unknown::Gateway),
            (4, vec![0, 1, 2, 3], Unknown::Lines(vec![])),
            (4, vec![0, 1, 2], Unknown::Lines(vec![3])),
            (4, vec![0, 1], Unknown::Gateway),
            (5, vec![0, 2, 4], Unknown::Lines(vec![1, 3])),
        ] {
            let mut watch = Watch::new(count, watched(MINUTE), start);
            for line in &answered {
                watch.note(*line, &answer(if line % 2 == 0 { 'u' } else { 'd' }), start + MINUTE);
            }
            assert_eq!(watch.unknown(start + LONG), Unknown::Lines(vec![]), "not for long yet");
            assert_eq!(watch.unknown(late), expected, "{count} {answered:?}");
        }
        let slow = Watch::new(1, watched(Duration::from_hours(1)), start);
        assert_eq!(slow.unknown(start + Duration::from_hours(3)), Unknown::Lines(vec![]), "three intervals");
        assert_eq!(slow.unknown(start + Duration::from_hours(4)), Unknown::Gateway);
    }

    #[test]
    fn troubles_are_told_once_and_their_end_once() {
        let lines = lines(&["A", "B", "C"]);
        let told = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
        for (silent, before, new, over) in [
            (Unknown::Lines(vec![]), vec![], vec![], vec![]),
            (Unknown::Lines(vec![1]), vec![], vec!["B"], vec![]),
            (Unknown::Lines(vec![1]), vec!["B"], vec![], vec![]),
            (Unknown::Lines(vec![]), vec!["B"], vec![], vec!["B"]),
            (Unknown::Gateway, vec![], vec!["api"], vec![]),
            (Unknown::Gateway, vec!["api"], vec![], vec![]),
            (Unknown::Gateway, vec!["B"], vec!["api"], vec![]),
            (Unknown::Lines(vec![2]), vec!["api"], vec!["C"], vec!["api"]),
            (Unknown::Lines(vec![]), vec!["gone"], vec![], vec!["gone"]),
            (Unknown::Gateway, vec!["former api", "api"], vec![], vec!["former api"]),
        ] {
            let before = told(&before);
            let (begun, ended) = changes(&unknown(&silent, &lines, "api", &before), &before);
            assert_eq!(
                (begun, ended),
                (new.iter().map(ToString::to_string).collect(), over.iter().map(ToString::to_string).collect()),
                "{silent:?} {before:?}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_reload_forgets_nothing_of_the_lines_that_stay() {
        let start = Instant::now();
        let (before, after) = (lines(&["A", "B"]), lines(&["A1", "B", "C"]));
        let mut watch = Watch::new(2, watched(MINUTE), start);
        watch.note(0, &answer('d'), start);
        watch.note(1, &answer('d'), start);
        let mut watch = watch.go_on(&before, &after, watched(MINUTE), start + MINUTE);
        let said: Vec<bool> = (0..3).map(|line| watch.note(line, &answer('d'), start + MINUTE).is_some()).collect();
        assert_eq!(said, [false, true, false]);
    }
}
