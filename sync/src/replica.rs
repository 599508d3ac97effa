//! The client end of a room's state: the same rows, stepped by the same rules, corrected by frames.
//!
//! Path: [`Replica::apply`] reads a frame: drop what is no longer held → per covered tick: step all rows, apply the
//! cells' parts → whole cells → compare checksums → events. Invariants: after a good frame every held cell equals the
//! room's; after an error the replica is void and must begin anew.
//! Never: trusts a byte; knows a socket or a clock.

use crate::{
    chunk,
    rows::{self, Stepped},
};
use game::{PilotId, field::CellId, row::Row, rules::Rules};
use protocol::{
    DecodeError, Tick,
    bits::BitReader,
    frame::Header,
    limits::{CELL_ROWS_MAX_COUNT, FRAME_EVENTS_MAX_COUNT, FRAME_MAX_BYTES},
    message::Event,
};

/// Rows in all held cells. Policy: the frame is refused; no room shows so many.
const ROWS_MAX_COUNT: usize = 4 * CELL_ROWS_MAX_COUNT;

/// Why a frame could not be applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApplyError {
    /// Bytes that are no frame.
    Decode(DecodeError),
    /// A frame that does not continue what is held.
    Gap {
        /// The tick held.
        have: Tick,
        /// The first tick the frame tells.
        first: Tick,
    },
}

impl From<DecodeError> for ApplyError {
    fn from(error: DecodeError) -> Self {
        Self::Decode(error)
    }
}

impl std::fmt::Display for ApplyError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Decode(error) => error.fmt(f),
            Self::Gap { have, first } => write!(f, "the frame begins at tick {first}, but tick {have} was the last"),
        }
    }
}

impl std::error::Error for ApplyError {}

/// What a frame brought besides rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// The frame's header.
    pub header: Header,
    /// Whether the held cells have the room's checksum.
    pub is_true: bool,
    /// Cells whose own checksum differs, if the frame had those.
    pub wrong_cells: Vec<u16>,
    /// Numbered events, oldest first.
    pub events: Vec<(u32, Event)>,
}

/// See the module.
#[derive(Debug, Clone)]
pub struct Replica {
    rules: Rules,
    pilot: PilotId,
    tick: Tick,
    /// The eye expected for the next frame.
    eye: CellId,
    held: Vec<CellId>,
    rows: Vec<Row>,
}

impl Replica {
    /// A replica that holds nothing yet.
    pub fn new(rules: Rules, pilot: PilotId) -> Self {
        Self { rules, pilot, tick: 0, eye: CellId::EVERYONE, held: Vec::new(), rows: Vec::new() }
    }

    /// The same, for a room whose clock is at `tick`: frames tell only the low bits of theirs.
    pub fn starting_at(rules: Rules, pilot: PilotId, tick: Tick) -> Self {
        Self { tick, ..Self::new(rules, pilot) }
    }

    /// The last tick applied, 0 before the first frame.
    pub fn tick(&self) -> Tick {
        self.tick
    }

    /// The room's rules.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// All rows of the held cells, in canonical order.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The cells held, ascending.
    pub fn held(&self) -> &[CellId] {
        &self.held
    }

    /// Applies a frame; `on_tick` sees the rows after every tick it covers.
    ///
    /// # Errors
    /// [`ApplyError`]; the replica is void then.
    pub fn apply(&mut self, bytes: &[u8], mut on_tick: impl FnMut(Tick, &[Row])) -> Result<Applied, ApplyError> {
        if bytes.len() > FRAME_MAX_BYTES {
            return Err(DecodeError::TooLong.into());
        }
        let mut reader = BitReader::new(bytes);
        let header = Header::decode(&mut reader, self.tick + 1)?;
        let eye = header.eye.map_or(self.eye, CellId);
        let held = eye.interest(&self.rules);
        let continued = self.continued(&mut reader, &header, &held)?;
        if !continued.is_empty() && header.tick != self.tick + u32::from(header.span) {
            return Err(ApplyError::Gap {
                have: self.tick,
                first: (header.tick + 1).wrapping_sub(u32::from(header.span)),
            });
        }
        self.rows.retain(|row| continued.binary_search(&row.cell).is_ok());
        if !continued.is_empty() {
            for tick in self.tick + 1..header.tick {
                self.continue_tick(&mut reader, &continued)?;
                on_tick(tick, &self.rows);
            }
            self.continue_tick(&mut reader, &continued)?;
        }
        for cell in held.iter().filter(|cell| continued.binary_search(cell).is_err()) {
            let mut rows = Vec::new();
            chunk::decode_rows(&mut reader, *cell, &self.rules, &mut rows)?;
            reader.align();
            self.rows.extend(rows);
        }
        self.rows.sort_by_key(Row::order);
        (self.tick, self.held) = (header.tick, held);
        self.eye = self.plane_cell().filter(|cell| eye.holds(*cell, &self.rules)).unwrap_or(eye);
        on_tick(self.tick, &self.rows);

        let is_true = rows::fold(rows::sum(&self.rows)) == header.checksum;
        let wrong_cells = if header.has_sums { self.wrong_cells(&mut reader)? } else { Vec::new() };
        let events = if header.has_events { decode_events(&mut reader)? } else { Vec::new() };
        if reader.rest().is_empty() {
            Ok(Applied { header, is_true, wrong_cells, events })
        } else {
            Err(DecodeError::TrailingBytes.into())
        }
    }

    /// The held cells that the frame continues; the others come whole.
    fn continued(
        &self,
        reader: &mut BitReader<'_>,
        header: &Header,
        held: &[CellId],
    ) -> Result<Vec<CellId>, DecodeError> {
        let had = |cell: &CellId| self.held.binary_search(cell).is_ok();
        if !header.has_whole {
            return Ok(held.iter().copied().filter(had).collect());
        }
        let mut continued = Vec::with_capacity(held.len());
        for cell in held {
            let is_whole = reader.get_bit()?;
            if !is_whole && !had(cell) {
                return Err(DecodeError::OutOfRange("whole cells"));
            }
            continued.extend((!is_whole).then_some(*cell));
        }
        reader.align();
        Ok(continued)
    }

    /// One tick of the continued cells: the step, then each cell's part.
    fn continue_tick(&mut self, reader: &mut BitReader<'_>, continued: &[CellId]) -> Result<(), DecodeError> {
        let mut stepped: Vec<Stepped> = Vec::with_capacity(self.rows.len() + 8);
        rows::step(&self.rows, &self.rules, &mut stepped);
        let has_part = continued.iter().map(|_| reader.get_bit()).collect::<Result<Vec<_>, _>>()?;
        reader.align();
        if stepped.len() > ROWS_MAX_COUNT {
            return Err(DecodeError::OutOfRange("rows"));
        }
        self.rows.clear();
        let mut stepped = stepped.into_iter().map(|stepped| stepped.row).peekable();
        for (cell, has_part) in continued.iter().zip(has_part) {
            while stepped.next_if(|row| row.cell < *cell).is_some() {}
            let start = self.rows.len();
            while let Some(row) = stepped.next_if(|row| row.cell == *cell) {
                self.rows.push(row);
            }
            if has_part {
                let mut rows = self.rows.split_off(start);
                chunk::decode_rows(reader, *cell, &self.rules, &mut rows)?;
                chunk::decode_surprises(reader, *cell, &self.rules, &mut rows)?;
                reader.align();
                self.rows.append(&mut rows);
            }
        }
        Ok(())
    }

    fn plane_cell(&self) -> Option<CellId> {
        let key = (game::PLANE, u32::from(self.pilot.0));
        self.rows.iter().find(|row| row.key() == key).map(|row| row.cell)
    }

    fn wrong_cells(&self, reader: &mut BitReader<'_>) -> Result<Vec<u16>, DecodeError> {
        let mut wrong = Vec::new();
        for cell in &self.held {
            let sum = reader.get(16)? as u16;
            if rows::fold(rows::sum(&self.rows[rows::range_of(&self.rows, *cell)])) != sum {
                wrong.push(cell.0);
            }
        }
        Ok(wrong)
    }
}

/// The event section: see `Events::encode_after`.
fn decode_events(reader: &mut BitReader<'_>) -> Result<Vec<(u32, Event)>, DecodeError> {
    let first = reader.get(32)?;
    let count = reader.get(8)?;
    if count as usize > FRAME_EVENTS_MAX_COUNT || first.checked_add(count).is_none() {
        return Err(DecodeError::OutOfRange("event count"));
    }
    let mut events = Vec::with_capacity(count as usize);
    for number in first..first + count {
        let length = reader.get(16)?;
        let bytes = (0..length).map(|_| Ok(reader.get(8)? as u8)).collect::<Result<Vec<u8>, DecodeError>>()?;
        events.push((number, Event::decode(&bytes)?));
    }
    Ok(events)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Found by the fuzzer: the low bits of a tick near 0 pointed below it.
    #[test]
    fn a_frame_from_before_the_beginning_is_refused() {
        let mut replica = Replica::new(Rules::default(), PilotId(1));
        let bytes = [0x80, 0xff, 0xff, 0, 0, 0, 0];
        assert_eq!(replica.apply(&bytes, |_, _| {}), Err(DecodeError::OutOfRange("tick").into()));
    }
}
