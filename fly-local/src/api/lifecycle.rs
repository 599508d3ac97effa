//! A machine's life: start, stop, suspend, restart, signal, cordon, and waiting for it.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, Query, State as Shared};
use axum::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use nix::sys::signal::Signal;
use serde::Deserialize;
use serde_json::{Value, json};

use super::error::{ApiError, invalid, not_found};
use super::{Answer, OfMachine, Parameters, body, changeable, find, is_true, list, ok, parameter, reachable};
use crate::controls::Host;
use crate::fleet::Fleet;
use crate::machine_state::{Command, View};
use crate::spec;

/// The longest a `wait` may hang, and how long it hangs when it does not say. Policy: longer ones are shortened.
const WAIT_MAX_SECS: u64 = 60;
/// Events answered when nobody says how many, and the most there may be.
const EVENTS_DEFAULT: usize = 20;
const EVENTS_MAX: usize = 50;
/// States one can wait for.
const AWAITED: [&str; 6] = ["started", "stopped", "suspended", "destroyed", "failed", "settled"];

#[derive(Deserialize)]
struct Stop {
    #[serde(default)]
    signal: Option<String>,
    #[serde(default)]
    timeout: Option<Value>,
}

#[derive(Deserialize)]
struct SignalBody {
    /// A name, or the number that the Go client sends.
    signal: Value,
}

pub(super) async fn start(Shared(fleet): Shared<Arc<Fleet>>, Path((app, id)): OfMachine, headers: HeaderMap) -> Answer {
    let machine = changeable(&fleet, &app, &id, &headers)?;
    let was_full = fleet.host(&machine) == Host::Full;
    let previous = machine.send(Command::Start).await?;
    let migrated = was_full && fleet.host(&machine) == Host::Ok;
    let new_host = if migrated { "another-host" } else { "" };
    Ok(Json(json!({ "previous_state": previous, "migrated": migrated, "new_host": new_host })))
}

pub(super) async fn stop(
    Shared(fleet): Shared<Arc<Fleet>>,
    Path((app, id)): OfMachine,
    headers: HeaderMap,
    bytes: Bytes,
) -> Answer {
    let machine = changeable(&fleet, &app, &id, &headers)?;
    let asked: Stop = body(&bytes)?;
    let signal = asked.signal.filter(|name| !name.is_empty()).map(|name| named_signal(&name)).transpose()?;
    let grace = asked.timeout.as_ref().map(spec::duration).transpose();
    let grace = grace.map_err(|why| invalid(&format!("timeout: {why}")))?;
    machine.send(Command::Stop { signal, grace }).await?;
    ok()
}

pub(super) async fn suspend(
    Shared(fleet): Shared<Arc<Fleet>>,
    Path((app, id)): OfMachine,
    headers: HeaderMap,
) -> Answer {
    changeable(&fleet, &app, &id, &headers)?.send(Command::Suspend).await?;
    ok()
}

pub(super) async fn restart(
    Shared(fleet): Shared<Arc<Fleet>>,
    Path((app, id)): OfMachine,
    Query(parameters): Parameters,
    headers: HeaderMap,
) -> Answer {
    let machine = changeable(&fleet, &app, &id, &headers)?;
    let signal = parameter(&parameters, "signal").map(named_signal).transpose()?;
    let grace = parameter(&parameters, "timeout").map(|text| spec::duration(&text.into())).transpose();
    let mut grace = grace.map_err(|why| invalid(&format!("timeout: {why}")))?;
    if is_true(&parameters, "force_stop") {
        grace = Some(Duration::ZERO);
    }
    machine.send(Command::Restart { signal, grace }).await?;
    ok()
}

pub(super) async fn signal(Shared(fleet): Shared<Arc<Fleet>>, Path((app, id)): OfMachine, bytes: Bytes) -> Answer {
    let machine = reachable(&fleet, &app, &id)?;
    let asked: SignalBody = body(&bytes)?;
    let signal = match &asked.signal {
        Value::String(name) => named_signal(name)?,
        number => number
            .as_i64()
            .and_then(|number| Signal::try_from(i32::try_from(number).ok()?).ok())
            .ok_or_else(|| invalid(&format!("signal: {number} is not a signal such as \"SIGTERM\" or 15")))?,
    };
    machine.send(Command::Signal(signal)).await?;
    ok()
}

pub(super) async fn cordon(
    Shared(fleet): Shared<Arc<Fleet>>,
    Path((app, id)): OfMachine,
    headers: HeaderMap,
) -> Answer {
    changeable(&fleet, &app, &id, &headers)?.modify(|view| view.is_cordoned = true);
    ok()
}

pub(super) async fn uncordon(
    Shared(fleet): Shared<Arc<Fleet>>,
    Path((app, id)): OfMachine,
    headers: HeaderMap,
) -> Answer {
    changeable(&fleet, &app, &id, &headers)?.modify(|view| view.is_cordoned = false);
    ok()
}

pub(super) async fn events(
    Shared(fleet): Shared<Arc<Fleet>>,
    Path((app, id)): OfMachine,
    Query(parameters): Parameters,
) -> Answer {
    let machine = find(&fleet, &app, &id)?;
    let limit = match parameter(&parameters, "limit") {
        Some(text) => text.parse().map_err(|_| invalid(&format!("limit: `{text}` is not a number")))?,
        None => EVENTS_DEFAULT,
    };
    let view = machine.view();
    Ok(Json(json!(view.events.iter().take(limit.min(EVENTS_MAX)).collect::<Vec<_>>())))
}

pub(super) async fn wait(
    Shared(fleet): Shared<Arc<Fleet>>,
    Path((app, id)): OfMachine,
    Query(parameters): Parameters,
) -> Answer {
    let machine = reachable(&fleet, &app, &id)?;
    let mut wanted = list(&parameters, "state");
    if wanted.is_empty() {
        wanted.push("started");
    }
    if let Some(unknown) = wanted.iter().find(|state| !AWAITED.contains(state)) {
        return Err(invalid(&format!("state: `{unknown}` is none of {}", AWAITED.join(", "))));
    }
    let version = parameter(&parameters, "version").or(parameter(&parameters, "instance_id"));
    if version.is_some_and(|version| version != machine.view().version) {
        return Err(not_found("machine version not found"));
    }
    let is_strict = fleet.controls.settings().wait_stopped_needs_version.is_on();
    if is_strict && version.is_none() && wanted.contains(&"stopped") {
        return Err(invalid("instance_id: is required to wait for `stopped`"));
    }
    let timeout_secs: u64 = match parameter(&parameters, "timeout") {
        // Go's durations are taken too.
        Some(text) => text
            .trim_end_matches('s')
            .parse()
            .map_err(|_| invalid(&format!("timeout: `{text}` is not a number of seconds from 1 to {WAIT_MAX_SECS}")))?,
        None => WAIT_MAX_SECS,
    };
    let after = parameter(&parameters, "from_event_id").unwrap_or_default();
    let accept = |view: &View| {
        let is_new = view.events.front().is_some_and(|event| event.id.as_str() > after);
        let is_wanted = wanted.contains(&view.state.name());
        is_new && (is_wanted || (wanted.contains(&"settled") && view.state.is_settled()))
    };
    let timeout = Duration::from_secs(timeout_secs.clamp(1, WAIT_MAX_SECS));
    let reached = tokio::time::timeout(timeout, machine.wait(accept)).await;
    match reached {
        Ok(view) if accept(&view) => Ok(Json(json!({
            "ok": true,
            "state": view.state,
            "version": view.version,
            "event_id": view.events.front().map(|event| &event.id),
        }))),
        _ => {
            let (wanted, now) = (wanted.join(","), machine.state().name());
            let text = format!("deadline_exceeded: machine failed to reach desired state, {wanted}, currently {now}");
            Err(ApiError::new(StatusCode::REQUEST_TIMEOUT, &text))
        }
    }
}

fn named_signal(name: &str) -> Result<Signal, ApiError> {
    Signal::from_str(name).map_err(|_| invalid(&format!("signal: `{name}` is not a signal such as SIGTERM")))
}
