//! From the units of people, in which the tuning file is written, to the integers of the rules.
//!
//! Invariants: the only floats of the crate are in the tuning file's sections; they are gone once the rules exist. Each number
//! is converted by one multiplication and one rounding, both exact in IEEE 754, so that every platform gets the same integers.

use crate::geometry::{PLANE_LENGTH_UNITS, TURN};
use std::{error, fmt, ops::RangeInclusive};

/// Ticks a second.
pub const TICKS_PER_S: i32 = 60;

/// Plane lengths → units.
pub(crate) const LENGTH: f64 = PLANE_LENGTH_UNITS as f64;
/// Seconds → ticks.
pub(crate) const SECOND: f64 = TICKS_PER_S as f64;
/// Plane lengths per second → 1/16 unit per tick.
pub(crate) const SPEED: f64 = LENGTH * 16.0 / SECOND;
/// Degrees per second → heading units per tick.
pub(crate) const DEGREES_PER_S: f64 = TURN as f64 / 360.0 / SECOND;

/// Why a tuning file was refused, as a sentence for its author.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RulesError(pub(crate) String);

impl fmt::Display for RulesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl error::Error for RulesError {}

/// `value` times `factor`, rounded, if it is within `range`.
pub(crate) fn number(
    field: &str,
    value: f64,
    range: RangeInclusive<f64>,
    unit: &str,
    factor: f64,
) -> Result<i32, RulesError> {
    if range.contains(&value) {
        return Ok((value * factor).round() as i32);
    }
    let (least, most) = range.into_inner();
    Err(RulesError(format!("{field} is {value}, but must be between {least} and {most} {unit}")))
}

/// A share → per mille.
pub(crate) fn share(field: &str, value: f64) -> Result<i32, RulesError> {
    number(field, value, 0.0..=0.9, "(a share)", 1000.0)
}

/// Seconds → ticks.
pub(crate) fn ticks(field: &str, value: f64, most: i32) -> Result<i32, RulesError> {
    // A tick is 0.0167 s: 0.02 is the least that can be written plainly.
    number(field, value, 0.02..=(f64::from(most) / SECOND * 100.0).floor() / 100.0, "seconds", SECOND)
}
