//! What other threads hold of a room: its queue of events, and the few facts the lobby asks for.
//!
//! Path: an I/O worker `try_send`s an event, the tick thread drains it before its next tick.
//! Invariants: sending never blocks a thread; a full queue delays the socket that sends (TCP slows its peer) and nobody
//! else; what happened on one socket arrives in order.
//! Why tokio's queue: the tick thread goes before the workers, so it must never spin for one that was stopped in the middle
//! of sending. This one sleeps until that is done; crossbeam's spins.

use crate::gate::Gate;
use protocol::message::{ClientPacket, Hello};
use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};
use sync::governor::Budget;
use tokio::sync::mpsc;

/// Events waiting for a tick. Policy: a worker that finds the queue full stops reading that socket and tries again.
const EVENTS_MAX_COUNT: usize = 8192;

/// One socket of this process: where it is, and a number that its place will not have again for 2^32 sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SocketId {
    /// Of the worker that owns it.
    pub(crate) worker: u8,
    /// Its place there.
    pub(crate) slot: u32,
    pub(crate) number: u32,
}

/// What the I/O workers (and the server, once) tell a room.
#[derive(Debug)]
pub(crate) enum Event {
    /// A socket said hello.
    Join(Box<Join>),
    /// A socket that joined said something.
    Packet(SocketId, ClientPacket),
    /// A socket ended, or is being closed by its worker.
    Gone(SocketId),
    /// From now on a tick may cost this.
    Budget(Budget),
    /// The process is stopping: close everybody and end the thread.
    Stop,
    /// Stands for a bug of ours in tests.
    #[cfg(test)]
    Fault,
}

/// A socket that wants in.
#[derive(Debug)]
pub(crate) struct Join {
    pub(crate) socket: SocketId,
    pub(crate) gate: Gate,
    pub(crate) hello: Hello,
    /// Its ticket was good and unused.
    pub(crate) admitted: bool,
}

/// Occupancy as of the last tick.
#[derive(Debug, Default)]
pub(crate) struct RoomFacts {
    pub(crate) players: AtomicU32,
    pub(crate) pilots: AtomicU32,
    pub(crate) capacity: AtomicU32,
    pub(crate) tick: AtomicU32,
}

/// A running room as everybody else sees it.
#[derive(Debug, Clone)]
pub(crate) struct RoomHandle {
    pub(crate) name: &'static str,
    pub(crate) facts: Arc<RoomFacts>,
    pub(crate) events: mpsc::Sender<Event>,
}

impl RoomHandle {
    /// A handle, and what the tick thread needs of it.
    pub(crate) fn new(name: &'static str) -> (Self, mpsc::Receiver<Event>) {
        let (sender, receiver) = mpsc::channel(EVENTS_MAX_COUNT);
        (Self { name, facts: Arc::default(), events: sender }, receiver)
    }

    /// Tells the room, as soon as its queue has a place.
    pub(crate) async fn tell(&self, event: Event) {
        // A room that has ended has nothing left to do.
        let _ = self.events.send(event).await;
    }
}

impl RoomFacts {
    /// Written by the tick thread.
    pub(crate) fn publish(&self, stats: &sync::RoomStats, capacity: u32) {
        self.players.store(stats.players, Ordering::Relaxed);
        self.pilots.store(stats.pilots, Ordering::Relaxed);
        self.capacity.store(capacity, Ordering::Relaxed);
        self.tick.store(stats.tick, Ordering::Relaxed);
    }
}
