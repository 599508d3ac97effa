//! What pilots want at ticks to come.
//!
//! Path: a session's inputs are filed under the tick they take effect at → `Room::tick` takes out that tick's, and nobody
//! is asked who wants nothing. Invariants: in the order in which they came, so that the last word for a tick counts; a word
//! for an earlier tick voids what was wanted of later ones ([`Due::void`]).

use game::PilotId;
use protocol::{Tick, limits::INPUT_LEAD_MAX_TICKS};
use std::ops::RangeInclusive;

/// Ticks that can be filed under: all that an input may be ahead by, and one for a view, which counts from the tick after.
const SLOTS: u32 = 64;
const _: () = assert!(SLOTS > INPUT_LEAD_MAX_TICKS + 1);

/// What a pilot wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Want {
    /// Its controls, as bits.
    Controls(u16),
    /// Its bullets to meet others so far in the past, 16ths of a tick.
    View(u32),
}

/// See the module. A session adds at most one of each kind per tick and packet, and packets are limited where they come in.
#[derive(Debug)]
pub(crate) struct Due(Vec<Vec<(PilotId, Want)>>);

impl Due {
    /// Nobody wants anything.
    pub(crate) fn new() -> Self {
        Self(vec![Vec::new(); SLOTS as usize])
    }

    /// Files a want under a tick, which lies less than [`SLOTS`] ahead.
    pub(crate) fn put(&mut self, tick: Tick, pilot: PilotId, want: Want) {
        self.0[(tick % SLOTS) as usize].push((pilot, want));
    }

    /// What is wanted at `tick`, in the order in which it came.
    pub(crate) fn take(&mut self, tick: Tick) -> impl Iterator<Item = (PilotId, Want)> {
        self.0[(tick % SLOTS) as usize].drain(..)
    }

    /// What a pilot wanted at these ticks is void: its view, or else its controls.
    pub(crate) fn void(&mut self, ticks: RangeInclusive<Tick>, pilot: PilotId, is_view: bool) {
        for tick in ticks {
            let wants = &mut self.0[(tick % SLOTS) as usize];
            wants.retain(|(other, want)| *other != pilot || matches!(want, Want::View(_)) != is_view);
        }
    }

    /// A pilot wants nothing any more.
    pub(crate) fn forget(&mut self, pilot: PilotId) {
        self.0.iter_mut().for_each(|wants| wants.retain(|(other, _)| *other != pilot));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wants_come_at_their_tick_in_order_unless_forgotten() {
        let mut due = Due::new();
        let (one, other) = (PilotId(1), PilotId(2));
        due.put(10, one, Want::Controls(1));
        due.put(10, other, Want::Controls(2));
        due.put(10, one, Want::Controls(3));
        due.put(11, one, Want::View(4));
        assert_eq!(due.take(9).count(), 0);
        let wants: Vec<_> = due.take(10).collect();
        assert_eq!(wants, [(one, Want::Controls(1)), (other, Want::Controls(2)), (one, Want::Controls(3))]);
        due.forget(one);
        assert_eq!(due.take(11).count(), 0);
    }
}
