//! Assembles the body of a frame from shared parts, once for all who look from the same viewpoint.
//!
//! Path: `room/frames.rs` names what the member has (`from`) and what it looks at (`viewpoint`); members with the same two
//! share one body, so that a frame costs a header and a copy.
//! Invariants: a cell is continued tick by tick when the client held it at `from`, else it comes whole; a continued
//! cell's part includes in full every row that entered from a cell that is not continued. Parts are joined bit by bit,
//! without padding. Layout: SPEC A7.

use crate::{
    rows::cell_log::{Directions, LogReader, Logs, OnDemand, Part},
    rows::code_tables::Choice,
    rows::codec::{Codec, put_by},
    rows::interest::{Viewpoint, unknown_around},
    rows::step,
};
use game::schema::{CellId, Row};
use protocol::{Tick, bits::BitWriter};
use std::ops::Range;

/// Bits of [`Choice::Density`] as a value.
pub(crate) const DENSITY_BITS: u32 = 2;
/// Bits of a gap between cells, counted from [`NO_MORE`].
pub(crate) const CELL_GAP_BITS: u32 = 7;
/// Instead of a gap: no other cell has a part.
pub(crate) const NO_MORE: i32 = -1;
/// What a whole cell costs besides itself: a bit for each held cell, a row in full for each that left it for a cell next to
/// it, and that its rows are not there in the ticks between, when they could be shown.
const WHOLE_BESIDES_BITS: usize = 128;

/// Tick and viewpoint of the last frame that a client can be continued from.
type From = Option<(Tick, Viewpoint)>;

/// The shared part of a frame.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Body<'a> {
    pub(crate) bytes: &'a [u8],
    /// Over all held cells, folded.
    pub(crate) checksum: u16,
    /// Whether a bitmap of whole cells leads the bytes.
    pub(crate) has_whole: bool,
}

/// A body of this tick.
#[derive(Debug)]
struct Made {
    from: From,
    viewpoint: Viewpoint,
    checksum: u16,
    has_whole: bool,
    /// Where its bytes are among all bodies'.
    bytes: Range<usize>,
    /// The body made before for a viewpoint in the same cell.
    before: Option<u32>,
}

/// The room as it is after a tick.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Now<'a> {
    pub(crate) tick: Tick,
    pub(crate) codec: &'a Codec,
    /// All rows in canonical order.
    pub(crate) rows: &'a [Row],
    /// Where each cell's begin, and the end.
    pub(crate) starts: &'a [u32],
    /// Checksums by cell.
    pub(crate) sums: &'a [u64],
}

impl<'a> Now<'a> {
    fn rows_of(self, cell: CellId) -> &'a [Row] {
        let index = usize::from(cell.0);
        &self.rows[self.starts[index] as usize..self.starts[index + 1] as usize]
    }
}

/// What a client has and what it shall see.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) from: From,
    pub(crate) viewpoint: Viewpoint,
    /// Held cells that must come whole all the same.
    pub(crate) lost: &'a [CellId],
}

/// Remembers the bodies of the current tick, of one of those who assemble frames. They lie one behind the other,
/// so that those of a tick fit a near cache whoever asks for them.
#[derive(Debug)]
pub(crate) struct Assembly {
    bodies: Vec<Made>,
    bytes: Vec<u8>,
    /// By the viewpoint's cell its newest body; few share one, so the chains are short.
    newest: Vec<Option<u32>>,
    /// The parts of the tick at hand, kept for its memory.
    parts: Vec<(usize, Part)>,
    on_demand: OnDemand,
}

impl Assembly {
    /// For a room with cells 0 .. `count`.
    pub(crate) fn new(count: usize) -> Self {
        Self {
            bodies: Vec::new(),
            bytes: Vec::new(),
            newest: vec![None; count],
            parts: Vec::new(),
            on_demand: OnDemand::new(count),
        }
    }

    /// Chunks and whole cells encoded on demand so far.
    pub(crate) fn encoded(&self) -> u64 {
        self.on_demand.encoded
    }

    /// Forgets the last tick's bodies.
    pub(crate) fn begin_tick(&mut self) {
        for body in self.bodies.drain(..) {
            self.newest[usize::from(body.viewpoint.cell.0)] = None;
        }
        self.bytes.clear();
    }

    /// The body for a session, assembled at most once a tick for all that want the same.
    pub(crate) fn body(&mut self, logs: &Logs, now: Now<'_>, wanted: Wanted<'_>) -> Body<'_> {
        let known = if wanted.lost.is_empty() { self.find(wanted) } else { None };
        let at = known.unwrap_or_else(|| self.make(logs, now, wanted));
        let Made { checksum, has_whole, ref bytes, .. } = self.bodies[at as usize];
        Body { bytes: &self.bytes[bytes.clone()], checksum, has_whole }
    }

    fn find(&self, wanted: Wanted<'_>) -> Option<u32> {
        let mut next = self.newest[usize::from(wanted.viewpoint.cell.0)];
        while let Some(at) = next {
            let body = &self.bodies[at as usize];
            if (body.from, body.viewpoint) == (wanted.from, wanted.viewpoint) {
                return Some(at);
            }
            next = body.before;
        }
        None
    }

    fn make(&mut self, logs: &Logs, now: Now<'_>, wanted: Wanted<'_>) -> u32 {
        let Self { bodies, bytes, newest, parts, on_demand } = self;
        let logs = &mut LogReader { logs, on_demand };
        let start = bytes.len();
        let mut bits = BitWriter::behind(std::mem::take(bytes));
        let has_whole = assemble(&mut bits, parts, logs, now, wanted);
        *bytes = bits.into_bytes();
        let held = wanted.viewpoint.area(now.codec.grid).cells();
        let sum = held.fold(0u64, |sum, cell| sum.wrapping_add(now.sums[usize::from(cell.0)]));
        let newest = &mut newest[usize::from(wanted.viewpoint.cell.0)];
        let (from, viewpoint, checksum) = (wanted.from, wanted.viewpoint, step::fold(sum));
        let at = bodies.len() as u32;
        bodies.push(Made { from, viewpoint, checksum, has_whole, bytes: start..bytes.len(), before: *newest });
        if wanted.lost.is_empty() {
            *newest = Some(at);
        }
        at
    }
}

/// Which of the held cells are continued, and what those do not know around them.
struct Continued {
    cells: Vec<CellId>,
    unknown: Vec<Directions>,
    has_whole: bool,
}

/// Appends a body. Returns whether the bitmap of whole cells leads.
fn assemble(
    bits: &mut BitWriter,
    parts: &mut Vec<(usize, Part)>,
    logs: &mut LogReader<'_>,
    now: Now<'_>,
    wanted: Wanted<'_>,
) -> bool {
    let is_steady = wanted.lost.is_empty() && wanted.from == Some((now.tick - 1, wanted.viewpoint));
    if !is_steady {
        return put_continued(bits, parts, logs, now, wanted);
    }
    let mut count = 0;
    wanted.viewpoint.area(now.codec.grid).for_each(|cell, unknown| {
        if let Some(part) = logs.part(cell, now.tick, unknown, now.codec) {
            parts.push((count, part));
        }
        count += 1;
    });
    put_parts(bits, parts, logs, now.codec, count);
    false
}

/// The general case: several ticks, cells that come whole.
fn put_continued(
    bits: &mut BitWriter,
    parts: &mut Vec<(usize, Part)>,
    logs: &mut LogReader<'_>,
    now: Now<'_>,
    wanted: Wanted<'_>,
) -> bool {
    let continued = continued(logs, now, wanted);
    let held = wanted.viewpoint.interest(now.codec.grid);
    let is_whole = |cell: &CellId| continued.cells.binary_search(cell).is_err();
    if continued.has_whole {
        held.iter().for_each(|cell| bits.put_bit(is_whole(cell)));
    }
    let since = wanted.from.map_or(now.tick, |(since, _)| since);
    for tick in since + 1..=now.tick {
        let each = continued.cells.iter().zip(&continued.unknown).enumerate();
        parts.extend(each.filter_map(|(at, (cell, unknown))| Some((at, logs.part(*cell, tick, *unknown, now.codec)?))));
        put_parts(bits, parts, logs, now.codec, continued.cells.len());
    }
    for cell in held.iter().filter(|cell| is_whole(cell)) {
        bits.append(logs.whole(*cell, now.tick, now.rows_of(*cell), now.codec));
    }
    continued.has_whole
}

fn continued(logs: &mut LogReader<'_>, now: Now<'_>, wanted: Wanted<'_>) -> Continued {
    let Some((since, viewpoint)) = wanted.from else {
        return Continued { cells: Vec::new(), unknown: Vec::new(), has_whole: false };
    };
    let (mut cells, mut unknown) = (Vec::new(), Vec::new());
    wanted.viewpoint.area(now.codec.grid).and(viewpoint.area(now.codec.grid)).for_each(|cell, around| {
        cells.push(cell);
        unknown.push(around);
    });
    let possible = cells.len();
    cells.retain(|cell| !wanted.lost.contains(cell));
    if now.tick > since + 1 {
        drop_dearer_than_whole(logs, now, since, &mut cells);
    }
    let has_whole = cells.len() < possible;
    if has_whole {
        unknown = cells.iter().map(|cell| unknown_around(*cell, &cells, now.codec.grid)).collect();
    }
    Continued { cells, unknown, has_whole }
}

/// Appends the parts of one tick, each with its place among the `count` cells: how many cells have one, then each with its
/// distance from the one before.
fn put_parts(bits: &mut BitWriter, parts: &mut Vec<(usize, Part)>, logs: &LogReader<'_>, codec: &Codec, count: usize) {
    let density = density(parts.len(), count);
    codec.put_choice(bits, Choice::Density, density, 0, DENSITY_BITS);
    if density == 0 {
        return;
    }
    let gaps = codec.tables.table(Choice::CellGap(density as u8 - 1));
    let mut next = 0;
    for (at, part) in parts.drain(..) {
        put_by(bits, gaps, (at - next) as i32, NO_MORE, CELL_GAP_BITS);
        logs.put(part, bits);
        next = at + 1;
    }
    if next < count {
        put_by(bits, gaps, NO_MORE, NO_MORE, CELL_GAP_BITS);
    }
}

/// 0: no part; 1: fewer than a quarter of the cells have one; 2: more.
fn density(parts: usize, cells: usize) -> i32 {
    match parts {
        0 => 0,
        few if few * 4 < cells => 1,
        _ => 2,
    }
}

/// After a longer gap a cell's suffix can be longer than the cell itself: then the cell comes whole.
fn drop_dearer_than_whole(logs: &mut LogReader<'_>, now: Now<'_>, since: Tick, continued: &mut Vec<CellId>) {
    let all = continued.clone();
    continued.retain(|cell| {
        let unknown = unknown_around(*cell, &all, now.codec.grid);
        let mut suffix = 0;
        for tick in since + 1..=now.tick {
            let part = logs.part(*cell, tick, unknown, now.codec);
            suffix += part.map_or(0, |part| logs.len(part) + 1);
        }
        suffix <= WHOLE_BESIDES_BITS + logs.whole(*cell, now.tick, now.rows_of(*cell), now.codec).bit_len()
    });
}
