//! The motion step of every row: the part of a tick that both ends of the wire compute alike.
//!
//! Path: the dead end, bullets fly, planes fly and fire; a bullet flies from the tick after it was fired.
//! Invariants: exactly what stepping every row by [`step_row`] gives (a test compares them over thousands of ticks). A row's
//! step reads nothing but that row and the rules. What depends on others (hits, rams) is no part of a step: it is surprise,
//! found by comparing.

use crate::{
    bullet::{self, BULLET, Bullet},
    plane::{self, MotionRules, PLANE, Plane},
    roster::PilotId,
    rules::Rules,
    schedule::{Phase, Setup},
    schema::Row,
};
use bevy_ecs::prelude::*;

/// The row one tick later, and whatever it brings forth, appended to `next`; nothing when it ends by the rules. Rows of kinds
/// that do not move stay as they are.
#[inline]
pub fn step_row(row: &Row, rules: &Rules, next: &mut Vec<Row>) {
    match row.kind {
        PLANE => plane::step_row(row, &rules.motion, next),
        BULLET => bullet::step_row(row, rules.motion.grid, next),
        _ => next.push(*row),
    }
}

/// The id of a bullet's row.
#[derive(Debug, Clone, Copy, Component)]
pub(crate) struct BulletId(pub(crate) u32);

/// Motion of planes and bullets.
pub(crate) fn plugin(setup: &mut Setup) {
    setup.world.register_component::<Plane>();
    setup.world.register_component::<Bullet>();
    setup.world.register_component::<BulletId>();
    setup.schedule.add_systems((end_the_dead, fly_bullets, fly_planes).chain().in_set(Phase::Motion));
}

fn end_the_dead(planes: Query<(Entity, &Plane)>, mut commands: Commands) {
    for (entity, plane) in &planes {
        if plane.health == 0 {
            commands.entity(entity).remove::<Plane>();
        }
    }
}

fn fly_bullets(rules: Res<MotionRules>, mut bullets: Query<(Entity, &mut Bullet)>, mut commands: Commands) {
    for (entity, mut bullet) in &mut bullets {
        if !bullet.step(rules.grid) {
            commands.entity(entity).despawn();
        }
    }
}

fn fly_planes(rules: Res<MotionRules>, mut planes: Query<(&PilotId, &mut Plane)>, mut commands: Commands) {
    for (PilotId(id), mut plane) in &mut planes {
        if let Some((id, bullet)) = plane.step((*id).into(), &rules) {
            commands.spawn((BulletId(id), bullet));
        }
    }
}
