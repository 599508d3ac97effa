//! The minimap: how crowded each cell is, coarsely, for everybody.
//!
//! Invariant: refreshed once in [`REFRESH_TICKS`] and constant in between, so that it costs next to nothing.

use crate::{
    Clock,
    field::CellId,
    grid::Grid,
    row::{Fields, Kind, Row},
    row_kind,
    rules::Rules,
    setup::{Phase, Setup},
};
use bevy_ecs::prelude::*;

/// Ticks from refresh to refresh.
pub const REFRESH_TICKS: u32 = 60;

row_kind! {
    /// A cell on the minimap; the row's id is its index, row by row from 0.
    pub struct Sector {
        /// Planes in it: 0, 1, 2 to 3, more.
        density: 0..=3,
    }
}

/// The declaration of the minimap's cells: everybody sees them.
pub const KIND: Kind = Kind { name: "sector", id_bits: 12, fields: Sector::FIELDS, cell: everyone, step: stay };

fn everyone(_: &Fields, _: &Rules) -> CellId {
    CellId::EVERYONE
}

fn stay(row: &Row, _: &Rules, next: &mut Vec<Row>) {
    next.push(*row);
}

/// All sectors, by index.
#[derive(Debug, Resource)]
pub(crate) struct Minimap(pub(crate) Vec<Sector>);

/// Counts planes for the minimap.
pub(crate) fn plugin(setup: &mut Setup, rules: &Rules) {
    let cells = (rules.field_cells * rules.field_cells) as usize;
    setup.world.insert_resource(Minimap(vec![Sector::default(); cells]));
    let is_due = |clock: Res<Clock>| clock.tick % REFRESH_TICKS == 1;
    setup.schedule.add_systems(count.run_if(is_due).in_set(Phase::Boards));
}

fn count(rules: Res<Rules>, grid: Res<Grid>, mut minimap: ResMut<Minimap>) {
    let mut planes = vec![0; minimap.0.len()];
    for aloft in &grid.planes {
        let CellId(cell) = CellId::at(aloft.plane.position(), &rules);
        planes[usize::from(cell) - 1] += 1;
    }
    for (sector, planes) in minimap.0.iter_mut().zip(planes) {
        sector.density = match planes {
            0 | 1 => planes,
            2 | 3 => 2,
            _ => 3,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        SECTOR,
        plane::Plane,
        trial::{plane_at, room_with},
    };

    #[test]
    fn the_minimap_says_where_it_is_crowded_once_a_second() {
        let flock = [0, 1, 2, 3, 4].map(|y| Plane { shield: 200, ..plane_at(2, y, 0) });
        let (mut game, _) = room_with(&flock);
        let sum = |game: &crate::Game| -> i32 {
            game.all_rows().iter().filter(|row| row.kind == SECTOR).map(|row| row.fields[0]).sum()
        };
        let before = sum(&game);
        game.steps(REFRESH_TICKS - 1);
        assert_eq!(sum(&game), before, "it stays for a second");
        game.step();
        let sectors: Vec<_> = game.all_rows().into_iter().filter(|row| row.kind == SECTOR).collect();
        assert_eq!(sectors.len(), 100);
        let crowded: Vec<_> =
            sectors.iter().filter(|row| row.fields[0] > 0).map(|row| (row.id, row.fields[0])).collect();
        assert_eq!(crowded, [(56, 3)], "all five are in row 5, column 6");
    }
}
