//! The row codec: codes the difference between predicted and actual rows as bits, and decodes it.
//!
//! Path: [`Surprises::between`] predicted and actual rows on the room's side, [`put_part`]; [`get_part`] on the
//! replica's, which holds the same predicted rows; [`put_rows`] and [`get_rows`] for rows in full. Layout: SPEC A7.
//! Invariants: a part delimits itself; it names rows by their place in the cell's canonical order, so both ends must
//! hold the same rows (the checksum watches); decoding never panics and never makes more rows than the limit.
//! Never: a kind by name; every field is coded from its declaration, by the tables of [`super::code_tables`].

use crate::{
    rows::code_stats::CodeStats,
    rows::code_tables::{Choice, CodeTables, ROW_GAP_CONTEXTS, Table, is_small},
};
use game::schema::{CELL_UNITS, CellId, FIELDS_MAX_COUNT, Field, Grid, Kind, Row};
use protocol::{
    DecodeError,
    bits::{BitReader, BitWriter, Bits},
};
use std::sync::Arc;

/// Bits of a coordinate within its cell.
const PLACE_BITS: u32 = CELL_UNITS.ilog2();
/// Bits of an id's length in bits, 0..=32.
const ID_LENGTH_BITS: u32 = 6;
/// Bits of a difference's length in bits, 0..=31: of 31 bits is any difference of two values of a field.
const DIFFERENCE_LENGTH_BITS: u32 = 5;
/// Rows in one cell's part. Policy: refuse the frame.
pub(crate) const CELL_ROWS_MAX_COUNT: usize = 8192;
/// Bits of a number of skipped rows.
const ROW_GAP_BITS: u32 = CELL_ROWS_MAX_COUNT.ilog2() + 1;
/// Bits of [`Head`] as a value.
const HEAD_BITS: u32 = 6;
/// From this number of touched rows on the head tells the rest separately.
const TOUCHED_MANY: u32 = 7;

/// What both ends code rows by.
#[derive(Debug, Clone)]
pub(crate) struct Codec {
    /// The declarations, by number.
    pub(crate) kinds: &'static [Kind],
    /// The tables for them.
    pub(crate) tables: Arc<CodeTables>,
    pub(crate) grid: Grid,
}

impl Codec {
    fn kind(&self, row: &Row) -> &'static Kind {
        &self.kinds[usize::from(row.kind)]
    }

    /// Bits of a kind's number.
    fn kind_bits(&self) -> u32 {
        usize::BITS - (self.kinds.len() - 1).leading_zeros()
    }

    /// What most surprises of this kind of row change; `None` while nobody knows.
    fn usual_mask(&self, kind: u8) -> Option<i32> {
        self.tables.table(Choice::Mask(kind)).first()
    }

    /// A cell's corner, which positions are told from.
    fn corner(&self, cell: CellId) -> [i32; 2] {
        cell.place(self.grid).map_or([0; 2], |place| (place * CELL_UNITS).to_array())
    }

    /// Appends a value by its table, or its distance from `least` in `bits` bits if the table does not know it.
    pub(crate) fn put_choice(&self, bits: &mut BitWriter, choice: Choice, value: i32, least: i32, escaped_bits: u32) {
        put_by(bits, self.tables.table(choice), value, least, escaped_bits);
    }
}

/// Reads choices, by their tables; counts them if somebody wants to know.
pub(crate) struct Source<'a, 't> {
    pub(crate) reader: BitReader<'a>,
    codec: Codec,
    tally: Option<&'t mut CodeStats>,
}

impl<'a, 't> Source<'a, 't> {
    pub(crate) fn new(reader: BitReader<'a>, codec: Codec, tally: Option<&'t mut CodeStats>) -> Self {
        Self { reader, codec, tally }
    }

    /// A value by its table; one that the table does not know comes as `bits` bits, counted from `least`.
    pub(crate) fn choose(&mut self, choice: Choice, least: i32, bits: u32) -> Result<i32, DecodeError> {
        let value = match self.codec.tables.table(choice).get(&mut self.reader)? {
            Some(value) => value,
            None => least.wrapping_add(self.reader.get(bits)? as i32),
        };
        if let Some(tally) = &mut self.tally {
            tally.note(choice, value, bits);
        }
        Ok(value)
    }

    /// The same for a field that changes by some difference.
    fn choose_difference(&mut self, choice: Choice, field: &Field, old: i32) -> Result<i32, DecodeError> {
        let value = match self.codec.tables.table(choice).get(&mut self.reader)? {
            Some(difference) => old.wrapping_add(difference),
            None => old.wrapping_add(get_difference(&mut self.reader)?),
        };
        if let Some(tally) = &mut self.tally {
            tally.note(choice, value.wrapping_sub(old), DIFFERENCE_LENGTH_BITS + field.bits() / 2);
        }
        Ok(value)
    }

    fn raw(&mut self, bits: u32) -> Result<u32, DecodeError> {
        if let Some(tally) = &mut self.tally {
            tally.raw_bits += u64::from(bits);
        }
        self.reader.get(bits)
    }

    fn count(&mut self, field: &'static str) -> Result<usize, DecodeError> {
        let count = self.reader.get_count(CELL_ROWS_MAX_COUNT as u32, field)?;
        if let Some(tally) = &mut self.tally {
            tally.raw_bits += u64::from(2 * (count + 1).ilog2() + 1);
        }
        Ok(count as usize)
    }
}

/// The same by a table that was looked up before.
#[inline]
pub(crate) fn put_by(bits: &mut BitWriter, table: &Table, value: i32, least: i32, escaped_bits: u32) {
    if !table.put(bits, value) {
        bits.put(value.wrapping_sub(least) as u32, escaped_bits);
    }
}

/// Appends a difference without a code: its length in bits, then its bits below the first; odd ones are negative.
fn put_difference(bits: &mut BitWriter, difference: i32) {
    let folded = (difference << 1 ^ difference >> 31) as u32;
    let length = 32 - folded.leading_zeros();
    bits.put(length, DIFFERENCE_LENGTH_BITS);
    let below_first = length.saturating_sub(1);
    bits.put(folded & ((1 << below_first) - 1), below_first);
}

fn get_difference(reader: &mut BitReader<'_>) -> Result<i32, DecodeError> {
    let length = reader.get(DIFFERENCE_LENGTH_BITS)?;
    let folded = if length == 0 { 0 } else { 1 << (length - 1) | reader.get(length - 1)? };
    Ok((folded >> 1) as i32 ^ -((folded & 1) as i32))
}

fn checked(field: &Field, value: i32) -> Result<i32, DecodeError> {
    if field.range.contains(&value) { Ok(value) } else { Err(DecodeError::OutOfRange(field.name)) }
}

fn put_row(bits: &mut BitWriter, row: &Row, codec: &Codec) {
    let kind = codec.kind(row);
    codec.put_choice(bits, Choice::Kind, i32::from(row.kind), 0, codec.kind_bits());
    let length = 32 - row.id.leading_zeros();
    codec.put_choice(bits, Choice::Id(row.kind), length as i32, 0, ID_LENGTH_BITS);
    let below_first = length.saturating_sub(1);
    bits.put(row.id & ((1 << below_first) - 1), below_first);
    let corner = codec.corner(row.cell);
    for (index, (field, value)) in kind.fields.iter().zip(row.fields).enumerate() {
        assert!(field.range.contains(&value), "{} = {value} is outside {:?}", field.name, field.range);
        match corner.get(index).filter(|_| kind.is_placed) {
            Some(corner) => bits.put((value - corner) as u32, PLACE_BITS),
            None => {
                codec.put_choice(bits, Choice::Full(row.kind, index as u8), value, *field.range.start(), field.bits());
            }
        }
    }
}

fn get_row(source: &mut Source<'_, '_>, cell: CellId) -> Result<Row, DecodeError> {
    let index = source.choose(Choice::Kind, 0, source.codec.kind_bits())? as u8;
    let kind = source.codec.kinds.get(usize::from(index)).ok_or(DecodeError::OutOfRange("row kind"))?;
    if kind.is_placed == (cell == CellId::EVERYONE) {
        return Err(DecodeError::OutOfRange("row's cell"));
    }
    let length = source.choose(Choice::Id(index), 0, ID_LENGTH_BITS)? as u32;
    if length > kind.id_bits {
        return Err(DecodeError::OutOfRange("row id"));
    }
    let id = if length == 0 { 0 } else { 1 << (length - 1) | source.raw(length - 1)? };
    let corner = source.codec.corner(cell);
    let mut fields = [0; FIELDS_MAX_COUNT];
    for (at, field) in kind.fields.iter().enumerate() {
        let value = match corner.get(at).filter(|_| kind.is_placed) {
            Some(corner) => corner + source.raw(PLACE_BITS)? as i32,
            None => source.choose(Choice::Full(index, at as u8), *field.range.start(), field.bits())?,
        };
        fields[at] = checked(field, value)?;
    }
    Ok(Row { cell, kind: index, id, fields })
}

/// Appends rows in full, behind their count.
pub(crate) fn put_rows<'a>(bits: &mut BitWriter, rows: impl ExactSizeIterator<Item = &'a Row>, codec: &Codec) {
    bits.put_count(rows.len() as u32);
    rows.for_each(|row| put_row(bits, row, codec));
}

/// Reads rows in full behind the cell's rows, which begin at `start` and are the last ones.
pub(crate) fn get_rows(source: &mut Source<'_, '_>, cell: CellId, rows: &mut Vec<Row>) -> Result<(), DecodeError> {
    let (start, count) = (rows.len(), source.count("row count")?);
    let mut end = start;
    for _ in 0..count {
        insert(rows, start, &mut end, get_row(source, cell)?)?;
    }
    Ok(())
}

/// Puts a row in its place among its cell's rows, `start..end`; one that is there already is replaced.
fn insert(rows: &mut Vec<Row>, start: usize, end: &mut usize, row: Row) -> Result<(), DecodeError> {
    match rows[start..*end].binary_search_by_key(&row.order(), Row::order) {
        Ok(at) => rows[start + at] = row,
        Err(_) if *end - start >= CELL_ROWS_MAX_COUNT => return Err(DecodeError::OutOfRange("row count")),
        Err(at) => {
            rows.insert(start + at, row);
            *end += 1;
        }
    }
    Ok(())
}

/// What happened to a cell's rows beyond the step: the part that everybody shares.
#[derive(Debug)]
pub(crate) struct Surprises {
    touched: u32,
    /// Every touched row changed just what rows of its kind usually do.
    is_usual: bool,
    spawned: u32,
    /// Touched rows, then spawned ones.
    bits: Bits,
}

impl Surprises {
    /// What turns `predicted` into `actual` (both one cell's, in canonical order); `None` when they are equal.
    pub(crate) fn between(predicted: &[Row], actual: &[Row], codec: &Codec, scratch: &mut Scratch) -> Option<Self> {
        if predicted == actual {
            return None;
        }
        scratch.find(predicted, actual, codec);
        let Scratch { touched, spawned } = scratch;
        let is_usual = !touched.is_empty()
            && touched.iter().all(|touched| codec.usual_mask(predicted[touched.index].kind) == Some(touched.mask));
        let mut bits = BitWriter::new();
        let mut next = 0;
        for (before, touch) in touched.iter().enumerate() {
            put_row_gap(&mut bits, touch.index - next, predicted.len() - next - (touched.len() - before), codec);
            next = touch.index + 1;
            let from = &predicted[touch.index];
            if !is_usual {
                let fields = codec.kind(from).fields;
                codec.put_choice(&mut bits, Choice::Mask(from.kind), touch.mask, 0, fields.len() as u32);
            }
            if touch.mask != 0 {
                put_change(&mut bits, from, &actual[touch.became], touch.mask, codec);
            }
        }
        if !spawned.is_empty() {
            bits.put_count(spawned.len() as u32 - 1);
            spawned.iter().for_each(|index| put_row(&mut bits, &actual[*index], codec));
        }
        Some(Self { touched: touched.len() as u32, is_usual, spawned: spawned.len() as u32, bits: bits.finish() })
    }
}

/// Lists that [`Surprises::between`] fills; kept for their memory.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    touched: Vec<Touched>,
    /// Places among the actual rows.
    spawned: Vec<usize>,
}

/// A predicted row that is gone or different.
#[derive(Debug)]
struct Touched {
    /// Its place among the predicted rows.
    index: usize,
    /// Its place among the actual ones; nothing when it is gone.
    became: usize,
    /// The fields that changed, one bit each; 0: it is gone.
    mask: i32,
}

impl Scratch {
    /// Walks through both in step.
    fn find(&mut self, predicted: &[Row], actual: &[Row], codec: &Codec) {
        self.touched.clear();
        self.spawned.clear();
        let mut next = 0;
        for (index, row) in predicted.iter().enumerate() {
            while actual.get(next).is_some_and(|other| other.order() < row.order()) {
                self.spawned.push(next);
                next += 1;
            }
            match actual.get(next) {
                Some(other) if other.order() == row.order() => {
                    if other.fields != row.fields {
                        self.touched.push(Touched { index, became: next, mask: mask(codec.kind(row), row, other) });
                    }
                    next += 1;
                }
                _ => self.touched.push(Touched { index, became: 0, mask: 0 }),
            }
        }
        self.spawned.extend(next..actual.len());
    }
}

/// Appends a cell's part of a tick: rows that entered, in full, then the surprises. One of both must be there.
pub(crate) fn put_part(bits: &mut BitWriter, entering: &[&Row], surprises: Option<&Surprises>, codec: &Codec) {
    let (touched, spawned) = surprises.map_or((0, 0), |surprises| (surprises.touched, surprises.spawned));
    let is_usual = surprises.is_some_and(|surprises| surprises.is_usual);
    let head = touched.min(TOUCHED_MANY)
        | u32::from(!entering.is_empty()) << 3
        | u32::from(spawned > 0) << 4
        | u32::from(is_usual) << 5;
    codec.put_choice(bits, Choice::Head, head as i32, 0, HEAD_BITS);
    if touched >= TOUCHED_MANY {
        bits.put_count(touched - TOUCHED_MANY);
    }
    if !entering.is_empty() {
        bits.put_count(entering.len() as u32 - 1);
        entering.iter().for_each(|row| put_row(bits, row, codec));
    }
    if let Some(surprises) = surprises {
        bits.append(&surprises.bits);
    }
}

/// Applies a part to the cell's rows, which are `rows[start..]` as far as they are of this cell.
pub(crate) fn get_part(
    source: &mut Source<'_, '_>,
    cell: CellId,
    rows: &mut Vec<Row>,
    start: usize,
) -> Result<(), DecodeError> {
    let mut end = start + rows[start..].partition_point(|row| row.cell == cell);
    let head = source.choose(Choice::Head, 0, HEAD_BITS)? as u32;
    let mut touched = (head & 7) as usize;
    if head & 7 == TOUCHED_MANY {
        touched += source.count("surprise count")?;
    }
    if head >> 3 & 1 == 1 {
        for _ in 0..=source.count("row count")? {
            let row = get_row(source, cell)?;
            insert(rows, start, &mut end, row)?;
        }
    }
    let mut next = start;
    let mut removed = Vec::new();
    for left in (1..=touched).rev() {
        let most = (end - next).checked_sub(left).ok_or(DecodeError::OutOfRange("surprise count"))?;
        next += get_row_gap(source, most)?;
        if !get_change(source, &mut rows[next], head >> 5 & 1 == 1)? {
            removed.push(next);
        }
        next += 1;
    }
    for index in removed.into_iter().rev() {
        rows.remove(index);
        end -= 1;
    }
    if head >> 4 & 1 == 1 {
        for _ in 0..=source.count("row count")? {
            let row = get_row(source, cell)?;
            insert(rows, start, &mut end, row)?;
        }
    }
    Ok(())
}

/// The context for a gap that can be at most `most`, which is not 0.
fn row_gap(most: usize) -> Choice {
    Choice::RowGap(most.min(ROW_GAP_CONTEXTS) as u8 - 1)
}

fn put_row_gap(bits: &mut BitWriter, gap: usize, most: usize, codec: &Codec) {
    if most > 0 {
        codec.put_choice(bits, row_gap(most), gap as i32, 0, ROW_GAP_BITS);
    }
}

fn get_row_gap(source: &mut Source<'_, '_>, most: usize) -> Result<usize, DecodeError> {
    let gap = if most > 0 { source.choose(row_gap(most), 0, ROW_GAP_BITS)? as usize } else { 0 };
    if gap > most { Err(DecodeError::OutOfRange("row index")) } else { Ok(gap) }
}

/// The new value of a row's field.
fn get_value(source: &mut Source<'_, '_>, row: &Row, index: usize) -> Result<i32, DecodeError> {
    let field = &source.codec.kind(row).fields[index];
    let (old, least) = (row.fields[index], *field.range.start());
    let value = if !is_small(field) {
        source.choose_difference(Choice::Change(row.kind, index as u8, 0), field, old)?
    } else if is_choice(field) {
        source.choose(Choice::Change(row.kind, index as u8, (old - least) as u8), least, field.bits())?
    } else {
        least + *field.range.end() - old
    };
    checked(field, value)
}

/// The fields that must be told, one bit each: those that differ from what they were, and of the derived ones those
/// that differ from what [`game::schema::Kind::derive`] makes of them.
fn mask(kind: &Kind, from: &Row, to: &Row) -> i32 {
    let mut known = from.fields;
    let mut mask = 0;
    for index in (0..kind.fields.len()).filter(|index| kind.derived >> index & 1 == 0) {
        mask |= i32::from(known[index] != to.fields[index]) << index;
        known[index] = to.fields[index];
    }
    (kind.derive)(&from.fields, &mut known);
    let derived = (0..kind.fields.len()).filter(|index| kind.derived >> index & 1 == 1);
    derived.fold(mask, |mask, index| mask | i32::from(known[index] != to.fields[index]) << index)
}

/// Appends the new values of the fields of `mask`.
fn put_change(bits: &mut BitWriter, from: &Row, to: &Row, mask: i32, codec: &Codec) {
    let fields = codec.kind(from).fields;
    for (index, field) in fields.iter().enumerate().filter(|(index, _)| mask >> index & 1 == 1) {
        let (old, new, least) = (from.fields[index], to.fields[index], *field.range.start());
        assert!(field.range.contains(&new), "{} = {new} is outside {:?}", field.name, field.range);
        if !is_small(field) {
            if !codec.tables.table(Choice::Change(from.kind, index as u8, 0)).put(bits, new - old) {
                put_difference(bits, new - old);
            }
        } else if is_choice(field) {
            let choice = Choice::Change(from.kind, index as u8, (old - least) as u8);
            codec.put_choice(bits, choice, new, least, field.bits());
        }
    }
}

/// Reads what became of a row; `false`: it is gone.
fn get_change(source: &mut Source<'_, '_>, row: &mut Row, is_usual: bool) -> Result<bool, DecodeError> {
    let kind = source.codec.kind(row);
    let fields = kind.fields;
    let mask = if is_usual {
        source.codec.usual_mask(row.kind).ok_or(DecodeError::OutOfRange("changed fields"))?
    } else {
        source.choose(Choice::Mask(row.kind), 0, fields.len() as u32)?
    };
    if mask == 0 {
        return Ok(false);
    }
    let mut changed = row.fields;
    for index in (0..fields.len()).filter(|index| mask >> index & 1 == 1) {
        changed[index] = get_value(source, row, index)?;
    }
    let mut derived = changed;
    (kind.derive)(&row.fields, &mut derived);
    let unlisted = kind.derived & !(mask as u16);
    (0..fields.len()).filter(|index| unlisted >> index & 1 == 1).for_each(|index| changed[index] = derived[index]);
    if kind.cell_of(&changed, source.codec.grid) != row.cell {
        return Err(DecodeError::OutOfRange("row's cell"));
    }
    row.fields = changed;
    Ok(true)
}

/// Whether a small field that changes has more than one value to change to.
fn is_choice(field: &Field) -> bool {
    field.range.end() - field.range.start() > 1
}
