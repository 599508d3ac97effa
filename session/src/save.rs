//! The envelope of a saved room: what tells a save of this kind and version from all other bytes.
//!
//! Layout: 4 bytes that every save begins with; format (u32 LE, the kind's); checksum of all that follows (u64 LE); tick
//! (u32 LE); one value in bincode's standard configuration.
//! Invariant: bytes that are damaged or foreign are refused, whatever they are, within bounded time and memory.

use protocol::{Tick, codec, limits::SNAPSHOT_MAX_BYTES};
use serde::{Serialize, de::DeserializeOwned};
use std::{error, fmt};

const BEGIN: [u8; 4] = *b"ROOM";
/// Bytes before what the checksum covers.
pub const HEAD_BYTES: usize = 4 + 4 + 8;

/// Why some bytes are no save of this kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unreadable {
    /// No save, or one of another kind's or version's rooms.
    Foreign,
    /// Some of it is missing or was changed since.
    Damaged,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Foreign => "it is no snapshot of this version",
            Self::Damaged => "it is damaged: its checksum does not match",
        })
    }
}

impl error::Error for Unreadable {}

/// The bytes of a save.
pub fn seal(format: u32, tick: Tick, value: &impl Serialize) -> Vec<u8> {
    let mut body = tick.to_le_bytes().to_vec();
    body.extend(codec::encode(value));
    let head = [&BEGIN[..], &format.to_le_bytes(), &checksum(&body).to_le_bytes()].concat();
    [head, body].concat()
}

/// What was saved.
///
/// # Errors
/// [`Unreadable`].
pub fn open<T: DeserializeOwned>(format: u32, bytes: &[u8]) -> Result<T, Unreadable> {
    let (begin, rest) = bytes.split_first_chunk().ok_or(Unreadable::Foreign)?;
    let (version, rest) = rest.split_first_chunk().ok_or(Unreadable::Foreign)?;
    if *begin != BEGIN || u32::from_le_bytes(*version) != format {
        return Err(Unreadable::Foreign);
    }
    let (sum, body) = rest.split_first_chunk().ok_or(Unreadable::Damaged)?;
    let is_whole = bytes.len() <= HEAD_BYTES + SNAPSHOT_MAX_BYTES && u64::from_le_bytes(*sum) == checksum(body);
    let value = body.get(size_of::<Tick>()..).filter(|_| is_whole).ok_or(Unreadable::Damaged)?;
    codec::decode::<_, SNAPSHOT_MAX_BYTES>(value).map_err(|_| Unreadable::Damaged)
}

/// A hash, 8 bytes at a time: any change within 8 bytes is found, and of others all but one in 2^64. Not against forgers:
/// who can write to the store owns the rooms.
pub fn checksum(bytes: &[u8]) -> u64 {
    const MULTIPLIER: u64 = 0xf135_7aea_2e62_a9c5;
    let add = |hash: u64, word: u64| (hash.rotate_left(23) ^ word).wrapping_mul(MULTIPLIER);
    let (words, rest) = bytes.as_chunks::<8>();
    let hash = words.iter().fold(bytes.len() as u64, |hash, word| add(hash, u64::from_le_bytes(*word)));
    rest.iter().fold(hash, |hash, byte| add(hash, u64::from(*byte)))
}
