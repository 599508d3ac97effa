//! When the next tick is due: absolute deadlines, a little catching up, then time is dropped.
//!
//! Path: the tick thread asks [`Clock::next`], sleeps, ticks. A plain sleep wakes about 60 µs late on Linux, which is
//! 0.4 % of a tick; a sleep that spins to the deadline would cost a core's share for nothing a player could feel.
//! Invariant: deadlines never drift: each is computed from the start, not from the last tick.

use nix::time::{ClockId, clock_gettime};
use std::time::{Duration, Instant};

/// Ticks that are made up for after a stall, one after the other. Policy: whatever is older is dropped and counted.
pub(crate) const CATCH_UP_MAX_TICKS: u64 = 3;

/// What to do before the next tick.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NextTick {
    /// Sleep this long, zero when the tick is late already.
    pub(crate) sleep: Duration,
    /// Ticks that will never be: time was dropped.
    pub(crate) dropped: u64,
}

/// A room's deadlines.
#[derive(Debug)]
pub(crate) struct Clock {
    hz: u32,
    start: Instant,
    ticks: u64,
}

impl Clock {
    /// The first tick is due at once, and as many more in each second.
    pub(crate) fn new(now: Instant, hz: u32) -> Self {
        Self { hz, start: now, ticks: 0 }
    }

    /// Advances to the next tick.
    pub(crate) fn next(&mut self, now: Instant) -> NextTick {
        let passed = now.saturating_duration_since(self.start).as_nanos() * u128::from(self.hz) / 1_000_000_000;
        let behind = u64::try_from(passed).unwrap_or(u64::MAX).saturating_sub(self.ticks);
        let dropped = behind.saturating_sub(CATCH_UP_MAX_TICKS);
        self.ticks += dropped;
        let deadline = self.start + Duration::from_nanos(self.ticks * 1_000_000_000 / u64::from(self.hz));
        self.ticks += 1;
        NextTick { sleep: deadline.saturating_duration_since(now), dropped }
    }
}

/// The processor time this thread has used: stands still while others, or the machine's host, have the processor.
pub(crate) fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("every Unix has this clock");
    Duration::new(time.tv_sec() as u64, time.tv_nsec() as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_are_absolute() {
        let start = Instant::now();
        let mut clock = Clock::new(start, 60);
        let mut now = start;
        for tick in 0..600 {
            let due = clock.next(now);
            assert_eq!(due.dropped, 0, "tick {tick}");
            now += due.sleep + Duration::from_micros(70);
        }
        let expected = start + Duration::from_nanos(599 * 1_000_000_000 / 60) + Duration::from_micros(70);
        assert_eq!(now, expected);
    }

    #[test]
    fn a_stall_is_made_up_for_a_little_and_then_dropped() {
        let start = Instant::now();
        let mut clock = Clock::new(start, 60);
        clock.next(start);
        let now = start + Duration::from_millis(505);
        assert_eq!(clock.next(now), NextTick { sleep: Duration::ZERO, dropped: 30 - 1 - CATCH_UP_MAX_TICKS });
        let late = (0..9).filter(|_| clock.next(now).sleep == Duration::ZERO).count();
        assert_eq!(late as u64, CATCH_UP_MAX_TICKS);
    }
}
