//! A frame: what one tick (or the few since the last one) looks like to one session.
//!
//! Path: `sync::Room::frame_for` fills a [`Header`], then appends the shared parts of the held cells and the events;
//! `sync::Replica` reads the header here and the parts with its own coder. Layout: `SPEC.md` §4.
//! Invariants: the header is all that is per session; every part behind it is shared.

use crate::{DecodeError, Tick, bits::BitReader, limits::TICK_MAX, message::HOT_BIT};

/// Flag bits of a frame's first byte, below [`HOT_BIT`].
mod flag {
    /// The eye's cell follows (u16).
    pub(super) const EYE: u8 = 1;
    /// Own standing follows.
    pub(super) const OWN: u8 = 2;
    /// Which held cells come whole follows; without it, only newly held ones do.
    pub(super) const WHOLE: u8 = 4;
    /// Per-cell checksums follow the cells.
    pub(super) const SUMS: u8 = 8;
    /// Events follow at the end.
    pub(super) const EVENTS: u8 = 16;
    /// The frame covers more than one tick: the count follows (u8).
    pub(super) const SPAN: u8 = 32;
    /// All that are defined.
    pub(super) const ALL: u8 = 63;
}

/// What only the own pilot sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Own {
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
}

/// The per-session head of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Header {
    /// The tick whose end this frame describes.
    pub tick: Tick,
    /// Ticks covered, 1..=64: the cells' parts tell ticks `tick - span + 1 ..= tick`.
    pub span: u8,
    /// Sum of the held cells' checksums, folded to 16 bits.
    pub checksum: u16,
    /// Number of the last input packet received on this socket, 0 before the first.
    pub input_ack: u8,
    /// Ticks by which that packet's clock was ahead of the room's when it was read; negative: it came late.
    pub input_lead: i8,
    /// Where the session looks from, when it cannot be derived.
    pub eye: Option<u16>,
    /// Own standing, when it changed.
    pub own: Option<Own>,
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
        assert!((1..=64).contains(&self.span), "a frame covers 1 to 64 ticks");
        let flags = [
            (self.eye.is_some(), flag::EYE),
            (self.own.is_some(), flag::OWN),
            (self.has_whole, flag::WHOLE),
            (self.has_sums, flag::SUMS),
            (self.has_events, flag::EVENTS),
            (self.span > 1, flag::SPAN),
        ];
        bytes.push(flags.iter().filter(|(set, _)| *set).fold(HOT_BIT, |all, (_, bit)| all | bit));
        bytes.extend_from_slice(&(self.tick as u16).to_le_bytes());
        bytes.extend_from_slice(&self.checksum.to_le_bytes());
        bytes.extend_from_slice(&[self.input_ack, self.input_lead as u8]);
        if self.span > 1 {
            bytes.push(self.span);
        }
        if let Some(eye) = self.eye {
            bytes.extend_from_slice(&eye.to_le_bytes());
        }
        if let Some(own) = self.own {
            bytes.extend_from_slice(&own.score.to_le_bytes());
            bytes.extend_from_slice(&own.rank.to_le_bytes());
            bytes.extend_from_slice(&own.ranked.to_le_bytes());
            bytes.push(u8::from(own.respawn.is_some()));
            if let Some(respawn) = own.respawn {
                bytes.extend_from_slice(&respawn.tick.to_le_bytes());
                bytes.extend_from_slice(&respawn.x.to_le_bytes());
                bytes.extend_from_slice(&respawn.y.to_le_bytes());
                bytes.extend_from_slice(&respawn.heading.to_le_bytes());
            }
        }
    }

    /// Reads a header. `near` is the reader's own tick: only the low 16 bits travel, and the nearest tick is meant.
    ///
    /// # Errors
    /// [`DecodeError`] when it is no frame or is cut short.
    pub fn decode(reader: &mut BitReader<'_>, near: Tick) -> Result<Self, DecodeError> {
        let first = reader.get(8)? as u8;
        if first & HOT_BIT == 0 || first & !(HOT_BIT | flag::ALL) != 0 {
            return Err(DecodeError::Malformed);
        }
        let has = |bit: u8| first & bit != 0;
        let tick = nearest_tick(reader.get(16)? as u16, near).ok_or(DecodeError::OutOfRange("tick"))?;
        let checksum = reader.get(16)? as u16;
        let (input_ack, input_lead) = (reader.get(8)? as u8, reader.get(8)? as u8 as i8);
        let span = if has(flag::SPAN) { reader.get(8)? as u8 } else { 1 };
        if !(1..=64).contains(&span) {
            return Err(DecodeError::OutOfRange("span"));
        }
        let eye = if has(flag::EYE) { Some(reader.get(16)? as u16) } else { None };
        let own = if has(flag::OWN) { Some(Self::decode_own(reader)?) } else { None };
        let (has_whole, has_sums, has_events) = (has(flag::WHOLE), has(flag::SUMS), has(flag::EVENTS));
        Ok(Self { tick, span, checksum, input_ack, input_lead, eye, own, has_whole, has_sums, has_events })
    }

    fn decode_own(reader: &mut BitReader<'_>) -> Result<Own, DecodeError> {
        let (score, rank, ranked) = (reader.get(32)?, reader.get(16)? as u16, reader.get(16)? as u16);
        let respawn = match reader.get(8)? {
            0 => None,
            1 => {
                let (tick, x, y) = (reader.get(32)?, reader.get(32)?, reader.get(32)?);
                Some(Respawn { tick, x, y, heading: reader.get(16)? as u16 })
            }
            _ => return Err(DecodeError::OutOfRange("respawn")),
        };
        Ok(Own { score, rank, ranked, respawn })
    }
}

/// The tick with these low 16 bits that lies nearest to `near`; `None` beyond what a room lives to see.
fn nearest_tick(low: u16, near: Tick) -> Option<Tick> {
    let tick = near.checked_add_signed(i32::from(low.wrapping_sub(near as u16) as i16))?;
    (tick <= TICK_MAX).then_some(tick)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn headers_come_back(tick in 40_000u32..4_000_000, ahead in -30_000i32..30_000, span in 1u8..=64, eye in any::<Option<u16>>(),
                             rank in any::<u16>(), respawn in any::<Option<(u32, u32, u32, u16)>>(), flags in any::<[bool; 4]>()) {
            let respawn = respawn.map(|(tick, x, y, heading)| Respawn { tick, x, y, heading });
            let own = flags[0].then_some(Own { score: 70_000, rank, ranked: 9, respawn });
            let header = Header { tick, span, checksum: 7, input_ack: 200, input_lead: -3, eye, own,
                                  has_whole: flags[1], has_sums: flags[2], has_events: flags[3] };
            let mut bytes = Vec::new();
            header.encode(&mut bytes);
            let near = tick.wrapping_add_signed(ahead);
            prop_assert_eq!(Header::decode(&mut BitReader::new(&bytes), near), Ok(header));
        }

        #[test]
        fn any_bytes_decode_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..40), near in any::<u32>()) {
            let _ = Header::decode(&mut BitReader::new(&bytes), near);
        }
    }
}
