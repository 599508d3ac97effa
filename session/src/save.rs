//! A saved room as bytes: an envelope that tells a save of this kind from all other bytes, around one value by the names
//! of its fields.
//!
//! Layout: 4 bytes that every save begins with; format of the envelope (u32 LE); checksum of all that follows (u64 LE);
//! the kind's word (its length as u8, then its letters); tick (u32 LE); one value in JSON.
//! Invariants: bytes that are damaged or foreign are refused, whatever they are, within bounded time and memory; what an
//! older version saved is read by names: a field that is not there gets its default (`#[serde(default)]`), one that
//! nobody knows any more is left out. So a field that is added needs a default, and a name never changes its meaning.
//! Why JSON: of the formats with names it has the library that is kept best, and whoever has to look at a save that
//! cannot be read needs no tool (`grep -ao '{.*'`); its numbers are hardly longer than fixed ones.

use protocol::{Tick, limits::SNAPSHOT_MAX_BYTES, room::Kind};
use serde::{Deserializer, Serialize, de::DeserializeOwned};
use std::{error, fmt};

const BEGIN: [u8; 4] = *b"ROOM";
/// Counts changes of the envelope, not of what is in it. Below it stood a hash, and saves had no names.
const FORMAT: u32 = 3;
/// Bytes before what the checksum covers.
pub const HEAD_BYTES: usize = 4 + 4 + 8;

/// Why some bytes are no save of a room of this kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unreadable {
    /// No save at all.
    Foreign,
    /// A save in an envelope with this number, which this version does not know.
    OtherFormat(u32),
    /// A save of a room of this other kind.
    OtherKind(String),
    /// Some of it is missing or was changed since.
    Damaged,
    /// A field that cannot be taken over: which one, and why.
    Field(String),
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Foreign => f.write_str("it is no save of a room"),
            Self::OtherFormat(format) => write!(f, "it is in format {format}, and this version reads {FORMAT}"),
            Self::OtherKind(word) => write!(f, "it is a save of a room of another kind: \"{word}\""),
            Self::Damaged => f.write_str("it is damaged: its checksum does not match"),
            Self::Field(problem) => write!(f, "it has a field that cannot be taken over: {problem}"),
        }
    }
}

impl error::Error for Unreadable {}

/// The bytes of a save.
pub fn seal(kind: Kind, tick: Tick, value: &impl Serialize) -> Vec<u8> {
    let word = kind.word().as_bytes();
    let mut bytes = [&BEGIN[..], &FORMAT.to_le_bytes(), &[0; 8], &[word.len() as u8], word].concat();
    bytes.extend(tick.to_le_bytes());
    serde_json::to_writer(&mut bytes, value).expect("plain data always encodes");
    let sum = checksum(&bytes[HEAD_BYTES..]);
    bytes[8..HEAD_BYTES].copy_from_slice(&sum.to_le_bytes());
    bytes
}

/// What was saved.
///
/// # Errors
/// [`Unreadable`].
pub fn open<T: DeserializeOwned>(kind: Kind, bytes: &[u8]) -> Result<T, Unreadable> {
    let (format, body) = unseal(bytes)?;
    if format != FORMAT {
        return Err(Unreadable::OtherFormat(format));
    }
    let (length, rest) = body.split_first().ok_or(Unreadable::Damaged)?;
    let (word, rest) = rest.split_at_checked(usize::from(*length)).ok_or(Unreadable::Damaged)?;
    if word != kind.word().as_bytes() {
        return Err(Unreadable::OtherKind(String::from_utf8_lossy(word).into_owned()));
    }
    let (_tick, value) = rest.split_at_checked(size_of::<Tick>()).ok_or(Unreadable::Damaged)?;
    let mut json = serde_json::Deserializer::from_slice(value);
    let value = named(&mut json)?;
    json.end().map_err(|error| Unreadable::Field(error.to_string()))?;
    Ok(value)
}

/// A value by the names of its fields, wherever it stands.
///
/// # Errors
/// [`Unreadable::Field`].
pub fn named<'de, T: DeserializeOwned>(value: impl Deserializer<'de>) -> Result<T, Unreadable> {
    serde_path_to_error::deserialize(value).map_err(|error| Unreadable::Field(error.to_string()))
}

/// The envelope's format, and all that its checksum covers.
///
/// # Errors
/// [`Unreadable::Foreign`], [`Unreadable::Damaged`].
pub fn unseal(bytes: &[u8]) -> Result<(u32, &[u8]), Unreadable> {
    let (begin, rest) = bytes.split_first_chunk().ok_or(Unreadable::Foreign)?;
    let (format, rest) = rest.split_first_chunk().filter(|_| *begin == BEGIN).ok_or(Unreadable::Foreign)?;
    let (sum, body) = rest.split_first_chunk().ok_or(Unreadable::Damaged)?;
    let is_whole = bytes.len() <= SNAPSHOT_MAX_BYTES && u64::from_le_bytes(*sum) == checksum(body);
    if is_whole { Ok((u32::from_le_bytes(*format), body)) } else { Err(Unreadable::Damaged) }
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde::Deserialize;

    #[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
    struct Shed {
        doors: u32,
        #[serde(default)]
        windows: u32,
        tools: Vec<Tool>,
    }

    #[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
    struct Tool {
        weight: u8,
    }

    fn sealed(json: &str) -> Vec<u8> {
        seal(Kind::ALL[0], 7, &serde_json::from_str::<serde_json::Value>(json).unwrap())
    }

    fn opened(bytes: &[u8]) -> Result<Shed, Unreadable> {
        open(Kind::ALL[0], bytes)
    }

    fn problem(json: &str) -> String {
        opened(&sealed(json)).unwrap_err().to_string()
    }

    #[test]
    fn what_was_saved_comes_back() {
        let shed = Shed { doors: 2, windows: 3, tools: vec![Tool { weight: 9 }] };
        assert_eq!(opened(&seal(Kind::ALL[0], 7, &shed)), Ok(shed));
    }

    #[test]
    fn a_field_is_found_by_its_name_a_new_one_gets_its_default_and_a_vanished_one_is_left_out() {
        let shed = Shed { doors: 2, windows: 0, tools: vec![Tool { weight: 9 }] };
        let json = r#"{"tools":[{"colour":{"deep":[1,2]},"weight":9}],"chimneys":4,"doors":2}"#;
        assert_eq!(opened(&sealed(json)), Ok(shed));
    }

    #[test]
    fn a_field_that_cannot_be_taken_over_is_named() {
        let begin = "it has a field that cannot be taken over: ";
        let heavy = problem(r#"{"doors":2,"tools":[{"weight":1},{"weight":256}]}"#);
        assert!(heavy.starts_with(&format!("{begin}tools[1].weight: invalid value")), "{heavy}");
        let missing = problem(r#"{"tools":[]}"#);
        assert!(missing.starts_with(&format!("{begin}missing field `doors`")), "{missing}");
        assert!(problem("[]").starts_with(begin));
    }

    #[test]
    fn a_save_of_another_kind_or_format_is_refused_by_its_name() {
        let mut bytes = sealed(r#"{"doors":2,"tools":[]}"#);
        bytes[4] = 9;
        assert_eq!(opened(&bytes).unwrap_err().to_string(), "it is in format 9, and this version reads 3");
        bytes[4] = 3;
        bytes[HEAD_BYTES + 1] = b'x';
        let sum = checksum(&bytes[HEAD_BYTES..]);
        bytes[8..16].copy_from_slice(&sum.to_le_bytes());
        let word = format!("x{}", &Kind::ALL[0].word()[1..]);
        assert_eq!(opened(&bytes), Err(Unreadable::OtherKind(word)));
        assert_eq!(opened(b"GIF89a, not a room"), Err(Unreadable::Foreign));
    }

    proptest! {
        #[test]
        fn any_bytes_in_an_envelope_are_refused_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(opened(&bytes).is_err());
            for head in [&b""[..], b"\x05arena\x07\0\0\0"] {
                let body = [head, &bytes].concat();
                let sealed = [&BEGIN[..], &FORMAT.to_le_bytes(), &checksum(&body).to_le_bytes(), &body].concat();
                prop_assert!(opened(&sealed).is_err());
            }
        }
    }

    /// As deep and as long as can be: refused before it costs stack or time.
    #[test]
    fn bytes_that_are_meant_to_cost_much_are_refused() {
        let head = sealed("{}").len() - 2;
        for piece in ["[", "{\"doors\":", "{\"tools\":[", "{\"x\":", "\"x", "1"] {
            let mut bytes = sealed("{}")[..head].to_vec();
            bytes.extend(piece.repeat((SNAPSHOT_MAX_BYTES - head) / piece.len()).as_bytes());
            let sum = checksum(&bytes[HEAD_BYTES..]);
            bytes[8..16].copy_from_slice(&sum.to_le_bytes());
            assert!(matches!(opened(&bytes), Err(Unreadable::Field(_))), "{piece}");
            bytes.resize(SNAPSHOT_MAX_BYTES + 1, b' ');
            assert_eq!(opened(&bytes), Err(Unreadable::Damaged), "longer than any save");
        }
    }
}
