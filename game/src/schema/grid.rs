//! The grid of cells that a field is divided into: interest, the minimap and the order of rows go by it.
//!
//! Invariants: a cell is a quarter of the view wide; nothing moves farther than a cell in a tick.

use glam::IVec2;
use serde::{Deserialize, Serialize};

/// Side of a cell: 8 plane lengths.
pub const CELL_UNITS: i32 = 16_384;
/// Width of what a pilot may see, in cells; the camera shows no more than this around the own plane.
pub const VIEW_CELLS: i32 = 4;
/// Most cells a field may have a side. Policy: rules beyond it are refused.
pub const FIELD_MAX_CELLS: i32 = 128;
/// Largest coordinate of any field.
pub const POSITION_MAX: i32 = FIELD_MAX_CELLS * CELL_UNITS - 1;

/// The grid of a square field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Grid {
    /// Cells a side, 3..=[`FIELD_MAX_CELLS`].
    pub cells: i32,
}

impl Grid {
    /// Side of the field in units; coordinates run from 0 to one less.
    pub fn side_units(self) -> i32 {
        self.cells * CELL_UNITS
    }

    /// How many ids of cells there are, with [`CellId::EVERYONE`].
    pub fn ids_count(self) -> usize {
        1 + (self.cells * self.cells) as usize
    }
}

/// A cell of the grid, or [`CellId::EVERYONE`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct CellId(pub u16);

impl CellId {
    /// The cell every session holds: top list, coarse minimap.
    pub const EVERYONE: Self = Self(0);

    /// The cell at a position; positions outside count to the border's cell.
    pub fn at(position: IVec2, grid: Grid) -> Self {
        let last = grid.cells - 1;
        Self::of((position / CELL_UNITS).clamp(IVec2::ZERO, IVec2::splat(last)), grid)
    }

    /// The cell of this column and row, both inside the field.
    fn of(place: IVec2, grid: Grid) -> Self {
        Self((1 + place.y * grid.cells + place.x) as u16)
    }

    /// Column and row; `None` for [`CellId::EVERYONE`] and for ids beyond the field.
    pub fn place(self, grid: Grid) -> Option<IVec2> {
        let index = i32::from(self.0) - 1;
        (0..grid.cells * grid.cells).contains(&index).then(|| IVec2::new(index % grid.cells, index / grid.cells))
    }

    /// Which neighbour of `self` the cell `other` is: 0..=7 row by row around it, or `None` if it is none.
    pub fn direction_to(self, other: Self, grid: Grid) -> Option<u8> {
        let step = other.place(grid)? - self.place(grid)?;
        let index = (step.y + 1) * 3 + step.x + 1;
        let is_neighbour = step.abs().max_element() == 1;
        is_neighbour.then_some(if index > 4 { index as u8 - 1 } else { index as u8 })
    }

    /// The neighbours inside the field, each with its direction (0..=7, see [`Self::direction_to`]).
    pub fn neighbours(self, grid: Grid) -> impl Iterator<Item = (u8, CellId)> {
        let place = self.place(grid);
        let side = 0..grid.cells;
        (0..8).filter_map(move |direction| {
            let index = i32::from(direction) + i32::from(direction > 3);
            let place = place? + IVec2::new(index % 3 - 1, index / 3 - 1);
            let is_inside = side.contains(&place.x) && side.contains(&place.y);
            is_inside.then(|| (direction, Self(1 + (place.y * side.end + place.x) as u16)))
        })
    }

    /// Whether a session with its eye in `self` that reaches this many cells in every direction holds `cell`; agrees with
    /// [`Self::interest`].
    pub fn holds(self, cell: CellId, reach_cells: i32, grid: Grid) -> bool {
        // Mostly it is the eye's own, which needs no division.
        if self == cell {
            return i32::from(cell.0) <= grid.cells * grid.cells;
        }
        match (self.place(grid), cell.place(grid)) {
            (Some(eye), Some(place)) => (place - eye).abs().max_element() <= reach_cells,
            _ => cell == Self::EVERYONE,
        }
    }

    /// The cells such a session holds, ascending: everyone's, and all within reach.
    pub fn interest(self, reach_cells: i32, grid: Grid) -> Vec<CellId> {
        let mut cells = vec![Self::EVERYONE];
        if let Some(centre) = self.place(grid) {
            let last = IVec2::splat(grid.cells - 1);
            let from = (centre - reach_cells).max(IVec2::ZERO);
            let to = (centre + reach_cells).min(last);
            for y in from.y..=to.y {
                cells.extend((from.x..=to.x).map(|x| Self::of(IVec2::new(x, y), grid)));
            }
        }
        cells
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SPEC A2.4.
    #[test]
    fn neighbours_are_numbered_row_by_row() {
        let grid = Grid { cells: 10 };
        let centre = CellId::at(IVec2::splat(3 * CELL_UNITS), grid);
        let around: Vec<_> = (-1..=1)
            .flat_map(|y| (-1..=1).map(move |x| IVec2::new(x, y)))
            .map(|step| centre.direction_to(CellId::at(IVec2::splat(3 * CELL_UNITS) + step * CELL_UNITS, grid), grid))
            .collect();
        let expected = [Some(0), Some(1), Some(2), Some(3), None, Some(4), Some(5), Some(6), Some(7)];
        assert_eq!(around, expected);
        assert_eq!(centre.neighbours(grid).count(), 8);
        for (direction, neighbour) in centre.neighbours(grid) {
            assert_eq!(centre.direction_to(neighbour, grid), Some(direction));
        }
        assert_eq!(CellId(1).neighbours(grid).count(), 3, "in a corner");
        assert_eq!(CellId::EVERYONE.neighbours(grid).count(), 0);
    }

    /// SPEC A6.2.
    #[test]
    fn interest_is_clipped_at_the_border() {
        let grid = Grid { cells: 10 };
        assert_eq!(CellId::at(IVec2::ZERO, grid).interest(2, grid).len(), 1 + 9);
        assert_eq!(CellId::at(IVec2::splat(4 * CELL_UNITS), grid).interest(2, grid).len(), 1 + 25);
        assert_eq!(CellId(65_535).interest(2, grid), vec![CellId::EVERYONE]);
        for (eye, cell) in (0..101).flat_map(|eye| (0..101).map(move |cell| (CellId(eye), CellId(cell)))) {
            (1..=2)
                .for_each(|reach| assert_eq!(eye.holds(cell, reach, grid), eye.interest(reach, grid).contains(&cell)));
        }
    }
}
