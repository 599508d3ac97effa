//! A room's sessions, by id.
//!
//! Invariants: in the order of ids, which is that of joining; sessions lie one behind the other, since every tick walks
//! through all of them, and whoever asks for one mostly asks for the next one after it.

use crate::session::{Session, SessionId};

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    /// Ascending.
    ids: Vec<SessionId>,
    /// In the same order.
    sessions: Vec<Session>,
    /// The place after the one that was asked for last.
    next: usize,
}

impl Sessions {
    pub(crate) fn len(&self) -> usize {
        self.ids.len()
    }

    pub(crate) fn get_mut(&mut self, id: &SessionId) -> Option<&mut Session> {
        let is_next = self.ids.get(self.next) == Some(id);
        let at = if is_next { self.next } else { self.ids.binary_search(id).ok()? };
        self.next = at + 1;
        Some(&mut self.sessions[at])
    }

    /// Adds a session, or replaces the one with this id.
    pub(crate) fn insert(&mut self, id: SessionId, session: Session) {
        match self.ids.binary_search(&id) {
            Ok(at) => self.sessions[at] = session,
            Err(at) => {
                self.ids.insert(at, id);
                self.sessions.insert(at, session);
            }
        }
    }

    pub(crate) fn remove(&mut self, id: &SessionId) -> Option<Session> {
        let at = self.ids.binary_search(id).ok()?;
        self.ids.remove(at);
        Some(self.sessions.remove(at))
    }

    /// All of them, by id.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&SessionId, &Session)> {
        self.ids.iter().zip(&self.sessions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use game::PilotId;

    #[test]
    fn sessions_are_found_in_any_order_as_long_as_they_are_there() {
        let mut sessions = Sessions::default();
        let ids = [3, 5, 8, 9].map(SessionId);
        ids.into_iter().for_each(|id| sessions.insert(id, Session::new(PilotId(id.0 as u16), 1, 0)));
        for id in ids.into_iter().chain([ids[2], ids[0], ids[3], ids[1]]) {
            assert_eq!(sessions.get_mut(&id).unwrap().pilot.0, id.0 as u16);
        }
        assert!(sessions.remove(&ids[1]).is_some() && sessions.remove(&ids[1]).is_none());
        assert!(sessions.get_mut(&ids[1]).is_none() && sessions.get_mut(&SessionId(10)).is_none());
        assert_eq!(
            sessions.iter().map(|(id, session)| (id.0, session.pilot.0)).collect::<Vec<_>>(),
            [(3, 3), (8, 8), (9, 9)]
        );
        assert_eq!(sessions.len(), 3);
    }
}
