//! Rate limits: a token bucket as one moment.
//!
//! Path: a [`RateLimit`] says how often something may happen; whoever counts keeps a [`TokenBucket`] and asks
//! [`TokenBucket::take`] each time.
//! Invariants: nothing is refilled as time passes, since how full a bucket is follows from when it will be full again.
//! That is the generic cell rate algorithm (ITU-T I.371, "virtual scheduling"), in which a bucket is one number.
//! Never: reads a clock. Time is an argument, in any unit: ticks, or `Instant` and `Duration`.

use std::{
    ops::{Add, Sub},
    time::Duration,
};

/// How often something may happen, in a unit of time `D`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit<D> {
    /// From one to the next in the long run.
    pub interval: D,
    /// How much earlier than that one may come: it may, as long as the bucket will be full within this time.
    pub tolerance: D,
}

impl RateLimit<Duration> {
    /// One each `interval`, and after a pause up to `count` (at least 1) at once.
    pub const fn with_burst(interval: Duration, count: u32) -> Self {
        Self { interval, tolerance: interval.saturating_mul(count - 1) }
    }
}

/// What is left of a limit, with times of a type `T`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenBucket<T> {
    full_at: T,
}

impl<T: Copy + Ord> TokenBucket<T> {
    /// Full at this time, and from then on. What [`Self::full_at`] said makes the same bucket again.
    pub fn new(full_at: T) -> Self {
        Self { full_at }
    }

    /// When nothing will be known of the past any more, if nothing is taken until then.
    pub fn full_at(&self) -> T {
        self.full_at
    }

    /// Whether nothing is known of the past.
    pub fn is_full(&self, now: T) -> bool {
        self.full_at <= now
    }

    /// Takes one token if the limit allows it.
    pub fn take<D: Copy>(&mut self, limit: RateLimit<D>, now: T) -> bool
    where
        T: Add<D, Output = T>,
    {
        let full_at = self.full_at.max(now);
        let has_one = full_at <= now + limit.tolerance;
        if has_one {
            self.full_at = full_at + limit.interval;
        }
        has_one
    }

    /// Puts a token back, if there is a place for it. (Times are at least an interval above the least of their type.)
    pub fn put_back<D: Copy>(&mut self, limit: RateLimit<D>, now: T)
    where
        T: Sub<D, Output = T>,
    {
        // What this makes too much counts for nothing: a time that is past is as good as now.
        if !self.is_full(now) {
            self.full_at = self.full_at - limit.interval;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const fn with_burst(interval: u32, count: u32) -> RateLimit<u32> {
        RateLimit { interval, tolerance: interval * (count - 1) }
    }

    /// Taken at once at `now`.
    fn taken(bucket: &mut TokenBucket<u32>, limit: RateLimit<u32>, now: u32) -> usize {
        (0..1000).filter(|_| bucket.take(limit, now)).count()
    }

    #[test]
    fn a_burst_passes_and_then_the_rate_holds() {
        let limit = with_burst(100, 5);
        let mut bucket = TokenBucket::new(1000);
        assert_eq!(taken(&mut bucket, limit, 1000), 5);
        assert_eq!((taken(&mut bucket, limit, 1099), taken(&mut bucket, limit, 1100)), (0, 1));
        assert_eq!(taken(&mut bucket, limit, 1300), 2);
        assert_eq!((bucket.is_full(1799), bucket.is_full(1800)), (false, true));
        assert_eq!(taken(&mut bucket, limit, 9000), 5, "a pause saves up no more than a burst");
    }

    #[test]
    fn what_is_put_back_is_there_again_and_never_more_than_the_burst() {
        let limit = with_burst(30, 2);
        let mut bucket = TokenBucket::new(100);
        assert_eq!(taken(&mut bucket, limit, 100), 2);
        bucket.put_back(limit, 100);
        assert_eq!(taken(&mut bucket, limit, 100), 1);
        bucket.put_back(limit, 190);
        assert_eq!(taken(&mut bucket, limit, 190), 2);
    }

    #[test]
    fn durations_count_like_numbers() {
        assert_eq!(RateLimit::with_burst(Duration::from_secs(30), 20).tolerance, Duration::from_secs(30 * 19));
        let once = RateLimit::with_burst(Duration::from_secs(1), 1);
        let mut bucket = TokenBucket::new(Duration::ZERO);
        assert!(bucket.take(once, Duration::ZERO) && !bucket.take(once, Duration::from_millis(999)));
        assert!(bucket.take(once, Duration::from_secs(1)));
    }

    proptest! {
        #[test]
        fn it_takes_what_a_bucket_that_is_refilled_would(steps in prop::collection::vec((0u32..40, any::<bool>()), 0..200)) {
            let (interval, burst) = (10, 4);
            let limit = with_burst(interval, burst);
            let (mut bucket, mut tenths, mut now) = (TokenBucket::new(100), burst * interval, 100);
            for (pause, takes) in steps {
                now += pause;
                tenths = (tenths + pause).min(burst * interval);
                if takes {
                    let has_one = tenths >= interval;
                    tenths -= if has_one { interval } else { 0 };
                    prop_assert_eq!(bucket.take(limit, now), has_one);
                } else {
                    tenths = (tenths + interval).min(burst * interval);
                    bucket.put_back(limit, now);
                }
                prop_assert_eq!(bucket.is_full(now), tenths == burst * interval);
            }
        }
    }
}
