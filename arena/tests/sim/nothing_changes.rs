//! Byte for byte the same: what both ends send, every row of every tick, what is drawn, and what is saved.
//!
//! One run with everything in it: eight lines from calm to bad, talk, new names, a cut and a return, a leave, overload, a
//! page that damages what it reads, a room that is saved and taken up again. Whoever changes one of these numbers has
//! changed the wire, the rules or a save, and says so where versions are counted (`protocol::PROTOCOL_VERSION`, the
//! snapshot's format). A change that only moves code leaves all of them as they are.

use crate::world::{Fnv, LineProfile, Trace, World, config};
use arena::{Room, RoomConfig, view::Scene};
use protocol::message::Operation;
use session::{Command, Engine, Level};

const SEED: u64 = 7;
const TICKS: u32 = 3000;
const LINES: [LineProfile; 8] = [
    LineProfile { one_way_ms: 0.0, jitter_ms: 0.0, stall_per_mille: 0 },
    LineProfile { one_way_ms: 10.0, jitter_ms: 2.0, stall_per_mille: 0 },
    LineProfile { one_way_ms: 40.0, jitter_ms: 20.0, stall_per_mille: 0 },
    LineProfile { one_way_ms: 75.0, jitter_ms: 10.0, stall_per_mille: 0 },
    LineProfile { one_way_ms: 75.0, jitter_ms: 50.0, stall_per_mille: 2 },
    LineProfile { one_way_ms: 120.0, jitter_ms: 60.0, stall_per_mille: 10 },
    LineProfile { one_way_ms: 150.0, jitter_ms: 0.0, stall_per_mille: 0 },
    LineProfile { one_way_ms: 5.0, jitter_ms: 100.0, stall_per_mille: 5 },
];

#[test]
fn nothing_that_anybody_sees_or_keeps_changes() {
    assert_eq!(hashes_with(1), include_str!("nothing_changes.txt").trim_end());
}

#[test]
fn members_of_several_workers_see_what_those_of_one_do() {
    assert_eq!(hashes_with(3), include_str!("nothing_changes.txt").trim_end());
}

/// Hashes of all that happens to members whose connections so many workers carry.
fn hashes_with(shards: u8) -> String {
    let mut world = World::new(SEED, 20);
    world.shards = shards;
    LINES.into_iter().for_each(|line| _ = world.join(line));
    let (mut drawn, mut saves) = (Fnv::default(), Fnv::default());
    for tick in 0..TICKS {
        happen(&mut world, tick, &mut saves);
        world.tick();
        draw(&mut world, &mut drawn);
    }
    saves.add(u64::from(TICKS), &world.room.save());
    let met: u64 = world.players.iter().map(|player| player.client.stats().frames).sum();
    assert!(met > 8 * 1000, "{met} frames: this is no play worth the name");
    let Trace { up, down, rows } = world.trace;
    let hashes = [("up", up), ("down", down), ("rows", rows), ("drawn", drawn), ("saves", saves)];
    hashes.map(|(name, hash)| format!("{name} {:016x}", hash.0)).join("\n")
}

/// Whatever else happens in a room, at its tick.
fn happen(world: &mut World, tick: u32, saves: &mut Fnv) {
    let mut say = |index: usize, operation| _ = world.players[index].client.operate(operation);
    match tick {
        200 => say(1, Operation::Chat("Good evening, tower".into())),
        300 => say(2, Operation::Rename { name: "Bea".into(), hue: 5 }),
        400..410 => say(3, Operation::Chat(format!("line {tick}"))),
        500 => world.cut(3),
        590 => world.connect(3, None),
        700 => world.players[5].is_to_be_damaged = true,
        900 => world.room.command(Command::Relieve(Level::Cadence)),
        1000 => world.room.command(Command::Relieve(Level::Detail)),
        1100 => world.room.command(Command::Relieve(Level::Extras)),
        1300 => world.room.command(Command::Relieve(Level::Full)),
        1400 => world.players[4].client.leave(),
        1460 => world.connect(4, None),
        1600 => world.players[6].is_frozen = true,
        1700 => world.players[6].is_frozen = false,
        1800 => world.stall(7, 900.0),
        2000 => {
            let saved = world.room.save();
            saves.add(u64::from(tick), &saved);
            let config = RoomConfig { fillers: 20, epoch: 2, ..config(SEED) };
            world.room = Room::restore(config, &saved).expect("it was just saved");
            (0..LINES.len()).for_each(|index| world.connect(index, None));
        }
        _ => {}
    }
}

/// What every page would draw now.
fn draw(world: &mut World, drawn: &mut Fnv) {
    let mut scene = Scene::default();
    let now_ms = world.now_ms;
    for (index, player) in world.players.iter_mut().enumerate() {
        player.client.scene(now_ms, &mut scene);
        let (x, y) = player.client.camera();
        drawn.add(index as u64, &[x.to_le_bytes(), y.to_le_bytes()].concat());
        for plane in &scene.planes {
            drawn.add(
                u64::from(plane.id),
                &[plane.x, plane.y, plane.heading, plane.opacity].map(f32::to_le_bytes).concat(),
            );
        }
        for bullet in &scene.bullets {
            drawn.add(u64::from(bullet.id), &[bullet.x, bullet.y].map(f32::to_le_bytes).concat());
        }
    }
}
