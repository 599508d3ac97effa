//! A frame: what happened in a room since the last one, to one member.
//!
//! Path: the engine of a room writes a [`Head`], the kind's part, and a section of log entries; the client of that kind reads
//! them in the same order. Layout: SPEC S7.
//! Invariant: what is here knows nothing of the kind's part; four flag bits are the kind's to use.

use crate::{
    DecodeError, Tick,
    bits::BitReader,
    entry::Entry,
    limits::{ENTRY_MAX_BYTES, FRAME_ENTRIES_MAX_COUNT, FRAME_SPAN_MAX_TICKS, TICK_MAX},
    message::HOT_BIT,
};

/// Flag bits of a frame's first byte, below [`HOT_BIT`].
mod flag {
    /// A section of log entries ends the frame.
    pub(super) const ENTRIES: u8 = 16;
    /// The frame does not continue the tick before: how many ticks it covers follows (u8), or 0 and the tick (u32).
    pub(super) const SPAN: u8 = 32;
    /// A packet of the kind's was received since the last frame: its number (u8) and lead (i8) follow.
    pub(super) const ACK: u8 = 64;
}
/// The flag bits that are the kind's.
pub const KIND_FLAGS: u8 = 15;
/// In the count of a section: the number of the first entry follows, since some before it are forgotten.
const GAP_BIT: u8 = 0x80;
const _: () = assert!(FRAME_ENTRIES_MAX_COUNT < GAP_BIT as usize);

/// What a room says about a hot packet of the kind's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ack {
    /// Its number, 1..=255.
    pub packet: u8,
    /// Ticks by which its clock was ahead of the room's when it was read, or that of an earlier packet since the last frame
    /// if that was less. Below 1 it came too late for its tick.
    pub lead: i8,
}

/// The session's head of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Head {
    /// The tick whose end this frame describes.
    pub tick: Tick,
    /// Ticks covered, 1..=64: the frame tells ticks `tick - span + 1 ..= tick`. 0: nothing before is continued.
    pub span: u8,
    /// The last hot packet received on this socket, if one came since the last frame.
    pub ack: Option<Ack>,
    /// Whether a section of log entries ends the frame.
    pub has_entries: bool,
    /// The kind's flags, some of [`KIND_FLAGS`].
    pub kind: u8,
}

/// The section of log entries that ends a frame.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Entries {
    /// Number of the last entry that is kept, whatever happens to the machine; 0: none.
    pub kept: u32,
    /// Oldest first.
    pub entries: Vec<Entry>,
}

impl Head {
    /// Appends the head's bytes.
    pub fn encode(&self, bytes: &mut Vec<u8>) {
        assert!(u32::from(self.span) <= FRAME_SPAN_MAX_TICKS && self.kind & !KIND_FLAGS == 0, "{self:?}");
        let flags = [(self.has_entries, flag::ENTRIES), (self.span != 1, flag::SPAN), (self.ack.is_some(), flag::ACK)];
        bytes.push(flags.iter().filter(|(set, _)| *set).fold(HOT_BIT | self.kind, |all, (_, bit)| all | bit));
        if self.span != 1 {
            bytes.push(self.span);
        }
        if self.span == 0 {
            bytes.extend_from_slice(&self.tick.to_le_bytes());
        }
        if let Some(Ack { packet, lead }) = self.ack {
            bytes.extend_from_slice(&[packet, lead as u8]);
        }
    }

    /// Reads a head. `have` is the tick of the frame before: a frame that continues it tells only how far it goes.
    ///
    /// # Errors
    /// [`DecodeError`] when it is no frame or is cut short.
    pub fn decode(reader: &mut BitReader<'_>, have: Tick) -> Result<Self, DecodeError> {
        let first = reader.get(8)? as u8;
        if first & HOT_BIT == 0 {
            return Err(DecodeError::Malformed);
        }
        let has = |bit: u8| first & bit != 0;
        let span = if has(flag::SPAN) { reader.get(8)? as u8 } else { 1 };
        if u32::from(span) > FRAME_SPAN_MAX_TICKS {
            return Err(DecodeError::OutOfRange("span"));
        }
        let tick = if span == 0 { reader.get(32)? } else { have.saturating_add(u32::from(span)) };
        if tick > TICK_MAX {
            return Err(DecodeError::OutOfRange("tick"));
        }
        let ack = match has(flag::ACK) {
            true => Some(Ack { packet: reader.get(8)? as u8, lead: reader.get(8)? as u8 as i8 }),
            false => None,
        };
        Ok(Self { tick, span, ack, has_entries: has(flag::ENTRIES), kind: first & KIND_FLAGS })
    }
}

/// Appends a section of log entries: the first of `encoded` has the number `first`, the client has those up to `have`.
///
/// Bytes: the last kept number (u32 LE); count (u8), with bit 7 if the first is not the one after `have`: then its number
/// (u32 LE); per entry its length (u16 LE) and bytes.
pub fn encode_entries<'a>(
    bytes: &mut Vec<u8>,
    kept: u32,
    (have, first): (u32, u32),
    encoded: impl ExactSizeIterator<Item = &'a [u8]>,
) {
    assert!(encoded.len() <= FRAME_ENTRIES_MAX_COUNT, "the rest waits for the next frame");
    let has_gap = encoded.len() > 0 && first != have + 1;
    bytes.extend_from_slice(&kept.to_le_bytes());
    bytes.push(encoded.len() as u8 | if has_gap { GAP_BIT } else { 0 });
    if has_gap {
        bytes.extend_from_slice(&first.to_le_bytes());
    }
    for entry in encoded {
        bytes.extend_from_slice(&(entry.len() as u16).to_le_bytes());
        bytes.extend_from_slice(entry);
    }
}

/// Decodes the section of log entries; `have` is the number of the last entry that came before.
///
/// # Errors
/// Any [`DecodeError`].
pub fn decode_entries(reader: &mut BitReader<'_>, have: u32) -> Result<Entries, DecodeError> {
    let (kept, count) = (reader.get(32)?, reader.get(8)? as u8);
    let has_gap = count & GAP_BIT != 0;
    let count = u32::from(count & !GAP_BIT);
    let first = if has_gap { reader.get(32)? } else { have.saturating_add(1) };
    if count as usize > FRAME_ENTRIES_MAX_COUNT || first.checked_add(count).is_none() || first <= have {
        return Err(DecodeError::OutOfRange("entries"));
    }
    let mut entries = Vec::with_capacity(count as usize);
    for number in first..first + count {
        let length = reader.get(16)?;
        if length as usize > ENTRY_MAX_BYTES {
            return Err(DecodeError::OutOfRange("entry"));
        }
        let bytes = (0..length).map(|_| Ok(reader.get(8)? as u8)).collect::<Result<Vec<u8>, DecodeError>>()?;
        entries.push(Entry::decode(number, &bytes)?);
    }
    Ok(Entries { kept, entries })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn heads_come_back(have in 0u32..4_000_000, span in 0u8..=64, ack in any::<Option<(u8, i8)>>(),
                           has_entries in any::<bool>(), kind in 0..=KIND_FLAGS) {
            let tick = if span == 0 { 77 } else { have + u32::from(span) };
            let head = Head { tick, span, ack: ack.map(|(packet, lead)| Ack { packet, lead }), has_entries, kind };
            let mut bytes = Vec::new();
            head.encode(&mut bytes);
            prop_assert_eq!(Head::decode(&mut BitReader::new(&bytes), have), Ok(head));
        }

        #[test]
        fn entries_come_back(have in 0u32..1000, gap in 0u32..3, kept in any::<u32>(),
                             bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..32)) {
            let first = have + 1 + gap;
            let numbers = first..;
            let entries: Vec<_> = numbers.zip(bodies)
                .map(|(number, body)| Entry { number, topic: 16, author: 300, body }).collect();
            let encoded: Vec<_> = entries.iter().map(Entry::encode).collect();
            let mut bytes = Vec::new();
            encode_entries(&mut bytes, kept, (have, first), encoded.iter().map(Vec::as_slice));
            let mut reader = BitReader::new(&bytes);
            prop_assert_eq!(decode_entries(&mut reader, have), Ok(Entries { kept, entries }));
            prop_assert!(reader.rest().is_empty());
        }

        #[test]
        fn any_bytes_decode_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..60), near in any::<u32>()) {
            let _ = Head::decode(&mut BitReader::new(&bytes), near);
            let _ = decode_entries(&mut BitReader::new(&bytes), near);
        }
    }
}
