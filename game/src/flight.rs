//! The numbers of flight: what planes can do by a room's rules, and what no rules may ask of them.

use crate::{
    geometry::TURN,
    schema::CELL_UNITS,
    tuning::{self, LENGTH, RulesError, SPEED, number, share},
};
use serde::{Deserialize, Serialize};

/// Health of a new plane.
pub const HEALTH_FULL: i32 = 100;
/// A full store of boost.
pub const ENERGY_FULL: i32 = 10_000;
/// Fastest plane of any rules, 1/16 unit per tick: just under 60 plane lengths a second.
pub const SPEED_MAX: i32 = 32_767;
const _: () = assert!(SPEED_MAX / 16 < CELL_UNITS, "nothing moves farther than a cell in a tick");

/// How planes fly. Speeds are in 1/16 unit per tick, other lengths in units (see [`crate::geometry`]), turns in 1/65536 of
/// a full turn, times in ticks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlightRules {
    /// Width of the strip along the edge in which the autopilot turns a plane back.
    pub border: i32,
    /// Speed with throttle 0, 1 and 2; ascending.
    pub throttle_speeds: [i32; 3],
    /// Speed while boosting; above all of `throttle_speeds`.
    pub boost_speed: i32,
    /// Gain of speed per tick.
    pub thrust: i32,
    /// Gain of speed per tick while boosting.
    pub boost_thrust: i32,
    /// Loss of speed per tick.
    pub drag: i32,
    /// Turn per tick with the stick hard over at the slowest speed.
    pub turn_slow: i32,
    /// The same at boost speed.
    pub turn_fast: i32,
    /// Per mille of the speed that flying with the stick hard over costs.
    pub turn_cost: i32,
    /// Energy per tick of boosting, of [`ENERGY_FULL`].
    pub boost_drain: i32,
    /// Energy won per tick of not boosting.
    pub boost_refill: i32,
}

/// How planes fly, as the tuning file says it.
#[derive(Debug, Deserialize)]
#[serde(rename = "Flight", deny_unknown_fields)]
pub(crate) struct FlightTuning {
    slow: f64,
    cruise: f64,
    full: f64,
    boost: f64,
    thrust: f64,
    boost_thrust: f64,
    drag: f64,
    turn_slow: f64,
    turn_fast: f64,
    turn_cost: f64,
}

/// How long planes boost, as the tuning file says it.
#[derive(Debug, Deserialize)]
#[serde(rename = "Boost", deny_unknown_fields)]
pub(crate) struct BoostTuning {
    lasts: f64,
    refills: f64,
}

impl FlightRules {
    /// Checks every number and converts it; `border` is the field's, in plane lengths.
    pub(crate) fn from_tuning(border: f64, flight: &FlightTuning, boost: &BoostTuning) -> Result<Self, RulesError> {
        Ok(Self {
            border: number("field.border", border, 0.0..=8.0, "plane lengths", LENGTH)?,
            throttle_speeds: [
                speed("flight.slow", flight.slow, 0.0)?,
                speed("flight.cruise", flight.cruise, flight.slow)?,
                speed("flight.full", flight.full, flight.cruise)?,
            ],
            boost_speed: speed("flight.boost", flight.boost, flight.full)?,
            thrust: acceleration("flight.thrust", flight.thrust)?,
            boost_thrust: acceleration("flight.boost_thrust", flight.boost_thrust)?,
            drag: acceleration("flight.drag", flight.drag)?,
            turn_slow: turn("flight.turn_slow", flight.turn_slow)?,
            turn_fast: turn("flight.turn_fast", flight.turn_fast)?,
            turn_cost: share("flight.turn_cost", flight.turn_cost)?,
            boost_drain: per_tick("boost.lasts", boost.lasts)?,
            boost_refill: per_tick("boost.refills", boost.refills)?,
        })
    }

    /// Whether no step of a plane can leave a field's range or divide by zero by these rules.
    pub(crate) fn are_sound(&self) -> bool {
        let [slow, cruise, full] = self.throttle_speeds;
        let speeds = [0, slow, cruise, full, self.boost_speed, SPEED_MAX];
        let small = [
            self.border,
            self.thrust,
            self.boost_thrust,
            self.drag,
            self.turn_slow,
            self.turn_fast,
            self.turn_cost,
            self.boost_drain,
            self.boost_refill,
        ];
        speeds.is_sorted()
            && slow < self.boost_speed
            && small.iter().all(|value| (0..=TURN).contains(value))
            && (0..=1000).contains(&self.turn_cost)
    }
}

/// Lengths per second, at least half a length faster than `slower`: the turn rate divides by the difference.
fn speed(field: &str, value: f64, slower: f64) -> Result<i32, RulesError> {
    number(field, value, slower + 0.5..=(f64::from(SPEED_MAX) / SPEED).floor(), "lengths per second", SPEED)
}

/// Lengths per second each second.
fn acceleration(field: &str, value: f64) -> Result<i32, RulesError> {
    number(field, value, 0.5..=1000.0, "lengths per second each second", SPEED / tuning::SECOND)
}

fn turn(field: &str, value: f64) -> Result<i32, RulesError> {
    number(field, value, 5.0..=720.0, "degrees per second", tuning::DEGREES_PER_S)
}

/// Seconds that a full store of energy takes → energy per tick.
fn per_tick(field: &str, seconds: f64) -> Result<i32, RulesError> {
    let ticks = f64::from(number(field, seconds, 0.1..=60.0, "seconds", tuning::SECOND)?);
    Ok((f64::from(ENERGY_FULL) / ticks).round() as i32)
}
