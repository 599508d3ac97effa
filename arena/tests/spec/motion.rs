//! The motion step as the text tells it (`SPEC A4`), in a stranger's arithmetic.

use crate::tables::rules_of;
use game::{
    geometry,
    rules::Rules,
    schema::{CellId, FIELDS_MAX_COUNT, Grid, Row},
    step_row,
};
use glam::IVec2;
use session::sim::Rng;
use std::collections::BTreeMap;

/// A field of rows, its rules by the letters of the text.
pub(crate) struct Text {
    pub(crate) rules: BTreeMap<String, i64>,
}

type Vector = (i64, i64);

impl Text {
    pub(crate) fn new(rules: &Rules) -> Self {
        Self { rules: rules_of(&protocol::codec::encode(rules)) }
    }

    fn rule(&self, letter: &str) -> i64 {
        self.rules[letter]
    }

    /// Cells a side.
    pub(crate) fn side(&self) -> i64 {
        self.rule("G")
    }

    fn last(&self) -> i64 {
        16_384 * self.side() - 1
    }

    /// A2.2 and A2.3.
    pub(crate) fn cell_at(&self, (x, y): Vector) -> u16 {
        let line = |along: i64| (along / 16_384).clamp(0, self.side() - 1);
        (1 + line(x) + line(y) * self.side()) as u16
    }

    /// Column and row, of a cell that is a place.
    pub(crate) fn place(&self, cell: u16) -> Option<Vector> {
        let at = i64::from(cell) - 1;
        (at >= 0 && at < self.side() * self.side()).then(|| (at % self.side(), at / self.side()))
    }

    /// A2.4, or the same cell.
    pub(crate) fn is_near(&self, a: u16, b: u16) -> bool {
        match (self.place(a), self.place(b)) {
            (Some(a), Some(b)) => (a.0 - b.0).abs() <= 1 && (a.1 - b.1).abs() <= 1,
            _ => a == b,
        }
    }

    /// All rows a tick later, in canonical order; each with the cell that it comes from.
    pub(crate) fn step(&self, rows: &[Row]) -> Vec<(u16, Row)> {
        let each = rows.iter().flat_map(|row| self.step_row(row).into_iter().map(|next| (row.cell.0, next)));
        let mut next: Vec<_> = each.filter(|(from, row)| self.is_near(*from, row.cell.0)).collect();
        next.sort_by_key(|(_, row)| (row.cell, row.kind, row.id));
        next
    }

    fn row(&self, kind: u8, id: u32, fields: &[i64]) -> Row {
        let mut all = [0; FIELDS_MAX_COUNT];
        fields.iter().enumerate().for_each(|(at, field)| all[at] = *field as i32);
        Row { cell: CellId(self.cell_at((fields[0], fields[1]))), kind, id, fields: all }
    }

    fn step_row(&self, row: &Row) -> Vec<Row> {
        match row.kind {
            0 if row.fields[8] == 0 => Vec::new(),
            0 => self.step_plane(row),
            1 => self.step_bullet(row),
            _ => vec![*row],
        }
    }

    /// A4.8.
    fn step_bullet(&self, row: &Row) -> Vec<Row> {
        let [x, y, vx, vy, ttl, ..] = row.fields.map(i64::from);
        let (x, y, ttl) = (x + vx, y + vy, ttl - 1);
        let is_there = ttl > 0 && [x, y].iter().all(|along| (0..=self.last()).contains(along));
        if is_there { vec![self.row(1, row.id, &[x, y, vx, vy, ttl])] } else { Vec::new() }
    }

    /// A4.3 to A4.7.
    fn step_plane(&self, row: &Row) -> Vec<Row> {
        let mut plane = row.fields.map(i64::from);
        for counter in [10, 11, 13] {
            plane[counter] = (plane[counter] - 1).max(0);
        }
        let is_reeling = plane[14] != 0 && plane[14].abs() <= self.rule("K");
        let (steer, rate) = match self.at_the_edge(&plane).or(is_reeling.then_some(7 * plane[14].signum())) {
            Some(steer) => (steer, self.rule("W0")),
            None => (plane[4], self.turn_rate(plane[3])),
        };
        plane[2] = (plane[2] + rate * steer / 7).rem_euclid(65_536);
        self.accelerate(&mut plane, steer, is_reeling);
        plane[14] -= plane[14].signum();
        let way = toward(plane[2], plane[3]);
        plane[0] = (plane[0] + (way.0 + 8).div_euclid(16)).clamp(0, self.last());
        plane[1] = (plane[1] + (way.1 + 8).div_euclid(16)).clamp(0, self.last());
        let bullet = (plane[7] == 1 && plane[10] == 0 && plane[11] == 0).then(|| self.shoot(row.id, &mut plane));
        [self.row(0, row.id, &plane)].into_iter().chain(bullet).collect()
    }

    /// The steer of whom the edge turns back (A4.4).
    fn at_the_edge(&self, plane: &[i64]) -> Option<i64> {
        let inside = |along: i64| along.clamp(self.rule("B"), self.last() - self.rule("B"));
        let way = (inside(plane[0]) - plane[0], inside(plane[1]) - plane[1]);
        let turn = turn(plane[2], bearing(way));
        (way != (0, 0) && turn.abs() > 8192).then_some(7 * turn.signum())
    }

    fn turn_rate(&self, speed: i64) -> i64 {
        let range = self.rule("TB") - self.rule("T0");
        let below = (self.rule("TB") - speed).clamp(0, range);
        self.rule("W1") + (self.rule("W0") - self.rule("W1")) * below / range
    }

    /// A4.5.
    fn accelerate(&self, plane: &mut [i64], steer: i64, is_reeling: bool) {
        let is_boosting = plane[6] == 1 && plane[9] >= self.rule("E") && !is_reeling;
        if is_boosting {
            plane[9] -= self.rule("E");
        } else if plane[6] == 0 {
            plane[9] = (plane[9] + self.rule("R")).min(10_000);
        }
        let throttle = if is_reeling { 0 } else { plane[5] };
        let (wanted, thrust) = match is_boosting {
            true => (self.rule("TB"), self.rule("AB")),
            false => (self.rule(&format!("T{throttle}")), self.rule("A")),
        };
        let target = wanted - wanted * (self.rule("C") * steer * steer / 49) / 1000;
        plane[3] += (target - plane[3]).clamp(-self.rule("D"), thrust);
    }

    /// A4.7.
    fn shoot(&self, id: u32, plane: &mut [i64]) -> Row {
        let nose = toward(plane[2], 1024);
        let (x, y) = ((plane[0] + nose.0).clamp(0, self.last()), (plane[1] + nose.1).clamp(0, self.last()));
        let way = toward(plane[2], self.rule("V") + plane[3] * self.rule("I") / 16_000);
        let id = id * 256 + plane[12] as u32;
        plane[10] = self.rule("P");
        plane[12] = (plane[12] + 1) % 256;
        self.row(1, id, &[x, y, way.0, way.1, self.rule("L")])
    }
}

/// A4.1: the table is a rounded sine.
fn sine(heading: i64) -> i64 {
    let table = |step: i64| (16_384.0 * (step.min(256) as f64 / 256.0 * 90.0).to_radians().sin()).round() as i64;
    let heading = heading.rem_euclid(65_536);
    let along = heading % 16_384;
    let rising = if heading / 16_384 % 2 == 0 { along } else { 16_384 - along };
    let (step, part) = (rising / 64, rising % 64);
    let value = table(step) + (table(step + 1) - table(step)) * part / 64;
    if heading < 32_768 { value } else { -value }
}

fn toward(heading: i64, length: i64) -> Vector {
    (sine(heading + 16_384) * length / 16_384, sine(heading) * length / 16_384)
}

/// A4.2.
fn bearing((x, y): Vector) -> i64 {
    let (smaller, larger) = (x.abs().min(y.abs()), x.abs().max(y.abs()));
    if larger == 0 {
        return 0;
    }
    let ratio = smaller * 4096 / larger;
    let octant = ratio * (8192 + 2848 * (4096 - ratio) / 4096) / 4096;
    let quarter = if y.abs() > x.abs() { 16_384 - octant } else { octant };
    let half = if x < 0 { 32_768 - quarter } else { quarter };
    (if y < 0 { -half } else { half }).rem_euclid(65_536)
}

fn turn(from: i64, to: i64) -> i64 {
    (to - from + 32_768).rem_euclid(65_536) - 32_768
}

/// The rules as they ship, and others.
pub(crate) fn some_rules() -> [Rules; 2] {
    let mut others = Rules::default();
    others.motion.grid.cells = 3;
    (others.motion.flight.border, others.motion.flight.turn_cost) = (9000, 777);
    (others.motion.guns.pause, others.motion.guns.life, others.motion.ramming.reel) = (1, 3, 51);
    assert!(others.are_sound());
    [Rules::default(), others]
}

/// Any plane or bullet on the field.
pub(crate) fn any_row(text: &Text, chance: &mut Rng) -> Row {
    let kind = chance.draw(2) as u8;
    let declared = &crate::tables::kinds()[usize::from(kind)];
    let mut fields: Vec<i64> = declared
        .fields
        .iter()
        .map(|field| {
            i64::from(field.least) + chance.draw((i64::from(field.most) - i64::from(field.least) + 1) as u64) as i64
        })
        .collect();
    // Anywhere on the field, and often at its edge, where more happens.
    for place in &mut fields[..2] {
        *place %= text.last() + 1;
        *place = if chance.draw(3) == 0 { *place % 12_000 } else { *place };
    }
    if kind == 0 {
        // Faster than the rules allow none gets; the counters matter near 0.
        fields[3] %= text.rule("TB") + 1;
        for counter in [10, 11] {
            fields[counter] %= 3;
        }
        fields[9] %= 400;
    }
    text.row(kind, 256 + chance.draw(60_000) as u32, &fields)
}

/// SPEC A2.1, A4.1 and A4.2.
#[test]
fn sines_and_bearings_are_the_texts() {
    for heading in (-70_000..140_000).step_by(3) {
        assert_eq!(i64::from(geometry::sine(heading)), sine(heading.into()), "{heading}");
        let ours = geometry::toward(heading, 6000);
        assert_eq!((i64::from(ours.x), i64::from(ours.y)), toward(heading.into(), 6000), "{heading}");
    }
    assert_eq!((toward(0, 100), toward(16_384, 100)), ((100, 0), (0, 100)), "right and down");
    for (x, y) in (-40..40).flat_map(|x| (-40..40).map(move |y| (x * 37, y * 53))) {
        assert_eq!(i64::from(geometry::heading_of(IVec2::new(x, y))), bearing((x.into(), y.into())), "{x} {y}");
        assert_eq!(i64::from(geometry::turn_between(x * 70, y * 70)), turn((x * 70).into(), (y * 70).into()));
    }
}

/// SPEC A2.2, A2.3 and A2.4.
#[test]
fn places_belong_to_the_cells_of_the_text() {
    for cells in [3, 10, 128] {
        let (grid, text) = (Grid { cells }, Text { rules: BTreeMap::from([("G".to_owned(), i64::from(cells))]) });
        let lines =
            [-1, 0, 1, 16_383, 16_384, 16_385, 16_384 * (cells - 1), 16_384 * cells - 1, 16_384 * cells, 3_000_000];
        for (x, y) in lines.iter().flat_map(|x| lines.iter().map(move |y| (*x, *y))) {
            assert_eq!(CellId::at(IVec2::new(x, y), grid).0, text.cell_at((x.into(), y.into())), "{x} {y}");
        }
        let some = (0..=(cells * cells) as u16).step_by(if cells == 128 { 401 } else { 1 });
        for (a, b) in some.clone().flat_map(|a| some.clone().map(move |b| (a, b))).filter(|(a, b)| a != b) {
            assert_eq!(CellId(a).direction_to(CellId(b), grid).is_some(), text.is_near(a, b), "{a} {b}");
        }
    }
}

/// SPEC A4.3, A4.4, A4.5, A4.6, A4.7 and A4.8.
#[test]
fn every_row_steps_as_the_text_says() {
    let mut chance = Rng::new(4);
    for rules in some_rules() {
        let text = Text::new(&rules);
        for _ in 0..200 {
            let mut rows = vec![any_row(&text, &mut chance)];
            for tick in 0..100 {
                let expected: Vec<Row> = rows.iter().flat_map(|row| text.step_row(row)).collect();
                let mut stepped = Vec::new();
                rows.iter().for_each(|row| step_row(row, &rules, &mut stepped));
                assert_eq!(stepped, expected, "{tick} ticks on from {rows:?}");
                rows = stepped;
            }
        }
    }
}
