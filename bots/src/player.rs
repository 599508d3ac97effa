//! What the swarm knows of whoever comes over a socket, whatever the kind of room: somebody who answers messages, and counts.
//!
//! Path: [`Player::hello`] for each new socket → [`Player::receive`] for every message → [`Player::poll_send`] until nothing
//! is due → [`Player::figures`] in the end.
//! Never: a socket; a clock (times are arguments).

use crate::figures::Figure;
use protocol::{DecodeError, close::CloseReason};
use std::time::Instant;

/// See the module.
pub(crate) trait Player: Send {
    /// The first message of a new socket. What belongs to the session goes on from the one before.
    fn hello(&mut self, name: &str, hue: u8, ticket: String) -> Vec<u8>;

    /// A message arrived at this time.
    ///
    /// # Errors
    /// [`DecodeError`]: only another socket will do.
    fn receive(&mut self, bytes: &[u8], arrived: Instant) -> Result<(), DecodeError>;

    /// Does what it would do by now; the next message to send, if one is due.
    fn poll_send(&mut self, now: Instant) -> Option<Vec<u8>>;

    /// Whether the room has let it in on this socket.
    fn is_welcomed(&self) -> bool;

    /// How the room ended the session, if it did, once.
    fn poll_end(&mut self) -> Option<SessionEnd>;

    /// Wants to say a line.
    fn say(&mut self, line: &str);

    /// Wants to leave for good.
    fn leave(&mut self);

    /// From now on it counts.
    fn begin(&mut self, now: Instant);

    /// It counts no more.
    fn end(&mut self, now: Instant);

    /// What it counted, besides what the swarm does: the same names in the same order for all of a kind.
    fn figures(&self) -> Vec<Figure>;
}

/// What a room said last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SessionEnd {
    /// `None` for a code that is not known here.
    pub(crate) reason: Option<CloseReason>,
    pub(crate) code: u16,
}
