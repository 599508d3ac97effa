//! What tick thread and worker share of one socket: whether its last frame has left.
//!
//! Path: a worker opens a gate for a new socket ([`Gates::open`]) and the room gets a copy with the hello → the worker
//! notes what the kernel has taken, the tick thread looks before it assembles the next frame.
//! Invariant: at most one frame of a socket is ever on its way: `since` ages instead of memory growing.
//! Why in rows: both threads touch all gates on every tick. Each cache line that goes from one core to the other costs the
//! tick thread about as much as a frame does, so sockets in neighbouring slots share one.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

/// Gates that fill a cache line.
const ROW_COUNT: usize = 16;

/// Frames that went all the way into the kernel, per socket.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Row([AtomicU32; ROW_COUNT]);

/// One socket's. By default, one that nobody else has.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gate {
    row: Arc<Row>,
    at: usize,
}

/// All gates of a worker, by slot.
#[derive(Debug, Default)]
pub(crate) struct Gates(Vec<Arc<Row>>);

impl Gates {
    /// The gate of a new socket: nothing was handed to it. The slot's last socket is gone, whoever still holds its gate.
    pub(crate) fn open(&mut self, slot: usize) -> Gate {
        let (row, at) = (slot / ROW_COUNT, slot % ROW_COUNT);
        self.0.resize_with(self.0.len().max(row + 1), Arc::default);
        let gate = Gate { row: Arc::clone(&self.0[row]), at };
        gate.note_flushed(0);
        gate
    }
}

impl Gate {
    /// Frames that have left so far; written by the worker.
    pub(crate) fn frames_flushed(&self) -> u32 {
        self.row.0[self.at].load(Ordering::Acquire)
    }

    /// The kernel has taken so many frames.
    pub(crate) fn note_flushed(&self, frames: u32) {
        self.row.0[self.at].store(frames, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_slot_has_a_gate_of_its_own() {
        let mut gates = Gates::default();
        let all: Vec<_> = (0..40).map(|slot| gates.open(slot)).collect();
        let room: Vec<_> = all.clone();
        (0..).zip(&all).for_each(|(frames, gate)| gate.note_flushed(frames));
        assert!(room.iter().map(Gate::frames_flushed).eq(0..40));
        assert_eq!(gates.open(17).frames_flushed(), 0, "a new socket begins anew");
        assert_eq!(room[18].frames_flushed(), 18);
    }
}
