//! The fleet's cached state and how events update it.
//!
//! Path: lists, status answers and this lobby's own starts go in; [`FleetState::snapshot`] comes out and is published.
//! Invariants: pure (the time is an argument); a list that was requested before a start ended never undoes that start;
//! when the API refuses, the last known state stays, marked as stale; seats are reserved one by one, so that a crowd
//! between two status reads does not end on one machine.
//! Never: sends a request.

use crate::api_errors::WakeError;
use crate::by_kind::ByKind;
use crate::machine::{Machine, MachineConfig, MachineState};
use crate::machine_view::{Condition, MachineView, Need, Occupancy};
use crate::template;
use crate::wake_times::WakeTimes;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// A machine that runs but has not answered yet counts as waking this long, then as unreachable.
pub const BOOT_PATIENCE_MS: u64 = 10_000;
/// A machine that failed to start, and a region that refused a new one, is skipped this long. Policy: joins go past it.
const AVOID_MS: u64 = 30_000;
/// A machine that this lobby created may be missing in lists this long: they lag. Policy: then it is gone.
const LIST_LAG_MAX_MS: u64 = 30_000;
/// Status reads in a row that may fail before a machine counts as unreachable.
const MISSES_MAX_COUNT: u32 = 1;
/// The result of a running machine's last status read (an answer or silence) is valid this long. Policy: before a player is
/// sent there, it is read again. A frozen process still accepts connections, so the proxy never returns the request.
const STATUS_VALID_MS: u64 = 3_000;
/// Machines that are gone and whose region is still remembered. Policy: beyond it, ids are dropped in their order.
const GONE_MACHINES_MAX_COUNT: usize = 1_000;

/// Everything known at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FleetSnapshot {
    /// By instance.
    pub machines: Vec<MachineView>,
    /// When a list was last requested from the API, with or without success.
    pub checked_at: Option<Instant>,
    /// Whether there ever was a list.
    pub is_known: bool,
    /// The API refused last time: this is its answer from before.
    pub is_stale: bool,
    /// The configuration that a new machine gets; without one, none can be made.
    pub template: Option<Arc<MachineConfig>>,
    /// How long starts took, by region.
    pub wake_times: BTreeMap<String, WakeTimes>,
    /// Regions in which Fly recently refused a new machine.
    pub growth_refused: BTreeMap<String, WakeError>,
}

impl FleetSnapshot {
    /// The machine with this id.
    pub fn find(&self, id: &str) -> Option<&MachineView> {
        self.machines.iter().find(|machine| machine.instance == id)
    }
}

/// See the module.
#[derive(Debug, Default)]
pub struct FleetState {
    machines: BTreeMap<String, TrackedMachine>,
    /// Machines that are gone: id → region.
    gone_machines: BTreeMap<String, String>,
    template: Option<Arc<MachineConfig>>,
    wake_times: BTreeMap<String, WakeTimes>,
    growth_refused: BTreeMap<String, (Instant, WakeError)>,
    checked_at: Option<Instant>,
    is_known: bool,
    is_stale: bool,
}

#[derive(Debug)]
struct TrackedMachine {
    machine: Machine,
    is_being_woken: bool,
    woken_at: Option<Instant>,
    up_since: Option<Instant>,
    /// When this lobby created it.
    created_at: Option<Instant>,
    /// Skipped until then, and why.
    avoid: Option<(Instant, WakeError)>,
    occupancy: Option<Occupancy>,
    /// Reserved since the last status answer, and before it: those players may not have arrived yet.
    reserved: [Reserved; 2],
    misses: u32,
    /// When its status was last read.
    read_at: Option<Instant>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Reserved {
    seats: ByKind<u32>,
    rooms: u32,
}

impl FleetState {
    /// The API's list, requested at `asked_at`.
    pub fn apply_list(&mut self, machines: Vec<Machine>, asked_at: Instant, now: Instant) {
        let mut old = std::mem::take(&mut self.machines);
        self.template = template::newest(&machines).or(self.template.take());
        for mut machine in machines.into_iter().filter(|machine| machine.state != MachineState::Gone) {
            let mut tracked = old.remove(&machine.id).unwrap_or_else(|| TrackedMachine::new(machine.clone()));
            if tracked.woken_at.is_some_and(|woken_at| woken_at >= asked_at) {
                machine.state = MachineState::Started;
            }
            tracked.update(machine, now);
            self.machines.insert(tracked.machine.id.clone(), tracked);
        }
        for (id, tracked) in old {
            let is_new = tracked.created_at.is_some_and(|created_at| now - created_at < ms(LIST_LAG_MAX_MS));
            if is_new {
                self.machines.insert(id, tracked);
            } else {
                self.remember_gone(id, tracked.machine.region);
            }
        }
        (self.checked_at, self.is_known, self.is_stale) = (Some(now), true, false);
    }

    /// The API gave no list.
    pub fn list_failed(&mut self, now: Instant) {
        (self.checked_at, self.is_stale) = (Some(now), true);
    }

    /// Machines whose status can be read without waking them.
    pub fn status_targets(&self) -> Vec<String> {
        let running = self.machines.values().filter(|tracked| tracked.machine.state == MachineState::Started);
        running.filter(|tracked| tracked.machine.is_host_ok).map(|tracked| tracked.machine.id.clone()).collect()
    }

    /// A status read was answered, or not (`None`).
    pub fn apply_status(&mut self, id: &str, occupancy: Option<Occupancy>, now: Instant) {
        let Some(tracked) = self.machines.get_mut(id) else { return };
        tracked.read_at = Some(now);
        match occupancy {
            Some(_) => {
                (tracked.occupancy, tracked.misses, tracked.avoid) = (occupancy, 0, None);
                tracked.reserved = [Reserved::default(), tracked.reserved[0]];
            }
            None => tracked.misses = tracked.misses.saturating_add(1),
        }
    }

    /// Whether this machine should answer and does not; `None` when its status has to be read to know.
    pub fn is_silent(&self, id: &str, now: Instant) -> Option<bool> {
        let should_answer =
            |tracked: &&TrackedMachine| tracked.machine.state == MachineState::Started && !tracked.is_booting(now);
        let Some(tracked) = self.machines.get(id).filter(should_answer) else { return Some(false) };
        if !tracked.machine.is_host_ok {
            return Some(true);
        }
        let is_recent = tracked.read_at.is_some_and(|at| now.saturating_duration_since(at) < ms(STATUS_VALID_MS));
        let is_sure = is_recent && (tracked.misses == 0 || tracked.misses > MISSES_MAX_COUNT);
        is_sure.then_some(tracked.misses > 0)
    }

    /// Reserves what is needed on a machine that is up; false when there is none left.
    pub fn reserve(&mut self, id: &str, need: Need, now: Instant) -> bool {
        let Some(tracked) = self.machines.get_mut(id) else { return false };
        let takes = tracked.view(now).takes(need);
        if takes {
            match need {
                Need::Seat(kind) => tracked.reserved[0].seats[kind] += 1,
                Need::Room => tracked.reserved[0].rooms += 1,
                Need::Link => {}
            }
        }
        takes
    }

    /// This lobby created a machine.
    pub fn created(&mut self, machine: Machine, now: Instant) {
        let tracked = self.machines.entry(machine.id.clone()).or_insert_with(|| TrackedMachine::new(machine));
        tracked.created_at = Some(now);
    }

    /// Fly refused a new machine there.
    pub fn growth_failed(&mut self, region: &str, why: WakeError, now: Instant) {
        self.growth_refused.insert(region.to_owned(), (now + ms(AVOID_MS), why));
    }

    /// A machine was destroyed.
    pub fn destroyed(&mut self, id: &str) {
        if let Some(tracked) = self.machines.remove(id) {
            self.remember_gone(id.to_owned(), tracked.machine.region);
        }
    }

    fn remember_gone(&mut self, id: String, region: String) {
        if self.gone_machines.len() >= GONE_MACHINES_MAX_COUNT {
            self.gone_machines.pop_first();
        }
        self.gone_machines.insert(id, region);
    }

    /// The region in which a machine is, or was while this lobby has been running.
    pub fn region_of(&self, id: &str) -> Option<String> {
        let here = self.machines.get(id).map(|tracked| &tracked.machine.region);
        here.or_else(|| self.gone_machines.get(id)).cloned()
    }

    /// A start is being requested.
    pub fn wake_began(&mut self, id: &str) {
        if let Some(tracked) = self.machines.get_mut(id) {
            tracked.is_being_woken = true;
        }
    }

    /// Fly says that it runs; it has not answered yet.
    pub fn started(&mut self, id: &str, now: Instant) {
        let Some(tracked) = self.machines.get_mut(id) else { return };
        tracked.woken_at = Some(now);
        let machine = Machine { state: MachineState::Started, ..tracked.machine.clone() };
        tracked.update(machine, now);
    }

    /// A start ended: the machine answers, or could not be started. `Ok` with the time it took, if it was asleep.
    pub fn wake_ended(&mut self, id: &str, outcome: Result<Option<Duration>, WakeError>, now: Instant) {
        if outcome == Err(WakeError::Gone) {
            self.destroyed(id);
        }
        let Some(tracked) = self.machines.get_mut(id) else { return };
        tracked.is_being_woken = false;
        match outcome {
            Ok(Some(took)) => self.wake_times.entry(tracked.machine.region.clone()).or_default().add(took),
            Ok(None) => {}
            Err(why) if why.is_about_this_machine() => tracked.avoid = Some((now + ms(AVOID_MS), why)),
            Err(_) => {}
        }
    }

    /// Everything known now.
    pub fn snapshot(&self, now: Instant) -> FleetSnapshot {
        let refused = self.growth_refused.iter().filter(|(_, (until, _))| now < *until);
        FleetSnapshot {
            machines: self.machines.values().map(|tracked| tracked.view(now)).collect(),
            checked_at: self.checked_at,
            is_known: self.is_known,
            is_stale: self.is_stale,
            template: self.template.clone(),
            wake_times: self.wake_times.clone(),
            growth_refused: refused.map(|(region, (_, why))| (region.clone(), *why)).collect(),
        }
    }
}

impl TrackedMachine {
    fn new(machine: Machine) -> Self {
        Self {
            machine,
            is_being_woken: false,
            woken_at: None,
            up_since: None,
            created_at: None,
            avoid: None,
            occupancy: None,
            reserved: [Reserved::default(); 2],
            misses: 0,
            read_at: None,
        }
    }

    fn update(&mut self, machine: Machine, now: Instant) {
        if machine.state == MachineState::Started {
            self.up_since.get_or_insert(now);
        } else {
            (self.up_since, self.occupancy, self.misses, self.read_at) = (None, None, 0, None);
            self.reserved = [Reserved::default(); 2];
        }
        self.machine = machine;
    }

    fn view(&self, now: Instant) -> MachineView {
        let [new, old] = self.reserved;
        MachineView {
            instance: self.machine.id.clone(),
            name: self.machine.name.clone(),
            region: self.machine.region.clone(),
            condition: self.condition(now),
            occupancy: self.occupancy,
            reserved_seats: ByKind::of(|kind| new.seats[kind] + old.seats[kind]),
            reserved_rooms: new.rooms + old.rooms,
            changed_at_ms: self.machine.changed_at_ms,
            is_grown: self.machine.config.is_grown(),
        }
    }

    /// Whether it runs, has never answered, and is still within its boot time. One that answered once has booted.
    fn is_booting(&self, now: Instant) -> bool {
        let up_for = self.up_since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        self.occupancy.is_none() && up_for < ms(BOOT_PATIENCE_MS)
    }

    fn condition(&self, now: Instant) -> Condition {
        if !self.machine.is_host_ok {
            return Condition::Unreachable;
        }
        let skipped = self.avoid.filter(|&(until, _)| now < until).map(|(_, why)| why);
        match (self.machine.state, self.occupancy) {
            (MachineState::Started, Some(occupancy)) if self.misses <= MISSES_MAX_COUNT => occupancy.condition(),
            _ if self.is_being_woken => Condition::Waking,
            _ if skipped == Some(WakeError::NoCapacity) => Condition::Full,
            _ if skipped.is_some() => Condition::Unreachable,
            (MachineState::Started, _) if self.is_booting(now) => Condition::Waking,
            (MachineState::Started, _) => Condition::Unreachable,
            (MachineState::Waking, _) => Condition::Waking,
            (MachineState::Asleep | MachineState::Gone, _) => Condition::Asleep,
        }
    }
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine_view::tests::{KIND, SEAT};
    use Condition::{Asleep, Full, Ready, Unreachable, Waking};
    use protocol::room::Kind;

    fn machine(state: MachineState) -> Machine {
        crate::machine::tests::machine("m", "ewr", state)
    }

    /// So many of two people.
    fn occupied(members: u32) -> Option<Occupancy> {
        Some(crate::machine_view::tests::occupied(members, 2))
    }

    fn condition(fleet: &FleetState, now: Instant) -> Condition {
        fleet.snapshot(now).machines[0].condition
    }

    fn fleet_of(state: MachineState, now: Instant) -> FleetState {
        let mut fleet = FleetState::default();
        fleet.apply_list(vec![machine(state)], now, now);
        fleet
    }

    #[test]
    fn a_woken_machine_is_waking_until_it_answers() {
        let t = Instant::now();
        let mut fleet = fleet_of(MachineState::Asleep, t);
        assert_eq!(condition(&fleet, t), Asleep);
        assert!(fleet.status_targets().is_empty(), "a sleeper is never asked: that would wake it");
        fleet.wake_began("m");
        assert_eq!(condition(&fleet, t), Waking);
        fleet.started("m", t);
        assert_eq!((condition(&fleet, t), fleet.status_targets()), (Waking, vec!["m".to_owned()]));
        fleet.apply_status("m", occupied(0), t);
        fleet.wake_ended("m", Ok(Some(ms(1200))), t);
        assert_eq!(condition(&fleet, t), Ready);
        assert_eq!(fleet.snapshot(t).wake_times["ewr"].percentile_ms(50), Some(1200));
        fleet.apply_status("m", occupied(2), t);
        assert_eq!((condition(&fleet, t), fleet.snapshot(t).machines[0].condition_for(SEAT)), (Ready, Full));
        fleet.apply_status("m", occupied(1).map(|occupancy| Occupancy { is_overloaded: true, ..occupancy }), t);
        assert_eq!(condition(&fleet, t), Full);
    }

    #[test]
    fn a_list_from_before_the_wake_does_not_undo_it() {
        let t = Instant::now();
        let later = t + ms(1_000);
        let mut fleet = fleet_of(MachineState::Asleep, t);
        fleet.wake_began("m");
        fleet.started("m", later);
        fleet.wake_ended("m", Ok(None), later);
        fleet.apply_list(vec![machine(MachineState::Asleep)], t, later);
        assert_eq!(condition(&fleet, later), Waking);
        fleet.apply_list(vec![machine(MachineState::Asleep)], later + ms(1_000), later);
        assert_eq!(condition(&fleet, later), Asleep);
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
            let mut fleet = fleet_of(MachineState::Asleep, t);
            fleet.wake_began("m");
            fleet.wake_ended("m", Err(error), t);
            assert_eq!((condition(&fleet, t), condition(&fleet, t + ms(AVOID_MS))), (meanwhile, Asleep), "{error:?}");
        }
        let mut fleet = fleet_of(MachineState::Asleep, t);
        fleet.wake_ended("m", Err(WakeError::Gone), t);
        assert!(fleet.snapshot(t).machines.is_empty());
        assert_eq!(fleet.region_of("m").as_deref(), Some("ewr"), "where it was is remembered");
    }

    #[test]
    fn silence_becomes_unreachable_and_one_miss_is_forgiven() {
        let t = Instant::now();
        let late = t + ms(BOOT_PATIENCE_MS);
        let mut fleet = fleet_of(MachineState::Started, t);
        fleet.apply_status("m", None, t);
        assert_eq!((condition(&fleet, t), condition(&fleet, late)), (Waking, Unreachable));
        fleet.apply_status("m", occupied(1), t);
        fleet.apply_status("m", None, t);
        assert_eq!(condition(&fleet, t), Ready);
        fleet.apply_status("m", None, t);
        assert_eq!(condition(&fleet, t), Unreachable, "it has booted before, so there is no more patience");
    }

    #[test]
    fn what_a_machine_did_a_moment_ago_holds_and_then_it_is_asked_again() {
        let t = Instant::now();
        let soon = t + ms(STATUS_VALID_MS - 1);
        let mut fleet = fleet_of(MachineState::Started, t);
        assert_eq!(fleet.is_silent("m", t), Some(false), "it boots, and others wait for that");
        assert_eq!(fleet.is_silent("m", t + ms(BOOT_PATIENCE_MS)), None, "but not for ever");
        fleet.apply_status("m", occupied(1), t);
        assert_eq!((fleet.is_silent("m", soon), fleet.is_silent("m", t + ms(STATUS_VALID_MS))), (Some(false), None));
        fleet.apply_status("m", None, t);
        assert_eq!(fleet.is_silent("m", t), None, "one miss says nothing yet");
        fleet.apply_status("m", None, t);
        assert_eq!((fleet.is_silent("m", soon), fleet.is_silent("m", t + ms(STATUS_VALID_MS))), (Some(true), None));
        fleet.apply_list(vec![Machine { is_host_ok: false, ..machine(MachineState::Started) }], t, t);
        assert_eq!(fleet.is_silent("m", t + ms(STATUS_VALID_MS)), Some(true), "there is nobody to ask");
        fleet.apply_list(vec![machine(MachineState::Asleep)], t, t);
        assert_eq!(fleet.is_silent("m", t), Some(false), "a sleeper is never asked: that would wake it");
        assert_eq!(fleet.is_silent("nobody", t), Some(false));
    }

    #[test]
    fn reservations_count_until_the_second_status_after_them() {
        let t = Instant::now();
        let mut fleet = fleet_of(MachineState::Started, t);
        assert!(!fleet.reserve("m", SEAT, t), "nobody knows yet whether it has room");
        fleet.apply_status("m", occupied(0), t);
        assert!(fleet.reserve("m", Need::Room, t));
        assert!(!fleet.reserve("m", Need::Room, t), "there is place for one");
        assert!(fleet.reserve("m", SEAT, t) && fleet.reserve("m", SEAT, t));
        assert!(!fleet.reserve("m", SEAT, t), "its two seats are taken");
        for other in Kind::ALL.into_iter().filter(|kind| *kind != KIND) {
            assert!(fleet.reserve("m", Need::Seat(other), t), "the seats of another kind are not");
        }
        assert!(fleet.reserve("m", Need::Link, t), "nor is the way to its rooms");
        fleet.apply_status("m", occupied(0), t);
        assert!(!fleet.reserve("m", SEAT, t), "those who were sent may be on their way");
        fleet.apply_status("m", occupied(1), t);
        assert!(fleet.reserve("m", SEAT, t));
        assert!(!fleet.reserve("nobody", SEAT, t));
    }

    #[test]
    fn a_new_machine_survives_lists_that_lag() {
        let t = Instant::now();
        let mut fleet = FleetState::default();
        fleet.created(machine(MachineState::Waking), t);
        fleet.apply_list(Vec::new(), t, t);
        assert_eq!(condition(&fleet, t), Waking);
        fleet.apply_list(Vec::new(), t, t + ms(LIST_LAG_MAX_MS));
        assert!(fleet.snapshot(t).machines.is_empty());
    }

    #[test]
    fn a_region_that_refused_a_machine_is_not_asked_again_at_once() {
        let (mut fleet, t) = (FleetState::default(), Instant::now());
        fleet.growth_failed("ewr", WakeError::NoCapacity, t);
        assert_eq!(fleet.snapshot(t).growth_refused, [("ewr".to_owned(), WakeError::NoCapacity)].into());
        assert!(fleet.snapshot(t + ms(AVOID_MS)).growth_refused.is_empty());
    }

    #[test]
    fn a_refusing_api_leaves_the_last_answer_marked() {
        let (mut fleet, t) = (FleetState::default(), Instant::now());
        fleet.list_failed(t);
        assert!(!fleet.snapshot(t).is_known && fleet.snapshot(t).is_stale);
        fleet.apply_list(vec![machine(MachineState::Asleep)], t, t);
        fleet.list_failed(t);
        let snapshot = fleet.snapshot(t);
        assert!(snapshot.is_known && snapshot.is_stale && snapshot.machines.len() == 1);
    }

    #[test]
    fn machines_that_are_gone_are_not_shown_and_a_lost_host_is() {
        let t = Instant::now();
        let mut fleet = fleet_of(MachineState::Gone, t);
        assert!(fleet.snapshot(t).machines.is_empty());
        fleet.apply_list(vec![Machine { is_host_ok: false, ..machine(MachineState::Started) }], t, t);
        assert_eq!((condition(&fleet, t), fleet.status_targets().len()), (Unreachable, 0));
    }
}
