//! Who is who: profiles by pilot, asked for when somebody is seen, so that a row never carries a name.

use protocol::{
    limits::ROSTER_MAX_ENTRIES,
    message::{ClientMessage, Profile},
};
use std::collections::{BTreeMap, BTreeSet};

/// Known profiles, and the pilots whose are wanted.
#[derive(Debug, Clone, Default)]
pub(crate) struct Names {
    known: BTreeMap<u16, Profile>,
    wanted: BTreeSet<u16>,
    /// Asked for on this socket: who is not answered has left.
    asked: BTreeSet<u16>,
}

impl Names {
    /// What was asked on the last socket may be asked again.
    pub(crate) fn new_socket(&mut self) {
        self.asked.clear();
    }

    pub(crate) fn learn(&mut self, entries: impl IntoIterator<Item = (u16, Profile)>) {
        self.known.extend(entries);
    }

    pub(crate) fn get(&self, pilot: u16) -> Option<&Profile> {
        self.known.get(&pilot)
    }

    /// Somebody was seen or heard of.
    pub(crate) fn want(&mut self, pilot: u16) {
        if !self.known.contains_key(&pilot) && !self.asked.contains(&pilot) {
            self.wanted.insert(pilot);
        }
    }

    /// The question to send, if there is one.
    pub(crate) fn ask(&mut self) -> Option<ClientMessage> {
        let pilots: Vec<u16> = std::iter::from_fn(|| self.wanted.pop_first()).take(ROSTER_MAX_ENTRIES).collect();
        self.asked.extend(&pilots);
        (!pilots.is_empty()).then_some(ClientMessage::Whois(pilots))
    }
}
