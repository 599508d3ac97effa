//! Bullets hit planes.
//!
//! Path: each bullet's way of this tick is tested against the planes near it, both moving in a straight line, the planes
//! where the shooter sees them (`past`); the first on the way is hit. Then the hits are dealt out in the order of the
//! bullets' ids.
//! Invariants: nobody hits itself; protected planes and those already shot down let bullets through; a bullet hits one
//! plane and is gone.

use crate::{
    bullet::{self, Bullet},
    kills::{Kill, Kills},
    lag_compensation::{PARTS, PositionHistory, ViewDelay, moment, moment_of_meeting},
    motion::BulletId,
    plane::{MotionRules, Plane, SPEED_MAX},
    roster::{PilotId, Roster},
    schedule::{Clock, Phase, Setup},
    spatial_index::{Aloft, SpatialIndex},
    spawn::Presence,
    standing::{Board, Score, ScoreRules},
};
use bevy_ecs::prelude::*;
use glam::IVec2;

/// Hits, damage, kills and the points for them.
pub(crate) fn plugin(setup: &mut Setup) {
    setup.world.init_resource::<Hits>();
    setup.schedule.add_systems((find, deal).chain().in_set(Phase::Hits));
}

/// What this tick's bullets hit.
#[derive(Debug, Default, Resource)]
struct Hits(Vec<Hit>);

#[derive(Debug)]
struct Hit {
    bullet_id: u32,
    bullet: Entity,
    victim: Entity,
    /// How far back it was found, parts of a tick.
    view_delay: u32,
}

fn find(
    (rules, clock, index, roster): (Res<MotionRules>, Res<Clock>, Res<SpatialIndex>, Res<Roster>),
    bullets: Query<(Entity, &BulletId, &Bullet)>,
    view_delays: Query<&ViewDelay>,
    histories: Query<&PositionHistory>,
    mut hits: ResMut<Hits>,
) {
    hits.0.clear();
    for (entity, BulletId(id), bullet) in &bullets {
        let owner = bullet::owner(*id);
        let shooter = roster.entity(PilotId(owner)).and_then(|shooter| view_delays.get(shooter).ok());
        let view_delay = shooter.map_or(0, |shooter| shooter.0);
        // In the present a plane's way is its own velocity; in the past it is what the history tells.
        let victim = if view_delay == 0 {
            first_on_the_way(bullet, owner, &index, &rules, 0, |aloft| {
                let place = aloft.plane.position();
                Some((place - aloft.plane.velocity(), place))
            })
        } else {
            first_on_the_way(bullet, owner, &index, &rules, view_delay, |aloft| {
                let history = histories.get(aloft.entity).ok()?;
                // What this tick will end with is not noted yet; the plane has moved already.
                let at = |tick: u32| history.at_or_now(moment(tick, view_delay), clock.tick, aloft.plane.position());
                Some((at(clock.tick - 1)?, at(clock.tick)?))
            })
        };
        if let Some(victim) = victim {
            hits.0.push(Hit { bullet_id: *id, bullet: entity, victim, view_delay });
        }
    }
    hits.0.sort_unstable_by_key(|hit| hit.bullet_id);
}

fn deal(
    (rules, score, clock, roster): (Res<MotionRules>, Res<ScoreRules>, Res<Clock>, Res<Roster>),
    hits: Res<Hits>,
    mut victims: Query<(&PilotId, &mut Presence, &mut Plane)>,
    mut scores: Query<&mut Score>,
    (mut kills, mut board): (ResMut<Kills>, ResMut<Board>),
    mut commands: Commands,
) {
    for hit in &hits.0 {
        commands.entity(hit.bullet).despawn();
        let Ok((victim, mut presence, mut plane)) = victims.get_mut(hit.victim) else { continue };
        if plane.health == 0 {
            continue; // an earlier bullet of this tick was the last one it took
        }
        let is_shot_down = plane.hurt(rules.guns.damage);
        let killer = PilotId(bullet::owner(hit.bullet_id));
        if is_shot_down {
            presence.shot_down(&plane, clock.tick);
            kills.record(Kill { killer, victim: *victim, rammed: false, view_delay: hit.view_delay });
        }
        // The shooter may have left since.
        if let Some(mut shooter) = roster.entity(killer).and_then(|entity| scores.get_mut(entity).ok()) {
            shooter.win(score.hit + if is_shot_down { score.kill } else { 0 });
            board.is_stale = true;
        }
    }
}

/// The plane that this bullet met first in the tick that just passed; of two at the same moment the lower id. `way_of`
/// tells from where to where a plane went, `view_delay` parts of a tick ago.
fn first_on_the_way(
    bullet: &Bullet,
    owner: u16,
    index: &SpatialIndex,
    rules: &MotionRules,
    view_delay: u32,
    way_of: impl Fn(&Aloft) -> Option<(IVec2, IVec2)>,
) -> Option<Entity> {
    let (start, end) = (bullet.position() - bullet.velocity(), bullet.position());
    // Planes are filed where they are now; since then they flew at most this far.
    let ticks = 1 + view_delay.div_ceil(PARTS) as i32;
    let flight = (rules.flight.boost_speed.min(SPEED_MAX) / 16 + 1) * ticks;
    let margin = IVec2::splat(rules.guns.reach + flight);
    index
        .near(start.min(end) - margin, start.max(end) + margin)
        .filter(|aloft| aloft.id != owner && aloft.plane.health > 0 && !aloft.plane.is_shielded())
        .filter_map(|aloft| {
            let moment = moment_of_meeting((start, end), way_of(aloft)?, rules.guns.reach)?;
            Some((moment, aloft.id, aloft.entity))
        })
        .min_by_key(|(moment, id, _)| (*moment, *id))
        .map(|(_, _, entity)| entity)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Controls,
        geometry::TURN,
        plane::HEALTH_FULL,
        rules::Rules,
        test_support::{plane_at, room_with},
    };

    const TRIGGER: Controls = Controls { steer: 0, throttle: 1, boost: false, fire: true };

    #[test]
    fn bullets_take_time_hit_and_are_gone() {
        let (mut game, pilots) = room_with(&[plane_at(0, 0, 0), plane_at(10, 0, 0)]);
        game.control(pilots[0], TRIGGER);
        game.steps(2);
        game.control(pilots[0], Controls::default());
        game.steps(10);
        assert_eq!((game.bullets().len(), game.plane(pilots[1]).unwrap().health), (1, HEALTH_FULL));
        game.steps(20);
        assert_eq!((game.bullets().len(), game.plane(pilots[1]).unwrap().health), (0, 90));
        assert_eq!(game.standing(pilots[0]).unwrap().score, 1);
    }

    #[test]
    fn bullets_miss_what_flies_beside_their_way() {
        let (mut game, pilots) = room_with(&[plane_at(0, 0, 0), plane_at(10, 1, 0)]);
        game.control(pilots[0], TRIGGER);
        game.steps(120);
        assert_eq!(game.plane(pilots[1]).unwrap().health, HEALTH_FULL);
    }

    #[test]
    fn protection_lets_bullets_through_to_the_next_plane() {
        let shielded = Plane { shield: 500, ..plane_at(5, 0, 0) };
        let (mut game, pilots) = room_with(&[plane_at(0, 0, 0), shielded, plane_at(10, 0, 0)]);
        game.control(pilots[0], TRIGGER);
        game.steps(60);
        assert_eq!(game.plane(pilots[1]).unwrap().health, HEALTH_FULL);
        assert!(game.plane(pilots[2]).unwrap().health < HEALTH_FULL);
    }

    #[test]
    fn only_the_first_on_the_way_is_hit() {
        let (mut game, pilots) = room_with(&[plane_at(0, 0, 0), plane_at(6, 0, 0), plane_at(5, 0, 0)]);
        game.control(pilots[0], TRIGGER);
        game.steps(60);
        assert_eq!(game.plane(pilots[1]).unwrap().health, HEALTH_FULL);
        assert!(game.plane(pilots[2]).unwrap().health < HEALTH_FULL);
    }

    #[test]
    fn the_fastest_bullet_does_not_pass_through() {
        let text = include_str!("../../assets/tuning.ron").replace("speed: 26.0", "speed: 150.0");
        let rules = Rules::parse(&text).unwrap().motion;
        let way = |x, y| {
            let plane = plane_at(x, y, TURN / 4);
            (plane.position() - plane.velocity(), plane.position())
        };
        let mut bullet = Bullet::new(plane_at(0, 0, 0).position(), 0, 0, rules.grid, &rules.guns);
        bullet.step(rules.grid);
        let shot = (bullet.position() - bullet.velocity(), bullet.position());
        assert!(moment_of_meeting(shot, way(1, 0), rules.guns.reach).is_some(), "it is 2.5 lengths a tick");
        assert!(moment_of_meeting(shot, way(1, 1), rules.guns.reach).is_none());
    }

    /// A target that crosses in front of the gun, seen where it was 10 ticks ago: who aims at what they see hits, and who
    /// is told the present must aim ahead.
    #[test]
    fn a_shooter_hits_what_it_sees() {
        let health_after = |since: u32, view_delay: u32, offset: f64| {
            let target = plane_at(12, 0, TURN / 4);
            let ahead = (f64::from(target.velocity().y) * offset) as i32;
            let (mut game, pilots) = room_with(&[plane_at(0, 0, 0), Plane { y: target.y + ahead, ..target }]);
            game.world.resource_mut::<Clock>().tick = since;
            game.look(pilots[0], view_delay);
            game.steps(12);
            game.control(pilots[0], TRIGGER);
            game.steps(2);
            game.control(pilots[0], Controls::default());
            game.steps(60);
            game.plane(pilots[1]).unwrap().health
        };
        let hits = |since: u32, view_delay: u32| -> Vec<i32> {
            (-60..0).filter(|ticks| health_after(since, view_delay, f64::from(*ticks)) < HEALTH_FULL).collect()
        };
        let (present, past) = (hits(0, 0), hits(0, 10 * PARTS));
        assert_eq!(hits(crate::snapshot::TICK_MAX, 10 * PARTS), past, "however old the room is");
        let middle = |ticks: &[i32]| f64::from(ticks.iter().sum::<i32>()) / ticks.len() as f64;
        assert!(!present.is_empty() && present.len().abs_diff(past.len()) <= 1, "{present:?} {past:?}");
        assert!((middle(&past) - middle(&present) - 10.0).abs() < 0.6, "{present:?} {past:?}");
    }

    /// SPEC A5.7.
    #[test]
    fn nobody_looks_back_farther_than_the_bound() {
        let (mut game, pilots) = room_with(&[plane_at(0, 0, 0)]);
        game.look(pilots[0], 10_000);
        let delay = crate::roster::find_mut::<ViewDelay>(&mut game.world, pilots[0]).unwrap();
        assert_eq!(delay.0, crate::lag_compensation::VIEW_DELAY_MAX);
    }

    #[test]
    fn ten_hits_shoot_down_and_score() {
        let (mut game, pilots) = room_with(&[plane_at(0, 0, 0), plane_at(4, 0, 0)]);
        game.control(pilots[0], TRIGGER);
        game.steps(9 * 10 + 30);
        let [killer, victim] = pilots[..] else { unreachable!() };
        assert_eq!(game.drain_kills(), [Kill { killer, victim, rammed: false, view_delay: 0 }]);
        assert_eq!(game.standing(killer).unwrap().score, 10 + 10);
        assert_eq!(game.standing(killer).unwrap().rank, 1);
        assert_eq!(game.plane(victim), None);
    }

    #[test]
    fn bullets_of_somebody_who_left_still_hit() {
        let (mut game, pilots) = room_with(&[plane_at(0, 0, 0), plane_at(10, 0, 0)]);
        game.control(pilots[0], TRIGGER);
        game.steps(2);
        game.leave(pilots[0]);
        game.steps(60);
        assert_eq!(game.plane(pilots[1]).unwrap().health, 90);
        assert_eq!(game.standing(pilots[0]), None);
    }
}
