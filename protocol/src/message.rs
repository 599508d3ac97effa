//! Control messages (bincode) and the client's input packet (fixed layout).
//!
//! Path: `ClientPacket::decode` on the server, [`ServerMessage::decode`] on the client. The first byte tells hot
//! traffic (bit 7 set: an input packet upwards, a frame downwards) from control messages (a zero byte, then bincode).
//! Invariants: the size limit is checked before decoding; strings and lists are checked against `limits` after it.

use crate::{DecodeError, Tick, close::CloseReason, codec, limits};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// First byte of every control message.
const CONTROL_TAG: u8 = 0;
/// Bit 7 of the first byte: hot traffic.
pub const HOT_BIT: u8 = 0x80;

/// How a pilot appears to others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// Call sign: 1 to `NAME_MAX_BYTES` bytes, no control characters (see [`sanitise_name`]).
    pub name: String,
    /// Colour and wing mark, 0..=7.
    pub hue: u8,
    /// A computer pilot.
    pub is_bot: bool,
}

/// The first message on a socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// [`crate::PROTOCOL_VERSION`]; first, so that any version can read it (see [`Hello::version_of`]).
    pub version: u32,
    /// Join ticket from the lobby, in its text form.
    pub ticket: Option<String>,
    /// Resume token from an earlier welcome.
    pub resume: Option<String>,
    /// The last tick this page has applied in this room epoch, 0 after a reload.
    pub have_tick: Tick,
    /// Number of the last event this page has seen, 0 for none.
    pub have_event: u32,
    /// Wanted call sign.
    pub name: String,
    /// Wanted colour, 0..=7.
    pub hue: u8,
}

/// What a client says, hot inputs apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClientMessage {
    /// Must be first, and only first.
    Hello(Hello),
    /// A line for the tower.
    Chat(String),
    /// Asks for the profiles of these pilots.
    Whois(Vec<u16>),
    /// Wants to fly again after having been shot down.
    FlyAgain,
    /// Changes call sign and colour.
    Rename {
        /// New call sign.
        name: String,
        /// New colour, 0..=7.
        hue: u8,
    },
    /// A frame's checksum did not match: asks for per-cell sums in the next frame.
    Verify,
    /// These cells are wrong: asks for them whole.
    Repair(Vec<u16>),
    /// Leaves for good: the plane is removed at once.
    Leave,
}

/// A numbered entry of the room's event log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// A line in the tower.
    Chat {
        /// Who said it; the pilot may have left since.
        pilot: u16,
        /// The call sign at that time.
        name: String,
        /// The line.
        text: String,
    },
    /// Somebody was shot down (or flew into somebody).
    Kill {
        /// Who did it; equals `victim` when nobody else did.
        killer: u16,
        /// Whose plane it was.
        victim: u16,
        /// A collision instead of a gun.
        rammed: bool,
        /// How far in the past the killer saw the victim, 16ths of a tick.
        view_delay: u8,
    },
    /// A pilot arrived or changed the profile.
    Joined {
        /// The pilot's id.
        pilot: u16,
        /// The new profile.
        profile: Profile,
    },
    /// A pilot left.
    Left {
        /// The pilot's id.
        pilot: u16,
        /// The call sign.
        name: String,
    },
}

/// What a client learns when it is in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// Own pilot id: the id of the own plane's row.
    pub pilot: u16,
    /// Changes when the room was begun anew: what was held before is void.
    pub epoch: u32,
    /// True when session, plane and score are those of before.
    pub resumed: bool,
    /// Frames continue from this tick, which the page still has; 0: from nothing.
    pub since: Tick,
    /// The room's clock now.
    pub tick: Tick,
    /// For the next connection; each use rotates it.
    pub resume: String,
    /// The rules in the game's own encoding, at most `RULES_MAX_BYTES`.
    pub rules: Vec<u8>,
    /// The own profile as accepted.
    pub profile: Profile,
    /// Chat before now, oldest first, at most `CHAT_HISTORY_MAX_LINES`; empty when frames continue.
    pub history: Vec<Event>,
    /// Number of the last event the history covers.
    pub last_event: u32,
}

/// What a server says, frames apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ServerMessage {
    /// The answer to a good hello.
    Welcome(Box<Welcome>),
    /// The answer to a bad hello; a close with the same code follows.
    Refused {
        /// [`CloseReason::code`].
        code: u16,
        /// The version the server speaks.
        version: u32,
    },
    /// Profiles, as asked with `Whois`.
    Roster(Vec<(u16, Profile)>),
    /// Something a player should know, in one sentence: about a message of theirs, or that the room cannot be saved.
    Notice(String),
    /// The socket is about to be closed.
    Bye {
        /// [`CloseReason::code`].
        code: u16,
    },
    /// How busy the room is; told when it changes, and after the welcome unless service is full.
    Service {
        /// How much is left out: 0 is full service, `session::Level` names the others.
        level: u8,
        /// Simulation takes longer than a tick: time runs slower for everybody.
        is_slow: bool,
    },
}

/// One change of the controls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Input {
    /// The tick at which it should take effect.
    pub tick: Tick,
    /// The game's own encoding of the controls.
    pub controls: u16,
}

/// Anything a client may send after decoding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientPacket {
    /// A control message.
    Message(ClientMessage),
    /// Inputs and an acknowledgement.
    Inputs(InputPacket),
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

/// Parts of a tick in which [`InputPacket::view_delay`] and [`Event::Kill`] tell how long ago something was.
pub const PARTS_PER_TICK: u32 = 16;

impl InputPacket {
    /// Bytes before the inputs, and bytes of each input.
    const HEAD_BYTES: usize = 11;
    const INPUT_BYTES: usize = 6;

    /// Bytes: `0x80 | count`, number, ack (u32 LE), at (u32 LE), view_delay, then per input its tick (u32 LE) and controls (u16 LE).
    pub fn encode(&self) -> Vec<u8> {
        assert!(self.inputs.len() <= limits::INPUTS_MAX_COUNT, "the sender splits long lists");
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

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let count = usize::from(bytes[0] & !HOT_BIT);
        if count > limits::INPUTS_MAX_COUNT {
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

impl ClientPacket {
    /// Decodes whatever a client sent.
    ///
    /// # Errors
    /// Any [`DecodeError`]; none is worth keeping the socket for.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        if bytes.len() > limits::CLIENT_MESSAGE_MAX_BYTES {
            return Err(DecodeError::TooLong);
        }
        match bytes.first() {
            None => Err(DecodeError::Truncated),
            Some(tag) if tag & HOT_BIT != 0 => InputPacket::decode(bytes).map(Self::Inputs),
            Some(_) => ClientMessage::decode(bytes).map(Self::Message),
        }
    }
}

impl Hello {
    /// The version of a hello of any version, even one that is otherwise not understood; `None` if it is no hello.
    ///
    /// It rests on what no version may change: the tag, the hello being the first variant, the version its first field.
    pub fn version_of(bytes: &[u8]) -> Option<u32> {
        let body = bytes.strip_prefix(&[CONTROL_TAG])?;
        let (variant, version): (u32, u32) =
            codec::decode_start::<_, { limits::CLIENT_MESSAGE_MAX_BYTES }>(body).ok()?;
        (variant == 0).then_some(version)
    }
}

impl ClientMessage {
    /// The message's bytes, tag included.
    pub fn encode(&self) -> Vec<u8> {
        encode_control(self, limits::CLIENT_MESSAGE_MAX_BYTES)
    }

    /// Decodes a control message and checks its limits.
    ///
    /// # Errors
    /// Any [`DecodeError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let message: Self = decode_control::<_, { limits::CLIENT_MESSAGE_MAX_BYTES }>(bytes)?;
        message.check()?;
        Ok(message)
    }

    fn check(&self) -> Result<(), DecodeError> {
        let within = |fine: bool, field| if fine { Ok(()) } else { Err(DecodeError::OutOfRange(field)) };
        let token = |t: &Option<String>| t.as_ref().is_none_or(|t| t.len() <= limits::TOKEN_MAX_BYTES);
        match self {
            Self::Hello(hello) => {
                within(token(&hello.ticket), "ticket")?;
                within(token(&hello.resume), "resume token")?;
                within(hello.name.len() <= limits::CHAT_MAX_BYTES, "name")
            }
            Self::Rename { name, .. } => within(name.len() <= limits::CHAT_MAX_BYTES, "name"),
            Self::Whois(pilots) => within(pilots.len() <= limits::ROSTER_MAX_ENTRIES, "pilots"),
            Self::Repair(cells) => within(cells.len() <= limits::HELD_CELLS_MAX_COUNT, "cells"),
            Self::Chat(_) | Self::FlyAgain | Self::Verify | Self::Leave => Ok(()),
        }
    }
}

impl ServerMessage {
    /// The message's bytes, tag included.
    pub fn encode(&self) -> Vec<u8> {
        encode_control(self, limits::SERVER_MESSAGE_MAX_BYTES)
    }

    /// Decodes a control message.
    ///
    /// # Errors
    /// Any [`DecodeError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        decode_control::<_, { limits::SERVER_MESSAGE_MAX_BYTES }>(bytes)
    }

    /// The refusal that answers a bad hello.
    pub fn refused(reason: CloseReason) -> Self {
        Self::Refused { code: reason.code(), version: crate::PROTOCOL_VERSION }
    }
}

impl Event {
    /// Whether it is a line that a room would have taken.
    pub fn is_chat(&self) -> bool {
        let Self::Chat { name, text, .. } = self else { return false };
        name.len() <= limits::NAME_MAX_BYTES && text.len() <= limits::CHAT_MAX_BYTES
    }

    /// Bytes of one entry of a frame's event section.
    pub fn encode(&self) -> Vec<u8> {
        let bytes = codec::encode(self);
        assert!(bytes.len() <= limits::EVENT_MAX_BYTES, "events are built from checked strings");
        bytes
    }

    /// Decodes one entry.
    ///
    /// # Errors
    /// [`DecodeError::TooLong`], [`DecodeError::Malformed`] or [`DecodeError::TrailingBytes`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        codec::decode::<_, { limits::EVENT_MAX_BYTES }>(bytes)
    }
}

/// Makes any text a call sign: no control characters, single spaces, cut to `NAME_MAX_BYTES`, "Pilot" if nothing is left.
pub fn sanitise_name(wanted: &str) -> String {
    let printable = wanted.split(|c: char| c.is_whitespace() || c.is_control() || is_invisible(c));
    let mut name = printable.filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ");
    while name.len() > limits::NAME_MAX_BYTES {
        name.pop();
    }
    let name = name.trim_end();
    if name.is_empty() { "Pilot".to_owned() } else { name.to_owned() }
}

/// Makes any text a chat line: no control characters, trimmed; `None` if nothing is left or it is too long.
pub fn sanitise_chat(text: &str) -> Option<String> {
    let line: String = text.chars().filter(|c| !c.is_control() && !is_invisible(*c)).collect();
    let line = line.trim();
    (!line.is_empty() && line.len() <= limits::CHAT_MAX_BYTES).then(|| line.to_owned())
}

/// Zero-width characters and direction overrides: they let one call sign pass for another.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{2069}' | '\u{FEFF}')
}

fn encode_control(message: &impl Serialize, max_bytes: usize) -> Vec<u8> {
    let mut bytes = vec![CONTROL_TAG];
    bytes.extend(codec::encode(message));
    assert!(bytes.len() <= max_bytes, "messages are built from checked parts");
    bytes
}

fn decode_control<T: DeserializeOwned, const MAX: usize>(bytes: &[u8]) -> Result<T, DecodeError> {
    match bytes.split_first() {
        None => Err(DecodeError::Truncated),
        Some((&CONTROL_TAG, body)) => codec::decode::<T, MAX>(body),
        Some(_) => Err(DecodeError::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hello() -> ClientMessage {
        ClientMessage::Hello(Hello {
            version: crate::PROTOCOL_VERSION,
            ticket: Some("t".repeat(100)),
            resume: None,
            have_tick: 7,
            have_event: 0,
            name: "Ada".into(),
            hue: 3,
        })
    }

    #[test]
    fn control_messages_come_back() {
        for message in
            [hello(), ClientMessage::Chat("hi".into()), ClientMessage::Whois(vec![1, 2]), ClientMessage::Leave]
        {
            assert_eq!(ClientPacket::decode(&message.encode()), Ok(ClientPacket::Message(message)));
        }
    }

    #[test]
    fn what_a_server_says_comes_back_under_its_number() {
        let service = ServerMessage::Service { level: 3, is_slow: true };
        for (number, message) in [
            (1, ServerMessage::refused(CloseReason::Overloaded)),
            (2, ServerMessage::Roster(vec![])),
            (3, ServerMessage::Notice("word".into())),
            (4, ServerMessage::Bye { code: 4000 }),
            (5, service),
        ] {
            let bytes = message.encode();
            assert_eq!(bytes[..2], [CONTROL_TAG, number]);
            assert_eq!(ServerMessage::decode(&bytes), Ok(message));
        }
    }

    #[test]
    fn inputs_come_back() {
        let inputs = vec![Input { tick: 70_000, controls: 513 }, Input { tick: 70_001, controls: 0 }];
        let packet = InputPacket { number: 255, ack: 69_990, at: 70_001, view_delay: 130, inputs };
        let bytes = packet.encode();
        assert_eq!(ClientPacket::decode(&bytes), Ok(ClientPacket::Inputs(packet)));
        assert_eq!(ClientPacket::decode(&bytes[..bytes.len() - 1]), Err(DecodeError::Truncated));
        assert_eq!(ClientPacket::decode(&[&bytes[..], &[0]].concat()), Err(DecodeError::TrailingBytes));
    }

    #[test]
    fn the_version_of_any_hello_is_read() {
        let bytes = hello().encode();
        assert_eq!(Hello::version_of(&bytes), Some(crate::PROTOCOL_VERSION));
        assert_eq!(Hello::version_of(&[&bytes[..], &[1, 2, 3]].concat()), Some(crate::PROTOCOL_VERSION));
        assert_eq!(Hello::version_of(&[0, 0, 99]), Some(99));
        assert_eq!(Hello::version_of(&ClientMessage::Leave.encode()), None);
        assert_eq!(Hello::version_of(&[]), None);
    }

    #[test]
    fn lists_above_their_limit_are_refused() {
        let long = ClientMessage::Whois(vec![1; limits::ROSTER_MAX_ENTRIES + 1]);
        assert_eq!(ClientPacket::decode(&long.encode()), Err(DecodeError::OutOfRange("pilots")));
    }

    #[test]
    fn names_are_made_harmless() {
        assert_eq!(sanitise_name("  a\u{202E}b \n c "), "a b c");
        assert_eq!(sanitise_name("\u{200B}"), "Pilot");
        assert_eq!(sanitise_name(&"é".repeat(40)).len(), limits::NAME_MAX_BYTES);
        assert_eq!(sanitise_chat(" \u{7} "), None);
        assert_eq!(sanitise_chat(&"x".repeat(limits::CHAT_MAX_BYTES + 1)), None);
    }

    proptest! {
        #[test]
        fn decoding_any_bytes_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
            let _ = ClientPacket::decode(&bytes);
            let _ = ServerMessage::decode(&bytes);
            let _ = Event::decode(&bytes);
        }

        #[test]
        fn damaging_a_message_never_panics(at in 0usize..120, with in any::<u8>()) {
            let mut bytes = hello().encode();
            let at = at % bytes.len();
            bytes[at] = with;
            let _ = ClientPacket::decode(&bytes);
        }
    }
}
