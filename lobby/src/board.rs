//! The departures board: what a player is shown of each region, best first.
//!
//! Path: a [`FleetSnapshot`], the [`Pools`] and the region of the player's edge go in, [`Board`] comes out and is sent as JSON.
//! Invariants: pure; the same facts give the same bytes, so that a stream can send changes only; every region of the
//! pools is there, whatever the API says; rooms are counted and never named, because a private one's name is its key.
//! Never: a machine's state in Fly's words.

use crate::fleet_state::FleetSnapshot;
use crate::machine_view::{Condition, MachineView, Occupancy};
use crate::placement;
use crate::pools::Pools;
use crate::regions::{self, Region};
use crate::wake_times::WakeTimes;
use serde::Serialize;

/// The answer of `GET /api/regions`.
#[derive(Debug, Serialize)]
pub struct Board {
    you: You,
    /// The Machines API refuses at the moment; this is its last answer.
    stale: bool,
    regions: Vec<RegionRow>,
}

#[derive(Debug, Serialize)]
struct You {
    region: Option<String>,
}

#[derive(Debug, Serialize)]
struct RegionRow {
    region: String,
    place: String,
    status: &'static str,
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
    pub fn new(snapshot: &FleetSnapshot, pools: &Pools, edge: Option<&str>, home: Option<&str>) -> Self {
        let from = edge.and_then(regions::find).or_else(|| home.and_then(regions::find));
        let codes = placement::by_distance(from, snapshot, pools);
        let mut rows: Vec<_> = codes.iter().map(|code| ranked_row(code, snapshot, pools, from)).collect();
        // Stable: what ranks the same stays in the order of distance and code.
        rows.sort_by_key(|(rank, _)| *rank);
        Self {
            you: You { region: edge.map(str::to_owned) },
            stale: snapshot.is_stale,
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
    let occupancies: Vec<&Occupancy> = answering.filter_map(|machine| machine.occupancy.as_ref()).collect();
    let sum = |of: fn(&Occupancy) -> u32| occupancies.iter().copied().map(of).sum();
    let ready = machines.iter().find(|machine| machine.condition == Condition::Ready);
    let region = regions::find(code);
    let row = RegionRow {
        region: code.to_owned(),
        place: region.map_or(code, Region::place).to_owned(),
        status: word(condition),
        rooms: sum(|occupancy| occupancy.rooms),
        players: sum(|occupancy| occupancy.players),
        pilots: sum(|occupancy| occupancy.pilots),
        capacity: sum(|occupancy| occupancy.capacity),
        machines: MachineCounts {
            up: occupancies.len(),
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
    use crate::machine_view::tests::machine;
    use Condition::{Asleep, Full, Ready, Unreachable};
    use serde_json::{Value, json};
    use std::time::Duration;

    fn board(machines: &[MachineView], edge: Option<&str>, home: Option<&str>) -> Value {
        let mut snapshot = FleetSnapshot { machines: machines.to_vec(), is_known: true, ..FleetSnapshot::default() };
        snapshot.wake_times.entry("cdg".into()).or_default().add(Duration::from_millis(1_200));
        serde_json::from_str(&Board::new(&snapshot, &Pools::built_in(), edge, home).to_json()).unwrap()
    }

    fn order(machines: &[MachineView], edge: Option<&str>, home: Option<&str>) -> Vec<String> {
        let board = board(machines, edge, home);
        board["regions"].as_array().unwrap().iter().map(|row| row["region"].as_str().unwrap().to_owned()).collect()
    }

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
            ("rooms", json!(2)),
            ("players", json!(153)),
            ("pilots", json!(193)),
            ("capacity", json!(300)),
            ("machines", json!({"up": 2, "all": 3, "max": 4})),
            ("latency", json!("estimated")),
            ("probe", json!("a1")),
            ("wake", json!({"p50_ms": 1200, "p95_ms": 1200, "samples": 1})),
        ] {
            assert_eq!(row[key], expected, "{key}");
        }
        assert_eq!(board["you"]["region"], "ewr");
        assert!(row["latitude"].is_f64() && row["latency_ms"].is_u64());
    }

    #[test]
    fn every_region_of_the_pools_is_there_even_when_nothing_is_known() {
        let board = board(&[], Some("ewr"), None);
        let rows = board["regions"].as_array().unwrap();
        assert_eq!(rows.len(), Pools::built_in().regions.len());
        assert!(rows.iter().all(|row| row["status"] == "unreachable" && row["probe"].is_null()), "{board}");
    }
}
