//! The tuning file's shape, in people's units, and its one conversion to integers.
//!
//! Invariants: the only floats of the crate; they are gone once the rules exist. Each number is converted by one
//! multiplication and one rounding, both exact in IEEE 754, so that every platform gets the same integers.

use crate::{
    bullet::{LIFE_MAX_TICKS, SPEED_MAX as BULLET_SPEED_MAX},
    geometry::{PLANE_LENGTH_UNITS, TURN},
    plane::{ENERGY_FULL, HEALTH_FULL, REEL_MAX_TICKS, SHIELD_MAX_TICKS, SPEED_MAX},
    rules::{Rules, RulesError, TICKS_PER_S},
    schema::{CELL_UNITS, FIELD_MAX_CELLS, Grid},
};
use serde::Deserialize;
use std::ops::RangeInclusive;

const LENGTH: f64 = PLANE_LENGTH_UNITS as f64;
const SECOND: f64 = TICKS_PER_S as f64;
/// Plane lengths per second → 1/16 unit per tick.
const SPEED: f64 = LENGTH * 16.0 / SECOND;
/// Degrees per second → heading units per tick.
const DEGREES_PER_S: f64 = TURN as f64 / 360.0 / SECOND;

/// The file as a whole.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tuning {
    field: Field,
    flight: Flight,
    boost: Boost,
    guns: Guns,
    ramming: Ramming,
    respawn: Respawn,
    score: Score,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Field {
    cells: f64,
    border: f64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Flight {
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

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Boost {
    lasts: f64,
    refills: f64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Guns {
    pause: f64,
    speed: f64,
    inherits: f64,
    life: f64,
    damage: f64,
    reach: f64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ramming {
    reach: f64,
    damage: f64,
    reel: f64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Respawn {
    shield: f64,
    clearance: f64,
    bots_wait: f64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Score {
    hit: f64,
    kill: f64,
}

impl Tuning {
    /// Checks every number and converts it.
    pub(crate) fn to_rules(&self) -> Result<Rules, RulesError> {
        let Self { field, flight, boost, guns, ramming, respawn, score } = self;
        let health = f64::from(HEALTH_FULL);
        let rules = Rules {
            grid: Grid { cells: number("field.cells", field.cells, 3.0..=f64::from(FIELD_MAX_CELLS), "cells", 1.0)? },
            border: number("field.border", field.border, 0.0..=8.0, "plane lengths", LENGTH)?,
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
            gun_pause: ticks("guns.pause", guns.pause, 255)?,
            bullet_speed: number("guns.speed", guns.speed, 1.0..=150.0, "lengths per second", LENGTH / SECOND)?,
            bullet_inherits: share("guns.inherits", guns.inherits)?,
            bullet_life: ticks("guns.life", guns.life, LIFE_MAX_TICKS)?,
            bullet_damage: number("guns.damage", guns.damage, 1.0..=health, "of health", 1.0)?,
            bullet_reach: number("guns.reach", guns.reach, 0.1..=2.0, "plane lengths", LENGTH)?,
            ram_reach: number("ramming.reach", ramming.reach, 0.1..=1.0, "plane lengths", LENGTH)?,
            ram_damage: number("ramming.damage", ramming.damage, 0.0..=health, "of health", 1.0)?,
            ram_reel: ticks("ramming.reel", ramming.reel, REEL_MAX_TICKS)?,
            spawn_shield: ticks("respawn.shield", respawn.shield, SHIELD_MAX_TICKS)?,
            spawn_clearance: number("respawn.clearance", respawn.clearance, 0.0..=100.0, "plane lengths", LENGTH)?,
            bots_wait: ticks("respawn.bots_wait", respawn.bots_wait, 3600)?,
            hit_score: number("score.hit", score.hit, 0.0..=1000.0, "points", 1.0)?,
            kill_score: number("score.kill", score.kill, 0.0..=1000.0, "points", 1.0)?,
        };
        Ok(rules)
    }
}

/// `value` times `factor`, rounded, if it is within `range`.
fn number(field: &str, value: f64, range: RangeInclusive<f64>, unit: &str, factor: f64) -> Result<i32, RulesError> {
    if range.contains(&value) {
        return Ok((value * factor).round() as i32);
    }
    let (least, most) = range.into_inner();
    Err(RulesError(format!("{field} is {value}, but must be between {least} and {most} {unit}")))
}

/// Lengths per second, at least half a length faster than `slower`: the turn rate divides by the difference.
fn speed(field: &str, value: f64, slower: f64) -> Result<i32, RulesError> {
    number(field, value, slower + 0.5..=(f64::from(SPEED_MAX) / SPEED).floor(), "lengths per second", SPEED)
}

/// Lengths per second each second.
fn acceleration(field: &str, value: f64) -> Result<i32, RulesError> {
    number(field, value, 0.5..=1000.0, "lengths per second each second", SPEED / SECOND)
}

fn turn(field: &str, value: f64) -> Result<i32, RulesError> {
    number(field, value, 5.0..=720.0, "degrees per second", DEGREES_PER_S)
}

/// A share → per mille.
fn share(field: &str, value: f64) -> Result<i32, RulesError> {
    number(field, value, 0.0..=0.9, "(a share)", 1000.0)
}

/// Seconds → ticks.
fn ticks(field: &str, value: f64, most: i32) -> Result<i32, RulesError> {
    // A tick is 0.0167 s: 0.02 is the least that can be written plainly.
    number(field, value, 0.02..=(f64::from(most) / SECOND * 100.0).floor() / 100.0, "seconds", SECOND)
}

/// Seconds that a full store of energy takes → energy per tick.
fn per_tick(field: &str, seconds: f64) -> Result<i32, RulesError> {
    let ticks = f64::from(number(field, seconds, 0.1..=60.0, "seconds", SECOND)?);
    Ok((f64::from(ENERGY_FULL) / ticks).round() as i32)
}

/// The fastest bullet that the ranges above allow stays within its declared range, and below a cell a tick.
const _: () = assert!(150 * PLANE_LENGTH_UNITS / TICKS_PER_S + SPEED_MAX / 16 <= BULLET_SPEED_MAX);
const _: () = assert!(BULLET_SPEED_MAX < CELL_UNITS && SPEED_MAX / 16 < CELL_UNITS);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_field_has_3_to_128_cells_a_side() {
        let parse = |cells: &str| Rules::parse(&include_str!("../../assets/tuning.ron").replace("cells: 10", cells));
        for cells in [3, FIELD_MAX_CELLS] {
            assert_eq!(parse(&format!("cells: {cells}")).unwrap().grid.cells, cells);
        }
        for cells in ["cells: 2", "cells: 129"] {
            let sentence = parse(cells).unwrap_err().to_string();
            assert!(sentence.ends_with("must be between 3 and 128 cells"), "{sentence}");
        }
    }
}
