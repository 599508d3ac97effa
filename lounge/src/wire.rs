//! What the chat room adds to the wire, which is little: how many people are there.
//!
//! Path: upwards [`STILL_HERE`]; downwards [`Welcome`] and [`FramePart`].
//! Invariant: decoding never panics, on any bytes.

use protocol::{
    DecodeError, Tick,
    bits::BitReader,
    codec,
    frame::{Entries, Head, decode_entries},
    limits::{FRAME_MAX_BYTES, WELCOME_KIND_MAX_BYTES},
    message::HOT_BIT,
};
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;

/// The versions of the chat room's part of the wire that are understood; the last is what is spoken. Counted by hand:
/// `tests/golden.rs` fails when a byte changes.
pub const VERSIONS: RangeInclusive<u32> = 1..=1;
/// What a client says that has nothing else to say, so that nobody takes it for gone.
pub const STILL_HERE: [u8; 1] = [HOT_BIT];
/// How often it says that, ms: several times within the silence that a room bears.
pub const STILL_HERE_INTERVAL_MS: u64 = 15_000;

/// The kind's flag of a frame ([`Head::kind`]): the number of people follows (u32).
const PEOPLE: u8 = 1;

/// The chat room's part of the welcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// People who are there, readers apart.
    pub people: u32,
}

/// What a frame says, but for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FramePart {
    /// The tick whose end it describes.
    pub tick: Tick,
    /// Ticks covered; 0: the tick is told.
    pub span: u8,
    /// Whether log entries end the frame.
    pub has_entries: bool,
    /// People who are there, when that changed.
    pub people: Option<u32>,
}

impl Welcome {
    /// The part's bytes.
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// Reads the part.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        codec::decode::<_, WELCOME_KIND_MAX_BYTES>(bytes)
    }
}

impl FramePart {
    /// Appends a frame's bytes, up to its section of log entries.
    pub fn encode(&self, bytes: &mut Vec<u8>) {
        let Self { tick, span, has_entries, people } = *self;
        let kind = if people.is_some() { PEOPLE } else { 0 };
        Head { tick, span, ack: None, has_entries, kind }.encode(bytes);
        bytes.extend(people.iter().flat_map(|people| people.to_le_bytes()));
    }

    /// Reads a frame. `have` is the tick of the one before, `have_entry` the last log entry that came.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn decode(bytes: &[u8], have: Tick, have_entry: u32) -> Result<(Self, Option<Entries>), DecodeError> {
        if bytes.len() > FRAME_MAX_BYTES {
            return Err(DecodeError::TooLong);
        }
        let mut reader = BitReader::new(bytes);
        let Head { tick, span, ack, has_entries, kind } = Head::decode(&mut reader, have)?;
        if ack.is_some() || kind & !PEOPLE != 0 {
            return Err(DecodeError::OutOfRange("flags"));
        }
        let people = if kind & PEOPLE != 0 { Some(reader.get(32)?) } else { None };
        let entries = if has_entries { Some(decode_entries(&mut reader, have_entry)?) } else { None };
        if !reader.rest().is_empty() {
            return Err(DecodeError::TrailingBytes);
        }
        Ok((Self { tick, span, has_entries, people }, entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn frames_come_back(have in 0u32..1_000_000, span in 0u8..=64, people in any::<Option<u32>>()) {
            let tick = if span == 0 { 77 } else { have + u32::from(span) };
            let part = FramePart { tick, span, has_entries: false, people };
            let mut bytes = Vec::new();
            part.encode(&mut bytes);
            prop_assert_eq!(FramePart::decode(&bytes, have, 0), Ok((part, None)));
        }

        #[test]
        fn any_bytes_decode_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..60), near in any::<u32>()) {
            let _ = (FramePart::decode(&bytes, near, near), Welcome::decode(&bytes));
        }
    }
}
