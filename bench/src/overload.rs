//! What becomes of a full room whose budget is cut to a third of what its full service costs, over real sockets.
//!
//! Path: [`run`] → a gameserver with the governor on, everybody joins and plays as in `capacity` → full service is
//! measured → the budget is cut, service is shed and measured → the budget returns, and so must full service.
//! Invariant: the costs are the real ones of this machine; only the budget is changed, while all play.

use crate::{
    capacity::bot::Bot,
    load::Swarm,
    report::{Aim, Figures, Progress},
    scrape::Scrape,
    serve::{self, Child},
    world,
};
use anyhow::ensure;
use arena::TICK_HZ;
use session::governor::TICK_US;
use std::time::{Duration, Instant};

const PLAYERS_COUNT: usize = 300;
/// One bot in so many is a whole client: 5 %.
const FULL_EVERY: usize = 20;
const JOIN_MAX: Duration = Duration::from_secs(30);
const WARM_UP: Duration = Duration::from_secs(3);
const MEASURED: Duration = Duration::from_secs(5);
/// After the cut, until what is shed has settled.
const SHEDDING: Duration = Duration::from_secs(2);
/// Longest wait for full service. Policy: what it took is this, and the aim is missed.
const RECOVERY_MAX: Duration = Duration::from_secs(20);
const RECOVERY_AIM_S: f64 = 5.0;
/// How often the level is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// Measures.
pub(crate) fn run(progress: &Progress) -> anyhow::Result<Figures> {
    serve::allow_files(2 * PLAYERS_COUNT as u64)?;
    progress.say(&format!("overload: {PLAYERS_COUNT} players join"));
    let (tuning, kinds) = (
        world::tuning_for(PLAYERS_COUNT),
        serve::kinds(|entry| {
            (entry.members, entry.tick_budget_us) = (PLAYERS_COUNT as u32, TICK_US);
        }),
    );
    let own = [("TUNING", &*tuning), ("KINDS", &*kinds), ("GOVERNOR", "on")];
    let mut child = Child::start(&["serve-gameserver"], &[&serve::ENVIRONMENT[..], &own[..]].concat())?;
    let began = Instant::now();
    let bot = |number: usize| Bot::new(number, number.is_multiple_of(FULL_EVERY), began);
    let mut swarm = Swarm::connect(child.address(), PLAYERS_COUNT, |_| serve::upgrade(), bot)?;
    swarm.run_until(JOIN_MAX, Bot::is_in)?;
    swarm.run_for(WARM_UP)?;
    swarm.clients_mut().for_each(Bot::begin);

    progress.say("overload: full service");
    let full = Part::measure(&child, &mut swarm)?;
    ensure!(full.level == 0.0, "Service is reduced before the budget is: this machine is too busy to tell.");
    let budget_us = (full.ticks.tick.mean_ms() * 1000.0 / 3.0) as u32;
    progress.say(&format!("overload: a budget of {budget_us} us"));
    child.set_tick_budget(budget_us)?;
    swarm.run_for(SHEDDING)?;
    let cut = Part::measure(&child, &mut swarm)?;
    progress.say("overload: the budget returns");
    child.set_tick_budget(TICK_US)?;
    let recovery_s = recover(&child, &mut swarm)?;
    let wrong: u64 = swarm.clients().map(Bot::wrong_checksums).sum();

    let mut figures = Figures::default();
    figures.add("connections_lost", swarm.ended().count() as f64, Aim::AtMost(0.0));
    figures.add("wrong_checksums", wrong as f64, Aim::AtMost(0.0));
    figures.add("ticks_per_s", cut.ticks_per_s(), Aim::AtLeast(0.98 * f64::from(TICK_HZ)));
    figures.add("recovery_s", recovery_s, Aim::AtMost(RECOVERY_AIM_S));
    figures.add("budget_us", f64::from(budget_us), Aim::None);
    figures.add("level", cut.level, Aim::None);
    figures.add("ticks_first", cut.ticks.ticks_first, Aim::None);
    for (when, part) in [("full", &full), ("cut", &cut)] {
        for (name, histogram) in [("tick", &part.ticks.tick), ("frames_part", &part.ticks.frames_part)] {
            figures.add(format!("{when}_{name}_mean_ms"), histogram.mean_ms(), Aim::None);
            let p99_ms = histogram.quantile_ms(0.99).unwrap_or_default();
            figures.add(format!("{when}_{name}_p99_ms"), p99_ms, Aim::None);
        }
        let frames_per_s = part.ticks.frames / part.seconds / PLAYERS_COUNT as f64;
        figures.add(format!("{when}_frames_per_player_and_second"), frames_per_s, Aim::None);
    }
    figures.note(format!(
        "{PLAYERS_COUNT} players on 2 planes per cell, 1 in {FULL_EVERY} decodes and verifies everything. The budget is cut to \
         a third of the mean tick for {} s and then returns. ticks_per_s and level while it is cut.",
        (SHEDDING + MEASURED).as_secs()
    ));
    Ok(figures)
}

/// Some seconds of play.
struct Part {
    ticks: Scrape,
    seconds: f64,
    /// At its end.
    level: f64,
}

impl Part {
    fn measure(child: &Child, swarm: &mut Swarm<Bot>) -> anyhow::Result<Self> {
        let (before, began) = (Scrape::of(child.address())?, Instant::now());
        swarm.run_for(MEASURED)?;
        let (after, seconds) = (Scrape::of(child.address())?, began.elapsed().as_secs_f64());
        Ok(Self { ticks: after.since(&before), seconds, level: after.level })
    }

    fn ticks_per_s(&self) -> f64 {
        self.ticks.tick.count() / self.seconds
    }
}

/// How long it takes until nothing is left out any more.
fn recover(child: &Child, swarm: &mut Swarm<Bot>) -> anyhow::Result<f64> {
    let began = Instant::now();
    while Scrape::of(child.address())?.level > 0.0 && began.elapsed() < RECOVERY_MAX {
        swarm.run_for(LOOK_INTERVAL)?;
    }
    Ok(began.elapsed().as_secs_f64())
}
