//! `--limit`: how much of a list is shown.

use clap::builder::RangedU64ValueParser;

use crate::store::view::MOST;

/// Rows shown without `--limit`.
const SHOWN: usize = 100;

#[derive(Clone, Copy, Debug, clap::Args)]
pub(super) struct Limit {
    /// At most so many, the latest first
    #[arg(long, value_name = "N", default_value_t = SHOWN, value_parser = RangedU64ValueParser::<usize>::new().range(1..=MOST as u64))]
    limit: usize,
}

impl Limit {
    /// How many rows to ask for: one more, to know whether there are more.
    pub(super) fn asked_for(self) -> usize {
        self.limit + 1
    }

    /// Takes away what is more than is shown; answers what to say of that.
    pub(super) fn cut<T>(self, rows: &mut Vec<T>) -> Option<String> {
        let more = rows.len() > self.limit;
        rows.truncate(self.limit);
        let advice = if self.limit < MOST { "more with --limit" } else { "there are more" };
        more.then(|| format!("the latest {}; {advice}\n", self.limit))
    }
}
