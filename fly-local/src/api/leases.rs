//! Leases: take, refresh, show, give back.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State as Shared};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Deserialize;

use super::error::{ApiError, invalid, not_found};
use super::{Answer, OfMachine, Parameters, body, nonce, ok, parameter, reachable};
use crate::fleet::Fleet;

#[derive(Deserialize)]
struct Wanted {
    /// Seconds.
    #[serde(default)]
    ttl: Option<u64>,
    #[serde(default)]
    description: String,
}

pub(super) async fn take(
    Shared(fleet): Shared<Arc<Fleet>>,
    Path((app, id)): OfMachine,
    Query(parameters): Parameters,
    headers: HeaderMap,
    bytes: Bytes,
) -> Result<Response, ApiError> {
    let machine = reachable(&fleet, &app, &id)?;
    let wanted: Wanted = body(&bytes)?;
    let ttl = match parameter(&parameters, "ttl") {
        Some(text) => Some(text.parse().map_err(|_| invalid(&format!("ttl: `{text}` is not a number of seconds")))?),
        None => wanted.ttl,
    };
    let version = machine.view().version;
    let taken = machine.leases().take(nonce(&headers), ttl, &wanted.description, &version);
    let lease = taken.map_err(|lease| ApiError::leased(&lease, &id))?;
    Ok((StatusCode::CREATED, Json(lease.shown())).into_response())
}

pub(super) async fn show(Shared(fleet): Shared<Arc<Fleet>>, Path((app, id)): OfMachine) -> Answer {
    let machine = reachable(&fleet, &app, &id)?;
    let shown = machine.leases().current().map(|lease| lease.shown());
    shown.map(Json).ok_or_else(|| not_found("the machine has no lease"))
}

pub(super) async fn release(
    Shared(fleet): Shared<Arc<Fleet>>,
    Path((app, id)): OfMachine,
    headers: HeaderMap,
) -> Answer {
    let machine = reachable(&fleet, &app, &id)?;
    let released = machine.leases().release(nonce(&headers));
    released.map_err(|lease| ApiError::leased(&lease, &id))?;
    ok()
}
