//! What other threads hold of a room: its queue of events, and the few facts the lobby asks for.
//!
//! Path: a reading task [`RoomHandle::send`]s an event, the tick thread drains it before its next tick.
//! Invariants: sending never blocks a thread; a full queue delays the socket that sends (TCP slows its peer) and nobody
//! else; what happened on one socket arrives in order.

use crate::metrics::Metrics;
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use protocol::{
    close::CloseReason,
    message::{ClientPacket, Hello},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

/// Events waiting for a tick. Policy: a reading task that finds the queue full stops reading its socket and tries again.
pub(crate) const EVENTS_MAX_COUNT: usize = 8192;
/// Pause between two tries. Policy: delay.
const QUEUE_RETRY_MS: u64 = 4;
/// Longest time a reading task keeps trying. Policy: close with `RoomFailed`, the room is not ticking.
const QUEUE_WAIT_MAX_MS: u64 = 2_000;
/// The same for a socket's last event, without which its session would never end.
const QUEUE_WAIT_LAST_MAX_MS: u64 = 30_000;

/// One socket of this process; never used twice.
pub(crate) type SocketId = u64;

/// What reading tasks (and the server, once) tell a room.
#[derive(Debug)]
pub(crate) enum Event {
    /// A socket said hello; its sink is with a writer worker already.
    Join(Box<Join>),
    /// A socket that joined said something.
    Packet(SocketId, ClientPacket),
    /// A socket ended: its peer is gone (`None`), or it did something that closes it.
    Gone(SocketId, Option<CloseReason>),
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
    pub(crate) gate: Arc<Gate>,
    pub(crate) hello: Hello,
    /// Its ticket was good and unused.
    pub(crate) admitted: bool,
}

/// What tick thread, writer worker and reading task share of one socket.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    /// Frames that went all the way into the kernel; written by the worker. The tick thread assembles the next frame
    /// only when this equals what it handed over, so at most one frame of a socket is ever on its way: `since` ages
    /// instead of memory growing.
    pub(crate) frames_flushed: AtomicU32,
    /// Told once when the worker has dropped its half; the reading task then drops the other.
    pub(crate) ended: tokio::sync::Notify,
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
#[derive(Debug)]
pub(crate) struct RoomHandle {
    pub(crate) name: &'static str,
    pub(crate) facts: Arc<RoomFacts>,
    pub(crate) events: Sender<Event>,
}

impl RoomHandle {
    /// A handle, and what the tick thread needs of it.
    pub(crate) fn new(name: &'static str) -> (Self, Receiver<Event>) {
        let (sender, receiver) = bounded(EVENTS_MAX_COUNT);
        (Self { name, facts: Arc::default(), events: sender }, receiver)
    }

    /// Queues an event; waits (asynchronously) while the queue is full.
    ///
    /// # Errors
    /// `RoomFailed` when the queue stays full, `ServerStopping` when the room's thread has ended.
    pub(crate) async fn send(&self, event: Event, metrics: &Metrics) -> Result<(), CloseReason> {
        let wait_max_ms = if matches!(event, Event::Gone(..)) { QUEUE_WAIT_LAST_MAX_MS } else { QUEUE_WAIT_MAX_MS };
        let mut event = event;
        for _ in 0..wait_max_ms / QUEUE_RETRY_MS {
            event = match self.events.try_send(event) {
                Ok(()) => return Ok(()),
                Err(TrySendError::Disconnected(_)) => return Err(CloseReason::ServerStopping),
                Err(TrySendError::Full(event)) => event,
            };
            metrics.queue_full.inc();
            tokio::time::sleep(Duration::from_millis(QUEUE_RETRY_MS)).await;
        }
        Err(CloseReason::RoomFailed)
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
