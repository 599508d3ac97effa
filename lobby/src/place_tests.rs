//! Tables of decisions: what is known → what is done.

use super::*;
use crate::server::Occupancy;
use crate::server::tests::server;
use Condition::{Asleep, Full, Ready, Unreachable, Waking};
use serde_json::json;
use std::sync::Arc;

fn fleet(servers: &[Server]) -> Snapshot {
    Snapshot {
        servers: servers.to_vec(),
        is_known: true,
        template: Some(Arc::new(json!({"image": "game"}))),
        ..Snapshot::default()
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
    let asleep = server("a", "ewr", Asleep, 0, 0);
    let quiet = server("b", "ewr", Ready, 1, 9);
    let busy = server("c", "ewr", Ready, 7, 9);
    let rising = server("d", "ewr", Waking, 0, 0);
    let full = server("e", "ewr", Full, 9, 9);
    let lost = server("f", "ewr", Unreachable, 0, 0);
    let there = server("g", "cdg", Ready, 0, 9);
    let table: [(&[&Server], &[Step]); 7] = [
        (&[&asleep, &quiet], &[take("b"), wake("a"), create("ewr-1")]),
        (&[&quiet, &busy, &there], &[take("c"), take("b"), create("ewr-1")]),
        (&[&asleep, &rising, &full], &[wake("d"), wake("a")]),
        (&[&full, &lost], &[create("ewr-1")]),
        (&[&full, &lost, &there], &[create("ewr-1")]),
        (&[&full, &full, &lost], &[]),
        (&[], &[create("ewr-1")]),
    ];
    for (servers, expected) in table {
        let servers: Vec<Server> = servers.iter().map(|&server| server.clone()).collect();
        assert_eq!(steps("ewr", Need::Seat, &fleet(&servers), &pools()), expected, "{servers:?}");
    }
}

#[test]
fn those_on_their_way_count_and_rooms_have_a_limit_of_their_own() {
    let two_left = server("a", "ewr", Ready, 7, 9);
    let promised = |seats, rooms| Server { promised_seats: seats, promised_rooms: rooms, ..two_left.clone() };
    let first = |server: Server, need| steps("ewr", need, &fleet(&[server]), &pools()).remove(0);
    for (server, need, expected) in [
        (promised(1, 0), Need::Seat, take("a")),
        (promised(2, 0), Need::Seat, create("ewr-1")),
        (promised(0, 0), Need::Room, take("a")),
        (promised(0, 1), Need::Room, create("ewr-1")),
        (promised(0, 1), Need::Seat, take("a")),
    ] {
        assert_eq!(first(server.clone(), need), expected, "{need:?} {server:?}");
    }
}

#[test]
fn a_pool_grows_to_its_maximum_and_the_fleet_to_its_own() {
    let named = |name: &str, region: &str| Server { name: name.into(), ..server(name, region, Full, 9, 9) };
    let two = [named("ewr-1", "ewr"), named("ewr-3", "ewr")];
    let three = [named("ewr-1", "ewr"), named("ewr-3", "ewr"), named("by-hand", "ewr")];
    let paris = ["cdg-1", "cdg-2", "cdg-3"].map(|name| named(name, "cdg"));
    assert_eq!(growth("ewr", &fleet(&two), &pools()).as_deref(), Ok("ewr-2"));
    assert_eq!(growth("ewr", &fleet(&three), &pools()), Err(NoGrowth::RegionAtLimit));
    assert_eq!(growth("ewr", &fleet(&[two.to_vec(), paris.to_vec()].concat()), &pools()), Err(NoGrowth::FleetAtLimit));
    assert_eq!(growth("nrt", &fleet(&two), &pools()), Err(NoGrowth::NoTemplate), "a region without a pool");
    let refused = [("ewr".to_owned(), WakeError::NoCapacity)].into();
    let lately = Snapshot { growth_refused: refused, ..fleet(&two) };
    assert_eq!(growth("ewr", &lately, &pools()), Err(NoGrowth::RefusedLately(WakeError::NoCapacity)));
    let bare = Snapshot { template: None, ..fleet(&two) };
    assert_eq!(growth("ewr", &bare, &pools()), Err(NoGrowth::NoTemplate));
}

#[test]
fn a_spare_is_made_ready_above_the_mark_and_one_at_a_time() {
    let up = |id: &str, players| server(id, "ewr", Ready, players, 100);
    let asleep = server("z", "ewr", Asleep, 0, 0);
    let both_rooms = |mut server: Server| {
        server.promised_rooms = 1;
        server
    };
    let drained = |mut server: Server| {
        server.occupancy = server.occupancy.map(|said| Occupancy { is_draining: true, ..said });
        server
    };
    let only_its_own = |mut server: Server| {
        server.occupancy = server.occupancy.map(|said| Occupancy { rooms_max: 1, ..said });
        server
    };
    let table: [(Vec<Server>, Option<Step>); 10] = [
        (vec![only_its_own(up("a", 1)), asleep.clone()], None),
        (vec![up("a", 80), asleep.clone()], None),
        (vec![up("a", 81), asleep.clone()], Some(wake("z"))),
        (vec![up("a", 81)], Some(create("ewr-1"))),
        (vec![up("a", 81), server("y", "ewr", Waking, 0, 0), asleep.clone()], None),
        (vec![up("a", 100), up("b", 10), asleep.clone()], None),
        (vec![both_rooms(up("a", 1)), asleep.clone()], Some(wake("z"))),
        (vec![drained(up("a", 100)), up("b", 10), asleep.clone()], None),
        (vec![asleep], None),
        (vec![], None),
    ];
    for (servers, expected) in table {
        assert_eq!(spare("ewr", &fleet(&servers), &pools()), expected, "{servers:?}");
    }
}

#[test]
fn only_tired_machines_that_a_lobby_created_are_surplus() {
    let now_ms = 10 * SURPLUS_AFTER_MS;
    let slept = |id: &str, is_grown, slept_ms: u64| Server {
        is_grown,
        changed_at_ms: now_ms - slept_ms,
        ..server(id, "ewr", Asleep, 0, 0)
    };
    let old = SURPLUS_AFTER_MS;
    let unknown = Server { changed_at_ms: 0, ..slept("u", true, old) };
    let busy = Server { is_grown: true, changed_at_ms: 1, ..server("w", "ewr", Ready, 1, 9) };
    let table: [(Vec<Server>, &[&str]); 7] = [
        (vec![slept("a", false, old), slept("b", true, old)], &["b"]),
        (vec![slept("a", false, old), slept("b", true, old - 1)], &[]),
        (vec![slept("a", false, old), slept("b", false, old)], &[]),
        (vec![slept("b", true, old)], &[]),
        (vec![slept("b", true, old), slept("c", true, old), slept("d", true, old)], &["b", "c"]),
        (vec![slept("a", false, old), unknown], &[]),
        (vec![slept("a", false, old), busy], &[]),
    ];
    for (servers, expected) in table {
        assert_eq!(surplus(&fleet(&servers), &pools(), now_ms), expected, "{servers:?}");
    }
}

#[test]
fn a_region_is_what_a_player_can_expect_of_it() {
    let ready = server("a", "ewr", Ready, 1, 9);
    let full = server("b", "ewr", Full, 9, 9);
    let no_host = server("c", "ewr", Full, 0, 0);
    let asleep = server("d", "ewr", Asleep, 0, 0);
    let waking = server("e", "ewr", Waking, 0, 0);
    let lost = server("f", "ewr", Unreachable, 0, 0);
    let table: [(&[&Server], Condition, Condition); 10] = [
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
    for (servers, growing, fixed) in table {
        let servers: Vec<Server> = servers.iter().map(|&server| server.clone()).collect();
        let snapshot = fleet(&servers);
        assert_eq!(region_condition("ewr", &snapshot, &pools()), growing, "{servers:?}");
        let bare = Snapshot { template: None, ..snapshot };
        assert_eq!(region_condition("ewr", &bare, &pools()), fixed, "{servers:?}");
    }
}

#[test]
fn the_offer_is_the_best_other_region_that_takes_somebody() {
    let newark = regions::find("ewr");
    let paris = server("a", "cdg", Ready, 1, 9);
    let tokyo = server("b", "nrt", Ready, 1, 9);
    let bare = |servers: &[Server]| Snapshot { template: None, ..fleet(servers) };
    let table: [(&[Server], Option<&str>); 4] = [
        (&[paris.clone(), tokyo.clone()], Some("cdg")),
        (&[Server { condition: Full, ..paris.clone() }, tokyo.clone()], Some("nrt")),
        (&[Server { condition: Unreachable, ..paris.clone() }], None),
        (&[], None),
    ];
    for (servers, expected) in table {
        assert_eq!(offer("ewr", newark, &bare(servers), &pools()).as_deref(), expected, "{servers:?}");
    }
    assert_eq!(by_distance(newark, &bare(&[tokyo]), &pools()), ["ewr", "cdg", "nrt"]);
}

#[test]
fn a_room_whose_machine_is_gone_goes_to_the_nearest_that_has_room_for_it() {
    let paris = server("p", "cdg", Ready, 1, 9);
    let newark = server("n", "ewr", Asleep, 0, 0);
    let packed = Server { promised_rooms: 1, ..paris.clone() };
    let plan = |id: &str, near: &str, servers: &[Server]| {
        let plan = elsewhere(id, regions::find(near), &fleet(servers), &pools());
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
