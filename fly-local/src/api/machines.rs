//! Machines: list, create, show, update, destroy.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State as Shared};
use axum::http::HeaderMap;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::error::{ApiError, invalid};
use super::resource;
use super::{Answer, OfMachine, Parameters, body, changeable, find, find_app, is_true, list as values, ok};
use crate::fleet::{Fleet, NewMachine};
use crate::machine::Machine;
use crate::machine_state::{Command, CommandError, State};
use crate::spec::Spec;

/// Body of a creation or an update.
#[derive(Deserialize)]
struct Wanted {
    config: Map<String, Value>,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    region: Option<String>,
    #[serde(default)]
    skip_launch: bool,
    #[serde(default)]
    skip_service_registration: bool,
    /// Seconds.
    #[serde(default)]
    lease_ttl: Option<u64>,
    #[serde(default)]
    current_version: Option<String>,
}

pub(super) async fn list(
    Shared(fleet): Shared<Arc<Fleet>>,
    Path(app): Path<String>,
    Query(parameters): Parameters,
) -> Answer {
    find_app(&fleet, &app)?;
    let regions = values(&parameters, "region");
    let states = values(&parameters, "state");
    let with_deleted = is_true(&parameters, "include_deleted");
    let wants = |machine: &Machine| {
        let view = machine.view();
        let fits_metadata = parameters.iter().all(|(name, wanted)| match name.strip_prefix("metadata.") {
            Some(key) => view.spec.metadata().get(key) == Some(wanted),
            None => true,
        });
        machine.identity.app.name == app
            && (with_deleted || fleet.is_shown(machine))
            && (regions.is_empty() || regions.contains(&machine.identity.region.as_str()))
            && (states.is_empty() || states.contains(&view.state.name()))
            && fits_metadata
    };
    let is_summary = is_true(&parameters, "summary");
    let listed = fleet.machines().into_iter().filter(|machine| wants(machine)).map(|machine| match is_summary {
        true => Value::Object(resource::summary(&machine.identity, &machine.view())),
        false => object(&fleet, &machine),
    });
    Ok(Json(listed.collect()))
}

pub(super) async fn show(Shared(fleet): Shared<Arc<Fleet>>, Path((app, id)): OfMachine) -> Answer {
    let machine = find(&fleet, &app, &id)?;
    Ok(Json(object(&fleet, &machine)))
}

pub(super) async fn create(Shared(fleet): Shared<Arc<Fleet>>, Path(app): Path<String>, bytes: Bytes) -> Answer {
    let app = find_app(&fleet, &app)?;
    let wanted: Wanted = body(&bytes)?;
    let new = NewMachine {
        name: wanted.name.filter(|name| !name.is_empty()),
        regions: wanted
            .region
            .iter()
            .flat_map(|list| list.split(','))
            .filter(|it| !it.is_empty())
            .map(Into::into)
            .collect(),
        spec: Spec::parse(wanted.config).map_err(|why| invalid(&why))?,
        launch: !wanted.skip_launch,
        is_cordoned: wanted.skip_service_registration,
    };
    let machine = fleet.create(&app, new)?;
    let mut shown = object(&fleet, &machine);
    if let Some(ttl) = wanted.lease_ttl {
        let version = machine.view().version;
        let lease = machine.leases().take(None, Some(ttl), "", &version);
        shown["nonce"] = lease.map_err(|lease| ApiError::leased(&lease, &machine.identity.id))?.nonce.into();
    }
    Ok(Json(shown))
}

/// Replaces the whole configuration; a machine that runs restarts with it.
pub(super) async fn update(
    Shared(fleet): Shared<Arc<Fleet>>,
    Path((app, id)): OfMachine,
    headers: HeaderMap,
    bytes: Bytes,
) -> Answer {
    let machine = changeable(&fleet, &app, &id, &headers)?;
    let wanted: Wanted = body(&bytes)?;
    for (field, given, fixed) in
        [("name", &wanted.name, &machine.identity.name), ("region", &wanted.region, &machine.identity.region)]
    {
        if given.as_ref().is_some_and(|given| !given.is_empty() && given != fixed) {
            return Err(invalid(&format!("{field}: cannot be changed; it is `{fixed}`")));
        }
    }
    let update = Command::Update {
        spec: Box::new(Spec::parse(wanted.config).map_err(|why| invalid(&why))?),
        expected_version: wanted.current_version.filter(|version| !version.is_empty()),
        launch: !wanted.skip_launch,
    };
    match machine.send(update).await {
        Ok(_) => Ok(Json(object(&fleet, &machine))),
        Err(refused) => Err(refused.into()),
    }
}

/// `force` is what the pages say, `kill` what the Go client sends.
pub(super) async fn destroy(
    Shared(fleet): Shared<Arc<Fleet>>,
    Path((app, id)): OfMachine,
    Query(parameters): Parameters,
    headers: HeaderMap,
) -> Answer {
    let machine = changeable(&fleet, &app, &id, &headers)?;
    let force = is_true(&parameters, "force") || is_true(&parameters, "kill");
    match machine.send(Command::Destroy { force }).await {
        Ok(_) | Err(CommandError::StartFrom(State::Destroyed)) => ok(),
        Err(refused) => Err(refused.into()),
    }
}

fn object(fleet: &Fleet, machine: &Machine) -> Value {
    resource::machine(&machine.identity, &machine.view(), fleet.host(machine))
}
