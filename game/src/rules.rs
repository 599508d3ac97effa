//! The numbers of a room, as the integers that its steps compute with.
//!
//! Path: `assets/tuning.ron`, written in people's units, → [`Rules::parse`] → a resource of the world, and in the
//! welcome of every client, which steps rows with the very same numbers.
//! Invariants: no floats; every value lies in the range that `tuning.rs` states for it, so that no step can leave
//! a field's declared range, divide by zero or carry anything farther than a cell in a tick.

use crate::{
    bullet::{LIFE_MAX_TICKS, SPEED_MAX as BULLET_SPEED_MAX},
    geometry::TURN,
    plane::{REEL_MAX_TICKS, SPEED_MAX},
    schema::{FIELD_MAX_CELLS, Grid},
    tuning::Tuning,
};
use bevy_ecs::prelude::Resource;
use serde::{Deserialize, Serialize};
use std::{error, fmt};

/// Ticks a second.
pub const TICKS_PER_S: i32 = 60;
/// The tuning that ships with the game.
const DEFAULT_TUNING: &str = include_str!("../../assets/tuning.ron");

/// The rules of a room. Speeds of planes are in 1/16 unit per tick, other lengths in units (see [`crate::geometry`]),
/// turns in 1/65536 of a full turn, times in ticks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Resource)]
pub struct Rules {
    /// The field's.
    #[serde(rename = "field_cells")]
    pub grid: Grid,
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
    /// Energy per tick of boosting, of [`crate::plane::ENERGY_FULL`].
    pub boost_drain: i32,
    /// Energy won per tick of not boosting.
    pub boost_refill: i32,
    /// Ticks from shot to shot.
    pub gun_pause: i32,
    /// Speed of a bullet, units per tick.
    pub bullet_speed: i32,
    /// Per mille of the plane's own speed that a bullet has on top.
    pub bullet_inherits: i32,
    /// Ticks a bullet flies.
    pub bullet_life: i32,
    /// Health that a bullet takes.
    pub bullet_damage: i32,
    /// A bullet hits within this distance of a plane's middle.
    pub bullet_reach: i32,
    /// Planes touch when their middles are nearer than twice this.
    pub ram_reach: i32,
    /// Health that ramming takes from both.
    pub ram_damage: i32,
    /// Ticks for which a rammed plane reels: it turns away and is slowed, whatever its pilot does.
    pub ram_reel: i32,
    /// Ticks of protection after a spawn.
    pub spawn_shield: i32,
    /// A place to spawn is preferred if nobody is nearer than this.
    pub spawn_clearance: i32,
    /// Ticks until a computer pilot that was shot down asks to fly again.
    pub bots_wait: i32,
    /// Points for a hit.
    pub hit_score: i32,
    /// Points for shooting somebody down.
    pub kill_score: i32,
}

impl Rules {
    /// Reads rules from the text of a tuning file.
    ///
    /// # Errors
    /// If the text is not a tuning file, or a number is out of its range; the error is a sentence that names the field
    /// and says what would be right.
    pub fn parse(text: &str) -> Result<Self, RulesError> {
        let tuning: Tuning = ron::from_str(text).map_err(|e| RulesError(format!("not a tuning file: {e}")))?;
        tuning.to_rules()
    }

    /// Whether no step can leave a field's range or divide by zero by these rules. [`Rules::parse`] only makes such;
    /// rules that came over a wire must be asked.
    pub fn are_sound(&self) -> bool {
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
            self.bullet_speed,
            self.bullet_inherits,
        ];
        (3..=FIELD_MAX_CELLS).contains(&self.grid.cells)
            && speeds.is_sorted()
            && slow < self.boost_speed
            && small.iter().all(|value| (0..=TURN).contains(value))
            && [self.turn_cost, self.bullet_inherits].iter().all(|share| (0..=1000).contains(share))
            && (0..=255).contains(&self.gun_pause)
            && (0..=REEL_MAX_TICKS).contains(&self.ram_reel)
            && (1..=LIFE_MAX_TICKS).contains(&self.bullet_life)
            && self.bullet_speed + SPEED_MAX * self.bullet_inherits / 16_000 <= BULLET_SPEED_MAX
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self::parse(DEFAULT_TUNING).expect("a test parses assets/tuning.ron")
    }
}

/// Why a tuning file was refused, as a sentence for its author.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RulesError(pub(crate) String);

impl fmt::Display for RulesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl error::Error for RulesError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_tuning_is_valid_and_feels_as_intended() {
        let rules = Rules::parse(DEFAULT_TUNING).unwrap();
        assert_eq!(rules, Rules::default());
        assert!(rules.are_sound());
        assert!(!Rules { grid: Grid { cells: 0 }, ..rules.clone() }.are_sound());
        assert!(!Rules { boost_speed: rules.throttle_speeds[0], ..rules.clone() }.are_sound());
        assert_eq!(rules.throttle_speeds[1], 3823, "cruise is 7 lengths a second");
        assert_eq!(rules.gun_pause, 9, "6 to 7 shots a second");
    }

    #[test]
    fn a_wrong_number_is_named_with_what_would_be_right() {
        let text = DEFAULT_TUNING.replace("boost: 13.0", "boost: 900.0");
        let sentence = Rules::parse(&text).unwrap_err().to_string();
        assert!(sentence.contains("flight.boost") && sentence.contains("59"), "{sentence}");
    }

    #[test]
    fn a_missing_or_unknown_field_is_named() {
        for (from, to) in [("damage: 10,", ""), ("kill: 10,", "kil: 10,")] {
            let sentence = Rules::parse(&DEFAULT_TUNING.replace(from, to)).unwrap_err().to_string();
            assert!(sentence.contains("damage") || sentence.contains("kil"), "{sentence}");
        }
    }

    #[test]
    fn speeds_must_ascend() {
        let text = DEFAULT_TUNING.replace("cruise: 7.0", "cruise: 9.5");
        assert!(Rules::parse(&text).unwrap_err().to_string().contains("flight.full"));
    }
}
