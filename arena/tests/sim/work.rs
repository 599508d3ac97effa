//! What a room's work depends on: cells in which something happened, never how many watch.

use arena::{
    Room, RoomConfig,
    wire::{self, Input, InputPacket},
};
use game::{Controls, rules::Rules};
use protocol::{
    message::{Hello, Packet},
    room::Kind,
    token::{Key, Role},
};
use session::{
    ConnectionId, Engine,
    sim::{self, Outbox},
};

const PLAYERS: usize = 100;
const WARM_UP_TICKS: u32 = 60;
const TICKS: u32 = 240;

/// A room and who is in it.
fn room(players: usize, field_cells: i32) -> (Room, Vec<ConnectionId>) {
    let key = Key::new("only for this simulation").expect("it is long enough");
    let mut rules = Rules::default();
    rules.motion.grid.cells = field_cells;
    let mut room = Room::new(RoomConfig {
        name: "arena".into(),
        key,
        epoch: 1,
        seed: crate::world::seed(),
        rules,
        fillers: 0,
        max_players: players as u32,
        max_readers: 0,
        silence_max_ms: 10_000,
        begins_s: 0,
        cadence_ticks: 1,
    });
    let hello = |number: usize| Hello::to(Kind::Arena, wire::version(), &format!("P{number}"), 0);
    let connections: Vec<_> = (0..players as u32).map(sim::connection).collect();
    (0..).zip(&connections).for_each(|(number, from)| room.connect(*from, &hello(number), Some(Role::Member)));
    (room, connections)
}

/// Chunks encoded, and frames, of the same battle in which the first `watchers` take their frames.
fn work_for(watchers: usize) -> (u64, u64) {
    // On so small a field everybody holds all of it, and no part is for one client alone.
    let (mut room, connections) = room(PLAYERS, 3);
    let mut outbox = Outbox::default();
    outbox.blocked.extend(&connections[watchers..]);
    let mut before = room.figures();
    for tick in 0..WARM_UP_TICKS + TICKS {
        if tick == WARM_UP_TICKS {
            before = room.figures();
        }
        for (number, from) in (0..).zip(&connections) {
            let steer = (tick + number) as i32 / 8 % 15 - 7;
            let controls = Controls { steer, fire: (tick + number) % 90 < 30, ..Controls::default() }.to_bits();
            let inputs = vec![Input { tick: tick + 1, controls }];
            let packet = InputPacket { number: 1, ack: tick, at: tick + 1, view_delay: 0, inputs };
            room.receive(*from, Packet::Kind(&packet.encode()));
        }
        room.tick();
        room.frames(&mut outbox);
        outbox.frames.clear();
    }
    let after = room.figures();
    (after.chunks_encoded - before.chunks_encoded, after.frames - before.frames)
}

#[test]
fn a_hundred_watchers_encode_not_one_chunk_more_than_one() {
    let (by_one, frames_of_one) = work_for(1);
    let (by_all, frames_of_all) = work_for(PLAYERS);
    assert_eq!(frames_of_all, frames_of_one * PLAYERS as u64);
    assert!(by_one > u64::from(TICKS), "something happens on every tick: {by_one}");
    assert_eq!(by_all, by_one);
}

#[test]
fn where_nothing_happens_nothing_is_encoded() {
    let (mut room, connections) = room(4, 20);
    (0..WARM_UP_TICKS).for_each(|_| room.tick());
    let before = room.figures().chunks_encoded;
    (0..TICKS + 6).for_each(|_| room.tick());
    // Nobody touches a stick, and what planes do by themselves is no news; but once a second there is a new minimap.
    let encoded = room.figures().chunks_encoded - before;
    assert!(encoded <= u64::from(TICKS / 60) + 1, "{encoded} chunks");
    let inputs = vec![Input { tick: 0, controls: Controls { steer: 3, ..Controls::default() }.to_bits() }];
    let packet = InputPacket { number: 1, ack: 0, at: 0, view_delay: 0, inputs };
    room.receive(connections[0], Packet::Kind(&packet.encode()));
    let before = room.figures().chunks_encoded;
    room.tick();
    assert_eq!(room.figures().chunks_encoded, before + 1, "a stick that moves is one chunk of one cell");
}
