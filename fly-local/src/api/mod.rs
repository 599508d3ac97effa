//! The Machines API, as much of it as the lobby, provisioning and `flyctl` use for apps and machines.
//!
//! Path: axum router → [`check_request`]: token, faults, rate limit → app → machine → one command or one view.
//! Invariants: statuses, bodies and error texts are those of the real API; a secret never appears in an answer.
//! Never: touches a process; it asks the machine's supervisor.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{Query, Request, State as Shared};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use ulid::Ulid;

use crate::app::App;
use crate::controls::Host;
use crate::fleet::Fleet;
use crate::machine::Machine;
use crate::rate_limit::RateLimiter;

use error::{ApiError, invalid, not_found};

mod apps;
mod error;
mod leases;
mod lifecycle;
mod machines;
mod metadata;
mod resource;

const REQUEST_ID: HeaderName = HeaderName::from_static("fly-request-id");
const LEASE_NONCE: &str = "fly-machine-lease-nonce";

type Answer = Result<Json<Value>, ApiError>;
type Parameters = Query<Vec<(String, String)>>;
type OfMachine = axum::extract::Path<(String, String)>;

/// What every request is checked against.
struct Guard {
    /// The whole value of the header that every request must carry.
    authorization: String,
    fleet: Arc<Fleet>,
    rates: RateLimiter,
}

/// Builds the API over `fleet`; every request must carry `token`.
pub(crate) fn router(fleet: Arc<Fleet>, token: &str) -> Router {
    let guard =
        Guard { authorization: format!("Bearer {token}"), fleet: Arc::clone(&fleet), rates: RateLimiter::default() };
    let machine = Router::new()
        .route("/", get(machines::show).post(machines::update).delete(machines::destroy))
        .route("/start", post(lifecycle::start))
        .route("/stop", post(lifecycle::stop))
        .route("/suspend", post(lifecycle::suspend))
        .route("/restart", post(lifecycle::restart))
        .route("/signal", post(lifecycle::signal))
        .route("/wait", get(lifecycle::wait))
        .route("/cordon", post(lifecycle::cordon))
        .route("/uncordon", post(lifecycle::uncordon))
        .route("/events", get(lifecycle::events))
        .route("/lease", get(leases::show).post(leases::take).delete(leases::release))
        .route("/metadata", get(metadata::show).put(metadata::change).patch(metadata::change))
        .route("/metadata/{key}", get(metadata::value).post(metadata::set).delete(metadata::remove));
    Router::new()
        .route("/v1/apps", get(apps::list).post(apps::create))
        .route("/v1/apps/{app}", get(apps::show).delete(apps::destroy))
        .route("/v1/apps/{app}/machines", get(machines::list).post(machines::create))
        .nest("/v1/apps/{app}/machines/{id}", machine)
        .fallback(|| async { not_found("no such endpoint in fly-local") })
        .method_not_allowed_fallback(|| async {
            ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "unimplemented: no such method here")
        })
        .layer(from_fn_with_state(Arc::new(guard), check_request))
        .with_state(fleet)
}

/// Runs before every handler: a bad token, a fault or the rate limit answers in its place.
async fn check_request(Shared(guard): Shared<Arc<Guard>>, request: Request, next: Next) -> Response {
    let controls = &guard.fleet.controls;
    let delay_ms = controls.faults().api_delay_ms;
    if delay_ms > 0 {
        tokio::time::sleep(Duration::from_millis(delay_ms)).await;
    }
    let (method, path) = (request.method().as_str(), request.uri().path());
    let given = request.headers().get(header::AUTHORIZATION);
    let mut response = if given.is_none_or(|given| given.as_bytes() != guard.authorization.as_bytes()) {
        ApiError::new(StatusCode::UNAUTHORIZED, "Authenticate: token validation error").into_response()
    } else if let Some(answer) = controls.forced_answer(method, path) {
        let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let error = ApiError::new(status, &answer.error);
        answer.code.map_or(error.clone(), |code| error.with_code(&code)).into_response()
    } else if controls.settings().rate_limits.is_on() && !guard.rates.allow(method, path, Instant::now()) {
        ApiError::new(StatusCode::TOO_MANY_REQUESTS, "rate limit exceeded").into_response()
    } else {
        next.run(request).await
    };
    let id = HeaderValue::from_str(&Ulid::new().to_string()).expect("an ULID is printable ASCII");
    response.headers_mut().insert(REQUEST_ID, id);
    response
}

fn find_app(fleet: &Fleet, name: &str) -> Result<Arc<App>, ApiError> {
    fleet.app(name).ok_or_else(|| not_found("app not found"))
}

fn find(fleet: &Fleet, app: &str, id: &str) -> Result<Arc<Machine>, ApiError> {
    find_app(fleet, app)?;
    let found = fleet.machine(id).filter(|machine| machine.identity.app.name == app && fleet.is_shown(machine));
    found.ok_or_else(|| not_found("machine not found"))
}

/// A machine that its host must act on.
fn reachable(fleet: &Fleet, app: &str, id: &str) -> Result<Arc<Machine>, ApiError> {
    let machine = find(fleet, app, id)?;
    match fleet.host(&machine) {
        Host::Unreachable => Err(ApiError::new(StatusCode::REQUEST_TIMEOUT, "deadline_exceeded: host unreachable")),
        Host::Ok | Host::Full => Ok(machine),
    }
}

/// A machine that whoever sent `headers` may change.
fn changeable(fleet: &Fleet, app: &str, id: &str, headers: &HeaderMap) -> Result<Arc<Machine>, ApiError> {
    let machine = reachable(fleet, app, id)?;
    let allowed = machine.leases().allow(nonce(headers));
    allowed.map_err(|lease| ApiError::leased(&lease, id))?;
    Ok(machine)
}

fn nonce(headers: &HeaderMap) -> Option<&str> {
    headers.get(LEASE_NONCE).and_then(|value| value.to_str().ok())
}

/// A request's body; an empty one is an empty object.
fn body<T: DeserializeOwned>(bytes: &Bytes) -> Result<T, ApiError> {
    let text: &[u8] = if bytes.is_empty() { b"{}" } else { bytes };
    let mut reader = serde_json::Deserializer::from_slice(text);
    serde_path_to_error::deserialize(&mut reader).map_err(|error| match error.path().to_string().as_str() {
        "." => invalid(&format!("the body: {}", error.inner())),
        path => invalid(&format!("{path}: {}", error.inner())),
    })
}

/// The values of a parameter that may be repeated and may be a comma list.
fn list<'a>(parameters: &'a [(String, String)], name: &str) -> Vec<&'a str> {
    let given = parameters.iter().filter(|(key, _)| key == name);
    given.flat_map(|(_, value)| value.split(',')).filter(|value| !value.is_empty()).collect()
}

fn parameter<'a>(parameters: &'a [(String, String)], name: &str) -> Option<&'a str> {
    parameters.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

fn is_true(parameters: &[(String, String)], name: &str) -> bool {
    parameter(parameters, name).is_some_and(|value| matches!(value, "" | "true" | "1"))
}

fn ok() -> Answer {
    Ok(Json(json!({ "ok": true })))
}
