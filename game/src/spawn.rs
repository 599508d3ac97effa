//! Spawning and removing planes: newcomers, respawns, leavers.
//!
//! Path: a newcomer flies at the next tick; somebody shot down asks to fly again (computer pilots by themselves), is
//! told the place, and flies [`NOTICE_TICKS`] later.
//! Invariants: the place is drawn by counter-based randomness from where the others are; a new plane is protected.

use crate::{
    geometry::{heading_of, squared},
    plane::{MotionRules, Plane, SHIELD_MAX_TICKS},
    random::{Purpose, rand},
    roster::{Bot, PilotId},
    schedule::{Clock, Phase, Setup},
    spatial_index::SpatialIndex,
    tuning::{LENGTH, RulesError, number, ticks},
};
use bevy_ecs::prelude::*;
use glam::IVec2;
use serde::{Deserialize, Serialize};

/// How long ahead a respawn's place is announced, so that every client shows it in time.
pub const NOTICE_TICKS: u32 = 30;
/// Longest that computer pilots stay down by any rules.
const BOTS_WAIT_MAX_TICKS: i32 = 3600;
/// Places tried for one that is clear of others. Policy: then the clearest of them.
const PLACES_TRIED_COUNT: u32 = 12;

/// How planes come and come back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Resource)]
pub struct RespawnRules {
    /// Ticks of protection after a spawn.
    pub shield: i32,
    /// A place to spawn is preferred if nobody is nearer than this, units.
    pub clearance: i32,
    /// Ticks until a computer pilot that was shot down asks to fly again.
    pub bots_wait: i32,
}

/// The same as the tuning file says it.
#[derive(Debug, Deserialize)]
#[serde(rename = "Respawn", deny_unknown_fields)]
pub(crate) struct RespawnTuning {
    shield: f64,
    clearance: f64,
    bots_wait: f64,
}

impl RespawnRules {
    /// Checks every number and converts it.
    pub(crate) fn from_tuning(respawn: &RespawnTuning) -> Result<Self, RulesError> {
        Ok(Self {
            shield: ticks("respawn.shield", respawn.shield, SHIELD_MAX_TICKS)?,
            clearance: number("respawn.clearance", respawn.clearance, 0.0..=100.0, "plane lengths", LENGTH)?,
            bots_wait: ticks("respawn.bots_wait", respawn.bots_wait, BOTS_WAIT_MAX_TICKS)?,
        })
    }
}

/// Whether a pilot flies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Status {
    /// Joined since the last tick.
    New,
    Flying,
    /// Shot down.
    Down {
        since: u32,
        /// Has asked to fly again.
        is_ready: bool,
    },
    /// Announced to fly again.
    Returning(Place),
}

/// How a pilot comes and goes.
#[derive(Debug, Clone, Component)]
pub(crate) struct Presence {
    pub(crate) status: Status,
    /// The next plane counts its shots from here.
    pub(crate) shots: i32,
    /// Gone by the next tick.
    pub(crate) is_leaving: bool,
}

impl Presence {
    /// A newcomer's.
    pub(crate) const NEW: Self = Self { status: Status::New, shots: 0, is_leaving: false };

    /// The pilot lost this plane.
    pub(crate) fn shot_down(&mut self, plane: &Plane, tick: u32) {
        self.status = Status::Down { since: tick, is_ready: false };
        self.shots = plane.shots;
    }
}

/// Where and when a plane will appear.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    /// The tick whose rows have the plane.
    pub(crate) tick: u32,
    pub(crate) at: IVec2,
    pub(crate) heading: i32,
}

/// Spawns, respawns and leaving.
pub(crate) fn plugin(setup: &mut Setup) {
    setup.world.register_component::<Presence>();
    setup.schedule.add_systems((leave, choose_places, appear).chain().in_set(Phase::Spawns));
}

fn leave(pilots: Query<(Entity, &Presence)>, mut commands: Commands) {
    for (entity, presence) in &pilots {
        if presence.is_leaving {
            commands.entity(entity).despawn();
        }
    }
}

/// Whoever was shot down has a plane until its next step, and asks for another one after that.
fn choose_places(
    (rules, respawn): (Res<MotionRules>, Res<RespawnRules>),
    clock: Res<Clock>,
    index: Res<SpatialIndex>,
    mut pilots: Query<(&PilotId, Has<Bot>, &mut Presence), Without<Plane>>,
) {
    for (id, is_bot, mut presence) in &mut pilots {
        let notice = match presence.status {
            Status::New => 0,
            Status::Down { is_ready: true, .. } => NOTICE_TICKS,
            Status::Down { since, .. } if is_bot && clock.tick >= since + respawn.bots_wait as u32 => NOTICE_TICKS,
            _ => continue,
        };
        let (at, heading) = place(*id, &clock, &index, &rules, &respawn);
        presence.status = Status::Returning(Place { tick: clock.tick + notice, at, heading });
    }
}

fn appear(
    (rules, respawn): (Res<MotionRules>, Res<RespawnRules>),
    clock: Res<Clock>,
    mut pilots: Query<(Entity, &mut Presence), Without<Plane>>,
    mut commands: Commands,
) {
    for (entity, mut presence) in &mut pilots {
        if let Status::Returning(place) = presence.status
            && place.tick == clock.tick
        {
            presence.status = Status::Flying;
            commands.entity(entity).insert(Plane::new(
                place.at,
                place.heading,
                presence.shots,
                &rules.flight,
                respawn.shield,
            ));
        }
    }
}

/// A place clear of others, and the heading from there to the middle of the field.
fn place(
    id: PilotId,
    clock: &Clock,
    index: &SpatialIndex,
    rules: &MotionRules,
    respawn: &RespawnRules,
) -> (IVec2, i32) {
    let mut best = (-1, IVec2::ZERO);
    for attempt in 0..PLACES_TRIED_COUNT {
        let bits = rand(clock.seed, clock.tick, id.0.into(), Purpose::SpawnPlace as u32 + attempt);
        // Keep out of the autopilot's strip, with room to turn.
        let margin = rules.flight.border + crate::schema::CELL_UNITS / 4;
        let room = (rules.grid.side_units() - 2 * margin) as u64;
        let along = |bits: u64| margin + ((bits * room) >> 32) as i32;
        let candidate = IVec2::new(along(bits & 0xffff_ffff), along(bits >> 32));
        let clearance = clearance(candidate, index, respawn.clearance);
        if clearance > best.0 {
            best = (clearance, candidate);
        }
        if clearance == i64::from(respawn.clearance) {
            break;
        }
    }
    (best.1, heading_of(IVec2::splat(rules.grid.side_units() / 2) - best.1))
}

/// Distance to the nearest plane, no more than `reach`.
fn clearance(place: IVec2, index: &SpatialIndex, reach: i32) -> i64 {
    let squares = index.near(place - reach, place + reach).map(|near| squared(near.plane.position() - place));
    squares.min().map_or(i64::MAX, i64::isqrt).min(reach.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Game, PilotId, Standing,
        rules::Rules,
        test_support::{plane_at, room_with},
    };

    fn shoot_down(game: &mut Game, pilot: PilotId) {
        game.plane_mut(pilot).health = 1;
        game.plane_mut(pilot).shots = 77;
        let at = game.plane(pilot).unwrap();
        let rammer = game.join(false).unwrap();
        game.step();
        game.plane_mut(pilot).shield = 0;
        *game.plane_mut(rammer) = Plane { shield: 0, ..at };
        game.steps(2);
        assert_eq!(game.plane(pilot), None);
        game.leave(rammer);
    }

    #[test]
    fn a_newcomer_flies_at_the_next_tick_protected() {
        let mut game = Game::new(1, Rules::default());
        let pilot = game.join(false).unwrap();
        assert_eq!(game.plane(pilot), None);
        game.step();
        assert_eq!(game.plane(pilot).unwrap().shield, game.rules().respawn.shield);
    }

    #[test]
    fn who_was_shot_down_flies_again_when_and_where_it_was_announced() {
        let (mut game, pilots) = room_with(&[plane_at(0, 0, 0), plane_at(5, 5, 0)]);
        let before = game.plane(pilots[0]).unwrap().position();
        shoot_down(&mut game, pilots[0]);
        game.steps(200);
        assert_eq!(game.standing(pilots[0]).unwrap().respawn, None, "people are asked");
        game.fly_again(pilots[0]);
        game.step();
        let Standing { respawn: Some(announced), .. } = game.standing(pilots[0]).unwrap() else { panic!("no place") };
        assert_eq!(announced.in_ticks, NOTICE_TICKS);
        game.steps(NOTICE_TICKS - 1);
        assert_eq!(game.plane(pilots[0]), None);
        assert_eq!(game.standing(pilots[0]).unwrap().respawn.unwrap().in_ticks, 1);
        game.step();
        let plane = game.plane(pilots[0]).unwrap();
        assert_eq!((plane.x, plane.y, plane.heading), (announced.x, announced.y, announced.heading));
        assert_eq!(plane.shots, 77, "bullets' ids go on");
        assert!(squared(plane.position() - before) > squared(IVec2::new(game.rules().respawn.clearance, 0)) / 2);
        assert_eq!(game.standing(pilots[0]).unwrap().respawn, None);
    }

    #[test]
    fn asking_to_fly_while_flying_changes_nothing() {
        let (mut game, pilots) = room_with(&[plane_at(0, 0, 0)]);
        game.fly_again(pilots[0]);
        game.steps(60);
        let travelled = game.plane(pilots[0]).unwrap().x - plane_at(0, 0, 0).x;
        assert!(travelled > 6 * 2048, "it flew on: {travelled}");
    }

    #[test]
    fn computer_pilots_come_back_by_themselves() {
        let mut game = Game::new(1, Rules::default());
        let bot = game.join(true).unwrap();
        game.step();
        shoot_down(&mut game, bot);
        game.steps(game.rules().respawn.bots_wait as u32 + NOTICE_TICKS + 1);
        assert!(game.plane(bot).is_some());
    }

    #[test]
    fn who_leaves_is_gone_and_the_id_is_not_given_again() {
        let (mut game, pilots) = room_with(&[plane_at(0, 0, 0)]);
        game.leave(pilots[0]);
        game.leave(pilots[0]);
        let next = game.join(false).unwrap();
        assert_ne!(next, pilots[0]);
        game.step();
        let planes: Vec<u32> =
            game.all_rows().iter().filter(|row| row.kind == crate::PLANE).map(|row| row.id).collect();
        assert_eq!(planes, [u32::from(next.0)]);
        assert_eq!(game.standing(pilots[0]), None);
    }

    #[test]
    fn places_are_clear_of_others() {
        let mut game = Game::new(1, Rules::default());
        for _ in 0..10 {
            game.join(false).unwrap();
            game.step();
        }
        let planes: Vec<_> = (1..=10).map(|id| game.plane(PilotId(id)).unwrap().position()).collect();
        for (index, place) in planes.iter().enumerate() {
            assert!(planes[..index].iter().all(|other| squared(*other - *place).isqrt() > 10 * 2048));
        }
    }
}
