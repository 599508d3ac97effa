//! Events that a room's full queue did not take: kept in order and tried again.
//!
//! Invariant: a full room keeps nobody of another room waiting.

use crate::room::handle::RoomEvent;
use crossbeam_channel::{Sender, TrySendError};
use session::ConnectionId;
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// Longest time a message waits for the queue. Policy: close with `RoomFailed`, the room is not ticking.
const QUEUE_WAIT_MAX: Duration = Duration::from_millis(2_000);
/// The same for a connection's last event, without which its session would end by its silence only.
const QUEUE_WAIT_LAST_MAX: Duration = Duration::from_millis(30_000);

/// See the module; oldest first.
#[derive(Debug, Default)]
pub(super) struct Deferred(VecDeque<Waiting>);

#[derive(Debug)]
struct Waiting {
    event: RoomEvent,
    /// The way to its room.
    events: Sender<RoomEvent>,
    id: ConnectionId,
    since: Instant,
}

/// How the wait of an event ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Retried {
    Sent,
    TookTooLong,
    RoomIsGone,
}

impl Deferred {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// An event of this connection waits for its room.
    pub(super) fn push(&mut self, id: ConnectionId, event: RoomEvent, events: Sender<RoomEvent>, since: Instant) {
        self.0.push_back(Waiting { event, events, id, since });
    }

    /// Tries every event again; whose wait is over, and how.
    pub(super) fn retry(&mut self, now: Instant) -> Vec<(ConnectionId, Retried)> {
        let (mut full, mut ended): (Vec<Sender<RoomEvent>>, _) = (Vec::new(), Vec::new());
        for Waiting { event, events, id, since } in std::mem::take(&mut self.0) {
            if full.iter().any(|full| full.same_channel(&events)) {
                self.push(id, event, events, since);
                continue;
            }
            let is_last = matches!(event, RoomEvent::Disconnected(_));
            let longest = if is_last { QUEUE_WAIT_LAST_MAX } else { QUEUE_WAIT_MAX };
            match events.try_send(event) {
                Ok(()) => ended.push((id, Retried::Sent)),
                Err(TrySendError::Full(event)) if now.duration_since(since) < longest => {
                    full.push(events.clone());
                    self.push(id, event, events, since);
                }
                Err(TrySendError::Full(_)) => ended.push((id, Retried::TookTooLong)),
                Err(TrySendError::Disconnected(_)) => ended.push((id, Retried::RoomIsGone)),
            }
        }
        ended
    }
}
