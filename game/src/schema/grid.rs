//! The grid of cells that a field is divided into: interest, the minimap and the order of rows go by it.
//!
//! Invariants: a cell is a quarter of the view wide; nothing moves farther than a cell in a tick.

use crate::rules::Rules;
use glam::IVec2;

/// Side of a cell: 8 plane lengths.
pub const CELL_UNITS: i32 = 16_384;
/// Width of what a pilot may see, in cells; the camera shows no more than this around the own plane.
pub const VIEW_CELLS: i32 = 4;
/// Most cells a field may have a side. Policy: rules beyond it are refused.
pub const FIELD_MAX_CELLS: i32 = 128;
/// Largest coordinate of any field.
pub const POSITION_MAX: i32 = FIELD_MAX_CELLS * CELL_UNITS - 1;

/// A cell of the grid, or [`CellId::EVERYONE`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct CellId(pub u16);

impl CellId {
    /// The cell every session holds: top list, coarse minimap.
    pub const EVERYONE: Self = Self(0);

    /// The cell at a position; positions outside count to the border's cell.
    pub fn at(position: IVec2, rules: &Rules) -> Self {
        let last = rules.field_cells - 1;
        Self::of((position / CELL_UNITS).clamp(IVec2::ZERO, IVec2::splat(last)), rules)
    }

    /// The cell of this column and row, both inside the field.
    fn of(place: IVec2, rules: &Rules) -> Self {
        Self((1 + place.y * rules.field_cells + place.x) as u16)
    }

    /// Column and row; `None` for [`CellId::EVERYONE`] and for ids beyond the field.
    pub fn place(self, rules: &Rules) -> Option<IVec2> {
        let index = i32::from(self.0) - 1;
        (0..rules.field_cells * rules.field_cells)
            .contains(&index)
            .then(|| IVec2::new(index % rules.field_cells, index / rules.field_cells))
    }

    /// Which neighbour of `self` the cell `other` is: 0..=7 row by row around it, or `None` if it is none.
    pub fn direction_to(self, other: Self, rules: &Rules) -> Option<u8> {
        let step = other.place(rules)? - self.place(rules)?;
        let index = (step.y + 1) * 3 + step.x + 1;
        let is_neighbour = step.abs().max_element() == 1;
        is_neighbour.then_some(if index > 4 { index as u8 - 1 } else { index as u8 })
    }

    /// The neighbours inside the field, each with its direction (0..=7, see [`Self::direction_to`]).
    pub fn neighbours(self, rules: &Rules) -> impl Iterator<Item = (u8, CellId)> {
        let place = self.place(rules);
        let side = 0..rules.field_cells;
        (0..8).filter_map(move |direction| {
            let index = i32::from(direction) + i32::from(direction > 3);
            let place = place? + IVec2::new(index % 3 - 1, index / 3 - 1);
            let is_inside = side.contains(&place.x) && side.contains(&place.y);
            is_inside.then(|| (direction, Self(1 + (place.y * side.end + place.x) as u16)))
        })
    }

    /// Whether a session with its eye in `self` that reaches this many cells in every direction holds `cell`; agrees with
    /// [`Self::interest`].
    pub fn holds(self, cell: CellId, reach_cells: i32, rules: &Rules) -> bool {
        // Mostly it is the eye's own, which needs no division.
        if self == cell {
            return i32::from(cell.0) <= rules.field_cells * rules.field_cells;
        }
        match (self.place(rules), cell.place(rules)) {
            (Some(eye), Some(place)) => (place - eye).abs().max_element() <= reach_cells,
            _ => cell == Self::EVERYONE,
        }
    }

    /// The cells such a session holds, ascending: everyone's, and all within reach.
    pub fn interest(self, reach_cells: i32, rules: &Rules) -> Vec<CellId> {
        let mut cells = vec![Self::EVERYONE];
        if let Some(centre) = self.place(rules) {
            let last = IVec2::splat(rules.field_cells - 1);
            let from = (centre - reach_cells).max(IVec2::ZERO);
            let to = (centre + reach_cells).min(last);
            for y in from.y..=to.y {
                cells.extend((from.x..=to.x).map(|x| Self::of(IVec2::new(x, y), rules)));
            }
        }
        cells
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_numbered_row_by_row() {
        let rules = Rules::default();
        let centre = CellId::at(IVec2::splat(3 * CELL_UNITS), &rules);
        let around: Vec<_> = (-1..=1)
            .flat_map(|y| (-1..=1).map(move |x| IVec2::new(x, y)))
            .map(|step| {
                centre.direction_to(CellId::at(IVec2::splat(3 * CELL_UNITS) + step * CELL_UNITS, &rules), &rules)
            })
            .collect();
        let expected = [Some(0), Some(1), Some(2), Some(3), None, Some(4), Some(5), Some(6), Some(7)];
        assert_eq!(around, expected);
        assert_eq!(centre.neighbours(&rules).count(), 8);
        for (direction, neighbour) in centre.neighbours(&rules) {
            assert_eq!(centre.direction_to(neighbour, &rules), Some(direction));
        }
        assert_eq!(CellId(1).neighbours(&rules).count(), 3, "in a corner");
        assert_eq!(CellId::EVERYONE.neighbours(&rules).count(), 0);
    }

    #[test]
    fn interest_is_clipped_at_the_border() {
        let rules = Rules::default();
        assert_eq!(CellId::at(IVec2::ZERO, &rules).interest(2, &rules).len(), 1 + 9);
        assert_eq!(CellId::at(IVec2::splat(4 * CELL_UNITS), &rules).interest(2, &rules).len(), 1 + 25);
        assert_eq!(CellId(65_535).interest(2, &rules), vec![CellId::EVERYONE]);
        for (eye, cell) in (0..101).flat_map(|eye| (0..101).map(move |cell| (CellId(eye), CellId(cell)))) {
            (1..=2).for_each(|reach| {
                assert_eq!(eye.holds(cell, reach, &rules), eye.interest(reach, &rules).contains(&cell))
            });
        }
    }
}
