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
    start: Instant,
    tick_hz: u64,
    ticks: u64,
}

impl Clock {
    /// The first tick is due at once.
    pub(crate) fn new(now: Instant, tick_hz: u32) -> Self {
        Self { start: now, tick_hz: tick_hz.into(), ticks: 0 }
    }

    /// Advances to the next tick.
    pub(crate) fn next(&mut self, now: Instant) -> NextTick {
        let behind = self.newest_due(now).saturating_sub(self.ticks);
        let dropped = behind.saturating_sub(CATCH_UP_MAX_TICKS);
        self.ticks += dropped;
        let deadline = self.deadline(self.ticks);
        self.ticks += 1;
        NextTick { sleep: deadline.saturating_duration_since(now), dropped }
    }

    /// When the next tick is due if so many are left out.
    pub(crate) fn due_after(&self, ticks: u32) -> Instant {
        self.deadline(self.ticks + u64::from(ticks))
    }

    /// Leaves out the ticks that were due by now, at most so many; tells how many.
    pub(crate) fn skip(&mut self, now: Instant, most: u32) -> u32 {
        let due = (self.newest_due(now) + 1).saturating_sub(self.ticks);
        let skipped = u32::try_from(due).unwrap_or(u32::MAX).min(most);
        self.ticks += u64::from(skipped);
        skipped
    }

    /// The number of the newest tick that is due.
    fn newest_due(&self, now: Instant) -> u64 {
        let passed = now.saturating_duration_since(self.start).as_nanos() * u128::from(self.tick_hz) / 1_000_000_000;
        u64::try_from(passed).unwrap_or(u64::MAX)
    }

    fn deadline(&self, tick: u64) -> Instant {
        self.start + Duration::from_nanos(tick * 1_000_000_000 / self.tick_hz)
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
    fn ticks_that_are_left_out_keep_the_deadlines_of_the_others() {
        let start = Instant::now();
        let mut clock = Clock::new(start, 40);
        clock.next(start);
        let at = |ms| start + Duration::from_millis(ms);
        assert_eq!(clock.due_after(199), at(5_000));
        // Something came after 1.01 s: ticks 1 to 40 are left out, and the next is due in time.
        assert_eq!((clock.skip(at(1_010), 199), clock.due_after(0)), (40, at(1_025)));
        assert_eq!(clock.next(at(1_010)), NextTick { sleep: Duration::from_millis(15), dropped: 0 });
        // Nothing came: no more is left out than there was nothing to do in.
        assert_eq!((clock.skip(at(9_000), 20), clock.skip(at(9_000), 0)), (20, 0));
        assert_eq!(clock.due_after(0), at(1_550));
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
