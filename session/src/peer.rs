//! The client end of what every room has: hello, resume, who is who, what was told, what waits to be sent.
//!
//! A client of some kind owns a [`Peer`]. Path: [`Peer::hello`] opens a connection → [`Peer::receive`] takes what the server
//! says, and gives the welcome to the kind, which calls [`Peer::welcomed`] → [`Peer::poll_message`] gives what goes out.
//! Invariants: connections come and go, the peer stays; an entry of the log is taken once.
//! Never: a kind; a socket, a clock.

use crate::{governor::Level, profiles::KnownProfiles};
use protocol::{
    PROTOCOL_VERSION, Tick,
    close::CloseReason,
    message::{ClientMessage, Event, Hello, Profile, ServerMessage, Welcome},
};
use std::collections::VecDeque;

/// Messages that wait for a connection. Policy: the oldest is dropped.
const QUEUE_MAX_COUNT: usize = 64;

/// What a session tells its page, whatever the kind.
#[derive(Debug, Clone, PartialEq)]
pub enum SessionEvent {
    /// The room let us in.
    Welcomed {
        /// Session and all that belongs to it are those of before.
        resumed: bool,
        /// What was shown before still holds: frames and entries go on from there, and the history is empty.
        continues: bool,
        /// The profile as accepted.
        profile: Profile,
        /// Chat before now, oldest first.
        history: Vec<Event>,
    },
    /// An entry of the room's log.
    Entry(Event),
    /// A word from the room to us alone.
    Notice(String),
    /// How much service the room can give from now on. A welcome means full service until this says otherwise.
    Service {
        /// What is left out.
        level: Level,
        /// Time runs slower for everybody.
        is_slow: bool,
    },
    /// The room will not have us, or says goodbye; the connection ends.
    Ended {
        /// Why; `None` for a code this version does not know.
        reason: Option<CloseReason>,
        /// The code itself.
        code: u16,
    },
}

/// What the server said, once the peer has noted what is its own to note.
#[derive(Debug, Clone, PartialEq)]
pub enum Received {
    /// Nothing that the kind need know.
    Noted,
    /// For the kind to read its part of, and then for [`Peer::welcomed`].
    Welcome(Box<Welcome>),
    /// For the page.
    Event(SessionEvent),
}

/// See the module.
#[derive(Debug, Clone, Default)]
pub struct Peer {
    resume: Option<String>,
    is_welcomed: bool,
    queue: VecDeque<ClientMessage>,
    /// Who is who.
    pub profiles: KnownProfiles,
    last_entry: u32,
    bytes_in: u64,
    bytes_out: u64,
}

impl Peer {
    /// The first message of a new connection. A resume token from elsewhere (another life of the page, another tab that went
    /// on with the session) may be given, and is taken for the newest.
    pub fn hello(
        &mut self,
        (name, hue): (&str, u8),
        ticket: Option<String>,
        resume: Option<String>,
        have_tick: Tick,
    ) -> Vec<u8> {
        self.is_welcomed = false;
        self.profiles.new_connection();
        let hello = Hello {
            version: PROTOCOL_VERSION,
            ticket,
            resume: resume.or_else(|| self.resume.clone()),
            have_tick,
            have_event: self.last_entry,
            name: name.to_owned(),
            hue,
        };
        self.count_out(ClientMessage::Hello(hello).encode())
    }

    /// The server said this.
    pub fn receive(&mut self, message: ServerMessage) -> Received {
        match message {
            ServerMessage::Welcome(welcome) => return Received::Welcome(welcome),
            ServerMessage::Roster(entries) => self.profiles.learn(entries),
            ServerMessage::Notice(text) => return Received::Event(SessionEvent::Notice(text)),
            ServerMessage::Service { level, is_slow } => {
                return Received::Event(SessionEvent::Service { level: Level::from_number(level), is_slow });
            }
            ServerMessage::Refused { code, .. } | ServerMessage::Bye { code } => {
                return Received::Event(SessionEvent::Ended { reason: CloseReason::from_code(code), code });
            }
        }
        Received::Noted
    }

    /// The kind took its part of the welcome; `continues` if what it had before still holds.
    pub fn welcomed(&mut self, welcome: Welcome, continues: bool) -> SessionEvent {
        self.last_entry = welcome.last_event;
        self.resume = Some(welcome.resume);
        self.is_welcomed = true;
        self.profiles.learn([(welcome.pilot, welcome.profile.clone())]);
        let (resumed, profile, history) = (welcome.resumed, welcome.profile, welcome.history);
        SessionEvent::Welcomed { resumed, continues, profile, history }
    }

    /// A frame brought this entry: whether it is news. What it says of profiles is noted.
    pub fn take_entry(&mut self, number: u32, entry: &Event) -> bool {
        let is_news = number > self.last_entry;
        if is_news {
            self.last_entry = number;
            if let Event::Joined { pilot, profile } = entry {
                self.profiles.learn([(*pilot, profile.clone())]);
            }
        }
        is_news
    }

    /// Queues a message.
    pub fn say(&mut self, message: ClientMessage) {
        if self.queue.len() == QUEUE_MAX_COUNT {
            self.queue.pop_front();
        }
        self.queue.push_back(message);
    }

    /// The next message to send, if the room has let us in and there is one.
    pub fn poll_message(&mut self) -> Option<Vec<u8>> {
        if !self.is_welcomed {
            return None;
        }
        let message = self.queue.pop_front().or_else(|| self.profiles.ask())?;
        Some(self.count_out(message.encode()))
    }

    /// Whether a welcome came on the current connection.
    pub fn is_welcomed(&self) -> bool {
        self.is_welcomed
    }

    /// The token that resumes this session, the newest.
    pub fn resume_token(&self) -> Option<&str> {
        self.resume.as_deref()
    }

    /// Notes that so many bytes came.
    pub fn count_in(&mut self, bytes: &[u8]) {
        self.bytes_in += bytes.len() as u64;
    }

    /// Notes that these bytes go out.
    pub fn count_out(&mut self, bytes: Vec<u8>) -> Vec<u8> {
        self.bytes_out += bytes.len() as u64;
        bytes
    }

    /// Payload bytes in and out so far.
    pub fn bytes(&self) -> (u64, u64) {
        (self.bytes_in, self.bytes_out)
    }
}
