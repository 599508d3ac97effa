//! Frames that are written by the text are read by a replica, whatever happens to the rows.

use crate::{
    motion::{Text, any_row, some_rules},
    tables::kinds,
    writer::{Happening, Writer, folded_sum},
};
use arena::Replica;
use game::{
    PilotId,
    rules::Rules,
    schema::{CellId, FIELDS_MAX_COUNT, Row},
};
use session::sim::Rng;
use std::collections::BTreeSet;

const VIEWPOINT: u8 = 1;
const WHOLE: u8 = 4;
const SUMS: u8 = 8;
const SPAN: u8 = 32;
/// The own plane, which is not there unless a test says so.
const PILOT: u16 = 7;

/// A room's rows, and what a client holds of them.
struct Room {
    text: Text,
    replica: Replica,
    chance: Rng,
    tick: u32,
    rows: Vec<Row>,
    held: Vec<u16>,
}

impl Room {
    fn new(rules: Rules, seed: u64) -> Self {
        let text = Text::new(&rules);
        let replica = Replica::starting_at(arena::code_tables(), rules, PilotId(PILOT), 0);
        let mut room = Self { text, replica, chance: Rng::new(seed), tick: 1000, rows: Vec::new(), held: Vec::new() };
        let top = |place, pilot, score| room_row(2, place, &[pilot, score]);
        room.rows.extend([top(0, 9, 812), top(1, 300, 11), room_row(3, 5, &[3, 0, 1, 2])]);
        for _ in 0..120 {
            let row = any_row(&room.text, &mut room.chance);
            if room.rows.iter().all(|known| (known.kind, known.id) != (row.kind, row.id)) {
                room.rows.push(row);
            }
        }
        sort(&mut room.rows);
        room
    }

    fn rows_of(&self, cell: u16) -> Vec<Row> {
        self.rows.iter().copied().filter(|row| row.cell.0 == cell).collect()
    }

    /// A6.2.
    fn interest(&self, viewpoint: u16) -> Vec<u16> {
        let (reach, cell) = (if viewpoint >> 15 == 1 { 1 } else { 2 }, viewpoint & 0x7fff);
        let Some(centre) = self.text.place(cell) else { return vec![0] };
        let is_held = |cell: &u16| {
            let place = self.text.place(*cell);
            place.is_none_or(|place| (place.0 - centre.0).abs() <= reach && (place.1 - centre.1).abs() <= reach)
        };
        (0..=(self.text.side() * self.text.side()) as u16).filter(is_held).collect()
    }

    /// A tick of the room; returns what must be told of it to whom goes on with these cells.
    fn step(&mut self, continued: &[u16]) -> Vec<(usize, Vec<Row>, Happening)> {
        let stepped = self.text.step(&self.rows);
        let cells: BTreeSet<u16> = stepped.iter().map(|(_, row)| row.cell.0).chain(continued.iter().copied()).collect();
        let (mut parts, mut rows) = (Vec::new(), Vec::new());
        for cell in cells {
            let of_cell = || stepped.iter().filter(move |(_, row)| row.cell.0 == cell);
            let is_new_here = |from: &u16| !continued.contains(from);
            let entering: Vec<Row> = of_cell().filter(|(from, _)| is_new_here(from)).map(|(_, row)| *row).collect();
            let known: Vec<Row> = of_cell().filter(|(from, _)| !is_new_here(from)).map(|(_, row)| *row).collect();
            let touched = self.surprise(of_cell().map(|(_, row)| *row));
            let new = self.newcomers(cell);
            let gone = |row: &Row| touched.iter().any(|(before, _)| before == row);
            rows.extend(of_cell().map(|(_, row)| *row).filter(|row| !gone(row)));
            rows.extend(touched.iter().filter_map(|(_, after)| *after).chain(new.iter().copied()));
            let at = continued.iter().position(|known| *known == cell);
            let happening = Happening { entering, touched, new };
            let is_part = !happening.entering.is_empty() || !happening.touched.is_empty() || !happening.new.is_empty();
            parts.extend(at.filter(|_| is_part).map(|at| (at, known, happening)));
        }
        sort(&mut rows);
        (self.tick, self.rows) = (self.tick + 1, rows);
        parts
    }

    /// Some rows, in their order, with what becomes of them: gone, or some fields different, the place aside.
    fn surprise(&mut self, rows: impl Iterator<Item = Row>) -> Vec<(Row, Option<Row>)> {
        let mut touched = Vec::new();
        for row in rows {
            let mut after = row;
            match self.chance.draw(8) {
                0 => touched.push((row, None)),
                1 => (0..3).for_each(|_| self.change(&mut after)),
                // A stick, as mostly.
                2 if row.kind == 0 => (after.fields[4], after.fields[13]) = (self.chance.draw(15) as i32 - 7, 12),
                3 => self.change(&mut after),
                _ => {}
            }
            if after.fields[4] == row.fields[4] && row.kind == 0 && after.fields[..13] == row.fields[..13] {
                after.fields[13] = row.fields[13];
            }
            touched.extend((after != row).then_some((row, Some(after))));
        }
        touched
    }

    fn change(&mut self, row: &mut Row) {
        let kind = &kinds()[usize::from(row.kind)];
        let first = if kind.is_placed { 2 } else { 0 };
        let at = first + self.chance.draw((kind.fields.len() - first) as u64) as usize;
        let field = &kind.fields[at];
        row.fields[at] = field.least + self.chance.draw((field.most - field.least + 1) as u64) as i32;
    }

    fn newcomers(&mut self, cell: u16) -> Vec<Row> {
        let row = any_row(&self.text, &mut self.chance);
        // An id that nobody had.
        let row = Row { id: row.id + 65_536 * u32::from(row.kind) * (self.tick % 200), ..row };
        let is_free = self.rows.iter().all(|known| (known.kind, known.id) != (row.kind, row.id));
        if row.cell.0 == cell && is_free && row.kind == 1 { vec![row] } else { Vec::new() }
    }

    /// Writes a frame over `span` ticks from `viewpoint`, with these cells whole besides those that must be, and checks what
    /// the replica makes of it.
    fn frame(&mut self, span: u8, viewpoint: u16, also_whole: &[u16], has_sums: bool) {
        let held = self.interest(viewpoint);
        let is_continued = |cell: &u16| span > 0 && self.held.contains(cell) && !also_whole.contains(cell);
        let continued: Vec<u16> = held.iter().copied().filter(is_continued).collect();
        let has_whole = !also_whole.is_empty();
        let mut flags = 0x80 | VIEWPOINT | if has_whole { WHOLE } else { 0 } | if has_sums { SUMS } else { 0 };
        flags |= if span == 1 { 0 } else { SPAN };
        let ticks: Vec<_> = (0..span).map(|_| self.step(&continued)).collect();
        let mut writer = Writer::new(&self.text);
        if has_whole {
            held.iter().for_each(|cell| writer.plain(i64::from(!continued.contains(cell)), 1));
        }
        ticks.iter().for_each(|parts| writer.tick(continued.len(), parts));
        for cell in held.iter().filter(|cell| !continued.contains(cell)) {
            writer.whole(&self.rows_of(*cell));
        }
        let rows: Vec<Row> = self.rows.iter().copied().filter(|row| held.contains(&row.cell.0)).collect();
        let mut frame = vec![flags];
        frame.extend((span != 1).then_some(span));
        frame.extend(if span == 0 { self.tick.to_le_bytes().to_vec() } else { Vec::new() });
        frame.extend(folded_sum(&rows).to_le_bytes());
        frame.extend(viewpoint.to_le_bytes());
        frame.extend(writer.bytes());
        if has_sums {
            held.iter().for_each(|cell| frame.extend(folded_sum(&self.rows_of(*cell)).to_le_bytes()));
        }
        let applied = self.replica.apply(&frame, 0, |_, _, _| {}).expect("it is a frame");
        assert_eq!(self.replica.rows(), rows, "at tick {}", self.tick);
        assert!(applied.is_true && applied.wrong_cells.is_empty());
        assert_eq!((self.replica.tick(), applied.header.tick), (self.tick, self.tick));
        assert!(self.replica.held().iter().map(|cell| cell.0).eq(held.iter().copied()));
        self.held = held;
    }
}

fn room_row(kind: u8, id: u32, fields: &[i32]) -> Row {
    let mut all = [0; FIELDS_MAX_COUNT];
    all[..fields.len()].copy_from_slice(fields);
    Row { cell: CellId(0), kind, id, fields: all }
}

fn sort(rows: &mut [Row]) {
    rows.sort_by_key(|row| (row.cell, row.kind, row.id));
}

/// SPEC A3.2, A3.3, A6.1, A6.2, A6.4, A6.5, A7.4, A7.5, A7.6, A7.7, A7.8, A7.9 and A7.10.
#[test]
fn whatever_is_written_by_the_text_is_read() {
    for (seed, rules) in (1..=3).flat_map(|seed| some_rules().map(|rules| (seed, rules))) {
        let mut room = Room::new(rules, seed);
        let cells = (room.text.side() * room.text.side()) as u16;
        room.frame(0, cells / 2, &[], false);
        for _ in 0..60 {
            let mut chance = room.chance;
            let span = [1, 1, 1, 2, 5][chance.draw(5) as usize];
            let is_near = if chance.draw(4) == 0 { 0x8000 } else { 0 };
            let viewpoint = is_near | (cells / 2 + chance.draw(3) as u16);
            let held = room.interest(viewpoint);
            let whole =
                if chance.draw(4) == 0 { vec![held[chance.draw(held.len() as u64) as usize]] } else { Vec::new() };
            let has_sums = chance.draw(4) == 0;
            room.chance = chance;
            room.frame(span, viewpoint, &whole, has_sums);
        }
    }
}
