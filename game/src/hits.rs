//! Bullets hit planes.
//!
//! Path: each bullet's way of this tick is tested against the planes near it, both moving in a straight line; the
//! first plane on the way is hit. Then the hits are dealt out in the order of the bullets' ids.
//! Invariants: nobody hits itself; protected planes and those already shot down let bullets through; a bullet hits one
//! plane and is gone.

use crate::{
    Clock,
    bullet::{self, Bullet},
    field::squared,
    grid::{Aloft, Grid},
    motion::BulletId,
    plane::{Plane, SPEED_MAX},
    roster::{Kill, Kills, Pilot, PilotId, Roster},
    rules::Rules,
    setup::{Phase, Setup},
    standing::Board,
};
use bevy_ecs::prelude::*;
use glam::IVec2;

/// Fractions of a tick, for the moment of a hit.
const MOMENTS: i64 = 1024;

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
}

fn find(rules: Res<Rules>, grid: Res<Grid>, bullets: Query<(Entity, &BulletId, &Bullet)>, mut hits: ResMut<Hits>) {
    hits.0.clear();
    for (entity, BulletId(id), bullet) in &bullets {
        if let Some(victim) = first_on_the_way(bullet, bullet::owner(*id), &grid, &rules) {
            hits.0.push(Hit { bullet_id: *id, bullet: entity, victim });
        }
    }
    hits.0.sort_unstable_by_key(|hit| hit.bullet_id);
}

fn deal(
    (rules, clock, roster): (Res<Rules>, Res<Clock>, Res<Roster>),
    hits: Res<Hits>,
    mut pilots: Query<&mut Pilot>,
    mut planes: Query<&mut Plane>,
    (mut kills, mut board): (ResMut<Kills>, ResMut<Board>),
    mut commands: Commands,
) {
    for hit in &hits.0 {
        commands.entity(hit.bullet).despawn();
        let (Ok(mut plane), Ok(mut pilot)) = (planes.get_mut(hit.victim), pilots.get_mut(hit.victim)) else { continue };
        if plane.health == 0 {
            continue; // an earlier bullet of this tick was the last one it took
        }
        let is_shot_down = pilot.hurt(&mut plane, rules.bullet_damage, clock.tick);
        let (killer, victim) = (PilotId(bullet::owner(hit.bullet_id)), pilot.id);
        if is_shot_down {
            kills.record(Kill { killer, victim, rammed: false });
        }
        // The shooter may have left since.
        if let Some(mut shooter) = roster.entity(killer).and_then(|entity| pilots.get_mut(entity).ok()) {
            shooter.win(rules.hit_score + if is_shot_down { rules.kill_score } else { 0 });
            board.is_stale = true;
        }
    }
}

/// The plane that this bullet met first in the tick that just passed; of two at the same moment the lower id.
fn first_on_the_way(bullet: &Bullet, owner: u16, grid: &Grid, rules: &Rules) -> Option<Entity> {
    let (end, start) = (bullet.position(), bullet.position() - bullet.velocity());
    // Planes are filed where they ended; on the way they were at most a tick's flight from there.
    let margin = IVec2::splat(rules.bullet_reach + rules.boost_speed.min(SPEED_MAX) / 16 + 1);
    grid.near(start.min(end) - margin, start.max(end) + margin)
        .filter(|aloft| aloft.id != owner && aloft.plane.health > 0 && !aloft.plane.is_shielded())
        .filter_map(|aloft| Some((moment_of_hit(bullet, aloft, rules)?, aloft.id, aloft.entity)))
        .min_by_key(|(moment, id, _)| (*moment, *id))
        .map(|(_, _, entity)| entity)
}

/// When in the tick (0..=MOMENTS) the two were closest, if that was within reach. Seen from the plane, the bullet flies
/// a straight segment.
fn moment_of_hit(bullet: &Bullet, aloft: &Aloft, rules: &Rules) -> Option<i64> {
    let way = bullet.velocity() - aloft.plane.velocity();
    let end = bullet.position() - aloft.plane.position();
    let start = end - way;
    let dot = i64::from(start.x) * i64::from(way.x) + i64::from(start.y) * i64::from(way.y);
    let moment = (-dot * MOMENTS / squared(way).max(1)).clamp(0, MOMENTS);
    let at = |start: i32, way: i32| start + (i64::from(way) * moment / MOMENTS) as i32;
    let closest = IVec2::new(at(start.x, way.x), at(start.y, way.y));
    (squared(closest) <= squared(IVec2::new(rules.bullet_reach, 0))).then_some(moment)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Controls,
        field::TURN,
        plane::HEALTH_FULL,
        trial::{plane_at, room_with},
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
        let rules = Rules::parse(&text).unwrap();
        let aloft = |x, y| Aloft { id: 2, entity: Entity::PLACEHOLDER, plane: plane_at(x, y, TURN / 4) };
        let mut bullet = Bullet::new(plane_at(0, 0, 0).position(), 0, 0, &rules);
        bullet.step(&rules);
        assert!(moment_of_hit(&bullet, &aloft(1, 0), &rules).is_some(), "it is 2.5 lengths a tick");
        assert!(moment_of_hit(&bullet, &aloft(1, 1), &rules).is_none());
    }

    #[test]
    fn ten_hits_shoot_down_and_score() {
        let (mut game, pilots) = room_with(&[plane_at(0, 0, 0), plane_at(4, 0, 0)]);
        game.control(pilots[0], TRIGGER);
        game.steps(9 * 10 + 30);
        let [killer, victim] = pilots[..] else { unreachable!() };
        assert_eq!(game.drain_kills(), [Kill { killer, victim, rammed: false }]);
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
