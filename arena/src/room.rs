//! The server end of a dogfight: a [`Host`] and a [`Game`], one tick at a time.
//!
//! Path: [`Engine::connect`] and [`Engine::receive`] take what connections bring → [`Engine::tick`] applies inputs, steps
//! the game, compares it with what every replica predicts and logs the difference per cell → [`Engine::frames`] assembles
//! frames from shared parts → [`Engine::poll_output`] gives the rest (welcomes, answers, closes).
//! Invariants: `mirror` is what a replica holding every cell would hold; a frame, once assembled, is sent; what all frames
//! of a tick share is only read while they are assembled.

mod fillers;
mod frames;
pub(crate) mod input_buffer;
mod member;
mod snapshot;

use crate::{
    code_tables, codec,
    room::input_buffer::{InputBuffer, Pending},
    rows::cell_log::Logs,
    rows::codec::{Codec, Scratch, Surprises},
    rows::frame_body::Assembly,
    rows::step::{self, Stepped},
    wire::{self, KILL_TOPIC, Kill, Operation, Request, Welcome},
};
use frames::Whereabouts;
use game::{
    Controls, Game, PilotId,
    rules::Rules,
    schema::{CellId, Row},
    step_row,
};
use glam::IVec2;
use member::{State, View};
use protocol::{
    Tick,
    close::CloseReason,
    limits::SILENCE_MAX_MS,
    message::{Hello, Packet},
    room::Kind,
    token::{Key, Role},
};
use session::{
    Command, ConnectionId, Ending, Engine, Entrance, FrameSink, Host, HostConfig, Incoming, Level, MemberId, Output,
    Sentences, Stats,
};
pub use snapshot::SnapshotError;
use std::{fmt, ops::RangeInclusive};

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
    /// Most players at once. Policy: refuse with `RoomFull`.
    pub max_players: u32,
    /// Most of those who only watch. Policy: refuse with `RoomFull`.
    pub max_readers: u32,
    /// Longest time a client may say nothing, ms. Policy: close with `Silent`.
    pub silence_max_ms: u64,
    /// When this life of the room begins, unix seconds; 0: nobody knows.
    pub begins_s: u64,
    /// How long news from beyond weapon range may wait, so that messages are saved; 1: a frame every tick.
    pub cadence_ticks: u32,
}

/// The usual cadence: 20 Hz, in step with the sticks (`game::plane::STICK_TICKS`).
pub const CADENCE_TICKS: u32 = 3;

impl RoomConfig {
    fn host(&self) -> HostConfig {
        HostConfig {
            name: self.name.clone(),
            key: self.key.clone(),
            epoch: self.epoch,
            kind: Room::KIND,
            versions: Room::versions(),
            tick_hz: Room::TICK_HZ,
            capacity: self.max_players,
            readers: self.max_readers,
            silence_max_ms: self.silence_max_ms,
            tells_comings: true,
            begins_s: self.begins_s,
            sentences: SENTENCES,
        }
    }

    /// The public room: 20 fillers, 200 players, 20 who watch; `tuning` is the text of a tuning file.
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
            max_readers: 20,
            silence_max_ms: SILENCE_MAX_MS,
            begins_s: 0,
            cadence_ticks: CADENCE_TICKS,
        })
    }
}

/// What a room did so far, for tests and measurements.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RoomStats {
    /// Ticks since the room began.
    pub tick: Tick,
    /// Members with a connection.
    pub players: u32,
    /// Members and fillers.
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

/// Talk goes over the tower.
const SENTENCES: Sentences = Sentences {
    nameless: "Pilot",
    reader: "You are watching. Join the field to take part.",
    chat_too_fast: "The tower asks you to slow down. Your line was not sent.",
    chat_out_of_range: "The tower takes lines of 1 to 240 letters. Yours was not sent.",
};

/// How often it is looked after whether members have ended.
const ENDINGS_INTERVAL_TICKS: u32 = 15;

/// See the module.
pub struct Room {
    config: RoomConfig,
    host: Host<View, State>,
    game: Game,
    /// Inputs that wait for their tick.
    input_buffer: InputBuffer,
    fillers: Vec<PilotId>,
    /// The rows as every replica knows them after this tick, in canonical order.
    mirror: Vec<Row>,
    predicted: Stepped,
    /// Checksum per cell.
    sums: Vec<u64>,
    /// Where each cell's rows begin in `mirror`; one more for the end.
    starts: Vec<u32>,
    /// Where each pilot's plane was last, by id.
    planes: Vec<Whereabouts>,
    /// Lists for the coder, kept for their memory.
    scratch: Scratch,
    /// How far a bullet can get, units.
    reach: i32,
    codec: Codec,
    logs: Logs,
    /// One for each shard of members.
    assemblies: Vec<Assembly>,
    frames: u64,
    repairs: u64,
    late_inputs: u64,
}

impl fmt::Debug for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Room({} at tick {})", self.config.name, self.game.tick())
    }
}

impl Engine for Room {
    const KIND: Kind = Kind::Arena;
    const TICK_HZ: u32 = crate::TICK_HZ;
    /// Better a fresh field than none.
    const BEGINS_ANEW: bool = true;

    fn versions() -> RangeInclusive<u32> {
        let version = wire::version();
        version..=version
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
        self.balance_fillers();
    }

    fn receive(&mut self, from: ConnectionId, packet: Packet<'_>) {
        match packet {
            Packet::Kind(bytes) => self.receive_kind(from, bytes),
            Packet::Session(message) => match self.host.receive(from, message, self.game.tick()) {
                Incoming::Handled => {}
                Incoming::Leave(id) => self.remove(id),
                Incoming::Closed(id) => self.let_go_of_stick(id),
                Incoming::Operation { id, number, body } => self.operate(from, id, number, &body),
            },
        }
    }

    /// The plane stays for the grace.
    fn disconnect(&mut self, from: ConnectionId) {
        if let Some(id) = self.host.disconnect(from, self.game.tick()) {
            self.let_go_of_stick(id);
        }
    }

    fn committed(&mut self, entry: u32) {
        self.host.committed(entry);
    }

    fn command(&mut self, Command::Relieve(level): Command) {
        self.host.relieve(level);
        self.balance_fillers();
    }

    fn tick(&mut self) {
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
        self.assemblies.iter_mut().for_each(Assembly::begin_tick);
        for kill in self.game.drain_kills() {
            let view_delay = kill.view_delay.try_into().unwrap_or(u8::MAX);
            let told = Kill { victim: kill.victim.0, rammed: kill.rammed, view_delay };
            self.host.publish(KILL_TOPIC, kill.killer.0.into(), told.encode());
        }
        if tick.is_multiple_of(ENDINGS_INTERVAL_TICKS) {
            self.end_members(tick);
        }
    }

    fn frames(&mut self, sink: &mut dyn FrameSink) {
        self.assemble_frames(sink);
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.host.poll_output()
    }

    fn snapshot(&self) -> Option<Vec<u8>> {
        Some(self.save())
    }

    fn stats(&self) -> Stats {
        self.host.stats(self.game.tick())
    }
}

impl Room {
    /// Begins a room at tick 0, with its fillers in the air.
    pub fn new(config: RoomConfig) -> Self {
        let host = Host::new(config.host());
        let mut room = Self::around(Game::new(config.seed, config.rules.clone()), host, config);
        room.balance_fillers();
        room
    }

    /// A room of these members and this game, which fit each other.
    fn around(game: Game, host: Host<View, State>, config: RoomConfig) -> Self {
        let cells = config.rules.motion.grid.ids_count();
        Self {
            host,
            game,
            input_buffer: InputBuffer::new(),
            fillers: Vec::new(),
            mirror: Vec::new(),
            predicted: Stepped::default(),
            sums: vec![0; cells],
            starts: vec![0; cells + 1],
            planes: Vec::new(),
            scratch: Scratch::default(),
            reach: config.rules.motion.weapon_reach(),
            codec: codec(code_tables(), config.rules.motion.grid),
            logs: Logs::new(cells),
            assemblies: Vec::new(),
            frames: 0,
            repairs: 0,
            late_inputs: 0,
            config,
        }
    }

    /// What it did so far, for tests and measurements.
    pub fn figures(&self) -> RoomStats {
        let stats = self.stats();
        RoomStats {
            tick: self.game.tick(),
            players: stats.members,
            pilots: stats.population,
            rows: self.mirror.len() as u32,
            chunks_encoded: self.logs.encoded + self.assemblies.iter().map(Assembly::encoded).sum::<u64>(),
            frames: self.frames,
            repairs: self.repairs,
            late_inputs: self.late_inputs,
        }
    }

    /// All that can be seen after the last tick, in canonical order.
    pub fn rows(&self) -> &[Row] {
        &self.mirror
    }

    fn admit(&mut self, hello: &Hello, role: Role) -> Result<MemberId, CloseReason> {
        if let Some(gone) = self.host.make_place(role)? {
            self.remove(gone);
        }
        let author = match role {
            // Whoever only watches has no plane.
            Role::Reader => 0,
            _ => self.game.join(false).ok_or(CloseReason::RoomFull)?.0.into(),
        };
        Ok(self.host.admit((author, role), hello, self.game.tick(), State::default()))
    }

    fn welcome(&mut self, id: MemberId, from: ConnectionId, hello: &Hello, is_resumed: bool) {
        let now = self.game.tick();
        let since = self.host.connect(id, from, if is_resumed { hello.have_tick } else { 0 }, now);
        let member = self.host.member(id).expect("it was just given a connection");
        member.state.new_connection();
        let pilot = member::pilot_of(member).0;
        self.let_go_of_stick(id);
        let kind = Welcome { pilot, rules: self.config.rules.clone() }.encode();
        self.host.welcome(id, Entrance { is_resumed, since, have_entry: hello.have_entry, kind }, now);
    }

    /// What a client asks of the replication.
    fn answer(&mut self, from: ConnectionId, request: Request) {
        let (now, grid) = (self.game.tick(), self.codec.grid);
        let Some(member) = self.host.member_at(from) else { return };
        member.note_activity(now);
        match request {
            Request::Verify => member.state.wants_sums = true,
            Request::Repair(cells) => {
                let viewpoint = member::derived_viewpoint(member);
                if member.state.may_repair(now) {
                    let held = cells.into_iter().map(CellId).filter(|cell| viewpoint.holds(*cell, grid));
                    member.state.lost = held.collect();
                    self.repairs += member.state.lost.len() as u64;
                }
            }
        }
    }

    /// What is not the session's: inputs and requests.
    fn receive_kind(&mut self, from: ConnectionId, bytes: &[u8]) {
        let now = self.game.tick();
        match wire::Packet::decode(bytes) {
            Ok(wire::Packet::Inputs(packet)) => {
                let Some(member) = self.host.member_at(from) else { return };
                let late = member::receive_inputs(member, &packet, now, &mut self.input_buffer);
                self.late_inputs += u64::from(late);
            }
            Ok(wire::Packet::Request(request)) => self.answer(from, request),
            Err(_) => self.close_as_bad(from),
        }
    }

    /// Nobody who keeps to the protocol says that.
    fn close_as_bad(&mut self, from: ConnectionId) {
        if let Some(id) = self.host.id_at(from) {
            self.host.close(id, CloseReason::BadMessage, self.game.tick());
            self.let_go_of_stick(id);
        }
    }

    fn operate(&mut self, from: ConnectionId, id: MemberId, number: u32, body: &[u8]) {
        let member = self.host.member(id).expect("the host just named it");
        match Operation::decode(body) {
            Ok(Operation::FlyAgain) => {
                self.game.fly_again(member::pilot_of(member));
                self.host.take(id, number, 0);
            }
            Err(_) => self.close_as_bad(from),
        }
    }

    /// Nobody holds the stick: straight on, no fire; what was wanted for later ticks is void.
    fn let_go_of_stick(&mut self, id: MemberId) {
        if let Some(member) = self.host.member(id).filter(|member| member.role != Role::Reader) {
            let pilot = member::pilot_of(member);
            self.input_buffer.void(pilot);
            self.game.control(pilot, Controls::default());
        }
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

    fn end_members(&mut self, now: Tick) {
        for (id, ending) in self.host.endings(now) {
            match ending {
                Ending::Close(reason) => {
                    self.host.close(id, reason, now);
                    self.let_go_of_stick(id);
                }
                Ending::Leave => self.remove(id),
            }
        }
    }

    /// The member is gone for good, and its plane with it.
    fn remove(&mut self, id: MemberId) {
        if let Some(member) = self.host.remove(id).filter(|member| member.role != Role::Reader) {
            self.leave_game(member::pilot_of(&member));
            self.balance_fillers();
        }
    }

    fn leave_game(&mut self, pilot: PilotId) {
        self.game.leave(pilot);
        self.input_buffer.forget(pilot);
    }

    /// Keeps as many fillers as the members leave room for. That one makes room for a player is no news.
    fn balance_fillers(&mut self) {
        let fillers = if self.host.level() >= Level::Extras { 0 } else { usize::from(self.config.fillers) };
        let wanted = fillers.saturating_sub(self.host.members());
        while self.fillers.len() > wanted {
            let pilot = self.fillers.pop().expect("there is more than none");
            self.leave_game(pilot);
            self.host.forget(pilot.0.into());
        }
        while self.fillers.len() < wanted {
            let Some(pilot) = self.game.join(true) else { return };
            self.host.introduce(pilot.0.into(), fillers::profile(pilot));
            self.fillers.push(pilot);
        }
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
