//! The client's cache of profiles: unknown members are asked for when first seen.
//!
//! Invariant: it is as large as the room, however many come and go.

use protocol::{limits::ROSTER_MAX_ENTRIES, message::ClientMessage, profile::Profile};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Profiles kept of members who have left: news of them may be on its way. Policy: the one who left first is forgotten.
const LEFT_MAX_COUNT: usize = 64;

/// Known profiles, and the members whose are wanted.
#[derive(Debug, Clone, Default)]
pub struct KnownProfiles {
    known: BTreeMap<u32, Profile>,
    wanted: BTreeSet<u32>,
    /// Asked for on this connection: who is not answered has left.
    asked: BTreeSet<u32>,
    /// In this order, and not come back.
    left: VecDeque<u32>,
}

impl KnownProfiles {
    /// What was asked on the last connection may be asked again.
    pub fn new_connection(&mut self) {
        self.asked.clear();
    }

    /// These became known.
    pub fn learn(&mut self, entries: impl IntoIterator<Item = (u32, Profile)>) {
        for (member, profile) in entries {
            self.left.retain(|left| *left != member);
            self.known.insert(member, profile);
        }
    }

    /// A member has left.
    pub fn note_left(&mut self, member: u32) {
        self.left.push_back(member);
        if self.left.len() > LEFT_MAX_COUNT {
            self.left.pop_front().map(|forgotten| self.known.remove(&forgotten));
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(name: &str) -> Profile {
        Profile { name: name.to_owned(), hue: 0, is_bot: false }
    }

    #[test]
    fn those_who_left_are_forgotten_unless_they_are_back() {
        let mut profiles = KnownProfiles::default();
        profiles.learn((1..=3).map(|member| (member, profile("before"))));
        profiles.note_left(1);
        profiles.note_left(2);
        assert!(profiles.get(1).is_some(), "the last word on it may come later");
        profiles.learn([(2, profile("again"))]);
        for member in 1_000..1_000 + LEFT_MAX_COUNT as u32 {
            profiles.learn([(member, profile("guest"))]);
            profiles.note_left(member);
        }
        assert_eq!([1, 2, 3].map(|member| profiles.get(member).is_some()), [false, true, true]);
        assert_eq!(profiles.known.len(), 2 + LEFT_MAX_COUNT);
    }
}
