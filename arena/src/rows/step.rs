//! Steps rows forward one tick, the same way on both ends, and keeps them in canonical order.
//!
//! Invariants: rows are sorted by (cell, kind, id), and a cell's rows are one slice; a row that would step beyond the
//! neighbouring cells vanishes on both ends alike (the room then finds it as a surprise).

use game::schema::{CellId, Grid, Kind, Row};
use std::ops::Range;

/// All rows after a step.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stepped {
    /// In canonical order.
    pub(crate) rows: Vec<Row>,
    /// Those among them that are in another cell than what they came from, with the cell they came from.
    pub(crate) moved: Vec<(CellId, Row)>,
    /// Those that are not where their row was: moved or new. Kept for its memory.
    strays: Vec<Row>,
}

impl Stepped {
    /// Becomes what `rows` (in canonical order) are one tick later; `step_row` appends what becomes of one.
    pub(crate) fn step(&mut self, rows: &[Row], grid: Grid, step_row: impl Fn(&Row, &mut Vec<Row>)) {
        self.rows.clear();
        self.moved.clear();
        self.strays.clear();
        for row in rows {
            let first = self.rows.len();
            step_row(row, &mut self.rows);
            // Nearly all of them stay where they were: themselves, in their cell.
            if self.rows.len() != first + 1 || self.rows[first].order() != row.order() {
                self.set_apart(row, first, grid);
            }
        }
        self.strays.sort_unstable_by_key(Row::order);
        merge(&mut self.rows, &self.strays);
    }

    /// Of what became of `row`, from place `first` on, leaves the row itself where it is, if that is still its place.
    fn set_apart(&mut self, row: &Row, first: usize, grid: Grid) {
        let mut at = first;
        while let Some(next) = self.rows.get(at).copied() {
            if next.order() == row.order() {
                at += 1;
                continue;
            }
            self.rows.remove(at);
            if next.cell == row.cell {
                self.strays.push(next);
            } else if row.cell.direction_to(next.cell, grid).is_some() {
                self.moved.push((row.cell, next));
                self.strays.push(next);
            }
        }
    }
}

/// Brings `strays` to their places among `rows`, both in order: from behind, so that each row moves once at most.
fn merge(rows: &mut Vec<Row>, strays: &[Row]) {
    let mut end = rows.len();
    rows.extend_from_slice(strays);
    let mut free = rows.len();
    for stray in strays.iter().rev() {
        let place = rows[..end].partition_point(|row| row.order() < stray.order());
        free -= end - place;
        rows.copy_within(place..end, free);
        free -= 1;
        rows[free] = *stray;
        end = place;
    }
}

/// Where `cell`'s rows are in a canonically ordered slice.
pub(crate) fn range_of(rows: &[Row], cell: CellId) -> Range<usize> {
    let start = rows.partition_point(|row| row.cell < cell);
    start..start + rows[start..].partition_point(|row| row.cell == cell)
}

/// A cell's checksum: the sum of its rows' hashes, so that it does not depend on order.
pub(crate) fn sum(rows: &[Row], kinds: &[Kind]) -> u64 {
    rows.iter().fold(0, |sum, row| sum.wrapping_add(row.hash(kinds)))
}

/// A checksum on the wire: 64 bits folded to 16.
pub(crate) fn fold(sum: u64) -> u16 {
    (sum ^ sum >> 16 ^ sum >> 32 ^ sum >> 48) as u16
}
