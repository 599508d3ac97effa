//! The top list, and what a pilot may know of its own place in it.
//!
//! Path: whoever changes a score or joins marks the board stale; the board is ranked anew at the end of that tick.
//! Invariants: more points first, then the lower id; the rows change only when the top changes.

use crate::{
    roster::PilotId,
    row_kind,
    schedule::{Phase, Setup},
    schema::{Kind, nothing_is_derived},
    tuning::{RulesError, number},
};
use bevy_ecs::prelude::*;
use serde::{Deserialize, Serialize};

/// Lines of the top list.
pub const TOP_COUNT: usize = 10;
/// Highest score. Policy: it stays there.
pub const SCORE_MAX: i32 = 1_000_000;

row_kind! {
    /// A line of the top list; the row's id is the place, 0 = first.
    pub struct StandingRow {
        /// The pilot's id.
        pilot: 0..=65_535,
        /// Its points.
        score: 0..=SCORE_MAX,
    }
}

/// Kind of the top list's rows.
pub const STANDING: u8 = 2;

/// The declaration of the top list's lines: everybody sees them.
pub const KIND: Kind = Kind {
    number: STANDING,
    name: "standing",
    id_bits: 4,
    fields: StandingRow::FIELDS,
    is_placed: false,
    derived: 0,
    derive: nothing_is_derived,
};

/// What earns points.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Resource)]
pub struct ScoreRules {
    /// Points for a hit.
    pub hit: i32,
    /// Points for shooting somebody down.
    pub kill: i32,
}

/// The same as the tuning file says it.
#[derive(Debug, Deserialize)]
#[serde(rename = "Score", deny_unknown_fields)]
pub(crate) struct ScoreTuning {
    hit: f64,
    kill: f64,
}

impl ScoreRules {
    /// Checks every number and converts it.
    pub(crate) fn from_tuning(score: &ScoreTuning) -> Result<Self, RulesError> {
        let points = |field: &str, value: f64| number(field, value, 0.0..=1000.0, "points", 1.0);
        Ok(Self { hit: points("score.hit", score.hit)?, kill: points("score.kill", score.kill)? })
    }
}

/// How a pilot stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Points.
    pub score: i32,
    /// 1 is best.
    pub rank: u32,
    /// Among how many.
    pub ranked: u32,
    /// Set from the announcement until the plane flies again.
    pub respawn: Option<Respawn>,
}

/// Where a pilot will fly again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Respawn {
    /// Ticks until the rows have the plane: at least 1.
    pub in_ticks: u32,
    /// Units.
    pub x: i32,
    /// Units.
    pub y: i32,
    /// 0..65536.
    pub heading: i32,
    /// Shots fired before; see [`crate::plane::Plane::shots`].
    pub shots: i32,
}

/// A pilot's points.
#[derive(Debug, Clone, Copy, Default, Component)]
pub(crate) struct Score(pub(crate) i32);

impl Score {
    /// More points, up to [`SCORE_MAX`].
    pub(crate) fn win(&mut self, points: i32) {
        self.0 = (self.0 + points).min(SCORE_MAX);
    }
}

/// The ranking.
#[derive(Debug, Default, Resource)]
pub(crate) struct Board {
    /// The top list, best first.
    pub(crate) top: Vec<StandingRow>,
    /// A score changed, or somebody came or left.
    pub(crate) is_stale: bool,
    /// Every pilot's [`key`], best first.
    order: Vec<u64>,
}

impl Board {
    /// A pilot's place among all, 1 is best; 0 until the first ranking.
    pub(crate) fn rank(&self, pilot: PilotId, score: Score) -> u32 {
        self.order.binary_search(&key((pilot, score))).map_or(0, |index| index as u32 + 1)
    }

    /// Ranks all of these and nobody else.
    pub(crate) fn rank_all(&mut self, pilots: impl Iterator<Item = (PilotId, Score)>) {
        let Self { top, is_stale, order } = self;
        order.clear();
        order.extend(pilots.map(key));
        order.sort_unstable();
        let line = |key: &u64| StandingRow { pilot: (key & 0xffff) as i32, score: SCORE_MAX - (key >> 16) as i32 };
        top.clear();
        top.extend(order.iter().take(TOP_COUNT).map(line));
        *is_stale = false;
    }

    /// How many pilots are ranked.
    pub(crate) fn ranked(&self) -> u32 {
        self.order.len() as u32
    }
}

/// Lower is better: the points that are missing to the most, then the id.
fn key((pilot, score): (PilotId, Score)) -> u64 {
    ((SCORE_MAX - score.0) as u64) << 16 | u64::from(pilot.0)
}

/// Ranks the pilots.
pub(crate) fn plugin(setup: &mut Setup) {
    setup.world.register_component::<Score>();
    setup.world.init_resource::<Board>();
    setup.schedule.add_systems(rank.run_if(|board: Res<Board>| board.is_stale).in_set(Phase::Boards));
}

/// Plain numbers, sorted anew: with a thousand pilots somebody hits somebody in most ticks.
fn rank(mut board: ResMut<Board>, pilots: Query<(&PilotId, &Score)>) {
    board.rank_all(pilots.iter().map(|(pilot, score)| (*pilot, *score)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Game,
        plane::Plane,
        roster,
        test_support::{plane_at, room_with},
    };

    fn top(game: &Game) -> Vec<StandingRow> {
        let rows = game.all_rows();
        rows.iter().filter(|row| row.kind == STANDING).map(|row| StandingRow::from_fields(&row.fields)).collect()
    }

    /// SPEC A3.5.
    #[test]
    fn more_points_first_then_the_lower_id() {
        let (mut game, pilots) = room_with(&[plane_at(0, 0, 0); 12].map(|plane| Plane { shield: 100, ..plane }));
        for (pilot, points) in [(3, 5), (7, 9), (1, 5)] {
            roster::find_mut::<Score>(&mut game.world, pilots[pilot]).unwrap().win(points);
        }
        game.world.resource_mut::<Board>().is_stale = true;
        game.step();
        let lines = top(&game);
        assert_eq!(lines.len(), TOP_COUNT);
        let first: Vec<_> = lines.iter().take(4).map(|line| (line.pilot, line.score)).collect();
        let id = |index: usize| i32::from(pilots[index].0);
        assert_eq!(first, [(id(7), 9), (id(1), 5), (id(3), 5), (id(0), 0)]);
        let standing = game.standing(pilots[3]).unwrap();
        assert_eq!((standing.rank, standing.ranked, standing.score), (3, 12, 5));
    }

    #[test]
    fn who_leaves_leaves_the_list() {
        let (mut game, pilots) = room_with(&[plane_at(0, 0, 0), plane_at(9, 0, 0)]);
        game.leave(pilots[0]);
        game.step();
        assert_eq!(top(&game), [StandingRow { pilot: pilots[1].0.into(), score: 0 }]);
    }
}
