//! Every way a socket can end: a code for programs, a text for the close frame, a sentence for people.
//!
//! Path: the gameserver closes with [`CloseReason::code`] and [`CloseReason::wire_text`]; the page takes codes and
//! [`CloseReason::sentence`]s from a module that `tests/page_constants.rs` writes.
//! Invariants: codes are in 4000..=4999 (RFC 6455 §7.4.2 leaves them to applications) and never change their meaning; no text
//! here speaks of one kind of room.

/// Why a socket was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CloseReason {
    /// The server is going away: a deploy or a stop.
    ServerStopping,
    /// The hello's protocol version is not ours.
    VersionMismatch,
    /// No hello in time.
    HelloTimeout,
    /// Bytes that are no message, or a message out of order.
    BadMessage,
    /// The ticket is missing, expired, of another room or already used.
    BadTicket,
    /// More messages than the limit allows.
    TooFast,
    /// Nothing heard for too long.
    Silent,
    /// A newer socket of the same session took over.
    Replaced,
    /// No place left in the room.
    RoomFull,
    /// Too many sockets or joins from one address.
    TooManyFromAddress,
    /// A bug of ours ended the room.
    RoomFailed,
    /// The machine cannot carry more players at the moment; those who are in stay in.
    Overloaded,
    /// Frames that were not acknowledged for too long.
    TooSlow,
    /// The room is on another machine now.
    Moved,
    /// Nobody has kept a room of this name.
    NoSuchRoom,
    /// Too many rooms were opened for one address.
    TooManyRooms,
    /// Nobody takes part in the room, so it sleeps; whoever only looks on keeps it from that as little as it is opened for them.
    Asleep,
}

impl CloseReason {
    /// Every reason, in the order of its code.
    pub const ALL: [Self; 17] = [
        Self::ServerStopping,
        Self::VersionMismatch,
        Self::HelloTimeout,
        Self::BadMessage,
        Self::BadTicket,
        Self::TooFast,
        Self::Silent,
        Self::Replaced,
        Self::RoomFull,
        Self::TooManyFromAddress,
        Self::RoomFailed,
        Self::Overloaded,
        Self::TooSlow,
        Self::Moved,
        Self::NoSuchRoom,
        Self::TooManyRooms,
        Self::Asleep,
    ];

    /// The WebSocket close code.
    pub fn code(self) -> u16 {
        match self {
            Self::ServerStopping => 4000,
            Self::VersionMismatch => 4001,
            Self::HelloTimeout => 4002,
            Self::BadMessage => 4003,
            Self::BadTicket => 4004,
            Self::TooFast => 4005,
            Self::Silent => 4006,
            Self::Replaced => 4007,
            Self::RoomFull => 4008,
            Self::TooManyFromAddress => 4009,
            Self::RoomFailed => 4010,
            Self::Overloaded => 4011,
            Self::TooSlow => 4012,
            Self::Moved => 4013,
            Self::NoSuchRoom => 4014,
            Self::TooManyRooms => 4015,
            Self::Asleep => 4016,
        }
    }

    /// The reason of a close code, if it is one of ours.
    pub fn from_code(code: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.code() == code)
    }

    /// The close frame's reason (RFC 6455 §5.5.1, 123 bytes at most): for logs; programs read the code.
    pub fn wire_text(self) -> &'static str {
        match self {
            Self::ServerStopping => "This room is closing for maintenance.",
            Self::VersionMismatch => "This page and the room do not match. Reload it.",
            Self::HelloTimeout => "The room heard nothing from you in time.",
            Self::BadMessage => "The room did not understand a message from this page.",
            Self::BadTicket => "This ticket is no longer valid. Ask the lobby for a new one.",
            Self::TooFast => "This page sends more messages than the room allows.",
            Self::Silent => "The room has not heard from you for a while.",
            Self::Replaced => "You are here in another window now.",
            Self::RoomFull => "This room is full.",
            Self::TooManyFromAddress => "Too many people are here from your address.",
            Self::RoomFailed => "Something broke in this room. It is our fault.",
            Self::Overloaded => "This room is too busy for more people right now. Try again in a minute.",
            Self::TooSlow => "Your line could not keep up with the room.",
            Self::Moved => "This room is on another server now.",
            Self::NoSuchRoom => "This room is gone. Open a new one in the lobby.",
            Self::TooManyRooms => "Your network opened many rooms just now. Try again in a minute.",
            Self::Asleep => "Nobody takes part here any more, so this room sleeps.",
        }
    }

    /// What the page tells a person: what happened, and what happens next or what they can do. `None`: to a person it is a
    /// lost connection like any other.
    pub fn sentence(self) -> Option<&'static str> {
        Some(match self {
            Self::ServerStopping => "This server is closing. You come along to the next one, as you are.",
            Self::VersionMismatch => {
                "This page and the room do not match, and loading it again did not help. Try again in a minute."
            }
            Self::BadTicket => "Asking the lobby for a new place.",
            Self::TooFast => "This page sent more messages than the room allows. You can come back now.",
            Self::RoomFull => "This room is full. Try again in a moment, or pick another one in the lobby.",
            Self::TooManyFromAddress => {
                "Too many people are here from your address. Close another window and try again."
            }
            Self::RoomFailed => "Something broke in this room. Coming back by itself.",
            Self::Moved => "This room is on another server now. Following it.",
            Self::NoSuchRoom => "This room is gone. You can open a new one in the lobby.",
            Self::Asleep => "Nobody takes part here right now, so this room sleeps. You can look in again.",
            Self::Replaced | Self::Overloaded | Self::TooManyRooms => self.wire_text(),
            Self::HelloTimeout | Self::BadMessage | Self::Silent | Self::TooSlow => return None,
        })
    }

    /// Whether a client should come back by itself, with its resume token or (after `BadTicket`) with a new ticket.
    pub fn is_worth_retrying(self) -> bool {
        matches!(
            self,
            Self::ServerStopping
                | Self::HelloTimeout
                | Self::BadMessage
                | Self::BadTicket
                | Self::Silent
                | Self::RoomFailed
                | Self::Moved
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SPEC S9.1.
    #[test]
    fn codes_are_unique_and_texts_fit_a_close_frame() {
        for reason in CloseReason::ALL {
            assert_eq!(CloseReason::from_code(reason.code()), Some(reason));
            assert!(reason.wire_text().len() <= 123);
        }
    }
}
