//! What frames cost: assembling them on the tick thread, encoding what they share, decoding and stepping them.
//!
//! Path: a room of 1000 players at constant density; the same ticks give all three figures, in rounds that take turns.

use crate::{
    report::{Aim, Figures, Progress},
    stopwatch::Stopwatch,
    world::{Frames, World},
};
use arena::Replica;
use game::PilotId;
use session::Engine;
use std::{sync::Arc, time::Duration};

const PLAYERS: usize = 1000;
/// Replicas that decode; each takes every frame of one player.
const REPLICAS: usize = 20;
const WARM_UP_TICKS: u32 = 300;
const ROUNDS: usize = 9;
const TICKS_PER_ROUND: u32 = 60;

/// The measurement.
pub(crate) fn run(progress: &Progress) -> anyhow::Result<Figures> {
    let mut world = World::new(PLAYERS, 7, 1)?;
    world.warm_up(WARM_UP_TICKS);
    let mut replicas = replicas(&mut world);
    let (mut assemble, mut encode, mut decode, mut ticks) = (vec![], vec![], vec![], vec![]);
    for round in 0..ROUNDS {
        progress.say(&format!("frames: round {} of {ROUNDS}", round + 1));
        let spent = play(&mut world, &mut replicas)?;
        assemble.push(spent.assembling.as_secs_f64() * 1e3 / spent.frames as f64 * 1e3);
        encode.push(spent.encoding.as_secs_f64() * 1e9 / spent.planes as f64);
        decode.push(spent.decoding.as_secs_f64() * 1e9 / spent.entities as f64);
        ticks.push(spent.ticking.as_secs_f64() * 1e3 / f64::from(TICKS_PER_ROUND));
    }
    let mut figures = Figures::default();
    figures.add_median("ms_per_1000_frames", assemble, Aim::AtMost(1.0));
    figures.add_median("chunk_encode_ns_per_plane", encode, Aim::AtMost(60.0));
    figures.add_median("decode_step_ns_per_entity", decode, Aim::AtMost(150.0));
    figures.add_median("ms_per_room_tick", ticks, Aim::None);
    figures.note(format!(
        "{PLAYERS} players, all moving, about 33 planes in each view; encoding is comparing, summing and coding all \
         cells of a tick; an entity is a plane or bullet held, with the checksum of every frame verified"
    ));
    Ok(figures)
}

/// Some players' replicas, as new pages of theirs would have them.
fn replicas(world: &mut World) -> Vec<(usize, Replica)> {
    let index = |number: usize| number * PLAYERS / REPLICAS;
    let (mut replicas, tables) = (Vec::new(), arena::code_tables());
    for at in (0..REPLICAS).map(index) {
        let player = &world.players[at];
        let hello = protocol::message::Hello { resume: Some(player.welcome.resume.clone()), ..crate::world::hello(at) };
        world.room.connect(player.connection, &hello, None);
        let welcome = crate::world::welcome(&mut world.room).expect("a resume token leads back to its session");
        assert!(welcome.resumed, "a resume token leads back to its session");
        let tick = world.room.figures().tick;
        replicas.push((
            at,
            Replica::starting_at(Arc::clone(&tables), world.rules.clone(), PilotId(player.welcome.member as u16), tick),
        ));
    }
    replicas
}

/// Sums of a round.
#[derive(Debug, Default)]
struct Spent {
    assembling: Duration,
    encoding: Duration,
    decoding: Duration,
    ticking: Duration,
    frames: u64,
    planes: u64,
    entities: u64,
}

fn play(world: &mut World, replicas: &mut [(usize, Replica)]) -> anyhow::Result<Spent> {
    let mut spent = Spent::default();
    let mut frames = Frames::default();
    for _ in 0..TICKS_PER_ROUND {
        world.inputs();
        let began = Stopwatch::start();
        world.tick();
        spent.ticking += began.elapsed();
        spent.planes += PLAYERS as u64;
        let began = Stopwatch::start();
        world.room.encode_again();
        spent.encoding += began.elapsed();

        let began = Stopwatch::start();
        world.frames(&mut frames);
        spent.assembling += began.elapsed();
        spent.frames += frames.len() as u64;

        let began = Stopwatch::start();
        let mut is_right = true;
        let mut replicas_left = replicas.iter_mut().peekable();
        for (index, frame) in frames.iter() {
            while replicas_left.next_if(|(player, _)| *player < index).is_some() {}
            if let Some((_, replica)) = replicas_left.next_if(|(player, _)| *player == index) {
                is_right &= replica.apply(frame, 0, |_, _, _| {}).is_ok_and(|applied| applied.is_true);
            }
        }
        spent.decoding += began.elapsed();
        anyhow::ensure!(is_right, "a replica differs from the room");
        let is_entity = |kind| kind == game::PLANE || kind == game::BULLET;
        let entities = |replica: &Replica| replica.rows().iter().filter(|row| is_entity(row.kind)).count();
        spent.entities += replicas.iter().map(|(_, replica)| entities(replica) as u64).sum::<u64>();
    }
    Ok(spent)
}
