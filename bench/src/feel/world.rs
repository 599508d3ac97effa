//! A room, its players and the network between them, in virtual time: a second of it takes as long as it takes.
//!
//! Path: [`World::run`] goes on in sixteenths of a tick: what arrived at the room, the room's tick when it is due, what
//! arrived at the pages, and the pictures their screens ask for. Invariant: same seed, same run.

use super::{
    ground_truth::GroundTruth,
    player::Player,
    player_log::{PlayerLog, Sent},
};
use anyhow::Context;
use arena::{Client, Room, RoomConfig, wire};
use game::rules::Rules;
use protocol::{
    message::{ClientMessage, Packet},
    token::{Key, Role},
};
use session::{
    ConnectionId, Engine, Output,
    sim::{self, LinkConditions, Outbox, Rng},
};

pub(crate) const TICK_MS: f64 = 1000.0 / arena::TICK_HZ as f64;
/// Moments that are looked at, per tick.
const STEPS_PER_TICK: u64 = 16;
/// Computer pilots of the room itself, as in a public one.
const FILLERS: u16 = 12;
/// Side of the field, cells: with all players a dogfight, but one that crosses cells.
const FIELD: &str = "cells: 7,";
/// Ticks that a server makes up for after it stood still, as `net/src/room/clock.rs` has it; the rest is dropped.
const CATCH_UP_MAX_TICKS: u32 = 3;
/// From the beginning of a run nothing counts for so long: everybody arrives.
const WARM_UP_MS: f64 = 6000.0;

/// See the module.
#[derive(Debug)]
pub(crate) struct World {
    room: Room,
    pub(crate) rules: Rules,
    pub(crate) players: Vec<Player>,
    pub(crate) truth: GroundTruth,
    rng: Rng,
    steps: u64,
    /// The server stands still until then, and so many ticks are due.
    paused_until_ms: f64,
    due_ticks: u32,
    /// When ticks were dropped, and how many.
    dropped: Vec<(f64, u32)>,
}

impl World {
    /// A room of players whose networks are all like this, warmed up.
    pub(crate) fn new(conditions: LinkConditions, players: usize, seed: u64) -> anyhow::Result<Self> {
        let key = Key::new("only for measurements").expect("it is long enough");
        let tuning = include_str!("../../../assets/tuning.ron").replacen("cells: 10,", FIELD, 1);
        let config = RoomConfig::new("feel", key, 1, seed, &tuning).map_err(anyhow::Error::msg)?;
        let rules = config.rules.clone();
        // A filler leaves for every player who comes.
        let room = Room::new(RoomConfig { fillers: FILLERS + players as u16, ..config });
        let (players_wanted, players) = (players, Vec::new());
        let mut world = Self {
            room,
            rules,
            players,
            truth: GroundTruth::default(),
            rng: Rng::new(seed),
            steps: 0,
            paused_until_ms: 0.0,
            due_ticks: 0,
            dropped: Vec::new(),
        };
        for number in 0..players_wanted {
            world.join(conditions, number)?;
            world.run(TICK_MS * 3.0)?;
        }
        world.run(WARM_UP_MS)?;
        for player in &mut world.players {
            player.log = PlayerLog { earlier_shots: player.client.stats().shots, ..PlayerLog::default() };
        }
        world.truth.hits.clear();
        Ok(world)
    }

    fn join(&mut self, conditions: LinkConditions, number: usize) -> anyhow::Result<()> {
        let mut client = Client::new();
        let hello = ClientMessage::decode(&client.hello(&format!("Pilot {number}"), 0, None, None))?;
        let ClientMessage::Hello(hello) = hello else { anyhow::bail!("a hello was encoded") };
        let connection = sim::connection(number as u32);
        self.room.connect(connection, &hello, Some(Role::Member));
        self.players.push(Player::new(client, connection, conditions, number, self.now_ms()));
        Ok(())
    }

    pub(crate) fn now_ms(&self) -> f64 {
        self.steps as f64 * TICK_MS / STEPS_PER_TICK as f64
    }

    /// Lets time pass.
    pub(crate) fn run(&mut self, for_ms: f64) -> anyhow::Result<()> {
        let end_ms = self.now_ms() + for_ms;
        while self.now_ms() < end_ms {
            self.step()?;
        }
        Ok(())
    }

    /// Nothing gets through a player's network for so long, in either direction.
    pub(crate) fn stall(&mut self, player: usize, for_ms: f64) {
        let now_ms = self.now_ms();
        let player = &mut self.players[player];
        player.up.stall(now_ms + for_ms);
        player.down.stall(now_ms + for_ms);
        player.log.stalls.push((now_ms, now_ms + for_ms));
    }

    /// The server stands still for so long from now on.
    pub(crate) fn pause(&mut self, for_ms: f64) {
        self.paused_until_ms = self.now_ms() + for_ms;
    }

    /// The room's (fractional) tick at a moment, unless it stood still just then.
    pub(crate) fn room_at(&self, at_ms: f64) -> f64 {
        let dropped = self.dropped.iter().filter(|(when_ms, _)| *when_ms <= at_ms);
        at_ms / TICK_MS - f64::from(dropped.map(|(_, ticks)| ticks).sum::<u32>())
    }

    /// A number from 0 to 1.
    pub(crate) fn share(&mut self) -> f64 {
        self.rng.share()
    }

    fn step(&mut self) -> anyhow::Result<()> {
        self.steps += 1;
        let now_ms = self.now_ms();
        self.due_ticks += u32::from(self.steps.is_multiple_of(STEPS_PER_TICK));
        if now_ms >= self.paused_until_ms {
            self.hear(now_ms)?;
            self.tick_room(now_ms)?;
        }
        for player in &mut self.players {
            player.receive(&mut self.rng, now_ms)?;
            player.render(&mut self.rng, now_ms);
        }
        Ok(())
    }

    fn tick_room(&mut self, now_ms: f64) -> anyhow::Result<()> {
        let due = std::mem::take(&mut self.due_ticks);
        let dropped = due.saturating_sub(1 + CATCH_UP_MAX_TICKS);
        if dropped > 0 {
            self.dropped.push((now_ms, dropped));
        }
        for _ in 0..due - dropped {
            self.room.tick();
            self.truth.note(self.room.rows(), &self.rules);
            self.hand_over(now_ms)?;
        }
        Ok(())
    }

    fn hear(&mut self, now_ms: f64) -> anyhow::Result<()> {
        let now = self.truth.tick();
        for player in &mut self.players {
            while let Some(bytes) = player.up.receive(now_ms) {
                if let Ok(wire::Packet::Inputs(packet)) = wire::Packet::decode(&bytes) {
                    for input in &packet.inputs {
                        let changed_ms = player.input_times_ms.pop_front().context("an input nobody asked for")?;
                        // The room's policy: what is late counts for the next tick, what is early at the limit.
                        let effect = input.tick.clamp(now + 1, now + wire::INPUT_LEAD_MAX_TICKS);
                        player.log.sent.push(Sent { changed_ms, tick: input.tick, effect });
                    }
                }
                self.room.receive(player.connection, Packet::decode(&bytes)?);
            }
        }
        Ok(())
    }

    fn hand_over(&mut self, now_ms: f64) -> anyhow::Result<()> {
        while let Some(output) = self.room.poll_output() {
            match output {
                Output::Message(to, bytes) => self.send(to, bytes.to_vec(), now_ms),
                Output::Close(_, reason) | Output::Refuse(_, reason) => {
                    anyhow::bail!("a player was closed: {}", reason.wire_text())
                }
            }
        }
        let mut outbox = Outbox::default();
        self.room.frames(&mut outbox);
        // Chance is drawn for one after the other, in whatever order the room has them.
        outbox.frames.sort_by_key(|(to, _)| to.slot);
        outbox.frames.into_iter().for_each(|(to, bytes)| self.send(to, bytes, now_ms));
        Ok(())
    }

    fn send(&mut self, to: ConnectionId, bytes: Vec<u8>, now_ms: f64) {
        let jitter = self.rng.share();
        if let Some(player) = self.players.iter_mut().find(|player| player.connection == to) {
            player.down.send(bytes, player.conditions, jitter, now_ms);
        }
    }
}
