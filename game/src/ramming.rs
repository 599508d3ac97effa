//! The numbers of ramming: from how near, how hard, and for how long a plane reels.

use crate::{
    flight::HEALTH_FULL,
    tuning::{LENGTH, RulesError, number, ticks},
};
use serde::{Deserialize, Serialize};

/// Longest reeling of any rules.
pub const REEL_MAX_TICKS: i32 = 51;

/// What planes that touch do to each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RammingRules {
    /// Planes touch when their middles are nearer than twice this, units.
    pub reach: i32,
    /// Health that it takes from both.
    pub damage: i32,
    /// Ticks for which a rammed plane reels: it turns away and is slowed, whatever its pilot does.
    pub reel: i32,
}

/// The same as the tuning file says it.
#[derive(Debug, Deserialize)]
#[serde(rename = "Ramming", deny_unknown_fields)]
pub(crate) struct RammingTuning {
    reach: f64,
    damage: f64,
    reel: f64,
}

impl RammingRules {
    /// Checks every number and converts it.
    pub(crate) fn from_tuning(ramming: &RammingTuning) -> Result<Self, RulesError> {
        Ok(Self {
            reach: number("ramming.reach", ramming.reach, 0.1..=1.0, "plane lengths", LENGTH)?,
            damage: number("ramming.damage", ramming.damage, 0.0..=f64::from(HEALTH_FULL), "of health", 1.0)?,
            reel: ticks("ramming.reel", ramming.reel, REEL_MAX_TICKS)?,
        })
    }

    /// Whether a plane's reeling stays in its range by these rules.
    pub(crate) fn are_sound(&self) -> bool {
        (0..=REEL_MAX_TICKS).contains(&self.reel)
    }
}
