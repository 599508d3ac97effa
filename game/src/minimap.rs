//! The minimap: shows everybody, coarsely, how crowded each part of the field is.
//!
//! Path: the field is divided into at most [`SIDE_MAX_SECTORS`] × [`SIDE_MAX_SECTORS`] sectors, squares of whole cells
//! ([`cells_wide`]), whatever its size; a row of the kind is a line of them, and [`side`] says how many of its fields
//! are used.
//! Invariant: refreshed once in [`REFRESH_TICKS`] and constant in between, so that it costs next to nothing.

use crate::{
    plane::MotionRules,
    row_kind,
    schedule::{Clock, Phase, Setup},
    schema::{CellId, FIELDS_MAX_COUNT, Fields, Grid, Kind, nothing_is_derived},
    spatial_index::SpatialIndex,
};
use bevy_ecs::prelude::*;

/// Ticks from refresh to refresh.
pub const REFRESH_TICKS: u32 = 60;
/// Most sectors a side. Policy: on a field with more cells a sector is several cells wide.
pub const SIDE_MAX_SECTORS: i32 = FIELDS_MAX_COUNT as i32;

row_kind! {
    /// A line of sectors, left to right: each 0 for no plane at all, 1 below two a cell, 2 below four, 3 from there on.
    /// Sectors beyond the field's right edge stay 0. The row's id is the line, 0 at the top.
    #[expect(missing_docs, reason = "sixteen alike, numbered from the left")]
    pub struct SectorRow {
        d0: 0..=3,
        d1: 0..=3,
        d2: 0..=3,
        d3: 0..=3,
        d4: 0..=3,
        d5: 0..=3,
        d6: 0..=3,
        d7: 0..=3,
        d8: 0..=3,
        d9: 0..=3,
        d10: 0..=3,
        d11: 0..=3,
        d12: 0..=3,
        d13: 0..=3,
        d14: 0..=3,
        d15: 0..=3,
    }
}

/// Kind of the minimap's rows.
pub const SECTOR: u8 = 3;

/// The declaration of the minimap's lines: everybody sees them.
pub const KIND: Kind = Kind {
    number: SECTOR,
    name: "sector",
    id_bits: 4,
    fields: SectorRow::FIELDS,
    is_placed: false,
    derived: 0,
    derive: nothing_is_derived,
};

/// Width of a sector in cells; the last of a line may reach beyond the field.
pub fn cells_wide(grid: Grid) -> i32 {
    (grid.cells - 1) / SIDE_MAX_SECTORS + 1
}

/// Sectors in a line, and lines.
pub fn side(grid: Grid) -> i32 {
    (grid.cells - 1) / cells_wide(grid) + 1
}

/// The lines, from the top.
#[derive(Debug, Resource)]
pub(crate) struct Minimap(pub(crate) Vec<Fields>);

/// Counts planes for the minimap.
pub(crate) fn plugin(setup: &mut Setup, grid: Grid) {
    setup.world.insert_resource(Minimap(vec![Fields::default(); side(grid) as usize]));
    let is_due = |clock: Res<Clock>| clock.tick % REFRESH_TICKS == 1;
    setup.schedule.add_systems(count.run_if(is_due).in_set(Phase::Boards));
}

fn count(rules: Res<MotionRules>, index: Res<SpatialIndex>, mut minimap: ResMut<Minimap>) {
    let (grid, lines) = (rules.grid, &mut minimap.0);
    lines.fill(Fields::default());
    let wide = cells_wide(grid);
    for plane in index.planes() {
        let cell = CellId::at(plane.plane.position(), grid);
        let sector = cell.place(grid).expect("a position is in a cell of the field") / wide;
        lines[sector.y as usize][sector.x as usize] += 1;
    }
    let cells_from = |sector: usize| wide.min(grid.cells - sector as i32 * wide);
    for (y, line) in lines.iter_mut().enumerate() {
        for (x, planes) in line[..side(grid) as usize].iter_mut().enumerate() {
            *planes = density(*planes, cells_from(x) * cells_from(y));
        }
    }
}

fn density(planes: i32, cells: i32) -> i32 {
    match planes {
        0 => 0,
        _ if planes < 2 * cells => 1,
        _ if planes < 4 * cells => 2,
        _ => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Game,
        plane::Plane,
        roster::PilotId,
        rules::Rules,
        schema::Row,
        schema::{CELL_UNITS, FIELD_MAX_CELLS},
        test_support::{plane_at, room_with},
    };
    use glam::IVec2;

    /// The lines as they are in the rows, by id.
    fn lines(game: &Game) -> Vec<Row> {
        game.all_rows().into_iter().filter(|row| row.kind == SECTOR).collect()
    }

    /// SPEC A3.4.
    #[test]
    fn the_minimap_says_where_it_is_crowded_once_a_second() {
        let flock = [0, 1, 2, 3, 4].map(|y| Plane { shield: 200, ..plane_at(2, y, 0) });
        let (mut game, _) = room_with(&flock);
        let before = lines(&game);
        game.steps(REFRESH_TICKS - 1);
        assert_eq!(lines(&game), before, "it stays for a second");
        game.step();
        let lines = lines(&game);
        assert_eq!(lines.iter().map(|row| row.id).collect::<Vec<_>>(), (0..10).collect::<Vec<_>>());
        let crowded: Vec<_> = lines
            .iter()
            .flat_map(|row| (0..).zip(row.fields).map(|(x, density)| (row.id, x, density)))
            .filter(|(.., density)| *density > 0)
            .collect();
        assert_eq!(crowded, [(5, 6, 3)], "all five are in row 5, column 6");
    }

    /// SPEC A3.4.
    #[test]
    fn sectors_cover_every_field_and_there_are_few() {
        for field_cells in 3..=FIELD_MAX_CELLS {
            let grid = Grid { cells: field_cells };
            let (wide, side) = (cells_wide(grid), side(grid));
            assert!(side <= SIDE_MAX_SECTORS && wide * side >= field_cells && wide * (side - 1) < field_cells);
            assert!(wide == 1 || side > SIDE_MAX_SECTORS / 2, "{side} sectors on {field_cells} cells");
            // What the page goes by, which is told the two numbers of a side only.
            assert_eq!((field_cells - 1) / side + 1, wide, "{side} sectors on {field_cells} cells");
        }
    }

    /// SPEC A3.4.
    #[test]
    fn densities_are_by_area_and_by_what_is_inside_of_the_field() {
        let of = |cells: i32, planes: &[i32]| planes.iter().map(|planes| density(*planes, cells)).collect::<Vec<_>>();
        assert_eq!(of(1, &[0, 1, 2, 3, 4, 9]), [0, 1, 2, 2, 3, 3]);
        assert_eq!(of(4, &[0, 1, 7, 8, 15, 16]), [0, 1, 1, 2, 2, 3]);

        // 17 cells a side: sectors are 2 cells wide, and of the last one a quarter is inside.
        let mut rules = Rules::default();
        rules.motion.grid.cells = 17;
        let mut game = Game::new(1, rules);
        assert!((0..4).all(|_| game.join(false).is_some()));
        game.step();
        let corner = IVec2::splat(17 * CELL_UNITS - CELL_UNITS / 2);
        for id in 1..=4 {
            let plane = Plane::new(corner - id * 100, 0, 0, &game.rules().motion.flight, 200);
            *game.plane_mut(PilotId(id as u16)) = plane;
        }
        game.world.resource_mut::<Clock>().tick = REFRESH_TICKS;
        game.step();
        let lines = lines(&game);
        assert_eq!((lines.len(), lines[8].fields[8]), (9, 3));
        assert_eq!(lines.iter().flat_map(|row| row.fields).sum::<i32>(), 3, "and nobody else is anywhere");
    }
}
