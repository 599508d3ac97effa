//! An entry of a room's numbered log: who caused it, what it is about, and its bytes.
//!
//! Path: a room numbers what everybody is told, and encodes it once; frames carry entries ([`crate::frame`]), and a welcome
//! the talk so far.
//! Invariants: numbers grow by one and begin at 1; an entry's bytes never change. Topics below [`KIND_TOPICS`] are every
//! room's, those from there on the kind's own.

use crate::{DecodeError, codec, limits, profile::Profile};
use serde::{Deserialize, Serialize};

/// Somebody said a line.
const CHAT: u8 = 0;
/// Somebody came, or has another profile.
const JOINED: u8 = 1;
/// Somebody left.
const LEFT: u8 = 2;
/// The first of the kind's own topics.
pub const KIND_TOPICS: u8 = 16;

/// A numbered entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its number, from 1.
    pub number: u32,
    /// What the body is.
    pub topic: u8,
    /// The member who caused it; it may have left since. 0: nobody.
    pub author: u32,
    /// What the topic says it is; with what stands before it at most `ENTRY_MAX_BYTES`.
    pub body: Vec<u8>,
}

/// What the entries of every room say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Talk {
    /// A line.
    Chat(Line),
    /// The author came, or looks like this from now on.
    Joined(Profile),
    /// The author left; this was its name.
    Left(String),
}

/// A line that somebody said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// The author's name at that time.
    pub name: String,
    /// What was said.
    pub text: String,
    /// When, unix seconds; 0 where the room was not told the time.
    pub at_s: u64,
}

impl Talk {
    /// As an entry.
    pub fn entry(&self, number: u32, author: u32) -> Entry {
        let (topic, body) = match self {
            Self::Chat(line) => (CHAT, codec::encode(line)),
            Self::Joined(profile) => (JOINED, codec::encode(profile)),
            Self::Left(name) => (LEFT, codec::encode(name)),
        };
        Entry { number, topic, author, body }
    }
}

impl Entry {
    /// What it says, if it is one of every room's.
    ///
    /// # Errors
    /// [`DecodeError`] when it is none that a room writes.
    pub fn talk(&self) -> Result<Option<Talk>, DecodeError> {
        const MAX: usize = limits::ENTRY_MAX_BYTES;
        Ok(Some(match self.topic {
            CHAT => Talk::Chat(codec::decode::<_, MAX>(&self.body)?),
            JOINED => Talk::Joined(codec::decode::<_, MAX>(&self.body)?),
            LEFT => Talk::Left(codec::decode::<_, MAX>(&self.body)?),
            KIND_TOPICS.. => return Ok(None),
            _ => return Err(DecodeError::OutOfRange("topic")),
        }))
    }

    /// Whether it is a line.
    pub fn is_chat(&self) -> bool {
        self.topic == CHAT
    }

    /// Whether it is a line that a room would have taken.
    pub fn is_sound_chat(&self) -> bool {
        matches!(self.talk(), Ok(Some(Talk::Chat(line)))
            if line.name.len() <= limits::NAME_MAX_BYTES && line.text.len() <= limits::CHAT_MAX_BYTES)
    }

    /// Its bytes in a frame, which says the number otherwise: topic (u8), author (bincode's u32), body.
    pub fn encode(&self) -> Vec<u8> {
        let bytes = [&[self.topic], &codec::encode(&self.author)[..], &self.body].concat();
        assert!(bytes.len() <= limits::ENTRY_MAX_BYTES, "entries are built from checked parts");
        bytes
    }

    /// The entry of this number from its bytes in a frame.
    ///
    /// # Errors
    /// [`DecodeError::TooLong`], [`DecodeError::Truncated`] or [`DecodeError::Malformed`].
    pub fn decode(number: u32, bytes: &[u8]) -> Result<Self, DecodeError> {
        if bytes.len() > limits::ENTRY_MAX_BYTES {
            return Err(DecodeError::TooLong);
        }
        let (topic, rest) = bytes.split_first().ok_or(DecodeError::Truncated)?;
        let (author, used) = codec::decode_first::<u32, { limits::ENTRY_MAX_BYTES }>(rest)?;
        Ok(Self { number, topic: *topic, author, body: rest[used..].to_vec() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn line(text: &str) -> Talk {
        Talk::Chat(Line { name: "Ada".into(), text: text.into(), at_s: 1_700_000_000 })
    }

    #[test]
    fn what_is_said_comes_back() {
        let profile = Profile { name: "Ada".into(), hue: 3, is_bot: false };
        for talk in [line("hello"), Talk::Joined(profile), Talk::Left("Ada".into())] {
            for author in [0, 250, 251, 70_000] {
                let entry = talk.entry(9, author);
                assert_eq!(Entry::decode(9, &entry.encode()), Ok(entry.clone()));
                assert_eq!(entry.talk(), Ok(Some(talk.clone())));
            }
        }
    }

    /// SPEC S8.1.
    #[test]
    fn what_is_a_kinds_own_is_left_to_it_and_what_is_nobodys_refused() {
        let entry = |topic| Entry { number: 1, topic, author: 1, body: vec![9; 3] };
        assert_eq!(entry(KIND_TOPICS).talk(), Ok(None));
        assert_eq!(entry(KIND_TOPICS - 1).talk(), Err(DecodeError::OutOfRange("topic")));
        assert!(entry(CHAT).talk().is_err());
    }

    #[test]
    fn only_lines_that_a_room_takes_are_sound() {
        let is_sound = |talk: Talk| talk.entry(1, 1).is_sound_chat();
        assert!(is_sound(line("hello")) && !is_sound(Talk::Left("Ada".into())));
        assert!(!is_sound(line(&"x".repeat(limits::CHAT_MAX_BYTES + 1))));
    }

    proptest! {
        #[test]
        fn any_bytes_decode_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            if let Ok(entry) = Entry::decode(1, &bytes) {
                let _ = entry.talk();
                prop_assert!(entry.body.len() < bytes.len());
            }
        }
    }
}
