//! The coder: what a cell's rows became beyond the motion step, as bits and back.
//!
//! Path: `encode_surprises(predicted, actual)` on the room's side, `decode_surprises` on the replica's, which holds the
//! same predicted rows; `encode_rows`/`decode_rows` for rows in full. Layout: `SPEC.md` §5.
//! Invariants: a chunk delimits itself; it names rows by their place in the cell's canonical order, so both ends must
//! hold the same rows (the checksum watches); decoding never panics and never makes more rows than the limit.
//! Never: a kind by name; every field is coded from its declaration.

use game::{
    KINDS,
    field::CellId,
    row::{FIELDS_MAX_COUNT, Field, Row},
    rules::Rules,
};
use protocol::{
    DecodeError,
    bits::{BitReader, BitWriter},
    limits::CELL_ROWS_MAX_COUNT,
};

/// Bits of a kind's index.
const KIND_BITS: u32 = usize::BITS - (KINDS.len() - 1).leading_zeros();

/// Bits of a field's index in its kind.
fn index_bits(fields: &[Field]) -> u32 {
    usize::BITS - (fields.len() - 1).leading_zeros()
}

fn put_field(bits: &mut BitWriter, field: &Field, value: i32) {
    assert!(field.range.contains(&value), "{} = {value} is outside {:?}", field.name, field.range);
    bits.put(value.wrapping_sub(*field.range.start()) as u32, field.bits());
}

fn get_field(reader: &mut BitReader<'_>, field: &Field) -> Result<i32, DecodeError> {
    let value = field.range.start().wrapping_add(reader.get(field.bits())? as i32);
    if field.range.contains(&value) { Ok(value) } else { Err(DecodeError::OutOfRange(field.name)) }
}

fn put_row(bits: &mut BitWriter, row: &Row) {
    let kind = &KINDS[usize::from(row.kind)];
    bits.put(u32::from(row.kind), KIND_BITS);
    bits.put(row.id, kind.id_bits);
    for (field, value) in kind.fields.iter().zip(row.fields) {
        put_field(bits, field, value);
    }
}

fn get_row(reader: &mut BitReader<'_>, cell: CellId, rules: &Rules) -> Result<Row, DecodeError> {
    let index = reader.get(KIND_BITS)? as usize;
    let kind = KINDS.get(index).ok_or(DecodeError::OutOfRange("row kind"))?;
    let id = reader.get(kind.id_bits)?;
    let mut fields = [0; FIELDS_MAX_COUNT];
    for (slot, field) in fields.iter_mut().zip(kind.fields) {
        *slot = get_field(reader, field)?;
    }
    let row = Row::new(index as u8, id, fields, rules);
    if row.cell == cell { Ok(row) } else { Err(DecodeError::OutOfRange("row's cell")) }
}

/// Appends rows in full, behind their count.
pub(crate) fn encode_rows<'a>(bits: &mut BitWriter, rows: impl ExactSizeIterator<Item = &'a Row>) {
    bits.put_count(rows.len() as u32);
    rows.for_each(|row| put_row(bits, row));
}

/// Reads rows in full into `rows`, which stay in canonical order; a row that is there already is replaced.
pub(crate) fn decode_rows(
    reader: &mut BitReader<'_>,
    cell: CellId,
    rules: &Rules,
    rows: &mut Vec<Row>,
) -> Result<(), DecodeError> {
    let count = reader.get_count(CELL_ROWS_MAX_COUNT as u32, "row count")?;
    for _ in 0..count {
        let row = get_row(reader, cell, rules)?;
        match rows.binary_search_by_key(&row.key(), Row::key) {
            Ok(at) => rows[at] = row,
            Err(at) => rows.insert(at, row),
        }
    }
    if rows.len() > CELL_ROWS_MAX_COUNT { Err(DecodeError::OutOfRange("row count")) } else { Ok(()) }
}

/// What turns `predicted` into `actual` (both one cell's, in canonical order); `None` when they are equal.
pub(crate) fn encode_surprises(predicted: &[Row], actual: &[Row]) -> Option<BitWriter> {
    if predicted == actual {
        return None;
    }
    let mut touched = Vec::new();
    let mut spawned = Vec::new();
    let mut rest = actual;
    for (index, row) in predicted.iter().enumerate() {
        let earlier = rest.partition_point(|other| other.key() < row.key());
        spawned.extend(&rest[..earlier]);
        rest = &rest[earlier..];
        match rest.first() {
            Some(other) if other.key() == row.key() => {
                if other != row {
                    touched.push((index, Some((row, other))));
                }
                rest = &rest[1..];
            }
            _ => touched.push((index, None)),
        }
    }
    spawned.extend(rest);

    let mut bits = BitWriter::new();
    bits.put_count(touched.len() as u32);
    let mut next = 0;
    for (index, change) in touched {
        bits.put_count((index - next) as u32);
        next = index + 1;
        bits.put_bit(change.is_none());
        if let Some((from, to)) = change {
            put_patch(&mut bits, from, to);
        }
    }
    encode_rows(&mut bits, spawned.into_iter());
    Some(bits)
}

/// The chunk of a cell in which nothing surprising happened (it still may have entering rows).
pub(crate) fn no_surprises() -> BitWriter {
    let mut bits = BitWriter::new();
    bits.put_count(0);
    bits.put_count(0);
    bits
}

/// Turns the cell's predicted `rows` into the actual ones.
pub(crate) fn decode_surprises(
    reader: &mut BitReader<'_>,
    cell: CellId,
    rules: &Rules,
    rows: &mut Vec<Row>,
) -> Result<(), DecodeError> {
    let touched = reader.get_count(CELL_ROWS_MAX_COUNT as u32, "surprise count")?;
    let mut removed = Vec::new();
    let mut next = 0;
    for _ in 0..touched {
        let index = next + reader.get_count(CELL_ROWS_MAX_COUNT as u32, "row index")? as usize;
        next = index + 1;
        let row = rows.get_mut(index).ok_or(DecodeError::OutOfRange("row index"))?;
        if reader.get_bit()? {
            removed.push(index);
        } else {
            get_patch(reader, row)?;
            if Row::new(row.kind, row.id, row.fields, rules).cell != cell {
                return Err(DecodeError::OutOfRange("row's cell"));
            }
        }
    }
    for index in removed.into_iter().rev() {
        rows.remove(index);
    }
    decode_rows(reader, cell, rules, rows)
}

fn put_patch(bits: &mut BitWriter, from: &Row, to: &Row) {
    let fields = KINDS[usize::from(to.kind)].fields;
    let changed: Vec<usize> = (0..fields.len()).filter(|i| from.fields[*i] != to.fields[*i]).collect();
    bits.put_count(changed.len() as u32 - 1);
    for index in changed {
        bits.put(index as u32, index_bits(fields));
        put_field(bits, &fields[index], to.fields[index]);
    }
}

fn get_patch(reader: &mut BitReader<'_>, row: &mut Row) -> Result<(), DecodeError> {
    let fields = KINDS[usize::from(row.kind)].fields;
    let count = 1 + reader.get_count(FIELDS_MAX_COUNT as u32, "field count")?;
    for _ in 0..count {
        let index = reader.get(index_bits(fields))? as usize;
        let field = fields.get(index).ok_or(DecodeError::OutOfRange("field index"))?;
        row.fields[index] = get_field(reader, field)?;
    }
    Ok(())
}
