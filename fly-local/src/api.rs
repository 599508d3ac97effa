//! The Machines API, as much of it as the lobby uses.
//!
//! Path: axum router → bearer token → app → machine → one command or one view.
//! Invariants: statuses, bodies and error texts are those of the real API; a secret never appears in an answer.
//! Never: touches a process; it asks the machine's supervisor.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, Query, Request, State as Shared};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use bytes::Bytes;
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::fleet::Fleet;
use crate::machine::{Machine, StartRefused, State};
use crate::object;

/// The longest a `wait` may hang, and how long it hangs when it does not say.
const WAIT_MAX_SECS: u64 = 60;

/// Builds the API over `fleet`; every request must carry `token`.
pub(crate) fn router(fleet: Arc<Fleet>, token: &str) -> Router {
    let token: Arc<str> = format!("Bearer {token}").into();
    Router::new()
        .route("/v1/apps/{app}", get(app))
        .route("/v1/apps/{app}/machines", get(machines))
        .route("/v1/apps/{app}/machines/{id}", get(machine))
        .route("/v1/apps/{app}/machines/{id}/start", post(start))
        .route("/v1/apps/{app}/machines/{id}/stop", post(stop))
        .route("/v1/apps/{app}/machines/{id}/wait", get(wait))
        .fallback(|| async { ApiError(StatusCode::NOT_FOUND, "not_found: no such endpoint in fly-local".into()) })
        .layer(from_fn_with_state(token, authenticate))
        .with_state(fleet)
}

/// An error as the API words it: the text usually opens with an RPC code.
struct ApiError(StatusCode, String);

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        (self.0, Json(json!({ "error": self.1 }))).into_response()
    }
}

type Answer = Result<Json<Value>, ApiError>;
type Parameters = Query<Vec<(String, String)>>;

async fn authenticate(Shared(expected): Shared<Arc<str>>, request: Request, next: Next) -> Response {
    let given = request.headers().get(header::AUTHORIZATION);
    if given.is_some_and(|given| given.as_bytes() == expected.as_bytes()) {
        return next.run(request).await;
    }
    ApiError(StatusCode::UNAUTHORIZED, "Authenticate: token validation error".into()).into_response()
}

async fn app(Shared(fleet): Shared<Arc<Fleet>>, Path(app): Path<String>) -> Answer {
    let found = fleet.app(&app).ok_or_else(app_not_found)?;
    let machines = fleet.machines().filter(|machine| machine.identity.app.name == app).count();
    Ok(Json(object::app(found, machines)))
}

async fn machines(Shared(fleet): Shared<Arc<Fleet>>, Path(app): Path<String>, Query(parameters): Parameters) -> Answer {
    fleet.app(&app).ok_or_else(app_not_found)?;
    let regions = list(&parameters, "region");
    let states = list(&parameters, "state");
    let listed = fleet
        .machines()
        .filter(|machine| machine.identity.app.name == app)
        .filter(|machine| regions.is_empty() || regions.contains(&machine.identity.region.as_str()))
        .filter(|machine| states.is_empty() || states.contains(&machine.state().name()))
        .map(|machine| object::machine(&machine.identity, &machine.view()));
    Ok(Json(listed.collect()))
}

async fn machine(Shared(fleet): Shared<Arc<Fleet>>, Path((app, id)): Path<(String, String)>) -> Answer {
    let machine = find(&fleet, &app, &id)?;
    Ok(Json(object::machine(&machine.identity, &machine.view())))
}

async fn start(Shared(fleet): Shared<Arc<Fleet>>, Path((app, id)): Path<(String, String)>) -> Answer {
    let previous = find(&fleet, &app, &id)?.start().await.map_err(start_refused)?;
    Ok(Json(json!({ "previous_state": previous, "migrated": false, "new_host": "" })))
}

async fn stop(Shared(fleet): Shared<Arc<Fleet>>, Path((app, id)): Path<(String, String)>, body: Bytes) -> Answer {
    let machine = find(&fleet, &app, &id)?;
    let asked: Value = match body.is_empty() {
        true => Value::Null,
        false => serde_json::from_slice(&body).map_err(|error| invalid(&format!("the body is no JSON: {error}")))?,
    };
    let signal = match asked.get("signal").and_then(Value::as_str).filter(|name| !name.is_empty()) {
        Some(name) => Some(Signal::from_str(name).map_err(|_| invalid(&format!("`{name}` is not a signal")))?),
        None => None,
    };
    let timeout = asked.get("timeout").filter(|value| !value.is_null()).map(duration).transpose()?;
    machine.stop(signal, timeout).await;
    Ok(Json(json!({ "ok": true })))
}

async fn wait(
    Shared(fleet): Shared<Arc<Fleet>>,
    Path((app, id)): Path<(String, String)>,
    Query(parameters): Parameters,
) -> Answer {
    let machine = find(&fleet, &app, &id)?;
    let mut wanted = list(&parameters, "state");
    if wanted.is_empty() {
        wanted.push("started");
    }
    const KNOWN: [&str; 6] = ["started", "stopped", "suspended", "destroyed", "failed", "settled"];
    if let Some(unknown) = wanted.iter().find(|state| !KNOWN.contains(state)) {
        return Err(invalid(&format!("cannot wait for the state `{unknown}`")));
    }
    let timeout_secs = match parameters.iter().find(|(name, _)| name == "timeout") {
        Some((_, text)) => text.parse().map_err(|_| invalid(&format!("`{text}` is not a number of seconds")))?,
        None => WAIT_MAX_SECS,
    };
    let accepted = |state: State| wanted.contains(&state.name()) || (wanted.contains(&"settled") && settled(state));
    let timeout = Duration::from_secs(timeout_secs.clamp(1, WAIT_MAX_SECS));
    match tokio::time::timeout(timeout, machine.wait(accepted)).await {
        Ok(view) => Ok(Json(json!({
            "ok": true,
            "state": view.state,
            "version": machine.identity.version,
            "event_id": view.events.front().map(|event| &event.id),
        }))),
        Err(_) => Err(ApiError(
            StatusCode::REQUEST_TIMEOUT,
            format!(
                "deadline_exceeded: machine failed to reach desired state, {}, currently {}",
                wanted.join(","),
                machine.state().name()
            ),
        )),
    }
}

fn find<'a>(fleet: &'a Fleet, app: &str, id: &str) -> Result<&'a Arc<Machine>, ApiError> {
    fleet.app(app).ok_or_else(app_not_found)?;
    let found = fleet.machine(id).filter(|machine| machine.identity.app.name == app);
    found.ok_or_else(|| ApiError(StatusCode::NOT_FOUND, "not_found: machine not found".into()))
}

fn app_not_found() -> ApiError {
    ApiError(StatusCode::NOT_FOUND, "not_found: app not found".into())
}

fn invalid(what: &str) -> ApiError {
    ApiError(StatusCode::BAD_REQUEST, format!("invalid_argument: {what}"))
}

fn start_refused(refused: StartRefused) -> ApiError {
    match refused {
        StartRefused::InProgress => ApiError(StatusCode::CONFLICT, "aborted: machine still attempting to start".into()),
        StartRefused::From(state) => ApiError(
            StatusCode::PRECONDITION_FAILED,
            format!("failed_precondition: unable to start machine from current state: '{}'", state.name()),
        ),
        StartRefused::Failed(why) => ApiError(StatusCode::INTERNAL_SERVER_ERROR, format!("internal: {why}")),
    }
}

/// The values of a parameter that may be repeated and may be a comma list.
fn list<'a>(parameters: &'a [(String, String)], name: &str) -> Vec<&'a str> {
    let given = parameters.iter().filter(|(key, _)| key == name);
    given.flat_map(|(_, value)| value.split(',')).filter(|value| !value.is_empty()).collect()
}

/// A state that a machine stays in by itself.
fn settled(state: State) -> bool {
    matches!(state, State::Stopped | State::Started)
}

/// Text such as `10s`, or nanoseconds.
fn duration(value: &Value) -> Result<Duration, ApiError> {
    let parsed = match value {
        Value::String(text) => humantime::parse_duration(text).ok(),
        number => number.as_u64().map(Duration::from_nanos),
    };
    parsed.ok_or_else(|| invalid(&format!("`{value}` is not a duration")))
}
