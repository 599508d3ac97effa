//! The client end of a chat room.
//!
//! Path: [`Client::hello`] opens a connection → [`Client::receive`] takes every message → [`Client::poll_event`] gives what the
//! page should know, [`Client::poll_send`] what goes out.
//! Invariants: connections come and go, the client stays; a line that was wanted is sent again until the room answers it.
//! Never: a socket, a clock (milliseconds of any one origin are an argument).

use crate::wire::{FramePart, STILL_HERE, STILL_HERE_INTERVAL_MS, VERSIONS, Welcome};
use protocol::{
    DecodeError, Tick,
    limits::TICK_MAX,
    message::{HOT_BIT, Operation, ServerMessage},
    profile::Profile,
    room::Kind,
};
use session::{Peer, SessionEvent};
use std::collections::VecDeque;

/// Events kept for a page that does not ask (a hidden tab). Policy: the oldest is dropped.
const EVENTS_MAX_COUNT: usize = 4096;

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub enum ClientEvent {
    /// What a session tells its page, whatever the kind of room.
    Session(SessionEvent),
    /// So many people are there.
    People(u32),
}

/// See the module.
#[derive(Debug, Clone)]
pub struct Client {
    peer: Peer,
    /// Whom others know us by; 0 before the welcome, and for a reader.
    member: u32,
    /// The tick of the last frame; 0: of none that frames could go on from.
    tick: Tick,
    events: VecDeque<ClientEvent>,
    sent_ms: f64,
}

impl Default for Client {
    fn default() -> Self {
        Self::new()
    }
}

impl Client {
    /// A client that has never been anywhere.
    pub fn new() -> Self {
        let peer = Peer::new(Kind::Lounge, *VERSIONS.end());
        Self { peer, member: 0, tick: 0, events: VecDeque::new(), sent_ms: f64::NEG_INFINITY }
    }

    /// The first message of a new connection. A resume token from elsewhere (another life of the page, another tab that
    /// went on with the session) may be given, and is taken for the newest.
    pub fn hello(&mut self, name: &str, hue: u8, ticket: Option<String>, resume: Option<String>) -> Vec<u8> {
        self.peer.hello((name, hue), ticket, resume, self.tick)
    }

    /// A message arrived.
    ///
    /// # Errors
    /// [`DecodeError`]: close the connection and say hello on a new one; the client then begins anew.
    pub fn receive(&mut self, bytes: &[u8]) -> Result<(), DecodeError> {
        self.peer.count_in(bytes);
        let result = match bytes.first() {
            Some(tag) if tag & HOT_BIT != 0 => self.receive_frame(bytes),
            _ => self.receive_message(bytes),
        };
        self.events.extend(std::iter::from_fn(|| self.peer.poll_event()).map(ClientEvent::Session));
        self.events.drain(..self.events.len().saturating_sub(EVENTS_MAX_COUNT));
        if result.is_err() {
            self.tick = 0;
        }
        result
    }

    fn receive_message(&mut self, bytes: &[u8]) -> Result<(), DecodeError> {
        let Some(welcome) = self.peer.receive(ServerMessage::decode(bytes)?) else { return Ok(()) };
        let Welcome { people } = Welcome::decode(&welcome.kind)?;
        if welcome.tick > TICK_MAX {
            return Err(DecodeError::OutOfRange("tick"));
        }
        let continues = welcome.since != 0 && welcome.since == self.tick;
        self.member = welcome.member;
        self.tick = if continues { self.tick } else { welcome.tick };
        self.peer.welcomed(*welcome, continues);
        self.events.extend(std::iter::from_fn(|| self.peer.poll_event()).map(ClientEvent::Session));
        self.events.push_back(ClientEvent::People(people));
        Ok(())
    }

    fn receive_frame(&mut self, bytes: &[u8]) -> Result<(), DecodeError> {
        let (part, entries) = FramePart::decode(bytes, self.tick, self.peer.last_entry())?;
        self.tick = part.tick;
        let of_the_kind = entries.map_or(Ok(Vec::new()), |entries| self.peer.take_entries(entries))?;
        if !of_the_kind.is_empty() {
            return Err(DecodeError::OutOfRange("topic"));
        }
        self.events.extend(part.people.map(ClientEvent::People));
        Ok(())
    }

    /// Wants something done, once; returns the id by which events tell what became of it.
    pub fn operate(&mut self, operation: Operation) -> u32 {
        self.peer.operate(operation)
    }

    /// Leaves for good.
    pub fn leave(&mut self) {
        self.peer.leave();
    }

    /// The next message to send, if one is due.
    pub fn poll_send(&mut self, now_ms: f64) -> Option<Vec<u8>> {
        if !self.peer.is_welcomed() {
            return None;
        }
        let is_due = now_ms - self.sent_ms >= STILL_HERE_INTERVAL_MS as f64;
        let message = self.peer.poll_message().or_else(|| is_due.then(|| self.peer.count_out(STILL_HERE.to_vec())))?;
        self.sent_ms = now_ms;
        Some(message)
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<ClientEvent> {
        self.events.pop_front()
    }

    /// Whom others know us by; 0 before the welcome, and for a reader.
    pub fn member(&self) -> u32 {
        self.member
    }

    /// A member's profile, if it is known; an unknown one is asked for.
    pub fn profile(&mut self, member: u32) -> Option<&Profile> {
        self.peer.profiles.want(member);
        self.peer.profiles.get(member)
    }

    /// Whether a welcome came on the current connection.
    pub fn is_welcomed(&self) -> bool {
        self.peer.is_welcomed()
    }

    /// The token that resumes this session, the newest.
    pub fn resume_token(&self) -> Option<&str> {
        self.peer.resume_token()
    }

    /// Payload bytes in and out so far.
    pub fn bytes(&self) -> (u64, u64) {
        self.peer.bytes()
    }
}
