//! How stale a player's picture was, weighted by time: a stall of two seconds is one interval of a thousand, but a tenth of
//! twenty seconds.
//!
//! The age of the picture is the time since the newest frame arrived. It grows on while a lost socket is replaced.
//! Never: a clock.

use std::time::{Duration, Instant};

/// Ages that are told apart: what passes for smooth, what a person notices, and what a person takes for broken.
pub(crate) const AGES: [Duration; 3] =
    [Duration::from_millis(100), Duration::from_millis(250), Duration::from_millis(1_000)];

/// Time that was looked at, and in how much of it the picture was older than each of [`AGES`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Staleness {
    watched: Duration,
    older: [Duration; AGES.len()],
}

impl Staleness {
    /// While the picture got from one age to another.
    fn age(&mut self, from: Duration, to: Duration) {
        self.watched += to.saturating_sub(from);
        for (older, age) in self.older.iter_mut().zip(AGES) {
            *older += to.saturating_sub(from.max(age));
        }
    }

    /// Adds another player's.
    pub(crate) fn add(&mut self, other: Self) {
        self.watched += other.watched;
        for (older, others) in self.older.iter_mut().zip(other.older) {
            *older += others;
        }
    }

    /// The shares of the time, 0 to 1, if anything was looked at.
    pub(crate) fn shares(&self) -> Option<[f64; AGES.len()]> {
        (!self.watched.is_zero()).then(|| self.older.map(|older| older.as_secs_f64() / self.watched.as_secs_f64()))
    }
}

/// One player's, from socket to socket.
#[derive(Debug, Default)]
pub(crate) struct PictureWatch {
    /// When the newest frame came.
    newest: Option<Instant>,
    /// Up to where time is counted, while it is.
    counted: Option<Instant>,
    staleness: Staleness,
}

impl PictureWatch {
    /// From now on it counts; somebody without a picture begins with one of this moment.
    pub(crate) fn begin(&mut self, now: Instant) {
        self.newest.get_or_insert(now);
        self.counted.get_or_insert(now);
    }

    /// A frame came.
    pub(crate) fn frame(&mut self, now: Instant) {
        self.count(now);
        self.newest = Some(now);
    }

    /// Whether it counts.
    pub(crate) fn is_counting(&self) -> bool {
        self.counted.is_some()
    }

    /// The measured time is over.
    pub(crate) fn end(&mut self, now: Instant) {
        self.count(now);
        self.counted = None;
    }

    /// What was counted.
    pub(crate) fn staleness(&self) -> Staleness {
        self.staleness
    }

    fn count(&mut self, now: Instant) {
        let (Some(newest), Some(counted)) = (self.newest, self.counted.as_mut()) else { return };
        let since = |at: Instant| at.saturating_duration_since(newest);
        self.staleness.age(since(*counted), since(now));
        *counted = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// Shares of a run of 20 s with a frame every 50 ms, but for those of this span (ms).
    fn shares(without: std::ops::Range<u64>) -> [f64; 3] {
        let (mut picture, start) = (PictureWatch::default(), Instant::now());
        picture.frame(start);
        picture.begin(start);
        for at in (50..20_000).step_by(50).filter(|at| !without.contains(at)) {
            picture.frame(start + ms(at));
        }
        picture.end(start + ms(20_000));
        assert_eq!(picture.staleness().watched, ms(20_000));
        picture.staleness().shares().unwrap()
    }

    #[test]
    fn a_stall_weighs_what_it_took() {
        assert_eq!(shares(0..0), [0.0; 3]);
        // The last frame before came at 4.95 s, the first after at 7 s: 2.05 s, less the age each may have.
        let expected = [1.95 / 20.0, 1.8 / 20.0, 1.05 / 20.0];
        assert!(shares(4_975..6_975).iter().zip(expected).all(|(share, expected)| (share - expected).abs() < 1e-9));
    }

    #[test]
    fn a_stall_at_the_end_counts_too() {
        let at_end = shares(18_000..20_000);
        assert!((at_end[2] - 1.05 / 20.0).abs() < 1e-9, "{at_end:?}");
    }

    #[test]
    fn only_the_measured_time_counts() {
        let (mut picture, start) = (PictureWatch::default(), Instant::now());
        picture.frame(start);
        picture.frame(start + ms(5_000));
        assert_eq!(picture.staleness().shares(), None);
        // It begins with a picture that is 150 ms old already.
        picture.begin(start + ms(5_150));
        picture.frame(start + ms(5_200));
        picture.end(start + ms(5_250));
        picture.frame(start + ms(9_000));
        assert_eq!(picture.staleness(), Staleness { watched: ms(100), older: [ms(50), ms(0), ms(0)] });
    }

    #[test]
    fn sums_are_of_all() {
        let one = Staleness { watched: ms(1_000), older: [ms(500), ms(100), ms(0)] };
        let mut sum = Staleness { watched: ms(3_000), ..Staleness::default() };
        sum.add(one);
        assert_eq!(sum.shares(), Some([0.125, 0.025, 0.0]));
    }
}
