//! The control API and its page under `/_fly`: shows what happens, changes settings and injects faults.
//!
//! Path: the edge hands requests for `/_fly` over → [`router`] → a view, a change of settings or faults, or a command to
//! a machine; `/_fly/api/events` streams what happens.
//! Invariants: only pages of this very address may change anything; a change is checked whole before it counts.
//! Never: a part of Fly, which has nothing like it.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{Path, Request, State as Shared};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures_util::stream::{self, Stream};
use nix::sys::signal::Signal;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use tokio::sync::broadcast::{Receiver, error::RecvError};

use crate::controls::{Faults, Update};
use crate::fleet::Fleet;
use crate::machine::Machine;
use crate::machine_state::Command;
use crate::settings::Settings;

const PAGE: &str = include_str!("page.html");

/// A refusal, with a sentence that says why.
type Rejection = (StatusCode, Json<Value>);

/// Whether the edge keeps requests for `path` to itself.
pub(crate) fn is_control_path(path: &str) -> bool {
    path.strip_prefix("/_fly").is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Reads faults from JSON. The error names the field.
pub(crate) fn read_faults(text: &str) -> Result<Faults, String> {
    read(serde_json::from_str(text).map_err(|error| error.to_string())?)
}

/// Builds page and API over `fleet`, for an edge at `address`.
pub(crate) fn router(fleet: Arc<Fleet>, address: SocketAddr) -> Router {
    Router::new()
        .route("/_fly", get(|| async { Html(PAGE) }))
        .route("/_fly/api/state", get(state))
        .route("/_fly/api/events", get(events))
        .route("/_fly/api/settings", get(settings).patch(change_settings))
        .route("/_fly/api/faults", get(faults).put(put_faults).patch(change_faults).delete(clear_faults))
        .route("/_fly/api/machines/{id}/{action}", post(machine_action))
        .fallback(|| async { reject(StatusCode::NOT_FOUND, "There is nothing at this address. The page is at /_fly.") })
        .layer(from_fn_with_state(address.port(), only_from_here))
        .with_state(fleet)
}

/// The edge listens on loopback only, but a browser on this computer shows pages of others too: none of them may act
/// here, neither directly nor under a name that leads here.
async fn only_from_here(Shared(port): Shared<u16>, request: Request, next: Next) -> Response {
    if is_from_here(request.headers(), port) {
        return next.run(request).await;
    }
    reject(StatusCode::FORBIDDEN, "Only this computer's own pages may look at /_fly.").into_response()
}

fn is_from_here(headers: &HeaderMap, port: u16) -> bool {
    let header = |name| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let is_ours = |host: &str| ["127.0.0.1", "localhost"].iter().any(|name| host == format!("{name}:{port}"));
    let origin = header(header::ORIGIN).map(|origin| origin.strip_prefix("http://").unwrap_or(origin));
    header(header::HOST).is_some_and(is_ours) && origin.is_none_or(is_ours)
}

async fn state(Shared(fleet): Shared<Arc<Fleet>>) -> Json<Value> {
    Json(json!({
        "edge_region": fleet.edge_region,
        "edge_place": fleet.regions.place(&fleet.edge_region),
        "apps": apps(&fleet),
        "machines": fleet.machines().iter().filter(|it| fleet.is_shown(it)).map(|it| machine_summary(&fleet, it)).collect::<Vec<_>>(),
        "settings": fleet.controls.settings(),
        "faults": fleet.controls.faults(),
        "replays": fleet.controls.replays(),
    }))
}

async fn settings(Shared(fleet): Shared<Arc<Fleet>>) -> Json<Settings> {
    Json(fleet.controls.settings())
}

async fn change_settings(
    Shared(fleet): Shared<Arc<Fleet>>,
    Json(patch): Json<Map<String, Value>>,
) -> Result<Json<Settings>, Rejection> {
    let changed: Settings = read(merge_patch(&fleet.controls.settings(), patch)).map_err(bad_request)?;
    let statuses = [changed.status_refused, changed.status_no_candidate, changed.status_unreached];
    if let Some(status) = statuses.iter().find(|status| !(400..600).contains(*status)) {
        return Err(bad_request(format!("status_..: {status} is no error; it must be 400 to 599")));
    }
    fleet.controls.set_settings(changed);
    Ok(Json(changed))
}

async fn faults(Shared(fleet): Shared<Arc<Fleet>>) -> Json<Faults> {
    Json(fleet.controls.faults())
}

async fn put_faults(Shared(fleet): Shared<Arc<Fleet>>, Json(value): Json<Value>) -> Result<Json<Faults>, Rejection> {
    store_faults(&fleet, value)
}

async fn change_faults(
    Shared(fleet): Shared<Arc<Fleet>>,
    Json(patch): Json<Map<String, Value>>,
) -> Result<Json<Faults>, Rejection> {
    store_faults(&fleet, merge_patch(&fleet.controls.faults(), patch))
}

async fn clear_faults(Shared(fleet): Shared<Arc<Fleet>>) -> StatusCode {
    fleet.controls.set_faults(Faults::default());
    StatusCode::NO_CONTENT
}

fn store_faults(fleet: &Fleet, value: Value) -> Result<Json<Faults>, Rejection> {
    let faults: Faults = read(value).map_err(bad_request)?;
    fleet.check(&faults).map_err(bad_request)?;
    fleet.controls.set_faults(faults.clone());
    Ok(Json(faults))
}

/// What a person does to a machine, past leases and rate limits. `kill` is a crash: its restart policy decides. `freeze`
/// stops the process where it is, while Fly takes it for running and the kernel for it takes connections; `thaw` ends that.
async fn machine_action(
    Shared(fleet): Shared<Arc<Fleet>>,
    Path((id, action)): Path<(String, String)>,
) -> Result<Json<Value>, Rejection> {
    let unknown = || reject(StatusCode::NOT_FOUND, &format!("There is no machine `{id}`."));
    let machine = fleet.machine(&id).filter(|machine| fleet.is_shown(machine)).ok_or_else(unknown)?;
    let command = match action.as_str() {
        "start" => Command::Start,
        "stop" => Command::Stop { signal: None, grace: None },
        "suspend" => Command::Suspend,
        "kill" => Command::Signal(Signal::SIGKILL),
        "freeze" => Command::Signal(Signal::SIGSTOP),
        "thaw" => Command::Signal(Signal::SIGCONT),
        "destroy" => Command::Destroy { force: true },
        _ => return Err(bad_request("The action must be start, stop, suspend, kill, freeze, thaw or destroy.".into())),
    };
    let done = machine.send(command).await;
    let refused = |refused| reject(StatusCode::CONFLICT, &format!("The machine refuses: {refused:?}."));
    done.map(|previous| Json(json!({ "previous_state": previous }))).map_err(refused)
}

/// What happens from now on. Events: `machine`, `replay`, `controls`, and `lost` when this listener was too slow.
async fn events(Shared(fleet): Shared<Arc<Fleet>>) -> Sse<impl Stream<Item = Result<Event, axum::Error>>> {
    let updates = fleet.controls.subscribe();
    let stream = stream::unfold((fleet, updates), |(fleet, mut updates)| async move {
        let event = next_event(&fleet, &mut updates).await?;
        Some((event, (fleet, updates)))
    });
    Sse::new(stream).keep_alive(KeepAlive::default())
}

async fn next_event(fleet: &Fleet, updates: &mut Receiver<Update>) -> Option<Result<Event, axum::Error>> {
    let (name, data) = match updates.recv().await {
        Ok(Update::Machine(id)) => match fleet.machine(&id) {
            Some(machine) => ("machine", machine_summary(fleet, &machine)),
            None => ("lost", json!({})),
        },
        Ok(Update::Replay(replay)) => ("replay", json!(replay)),
        Ok(Update::Controls) => (
            "controls",
            json!({
                "settings": fleet.controls.settings(),
                "faults": fleet.controls.faults(),
                "apps": apps(fleet),
            }),
        ),
        Err(RecvError::Lagged(_)) => ("lost", json!({})),
        Err(RecvError::Closed) => return None,
    };
    Some(Event::default().event(name).json_data(data))
}

fn apps(fleet: &Fleet) -> Value {
    fleet.apps().iter().map(|app| json!({ "name": app.name, "network": app.network })).collect()
}

fn machine_summary(fleet: &Fleet, machine: &Machine) -> Value {
    let (identity, view) = (&machine.identity, machine.view());
    json!({
        "id": identity.id,
        "name": identity.name,
        "app": identity.app.name,
        "region": identity.region,
        "place": fleet.regions.place(&identity.region),
        "state": view.state,
        "since_ms": view.events.front().map(|event| event.timestamp),
        "event": view.events.front(),
        "version": view.version,
        "is_cordoned": view.is_cordoned,
        "load": machine.load(),
        "pid": view.pid,
        "address": view.address,
    })
}

/// `base` with the fields of `patch`, as a JSON merge patch (RFC 7396): `null` takes a field back to its default.
fn merge_patch(base: &impl Serialize, patch: Map<String, Value>) -> Value {
    let mut value = serde_json::to_value(base).expect("settings and faults have only texts as keys");
    merge(&mut value, Value::Object(patch));
    value
}

fn merge(base: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *base = patch;
        return;
    };
    if !base.is_object() {
        *base = Value::Object(Map::new());
    }
    let base = base.as_object_mut().expect("it was just made one");
    for (key, value) in patch {
        match value {
            Value::Null => drop(base.remove(&key)),
            value => merge(base.entry(key).or_insert(Value::Null), value),
        }
    }
}

fn read<T: DeserializeOwned>(value: Value) -> Result<T, String> {
    serde_path_to_error::deserialize(value).map_err(|error| format!("{}: {}", error.path(), error.inner()))
}

fn bad_request(why: String) -> Rejection {
    reject(StatusCode::BAD_REQUEST, &why)
}

fn reject(status: StatusCode, why: &str) -> Rejection {
    (status, Json(json!({ "error": why })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_its_own_paths_stay_here() {
        for (path, expected) in [("/_fly", true), ("/_fly/api/state", true), ("/_flyer", false), ("/", false)] {
            assert_eq!(is_control_path(path), expected, "{path}");
        }
    }

    #[test]
    fn only_pages_of_this_address_act_here() {
        let headers = |pairs: &[(header::HeaderName, &'static str)]| {
            pairs.iter().map(|(name, value)| (name.clone(), header::HeaderValue::from_static(value))).collect()
        };
        for (pairs, expected) in [
            (vec![(header::HOST, "127.0.0.1:80")], true),
            (vec![(header::HOST, "localhost:80"), (header::ORIGIN, "http://localhost:80")], true),
            (vec![(header::HOST, "localhost:81")], false),
            (vec![(header::HOST, "localhost:80"), (header::ORIGIN, "https://localhost:80")], false),
            (vec![(header::HOST, "localhost:80"), (header::ORIGIN, "null")], false),
            (vec![], false),
        ] {
            assert_eq!(is_from_here(&headers(&pairs), 80), expected, "{pairs:?}");
        }
    }

    #[test]
    fn a_patch_changes_only_what_it_names() {
        let faults = read_faults(r#"{"regions_full": ["nrt"], "machines": {"a": {"host": "full", "extra_ms": 5}}}"#);
        let patch = json!({ "machines": { "a": { "host": null }, "b": { "is_stuck": true } } });
        let Value::Object(patch) = patch else { unreachable!() };
        let changed: Faults = read(merge_patch(&faults.unwrap(), patch)).unwrap();
        assert!(changed.regions_full.contains("nrt") && changed.machines["b"].is_stuck);
        assert_eq!((changed.machines["a"].host, changed.machines["a"].extra_ms), (crate::Host::Ok, 5));
    }

    #[test]
    fn a_bad_fault_is_named() {
        for (text, start) in [
            (r#"{"region_full": []}"#, "region_full: unknown field"),
            (r#"{"machines": {"a": {"host": "sick"}}}"#, "machines.a.host: unknown variant"),
            (r#"{"answers": [{"status": 500}]}"#, "answers[0]: missing field `error`"),
        ] {
            let error = read_faults(text).unwrap_err();
            assert!(error.starts_with(start), "{error}");
        }
    }
}
