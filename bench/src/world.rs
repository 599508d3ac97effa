//! A room full of players in this process: no socket, no clock, every input from one seed.
//!
//! Path: [`World::new`] fills a field at constant density → [`World::inputs`] and [`World::tick`] in turn; the caller
//! times what it wants. Invariants: same seed, same run; every player sends an input packet when its controls change and
//! acknowledges at least every 100 ms, as a page does.

use crate::mouse_input::MouseInput;
use arena::{
    Room, RoomConfig,
    wire::{self, Input, InputPacket},
};
use game::rules::Rules;
use protocol::{
    Tick,
    limits::ACK_INTERVAL_MAX_MS,
    message::{ClientMessage, Hello, Operation, Packet, ServerMessage, Welcome},
    room::Kind,
    token::{Key, Role},
};
use session::{ConnectionId, Engine, FrameSink, Output, sim};

/// Planes per cell in every measurement: 33 planes in a view of 4×4 cells.
pub(crate) const PLANES_PER_CELL: f64 = 2.0;
/// The tuning that ships; only the size of the field is changed.
const TUNING: &str = include_str!("../../assets/tuning.ron");
/// Longest time without an acknowledgement, ticks.
const ACK_INTERVAL_TICKS: u32 = (ACK_INTERVAL_MAX_MS * arena::TICK_HZ as u64 / 1000) as u32;

/// One who plays.
#[derive(Debug)]
pub(crate) struct Player {
    pub(crate) connection: ConnectionId,
    pub(crate) welcome: Welcome,
    pub(crate) mouse: MouseInput,
    packet: u8,
    sent: Tick,
    controls: u16,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) room: Room,
    pub(crate) rules: Rules,
    pub(crate) players: Vec<Player>,
}

/// The tuning's text for this number of planes at constant density.
pub(crate) fn tuning_for(planes: usize) -> String {
    let side = (planes as f64 / PLANES_PER_CELL).sqrt().ceil().max(3.0);
    let text = TUNING.replacen("cells: 10,", &format!("cells: {side},"), 1);
    assert!(side == 10.0 || text != TUNING, "the tuning names the field's size");
    text
}

impl World {
    /// A field with this number of players, all in.
    pub(crate) fn new(players: usize, seed: u64, cadence_ticks: u32) -> anyhow::Result<Self> {
        let key = Key::new("only for measurements").expect("it is long enough");
        let config = RoomConfig::new("bench", key, 1, seed, &tuning_for(players)).map_err(anyhow::Error::msg)?;
        let rules = config.rules.clone();
        let mut room = Room::new(RoomConfig { fillers: 0, max_players: players as u32, cadence_ticks, ..config });
        let mut all = Vec::with_capacity(players);
        for number in 0..players {
            let connection = sim::connection(number as u32);
            room.connect(connection, &hello(number), Some(Role::Member));
            let welcome = welcome(&mut room)?;
            let mouse = MouseInput::new(seed, welcome.member as u16);
            all.push(Player { connection, welcome, mouse, packet: 0, sent: 0, controls: 0 });
        }
        Ok(Self { room, rules, players: all })
    }

    /// Everybody's controls for the next tick, by mice whose owners do not look; who was shot down asks to fly again.
    pub(crate) fn inputs(&mut self) {
        let tick = self.room.figures().tick;
        for index in 0..self.players.len() {
            let controls = self.players[index].mouse.blind(tick);
            self.input(index, tick, controls.to_bits(), tick.is_multiple_of(60));
        }
    }

    /// One player's controls for the tick after `tick`, the room's.
    pub(crate) fn input(&mut self, index: usize, tick: Tick, controls: u16, flies_again: bool) {
        let player = &mut self.players[index];
        if flies_again {
            let operation = Operation::Kind(wire::Operation::FlyAgain.encode());
            let wish = ClientMessage::Operation { number: tick + 1, operation };
            self.room.receive(player.connection, Packet::Session(wish));
        }
        let has_changed = controls != player.controls;
        if !has_changed && tick < player.sent + ACK_INTERVAL_TICKS {
            return;
        }
        (player.packet, player.sent, player.controls) = (player.packet % 255 + 1, tick, controls);
        let inputs = if has_changed { vec![Input { tick: tick + 1, controls }] } else { Vec::new() };
        let packet = InputPacket { number: player.packet, ack: tick, at: tick + 1, view_delay: 0, inputs };
        self.room.receive(player.connection, Packet::Kind(&packet.encode()));
    }

    /// One tick of the room.
    pub(crate) fn tick(&mut self) {
        self.room.tick();
        while self.room.poll_output().is_some() {}
    }

    /// Every player's frame, as many as there are, instead of those that were there.
    pub(crate) fn frames(&mut self, frames: &mut Frames) {
        frames.clear();
        self.room.frames(frames);
    }

    /// Ticks with inputs and frames that nobody looks at.
    pub(crate) fn warm_up(&mut self, ticks: u32) {
        let mut frames = Frames::default();
        for _ in 0..ticks {
            self.inputs();
            self.tick();
            self.frames(&mut frames);
        }
    }
}

/// A tick's frames, one behind the other, as a worker's batch has them.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    bytes: Vec<u8>,
    /// Whose frame ends where.
    ends: Vec<(ConnectionId, usize)>,
}

impl Frames {
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Each with the number of the player it is for, ascending.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, &[u8])> {
        let mut start = 0;
        self.ends.iter().map(move |(to, end)| {
            let frame = &self.bytes[start..*end];
            start = *end;
            (to.slot as usize, frame)
        })
    }
}

impl FrameSink for Frames {
    fn can_take(&mut self, _to: ConnectionId) -> bool {
        true
    }

    fn put(&mut self, to: ConnectionId, write: &mut dyn FnMut(&mut Vec<u8>)) {
        write(&mut self.bytes);
        self.ends.push((to, self.bytes.len()));
    }
}

/// The bytes of the wish to fly again, as the operation of this number.
pub(crate) fn fly_again(number: u32) -> Vec<u8> {
    let operation = Operation::Kind(wire::Operation::FlyAgain.encode());
    ClientMessage::Operation { number, operation }.encode()
}

/// A newcomer's hello.
pub(crate) fn hello(number: usize) -> Hello {
    Hello::to(Kind::Arena, wire::version(), &format!("Pilot {number}"), (number % 8) as u8)
}

/// The welcome that the room has just answered with.
///
/// # Errors
/// Why there is none.
pub(crate) fn welcome(room: &mut Room) -> anyhow::Result<Welcome> {
    while let Some(output) = room.poll_output() {
        match output {
            Output::Message(_, bytes) => {
                if let Ok(ServerMessage::Welcome(welcome)) = ServerMessage::decode(&bytes) {
                    return Ok(*welcome);
                }
            }
            Output::Refuse(_, reason) => anyhow::bail!("{}", reason.wire_text()),
            Output::Close(..) => {}
        }
    }
    anyhow::bail!("a hello was not answered")
}
