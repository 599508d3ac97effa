//! Events that a room's full queue did not take: kept in order and tried again.
//!
//! Invariants: what happened on one connection reaches the room in order, and a session's end always does; while
//! something of a connection waits, nothing else is read of it (TCP slows its peer); a full room keeps nobody of
//! another room waiting.

use super::Worker;
use crate::room::handle::{ConnectionId, RoomEvent};
use crossbeam_channel::{Sender, TrySendError};
use protocol::close::CloseReason;
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// Longest time a message waits for the queue. Policy: close with `RoomFailed`, the room is not ticking.
const QUEUE_WAIT_MAX: Duration = Duration::from_millis(2_000);
/// The same for a connection's last event, without which its session would end by its silence only.
const QUEUE_WAIT_LAST_MAX: Duration = Duration::from_millis(30_000);

/// An event the room's queue had no place for.
#[derive(Debug)]
pub(super) struct Deferred {
    event: RoomEvent,
    /// The way to its room.
    events: Sender<RoomEvent>,
    id: ConnectionId,
    since: Instant,
}

impl Worker {
    /// Tells the room, now or as soon as its queue has a place.
    pub(super) fn send_event(&mut self, slot: usize, event: RoomEvent, now: Instant) {
        let Some(events) = self.connection(slot).and_then(|connection| connection.events.as_ref()) else { return };
        match events.try_send(event) {
            Ok(()) => {}
            Err(TrySendError::Full(event)) => {
                let events = events.clone();
                self.defer(slot, event, events, now);
            }
            Err(TrySendError::Disconnected(_)) => self.room_is_gone(slot, now),
        }
    }

    /// The room learns that a session's connection is gone.
    pub(super) fn send_disconnected(&mut self, slot: usize, now: Instant) {
        let Some(connection) = self.connection(slot) else { return };
        let Some(events) = connection.events.clone() else { return };
        let (id, is_read_paused) = (connection.id, connection.is_read_paused);
        // Behind whatever waits of this connection.
        if is_read_paused {
            let event = RoomEvent::Disconnected(id);
            return self.deferred.push_back(Deferred { event, events, id, since: now });
        }
        self.send_last(id, events, now);
    }

    /// The same of a connection of which nothing waits.
    pub(super) fn send_last(&mut self, id: ConnectionId, events: Sender<RoomEvent>, now: Instant) {
        if let Err(TrySendError::Full(event)) = events.try_send(RoomEvent::Disconnected(id)) {
            self.handshake.metrics.queue_full.inc();
            self.deferred.push_back(Deferred { event, events, id, since: now });
        }
    }

    /// Keeps what the room's queue had no place for; nothing else is read of the connection until it has.
    pub(super) fn defer(&mut self, slot: usize, event: RoomEvent, events: Sender<RoomEvent>, now: Instant) {
        self.handshake.metrics.queue_full.inc();
        if let Some(connection) = self.connection(slot) {
            connection.is_read_paused = true;
            let id = connection.id;
            self.deferred.push_back(Deferred { event, events, id, since: now });
        }
    }

    /// Tells rooms what they had no place for; a room that still has none keeps nobody of another room waiting.
    pub(super) fn retry_deferred(&mut self, now: Instant) {
        let (mut full, mut rest): (Vec<Sender<RoomEvent>>, _) = (Vec::new(), VecDeque::new());
        for Deferred { event, events, id, since } in std::mem::take(&mut self.deferred) {
            if full.iter().any(|full| full.same_channel(&events)) {
                rest.push_back(Deferred { event, events, id, since });
                continue;
            }
            let is_last = matches!(event, RoomEvent::Disconnected(_));
            match events.try_send(event) {
                Ok(()) => self.resume(id),
                Err(TrySendError::Full(event)) => {
                    let longest = if is_last { QUEUE_WAIT_LAST_MAX } else { QUEUE_WAIT_MAX };
                    if now.duration_since(since) < longest {
                        full.push(events.clone());
                        rest.push_back(Deferred { event, events, id, since });
                    } else if let Some(connection) = self.connection_of(id) {
                        connection.is_read_paused = false;
                        self.fault(id.slot as usize, CloseReason::RoomFailed, now);
                    }
                }
                Err(TrySendError::Disconnected(_)) => {
                    if self.connection_of(id).is_some() {
                        self.room_is_gone(id.slot as usize, now);
                    }
                }
            }
        }
        rest.append(&mut self.deferred);
        self.deferred = rest;
    }

    /// It is read on where the full queue had stopped it, when its turn comes.
    pub(super) fn resume(&mut self, id: ConnectionId) {
        if let Some(connection) = self.connection_of(id).filter(|connection| connection.is_read_paused) {
            connection.is_read_paused = false;
            self.schedule(id.slot as usize);
        }
    }
}
