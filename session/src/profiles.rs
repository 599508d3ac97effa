//! The client's cache of profiles: unknown members are asked for when first seen.

use protocol::{
    limits::ROSTER_MAX_ENTRIES,
    message::{ClientMessage, Profile},
};
use std::collections::{BTreeMap, BTreeSet};

/// Known profiles, and the members whose are wanted.
#[derive(Debug, Clone, Default)]
pub struct KnownProfiles {
    known: BTreeMap<u32, Profile>,
    wanted: BTreeSet<u32>,
    /// Asked for on this connection: who is not answered has left.
    asked: BTreeSet<u32>,
}

impl KnownProfiles {
    /// What was asked on the last connection may be asked again.
    pub fn new_connection(&mut self) {
        self.asked.clear();
    }

    /// These became known.
    pub fn learn(&mut self, entries: impl IntoIterator<Item = (u32, Profile)>) {
        self.known.extend(entries);
    }

    /// A member's profile, if it is known.
    pub fn get(&self, member: u32) -> Option<&Profile> {
        self.known.get(&member)
    }

    /// Somebody was seen or heard of.
    pub fn want(&mut self, member: u32) {
        if !self.known.contains_key(&member) && !self.asked.contains(&member) {
            self.wanted.insert(member);
        }
    }

    /// The question to send, if there is one.
    pub fn ask(&mut self) -> Option<ClientMessage> {
        let members: Vec<u32> = std::iter::from_fn(|| self.wanted.pop_first()).take(ROSTER_MAX_ENTRIES).collect();
        self.asked.extend(&members);
        (!members.is_empty()).then_some(ClientMessage::Whois(members))
    }
}
