//! What one bot counts, and what all of them together do.
//!
//! Invariants: what depends on load (frames, bytes, times) is counted only while all bots are in; what must never happen
//! (disconnects, errors, wrong checksums, declined lines) is counted always.

use crate::staleness::Staleness;
use hdrhistogram::Histogram;
use std::{collections::BTreeMap, time::Duration};

/// Digits that a recorded time keeps: a third would take eight times the memory, of every bot.
const HISTOGRAM_DIGITS: u8 = 2;
/// Longest time recorded. Policy: what took longer counts as this.
const RECORDED_MAX_US: u64 = 3_600_000_000;

/// Times that were recorded, µs.
#[derive(Debug, Clone)]
pub(crate) struct Times(Histogram<u32>);

impl Default for Times {
    fn default() -> Self {
        // Its length is fixed, or an hour's few long times would let each bot's grow.
        Self(Histogram::new_with_max(RECORDED_MAX_US, HISTOGRAM_DIGITS).expect("these bounds can be had"))
    }
}

impl Times {
    /// One more.
    pub(crate) fn record(&mut self, time: Duration) {
        let us = time.as_micros().min(u128::from(RECORDED_MAX_US)) as u64;
        self.0.record(us).expect("it is within the histogram's bounds");
    }

    /// The time within which this share of them was, ms, if there are any.
    pub(crate) fn quantile_ms(&self, share: f64) -> Option<f64> {
        (!self.0.is_empty()).then(|| self.0.value_at_quantile(share) as f64 / 1000.0)
    }

    fn add(&mut self, other: &Self) {
        self.0.add(&other.0).expect("they have the same bounds");
    }
}

/// Something that only one kind of room has, as its players count it.
#[derive(Debug, Clone)]
pub(crate) struct Figure {
    /// As programs read it.
    pub(crate) name: &'static str,
    /// As people read it.
    pub(crate) title: &'static str,
    pub(crate) value: Value,
}

/// What was counted.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    /// How many.
    Count(u64),
    /// How long each took.
    Times(Times),
    /// How much of the time something was how old.
    Ages(Staleness),
}

impl Figure {
    /// By both its names.
    pub(crate) fn new(name: &'static str, title: &'static str, value: Value) -> Self {
        Self { name, title, value }
    }

    fn add(&mut self, other: &Self) {
        match (&mut self.value, &other.value) {
            (Value::Count(sum), Value::Count(count)) => *sum += count,
            (Value::Times(sum), Value::Times(times)) => sum.add(times),
            (Value::Ages(sum), Value::Ages(ages)) => sum.add(*ages),
            _ => unreachable!("players of a kind count the same things"),
        }
    }
}

/// One bot's counts, or the sums of many of a kind.
#[derive(Debug, Clone, Default)]
pub(crate) struct Figures {
    /// Bots that were let in, at least once.
    pub(crate) joined: u32,
    /// Sockets that ended although the bot wanted to stay.
    pub(crate) disconnects: u64,
    /// Messages that could not be read.
    pub(crate) decode_errors: u64,
    /// Frames of the measured time.
    pub(crate) frames: u64,
    /// WebSocket payload that came in within the measured time.
    pub(crate) bytes_in: u64,
    /// Time in the room within the measured time, all bots together.
    pub(crate) present: Duration,
    /// Between the arrivals of a bot's frames.
    pub(crate) intervals: Times,
    /// What only this kind of room has.
    pub(crate) own: Vec<Figure>,
    /// Why bots stayed out or lost a socket, and how often.
    pub(crate) reasons: BTreeMap<String, u32>,
}

impl Figures {
    /// A reason that a person may want to know.
    pub(crate) fn note(&mut self, reason: String) {
        *self.reasons.entry(reason).or_default() += 1;
    }

    /// Adds another bot's.
    pub(crate) fn add(&mut self, other: Self) {
        self.joined += other.joined;
        self.disconnects += other.disconnects;
        self.decode_errors += other.decode_errors;
        self.frames += other.frames;
        self.bytes_in += other.bytes_in;
        self.present += other.present;
        self.intervals.add(&other.intervals);
        if self.own.is_empty() {
            self.own = other.own;
        } else {
            self.own.iter_mut().zip(&other.own).for_each(|(sum, own)| sum.add(own));
        }
        for (reason, count) in other.reasons {
            *self.reasons.entry(reason).or_default() += count;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_of_all() {
        let mut sum = Figures::default();
        for ms in [10, 20, 5_000] {
            let mut one = Figures { joined: 1, frames: 60, ..Figures::default() };
            one.intervals.record(Duration::from_millis(ms));
            one.own.push(Figure::new("lines", "lines", Value::Count(ms)));
            one.note("This field is full.".into());
            sum.add(one);
        }
        assert_eq!((sum.joined, sum.frames, sum.intervals.0.len()), (3, 180, 3));
        assert!(matches!(sum.own[..], [Figure { value: Value::Count(5_030), .. }]));
        assert_eq!(sum.reasons["This field is full."], 3);
        assert_eq!(sum.intervals.quantile_ms(1.0).unwrap() as u32 / 100, 50);
    }
}
