//! What a machine says about itself, read over the same path a player takes.
//!
//! Path: `GET <public address>/gameserver/<instance>/status` → the edge → a lobby's Fly-Replay → the machine.
//! Invariants: one answer within [`STATUS_TIMEOUT_MS`] or none. So it works where the lobby cannot reach a machine
//! directly, and a machine that players cannot reach is never shown as ready.
//! Never: decides whom to ask; asking a sleeper would wake it.

use crate::book::Occupancy;
use crate::client::Client;
use axum::http::{Method, StatusCode};
use serde::Deserialize;
use std::time::Duration;

/// Longest a status read may take. Policy: the machine has not answered.
const STATUS_TIMEOUT_MS: u64 = 2_000;

/// Reads status answers.
#[derive(Debug, Clone)]
pub struct StatusReader {
    client: Client,
    public_url: String,
}

#[derive(Deserialize)]
struct WireStatus {
    instance: String,
    #[serde(flatten)]
    occupancy: Occupancy,
}

impl StatusReader {
    /// Reads through `public_url`, the address players open.
    pub fn new(client: Client, public_url: String) -> Self {
        Self { client, public_url }
    }

    /// How busy `instance` is; `None` when it does not answer as itself in time.
    pub async fn read(&self, instance: &str) -> Option<Occupancy> {
        let url = format!("{}/gameserver/{instance}/status", self.public_url);
        let answer = self.client.request(Method::GET, &url, None, Duration::from_millis(STATUS_TIMEOUT_MS)).await;
        let (status, body) = answer.inspect_err(|error| tracing::debug!(instance, %error, "no status")).ok()?;
        if status != StatusCode::OK {
            tracing::debug!(instance, status = status.as_u16(), "no status");
            return None;
        }
        let said: WireStatus = serde_json::from_slice(&body).ok()?;
        (said.instance == instance).then_some(said.occupancy)
    }
}
