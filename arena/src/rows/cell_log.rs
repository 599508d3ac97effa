//! The log of each cell: immutable chunks of what the motion step could not know, by tick.
//!
//! The one way out of a room: [`LogReader::part`] tick by tick, or [`LogReader::whole`].
//!
//! Path: `Room::tick` appends what happened to each cell once; frames take `delta(cell, since)`, which is the parts of
//! the ticks after `since`, or the whole cell. Invariants: an entry never changes after its tick; a part is encoded at
//! most once per (cell, tick, unknown neighbours that something came from) and reader, and shared by everyone who asks; a
//! cell in which nothing happened has no entry.

use crate::rows::codec::{self, Codec, Surprises};
use game::schema::{CellId, Row};
use protocol::{
    Tick,
    bits::{BitWriter, Bits},
    limits::FRAME_SPAN_MAX_TICKS,
};

/// A set of neighbours of a cell: bit i is [`CellId::direction_to`]'s direction i.
pub(crate) type Directions = u8;

/// What happened in one cell at one tick.
#[derive(Debug)]
struct Entry {
    cell: CellId,
    /// The directions that rows came from.
    directions: Directions,
    /// The part for whoever knows all of `directions`; empty if there were no surprises.
    shared: Bits,
    /// While others can ask.
    crossing: Option<Box<Crossing>>,
}

/// What parts are made from for those who do not know where rows came from.
#[derive(Debug)]
struct Crossing {
    /// Rows the step brought in from a neighbour, before surprises, with that neighbour's direction.
    entering: Vec<(u8, Row)>,
    surprises: Option<Surprises>,
}

/// What happened at one tick, by cell: one piece of memory, since the whole of it is written, and forgotten, at once.
#[derive(Debug, Default)]
struct TickLog {
    tick: Tick,
    /// In the order of cells.
    entries: Vec<Entry>,
}

/// Where a part lies; good until the next tick.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Part {
    /// The newest part of this cell for whoever knows its neighbours, if it fits a word.
    Newest(CellId),
    /// Any other: the shared one of an entry, or one for those who know less.
    Entry { tick: Tick, entry: usize, other: Option<usize> },
}

/// The newest entry of a cell at a glance: most frames ask for nothing else, and ask for it in many cells.
#[derive(Debug, Clone, Copy, Default)]
struct Newest {
    tick: Tick,
    /// Its place in that tick's log.
    entry: u16,
    /// As in [`Entry`].
    directions: Directions,
    /// Bits of the part for whoever knows all neighbours; 0: nothing but entering rows, [`LONG`]: more than a word.
    len: u8,
    /// Those bits, if they fit a word.
    bits: u64,
}

/// See [`Newest`].
const LONG: u8 = u8::MAX;

/// The logs of all cells: what happened, encoded once for whoever knows all around. Only read while frames are assembled.
#[derive(Debug)]
pub(crate) struct Logs {
    /// The last ticks, each at its number's place.
    ticks: Vec<TickLog>,
    /// By cell.
    newest: Vec<Newest>,
    /// Counts chunks encoded: the work that must not grow with the number of sessions.
    pub(crate) encoded: u64,
}

/// What was encoded on demand: for those who do not know where rows came from, and whole cells. Each of those who assemble
/// frames has its own.
#[derive(Debug)]
pub(crate) struct OnDemand {
    /// By the place of the tick.
    crossings: Vec<CrossingParts>,
    /// By cell: whole, as it was when that was last asked for.
    wholes: Vec<Option<(Tick, Bits)>>,
    /// Counts what was encoded.
    pub(crate) encoded: u64,
}

/// Parts of one tick for those who do not know where rows came from.
#[derive(Debug, Default)]
struct CrossingParts {
    tick: Tick,
    /// Of each part: the entry, and the directions that are not known. Looked through: at most a few for each
    /// cell into which something came at that tick, and asked for once a body, not once a frame.
    keys: Vec<(u32, Directions)>,
    /// In the same order.
    parts: Vec<Bits>,
}

/// The logs, and what was encoded on demand besides.
#[derive(Debug)]
pub(crate) struct LogReader<'a> {
    pub(crate) logs: &'a Logs,
    pub(crate) on_demand: &'a mut OnDemand,
}

/// The place of a tick's log: what no frame can ask for any more is overwritten.
fn slot(tick: Tick) -> usize {
    (tick % FRAME_SPAN_MAX_TICKS) as usize
}

impl Logs {
    /// Empty logs for cells 0 .. `count`.
    pub(crate) fn new(count: usize) -> Self {
        let ticks = std::iter::repeat_with(TickLog::default).take(FRAME_SPAN_MAX_TICKS as usize).collect();
        Self { ticks, newest: vec![Newest::default(); count], encoded: 0 }
    }

    /// What is appended from now on happened at `tick`.
    pub(crate) fn begin_tick(&mut self, tick: Tick) {
        let log = &mut self.ticks[slot(tick)];
        log.tick = tick;
        log.entries.clear();
    }

    /// Appends what happened in `cell` (something did) at the tick that was begun; cells come in order.
    pub(crate) fn append(
        &mut self,
        cell: CellId,
        tick: Tick,
        entering: Vec<(u8, Row)>,
        surprises: Option<Surprises>,
        codec: &Codec,
    ) {
        let directions = entering.iter().fold(0, |set, (from, _)| set | 1 << from);
        let entries = &mut self.ticks[slot(tick)].entries;
        let mut newest = Newest { tick, entry: entries.len() as u16, directions, len: 0, bits: 0 };
        let mut shared = Bits::default();
        if surprises.is_some() {
            shared = encode(&[], surprises.as_ref(), codec);
            self.encoded += 1;
            let word = shared.as_word().map(|word| (word, shared.bit_len() as u8));
            (newest.bits, newest.len) = word.unwrap_or((0, LONG));
        }
        self.newest[usize::from(cell.0)] = newest;
        let crossing = (directions != 0).then(|| Box::new(Crossing { entering, surprises }));
        entries.push(Entry { cell, directions, shared, crossing });
    }

    /// The last tick at which something happened in the cell; 0 before.
    pub(crate) fn newest(&self, cell: CellId) -> Tick {
        self.newest[usize::from(cell.0)].tick
    }
}

impl OnDemand {
    /// Nothing was asked for yet, of cells 0 .. `count`.
    pub(crate) fn new(count: usize) -> Self {
        let crossings = std::iter::repeat_with(CrossingParts::default).take(FRAME_SPAN_MAX_TICKS as usize).collect();
        Self { crossings, wholes: vec![None; count], encoded: 0 }
    }

    /// The place of an entry's part for someone who does not know these of the directions; encoded if nobody asked before.
    fn crossing(&mut self, tick: Tick, entry: u32, unknown: Directions, crossing: &Crossing, codec: &Codec) -> usize {
        let made = &mut self.crossings[slot(tick)];
        if made.tick != tick {
            made.tick = tick;
            made.keys.clear();
            made.parts.clear();
        }
        let known = made.keys.iter().position(|key| *key == (entry, unknown));
        known.unwrap_or_else(|| {
            let is_unknown = |(from, _): &&(u8, Row)| unknown >> from & 1 == 1;
            let entering: Vec<&Row> = crossing.entering.iter().filter(is_unknown).map(|(_, row)| row).collect();
            made.keys.push((entry, unknown));
            made.parts.push(encode(&entering, crossing.surprises.as_ref(), codec));
            self.encoded += 1;
            made.parts.len() - 1
        })
    }
}

impl LogReader<'_> {
    /// The cell's part of `tick` for someone who did not know the rows of the `unknown` neighbours; `None` if empty.
    #[inline]
    pub(crate) fn part(&mut self, cell: CellId, tick: Tick, unknown: Directions, codec: &Codec) -> Option<Part> {
        let newest = self.logs.newest[usize::from(cell.0)];
        if newest.tick < tick {
            return None;
        }
        if newest.tick > tick {
            let entries = &self.logs.ticks[slot(tick)].entries;
            let at = entries.binary_search_by_key(&cell, |entry| entry.cell).ok()?;
            return self.part_of(tick, at, unknown, codec);
        }
        match newest.len {
            _ if newest.directions & unknown != 0 => self.part_of(tick, newest.entry.into(), unknown, codec),
            0 => None,
            LONG => self.part_of(tick, newest.entry.into(), 0, codec),
            _ => Some(Part::Newest(cell)),
        }
    }

    /// The part of an entry, the one for those who do not know some of its directions among them.
    fn part_of(&mut self, tick: Tick, at: usize, unknown: Directions, codec: &Codec) -> Option<Part> {
        let log = &self.logs.ticks[slot(tick)];
        debug_assert_eq!(log.tick, tick, "frames ask for no tick that is forgotten");
        let entry = &log.entries[at];
        let unknown = unknown & entry.directions;
        let other = match &entry.crossing {
            Some(crossing) if unknown != 0 => Some(self.on_demand.crossing(tick, at as u32, unknown, crossing, codec)),
            _ if entry.shared.bit_len() > 0 => None,
            _ => return None,
        };
        Some(Part::Entry { tick, entry: at, other })
    }

    /// Appends a part.
    #[inline]
    pub(crate) fn put(&self, part: Part, bits: &mut BitWriter) {
        match part {
            Part::Newest(cell) => {
                let newest = &self.logs.newest[usize::from(cell.0)];
                bits.put_word(newest.bits, u32::from(newest.len));
            }
            Part::Entry { tick, entry, other } => bits.append(self.bits(tick, entry, other)),
        }
    }

    /// Bits of a part.
    pub(crate) fn len(&self, part: Part) -> usize {
        match part {
            Part::Newest(cell) => usize::from(self.logs.newest[usize::from(cell.0)].len),
            Part::Entry { tick, entry, other } => self.bits(tick, entry, other).bit_len(),
        }
    }

    fn bits(&self, tick: Tick, entry: usize, other: Option<usize>) -> &Bits {
        match other {
            Some(other) => &self.on_demand.crossings[slot(tick)].parts[other],
            None => &self.logs.ticks[slot(tick)].entries[entry].shared,
        }
    }

    /// The whole cell as it is at `tick`, the newest; `rows` are its rows.
    pub(crate) fn whole(&mut self, cell: CellId, tick: Tick, rows: &[Row], codec: &Codec) -> &Bits {
        let whole = &mut self.on_demand.wholes[usize::from(cell.0)];
        if whole.as_ref().is_none_or(|(at, _)| *at != tick) {
            let mut bits = BitWriter::new();
            codec::put_rows(&mut bits, rows.iter(), codec);
            self.on_demand.encoded += 1;
            *whole = Some((tick, bits.finish()));
        }
        &whole.as_ref().expect("it was just made").1
    }
}

fn encode(entering: &[&Row], surprises: Option<&Surprises>, codec: &Codec) -> Bits {
    let mut bits = BitWriter::new();
    codec::put_part(&mut bits, entering, surprises, codec);
    bits.finish()
}
