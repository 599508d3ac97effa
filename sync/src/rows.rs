//! Rows in canonical order, and the step that both ends share.
//!
//! Invariants: rows are sorted by (cell, kind, id), and a cell's rows are one slice; a row that would step beyond the
//! neighbouring cells vanishes on both ends alike (the room then finds it as a surprise).

use game::{field::CellId, row::Row, rules::Rules};
use std::ops::Range;

/// A row after the step, and the cell its cause was in before it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stepped {
    pub(crate) row: Row,
    pub(crate) from: CellId,
}

/// Steps every row; the result is in canonical order.
pub(crate) fn step(rows: &[Row], rules: &Rules, stepped: &mut Vec<Stepped>) {
    stepped.clear();
    let mut next = Vec::with_capacity(4);
    for row in rows {
        row.step(rules, &mut next);
        let from = row.cell;
        let near = |row: &Row| row.cell == from || from.direction_to(row.cell, rules).is_some();
        stepped.extend(next.drain(..).filter(near).map(|row| Stepped { row, from }));
    }
    stepped.sort_by_key(|stepped| stepped.row.order());
}

/// Where `cell`'s rows are in a canonically ordered slice.
pub(crate) fn range_of(rows: &[Row], cell: CellId) -> Range<usize> {
    let start = rows.partition_point(|row| row.cell < cell);
    start..start + rows[start..].partition_point(|row| row.cell == cell)
}

/// A cell's checksum: the sum of its rows' hashes, so that it does not depend on order.
pub(crate) fn sum(rows: &[Row]) -> u64 {
    rows.iter().fold(0, |sum, row| sum.wrapping_add(row.hash()))
}

/// A checksum on the wire: 64 bits folded to 16.
pub(crate) fn fold(sum: u64) -> u16 {
    (sum ^ sum >> 16 ^ sum >> 32 ^ sum >> 48) as u16
}
