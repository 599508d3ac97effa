//! What one bot counts, and what all of them together do.
//!
//! Invariants: what depends on load (frames, bytes, times) is counted only while all bots are in; what must never happen
//! (disconnects, errors, wrong checksums) is counted always.

use crate::staleness::Staleness;
use hdrhistogram::Histogram;
use std::{collections::BTreeMap, time::Duration};

/// Digits that a recorded time keeps: a third would take eight times the memory, of every bot.
const HISTOGRAM_DIGITS: u8 = 2;
/// Longest time recorded. Policy: what took longer counts as this.
const RECORDED_MAX_US: u64 = 3_600_000_000;

/// One bot's counts, or the sums of many.
#[derive(Debug, Clone)]
pub(crate) struct Figures {
    /// Bots that were let in, at least once.
    pub(crate) joined: u32,
    /// Sockets that ended although the bot wanted to fly on.
    pub(crate) disconnects: u64,
    /// Messages that could not be read.
    pub(crate) decode_errors: u64,
    /// Frames after which the replica was not what the server has.
    pub(crate) checksum_mismatches: u64,
    /// Frames of the measured time.
    pub(crate) frames: u64,
    /// WebSocket payload that came in within the measured time.
    pub(crate) bytes_in: u64,
    /// Time in the room within the measured time, all bots together.
    pub(crate) present: Duration,
    /// Between the arrivals of a bot's frames, µs.
    pub(crate) intervals_us: Histogram<u32>,
    /// How old the picture was.
    pub(crate) staleness: Staleness,
    /// See `latency`, µs.
    pub(crate) input_to_state_us: Histogram<u32>,
    /// Why bots stayed out or lost a socket, and how often.
    pub(crate) reasons: BTreeMap<String, u32>,
}

impl Default for Figures {
    fn default() -> Self {
        // Its length is fixed, or an hour's few long times would let each bot's grow.
        let histogram = || Histogram::new_with_max(RECORDED_MAX_US, HISTOGRAM_DIGITS).expect("these bounds can be had");
        Self {
            joined: 0,
            disconnects: 0,
            decode_errors: 0,
            checksum_mismatches: 0,
            frames: 0,
            bytes_in: 0,
            present: Duration::ZERO,
            intervals_us: histogram(),
            staleness: Staleness::default(),
            input_to_state_us: histogram(),
            reasons: BTreeMap::new(),
        }
    }
}

impl Figures {
    /// A time of the measured window.
    pub(crate) fn record(histogram: &mut Histogram<u32>, time: Duration) {
        let us = time.as_micros().min(u128::from(RECORDED_MAX_US)) as u64;
        histogram.record(us).expect("it is within the histogram's bounds");
    }

    /// A reason that a person may want to know.
    pub(crate) fn note(&mut self, reason: String) {
        *self.reasons.entry(reason).or_default() += 1;
    }

    /// Adds another bot's.
    pub(crate) fn add(&mut self, other: Self) {
        self.joined += other.joined;
        self.disconnects += other.disconnects;
        self.decode_errors += other.decode_errors;
        self.checksum_mismatches += other.checksum_mismatches;
        self.frames += other.frames;
        self.bytes_in += other.bytes_in;
        self.present += other.present;
        self.staleness.add(other.staleness);
        let all = "they have the same bounds";
        self.intervals_us.add(other.intervals_us).expect(all);
        self.input_to_state_us.add(other.input_to_state_us).expect(all);
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
            Figures::record(&mut one.intervals_us, Duration::from_millis(ms));
            one.note("This field is full.".into());
            sum.add(one);
        }
        assert_eq!((sum.joined, sum.frames, sum.intervals_us.len()), (3, 180, 3));
        assert_eq!(sum.reasons["This field is full."], 3);
        assert_eq!(sum.intervals_us.max() / 100_000, 50);
    }
}
