//! What a machine says about itself, read over the same path a player takes.
//!
//! Path: `GET <public address>/gameserver/<instance>/status` → the edge → a lobby's Fly-Replay → the machine.
//! Invariants: one answer within [`STATUS_TIMEOUT_MS`] or none. So it works where the lobby cannot reach a machine
//! directly, and a machine that players cannot reach is never shown as ready.
//! Never: decides whom to ask; asking a sleeper would wake it.

use crate::client::Client;
use crate::server::Occupancy;
use axum::http::{Method, StatusCode};
use bytes::Bytes;
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::time::Duration;

/// Longest a status read may take. Policy: the machine has not answered.
const STATUS_TIMEOUT_MS: u64 = 2_000;
/// Rooms of a machine that does not say how many it may have: its own public field.
const ROOMS_MAX_ASSUMED_COUNT: u32 = 1;

/// Reads status answers.
#[derive(Debug, Clone)]
pub struct StatusReader {
    client: Client,
    public_url: String,
}

/// A machine of another version may say less.
#[derive(Deserialize)]
struct WireStatus {
    instance: String,
    players: u32,
    pilots: u32,
    capacity: u32,
    #[serde(default)]
    rooms: Vec<IgnoredAny>,
    rooms_max: Option<u32>,
    #[serde(default)]
    is_draining: bool,
}

impl StatusReader {
    /// Reads through `public_url`, the address players open.
    pub fn new(client: Client, public_url: String) -> Self {
        Self { client, public_url }
    }

    /// How busy `instance` is; `None` when it does not answer as itself in time.
    pub async fn read(&self, instance: &str) -> Option<Occupancy> {
        let url = format!("{}/gameserver/{instance}/status", self.public_url);
        let timeout = Duration::from_millis(STATUS_TIMEOUT_MS);
        let answer = self.client.request(Method::GET, &url, None, Bytes::new(), timeout).await;
        let (status, body) = answer.inspect_err(|error| tracing::debug!(instance, %error, "no status")).ok()?;
        if status != StatusCode::OK {
            tracing::debug!(instance, status = status.as_u16(), "no status");
            return None;
        }
        understand(&body, instance)
    }
}

fn understand(body: &[u8], instance: &str) -> Option<Occupancy> {
    let said: WireStatus = serde_json::from_slice(body).ok()?;
    (said.instance == instance).then(|| Occupancy {
        players: said.players,
        pilots: said.pilots,
        capacity: said.capacity,
        rooms: u32::try_from(said.rooms.len()).unwrap_or(u32::MAX),
        rooms_max: said.rooms_max.unwrap_or(ROOMS_MAX_ASSUMED_COUNT),
        is_draining: said.is_draining,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_read_from_old_machines_and_new_ones() {
        let old = br#"{"instance":"m1","region":"ewr","players":3,"pilots":23,"capacity":200,"rooms":[]}"#;
        let new = br#"{"instance":"m1","region":"ewr","players":3,"pilots":23,"capacity":200,"rooms_max":8,
            "rooms":[{"room":"arena","players":1},{"room":"field-a","players":2}],"is_draining":true}"#;
        let said = Occupancy { players: 3, pilots: 23, capacity: 200, rooms: 0, rooms_max: 1, is_draining: false };
        assert_eq!(understand(old, "m1"), Some(said));
        assert_eq!(understand(new, "m1"), Some(Occupancy { rooms: 2, rooms_max: 8, is_draining: true, ..said }));
        assert_eq!(understand(old, "m2"), None, "somebody else answered");
        assert_eq!(understand(b"<html>", "m1"), None);
    }
}
