//! The departures board: which kinds of room there are, and what people are shown of each region, best first.
//!
//! Path: a [`FleetSnapshot`], the [`Pools`] and the region of the asker's edge go in, [`Board`] comes out and is sent as JSON.
//! Invariants: pure; the same facts give the same bytes, so that a stream can send changes only; every region of the
//! pools is there, whatever the API says; rooms are counted and never named, because a private one's name is its key.
//! Never: a machine's state in Fly's words.

use crate::by_kind::ByKind;
use crate::fleet_state::FleetSnapshot;
use crate::machine_view::{Condition, MachineView, Places};
use crate::placement;
use crate::pools::Pools;
use crate::regions::{self, Region};
use crate::wake_times::WakeTimes;
use catalogue::Catalogue;
use protocol::room::Kind;
use serde::Serialize;

/// The answer of `GET /api/regions`.
#[derive(Debug, Serialize)]
pub struct Board {
    you: You,
    /// The Machines API refuses at the moment; this is its last answer.
    stale: bool,
    /// Every kind of room, in the order in which they are offered.
    kinds: Vec<KindTitle>,
    regions: Vec<RegionRow>,
}

#[derive(Debug, Serialize)]
struct KindTitle {
    word: &'static str,
    title: String,
    about: String,
    webgl: bool,
}

/// A region, for those who want one kind of room.
#[derive(Debug, Serialize)]
struct KindRow {
    status: &'static str,
    /// In all its rooms.
    people: u32,
    /// Free in public rooms, on all machines that are up.
    seats: u32,
}

#[derive(Debug, Serialize)]
struct You {
    region: Option<String>,
}

#[derive(Debug, Serialize)]
struct RegionRow {
    region: String,
    place: String,
    /// What the best of the kinds can expect.
    status: &'static str,
    kinds: ByKind<KindRow>,
    /// Open rooms, people, people and computer pilots, and people there is room for, on all machines that are up.
    rooms: u32,
    players: u32,
    pilots: u32,
    capacity: u32,
    machines: MachineCounts,
    /// `None` when the player's region is not known.
    latency_ms: Option<u32>,
    latency: &'static str,
    /// A machine that is up: the page measures the latency to it.
    probe: Option<String>,
    /// How long recent starts took; `None` before the first.
    wake: Option<WakeSummary>,
    latitude: Option<f64>,
    longitude: Option<f64>,
}

#[derive(Debug, Serialize)]
struct MachineCounts {
    up: usize,
    all: usize,
    max: usize,
}

#[derive(Debug, Serialize)]
struct WakeSummary {
    p50_ms: u32,
    p95_ms: u32,
    samples: usize,
}

impl Board {
    /// The board for a player whose edge is in `edge`; `home` stands in for an edge that is not known.
    pub fn new(
        snapshot: &FleetSnapshot,
        pools: &Pools,
        kinds: &Catalogue,
        edge: Option<&str>,
        home: Option<&str>,
    ) -> Self {
        let from = edge.and_then(regions::find).or_else(|| home.and_then(regions::find));
        let codes = placement::by_distance(from, snapshot, pools);
        let mut rows: Vec<_> = codes.iter().map(|code| ranked_row(code, snapshot, pools, from)).collect();
        // Stable: what ranks the same stays in the order of distance and code.
        rows.sort_by_key(|(rank, _)| *rank);
        Self {
            you: You { region: edge.map(str::to_owned) },
            stale: snapshot.is_stale,
            kinds: kinds
                .iter()
                .map(|(kind, entry)| KindTitle {
                    word: kind.word(),
                    title: entry.title.clone(),
                    about: entry.about.clone(),
                    webgl: entry.webgl,
                })
                .collect(),
            regions: rows.into_iter().map(|(_, row)| row).collect(),
        }
    }

    /// As JSON text.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("text and numbers always serialise")
    }
}

fn ranked_row(code: &str, snapshot: &FleetSnapshot, pools: &Pools, from: Option<&Region>) -> ((bool, u32), RegionRow) {
    let condition = placement::region_condition(code, snapshot, pools);
    let latency_ms = placement::latency_ms(code, from);
    let machines: Vec<&MachineView> = snapshot.machines.iter().filter(|machine| machine.region == code).collect();
    let answering = machines.iter().filter(|machine| machine.condition != Condition::Unreachable);
    let up: Vec<_> = answering.filter_map(|machine| Some((*machine, machine.occupancy?))).collect();
    let sum = |of: fn(&Places) -> u32| up.iter().flat_map(|(_, occupancy)| occupancy.kinds.iter()).map(of).sum();
    let seats = |kind: Kind| {
        let ready = up.iter().filter(|(machine, _)| machine.condition == Condition::Ready);
        ready.map(|(machine, occupancy)| occupancy.kinds[kind].seats.saturating_sub(machine.reserved_seats[kind])).sum()
    };
    let ready = machines.iter().find(|machine| machine.condition == Condition::Ready);
    let region = regions::find(code);
    let row = RegionRow {
        region: code.to_owned(),
        place: region.map_or(code, Region::place).to_owned(),
        status: word(condition),
        kinds: ByKind::of(|kind| KindRow {
            status: word(placement::region_condition_for(kind, code, snapshot, pools)),
            people: up.iter().map(|(_, occupancy)| occupancy.kinds[kind].members).sum(),
            seats: seats(kind),
        }),
        rooms: up.iter().map(|(_, occupancy)| occupancy.rooms).sum(),
        players: sum(|places| places.members),
        pilots: sum(|places| places.population),
        capacity: sum(|places| places.capacity),
        machines: MachineCounts {
            up: up.len(),
            all: machines.len(),
            max: pools.find(code).map_or(machines.len(), |pool| machines.len().max(pool.machines_max as usize)),
        },
        latency_ms,
        latency: "estimated",
        probe: ready.map(|machine| machine.instance.clone()),
        wake: snapshot.wake_times.get(code).and_then(wake),
        latitude: region.map(|region| region.latitude),
        longitude: region.map(|region| region.longitude),
    };
    (placement::region_rank(condition, latency_ms), row)
}

fn wake(times: &WakeTimes) -> Option<WakeSummary> {
    let (p50_ms, p95_ms) = (times.percentile_ms(50)?, times.percentile_ms(95)?);
    Some(WakeSummary { p50_ms, p95_ms, samples: times.count() })
}

fn word(condition: Condition) -> &'static str {
    match condition {
        Condition::Ready => "up",
        Condition::Full => "full",
        Condition::Asleep => "asleep",
        Condition::Waking => "waking",
        Condition::Unreachable => "unreachable",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine_view::tests::{KIND, machine};
    use Condition::{Asleep, Full, Ready, Unreachable};
    use serde_json::{Value, json};
    use std::time::Duration;

    fn board(machines: &[MachineView], edge: Option<&str>, home: Option<&str>) -> Value {
        let mut snapshot = FleetSnapshot { machines: machines.to_vec(), is_known: true, ..FleetSnapshot::default() };
        snapshot.wake_times.entry("cdg".into()).or_default().add(Duration::from_millis(1_200));
        serde_json::from_str(&Board::new(&snapshot, &Pools::built_in(), &Catalogue::built_in(), edge, home).to_json())
            .unwrap()
    }

    fn order(machines: &[MachineView], edge: Option<&str>, home: Option<&str>) -> Vec<String> {
        let board = board(machines, edge, home);
        board["regions"].as_array().unwrap().iter().map(|row| row["region"].as_str().unwrap().to_owned()).collect()
    }

    /// SPEC S10.8.
    #[test]
    fn the_best_for_the_asker_comes_first() {
        let paris = machine("p", "cdg", Ready, 3, 150);
        let fleet = [machine("t", "nrt", Asleep, 0, 0), paris.clone(), machine("j", "ewr", Asleep, 0, 0)];
        assert_eq!(order(&fleet, Some("ewr"), None), ["ewr", "cdg", "nrt"]);
        assert_eq!(order(&fleet, Some("fra"), Some("ewr")), ["cdg", "ewr", "nrt"]);
        assert_eq!(order(&fleet, None, Some("sin")), ["nrt", "cdg", "ewr"]);
        assert_eq!(order(&fleet, Some("not a region"), None), ["cdg", "ewr", "nrt"], "by code when nothing is known");
        let closed = [
            machine("f", "ewr", Full, 9, 9),
            machine("l", "cdg", Unreachable, 0, 0),
            machine("far", "nrt", Asleep, 0, 0),
        ];
        assert_eq!(order(&closed, Some("ewr"), None), ["nrt", "ewr", "cdg"]);
    }

    #[test]
    fn a_row_sums_the_machines_of_its_region() {
        let up = [machine("a1", "cdg", Ready, 3, 150), machine("a2", "cdg", Full, 150, 150)];
        let fleet = [up.to_vec(), vec![machine("a3", "cdg", Asleep, 0, 0)]].concat();
        let board = board(&fleet, Some("ewr"), None);
        let row = board["regions"].as_array().unwrap().iter().find(|row| row["region"] == "cdg").unwrap();
        for (key, expected) in [
            ("place", json!("Paris")),
            ("status", json!("up")),
            ("rooms", json!(2 * Kind::ALL.len())),
            ("players", json!(153)),
            ("pilots", json!(193)),
            ("machines", json!({"up": 2, "all": 3, "max": 4})),
            ("latency", json!("estimated")),
            ("probe", json!("a1")),
            ("wake", json!({"p50_ms": 1200, "p95_ms": 1200, "samples": 1})),
        ] {
            assert_eq!(row[key], expected, "{key}");
        }
        assert_eq!(row["kinds"][KIND.word()], json!({"status": "up", "people": 153, "seats": 147}));
        assert_eq!(board["you"]["region"], "ewr");
        assert!(row["latitude"].is_f64() && row["latency_ms"].is_u64());
    }

    /// SPEC S10.8.
    #[test]
    fn every_kind_is_offered_with_a_title_and_a_sentence() {
        let board = board(&[], None, None);
        let words = board["kinds"].as_array().unwrap().iter().map(|kind| kind["word"].as_str().unwrap());
        assert!(words.eq(Kind::ALL.map(Kind::word)), "{board}");
        assert!(board["kinds"][0]["title"].is_string() && board["kinds"][0]["about"].as_str().unwrap().ends_with('.'));
    }

    #[test]
    fn a_kind_that_is_full_is_so_for_those_who_want_it() {
        let board =
            board(&[machine("a1", "cdg", Ready, 150, 150), machine("a2", "cdg", Unreachable, 0, 0)], None, None);
        let row = board["regions"].as_array().unwrap().iter().find(|row| row["region"] == "cdg").unwrap();
        for kind in Kind::ALL {
            let expected = if kind == KIND { ("full", 0) } else { ("up", 9) };
            let row = &row["kinds"][kind.word()];
            assert_eq!((row["status"].as_str().unwrap(), row["seats"].as_u64().unwrap()), expected);
        }
    }

    #[test]
    fn every_region_of_the_pools_is_there_even_when_nothing_is_known() {
        let board = board(&[], Some("ewr"), None);
        let rows = board["regions"].as_array().unwrap();
        assert_eq!(rows.len(), Pools::built_in().regions.len());
        assert!(rows.iter().all(|row| row["status"] == "unreachable" && row["probe"].is_null()), "{board}");
    }
}
