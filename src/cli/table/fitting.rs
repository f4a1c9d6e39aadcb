//! Fits a table into the width of a terminal.

use std::collections::BTreeMap;

use comfy_table::{Cell, ColumnConstraint, ContentArrangement, Table, Width};

use super::column::{Column, Narrowing};

/// The least width of a column that is cut, in columns of the terminal. Every state alone fits into it.
const NARROWEST: u16 = 9;

/// Fits a table into a width: hides empty columns, and cuts those that may be cut.
pub(super) fn fit(table: &mut Table, columns: &[Column], width: usize) {
    let widths = table.column_max_content_widths();
    let least = narrowest(table, columns, width);
    // Words are cut as well: with few columns, whole ones would leave half of them blank.
    table.set_content_arrangement(ContentArrangement::Dynamic).set_delimiter('\n');
    table.set_width(u16::try_from(width).unwrap_or(u16::MAX));
    for (column, (least, width)) in table.column_iter_mut().zip(least.into_iter().zip(widths)) {
        column.set_padding((0, 1));
        column.set_constraint(match least {
            0 => ColumnConstraint::Hidden,
            _ if least < width => ColumnConstraint::LowerBoundary(Width::Fixed(least + 1)),
            _ => ColumnConstraint::ContentWidth,
        });
    }
}

/// The least width of each column; 0 hides the column.
fn narrowest(table: &Table, columns: &[Column], width: usize) -> Vec<u16> {
    let blank = |column| table.column_cells_iter(column).flatten().filter(|cell| cell.content().is_empty()).count();
    let is_empty = |column| blank(column) == table.row_count();
    let widths = table.column_max_content_widths().into_iter().zip(columns).enumerate();
    let least = widths.map(|(place, (width, column))| match column.narrowing {
        _ if is_empty(place) => 0,
        Narrowing::Cut => width.min(NARROWEST),
        _ => width,
    });
    let mut least: Vec<u16> = least.collect();
    for (place, column) in columns.iter().enumerate().filter(|(_, column)| column.may_be_left_out) {
        let is_identifier = column.narrowing == Narrowing::Cut;
        if total(&least, 1) > width && (!is_identifier || is_named_before(table, place)) {
            least[place] = 0;
        }
    }
    if let Some(last) = columns.iter().position(|column| column.narrowing == Narrowing::CutLast)
        && total(&least, 1) > width
    {
        least[last] = least[last].min(NARROWEST);
    }
    least
}

/// Whether the names in the column before tell the identifiers of a column apart, however much they are cut.
fn is_named_before(table: &Table, place: usize) -> bool {
    let Some(names) = place.checked_sub(1) else { return false };
    let column = |place| table.column_cells_iter(place).flatten().map(Cell::content);
    let mut known = BTreeMap::new();
    column(names).zip(column(place)).all(|(name, identifier)| {
        let shown: String = name.chars().take(usize::from(NARROWEST) - 1).collect();
        !shown.is_empty() && *known.entry(shown).or_insert_with(|| identifier.clone()) == identifier
    })
}

/// The width of a table whose columns have so much padding. Hidden columns do not count.
pub(super) fn total(widths: &[u16], padding: usize) -> usize {
    widths.iter().filter(|width| **width > 0).map(|width| usize::from(*width) + padding).sum()
}
