//! Interest management: where a session looks from, and which cells it holds because of that.
//!
//! Path: both ends derive the next viewpoint from the own plane; the room tells it when it cannot be derived. What is held
//! from a viewpoint is an [`Area`] of cells, walked row by row: nothing to look up, whoever looks from wherever.

use crate::rows::cell_log::Directions;
use game::schema::{CellId, FIELD_MAX_CELLS, Grid, VIEW_CELLS};
use glam::IVec2;

/// How far a viewpoint reaches with full detail: half a view in every direction.
const FULL_REACH_CELLS: i32 = VIEW_CELLS / 2;
/// How far it reaches while the room is too busy for that.
const NEAR_REACH_CELLS: i32 = 1;
/// On the wire: set for a viewpoint that reaches less far. Cells need 15 bits at most.
const NEAR_BIT: u16 = 1 << 15;
const _: () = assert!(FIELD_MAX_CELLS * FIELD_MAX_CELLS < NEAR_BIT as i32);

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Viewpoint {
    pub(crate) cell: CellId,
    /// Only the cells next to its own are held.
    pub(crate) is_near: bool,
}

impl Viewpoint {
    /// Of a session that holds nothing but what everyone does.
    pub(crate) const NOWHERE: Self = Self { cell: CellId::EVERYONE, is_near: false };

    /// As on the wire.
    pub(crate) fn to_bits(self) -> u16 {
        self.cell.0 | if self.is_near { NEAR_BIT } else { 0 }
    }

    /// From the wire; any bits are a viewpoint.
    pub(crate) fn from_bits(bits: u16) -> Self {
        Self { cell: CellId(bits & !NEAR_BIT), is_near: bits & NEAR_BIT != 0 }
    }

    fn reach(self) -> i32 {
        if self.is_near { NEAR_REACH_CELLS } else { FULL_REACH_CELLS }
    }

    /// Whether `cell` is held.
    pub(crate) fn holds(self, cell: CellId, grid: Grid) -> bool {
        self.cell.holds(cell, self.reach(), grid)
    }

    /// What is held, to be walked through.
    pub(crate) fn area(self, grid: Grid) -> Area {
        Area::around(self, grid)
    }

    /// The cells held, ascending.
    pub(crate) fn interest(self, grid: Grid) -> Vec<CellId> {
        self.cell.interest(self.reach(), grid)
    }

    /// The viewpoint both ends expect after a frame made for this one, when the own plane is in `plane` then.
    pub(crate) fn next(self, plane: Option<CellId>, grid: Grid) -> Self {
        plane.filter(|cell| self.holds(*cell, grid)).map_or(self, |cell| Self { cell, ..self })
    }
}

/// Directions that lead up, down, left and right (see [`CellId::direction_to`]).
const UPWARDS: Directions = 0b0000_0111;
const DOWNWARDS: Directions = 0b1110_0000;
const LEFTWARDS: Directions = 0b0010_1001;
const RIGHTWARDS: Directions = 0b1001_0100;

/// The cells held from a viewpoint: those it reaches, clipped at the field's border, behind what everyone holds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Area {
    /// First and last column and row; nothing for a viewpoint outside of the field.
    first: IVec2,
    last: IVec2,
    /// The same if the field did not end.
    reached: (IVec2, IVec2),
    field_cells: i32,
}

impl Area {
    fn around(viewpoint: Viewpoint, grid: Grid) -> Self {
        let field_cells = grid.cells;
        let Some(centre) = viewpoint.cell.place(grid) else {
            return Self { first: IVec2::ONE, last: IVec2::ZERO, reached: (IVec2::ONE, IVec2::ZERO), field_cells };
        };
        let reached = (centre - viewpoint.reach(), centre + viewpoint.reach());
        let (first, last) = (reached.0.max(IVec2::ZERO), reached.1.min(IVec2::splat(field_cells - 1)));
        Self { first, last, reached, field_cells }
    }

    /// The cells that are in both.
    pub(crate) fn and(self, other: Self) -> Self {
        let (first, last) = (self.first.max(other.first), self.last.min(other.last));
        Self { first, last, reached: (first, last), ..self }
    }

    /// The cells, ascending.
    #[inline]
    pub(crate) fn cells(self) -> impl Iterator<Item = CellId> {
        let line = move |y: i32| {
            let start = 1 + y * self.field_cells;
            (start + self.first.x..=start + self.last.x).map(|cell| CellId(cell as u16))
        };
        std::iter::once(CellId::EVERYONE).chain((self.first.y..=self.last.y).flat_map(line))
    }

    /// The cells, ascending, each with the neighbours that are not among them; beyond the field's border there are none,
    /// and they count as they may.
    #[inline]
    pub(crate) fn for_each(self, mut take: impl FnMut(CellId, Directions)) {
        take(CellId::EVERYONE, 0);
        let edge = |is_edge: bool, directions: Directions| if is_edge { directions } else { 0 };
        for y in self.first.y..=self.last.y {
            let outside = edge(y == self.reached.0.y, UPWARDS) | edge(y == self.reached.1.y, DOWNWARDS);
            for x in self.first.x..=self.last.x {
                let beside = edge(x == self.reached.0.x, LEFTWARDS) | edge(x == self.reached.1.x, RIGHTWARDS);
                take(CellId((1 + y * self.field_cells + x) as u16), outside | beside);
            }
        }
    }
}

/// The neighbours of `cell` that are not among `known`, which are ascending.
pub(crate) fn unknown_around(cell: CellId, known: &[CellId], grid: Grid) -> Directions {
    let unknown = cell.neighbours(grid).filter(|(_, other)| known.binary_search(other).is_err());
    unknown.fold(0, |set, (direction, _)| set | 1 << direction)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SPEC A6.2.
    #[test]
    fn a_square_holds_what_the_field_says_and_knows_its_edges() {
        for field_cells in [3, 4, 5, 7] {
            let grid = Grid { cells: field_cells };
            let cells = (0..=(field_cells * field_cells) as u16 + 1).map(CellId);
            let viewpoints: Vec<_> =
                cells.flat_map(|cell| [false, true].map(|is_near| Viewpoint { cell, is_near })).collect();
            for viewpoint in &viewpoints {
                check(viewpoint.area(grid), &viewpoint.interest(grid), grid);
                for other in &viewpoints {
                    let common: Vec<_> =
                        viewpoint.interest(grid).into_iter().filter(|cell| other.holds(*cell, grid)).collect();
                    check(viewpoint.area(grid).and(other.area(grid)), &common, grid);
                }
            }
        }
    }

    fn check(area: Area, cells: &[CellId], grid: Grid) {
        assert_eq!(area.cells().collect::<Vec<_>>(), cells, "{area:?}");
        let mut walked = Vec::new();
        area.for_each(|cell, unknown| {
            walked.push(cell);
            let inside = cell.neighbours(grid).fold(0, |set, (direction, _)| set | 1 << direction);
            assert_eq!(unknown & inside, unknown_around(cell, cells, grid), "{area:?} {cell:?}");
        });
        assert_eq!(walked, cells);
    }
}
