//! Measures what clock jumps do: the server pauses, the players' devices sleep, or their clocks go ahead.
//!
//! Path: for each of [`LINKS`] and [`JUMPS`] a room in which it happens to everybody, a few times → from the jump's end until a
//! key counts as soon as before, and others are shown as late as before, by the room's own clock.

use super::{
    scenario::{LinkProfile, link},
    world::{TICK_MS, World},
};
use crate::report::{Aim, Figures, Progress};
use std::collections::BTreeSet;

const LINKS: &[LinkProfile] = &[
    link("50ms_jitter20", 50.0, 20.0),
    link("150ms_jitter20", 150.0, 20.0),
    link("150ms_jitter50", 150.0, 50.0),
    link("300ms_jitter50", 300.0, 50.0),
];
const PLAYERS: usize = 8;
const ROUNDS: usize = 4;
/// Before the first: what the very first packets, sent by a clock that is a guess, had to say is forgotten by then.
const CALM_MS: f64 = 12_000.0;
/// What is usual is the mean over so long.
const USUAL_MS: f64 = 2_000.0;
/// After a jump it is looked at for so long.
const AFTER_MS: f64 = 4_000.0;
/// What counts as usual: half of the jitter more than this, or less.
const USUAL_TICKS: f64 = 2.5;
/// Longest until all is as it was.
pub(super) const BACK_MAX_MS: f64 = 500.0;

#[derive(Debug, Clone, Copy)]
enum Jump {
    /// The server stands still for so long.
    Pause(f64),
    /// Every device sleeps for so long, and its clock with it.
    Sleep(f64),
    /// Every device's clock goes ahead.
    Gain(f64),
}

const JUMPS: &[(&str, Jump)] = &[
    ("pause_400ms", Jump::Pause(400.0)),
    ("pause_1500ms", Jump::Pause(1500.0)),
    ("pause_4000ms", Jump::Pause(4000.0)),
    ("clock_loses_4s", Jump::Sleep(4000.0)),
    ("clock_gains_4s", Jump::Gain(4000.0)),
];

/// How it went for one player once.
#[derive(Debug, Clone, Copy)]
struct After {
    keys_ms: f64,
    others_ms: f64,
    corrections: usize,
}

/// The measurement; `only` leaves out all others.
pub(super) fn measure(seed: u64, only: Option<&str>, progress: &Progress, figures: &mut Figures) -> anyhow::Result<()> {
    for link in LINKS {
        for (name, jump) in JUMPS {
            let name = format!("{}.{name}", link.name);
            if only.is_some_and(|only| only != name) {
                continue;
            }
            progress.say(&format!("feel: {name}"));
            let after = play(*link, *jump, seed)?;
            let most = |of: fn(&After) -> f64| after.iter().map(of).fold(0.0, f64::max);
            let corrections = after.iter().map(|after| after.corrections).sum::<usize>() as f64 / after.len() as f64;
            figures.add(format!("{name}.input_delay_back_ms"), most(|after| after.keys_ms), Aim::AtMost(BACK_MAX_MS));
            figures.add(format!("{name}.others_back_ms"), most(|after| after.others_ms), Aim::AtMost(BACK_MAX_MS));
            figures.add(format!("{name}.corrections"), corrections, Aim::None);
        }
    }
    Ok(())
}

fn play(link: LinkProfile, jump: Jump, seed: u64) -> anyhow::Result<Vec<After>> {
    let mut world = World::new(link.conditions(), PLAYERS, seed)?;
    let mut all = Vec::new();
    world.run(CALM_MS)?;
    for _ in 0..ROUNDS {
        let begin_ms = world.now_ms();
        let for_ms = begin(&mut world, jump);
        world.run(for_ms + AFTER_MS)?;
        all.extend((0..PLAYERS).map(|player| look(&world, link, player, begin_ms, begin_ms + for_ms)));
    }
    Ok(all)
}

/// Returns how long it takes.
fn begin(world: &mut World, jump: Jump) -> f64 {
    let now_ms = world.now_ms();
    match jump {
        Jump::Pause(for_ms) => world.pause(for_ms),
        Jump::Sleep(for_ms) => world.players.iter_mut().for_each(|player| player.sleep(for_ms, now_ms)),
        Jump::Gain(ms) => world.players.iter_mut().for_each(|player| player.gain(ms)),
    }
    match jump {
        Jump::Pause(for_ms) | Jump::Sleep(for_ms) => for_ms,
        Jump::Gain(_) => 0.0,
    }
}

/// How late keys count and others are shown, ticks more than the link's one-way delay; when it was like that.
fn delays(world: &World, link: LinkProfile, player: usize, from_ms: f64, to_ms: f64) -> Vec<(f64, [f64; 2])> {
    let way_ms = link.rtt_ms / 2.0;
    let pictures = world.players[player].log.pictures.iter();
    let within = pictures.filter(|picture| picture.now_ms >= from_ms && picture.now_ms < to_ms);
    let delays = within.map(|picture| {
        let keys = picture.own_at - world.room_at(picture.now_ms + way_ms);
        (picture.now_ms, [keys, world.room_at(picture.now_ms - way_ms) - picture.shown_at])
    });
    delays.collect()
}

fn look(world: &World, link: LinkProfile, player: usize, begin_ms: f64, end_ms: f64) -> After {
    let before = delays(world, link, player, begin_ms - USUAL_MS, begin_ms - link.rtt_ms);
    let after = delays(world, link, player, end_ms, end_ms + AFTER_MS);
    let allowed = USUAL_TICKS + link.jitter_ms / 2.0 / TICK_MS;
    let back_ms = |which: usize| {
        let usual = before.iter().map(|(_, delays)| delays[which]).sum::<f64>() / before.len().max(1) as f64;
        let off = after.iter().rfind(|(_, delays)| (delays[which] - usual).abs() > allowed);
        off.map_or(0.0, |(at_ms, _)| at_ms - end_ms)
    };
    let (log, id) = (&world.players[player].log, world.players[player].client.pilot());
    let corrections = log.corrections.iter().filter(|correction| {
        let (from, to) = correction.ticks;
        correction.came_ms >= begin_ms
            && correction.came_ms < end_ms + AFTER_MS
            && !world.truth.is_touched(from, to, id)
    });
    // What comes in one go is seen once.
    let moments: BTreeSet<u64> = corrections.map(|correction| correction.came_ms as u64).collect();
    After { keys_ms: back_ms(0), others_ms: back_ms(1), corrections: moments.len() }
}
