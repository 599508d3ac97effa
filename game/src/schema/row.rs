//! Rows, which are all that can be seen of a room, and the one declaration that each kind of row has.
//!
//! Path: a kind declares its fields with `row_kind!`; `Game::rows` writes the world as rows; `arena` replicates them,
//! knowing no kind by name.
//! Invariants: a row is all integers; its cell follows from kind and fields.
//! Never: the wire, the ECS.

use super::grid::{CellId, Grid};
use glam::IVec2;
use std::ops::RangeInclusive;

/// Fields a row can have; unused ones are 0.
pub const FIELDS_MAX_COUNT: usize = 16;

/// The integer fields of a row, in the order of its kind's declaration.
pub type Fields = [i32; FIELDS_MAX_COUNT];

/// Anything that can be seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// The cell it is in, derived from kind and fields (see [`Row::new`]).
    pub cell: CellId,
    /// Its kind's [`Kind::number`].
    pub kind: u8,
    /// Unique within the kind, below 2^`id_bits`.
    pub id: u32,
    /// The state.
    pub fields: Fields,
}

impl Row {
    /// A row in the cell that its kind derives from its fields.
    #[inline]
    pub fn new(kind: &Kind, id: u32, fields: Fields, grid: Grid) -> Self {
        Self { cell: kind.cell_of(&fields, grid), kind: kind.number, id, fields }
    }

    /// Canonical order: by cell, then kind, then id.
    #[inline]
    pub fn order(&self) -> u64 {
        u64::from(self.cell.0) << 40 | u64::from(self.kind) << 32 | u64::from(self.id)
    }

    /// Identity: kind and id.
    pub fn key(&self) -> (u8, u32) {
        (self.kind, self.id)
    }

    /// A 64-bit hash of kind, id and fields: cells sum it up for the checksum. `kinds` are all, by number.
    #[inline]
    pub fn hash(&self, kinds: &[Kind]) -> u64 {
        // FxHash's multiplier (rustc-hash): one multiply a field is enough to find a slip, it need not stop a forger.
        const MULTIPLIER: u64 = 0xf135_7aea_2e62_a9c5;
        let seed = (u64::from(self.kind) << 32 | u64::from(self.id)).wrapping_mul(MULTIPLIER);
        let used = kinds[usize::from(self.kind)].fields.len();
        // Two fields at a time: a chain of multiplies is all that this costs.
        let pairs = self.fields.chunks_exact(2).take(used.div_ceil(2));
        let words = pairs.map(|pair| u64::from(pair[0] as u32) | u64::from(pair[1] as u32) << 32);
        words.fold(seed, |hash, word| (hash.rotate_left(23) ^ word).wrapping_mul(MULTIPLIER))
    }
}

/// A field's name and range; `arena` codes it in as many bits as the range needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// As in the declaration; saves and code tables go by it.
    pub name: &'static str,
    /// Smallest and largest value.
    pub range: RangeInclusive<i32>,
    /// What a row has that was saved when there was no such field; within the range.
    pub default: i32,
}

impl Field {
    /// With the value of the range that is nearest to `default`.
    pub const fn new(name: &'static str, range: RangeInclusive<i32>, default: i32) -> Self {
        let (least, most) = (*range.start(), *range.end());
        assert!(least <= most, "a range has a value");
        let default = if default < least {
            least
        } else if default > most {
            most
        } else {
            default
        };
        Self { name, range, default }
    }

    /// Bits that hold every value of the range.
    #[inline]
    pub fn bits(&self) -> u32 {
        let span = (i64::from(*self.range.end()) - i64::from(*self.range.start())) as u64;
        64 - span.leading_zeros()
    }
}

/// The declaration of a kind of row.
#[derive(Debug)]
pub struct Kind {
    /// Its place in the list of all kinds.
    pub number: u8,
    /// For people.
    pub name: &'static str,
    /// Bits of an id.
    pub id_bits: u32,
    /// The fields, in order.
    pub fields: &'static [Field],
    /// Whether the first two fields are a position, in units, which decides the row's cell; a row of a kind without one
    /// is in [`CellId::EVERYONE`], for all to see.
    pub is_placed: bool,
    /// Fields that are derived from others when a row changes by surprise, one bit each: as long as `derive` is right
    /// about them, nobody needs to be told.
    pub derived: u16,
    /// Sets the derived fields of a row that was `before` and whose other fields are as in `after`.
    pub derive: fn(before: &Fields, after: &mut Fields),
}

impl Kind {
    /// The cell of a row of this kind with these fields.
    #[inline]
    pub fn cell_of(&self, fields: &Fields, grid: Grid) -> CellId {
        if self.is_placed { CellId::at(IVec2::new(fields[0], fields[1]), grid) } else { CellId::EVERYONE }
    }
}

/// For kinds without derived fields.
pub fn nothing_is_derived(_: &Fields, _: &mut Fields) {}

/// Declares a kind's fields once: a struct of named `i32`s, their ranges, and the way to and from [`Fields`]. A field that
/// is called otherwise in code than in saves and code tables says so: `in_code as "declared": range`. Rows of before a
/// field was declared have it as 0, or what is nearest to that, unless it says otherwise: `field: range => default`.
///
/// ```
/// game::row_kind! {
///     /// A balloon.
///     pub struct Balloon {
///         /// Height, metres.
///         height: 0..=1000,
///         /// Litres.
///         gas: 0..=400 => 400,
///     }
/// }
/// assert_eq!(Balloon::from_fields(&Balloon { height: 7, gas: 9 }.to_fields()).height, 7);
/// assert_eq!((Balloon::FIELDS[0].bits(), Balloon::FIELDS[1].default), (10, 400));
/// ```
#[macro_export]
macro_rules! row_kind {
    ($(#[$about:meta])* pub struct $name:ident {
        $($(#[$field_about:meta])* $field:ident $(as $declared:literal)?: $range:expr $(=> $default:expr)?,)*
    }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        pub struct $name { $($(#[$field_about])* pub $field: i32,)* }

        impl $name {
            /// The fields with their ranges, in the order of the declaration.
            pub const FIELDS: &'static [$crate::schema::Field] =
                &[$($crate::schema::Field::new([$($declared,)? stringify!($field)][0], $range, [$($default,)? 0][0])),*];

            /// As the fields of a row.
            pub fn to_fields(self) -> $crate::schema::Fields {
                let mut fields = [0; $crate::schema::FIELDS_MAX_COUNT];
                fields[..Self::FIELDS.len()].copy_from_slice(&[$(self.$field),*]);
                fields
            }

            /// From the fields of a row.
            pub fn from_fields(fields: &$crate::schema::Fields) -> Self {
                let mut next = fields.iter();
                Self { $($field: *next.next().expect("a kind has at most FIELDS_MAX_COUNT fields")),* }
            }
        }
    };
}
