//! The numbers of a room, as the integers that its steps compute with: each feature's part, put together as they go over
//! the wire.
//!
//! Path: `assets/tuning.ron`, written in people's units, → [`Rules::parse`] → resources of the world, and in the welcome of
//! every client, which steps rows with the very same numbers.
//! Invariants: no floats; every value lies in the range that its feature states for it, so that no step can leave
//! a field's declared range, divide by zero or carry anything farther than a cell in a tick. On the wire the numbers stand
//! in the order of the fields, without names: who changes that, changes the wire.

pub use crate::tuning::{RulesError, TICKS_PER_S};

use crate::{
    bullet::{GunRules, GunTuning},
    flight::{BoostTuning, FlightRules, FlightTuning},
    plane::MotionRules,
    ramming::{RammingRules, RammingTuning},
    schema::{FIELD_MAX_CELLS, Grid},
    spawn::{RespawnRules, RespawnTuning},
    standing::{ScoreRules, ScoreTuning},
    tuning::number,
};
use bevy_ecs::prelude::Resource;
use serde::{Deserialize, Serialize};

/// The tuning that ships with the game.
const DEFAULT_TUNING: &str = include_str!("../../assets/tuning.ron");

/// The rules of a room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Resource)]
pub struct Rules {
    /// What the motion step reads, and what else happens to planes in flight.
    pub motion: MotionRules,
    /// How planes come and come back.
    pub respawn: RespawnRules,
    /// What earns points.
    pub score: ScoreRules,
}

/// The tuning file as a whole.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Tuning {
    field: FieldTuning,
    flight: FlightTuning,
    boost: BoostTuning,
    guns: GunTuning,
    ramming: RammingTuning,
    respawn: RespawnTuning,
    score: ScoreTuning,
}

#[derive(Debug, Deserialize)]
#[serde(rename = "Field", deny_unknown_fields)]
struct FieldTuning {
    cells: f64,
    border: f64,
}

impl Rules {
    /// Reads rules from the text of a tuning file.
    ///
    /// # Errors
    /// If the text is not a tuning file, or a number is out of its range; the error is a sentence that names the field
    /// and says what would be right.
    pub fn parse(text: &str) -> Result<Self, RulesError> {
        let tuning: Tuning = ron::from_str(text).map_err(|e| RulesError(format!("not a tuning file: {e}")))?;
        let Tuning { field, flight, boost, guns, ramming, respawn, score } = &tuning;
        Ok(Self {
            motion: MotionRules {
                grid: Grid {
                    cells: number("field.cells", field.cells, 3.0..=f64::from(FIELD_MAX_CELLS), "cells", 1.0)?,
                },
                flight: FlightRules::from_tuning(field.border, flight, boost)?,
                guns: GunRules::from_tuning(guns)?,
                ramming: RammingRules::from_tuning(ramming)?,
            },
            respawn: RespawnRules::from_tuning(respawn)?,
            score: ScoreRules::from_tuning(score)?,
        })
    }

    /// The names of all numbers, as they lie in each other and in their order, without the numbers: what both ends must have
    /// the same to read each other's rules.
    pub fn declaration() -> String {
        let text = ron::to_string(&Self::default()).expect("plain numbers always encode");
        text.chars().filter(|c| !c.is_ascii_digit() && !matches!(c, '-' | '.')).collect()
    }

    /// Whether no step can leave a field's range or divide by zero by these rules. [`Rules::parse`] only makes such;
    /// rules that came over a wire must be asked.
    pub fn are_sound(&self) -> bool {
        let MotionRules { grid, flight, guns, ramming } = &self.motion;
        (3..=FIELD_MAX_CELLS).contains(&grid.cells) && flight.are_sound() && guns.are_sound() && ramming.are_sound()
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self::parse(DEFAULT_TUNING).expect("a test parses assets/tuning.ron")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_tuning_is_valid_and_feels_as_intended() {
        let rules = Rules::parse(DEFAULT_TUNING).unwrap();
        assert_eq!(rules, Rules::default());
        assert!(rules.are_sound());
        let is_sound = |change: &dyn Fn(&mut Rules)| {
            let mut changed = rules.clone();
            change(&mut changed);
            changed.are_sound()
        };
        assert!(!is_sound(&|rules| rules.motion.grid.cells = 0));
        assert!(!is_sound(&|rules| rules.motion.flight.boost_speed = rules.motion.flight.throttle_speeds[0]));
        assert_eq!(rules.motion.flight.throttle_speeds[1], 3823, "cruise is 7 lengths a second");
        assert_eq!(rules.motion.guns.pause, 9, "6 to 7 shots a second");
    }

    #[test]
    fn a_wrong_number_is_named_with_what_would_be_right() {
        let text = DEFAULT_TUNING.replace("boost: 13.0", "boost: 900.0");
        let sentence = Rules::parse(&text).unwrap_err().to_string();
        assert!(sentence.contains("flight.boost") && sentence.contains("59"), "{sentence}");
    }

    #[test]
    fn a_missing_or_unknown_field_is_named() {
        for (from, to, names) in [("damage: 10,", "", ["damage", "Guns"]), ("kill: 10,", "kil: 10,", ["kil", "Score"])]
        {
            let sentence = Rules::parse(&DEFAULT_TUNING.replace(from, to)).unwrap_err().to_string();
            assert!(names.iter().all(|name| sentence.contains(name)), "{sentence}");
        }
    }

    #[test]
    fn speeds_must_ascend() {
        let text = DEFAULT_TUNING.replace("cruise: 7.0", "cruise: 9.5");
        assert!(Rules::parse(&text).unwrap_err().to_string().contains("flight.full"));
    }

    #[test]
    fn the_field_has_3_to_128_cells_a_side() {
        let parse = |cells: &str| Rules::parse(&DEFAULT_TUNING.replace("cells: 10", cells));
        for cells in [3, FIELD_MAX_CELLS] {
            assert_eq!(parse(&format!("cells: {cells}")).unwrap().motion.grid.cells, cells);
        }
        for cells in ["cells: 2", "cells: 129"] {
            let sentence = parse(cells).unwrap_err().to_string();
            assert!(sentence.ends_with("must be between 3 and 128 cells"), "{sentence}");
        }
    }
}
