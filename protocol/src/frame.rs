//! A frame: what one tick (or the few since the last one) looks like to one session.
//!
//! Path: the engine of a room fills a [`Header`] (`arena/src/room/frames.rs`), then appends the shared parts of the held cells and the events;
//! `arena::Replica` reads the header here and the parts with its own coder. Layout: `SPEC.md` §4.
//! Invariants: the header is all that is per session; every part behind it is shared.

use crate::{
    DecodeError, Tick,
    bits::BitReader,
    limits::{FRAME_EVENTS_MAX_COUNT, FRAME_SPAN_MAX_TICKS, TICK_MAX},
    message::{Event, HOT_BIT},
};

/// Flag bits of a frame's first byte, below [`HOT_BIT`].
mod flag {
    /// The viewpoint's cell follows (u16).
    pub(super) const VIEWPOINT: u8 = 1;
    /// The own standing follows.
    pub(super) const PRIVATE: u8 = 2;
    /// Which held cells come whole follows; without it, only newly held ones do.
    pub(super) const WHOLE: u8 = 4;
    /// Per-cell checksums follow the cells.
    pub(super) const SUMS: u8 = 8;
    /// Events follow at the end.
    pub(super) const EVENTS: u8 = 16;
    /// The frame does not continue the tick before: how many ticks it covers follows (u8), or 0 and the tick (u32).
    pub(super) const SPAN: u8 = 32;
    /// An input packet was received since the last frame: its number (u8) and lead (i8) follow.
    pub(super) const INPUT_ACK: u8 = 64;
}

/// What only the own pilot sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PrivateState {
    /// Points.
    pub score: u32,
    /// Place in the ranking, from 1.
    pub rank: u16,
    /// Pilots ranked.
    pub ranked: u16,
    /// The announced respawn, from its announcement until the plane flies.
    pub respawn: Option<Respawn>,
}

/// Where and when the own plane flies again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Respawn {
    /// The first tick whose rows have the plane.
    pub tick: Tick,
    /// Units of the game.
    pub x: u32,
    /// Units of the game.
    pub y: u32,
    /// 65,536ths of a turn.
    pub heading: u16,
    /// Shots fired before: the next bullet's number.
    pub shots: u8,
}

/// What the room says about an input packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct InputAck {
    /// Its number, 1..=255.
    pub packet: u8,
    /// Ticks by which its clock was ahead of the room's when it was read, or that of an earlier packet since the last frame
    /// if that was less. Below 1 it came too late for its tick.
    pub lead: i8,
}

/// The per-session head of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Header {
    /// The tick whose end this frame describes.
    pub tick: Tick,
    /// Ticks covered, 1..=64: the cells' parts tell ticks `tick - span + 1 ..= tick`. 0: nothing held is continued.
    pub span: u8,
    /// Sum of the held cells' checksums, folded to 16 bits.
    pub checksum: u16,
    /// The last input packet received on this socket, if one came since the last frame.
    pub input_ack: Option<InputAck>,
    /// Where the session looks from, when it cannot be derived.
    pub viewpoint: Option<u16>,
    /// The own standing, when it changed.
    pub private: Option<PrivateState>,
    /// Whether a bitmap of whole cells leads the cells' parts.
    pub has_whole: bool,
    /// Whether per-cell checksums follow the parts.
    pub has_sums: bool,
    /// Whether events end the frame.
    pub has_events: bool,
}

impl Header {
    /// Appends the header's bytes.
    pub fn encode(&self, bytes: &mut Vec<u8>) {
        assert!(u32::from(self.span) <= FRAME_SPAN_MAX_TICKS, "a frame covers at most 64 ticks");
        let flags = [
            (self.viewpoint.is_some(), flag::VIEWPOINT),
            (self.private.is_some(), flag::PRIVATE),
            (self.has_whole, flag::WHOLE),
            (self.has_sums, flag::SUMS),
            (self.has_events, flag::EVENTS),
            (self.span != 1, flag::SPAN),
            (self.input_ack.is_some(), flag::INPUT_ACK),
        ];
        bytes.push(flags.iter().filter(|(set, _)| *set).fold(HOT_BIT, |all, (_, bit)| all | bit));
        bytes.extend_from_slice(&self.checksum.to_le_bytes());
        if self.span != 1 {
            bytes.push(self.span);
        }
        if self.span == 0 {
            bytes.extend_from_slice(&self.tick.to_le_bytes());
        }
        if let Some(InputAck { packet, lead }) = self.input_ack {
            bytes.extend_from_slice(&[packet, lead as u8]);
        }
        if let Some(viewpoint) = self.viewpoint {
            bytes.extend_from_slice(&viewpoint.to_le_bytes());
        }
        if let Some(private) = self.private {
            bytes.extend_from_slice(&private.score.to_le_bytes());
            bytes.extend_from_slice(&private.rank.to_le_bytes());
            bytes.extend_from_slice(&private.ranked.to_le_bytes());
            bytes.push(u8::from(private.respawn.is_some()));
            if let Some(respawn) = private.respawn {
                bytes.extend_from_slice(&respawn.tick.to_le_bytes());
                bytes.extend_from_slice(&respawn.x.to_le_bytes());
                bytes.extend_from_slice(&respawn.y.to_le_bytes());
                bytes.extend_from_slice(&respawn.heading.to_le_bytes());
                bytes.push(respawn.shots);
            }
        }
    }

    /// Reads a header. `have` is the tick of the frame before: a frame that continues it tells only how far it goes.
    ///
    /// # Errors
    /// [`DecodeError`] when it is no frame or is cut short.
    pub fn decode(reader: &mut BitReader<'_>, have: Tick) -> Result<Self, DecodeError> {
        let first = reader.get(8)? as u8;
        if first & HOT_BIT == 0 {
            return Err(DecodeError::Malformed);
        }
        let has = |bit: u8| first & bit != 0;
        let checksum = reader.get(16)? as u16;
        let span = if has(flag::SPAN) { reader.get(8)? as u8 } else { 1 };
        if u32::from(span) > FRAME_SPAN_MAX_TICKS {
            return Err(DecodeError::OutOfRange("span"));
        }
        let tick = if span == 0 { reader.get(32)? } else { have.saturating_add(u32::from(span)) };
        if tick > TICK_MAX {
            return Err(DecodeError::OutOfRange("tick"));
        }
        let input_ack = if has(flag::INPUT_ACK) {
            Some(InputAck { packet: reader.get(8)? as u8, lead: reader.get(8)? as u8 as i8 })
        } else {
            None
        };
        let viewpoint = if has(flag::VIEWPOINT) { Some(reader.get(16)? as u16) } else { None };
        let private = if has(flag::PRIVATE) { Some(Self::decode_private(reader)?) } else { None };
        let (has_whole, has_sums, has_events) = (has(flag::WHOLE), has(flag::SUMS), has(flag::EVENTS));
        Ok(Self { tick, span, checksum, input_ack, viewpoint, private, has_whole, has_sums, has_events })
    }

    fn decode_private(reader: &mut BitReader<'_>) -> Result<PrivateState, DecodeError> {
        let (score, rank, ranked) = (reader.get(32)?, reader.get(16)? as u16, reader.get(16)? as u16);
        let respawn = match reader.get(8)? {
            0 => None,
            1 => {
                let (tick, x, y) = (reader.get(32)?, reader.get(32)?, reader.get(32)?);
                let (heading, shots) = (reader.get(16)? as u16, reader.get(8)? as u8);
                Some(Respawn { tick, x, y, heading, shots })
            }
            _ => return Err(DecodeError::OutOfRange("respawn")),
        };
        Ok(PrivateState { score, rank, ranked, respawn })
    }
}

/// Decodes the section of log entries that ends a frame: each with its number, oldest first.
///
/// Bytes: number of the first (u32 LE), count (u8), then per entry its length (u16 LE) and bytes.
///
/// # Errors
/// Any [`DecodeError`].
pub fn decode_entries(reader: &mut BitReader<'_>) -> Result<Vec<(u32, Event)>, DecodeError> {
    let first = reader.get(32)?;
    let count = reader.get(8)?;
    if count as usize > FRAME_EVENTS_MAX_COUNT || first.checked_add(count).is_none() {
        return Err(DecodeError::OutOfRange("event count"));
    }
    let mut entries = Vec::with_capacity(count as usize);
    for number in first..first + count {
        let length = reader.get(16)?;
        let bytes = (0..length).map(|_| Ok(reader.get(8)? as u8)).collect::<Result<Vec<u8>, DecodeError>>()?;
        entries.push((number, Event::decode(&bytes)?));
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn headers_come_back(have in 0u32..4_000_000, span in 0u8..=64, viewpoint in any::<Option<u16>>(), input_ack in any::<Option<(u8, i8)>>(),
                             rank in any::<u16>(), respawn in any::<Option<(u32, u32, u32, u16, u8)>>(), flags in any::<[bool; 4]>()) {
            let respawn = respawn.map(|(tick, x, y, heading, shots)| Respawn { tick, x, y, heading, shots });
            let private = flags[0].then_some(PrivateState { score: 70_000, rank, ranked: 9, respawn });
            let tick = if span == 0 { 77 } else { have + u32::from(span) };
            let input_ack = input_ack.map(|(packet, lead)| InputAck { packet, lead });
            let header = Header { tick, span, checksum: 7, input_ack, viewpoint, private,
                                  has_whole: flags[1], has_sums: flags[2], has_events: flags[3] };
            let mut bytes = Vec::new();
            header.encode(&mut bytes);
            prop_assert_eq!(Header::decode(&mut BitReader::new(&bytes), have), Ok(header));
        }

        #[test]
        fn any_bytes_decode_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..40), near in any::<u32>()) {
            let _ = Header::decode(&mut BitReader::new(&bytes), near);
        }
    }
}
