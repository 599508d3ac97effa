//! The server end of a chat room: a [`Host`], and a beat on which everybody is told what is new.
//!
//! Path: [`Engine::connect`] and [`Engine::receive`] take what connections bring; the host numbers what is said →
//! [`Engine::frames`], on a beat: the lines since the last one, encoded once, to everybody → every few seconds a frame
//! without news, so that nobody takes a quiet room for a lost one.
//! Invariants: everybody reads the same lines in the same order; who comes and goes is a number, and no line; on a tick that
//! is no beat nobody is looked at, and when nothing is to be told no tick counts ([`Engine::idle_ticks`]).

mod save;

use crate::{
    TICK_HZ,
    wire::{FramePart, STILL_HERE, VERSIONS, Welcome},
};
use protocol::{
    Tick,
    close::CloseReason,
    limits::FRAME_SPAN_MAX_TICKS,
    message::{Hello, Packet},
    room::Kind,
    token::{Key, Role},
};
pub use save::Unfit;
use session::{
    Command, ConnectionId, Ending, Engine, Entrance, FrameSink, Host, HostConfig, Incoming, Level, MemberId, Output,
    Sent, Sentences, Shard, Stats,
    log::{Log, LogCursor},
};
use std::ops::RangeInclusive;

/// Ticks from beat to beat while the room sheds load: 4 Hz.
const SHED_BEAT_TICKS: u32 = TICK_HZ / 4;
/// How often it is looked after who has ended, and who has heard nothing for long.
const CARE_INTERVAL_TICKS: u32 = TICK_HZ;
/// Ticks that an empty room lets pass at once: whatever comes ends the wait.
const EMPTY_IDLE_TICKS: u32 = 3600 * TICK_HZ;

const SENTENCES: Sentences = Sentences {
    nameless: "Guest",
    chat_too_fast: "You are talking faster than this room takes. Your line was not sent.",
    chat_out_of_range: "A line has 1 to 240 letters. Yours was not sent.",
    reader: "You are reading along. Ask for the link to take part.",
};
/// The answer to an operation of a version that is not ours yet.
const UNKNOWN_OPERATION: &str = "This room does not know how to do that.";

/// What a room is begun with.
#[derive(Debug, Clone)]
pub struct RoomConfig {
    /// The room's durable id ([`protocol::room::durable_id`]).
    pub name: String,
    /// Signs resume tokens.
    pub key: Key,
    /// Tells this life of the room from earlier ones.
    pub epoch: u32,
    /// Most members at once. Policy: refuse with `RoomFull`.
    pub max_members: u32,
    /// Most of those who only read. Policy: refuse with `RoomFull`.
    pub max_readers: u32,
    /// Ticks from beat to beat.
    pub beat_ticks: u32,
    /// Longest time without a frame, ms, whole seconds.
    pub idle_ms: u32,
    /// Longest time a client may say nothing, ms. Policy: close with `Silent`.
    pub silence_max_ms: u64,
    /// When this life of the room begins, unix seconds; 0: nobody knows.
    pub begins_s: u64,
}

/// What is remembered of a member, besides what the host does.
#[derive(Debug, Clone, Copy, Default)]
struct State {
    /// How many people there are, as last told.
    people: u32,
}

type Member = session::Member<(), State>;

/// What everybody was told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Told {
    log: LogCursor,
    people: u32,
}

/// See the module.
#[derive(Debug)]
pub struct Room {
    config: RoomConfig,
    host: Host<(), State>,
    tick: Tick,
    next_author: u32,
    /// What there was to tell at the last beat.
    told: Told,
    /// Somebody could not be told all of it.
    has_laggards: bool,
}

impl RoomConfig {
    fn host(&self) -> HostConfig {
        HostConfig {
            name: self.name.clone(),
            key: self.key.clone(),
            epoch: self.epoch,
            kind: Room::KIND,
            versions: Room::versions(),
            tick_hz: TICK_HZ,
            capacity: self.max_members,
            readers: self.max_readers,
            silence_max_ms: self.silence_max_ms,
            tells_comings: false,
            begins_s: self.begins_s,
            sentences: SENTENCES,
        }
    }
}

impl Engine for Room {
    const KIND: Kind = Kind::Lounge;
    const TICK_HZ: u32 = TICK_HZ;
    /// What was said is not replaced by nothing.
    const BEGINS_ANEW: bool = false;

    fn versions() -> RangeInclusive<u32> {
        VERSIONS
    }

    fn connect(&mut self, from: ConnectionId, hello: &Hello, admission: Option<Role>) {
        let entrance = self.host.recognise(hello, admission).and_then(|known| match known {
            Ok(id) => Ok((id, true)),
            Err(role) => self.admit(hello, role).map(|id| (id, false)),
        });
        match entrance {
            Ok((id, is_resumed)) => self.welcome(id, from, hello, is_resumed),
            Err(reason) => self.host.refuse(from, reason),
        }
    }

    fn receive(&mut self, from: ConnectionId, packet: Packet<'_>) {
        match packet {
            Packet::Kind(bytes) => self.receive_kind(from, bytes),
            Packet::Session(message) => match self.host.receive(from, message, self.tick) {
                Incoming::Handled | Incoming::Closed(_) => {}
                Incoming::Leave(id) => _ = self.host.remove(id),
                Incoming::Operation { id, number, .. } => self.host.decline(id, number, UNKNOWN_OPERATION),
            },
        }
    }

    fn disconnect(&mut self, from: ConnectionId) {
        self.host.disconnect(from, self.tick);
    }

    fn command(&mut self, Command::Relieve(level): Command) {
        self.host.relieve(level);
    }

    fn committed(&mut self, entry: u32) {
        self.host.committed(entry);
    }

    fn tick(&mut self) {
        self.tick += 1;
        if self.tick.is_multiple_of(CARE_INTERVAL_TICKS) {
            for (id, ending) in self.host.endings(self.tick) {
                match ending {
                    Ending::Close(reason) => self.host.close(id, reason, self.tick),
                    Ending::Leave => _ = self.host.remove(id),
                }
            }
        }
    }

    fn idle_ticks(&self) -> u32 {
        let next = |interval: u32| interval - self.tick % interval - 1;
        if self.host.is_deserted() {
            return EMPTY_IDLE_TICKS;
        }
        let care = next(CARE_INTERVAL_TICKS);
        if self.has_news() { care.min(next(self.beat_ticks())) } else { care }
    }

    fn skip(&mut self, ticks: u32) {
        self.tick += ticks;
    }

    fn frames(&mut self, sink: &mut dyn FrameSink) {
        if self.tick.is_multiple_of(self.beat_ticks()) && self.has_news() {
            self.tell(sink);
        }
        if self.tick.is_multiple_of(CARE_INTERVAL_TICKS) {
            self.reassure(sink);
        }
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.host.poll_output()
    }

    fn snapshot(&self) -> Option<Vec<u8>> {
        Some(self.save())
    }

    fn stats(&self) -> Stats {
        self.host.stats(self.tick)
    }
}

impl Room {
    /// Begins an empty room at tick 0.
    pub fn new(config: RoomConfig) -> Self {
        Self::around(Host::new(config.host()), config)
    }

    fn around(host: Host<(), State>, config: RoomConfig) -> Self {
        Self { config, host, tick: 0, next_author: 1, told: Told::default(), has_laggards: false }
    }

    fn admit(&mut self, hello: &Hello, role: Role) -> Result<MemberId, CloseReason> {
        if let Some(gone) = self.host.make_place(role)? {
            self.host.remove(gone);
        }
        let author = match role {
            Role::Reader => 0,
            _ => self.next_author,
        };
        self.next_author += u32::from(author != 0);
        Ok(self.host.admit((author, role), hello, self.tick, State::default()))
    }

    fn welcome(&mut self, id: MemberId, from: ConnectionId, hello: &Hello, is_resumed: bool) {
        let have_tick = if is_resumed { hello.have_tick } else { 0 };
        let since = self.host.connect(id, from, have_tick, self.tick);
        let people = self.host.stats(self.tick).members;
        let member = self.host.member(id).expect("it was just given a connection");
        member.state.people = people;
        let kind = Welcome { people }.encode();
        self.host.welcome(id, Entrance { is_resumed, since, have_entry: hello.have_entry, kind }, self.tick);
    }

    fn receive_kind(&mut self, from: ConnectionId, bytes: &[u8]) {
        let now = self.tick;
        if bytes == STILL_HERE {
            _ = self.host.member_at(from).map(|member| member.note_activity(now));
        } else if let Some(id) = self.host.id_at(from) {
            self.host.close(id, CloseReason::BadMessage, now);
        }
    }

    fn beat_ticks(&self) -> u32 {
        if self.host.level() >= Level::Cadence { SHED_BEAT_TICKS } else { self.config.beat_ticks }
    }

    /// What there is to tell now.
    fn now(&self) -> Told {
        Told { log: self.host.log().end(), people: self.host.stats(self.tick).members }
    }

    /// Whether somebody has not been told all.
    fn has_news(&self) -> bool {
        self.has_laggards || self.now() != self.told
    }

    /// Tells everybody what is new.
    fn tell(&mut self, sink: &mut dyn FrameSink) {
        let (now, tick) = (self.now(), self.tick);
        let (log, shards) = self.host.frame_parts();
        let laggards = shards.iter_mut().map(|shard| tell_shard(shard, log, now, tick, sink));
        self.has_laggards = laggards.fold(false, |some, more| some | more);
        self.told = now;
    }

    /// A frame without news for those whose turn it is: everybody has one within the time that a quiet room may be silent.
    fn reassure(&mut self, sink: &mut dyn FrameSink) {
        let (tick, turns) = (self.tick, (self.config.idle_ms / 1000).max(1));
        let turn = tick / CARE_INTERVAL_TICKS % turns;
        let (_, shards) = self.host.frame_parts();
        for shard in shards {
            let (members, _) = shard.connected();
            for (to, member) in members.filter(|(to, _)| to.slot % turns == turn) {
                let is_fresh = member.window.last().is_some_and(|last| tick - last.tick < CARE_INTERVAL_TICKS);
                if !is_fresh && sink.can_take(to) {
                    let part = frame_part(member, tick);
                    sink.put(to, &mut |bytes| part.encode(bytes));
                    note_frame(member, tick);
                }
            }
        }
    }
}

/// Tells a shard's members what is new; whether somebody could not be told all of it.
fn tell_shard(shard: &mut Shard<(), State>, log: &Log, now: Told, tick: Tick, sink: &mut dyn FrameSink) -> bool {
    let mut has_laggards = false;
    let (members, section) = shard.connected();
    for (to, member) in members {
        let has_entries = member.cursor != now.log;
        if !has_entries && member.state.people == now.people {
            continue;
        }
        if !sink.can_take(to) {
            has_laggards = true;
            continue;
        }
        let people = (member.state.people != now.people).then_some(now.people);
        let part = FramePart { has_entries, people, ..frame_part(member, tick) };
        sink.put(to, &mut |bytes| {
            part.encode(bytes);
            if has_entries {
                section.encode_after(log, &mut member.cursor, bytes);
            }
        });
        member.state.people = now.people;
        has_laggards |= member.cursor != now.log;
        note_frame(member, tick);
    }
    has_laggards
}

/// A frame for this member, without news.
fn frame_part(member: &Member, tick: Tick) -> FramePart {
    let last = member.window.last().filter(|last| last.tick + FRAME_SPAN_MAX_TICKS >= tick);
    FramePart { tick, span: last.map_or(0, |last| (tick - last.tick) as u8), ..FramePart::default() }
}

/// Frames come one behind the other over a line that loses none: one that goes out says that those before it have left. So a
/// client that did not get the last one goes on from the one before, and a line that takes nothing for long is closed.
fn note_frame(member: &mut Member, tick: Tick) {
    if let Some(last) = member.window.last() {
        member.window.acknowledge(last.tick);
    }
    member.window.handed(Sent { tick, view: () });
}
