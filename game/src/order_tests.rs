//! The order of the ECS's tables, which depends on history, must not matter; and controls come last in a tick.

use crate::{
    Controls, Game,
    bullet::Bullet,
    motion::BulletId,
    plane::Plane,
    rules::Rules,
    test_support::{plane_at, room_with},
};
use bevy_ecs::prelude::*;

/// Takes all planes and bullets out of their tables and puts them back in the opposite order.
fn turn_tables(world: &mut World) {
    let planes: Vec<(Entity, Plane)> =
        world.query::<(Entity, &Plane)>().iter(world).map(|(entity, plane)| (entity, *plane)).collect();
    for (entity, _) in &planes {
        world.entity_mut(*entity).remove::<Plane>();
    }
    for (entity, plane) in planes.iter().rev() {
        world.entity_mut(*entity).insert(*plane);
    }
    let bullets: Vec<(Entity, BulletId, Bullet)> = world
        .query::<(Entity, &BulletId, &Bullet)>()
        .iter(world)
        .map(|(entity, id, bullet)| (entity, *id, *bullet))
        .collect();
    for (entity, id, bullet) in bullets.into_iter().rev() {
        world.despawn(entity);
        world.spawn((id, bullet));
    }
}

#[test]
fn rows_do_not_depend_on_the_order_of_tables() {
    let [mut one, mut other] = [(); 2].map(|()| {
        let mut game = Game::new(11, Rules::default());
        assert!((0..60).all(|_| game.join(true).is_some()));
        game
    });
    for tick in 0..3000 {
        if tick % 20 == 0 {
            turn_tables(&mut other.world);
        }
        one.step();
        other.step();
        assert_eq!(one.all_rows(), other.all_rows(), "tick {tick}");
        assert_eq!(one.drain_kills(), other.drain_kills(), "tick {tick}");
    }
}

/// SPEC A5.4.
#[test]
fn controls_are_in_the_row_after_one_step_and_move_the_plane_in_the_next() {
    let (mut game, pilots) = room_with(&[plane_at(0, 0, 0)]);
    game.control(pilots[0], Controls { steer: 700, ..Controls::default() });
    game.step();
    let plane = game.plane(pilots[0]).unwrap();
    assert_eq!((plane.steer, plane.heading), (7, 0));
    game.step();
    assert!(game.plane(pilots[0]).unwrap().heading > 0);
}
