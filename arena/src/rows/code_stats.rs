//! Statistics of the coder's choices, from which `bench train` makes the code tables.
//!
//! Path: `Replica::apply_counting` notes every choice that it decodes → [`CodeStats::choices`] → `bench train` makes
//! prefix codes of them.

use crate::rows::code_tables::Choice;
use std::collections::BTreeMap;

/// Counts per choice and value, and of the bits that were sent as they are.
#[derive(Debug, Clone, Default)]
pub struct CodeStats {
    choices: BTreeMap<Choice, Counts>,
    /// Bits that no table was asked about: positions, rests of ids, headers.
    pub raw_bits: u64,
}

/// How often each value of a choice came up.
#[derive(Debug, Clone, Default)]
pub struct Counts {
    /// By value.
    pub values: BTreeMap<i32, u64>,
    /// Bits of a value that is not in the table, behind the escape.
    pub escaped_bits: u32,
}

impl CodeStats {
    /// A choice fell on this value, which takes `escaped_bits` when its table does not know it.
    pub(crate) fn note(&mut self, choice: Choice, value: i32, escaped_bits: u32) {
        let counts = self.choices.entry(choice).or_default();
        *counts.values.entry(value).or_default() += 1;
        counts.escaped_bits = counts.escaped_bits.max(escaped_bits);
    }

    /// All choices that came up, in the order of the file of tables.
    pub fn choices(&self) -> impl Iterator<Item = (&Choice, &Counts)> {
        self.choices.iter()
    }
}
