//! The server end of what every room has: who is in it, what is said there, who comes back and who is gone.
//!
//! A room of some kind owns a [`Host`] and asks it at each step; the host calls nobody back.
//! Path: hello: [`Host::recognise`] (and, for somebody new, [`Host::make_place`] and [`Host::admit`]) → [`Host::connect`] →
//! [`Host::welcome`]. Messages: [`Host::receive`] answers what every room answers, and returns the rest to the kind. Ticks:
//! [`Host::endings`]. Frames: [`Host::frame_parts`]. What it wants done: [`Host::poll_output`].
//! Invariants: the one table of members and connections is here; whoever is let in has a profile, and entries of the log
//! name them by their author's number.
//! Never: a kind; a socket, a clock, a lock.

use crate::{
    engine::{ConnectionId, Output},
    governor::Level,
    log::{Log, SavedLog},
    member::{Ending, Member, MemberId, SavedMember},
    members::{Members, Shard},
};
use bytes::Bytes;
use protocol::{
    PROTOCOL_VERSION, Tick,
    close::CloseReason,
    limits::NAME_MAX_BYTES,
    message::{ClientMessage, Event, Hello, Profile, ServerMessage, Welcome, sanitise_chat, sanitise_name},
    token::Key,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

/// Members and log entries of a room that is restored. Policy: refuse the save.
const NUMBER_MAX: u32 = u32::MAX / 2;

/// What a host is begun with.
#[derive(Debug, Clone)]
pub struct HostConfig {
    /// The room's durable id ([`protocol::room::durable_id`]).
    pub name: String,
    /// Signs resume tokens.
    pub key: Key,
    /// Tells this life of the room from earlier ones.
    pub epoch: u32,
    /// Most members at once. Policy: refuse with `RoomFull`.
    pub capacity: u16,
    /// How the room speaks.
    pub sentences: Sentences,
}

/// What members are told, in the words of their kind of room.
#[derive(Debug, Clone, Copy)]
pub struct Sentences {
    /// A line of chat was not sent, since there were many just before.
    pub chat_too_fast: &'static str,
    /// A line of chat was not sent, since it is empty or too long.
    pub chat_out_of_range: &'static str,
}

/// What a message that came leaves for the kind to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Incoming {
    /// Nothing.
    Handled,
    /// The member leaves for good: [`Host::remove`] it, and whatever stands for it.
    Leave(MemberId),
    /// The connection was closed, because nobody who keeps to the protocol says that.
    Closed(MemberId),
    /// A message that is the kind's to understand.
    Kind(MemberId, ClientMessage),
}

/// What a member is told of the kind, when it is let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entrance {
    /// Session and all that belongs to it are those of before.
    pub is_resumed: bool,
    /// The tick from which frames continue ([`Host::connect`]).
    pub since: Tick,
    /// The log entry that the page has seen last, as it says.
    pub have_entry: u32,
    /// The kind's own part of the welcome.
    pub kind: Vec<u8>,
}

/// What lasts of members; `S` is what lasts of the kind's part of each.
#[derive(Debug, Serialize, Deserialize)]
pub struct SavedMembers<S> {
    next: u32,
    /// By id.
    members: Vec<(u32, SavedMember<S>)>,
    /// By author.
    profiles: Vec<(u16, Profile)>,
}

/// See the module; `V` is what the kind remembers of each frame, `S` what else it keeps of a member.
#[derive(Debug)]
pub struct Host<V, S> {
    config: HostConfig,
    members: Members<V, S>,
    next: u32,
    /// Of members, and of whom the kind has there besides.
    profiles: BTreeMap<u16, Profile>,
    log: Log,
    output: VecDeque<Output>,
    level: Level,
}

impl<V: Copy + Eq, S> Host<V, S> {
    /// Nobody is there yet.
    pub fn new(config: HostConfig) -> Self {
        Self {
            config,
            members: Members::default(),
            next: 1,
            profiles: BTreeMap::new(),
            log: Log::default(),
            output: VecDeque::new(),
            level: Level::Full,
        }
    }

    // --- hello

    /// Who says hello: somebody who comes back (`Some`), or somebody new who may come in (`None`).
    ///
    /// # Errors
    /// [`CloseReason::VersionMismatch`]; [`CloseReason::BadTicket`]; [`CloseReason::Replaced`] for an older token of a
    /// member that is there by a newer one.
    pub fn recognise(&mut self, hello: &Hello, is_admitted: bool) -> Result<Option<MemberId>, CloseReason> {
        if hello.version != PROTOCOL_VERSION {
            return Err(CloseReason::VersionMismatch);
        }
        match hello.resume.as_deref().map_or(Err(CloseReason::BadTicket), |token| self.resume(token)) {
            Ok(id) => Ok(Some(id)),
            Err(_) if is_admitted => Ok(None),
            Err(reason) => Err(reason),
        }
    }

    /// Whether there is a place for somebody new; `Some` is who has been gone longest and must be removed for it, so that a
    /// place on the lobby's board is a place in the room.
    ///
    /// # Errors
    /// [`CloseReason::Overloaded`] or [`CloseReason::RoomFull`].
    pub fn make_place(&self) -> Result<Option<MemberId>, CloseReason> {
        if self.level >= Level::Joins {
            return Err(CloseReason::Overloaded);
        }
        if self.members.len() < usize::from(self.config.capacity) {
            return Ok(None);
        }
        let gone = self.members.iter().filter_map(|(id, member)| Some((member.lost_since()?, id))).min();
        gone.map(|(_, id)| Some(id)).ok_or(CloseReason::RoomFull)
    }

    /// Lets somebody new in; others will know it as `author`.
    pub fn admit(&mut self, author: u16, hello: &Hello, now: Tick, state: S) -> MemberId {
        let profile = Profile { name: sanitise_name(&hello.name), hue: hello.hue % 8, is_bot: false };
        self.profiles.insert(author, profile.clone());
        let id = MemberId(self.next);
        self.next += 1;
        let mut member = Member::new(author, self.config.epoch, now, state);
        member.cursor = self.log.last();
        self.members.insert(id, member);
        self.log.push(Event::Joined { pilot: author, profile });
        id
    }

    /// Gives a member its connection, and closes the one it had. Returns from which tick frames continue: `have_tick`, which
    /// the client still has, or 0 when it must begin anew.
    pub fn connect(&mut self, id: MemberId, from: ConnectionId, have_tick: Tick, now: Tick) -> Tick {
        if let Some(ended) = self.members.predecessor(from) {
            self.disconnect(ended, now);
        }
        let member = self.members.attach(id, from).expect("the caller just found or made it");
        let older = member.connection();
        let since = member.connect(from, have_tick, now);
        self.output.extend(older.map(|older| Output::Close(older, CloseReason::Replaced)));
        since
    }

    /// The answer to a good hello.
    pub fn welcome(&mut self, id: MemberId, entrance: Entrance, now: Tick) {
        let Entrance { is_resumed: resumed, since, have_entry, kind: rules } = entrance;
        let member = self.members.get_mut(id).expect("the caller just let it in");
        // A page that kept its state goes on where it was; a fresh one sees the chat so far instead.
        let keeps_state = since != 0;
        member.cursor = if keeps_state { have_entry.min(self.log.last()) } else { self.log.last() };
        let welcome = Welcome {
            pilot: member.author,
            epoch: self.config.epoch,
            resumed,
            since,
            tick: now,
            resume: self.config.key.sign_resume(&self.config.name, member.resume(id)),
            rules,
            profile: self.profiles[&member.author].clone(),
            history: if keeps_state { Vec::new() } else { self.log.history() },
            last_event: member.cursor,
        };
        self.send(id, &ServerMessage::Welcome(Box::new(welcome)));
    }

    /// The answer to a bad hello.
    pub fn refuse(&mut self, from: ConnectionId, reason: CloseReason) {
        self.output.push_back(Output::Refuse(from, reason));
    }

    /// The member of a token, unless it is gone or a newer token of it was used.
    fn resume(&mut self, token: &str) -> Result<MemberId, CloseReason> {
        let resume = self.config.key.verify_resume(token, &self.config.name).map_err(|_| CloseReason::BadTicket)?;
        let id = MemberId(resume.member);
        let member = self.members.get_mut(id).filter(|member| member.began_in(resume.epoch));
        let member = member.ok_or(CloseReason::BadTicket)?;
        // Each use rotates the token: a copy of an older one opens nothing.
        match member.recognise(resume.generation) {
            true => Ok(id),
            false if member.connection().is_some() => Err(CloseReason::Replaced),
            false => Err(CloseReason::BadTicket),
        }
    }

    // --- while it is there

    /// What a connection brought: answers what every room answers.
    pub fn receive(&mut self, from: ConnectionId, message: ClientMessage, now: Tick) -> Incoming {
        let Some((id, member)) = self.members.get_at(from) else { return Incoming::Handled };
        member.note_activity(now);
        let author = member.author;
        match message {
            ClientMessage::Hello(_) => {
                self.close(id, CloseReason::BadMessage, now);
                return Incoming::Closed(id);
            }
            ClientMessage::Chat(text) => self.chat(id, &text, now),
            ClientMessage::Whois(authors) => {
                let known = |author: u16| self.profiles.get(&author).map(|profile| (author, profile.clone()));
                let roster = authors.into_iter().filter_map(known).collect();
                self.send(id, &ServerMessage::Roster(roster));
            }
            ClientMessage::Rename { name, hue } => {
                let profile = Profile { name: sanitise_name(&name), hue: hue % 8, is_bot: false };
                if member.may_chat(now) && self.profiles.insert(author, profile.clone()).as_ref() != Some(&profile) {
                    self.log.push(Event::Joined { pilot: author, profile });
                }
            }
            ClientMessage::Leave => return Incoming::Leave(id),
            of_the_kind => return Incoming::Kind(id, of_the_kind),
        }
        Incoming::Handled
    }

    fn chat(&mut self, id: MemberId, text: &str, now: Tick) {
        let member = self.members.get_mut(id).expect("the caller found it");
        let (author, may_chat) = (member.author, member.may_chat(now));
        match sanitise_chat(text) {
            Some(text) if may_chat => {
                let name = self.profiles[&author].name.clone();
                self.log.push(Event::Chat { pilot: author, name, text });
            }
            Some(_) => self.notice(id, self.config.sentences.chat_too_fast),
            None => self.notice(id, self.config.sentences.chat_out_of_range),
        }
    }

    /// Appends an entry to the log.
    pub fn publish(&mut self, entry: Event) {
        self.log.push(entry);
    }

    /// A sentence for one member.
    pub fn notice(&mut self, id: MemberId, sentence: &str) {
        self.send(id, &ServerMessage::Notice(sentence.to_owned()));
    }

    fn send(&mut self, id: MemberId, message: &ServerMessage) {
        if let Some(to) = self.members.get_mut(id).and_then(|member| member.connection()) {
            self.output.push_back(Output::Message(to, Bytes::from(message.encode())));
        }
    }

    /// Somebody who is no member is there as well, played by a computer.
    pub fn introduce(&mut self, author: u16, profile: Profile) {
        self.profiles.insert(author, profile);
    }

    /// Somebody who is no member is there no more: no news to anybody.
    pub fn forget(&mut self, author: u16) {
        self.profiles.remove(&author);
    }

    /// Sheds load, or takes it on again: each level includes those before it.
    pub fn relieve(&mut self, level: Level) {
        self.level = level;
    }

    // --- ends

    /// The connection is gone; its member, if it had one, may come back within the grace.
    pub fn disconnect(&mut self, from: ConnectionId, now: Tick) -> Option<MemberId> {
        let (id, member) = self.members.get_at(from)?;
        member.disconnect(now);
        self.members.detach(from);
        Some(id)
    }

    /// Closes a member's connection; it may come back within the grace.
    pub fn close(&mut self, id: MemberId, reason: CloseReason, now: Tick) {
        let connection = self.members.get_mut(id).and_then(|member| member.disconnect(now));
        if let Some(connection) = connection {
            self.members.detach(connection);
            self.output.push_back(Output::Close(connection, reason));
        }
    }

    /// The member is gone for good, and everybody is told.
    pub fn remove(&mut self, id: MemberId) -> Option<Member<V, S>> {
        let member = self.members.remove(id)?;
        if let Some(profile) = self.profiles.remove(&member.author) {
            self.log.push(Event::Left { pilot: member.author, name: profile.name });
        }
        Some(member)
    }

    /// Who is not to go on as it is, in the order of joining.
    pub fn endings(&self, now: Tick) -> Vec<(MemberId, Ending)> {
        let mut endings: Vec<_> =
            self.members.iter().filter_map(|(id, member)| Some((id, member.ending(now)?))).collect();
        endings.sort_unstable_by_key(|(id, _)| *id);
        endings
    }

    // --- what the kind reads

    /// The log, which all frames of a tick share, and the shards, each of which is only its own frames'.
    pub fn frame_parts(&mut self) -> (&Log, &mut [Shard<V, S>]) {
        (&self.log, self.members.shards_mut())
    }

    /// The next thing to do besides frames, oldest first.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.output.pop_front()
    }

    /// A member, connected or soon back.
    pub fn member(&mut self, id: MemberId) -> Option<&mut Member<V, S>> {
        self.members.get_mut(id)
    }

    /// Whom a connection belongs to.
    pub fn member_at(&mut self, from: ConnectionId) -> Option<&mut Member<V, S>> {
        self.members.get_at(from).map(|(_, member)| member)
    }

    /// Members, connected or soon back.
    pub fn members(&self) -> usize {
        self.members.len()
    }

    /// Members with a connection.
    pub fn connected(&self) -> usize {
        self.members.iter().filter(|(_, member)| member.connection().is_some()).count()
    }

    /// Everybody with a profile.
    pub fn population(&self) -> usize {
        self.profiles.len()
    }

    /// Most members at once.
    pub fn capacity(&self) -> u32 {
        self.config.capacity.into()
    }

    /// What is left out.
    pub fn level(&self) -> Level {
        self.level
    }

    // --- saves

    /// What lasts: `save` says it of the kind's part of a member.
    pub fn save<T>(&self, save: impl Fn(&S) -> T) -> (SavedMembers<T>, SavedLog) {
        let mut members: Vec<_> =
            self.members.iter().map(|(id, member)| (id.0, member.save(save(&member.state)))).collect();
        members.sort_unstable_by_key(|(id, _)| *id);
        let profiles = self.profiles.iter().map(|(author, profile)| (*author, profile.clone())).collect();
        (SavedMembers { next: self.next, members, profiles }, self.log.save())
    }

    /// As it was at tick `now`; who was connected then is not any more. Both parts were checked
    /// ([`SavedMembers::is_sound`]).
    pub fn restore<T>(
        config: HostConfig,
        saved: SavedMembers<T>,
        log: SavedLog,
        now: Tick,
        restore: impl Fn(&T) -> S,
    ) -> Self {
        let mut host = Self { next: saved.next, log: Log::restore(log), ..Self::new(config) };
        let cursor = host.log.last();
        for (id, member) in &saved.members {
            let restored = Member::restore(member, cursor, now, restore(&member.state));
            host.members.insert(MemberId(*id), restored);
        }
        host.profiles = saved.profiles.into_iter().collect();
        host
    }

    /// Members, connected or soon back, each with its id, in no order that means anything.
    pub fn iter(&self) -> impl Iterator<Item = (MemberId, &Member<V, S>)> {
        self.members.iter()
    }
}

impl<S> SavedMembers<S> {
    /// Whether a room could have written both: everybody is there once, `others` among them, who are no members but have
    /// profiles; and every text is one that a room would have taken.
    pub fn is_sound(&self, log: &SavedLog, others: impl Iterator<Item = u16>) -> bool {
        let are_ascending = self.members.is_sorted_by(|(a, _), (b, _)| a < b)
            && self.profiles.is_sorted_by(|(a, _), (b, _)| a < b)
            && self.members.last().is_none_or(|(id, _)| *id < self.next);
        let mut present: Vec<u16> = self.members.iter().map(|(_, member)| member.author).chain(others).collect();
        present.sort_unstable();
        let is_everybody = present.iter().eq(self.profiles.iter().map(|(author, _)| author));
        let is_profile = |profile: &Profile| profile.name.len() <= NAME_MAX_BYTES && profile.hue < 8;
        let are_profiles = self.profiles.iter().all(|(_, profile)| is_profile(profile));
        let are_members = self.members.iter().all(|(_, member)| member.is_sound());
        let are_numbers = self.next <= NUMBER_MAX && log.is_sound(NUMBER_MAX);
        are_ascending && is_everybody && are_profiles && are_members && are_numbers
    }

    /// Authors of all profiles, ascending.
    pub fn authors(&self) -> impl Iterator<Item = u16> {
        self.profiles.iter().map(|(author, _)| *author)
    }

    /// The kind's part of each member.
    pub fn states(&self) -> impl Iterator<Item = &S> {
        self.members.iter().map(|(_, member)| &member.state)
    }
}
