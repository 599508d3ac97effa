//! The most players one room takes on this machine, with their load on the same cores.
//!
//! Path: [`run`] searches, once at the usual cadence and once with a frame every tick → a [`Stage`] per number of
//! players: a fresh gameserver on a field of constant density, everybody joins over a socket of its own, then
//! [`MEASURED`] is measured → [`Stage::broken`] names the first limit that did not hold.
//! Invariants: the governor is off, so that nothing is left out; one bot in [`FULL_EVERY`] decodes and verifies
//! everything; all others send as much, acknowledge as often and read every frame's head.

mod bot;
mod scrape;

use crate::{
    hand::share_of_changes,
    load::Swarm,
    report::{Aim, Figures, Progress},
    serve::{self, Child, Usage},
    world,
};
use anyhow::{Context, ensure};
use bot::Bot;
use protocol::TICK_HZ;
use scrape::Scrape;
use std::time::{Duration, Instant};

/// One bot in so many is a whole client: 5 %.
const FULL_EVERY: usize = 20;
/// From stage to stage, and once a limit broke.
const STEP_PLAYERS: usize = 200;
const LAST_STEP_PLAYERS: usize = 100;
/// What a gameserver takes at most.
const PLAYERS_MAX: usize = 4000;
/// Nobody is protected any more after this, and the join is digested.
const WARM_UP: Duration = Duration::from_millis(2_500);
const MEASURED: Duration = Duration::from_secs(8);
const JOIN_MAX: Duration = Duration::from_secs(30);
/// Files of a process beside its connections.
const OTHER_FILES_COUNT: usize = 100;
/// The limits.
const TICK_P99_MAX_MS: f64 = 8.0;
const AGE_P99_MAX_MS: f64 = 50.0;
/// How often the controls of the bots must change, or it would not be play.
const CHANGES_MIN_SHARE: f64 = 0.25;

/// Measures.
pub(crate) fn run(progress: &Progress) -> anyhow::Result<Figures> {
    serve::allow_files((PLAYERS_MAX + OTHER_FILES_COUNT) as u64)?;
    let mut figures = Figures::default();
    let usual = search(progress, None)?;
    usual.tell("", &mut figures);
    let every_tick = search(progress, Some("1"))?;
    every_tick.tell("at_60_hz_", &mut figures);
    figures.note(format!(
        "Limits: tick p99 < {TICK_P99_MAX_MS} ms, frame age p99 < {AGE_P99_MAX_MS} ms, no tick left out, no connection \
         lost, no wrong checksum; {} s measured at each stage; a stage breaks when it breaks twice. 1 bot in {FULL_EVERY} \
         decodes and verifies everything. The governor is off. 2 planes per cell.",
        MEASURED.as_secs()
    ));
    Ok(figures)
}

/// What a search found.
#[derive(Debug)]
struct Found {
    /// The largest stage at which every limit held.
    good: Option<Stage>,
    /// The smallest that broke one.
    bad: Option<Stage>,
}

impl Found {
    /// Adds the figures, each with this before its name.
    fn tell(&self, prefix: &str, figures: &mut Figures) {
        let aim = if prefix.is_empty() { Aim::AtLeast(600.0) } else { Aim::None };
        figures.add(format!("{prefix}players"), self.good.as_ref().map_or(0.0, |stage| stage.players as f64), aim);
        if let Some(stage) = &self.good {
            for (name, value) in stage.values() {
                figures.add(format!("{prefix}{name}"), value, Aim::None);
            }
        }
        if let Some((stage, limit)) = self.bad.as_ref().and_then(|stage| Some((stage, stage.broken()?))) {
            figures.note(format!("{prefix}players: with {}, {limit}.", stage.players));
        }
    }
}

/// Ever more players until a limit breaks, then half a step back.
fn search(progress: &Progress, cadence: Option<&str>) -> anyhow::Result<Found> {
    let mut found = Found { good: None, bad: None };
    let mut players = STEP_PLAYERS;
    loop {
        let stage = try_twice(progress, players, cadence)?;
        match stage.broken() {
            None => found.good = Some(stage),
            Some(_) => found.bad = Some(stage),
        }
        let good = found.good.as_ref().map_or(0, |stage| stage.players);
        players = match &found.bad {
            None if good < PLAYERS_MAX => good + STEP_PLAYERS,
            Some(bad) if bad.players - good > LAST_STEP_PLAYERS => good + LAST_STEP_PLAYERS,
            _ => return Ok(found),
        };
    }
}

/// A limit that breaks once may be something else on this machine.
fn try_twice(progress: &Progress, players: usize, cadence: Option<&str>) -> anyhow::Result<Stage> {
    let rate = if cadence.is_some() { "a frame every tick" } else { "the usual cadence" };
    progress.say(&format!("capacity: {players} players, {rate}"));
    let stage = Stage::measure(players, cadence)?;
    let Some(limit) = stage.broken() else { return Ok(stage) };
    progress.say(&format!("capacity: {players} players again ({limit})"));
    Stage::measure(players, cadence)
}

/// What was measured with this many players.
#[derive(Debug)]
struct Stage {
    players: usize,
    tick_p99_ms: f64,
    tick_mean_ms: f64,
    ticks_left_out: f64,
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

impl Stage {
    fn measure(players: usize, cadence: Option<&str>) -> anyhow::Result<Self> {
        let (tuning, max_players) = (world::tuning_for(players), players.to_string());
        // A variable with nothing in it is as if it were not set.
        let own = [
            ("TUNING", &*tuning),
            ("MAX_PLAYERS", &*max_players),
            ("GOVERNOR", "off"),
            ("CADENCE_TICKS", cadence.unwrap_or_default()),
        ];
        let child = Child::start(&["serve-gameserver"], &[&serve::ENVIRONMENT[..], &own[..]].concat())?;
        let began = Instant::now();
        let bot = |number: usize| Bot::new(number, number.is_multiple_of(FULL_EVERY), began);
        let mut swarm = Swarm::connect(child.address(), players, |_| serve::upgrade(), bot)?;
        swarm.run_until(JOIN_MAX, Bot::is_in)?;
        swarm.run_for(WARM_UP)?;

        let before = Scrape::of(child.address())?;
        swarm.peers_mut().for_each(Bot::begin);
        let (at, server, bots) = (Instant::now(), child.usage()?, Usage::own()?);
        swarm.run_for(MEASURED)?;
        let (seconds, server, bots) = (at.elapsed().as_secs_f64(), child.usage()? - server, Usage::own()? - bots);
        let ticks = Scrape::of(child.address())?.since(&before);

        let mut ages = ages_ms(swarm.peers());
        ensure!(!ages.is_empty(), "Nobody got a frame.");
        let sum = |of: fn(&Bot) -> u64| swarm.peers().map(of).sum::<u64>() as f64;
        let (frames, per_player_s) = (sum(Bot::frames), players as f64 * seconds);
        let stage = Self {
            players,
            tick_p99_ms: ticks.quantile_ms(0.99).context("The gameserver counted no ticks.")?,
            tick_mean_ms: ticks.mean_ms(),
            ticks_left_out: ticks.left_out,
            age_p50_ms: quantile(&mut ages, 0.5),
            age_p99_ms: quantile(&mut ages, 0.99),
            ended: swarm.ended().map(|(_, why)| why.to_owned()).collect(),
            wrong_checksums: swarm.peers().map(Bot::wrong_checksums).sum(),
            server,
            bots,
            seconds,
            frames_per_s: frames / per_player_s,
            frame_bytes: sum(Bot::bytes) / frames,
            inputs_per_s: sum(Bot::packets) / per_player_s,
            changes_share: share_of_changes(swarm.peers().filter_map(Bot::hand)),
        };
        ensure!(
            stage.changes_share >= CHANGES_MIN_SHARE,
            "The bots' controls changed on {:.0} % of ticks only.",
            stage.changes_share * 100.0
        );
        Ok(stage)
    }

    /// The first limit that did not hold, as a sentence without its end.
    fn broken(&self) -> Option<String> {
        if let Some(why) = self.ended.first() {
            return Some(format!("{} connections ended ({why})", self.ended.len()));
        }
        let limits = [
            (self.ticks_left_out > 0.0, format!("{} ticks were left out", self.ticks_left_out)),
            (self.tick_p99_ms >= TICK_P99_MAX_MS, format!("the tick's p99 was {:.1} ms", self.tick_p99_ms)),
            (self.age_p99_ms >= AGE_P99_MAX_MS, format!("the frames' p99 age was {:.1} ms", self.age_p99_ms)),
            (self.wrong_checksums > 0, format!("{} checksums were wrong", self.wrong_checksums)),
        ];
        limits.into_iter().find(|(is_broken, _)| *is_broken).map(|(_, sentence)| sentence)
    }

    /// Names and values of what is worth knowing.
    fn values(&self) -> Vec<(&'static str, f64)> {
        let us = self.seconds * 1e6;
        vec![
            ("server_us_per_client_tick", self.server.us() / (self.players as f64 * self.seconds * f64::from(TICK_HZ))),
            ("server_cores", self.server.us() / us),
            ("bots_cores", self.bots.us() / us),
            ("bots_cpu_share", self.bots.us() / (self.bots.us() + self.server.us())),
            ("tick_p99_ms", self.tick_p99_ms),
            ("tick_mean_ms", self.tick_mean_ms),
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
        let mut stage = Stage {
            players: 200,
            tick_p99_ms: 3.0,
            tick_mean_ms: 1.0,
            ticks_left_out: 0.0,
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
        assert_eq!(stage.broken(), None);
        stage.age_p99_ms = 50.0;
        assert!(stage.broken().unwrap().contains("age"));
        stage.ticks_left_out = 2.0;
        assert!(stage.broken().unwrap().contains("left out"));
    }
}
