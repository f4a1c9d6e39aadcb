//! Tables: columns under their heads, as wide as the terminal where there is one.

use comfy_table::{ColumnConstraint, ContentArrangement, Row as TableRow, Table, TableStyle, Width};

use super::output::{Look, columns, painted, printable};

/// What may be cut where a table is wider than the terminal, by its head. Numbers never are.
const MAY_BE_CUT: [&str; 17] = [
    "problem",
    "before",
    "by",
    "comment",
    "detail",
    "gateway's words",
    "in detail",
    "instance",
    "line",
    "matches",
    "reason",
    "rule",
    "sink",
    "taken by",
    "the gateway says",
    "to",
    "webhook",
];

/// What is cut only where that is not enough: of a state, what it waits for.
const CUT_LAST: &str = "state";

/// Moments, which lose their seconds where a table is wider than the terminal.
const MOMENTS: [&str; 7] = ["at", "down since", "from", "owed at", "received", "settled at", "until"];

/// What is left out, one after the other, where that is not enough: whoever needs it makes the terminal wider, or asks
/// for one incident. An identifier is left out only where each line has a name.
const LEFT_OUT: [&str; 4] = ["settled at", "instance", "detail", "tries"];

/// How much is left of a cell that is cut, in columns of the terminal. No state is longer, without what it waits for.
const NARROWEST: u16 = 9;

/// Longest text in a cell, in characters.
const LONGEST_CELL: usize = 500;

/// One row of a table.
pub(super) struct Row {
    look: Look,
    cells: Vec<String>,
}

impl Row {
    /// One that looks like that where there are colours.
    pub(super) fn new(look: Look, cells: Vec<String>) -> Self {
        Self { look, cells }
    }
}

impl From<Vec<String>> for Row {
    fn from(cells: Vec<String>) -> Self {
        Self::new(Look::Plain, cells)
    }
}

/// Columns under their heads, without ornament but colour on a terminal.
pub(super) fn table<R: Into<Row>>(heads: &[&str], rows: impl IntoIterator<Item = R>) -> String {
    arranged(heads, rows.into_iter().map(Into::into), columns(), painted)
}

/// As wide as it is, or as the terminal is if there is one.
fn arranged(
    heads: &[&str],
    rows: impl Iterator<Item = Row>,
    columns: Option<usize>,
    paint: impl Fn(Look, &str) -> String,
) -> String {
    let mut rows: Vec<Row> = rows.collect();
    let mut table = built(heads, &rows);
    if let Some(columns) = columns.filter(|columns| total(&table.column_max_content_widths(), 2) > *columns) {
        for row in &mut rows {
            let moments = row.cells.iter_mut().zip(heads).filter(|(_, head)| MOMENTS.contains(head));
            moments.for_each(|(cell, _)| without_seconds(cell));
        }
        table = built(heads, &rows);
        fit(&mut table, heads, columns);
    }
    let looks = std::iter::once(Look::Bold).chain(rows.iter().map(|row| row.look));
    let mut text = String::new();
    for (line, look) in table.lines().zip(looks) {
        text += &paint(look, line.trim_end());
        text.push('\n');
    }
    text
}

fn built(heads: &[&str], rows: &[Row]) -> Table {
    // A row is a line.
    let line = |cells: Vec<String>| {
        let mut row = TableRow::from(cells);
        row.max_height(1);
        row
    };
    let mut table = Table::new();
    table.load_style(TableStyle::new()).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(line(heads.iter().map(|head| head.to_uppercase()).collect()));
    for row in rows {
        table.add_row(line(row.cells.iter().map(|cell| cut(&printable(cell))).collect()));
    }
    table
}

/// Of a [`moment`] the day, the minute and the zone.
fn without_seconds(cell: &mut String) {
    let (minute, zone) = ("2026-11-23 08:58".len(), "2026-11-23 08:58:26".len());
    if cell.is_ascii() && cell.len() > zone {
        cell.replace_range(minute..zone, "");
    }
}

/// Makes a table as narrow as the terminal: without the columns that say nothing, and with less of what may be cut.
fn fit(table: &mut Table, heads: &[&str], columns: usize) {
    let widths = table.column_max_content_widths();
    let least = narrowest(table, heads, columns);
    // Words are cut as well: with few columns, whole ones would leave half of them blank.
    table.set_content_arrangement(ContentArrangement::Dynamic).set_delimiter('\n');
    table.set_width(u16::try_from(columns).unwrap_or(u16::MAX));
    for (column, (least, width)) in table.column_iter_mut().zip(least.into_iter().zip(widths)) {
        column.set_padding((0, 1));
        column.set_constraint(match least {
            0 => ColumnConstraint::Hidden,
            _ if least < width => ColumnConstraint::LowerBoundary(Width::Fixed(least + 1)),
            _ => ColumnConstraint::ContentWidth,
        });
    }
}

/// How narrow each column may become; 0 if it says nothing.
fn narrowest(table: &Table, heads: &[&str], columns: usize) -> Vec<u16> {
    let blank = |column| table.column_cells_iter(column).flatten().filter(|cell| cell.content().is_empty()).count();
    let is_empty = |column| blank(column) == table.row_count();
    let widths = table.column_max_content_widths().into_iter().zip(heads).enumerate();
    let least = widths.map(|(column, (width, head))| match *head {
        _ if is_empty(column) => 0,
        head if MAY_BE_CUT.contains(&head) => width.min(NARROWEST),
        _ => width,
    });
    let mut least: Vec<u16> = least.collect();
    if let Some(state) = heads.iter().position(|head| *head == CUT_LAST).filter(|_| total(&least, 1) > columns) {
        least[state] = least[state].min(NARROWEST);
    }
    let has_names = heads.iter().position(|head| *head == "line").is_some_and(|line| blank(line) == 0);
    for left_out in LEFT_OUT.iter().filter(|head| **head != "instance" || has_names) {
        if let Some(column) = heads.iter().position(|head| head == left_out).filter(|_| total(&least, 1) > columns) {
            least[column] = 0;
        }
    }
    least
}

/// How wide a table is, with so much around what is in each column that is shown.
fn total(widths: &[u16], padding: usize) -> usize {
    widths.iter().filter(|width| **width > 0).map(|width| usize::from(*width) + padding).sum()
}

/// Of a long text its beginning.
fn cut(text: &str) -> String {
    match text.char_indices().nth(LONGEST_CELL) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_plain_but_for_colour() {
        let row = || Row::new(Look::Bad, vec!["1".to_owned(), "a\u{1b}[31m\n\u{202e}b".to_owned()]);
        assert_eq!(table(&["id", "what"], [row()]), " ID  WHAT\n 1   a [31m b\n");
        let shown = arranged(&["id", "what"], std::iter::once(row()), None, Look::paint);
        assert_eq!(shown, "\u{1b}[1m ID  WHAT\u{1b}[0m\n\u{1b}[31m 1   a [31m b\u{1b}[0m\n");
    }

    /// A list of two outages, as wide as told.
    fn outages(columns: Option<usize>) -> Vec<String> {
        let heads = ["id", "line", "instance", "down since", "taken by", "told"];
        let row = |id: &str, line: &str, instance: &str| {
            let cells = [id, line, instance, "2026-11-23 08:58:26 UTC", "", "1"];
            Row::from(cells.map(str::to_owned).to_vec())
        };
        let rows = [row("7", "Loja Centro", &"A".repeat(128)), row("12345", "美容室 Zürich Altstadt", "B")];
        arranged(&heads, rows.into_iter(), columns, |_, text| text.to_owned()).lines().map(str::to_owned).collect()
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
        let shown = |columns| {
            let rows = [row("delivered", "ok"), row("pending, next try, in 31s", &"A".repeat(60))];
            let heads = ["id", "state", "detail"];
            arranged(&heads, rows.into_iter().map(Row::from), Some(columns), |_, text| text.to_owned())
        };
        assert!(shown(40).ends_with("\n7  pending, next try, in 31s AAAAAAAAA…\n"), "{}", shown(40));
        assert!(shown(30).contains("\n7  delivered ") && shown(30).contains("\n7  pending, "), "{}", shown(30));
        assert!(shown(30).lines().all(|line| line.chars().count() <= 30), "{}", shown(30));
    }

    #[test]
    fn lists_fit_a_terminal_of_eighty_columns() {
        let at = "2026-11-23 08:58:26 UTC";
        let shown = |heads: &[&str], cells: &[&str]| {
            let row = Row::from(cells.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>());
            let text = arranged(heads, std::iter::once(row), Some(80), |_, text| text.to_owned());
            assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
            text
        };
        let heads =
            ["id", "line", "instance", "reason", "down since", "down for", "taken by", "told", "pending", "dead"];
        let id = "39ECB202B157D11E37905AE607963117";
        let row = ["7", "Loja Centro", id, "device-disconnected", at, "4m 12s, over", "", "1", "0", "0"];
        assert!(shown(&heads, &row).ends_with("2026-11-23 08:58 UTC 4m 12s, over 1    0       0\n"));
        let heads = ["id", "state", "kind", "line", "incident", "to", "owed at", "settled at", "tries", "detail"];
        let row =
            ["12", "delivered", "reminder", "Loja Centro", "7", "email ops@acme.example", at, at, "1", "2.0.0 Ok"];
        let text = shown(&heads, &row);
        assert!(text.contains(" TO ") && text.contains(" OWED AT ") && !text.contains("SETTLED AT"), "{text}");
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
        let row = |text: &str| table(&["what"], [vec![text.to_owned()]]);
        assert!(row(&"ç".repeat(500)).ends_with(&format!(" {}\n", "ç".repeat(500))));
        assert!(row(&"ç".repeat(501)).ends_with(&format!(" {}…\n", "ç".repeat(500))));
    }
}
