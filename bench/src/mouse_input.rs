//! Simulated mouse input: steering that never quite rests, and fire in bursts, as of a person with a mouse.
//!
//! Path: [`MouseInput::aim`] looks (what a page's mouse does: a direction, which becomes a steer every tick);
//! [`MouseInput::blind`] does not, for measurements in which seeing would cost more than what is measured.
//! Invariants: the same seed gives the same movements; how often the controls change is counted.

use game::{
    Controls,
    geometry::{PLANE_LENGTH_UNITS, TURN, heading_of, squared, turn_between},
    plane::{Plane, STEER_MAX},
    rules::Rules,
};
use glam::IVec2;
use protocol::Tick;

/// So far off its target a plane is steered hard over.
const FULL_STEER_DEGREES: i32 = 100;
/// Largest random step of the steering per tick, 1/1000 of a steer.
const TREMOR: i32 = 1000;
/// One degree.
const DEGREE: i32 = TURN / 360;
/// A plane that is nearer is avoided.
const CROWDED_UNITS: i32 = 5 * PLANE_LENGTH_UNITS;
/// How far a bullet goes that is worth firing.
const RANGE_UNITS: i32 = 12 * PLANE_LENGTH_UNITS;

/// See the module.
#[derive(Debug, Clone)]
pub(crate) struct MouseInput {
    seed: u64,
    /// Sets this player's bursts and rests apart from others', ticks.
    phase: u32,
    draws: u64,
    /// How far the stick is from where it is meant to be, or from the middle, 1/1000.
    drift: i32,
    controls: Controls,
    /// Ticks moved, and those in which the controls changed.
    pub(crate) ticks: u64,
    pub(crate) changes: u64,
}

impl MouseInput {
    /// The mouse of a pilot.
    pub(crate) fn new(seed: u64, pilot: u16) -> Self {
        let seed = seed ^ u64::from(pilot) << 32;
        Self {
            seed,
            phase: u32::from(pilot).wrapping_mul(37),
            draws: 0,
            drift: 0,
            controls: Controls::default(),
            ticks: 0,
            changes: 0,
        }
    }

    /// A number in -range ..= range (SplitMix64's finaliser over a counter).
    fn draw(&mut self, range: i32) -> i32 {
        self.draws += 1;
        let mut x = self.seed.wrapping_add(self.draws.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((x ^ x >> 31) % (2 * range as u64 + 1)) as i32 - range
    }

    /// The mouse follows the nearest other plane, with a drift that is corrected now and then.
    pub(crate) fn aim<'a>(
        &mut self,
        me: &Plane,
        others: impl Iterator<Item = &'a Plane>,
        rules: &Rules,
        tick: Tick,
    ) -> Controls {
        let (mut target, mut danger) = (None, None);
        for other in others {
            let apart = squared(other.position() - me.position());
            let slot = if apart < squared(IVec2::new(CROWDED_UNITS, 0)) { &mut danger } else { &mut target };
            if slot.is_none_or(|(nearest, _)| apart < nearest) {
                *slot = Some((apart, other));
            }
        }
        let way = match (danger, target) {
            // Out of the way of the plane that is about to ram.
            (Some((_, other)), _) => me.position() - other.position() + me.velocity().perp() * 60,
            (None, Some((_, other))) => {
                // Where it will be when a bullet gets there.
                let way = other.position() - me.position();
                way + other.velocity() * (way.abs().max_element() / rules.motion.guns.speed.max(1))
            }
            (None, None) => IVec2::splat(rules.motion.grid.side_units() / 2) - me.position(),
        };
        // A mouse is moved for a while and rests for a while; a hand on it is never quite still.
        if (tick + self.phase) % 50 < 38 {
            self.drift += self.draw(TREMOR) - self.drift / 8;
        }
        let turn = turn_between(me.heading, heading_of(way));
        let steer = (turn * 7 / (FULL_STEER_DEGREES * DEGREE / 1000) + self.drift + 500).div_euclid(1000);
        let off = turn.abs();
        let is_near = squared(way) < squared(IVec2::new(RANGE_UNITS, 0));
        let burst = !((tick + self.phase) / 40).is_multiple_of(3);
        let controls = Controls {
            steer: steer.clamp(-STEER_MAX, STEER_MAX),
            throttle: if is_near { 1 } else { 2 },
            boost: !is_near && me.energy > 6_000 && off < 20 * DEGREE,
            fire: is_near && burst && off < 20 * DEGREE,
        };
        self.note(controls)
    }

    /// Other controls on every single tick: the most that a person could do.
    pub(crate) fn change_every_tick(&mut self, tick: Tick) -> Controls {
        let steer = self.draw(6);
        let steer = if steer == self.controls.steer { steer + 1 } else { steer };
        let fire = (tick + self.phase) % 60 < 20;
        self.note(Controls { steer, throttle: 1, boost: false, fire })
    }

    /// Steers, fires and boosts without looking.
    pub(crate) fn blind(&mut self, tick: Tick) -> Controls {
        self.drift += self.draw(800) - self.drift / 20;
        let phase = tick + self.phase;
        let controls = Controls {
            steer: (self.drift / 1000).clamp(-7, 7),
            throttle: (phase / 180 % 3) as i32,
            boost: phase % 240 < 30,
            fire: phase % 90 < 30,
        };
        self.note(controls)
    }

    fn note(&mut self, controls: Controls) -> Controls {
        self.ticks += 1;
        self.changes += u64::from(controls != self.controls);
        self.controls = controls;
        controls
    }
}

/// Share of ticks in which the controls of these inputs changed.
pub(crate) fn share_of_changes<'a>(inputs: impl Iterator<Item = &'a MouseInput>) -> f64 {
    let (ticks, changes) =
        inputs.fold((0, 0), |(ticks, changes), input| (ticks + input.ticks, changes + input.changes));
    changes as f64 / ticks.max(1) as f64
}
