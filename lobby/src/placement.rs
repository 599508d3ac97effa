//! Placement: where people go, and when a pool grows or shrinks. Pure decisions.
//!
//! Path: a join tries [`steps`] in order, then looks for a [`spare`]; the fleet's refresh loop destroys the [`surplus`];
//! the board and refusals use [`region_condition`] and [`offer`].
//! Invariants: the machine with room and most people of the wanted kind comes first, so that others can empty and sleep;
//! a pool never grows beyond its own maximum or the fleet's; only machines that a lobby created are surplus; all lobbies
//! that know the same decide the same.
//! Never: reads a clock, calls anything.

use crate::api_errors::WakeError;
use crate::fleet_state::FleetSnapshot;
use crate::machine_view::{Condition, MachineView, Need};
use crate::pools::{Pools, free_name};
use crate::regions::{self, Region};
use protocol::room::Kind;
use std::cmp::Reverse;

/// A pool that is fuller than this share of its seats or rooms gets one more machine ahead of need.
const SPARE_ABOVE_PERCENT: u64 = 80;
/// A machine that was created under load is destroyed after it has slept this long.
pub const SURPLUS_AFTER_MS: u64 = 30 * 60 * 1_000;
/// A region that is up, with company, beats a sleeping one that is nearer by up to this.
const COMPANY_WORTH_MS: u32 = 20;

/// One thing to try for a player.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// This machine is up and has room.
    Take(String),
    /// This machine sleeps or is on its way up.
    Wake(String),
    /// A new machine of this name.
    Create(String),
}

/// Why a pool cannot grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoGrowth {
    /// It has as many machines as it may have.
    RegionAtLimit,
    /// All regions together have.
    FleetAtLimit,
    /// Nothing was deployed that could be copied, or this region has no pool.
    NoTemplate,
    /// Fly recently refused a machine there, for this reason.
    RefusedLately(WakeError),
}

/// What to try for a player in this region, best first.
pub fn steps(region: &str, need: Need, snapshot: &FleetSnapshot, pools: &Pools) -> Vec<Step> {
    let mut machines: Vec<&MachineView> = of(region, snapshot).filter(|machine| may_take(machine, need)).collect();
    let company = |machine: &MachineView| match need {
        Need::Seat(kind) => (machine.expected(kind), machine.expected_people()),
        Need::Room | Need::Link => (0, machine.expected_people()),
    };
    machines.sort_by_key(|machine| (condition_rank(machine.condition), Reverse(company(machine)), &machine.instance));
    let steps = machines.into_iter().map(|machine| match machine.condition {
        Condition::Ready => Step::Take(machine.instance.clone()),
        _ => Step::Wake(machine.instance.clone()),
    });
    steps.chain(growth(region, snapshot, pools).ok().map(Step::Create)).collect()
}

fn may_take(machine: &MachineView, need: Need) -> bool {
    match machine.condition {
        Condition::Ready => machine.takes(need),
        Condition::Waking | Condition::Asleep => true,
        Condition::Full | Condition::Unreachable => false,
    }
}

fn condition_rank(condition: Condition) -> u8 {
    match condition {
        Condition::Ready => 0,
        Condition::Waking => 1,
        Condition::Asleep => 2,
        Condition::Full => 3,
        Condition::Unreachable => 4,
    }
}

/// The name of a machine that this pool may get.
///
/// # Errors
/// [`NoGrowth`].
pub fn growth(region: &str, snapshot: &FleetSnapshot, pools: &Pools) -> Result<String, NoGrowth> {
    let (Some(pool), true) = (pools.find(region), snapshot.template.is_some()) else {
        return Err(NoGrowth::NoTemplate);
    };
    if let Some(&why) = snapshot.growth_refused.get(region) {
        return Err(NoGrowth::RefusedLately(why));
    }
    if snapshot.machines.len() >= pools.machines_max as usize {
        return Err(NoGrowth::FleetAtLimit);
    }
    if of(region, snapshot).count() >= pool.machines_max as usize {
        return Err(NoGrowth::RegionAtLimit);
    }
    let names = snapshot.machines.iter().map(|machine| machine.name.as_str());
    free_name(region, pool.machines_max, names).ok_or(NoGrowth::RegionAtLimit)
}

/// A machine to get ready ahead of need, when those that are up are nearly full of some kind and none is on its way.
pub fn spare(region: &str, snapshot: &FleetSnapshot, pools: &Pools) -> Option<Step> {
    if of(region, snapshot).any(|machine| machine.condition == Condition::Waking) {
        return None;
    }
    let up = || {
        let machines = of(region, snapshot).filter_map(|machine| Some((machine, machine.occupancy?)));
        machines.filter(|(_, occupancy)| !occupancy.is_draining)
    };
    let is_above = |taken: u32, all: u32| u64::from(taken) * 100 > u64::from(all) * SPARE_ABOVE_PERCENT;
    let lacks_seats = Kind::ALL.into_iter().any(|kind| {
        let (taken, all) = up().fold((0, 0), |(taken, all), (machine, occupancy)| {
            let places = occupancy.kinds[kind];
            let free = places.seats.saturating_sub(machine.reserved_seats[kind]);
            (taken + places.capacity.saturating_sub(free), all + places.capacity)
        });
        is_above(taken, all)
    });
    // Its own public rooms are there whether anybody asks for rooms or not.
    let publics = Kind::ALL.len() as u32;
    let (taken, all) = up().fold((0, 0), |(taken, all), (machine, occupancy)| {
        let private = occupancy.rooms.saturating_sub(publics) + machine.reserved_rooms;
        (taken + private, all + occupancy.rooms_max.saturating_sub(publics))
    });
    if !lacks_seats && !is_above(taken, all) {
        return None;
    }
    let mut asleep = of(region, snapshot).filter(|machine| machine.condition == Condition::Asleep);
    let sleeper = asleep.next().map(|machine| Step::Wake(machine.instance.clone()));
    sleeper.or_else(|| growth(region, snapshot, pools).ok().map(Step::Create))
}

/// Machines to destroy: created under load, asleep for [`SURPLUS_AFTER_MS`], and beyond what the region always has.
pub fn surplus(snapshot: &FleetSnapshot, pools: &Pools, now_ms: u64) -> Vec<String> {
    let mut ids = Vec::new();
    for pool in &pools.regions {
        let extra = of(&pool.region, snapshot).count().saturating_sub(pool.machines as usize);
        let is_idle = |machine: &&MachineView| {
            let slept_ms = now_ms.saturating_sub(machine.changed_at_ms);
            let is_known = machine.changed_at_ms > 0;
            machine.is_grown && machine.condition == Condition::Asleep && is_known && slept_ms >= SURPLUS_AFTER_MS
        };
        let idle = of(&pool.region, snapshot).filter(is_idle);
        ids.extend(idle.take(extra).map(|machine| machine.instance.clone()));
    }
    ids
}

/// What people can expect of a region as a whole, whatever kind they want.
pub fn region_condition(region: &str, snapshot: &FleetSnapshot, pools: &Pools) -> Condition {
    let conditions = Kind::ALL.map(|kind| region_condition_for(kind, region, snapshot, pools));
    conditions.into_iter().min_by_key(|condition| condition_rank(*condition)).expect("there is some kind of room")
}

/// What people can expect of a region who want a seat of this kind.
pub fn region_condition_for(kind: Kind, region: &str, snapshot: &FleetSnapshot, pools: &Pools) -> Condition {
    let need = Need::Seat(kind);
    let has = |condition: Condition| of(region, snapshot).any(|machine| machine.condition_for(need) == condition);
    let has_sleeper = has(Condition::Asleep);
    let can_add = has_sleeper || growth(region, snapshot, pools).is_ok();
    let is_up = of(region, snapshot).any(|machine| machine.occupancy.is_some());
    if has(Condition::Ready) || (is_up && has(Condition::Full) && (can_add || has(Condition::Waking))) {
        Condition::Ready
    } else if has(Condition::Waking) {
        Condition::Waking
    } else if has_sleeper || (can_add && !has(Condition::Unreachable)) {
        // Where the machines do not answer, that is what the board shows; a player who joins all the same gets a new one.
        Condition::Asleep
    } else if has(Condition::Full) {
        Condition::Full
    } else {
        Condition::Unreachable
    }
}

/// How good a region is for a player, smaller is better: where one can play comes first, then by latency, where company
/// is worth [`COMPANY_WORTH_MS`]. The page uses the same order for what it measured itself.
pub fn region_rank(condition: Condition, latency_ms: Option<u32>) -> (bool, u32) {
    let is_closed = matches!(condition, Condition::Full | Condition::Unreachable);
    let alone_ms = if condition == Condition::Asleep { COMPANY_WORTH_MS } else { 0 };
    (is_closed, latency_ms.map_or(u32::MAX, |ms| ms + alone_ms))
}

/// All regions with a pool or a machine, the nearest to `from` first.
pub fn by_distance(from: Option<&Region>, snapshot: &FleetSnapshot, pools: &Pools) -> Vec<String> {
    let pooled = pools.regions.iter().map(|pool| pool.region.as_str());
    let mut codes: Vec<&str> = pooled.chain(snapshot.machines.iter().map(|machine| machine.region.as_str())).collect();
    codes.sort_unstable();
    codes.dedup();
    codes.sort_by_key(|code| latency_ms(code, from).unwrap_or(u32::MAX));
    codes.into_iter().map(str::to_owned).collect()
}

/// The best other region for somebody near `from` who found no place of this kind in `region`.
pub fn offer(
    kind: Kind,
    region: &str,
    from: Option<&Region>,
    snapshot: &FleetSnapshot,
    pools: &Pools,
) -> Option<String> {
    let others = by_distance(from, snapshot, pools).into_iter().filter(|code| code != region);
    let rank = |code: &str| region_rank(region_condition_for(kind, code, snapshot, pools), latency_ms(code, from));
    let ranked = others.map(|code| (rank(&code), code));
    ranked.filter(|((is_closed, _), _)| !is_closed).min().map(|(_, code)| code)
}

/// The machines of a region at whose public room of this kind there is something to look at, the fullest first.
pub fn watchable(region: &str, kind: Kind, snapshot: &FleetSnapshot) -> Vec<String> {
    let mut machines: Vec<&MachineView> = of(region, snapshot).filter(|machine| machine.is_open(kind)).collect();
    machines.sort_by_key(|machine| (Reverse(machine.expected(kind)), &machine.instance));
    machines.into_iter().map(|machine| machine.instance.clone()).collect()
}

/// What to try for a room whose machine `id` is lost: the machines of each region, the nearest to `near` first, and
/// a new machine only if no other would do.
pub fn elsewhere(id: &str, near: Option<&Region>, snapshot: &FleetSnapshot, pools: &Pools) -> Vec<(String, Step)> {
    let mut plan = Vec::new();
    for region in by_distance(near, snapshot, pools) {
        plan.extend(steps(&region, Need::Room, snapshot, pools).into_iter().map(|step| (region.clone(), step)));
    }
    plan.retain(|(_, step)| !matches!(step, Step::Take(other) | Step::Wake(other) if other == id));
    plan.sort_by_key(|(_, step)| matches!(step, Step::Create(_)));
    plan
}

/// Estimated round trip from `from` to a region.
pub fn latency_ms(code: &str, from: Option<&Region>) -> Option<u32> {
    Some(from?.round_trip_ms(regions::find(code)?))
}

fn of<'a>(region: &str, snapshot: &'a FleetSnapshot) -> impl Iterator<Item = &'a MachineView> {
    snapshot.machines.iter().filter(move |machine| machine.region == region)
}

#[cfg(test)]
#[path = "placement_tests.rs"]
mod tests;
