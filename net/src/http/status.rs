//! What this machine tells of its rooms: to lobbies what it could still take of each kind, to operators the metrics.
//!
//! Invariants: no private room is named, since its name is the key to it; a machine's own public rooms are always there to be joined, open or not; a machine that is about to stop,
//! or leaves newcomers out of a room since its ticks cost too much, takes nobody of any kind.

use crate::{app::App, metrics::Occupation, room::handle::RoomHandle};
use axum::{
    Json,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use protocol::room::Kind;
use serde_json::{Map, Value, json};
use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

/// `GET /gameserver/<instance>/status`.
pub(crate) async fn status(State(app): State<Arc<App>>) -> Response {
    let (open, config) = (app.rooms.list(), &app.config);
    let is_draining = app.rooms.is_stopping();
    let is_overloaded = open.iter().any(|room| room.facts.is_overloaded());
    let kinds = config.kinds.iter().map(|(kind, entry)| {
        let Occupation { members, population, .. } = occupation(kind, &open);
        let room = public(&app, kind, &open);
        let there = room.map_or(0, |room| load(&room.facts.members));
        let seats = if is_draining || is_overloaded { 0 } else { entry.members.saturating_sub(there) };
        let of_kind = json!({
            "members": members, "population": population, "seats": seats, "capacity": entry.members,
            "is_open": room.is_some(),
        });
        (kind.word().to_owned(), of_kind)
    });
    let kinds: Map<String, Value> = kinds.collect();
    let publics = Kind::ALL.into_iter().map(|kind| match public(&app, kind, &open) {
        Some(room) => told(Some(kind.word()), room),
        None => json!({ "room": kind.word(), "members": 0, "population": 0, "tick": 0 }),
    });
    let others = open.iter().filter(|room| !app.rooms.is_public(&room.id)).map(|room| told(None, room));
    let body = json!({
        "instance": config.instance, "region": config.region, "kinds": kinds,
        "rooms": publics.chain(others).collect::<Vec<_>>(), "rooms_max": config.kinds.rooms,
        "is_draining": is_draining, "is_overloaded": is_overloaded, "unix_ms": config.wall_clock.now_ms(),
    });
    ([(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
}

/// `GET /metrics`.
pub(crate) async fn metrics(State(app): State<Arc<App>>) -> Response {
    let (metrics, rooms) = (&app.metrics, app.rooms.list());
    metrics.sockets.set(app.admission.connections() as i64);
    for kind in Kind::ALL {
        metrics.set_occupation(kind, &occupation(kind, &rooms));
    }
    let unwritten = rooms.iter().map(|room| room.facts.unwritten_for()).max().unwrap_or_default();
    metrics.unwritten_seconds.set(unwritten.as_secs() as i64);
    let unwritable = rooms.iter().filter(|room| room.facts.is_unwritable.load(Ordering::Relaxed));
    metrics.rooms_unwritable.set(unwritable.count() as i64);
    webserver::metrics(app.metrics.encode())
}

fn told(name: Option<&str>, room: &RoomHandle) -> Value {
    let facts = &room.facts;
    let (members, population, tick) = (load(&facts.members), load(&facts.population), load(&facts.tick));
    json!({ "room": name, "members": members, "population": population, "tick": tick })
}

/// The machine's own public room of a kind, if it is open.
fn public<'a>(app: &App, kind: Kind, open: &'a [RoomHandle]) -> Option<&'a RoomHandle> {
    open.iter().find(|room| Kind::of(&room.id) == Some(kind) && app.rooms.is_public(&room.id))
}

fn occupation(kind: Kind, open: &[RoomHandle]) -> Occupation {
    let rooms = open.iter().filter(|room| Kind::of(&room.id) == Some(kind));
    rooms.fold(Occupation::default(), |sum, RoomHandle { facts, .. }| Occupation {
        rooms: sum.rooms + 1,
        members: sum.members + i64::from(load(&facts.members)),
        population: sum.population + i64::from(load(&facts.population)),
        level: sum.level.max(load(&facts.level).into()),
        is_slow: sum.is_slow || facts.is_slow.load(Ordering::Relaxed),
    })
}

fn load(value: &AtomicU32) -> u32 {
    value.load(Ordering::Relaxed)
}
