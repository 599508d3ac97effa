//! The most players one room takes on this machine, with their load on the same cores.
//!
//! Path: [`run`] searches, once at the usual cadence and once with a frame every tick → a [`LoadStep`] per number of
//! players: a fresh gameserver on a field of constant density, everybody joins over a socket of its own, then
//! [`MEASURED`] is measured → [`LoadStep::broken_limit`] names the first limit that did not hold. A machine whose host takes
//! the processor away has long ticks whatever a tick costs: so the same limits are also asked of the ticks' processor time,
//! and [`floor_p99_ms`] tells how long a fixed piece of work took at worst on this machine. [`run_fixed`] is one step of
//! [`FIXED_PLAYERS`] and no search, for comparing two versions of the server.
//! Invariants: the governor is off, so that nothing is left out; one bot in [`FULL_EVERY`] decodes and verifies
//! everything; all others send as much, acknowledge as often and read every frame's head.

pub(crate) mod bot;

use crate::{
    load::Swarm,
    mouse_input::share_of_changes,
    report::{Aim, Figures, Progress},
    scrape::Scrape,
    serve::{self, Child, Usage},
    stopwatch::Stopwatch,
    world,
};
use anyhow::{Context, ensure};
use arena::TICK_HZ;
use bot::Bot;
use std::time::{Duration, Instant};

/// One bot in so many is a whole client: 5 %.
const FULL_EVERY: usize = 20;
/// From step to step, and once a limit broke.
const STEP_PLAYERS: usize = 200;
const LAST_STEP_PLAYERS: usize = 100;
/// What a gameserver takes at most.
const PLAYERS_MAX: usize = 4000;
/// Nobody is protected any more after this, and the join is digested.
const WARM_UP: Duration = Duration::from_millis(2_500);
const MEASURED: Duration = Duration::from_secs(8);
/// The step that is always measured, whatever the search finds.
const FIXED_PLAYERS: usize = 1000;
const FIXED_MEASURED: Duration = Duration::from_secs(10);
const JOIN_MAX: Duration = Duration::from_secs(30);
/// Files of a process beside its connections.
const OTHER_FILES_COUNT: usize = 100;
/// The limits.
const TICK_P99_MAX_MS: f64 = 8.0;
const AGE_P99_MAX_MS: f64 = 50.0;
/// About what a tick of some hundred players costs.
const FLOOR_WORK_MS: f64 = 1.0;
/// How often the controls of the bots must change, or it would not be play.
const CHANGES_MIN_SHARE: f64 = 0.25;

/// Measures.
pub(crate) fn run(progress: &Progress) -> anyhow::Result<Figures> {
    let mut figures = run_fixed(progress)?;
    serve::allow_files((PLAYERS_MAX + OTHER_FILES_COUNT) as u64)?;
    let usual = search(progress, None)?;
    usual.add_to("", &mut figures);
    let every_tick = search(progress, Some(1))?;
    every_tick.add_to("at_60_hz_", &mut figures);
    figures.add("floor_p99_ms", floor_p99_ms(progress), Aim::None);
    figures
        .note(format!("floor_p99_ms: the p99 of {FLOOR_WORK_MS} ms of work, 60 times a second on the idle machine."));
    figures.note(format!(
        "Limits: tick p99 < {TICK_P99_MAX_MS} ms, frame age p99 < {AGE_P99_MAX_MS} ms, no tick left out, no connection \
         lost, no wrong checksum; {} s measured at each step; a step breaks when it breaks twice. 1 bot in {FULL_EVERY} \
         decodes and verifies everything. The governor is off. 2 planes per cell.",
        MEASURED.as_secs()
    ));
    Ok(figures)
}

/// Measures what a client costs the server when there are [`FIXED_PLAYERS`], at the usual cadence.
pub(crate) fn run_fixed(progress: &Progress) -> anyhow::Result<Figures> {
    serve::allow_files((FIXED_PLAYERS + OTHER_FILES_COUNT) as u64)?;
    progress.say(&format!("capacity: {FIXED_PLAYERS} players, what each costs"));
    let step = LoadStep::measure(FIXED_PLAYERS, None, FIXED_MEASURED)?;
    ensure!(step.ended.is_empty(), "{} connections ended ({}).", step.ended.len(), step.ended[0]);
    let mut figures = Figures::default();
    figures.add("cpu_us_per_client_tick", step.server_us_per_client_tick(), Aim::None);
    figures.note(format!(
        "cpu_us_per_client_tick: all processor time of the gameserver's process over {} s with {FIXED_PLAYERS} players at \
         the usual cadence.",
        FIXED_MEASURED.as_secs()
    ));
    Ok(figures)
}

/// What a search found.
#[derive(Debug, Default)]
struct SearchResult {
    /// The largest step at which every limit held.
    good: Option<LoadStep>,
    /// The largest at which they held but for the ticks' length, with their processor time in its place.
    good_by_cpu: Option<LoadStep>,
    /// Why the smallest step that broke one broke it.
    broken: Option<String>,
}

impl SearchResult {
    /// Adds the figures, each with this before its name.
    fn add_to(&self, prefix: &str, figures: &mut Figures) {
        let aim = if prefix.is_empty() { Aim::AtLeast(600.0) } else { Aim::None };
        let players = |step: &Option<LoadStep>| step.as_ref().map_or(0.0, |step| step.players as f64);
        figures.add(format!("{prefix}players"), players(&self.good), aim);
        figures.add(format!("{prefix}players_by_cpu"), players(&self.good_by_cpu), Aim::None);
        for (which, step) in [("", &self.good), ("by_cpu_", &self.good_by_cpu)] {
            for (name, value) in step.iter().flat_map(LoadStep::values) {
                figures.add(format!("{prefix}{which}{name}"), value, Aim::None);
            }
        }
        if let Some(sentence) = &self.broken {
            figures.note(format!("{prefix}players: {sentence}."));
        }
    }
}

/// Ever more players until a limit breaks for the processor time too, then half a step back.
fn search(progress: &Progress, cadence_ticks: Option<u32>) -> anyhow::Result<SearchResult> {
    let mut result = SearchResult::default();
    let (mut players, mut most) = (STEP_PLAYERS, PLAYERS_MAX);
    while players <= most {
        let step = try_twice(progress, players, cadence_ticks)?;
        if let Some(limit) = step.broken_limit(LoadStep::tick_p99_ms) {
            result.broken.get_or_insert_with(|| format!("with {players}, {limit}"));
        } else {
            result.good = Some(step.clone());
        }
        if step.broken_limit(LoadStep::tick_cpu_p99_ms).is_some() {
            most = players - LAST_STEP_PLAYERS;
            players = most.max(result.good_by_cpu.as_ref().map_or(0, |step| step.players) + 1);
        } else {
            result.good_by_cpu = Some(step);
            players += if most == PLAYERS_MAX { STEP_PLAYERS } else { LAST_STEP_PLAYERS };
        }
    }
    Ok(result)
}

/// A limit that breaks once may be something else on this machine.
fn try_twice(progress: &Progress, players: usize, cadence_ticks: Option<u32>) -> anyhow::Result<LoadStep> {
    let rate = if cadence_ticks.is_some() { "a frame every tick" } else { "the usual cadence" };
    progress.say(&format!("capacity: {players} players, {rate}"));
    let step = LoadStep::measure(players, cadence_ticks, MEASURED)?;
    let Some(limit) = step.broken_limit(LoadStep::tick_p99_ms) else { return Ok(step) };
    progress.say(&format!("capacity: {players} players again ({limit})"));
    let again = LoadStep::measure(players, cadence_ticks, MEASURED)?;
    Ok(if again.tick_p99_ms < step.tick_p99_ms { again } else { step })
}

/// The p99 of the time that a fixed piece of work takes on this machine as it is, ms.
fn floor_p99_ms(progress: &Progress) -> f64 {
    progress.say("capacity: a fixed piece of work, on the idle machine");
    let work = |times: u64| (0..times).fold(1u64, |sum, step| std::hint::black_box(sum.wrapping_mul(31) + step));
    let (watch, times) = (Stopwatch::start(), 1_000_000);
    work(times);
    let times = (times as f64 * FLOOR_WORK_MS / 1e3 / watch.elapsed().as_secs_f64()) as u64;
    let began = Instant::now();
    let ticks = (MEASURED.as_secs_f64() * f64::from(TICK_HZ)) as u32;
    let mut waits: Vec<f64> = (0..ticks)
        .map(|tick| {
            let due = began + Duration::from_secs(1) * tick / TICK_HZ;
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            let at = Instant::now();
            work(times);
            at.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    quantile(&mut waits, 0.99)
}

/// What was measured with this many players.
#[derive(Debug, Clone)]
struct LoadStep {
    players: usize,
    tick_p99_ms: f64,
    tick_cpu_p99_ms: f64,
    tick_mean_ms: f64,
    tick_cpu_mean_ms: f64,
    ticks_left_out: f64,
    /// 1 when ticks went before every other thread.
    ticks_first: f64,
    age_p50_ms: f64,
    age_p99_ms: f64,
    /// Connections that ended, and why the first did.
    ended: Vec<String>,
    wrong_checksums: u64,
    server: Usage,
    bots: Usage,
    seconds: f64,
    /// Of a player, a second.
    frames_per_s: f64,
    frame_bytes: f64,
    inputs_per_s: f64,
    /// Ticks on which a player's controls changed.
    changes_share: f64,
}

impl LoadStep {
    fn measure(players: usize, cadence_ticks: Option<u32>, measured: Duration) -> anyhow::Result<Self> {
        let tuning = world::tuning_for(players);
        let kinds = serve::kinds(|entry| {
            (entry.members, entry.beat_ticks) = (players as u32, cadence_ticks.unwrap_or(entry.beat_ticks));
        });
        let own = [("TUNING", &*tuning), ("KINDS", &*kinds), ("GOVERNOR", "off")];
        let child = Child::start(&["serve-gameserver"], &[&serve::ENVIRONMENT[..], &own[..]].concat())?;
        let began = Instant::now();
        let bot = |number: usize| Bot::new(number, number.is_multiple_of(FULL_EVERY), began);
        let mut swarm = Swarm::connect(child.address(), players, |_| serve::upgrade(), bot)?;
        swarm.run_until(JOIN_MAX, Bot::is_in)?;
        swarm.run_for(WARM_UP)?;

        let before = Scrape::of(child.address())?;
        swarm.clients_mut().for_each(Bot::begin);
        let (at, server, bots) = (Instant::now(), child.usage()?, Usage::own()?);
        swarm.run_for(measured)?;
        let (seconds, server, bots) = (at.elapsed().as_secs_f64(), child.usage()? - server, Usage::own()? - bots);
        let ticks = Scrape::of(child.address())?.since(&before);

        let mut ages = ages_ms(swarm.clients());
        ensure!(!ages.is_empty(), "Nobody got a frame.");
        let sum = |of: fn(&Bot) -> u64| swarm.clients().map(of).sum::<u64>() as f64;
        let (frames, per_player_s) = (sum(Bot::frames), players as f64 * seconds);
        let step = Self {
            players,
            tick_p99_ms: ticks.tick.quantile_ms(0.99).context("The gameserver counted no ticks.")?,
            tick_cpu_p99_ms: ticks.tick_cpu.quantile_ms(0.99).context("The gameserver counted no ticks.")?,
            tick_mean_ms: ticks.tick.mean_ms(),
            tick_cpu_mean_ms: ticks.tick_cpu.mean_ms(),
            ticks_left_out: ticks.left_out,
            ticks_first: ticks.ticks_first,
            age_p50_ms: quantile(&mut ages, 0.5),
            age_p99_ms: quantile(&mut ages, 0.99),
            ended: swarm.ended().map(|(_, why)| why.to_owned()).collect(),
            wrong_checksums: swarm.clients().map(Bot::wrong_checksums).sum(),
            server,
            bots,
            seconds,
            frames_per_s: frames / per_player_s,
            frame_bytes: sum(Bot::bytes) / frames,
            inputs_per_s: sum(Bot::packets) / per_player_s,
            changes_share: share_of_changes(swarm.clients().filter_map(Bot::mouse)),
        };
        ensure!(
            step.changes_share >= CHANGES_MIN_SHARE,
            "The bots' controls changed on {:.0} % of ticks only.",
            step.changes_share * 100.0
        );
        Ok(step)
    }

    fn tick_p99_ms(&self) -> f64 {
        self.tick_p99_ms
    }

    fn tick_cpu_p99_ms(&self) -> f64 {
        self.tick_cpu_p99_ms
    }

    fn server_us_per_client_tick(&self) -> f64 {
        self.server.us() / (self.players as f64 * self.seconds * f64::from(TICK_HZ))
    }

    /// The first limit that did not hold, as a sentence without its end; `tick` is what counts as a tick's p99.
    fn broken_limit(&self, tick: fn(&Self) -> f64) -> Option<String> {
        if let Some(why) = self.ended.first() {
            return Some(format!("{} connections ended ({why})", self.ended.len()));
        }
        let limits = [
            (self.ticks_left_out > 0.0, format!("{} ticks were left out", self.ticks_left_out)),
            (tick(self) >= TICK_P99_MAX_MS, format!("the tick's p99 was {:.1} ms", tick(self))),
            (self.age_p99_ms >= AGE_P99_MAX_MS, format!("the frames' p99 age was {:.1} ms", self.age_p99_ms)),
            (self.wrong_checksums > 0, format!("{} checksums were wrong", self.wrong_checksums)),
        ];
        limits.into_iter().find(|(is_broken, _)| *is_broken).map(|(_, sentence)| sentence)
    }

    /// Names and values of what is worth knowing.
    fn values(&self) -> Vec<(&'static str, f64)> {
        let us = self.seconds * 1e6;
        vec![
            ("server_us_per_client_tick", self.server_us_per_client_tick()),
            ("server_cores", self.server.us() / us),
            ("bots_cores", self.bots.us() / us),
            ("bots_cpu_share", self.bots.us() / (self.bots.us() + self.server.us())),
            ("tick_p99_ms", self.tick_p99_ms),
            ("tick_mean_ms", self.tick_mean_ms),
            ("tick_cpu_p99_ms", self.tick_cpu_p99_ms),
            ("tick_cpu_mean_ms", self.tick_cpu_mean_ms),
            ("ticks_first", self.ticks_first),
            ("age_p50_ms", self.age_p50_ms),
            ("age_p99_ms", self.age_p99_ms),
            ("frames_per_s", self.frames_per_s),
            ("frame_bytes", self.frame_bytes),
            ("inputs_per_s", self.inputs_per_s),
            ("changes_share", self.changes_share),
        ]
    }
}

/// The age of every frame: how long after its tick's due moment it arrived. A tick is due its number of intervals after
/// a moment that nobody tells; it is taken from the frame that came soonest.
fn ages_ms<'a>(bots: impl Iterator<Item = &'a Bot>) -> Vec<f64> {
    let mut offsets: Vec<f64> = bots.flat_map(|bot| bot.offsets_ms().iter().copied()).collect();
    let soonest = offsets.iter().copied().fold(f64::INFINITY, f64::min);
    offsets.iter_mut().for_each(|offset| *offset -= soonest);
    offsets
}

/// The value below which this share of them is; there must be some.
fn quantile(values: &mut [f64], share: f64) -> f64 {
    let at = (values.len() as f64 * share) as usize;
    *values.select_nth_unstable_by(at, f64::total_cmp).1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_one_of_the_values() {
        let mut values: Vec<f64> = (0..200).rev().map(f64::from).collect();
        assert_eq!((quantile(&mut values, 0.5), quantile(&mut values, 0.99)), (100.0, 198.0));
        assert_eq!(quantile(&mut [7.0], 0.99), 7.0);
    }

    #[test]
    fn the_first_limit_that_broke_is_named() {
        let mut step = LoadStep {
            players: 200,
            tick_p99_ms: 3.0,
            tick_cpu_p99_ms: 2.0,
            tick_mean_ms: 1.0,
            tick_cpu_mean_ms: 0.8,
            ticks_left_out: 0.0,
            ticks_first: 1.0,
            age_p50_ms: 3.0,
            age_p99_ms: 20.0,
            ended: Vec::new(),
            wrong_checksums: 0,
            server: Usage::default(),
            bots: Usage::default(),
            seconds: 8.0,
            frames_per_s: 20.0,
            frame_bytes: 100.0,
            inputs_per_s: 30.0,
            changes_share: 0.3,
        };
        assert_eq!(step.broken_limit(LoadStep::tick_p99_ms), None);
        step.age_p99_ms = 50.0;
        assert!(step.broken_limit(LoadStep::tick_p99_ms).unwrap().contains("age"));
        step.ticks_left_out = 2.0;
        assert!(step.broken_limit(LoadStep::tick_p99_ms).unwrap().contains("left out"));
    }
}
