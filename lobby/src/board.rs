//! The departures board: what a player is shown, best first.
//!
//! Path: a [`Snapshot`] and the region of the player's edge go in, [`Board`] comes out and is sent as JSON.
//! Invariants: pure; the same facts give the same bytes, so that a stream can send changes only.
//! Never: a machine's state in Fly's words.

use crate::book::{Condition, Server, Snapshot};
use crate::regions::{self, Region};
use serde::Serialize;

/// Room on a machine that sleeps and so cannot say.
const CAPACITY_ASSUMED_PLAYERS: u32 = 200;

/// The answer of `GET /api/regions`.
#[derive(Debug, Serialize)]
pub struct Board {
    you: You,
    /// The Machines API refuses at the moment; this is what it said before.
    stale: bool,
    servers: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct You {
    region: Option<String>,
}

#[derive(Debug, Serialize)]
struct Row {
    instance: String,
    region: String,
    place: String,
    status: &'static str,
    players: u32,
    pilots: u32,
    capacity: u32,
    /// `None` when the player's region is not known.
    latency_ms: Option<u32>,
    latency: &'static str,
    latitude: Option<f64>,
    longitude: Option<f64>,
}

impl Board {
    /// The board for a player whose edge is in `edge`; `home` stands in for an edge that is not known.
    pub fn new(snapshot: &Snapshot, edge: Option<&str>, home: Option<&str>) -> Self {
        let from = edge.and_then(regions::find).or_else(|| home.and_then(regions::find));
        let mut servers: Vec<&Server> = snapshot.servers.iter().collect();
        servers.sort_by_cached_key(|server| rank(server, from));
        Self {
            you: You { region: edge.map(str::to_owned) },
            stale: snapshot.is_stale,
            servers: servers.into_iter().map(|server| row(server, from)).collect(),
        }
    }

    /// As JSON text.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("text and numbers always serialise")
    }
}

/// Where a player can fly comes first, then the nearest, then by region code; the instance makes it total.
fn rank(server: &Server, from: Option<&Region>) -> (bool, u32, String, String) {
    let is_closed = matches!(server.condition, Condition::Full | Condition::Unreachable);
    let latency_ms = latency_ms(regions::find(&server.region), from).unwrap_or(u32::MAX);
    (is_closed, latency_ms, server.region.clone(), server.instance.clone())
}

fn latency_ms(to: Option<&Region>, from: Option<&Region>) -> Option<u32> {
    Some(from?.round_trip_ms(to?))
}

fn row(server: &Server, from: Option<&Region>) -> Row {
    let region = regions::find(&server.region);
    Row {
        instance: server.instance.clone(),
        region: server.region.clone(),
        place: region.map_or(server.region.as_str(), Region::place).to_owned(),
        status: word(server.condition),
        players: server.occupancy.map_or(0, |said| said.players),
        pilots: server.occupancy.map_or(0, |said| said.pilots),
        capacity: server.occupancy.map_or(CAPACITY_ASSUMED_PLAYERS, |said| said.capacity),
        latency_ms: latency_ms(region, from),
        latency: "estimated",
        latitude: region.map(|region| region.latitude),
        longitude: region.map(|region| region.longitude),
    }
}

fn word(condition: Condition) -> &'static str {
    match condition {
        Condition::Ready => "ready",
        Condition::Full => "full",
        Condition::Asleep => "asleep",
        Condition::Waking => "waking",
        Condition::Unreachable => "unreachable",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::book::Occupancy;

    fn server(instance: &str, region: &str, condition: Condition) -> Server {
        let occupancy = (condition == Condition::Ready).then_some(Occupancy { players: 3, pilots: 23, capacity: 150 });
        Server {
            instance: instance.into(),
            region: region.into(),
            condition,
            is_started: occupancy.is_some(),
            occupancy,
        }
    }

    fn order(servers: &[Server], edge: Option<&str>, home: Option<&str>) -> Vec<String> {
        let snapshot = Snapshot { servers: servers.to_vec(), ..Snapshot::default() };
        Board::new(&snapshot, edge, home).servers.into_iter().map(|row| row.instance).collect()
    }

    #[test]
    fn the_best_for_the_asker_comes_first() {
        use Condition::{Asleep, Full, Ready, Unreachable};
        let fleet = [server("tokyo", "nrt", Asleep), server("paris", "cdg", Ready), server("jersey", "ewr", Asleep)];
        assert_eq!(order(&fleet, Some("ewr"), None), ["jersey", "paris", "tokyo"]);
        assert_eq!(order(&fleet, Some("fra"), Some("ewr")), ["paris", "jersey", "tokyo"]);
        assert_eq!(order(&fleet, None, Some("sin")), ["tokyo", "paris", "jersey"]);
        assert_eq!(
            order(&fleet, Some("not a region"), None),
            ["paris", "jersey", "tokyo"],
            "by code when nothing is known"
        );
        let closed = [server("full", "ewr", Full), server("lost", "ewr", Unreachable), server("far", "nrt", Asleep)];
        assert_eq!(order(&closed, Some("ewr"), None), ["far", "full", "lost"]);
    }

    #[test]
    fn a_row_says_what_the_page_shows() {
        let servers = vec![server("a1", "ewr", Condition::Ready), server("b2", "cdg", Condition::Asleep)];
        let snapshot = Snapshot { servers, is_known: true, ..Snapshot::default() };
        let json: serde_json::Value =
            serde_json::from_str(&Board::new(&snapshot, Some("ewr"), None).to_json()).unwrap();
        let expected = serde_json::json!({
            "instance": "a1", "region": "ewr", "place": "New Jersey", "status": "ready", "players": 3, "pilots": 23,
            "capacity": 150, "latency_ms": 5, "latency": "estimated",
        });
        assert_eq!(json["you"]["region"], "ewr");
        for key in ["instance", "region", "place", "status", "players", "pilots", "capacity", "latency_ms", "latency"] {
            assert_eq!(json["servers"][0][key], expected[key], "{key}");
        }
        assert!(json["servers"][0]["latitude"].is_f64());
        assert_eq!((&json["servers"][1]["status"], &json["servers"][1]["place"]), (&"asleep".into(), &"Paris".into()));
    }
}
