//! Tells when another machine's lease of a room has run out: its record has not changed for long enough.
//!
//! Path: whoever reads a foreign owner's record shows it to [`LeaseWatch::is_silent`]; the second time, a lease later,
//! it may be taken.
//! Invariants: only this machine's own monotonic clock counts, whatever time stands in a record and whatever the clocks
//! of others say: an owner that renews is never taken for lost. Two looks are enough, since each renewal differs from
//! all others: what has not changed from one to the other was not renewed between them. Bounded, whatever is asked for.
//! Never: a store, an unfounded guess: a machine that has just started has seen nothing, and waits the whole lease.

use crate::store::owner::Owner;
use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

/// Foreign rooms watched at once. Policy: the one seen first is forgotten; whoever asks for it waits anew.
const WATCHED_MAX_COUNT: usize = 4096;

/// See the module.
#[derive(Debug)]
pub(crate) struct LeaseWatch {
    lease: Duration,
    /// By room: the record, and since when it has been like that.
    seen: HashMap<String, (Owner, Instant)>,
    /// When somebody who may come in was last told to wait.
    awaited_at: Option<Instant>,
}

impl LeaseWatch {
    /// Nothing was seen yet.
    pub(crate) fn new(lease: Duration) -> Self {
        Self { lease, seen: HashMap::new(), awaited_at: None }
    }

    /// A room's record was read between `asked` and `now`: whether it has stood unchanged for a lease.
    pub(crate) fn is_silent(&mut self, room: &str, owner: &Owner, asked: Instant, now: Instant) -> bool {
        match self.seen.get(room) {
            Some((seen, since)) if seen == owner => asked.saturating_duration_since(*since) >= self.lease,
            _ => {
                self.make_room();
                self.seen.insert(room.to_owned(), (owner.clone(), now));
                false
            }
        }
    }

    /// Somebody waits for a room until its owner counts as lost.
    pub(crate) fn note_awaited(&mut self, now: Instant) {
        self.awaited_at = Some(now);
    }

    /// Whether what was seen is worth keeping: somebody was told to wait, and a lease has not gone by since.
    pub(crate) fn is_awaited(&self, now: Instant) -> bool {
        self.awaited_at.is_some_and(|at| now.saturating_duration_since(at) < self.lease)
    }

    /// The room is not another machine's any more.
    pub(crate) fn forget(&mut self, room: &str) {
        self.seen.remove(room);
    }

    fn make_room(&mut self) {
        if self.seen.len() >= WATCHED_MAX_COUNT
            && let Some(oldest) = self.seen.iter().min_by_key(|(_, (_, since))| *since).map(|(room, _)| room.clone())
        {
            self.seen.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_secs(30);

    fn owner(renewals: u32) -> Owner {
        Owner { instance: "m1".to_owned(), epoch: 1, renewals, renewed_unix_ms: 0, is_asleep: false }
    }

    #[test]
    fn what_has_not_changed_for_a_lease_of_the_own_clock_is_silent() {
        let (mut watch, began) = (LeaseWatch::new(LEASE), Instant::now());
        let mut look = |after_s: f64, owner: &Owner| {
            let now = began + Duration::from_secs_f64(after_s);
            watch.is_silent("field-a", owner, now, now)
        };
        assert!(!look(0.0, &owner(1)), "seen for the first time, however long it has been there");
        assert!(!look(29.9, &owner(1)));
        assert!(!look(31.0, &owner(2)), "renewed, though the time that stands in it is the same");
        assert!(!look(60.9, &owner(2)));
        assert!(look(61.0, &owner(2)), "two looks are enough");
    }

    #[test]
    fn what_was_seen_is_kept_for_whoever_waits() {
        let (mut watch, began) = (LeaseWatch::new(LEASE), Instant::now());
        assert!(!watch.is_awaited(began));
        watch.note_awaited(began);
        assert!(watch.is_awaited(began + LEASE / 2) && !watch.is_awaited(began + LEASE));
    }

    #[test]
    fn a_slow_answer_counts_for_the_owner() {
        let (mut watch, began) = (LeaseWatch::new(LEASE), Instant::now());
        let at = |after_s: u64| began + Duration::from_secs(after_s);
        assert!(!watch.is_silent("field-a", &owner(1), at(0), at(5)));
        assert!(!watch.is_silent("field-a", &owner(1), at(34), at(39)), "it may be older than 30 s, and may be not");
        assert!(watch.is_silent("field-a", &owner(1), at(35), at(35)));
    }

    #[test]
    fn so_many_rooms_are_watched_and_no_more() {
        let (mut watch, began) = (LeaseWatch::new(LEASE), Instant::now());
        for room in 0..=WATCHED_MAX_COUNT {
            let now = began + Duration::from_millis(room as u64);
            watch.is_silent(&room.to_string(), &owner(1), now, now);
        }
        assert_eq!(watch.seen.len(), WATCHED_MAX_COUNT);
        let later = began + 2 * LEASE;
        assert!(watch.is_silent("1", &owner(1), later, later));
        assert!(!watch.is_silent("0", &owner(1), later, later), "the first was forgotten, and waits anew");
        watch.forget("2");
        assert!(!watch.is_silent("2", &owner(1), later, later));
    }
}
