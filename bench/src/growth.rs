//! How a room's cost grows with its players: the slope of log cost over log players, 1 = in proportion.
//!
//! Path: rooms of 400 to 3200 players at constant density in one process; in every round each room runs some ticks with
//! all its frames; the exponent is the least-squares slope through the medians.

use crate::{
    line::slope,
    report::{Aim, Figures, Progress},
    stopwatch::Stopwatch,
    world::{Frames, World},
};
use std::time::Duration;

const SIZES: [usize; 4] = [400, 800, 1600, 3200];
const WARM_UP_TICKS: u32 = 120;
const ROUNDS: usize = 7;
const TICKS_PER_ROUND: u32 = 30;

/// The measurement.
pub(crate) fn run(progress: &Progress) -> anyhow::Result<Figures> {
    let mut worlds = Vec::new();
    for players in SIZES {
        progress.say(&format!("growth: {players} players take off"));
        let mut world = World::new(players, 7, 1)?;
        world.warm_up(WARM_UP_TICKS);
        worlds.push((players, world, Vec::new()));
    }
    for round in 0..ROUNDS {
        progress.say(&format!("growth: round {} of {ROUNDS}", round + 1));
        for (_, world, costs) in &mut worlds {
            costs.push(cost_us(world));
        }
    }
    let mut figures = Figures::default();
    let mut points = Vec::new();
    for (players, _, costs) in worlds {
        let cost = figures.add_median(format!("us_per_tick_{players}"), costs, Aim::None);
        points.push(((players as f64).ln(), cost.ln()));
    }
    figures.add("exponent", slope(&points).0, Aim::AtMost(1.05));
    figures.note("Room::tick, all inputs and all frames, without sockets");
    Ok(figures)
}

/// Mean cost of a tick with its inputs and frames, µs; making the inputs does not count.
fn cost_us(world: &mut World) -> f64 {
    let (mut spent, mut frames) = (Duration::ZERO, Frames::default());
    for _ in 0..TICKS_PER_ROUND {
        world.inputs();
        let began = Stopwatch::start();
        world.tick();
        world.frames(&mut frames);
        spent += began.elapsed();
    }
    spent.as_secs_f64() * 1e6 / f64::from(TICKS_PER_ROUND)
}
