//! Rows in canonical order, and the step that both ends share.
//!
//! Invariants: rows are sorted by (cell, kind, id), and a cell's rows are one slice; a row that would step beyond the
//! neighbouring cells vanishes on both ends alike (the room then finds it as a surprise).

use game::{field::CellId, row::Row, rules::Rules};
use std::ops::Range;

/// All rows after a step.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stepped {
    /// In canonical order.
    pub(crate) rows: Vec<Row>,
    /// Those among them that are in another cell than what they came from, with the cell they came from.
    pub(crate) moved: Vec<(CellId, Row)>,
}

impl Stepped {
    /// Becomes what `rows` are one tick later.
    pub(crate) fn step(&mut self, rows: &[Row], rules: &Rules) {
        self.rows.clear();
        self.moved.clear();
        for row in rows {
            let first = self.rows.len();
            row.step(rules, &mut self.rows);
            let mut at = first;
            while let Some(next) = self.rows.get(at) {
                if next.cell == row.cell {
                    at += 1;
                } else if row.cell.direction_to(next.cell, rules).is_some() {
                    self.moved.push((row.cell, *next));
                    at += 1;
                } else {
                    self.rows.remove(at);
                }
            }
        }
        sort(&mut self.rows);
    }
}

/// Sorts rows of which nearly all are in order already: each of the others is brought to its place.
fn sort(rows: &mut [Row]) {
    for at in 1..rows.len() {
        let order = rows[at].order();
        if order < rows[at - 1].order() {
            let place = rows[..at].partition_point(|row| row.order() < order);
            rows[place..=at].rotate_right(1);
        }
    }
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
