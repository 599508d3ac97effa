//! Where a session looks from, and what it holds because of that.
//!
//! Path: both ends derive the next eye from the own plane; the room tells it when it cannot be derived. What is held
//! from an eye is a [`Square`] of cells, walked row by row: nothing to look up, whoever looks from wherever.

use crate::log::Directions;
use game::{
    field::{CellId, VIEW_CELLS},
    rules::Rules,
};
use glam::IVec2;

/// How far an eye reaches with full detail: half a view in every direction.
const FULL_REACH_CELLS: i32 = VIEW_CELLS / 2;
/// How far it reaches while the room is too busy for that.
const NEAR_REACH_CELLS: i32 = 1;
/// On the wire: set for an eye that reaches less far. Cells need 15 bits at most.
const NEAR_BIT: u16 = 1 << 15;
const _: () = assert!(game::field::FIELD_MAX_CELLS * game::field::FIELD_MAX_CELLS < NEAR_BIT as i32);

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Eye {
    pub(crate) cell: CellId,
    /// Only the cells next to its own are held.
    pub(crate) is_near: bool,
}

impl Eye {
    /// Of a session that holds nothing but what everyone does.
    pub(crate) const NOWHERE: Self = Self { cell: CellId::EVERYONE, is_near: false };

    /// As on the wire.
    pub(crate) fn to_bits(self) -> u16 {
        self.cell.0 | if self.is_near { NEAR_BIT } else { 0 }
    }

    /// From the wire; any bits are an eye.
    pub(crate) fn from_bits(bits: u16) -> Self {
        Self { cell: CellId(bits & !NEAR_BIT), is_near: bits & NEAR_BIT != 0 }
    }

    fn reach(self) -> i32 {
        if self.is_near { NEAR_REACH_CELLS } else { FULL_REACH_CELLS }
    }

    /// Whether `cell` is held.
    pub(crate) fn holds(self, cell: CellId, rules: &Rules) -> bool {
        self.cell.holds(cell, self.reach(), rules)
    }

    /// What is held, to be walked through.
    pub(crate) fn square(self, rules: &Rules) -> Square {
        Square::around(self, rules)
    }

    /// The cells held, ascending.
    pub(crate) fn interest(self, rules: &Rules) -> Vec<CellId> {
        self.cell.interest(self.reach(), rules)
    }

    /// The eye both ends expect after a frame made for this one, when the own plane is in `plane` then.
    pub(crate) fn next(self, plane: Option<CellId>, rules: &Rules) -> Self {
        plane.filter(|cell| self.holds(*cell, rules)).map_or(self, |cell| Self { cell, ..self })
    }
}

/// Directions that lead up, down, left and right (see [`CellId::direction_to`]).
const UPWARDS: Directions = 0b0000_0111;
const DOWNWARDS: Directions = 0b1110_0000;
const LEFTWARDS: Directions = 0b0010_1001;
const RIGHTWARDS: Directions = 0b1001_0100;

/// The cells held from an eye: those it reaches, clipped at the field's border, behind what everyone holds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Square {
    /// First and last column and row; nothing for an eye outside of the field.
    first: IVec2,
    last: IVec2,
    /// The same if the field did not end.
    reached: (IVec2, IVec2),
    field_cells: i32,
}

impl Square {
    fn around(eye: Eye, rules: &Rules) -> Self {
        let field_cells = rules.field_cells;
        let Some(centre) = eye.cell.place(rules) else {
            return Self { first: IVec2::ONE, last: IVec2::ZERO, reached: (IVec2::ONE, IVec2::ZERO), field_cells };
        };
        let reached = (centre - eye.reach(), centre + eye.reach());
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
pub(crate) fn unknown_around(cell: CellId, known: &[CellId], rules: &Rules) -> Directions {
    let unknown = cell.neighbours(rules).filter(|(_, other)| known.binary_search(other).is_err());
    unknown.fold(0, |set, (direction, _)| set | 1 << direction)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_square_holds_what_the_field_says_and_knows_its_edges() {
        for field_cells in [3, 4, 5, 7] {
            let rules = Rules { field_cells, ..Rules::default() };
            let cells = (0..=(field_cells * field_cells) as u16 + 1).map(CellId);
            let eyes: Vec<_> = cells.flat_map(|cell| [false, true].map(|is_near| Eye { cell, is_near })).collect();
            for eye in &eyes {
                check(eye.square(&rules), &eye.interest(&rules), &rules);
                for other in &eyes {
                    let common: Vec<_> =
                        eye.interest(&rules).into_iter().filter(|cell| other.holds(*cell, &rules)).collect();
                    check(eye.square(&rules).and(other.square(&rules)), &common, &rules);
                }
            }
        }
    }

    fn check(square: Square, cells: &[CellId], rules: &Rules) {
        assert_eq!(square.cells().collect::<Vec<_>>(), cells, "{square:?}");
        let mut walked = Vec::new();
        square.for_each(|cell, unknown| {
            walked.push(cell);
            let inside = cell.neighbours(rules).fold(0, |set, (direction, _)| set | 1 << direction);
            assert_eq!(unknown & inside, unknown_around(cell, cells, rules), "{square:?} {cell:?}");
        });
        assert_eq!(walked, cells);
    }
}
