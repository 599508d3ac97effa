//! A room as other threads see it: its queue of events, and the few facts the lobby asks for.
//!
//! Path: an I/O worker `try_send`s an event, the tick thread drains it before its next tick.
//! Invariants: sending never blocks a thread; a full queue delays the connection that sends (TCP slows its peer) and
//! nobody else; what happened on one connection arrives in order.

use crate::{
    io::flow::FlowCounter,
    live_count::{Counted, LiveCount},
};
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use protocol::{
    message::{ClientMessage, Hello},
    token::Role,
};
use session::{ConnectionId, Level, Stats, governor::Budget};
use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};
use tokio::time::Instant;

/// Events waiting for a tick. Policy: a worker that finds the queue full stops reading that connection and tries again.
const EVENTS_MAX_COUNT: usize = 8192;
/// Pause between two tries to tell the room something. Policy: delay.
const SEND_RETRY: Duration = Duration::from_millis(4);

/// What the I/O workers (and now and then the machine) tell a room.
#[derive(Debug)]
pub(crate) enum RoomEvent {
    /// A connection said hello.
    Join(Box<Join>),
    /// A connection that joined said something to the session.
    Message(ConnectionId, ClientMessage),
    /// A connection that joined said something of the kind's own. Copied, so that no read buffer is held by it.
    Kind(ConnectionId, Box<[u8]>),
    /// A connection ended, or is being closed by its worker.
    Disconnected(ConnectionId),
    /// From now on a tick may cost this.
    Budget(Budget),
    /// Something has changed in [`RoomFacts`]: the room looks there, also if it has nothing else to do.
    Nudge,
    /// The process is stopping: save, close everybody and end the thread.
    Stop,
    /// Another machine owns the room: close everybody and end the thread.
    Moved,
    /// Stands for a bug of ours in tests.
    #[cfg(test)]
    Fault,
}

impl RoomEvent {
    /// The connection of somebody who wants in.
    pub(crate) fn joining(self) -> Option<ConnectionId> {
        if let Self::Join(join) = self { Some(join.connection) } else { None }
    }
}

/// A connection that wants in.
#[derive(Debug)]
pub(crate) struct Join {
    pub(crate) connection: ConnectionId,
    pub(crate) flow: FlowCounter,
    pub(crate) hello: Hello,
    /// The role that its ticket gives, which was good and unused.
    pub(crate) admission: Option<Role>,
    /// Keeps the room from being closed until it was heard.
    pub(crate) _waiting: Option<Counted>,
}

/// Occupancy as of the last tick, and what the machine would like.
#[derive(Debug, Default)]
pub(crate) struct RoomFacts {
    /// The machine wants to sleep: a room without anybody ends. No event, since an event means that somebody waits; one
    /// that only wakes the room goes with it.
    pub(crate) shall_sleep: AtomicBool,
    /// The store did not take the room the last times it was tried.
    pub(crate) is_unwritable: AtomicBool,
    /// The oldest moment of the room that the store does not have; `None` while it has everything.
    unwritten_since: Mutex<Option<Instant>>,
    pub(crate) members: AtomicU32,
    pub(crate) population: AtomicU32,
    pub(crate) tick: AtomicU32,
    /// The newest log entry of the room that the store has; one beyond the newest means all.
    pub(crate) kept_entry: AtomicU32,
    /// What overload left out: [`Level`] as a number.
    pub(crate) level: AtomicU32,
    /// Simulation takes longer than a tick.
    pub(crate) is_slow: AtomicBool,
}

/// A running room as everybody else sees it.
#[derive(Debug, Clone)]
pub(crate) struct RoomHandle {
    pub(crate) id: Arc<str>,
    pub(crate) facts: Arc<RoomFacts>,
    pub(crate) events: Sender<RoomEvent>,
    /// Those whose join was not heard yet.
    pub(crate) waiting: LiveCount,
}

impl RoomHandle {
    /// A handle, and what the tick thread needs of it.
    pub(crate) fn new(id: Arc<str>) -> (Self, Receiver<RoomEvent>) {
        let (sender, receiver) = bounded(EVENTS_MAX_COUNT);
        (Self { id, facts: Arc::default(), events: sender, waiting: LiveCount::default() }, receiver)
    }

    /// Has the room look at its facts. One whose queue is full is awake.
    pub(crate) fn nudge(&self) {
        _ = self.events.try_send(RoomEvent::Nudge);
    }

    /// Tells the room something of the machine's own, as soon as its queue has a place.
    pub(crate) async fn tell(&self, mut event: RoomEvent) {
        while let Err(TrySendError::Full(again)) = self.events.try_send(event) {
            event = again;
            tokio::time::sleep(SEND_RETRY).await;
        }
    }
}

impl RoomFacts {
    /// The room is closed.
    pub(crate) fn clear(&self) {
        self.members.store(0, Ordering::Relaxed);
        self.population.store(0, Ordering::Relaxed);
        self.level.store(0, Ordering::Relaxed);
        self.is_slow.store(false, Ordering::Relaxed);
        self.is_unwritable.store(false, Ordering::Relaxed);
        self.set_written(None);
    }

    /// The store has what the room was until then; `None`: all of it.
    pub(crate) fn set_written(&self, until: Option<Instant>) {
        *self.unwritten() = until;
    }

    /// The room was like that then, and the store does not have it yet.
    pub(crate) fn note_unwritten(&self, taken: Instant) {
        self.unwritten().get_or_insert(taken);
    }

    /// Whether the store lacks anything of the room.
    pub(crate) fn is_unwritten(&self) -> bool {
        self.unwritten().is_some()
    }

    /// How old the oldest state is that the store does not have.
    pub(crate) fn unwritten_for(&self) -> Duration {
        self.unwritten().map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// Whole after any panic: it is written in one go.
    fn unwritten(&self) -> MutexGuard<'_, Option<Instant>> {
        self.unwritten_since.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the room lets nobody new in, since its ticks cost too much.
    pub(crate) fn is_overloaded(&self) -> bool {
        self.level.load(Ordering::Relaxed) >= u32::from(Level::Joins.number())
    }

    /// Written by the tick thread.
    pub(crate) fn publish(&self, stats: &Stats) {
        self.members.store(stats.members, Ordering::Relaxed);
        self.population.store(stats.population, Ordering::Relaxed);
        self.tick.store(stats.tick, Ordering::Relaxed);
    }
}
