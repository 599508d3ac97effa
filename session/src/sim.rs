//! For simulations of whole rooms: a network link in virtual time, and somewhere for frames to go.
//!
//! Like TCP, a link loses and reorders nothing, and may delay everything.
//!
//! Path: a simulation sends each message into a [`Link`] per direction → [`Link::receive`] gives it once its time has
//! come, behind all that was sent before it. For tests and measurements of whole rooms; no program that serves uses it.
//! Invariant: same seed, same lateness. Never: a clock, a socket.

use crate::engine::{ConnectionId, FrameSink};
use std::collections::{BTreeSet, VecDeque};

/// How long a link takes.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct LinkConditions {
    /// Each message takes at least this long.
    pub one_way_ms: f64,
    /// And up to this much longer, all lengths alike often.
    pub jitter_ms: f64,
}

/// One direction of a link.
#[derive(Debug, Clone, Default)]
pub struct Link {
    /// When each message is due, and its bytes, in the order they were sent.
    on_the_way: VecDeque<(f64, Vec<u8>)>,
    stalled_until_ms: f64,
}

impl Link {
    /// Sends at `now_ms`; `chance` (0..1) says how much of the jitter it meets.
    pub fn send(&mut self, bytes: Vec<u8>, conditions: LinkConditions, chance: f64, now_ms: f64) {
        let earliest = self.on_the_way.back().map_or(0.0, |(due, _)| *due);
        let due = now_ms + conditions.one_way_ms + conditions.jitter_ms * chance;
        self.on_the_way.push_back((due.max(earliest), bytes));
    }

    /// Nothing arrives before that moment: a stall delays everything behind it.
    pub fn stall(&mut self, until_ms: f64) {
        self.stalled_until_ms = self.stalled_until_ms.max(until_ms);
    }

    /// Messages that have not been received.
    pub fn unread(&self) -> usize {
        self.on_the_way.len()
    }

    /// The next message that has arrived.
    pub fn receive(&mut self, now_ms: f64) -> Option<Vec<u8>> {
        let is_stalled = now_ms < self.stalled_until_ms;
        self.on_the_way.pop_front_if(|(due, _)| !is_stalled && *due <= now_ms).map(|(_, bytes)| bytes)
    }
}

/// Random numbers from a seed alone (SplitMix64's finaliser over a counter).
#[derive(Debug, Clone, Copy)]
pub struct Rng {
    seed: u64,
    draws: u64,
}

impl Rng {
    /// The first draw is the seed's first.
    pub fn new(seed: u64) -> Self {
        Self { seed, draws: 0 }
    }

    /// A number below `below`.
    pub fn draw(&mut self, below: u64) -> u64 {
        self.draws += 1;
        let mut x = self.seed.wrapping_add(self.draws.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (x ^ x >> 31) % below
    }

    /// A number from 0 to 1.
    pub fn share(&mut self) -> f64 {
        self.draw(1000) as f64 / 1000.0
    }
}

/// The name of a connection that a simulation calls by a number.
pub fn connection(number: u32) -> ConnectionId {
    ConnectionId { shard: 0, slot: number, number }
}

/// Where an engine's frames go in a simulation: they are kept, in the order they came.
#[derive(Debug, Clone, Default)]
pub struct Outbox {
    /// Each frame, and whom it is for.
    pub frames: Vec<(ConnectionId, Vec<u8>)>,
    /// Connections that can take none.
    pub blocked: BTreeSet<ConnectionId>,
}

impl FrameSink for Outbox {
    fn can_take(&mut self, to: ConnectionId) -> bool {
        !self.blocked.contains(&to)
    }

    fn put(&mut self, to: ConnectionId, write: &mut dyn FnMut(&mut Vec<u8>)) {
        let mut frame = Vec::new();
        write(&mut frame);
        self.frames.push((to, frame));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_overtakes_and_a_stall_delays_all_behind_it() {
        let (mut link, conditions) = (Link::default(), LinkConditions { one_way_ms: 10.0, jitter_ms: 20.0 });
        link.send(vec![1], conditions, 1.0, 0.0);
        link.send(vec![2], conditions, 0.0, 1.0);
        assert_eq!(link.receive(29.0), None, "the second waits for the first");
        link.stall(50.0);
        assert_eq!(link.receive(49.0), None);
        assert_eq!([link.receive(50.0), link.receive(50.0)], [Some(vec![1]), Some(vec![2])]);
    }
}
