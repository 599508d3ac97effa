//! The wire format and its limits; its numbered rules are in `SPEC.md` beside this crate's manifest.
//!
//! Path: a socket's bytes go through [`message`] (what every room says and hears) or [`frame`] (what a tick sends), which
//! carry what a kind of room adds as bytes; [`entry`] is a line of a room's log; [`token`] signs what travels through
//! strangers' hands; [`room`] says what rooms are called, [`alias`] what readers call them; [`close`] names every way
//! a socket can end.
//! Invariants: decoding never panics and never allocates more than the limits here, on any bytes.
//! Never: what a kind of room says; a runtime, a clock (time is an argument).

pub mod alias;
pub mod bits;
pub mod close;
pub mod codec;
pub mod entry;
pub mod frame;
pub mod limits;
pub mod message;
pub mod prefix;
pub mod profile;
pub mod rate_limit;
pub mod room;
pub mod token;

/// Version of what all kinds of room share on the wire, counted by hand: `tests/golden.rs` fails when a byte changes. What
/// a kind adds has a version of its own ([`message::Hello::kind_version`]).
pub const PROTOCOL_VERSION: u32 = 5;

/// The 32-bit FNV-1a hash, going on from `hash`; begin with [`FNV_1A`]. For versions that are computed from declarations.
///
/// # Examples
/// ```
/// assert_eq!(protocol::fnv_1a(protocol::FNV_1A, b"a"), 0xe40c_292c);
/// ```
pub const fn fnv_1a(mut hash: u32, bytes: &[u8]) -> u32 {
    let mut at = 0;
    while at < bytes.len() {
        hash = (hash ^ bytes[at] as u32).wrapping_mul(0x0100_0193);
        at += 1;
    }
    hash
}

/// The hash of nothing.
pub const FNV_1A: u32 = 0x811c_9dc5;

/// A room's clock: ticks since the room began, at most [`limits::TICK_MAX`]. How many make a second is the kind's. Ticks are
/// the only unit of time on the wire, but for the moment at which a line was said.
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
