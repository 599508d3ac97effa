//! The text's tables.

use game::{KINDS, SCORE_MAX, rules::Rules};
use std::collections::BTreeMap;

const TEXT: &str = include_str!("../../SPEC.md");

/// A kind of row as the text tells it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Kind {
    pub(crate) name: String,
    pub(crate) is_placed: bool,
    pub(crate) id_bits: u32,
    pub(crate) fields: Vec<Field>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) least: i32,
    pub(crate) most: i32,
}

/// A rule of a room: its letter, if the step needs it, its name, and its value as the game ships.
#[derive(Debug)]
struct Number {
    letter: String,
    name: String,
    shipped: i32,
}

/// The cells of the table's lines that stand behind a rule, without its head.
fn table(rule: &str) -> Vec<Vec<String>> {
    let (_, behind) = TEXT.split_once(&format!("* **{rule}** ")).expect("the text has the rule");
    let lines = behind.lines().skip_while(|line| !line.starts_with("  | "));
    let cells = |line: &str| line.trim().trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
    lines.take_while(|line| line.starts_with("  | ")).skip(2).map(cells).collect()
}

/// The text writes a minus as people do.
fn number(text: &str) -> i32 {
    text.trim().replace('−', "-").parse().expect("it is a number")
}

fn numbers() -> Vec<Number> {
    let number = |cells: Vec<String>| Number {
        letter: cells[0].clone(),
        name: cells[1].trim_matches('`').to_owned(),
        shipped: number(&cells[3]),
    };
    table("A1.2").into_iter().map(number).collect()
}

/// A room's rules by the letters of the text, from the bytes of a welcome: a varint each (S1.3).
pub(crate) fn rules_of(mut bytes: &[u8]) -> BTreeMap<String, i64> {
    let mut take = |count: usize| {
        let (taken, rest) = bytes.split_at(count);
        bytes = rest;
        taken.iter().rev().fold(0, |number, byte| number << 8 | i64::from(*byte))
    };
    let mut varint = || match take(1) {
        251 => take(2),
        252 => take(4),
        253 => take(8),
        short => short,
    };
    let mut signed = || {
        let folded = varint();
        if folded % 2 == 0 { folded / 2 } else { -(folded + 1) / 2 }
    };
    let rules = numbers()
        .into_iter()
        .map(|number| (if number.letter.is_empty() { number.name } else { number.letter }, signed()))
        .collect();
    assert!(bytes.is_empty(), "nothing is left");
    rules
}

/// Kinds of row, by number.
pub(crate) fn kinds() -> Vec<Kind> {
    let kind = |(at, cells): (usize, Vec<String>)| {
        let (kind, is_placed) =
            cells[0].strip_suffix(", with a place").map_or((&*cells[0], false), |kind| (kind, true));
        let name = kind.strip_prefix(&format!("{at} `")).expect("kinds are numbered").trim_end_matches('`').to_owned();
        let id_bits = cells[1].split(':').next().expect("there is one").parse().expect("it is a number");
        Kind { name, is_placed, id_bits, fields: fields(&cells[2]) }
    };
    table("A3.1").into_iter().enumerate().map(kind).collect()
}

/// `` `x` 0 … 9 · `y` −1 … 1 ``, or `` `d0` … `d15`, each 0 … 3 ``.
fn fields(cell: &str) -> Vec<Field> {
    let words: Vec<&str> = cell.split('`').skip(1).collect();
    if let [first, " … ", last, range] = words[..] {
        let count: u32 = last[1..].parse().expect("it is numbered");
        let range = range.strip_prefix(", each ").expect("the range of all");
        return (0..=count).map(|at| field(&format!("{}{at}", &first[..1]), range)).collect();
    }
    words.chunks(2).map(|pair| field(pair[0], pair[1])).collect()
}

fn field(name: &str, range: &str) -> Field {
    let (least, behind) = range.split_once('…').expect("a range");
    let most = behind.trim_start().split([' ', ',']).next().expect("its end");
    Field { name: name.to_owned(), least: number(least), most: number(most) }
}

/// SPEC A1.2.
#[test]
fn the_text_lists_the_rules_of_the_welcome_in_their_order() {
    let welcome = arena::wire::Welcome { pilot: 300, rules: Rules::default() }.encode();
    let shipped = rules_of(welcome.strip_prefix(&[251, 44, 1]).expect("the pilot stands before them"));
    for Number { letter, name, shipped: told } in numbers() {
        let rule = if letter.is_empty() { &name } else { &letter };
        assert_eq!(shipped[rule], i64::from(told), "{name}");
    }
}

/// SPEC A1.5.
#[test]
fn the_version_is_the_hash_that_the_text_describes() {
    let mut hashed = vec![1];
    for (at, kind) in kinds().iter().enumerate() {
        let derived = if at == 0 { 8192 } else { 0 };
        hashed.extend(format!("{}:{}:{}:{derived};", kind.name, kind.id_bits, kind.is_placed).bytes());
        kind.fields.iter().for_each(|field| {
            hashed.extend(format!("{}:{}..={};", field.name, field.least, field.most).bytes());
        });
    }
    let names = TEXT.split("```").nth(1).expect("the text has the names of the rules");
    hashed.extend(names.bytes().filter(|byte| !byte.is_ascii_whitespace()));
    hashed.extend(include_bytes!("../../tables/rows.txt"));
    let version = hashed.iter().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
    assert_eq!(arena::wire::version(), version);
    assert!(TEXT.contains(&format!("It is {version}.")), "the text says another value than {version}");
}

/// SPEC A3.1.
#[test]
fn the_text_declares_every_kind_of_row_as_the_game_does() {
    let declared: Vec<Kind> = KINDS
        .iter()
        .map(|kind| {
            let field = |field: &game::schema::Field| Field {
                name: field.name.to_owned(),
                least: *field.range.start(),
                most: *field.range.end(),
            };
            let fields = kind.fields.iter().map(field).collect();
            Kind { name: kind.name.to_owned(), is_placed: kind.is_placed, id_bits: kind.id_bits, fields }
        })
        .collect();
    assert_eq!(kinds(), declared);
}

/// SPEC A1.3.
#[test]
fn the_text_knows_the_highest_score() {
    assert!(TEXT.contains("A score is at most 1,000,000 (`SCORE_MAX`)"));
    assert_eq!(SCORE_MAX, 1_000_000);
}
