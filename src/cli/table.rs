//! Tables for people: columns under their heads, no wider than the terminal if there is one.

mod column;
mod fitting;

use std::iter;

use comfy_table::{ContentArrangement, Row as TableRow, Table, TableStyle};

pub(super) use column::Column;

use super::output::{Look, painted, printable, terminal_width};
use column::Narrowing;
use fitting::{fit, total};

/// The indentation of a note beneath its row, in columns of the terminal.
const INDENT: usize = 4;

/// The longest text in a cell, in characters.
const LONGEST_CELL: usize = 500;

/// One row of a table.
pub(super) struct Row {
    look: Look,
    cells: Vec<String>,
}

impl Row {
    /// A row that is painted on a terminal with colours.
    pub(super) fn new(look: Look, cells: Vec<String>) -> Self {
        Self { look, cells }
    }
}

impl From<Vec<String>> for Row {
    fn from(cells: Vec<String>) -> Self {
        Self::new(Look::Plain, cells)
    }
}

/// A table as text, in colour on a terminal and fitted to its width.
pub(super) fn table<R: Into<Row>>(columns: &[Column], rows: impl IntoIterator<Item = R>) -> String {
    arranged(columns, rows.into_iter().map(Into::into), terminal_width(), painted)
}

/// A table as text, at most `width` columns wide if there is a width.
fn arranged(
    columns: &[Column],
    rows: impl Iterator<Item = Row>,
    width: Option<usize>,
    paint: impl Fn(Look, &str) -> String,
) -> String {
    let mut rows: Vec<Row> = rows.collect();
    let mut table = built(columns, &rows);
    let mut notes = Vec::new();
    if let Some(width) = width.filter(|width| total(&table.column_max_content_widths(), 2) > *width) {
        notes = beneath(columns, &mut rows, width);
        let columns: Vec<Column> = columns.iter().copied().filter(|column| !column.is_beneath()).collect();
        for row in &mut rows {
            let moments =
                row.cells.iter_mut().zip(&columns).filter(|(_, column)| column.narrowing == Narrowing::Minutes);
            moments.for_each(|(cell, _)| without_seconds(cell));
        }
        table = built(&columns, &rows);
        if total(&table.column_max_content_widths(), 2) > width {
            fit(&mut table, &columns, width);
        }
    }
    let looks = iter::once(Look::Bold).chain(rows.iter().map(|row| row.look));
    // The line with the heads has no note.
    let notes = iter::once(String::new()).chain(notes).chain(iter::repeat(String::new()));
    let mut text = String::new();
    for ((line, look), note) in table.lines().zip(looks).zip(notes) {
        for line in [line.trim_end(), &note].into_iter().filter(|line| !line.is_empty()) {
            text += &paint(look, line);
            text.push('\n');
        }
    }
    text
}

/// Takes the notes out of the rows and returns one line for each row. The lines of plain rows are empty.
fn beneath(columns: &[Column], rows: &mut [Row], width: usize) -> Vec<String> {
    let Some(place) = columns.iter().position(|column| column.is_beneath()) else { return Vec::new() };
    let notes = rows.iter_mut().map(|row| {
        let note = row.cells.remove(place);
        Row::from(vec![if row.look == Look::Plain { String::new() } else { note }])
    });
    let column = [Column::text("")];
    let mut table = built(&column, &notes.collect::<Vec<_>>());
    fit(&mut table, &column, width.saturating_sub(INDENT));
    table.lines().skip(1).map(|line| format!("{:INDENT$}{line}", "").trim_end().to_owned()).collect()
}

fn built(columns: &[Column], rows: &[Row]) -> Table {
    // Each row is one line.
    let line = |cells: Vec<String>| {
        let mut row = TableRow::from(cells);
        row.max_height(1);
        row
    };
    let mut table = Table::new();
    table.load_style(TableStyle::new()).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(line(columns.iter().map(|column| column.head.to_uppercase()).collect()));
    for row in rows {
        table.add_row(line(row.cells.iter().map(|cell| cut(&printable(cell))).collect()));
    }
    table
}

/// Removes the seconds from a [`moment`](super::output::moment).
fn without_seconds(cell: &mut String) {
    let (minute, zone) = ("2026-11-23 08:58".len(), "2026-11-23 08:58:26".len());
    if cell.is_ascii() && cell.len() > zone {
        cell.replace_range(minute..zone, "");
    }
}

/// The beginning of a text that is too long for a cell.
fn cut(text: &str) -> String {
    match text.char_indices().nth(LONGEST_CELL) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{deliveries, incidents};

    #[test]
    fn tables_are_plain_but_for_colour() {
        let row = || Row::new(Look::Bad, vec!["1".to_owned(), "a\u{1b}[31m\n\u{202e}b".to_owned()]);
        let columns = [Column::whole("id"), Column::text("what")];
        assert_eq!(table(&columns, [row()]), " ID  WHAT\n 1   a [31m b\n");
        let shown = arranged(&columns, std::iter::once(row()), None, Look::paint);
        assert_eq!(shown, "\u{1b}[1m ID  WHAT\u{1b}[0m\n\u{1b}[31m 1   a [31m b\u{1b}[0m\n");
    }

    /// A list of two outages, as wide as told.
    fn outages(width: Option<usize>) -> Vec<String> {
        let columns = [
            Column::whole("id"),
            Column::text("line"),
            Column::identifier("instance"),
            Column::moment("down since"),
            Column::text("taken by"),
            Column::whole("told"),
        ];
        let row = |id: &str, line: &str, instance: &str| {
            let cells = [id, line, instance, "2026-11-23 08:58:26 UTC", "", "1"];
            Row::from(cells.map(str::to_owned).to_vec())
        };
        let rows = [row("7", "Loja Centro", &"A".repeat(128)), row("12345", "美容室 Zürich Altstadt", "B")];
        arranged(&columns, rows.into_iter(), width, |_, text| text.to_owned()).lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_terminal_gets_rows_as_wide_as_it_is() {
        let width = |line: &str| line.chars().map(|c| if c > '\u{2e80}' { 2 } else { 1 }).sum::<usize>();
        for columns in [58, 60, 79, 80, 100, 150, 180] {
            let lines = outages(Some(columns));
            assert_eq!(lines.len(), 3, "a row is a line: {lines:?}");
            assert!(lines.iter().all(|line| width(line) <= columns), "{columns}: {lines:?}");
            assert!(lines[1].starts_with("7     Loja") && lines[2].starts_with("12345 美容"), "{lines:?}");
            assert!(lines[1..].iter().all(|line| line.contains("2026-11-23 08:58 UTC 1")), "{lines:?}");
            assert!(lines[1].contains("AAAA…") && lines[2].contains(" B "), "{lines:?}");
        }
        assert_eq!(
            outages(Some(70))[1..],
            [
                "7     Loja Centro        AAAAAAAAAAAAAAAAA… 2026-11-23 08:58 UTC 1",
                "12345 美容室 Zürich Alt… B                  2026-11-23 08:58 UTC 1"
            ]
        );
    }

    #[test]
    fn of_a_state_only_what_it_waits_for_is_cut_and_that_last() {
        let row = |state: &str, detail: &str| vec!["7".to_owned(), state.to_owned(), detail.to_owned()];
        let shown = |width| {
            let rows = [row("delivered", "ok"), row("pending, next try, in 31s", &"A".repeat(60))];
            let columns = [Column::whole("id"), Column::state("state"), Column::text("detail")];
            arranged(&columns, rows.into_iter().map(Row::from), Some(width), |_, text| text.to_owned())
        };
        assert!(shown(40).ends_with("\n7  pending, next try, in 31s AAAAAAAAA…\n"), "{}", shown(40));
        assert!(shown(30).contains("\n7  delivered ") && shown(30).contains("\n7  pending, "), "{}", shown(30));
        assert!(shown(30).lines().all(|line| line.chars().count() <= 30), "{}", shown(30));
    }

    #[test]
    fn lists_fit_a_terminal_of_eighty_columns() {
        let at = "2026-11-23 08:58:26 UTC";
        let shown = |columns: &[Column], look, cells: &[&str]| {
            let row = Row::new(look, cells.iter().map(|cell| (*cell).to_owned()).collect());
            let text = arranged(columns, std::iter::once(row), Some(80), |_, text| text.to_owned());
            assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
            text
        };
        let id = "39ECB202B157D11E37905AE607963117";
        let row = ["7", "Loja Centro", id, "device-disconnected", at, "4m 12s, over", "", "1", "0", "0"];
        assert!(
            shown(&incidents::COLUMNS, Look::Bad, &row).ends_with("2026-11-23 08:58 UTC 4m 12s, over 1    0       0\n")
        );
        let row =
            |detail| ["12", "delivered", "reminder", "Loja Centro", "7", "email ops@acme.example", at, at, "1", detail];
        let text = shown(&deliveries::COLUMNS, Look::Plain, &row("2.0.0 Ok"));
        assert!(text.contains(" TO ") && text.contains(" OWED AT ") && !text.contains("SETTLED AT"), "{text}");
        assert!(!text.contains("2.0.0"), "who was told is told, and that is all: {text}");
        let text = shown(&deliveries::COLUMNS, Look::Bad, &row("unreachable: connection refused"));
        assert!(text.ends_with("\n    unreachable: connection refused\n"), "{text}");
        assert!(shown(&deliveries::COLUMNS, Look::Bad, &row(&"A".repeat(90))).ends_with("AAA…\n"));
    }

    #[test]
    fn lines_whose_names_begin_alike_keep_their_identifiers() {
        let at = "2026-11-23 08:58:26 UTC";
        let shown = |names: [&str; 2]| {
            let rows = ["3A01", "3A02"].into_iter().zip(names).map(|(id, name)| {
                let id = format!("{id}B202B157D11E37905AE607963117");
                Row::from(
                    ["7", name, &id, "session-expired", at, "4m 12s", "ana", "1", "0", "0"].map(str::to_owned).to_vec(),
                )
            });
            arranged(&incidents::COLUMNS, rows, Some(80), |_, text| text.to_owned())
        };
        assert!(!shown(["Loja Centro", "Farmácia Popular"]).contains("3A01"));
        let alike = shown(["Farmácia Popular Centro", "Farmácia Popular Norte"]);
        assert!(alike.contains(" 3A01") && alike.contains(" 3A02"), "{alike}");
    }

    #[test]
    fn what_fits_is_left_as_it_is() {
        assert_eq!(outages(Some(400)), outages(None));
        assert!(outages(None)[1].contains(&"A".repeat(128)), "and whoever reads from a pipe gets all");
    }

    #[test]
    fn where_nothing_more_can_be_cut_numbers_and_times_still_stand() {
        let lines = outages(Some(20));
        assert!(lines[2].starts_with("12345 美容") && lines[2].ends_with("2026-11-23 08:58 UTC 1"), "{lines:?}");
    }

    #[test]
    fn a_cell_is_bounded() {
        let row = |text: &str| table(&[Column::text("what")], [vec![text.to_owned()]]);
        assert!(row(&"ç".repeat(500)).ends_with(&format!(" {}\n", "ç".repeat(500))));
        assert!(row(&"ç".repeat(501)).ends_with(&format!(" {}…\n", "ç".repeat(500))));
    }
}
