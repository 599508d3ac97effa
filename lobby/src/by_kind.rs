//! A value for each kind of room.

use protocol::room::Kind;
use serde::{Serialize, Serializer};
use std::ops::{Index, IndexMut};

/// Written as an object with the kinds' words.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ByKind<T>([T; Kind::ALL.len()]);

impl<T> ByKind<T> {
    /// What `value` gives for each kind.
    pub fn of(value: impl FnMut(Kind) -> T) -> Self {
        Self(Kind::ALL.map(value))
    }

    /// All values.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter()
    }
}

impl<T> Index<Kind> for ByKind<T> {
    type Output = T;

    fn index(&self, kind: Kind) -> &T {
        &self.0[place(kind)]
    }
}

impl<T> IndexMut<Kind> for ByKind<T> {
    fn index_mut(&mut self, kind: Kind) -> &mut T {
        &mut self.0[place(kind)]
    }
}

impl<T: Serialize> Serialize for ByKind<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(Kind::ALL.map(Kind::word).into_iter().zip(&self.0))
    }
}

fn place(kind: Kind) -> usize {
    Kind::ALL.iter().position(|other| *other == kind).expect("all kinds are among all kinds")
}
