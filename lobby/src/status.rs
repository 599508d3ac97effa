//! Reads a machine's status over the same path a player takes.
//!
//! Path: `GET <public address>/gameserver/<instance>/status` → the edge → a lobby's Fly-Replay → the machine.
//! Invariants: one answer within [`STATUS_TIMEOUT_MS`] or none. So it works where the lobby cannot reach a machine
//! directly, and a machine that players cannot reach is never shown as ready.
//! Never: decides which machine to read; reading a sleeper's status would wake it.

use crate::by_kind::ByKind;
use crate::clock_skew::ClockSkews;
use crate::http_client::HttpClient;
use crate::machine_view::{Occupancy, Places};
use crate::metrics::Metrics;
use crate::unix_time::now_ms;
use axum::http::{Method, StatusCode};
use bytes::Bytes;
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::collections::BTreeMap;
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

/// A machine of another version may say less, or know other kinds: of a kind that it does not tell of it takes nobody.
#[derive(Deserialize)]
struct WireStatus {
    instance: String,
    #[serde(default)]
    kinds: BTreeMap<String, Places>,
    #[serde(default)]
    rooms: Vec<IgnoredAny>,
    rooms_max: Option<u32>,
    #[serde(default)]
    is_draining: bool,
    #[serde(default)]
    is_overloaded: bool,
    /// Its wall clock.
    unix_ms: Option<u64>,
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
            kinds: ByKind::of(|kind| self.kinds.get(kind.word()).copied().unwrap_or_default()),
            rooms: u32::try_from(self.rooms.len()).unwrap_or(u32::MAX),
            rooms_max: self.rooms_max.unwrap_or(ROOMS_MAX_ASSUMED_COUNT),
            is_draining: self.is_draining,
            is_overloaded: self.is_overloaded,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::room::Kind;

    #[test]
    fn a_status_is_read_from_old_machines_and_new_ones() {
        let old = br#"{"instance":"m1","region":"ewr","players":3,"pilots":23,"capacity":200,"rooms":[]}"#;
        let word = Kind::ALL[0].word();
        let new = format!(
            r#"{{"instance":"m1","region":"ewr","kinds":{{
            "cellar":{{"members":1,"population":1,"seats":1,"capacity":2,"is_open":true}},
            "{word}":{{"members":3,"population":23,"seats":140,"capacity":200,"is_open":true}}}},"rooms_max":8,
            "rooms":[{{"room":"{word}","members":1}},{{"room":"{word}-p-a","members":2}}],"is_draining":true}}"#
        );
        let read = |body: &[u8], instance: &str| parse(body, instance).map(|status| status.occupancy());
        assert_eq!(read(old, "m1"), Some(Occupancy { rooms_max: 1, ..Occupancy::default() }));
        let mut expected = Occupancy { rooms: 2, rooms_max: 8, is_draining: true, ..Occupancy::default() };
        let (members, population, seats, capacity, is_open) = (3, 23, 140, 200, true);
        expected.kinds[Kind::ALL[0]] = Places { members, population, seats, capacity, is_open };
        assert_eq!(read(new.as_bytes(), "m1"), Some(expected));
        assert_eq!(read(old, "m2"), None, "somebody else answered");
        assert_eq!(read(b"<html>", "m1"), None);
    }
}
