//! Raises the tick thread's scheduling priority where the system allows it.
//!
//! Path: a room's thread calls [`TickPriority::raise`] when it begins and [`TickPriority::note`] before every tick.
//! Why: a tick works for a part of every 16.7 ms and sleeps the rest, but it wakes on a machine that is busy with
//! everybody's connections. Among equals the scheduler shares the tick's own time with whoever is awake, so that a tick
//! takes the longer the more players there are, whatever it costs. The highest weight of the fair scheduler (nice -20,
//! 87 times the usual) ends that. Real-time scheduling would too, but could wait for ever for a worker that it stopped
//! in the middle of sending: the room's queue spins until such a message is there.
//! Invariant: a thread that does not sleep has no priority. A tick thread that needs all its time would take it from
//! the workers that send what it made, so it goes back among the others until it sleeps again.
//! Never: fails. Without the right (`CAP_SYS_NICE`) the room ticks all the same; a line in the log and a metric tell.

use crate::metrics::Metrics;
use std::sync::Arc;
use thread_priority::{
    Error, NormalThreadSchedulePolicy, ThreadPriority, ThreadPriorityValue, ThreadSchedulePolicy,
    set_thread_priority_and_policy, thread_native_id,
};

/// Ticks that began without a sleep, less the others, that end the priority: 0.2 s. Policy: as many with a sleep bring
/// it back.
const RESTLESS_MAX_TICKS: u32 = 12;

/// The usual nice value, 0, and the first of all, -20, on the crate's scale, which goes from 19 down to -20.
const USUAL_OF_99: u8 = 47;
const FIRST_OF_99: u8 = 99;

/// One tick thread's.
#[derive(Debug)]
pub(crate) struct TickPriority {
    room: Arc<str>,
    metrics: Arc<Metrics>,
    is_allowed: bool,
    is_raised: bool,
    /// Counts up with each tick that did not sleep and down with each other.
    restless_ticks: u32,
}

impl TickPriority {
    /// None yet.
    pub(crate) fn new(room: Arc<str>, metrics: Arc<Metrics>) -> Self {
        Self { room, metrics, is_allowed: false, is_raised: false, restless_ticks: 0 }
    }

    /// The thread that calls goes before the others from now on, if that is allowed.
    pub(crate) fn raise(&mut self) {
        self.is_allowed = self.set(true);
        if self.is_allowed {
            tracing::info!(room = &*self.room, "ticks go before everything else on this machine");
        }
    }

    /// A tick begins; its thread slept until then, or it was late.
    pub(crate) fn note(&mut self, has_slept: bool) {
        self.restless_ticks = if has_slept {
            self.restless_ticks.saturating_sub(1)
        } else {
            RESTLESS_MAX_TICKS.min(self.restless_ticks + 1)
        };
        let is_due = match self.restless_ticks {
            0 => true,
            RESTLESS_MAX_TICKS => false,
            _ => self.is_raised,
        };
        if self.is_allowed && is_due != self.is_raised {
            self.set(is_due);
        }
    }

    /// True when the system has done it.
    fn set(&mut self, is_raised: bool) -> bool {
        if let Err(error) = schedule(is_raised) {
            tracing::info!(
                room = &*self.room,
                ?error,
                "ticks share the processor as every thread does: going first takes CAP_SYS_NICE"
            );
            return false;
        }
        self.is_raised = is_raised;
        _ = if is_raised { self.metrics.ticks_first.inc() } else { self.metrics.ticks_first.dec() };
        true
    }
}

impl Drop for TickPriority {
    fn drop(&mut self) {
        if self.is_raised {
            self.metrics.ticks_first.dec();
        }
    }
}

/// Schedules the thread that calls.
fn schedule(first: bool) -> Result<(), Error> {
    let weight =
        ThreadPriorityValue::try_from(if first { FIRST_OF_99 } else { USUAL_OF_99 }).expect("both are below 100");
    let policy = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Other);
    set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Crossplatform(weight), policy)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nice value of the thread that calls (`man proc_pid_stat`: field 19).
    fn scheduled() -> i32 {
        let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
        let fields: Vec<_> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
        fields[19 - 3].parse().unwrap()
    }

    const USUAL: i32 = 0;
    const FIRST: i32 = -20;

    #[test]
    fn ticks_go_first_unless_they_never_sleep() {
        let metrics = Arc::new(Metrics::new());
        let mut priority = TickPriority::new("arena-m1".into(), Arc::clone(&metrics));
        priority.raise();
        // Without the right to it nothing changes, ever.
        let first = if priority.is_allowed { FIRST } else { USUAL };
        assert_eq!((scheduled(), metrics.ticks_first.get()), (first, i64::from(priority.is_allowed)));
        (0..RESTLESS_MAX_TICKS - 1).for_each(|_| priority.note(false));
        assert_eq!(scheduled(), first, "a few late ticks are nothing");
        (0..100).for_each(|_| priority.note(false));
        assert_eq!((scheduled(), metrics.ticks_first.get()), (USUAL, 0));
        (0..RESTLESS_MAX_TICKS - 1).for_each(|_| priority.note(true));
        assert_eq!(scheduled(), USUAL);
        priority.note(true);
        assert_eq!(scheduled(), first);
        drop(priority);
        assert_eq!(metrics.ticks_first.get(), 0);
    }
}
