//! The field: units, headings, and the uniform grid of cells that interest and collisions share.
//!
//! Invariants: positions are whole units (a plane is [`PLANE_LENGTH_UNITS`] long); a cell is a quarter of the view
//! wide; nothing moves farther than a cell in a tick.

use crate::rules::Rules;
use glam::IVec2;

/// Length of a plane: positions are finer than 1/2000 of it.
pub const PLANE_LENGTH_UNITS: i32 = 2048;
/// Side of a cell: 8 plane lengths.
pub const CELL_UNITS: i32 = 16_384;
/// Width of what a pilot may see, in cells; the camera shows no more than this around the own plane.
pub const VIEW_CELLS: i32 = 4;
/// Most cells a field may have a side. Policy: rules beyond it are refused.
pub const FIELD_MAX_CELLS: i32 = 128;
/// Largest coordinate of any field.
pub const POSITION_MAX: i32 = FIELD_MAX_CELLS * CELL_UNITS - 1;
/// A full turn of a heading: 16 bits, 0 = east, a quarter turn = south (y grows downwards, as on a screen).
pub const TURN: i32 = 65_536;

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

/// `length` units in the direction of `heading`, rounded towards zero; |length| ≤ 2^17.
pub fn toward(heading: i32, length: i32) -> IVec2 {
    let scaled = |sine: i32| (i64::from(sine) * i64::from(length) / i64::from(SINE_ONE)) as i32;
    IVec2::new(scaled(sine(heading + TURN / 4)), scaled(sine(heading)))
}

/// What [`sine`] returns for a quarter turn.
pub const SINE_ONE: i32 = 1 << 14;
/// Steps of the table a quarter turn.
const SINE_STEPS: usize = 256;

/// Sine of a heading, scaled by [`SINE_ONE`], off by at most 1; integers only, so that every platform agrees.
pub fn sine(heading: i32) -> i32 {
    let heading = heading.rem_euclid(TURN);
    let quarter = heading % (TURN / 4);
    let rising = if heading / (TURN / 4) % 2 == 0 { quarter } else { TURN / 4 - quarter };
    let per_step = TURN / 4 / SINE_STEPS as i32;
    let (index, part) = ((rising / per_step) as usize, rising % per_step);
    let (low, high) = (SINES[index], SINES[(index + 1).min(SINE_STEPS)]);
    let value = low + (high - low) * part / per_step;
    if heading < TURN / 2 { value } else { -value }
}

/// A quarter wave, computed at compile time with the Taylor series in 2^-30 fixed point.
static SINES: [i32; SINE_STEPS + 1] = {
    const ONE: i64 = 1 << 30;
    const HALF_PI: i64 = 1_686_629_713; // π/2 · 2^30
    let mut table = [0; SINE_STEPS + 1];
    let mut i = 0;
    while i <= SINE_STEPS {
        let x = HALF_PI * i as i64 / SINE_STEPS as i64;
        let square = x * x / ONE;
        let (mut term, mut sum, mut n) = (x, x, 1);
        while n < 8 {
            term = -(term * square / ONE) / (2 * n * (2 * n + 1));
            sum += term;
            n += 1;
        }
        table[i] = ((sum * SINE_ONE as i64 + ONE / 2) / ONE) as i32;
        i += 1;
    }
    table
};

/// The heading from the origin towards `to`, 0..TURN; 0 for the origin itself. Off by at most 1/1000 of a turn.
///
/// Integer arctangent with the polynomial of Rajan et al., "Efficient Approximations for the Arctangent Function",
/// IEEE Signal Processing Magazine 23(3), 2006: atan(z) ≈ z·(π/4 + 0.273·(1 − z)) for 0 ≤ z ≤ 1.
pub fn heading_of(to: IVec2) -> i32 {
    let (x, y) = (i64::from(to.x).abs(), i64::from(to.y).abs());
    if x == 0 && y == 0 {
        return 0;
    }
    let (small, large) = (x.min(y), x.max(y));
    let ratio = small * 4096 / large; // z in 2^-12
    // Eighth of a turn = π/4; 0.273 rad = 2847.6 heading units.
    let octant = (ratio * (8192 + 2848 * (4096 - ratio) / 4096) / 4096) as i32;
    let quarter = if y > x { TURN / 4 - octant } else { octant };
    let half = if to.x < 0 { TURN / 2 - quarter } else { quarter };
    (if to.y < 0 { -half } else { half }).rem_euclid(TURN)
}

/// The turn from heading `from` to heading `to`, the short way: -TURN/2 ..TURN/2.
pub fn turn_between(from: i32, to: i32) -> i32 {
    (to - from + TURN / 2).rem_euclid(TURN) - TURN / 2
}

/// The square of a vector's length; of any two positions' difference without overflow.
pub fn squared(of: IVec2) -> i64 {
    i64::from(of.x) * i64::from(of.x) + i64::from(of.y) * i64::from(of.y)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sine_and_heading_agree_with_the_real_ones() {
        for heading in (0..TURN).step_by(7) {
            let angle = f64::from(heading) / f64::from(TURN) * std::f64::consts::TAU;
            assert!((f64::from(sine(heading)) - angle.sin() * f64::from(SINE_ONE)).abs() < 1.6, "sine of {heading}");
            let back = heading_of(toward(heading, 100_000));
            assert!(turn_between(heading, back).abs() <= TURN / 1000, "{heading} came back as {back}");
        }
        assert_eq!((sine(TURN / 4), sine(TURN / 2), sine(-TURN / 4)), (SINE_ONE, 0, -SINE_ONE));
    }

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
