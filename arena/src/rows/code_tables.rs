//! The static prefix codes of the row coder: one table per choice, trained from recorded play.
//!
//! Path: [`ROW_TABLES`] (data, with its origin) → [`CodeTables::parse`], once → [`Table::put`] and [`Table::get`].
//! Invariants: every choice has a table; one the file does not name knows nothing and costs nothing but its escape, so
//! that a new kind of row works before it was trained; contexts are what both ends hold, so both choose the same table.
//! Never: a kind by name, but as a declaration names itself.

use game::schema::{Field, Kind};
use protocol::{
    DecodeError,
    bits::{BitReader, BitWriter},
    prefix::PrefixCode,
};
use std::collections::BTreeMap;

/// The code tables that both ends must share, trained from recorded play. The file begins with its origin.
pub(crate) const ROW_TABLES: &str = include_str!("../../tables/rows.txt");

/// A field with at most this many values is coded by its old value; any other by how much it changed.
const SMALL_MAX_VALUES: i32 = 16;
/// A table whose values span fewer than this looks them up directly.
const DENSE_MAX_VALUES: i64 = 256;
/// Contexts of [`Choice::RowGap`].
pub(crate) const ROW_GAP_CONTEXTS: usize = 7;

/// A choice of the coder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Choice {
    /// Of a tick's parts: none, few, many.
    Density,
    /// Cells without a part before the next one that has one, or the end; by density.
    CellGap(u8),
    /// What a part holds: touched rows (0..=6, 7: more), whether rows enter (8), whether some are new (16), whether all
    /// touched ones changed what is usual for their kind (32).
    Head,
    /// Untouched rows before the next touched one; by how many there can be.
    RowGap(u8),
    /// A row's kind.
    Kind,
    /// Bits of an id, of this kind.
    Id(u8),
    /// A field of a row in full: kind and field.
    Full(u8, u8),
    /// Which fields a surprise changes, one bit each; none of them: the row is gone. By kind.
    Mask(u8),
    /// A small field's new value, or a large one's change: kind, field, and the small one's old value.
    Change(u8, u8, u8),
}

impl Choice {
    /// As the file of tables names it.
    pub fn name(self, kinds: &[Kind]) -> String {
        let kind = |kind: u8| kinds[usize::from(kind)].name;
        let field = |kind: u8, field: u8| kinds[usize::from(kind)].fields[usize::from(field)].name;
        match self {
            Self::Density => "density".to_owned(),
            Self::CellGap(density) => format!("cell-gap.{density}"),
            Self::Head => "head".to_owned(),
            Self::RowGap(most) => format!("row-gap.{most}"),
            Self::Kind => "kind".to_owned(),
            Self::Id(k) => format!("{}:id", kind(k)),
            Self::Full(k, i) => format!("{}.{}", kind(k), field(k, i)),
            Self::Mask(k) => format!("{}:mask", kind(k)),
            Self::Change(k, i, old) => format!("{}.{}:change.{old}", kind(k), field(k, i)),
        }
    }
}

/// Whether a field's changes are coded by its old value.
pub(crate) fn is_small(field: &Field) -> bool {
    field.range.end() - field.range.start() < SMALL_MAX_VALUES
}

/// A prefix code over the values that are worth one, and an escape for all others.
#[derive(Debug)]
pub(crate) struct Table {
    /// By symbol; the symbol after the last value is the escape.
    values: Vec<i32>,
    /// Ascending values with their codes.
    codes: Vec<(i32, Code)>,
    /// The same by value less `least`, where values lie close together; else empty.
    dense: Vec<Code>,
    least: i32,
    escape: Code,
    code: PrefixCode,
}

/// A value's code, or the escape's.
#[derive(Debug, Clone, Copy)]
struct Code {
    bits: u16,
    len: u8,
    is_escape: bool,
}

impl Table {
    /// Knows no value: all go by the escape, which takes no bits.
    fn unknowing() -> Self {
        Self::new(Vec::new(), &[0]).expect("one symbol of no bits is a code")
    }

    /// From a line's `value:length …`, with `*` as the last value: the escape.
    fn parse(text: &str) -> Option<Self> {
        let (mut values, mut lengths, mut escape) = (Vec::new(), Vec::new(), None);
        for word in text.split_ascii_whitespace() {
            let (value, length) = word.split_once('=')?;
            if value == "*" {
                escape = Some(length.parse().ok()?);
            } else {
                values.push(value.parse().ok()?);
                lengths.push(length.parse().ok()?);
            }
        }
        lengths.push(escape?);
        Self::new(values, &lengths)
    }

    /// From values, and the lengths of their codes and the escape's.
    fn new(values: Vec<i32>, lengths: &[u8]) -> Option<Self> {
        let code = PrefixCode::new(lengths)?;
        let code_of = |symbol: usize| {
            let (bits, len) = code.code_of(symbol);
            Code { bits, len, is_escape: symbol == values.len() }
        };
        let mut codes: Vec<_> = values.iter().enumerate().map(|(symbol, value)| (*value, code_of(symbol))).collect();
        codes.sort_unstable_by_key(|(value, _)| *value);
        let escape = code_of(values.len());
        let (least, most) = (codes.first().map_or(0, |first| first.0), codes.last().map_or(0, |last| last.0));
        let mut dense = Vec::new();
        if i64::from(most) - i64::from(least) < DENSE_MAX_VALUES {
            dense.resize((most - least + 1) as usize, escape);
            codes.iter().for_each(|(value, code)| dense[(value - least) as usize] = *code);
        }
        Some(Self { values, codes, dense, least, escape, code })
    }

    /// The most frequent value.
    pub(crate) fn first(&self) -> Option<i32> {
        self.values.first().copied()
    }

    /// Appends the value's code; `false` if it was the escape, and the value is to follow in some other way.
    #[inline]
    pub(crate) fn put(&self, bits: &mut BitWriter, value: i32) -> bool {
        // A value below the least wraps around to far beyond the last.
        let code = match self.dense.get(value.wrapping_sub(self.least) as u32 as usize) {
            Some(code) => *code,
            None if self.dense.is_empty() => self.search(value),
            None => self.escape,
        };
        bits.put_word(code.bits.into(), code.len.into());
        !code.is_escape
    }

    fn search(&self, value: i32) -> Code {
        let known = self.codes.binary_search_by_key(&value, |(value, _)| *value);
        known.map_or(self.escape, |at| self.codes[at].1)
    }

    /// Reads a value; `None` is the escape.
    #[inline]
    pub(crate) fn get(&self, reader: &mut BitReader<'_>) -> Result<Option<i32>, DecodeError> {
        Ok(self.values.get(self.code.get(reader)?).copied())
    }
}

/// The tables of one kind of row.
#[derive(Debug)]
struct KindTables {
    id: Table,
    mask: Table,
    full: Vec<Table>,
    /// Per field; of a small field one per old value.
    change: Vec<Vec<Table>>,
}

/// All tables.
#[derive(Debug)]
pub struct CodeTables {
    /// Of the wire that is coded by them ([`crate::wire::version`]).
    pub(crate) version: u32,
    density: Table,
    cell_gap: [Table; 2],
    head: Table,
    row_gap: [Table; ROW_GAP_CONTEXTS],
    kind: Table,
    kinds: Vec<KindTables>,
}

impl CodeTables {
    /// The tables that this version of the wire is coded by.
    pub(crate) fn shipped(kinds: &[Kind], version: u32) -> Self {
        Self { version, ..Self::parse(ROW_TABLES, kinds).expect("a test parses the tables that ship") }
    }

    /// Reads the file of tables: a line `name value=length …` per choice; lines that begin with `#` are for people.
    ///
    /// # Errors
    /// A sentence that names the line.
    fn parse(text: &str, kinds: &[Kind]) -> Result<Self, String> {
        let mut lines = BTreeMap::new();
        for line in text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
            let (name, codes) = line.split_once(' ').unwrap_or((line, ""));
            let table =
                Table::parse(codes).ok_or_else(|| format!("the table \"{name}\" is no complete prefix code"))?;
            lines.insert(name.to_owned(), table);
        }
        let mut table = |choice: Choice| lines.remove(&choice.name(kinds)).unwrap_or_else(Table::unknowing);
        let mut by_kind = Vec::new();
        for (kind, declared) in (0..).zip(kinds) {
            let fields = || (0..).zip(declared.fields);
            by_kind.push(KindTables {
                id: table(Choice::Id(kind)),
                mask: table(Choice::Mask(kind)),
                full: fields().map(|(field, _)| table(Choice::Full(kind, field))).collect(),
                change: fields()
                    .map(|(field, declared)| {
                        let values = if is_small(declared) { declared.range.clone().count() as u8 } else { 1 };
                        (0..values).map(|old| table(Choice::Change(kind, field, old))).collect()
                    })
                    .collect(),
            });
        }
        Ok(Self {
            version: 0,
            density: table(Choice::Density),
            cell_gap: [0, 1].map(|density| table(Choice::CellGap(density))),
            head: table(Choice::Head),
            row_gap: std::array::from_fn(|most| table(Choice::RowGap(most as u8))),
            kind: table(Choice::Kind),
            kinds: by_kind,
        })
    }

    /// The table for a choice.
    pub(crate) fn table(&self, choice: Choice) -> &Table {
        match choice {
            Choice::Density => &self.density,
            Choice::CellGap(density) => &self.cell_gap[usize::from(density)],
            Choice::Head => &self.head,
            Choice::RowGap(most) => &self.row_gap[usize::from(most)],
            Choice::Kind => &self.kind,
            Choice::Id(kind) => &self.kinds[usize::from(kind)].id,
            Choice::Mask(kind) => &self.kinds[usize::from(kind)].mask,
            Choice::Full(kind, field) => &self.kinds[usize::from(kind)].full[usize::from(field)],
            Choice::Change(kind, field, old) => {
                &self.kinds[usize::from(kind)].change[usize::from(field)][usize::from(old)]
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SPEC A7.3 and A7.11.
    #[test]
    fn the_tables_that_ship_are_complete_codes() {
        CodeTables::parse(ROW_TABLES, &[]).unwrap();
    }

    #[test]
    fn a_table_that_is_no_code_is_named() {
        let sentence = CodeTables::parse("head 0=1 1=3 *=3\n", &[]).unwrap_err();
        assert!(sentence.contains("\"head\""), "{sentence}");
    }

    /// SPEC A7.4.
    #[test]
    fn values_and_the_escape_come_back() {
        let table = Table::parse("-3=1 900=2 *=2").unwrap();
        let mut bits = BitWriter::new();
        assert!(table.put(&mut bits, 900) && table.put(&mut bits, -3) && !table.put(&mut bits, 7));
        let bytes = bits.into_bytes();
        let mut reader = BitReader::new(&bytes);
        assert_eq!([(); 3].map(|()| table.get(&mut reader)), [Ok(Some(900)), Ok(Some(-3)), Ok(None)]);
    }
}
