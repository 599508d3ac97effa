//! Test helpers: place planes, read them back.

use crate::{
    BULLET, Game, PilotId, bullet::Bullet, geometry::PLANE_LENGTH_UNITS, plane::Plane, roster, rules::Rules,
    schema::Row,
};
use bevy_ecs::prelude::*;
use glam::IVec2;

/// The middle of the default field, away from every edge.
pub(crate) const MIDDLE: i32 = 40 * PLANE_LENGTH_UNITS;

/// A plane at cruise, this many lengths from the middle, unprotected.
pub(crate) fn plane_at(x: i32, y: i32, heading: i32) -> Plane {
    let at = IVec2::splat(MIDDLE) + IVec2::new(x, y) * PLANE_LENGTH_UNITS;
    Plane::new(at, heading, 0, &Rules::default().motion.flight, 0)
}

/// A room with people flying these planes.
pub(crate) fn room_with(planes: &[Plane]) -> (Game, Vec<PilotId>) {
    let mut game = Game::new(1, Rules::default());
    let pilots: Vec<_> = planes.iter().map(|_| game.join(false).unwrap()).collect();
    game.step();
    for (pilot, plane) in pilots.iter().zip(planes) {
        *game.plane_mut(*pilot) = *plane;
    }
    (game, pilots)
}

impl Game {
    pub(crate) fn plane(&self, pilot: PilotId) -> Option<Plane> {
        self.world.get(self.world.resource::<roster::Roster>().entity(pilot)?).copied()
    }

    pub(crate) fn plane_mut(&mut self, pilot: PilotId) -> Mut<'_, Plane> {
        let entity = self.world.resource::<roster::Roster>().entity(pilot).unwrap();
        self.world.get_mut(entity).expect("it flies")
    }

    pub(crate) fn steps(&mut self, ticks: u32) {
        (0..ticks).for_each(|_| self.step());
    }

    pub(crate) fn all_rows(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        self.rows(&mut rows);
        rows
    }

    pub(crate) fn bullets(&self) -> Vec<Bullet> {
        let rows = self.all_rows();
        rows.iter().filter(|row| row.kind == BULLET).map(|row| Bullet::from_fields(&row.fields)).collect()
    }
}
