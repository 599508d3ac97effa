//! Sending what a connection brought to its room.
//!
//! Invariants: what happened on one connection reaches the room in order, and a session's end always does; while
//! something of a connection waits, nothing else is read of it (TCP slows its peer).

use super::{Worker, deferred::Retried};
use crate::room::handle::RoomEvent;
use crossbeam_channel::{Sender, TrySendError};
use protocol::close::CloseReason;
use session::ConnectionId;
use std::time::Instant;

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
        if is_read_paused {
            // Behind whatever waits of this connection.
            self.deferred.push(id, RoomEvent::Disconnected(id), events, now);
        } else {
            self.send_last(id, events, now);
        }
    }

    /// The same of a connection of which nothing waits.
    pub(super) fn send_last(&mut self, id: ConnectionId, events: Sender<RoomEvent>, now: Instant) {
        if let Err(TrySendError::Full(event)) = events.try_send(RoomEvent::Disconnected(id)) {
            self.handshake.metrics.queue_full.inc();
            self.deferred.push(id, event, events, now);
        }
    }

    /// Keeps what the room's queue had no place for; nothing else is read of the connection until it has.
    pub(super) fn defer(&mut self, slot: usize, event: RoomEvent, events: Sender<RoomEvent>, now: Instant) {
        self.handshake.metrics.queue_full.inc();
        if let Some(connection) = self.connection(slot) {
            connection.is_read_paused = true;
            let id = connection.id;
            self.deferred.push(id, event, events, now);
        }
    }

    /// Tells rooms what they had no place for.
    pub(super) fn retry_deferred(&mut self, now: Instant) {
        for (id, retried) in self.deferred.retry(now) {
            let slot = id.slot as usize;
            match retried {
                Retried::Sent => self.resume(id),
                Retried::TookTooLong => {
                    if let Some(connection) = self.connection_of(id) {
                        connection.is_read_paused = false;
                        self.fault(slot, CloseReason::RoomFailed, now);
                    }
                }
                Retried::RoomIsGone => {
                    if self.connection_of(id).is_some() {
                        self.room_is_gone(slot, now);
                    }
                }
            }
        }
    }

    /// It is read on where it had been paused, when its turn comes.
    pub(super) fn resume(&mut self, id: ConnectionId) {
        if let Some(connection) = self.connection_of(id).filter(|connection| connection.is_read_paused) {
            connection.is_read_paused = false;
            self.schedule(id.slot as usize);
        }
    }
}
