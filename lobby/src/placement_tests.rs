//! Tables of decisions: what is known → what is done.

use super::*;
use crate::machine_view::Occupancy;
use crate::machine_view::tests::{KIND, SEAT, machine, seats};
use Condition::{Asleep, Full, Ready, Unreachable, Waking};
use std::sync::Arc;

fn fleet(machines: &[MachineView]) -> FleetSnapshot {
    FleetSnapshot {
        machines: machines.to_vec(),
        is_known: true,
        template: Some(Arc::default()),
        ..FleetSnapshot::default()
    }
}

/// Three machines at most in each of two regions, five in all.
fn pools() -> Pools {
    let pool = |region: &str| format!("[[pool]]\nregion = \"{region}\"\nmachines = 1\nmachines_max = 3\n");
    Pools::parse(&format!("machines_max = 5\n{}{}", pool("ewr"), pool("cdg"))).unwrap()
}

fn take(id: &str) -> Step {
    Step::Take(id.into())
}

fn wake(id: &str) -> Step {
    Step::Wake(id.into())
}

fn create(name: &str) -> Step {
    Step::Create(name.into())
}

#[test]
fn the_fullest_with_room_comes_first_then_what_rises_then_a_sleeper_then_a_new_one() {
    let asleep = machine("a", "ewr", Asleep, 0, 0);
    let quiet = machine("b", "ewr", Ready, 1, 9);
    let busy = machine("c", "ewr", Ready, 7, 9);
    let rising = machine("d", "ewr", Waking, 0, 0);
    let full = machine("e", "ewr", Full, 9, 9);
    let lost = machine("f", "ewr", Unreachable, 0, 0);
    let there = machine("g", "cdg", Ready, 0, 9);
    let table: [(&[&MachineView], &[Step]); 7] = [
        (&[&asleep, &quiet], &[take("b"), wake("a"), create("ewr-1")]),
        (&[&quiet, &busy, &there], &[take("c"), take("b"), create("ewr-1")]),
        (&[&asleep, &rising, &full], &[wake("d"), wake("a")]),
        (&[&full, &lost], &[create("ewr-1")]),
        (&[&full, &lost, &there], &[create("ewr-1")]),
        (&[&full, &full, &lost], &[]),
        (&[], &[create("ewr-1")]),
    ];
    for (machines, expected) in table {
        let machines: Vec<MachineView> = machines.iter().map(|&machine| machine.clone()).collect();
        assert_eq!(steps("ewr", SEAT, &fleet(&machines), &pools()), expected, "{machines:?}");
    }
}

#[test]
fn those_on_their_way_count_and_rooms_have_a_limit_of_their_own() {
    let two_left = machine("a", "ewr", Ready, 7, 9);
    let reserved =
        |count, rooms| MachineView { reserved_seats: seats(count), reserved_rooms: rooms, ..two_left.clone() };
    let first = |machine: MachineView, need| steps("ewr", need, &fleet(&[machine]), &pools()).remove(0);
    for (machine, need, expected) in [
        (reserved(1, 0), SEAT, take("a")),
        (reserved(2, 0), SEAT, create("ewr-1")),
        (reserved(0, 0), Need::Room, take("a")),
        (reserved(0, 1), Need::Room, create("ewr-1")),
        (reserved(0, 1), SEAT, take("a")),
    ] {
        assert_eq!(first(machine.clone(), need), expected, "{need:?} {machine:?}");
    }
}

#[test]
fn company_of_the_wanted_kind_comes_before_company_of_another() {
    let people = |id: &str, members: [u32; Kind::ALL.len()]| {
        let mut machine = machine(id, "ewr", Ready, 0, 9);
        let occupancy = machine.occupancy.as_mut().unwrap();
        Kind::ALL.into_iter().zip(members).for_each(|(kind, members)| occupancy.kinds[kind].members = members);
        machine
    };
    for (place, kind) in Kind::ALL.into_iter().enumerate() {
        let here = std::array::from_fn(|at| u32::from(at == place));
        let elsewhere = std::array::from_fn(|at| if at == place { 0 } else { 5 });
        let both = fleet(&[people("a", elsewhere), people("b", here)]);
        assert_eq!(steps("ewr", Need::Seat(kind), &both, &pools())[0], take("b"), "{kind:?}");
        assert_eq!(steps("ewr", Need::Room, &both, &pools())[0], take(if Kind::ALL.len() > 1 { "a" } else { "b" }));
    }
}

#[test]
fn a_pool_grows_to_its_maximum_and_the_fleet_to_its_own() {
    let named = |name: &str, region: &str| MachineView { name: name.into(), ..machine(name, region, Full, 9, 9) };
    let two = [named("ewr-1", "ewr"), named("ewr-3", "ewr")];
    let three = [named("ewr-1", "ewr"), named("ewr-3", "ewr"), named("by-hand", "ewr")];
    let paris = ["cdg-1", "cdg-2", "cdg-3"].map(|name| named(name, "cdg"));
    assert_eq!(growth("ewr", &fleet(&two), &pools()).as_deref(), Ok("ewr-2"));
    assert_eq!(growth("ewr", &fleet(&three), &pools()), Err(NoGrowth::RegionAtLimit));
    assert_eq!(growth("ewr", &fleet(&[two.to_vec(), paris.to_vec()].concat()), &pools()), Err(NoGrowth::FleetAtLimit));
    assert_eq!(growth("nrt", &fleet(&two), &pools()), Err(NoGrowth::NoTemplate), "a region without a pool");
    let refused = [("ewr".to_owned(), WakeError::NoCapacity)].into();
    let lately = FleetSnapshot { growth_refused: refused, ..fleet(&two) };
    assert_eq!(growth("ewr", &lately, &pools()), Err(NoGrowth::RefusedLately(WakeError::NoCapacity)));
    let bare = FleetSnapshot { template: None, ..fleet(&two) };
    assert_eq!(growth("ewr", &bare, &pools()), Err(NoGrowth::NoTemplate));
}

#[test]
fn a_spare_is_made_ready_above_the_mark_and_one_at_a_time() {
    let up = |id: &str, players| machine(id, "ewr", Ready, players, 100);
    let asleep = machine("z", "ewr", Asleep, 0, 0);
    let both_rooms = |mut machine: MachineView| {
        machine.reserved_rooms = 1;
        machine
    };
    let drained = |mut machine: MachineView| {
        machine.occupancy = machine.occupancy.map(|occupancy| Occupancy { is_draining: true, ..occupancy });
        machine
    };
    let only_its_own = |mut machine: MachineView| {
        machine.occupancy = machine.occupancy.map(|occupancy| Occupancy { rooms_max: occupancy.rooms, ..occupancy });
        machine
    };
    let table: [(Vec<MachineView>, Option<Step>); 10] = [
        (vec![only_its_own(up("a", 1)), asleep.clone()], None),
        (vec![up("a", 80), asleep.clone()], None),
        (vec![up("a", 81), asleep.clone()], Some(wake("z"))),
        (vec![up("a", 81)], Some(create("ewr-1"))),
        (vec![up("a", 81), machine("y", "ewr", Waking, 0, 0), asleep.clone()], None),
        (vec![up("a", 100), up("b", 10), asleep.clone()], None),
        (vec![both_rooms(up("a", 1)), asleep.clone()], Some(wake("z"))),
        (vec![drained(up("a", 100)), up("b", 10), asleep.clone()], None),
        (vec![asleep], None),
        (vec![], None),
    ];
    for (machines, expected) in table {
        assert_eq!(spare("ewr", &fleet(&machines), &pools()), expected, "{machines:?}");
    }
}

#[test]
fn only_idle_machines_that_a_lobby_created_are_surplus() {
    let now_ms = 10 * SURPLUS_AFTER_MS;
    let slept = |id: &str, is_grown, slept_ms: u64| MachineView {
        is_grown,
        changed_at_ms: now_ms - slept_ms,
        ..machine(id, "ewr", Asleep, 0, 0)
    };
    let old = SURPLUS_AFTER_MS;
    let unknown = MachineView { changed_at_ms: 0, ..slept("u", true, old) };
    let busy = MachineView { is_grown: true, changed_at_ms: 1, ..machine("w", "ewr", Ready, 1, 9) };
    let table: [(Vec<MachineView>, &[&str]); 7] = [
        (vec![slept("a", false, old), slept("b", true, old)], &["b"]),
        (vec![slept("a", false, old), slept("b", true, old - 1)], &[]),
        (vec![slept("a", false, old), slept("b", false, old)], &[]),
        (vec![slept("b", true, old)], &[]),
        (vec![slept("b", true, old), slept("c", true, old), slept("d", true, old)], &["b", "c"]),
        (vec![slept("a", false, old), unknown], &[]),
        (vec![slept("a", false, old), busy], &[]),
    ];
    for (machines, expected) in table {
        assert_eq!(surplus(&fleet(&machines), &pools(), now_ms), expected, "{machines:?}");
    }
}

#[test]
fn a_region_is_what_a_player_can_expect_of_it() {
    let ready = machine("a", "ewr", Ready, 1, 9);
    let full = machine("b", "ewr", Full, 9, 9);
    let no_host = machine("c", "ewr", Full, 0, 0);
    let asleep = machine("d", "ewr", Asleep, 0, 0);
    let waking = machine("e", "ewr", Waking, 0, 0);
    let lost = machine("f", "ewr", Unreachable, 0, 0);
    let table: [(&[&MachineView], Condition, Condition); 10] = [
        // What is there → where the pool can grow, where it cannot.
        (&[&ready, &full, &lost], Ready, Ready),
        (&[&full], Ready, Full),
        (&[&full, &asleep], Ready, Ready),
        (&[&full, &waking], Ready, Ready),
        (&[&waking, &asleep], Waking, Waking),
        (&[&asleep], Asleep, Asleep),
        (&[&no_host], Asleep, Full),
        (&[&lost], Unreachable, Unreachable),
        (&[&lost, &asleep], Asleep, Asleep),
        (&[], Asleep, Unreachable),
    ];
    for (machines, growing, fixed) in table {
        let machines: Vec<MachineView> = machines.iter().map(|&machine| machine.clone()).collect();
        let snapshot = fleet(&machines);
        assert_eq!(region_condition("ewr", &snapshot, &pools()), growing, "{machines:?}");
        let bare = FleetSnapshot { template: None, ..snapshot };
        assert_eq!(region_condition("ewr", &bare, &pools()), fixed, "{machines:?}");
    }
}

#[test]
fn the_offer_is_the_best_other_region_that_takes_somebody() {
    let newark = regions::find("ewr");
    let paris = machine("a", "cdg", Ready, 1, 9);
    let tokyo = machine("b", "nrt", Ready, 1, 9);
    let bare = |machines: &[MachineView]| FleetSnapshot { template: None, ..fleet(machines) };
    let table: [(&[MachineView], Option<&str>); 4] = [
        (&[paris.clone(), tokyo.clone()], Some("cdg")),
        (&[MachineView { condition: Full, ..paris.clone() }, tokyo.clone()], Some("nrt")),
        (&[MachineView { condition: Unreachable, ..paris.clone() }], None),
        (&[], None),
    ];
    for (machines, expected) in table {
        assert_eq!(offer(KIND, "ewr", newark, &bare(machines), &pools()).as_deref(), expected, "{machines:?}");
    }
    assert_eq!(by_distance(newark, &bare(&[tokyo]), &pools()), ["ewr", "cdg", "nrt"]);
}

#[test]
fn a_room_whose_machine_is_gone_goes_to_the_nearest_that_has_room_for_it() {
    let paris = machine("p", "cdg", Ready, 1, 9);
    let newark = machine("n", "ewr", Asleep, 0, 0);
    let packed = MachineView { reserved_rooms: 1, ..paris.clone() };
    let plan = |id: &str, near: &str, machines: &[MachineView]| {
        let plan = elsewhere(id, regions::find(near), &fleet(machines), &pools());
        plan.into_iter().map(|(_, step)| step).collect::<Vec<_>>()
    };
    let both = [newark.clone(), paris.clone()];
    let new = |a: &str, b: &str| vec![create(&format!("{a}-1")), create(&format!("{b}-1"))];
    assert_eq!(plan("x", "ewr", &both), [vec![wake("n"), take("p")], new("ewr", "cdg")].concat());
    assert_eq!(plan("x", "cdg", &both), [vec![take("p"), wake("n")], new("cdg", "ewr")].concat());
    assert_eq!(plan("n", "ewr", &both), [vec![take("p")], new("ewr", "cdg")].concat(), "not the one that failed");
    assert_eq!(plan("x", "cdg", &[packed, newark]), [vec![wake("n")], new("cdg", "ewr")].concat());
    assert_eq!(plan("x", "ewr", &[]), new("ewr", "cdg"));
}

#[test]
fn company_beats_a_little_distance() {
    let near_asleep = region_rank(Asleep, Some(10));
    assert!(region_rank(Ready, Some(29)) < near_asleep && near_asleep < region_rank(Ready, Some(31)));
    assert!(near_asleep < region_rank(Full, Some(1)) && region_rank(Ready, None) < region_rank(Full, None));
}
