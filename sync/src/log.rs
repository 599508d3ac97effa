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
    /// Kept while other parts may be made.
    surprises: Option<Surprises>,
    /// The part for whoever knows all of `directions`; empty if there were no surprises.
    shared: Bits,
    /// The parts for others, by those of `directions` that they do not know.
    others: Vec<(Directions, Bits)>,
}

#[derive(Debug, Default)]
struct CellLog {
    entries: VecDeque<Entry>,
    whole: Option<(Tick, Bits)>,
}

/// Where a part lies; good until the next tick.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Part {
    /// The newest part of this cell for whoever knows its neighbours.
    Newest(CellId),
    /// Any other: the shared one of an entry, or one for those who know less.
    Entry { cell: CellId, entry: usize, other: Option<usize> },
}

/// The newest entry of a cell at a glance: most frames ask for nothing else, and ask for it in many cells.
#[derive(Debug, Clone, Copy, Default)]
struct Newest {
    tick: Tick,
    /// As in [`Entry`].
    directions: Directions,
    /// Bits of the part for whoever knows all neighbours; 0: nothing but entering rows.
    len: u8,
    /// Those bits.
    bits: u64,
}

/// The logs of all cells.
#[derive(Debug)]
pub(crate) struct Logs {
    cells: Vec<CellLog>,
    /// By cell.
    newest: Vec<Newest>,
    /// Counts chunks and whole cells encoded: the work that must not grow with the number of sessions.
    pub(crate) encoded: u64,
}

impl Logs {
    /// Empty logs for cells 0 .. `count`.
    pub(crate) fn new(count: usize) -> Self {
        let cells = std::iter::repeat_with(CellLog::default).take(count).collect();
        Self { cells, newest: vec![Newest::default(); count], encoded: 0 }
    }

    /// Appends what happened in `cell` at `tick` (something did) and forgets what no frame can ask for any more.
    pub(crate) fn append(
        &mut self,
        cell: CellId,
        tick: Tick,
        entering: Vec<(u8, Row)>,
        surprises: Option<Surprises>,
        rules: &Rules,
    ) {
        let log = &mut self.cells[usize::from(cell.0)];
        while log.entries.front().is_some_and(|entry| entry.tick + FRAME_SPAN_MAX_TICKS <= tick) {
            log.entries.pop_front();
        }
        let directions = entering.iter().fold(0, |set, (from, _)| set | 1 << from);
        let shared = Bits::default();
        let mut entry = Entry { tick, entering, directions, surprises, shared, others: Vec::new() };
        let mut newest = Newest { tick, directions, ..Newest::default() };
        if entry.surprises.is_some() {
            let bits = entry.encode(0, rules);
            self.encoded += 1;
            if let Some(word) = bits.as_word() {
                (newest.bits, newest.len) = (word, bits.bit_len() as u8);
            }
            entry.shared = bits;
        }
        if directions == 0 {
            // Nobody can ask for another part, so what they are made from is not needed any more.
            entry.surprises = None;
        }
        self.newest[usize::from(cell.0)] = newest;
        log.entries.push_back(entry);
    }

    /// The last tick at which something happened in the cell; 0 before.
    pub(crate) fn newest(&self, cell: CellId) -> Tick {
        self.newest[usize::from(cell.0)].tick
    }

    /// The cell's part of `tick` for someone who did not know the rows of the `unknown` neighbours; `None` if empty.
    pub(crate) fn part(&mut self, cell: CellId, tick: Tick, unknown: Directions, rules: &Rules) -> Option<Part> {
        let newest = self.newest[usize::from(cell.0)];
        if newest.tick < tick {
            return None;
        }
        if newest.tick == tick && newest.len > 0 && newest.directions & unknown == 0 {
            return Some(Part::Newest(cell));
        }
        let log = &mut self.cells[usize::from(cell.0)];
        let at = log.entries.iter().rposition(|entry| entry.tick <= tick)?;
        let entry = &mut log.entries[at];
        if entry.tick != tick {
            return None;
        }
        let unknown = unknown & entry.directions;
        if unknown == 0 {
            return (entry.shared.bit_len() > 0).then_some(Part::Entry { cell, entry: at, other: None });
        }
        let known = entry.others.iter().position(|(other, _)| *other == unknown);
        let other = known.unwrap_or_else(|| {
            let bits = entry.encode(unknown, rules);
            self.encoded += 1;
            entry.others.push((unknown, bits));
            entry.others.len() - 1
        });
        Some(Part::Entry { cell, entry: at, other: Some(other) })
    }

    /// Appends a part.
    pub(crate) fn put(&self, part: Part, bits: &mut BitWriter) {
        match part {
            Part::Newest(cell) => {
                let newest = &self.newest[usize::from(cell.0)];
                bits.put_word(newest.bits, u32::from(newest.len));
            }
            Part::Entry { .. } => bits.append(self.bits(part)),
        }
    }

    /// Bits of a part.
    pub(crate) fn len(&self, part: Part) -> usize {
        match part {
            Part::Newest(cell) => usize::from(self.newest[usize::from(cell.0)].len),
            Part::Entry { .. } => self.bits(part).bit_len(),
        }
    }

    fn bits(&self, part: Part) -> &Bits {
        let (cell, entry, other) = match part {
            Part::Newest(cell) => (cell, self.cells[usize::from(cell.0)].entries.len() - 1, None),
            Part::Entry { cell, entry, other } => (cell, entry, other),
        };
        let entry = &self.cells[usize::from(cell.0)].entries[entry];
        other.map_or(&entry.shared, |other| &entry.others[other].1)
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
