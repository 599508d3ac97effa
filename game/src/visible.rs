//! Lists all that can be seen, as rows in canonical order: a counting sort by cell, since every tick asks for it.
//!
//! Path: planes and bullets are counted by cell → each cell's part of the list begins where the one before it ends →
//! rows are put into their parts → each part, a handful of rows, is sorted.
//! Invariant: what sorting all rows by [`Row::order`] gives.

use crate::{
    bullet::{self, Bullet},
    minimap::{self, Minimap},
    motion::BulletId,
    plane::{self, MotionRules, Plane},
    roster::PilotId,
    schema::{CellId, FIELDS_MAX_COUNT, Grid, Row},
    standing::{self, Board},
};
use bevy_ecs::prelude::*;

/// Replaces `rows` by the world's.
pub(crate) fn list(world: &World, rows: &mut Vec<Row>) {
    let grid = world.resource::<MotionRules>().grid;
    let mut planes = world.try_query::<(&PilotId, &Plane)>().expect("registered by the plugins");
    let mut bullets = world.try_query::<(&BulletId, &Bullet)>().expect("as above");
    rows.clear();
    everyones(world, grid, rows);

    let mut starts = vec![0; grid.ids_count() + 1];
    starts[0] = rows.len();
    let plane_places = planes.iter(world).map(|(_, plane)| plane.position());
    let bullet_places = bullets.iter(world).map(|(_, bullet)| bullet.position());
    plane_places.chain(bullet_places).for_each(|place| starts[usize::from(CellId::at(place, grid).0)] += 1);
    let mut end = 0;
    for start in &mut starts {
        end += *start;
        *start = end;
    }
    starts[0] = 0;

    rows.resize(end, Row { cell: CellId::EVERYONE, kind: 0, id: 0, fields: [0; FIELDS_MAX_COUNT] });
    let mut put = |row: Row| {
        // Each part is filled from behind, so that its end becomes its start.
        let start = &mut starts[usize::from(row.cell.0)];
        *start -= 1;
        rows[*start] = row;
    };
    for (PilotId(id), plane) in planes.iter(world) {
        put(Row::new(&plane::KIND, (*id).into(), plane.to_fields(), grid));
    }
    for (BulletId(id), bullet) in bullets.iter(world) {
        put(Row::new(&bullet::KIND, *id, bullet.to_fields(), grid));
    }
    for part in starts.windows(2).filter(|part| part[1] - part[0] > 1) {
        rows[part[0]..part[1]].sort_unstable_by_key(Row::order);
    }
}

/// Adds what is in [`CellId::EVERYONE`], in order.
fn everyones(world: &World, grid: Grid, rows: &mut Vec<Row>) {
    for (place, line) in (0..).zip(&world.resource::<Board>().top) {
        rows.push(Row::new(&standing::KIND, place, line.to_fields(), grid));
    }
    for (line, densities) in (0..).zip(&world.resource::<Minimap>().0) {
        rows.push(Row::new(&minimap::KIND, line, *densities, grid));
    }
}
