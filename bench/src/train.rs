//! Makes the tables of the row coding from recorded play.
//!
//! Path: games of players of two styles → every choice of the coder, counted → per choice the values worth a code and the
//! best lengths for them → the file of tables, with its origin on top.
//! Sources: package-merge (Larmore and Hirschberg, "A fast algorithm for optimal length-limited Huffman codes", JACM
//! 37(3), 1990). Invariant: same seeds and tables, same file. Which change of a row is usual is what the tables of before
//! say: after a change of rules or rows, build and train until the file stays as it is.

use crate::{
    delta::{Style, play},
    report::Progress,
};
use anyhow::Context;
use arena::{Choice, CodeStats, Counts};
use game::KINDS;
use protocol::prefix::CODE_MAX_BITS;
use std::{collections::BTreeMap, fmt::Write};

/// Games that are learned from; none of them is one that is measured.
const GAMES: [(Style, u64); 4] = [(Style::Mouse, 101), (Style::Mouse, 102), (Style::Mouse, 103), (Style::Blind, 104)];
/// Of every how many players the choices count.
const REPLICAS_EVERY: usize = 7;
/// Most values of a choice that get a code of their own.
const VALUES_MAX_COUNT: usize = 40;
/// What the escape counts beside what it is seen to be used for: something new may always come.
const ESCAPE_LEAST_SHARE: f64 = 1.0 / 500.0;
/// The dearest choices, for the eye.
const CHOICES_SHOWN_COUNT: usize = 30;
/// Where the tables live, from the top of the repository.
const TABLES: &str = "arena/tables/rows.txt";

/// Trains and writes the tables.
pub(crate) fn run(progress: &Progress) -> anyhow::Result<()> {
    let mut choices: BTreeMap<Choice, Counts> = BTreeMap::new();
    let mut raw_bits = 0;
    for (style, seed) in GAMES {
        progress.say(&format!("playing with seed {seed}"));
        let stats: CodeStats = play(progress, style, seed, REPLICAS_EVERY, 1)?.stats;
        raw_bits += stats.raw_bits;
        for (choice, counts) in stats.choices() {
            let all = choices.entry(*choice).or_default();
            all.escaped_bits = all.escaped_bits.max(counts.escaped_bits);
            counts.values.iter().for_each(|(value, count)| *all.values.entry(*value).or_default() += count);
        }
    }
    let mut text = format!(
        "# Code tables of the row coding: a choice of the coder, then `value=bits` for each value that has a code, and\n\
         # `*=bits` for the escape. Trained by `cargo run --release -p bench -- train` from games of 200 players each\n\
         # (style of the hands, seed: {GAMES:?}).\n\
         # Do not edit: their hash is part of the protocol's version.\n"
    );
    let (mut coded_bits, mut ideal_bits) = (0.0, 0.0);
    let mut costs = Vec::new();
    for (choice, counts) in &choices {
        let table = Trained::from(counts);
        let ideal = entropy_bits(counts);
        coded_bits += table.bits;
        ideal_bits += ideal;
        let name = choice.name(KINDS);
        writeln!(text, "{name} {}", table.line)?;
        costs.push((table.bits, ideal, name));
    }
    costs.sort_by(|a, b| b.0.total_cmp(&a.0));
    for (bits, ideal, choice) in costs.iter().take(CHOICES_SHOWN_COUNT) {
        progress.print(&format!("{choice:24} {:8.0} kB, ideal {:8.0} kB", bits / 8e3, ideal / 8e3));
    }
    std::fs::write(TABLES, text).with_context(|| format!("{TABLES} cannot be written: start from the top folder"))?;
    let raw = raw_bits as f64;
    progress.print(&format!(
        "{TABLES}: {} tables. Choices take {:.2} MB by them, an ideal arithmetic coder with the same contexts would take \
         {:.2} MB; with {:.2} MB of bits that are sent as they are, that is {:.1} % less.",
        choices.len(),
        coded_bits / 8e6,
        ideal_bits / 8e6,
        raw / 8e6,
        (coded_bits - ideal_bits) / (coded_bits + raw) * 100.0
    ));
    Ok(())
}

/// What an ideal coder would need for these choices, knowing their shares.
fn entropy_bits(counts: &Counts) -> f64 {
    let all: u64 = counts.values.values().sum();
    counts.values.values().map(|count| -(*count as f64) * (*count as f64 / all as f64).log2()).sum()
}

/// A table for a choice.
#[derive(Debug)]
struct Trained {
    line: String,
    /// What all counted choices take by it.
    bits: f64,
}

impl Trained {
    /// The number of values that makes the choices cheapest, and their codes.
    fn from(counts: &Counts) -> Self {
        let mut values: Vec<(i32, u64)> = counts.values.iter().map(|(value, count)| (*value, *count)).collect();
        values.sort_by_key(|(value, count)| (std::cmp::Reverse(*count), *value));
        let most = values.len().min(VALUES_MAX_COUNT);
        let tables = (0..=most).map(|known| Self::with(&values, known, counts.escaped_bits));
        tables.min_by(|a, b| a.bits.total_cmp(&b.bits)).expect("a table without a value is one")
    }

    /// With codes for the `known` most frequent values.
    fn with(values: &[(i32, u64)], known: usize, escaped_bits: u32) -> Self {
        let all: u64 = values.iter().map(|(_, count)| count).sum();
        let escaped: u64 = values[known..].iter().map(|(_, count)| count).sum();
        let mut weights: Vec<f64> = values[..known].iter().map(|(_, count)| *count as f64).collect();
        weights.push((escaped as f64).max(all as f64 * ESCAPE_LEAST_SHARE));
        let lengths = code_lengths(&weights, usize::from(CODE_MAX_BITS));
        let coded: f64 =
            values.iter().zip(&lengths[..known]).map(|((_, count), bits)| *count as f64 * *bits as f64).sum();
        let bits = coded + escaped as f64 * (lengths[known] as f64 + f64::from(escaped_bits));
        let words = values.iter().zip(&lengths[..known]).map(|((value, _), bits)| format!("{value}={bits} "));
        Self { line: format!("{}*={}", words.collect::<String>(), lengths[known]), bits }
    }
}

/// Lengths of the best prefix code for these weights with no code longer than `limit` (package-merge).
fn code_lengths(weights: &[f64], limit: usize) -> Vec<usize> {
    if weights.len() == 1 {
        return vec![0];
    }
    let mut order: Vec<usize> = (0..weights.len()).collect();
    order.sort_by(|a, b| weights[*a].total_cmp(&weights[*b]));
    let coins: Vec<(f64, Vec<usize>)> = order.iter().map(|symbol| (weights[*symbol], vec![*symbol])).collect();
    let mut packages = coins.clone();
    for _ in 1..limit {
        let pairs = packages.chunks_exact(2);
        let mut next: Vec<(f64, Vec<usize>)> =
            pairs.map(|pair| (pair[0].0 + pair[1].0, [&pair[0].1[..], &pair[1].1[..]].concat())).collect();
        next.extend(coins.iter().cloned());
        next.sort_by(|a, b| a.0.total_cmp(&b.0));
        packages = next;
    }
    let mut lengths = vec![0; weights.len()];
    for symbol in packages.iter().take(2 * weights.len() - 2).flat_map(|(_, symbols)| symbols) {
        lengths[*symbol] += 1;
    }
    lengths
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::prefix::PrefixCode;

    #[test]
    fn lengths_are_the_best_within_the_limit() {
        assert_eq!(code_lengths(&[1.0, 1.0, 2.0, 4.0], 10), [3, 3, 2, 1]);
        assert_eq!(code_lengths(&[5.0], 10), [0]);
        let steep: Vec<f64> = (0..20).map(|i| f64::from(1 << i)).collect();
        let lengths: Vec<u8> = code_lengths(&steep, 10).into_iter().map(|bits| bits as u8).collect();
        assert!(PrefixCode::new(&lengths).is_some() && lengths.iter().all(|bits| *bits <= 10));
    }

    #[test]
    fn rare_values_go_by_the_escape() {
        let mut values: BTreeMap<i32, u64> = (900..1000).map(|rare| (rare, 1)).collect();
        values.insert(3, 1000);
        let trained = Trained::from(&Counts { values, escaped_bits: 10 });
        assert!(trained.line.starts_with("3=1 "), "{}", trained.line);
        assert!(trained.line.split_ascii_whitespace().count() <= VALUES_MAX_COUNT + 1);
        assert!(trained.bits < 1000.0 + 100.0 * 12.0, "{}", trained.bits);
    }
}
