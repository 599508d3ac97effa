//! Measures how it feels: what players see and do over good and bad networks, compared with what really was, in virtual
//! time.
//!
//! Path: for each of [`LINKS`] a room of real clients that computer pilots fly by what their screens show
//! (`feel/world.rs`, `feel/player.rs`) → what the pages showed (`feel/player_log.rs`) is compared with the room's own
//! history (`feel/ground_truth.rs`) → figures (`feel/evaluation.rs`), with an aim where there is one. Clocks that jump are
//! measured by themselves (`feel/clock_jumps.rs`), and so are stalls of a real socket (`feel/real_socket.rs`).
//! Invariant: same seed, same figures; nothing depends on how fast the machine is.

mod clock_jumps;
mod evaluation;
mod ground_truth;
pub(crate) mod pictures;
mod player;
mod player_log;
mod real_socket;
mod scenario;
mod world;

use crate::report::{Aim, Figures, Progress};
use evaluation::Evaluation;
use scenario::{LinkProfile, PLAYERS, SEED, STALL_MS, link};
use world::{TICK_MS, World};

/// Some two thousand hits: a share of 98 % is then good to a third of a percent.
const MEASURED_MINUTES: f64 = 3.0;
/// So many stalls of this length per player, one player after the other.
const STALLS: usize = 3;
const STALL_EVERY_MS: f64 = 700.0;
/// What a stall may add to a round trip until the picture is right.
const RECOVERY_ALLOWED_MS: f64 = 100.0;
/// Where there are stalls, each player has one this often on average.
const STALLS_EVERY_MS: f64 = 8000.0;
/// The variable that says another seed.
const SEED_VARIABLE: &str = "FEEL_SEED";
/// The variable that leaves out all links but one.
const LINK_VARIABLE: &str = "FEEL_LINK";

const LINKS: &[LinkProfile] = &[
    link("0ms", 0.0, 0.0),
    link("0ms_jitter20", 0.0, 20.0),
    link("50ms", 50.0, 0.0),
    link("50ms_jitter20", 50.0, 20.0),
    link("50ms_jitter50", 50.0, 50.0),
    link("150ms", 150.0, 0.0),
    link("150ms_jitter20", 150.0, 20.0),
    link("150ms_jitter50", 150.0, 50.0),
    link("300ms", 300.0, 0.0),
    link("300ms_jitter20", 300.0, 20.0),
    link("300ms_jitter50", 300.0, 50.0),
    LinkProfile { has_stalls: true, ..link("150ms_jitter20_stalls", 150.0, 20.0) },
];

/// The measurement.
pub(crate) fn run(progress: &Progress) -> anyhow::Result<Figures> {
    let seed = match std::env::var(SEED_VARIABLE) {
        Ok(text) => text.parse().map_err(|_| anyhow::anyhow!("{SEED_VARIABLE} is \"{text}\", but must be a number"))?,
        Err(_) => SEED,
    };
    let mut figures = Figures::default();
    let only = std::env::var(LINK_VARIABLE).ok();
    for link in LINKS.iter().filter(|link| only.as_ref().is_none_or(|only| link.name == only)) {
        progress.say(&format!("feel: {}", link.name));
        link.measure(seed, &mut figures)?;
    }
    clock_jumps::measure(seed, only.as_deref(), progress, &mut figures)?;
    if only.is_none() {
        progress.say("feel: a stall over a real socket");
        figures.add_median("socket.stall_recovery_ms", real_socket::recoveries_ms()?, Aim::AtMost(RECOVERY_ALLOWED_MS));
        for (name, pause_ms) in [("400ms", 400.0), ("1500ms", 1500.0), ("4000ms", 4000.0)] {
            progress.say(&format!("feel: a pause of {name} over a real socket"));
            let key = format!("socket.pause_{name}.input_delay_back_ms");
            figures.add_median(
                &key,
                real_socket::back_after_pauses_ms(pause_ms)?,
                Aim::AtMost(clock_jumps::BACK_MAX_MS),
            );
        }
    }
    figures.note(format!(
        "seed {seed} ({SEED_VARIABLE}=… plays another), {PLAYERS} players, {MEASURED_MINUTES} minutes of virtual time each"
    ));
    Ok(figures)
}

impl LinkProfile {
    fn measure(self, seed: u64, figures: &mut Figures) -> anyhow::Result<()> {
        let mut world = World::new(self.conditions(), PLAYERS, seed)?;
        self.play(&mut world)?;
        self.evaluate_play(Evaluation::new(&world), figures);
        if !self.has_stalls {
            let mut world = World::new(self.conditions(), PLAYERS, seed)?;
            stall_each(&mut world)?;
            let recoveries = Evaluation::new(&world).stall_recoveries_ms();
            self.add(figures, "stall_recovery_ms", Evaluation::quantile(recoveries, 0.95), self.recovery());
        }
        Ok(())
    }

    fn play(self, world: &mut World) -> anyhow::Result<()> {
        let end_ms = world.now_ms() + MEASURED_MINUTES * 60_000.0;
        while world.now_ms() < end_ms {
            world.run(100.0)?;
            for player in 0..PLAYERS {
                let is_stalled = world.players[player].log.stalls.last().is_some_and(|(_, end)| *end > world.now_ms());
                if self.has_stalls && !is_stalled && world.share() < 100.0 / STALLS_EVERY_MS {
                    let for_ms = world.share() * STALL_MS;
                    world.stall(player, for_ms);
                }
            }
        }
        Ok(())
    }

    fn evaluate_play(self, evaluation: Evaluation<'_>, figures: &mut Figures) {
        let is_calm = self.jitter_ms <= 20.0 && !self.has_stalls;
        let is_near = self.rtt_ms <= 150.0 && !self.has_stalls;
        let when = |does: bool, aim: Aim| if does { aim } else { Aim::None };
        let quantile = Evaluation::quantile;
        self.add(
            figures,
            "corrections_without_contact",
            Some(evaluation.corrections_without_contact()),
            Aim::AtMost(0.0),
        );
        self.add(figures, "late_input_share", Some(evaluation.late_input_share()), when(is_calm, Aim::AtMost(0.005)));
        let corrections = evaluation.corrections();
        let per_minute = corrections.len() as f64 / PLAYERS as f64 / MEASURED_MINUTES;
        self.add(figures, "corrections_per_minute", Some(per_minute), Aim::None);
        for (key, lengths) in
            [("correction_p99_lengths", corrections), ("correction_shown_p99_lengths", evaluation.corrections_shown())]
        {
            // Where nothing is corrected, the largest correction is none.
            let p99 = quantile(lengths, 0.99).unwrap_or(0.0);
            self.add(figures, key, Some(p99), when(is_near, Aim::AtMost(0.25)));
        }
        let shots = evaluation.shots();
        let hits = shots.confirmed + shots.unseen;
        self.add(figures, "hits", Some(hits), Aim::None);
        let agreement = (shots.met > 0.0).then_some(shots.confirmed / shots.met);
        self.add(figures, "hit_agreement", agreement, when(is_near, Aim::AtLeast(0.98)));
        let unseen = (hits > 0.0).then_some(shots.unseen / hits);
        self.add(figures, "unseen_hits", unseen, when(is_near, Aim::AtMost(0.02)));
        let bound = Aim::AtMost(Evaluation::bound_ms());
        self.add(figures, "hit_after_escape_ms", quantile(evaluation.after_escape_ms(), 0.95), bound);
        self.add(figures, "hit_after_escape_shown_ms", quantile(evaluation.after_escape_shown_ms(), 0.95), Aim::None);
        let delays = evaluation.input_delays();
        let key = "input_delay_over_floor_ticks";
        self.add(figures, key, quantile(delays.clone(), 0.5), when(is_calm, Aim::AtMost(3.0)));
        self.add(figures, &format!("{key}_p99"), quantile(delays, 0.99), when(is_calm, Aim::AtMost(4.0)));
        let most = self.jitter_ms * 0.95 / TICK_MS + 1.0;
        let delay = quantile(evaluation.interpolation_delays(), 0.5);
        self.add(figures, "interpolation_delay_ticks", delay, when(!self.has_stalls, Aim::AtMost(most)));
        let uneven = quantile(evaluation.uneven_steps(), 0.99);
        self.add(figures, "uneven_steps_p99", uneven, when(is_near, Aim::AtMost(0.1)));
        let (errors, jumps) = evaluation.others();
        self.add(figures, "others_error_p99_lengths", quantile(errors, 0.99), Aim::None);
        self.add(figures, "others_jump_p999_lengths", quantile(jumps, 0.999), Aim::None);
        let pops = evaluation.pops() / PLAYERS as f64 / MEASURED_MINUTES;
        self.add(figures, "others_pops_per_minute", Some(pops), when(!self.has_stalls, Aim::AtMost(0.5)));
    }

    fn recovery(self) -> Aim {
        Aim::AtMost(self.rtt_ms + RECOVERY_ALLOWED_MS)
    }

    fn add(self, figures: &mut Figures, key: &str, value: Option<f64>, aim: Aim) {
        if let Some(value) = value {
            figures.add(format!("{}.{key}", self.name), value, aim);
        }
    }
}

/// Every player has stalls, while the others play on.
fn stall_each(world: &mut World) -> anyhow::Result<()> {
    for turn in 0..STALLS * PLAYERS {
        world.stall(turn % PLAYERS, STALL_MS);
        world.run(STALL_EVERY_MS)?;
    }
    world.run(2.0 * STALL_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Deaths, respawns and links of every delay are among it; contact is not counted.
    #[test]
    fn nothing_is_corrected_without_contact() {
        for (rtt_ms, jitter_ms) in [(0.0, 0.0), (50.0, 20.0), (150.0, 0.0), (300.0, 50.0)] {
            let conditions = link("", rtt_ms, jitter_ms).conditions();
            let mut world = World::new(conditions, 6, SEED).unwrap();
            world.run(15_000.0).unwrap();
            assert_eq!(Evaluation::new(&world).corrections_without_contact(), 0.0, "{conditions:?}");
        }
    }

    #[test]
    fn a_stall_of_two_seconds_is_over_a_round_trip_later() {
        let link = link("", 150.0, 0.0);
        let mut world = World::new(link.conditions(), PLAYERS, SEED).unwrap();
        stall_each(&mut world).unwrap();
        let recovery = Evaluation::new(&world).stall_recoveries_ms();
        // Page, room and screen each take what has come at their next turn.
        assert!(recovery.iter().all(|ms| *ms <= link.rtt_ms + 3.0 * TICK_MS), "{recovery:?}");
    }
}
