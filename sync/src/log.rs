//! Per-cell logs of immutable chunks, and the one way out of a room: [`Logs::part`] tick by tick, or [`Logs::whole`].
//!
//! Path: `Room::tick` appends what happened to each cell once; frames take `delta(cell, since)`, which is the parts of
//! the ticks after `since`, or the whole cell. Invariants: an entry never changes after its tick; a part is encoded at
//! most once per (cell, tick, unknown neighbours) and shared by everyone who asks; a cell in which nothing happened has
//! no entry.

use crate::chunk;
use bytes::Bytes;
use game::{field::CellId, row::Row};
use protocol::{Tick, bits::BitWriter, limits::FRAME_SPAN_MAX_TICKS};
use std::collections::VecDeque;

/// A set of neighbours of a cell: bit i is [`CellId::direction_to`]'s direction i.
pub(crate) type Directions = u8;

/// What happened in one cell at one tick.
#[derive(Debug)]
struct Entry {
    tick: Tick,
    /// Rows the step brought in from a neighbour, before surprises, with that neighbour's direction.
    entering: Vec<(u8, Row)>,
    surprises: Option<BitWriter>,
    /// Encoded parts by the neighbours unknown to the asker.
    parts: Vec<(Directions, Option<Bytes>)>,
}

#[derive(Debug, Default)]
struct CellLog {
    entries: VecDeque<Entry>,
    whole: Option<(Tick, Bytes)>,
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

    /// Appends what happened in `cell` at `tick` and forgets what no frame can ask for any more.
    pub(crate) fn append(&mut self, cell: CellId, tick: Tick, entering: Vec<(u8, Row)>, surprises: Option<BitWriter>) {
        let log = &mut self.cells[usize::from(cell.0)];
        while log.entries.front().is_some_and(|entry| entry.tick + FRAME_SPAN_MAX_TICKS <= tick) {
            log.entries.pop_front();
        }
        if !entering.is_empty() || surprises.is_some() {
            log.entries.push_back(Entry { tick, entering, surprises, parts: Vec::new() });
        }
    }

    /// The cell's part of `tick` for someone who did not know the rows of the `unknown` neighbours; `None` if empty.
    pub(crate) fn part(&mut self, cell: CellId, tick: Tick, unknown: Directions) -> Option<Bytes> {
        let log = &mut self.cells[usize::from(cell.0)];
        // The newest entry is the one nearly everyone asks for.
        let at = log.entries.iter().rposition(|entry| entry.tick <= tick)?;
        let entry = &mut log.entries[at];
        if entry.tick != tick {
            return None;
        }
        if let Some((_, part)) = entry.parts.iter().find(|(known, _)| *known == unknown) {
            return part.clone();
        }
        let part = entry.encode(unknown);
        self.encoded += u64::from(part.is_some());
        entry.parts.push((unknown, part.clone()));
        part
    }

    /// The whole cell as it is at `tick`, the newest; `rows` are its rows.
    pub(crate) fn whole(&mut self, cell: CellId, tick: Tick, rows: &[Row]) -> Bytes {
        let log = &mut self.cells[usize::from(cell.0)];
        match &log.whole {
            Some((at, bytes)) if *at == tick => bytes.clone(),
            _ => {
                let mut bits = BitWriter::new();
                chunk::encode_rows(&mut bits, rows.iter());
                let bytes = Bytes::from(bits.into_bytes());
                self.encoded += 1;
                log.whole = Some((tick, bytes.clone()));
                bytes
            }
        }
    }
}

impl Entry {
    fn encode(&self, unknown: Directions) -> Option<Bytes> {
        let entering: Vec<&Row> =
            self.entering.iter().filter(|(from, _)| unknown >> from & 1 == 1).map(|(_, row)| row).collect();
        if entering.is_empty() && self.surprises.is_none() {
            return None;
        }
        let mut bits = BitWriter::new();
        chunk::encode_rows(&mut bits, entering.into_iter());
        match &self.surprises {
            Some(surprises) => bits.append(surprises),
            None => bits.append(&chunk::no_surprises()),
        }
        Some(Bytes::from(bits.into_bytes()))
    }
}
