//! `--limit`: how many rows of a list are shown.

use serde::Serialize;

use super::table::{Column, Row, table};
use super::{CommandError, output};
use crate::store::view::MOST;

/// Rows shown without `--limit`.
const SHOWN: usize = 100;

#[derive(Clone, Copy, Debug, clap::Args)]
pub(super) struct Limit {
    /// Show at most so many, the latest first
    #[arg(long, value_name = "N", default_value_t = SHOWN, value_parser = rows)]
    limit: usize,
}

fn rows(text: &str) -> Result<usize, String> {
    let rows = text.parse().ok().filter(|rows| (1..=MOST).contains(rows));
    rows.ok_or_else(|| format!("not a number of rows\n  expected: 1 to {MOST}"))
}

impl Limit {
    /// How many rows to request: one more than are shown, to know whether there are more.
    pub(super) fn asked_for(self) -> usize {
        self.limit + 1
    }

    /// Prints the rows that are shown, or `nothing` if there are none, and whether there are more.
    pub(super) fn print<T: Serialize>(
        self,
        mut rows: Vec<T>,
        as_json: bool,
        nothing: &str,
        columns: &[Column],
        row: impl Fn(&T) -> Row,
    ) -> Result<(), CommandError> {
        let more = self.cut(&mut rows).unwrap_or_default();
        if as_json {
            output::print_json(&rows)?;
            output::complain(&more);
            return Ok(());
        }
        if rows.is_empty() {
            return output::print(nothing);
        }
        output::print(&table(columns, rows.iter().map(row)))?;
        output::print(&more)
    }

    /// Removes the rows that are not shown. Returns a note if there were any.
    fn cut<T>(self, rows: &mut Vec<T>) -> Option<String> {
        let more = rows.len() > self.limit;
        rows.truncate(self.limit);
        let advice = if self.limit < MOST { "more with --limit" } else { "there are more" };
        more.then(|| format!("the latest {}; {advice}\n", self.limit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_a_cut_is_so() {
        for (limit, rows, shown, said) in [
            (2, 1, 1, None),
            (2, 2, 2, None),
            (2, 3, 2, Some("the latest 2; more with --limit\n")),
            (MOST, MOST + 1, MOST, Some("the latest 10000; there are more\n")),
        ] {
            let mut rows = vec![(); rows];
            assert_eq!(Limit { limit }.cut(&mut rows).as_deref(), said);
            assert_eq!(rows.len(), shown);
        }
    }
}
