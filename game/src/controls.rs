//! What a pilot does with stick, throttle and buttons.
//!
//! Path: a session or a computer pilot says what it wants (`Game::control`, `fillers`); the last system of a tick writes
//! it into the plane's row, so that the next motion step of both ends flies by it.
//! Invariant: whatever bits arrive, the controls are in range.

use crate::{
    flight::FlightRules,
    geometry::turn_between,
    plane::{Plane, STEER_MAX, STICK_REST_TICKS, STICK_TICKS, THROTTLE_MAX},
    schedule::{Clock, Phase, Setup},
};
use bevy_ecs::prelude::*;
use serde::{Deserialize, Serialize};

/// The position of every control; as a pilot's component, what it wants them to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Component, Serialize, Deserialize)]
#[serde(default)]
pub struct Controls {
    /// Stick: -7 hard left ..= 7 hard right.
    pub steer: i32,
    /// 0 slow, 1 cruise, 2 full.
    pub throttle: i32,
    /// Boost pressed.
    pub boost: bool,
    /// Trigger pressed.
    pub fire: bool,
}

impl Default for Controls {
    /// Straight on at cruise.
    fn default() -> Self {
        Self { steer: 0, throttle: 1, boost: false, fire: false }
    }
}

impl Controls {
    /// The controls that a plane flies by now.
    pub fn of(plane: &Plane) -> Self {
        Self { steer: plane.steer, throttle: plane.throttle, boost: plane.boost == 1, fire: plane.fire == 1 }
    }

    /// As the low 8 bits: 4 steer + 7, 2 throttle, 1 boost, 1 fire.
    pub fn to_bits(self) -> u16 {
        let Self { steer, throttle, boost, fire } = self.in_range();
        (steer + STEER_MAX) as u16 | (throttle as u16) << 4 | u16::from(boost) << 6 | u16::from(fire) << 7
    }

    /// From any bits: what is out of range becomes the nearest that is not, and bits above the low 8 are ignored.
    pub fn from_bits(bits: u16) -> Self {
        let (steer, throttle) = (i32::from(bits & 15) - STEER_MAX, i32::from(bits >> 4 & 3));
        Self { steer, throttle, boost: bits >> 6 & 1 == 1, fire: bits >> 7 & 1 == 1 }.in_range()
    }

    /// The same, but steering `plane` towards `heading`.
    pub fn toward(self, plane: &Plane, heading: i32, flight: &FlightRules) -> Self {
        Self { steer: Self::steer_towards(plane.heading, heading, plane.turn_rate(flight)), ..self }
    }

    /// The strongest steer that turns `current` towards `wanted` within a tick and does not overshoot;
    /// `turn_rate_units` is the turn per tick with the stick hard over (several ticks' worth steers more softly).
    pub fn steer_towards(current: i32, wanted: i32, turn_rate_units: i32) -> i32 {
        let turn = turn_between(current, wanted);
        (turn * STEER_MAX / turn_rate_units.max(1)).clamp(-STEER_MAX, STEER_MAX)
    }

    /// Every control within its range.
    pub fn in_range(self) -> Self {
        Self { steer: self.steer.clamp(-STEER_MAX, STEER_MAX), throttle: self.throttle.clamp(0, THROTTLE_MAX), ..self }
    }
}

impl Plane {
    /// From its next step on the plane flies by these controls, wanted at the end of `tick`; but a stick in motion is read
    /// only every [`STICK_TICKS`].
    pub fn take_over(&mut self, controls: Controls, tick: u32) {
        let Controls { steer, throttle, boost, fire } = controls.in_range();
        (self.throttle, self.boost, self.fire) = (throttle, boost.into(), fire.into());
        if steer != self.steer && (self.stick_hold == 0 || tick.is_multiple_of(STICK_TICKS)) {
            (self.steer, self.stick_hold) = (steer, STICK_REST_TICKS);
        }
    }
}

/// Writes what the pilots want into the rows of their planes.
pub(crate) fn plugin(setup: &mut Setup) {
    setup.world.register_component::<Controls>();
    setup.schedule.add_systems(take_over.in_set(Phase::Controls));
}

fn take_over(clock: Res<Clock>, mut planes: Query<(&Controls, &mut Plane)>) {
    for (wanted, mut plane) in &mut planes {
        plane.take_over(*wanted, clock.tick);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::TURN;

    /// SPEC A5.3.
    #[test]
    fn bits_there_and_back_and_any_bits_are_in_range() {
        for bits in 0..=u16::MAX {
            let controls = Controls::from_bits(bits);
            assert_eq!(controls, controls.in_range());
            assert_eq!(Controls::from_bits(controls.to_bits()), controls);
        }
        let wild = Controls { steer: -100, throttle: 9, boost: true, fire: false };
        assert_eq!(Controls::from_bits(wild.to_bits()), wild.in_range());
    }

    #[test]
    fn steering_towards_a_heading_arrives_without_overshoot() {
        let rate = 455;
        for (from, wanted) in [(0, 20_000), (60_000, 3_000), (100, TURN / 2 + 99), (5, 5)] {
            let mut heading = from;
            for _ in 0..100 {
                let before = turn_between(heading, wanted);
                heading += rate * Controls::steer_towards(heading, wanted, rate) / STEER_MAX;
                let after = turn_between(heading, wanted);
                assert!(after.abs() <= before.abs() && (after == 0 || after.signum() == before.signum()));
            }
            assert!(turn_between(heading, wanted).abs() <= rate / STEER_MAX);
        }
    }
}
