//! Per-cell logs of immutable chunks, and the one way out of a room: [`Logs::part`] tick by tick, or [`Logs::whole`].
//!
//! Path: `Room::tick` appends what happened to each cell once; frames take `delta(cell, since)`, which is the parts of
//! the ticks after `since`, or the whole cell. Invariants: an entry never changes after its tick; a part is encoded at
//! most once per (cell, tick, unknown neighbours that something came from) and shared by everyone who asks; a cell in
//! which nothing happened has no entry.

use crate::chunk::{self, Surprises};
use game::{field::CellId, row::Row, rules::Rules};
use protocol::{
    Tick,
    bits::{BitWriter, Bits},
    limits::FRAME_SPAN_MAX_TICKS,
};
use std::collections::VecDeque;

/// A set of neighbours of a cell: bit i is [`CellId::direction_to`]'s direction i.
pub(crate) type Directions = u8;

/// What happened in one cell at one tick.
#[derive(Debug)]
struct Entry {
    tick: Tick,
    /// Rows the step brought in from a neighbour, before surprises, with that neighbour's direction.
    entering: Vec<(u8, Row)>,
    /// The directions that occur in `entering`.
    directions: Directions,
    surprises: Option<Surprises>,
    /// Encoded parts, by those of `directions` that the asker does not know.
    parts: Vec<(Directions, Bits)>,
}

#[derive(Debug, Default)]
struct CellLog {
    entries: VecDeque<Entry>,
    whole: Option<(Tick, Bits)>,
}

/// Where a part lies; good until the next tick.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Part {
    cell: CellId,
    entry: usize,
    part: usize,
}

/// The logs of all cells.
#[derive(Debug)]
pub(crate) struct Logs {
    cells: Vec<CellLog>,
    /// Counts chunks and whole cells encoded: the work that must not grow with the number of sessions.
    pub(crate) encoded: u64,
}

impl Logs {
    /// Empty logs for cells 0 .. `count`.
    pub(crate) fn new(count: usize) -> Self {
        Self { cells: std::iter::repeat_with(CellLog::default).take(count).collect(), encoded: 0 }
    }

    /// Appends what happened in `cell` at `tick` (something did) and forgets what no frame can ask for any more.
    pub(crate) fn append(&mut self, cell: CellId, tick: Tick, entering: Vec<(u8, Row)>, surprises: Option<Surprises>) {
        let log = &mut self.cells[usize::from(cell.0)];
        while log.entries.front().is_some_and(|entry| entry.tick + FRAME_SPAN_MAX_TICKS <= tick) {
            log.entries.pop_front();
        }
        let directions = entering.iter().fold(0, |set, (from, _)| set | 1 << from);
        log.entries.push_back(Entry { tick, entering, directions, surprises, parts: Vec::new() });
    }

    /// The last tick at which something happened in the cell.
    pub(crate) fn newest(&self, cell: CellId) -> Option<Tick> {
        Some(self.cells[usize::from(cell.0)].entries.back()?.tick)
    }

    /// The cell's part of `tick` for someone who did not know the rows of the `unknown` neighbours; `None` if empty.
    pub(crate) fn part(&mut self, cell: CellId, tick: Tick, unknown: Directions, rules: &Rules) -> Option<Part> {
        let log = &mut self.cells[usize::from(cell.0)];
        // The newest entry is the one nearly everyone asks for.
        let at = log.entries.iter().rposition(|entry| entry.tick <= tick)?;
        let entry = &mut log.entries[at];
        let unknown = unknown & entry.directions;
        if entry.tick != tick || (unknown == 0 && entry.surprises.is_none()) {
            return None;
        }
        let part = match entry.parts.iter().position(|(other, _)| *other == unknown) {
            Some(part) => part,
            None => {
                let bits = entry.encode(unknown, rules);
                self.encoded += 1;
                entry.parts.push((unknown, bits));
                entry.parts.len() - 1
            }
        };
        Some(Part { cell, entry: at, part })
    }

    /// The bits of a part.
    pub(crate) fn bits(&self, part: Part) -> &Bits {
        &self.cells[usize::from(part.cell.0)].entries[part.entry].parts[part.part].1
    }

    /// The whole cell as it is at `tick`, the newest; `rows` are its rows.
    pub(crate) fn whole(&mut self, cell: CellId, tick: Tick, rows: &[Row], rules: &Rules) -> &Bits {
        let log = &mut self.cells[usize::from(cell.0)];
        if log.whole.as_ref().is_none_or(|(at, _)| *at != tick) {
            let mut bits = BitWriter::new();
            chunk::put_rows(&mut bits, rows.iter(), rules);
            self.encoded += 1;
            log.whole = Some((tick, bits.finish()));
        }
        &log.whole.as_ref().expect("it was just made").1
    }
}

impl Entry {
    fn encode(&self, unknown: Directions, rules: &Rules) -> Bits {
        let is_unknown = |(from, _): &&(u8, Row)| unknown >> from & 1 == 1;
        let entering: Vec<&Row> = self.entering.iter().filter(is_unknown).map(|(_, row)| row).collect();
        let mut bits = BitWriter::new();
        chunk::put_part(&mut bits, &entering, self.surprises.as_ref(), rules);
        bits.finish()
    }
}
