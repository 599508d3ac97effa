//! The simulated world: a room, clients flown by computer pilots, and lines with delay, jitter, stalls and cuts.

use arena::{
    Client, ClientEvent, Room, RoomConfig,
    bot::{Asks, Bot, BotConfig, Decides, Sight},
};
use game::{plane::Plane, rules::Rules, schema::CellId};
use protocol::{
    close::CloseReason,
    message::{ClientMessage, Hello, Packet},
    token::{Key, Role},
};
use session::{
    ConnectionId, Engine, Output,
    sim::{self, Link, LinkConditions, Outbox, Rng},
};
use std::collections::VecDeque;

/// Longest header of a frame without a viewpoint and without the own standing.
const HEADER_MAX_BYTES: usize = 10;
pub(crate) const TICK_MS: f64 = 1000.0 / 60.0;
/// Ticks that a server makes up for after it stood still, as `net/src/room/clock.rs` has it; the rest is dropped.
const CATCH_UP_MAX_TICKS: u32 = 3;
const PILOT: BotConfig = BotConfig { seed: 1, decides: Decides::Always, asks: Asks::EveryTicks(30) };

/// How a line behaves.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct LineProfile {
    pub(crate) one_way_ms: f64,
    pub(crate) jitter_ms: f64,
    /// Chance per tick, in thousandths, that nothing moves for the next half second.
    pub(crate) stall_per_mille: u64,
}

/// A player: a client, its line, and whoever flies.
pub(crate) struct Player {
    pub(crate) client: Client,
    /// The newest one that was let in.
    pub(crate) connection: Option<ConnectionId>,
    pub(crate) line: LineProfile,
    pilot: Bot,
    up: Link,
    down: Link,
    /// Own events so far.
    pub(crate) events: Vec<ClientEvent>,
    pub(crate) closed: Option<CloseReason>,
    /// Flown by a computer pilot; else the stick is left alone.
    pub(crate) is_flown: bool,
    /// Does not even acknowledge.
    pub(crate) is_frozen: bool,
    /// Reads nothing of what has come, but goes on talking.
    pub(crate) is_deaf: bool,
    /// Its own clock is so far off.
    pub(crate) clock_ms: f64,
    /// The device sleeps: nothing is done, what comes waits.
    pub(crate) is_asleep: bool,
    /// The next frame in which a flipped bit goes unnoticed by the decoder arrives with that bit flipped.
    pub(crate) is_to_be_damaged: bool,
    was_damaged: bool,
    /// A message made no sense to it, which only damage excuses: it wants a new socket.
    is_lost: bool,
}

/// Everything.
pub(crate) struct World {
    pub(crate) room: Room,
    pub(crate) players: Vec<Player>,
    pub(crate) now_ms: f64,
    /// The server stands still.
    pub(crate) is_paused: bool,
    /// Everything that both ends sent, and every row.
    pub(crate) trace: Trace,
    /// How many workers carry connections, in turn.
    pub(crate) shards: u8,
    missed_ticks: u32,
    connections: u32,
    /// What the room said besides frames, not handed over yet.
    outputs: VecDeque<Output>,
    chance: Rng,
}

pub(crate) fn seed() -> u64 {
    std::env::var("SIM_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(7)
}

pub(crate) fn config(seed: u64) -> RoomConfig {
    let rules = Rules::default();
    let key = Key::new("only for this simulation").expect("it is long enough");
    RoomConfig {
        name: "arena".into(),
        key,
        epoch: 1,
        seed,
        rules,
        fillers: 0,
        max_players: 500,
        max_readers: 20,
        silence_max_ms: 10_000,
        begins_s: 0,
        cadence_ticks: arena::CADENCE_TICKS,
    }
}

impl World {
    pub(crate) fn new(seed: u64, fillers: u16) -> Self {
        Self::with(seed, |config| config.fillers = fillers)
    }

    /// A room that differs from the usual one.
    pub(crate) fn with(seed: u64, change: impl FnOnce(&mut RoomConfig)) -> Self {
        eprintln!("SIM_SEED={seed}");
        let mut config = config(seed);
        change(&mut config);
        Self {
            room: Room::new(config),
            players: vec![],
            now_ms: 0.0,
            is_paused: false,
            trace: Trace::default(),
            shards: 1,
            missed_ticks: 0,
            connections: 0,
            outputs: VecDeque::new(),
            chance: Rng::new(seed),
        }
    }

    /// Adds a player, who says hello at once.
    pub(crate) fn join(&mut self, line: LineProfile) -> usize {
        self.join_as(line, Role::Member)
    }

    /// Adds somebody with this role, who says hello at once.
    pub(crate) fn join_as(&mut self, line: LineProfile, role: Role) -> usize {
        self.players.push(Player {
            client: Client::new(),
            connection: None,
            line,
            pilot: Bot::new(PILOT),
            up: Link::default(),
            down: Link::default(),
            events: vec![],
            closed: None,
            is_flown: true,
            is_frozen: false,
            is_deaf: false,
            clock_ms: 0.0,
            is_asleep: false,
            is_to_be_damaged: false,
            was_damaged: false,
            is_lost: false,
        });
        let index = self.players.len() - 1;
        self.connect_as(index, None, role);
        index
    }

    /// Opens a new socket for a player; the hello arrives at once.
    pub(crate) fn connect(&mut self, index: usize, resume: Option<String>) {
        self.connect_as(index, resume, Role::Member);
    }

    fn connect_as(&mut self, index: usize, resume: Option<String>, role: Role) {
        let player = &mut self.players[index];
        let bytes = player.client.hello(&format!("P{index}"), 3, None, resume);
        self.trace.up.add(index as u64, &bytes);
        let Ok(ClientMessage::Hello(hello)) = ClientMessage::decode(&bytes) else { panic!("a hello was encoded") };
        self.say_hello(index, &hello, Some(role));
    }

    pub(crate) fn say_hello(&mut self, index: usize, hello: &Hello, admission: Option<Role>) {
        self.connections += 1;
        let shard = (self.connections % u32::from(self.shards)) as u8;
        let connection = ConnectionId { shard, ..sim::connection(self.connections) };
        self.room.connect(connection, hello, admission);
        let player = &mut self.players[index];
        let was_told = self.outputs.len();
        self.outputs.extend(std::iter::from_fn(|| self.room.poll_output()));
        let refusal = self.outputs.range(was_told..).find_map(|output| match output {
            Output::Refuse(to, reason) if *to == connection => Some(*reason),
            _ => None,
        });
        if refusal.is_none() {
            player.connection = Some(connection);
            (player.up, player.down) = (Link::default(), Link::default());
        }
        player.closed = refusal;
    }

    /// The player's socket is cut: what was on the way is lost.
    pub(crate) fn cut(&mut self, index: usize) {
        self.room.disconnect(self.players[index].connection.expect("the player is in"));
        (self.players[index].up, self.players[index].down) = (Link::default(), Link::default());
    }

    pub(crate) fn run(&mut self, ticks: u32) {
        for _ in 0..ticks {
            self.tick();
        }
    }

    /// One tick of everything.
    pub(crate) fn tick(&mut self) {
        self.now_ms += TICK_MS;
        self.send_up();
        self.tick_room();
        for index in 0..self.players.len() {
            self.players[index].receive(self.now_ms);
            if std::mem::take(&mut self.players[index].is_lost) {
                self.cut(index);
                self.connect(index, None);
            }
        }
    }

    /// Nothing moves on a player's line for so long.
    pub(crate) fn stall(&mut self, index: usize, for_ms: f64) {
        let until_ms = self.now_ms + for_ms;
        self.players[index].up.stall(until_ms);
        self.players[index].down.stall(until_ms);
    }

    /// A number below `below`.
    pub(crate) fn draw(&mut self, below: u64) -> u64 {
        self.chance.draw(below)
    }

    fn send_up(&mut self) {
        for index in 0..self.players.len() {
            let jitter = self.chance.share();
            let is_stalling = self.chance.draw(1000) < self.players[index].line.stall_per_mille;
            let player = &mut self.players[index];
            if is_stalling {
                player.up.stall(self.now_ms + 500.0);
                player.down.stall(self.now_ms + 500.0);
            }
            while let Some(bytes) = (!self.is_paused).then(|| player.up.receive(self.now_ms)).flatten() {
                let packet = Packet::decode(&bytes).expect("clients send what servers read");
                self.room.receive(player.connection.expect("it said hello"), packet);
            }
            if player.is_asleep {
                continue;
            }
            let page_ms = self.now_ms + player.clock_ms;
            player.fly(page_ms);
            while let Some(bytes) = (!player.is_frozen).then(|| player.client.poll_send(page_ms)).flatten() {
                self.trace.up.add(index as u64, &bytes);
                player.up.send(bytes, player.line.delay(), jitter, self.now_ms);
            }
        }
    }

    fn tick_room(&mut self) {
        self.missed_ticks += 1;
        if self.is_paused {
            return;
        }
        for _ in 0..std::mem::take(&mut self.missed_ticks).min(1 + CATCH_UP_MAX_TICKS) {
            self.room.tick();
            self.trace.add_rows(self.room.rows());
            self.hand_over();
        }
    }

    fn hand_over(&mut self) {
        self.outputs.extend(std::iter::from_fn(|| self.room.poll_output()));
        while let Some(output) = self.outputs.pop_front() {
            match output {
                Output::Message(to, bytes) => self.send(to, &bytes),
                Output::Close(to, reason) => {
                    if let Some(index) = self.player_at(to) {
                        self.players[index].closed = Some(reason);
                    }
                }
                Output::Refuse(..) => {}
            }
        }
        let mut outbox = Outbox::default();
        self.room.frames(&mut outbox);
        // Chance is drawn for one after the other, in whatever order the room has them.
        outbox.frames.sort_by_key(|(to, _)| self.player_at(*to));
        outbox.frames.iter().for_each(|(to, bytes)| self.send(*to, bytes));
    }

    fn player_at(&self, connection: ConnectionId) -> Option<usize> {
        self.players.iter().position(|player| player.connection == Some(connection))
    }

    fn send(&mut self, to: ConnectionId, bytes: &[u8]) {
        let jitter = self.chance.share();
        if let Some(index) = self.player_at(to) {
            self.trace.down.add(index as u64, bytes);
            let (player, now_ms) = (&mut self.players[index], self.now_ms);
            player.down.send(bytes.to_vec(), player.line.delay(), jitter, now_ms);
        }
    }
}

/// Hashes of all that there was to see: equal traces, equal behaviour, byte for byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Trace {
    pub(crate) up: Fnv,
    pub(crate) down: Fnv,
    pub(crate) rows: Fnv,
}

impl Trace {
    fn add_rows(&mut self, rows: &[game::schema::Row]) {
        for row in rows {
            self.rows.add(u64::from(row.kind) << 48 | u64::from(row.cell.0) << 32 | u64::from(row.id), &[]);
            row.fields.iter().for_each(|field| self.rows.add(0, &field.to_le_bytes()));
        }
    }
}

/// The hash of Fowler, Noll and Vo (FNV-1a, 64 bits) over numbered runs of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fnv(pub(crate) u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    pub(crate) fn add(&mut self, number: u64, bytes: &[u8]) {
        for byte in number.to_le_bytes().iter().chain(bytes) {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        }
    }
}

impl LineProfile {
    fn delay(self) -> LinkConditions {
        LinkConditions { one_way_ms: self.one_way_ms, jitter_ms: self.jitter_ms }
    }
}

impl Player {
    /// Messages that have come, or are on the way.
    pub(crate) fn unread(&self) -> usize {
        self.down.unread()
    }

    fn receive(&mut self, now_ms: f64) {
        let page_ms = now_ms + self.clock_ms;
        let is_reading = !self.is_deaf && !self.is_asleep;
        while let Some(bytes) = is_reading.then(|| self.down.receive(now_ms)).flatten() {
            if self.is_to_be_damaged && self.receive_damaged(&bytes, page_ms) {
                (self.is_to_be_damaged, self.was_damaged) = (false, true);
                continue;
            }
            if let Err(error) = self.client.receive(&bytes, page_ms) {
                assert!(self.was_damaged, "servers send what clients read: {error}");
                self.is_lost = true;
                break;
            }
        }
        while let Some(event) = self.client.poll_event() {
            self.events.push(event);
        }
    }

    /// Tries each bit behind the header: does flipping it pass for a frame with other rows?
    fn receive_damaged(&mut self, bytes: &[u8], now_ms: f64) -> bool {
        let mut sound = self.client.clone();
        sound.receive(bytes, now_ms).expect("servers send what clients read");
        for bit in HEADER_MAX_BYTES * 8..bytes.len() * 8 {
            let mut damaged = bytes.to_vec();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let mut client = self.client.clone();
            let is_read = client.receive(&damaged, now_ms).is_ok();
            if is_read && client.stats().mismatches > sound.stats().mismatches {
                self.client = client;
                return true;
            }
        }
        false
    }

    fn fly(&mut self, now_ms: f64) {
        if !self.is_flown || !self.client.is_welcomed() {
            return;
        }
        self.pilot.fly(&mut self.client, now_ms, now_ms, Sight::Replica);
    }

    /// The own plane's cell as the replica knows it.
    pub(crate) fn plane_cell(&self) -> Option<CellId> {
        let own = (game::PLANE, u32::from(self.client.pilot()));
        self.client.replica()?.rows().iter().find(|row| row.key() == own).map(|row| row.cell)
    }
}

pub(crate) fn planes(rows: &[game::schema::Row]) -> impl Iterator<Item = (u16, Plane)> + '_ {
    rows.iter().filter(|row| row.kind == game::PLANE).map(|row| (row.id as u16, Plane::from_fields(&row.fields)))
}
