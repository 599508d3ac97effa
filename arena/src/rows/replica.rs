//! A client's copy of the rows it holds, stepped as the room steps them and corrected by frames.
//!
//! Path: [`RowReplica::apply`] reads a frame's body: drop what is no longer held → per covered tick: step all rows, apply the
//! cells' parts → whole cells → compare checksums. Invariants: after a good frame every held cell equals the
//! room's; after an error the replica is void and must begin anew.
//! Never: trusts a byte; knows a socket or a clock.

use crate::{
    rows::code_stats::CodeStats,
    rows::code_tables::Choice,
    rows::codec::{self, CELL_ROWS_MAX_COUNT, Codec, Source},
    rows::frame_body::{CELL_GAP_BITS, DENSITY_BITS, NO_MORE},
    rows::interest::Viewpoint,
    rows::step::{self, Stepped},
};
use game::schema::{CellId, Row};
use protocol::{DecodeError, Tick, bits::BitReader};

/// Rows in all held cells. Policy: the frame is refused; no room shows so many.
const ROWS_MAX_COUNT: usize = 4 * CELL_ROWS_MAX_COUNT;

/// What a frame's header says of its body.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BodyHead {
    /// The tick whose end is described.
    pub(crate) tick: Tick,
    /// Ticks covered; 0: nothing held is continued.
    pub(crate) span: u8,
    /// Sum of the held cells' checksums, folded.
    pub(crate) checksum: u16,
    /// Where from, when it cannot be derived.
    pub(crate) viewpoint: Option<u16>,
    /// Whether a bitmap of whole cells comes first.
    pub(crate) has_whole: bool,
    /// Whether per-cell checksums come last.
    pub(crate) has_sums: bool,
}

/// What was found when a body was applied.
#[derive(Debug)]
pub(crate) struct Checked {
    /// Whether the held cells have the room's checksum.
    pub(crate) is_true: bool,
    /// Cells whose own checksum differs, if the frame had those.
    pub(crate) wrong_cells: Vec<u16>,
}

/// See the module.
#[derive(Debug, Clone)]
pub(crate) struct RowReplica {
    codec: Codec,
    /// Kind and id of the row that the viewpoint moves with.
    own: (u8, u32),
    tick: Tick,
    /// The viewpoint expected for the next frame.
    viewpoint: Viewpoint,
    /// The viewpoint of the last one, which `held` follows from.
    last_viewpoint: Viewpoint,
    held: Vec<CellId>,
    rows: Vec<Row>,
    /// Kept for its memory.
    stepped: Stepped,
}

impl RowReplica {
    /// A replica that holds nothing yet, of a room whose clock is at `tick`.
    pub(crate) fn new(codec: Codec, own: (u8, u32), tick: Tick) -> Self {
        Self {
            codec,
            own,
            tick,
            viewpoint: Viewpoint::NOWHERE,
            last_viewpoint: Viewpoint::NOWHERE,
            held: Vec::new(),
            rows: Vec::new(),
            stepped: Stepped::default(),
        }
    }

    /// The last tick applied, 0 before the first frame.
    pub(crate) fn tick(&self) -> Tick {
        self.tick
    }

    /// All rows of the held cells, in canonical order.
    pub(crate) fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The cells held, ascending.
    pub(crate) fn held(&self) -> &[CellId] {
        &self.held
    }

    /// Applies a frame's body, and leaves the reader behind it. `step_row` is the room's motion step; `on_tick` sees the rows after every tick that the frame
    /// covers, and the cells that were held through it; `stats` counts which way every choice of the coder fell.
    ///
    /// # Errors
    /// [`DecodeError`]; the replica is void then.
    pub(crate) fn apply(
        &mut self,
        reader: &mut BitReader<'_>,
        header: BodyHead,
        stats: Option<&mut CodeStats>,
        step_row: impl Fn(&Row, &mut Vec<Row>),
        mut on_tick: impl FnMut(Tick, &[Row], &[CellId]),
    ) -> Result<Checked, DecodeError> {
        let mut source = Source::new(reader.clone(), self.codec.clone(), stats);
        let viewpoint = header.viewpoint.map_or(self.viewpoint, Viewpoint::from_bits);
        let is_steady = viewpoint == self.last_viewpoint && !header.has_whole && header.span != 0;
        let held = if is_steady { std::mem::take(&mut self.held) } else { viewpoint.interest(self.codec.grid) };
        let fresh = if is_steady { None } else { Some(self.continued(&mut source.reader, &header, &held)?) };
        let continued = fresh.as_ref().unwrap_or(&held);
        for tick in header.tick - u32::from(header.span)..header.tick {
            self.continue_tick(&mut source, continued, &step_row)?;
            if tick + 1 < header.tick {
                on_tick(tick + 1, &self.rows, continued);
            }
        }
        if !is_steady {
            for cell in held.iter().filter(|cell| continued.binary_search(cell).is_err()) {
                codec::get_rows(&mut source, *cell, &mut self.rows)?;
            }
            self.rows.sort_by_key(Row::order);
        }
        on_tick(header.tick, &self.rows, continued);
        (self.tick, self.held, self.last_viewpoint) = (header.tick, held, viewpoint);
        self.viewpoint = viewpoint.next(self.own_cell(), self.codec.grid);

        *reader = source.reader;
        reader.align();
        let is_true = step::fold(step::sum(&self.rows, self.codec.kinds)) == header.checksum;
        let wrong_cells = if header.has_sums { self.wrong_cells(reader)? } else { Vec::new() };
        Ok(Checked { is_true, wrong_cells })
    }

    /// The held cells that the frame continues; the others come whole, and rows of any other cell are dropped.
    fn continued(
        &mut self,
        reader: &mut BitReader<'_>,
        header: &BodyHead,
        held: &[CellId],
    ) -> Result<Vec<CellId>, DecodeError> {
        let had = |cell: &CellId| header.span != 0 && self.held.binary_search(cell).is_ok();
        let mut continued = Vec::with_capacity(held.len());
        for cell in held {
            let is_whole = if header.has_whole { reader.get_bit()? } else { !had(cell) };
            if !is_whole && !had(cell) {
                return Err(DecodeError::OutOfRange("whole cells"));
            }
            continued.extend((!is_whole).then_some(*cell));
        }
        self.rows.retain(|row| continued.binary_search(&row.cell).is_ok());
        Ok(continued)
    }

    /// One tick of the continued cells: the step, then each cell's part.
    fn continue_tick(
        &mut self,
        source: &mut Source<'_, '_>,
        continued: &[CellId],
        step_row: impl Fn(&Row, &mut Vec<Row>),
    ) -> Result<(), DecodeError> {
        self.stepped.step(&self.rows, self.codec.grid, step_row);
        std::mem::swap(&mut self.rows, &mut self.stepped.rows);
        let has_left = |(_, row): &(CellId, Row)| continued.binary_search(&row.cell).is_err();
        if self.stepped.moved.iter().any(has_left) {
            self.rows.retain(|row| continued.binary_search(&row.cell).is_ok());
        }
        if self.rows.len() > ROWS_MAX_COUNT {
            return Err(DecodeError::OutOfRange("rows"));
        }
        let density = source.choose(Choice::Density, 0, DENSITY_BITS)?;
        if density == 0 {
            return Ok(());
        }
        let choice = Choice::CellGap(if density == 1 { 0 } else { 1 });
        let (mut next, mut start) = (0, 0);
        while next < continued.len() {
            let gap = source.choose(choice, NO_MORE, CELL_GAP_BITS)?;
            if gap == NO_MORE {
                break;
            }
            next += gap as usize;
            let cell = *continued.get(next).ok_or(DecodeError::OutOfRange("cell"))?;
            start += self.rows[start..].partition_point(|row| row.cell < cell);
            codec::get_part(source, cell, &mut self.rows, start)?;
            next += 1;
        }
        Ok(())
    }

    fn own_cell(&self) -> Option<CellId> {
        self.rows.iter().find(|row| row.key() == self.own).map(|row| row.cell)
    }

    fn wrong_cells(&self, reader: &mut BitReader<'_>) -> Result<Vec<u16>, DecodeError> {
        let mut wrong = Vec::new();
        for cell in &self.held {
            let sum = reader.get(16)? as u16;
            if step::fold(step::sum(&self.rows[step::range_of(&self.rows, *cell)], self.codec.kinds)) != sum {
                wrong.push(cell.0);
            }
        }
        Ok(wrong)
    }
}
