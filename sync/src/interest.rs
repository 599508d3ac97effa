//! What a session looking from a cell holds, worked out once per cell.
//!
//! Invariant: agrees with [`CellId::interest`]; both ends derive it from the eye alone.

use crate::log::Directions;
use game::{field::CellId, rules::Rules};

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
pub(crate) struct Interests(Vec<Option<Interest>>);

impl Interests {
    /// For cells 0 .. `count`.
    pub(crate) fn new(count: usize) -> Self {
        Self(std::iter::repeat_with(|| None).take(count).collect())
    }

    /// What is held from this cell of the field.
    pub(crate) fn of(&mut self, eye: CellId, rules: &Rules) -> &Interest {
        self.0[usize::from(eye.0)].get_or_insert_with(|| {
            let cells = eye.interest(rules);
            let unknown = cells.iter().map(|cell| unknown_around(*cell, &cells, rules)).collect();
            Interest { cells, unknown }
        })
    }
}

/// The neighbours of `cell` that are not among `known`, which are ascending.
pub(crate) fn unknown_around(cell: CellId, known: &[CellId], rules: &Rules) -> Directions {
    let is_unknown =
        |direction: u8| cell.neighbour(direction, rules).is_some_and(|other| known.binary_search(&other).is_err());
    (0..8).filter(|direction| is_unknown(*direction)).fold(0, |set, direction| set | 1 << direction)
}
