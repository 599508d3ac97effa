//! Where a session looks from, and what it holds because of that.
//!
//! Path: both ends derive the next eye from the own plane; the room tells it when it cannot be derived. What is held
//! from an eye is worked out once ([`Interests`]).

use crate::log::Directions;
use game::{
    field::{CellId, VIEW_CELLS},
    rules::Rules,
};

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

    /// The cells held, ascending.
    pub(crate) fn interest(self, rules: &Rules) -> Vec<CellId> {
        self.cell.interest(self.reach(), rules)
    }

    /// The eye both ends expect after a frame made for this one, when the own plane is in `plane` then.
    pub(crate) fn next(self, plane: Option<CellId>, rules: &Rules) -> Self {
        plane.filter(|cell| self.holds(*cell, rules)).map_or(self, |cell| Self { cell, ..self })
    }
}

/// The cells held from one eye.
#[derive(Debug)]
pub(crate) struct Interest {
    /// Ascending.
    pub(crate) cells: Vec<CellId>,
    /// Per cell the neighbours that are not among `cells`.
    pub(crate) unknown: Vec<Directions>,
}

/// Interests by eye; filled as eyes get there.
#[derive(Debug)]
pub(crate) struct Interests(Vec<[Option<Interest>; 2]>);

impl Interests {
    /// For cells 0 .. `count`.
    pub(crate) fn new(count: usize) -> Self {
        Self(std::iter::repeat_with(Default::default).take(count).collect())
    }

    /// What is held from an eye in the field.
    pub(crate) fn of(&mut self, eye: Eye, rules: &Rules) -> &Interest {
        self.0[usize::from(eye.cell.0)][usize::from(eye.is_near)].get_or_insert_with(|| {
            let cells = eye.interest(rules);
            let unknown = cells.iter().map(|cell| unknown_around(*cell, &cells, rules)).collect();
            Interest { cells, unknown }
        })
    }
}

/// The neighbours of `cell` that are not among `known`, which are ascending.
pub(crate) fn unknown_around(cell: CellId, known: &[CellId], rules: &Rules) -> Directions {
    let unknown = cell.neighbours(rules).filter(|(_, other)| known.binary_search(other).is_err());
    unknown.fold(0, |set, (direction, _)| set | 1 << direction)
}
