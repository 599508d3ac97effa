//! Apps: list, create, show, delete.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State as Shared};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use super::error::{ApiError, invalid, precondition};
use super::resource;
use super::{Answer, Parameters, body, find_app, is_true, parameter};
use crate::app::{App, NETWORK_DEFAULT};
use crate::fleet::Fleet;
use crate::machine::Machine;
use crate::machine_state::{Command, State};

/// The one organisation there is.
const ORG: &str = "local";

#[derive(Deserialize)]
struct NewApp {
    /// The pages say `app_name`, the specification and the Go client say `name`.
    #[serde(alias = "app_name")]
    name: String,
    #[serde(default)]
    network: Option<String>,
}

pub(super) async fn list(Shared(fleet): Shared<Arc<Fleet>>, Query(parameters): Parameters) -> Answer {
    let wanted = parameter(&parameters, "org_slug").ok_or_else(|| invalid("org_slug: is required"))?;
    let shown = |app: Arc<App>| resource::app(&app, machine_count(&fleet, &app.name));
    let apps: Vec<Value> = match wanted {
        ORG | "personal" => fleet.apps().into_iter().map(shown).collect(),
        _ => Vec::new(),
    };
    Ok(Json(json!({ "total_apps": apps.len(), "apps": apps })))
}

pub(super) async fn create(Shared(fleet): Shared<Arc<Fleet>>, bytes: Bytes) -> Result<Response, ApiError> {
    let new: NewApp = body(&bytes)?;
    let is_name = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
    };
    if !is_name(&new.name) {
        return Err(invalid("name: must begin with a letter and have only letters, digits and dashes"));
    }
    let network = new.network.filter(|network| !network.is_empty()).unwrap_or_else(|| NETWORK_DEFAULT.into());
    if !is_name(&network) {
        return Err(invalid("network: must begin with a letter and have only letters, digits and dashes"));
    }
    if !fleet.add_app(&new.name, &network) {
        let taken = "Validation failed: Name has already been taken";
        return Err(ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, taken).with_code("name_taken"));
    }
    let created_at = u64::try_from(crate::unix_time::unix_time().as_millis()).unwrap_or(u64::MAX);
    Ok((StatusCode::CREATED, Json(json!({ "id": new.name, "created_at": created_at }))).into_response())
}

pub(super) async fn show(Shared(fleet): Shared<Arc<Fleet>>, Path(app): Path<String>) -> Answer {
    let found = find_app(&fleet, &app)?;
    Ok(Json(resource::app(&found, machine_count(&fleet, &app))))
}

/// Takes the machines along; running ones only by force.
pub(super) async fn destroy(
    Shared(fleet): Shared<Arc<Fleet>>,
    Path(app): Path<String>,
    Query(parameters): Parameters,
) -> Result<StatusCode, ApiError> {
    find_app(&fleet, &app)?;
    let machines = fleet.machines().into_iter().filter(|machine| machine.identity.app.name == app);
    let machines: Vec<_> = machines.filter(|machine| machine.state() != State::Destroyed).collect();
    let is_forced = is_true(&parameters, "force");
    if !is_forced && machines.iter().any(|machine| machine.state() == State::Started) {
        return Err(precondition("the app has running machines; stop them first, or force it"));
    }
    for machine in machines {
        machine.send(Command::Destroy { force: true }).await?;
    }
    fleet.remove_app(&app);
    Ok(StatusCode::ACCEPTED)
}

fn machine_count(fleet: &Fleet, app: &str) -> usize {
    let is_its = |machine: &&Arc<Machine>| machine.identity.app.name == app && machine.state() != State::Destroyed;
    fleet.machines().iter().filter(is_its).count()
}
