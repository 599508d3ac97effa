//! Planes ram planes: both are pushed apart, turned away, slowed and hurt.
//!
//! Invariants: pairs are dealt with in the order of their ids; if one of the two is protected neither is hurt; after
//! being rammed a plane is not hurt by ramming for a moment, so that a touch that lasts is not fatal.

use crate::{
    Clock,
    field::{TURN, heading_of, squared, toward, turn_between},
    grid::Grid,
    plane::{Plane, rammed_speed},
    roster::{Kill, Kills, Pilot},
    rules::Rules,
    setup::{Phase, Setup},
};
use bevy_ecs::prelude::*;
use glam::IVec2;

/// Collisions between planes.
pub(crate) fn plugin(setup: &mut Setup) {
    setup.schedule.add_systems(ram.in_set(Phase::Collisions));
}

fn ram(
    (rules, clock, grid): (Res<Rules>, Res<Clock>, Res<Grid>),
    mut planes: Query<(&mut Pilot, &mut Plane)>,
    mut kills: ResMut<Kills>,
) {
    for pair in touching(&grid, &rules) {
        let Ok([(mut pilot_a, mut a), (mut pilot_b, mut b)]) = planes.get_many_mut(pair) else { continue };
        if a.health == 0 || b.health == 0 {
            continue;
        }
        part(&mut a, &mut b, &rules);
        if a.is_shielded() || b.is_shielded() {
            continue;
        }
        suffer(&mut pilot_a, &mut a, pilot_b.id, &rules, clock.tick, &mut kills);
        suffer(&mut pilot_b, &mut b, pilot_a.id, &rules, clock.tick, &mut kills);
    }
}

/// Pairs that touch, lower id first, in the order of ids.
fn touching(grid: &Grid, rules: &Rules) -> Vec<[Entity; 2]> {
    let reach = IVec2::new(2 * rules.ram_reach, 0);
    let mut pairs = Vec::new();
    for a in grid.planes() {
        let place = a.plane.position();
        for b in grid.near(place - reach.x, place + reach.x) {
            if a.id < b.id && squared(b.plane.position() - place) < squared(reach) {
                pairs.push((a.id, b.id, [a.entity, b.entity]));
            }
        }
    }
    pairs.sort_unstable_by_key(|(a, b, _)| (*a, *b));
    pairs.into_iter().map(|(_, _, entities)| entities).collect()
}

/// Pushes both apart along the line between them until they no longer overlap, turns their noses half-way towards it
/// and takes a quarter of their speed.
fn part(a: &mut Plane, b: &mut Plane, rules: &Rules) {
    let between = a.position() - b.position();
    // On the very same spot any line will do.
    let line = if between == IVec2::ZERO { a.heading + TURN / 4 } else { heading_of(between) };
    let overlap = 2 * rules.ram_reach - squared(between).isqrt() as i32;
    let push = toward(line, overlap.max(0) / 2 + 1);
    for (plane, push, away) in [(a, push, line), (b, -push, line + TURN / 2)] {
        plane.move_to(plane.position() + push, rules);
        plane.turn(turn_between(plane.heading, away) / 2);
        plane.speed = rammed_speed(plane.speed);
    }
}

fn suffer(pilot: &mut Pilot, plane: &mut Plane, other: crate::PilotId, rules: &Rules, tick: u32, kills: &mut Kills) {
    if tick < pilot.rammed_until {
        return;
    }
    pilot.rammed_until = tick + rules.ram_pause as u32;
    if pilot.hurt(plane, rules.ram_damage, tick) {
        kills.record(Kill { killer: other, victim: pilot.id, rammed: true, behind: 0 });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        plane::HEALTH_FULL,
        trial::{plane_at, room_with},
    };

    #[test]
    fn both_are_hurt_once_and_part() {
        let (mut game, pilots) = room_with(&[plane_at(-2, 0, 0), plane_at(2, 0, TURN / 2)]);
        game.steps(60);
        let planes = [game.plane(pilots[0]).unwrap(), game.plane(pilots[1]).unwrap()];
        let expected = HEALTH_FULL - game.rules().ram_damage;
        assert_eq!(planes.map(|plane| plane.health), [expected; 2]);
        assert!(squared(planes[0].position() - planes[1].position()) > squared(IVec2::splat(4096)), "they fly apart");
    }

    #[test]
    fn planes_that_press_against_each_other_are_not_hurt_at_every_touch() {
        let (mut game, pilots) = room_with(&[plane_at(0, 0, 0), plane_at(0, 1, 0)]);
        for (pilot, steer) in pilots.iter().zip([7, -7]) {
            game.control(*pilot, crate::Controls { steer, ..crate::Controls::default() });
        }
        let (mut touches, mut hurt_at) = (0, Vec::new());
        for tick in 0..60 {
            let before = game.plane(pilots[0]).unwrap();
            game.step();
            let after = game.plane(pilots[0]).unwrap();
            touches += u32::from(after.speed < before.speed * 4 / 5);
            if after.health < before.health {
                hurt_at.push(tick);
            }
        }
        assert!(touches > 1, "{touches} touches");
        assert!(hurt_at.windows(2).all(|pair| pair[1] - pair[0] >= game.rules().ram_pause), "hurt at {hurt_at:?}");
    }

    #[test]
    fn nobody_is_hurt_if_one_is_protected() {
        let protected = Plane { shield: 200, health: 1, ..plane_at(2, 0, TURN / 2) };
        let (mut game, pilots) = room_with(&[plane_at(-2, 0, 0), protected]);
        game.steps(60);
        assert_eq!(game.plane(pilots[0]).unwrap().health, HEALTH_FULL);
        assert_eq!(game.plane(pilots[1]).unwrap().health, 1);
        assert_ne!(game.plane(pilots[0]).unwrap().heading, 0, "but they are turned away");
    }

    #[test]
    fn ramming_can_be_deadly_but_earns_nothing() {
        let (mut game, pilots) = room_with(&[plane_at(-2, 0, 0), Plane { health: 5, ..plane_at(2, 0, TURN / 2) }]);
        game.steps(60);
        assert_eq!(game.drain_kills(), [Kill { killer: pilots[0], victim: pilots[1], rammed: true, behind: 0 }]);
        assert_eq!(game.standing(pilots[0]).unwrap().score, 0);
    }

    #[test]
    fn planes_on_the_very_same_spot_part() {
        let (mut game, pilots) = room_with(&[plane_at(0, 0, 0), plane_at(0, 0, 0)]);
        game.steps(2);
        assert_ne!(game.plane(pilots[0]).unwrap().position(), game.plane(pilots[1]).unwrap().position());
    }
}
