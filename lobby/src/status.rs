//! Reads a machine's status over the same path a player takes.
//!
//! Path: `GET <public address>/gameserver/<instance>/status` → the edge → a lobby's Fly-Replay → the machine.
//! Invariants: one answer within [`STATUS_TIMEOUT_MS`] or none. So it works where the lobby cannot reach a machine
//! directly, and a machine that players cannot reach is never shown as ready.
//! Never: decides which machine to read; reading a sleeper's status would wake it.

use crate::clock_skew::ClockSkews;
use crate::http_client::HttpClient;
use crate::machine_view::Occupancy;
use crate::metrics::Metrics;
use crate::unix_time::now_ms;
use axum::http::{Method, StatusCode};
use bytes::Bytes;
use protocol::room::Kind;
use serde::Deserialize;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Longest a status read may take. Policy: the machine has not answered.
const STATUS_TIMEOUT_MS: u64 = 2_000;
/// Rooms of a machine that does not say how many it may have: its own public room.
const ROOMS_MAX_ASSUMED_COUNT: u32 = 1;

/// Reads status answers.
#[derive(Debug, Clone)]
pub struct StatusReader {
    client: HttpClient,
    public_url: String,
    skews: Arc<ClockSkews>,
    metrics: Arc<Metrics>,
}

/// A machine of another version may say less.
#[derive(Deserialize)]
struct WireStatus {
    instance: String,
    players: u32,
    pilots: u32,
    capacity: u32,
    #[serde(default)]
    rooms: Vec<WireRoom>,
    rooms_max: Option<u32>,
    #[serde(default)]
    is_draining: bool,
    /// Its wall clock.
    unix_ms: Option<u64>,
}

#[derive(Deserialize)]
struct WireRoom {
    room: String,
    /// Said of public rooms, which are listed whether they are open or not.
    #[serde(default)]
    is_open: bool,
}

impl StatusReader {
    /// Reads through `public_url`, the address players open.
    pub fn new(client: HttpClient, public_url: String, metrics: Arc<Metrics>) -> Self {
        Self { client, public_url, skews: Arc::default(), metrics }
    }

    /// How busy `instance` is; `None` when it does not answer as itself in time.
    pub async fn read(&self, instance: &str) -> Option<Occupancy> {
        let url = format!("{}/gameserver/{instance}/status", self.public_url);
        let (timeout, asked_ms) = (Duration::from_millis(STATUS_TIMEOUT_MS), now_ms());
        let answer = self.client.request(Method::GET, &url, None, Bytes::new(), timeout).await;
        let (status, body) = answer.inspect_err(|error| tracing::debug!(instance, %error, "no status")).ok()?;
        if status != StatusCode::OK {
            tracing::debug!(instance, status = status.as_u16(), "no status");
            self.note_refusal(instance, status);
            return None;
        }
        let status = parse(&body, instance)?;
        if let Some(its_ms) = status.unix_ms {
            let ahead_ms = self.skews.observe(instance, its_ms, asked_ms, now_ms(), Instant::now());
            self.metrics.machine_clock_ahead_ms.set(ahead_ms);
        }
        Some(status.occupancy())
    }

    /// A machine that refuses what this lobby signs never gets ready, and only the log can say why.
    fn note_refusal(&self, instance: &str, status: StatusCode) {
        if status == StatusCode::FORBIDDEN && self.skews.may_warn(instance, Instant::now()) {
            tracing::warn!(
                instance,
                "a machine refuses what this lobby signs: its clock is far off, or its AERODROME_SECRET is another one"
            );
        }
    }
}

fn parse(body: &[u8], instance: &str) -> Option<WireStatus> {
    serde_json::from_slice(body).ok().filter(|status: &WireStatus| status.instance == instance)
}

impl WireStatus {
    fn occupancy(&self) -> Occupancy {
        Occupancy {
            players: self.players,
            pilots: self.pilots,
            capacity: self.capacity,
            rooms: u32::try_from(self.rooms.len()).unwrap_or(u32::MAX),
            rooms_max: self.rooms_max.unwrap_or(ROOMS_MAX_ASSUMED_COUNT),
            is_draining: self.is_draining,
            open: Kind::ALL.map(|kind| self.rooms.iter().any(|room| room.room == kind.word() && room.is_open)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_read_from_old_machines_and_new_ones() {
        let old = br#"{"instance":"m1","region":"ewr","players":3,"pilots":23,"capacity":200,"rooms":[]}"#;
        let new = br#"{"instance":"m1","region":"ewr","players":3,"pilots":23,"capacity":200,"rooms_max":8,
            "rooms":[{"room":"arena","players":1,"is_open":true},{"room":"field-a","players":2}],"is_draining":true}"#;
        let read = |body: &[u8], instance: &str| parse(body, instance).map(|status| status.occupancy());
        let open = Kind::ALL.map(|_| false);
        let (players, pilots, capacity) = (3, 23, 200);
        let expected = Occupancy { players, pilots, capacity, rooms: 0, rooms_max: 1, is_draining: false, open };
        assert_eq!(read(old, "m1"), Some(expected));
        let open = Kind::ALL.map(|kind| kind == Kind::Arena);
        assert_eq!(read(new, "m1"), Some(Occupancy { rooms: 2, rooms_max: 8, is_draining: true, open, ..expected }));
        assert_eq!(read(old, "m2"), None, "somebody else answered");
        assert_eq!(read(b"<html>", "m1"), None);
    }
}
