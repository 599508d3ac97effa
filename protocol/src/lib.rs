//! The wire format and its limits; the numbered rules are in `SPEC.md` beside this crate's manifest.
//!
//! Path: a socket's bytes go through [`message`] (control messages, input packets) or [`frame`] (what a tick sends);
//! [`token`] signs what travels through strangers' hands; [`room`] says what rooms are called, [`alias`] what readers call them; [`close`] names every way
//! a socket can end.
//! Invariants: decoding never panics and never allocates more than the limits here, on any bytes.
//! Never: the ECS, the crate `game`, a runtime, a clock (time is an argument).

pub mod alias;
pub mod bits;
pub mod close;
pub mod codec;
pub mod frame;
pub mod limits;
pub mod message;
pub mod prefix;
pub mod rate_limit;
pub mod room;
pub mod token;

/// The code tables of the row codec in `arena`: data that both ends must share, trained from recorded play. The file
/// begins with its origin.
pub const ROW_TABLES: &str = include_str!("../tables/rows.txt");

/// Counts changes of the layout of messages and rows.
const LAYOUT_VERSION: u8 = 4;

/// Version of the wire: the layout in the low 8 bits, above them a hash of [`ROW_TABLES`], since other tables would read
/// other rows. A mismatch is refused in the hello.
pub const PROTOCOL_VERSION: u32 = fnv_1a(ROW_TABLES.as_bytes()) & !0xff | LAYOUT_VERSION as u32;

/// The 32-bit FNV-1a hash.
const fn fnv_1a(bytes: &[u8]) -> u32 {
    let (mut hash, mut at) = (0x811c_9dc5_u32, 0);
    while at < bytes.len() {
        hash = (hash ^ bytes[at] as u32).wrapping_mul(0x0100_0193);
        at += 1;
    }
    hash
}

/// Simulation ticks a second. Ticks are the only unit of time on the wire.
pub const TICK_HZ: u32 = 60;

/// A room's clock: ticks since the room began, at most [`limits::TICK_MAX`].
pub type Tick = u32;

/// Why some bytes were not understood. The peer's fault: it becomes [`close::CloseReason::BadMessage`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecodeError {
    /// The bytes ended inside a value.
    Truncated,
    /// Bytes were left after the message's end.
    TrailingBytes,
    /// A value lies outside its stated range; the name is the field's.
    OutOfRange(&'static str),
    /// The first byte is no known kind of message, or the control message is not well-formed.
    Malformed,
    /// The message is longer than its limit in [`limits`].
    TooLong,
}

impl std::fmt::Display for DecodeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Truncated => f.write_str("the message ends inside a value"),
            Self::TrailingBytes => f.write_str("bytes are left after the message's end"),
            Self::OutOfRange(field) => write!(f, "{field} is out of its range"),
            Self::Malformed => f.write_str("the message is of no known form"),
            Self::TooLong => f.write_str("the message is longer than its limit"),
        }
    }
}

impl std::error::Error for DecodeError {}
