//! The replica: a client's copy of the rows it holds, stepped by the room's rules and corrected by frames.
//!
//! Path: [`Replica::apply`] reads a frame; how is `rows::replica`'s.
//! Invariants: after a good frame every held cell equals the room's; after an error the replica is void and must begin anew.
//! Never: trusts a byte; knows a socket or a clock.

use crate::{
    CodeTables, codec,
    rows::{
        code_stats::CodeStats,
        replica::{BodyHead, RowReplica},
    },
    wire::Header,
};
use game::{
    PLANE, PilotId,
    rules::Rules,
    schema::{CellId, Row},
    step_row,
};
use protocol::{
    DecodeError, Tick,
    bits::BitReader,
    frame::{Entries, decode_entries},
    limits::FRAME_MAX_BYTES,
};
use std::sync::Arc;

/// What a frame brought besides rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// The frame's header.
    pub header: Header,
    /// Whether the held cells have the room's checksum.
    pub is_true: bool,
    /// Cells whose own checksum differs, if the frame had those.
    pub wrong_cells: Vec<u16>,
    /// What the frame told of the room's log, if it did.
    pub entries: Option<Entries>,
}

/// See the module.
#[derive(Debug, Clone)]
pub struct Replica {
    rules: Rules,
    pilot: PilotId,
    rows: RowReplica,
}

impl Replica {
    /// A replica that holds nothing yet, for a room whose clock is at `tick`: frames tell only the low bits of theirs.
    pub fn starting_at(tables: Arc<CodeTables>, rules: Rules, pilot: PilotId, tick: Tick) -> Self {
        let rows = RowReplica::new(codec(tables, rules.motion.grid), (PLANE, pilot.0.into()), tick);
        Self { rules, pilot, rows }
    }

    /// Whose it is.
    pub fn pilot(&self) -> PilotId {
        self.pilot
    }

    /// The last tick applied, 0 before the first frame.
    pub fn tick(&self) -> Tick {
        self.rows.tick()
    }

    /// The room's rules.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// All rows of the held cells, in canonical order.
    pub fn rows(&self) -> &[Row] {
        self.rows.rows()
    }

    /// The cells held, ascending.
    pub fn held(&self) -> &[CellId] {
        self.rows.held()
    }

    /// Applies a frame; `have_entry` is the number of the last log entry that came before, `on_tick` sees the rows after
    /// every tick that the frame covers, and the cells that were held through it.
    ///
    /// # Errors
    /// [`DecodeError`]; the replica is void then.
    pub fn apply(
        &mut self,
        bytes: &[u8],
        have_entry: u32,
        on_tick: impl FnMut(Tick, &[Row], &[CellId]),
    ) -> Result<Applied, DecodeError> {
        self.apply_with(bytes, have_entry, None, on_tick)
    }

    /// The same, and counts which way every choice of the coder fell.
    ///
    /// # Errors
    /// As [`Replica::apply`].
    pub fn apply_counting(
        &mut self,
        bytes: &[u8],
        have_entry: u32,
        stats: &mut CodeStats,
    ) -> Result<Applied, DecodeError> {
        self.apply_with(bytes, have_entry, Some(stats), |_, _, _| {})
    }

    fn apply_with(
        &mut self,
        bytes: &[u8],
        have_entry: u32,
        stats: Option<&mut CodeStats>,
        on_tick: impl FnMut(Tick, &[Row], &[CellId]),
    ) -> Result<Applied, DecodeError> {
        if bytes.len() > FRAME_MAX_BYTES {
            return Err(DecodeError::TooLong);
        }
        let mut reader = BitReader::new(bytes);
        let header = Header::decode(&mut reader, self.rows.tick())?;
        let Header { tick, span, checksum, viewpoint, has_whole, has_sums, .. } = header;
        let head = BodyHead { tick, span, checksum, viewpoint, has_whole, has_sums };
        let rules = &self.rules;
        let checked = self.rows.apply(&mut reader, head, stats, |row, next| step_row(row, rules, next), on_tick)?;
        let entries = if header.has_entries { Some(decode_entries(&mut reader, have_entry)?) } else { None };
        if !reader.rest().is_empty() {
            return Err(DecodeError::TrailingBytes);
        }
        Ok(Applied { header, is_true: checked.is_true, wrong_cells: checked.wrong_cells, entries })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Found by the fuzzer when frames told the low bits of a tick: it pointed below 0.
    #[test]
    fn a_frame_from_before_the_beginning_is_refused() {
        let mut replica = Replica::starting_at(crate::code_tables(), Rules::default(), PilotId(1), 0);
        let bytes = [0x80 | 32, 64, 0, 0, 0, 0, 0];
        assert!(replica.apply(&bytes, 0, |_, _, _| {}).is_err());
    }
}
