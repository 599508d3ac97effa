//! The tick thread's table of connections: whose each is, and whether it can take a frame.
//!
//! Invariant: a session has at most one connection and a connection at most one session; the newest connection wins.

use crate::{io::flow::FlowCounter, room::handle::ConnectionId};
use arena::SessionId;
use std::collections::BTreeMap;

/// A session's connection, as the tick thread sees it.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) connection: ConnectionId,
    flow: FlowCounter,
    frames_handed: u32,
}

impl Entry {
    /// A connection that was handed nothing yet.
    pub(crate) fn new(connection: ConnectionId, flow: FlowCounter) -> Self {
        Self { connection, flow, frames_handed: 0 }
    }

    /// Whether the last frame has left for good, so that the next one is worth assembling.
    pub(crate) fn can_take_frame(&self) -> bool {
        self.flow.frames_flushed() == self.frames_handed
    }

    /// Notes that a frame is on its way.
    pub(crate) fn hand_frame(&mut self) {
        self.frames_handed = self.frames_handed.wrapping_add(1);
    }
}

/// Everybody with a connection, in the order of their sessions.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    by_session: BTreeMap<SessionId, Entry>,
    /// By worker and slot, for every input asks here.
    by_connection: Vec<Vec<Option<(ConnectionId, SessionId)>>>,
}

impl Connections {
    /// Gives a session its connection; returns the older one it had.
    pub(crate) fn insert(&mut self, session: SessionId, entry: Entry) -> Option<ConnectionId> {
        *self.slot(entry.connection) = Some((entry.connection, session));
        let older = self.by_session.insert(session, entry)?.connection;
        *self.slot(older) = None;
        Some(older)
    }

    /// The session of a connection.
    pub(crate) fn session_of(&self, connection: ConnectionId) -> Option<SessionId> {
        let (there, session) =
            (*self.by_connection.get(usize::from(connection.worker))?.get(connection.slot as usize)?)?;
        (there == connection).then_some(session)
    }

    /// The connection of a session.
    pub(crate) fn connection_of(&self, session: SessionId) -> Option<ConnectionId> {
        self.by_session.get(&session).map(|entry| entry.connection)
    }

    /// Removes a session's connection.
    pub(crate) fn remove(&mut self, session: SessionId) {
        if let Some(entry) = self.by_session.remove(&session) {
            *self.slot(entry.connection) = None;
        }
    }

    /// Every entry.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (SessionId, &mut Entry)> {
        self.by_session.iter_mut().map(|(session, entry)| (*session, entry))
    }

    /// Removes all and returns the connections.
    pub(crate) fn clear(&mut self) -> Vec<ConnectionId> {
        self.by_connection.clear();
        std::mem::take(&mut self.by_session).into_values().map(|entry| entry.connection).collect()
    }

    fn slot(&mut self, connection: ConnectionId) -> &mut Option<(ConnectionId, SessionId)> {
        let (worker, slot) = (usize::from(connection.worker), connection.slot as usize);
        self.by_connection.resize_with(self.by_connection.len().max(worker + 1), Vec::new);
        let slots = &mut self.by_connection[worker];
        slots.resize(slots.len().max(slot + 1), None);
        &mut slots[slot]
    }

    /// Whether nobody has a connection.
    pub(crate) fn is_empty(&self) -> bool {
        self.by_session.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection(slot: u32) -> ConnectionId {
        ConnectionId { worker: 0, slot, number: 7 }
    }

    #[test]
    fn the_newest_connection_of_a_session_wins() {
        let mut connections = Connections::default();
        assert_eq!(connections.insert(SessionId(5), Entry::new(connection(1), FlowCounter::default())), None);
        assert_eq!(
            connections.insert(SessionId(5), Entry::new(connection(2), FlowCounter::default())),
            Some(connection(1))
        );
        assert_eq!(
            (connections.session_of(connection(1)), connections.session_of(connection(2))),
            (None, Some(SessionId(5)))
        );
        connections.remove(SessionId(5));
        assert!(connections.is_empty() && connections.session_of(connection(2)).is_none());
    }

    #[test]
    fn a_second_frame_waits_for_the_first() {
        let flow = FlowCounter::default();
        let mut entry = Entry::new(connection(1), flow.clone());
        assert!(entry.can_take_frame());
        entry.hand_frame();
        assert!(!entry.can_take_frame());
        flow.note_flushed(1);
        assert!(entry.can_take_frame());
    }
}
