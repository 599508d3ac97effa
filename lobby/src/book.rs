//! What the lobby believes about every machine, and how it comes to believe it.
//!
//! Path: lists, status answers and our own wakes go in; [`Book::snapshot`] comes out and is published.
//! Invariants: pure (the time is an argument); a list that was asked for before a wake ended never undoes that wake;
//! what was known last stays when the API refuses, marked as stale.
//! Never: asks anybody.

use crate::machines::{Machine, Phase};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// A machine that runs but has not answered yet counts as waking this long, then as unreachable.
pub const BOOT_PATIENCE_MS: u64 = 10_000;
/// Status reads in a row that may fail before a machine counts as unreachable.
const MISSES_MAX_COUNT: u32 = 1;

/// Everything known at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Snapshot {
    /// By instance.
    pub servers: Vec<Server>,
    /// When the API was last asked for a list, with or without success.
    pub checked_at: Option<Instant>,
    /// Whether there ever was a list.
    pub is_known: bool,
    /// The API refused last time: this is what it said before.
    pub is_stale: bool,
}

/// One machine as a player meets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Its id.
    pub instance: String,
    /// Its region's code.
    pub region: String,
    /// What a player can expect.
    pub condition: Condition,
    /// Whether it runs already, so that nobody needs to start it.
    pub is_started: bool,
    /// What it said about itself last; `None` while it sleeps.
    pub occupancy: Option<Occupancy>,
}

/// What a player can expect of a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// Up, with room.
    Ready,
    /// Up, without room.
    Full,
    /// Stopped; the first player wakes it.
    Asleep,
    /// On its way up.
    Waking,
    /// Does not answer although it should, or its host is gone.
    Unreachable,
}

/// How busy a machine is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
pub struct Occupancy {
    /// People.
    pub players: u32,
    /// People and computer pilots.
    pub pilots: u32,
    /// People it has room for.
    pub capacity: u32,
}

/// The bookkeeping itself.
#[derive(Debug, Default)]
pub struct Book {
    entries: BTreeMap<String, Entry>,
    checked_at: Option<Instant>,
    is_known: bool,
    is_stale: bool,
}

#[derive(Debug)]
struct Entry {
    machine: Machine,
    is_being_woken: bool,
    woken_at: Option<Instant>,
    up_since: Option<Instant>,
    occupancy: Option<Occupancy>,
    misses: u32,
}

impl Book {
    /// The API's list, asked for at `asked_at`.
    pub fn apply_list(&mut self, machines: Vec<Machine>, asked_at: Instant, now: Instant) {
        let mut old = std::mem::take(&mut self.entries);
        for mut machine in machines.into_iter().filter(|machine| machine.phase != Phase::Gone) {
            let mut entry = old.remove(&machine.id).unwrap_or_else(|| Entry::new(machine.clone()));
            if entry.woken_at.is_some_and(|woken_at| woken_at >= asked_at) {
                machine.phase = Phase::Started;
            }
            entry.update(machine, now);
            self.entries.insert(entry.machine.id.clone(), entry);
        }
        (self.checked_at, self.is_known, self.is_stale) = (Some(now), true, false);
    }

    /// The API gave no list.
    pub fn list_failed(&mut self, now: Instant) {
        (self.checked_at, self.is_stale) = (Some(now), true);
    }

    /// Machines that can be asked for their status without waking them.
    pub fn askable(&self) -> Vec<String> {
        let entries = self.entries.values().filter(|entry| entry.machine.phase == Phase::Started);
        entries.filter(|entry| entry.machine.is_host_ok).map(|entry| entry.machine.id.clone()).collect()
    }

    /// A machine answered a status read (or did not).
    pub fn heard(&mut self, id: &str, occupancy: Option<Occupancy>) {
        let Some(entry) = self.entries.get_mut(id) else { return };
        match occupancy {
            Some(_) => (entry.occupancy, entry.misses) = (occupancy, 0),
            None => entry.misses = entry.misses.saturating_add(1),
        }
    }

    /// We are asking for a machine to start.
    pub fn wake_began(&mut self, id: &str) {
        if let Some(entry) = self.entries.get_mut(id) {
            entry.is_being_woken = true;
        }
    }

    /// That start ended: the machine runs, or it could not be woken.
    pub fn wake_ended(&mut self, id: &str, is_up: bool, now: Instant) {
        let Some(entry) = self.entries.get_mut(id) else { return };
        entry.is_being_woken = false;
        if is_up {
            entry.woken_at = Some(now);
            let machine = Machine { phase: Phase::Started, ..entry.machine.clone() };
            entry.update(machine, now);
        }
    }

    /// Everything believed now.
    pub fn snapshot(&self, now: Instant) -> Snapshot {
        Snapshot {
            servers: self.entries.values().map(|entry| entry.server(now)).collect(),
            checked_at: self.checked_at,
            is_known: self.is_known,
            is_stale: self.is_stale,
        }
    }
}

impl Entry {
    fn new(machine: Machine) -> Self {
        Self { machine, is_being_woken: false, woken_at: None, up_since: None, occupancy: None, misses: 0 }
    }

    fn update(&mut self, machine: Machine, now: Instant) {
        if machine.phase == Phase::Started {
            self.up_since.get_or_insert(now);
        } else {
            (self.up_since, self.occupancy, self.misses) = (None, None, 0);
        }
        self.machine = machine;
    }

    fn server(&self, now: Instant) -> Server {
        Server {
            instance: self.machine.id.clone(),
            region: self.machine.region.clone(),
            condition: self.condition(now),
            is_started: self.machine.phase == Phase::Started,
            occupancy: self.occupancy,
        }
    }

    fn condition(&self, now: Instant) -> Condition {
        if !self.machine.is_host_ok {
            return Condition::Unreachable;
        }
        match (self.machine.phase, self.occupancy) {
            (Phase::Started, Some(said)) if self.misses <= MISSES_MAX_COUNT => {
                if said.players < said.capacity {
                    Condition::Ready
                } else {
                    Condition::Full
                }
            }
            (Phase::Started, _) => {
                let up_for = self.up_since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
                if up_for < Duration::from_millis(BOOT_PATIENCE_MS) {
                    Condition::Waking
                } else {
                    Condition::Unreachable
                }
            }
            (Phase::Waking, _) => Condition::Waking,
            (Phase::Asleep | Phase::Gone, _) if self.is_being_woken => Condition::Waking,
            (Phase::Asleep | Phase::Gone, _) => Condition::Asleep,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Condition::{Asleep, Full, Ready, Unreachable, Waking};

    fn machine(phase: Phase) -> Machine {
        Machine { id: "m".into(), region: "ewr".into(), phase, is_host_ok: true }
    }

    fn said(players: u32) -> Option<Occupancy> {
        Some(Occupancy { players, pilots: players + 20, capacity: 2 })
    }

    fn condition(book: &Book, now: Instant) -> Condition {
        book.snapshot(now).servers[0].condition
    }

    #[test]
    fn a_woken_machine_is_waking_until_it_answers() {
        let (mut book, t) = (Book::default(), Instant::now());
        book.apply_list(vec![machine(Phase::Asleep)], t, t);
        assert_eq!(condition(&book, t), Asleep);
        assert!(book.askable().is_empty(), "a sleeper is never asked: that would wake it");
        book.wake_began("m");
        assert_eq!(condition(&book, t), Waking);
        book.wake_ended("m", true, t);
        assert_eq!((condition(&book, t), book.askable()), (Waking, vec!["m".to_owned()]));
        book.heard("m", said(0));
        assert_eq!(condition(&book, t), Ready);
        book.heard("m", said(2));
        assert_eq!(condition(&book, t), Full);
    }

    #[test]
    fn a_list_from_before_the_wake_does_not_undo_it() {
        let (mut book, t) = (Book::default(), Instant::now());
        let later = t + Duration::from_secs(1);
        book.apply_list(vec![machine(Phase::Asleep)], t, t);
        book.wake_began("m");
        book.wake_ended("m", true, later);
        book.apply_list(vec![machine(Phase::Asleep)], t, later);
        assert_eq!(condition(&book, later), Waking);
        book.apply_list(vec![machine(Phase::Asleep)], later + Duration::from_secs(1), later);
        assert_eq!(condition(&book, later), Asleep);
    }

    #[test]
    fn a_failed_wake_puts_it_back_to_sleep() {
        let (mut book, t) = (Book::default(), Instant::now());
        book.apply_list(vec![machine(Phase::Asleep)], t, t);
        book.wake_began("m");
        book.wake_ended("m", false, t);
        assert_eq!(condition(&book, t), Asleep);
    }

    #[test]
    fn silence_becomes_unreachable_and_one_miss_is_forgiven() {
        let (mut book, t) = (Book::default(), Instant::now());
        let late = t + Duration::from_millis(BOOT_PATIENCE_MS);
        book.apply_list(vec![machine(Phase::Started)], t, t);
        book.heard("m", None);
        assert_eq!((condition(&book, t), condition(&book, late)), (Waking, Unreachable));
        book.heard("m", said(1));
        book.heard("m", None);
        assert_eq!(condition(&book, late), Ready);
        book.heard("m", None);
        assert_eq!(condition(&book, late), Unreachable);
    }

    #[test]
    fn a_refusing_api_leaves_the_last_answer_marked() {
        let (mut book, t) = (Book::default(), Instant::now());
        book.list_failed(t);
        assert!(!book.snapshot(t).is_known && book.snapshot(t).is_stale);
        book.apply_list(vec![machine(Phase::Asleep)], t, t);
        book.list_failed(t);
        let snapshot = book.snapshot(t);
        assert!(snapshot.is_known && snapshot.is_stale && snapshot.servers.len() == 1);
    }

    #[test]
    fn machines_that_are_gone_are_not_shown_and_a_lost_host_is() {
        let (mut book, t) = (Book::default(), Instant::now());
        book.apply_list(vec![machine(Phase::Gone)], t, t);
        assert!(book.snapshot(t).servers.is_empty());
        book.apply_list(vec![Machine { is_host_ok: false, ..machine(Phase::Started) }], t, t);
        assert_eq!((condition(&book, t), book.askable().len()), (Unreachable, 0));
    }
}
