//! The server end of a room: sessions in, one tick at a time, frames out.
//!
//! Path: `join`/`handle` take what sockets bring → [`Room::tick`] applies inputs, steps the game, compares it with what
//! every replica predicts and logs the difference per cell → [`Room::frame_for`] assembles a session's frame from
//! shared parts → [`Room::poll_output`] gives the rest (welcomes, answers, closes).
//! Invariants: `mirror` is what a replica holding every cell would hold; a frame, once assembled, is sent.

mod fillers;
mod frames;
pub(crate) mod input_buffer;
mod snapshot;

use crate::{
    SessionId, codec,
    events::Events,
    governor::Level,
    room::input_buffer::{InputBuffer, Pending},
    rows::cell_log::Logs,
    rows::codec::{Codec, Scratch, Surprises},
    rows::frame_body::Assembly,
    rows::step::{self, Stepped},
    session::{Ending, Session},
    sessions::Sessions,
};
use bytes::{Bytes, BytesMut};
use frames::Whereabouts;
use game::{
    Controls, Game, PilotId, Standing,
    rules::Rules,
    schema::{CellId, Row},
    step_row,
};
use glam::IVec2;
use protocol::{
    PROTOCOL_VERSION, Tick,
    close::CloseReason,
    codec,
    frame::{PrivateState, Respawn},
    message::{
        ClientMessage, ClientPacket, Event, Hello, Profile, ServerMessage, Welcome, sanitise_chat, sanitise_name,
    },
    token::{Key, Resume},
};
pub use snapshot::SnapshotError;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;

/// What a room is begun with.
#[derive(Debug, Clone)]
pub struct RoomConfig {
    /// The room's durable id ([`protocol::room::durable_id`]).
    pub name: String,
    /// Signs resume tokens.
    pub key: Key,
    /// Tells this life of the room from earlier ones, those before it was put aside among them.
    pub epoch: u32,
    /// All of the room's randomness comes from it.
    pub seed: u64,
    /// The game's rules.
    pub rules: Rules,
    /// Pilots that fly when nobody is there; each player replaces one.
    pub fillers: u16,
    /// Most sessions at once. Policy: refuse with `RoomFull`.
    pub max_players: u16,
    /// How long news from beyond weapon range may wait, so that messages are saved; 1: a frame every tick.
    pub cadence_ticks: u32,
}

/// The usual cadence: 20 Hz, in step with the sticks (`game::plane::STICK_TICKS`).
pub const CADENCE_TICKS: u32 = 3;

impl RoomConfig {
    /// The public room: 20 fillers, 200 players; `tuning` is the text of a tuning file.
    ///
    /// # Errors
    /// A sentence that names the field of the tuning file and what would be right.
    pub fn new(name: &str, key: Key, epoch: u32, seed: u64, tuning: &str) -> Result<Self, String> {
        let rules = Rules::parse(tuning).map_err(|error| error.to_string())?;
        Ok(Self {
            name: name.to_owned(),
            key,
            epoch,
            seed,
            rules,
            fillers: 20,
            max_players: 200,
            cadence_ticks: CADENCE_TICKS,
        })
    }
}

/// What a room wants done, besides frames.
#[derive(Debug, PartialEq, Eq)]
pub enum Output {
    /// Send this message; it goes before the next frame.
    Message(SessionId, Bytes),
    /// Close the session's socket, after all its messages.
    Close(SessionId, CloseReason),
}

/// Figures for people and metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RoomStats {
    /// Ticks since the room began.
    pub tick: Tick,
    /// Sessions with a socket.
    pub players: u32,
    /// Sessions and fillers.
    pub pilots: u32,
    /// Rows that can be seen by somebody.
    pub rows: u32,
    /// Chunks and whole cells encoded so far.
    pub chunks_encoded: u64,
    /// Frames assembled so far.
    pub frames: u64,
    /// Cells sent whole because a checksum did not match: each is a bug.
    pub repairs: u64,
    /// Inputs that came after their tick.
    pub late_inputs: u64,
}

/// How often it is looked after whether sessions have ended.
const ENDINGS_INTERVAL_TICKS: u32 = 15;
/// Memory for one session's frame, put aside for all at once.
const FRAMES_USUAL_BYTES: usize = 64;

/// See the module.
pub struct Room {
    config: RoomConfig,
    game: Game,
    sessions: Sessions,
    /// Inputs that wait for their tick.
    input_buffer: InputBuffer,
    profiles: BTreeMap<PilotId, Profile>,
    fillers: Vec<PilotId>,
    next_session: u32,
    /// The rows as every replica knows them after this tick, in canonical order.
    mirror: Vec<Row>,
    predicted: Stepped,
    /// Checksum per cell.
    sums: Vec<u64>,
    /// Where each cell's rows begin in `mirror`; one more for the end.
    starts: Vec<u32>,
    /// Where each pilot's plane was last, by id.
    planes: Vec<Whereabouts>,
    /// The frame at hand, and what finished ones are cut from: one piece of memory for all frames of a tick.
    frame: Vec<u8>,
    arena: BytesMut,
    /// Lists for the coder, kept for their memory.
    scratch: Scratch,
    /// What overload made the room shed.
    level: Level,
    /// How far a bullet can get, units.
    reach: i32,
    codec: Codec,
    logs: Logs,
    assembly: Assembly,
    events: Events,
    output: VecDeque<Output>,
    frames: u64,
    repairs: u64,
    late_inputs: u64,
}

impl fmt::Debug for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Room({} at tick {})", self.config.name, self.game.tick())
    }
}

impl Room {
    /// Begins a room at tick 0, with its fillers in the air.
    pub fn new(config: RoomConfig) -> Self {
        let mut room = Self::around(Game::new(config.seed, config.rules.clone()), config);
        room.balance_fillers();
        room
    }

    /// A room with nobody in it but who is in the game.
    fn around(game: Game, config: RoomConfig) -> Self {
        let cells = config.rules.motion.grid.ids_count();
        Self {
            game,
            sessions: Sessions::default(),
            input_buffer: InputBuffer::new(),
            profiles: BTreeMap::new(),
            fillers: Vec::new(),
            next_session: 1,
            mirror: Vec::new(),
            predicted: Stepped::default(),
            sums: vec![0; cells],
            starts: vec![0; cells + 1],
            planes: Vec::new(),
            frame: Vec::new(),
            arena: BytesMut::new(),
            scratch: Scratch::default(),
            level: Level::Full,
            reach: config.rules.motion.weapon_reach(),
            codec: codec(config.rules.motion.grid),
            logs: Logs::new(cells),
            assembly: Assembly::new(cells),
            events: Events::default(),
            output: VecDeque::new(),
            frames: 0,
            repairs: 0,
            late_inputs: 0,
            config,
        }
    }

    /// A socket says hello; `is_admitted` tells that its ticket was good. On success the welcome is among the
    /// session's outputs; a session that had a socket before has a new one now, and the older is to be closed as replaced.
    ///
    /// # Errors
    /// [`CloseReason::VersionMismatch`], [`CloseReason::BadTicket`], [`CloseReason::RoomFull`], or
    /// [`CloseReason::Replaced`] for an older token of a session that flies on by a newer one.
    pub fn join(&mut self, hello: &Hello, is_admitted: bool) -> Result<SessionId, CloseReason> {
        if hello.version != PROTOCOL_VERSION {
            return Err(CloseReason::VersionMismatch);
        }
        let resumed = hello.resume.as_deref().map_or(Err(CloseReason::BadTicket), |token| self.resume(token));
        let id = match resumed {
            Ok(id) => id,
            Err(_) if is_admitted => self.admit(hello)?,
            Err(reason) => return Err(reason),
        };
        self.welcome(id, hello, resumed.is_ok());
        self.balance_fillers();
        Ok(id)
    }

    /// What a session's socket brought.
    pub fn handle(&mut self, id: SessionId, packet: ClientPacket) {
        let now = self.game.tick();
        let Some(session) = self.sessions.get_mut(&id).filter(|session| session.is_connected) else { return };
        match packet {
            ClientPacket::Inputs(packet) => {
                self.late_inputs += u64::from(session.hear(&packet, now, &mut self.input_buffer))
            }
            ClientPacket::Message(message) => {
                session.hear_message(now);
                self.handle_message(id, message);
            }
        }
    }

    /// The session's socket is gone; the plane stays for the grace.
    pub fn disconnect(&mut self, id: SessionId) {
        let now = self.game.tick();
        if let Some(session) = self.sessions.get_mut(&id) {
            session.disconnect(now);
            self.input_buffer.void(session.pilot);
            // Nobody holds the stick: straight on, no fire.
            self.game.control(session.pilot, Controls::default());
        }
    }

    /// One tick: 1/60 s of the room's life.
    pub fn tick(&mut self) {
        let tick = self.game.tick() + 1;
        for (pilot, want) in self.input_buffer.take(tick) {
            match want {
                Pending::Controls(bits) => self.game.control(pilot, Controls::from_bits(bits)),
                Pending::View(delay) => self.game.look(pilot, delay.into()),
            }
        }
        let rules = &self.config.rules;
        self.predicted.step(&self.mirror, rules.motion.grid, |row, next| step_row(row, rules, next));
        self.game.step();
        self.game.rows(&mut self.mirror);
        self.index_rows(tick);
        self.log_surprises(tick);
        self.assembly.begin_tick();
        self.arena.reserve(FRAMES_USUAL_BYTES * self.sessions.len());
        for kill in self.game.drain_kills() {
            let view_delay = kill.behind.try_into().unwrap_or(u8::MAX);
            self.events.push(Event::Kill {
                killer: kill.killer.0,
                victim: kill.victim.0,
                rammed: kill.rammed,
                view_delay,
            });
        }
        self.end_sessions(tick);
    }

    /// The next thing to do for a session, oldest first.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.output.pop_front()
    }

    /// Figures for people and metrics.
    pub fn stats(&self) -> RoomStats {
        RoomStats {
            tick: self.game.tick(),
            players: self.sessions.iter().filter(|(_, session)| session.is_connected).count() as u32,
            pilots: self.profiles.len() as u32,
            rows: self.mirror.len() as u32,
            chunks_encoded: self.logs.encoded,
            frames: self.frames,
            repairs: self.repairs,
            late_inputs: self.late_inputs,
        }
    }

    /// All that can be seen after the last tick, in canonical order.
    pub fn rows(&self) -> &[Row] {
        &self.mirror
    }

    /// Sheds load, or takes it on again: each level includes those before it.
    pub fn relieve(&mut self, level: Level) {
        self.level = level;
        self.balance_fillers();
    }

    /// Most sessions at once.
    pub fn max_players(&self) -> u32 {
        u32::from(self.config.max_players)
    }

    /// The session of a token, unless it has ended or a newer token of it was used.
    fn resume(&mut self, token: &str) -> Result<SessionId, CloseReason> {
        let resume = self.config.key.verify_resume(token, &self.config.name).map_err(|_| CloseReason::BadTicket)?;
        let id = SessionId(resume.session);
        let session = self.sessions.get_mut(&id).filter(|session| session.epoch == resume.epoch);
        let session = session.ok_or(CloseReason::BadTicket)?;
        // Each use rotates the token: a copy of an older one opens nothing.
        match session.recognise(resume.generation) {
            true => Ok(id),
            false if session.is_connected => Err(CloseReason::Replaced),
            false => Err(CloseReason::BadTicket),
        }
    }

    fn admit(&mut self, hello: &Hello) -> Result<SessionId, CloseReason> {
        if self.level >= Level::Joins {
            return Err(CloseReason::Overloaded);
        }
        if self.sessions.len() >= usize::from(self.config.max_players) {
            // Who has been gone longest makes room, so that a place on the board is a place in the room.
            let gone = self.sessions.iter().filter_map(|(id, session)| Some((session.lost_since()?, *id))).min();
            let (_, id) = gone.ok_or(CloseReason::RoomFull)?;
            self.end_session(id);
        }
        let pilot = self.game.join(false).ok_or(CloseReason::RoomFull)?;
        let profile = Profile { name: sanitise_name(&hello.name), hue: hello.hue % 8, is_bot: false };
        self.profiles.insert(pilot, profile.clone());
        let id = SessionId(self.next_session);
        self.next_session += 1;
        let mut session = Session::new(pilot, self.config.epoch, self.game.tick());
        session.event = self.events.last();
        self.sessions.insert(id, session);
        self.events.push(Event::Joined { pilot: pilot.0, profile });
        Ok(id)
    }

    fn welcome(&mut self, id: SessionId, hello: &Hello, resumed: bool) {
        let now = self.game.tick();
        let session = self.sessions.get_mut(&id).expect("the caller just found or made it");
        let since = session.connect(if resumed { hello.have_tick } else { 0 }, now);
        self.input_buffer.void(session.pilot);
        self.game.control(session.pilot, Controls::default());
        // A page that kept its state goes on where it was; a fresh one sees the chat so far instead.
        let keeps_state = since != 0;
        if keeps_state {
            session.event = hello.have_event.min(self.events.last());
        } else {
            session.event = self.events.last();
        }
        let resume = Resume { epoch: session.epoch, session: id.0, generation: session.generation };
        let welcome = Welcome {
            pilot: session.pilot.0,
            epoch: self.config.epoch,
            resumed,
            since,
            tick: now,
            resume: self.config.key.sign_resume(&self.config.name, resume),
            rules: codec::encode(&self.config.rules),
            profile: self.profiles[&session.pilot].clone(),
            history: if keeps_state { Vec::new() } else { self.events.history() },
            last_event: session.event,
        };
        self.send(id, &ServerMessage::Welcome(Box::new(welcome)));
    }

    fn handle_message(&mut self, id: SessionId, message: ClientMessage) {
        let now = self.game.tick();
        let session = self.sessions.get_mut(&id).expect("the caller found it");
        let pilot = session.pilot;
        match message {
            ClientMessage::Hello(_) => self.output.push_back(Output::Close(id, CloseReason::BadMessage)),
            ClientMessage::Chat(text) => self.chat(id, &text),
            ClientMessage::Whois(pilots) => {
                let known = |id: u16| self.profiles.get(&PilotId(id)).map(|profile| (id, profile.clone()));
                let roster = pilots.into_iter().filter_map(known).collect();
                self.send(id, &ServerMessage::Roster(roster));
            }
            ClientMessage::FlyAgain => self.game.fly_again(pilot),
            ClientMessage::Rename { name, hue } => {
                let profile = Profile { name: sanitise_name(&name), hue: hue % 8, is_bot: false };
                if session.may_chat(now) && self.profiles.insert(pilot, profile.clone()).as_ref() != Some(&profile) {
                    self.events.push(Event::Joined { pilot: pilot.0, profile });
                }
            }
            ClientMessage::Verify => session.wants_sums = true,
            ClientMessage::Repair(cells) => {
                let (viewpoint, grid) = (session.derived_viewpoint(), self.codec.grid);
                if session.may_repair(now) {
                    session.lost = cells.into_iter().map(CellId).filter(|cell| viewpoint.holds(*cell, grid)).collect();
                    self.repairs += session.lost.len() as u64;
                }
            }
            ClientMessage::Leave => self.end_session(id),
        }
    }

    fn chat(&mut self, id: SessionId, text: &str) {
        let now = self.game.tick();
        let session = self.sessions.get_mut(&id).expect("the caller found it");
        let (pilot, may_chat) = (session.pilot, session.may_chat(now));
        match sanitise_chat(text) {
            Some(text) if may_chat => {
                let name = self.profiles[&pilot].name.clone();
                self.events.push(Event::Chat { pilot: pilot.0, name, text });
            }
            Some(_) => self.notice(id, "The tower asks you to slow down. Your line was not sent."),
            None => self.notice(id, "The tower takes lines of 1 to 240 letters. Yours was not sent."),
        }
    }

    fn notice(&mut self, id: SessionId, sentence: &str) {
        self.send(id, &ServerMessage::Notice(sentence.to_owned()));
    }

    fn send(&mut self, id: SessionId, message: &ServerMessage) {
        self.output.push_back(Output::Message(id, Bytes::from(message.encode())));
    }

    /// Compares, sums and codes the last tick once more, and forgets it: for measuring what that costs.
    pub fn encode_again(&mut self) -> u64 {
        let codec = &self.codec;
        let (mut at_predicted, mut at_actual, mut total) = (0, 0, 0u64);
        for cell in (0..self.sums.len()).map(|index| CellId(index as u16)) {
            let before = take_cell(&self.predicted.rows, &mut at_predicted, cell);
            let after = take_cell(&self.mirror, &mut at_actual, cell);
            total = total.wrapping_add(step::sum(after, codec.kinds));
            let surprises = Surprises::between(before, after, codec, &mut self.scratch);
            total = total.wrapping_add(u64::from(surprises.is_some()));
        }
        total
    }

    /// Notes of the rows of `tick` where each cell's begin, their sums, and where every plane is.
    fn index_rows(&mut self, tick: Tick) {
        let mut at = 0;
        for (index, sum) in self.sums.iter_mut().enumerate() {
            self.starts[index] = at as u32;
            let rows = take_cell(&self.mirror, &mut at, CellId(index as u16));
            *sum = step::sum(rows, self.codec.kinds);
            rows.iter().for_each(|row| note_plane(&mut self.planes, row, tick));
        }
        *self.starts.last_mut().expect("it has one more than there are cells") = at as u32;
    }

    /// Compares what every replica predicts with what is, cell by cell, and logs the difference once.
    fn log_surprises(&mut self, tick: Tick) {
        let codec = &self.codec;
        self.predicted.moved.sort_unstable_by_key(|(_, row)| row.order());
        let mut moved = self.predicted.moved.iter().peekable();
        self.logs.begin_tick(tick);
        let mut at_predicted = 0;
        for (index, range) in self.starts.windows(2).enumerate() {
            let cell = CellId(index as u16);
            let before = take_cell(&self.predicted.rows, &mut at_predicted, cell);
            let after = &self.mirror[range[0] as usize..range[1] as usize];
            let mut entering = Vec::new();
            while let Some((from, row)) = moved.next_if(|(_, row)| row.cell == cell) {
                entering.extend(cell.direction_to(*from, codec.grid).map(|direction| (direction, *row)));
            }
            let surprises = Surprises::between(before, after, codec, &mut self.scratch);
            if !entering.is_empty() || surprises.is_some() {
                self.logs.append(cell, tick, entering, surprises, codec);
            }
        }
    }

    fn end_sessions(&mut self, tick: Tick) {
        if !tick.is_multiple_of(ENDINGS_INTERVAL_TICKS) {
            return;
        }
        let ending = |(id, session): (&SessionId, &Session)| Some((*id, session.ending(tick)?));
        let endings: Vec<_> = self.sessions.iter().filter_map(ending).collect();
        for (id, ending) in endings {
            match ending {
                Ending::Close(reason) => {
                    self.output.push_back(Output::Close(id, reason));
                    self.disconnect(id);
                }
                Ending::Leave => self.end_session(id),
            }
        }
    }

    fn end_session(&mut self, id: SessionId) {
        if let Some(session) = self.sessions.remove(&id) {
            self.dismiss(session.pilot);
            self.balance_fillers();
        }
    }

    fn dismiss(&mut self, pilot: PilotId) {
        self.game.leave(pilot);
        self.input_buffer.forget(pilot);
        // That a filler made room for a player is no news.
        if let Some(profile) = self.profiles.remove(&pilot).filter(|profile| !profile.is_bot) {
            self.events.push(Event::Left { pilot: pilot.0, name: profile.name });
        }
    }

    /// Keeps as many fillers as the players leave room for.
    fn balance_fillers(&mut self) {
        let fillers = if self.level >= Level::Fillers { 0 } else { usize::from(self.config.fillers) };
        let wanted = fillers.saturating_sub(self.sessions.len());
        while self.fillers.len() > wanted {
            let pilot = self.fillers.pop().expect("there is more than none");
            self.dismiss(pilot);
        }
        while self.fillers.len() < wanted {
            let Some(pilot) = self.game.join(true) else { return };
            self.profiles.insert(pilot, fillers::profile(pilot));
            self.fillers.push(pilot);
        }
    }
}

/// What only the own pilot sees of its standing.
fn private_state(standing: Standing, now: Tick) -> PrivateState {
    let short = |number: u32| number.try_into().unwrap_or(u16::MAX);
    let respawn = standing.respawn.map(|respawn| Respawn {
        tick: now + respawn.in_ticks,
        x: respawn.x as u32,
        y: respawn.y as u32,
        heading: respawn.heading as u16,
        shots: respawn.shots as u8,
    });
    PrivateState {
        score: standing.score.max(0) as u32,
        rank: short(standing.rank),
        ranked: short(standing.ranked),
        respawn,
    }
}

/// If the row is a plane's, notes where it is.
fn note_plane(planes: &mut Vec<Whereabouts>, row: &Row, tick: Tick) {
    if row.kind == game::PLANE {
        let index = row.id as usize;
        if planes.len() <= index {
            planes.resize(index + 1, Whereabouts::default());
        }
        planes[index] = Whereabouts { tick, cell: row.cell, place: IVec2::new(row.fields[0], row.fields[1]) };
    }
}

/// `cell`'s rows, walking through canonically ordered rows cell by cell.
fn take_cell<'a>(rows: &'a [Row], at: &mut usize, cell: CellId) -> &'a [Row] {
    let start = *at;
    while rows.get(*at).is_some_and(|row| row.cell == cell) {
        *at += 1;
    }
    &rows[start..*at]
}
