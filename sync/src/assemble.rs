//! Joins shared parts into the body of a frame.
//!
//! Path: `Room::frame_for` names what the session has (`from`) and what it looks at (`eye`); sessions with the same two
//! share one body, so that a frame costs a header and a copy.
//! Invariants: a cell is continued tick by tick when the client held it at `from`, else it comes whole; a continued
//! cell's part includes in full every row that entered from a cell that is not continued. Layout: `SPEC.md` §4.

use crate::{
    log::{Directions, Logs},
    rows,
};
use bytes::Bytes;
use game::{field::CellId, row::Row, rules::Rules};
use protocol::{Tick, bits::BitWriter};
use std::collections::BTreeMap;

/// The shared part of a frame.
#[derive(Debug, Clone)]
pub(crate) struct Body {
    pub(crate) bytes: Bytes,
    /// Over all held cells, folded.
    pub(crate) checksum: u16,
    /// Whether a bitmap of whole cells leads the bytes.
    pub(crate) has_whole: bool,
}

/// The room as it is after a tick.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Now<'a> {
    pub(crate) tick: Tick,
    pub(crate) rules: &'a Rules,
    /// All rows in canonical order.
    pub(crate) rows: &'a [Row],
    /// Checksums by cell.
    pub(crate) sums: &'a [u64],
}

/// What a client has and what it shall see.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    /// Tick and eye of the last frame the client can be continued from.
    pub(crate) from: Option<(Tick, CellId)>,
    /// The client holds something that cannot be continued, and must be told so.
    pub(crate) is_anew: bool,
    pub(crate) eye: CellId,
    /// Held cells that must come whole all the same.
    pub(crate) lost: &'a [CellId],
}

/// Remembers the bodies of the current tick.
#[derive(Debug, Default)]
pub(crate) struct Assembly {
    bodies: BTreeMap<Key, Body>,
}

/// What decides a body: `from`, `is_anew` and `eye` of [`Wanted`].
type Key = (Option<(Tick, CellId)>, bool, CellId);

impl Assembly {
    /// Forgets the last tick's bodies.
    pub(crate) fn begin_tick(&mut self) {
        self.bodies.clear();
    }

    /// The body for a session, assembled at most once a tick for all that want the same.
    pub(crate) fn body(&mut self, logs: &mut Logs, now: Now<'_>, wanted: Wanted<'_>) -> Body {
        if !wanted.lost.is_empty() {
            return assemble(logs, now, wanted);
        }
        let key = (wanted.from, wanted.is_anew, wanted.eye);
        self.bodies.entry(key).or_insert_with(|| assemble(logs, now, wanted)).clone()
    }
}

fn assemble(logs: &mut Logs, now: Now<'_>, wanted: Wanted<'_>) -> Body {
    let held = wanted.eye.interest(now.rules);
    let (since, had) = wanted.from.map_or((now.tick, Vec::new()), |(since, eye)| (since, eye.interest(now.rules)));
    let is_continued = |cell: &CellId| had.binary_search(cell).is_ok() && !wanted.lost.contains(cell);
    let mut continued: Vec<CellId> = held.iter().copied().filter(is_continued).collect();
    let possible = continued.len();
    if now.tick > since + 1 {
        drop_dearer_than_whole(logs, now, since, &mut continued);
    }
    let is_whole = |cell: &CellId| continued.binary_search(cell).is_err();
    let has_whole = wanted.is_anew || !wanted.lost.is_empty() || continued.len() < possible;

    let mut bytes = Vec::new();
    if has_whole {
        put_bitmap(&mut bytes, held.iter().map(is_whole));
    }
    let unknown: Vec<Directions> = continued.iter().map(|cell| unknown_around(*cell, &continued, now.rules)).collect();
    for tick in since + 1..=now.tick {
        let cells = continued.iter().zip(&unknown);
        let parts: Vec<Option<Bytes>> = cells.map(|(cell, unknown)| logs.part(*cell, tick, *unknown)).collect();
        put_bitmap(&mut bytes, parts.iter().map(Option::is_some));
        parts.iter().flatten().for_each(|part| bytes.extend_from_slice(part));
    }
    for cell in held.iter().filter(|cell| is_whole(cell)) {
        bytes.extend_from_slice(&logs.whole(*cell, now.tick, &now.rows[rows::range_of(now.rows, *cell)]));
    }
    let sum = held.iter().fold(0u64, |sum, cell| sum.wrapping_add(now.sums[usize::from(cell.0)]));
    Body { bytes: Bytes::from(bytes), checksum: rows::fold(sum), has_whole }
}

/// After a longer gap a cell's suffix can be longer than the cell itself: then the cell comes whole.
fn drop_dearer_than_whole(logs: &mut Logs, now: Now<'_>, since: Tick, continued: &mut Vec<CellId>) {
    let all = continued.clone();
    continued.retain(|cell| {
        let unknown = unknown_around(*cell, &all, now.rules);
        let suffix: usize =
            (since + 1..=now.tick).filter_map(|tick| logs.part(*cell, tick, unknown)).map(|p| p.len()).sum();
        suffix <= logs.whole(*cell, now.tick, &now.rows[rows::range_of(now.rows, *cell)]).len()
    });
}

/// The neighbours of `cell` that are not among `known`.
fn unknown_around(cell: CellId, known: &[CellId], rules: &Rules) -> Directions {
    (0..8)
        .filter(|direction| {
            cell.neighbour(*direction, rules).is_some_and(|neighbour| known.binary_search(&neighbour).is_err())
        })
        .fold(0, |set, direction| set | 1 << direction)
}

/// One bit a flag, padded to a byte.
fn put_bitmap(bytes: &mut Vec<u8>, flags: impl Iterator<Item = bool>) {
    let mut bits = BitWriter::new();
    flags.for_each(|flag| bits.put_bit(flag));
    bytes.extend(bits.into_bytes());
}
