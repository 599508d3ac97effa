//! Planes ram planes: both are hurt, and reel.
//!
//! Path: planes that touch are found → each that does not reel yet is told to ([`Plane::reel`], part of its motion step
//! from then on, so that every client knows of it before it shows) → and is hurt.
//! Invariants: pairs are dealt with in the order of their ids; if one of the two is protected neither is hurt; who reels
//! is neither hurt nor made to reel again, so that a touch that lasts is not fatal. Nobody is moved or turned by surprise.

use crate::{
    geometry::{TURN, heading_of, squared, turn_between},
    kills::{Kill, Kills},
    plane::{MotionRules, Plane},
    roster::PilotId,
    schedule::{Clock, Phase, Setup},
    spatial_index::SpatialIndex,
    spawn::Presence,
};
use bevy_ecs::prelude::*;
use glam::IVec2;

/// Collisions between planes.
pub(crate) fn plugin(setup: &mut Setup) {
    setup.schedule.add_systems(ram.in_set(Phase::Collisions));
}

fn ram(
    (rules, clock, index): (Res<MotionRules>, Res<Clock>, Res<SpatialIndex>),
    mut planes: Query<(&PilotId, &mut Presence, &mut Plane)>,
    mut kills: ResMut<Kills>,
) {
    for pair in touching(&index, &rules) {
        let Ok([(id_a, mut presence_a, mut a), (id_b, mut presence_b, mut b)]) = planes.get_many_mut(pair) else {
            continue;
        };
        if a.health == 0 || b.health == 0 {
            continue;
        }
        let hurts = !a.is_shielded() && !b.is_shielded();
        // They reel later, so what counts is where they are then: two that cross have changed sides.
        let between = a.at_reeling() - b.at_reeling();
        // On the very same spot any line will do.
        let line = if between == IVec2::ZERO { a.heading + TURN / 4 } else { heading_of(between) };
        for (id, presence, plane, other, away) in
            [(id_a, &mut presence_a, &mut a, id_b, line), (id_b, &mut presence_b, &mut b, id_a, line + TURN / 2)]
        {
            if plane.reel != 0 {
                continue;
            }
            let to_the_right = turn_between(plane.heading, away) >= 0;
            plane.reel(to_the_right, &rules);
            if hurts && plane.hurt(rules.ramming.damage) {
                presence.shot_down(plane, clock.tick);
                kills.record(Kill { killer: *other, victim: *id, rammed: true, view_delay: 0 });
            }
        }
    }
}

/// Pairs that touch, lower id first, in the order of ids.
fn touching(index: &SpatialIndex, rules: &MotionRules) -> Vec<[Entity; 2]> {
    let reach = IVec2::new(2 * rules.ramming.reach, 0);
    let mut pairs = Vec::new();
    for a in index.planes() {
        let place = a.plane.position();
        for b in index.near(place - reach.x, place + reach.x) {
            if a.id < b.id && squared(b.plane.position() - place) < squared(reach) {
                pairs.push((a.id, b.id, [a.entity, b.entity]));
            }
        }
    }
    pairs.sort_unstable_by_key(|(a, b, _)| (*a, *b));
    pairs.into_iter().map(|(_, _, entities)| entities).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Game,
        plane::{HEALTH_FULL, REEL_NOTICE_TICKS},
        test_support::{plane_at, room_with},
    };

    #[test]
    fn both_are_hurt_once_and_part() {
        let (mut game, pilots) = room_with(&[plane_at(-2, 0, 0), plane_at(2, 0, TURN / 2)]);
        game.steps(60);
        let planes = [game.plane(pilots[0]).unwrap(), game.plane(pilots[1]).unwrap()];
        let expected = HEALTH_FULL - game.rules().motion.ramming.damage;
        assert_eq!(planes.map(|plane| plane.health), [expected; 2]);
        assert!(planes.iter().zip([0, TURN / 2]).all(|(plane, before)| plane.heading != before), "both have reeled");
        assert!(planes[0].y > planes[1].y, "head on, each to its right");
        assert!(squared(planes[0].position() - planes[1].position()) > squared(IVec2::splat(4096)), "they fly apart");
    }

    #[test]
    fn who_cross_turn_away_from_where_the_other_will_be() {
        // One flies right, the other up from below it: when they reel, the second is above the first.
        let (mut game, pilots) = room_with(&[plane_at(0, 0, 0), plane_at(0, 1, 3 * TURN / 4)]);
        game.steps(2);
        let [a, b] = [0, 1].map(|index: usize| game.plane(pilots[index]).unwrap());
        assert!(a.reel > 0, "down to the right, and not up, where the other goes");
        assert!(b.reel < 0, "to the left");
    }

    #[test]
    fn planes_that_press_against_each_other_are_not_hurt_at_every_touch() {
        let (mut game, pilots) = room_with(&[plane_at(0, 0, 0), plane_at(0, 1, 0)]);
        for (pilot, steer) in pilots.iter().zip([7, -7]) {
            game.control(*pilot, crate::Controls { steer, ..crate::Controls::default() });
        }
        let plane = |game: &Game, index: usize| game.plane(pilots[index]).unwrap();
        let (mut touches, mut hurt_at) = (0, Vec::new());
        for tick in 0..60 {
            let before = plane(&game, 0).health;
            game.step();
            let apart = squared(plane(&game, 0).position() - plane(&game, 1).position());
            touches += u32::from(apart < squared(IVec2::new(2 * game.rules().motion.ramming.reach, 0)));
            if plane(&game, 0).health < before {
                hurt_at.push(tick);
            }
        }
        assert!(touches > 1, "{touches} touches");
        let least = REEL_NOTICE_TICKS + game.rules().motion.ramming.reel;
        assert!(hurt_at.windows(2).all(|pair| pair[1] - pair[0] >= least), "hurt at {hurt_at:?}");
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
        assert_eq!(game.drain_kills(), [Kill { killer: pilots[0], victim: pilots[1], rammed: true, view_delay: 0 }]);
        assert_eq!(game.standing(pilots[0]).unwrap().score, 0);
    }

    #[test]
    fn planes_on_the_very_same_spot_part() {
        let (mut game, pilots) = room_with(&[plane_at(0, 0, 0), plane_at(0, 0, 0)]);
        game.steps(60);
        let [a, b] = [0, 1].map(|index: usize| game.plane(pilots[index]).unwrap().position());
        assert!(squared(a - b) > squared(IVec2::new(2 * game.rules().motion.ramming.reach, 0)));
    }
}
