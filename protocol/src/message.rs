//! What every room says and hears, frames apart; what a kind adds goes along as bytes.
//!
//! Path: [`Packet::decode`] on the server, [`ServerMessage::decode`] on the client. The first byte tells them apart: `0x00`
//! a message of the session (bincode), `0x01` a message of the kind's, bit 7 hot traffic (the kind's packet upwards, a
//! frame downwards).
//! Invariants: the size limit is checked before decoding; strings and lists are checked against `limits` after it; the
//! hello's tag, number and first field are the same in every version.

use crate::{
    DecodeError, Tick, close::CloseReason, codec, entry::Entry, limits, profile::Profile, room::Kind, token::Role,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// First byte of every message of the session.
const SESSION_TAG: u8 = 0;
/// First byte of every message of the kind's that is not hot.
pub const KIND_TAG: u8 = 1;
/// Bit 7 of the first byte: hot traffic.
pub const HOT_BIT: u8 = 0x80;

/// What a client's message may claim of memory while it is decoded: every number counts there as what it is in memory, and
/// each byte of it may be one, or a message within its limit would be refused.
const CLIENT_CLAIMS_MAX_BYTES: usize = 8 * limits::CLIENT_MESSAGE_MAX_BYTES;

/// The first message on a socket. Versions and kind stand first, so that a page of any age can be told why it is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// [`crate::PROTOCOL_VERSION`] (see [`Hello::version_of`]).
    pub version: u32,
    /// [`Kind::number`] of the room that is expected.
    pub kind: u8,
    /// Version of what that kind adds to the wire.
    pub kind_version: u32,
    /// Join ticket from the lobby, in its text form.
    pub ticket: Option<String>,
    /// Resume token from an earlier welcome.
    pub resume: Option<String>,
    /// The last tick this page has applied in this room epoch, 0 after a reload.
    pub have_tick: Tick,
    /// Number of the last log entry this page has seen, 0 for none.
    pub have_entry: u32,
    /// Wanted name.
    pub name: String,
    /// Wanted colour, 0..=7.
    pub hue: u8,
}

/// What a member wants to have done, and wants done once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operation {
    /// A line for everybody.
    Chat(String),
    /// Changes name and colour.
    Rename {
        /// New name.
        name: String,
        /// New colour, 0..=7.
        hue: u8,
    },
    /// The kind's own, at most `OPERATION_MAX_BYTES`.
    Kind(Vec<u8>),
}

/// What a client says to the session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClientMessage {
    /// Must be first, and only first.
    Hello(Hello),
    /// Something that counts once, however often it is sent: it is the member's, and has a number.
    Operation {
        /// More than that of the member's operation before it; [`Welcome::last_operation`] says from where.
        number: u32,
        /// What is to be done.
        operation: Operation,
    },
    /// Asks for the profiles of these members.
    Whois(Vec<u32>),
    /// Leaves for good.
    Leave,
}

/// What a client learns when it is in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// By which others know this member: the author of what it says. 0: nobody knows of it, since it only reads.
    pub member: u32,
    /// Changes when the room was begun anew: what was held before is void.
    pub epoch: u32,
    /// True when the member and all that belongs to it are those of before.
    pub resumed: bool,
    /// Frames continue from this tick, which the page still has; 0: from nothing.
    pub since: Tick,
    /// The room's clock now.
    pub tick: Tick,
    /// For the next connection; each use rotates it.
    pub resume: String,
    /// What this member may do.
    pub role: Role,
    /// The own profile as accepted.
    pub profile: Profile,
    /// Talk before now, oldest first, at most `CHAT_HISTORY_MAX_LINES`; empty when frames continue.
    pub history: Vec<Entry>,
    /// Number of the last entry that frames will not bring, since it is in the history or was seen.
    pub last_entry: u32,
    /// Number of the last entry that is kept, whatever happens to the machine; 0: none.
    pub kept_entry: u32,
    /// Number of this member's last operation that was taken or declined, 0: none.
    pub last_operation: u32,
    /// The kind's part, at most `WELCOME_KIND_MAX_BYTES`.
    pub kind: Vec<u8>,
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
        /// [`Kind::number`] of the room.
        kind: u8,
        /// The newest version of that kind's part that the server speaks.
        kind_version: u32,
    },
    /// Profiles, as asked with `Whois`.
    Roster(Vec<(u32, Profile)>),
    /// Something a member should know, in one sentence.
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
    /// An own operation was done.
    Taken {
        /// Its number.
        number: u32,
        /// The log entry it became; 0: none, or it was done before.
        entry: u32,
    },
    /// An own operation was not done, and will not be.
    Declined {
        /// Its number.
        number: u32,
        /// Why, for a person.
        sentence: String,
    },
}

/// Anything a client may send.
#[derive(Debug, PartialEq, Eq)]
pub enum Packet<'a> {
    /// A message of the session.
    Session(ClientMessage),
    /// The kind's own, first byte included: [`KIND_TAG`], or hot.
    Kind(&'a [u8]),
}

impl<'a> Packet<'a> {
    /// Decodes what is the session's of whatever a client sent.
    ///
    /// # Errors
    /// Any [`DecodeError`]; none is worth keeping the socket for.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        if bytes.len() > limits::CLIENT_MESSAGE_MAX_BYTES {
            return Err(DecodeError::TooLong);
        }
        match bytes.first() {
            None => Err(DecodeError::Truncated),
            Some(tag) if tag & HOT_BIT != 0 || *tag == KIND_TAG => Ok(Self::Kind(bytes)),
            Some(_) => ClientMessage::decode(bytes).map(Self::Session),
        }
    }
}

impl Hello {
    /// The hello of somebody who was never anywhere, to a room of this kind whose part of the wire has this version.
    pub fn to(kind: Kind, kind_version: u32, name: &str, hue: u8) -> Self {
        Self {
            version: crate::PROTOCOL_VERSION,
            kind: kind.number(),
            kind_version,
            ticket: None,
            resume: None,
            have_tick: 0,
            have_entry: 0,
            name: name.to_owned(),
            hue,
        }
    }

    /// The version of a hello of any version, even one that is otherwise not understood; `None` if it is no hello.
    ///
    /// It rests on what no version may change: the tag, the hello being the first variant, the version its first field.
    pub fn version_of(bytes: &[u8]) -> Option<u32> {
        let body = bytes.strip_prefix(&[SESSION_TAG])?;
        let ((variant, version), _) =
            codec::decode_first::<(u32, u32), { limits::CLIENT_MESSAGE_MAX_BYTES }>(body).ok()?;
        (variant == 0).then_some(version)
    }
}

impl ClientMessage {
    /// The message's bytes, tag included.
    pub fn encode(&self) -> Vec<u8> {
        encode_tagged(self, limits::CLIENT_MESSAGE_MAX_BYTES)
    }

    /// Decodes a message and checks its limits.
    ///
    /// # Errors
    /// Any [`DecodeError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        if bytes.len() > limits::CLIENT_MESSAGE_MAX_BYTES {
            return Err(DecodeError::TooLong);
        }
        let message: Self = decode_tagged::<_, CLIENT_CLAIMS_MAX_BYTES>(bytes)?;
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
            Self::Operation { operation: Operation::Rename { name, .. }, .. } => {
                within(name.len() <= limits::CHAT_MAX_BYTES, "name")
            }
            Self::Operation { operation: Operation::Kind(body), .. } => {
                within(body.len() <= limits::OPERATION_MAX_BYTES, "operation")
            }
            Self::Whois(members) => within(members.len() <= limits::ROSTER_MAX_ENTRIES, "members"),
            Self::Operation { operation: Operation::Chat(_), .. } | Self::Leave => Ok(()),
        }
    }
}

impl ServerMessage {
    /// The message's bytes, tag included.
    pub fn encode(&self) -> Vec<u8> {
        encode_tagged(self, limits::SERVER_MESSAGE_MAX_BYTES)
    }

    /// Decodes a message.
    ///
    /// # Errors
    /// Any [`DecodeError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        decode_tagged::<_, { limits::SERVER_MESSAGE_MAX_BYTES }>(bytes)
    }

    /// The refusal that answers a bad hello to a room of this kind and version.
    pub fn refused(reason: CloseReason, kind: Kind, kind_version: u32) -> Self {
        Self::Refused { code: reason.code(), version: crate::PROTOCOL_VERSION, kind: kind.number(), kind_version }
    }
}

fn encode_tagged(message: &impl Serialize, max_bytes: usize) -> Vec<u8> {
    let mut bytes = vec![SESSION_TAG];
    bytes.extend(codec::encode(message));
    assert!(bytes.len() <= max_bytes, "messages are built from checked parts");
    bytes
}

fn decode_tagged<T: DeserializeOwned, const MAX: usize>(bytes: &[u8]) -> Result<T, DecodeError> {
    match bytes.split_first() {
        None => Err(DecodeError::Truncated),
        Some((&SESSION_TAG, body)) => codec::decode::<T, MAX>(body),
        Some(_) => Err(DecodeError::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hello() -> ClientMessage {
        let hello = Hello::to(Kind::Arena, 70_000, "Ada", 3);
        ClientMessage::Hello(Hello { ticket: Some("t".repeat(100)), have_tick: 7, ..hello })
    }

    fn operation(operation: Operation) -> ClientMessage {
        ClientMessage::Operation { number: 7, operation }
    }

    /// SPEC S1.2.
    #[test]
    fn what_a_client_says_comes_back() {
        for message in [
            hello(),
            operation(Operation::Chat("hi".into())),
            operation(Operation::Kind(vec![1, 2])),
            ClientMessage::Whois(vec![1, 70_000]),
            ClientMessage::Leave,
        ] {
            assert_eq!(Packet::decode(&message.encode()), Ok(Packet::Session(message)));
        }
    }

    #[test]
    fn what_is_the_kinds_is_left_to_it() {
        for bytes in [&[KIND_TAG, 9][..], &[KIND_TAG], &[HOT_BIT], &[0xff, 1, 2]] {
            assert_eq!(Packet::decode(bytes), Ok(Packet::Kind(bytes)));
        }
        assert_eq!(Packet::decode(&[2, 0]), Err(DecodeError::Malformed));
        assert_eq!(Packet::decode(&[]), Err(DecodeError::Truncated));
        assert_eq!(Packet::decode(&[HOT_BIT; limits::CLIENT_MESSAGE_MAX_BYTES + 1]), Err(DecodeError::TooLong));
    }

    /// SPEC S1.4.
    #[test]
    fn a_message_is_read_up_to_its_limit_whatever_is_in_it() {
        let chat = |text: usize| {
            let head = [&[SESSION_TAG, 1, 1, 0, 251], &(text as u16).to_le_bytes()[..]].concat();
            [&head[..], &vec![b'x'; text]].concat()
        };
        let most = limits::CLIENT_MESSAGE_MAX_BYTES - chat(0).len();
        for text in most - 20..=most {
            let operation = Operation::Chat("x".repeat(text));
            assert_eq!(ClientMessage::decode(&chat(text)), Ok(ClientMessage::Operation { number: 1, operation }));
        }
        assert_eq!(ClientMessage::decode(&chat(most + 1)), Err(DecodeError::TooLong));
        let forged = [&[SESSION_TAG, 1, 1, 0, 253], &u64::MAX.to_le_bytes()[..]].concat();
        assert_eq!(ClientMessage::decode(&forged), Err(DecodeError::Malformed), "and nothing is made room for");
    }

    #[test]
    fn what_a_server_says_comes_back_under_its_number() {
        let service = ServerMessage::Service { level: 3, is_slow: true };
        for (number, message) in [
            (1, ServerMessage::refused(CloseReason::Overloaded, Kind::Arena, 9)),
            (2, ServerMessage::Roster(vec![])),
            (3, ServerMessage::Notice("word".into())),
            (4, ServerMessage::Bye { code: 4000 }),
            (5, service),
            (6, ServerMessage::Taken { number: 1, entry: 2 }),
            (7, ServerMessage::Declined { number: 1, sentence: "No.".into() }),
        ] {
            let bytes = message.encode();
            assert_eq!(bytes[..2], [SESSION_TAG, number]);
            assert_eq!(ServerMessage::decode(&bytes), Ok(message));
        }
    }

    /// SPEC S2.1.
    #[test]
    fn the_version_of_any_hello_is_read() {
        let bytes = hello().encode();
        assert_eq!(Hello::version_of(&bytes), Some(crate::PROTOCOL_VERSION));
        assert_eq!(Hello::version_of(&[&bytes[..], &[1, 2, 3]].concat()), Some(crate::PROTOCOL_VERSION));
        assert_eq!(Hello::version_of(&[0, 0, 99]), Some(99));
        assert_eq!(Hello::version_of(&ClientMessage::Leave.encode()), None);
        assert_eq!(Hello::version_of(&[]), None);
    }

    /// SPEC S1.4.
    #[test]
    fn lists_above_their_limit_are_refused() {
        let long = ClientMessage::Whois(vec![1; limits::ROSTER_MAX_ENTRIES + 1]);
        assert_eq!(Packet::decode(&long.encode()), Err(DecodeError::OutOfRange("members")));
        let long = operation(Operation::Kind(vec![1; limits::OPERATION_MAX_BYTES + 1]));
        assert_eq!(Packet::decode(&long.encode()), Err(DecodeError::OutOfRange("operation")));
    }

    proptest! {
        #[test]
        fn decoding_any_bytes_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
            let _ = Packet::decode(&bytes);
            let _ = ServerMessage::decode(&bytes);
        }

        #[test]
        fn damaging_a_message_never_panics(at in 0usize..120, with in any::<u8>()) {
            let mut bytes = hello().encode();
            let at = at % bytes.len();
            bytes[at] = with;
            let _ = Packet::decode(&bytes);
        }
    }
}
