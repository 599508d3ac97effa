//! How long recent starts of sleeping machines took, by region.
//!
//! Invariants: pure and bounded; there is a figure only after the first start.

use std::collections::VecDeque;
use std::time::Duration;

/// Starts remembered for each region. Policy: the oldest is forgotten.
const REMEMBERED_MAX_COUNT: usize = 100;

/// The last starts of one region.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WakeTimes(VecDeque<u32>);

impl WakeTimes {
    /// One more machine went from asleep to answering.
    pub fn add(&mut self, took: Duration) {
        if self.0.len() == REMEMBERED_MAX_COUNT {
            self.0.pop_front();
        }
        self.0.push_back(u32::try_from(took.as_millis()).unwrap_or(u32::MAX));
    }

    /// How many are remembered.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The time in milliseconds that `percent` of them did not exceed (nearest rank); `None` before the first.
    pub fn percentile_ms(&self, percent: usize) -> Option<u32> {
        let mut sorted: Vec<u32> = self.0.iter().copied().collect();
        sorted.sort_unstable();
        let rank = (sorted.len() * percent).div_ceil(100).max(1);
        sorted.get(rank - 1).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_last_wakes() {
        let mut times = WakeTimes::default();
        assert_eq!(times.percentile_ms(50), None);
        times.add(Duration::from_millis(900));
        assert_eq!((times.percentile_ms(50), times.percentile_ms(95)), (Some(900), Some(900)));
        for ms in 1..=100 {
            times.add(Duration::from_millis(ms));
        }
        assert_eq!((times.count(), times.percentile_ms(50), times.percentile_ms(95)), (100, Some(50), Some(95)));
    }
}
