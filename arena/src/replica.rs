//! The replica: a client's copy of the rows it holds, stepped by the room's rules and corrected by frames.
//!
//! Path: [`Replica::apply`] reads a frame; how is `rows::replica`'s.
//! Invariants: after a good frame every held cell equals the room's; after an error the replica is void and must begin anew.
//! Never: trusts a byte; knows a socket or a clock.

use crate::{
    CodeTables, codec,
    rows::{
        code_stats::CodeStats,
        replica::{Applied, RowReplica},
    },
};
use game::{
    PLANE, PilotId,
    rules::Rules,
    schema::{CellId, Row},
    step_row,
};
use protocol::{DecodeError, Tick};
use std::sync::Arc;

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

    /// Applies a frame; `on_tick` sees the rows after every tick it covers, and the cells that were held through it.
    ///
    /// # Errors
    /// [`DecodeError`]; the replica is void then.
    pub fn apply(
        &mut self,
        bytes: &[u8],
        on_tick: impl FnMut(Tick, &[Row], &[CellId]),
    ) -> Result<Applied, DecodeError> {
        let rules = &self.rules;
        self.rows.apply(bytes, None, |row, next| step_row(row, rules, next), on_tick)
    }

    /// The same, and counts which way every choice of the coder fell.
    ///
    /// # Errors
    /// As [`Replica::apply`].
    pub fn apply_counting(&mut self, bytes: &[u8], stats: &mut CodeStats) -> Result<Applied, DecodeError> {
        let rules = &self.rules;
        self.rows.apply(bytes, Some(stats), |row, next| step_row(row, rules, next), |_, _, _| {})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Found by the fuzzer when frames told the low bits of a tick: it pointed below 0.
    #[test]
    fn a_frame_from_before_the_beginning_is_refused() {
        let mut replica = Replica::starting_at(crate::code_tables(), Rules::default(), PilotId(1), 0);
        let bytes = [0x80 | 32, 0, 0, 64, 0, 0, 0];
        assert!(replica.apply(&bytes, |_, _, _| {}).is_err());
    }
}
