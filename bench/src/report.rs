//! Figures, the table for people and the JSON for programs.

use crate::stopwatch::unix_time;
use indicatif::ProgressBar;
use serde_json::{Map, Value, json};
use std::fmt::Write;
use std::time::Duration;

/// What a figure should reach.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Aim {
    /// No aim: for reading.
    None,
    /// At most this.
    AtMost(f64),
    /// At least this.
    AtLeast(f64),
}

impl Aim {
    fn is_reached_by(self, value: f64) -> bool {
        match self {
            Self::None => true,
            Self::AtMost(limit) => value <= limit,
            Self::AtLeast(limit) => value >= limit,
        }
    }
}

/// One measured number.
#[derive(Debug, Clone)]
pub(crate) struct Figure {
    /// The key in the JSON.
    pub(crate) key: String,
    pub(crate) value: f64,
    /// Smallest and largest of the repetitions whose median `value` is.
    pub(crate) spread: Option<(f64, f64)>,
    pub(crate) aim: Aim,
}

/// What a measurement found, in order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Figures {
    list: Vec<Figure>,
    notes: Vec<String>,
}

impl Figures {
    /// Adds a number that stands for itself.
    pub(crate) fn add(&mut self, key: impl Into<String>, value: f64, aim: Aim) {
        self.list.push(Figure { key: key.into(), value, spread: None, aim });
    }

    /// Adds the median of repetitions, with their spread; returns it.
    pub(crate) fn add_median(&mut self, key: impl Into<String>, mut values: Vec<f64>, aim: Aim) -> f64 {
        values.sort_by(f64::total_cmp);
        let spread = values.first().copied().zip(values.last().copied());
        let value = median(&values);
        self.list.push(Figure { key: key.into(), value, spread, aim });
        value
    }

    /// The figures that are not what they should be.
    pub(crate) fn missed(&self) -> impl Iterator<Item = &str> {
        self.list.iter().filter(|figure| !figure.aim.is_reached_by(figure.value)).map(|figure| figure.key.as_str())
    }

    /// Adds a sentence about how it was measured.
    pub(crate) fn note(&mut self, sentence: impl Into<String>) {
        self.notes.push(sentence.into());
    }
}

/// The middle one of ascending values; of an even number the mean of both; 0 of none.
fn median(ascending: &[f64]) -> f64 {
    match ascending.len() {
        0 => 0.0,
        n if n % 2 == 1 => ascending[n / 2],
        n => (ascending[n / 2 - 1] + ascending[n / 2]) / 2.0,
    }
}

/// All measurements of a run.
#[derive(Debug, Default)]
pub(crate) struct Report(Map<String, Value>);

impl Report {
    /// Adds a measurement and returns it as a table.
    pub(crate) fn add(&mut self, name: &str, figures: Figures) -> String {
        let mut table = format!("\n{name}\n");
        let mut values = Map::new();
        for Figure { key, value, spread, aim } in &figures.list {
            let spread_text =
                spread.map_or_else(String::new, |(low, high)| format!("{} … {}", short(low), short(high)));
            let verdict = if aim.is_reached_by(*value) { "reached" } else { "missed" };
            let (aim_text, verdict) = match aim {
                Aim::None => (String::new(), ""),
                Aim::AtMost(limit) => (format!("≤ {}", plain(*limit)), verdict),
                Aim::AtLeast(limit) => (format!("≥ {}", plain(*limit)), verdict),
            };
            let _ = writeln!(table, "  {key:48} {:>12}  {spread_text:24} {aim_text:10} {verdict}", short(*value));
            nested(&mut values, key, json!(value));
            if let Some((low, high)) = spread {
                nested(&mut values, &format!("{key}_spread"), json!([low, high]));
            }
        }
        for note in &figures.notes {
            let _ = writeln!(table, "  {note}");
        }
        values.insert("notes".to_owned(), json!(figures.notes));
        self.0.insert(name.to_owned(), Value::Object(values));
        table
    }

    /// As JSON: an object per measurement, with the machine beside them.
    pub(crate) fn to_json(&self) -> String {
        let mut all = self.0.clone();
        all.insert("machine".to_owned(), machine());
        format!("{:#}\n", Value::Object(all))
    }
}

/// Inserts a value; a key of two names with a dot between is an object's own.
fn nested(values: &mut Map<String, Value>, key: &str, value: Value) {
    match key.split_once('.') {
        Some((name, key)) => values.entry(name).or_insert_with(|| json!({}))[key] = value,
        None => drop(values.insert(key.to_owned(), value)),
    }
}

/// An aim without the digits of the arithmetic that made it.
fn plain(limit: f64) -> f64 {
    (limit * 1e3).round() / 1e3
}

/// Four significant digits.
fn short(value: f64) -> String {
    let digits = if value == 0.0 { 0 } else { (3 - value.abs().log10().floor() as i32).clamp(0, 6) };
    format!("{value:.*}", digits as usize)
}

/// What ran: processor, cores, kernel, and when.
fn machine() -> Value {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let cpu = read("/proc/cpuinfo");
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ")).map_or("", |(_, m)| m);
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    json!({ "cpu": model, "cores": cores, "kernel": read("/proc/sys/kernel/osrelease").trim(), "unix_time_s": unix_time().as_secs() })
}

/// Says what is being done.
#[derive(Debug)]
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// A line on the terminal.
    pub(crate) fn new() -> Self {
        let bar = ProgressBar::new_spinner();
        bar.enable_steady_tick(Duration::from_millis(200));
        Self(bar)
    }

    /// Replaces the line.
    pub(crate) fn say(&self, what: &str) {
        self.0.set_message(what.to_owned());
    }

    /// Prints a result, which stays.
    #[expect(clippy::print_stdout, reason = "the table is what the program is for")]
    pub(crate) fn print(&self, text: &str) {
        self.0.suspend(|| println!("{text}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_one_counts() {
        assert_eq!([median(&[]), median(&[1.0, 2.0, 9.0]), median(&[1.0, 3.0])], [0.0, 2.0, 2.0]);
    }

    #[test]
    fn a_missed_aim_is_told() {
        let mut figures = Figures::default();
        figures.add("slow", 2.0, Aim::AtMost(1.0));
        figures.add("line.late", 0.5, Aim::None);
        figures.add_median("fast", vec![3.0, 1.0, 2.0], Aim::AtLeast(2.0));
        let mut report = Report::default();
        let table = report.add("x", figures);
        assert!(table.contains("missed") && table.contains("reached") && table.contains("1.000 … 3.000"), "{table}");
        let json: Value = serde_json::from_str(&report.to_json()).unwrap();
        assert_eq!(json["x"]["line"]["late"], json!(0.5));
        assert_eq!((&json["x"]["slow"], &json["x"]["fast_spread"][1]), (&json!(2.0), &json!(3.0)));
    }
}
