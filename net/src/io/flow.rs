//! Flow control: has a connection's last frame left for the kernel, so that the next is worth assembling?
//!
//! Path: a worker opens a counter for a new connection ([`FlowCounters::open`]) and the room gets a copy with the hello
//! → the worker notes what the kernel has taken, the tick thread looks before it assembles the next frame.
//! Invariant: at most one frame of a connection is ever on its way: `since` ages instead of memory growing.
//! Why in rows: both threads touch all counters on every tick. Each cache line that goes from one core to the other
//! costs the tick thread about as much as a frame does, so connections in neighbouring slots share one.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

/// Counters that fill a cache line.
const LINE_COUNT: usize = 16;

/// Frames that went all the way into the kernel, per connection.
#[derive(Debug, Default)]
#[repr(align(64))]
struct CacheLine([AtomicU32; LINE_COUNT]);

/// One connection's. By default, one that nobody else has.
#[derive(Debug, Clone, Default)]
pub(crate) struct FlowCounter {
    line: Arc<CacheLine>,
    at: usize,
}

/// All counters of a worker, by slot.
#[derive(Debug, Default)]
pub(crate) struct FlowCounters(Vec<Arc<CacheLine>>);

impl FlowCounters {
    /// The counter of a new connection: nothing was handed to it. The slot's last connection is gone, whoever still
    /// holds its counter.
    pub(crate) fn open(&mut self, slot: usize) -> FlowCounter {
        let (line, at) = (slot / LINE_COUNT, slot % LINE_COUNT);
        self.0.resize_with(self.0.len().max(line + 1), Arc::default);
        let flow = FlowCounter { line: Arc::clone(&self.0[line]), at };
        flow.note_flushed(0);
        flow
    }
}

impl FlowCounter {
    /// Frames that have left so far; written by the worker.
    pub(crate) fn frames_flushed(&self) -> u32 {
        self.line.0[self.at].load(Ordering::Acquire)
    }

    /// The kernel has taken so many frames.
    pub(crate) fn note_flushed(&self, frames: u32) {
        self.line.0[self.at].store(frames, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_slot_has_a_counter_of_its_own() {
        let mut flow_counters = FlowCounters::default();
        let all: Vec<_> = (0..40).map(|slot| flow_counters.open(slot)).collect();
        let room: Vec<_> = all.clone();
        (0..).zip(&all).for_each(|(frames, flow)| flow.note_flushed(frames));
        assert!(room.iter().map(FlowCounter::frames_flushed).eq(0..40));
        assert_eq!(flow_counters.open(17).frames_flushed(), 0, "a new socket begins anew");
        assert_eq!(room[18].frames_flushed(), 18);
    }
}
