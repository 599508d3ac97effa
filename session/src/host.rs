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
    engine::{ConnectionId, Output, Stats},
    governor::Level,
    log::{Log, SavedLog},
    member::{Ending, Member, MemberId, SavedMember, Timing},
    members::{Members, Shard},
};
use bytes::Bytes;
use protocol::{
    PROTOCOL_VERSION, Tick,
    close::CloseReason,
    entry::{Entry, Line, Talk},
    limits::NAME_MAX_BYTES,
    message::{ClientMessage, Hello, Operation, ServerMessage, Welcome},
    profile::{Profile, sanitise_chat, sanitise_name},
    room::Kind,
    token::{Key, Role},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, VecDeque},
    ops::RangeInclusive,
};

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
    /// The room's kind.
    pub kind: Kind,
    /// The versions of the kind's part of the wire that are understood. Policy: refuse others with `VersionMismatch`.
    pub versions: RangeInclusive<u32>,
    /// Ticks a second.
    pub tick_hz: u32,
    /// Most members at once, readers apart. Policy: refuse with `RoomFull`.
    pub capacity: u32,
    /// Most readers at once. Policy: refuse with `RoomFull`.
    pub readers: u32,
    /// Longest time a client may say nothing, ms. Policy: close with `Silent`.
    pub silence_max_ms: u64,
    /// Whether everybody is told who comes and who leaves.
    pub tells_comings: bool,
    /// When this life of the room begins, unix seconds; 0: nobody knows. Lines bear the time that follows from it.
    pub begins_s: u64,
    /// How the room speaks.
    pub sentences: Sentences,
}

/// What members are told, in the words of their kind of room.
#[derive(Debug, Clone, Copy)]
pub struct Sentences {
    /// The name of whoever has none.
    pub nameless: &'static str,
    /// A line of chat was not sent, or a name not changed, since there were many just before.
    pub chat_too_fast: &'static str,
    /// A line of chat was not sent, since it is empty or too long.
    pub chat_out_of_range: &'static str,
    /// Nothing was done, since whoever wanted it only reads.
    pub reader: &'static str,
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
    /// An operation that is the kind's to do, for the first time: it answers with [`Host::take`] or [`Host::decline`].
    Operation {
        /// Whose.
        id: MemberId,
        /// Its number.
        number: u32,
        /// What is to be done.
        body: Vec<u8>,
    },
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
    profiles: Vec<(u32, Profile)>,
}

/// How many: those who take part, and those who read.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    members: u32,
    readers: u32,
}

impl Counts {
    fn of(&mut self, role: Role) -> &mut u32 {
        if role == Role::Reader { &mut self.readers } else { &mut self.members }
    }
}

/// See the module; `V` is what the kind remembers of each frame, `S` what else it keeps of a member.
#[derive(Debug)]
pub struct Host<V, S> {
    config: HostConfig,
    timing: Timing,
    /// The tick at which this life of the room began.
    began: Tick,
    present: Counts,
    connected: Counts,
    members: Members<V, S>,
    next: u32,
    /// Of members, and of whom the kind has there besides.
    profiles: BTreeMap<u32, Profile>,
    log: Log,
    output: VecDeque<Output>,
    level: Level,
}

impl<V: Copy + Eq, S> Host<V, S> {
    /// Nobody is there yet.
    pub fn new(config: HostConfig) -> Self {
        Self {
            timing: Timing::new(config.tick_hz, config.silence_max_ms),
            began: 0,
            present: Counts::default(),
            connected: Counts::default(),
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

    /// Who says hello: somebody who comes back (`Ok`), or somebody new who may come in, as what (`Err`).
    ///
    /// # Errors
    /// [`CloseReason::VersionMismatch`]; [`CloseReason::BadTicket`]; [`CloseReason::Replaced`] for an older token of a
    /// member that is there by a newer one.
    pub fn recognise(&mut self, hello: &Hello, admission: Option<Role>) -> Result<Result<MemberId, Role>, CloseReason> {
        let is_this_kind =
            hello.kind == self.config.kind.number() && self.config.versions.contains(&hello.kind_version);
        if hello.version != PROTOCOL_VERSION || !is_this_kind {
            return Err(CloseReason::VersionMismatch);
        }
        match hello.resume.as_deref().map_or(Err(CloseReason::BadTicket), |token| self.resume(token)) {
            Ok(id) => Ok(Ok(id)),
            Err(reason) => admission.map(Err).ok_or(reason),
        }
    }

    /// Whether there is a place for somebody new; `Some` is who has been gone longest and must be removed for it, so that a
    /// place on the lobby's board is a place in the room. Readers take no member's place.
    ///
    /// # Errors
    /// [`CloseReason::Overloaded`] or [`CloseReason::RoomFull`].
    pub fn make_place(&self, role: Role) -> Result<Option<MemberId>, CloseReason> {
        if self.level >= Level::Joins {
            return Err(CloseReason::Overloaded);
        }
        let is_reader = role == Role::Reader;
        let most = if is_reader { self.config.readers } else { self.config.capacity };
        if *self.present.clone().of(role) < most {
            return Ok(None);
        }
        let alike = self.members.iter().filter(|(_, member)| (member.role == Role::Reader) == is_reader);
        let gone = alike.filter_map(|(id, member)| Some((member.lost_since()?, id))).min();
        gone.map(|(_, id)| Some(id)).ok_or(CloseReason::RoomFull)
    }

    /// Lets somebody new in; others will know it as `author`, which is 0 for a reader.
    pub fn admit(&mut self, (author, role): (u32, Role), hello: &Hello, now: Tick, state: S) -> MemberId {
        assert_eq!(author == 0, role == Role::Reader, "nobody knows of a reader");
        let id = MemberId(self.next);
        self.next += 1;
        let mut member = Member::new((author, role), self.config.epoch, now, state);
        member.cursor = self.log.end();
        self.members.insert(id, member);
        *self.present.of(role) += 1;
        if author != 0 {
            let profile = self.profile(&hello.name, hello.hue);
            self.profiles.insert(author, profile.clone());
            self.tell_coming(author, &Talk::Joined(profile));
        }
        id
    }

    fn profile(&self, name: &str, hue: u8) -> Profile {
        Profile { name: sanitise_name(name, self.config.sentences.nameless), hue: hue % 8, is_bot: false }
    }

    fn tell_coming(&mut self, author: u32, talk: &Talk) {
        if self.config.tells_comings {
            self.log.push(|number| talk.entry(number, author));
        }
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
        *self.connected.of(member.role) += u32::from(older.is_none());
        self.output.extend(older.map(|older| Output::Close(older, CloseReason::Replaced)));
        since
    }

    /// The answer to a good hello.
    pub fn welcome(&mut self, id: MemberId, entrance: Entrance, now: Tick) {
        let Entrance { is_resumed: resumed, since, have_entry, kind } = entrance;
        let nobody = self.profile("", 0);
        let member = self.members.get_mut(id).expect("the caller just let it in");
        // A page that kept its state goes on where it was; a fresh one sees the talk so far instead.
        let (end, keeps_state) = (self.log.end(), since != 0);
        member.cursor = end;
        if keeps_state {
            member.cursor.entry = have_entry.min(end.entry);
        }
        let key = &self.config.key;
        let welcome = Welcome {
            member: member.author,
            epoch: self.config.epoch,
            resumed,
            since,
            tick: now,
            resume: key.sign_resume(&key.signed_name(member.role, &self.config.name), member.resume(id)),
            role: member.role,
            profile: self.profiles.get(&member.author).cloned().unwrap_or(nobody),
            history: if keeps_state { Vec::new() } else { self.log.history() },
            last_entry: member.cursor.entry,
            kept_entry: end.kept,
            last_operation: member.last_operation(),
            kind,
        };
        self.send(id, &ServerMessage::Welcome(Box::new(welcome)));
    }

    /// The answer to a bad hello.
    pub fn refuse(&mut self, from: ConnectionId, reason: CloseReason) {
        self.output.push_back(Output::Refuse(from, reason));
    }

    /// The member of a token, unless it is gone or a newer token of it was used.
    fn resume(&mut self, token: &str) -> Result<MemberId, CloseReason> {
        let HostConfig { key, name, .. } = &self.config;
        let of_reader = || key.verify_resume(token, &key.signed_name(Role::Reader, name));
        let resume = key.verify_resume(token, name).or_else(|_| of_reader()).map_err(|_| CloseReason::BadTicket)?;
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

    /// What a connection said to the session: answers what every room answers.
    pub fn receive(&mut self, from: ConnectionId, message: ClientMessage, now: Tick) -> Incoming {
        let Some((id, member)) = self.members.get_at(from) else { return Incoming::Handled };
        member.note_activity(now);
        match message {
            ClientMessage::Hello(_) => {
                self.close(id, CloseReason::BadMessage, now);
                return Incoming::Closed(id);
            }
            ClientMessage::Operation { number, operation } => return self.operate(id, number, operation, now),
            ClientMessage::Whois(authors) => {
                let known = |author: u32| self.profiles.get(&author).map(|profile| (author, profile.clone()));
                let roster = authors.into_iter().filter_map(known).collect();
                self.send(id, &ServerMessage::Roster(roster));
            }
            ClientMessage::Leave => return Incoming::Leave(id),
        }
        Incoming::Handled
    }

    /// Does what a member wants, once: what was done or declined before is only answered again.
    fn operate(&mut self, id: MemberId, number: u32, operation: Operation, now: Tick) -> Incoming {
        let member = self.members.get_mut(id).expect("the caller found it");
        let (role, sentences) = (member.role, self.config.sentences);
        if !member.begin_operation(number) {
            self.take(id, number, 0);
            return Incoming::Handled;
        }
        if role == Role::Reader {
            self.decline(id, number, sentences.reader);
            return Incoming::Handled;
        }
        let done = match operation {
            Operation::Kind(body) => return Incoming::Operation { id, number, body },
            Operation::Chat(text) => self.chat(id, &text, now),
            Operation::Rename { name, hue } => self.rename(id, &name, hue, now),
        };
        match done {
            Ok(entry) => self.take(id, number, entry),
            Err(sentence) => self.decline(id, number, sentence),
        }
        Incoming::Handled
    }

    fn chat(&mut self, id: MemberId, text: &str, now: Tick) -> Result<u32, &'static str> {
        let member = self.members.get_mut(id).expect("the caller found it");
        let (author, may_chat) = (member.author, member.may_chat(&self.timing, now));
        let text = sanitise_chat(text).ok_or(self.config.sentences.chat_out_of_range)?;
        if !may_chat {
            return Err(self.config.sentences.chat_too_fast);
        }
        let (name, at_s) = (self.profiles[&author].name.clone(), self.unix_s(now));
        let line = Talk::Chat(Line { name, text, at_s });
        Ok(self.log.push(|number| line.entry(number, author)))
    }

    fn rename(&mut self, id: MemberId, name: &str, hue: u8, now: Tick) -> Result<u32, &'static str> {
        let profile = self.profile(name, hue);
        let member = self.members.get_mut(id).expect("the caller found it");
        let (author, may_chat) = (member.author, member.may_chat(&self.timing, now));
        if !may_chat {
            return Err(self.config.sentences.chat_too_fast);
        }
        let is_new = self.profiles.insert(author, profile.clone()).as_ref() != Some(&profile);
        Ok(if is_new { self.log.push(|number| Talk::Joined(profile).entry(number, author)) } else { 0 })
    }

    /// What time it is, unix seconds; 0: nobody knows.
    fn unix_s(&self, now: Tick) -> u64 {
        let lived_s = u64::from(self.timing.seconds(now - self.began));
        if self.config.begins_s == 0 { 0 } else { self.config.begins_s + lived_s }
    }

    /// Tells a member that its operation was done, and which entry it became; 0: none.
    pub fn take(&mut self, id: MemberId, number: u32, entry: u32) {
        self.send(id, &ServerMessage::Taken { number, entry });
    }

    /// Tells a member that its operation was not done, and why.
    pub fn decline(&mut self, id: MemberId, number: u32, sentence: &str) {
        self.send(id, &ServerMessage::Declined { number, sentence: sentence.to_owned() });
    }

    /// Appends an entry of the kind's own to the log; returns its number.
    pub fn publish(&mut self, topic: u8, author: u32, body: Vec<u8>) -> u32 {
        self.log.push(|number| Entry { number, topic, author, body })
    }

    /// Everything up to this entry is kept, whatever happens to the machine.
    pub fn committed(&mut self, entry: u32) {
        self.log.note_kept(entry);
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
    pub fn introduce(&mut self, author: u32, profile: Profile) {
        self.profiles.insert(author, profile);
    }

    /// Somebody who is no member is there no more: no news to anybody.
    pub fn forget(&mut self, author: u32) {
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
        *self.connected.of(member.role) -= 1;
        self.members.detach(from);
        Some(id)
    }

    /// Closes a member's connection; it may come back within the grace.
    pub fn close(&mut self, id: MemberId, reason: CloseReason, now: Tick) {
        let Some(member) = self.members.get_mut(id) else { return };
        if let Some(connection) = member.disconnect(now) {
            *self.connected.of(member.role) -= 1;
            self.members.detach(connection);
            self.output.push_back(Output::Close(connection, reason));
        }
    }

    /// The member is gone for good, and everybody is told.
    pub fn remove(&mut self, id: MemberId) -> Option<Member<V, S>> {
        let member = self.members.remove(id)?;
        *self.present.of(member.role) -= 1;
        *self.connected.of(member.role) -= u32::from(member.connection().is_some());
        if let Some(profile) = self.profiles.remove(&member.author) {
            self.tell_coming(member.author, &Talk::Left(profile.name));
        }
        Some(member)
    }

    /// Who is not to go on as it is, in the order of joining.
    pub fn endings(&self, now: Tick) -> Vec<(MemberId, Ending)> {
        let mut endings: Vec<_> =
            self.members.iter().filter_map(|(id, member)| Some((id, member.ending(&self.timing, now)?))).collect();
        endings.sort_unstable_by_key(|(id, _)| *id);
        endings
    }

    // --- what the kind reads

    /// The log, which all frames of a tick share, and the shards, each of which is only its own frames'.
    pub fn frame_parts(&mut self) -> (&Log, &mut [Shard<V, S>]) {
        (&self.log, self.members.shards_mut())
    }

    /// The log, to look at.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// Whether nobody is there, nor expected back.
    pub fn is_deserted(&self) -> bool {
        self.present.members == 0 && self.present.readers == 0
    }

    /// The next thing to do besides frames, oldest first.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.output.pop_front()
    }

    /// A member, connected or soon back.
    pub fn member(&mut self, id: MemberId) -> Option<&mut Member<V, S>> {
        self.members.get_mut(id)
    }

    /// The member that a connection belongs to.
    pub fn id_at(&self, from: ConnectionId) -> Option<MemberId> {
        self.members.at(from)
    }

    /// Whom a connection belongs to.
    pub fn member_at(&mut self, from: ConnectionId) -> Option<&mut Member<V, S>> {
        self.members.get_at(from).map(|(_, member)| member)
    }

    /// Members, connected or soon back, readers apart.
    pub fn members(&self) -> usize {
        self.present.members as usize
    }

    /// Figures, at tick `now`.
    pub fn stats(&self, tick: Tick) -> Stats {
        let Counts { members, readers } = self.connected;
        Stats {
            tick,
            members,
            readers,
            population: self.profiles.len() as u32,
            capacity: self.config.capacity,
            last_entry: self.log.last(),
        }
    }

    /// What is left out.
    pub fn level(&self) -> Level {
        self.level
    }

    // --- saves

    /// What lasts: `save` says it of the kind's part of a member.
    pub fn save<T>(&self, save: impl Fn(&S) -> T) -> (SavedMembers<T>, SavedLog) {
        // Nobody would miss a reader: it comes back by its link.
        let lasting = self.members.iter().filter(|(_, member)| member.role != Role::Reader);
        let mut members: Vec<_> = lasting.map(|(id, member)| (id.0, member.save(save(&member.state)))).collect();
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
        let mut host = Self { next: saved.next, began: now, log: Log::restore(log), ..Self::new(config) };
        let cursor = host.log.end();
        for (id, member) in &saved.members {
            let restored = Member::restore(member, cursor, now, restore(&member.state));
            *host.present.of(restored.role) += 1;
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
    pub fn is_sound(&self, log: &SavedLog, others: impl Iterator<Item = u32>) -> bool {
        let are_ascending = self.members.is_sorted_by(|(a, _), (b, _)| a < b)
            && self.profiles.is_sorted_by(|(a, _), (b, _)| a < b)
            && self.members.last().is_none_or(|(id, _)| *id < self.next);
        let mut present: Vec<u32> = self.members.iter().map(|(_, member)| member.author).chain(others).collect();
        present.sort_unstable();
        let is_everybody = present.iter().eq(self.profiles.iter().map(|(author, _)| author));
        let is_profile = |profile: &Profile| profile.name.len() <= NAME_MAX_BYTES && profile.hue < 8;
        let are_profiles = self.profiles.iter().all(|(_, profile)| is_profile(profile));
        let are_members = self.members.iter().all(|(_, member)| member.is_sound());
        let are_numbers = self.next <= NUMBER_MAX && log.is_sound(NUMBER_MAX);
        are_ascending && is_everybody && are_profiles && are_members && are_numbers
    }

    /// Authors of all profiles, ascending.
    pub fn authors(&self) -> impl Iterator<Item = u32> {
        self.profiles.iter().map(|(author, _)| *author)
    }

    /// The kind's part of each member.
    pub fn states(&self) -> impl Iterator<Item = &S> {
        self.members.iter().map(|(_, member)| &member.state)
    }
}
