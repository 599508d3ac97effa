//! Rows in bits, as the text tells it (`SPEC A7`).

use crate::{
    motion::Text,
    tables::{Field, Kind, kinds},
};
use game::schema::Row;
use std::collections::BTreeMap;

const TABLES: &str = include_str!("../../tables/rows.txt");

/// A line of the tables: its values in order, each with its code from the first bit on, and the escape's.
struct Line {
    values: Vec<(i32, String)>,
    escape: String,
}

/// A bit stream, and what is needed to write one.
pub(crate) struct Writer<'a> {
    text: &'a Text,
    kinds: Vec<Kind>,
    lines: BTreeMap<String, Line>,
    bits: Vec<bool>,
}

/// What happens to a cell's rows.
#[derive(Debug, Default)]
pub(crate) struct Happening {
    pub(crate) entering: Vec<Row>,
    /// Rows as they are before, in canonical order, and as what they become: nothing, or with other fields.
    pub(crate) touched: Vec<(Row, Option<Row>)>,
    pub(crate) new: Vec<Row>,
}

impl Line {
    /// A7.3.
    fn read(words: &str) -> Self {
        let mut coded: Vec<(Option<i32>, usize, usize)> = Vec::new();
        for (at, word) in words.split(' ').filter(|word| !word.is_empty()).enumerate() {
            let (value, length) = word.split_once('=').expect("a value and a length");
            coded.push((value.parse().ok(), length.parse().expect("a length"), at));
        }
        let mut by_length = coded.clone();
        by_length.sort_by_key(|(_, length, at)| (*length, *at));
        let (mut next, mut length, mut codes) = (0_u32, by_length[0].1, BTreeMap::new());
        for (_, longer, at) in &by_length {
            next <<= longer - length;
            length = *longer;
            codes.insert(*at, if length == 0 { String::new() } else { format!("{next:0length$b}") });
            next += 1;
        }
        let mut line = Self { values: Vec::new(), escape: String::new() };
        for (value, _, at) in coded {
            match value {
                Some(value) => line.values.push((value, codes[&at].clone())),
                None => line.escape = codes[&at].clone(),
            }
        }
        line
    }
}

impl<'a> Writer<'a> {
    pub(crate) fn new(text: &'a Text) -> Self {
        let line = |line: &str| {
            let (name, words) = line.split_once(' ').expect("a name and words");
            (name.to_owned(), Line::read(words))
        };
        let lines = TABLES.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).map(line).collect();
        Self { text, kinds: kinds(), lines, bits: Vec::new() }
    }

    /// A7.1: the bytes, padded.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let byte = |bits: &[bool]| (0..).zip(bits).map(|(at, bit)| u8::from(*bit) << at).sum();
        self.bits.chunks(8).map(byte).collect()
    }

    pub(crate) fn plain(&mut self, number: i64, bits: usize) {
        assert!(number >= 0 && number < 1 << bits, "{number} in {bits} bits");
        self.bits.extend((0..bits).map(|bit| number >> bit & 1 == 1));
    }

    /// A7.2.
    pub(crate) fn count(&mut self, count: usize) {
        let more = count as i64 + 1;
        let below = more.ilog2() as usize;
        self.plain(0, below);
        self.plain(1, 1);
        self.plain(more - (1 << below), below);
    }

    fn code(&mut self, code: &str) {
        self.bits.extend(code.chars().map(|bit| bit == '1'));
    }

    /// The code of a value, or the escape's: then what follows is the caller's.
    fn known(&mut self, name: &str, value: i32) -> bool {
        let Some(line) = self.lines.get(name) else { return false };
        let code = line.values.iter().find(|(known, _)| *known == value).map(|(_, code)| code.clone());
        let (is_known, code) = (code.is_some(), code.unwrap_or_else(|| line.escape.clone()));
        self.code(&code);
        is_known
    }

    /// A7.4.
    pub(crate) fn choice(&mut self, name: &str, value: i32, least: i32, bits: usize) {
        if !self.known(name, value) {
            self.plain(i64::from(value) - i64::from(least), bits);
        }
    }

    /// A7.5.
    pub(crate) fn row(&mut self, row: &Row) {
        let kind = usize::from(row.kind);
        let (name, is_placed) = (self.kinds[kind].name.clone(), self.kinds[kind].is_placed);
        self.choice("kind", row.kind.into(), 0, 2);
        let length = bits_of(row.id.into());
        self.choice(&format!("{name}:id"), length as i32, 0, 6);
        self.below_first(row.id.into(), length);
        for at in 0..self.kinds[kind].fields.len() {
            let Field { name: field, least, most } = &self.kinds[kind].fields[at];
            let (choice, least, bits) = (format!("{name}.{field}"), *least, range_bits(*least, *most));
            if is_placed && at < 2 {
                let (column, line) = self.text.place(row.cell.0).expect("it has a place");
                self.plain(i64::from(row.fields[at]) - [column, line][at] * 16_384, 14);
            } else {
                self.choice(&choice, row.fields[at], least, bits);
            }
        }
    }

    fn below_first(&mut self, number: i64, length: usize) {
        if length > 0 {
            self.plain(number - (1 << (length - 1)), length - 1);
        }
    }

    /// A cell as a whole.
    pub(crate) fn whole(&mut self, rows: &[Row]) {
        self.count(rows.len());
        rows.iter().for_each(|row| self.row(row));
    }

    /// A7.6: what happened by the places of the `continued` cells, with the rows that each has when its part is read, but
    /// for those that enter.
    pub(crate) fn tick(&mut self, continued: usize, parts: &[(usize, Vec<Row>, Happening)]) {
        let density = if parts.is_empty() {
            0
        } else if parts.len() * 4 < continued {
            1
        } else {
            2
        };
        self.choice("density", density, 0, 2);
        let mut next = 0;
        for (at, rows, happening) in parts {
            self.choice(&format!("cell-gap.{}", density - 1), (at - next) as i32, -1, 7);
            self.part(rows, happening);
            next = at + 1;
        }
        if density > 0 && next < continued {
            self.choice(&format!("cell-gap.{}", density - 1), -1, -1, 7);
        }
    }

    /// A7.7.
    fn part(&mut self, rows: &[Row], Happening { entering, touched, new }: &Happening) {
        let masks: Vec<i32> =
            touched.iter().map(|(before, after)| after.map_or(0, |after| mask(before, &after))).collect();
        let usual = |row: &Row| {
            self.lines
                .get(&format!("{}:mask", self.kinds[usize::from(row.kind)].name))?
                .values
                .first()
                .map(|first| first.0)
        };
        let is_usual =
            !touched.is_empty() && touched.iter().zip(&masks).all(|((row, _), mask)| usual(row) == Some(*mask));
        let head = touched.len().min(7) as i32
            + 8 * i32::from(!entering.is_empty())
            + 16 * i32::from(!new.is_empty())
            + 32 * i32::from(is_usual);
        self.choice("head", head, 0, 6);
        if touched.len() >= 7 {
            self.count(touched.len() - 7);
        }
        self.rows_but_one(entering);
        let mut rows: Vec<Row> = rows.iter().chain(entering).copied().collect();
        rows.sort_by_key(|row| (row.kind, row.id));
        let mut next = 0;
        for (at, ((before, after), mask)) in touched.iter().zip(&masks).enumerate() {
            let place = rows.iter().position(|row| row == before).expect("it is one of them");
            let most = rows.len() - next - (touched.len() - at);
            if most > 0 {
                self.choice(&format!("row-gap.{}", (most - 1).min(6)), (place - next) as i32, 0, 14);
            }
            next = place + 1;
            self.change(before, after.as_ref().unwrap_or(before), *mask, is_usual);
        }
        self.rows_but_one(new);
    }

    fn rows_but_one(&mut self, rows: &[Row]) {
        if !rows.is_empty() {
            self.count(rows.len() - 1);
            rows.iter().for_each(|row| self.row(row));
        }
    }

    /// A7.8.
    fn change(&mut self, before: &Row, after: &Row, mask: i32, is_usual: bool) {
        let kind = usize::from(before.kind);
        let (name, fields) = (self.kinds[kind].name.clone(), self.kinds[kind].fields.len());
        if !is_usual {
            self.choice(&format!("{name}:mask"), mask, 0, fields);
        }
        for at in (0..fields).filter(|at| mask >> at & 1 == 1) {
            let Field { name: field, least, most } = &self.kinds[kind].fields[at];
            let (field, least, most) = (format!("{name}.{field}"), *least, *most);
            let (old, new) = (before.fields[at], after.fields[at]);
            match most - least + 1 {
                2 => {}
                3..=16 => self.choice(&format!("{field}:change.{}", old - least), new, least, range_bits(least, most)),
                _ if self.known(&format!("{field}:change.0"), new - old) => {}
                _ => {
                    let difference = i64::from(new - old);
                    let folded = if difference < 0 { -2 * difference - 1 } else { 2 * difference };
                    let length = bits_of(folded);
                    self.plain(length as i64, 5);
                    self.below_first(folded, length);
                }
            }
        }
    }
}

/// The fields that differ; of a plane whose stick moved not `unrest`, if that is 12 (A7.9).
fn mask(before: &Row, after: &Row) -> i32 {
    let differs = |at: usize| i32::from(before.fields[at] != after.fields[at]) << at;
    let mask: i32 = (0..before.fields.len()).map(differs).sum();
    let is_known = before.kind == 0 && before.fields[4] != after.fields[4];
    match is_known {
        true if after.fields[13] == 12 => mask & !(1 << 13),
        true => mask | 1 << 13,
        false => mask,
    }
}

fn bits_of(number: i64) -> usize {
    (64 - number.leading_zeros()) as usize
}

fn range_bits(least: i32, most: i32) -> usize {
    bits_of(i64::from(most) - i64::from(least))
}

/// A3.3.
pub(crate) fn folded_sum(rows: &[Row]) -> u16 {
    const M: u64 = 0xf135_7aea_2e62_a9c5;
    let counts: Vec<usize> = kinds().iter().map(|kind| kind.fields.len()).collect();
    let hash = |row: &Row| {
        let mut hash = (u64::from(row.kind) * (1 << 32) + u64::from(row.id)).wrapping_mul(M);
        for pair in row.fields[..counts[usize::from(row.kind)]].chunks(2) {
            let (a, b) = (pair[0] as u32, pair.get(1).map_or(0, |b| *b as u32));
            hash = (hash.rotate_left(23) ^ (u64::from(a) + u64::from(b) * (1 << 32))).wrapping_mul(M);
        }
        hash
    };
    let sum = rows.iter().map(hash).fold(0, u64::wrapping_add);
    (sum ^ sum >> 16 ^ sum >> 32 ^ sum >> 48) as u16
}

/// SPEC A7.1 and A7.2.
#[test]
fn counts_are_as_the_text_writes_them() {
    let text = Text { rules: BTreeMap::new() };
    for (count, expected) in [(0, "1"), (1, "010"), (2, "011"), (3, "00100"), (4, "00110")] {
        let mut bits = protocol::bits::BitWriter::new();
        bits.put_count(count);
        let bits = bits.into_bytes();
        let mut writer = Writer::new(&text);
        writer.count(count as usize);
        assert_eq!(writer.bits.iter().map(|bit| if *bit { '1' } else { '0' }).collect::<String>(), expected);
        assert_eq!(writer.bytes(), bits);
    }
    let mut bits = protocol::bits::BitWriter::new();
    bits.put(0b0110, 4);
    bits.put(0b1, 1);
    assert_eq!(bits.into_bytes(), [0b0001_0110], "from the lowest bit, padded with zeros");
}

/// SPEC A7.3: the example of RFC 1951, and a line with its escape in the middle.
#[test]
fn codes_follow_from_their_lengths() {
    let codes = |words: &str| {
        let line = Line::read(words);
        (line.values.into_iter().map(|(_, code)| code).collect::<Vec<_>>().join(" "), line.escape)
    };
    let expected = ("010 011 100 101 110 00 1110".to_owned(), "1111".to_owned());
    assert_eq!(codes("1=3 2=3 3=3 4=3 5=3 6=2 7=4 *=4"), expected);
    let ours = protocol::prefix::PrefixCode::new(&[3, 3, 3, 3, 3, 2, 4, 4]).unwrap();
    assert_eq!(ours.code_of(0), (0b010, 3));
    assert_eq!(ours.code_of(2), (0b001, 3), "100 from its first bit on");
    assert_eq!(ours.code_of(6), (0b0111, 4));
    assert_eq!(codes("*=0"), (String::new(), String::new()));
}
