//! A token bucket: a steady rate with room for a burst.
//!
//! Never: reads a clock (time is an argument).

use std::time::{Duration, Instant};

/// Fills at `rate_per_s`, holds at most `burst`.
#[derive(Debug)]
pub(crate) struct Bucket {
    rate_per_s: f64,
    burst: f64,
    tokens: f64,
    filled_at: Instant,
}

impl Bucket {
    /// A full bucket.
    pub(crate) fn new(rate_per_s: u32, burst: u32, now: Instant) -> Self {
        let burst = f64::from(burst);
        Self { rate_per_s: f64::from(rate_per_s), burst, tokens: burst, filled_at: now }
    }

    /// A full bucket that gets a token in each interval.
    pub(crate) fn every(interval: Duration, burst: u32, now: Instant) -> Self {
        Self { rate_per_s: 1.0 / interval.as_secs_f64(), ..Self::new(0, burst, now) }
    }

    /// Takes one token if there is one.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        self.fill(now);
        let has_one = self.tokens >= 1.0;
        if has_one {
            self.tokens -= 1.0;
        }
        has_one
    }

    /// Puts a token back, if there is a place for it.
    pub(crate) fn put_back(&mut self, now: Instant) {
        self.fill(now);
        self.tokens = (self.tokens + 1.0).min(self.burst);
    }

    /// Whether nothing is remembered of the past.
    pub(crate) fn is_full(&mut self, now: Instant) -> bool {
        self.fill(now);
        self.tokens >= self.burst
    }

    fn fill(&mut self, now: Instant) {
        let gone = now.saturating_duration_since(self.filled_at).as_secs_f64();
        self.tokens = (self.tokens + gone * self.rate_per_s).min(self.burst);
        self.filled_at = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_the_rate_holds() {
        let start = Instant::now();
        let mut bucket = Bucket::new(10, 5, start);
        assert_eq!((0..9).filter(|_| bucket.take(start)).count(), 5);
        assert!(!bucket.is_full(start));
        let later = start + Duration::from_millis(200);
        assert_eq!((0..9).filter(|_| bucket.take(later)).count(), 2);
        assert!(bucket.is_full(start + Duration::from_secs(9)));
    }

    #[test]
    fn what_is_put_back_is_there_again_and_never_more_than_the_burst() {
        let start = Instant::now();
        let mut bucket = Bucket::every(Duration::from_secs(30), 2, start);
        assert!(bucket.take(start) && bucket.take(start) && !bucket.take(start));
        bucket.put_back(start);
        assert!(bucket.take(start) && !bucket.take(start));
        let later = start + Duration::from_secs(90);
        bucket.put_back(later);
        assert_eq!((0..9).filter(|_| bucket.take(later)).count(), 2);
    }

    #[test]
    fn a_rate_may_be_less_than_one_a_second() {
        let start = Instant::now();
        let mut bucket = Bucket::every(Duration::from_secs(30), 2, start);
        assert_eq!((0..9).filter(|_| bucket.take(start)).count(), 2);
        assert!(!bucket.take(start + Duration::from_secs(29)));
        assert_eq!((0..9).filter(|_| bucket.take(start + Duration::from_millis(60_001))).count(), 2);
    }
}
