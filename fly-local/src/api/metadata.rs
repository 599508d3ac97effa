//! A machine's metadata: words that others put on it. Changing them restarts nothing and makes no new version.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State as Shared};
use axum::http::StatusCode;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;

use super::error::{ApiError, not_found, precondition};
use super::{Answer, OfMachine, body, find};
use crate::fleet::Fleet;
use crate::machine::Machine;

type OfKey = Path<(String, String, String)>;

#[derive(Deserialize)]
struct Change {
    /// An empty or missing text takes the key away.
    metadata: BTreeMap<String, Option<String>>,
    #[serde(default)]
    machine_version: Option<String>,
}

#[derive(Deserialize)]
struct NewValue {
    value: String,
}

pub(super) async fn show(Shared(fleet): Shared<Arc<Fleet>>, Path((app, id)): OfMachine) -> Answer {
    let machine = find(&fleet, &app, &id)?;
    Ok(Json(json!(machine.view().spec.metadata())))
}

pub(super) async fn change(
    Shared(fleet): Shared<Arc<Fleet>>,
    Path((app, id)): OfMachine,
    bytes: Bytes,
) -> Result<StatusCode, ApiError> {
    let machine = find(&fleet, &app, &id)?;
    let change: Change = body(&bytes)?;
    if change.machine_version.is_some_and(|version| version != machine.view().version) {
        return Err(precondition("machine version does not match the current version"));
    }
    apply(&machine, change.metadata);
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn value(Shared(fleet): Shared<Arc<Fleet>>, Path((app, id, key)): OfKey) -> Answer {
    let machine = find(&fleet, &app, &id)?;
    let value = machine.view().spec.metadata().get(&key).cloned();
    value.map(|value| Json(json!({ "value": value }))).ok_or_else(|| not_found("metadata key not found"))
}

pub(super) async fn set(
    Shared(fleet): Shared<Arc<Fleet>>,
    Path((app, id, key)): OfKey,
    bytes: Bytes,
) -> Result<StatusCode, ApiError> {
    let machine = find(&fleet, &app, &id)?;
    let new: NewValue = body(&bytes)?;
    apply(&machine, BTreeMap::from([(key, Some(new.value))]));
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn remove(
    Shared(fleet): Shared<Arc<Fleet>>,
    Path((app, id, key)): OfKey,
) -> Result<StatusCode, ApiError> {
    let machine = find(&fleet, &app, &id)?;
    apply(&machine, BTreeMap::from([(key, None)]));
    Ok(StatusCode::NO_CONTENT)
}

fn apply(machine: &Machine, changes: BTreeMap<String, Option<String>>) {
    machine.modify(|view| {
        let mut metadata = view.spec.metadata().clone();
        for (key, value) in changes {
            match value.filter(|value| !value.is_empty()) {
                Some(value) => metadata.insert(key, value),
                None => metadata.remove(&key),
            };
        }
        view.spec = Arc::new(view.spec.with_metadata(metadata));
    });
}
