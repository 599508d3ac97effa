//! What the dogfight adds to the wire: its part of the welcome, of frames and of the log, and what its clients say.
//!
//! Path: upwards [`Packet::decode`] in the room; downwards [`Welcome`], [`Header`] and [`Kill`] in the client.
//! Invariants: decoding never panics and never allocates more than the limits here, on any bytes; [`version`] follows from
//! the declarations, so that nobody has to remember to count it.
//! Never: a socket, the session's part (it is in `protocol`).

use crate::rows::code_tables::ROW_TABLES;
use game::{KINDS, rules::Rules, schema::Kind};
use protocol::{
    DecodeError, FNV_1A, Tick,
    bits::BitReader,
    codec, fnv_1a,
    frame::{Ack, Head},
    limits::{CLIENT_MESSAGE_MAX_BYTES, ENTRY_MAX_BYTES, OPERATION_MAX_BYTES, WELCOME_KIND_MAX_BYTES},
    message::{HOT_BIT, KIND_TAG},
};
use serde::{Deserialize, Serialize};

/// Counts what the declarations do not tell: the layout of what is in this file, and of rows.
const LAYOUT_VERSION: u8 = 1;
/// Input changes in one packet. Policy: refuse the packet.
pub const INPUTS_MAX_COUNT: usize = 15;
/// How far ahead of the room's clock an input may be stamped. Policy: it is applied at the limit.
pub const INPUT_LEAD_MAX_TICKS: u32 = 60;
/// Cells a member may hold. Policy: refuse the message.
pub const HELD_CELLS_MAX_COUNT: usize = 64;
/// Parts of a tick in which [`InputPacket::view_delay`] and [`Kill`] tell how long ago something was.
pub const PARTS_PER_TICK: u32 = 16;

/// The version of the dogfight's part of the wire: a hash of all that both ends must have the same, which are kinds, fields
/// and ranges of rows, the names of the rules' numbers, the code tables, and [`LAYOUT_VERSION`].
pub fn version() -> u32 {
    version_of(KINDS, &Rules::declaration(), ROW_TABLES)
}

fn version_of(kinds: &[Kind], rules: &str, tables: &str) -> u32 {
    let mut hash = fnv_1a(FNV_1A, &[LAYOUT_VERSION]);
    for kind in kinds {
        hash = fnv_1a(hash, format!("{}:{}:{}:{};", kind.name, kind.id_bits, kind.is_placed, kind.derived).as_bytes());
        for field in kind.fields {
            hash = fnv_1a(hash, format!("{}:{:?};", field.name, field.range).as_bytes());
        }
    }
    fnv_1a(fnv_1a(hash, rules.as_bytes()), tables.as_bytes())
}

/// The dogfight's part of the welcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// Own pilot id: the id of the own plane's row. 0: none, for whoever only watches.
    pub pilot: u16,
    /// The room's rules.
    pub rules: Rules,
}

/// What a client wants done once ([`protocol::message::Operation::Kind`]).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operation {
    /// To fly again after having been shot down.
    FlyAgain,
}

/// What a client asks of the replication.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// A frame's checksum did not match: asks for per-cell sums in the next frame.
    Verify,
    /// These cells are wrong: asks for them whole.
    Repair(Vec<u16>),
}

/// Anything a client says to the dogfight, operations apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packet {
    /// Inputs and an acknowledgement.
    Inputs(InputPacket),
    /// A request.
    Request(Request),
}

/// The topic of a [`Kill`] in the log.
pub const KILL_TOPIC: u8 = protocol::entry::KIND_TOPICS;

/// Somebody was shot down (or flew into somebody). The entry's author did it, and is the victim when nobody else did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kill {
    /// Whose plane it was.
    pub victim: u16,
    /// A collision instead of a gun.
    pub rammed: bool,
    /// How far in the past the killer saw the victim, 16ths of a tick.
    pub view_delay: u8,
}

/// One change of the controls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Input {
    /// The tick at which it should take effect.
    pub tick: Tick,
    /// The game's own encoding of the controls.
    pub controls: u16,
}

/// The client's hot packet: sent when the controls change, and at least every `ACK_INTERVAL_MAX_MS`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputPacket {
    /// Number of this packet on its socket, 1 to 255 and again from 1; frames acknowledge it.
    pub number: u8,
    /// The last tick applied.
    pub ack: Tick,
    /// The client's own clock: the tick it is predicting.
    pub at: Tick,
    /// How far behind that clock the client shows the others, 16ths of a tick; in force from the tick after `at`.
    pub view_delay: u8,
    /// The changes, oldest first, at most `INPUTS_MAX_COUNT`.
    pub inputs: Vec<Input>,
}

impl InputPacket {
    /// Bytes before the inputs, and bytes of each input.
    const HEAD_BYTES: usize = 11;
    const INPUT_BYTES: usize = 6;

    /// Bytes: `0x80 | count`, number, ack (u32 LE), at (u32 LE), view_delay, then per input its tick (u32 LE) and controls (u16 LE).
    pub fn encode(&self) -> Vec<u8> {
        assert!(self.inputs.len() <= INPUTS_MAX_COUNT, "the sender splits long lists");
        let mut bytes = vec![HOT_BIT | self.inputs.len() as u8, self.number];
        bytes.extend_from_slice(&self.ack.to_le_bytes());
        bytes.extend_from_slice(&self.at.to_le_bytes());
        bytes.push(self.view_delay);
        for input in &self.inputs {
            bytes.extend_from_slice(&input.tick.to_le_bytes());
            bytes.extend_from_slice(&input.controls.to_le_bytes());
        }
        bytes
    }

    /// Reads a packet.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let first = bytes.first().ok_or(DecodeError::Truncated)?;
        let count = usize::from(first & !HOT_BIT);
        if count > INPUTS_MAX_COUNT {
            return Err(DecodeError::OutOfRange("input count"));
        }
        match bytes.len().cmp(&(Self::HEAD_BYTES + count * Self::INPUT_BYTES)) {
            std::cmp::Ordering::Less => return Err(DecodeError::Truncated),
            std::cmp::Ordering::Greater => return Err(DecodeError::TrailingBytes),
            std::cmp::Ordering::Equal => {}
        }
        let tick = |at: usize| Tick::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let inputs = (0..count)
            .map(|i| Self::HEAD_BYTES + i * Self::INPUT_BYTES)
            .map(|at| Input { tick: tick(at), controls: u16::from_le_bytes([bytes[at + 4], bytes[at + 5]]) })
            .collect();
        Ok(Self { number: bytes[1], ack: tick(2), at: tick(6), view_delay: bytes[10], inputs })
    }
}

impl Packet {
    /// Decodes whatever a client said to the dogfight.
    ///
    /// # Errors
    /// Any [`DecodeError`]; none is worth keeping the socket for.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        match bytes.split_first() {
            Some((first, _)) if first & HOT_BIT != 0 => InputPacket::decode(bytes).map(Self::Inputs),
            Some((&KIND_TAG, request)) => Request::decode(request).map(Self::Request),
            _ => Err(DecodeError::Malformed),
        }
    }
}

impl Request {
    /// The request's bytes, behind [`KIND_TAG`].
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        match codec::decode::<_, CLIENT_MESSAGE_MAX_BYTES>(bytes)? {
            Self::Repair(cells) if cells.len() > HELD_CELLS_MAX_COUNT => Err(DecodeError::OutOfRange("cells")),
            request => Ok(request),
        }
    }
}

impl Operation {
    /// The operation's bytes.
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// Reads an operation.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        codec::decode::<_, OPERATION_MAX_BYTES>(bytes)
    }
}

impl Welcome {
    /// The part's bytes.
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// Reads the part.
    ///
    /// # Errors
    /// [`DecodeError`], also for rules by which a step could leave a field's range.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let welcome: Self = codec::decode::<_, WELCOME_KIND_MAX_BYTES>(bytes)?;
        if welcome.rules.are_sound() { Ok(welcome) } else { Err(DecodeError::OutOfRange("rules")) }
    }
}

impl Kill {
    /// The entry's body.
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// Reads an entry's body.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        codec::decode::<_, ENTRY_MAX_BYTES>(body)
    }
}

/// The kind's flags of a frame ([`Head::kind`]).
mod flag {
    /// The viewpoint's cell follows (u16).
    pub(super) const VIEWPOINT: u8 = 1;
    /// The own standing follows.
    pub(super) const PRIVATE: u8 = 2;
    /// Which held cells come whole follows; without it, only newly held ones do.
    pub(super) const WHOLE: u8 = 4;
    /// Per-cell checksums follow the cells.
    pub(super) const SUMS: u8 = 8;
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

/// The session's head of a frame and the dogfight's, which follows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Header {
    /// The tick whose end this frame describes.
    pub tick: Tick,
    /// Ticks covered, 1..=64: the cells' parts tell ticks `tick - span + 1 ..= tick`. 0: nothing held is continued.
    pub span: u8,
    /// The last input packet received on this socket, if one came since the last frame.
    pub input_ack: Option<Ack>,
    /// Whether log entries end the frame.
    pub has_entries: bool,
    /// Sum of the held cells' checksums, folded to 16 bits.
    pub checksum: u16,
    /// Where the member looks from, when it cannot be derived.
    pub viewpoint: Option<u16>,
    /// The own standing, when it changed.
    pub private: Option<PrivateState>,
    /// Whether a bitmap of whole cells leads the cells' parts.
    pub has_whole: bool,
    /// Whether per-cell checksums follow the parts.
    pub has_sums: bool,
}

impl Header {
    /// Appends the header's bytes.
    pub fn encode(&self, bytes: &mut Vec<u8>) {
        let flags = [
            (self.viewpoint.is_some(), flag::VIEWPOINT),
            (self.private.is_some(), flag::PRIVATE),
            (self.has_whole, flag::WHOLE),
            (self.has_sums, flag::SUMS),
        ];
        let kind = flags.iter().filter(|(set, _)| *set).fold(0, |all, (_, bit)| all | bit);
        let Self { tick, span, input_ack: ack, has_entries, .. } = *self;
        Head { tick, span, ack, has_entries, kind }.encode(bytes);
        bytes.extend_from_slice(&self.checksum.to_le_bytes());
        if let Some(viewpoint) = self.viewpoint {
            bytes.extend_from_slice(&viewpoint.to_le_bytes());
        }
        if let Some(private) = self.private {
            private.encode(bytes);
        }
    }

    /// Reads a header. `have` is the tick of the frame before: a frame that continues it tells only how far it goes.
    ///
    /// # Errors
    /// [`DecodeError`] when it is no frame or is cut short.
    pub fn decode(reader: &mut BitReader<'_>, have: Tick) -> Result<Self, DecodeError> {
        let Head { tick, span, ack: input_ack, has_entries, kind } = Head::decode(reader, have)?;
        let has = |bit: u8| kind & bit != 0;
        let checksum = reader.get(16)? as u16;
        let viewpoint = if has(flag::VIEWPOINT) { Some(reader.get(16)? as u16) } else { None };
        let private = if has(flag::PRIVATE) { Some(PrivateState::decode(reader)?) } else { None };
        let (has_whole, has_sums) = (has(flag::WHOLE), has(flag::SUMS));
        Ok(Self { tick, span, input_ack, has_entries, checksum, viewpoint, private, has_whole, has_sums })
    }
}

impl PrivateState {
    fn encode(self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.score.to_le_bytes());
        bytes.extend_from_slice(&self.rank.to_le_bytes());
        bytes.extend_from_slice(&self.ranked.to_le_bytes());
        bytes.push(u8::from(self.respawn.is_some()));
        if let Some(respawn) = self.respawn {
            bytes.extend_from_slice(&respawn.tick.to_le_bytes());
            bytes.extend_from_slice(&respawn.x.to_le_bytes());
            bytes.extend_from_slice(&respawn.y.to_le_bytes());
            bytes.extend_from_slice(&respawn.heading.to_le_bytes());
            bytes.push(respawn.shots);
        }
    }

    fn decode(reader: &mut BitReader<'_>) -> Result<Self, DecodeError> {
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
        Ok(Self { score, rank, ranked, respawn })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use game::schema::Field;
    use proptest::prelude::*;

    const KINDS_OF_A_TEST: Kind = Kind {
        number: 0,
        name: "",
        id_bits: 0,
        fields: &[],
        is_placed: false,
        derived: 0,
        derive: game::schema::nothing_is_derived,
    };
    /// A field, the same by another name, with another range, and beside another.
    const FIELDS: [&[Field]; 4] = [
        &[Field { name: "x", range: 0..=9, default: 0 }],
        &[Field { name: "y", range: 0..=9, default: 0 }],
        &[Field { name: "x", range: 0..=10, default: 0 }],
        &[Field { name: "x", range: 0..=9, default: 0 }, Field { name: "y", range: 0..=9, default: 0 }],
    ];

    #[test]
    fn the_version_follows_from_the_declarations() {
        let names = ["boost_speed", "throttle_speeds", "grid", "kill"];
        assert!(names.iter().all(|name| Rules::declaration().contains(name)), "{}", Rules::declaration());
        assert!(!Rules::declaration().contains(|c: char| c.is_ascii_digit()), "a number that changes is no other wire");
        let kind = |name, id_bits, fields| Kind { name, id_bits, fields, ..KINDS_OF_A_TEST };
        let version = |kind: Kind, rules, tables| version_of(&[kind], rules, tables);
        let versions = [
            version(kind("kit", 8, FIELDS[0]), "(speed:)", "head 0=1"),
            version(kind("kits", 8, FIELDS[0]), "(speed:)", "head 0=1"),
            version(kind("kit", 9, FIELDS[0]), "(speed:)", "head 0=1"),
            version(kind("kit", 8, FIELDS[1]), "(speed:)", "head 0=1"),
            version(kind("kit", 8, FIELDS[2]), "(speed:)", "head 0=1"),
            version(kind("kit", 8, FIELDS[3]), "(speed:)", "head 0=1"),
            version(kind("kit", 8, FIELDS[0]), "(speed:,heals:)", "head 0=1"),
            version(kind("kit", 8, FIELDS[0]), "(speed:)", "head 0=2"),
        ];
        assert_eq!(versions.iter().collect::<std::collections::BTreeSet<_>>().len(), versions.len(), "{versions:?}");
        assert_eq!(versions[0], version(kind("kit", 8, FIELDS[0]), "(speed:)", "head 0=1"));
    }

    #[test]
    fn inputs_come_back() {
        let inputs = vec![Input { tick: 70_000, controls: 513 }, Input { tick: 70_001, controls: 0 }];
        let packet = InputPacket { number: 255, ack: 69_990, at: 70_001, view_delay: 130, inputs };
        let bytes = packet.encode();
        assert_eq!(Packet::decode(&bytes), Ok(Packet::Inputs(packet)));
        assert_eq!(Packet::decode(&bytes[..bytes.len() - 1]), Err(DecodeError::Truncated));
        assert_eq!(Packet::decode(&[&bytes[..], &[0]].concat()), Err(DecodeError::TrailingBytes));
    }

    /// SPEC A8.2.
    #[test]
    fn requests_come_back_and_long_ones_are_refused() {
        let said = |request: &Request| Packet::decode(&[&[KIND_TAG], &request.encode()[..]].concat());
        for request in [Request::Verify, Request::Repair(vec![0, 399])] {
            assert_eq!(said(&request), Ok(Packet::Request(request)));
        }
        let long = Request::Repair(vec![1; HELD_CELLS_MAX_COUNT + 1]);
        assert_eq!(said(&long), Err(DecodeError::OutOfRange("cells")));
        assert_eq!(Operation::decode(&Operation::FlyAgain.encode()), Ok(Operation::FlyAgain));
    }

    proptest! {
        #[test]
        fn headers_come_back(have in 0u32..4_000_000, span in 0u8..=64, viewpoint in any::<Option<u16>>(), ack in any::<Option<(u8, i8)>>(),
                             rank in any::<u16>(), respawn in any::<Option<(u32, u32, u32, u16, u8)>>(), flags in any::<[bool; 4]>()) {
            let respawn = respawn.map(|(tick, x, y, heading, shots)| Respawn { tick, x, y, heading, shots });
            let private = flags[0].then_some(PrivateState { score: 70_000, rank, ranked: 9, respawn });
            let tick = if span == 0 { 77 } else { have + u32::from(span) };
            let input_ack = ack.map(|(packet, lead)| Ack { packet, lead });
            let header = Header { tick, span, checksum: 7, input_ack, viewpoint, private,
                                  has_whole: flags[1], has_sums: flags[2], has_entries: flags[3] };
            let mut bytes = Vec::new();
            header.encode(&mut bytes);
            prop_assert_eq!(Header::decode(&mut BitReader::new(&bytes), have), Ok(header));
        }

        #[test]
        fn any_bytes_decode_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..60), near in any::<u32>()) {
            let _ = Header::decode(&mut BitReader::new(&bytes), near);
            let _ = (Packet::decode(&bytes), Operation::decode(&bytes), Welcome::decode(&bytes), Kill::decode(&bytes));
        }
    }
}
