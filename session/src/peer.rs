//! The client end of what every room has: hello, resume, who is who, what was told, what waits to be done.
//!
//! A client of some kind owns a [`Peer`]. Path: [`Peer::hello`] opens a connection → [`Peer::receive`] takes what the server
//! says, and gives the welcome to the kind, which calls [`Peer::welcomed`] → [`Peer::take_entries`] takes what a frame tells
//! → [`Peer::poll_message`] gives what goes out, [`Peer::poll_event`] what the page should know.
//! Invariants: connections come and go, the peer stays; an entry of the log is taken once; an operation is sent again on
//! the next connection until the room answers it, and has its number from the first time on.
//! Never: a kind; a socket, a clock.

use crate::{governor::Level, profiles::KnownProfiles};
use protocol::{
    DecodeError, Tick,
    close::CloseReason,
    entry::{Entry, Talk},
    frame::Entries,
    message::{ClientMessage, Hello, KIND_TAG, Operation, ServerMessage, Welcome},
    profile::Profile,
    room::Kind,
    token::Role,
};
use std::collections::VecDeque;

/// Operations that are not answered, and messages that wait for a connection, each. Policy: one more is declined; the
/// oldest message is dropped.
const QUEUE_MAX_COUNT: usize = 64;
/// What the page is told when one more operation is declined.
const TOO_MANY: &str = "Too much waits for the connection. This was not sent.";
/// What it is told of an operation that was under way when the member was lost.
const UNKNOWN: &str = "The connection was lost before this was answered. It may or may not have arrived.";

/// What a session tells its page, whatever the kind.
#[derive(Debug, Clone, PartialEq)]
pub enum SessionEvent {
    /// The room let us in.
    Welcomed {
        /// The member and all that belongs to it are those of before.
        resumed: bool,
        /// What was shown before still holds: frames and entries go on from there, and the history is empty.
        continues: bool,
        /// What we may do.
        role: Role,
        /// The profile as accepted.
        profile: Profile,
        /// Talk before now, oldest first.
        history: Vec<Entry>,
    },
    /// Something of the room's log that every room has.
    Entry {
        /// Its number.
        number: u32,
        /// Who caused it.
        author: u32,
        /// What it says.
        talk: Talk,
    },
    /// The log is kept up to this entry, whatever happens to the machine.
    Kept(u32),
    /// What [`Peer::operate`] gave this id was done.
    Taken {
        /// The operation.
        id: u32,
        /// The log entry it became; 0: none, or nobody knows which.
        entry: u32,
    },
    /// What [`Peer::operate`] gave this id was not done, and will not be.
    Declined {
        /// The operation.
        id: u32,
        /// Why, for a person.
        sentence: String,
    },
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

/// An operation that is not answered.
#[derive(Debug, Clone)]
struct Pending {
    /// As the page knows it.
    id: u32,
    /// As the room knows it; 0 before it is sent for the first time.
    number: u32,
    operation: Operation,
    /// It went out on this connection.
    is_sent: bool,
}

/// See the module.
#[derive(Debug, Clone)]
pub struct Peer {
    kind: Kind,
    kind_version: u32,
    resume: Option<String>,
    is_welcomed: bool,
    /// Operations that are not answered, oldest first.
    pending: VecDeque<Pending>,
    last_id: u32,
    /// Number of the newest operation that was sent or is known to the room.
    last_operation: u32,
    /// Other messages that wait for a connection, encoded.
    queue: VecDeque<Vec<u8>>,
    events: VecDeque<SessionEvent>,
    /// Who is who.
    pub profiles: KnownProfiles,
    last_entry: u32,
    kept_entry: u32,
    bytes_in: u64,
    bytes_out: u64,
}

impl Peer {
    /// Of a client that has never been anywhere, for rooms of this kind whose part of the wire has this version.
    pub fn new(kind: Kind, kind_version: u32) -> Self {
        Self {
            kind,
            kind_version,
            resume: None,
            is_welcomed: false,
            pending: VecDeque::new(),
            last_id: 0,
            last_operation: 0,
            queue: VecDeque::new(),
            events: VecDeque::new(),
            profiles: KnownProfiles::default(),
            last_entry: 0,
            kept_entry: 0,
            bytes_in: 0,
            bytes_out: 0,
        }
    }

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
        self.pending.iter_mut().for_each(|pending| pending.is_sent = false);
        let hello = Hello {
            ticket,
            resume: resume.or_else(|| self.resume.clone()),
            have_tick,
            have_entry: self.last_entry,
            ..Hello::to(self.kind, self.kind_version, name, hue)
        };
        self.count_out(ClientMessage::Hello(hello).encode())
    }

    /// The server said this; a welcome is for the kind to read its part of, and then for [`Peer::welcomed`].
    pub fn receive(&mut self, message: ServerMessage) -> Option<Box<Welcome>> {
        match message {
            ServerMessage::Welcome(welcome) => return Some(welcome),
            ServerMessage::Roster(entries) => self.profiles.learn(entries),
            ServerMessage::Notice(text) => self.events.push_back(SessionEvent::Notice(text)),
            ServerMessage::Service { level, is_slow } => {
                self.events.push_back(SessionEvent::Service { level: Level::from_number(level), is_slow });
            }
            ServerMessage::Refused { code, .. } | ServerMessage::Bye { code } => {
                self.events.push_back(SessionEvent::Ended { reason: CloseReason::from_code(code), code });
            }
            ServerMessage::Taken { number, entry } => {
                let id = self.answered(number);
                self.events.extend(id.map(|id| SessionEvent::Taken { id, entry }));
            }
            ServerMessage::Declined { number, sentence } => {
                let id = self.answered(number);
                self.events.extend(id.map(|id| SessionEvent::Declined { id, sentence }));
            }
        }
        None
    }

    /// The kind took its part of the welcome; `continues` if what it had before still holds.
    pub fn welcomed(&mut self, welcome: Welcome, continues: bool) {
        (self.last_entry, self.kept_entry) = (welcome.last_entry, welcome.kept_entry);
        self.resume = Some(welcome.resume);
        self.is_welcomed = true;
        if !continues {
            // Meanwhile somebody else may have got a number, or another room all of them.
            self.profiles = KnownProfiles::default();
        }
        let (resumed, role, profile, history) = (welcome.resumed, welcome.role, welcome.profile, welcome.history);
        self.profiles.learn([(welcome.member, profile.clone())]);
        self.events.push_back(SessionEvent::Welcomed { resumed, continues, role, profile, history });
        self.events.push_back(SessionEvent::Kept(self.kept_entry));
        if !resumed {
            // Numbers begin anew, and what was under way belonged to somebody else.
            self.last_operation = 0;
            while let Some(lost) = self.pending.pop_front_if(|first| first.number != 0) {
                self.events.push_back(SessionEvent::Declined { id: lost.id, sentence: UNKNOWN.to_owned() });
            }
        }
        while let Some(done) = self.pending.pop_front_if(|first| (1..=welcome.last_operation).contains(&first.number)) {
            self.events.push_back(SessionEvent::Taken { id: done.id, entry: 0 });
        }
        self.last_operation = self.last_operation.max(welcome.last_operation);
    }

    /// A frame told this of the log. What every room has becomes events; returns the kind's own entries.
    ///
    /// # Errors
    /// [`DecodeError`] for an entry that no room writes.
    pub fn take_entries(&mut self, Entries { kept, entries }: Entries) -> Result<Vec<Entry>, DecodeError> {
        let mut of_the_kind = Vec::new();
        for entry in entries {
            let (number, author) = (entry.number, entry.author);
            self.last_entry = number;
            match entry.talk()? {
                None => of_the_kind.push(entry),
                Some(talk) => {
                    match &talk {
                        Talk::Joined(profile) => self.profiles.learn([(author, profile.clone())]),
                        Talk::Left(_) => self.profiles.note_left(author),
                        Talk::Chat(_) => {}
                    }
                    self.events.push_back(SessionEvent::Entry { number, author, talk });
                }
            }
        }
        if kept != self.kept_entry {
            self.kept_entry = kept;
            self.events.push_back(SessionEvent::Kept(kept));
        }
        Ok(of_the_kind)
    }

    /// Wants something done, once; returns the id by which events tell what became of it.
    pub fn operate(&mut self, operation: Operation) -> u32 {
        self.last_id += 1;
        let id = self.last_id;
        if self.pending.len() == QUEUE_MAX_COUNT {
            self.events.push_back(SessionEvent::Declined { id, sentence: TOO_MANY.to_owned() });
        } else {
            self.pending.push_back(Pending { id, number: 0, operation, is_sent: false });
        }
        id
    }

    /// Queues a message of the kind's own, without its tag.
    pub fn say_kind(&mut self, message: &[u8]) {
        self.queue([&[KIND_TAG], message].concat());
    }

    /// Leaves for good.
    pub fn leave(&mut self) {
        self.queue(ClientMessage::Leave.encode());
    }

    fn queue(&mut self, message: Vec<u8>) {
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
        let message = self.next_operation().or_else(|| self.queue.pop_front());
        let message = message.or_else(|| Some(self.profiles.ask()?.encode()))?;
        Some(self.count_out(message))
    }

    fn next_operation(&mut self) -> Option<Vec<u8>> {
        let pending = self.pending.iter_mut().find(|pending| !pending.is_sent)?;
        if pending.number == 0 {
            self.last_operation += 1;
            pending.number = self.last_operation;
        }
        pending.is_sent = true;
        let (number, operation) = (pending.number, pending.operation.clone());
        Some(ClientMessage::Operation { number, operation }.encode())
    }

    /// The room answered an operation: which one, if it was not answered before.
    fn answered(&mut self, number: u32) -> Option<u32> {
        let at = self.pending.iter().position(|pending| pending.number == number)?;
        self.pending.remove(at).map(|pending| pending.id)
    }

    /// The next thing the page should know.
    pub fn poll_event(&mut self) -> Option<SessionEvent> {
        self.events.pop_front()
    }

    /// Number of the last log entry that came.
    pub fn last_entry(&self) -> u32 {
        self.last_entry
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
