//! What a room's queue had no place for.
//!
//! Invariants: what happened on one socket reaches the room in order, and a session's end always does; while something of
//! a socket waits, nothing else is read of it (TCP slows its peer); a full room keeps nobody of another room waiting.

use super::Worker;
use crate::room_handle::{Event, SocketId};
use crossbeam_channel::{Sender, TrySendError};
use protocol::close::CloseReason;
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// Longest time a message waits for the queue. Policy: close with `RoomFailed`, the room is not ticking.
const QUEUE_WAIT_MAX: Duration = Duration::from_millis(2_000);
/// The same for a socket's last event, without which its session would end by its silence only.
const QUEUE_WAIT_LAST_MAX: Duration = Duration::from_millis(30_000);

/// An event the room's queue had no place for.
#[derive(Debug)]
pub(super) struct Held {
    event: Event,
    /// The way to its room.
    events: Sender<Event>,
    socket: SocketId,
    since: Instant,
}

impl Worker {
    /// Tells the room, now or as soon as its queue has a place.
    pub(super) fn tell(&mut self, slot: usize, event: Event, now: Instant) {
        let Some(events) = self.line(slot).and_then(|line| line.events.as_ref()) else { return };
        match events.try_send(event) {
            Ok(()) => {}
            Err(TrySendError::Full(event)) => {
                let events = events.clone();
                self.hold(slot, event, events, now);
            }
            Err(TrySendError::Disconnected(_)) => self.room_is_gone(slot, now),
        }
    }

    /// The room learns that a session's socket is gone.
    pub(super) fn tell_end(&mut self, slot: usize, now: Instant) {
        let Some(line) = self.line(slot) else { return };
        let Some(events) = line.events.clone() else { return };
        let (socket, is_held) = (line.id, line.is_held);
        let event = Event::Gone(socket);
        // Behind whatever is held of this socket.
        if is_held {
            return self.held.push_back(Held { event, events, socket, since: now });
        }
        if let Err(TrySendError::Full(event)) = events.try_send(event) {
            self.door.metrics.queue_full.inc();
            self.held.push_back(Held { event, events, socket, since: now });
        }
    }

    /// Keeps what the room's queue had no place for; nothing else is read of the socket until it has.
    pub(super) fn hold(&mut self, slot: usize, event: Event, events: Sender<Event>, now: Instant) {
        self.door.metrics.queue_full.inc();
        if let Some(line) = self.line(slot) {
            line.is_held = true;
            let socket = line.id;
            self.held.push_back(Held { event, events, socket, since: now });
        }
    }

    /// Tells rooms what they had no place for; a room that still has none keeps nobody of another room waiting.
    pub(super) fn retry_held(&mut self, now: Instant) {
        let (mut full, mut rest): (Vec<Sender<Event>>, _) = (Vec::new(), VecDeque::new());
        for Held { event, events, socket, since } in std::mem::take(&mut self.held) {
            if full.iter().any(|full| full.same_channel(&events)) {
                rest.push_back(Held { event, events, socket, since });
                continue;
            }
            let is_last = matches!(event, Event::Gone(_));
            match events.try_send(event) {
                Ok(()) => self.resume(socket),
                Err(TrySendError::Full(event)) => {
                    let longest = if is_last { QUEUE_WAIT_LAST_MAX } else { QUEUE_WAIT_MAX };
                    if now.duration_since(since) < longest {
                        full.push(events.clone());
                        rest.push_back(Held { event, events, socket, since });
                    } else if let Some(line) = self.line_of(socket) {
                        line.is_held = false;
                        self.fault(socket.slot as usize, CloseReason::RoomFailed, now);
                    }
                }
                Err(TrySendError::Disconnected(_)) => {
                    if self.line_of(socket).is_some() {
                        self.room_is_gone(socket.slot as usize, now);
                    }
                }
            }
        }
        rest.append(&mut self.held);
        self.held = rest;
    }

    /// It is read on where the full queue had stopped it, when its turn comes.
    fn resume(&mut self, socket: SocketId) {
        if let Some(line) = self.line_of(socket).filter(|line| line.is_held) {
            line.is_held = false;
            self.expect(socket.slot as usize);
        }
    }
}
