//! The game's step alone: planes at constant density, flown from outside as by mice.
//!
//! Path: one [`Arena`] per size, all warmed up → rounds in which they take turns → a round's mean per size, and the
//! median of the rounds.
//! Invariants: only [`Game::step`] is inside of `ms_per_tick…`, only [`Game::rows`] inside of `ms_rows…`; the pilots are
//! functions of a fixed seed, so that every run flies the same battle.

use crate::{
    mouse_input::{MouseInput, share_of_changes},
    report::{Aim, Figures, Progress},
    stopwatch::Stopwatch,
    world::tuning_for,
};
use game::{BULLET, Controls, Game, PLANE, PilotId, rules::Rules, schema::Row};
use std::time::Duration;

/// Planes in the arenas. Policy: the one in the middle has the aim.
const SIZES: [usize; 3] = [200, 1000, 10_000];
/// The size whose figures stand for the measurement.
const AIMED_SIZE: usize = 1000;
/// Until protection is over and bullets, hits and respawns are in balance.
const WARM_UP_TICKS: u32 = 600;
/// Ticks an arena flies in its turn: a whole second, so that what is done once a second counts once.
const ROUND_TICKS: u32 = 60;
const ROUNDS_COUNT: usize = 15;
const SEED: u64 = 1;
/// From burst to burst of a [`MouseInput`] that does not look.
const BURST_PERIOD_TICKS: u32 = 90;
/// Of so many bursts one is fired: then there are 400 bullets to 1000 planes, about as when people aim.
const BURSTS_PER_SHOT: u32 = 2;

/// What the milliseconds of a whole arena's step are, at three sizes.
pub(crate) fn run(progress: &Progress) -> anyhow::Result<Figures> {
    let mut arenas = Vec::new();
    for size in SIZES {
        progress.say(&format!("tick: warming up {size} planes"));
        let mut arena = Arena::new(size)?;
        for _ in 0..WARM_UP_TICKS {
            arena.fly();
        }
        arenas.push((arena, RoundCosts::default()));
    }
    for round in 1..=ROUNDS_COUNT {
        progress.say(&format!("tick: round {round} of {ROUNDS_COUNT}"));
        for (arena, costs) in &mut arenas {
            costs.add_round(arena);
        }
    }
    let mut figures = Figures::default();
    for (arena, costs) in arenas {
        costs.report(&arena, &mut figures);
    }
    Ok(figures)
}

/// A game and who flies in it.
struct Arena {
    game: Game,
    pilots: Vec<Pilot>,
    rows: Vec<Row>,
}

/// What one tick took.
struct Tick {
    step: Duration,
    rows: Duration,
}

impl Arena {
    fn new(size: usize) -> anyhow::Result<Self> {
        let mut game = Game::new(SEED, Rules::parse(&tuning_for(size)).map_err(anyhow::Error::msg)?);
        let ids: Vec<_> = (0..size).map_while(|_| game.join(false)).collect();
        anyhow::ensure!(ids.len() == size, "a room takes {} pilots, but must take {size}", ids.len());
        let pilots = ids.into_iter().map(|id| Pilot { id, mouse: MouseInput::new(SEED, id.0) }).collect();
        Ok(Self { game, pilots, rows: Vec::new() })
    }

    /// A tick: the pilots' controls, the step, the rows.
    fn fly(&mut self) -> Tick {
        for pilot in &mut self.pilots {
            self.game.control(pilot.id, pilot.think(self.game.tick()));
        }
        for kill in self.game.drain_kills() {
            self.game.fly_again(kill.victim);
        }
        let start = Stopwatch::start();
        self.game.step();
        let step = start.elapsed();
        let start = Stopwatch::start();
        self.game.rows(&mut self.rows);
        Tick { step, rows: start.elapsed() }
    }

    fn count(&self, kind: u8) -> f64 {
        self.rows.iter().filter(|row| row.kind == kind).count() as f64
    }
}

/// Who flies a plane.
struct Pilot {
    id: PilotId,
    mouse: MouseInput,
}

impl Pilot {
    /// The mouse's controls; of the bursts one in [`BURSTS_PER_SHOT`] is fired.
    fn think(&mut self, tick: u32) -> Controls {
        // Not all at the same moment.
        let own = tick;
        let controls = self.mouse.blind(own);
        Controls { fire: controls.fire && (own / BURST_PERIOD_TICKS).is_multiple_of(BURSTS_PER_SHOT), ..controls }
    }
}

/// What the rounds of one arena gave.
#[derive(Default)]
struct RoundCosts {
    step_ms: Vec<f64>,
    rows_ms: Vec<f64>,
    planes: f64,
    bullets: f64,
}

impl RoundCosts {
    fn add_round(&mut self, arena: &mut Arena) {
        let (mut step, mut rows) = (Duration::ZERO, Duration::ZERO);
        for _ in 0..ROUND_TICKS {
            let tick = arena.fly();
            step += tick.step;
            rows += tick.rows;
            self.planes += arena.count(PLANE);
            self.bullets += arena.count(BULLET);
        }
        self.step_ms.push(step.as_secs_f64() * 1000.0 / f64::from(ROUND_TICKS));
        self.rows_ms.push(rows.as_secs_f64() * 1000.0 / f64::from(ROUND_TICKS));
    }

    fn report(self, arena: &Arena, figures: &mut Figures) {
        let size = arena.pilots.len();
        let ticks = f64::from(self.step_ms.len() as u32 * ROUND_TICKS);
        if size == AIMED_SIZE {
            figures.add_median("ms_per_tick", self.step_ms.clone(), Aim::AtMost(1.0));
        }
        figures.add_median(format!("ms_per_tick_{size}"), self.step_ms, Aim::None);
        figures.add_median(format!("ms_rows_{size}"), self.rows_ms, Aim::None);
        figures.add(format!("planes_in_the_air_{size}"), self.planes / ticks, Aim::None);
        figures.add(format!("bullets_in_the_air_{size}"), self.bullets / ticks, Aim::None);
        let changes = share_of_changes(arena.pilots.iter().map(|pilot| &pilot.mouse));
        figures.note(format!("{size} hands changed their controls on {:.0} % of ticks.", changes * 100.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pilots_keep_their_hands_busy_and_shoot() {
        let mut arena = Arena::new(200).unwrap();
        for _ in 0..WARM_UP_TICKS {
            arena.fly();
        }
        let bullets = (0..ROUND_TICKS).map(|_| {
            arena.fly();
            arena.count(BULLET)
        });
        let bullets = bullets.sum::<f64>() / f64::from(ROUND_TICKS);
        assert!((40.0..160.0).contains(&bullets), "{bullets} bullets of 200 planes");
        let share = share_of_changes(arena.pilots.iter().map(|pilot| &pilot.mouse));
        assert!((0.25..0.5).contains(&share), "controls change on {share} of ticks");
        assert!(arena.count(PLANE) > 150.0, "those shot down come back");
    }
}
