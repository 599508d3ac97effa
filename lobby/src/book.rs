//! What the lobby believes about every machine, and how it comes to believe it.
//!
//! Path: lists, status answers and our own wakes go in; [`Book::snapshot`] comes out and is published.
//! Invariants: pure (the time is an argument); a list that was asked for before a wake ended never undoes that wake;
//! what was known last stays when the API refuses, marked as stale; seats are promised one by one, so that a crowd
//! between two status reads does not end on one machine.
//! Never: asks anybody.

use crate::machines::{Machine, Phase};
use crate::pools;
use crate::server::{Condition, Need, Occupancy, Server};
use crate::verdict::WakeError;
use crate::wake_times::WakeTimes;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// A machine that runs but has not answered yet counts as waking this long, then as unreachable.
pub const BOOT_PATIENCE_MS: u64 = 10_000;
/// A machine that we gave up on, and a region that refused a new one, is left alone this long. Policy: joins go past it.
const AVOID_MS: u64 = 30_000;
/// A machine that we created may be missing in lists this long: they lag. Policy: then it is gone.
const BIRTH_PATIENCE_MS: u64 = 30_000;
/// Status reads in a row that may fail before a machine counts as unreachable.
const MISSES_MAX_COUNT: u32 = 1;
/// What a machine that runs did at its last status read (answer or stay silent) holds this long. Policy: before somebody is
/// sent there, it is asked again. A frozen process still takes connections, so that the proxy never gives one back.
const HEARD_MAX_MS: u64 = 3_000;
/// Machines that are gone and whose region is still known. Policy: beyond it, old ids are forgotten by their order.
const DEPARTED_MAX_COUNT: usize = 1_000;

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
    /// The configuration that a new machine gets; without one, none can be made.
    pub template: Option<Arc<Value>>,
    /// How long wakes took, by region.
    pub wake_times: BTreeMap<String, WakeTimes>,
    /// Regions in which Fly refused a new machine a moment ago.
    pub growth_refused: BTreeMap<String, WakeError>,
}

impl Snapshot {
    /// The machine with this id.
    pub fn find(&self, id: &str) -> Option<&Server> {
        self.servers.iter().find(|server| server.instance == id)
    }
}

/// The bookkeeping itself.
#[derive(Debug, Default)]
pub struct Book {
    entries: BTreeMap<String, Entry>,
    /// Machines that are gone: id → region.
    departed: BTreeMap<String, String>,
    template: Option<Arc<Value>>,
    wake_times: BTreeMap<String, WakeTimes>,
    growth_refused: BTreeMap<String, (Instant, WakeError)>,
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
    /// When we created it.
    born_at: Option<Instant>,
    /// Given up on until then, and why.
    avoid: Option<(Instant, WakeError)>,
    occupancy: Option<Occupancy>,
    /// Seats and rooms promised since the last status answer, and those from before it, who may not have arrived.
    promised: [Promised; 2],
    misses: u32,
    /// When it was last asked for its status.
    asked_at: Option<Instant>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Promised {
    seats: u32,
    rooms: u32,
}

impl Book {
    /// The API's list, asked for at `asked_at`.
    pub fn apply_list(&mut self, machines: Vec<Machine>, asked_at: Instant, now: Instant) {
        let mut old = std::mem::take(&mut self.entries);
        self.template = pools::template(&machines).or(self.template.take());
        for mut machine in machines.into_iter().filter(|machine| machine.phase != Phase::Gone) {
            let mut entry = old.remove(&machine.id).unwrap_or_else(|| Entry::new(machine.clone()));
            if entry.woken_at.is_some_and(|woken_at| woken_at >= asked_at) {
                machine.phase = Phase::Started;
            }
            entry.update(machine, now);
            self.entries.insert(entry.machine.id.clone(), entry);
        }
        for (id, entry) in old {
            let is_newborn = entry.born_at.is_some_and(|born_at| now - born_at < ms(BIRTH_PATIENCE_MS));
            if is_newborn {
                self.entries.insert(id, entry);
            } else {
                self.depart(id, entry.machine.region);
            }
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
    pub fn heard(&mut self, id: &str, occupancy: Option<Occupancy>, now: Instant) {
        let Some(entry) = self.entries.get_mut(id) else { return };
        entry.asked_at = Some(now);
        match occupancy {
            Some(_) => {
                (entry.occupancy, entry.misses, entry.avoid) = (occupancy, 0, None);
                entry.promised = [Promised::default(), entry.promised[0]];
            }
            None => entry.misses = entry.misses.saturating_add(1),
        }
    }

    /// Whether this machine should answer and does not; `None` when it has to be asked for that.
    pub fn is_silent(&self, id: &str, now: Instant) -> Option<bool> {
        let should_answer = |entry: &&Entry| entry.machine.phase == Phase::Started && !entry.is_booting(now);
        let Some(entry) = self.entries.get(id).filter(should_answer) else { return Some(false) };
        if !entry.machine.is_host_ok {
            return Some(true);
        }
        let is_news = entry.asked_at.is_some_and(|at| now.saturating_duration_since(at) < ms(HEARD_MAX_MS));
        let is_sure = is_news && (entry.misses == 0 || entry.misses > MISSES_MAX_COUNT);
        is_sure.then_some(entry.misses > 0)
    }

    /// Sets a seat aside on a machine that is up, and a room if one is needed; false when there is none left.
    pub fn promise(&mut self, id: &str, need: Need, now: Instant) -> bool {
        let Some(entry) = self.entries.get_mut(id) else { return false };
        let takes = entry.server(now).takes(need);
        if takes {
            entry.promised[0].seats += 1;
            entry.promised[0].rooms += u32::from(need == Need::Room);
        }
        takes
    }

    /// We created this machine.
    pub fn born(&mut self, machine: Machine, now: Instant) {
        let entry = self.entries.entry(machine.id.clone()).or_insert_with(|| Entry::new(machine));
        entry.born_at = Some(now);
    }

    /// Fly refused a new machine there.
    pub fn growth_failed(&mut self, region: &str, why: WakeError, now: Instant) {
        self.growth_refused.insert(region.to_owned(), (now + ms(AVOID_MS), why));
    }

    /// This machine is no more.
    pub fn gone(&mut self, id: &str) {
        if let Some(entry) = self.entries.remove(id) {
            self.depart(id.to_owned(), entry.machine.region);
        }
    }

    fn depart(&mut self, id: String, region: String) {
        if self.departed.len() >= DEPARTED_MAX_COUNT {
            self.departed.pop_first();
        }
        self.departed.insert(id, region);
    }

    /// The region in which a machine is, or was while this lobby has been running.
    pub fn region_of(&self, id: &str) -> Option<String> {
        let here = self.entries.get(id).map(|entry| &entry.machine.region);
        here.or_else(|| self.departed.get(id)).cloned()
    }

    /// We are asking for a machine to start.
    pub fn wake_began(&mut self, id: &str) {
        if let Some(entry) = self.entries.get_mut(id) {
            entry.is_being_woken = true;
        }
    }

    /// Fly says that it runs; it has not answered yet.
    pub fn started(&mut self, id: &str, now: Instant) {
        let Some(entry) = self.entries.get_mut(id) else { return };
        entry.woken_at = Some(now);
        let machine = Machine { phase: Phase::Started, ..entry.machine.clone() };
        entry.update(machine, now);
    }

    /// Our wake ended: the machine answers, or could not be woken. It `took` so long, if it was asleep.
    pub fn wake_ended(&mut self, id: &str, outcome: Result<Option<Duration>, WakeError>, now: Instant) {
        if outcome == Err(WakeError::Gone) {
            self.gone(id);
        }
        let Some(entry) = self.entries.get_mut(id) else { return };
        entry.is_being_woken = false;
        match outcome {
            Ok(Some(took)) => self.wake_times.entry(entry.machine.region.clone()).or_default().add(took),
            Ok(None) => {}
            Err(why) if why.is_about_this_machine() => entry.avoid = Some((now + ms(AVOID_MS), why)),
            Err(_) => {}
        }
    }

    /// Everything believed now.
    pub fn snapshot(&self, now: Instant) -> Snapshot {
        let refused = self.growth_refused.iter().filter(|(_, (until, _))| now < *until);
        Snapshot {
            servers: self.entries.values().map(|entry| entry.server(now)).collect(),
            checked_at: self.checked_at,
            is_known: self.is_known,
            is_stale: self.is_stale,
            template: self.template.clone(),
            wake_times: self.wake_times.clone(),
            growth_refused: refused.map(|(region, (_, why))| (region.clone(), *why)).collect(),
        }
    }
}

impl Entry {
    fn new(machine: Machine) -> Self {
        Self {
            machine,
            is_being_woken: false,
            woken_at: None,
            up_since: None,
            born_at: None,
            avoid: None,
            occupancy: None,
            promised: [Promised::default(); 2],
            misses: 0,
            asked_at: None,
        }
    }

    fn update(&mut self, machine: Machine, now: Instant) {
        if machine.phase == Phase::Started {
            self.up_since.get_or_insert(now);
        } else {
            (self.up_since, self.occupancy, self.misses, self.asked_at) = (None, None, 0, None);
            self.promised = [Promised::default(); 2];
        }
        self.machine = machine;
    }

    fn server(&self, now: Instant) -> Server {
        let [new, old] = self.promised;
        Server {
            instance: self.machine.id.clone(),
            name: self.machine.name.clone(),
            region: self.machine.region.clone(),
            condition: self.condition(now),
            occupancy: self.occupancy,
            promised_seats: new.seats + old.seats,
            promised_rooms: new.rooms + old.rooms,
            changed_at_ms: self.machine.changed_at_ms,
            is_grown: pools::is_grown(&self.machine.config),
        }
    }

    /// Whether it runs, has never answered, and may take its time. Who answered once has booted.
    fn is_booting(&self, now: Instant) -> bool {
        let up_for = self.up_since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        self.occupancy.is_none() && up_for < ms(BOOT_PATIENCE_MS)
    }

    fn condition(&self, now: Instant) -> Condition {
        if !self.machine.is_host_ok {
            return Condition::Unreachable;
        }
        let given_up = self.avoid.filter(|&(until, _)| now < until).map(|(_, why)| why);
        match (self.machine.phase, self.occupancy) {
            (Phase::Started, Some(said)) if self.misses <= MISSES_MAX_COUNT => said.condition(),
            _ if self.is_being_woken => Condition::Waking,
            _ if given_up == Some(WakeError::NoCapacity) => Condition::Full,
            _ if given_up.is_some() => Condition::Unreachable,
            (Phase::Started, _) if self.is_booting(now) => Condition::Waking,
            (Phase::Started, _) => Condition::Unreachable,
            (Phase::Waking, _) => Condition::Waking,
            (Phase::Asleep | Phase::Gone, _) => Condition::Asleep,
        }
    }
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Condition::{Asleep, Full, Ready, Unreachable, Waking};

    fn machine(phase: Phase) -> Machine {
        Machine {
            id: "m".into(),
            name: "ewr-1".into(),
            region: "ewr".into(),
            phase,
            is_host_ok: true,
            changed_at_ms: 0,
            version: String::new(),
            config: Arc::default(),
        }
    }

    fn said(players: u32) -> Option<Occupancy> {
        Some(Occupancy { players, pilots: players + 20, capacity: 2, rooms: 1, rooms_max: 2, is_draining: false })
    }

    fn condition(book: &Book, now: Instant) -> Condition {
        book.snapshot(now).servers[0].condition
    }

    fn book_of(phase: Phase, now: Instant) -> Book {
        let mut book = Book::default();
        book.apply_list(vec![machine(phase)], now, now);
        book
    }

    #[test]
    fn a_woken_machine_is_waking_until_it_answers() {
        let t = Instant::now();
        let mut book = book_of(Phase::Asleep, t);
        assert_eq!(condition(&book, t), Asleep);
        assert!(book.askable().is_empty(), "a sleeper is never asked: that would wake it");
        book.wake_began("m");
        assert_eq!(condition(&book, t), Waking);
        book.started("m", t);
        assert_eq!((condition(&book, t), book.askable()), (Waking, vec!["m".to_owned()]));
        book.heard("m", said(0), t);
        book.wake_ended("m", Ok(Some(ms(1200))), t);
        assert_eq!(condition(&book, t), Ready);
        assert_eq!(book.snapshot(t).wake_times["ewr"].percentile_ms(50), Some(1200));
        book.heard("m", said(2), t);
        assert_eq!(condition(&book, t), Full);
    }

    #[test]
    fn a_list_from_before_the_wake_does_not_undo_it() {
        let t = Instant::now();
        let later = t + ms(1_000);
        let mut book = book_of(Phase::Asleep, t);
        book.wake_began("m");
        book.started("m", later);
        book.wake_ended("m", Ok(None), later);
        book.apply_list(vec![machine(Phase::Asleep)], t, later);
        assert_eq!(condition(&book, later), Waking);
        book.apply_list(vec![machine(Phase::Asleep)], later + ms(1_000), later);
        assert_eq!(condition(&book, later), Asleep);
    }

    #[test]
    fn a_machine_we_gave_up_on_is_left_alone_for_a_while() {
        let t = Instant::now();
        for (error, meanwhile) in [
            (WakeError::TooSlow, Unreachable),
            (WakeError::Silent, Unreachable),
            (WakeError::HostUnreachable, Unreachable),
            (WakeError::NoCapacity, Full),
            (WakeError::ApiDown, Asleep),
            (WakeError::NotAllowed, Asleep),
        ] {
            let mut book = book_of(Phase::Asleep, t);
            book.wake_began("m");
            book.wake_ended("m", Err(error), t);
            assert_eq!((condition(&book, t), condition(&book, t + ms(AVOID_MS))), (meanwhile, Asleep), "{error:?}");
        }
        let mut book = book_of(Phase::Asleep, t);
        book.wake_ended("m", Err(WakeError::Gone), t);
        assert!(book.snapshot(t).servers.is_empty());
        assert_eq!(book.region_of("m").as_deref(), Some("ewr"), "where it was is remembered");
    }

    #[test]
    fn silence_becomes_unreachable_and_one_miss_is_forgiven() {
        let t = Instant::now();
        let late = t + ms(BOOT_PATIENCE_MS);
        let mut book = book_of(Phase::Started, t);
        book.heard("m", None, t);
        assert_eq!((condition(&book, t), condition(&book, late)), (Waking, Unreachable));
        book.heard("m", said(1), t);
        book.heard("m", None, t);
        assert_eq!(condition(&book, t), Ready);
        book.heard("m", None, t);
        assert_eq!(condition(&book, t), Unreachable, "it has booted before, so there is no more patience");
    }

    #[test]
    fn what_a_machine_did_a_moment_ago_holds_and_then_it_is_asked_again() {
        let t = Instant::now();
        let soon = t + ms(HEARD_MAX_MS - 1);
        let mut book = book_of(Phase::Started, t);
        assert_eq!(book.is_silent("m", t), Some(false), "it boots, and others wait for that");
        assert_eq!(book.is_silent("m", t + ms(BOOT_PATIENCE_MS)), None, "but not for ever");
        book.heard("m", said(1), t);
        assert_eq!((book.is_silent("m", soon), book.is_silent("m", t + ms(HEARD_MAX_MS))), (Some(false), None));
        book.heard("m", None, t);
        assert_eq!(book.is_silent("m", t), None, "one miss says nothing yet");
        book.heard("m", None, t);
        assert_eq!((book.is_silent("m", soon), book.is_silent("m", t + ms(HEARD_MAX_MS))), (Some(true), None));
        book.apply_list(vec![Machine { is_host_ok: false, ..machine(Phase::Started) }], t, t);
        assert_eq!(book.is_silent("m", t + ms(HEARD_MAX_MS)), Some(true), "there is nobody to ask");
        book.apply_list(vec![machine(Phase::Asleep)], t, t);
        assert_eq!(book.is_silent("m", t), Some(false), "a sleeper is never asked: that would wake it");
        assert_eq!(book.is_silent("nobody", t), Some(false));
    }

    #[test]
    fn promises_count_until_the_second_status_after_them() {
        let t = Instant::now();
        let mut book = book_of(Phase::Started, t);
        assert!(!book.promise("m", Need::Seat, t), "nobody knows yet whether it has room");
        book.heard("m", said(0), t);
        assert!(book.promise("m", Need::Room, t));
        assert!(!book.promise("m", Need::Room, t), "its two rooms are taken");
        assert!(book.promise("m", Need::Seat, t));
        assert!(!book.promise("m", Need::Seat, t), "its two seats are taken");
        book.heard("m", said(0), t);
        assert!(!book.promise("m", Need::Seat, t), "those who were sent may be on their way");
        book.heard("m", said(1), t);
        assert!(book.promise("m", Need::Seat, t));
        assert!(!book.promise("nobody", Need::Seat, t));
    }

    #[test]
    fn a_newborn_survives_lists_that_lag() {
        let t = Instant::now();
        let mut book = Book::default();
        book.born(machine(Phase::Waking), t);
        book.apply_list(Vec::new(), t, t);
        assert_eq!(condition(&book, t), Waking);
        book.apply_list(Vec::new(), t, t + ms(BIRTH_PATIENCE_MS));
        assert!(book.snapshot(t).servers.is_empty());
    }

    #[test]
    fn a_region_that_refused_a_machine_is_not_asked_again_at_once() {
        let (mut book, t) = (Book::default(), Instant::now());
        book.growth_failed("ewr", WakeError::NoCapacity, t);
        assert_eq!(book.snapshot(t).growth_refused, [("ewr".to_owned(), WakeError::NoCapacity)].into());
        assert!(book.snapshot(t + ms(AVOID_MS)).growth_refused.is_empty());
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
        let t = Instant::now();
        let mut book = book_of(Phase::Gone, t);
        assert!(book.snapshot(t).servers.is_empty());
        book.apply_list(vec![Machine { is_host_ok: false, ..machine(Phase::Started) }], t, t);
        assert_eq!((condition(&book, t), book.askable().len()), (Unreachable, 0));
    }
}
