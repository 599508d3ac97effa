//! What the parts of this measurement have in common: how many play, by which seed, over what network.

use session::sim::LinkConditions;

pub(super) const PLAYERS: usize = 16;
pub(super) const SEED: u64 = 7;
/// Length of a stall.
pub(super) const STALL_MS: f64 = 2000.0;

/// The network between every player and the room.
#[derive(Debug, Clone, Copy)]
pub(super) struct LinkProfile {
    pub(super) name: &'static str,
    pub(super) rtt_ms: f64,
    pub(super) jitter_ms: f64,
    pub(super) has_stalls: bool,
}

impl LinkProfile {
    pub(super) fn conditions(self) -> LinkConditions {
        LinkConditions { one_way_ms: self.rtt_ms / 2.0, jitter_ms: self.jitter_ms }
    }
}

/// One without stalls.
pub(super) const fn link(name: &'static str, rtt_ms: f64, jitter_ms: f64) -> LinkProfile {
    LinkProfile { name, rtt_ms, jitter_ms, has_stalls: false }
}
