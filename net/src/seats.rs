//! Which session sits at which socket. Owned by the tick thread alone.
//!
//! Invariant: a session has at most one socket and a socket at most one session; the newest socket wins.

use crate::{gate::Gate, room_handle::SocketId};
use arena::SessionId;
use std::collections::BTreeMap;

/// A session's socket, as the tick thread sees it.
#[derive(Debug)]
pub(crate) struct Seat {
    pub(crate) socket: SocketId,
    gate: Gate,
    frames_handed: u32,
}

impl Seat {
    /// A socket that was handed nothing yet.
    pub(crate) fn new(socket: SocketId, gate: Gate) -> Self {
        Self { socket, gate, frames_handed: 0 }
    }

    /// Whether the last frame has left for good, so that the next one is worth assembling.
    pub(crate) fn can_take_frame(&self) -> bool {
        self.gate.frames_flushed() == self.frames_handed
    }

    /// Notes that a frame is on its way.
    pub(crate) fn hand_frame(&mut self) {
        self.frames_handed = self.frames_handed.wrapping_add(1);
    }
}

/// Everybody with a socket, in the order of their sessions.
#[derive(Debug, Default)]
pub(crate) struct Seats {
    by_session: BTreeMap<SessionId, Seat>,
    /// By worker and slot, for every input asks here.
    by_socket: Vec<Vec<Option<(SocketId, SessionId)>>>,
}

impl Seats {
    /// Gives a session its socket; returns the older socket it had.
    pub(crate) fn seat(&mut self, session: SessionId, seat: Seat) -> Option<SocketId> {
        *self.entry(seat.socket) = Some((seat.socket, session));
        let older = self.by_session.insert(session, seat)?.socket;
        *self.entry(older) = None;
        Some(older)
    }

    /// The session that sits at a socket.
    pub(crate) fn session_at(&self, socket: SocketId) -> Option<SessionId> {
        let (seated, session) = (*self.by_socket.get(usize::from(socket.worker))?.get(socket.slot as usize)?)?;
        (seated == socket).then_some(session)
    }

    /// The socket of a session.
    pub(crate) fn socket_of(&self, session: SessionId) -> Option<SocketId> {
        self.by_session.get(&session).map(|seat| seat.socket)
    }

    /// Takes a session's socket away from it.
    pub(crate) fn remove(&mut self, session: SessionId) {
        if let Some(seat) = self.by_session.remove(&session) {
            *self.entry(seat.socket) = None;
        }
    }

    /// Every seat.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (SessionId, &mut Seat)> {
        self.by_session.iter_mut().map(|(session, seat)| (*session, seat))
    }

    /// Empties all seats and returns their sockets.
    pub(crate) fn clear(&mut self) -> Vec<SocketId> {
        self.by_socket.clear();
        std::mem::take(&mut self.by_session).into_values().map(|seat| seat.socket).collect()
    }

    fn entry(&mut self, socket: SocketId) -> &mut Option<(SocketId, SessionId)> {
        let (worker, slot) = (usize::from(socket.worker), socket.slot as usize);
        self.by_socket.resize_with(self.by_socket.len().max(worker + 1), Vec::new);
        let slots = &mut self.by_socket[worker];
        slots.resize(slots.len().max(slot + 1), None);
        &mut slots[slot]
    }

    /// Whether nobody has a socket.
    pub(crate) fn is_empty(&self) -> bool {
        self.by_session.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socket(slot: u32) -> SocketId {
        SocketId { worker: 0, slot, number: 7 }
    }

    #[test]
    fn the_newest_socket_of_a_session_wins() {
        let mut seats = Seats::default();
        assert_eq!(seats.seat(SessionId(5), Seat::new(socket(1), Gate::default())), None);
        assert_eq!(seats.seat(SessionId(5), Seat::new(socket(2), Gate::default())), Some(socket(1)));
        assert_eq!((seats.session_at(socket(1)), seats.session_at(socket(2))), (None, Some(SessionId(5))));
        seats.remove(SessionId(5));
        assert!(seats.is_empty() && seats.session_at(socket(2)).is_none());
    }

    #[test]
    fn a_second_frame_waits_for_the_first() {
        let gate = Gate::default();
        let mut seat = Seat::new(socket(1), gate.clone());
        assert!(seat.can_take_frame());
        seat.hand_frame();
        assert!(!seat.can_take_frame());
        gate.note_flushed(1);
        assert!(seat.can_take_frame());
    }
}
