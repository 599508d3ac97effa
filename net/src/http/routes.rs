//! HTTP: who may ask for what. Everything of this machine lies under `/gameserver/<instance>/` and comes by replay.
//!
//! Path: [`guard`] judges the replay state, then page, asset, status, ping or the player's connection.
//! Invariants: `/healthz` and `/metrics` need no state; an upgrade also needs an `Origin` of ours or none (a browser
//! always sends one).

use crate::{
    admission::ConnectionPermit,
    app::App,
    http::{
        assets,
        fly_replay::{self, ReplayCheck},
        pages, ping, status,
        upgrade::Upgrade,
    },
    room::{address::RoomAddress, open_policy::is_interrupted_here},
    store::Kept,
};
use axum::{
    Router,
    extract::{ConnectInfo, Path, Request, State},
    http::{HeaderMap, HeaderName, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use protocol::room::{Kind, home_of, is_name};
use std::{net::SocketAddr, sync::Arc, time::Instant};
use webserver::client_address;

/// All routes.
pub(crate) fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok" }))
        .route("/metrics", get(status::metrics))
        .route("/gameserver/{instance}/assets/{*name}", get(asset))
        .route("/gameserver/{instance}/status", get(status::status))
        .route("/gameserver/{instance}/ping", get(latency))
        .route("/gameserver/{instance}/{room}", get(room))
        .fallback(|| async { pages::no_such_room() })
        .layer(middleware::from_fn_with_state(Arc::clone(&app), guard))
        .with_state(app)
}

/// Lets in what the lobby sent to this machine; sends on what it sent to another.
async fn guard(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    if !path.starts_with(fly_replay::PREFIX) {
        return next.run(request).await;
    }
    let (config, now_s) = (&app.config, app.config.wall_clock.now_s());
    if let Some(signed_s) = fly_replay::signed_by_lobby_s(&config.key, path, request.headers()) {
        app.note_lobby_time(signed_s, now_s);
    }
    match fly_replay::check(&config.key, &config.app, &config.instance, path, request.headers(), now_s) {
        ReplayCheck::Ours => next.run(request).await,
        ReplayCheck::SendOn(replay) => {
            (StatusCode::TEMPORARY_REDIRECT, [(HeaderName::from_static("fly-replay"), replay)]).into_response()
        }
        ReplayCheck::Gone => pages::machine_is_gone(),
        ReplayCheck::Forbidden => {
            app.metrics.refused_upgrade("replay_state");
            pages::forbidden("This address only answers what the lobby sends here. Start from the lobby.\n")
        }
    }
}

async fn asset(Path((_, name)): Path<(String, String)>, headers: HeaderMap) -> Response {
    assets::asset(&name, &headers).unwrap_or_else(|| StatusCode::NOT_FOUND.into_response())
}

async fn latency(
    State(app): State<Arc<App>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    mut request: Request,
) -> Response {
    let upgrade = match Upgrade::of(&mut request) {
        Ok(upgrade) => upgrade,
        Err(wrong) => return wrong.into_response(),
    };
    if let Some(refusal) = refuse_foreign_page(&app, request.headers()) {
        return refusal;
    }
    match open(&app, peer, request.headers(), None).filter(|permit| permit.refusal.is_none()) {
        None => too_many_connections(&app),
        Some(permit) => upgrade.answer(move |stream, first| ping::echo(stream, first, permit)),
    }
}

async fn room(
    State(app): State<Arc<App>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Path((_, room)): Path<(String, String)>,
    mut request: Request,
) -> Response {
    let Some(kind) = Kind::of(&room) else { return pages::no_such_room() };
    let address = RoomAddress::of(&room, &app.config.instance, &app.config.key);
    let Some(address) = address else { return pages::no_such_room() };
    if !Upgrade::is_wanted(&request) {
        return page(&app, kind, &address, request.uri().query().unwrap_or_default(), request.headers()).await;
    }
    let upgrade = match Upgrade::of(&mut request) {
        Ok(upgrade) => upgrade,
        Err(wrong) => return wrong.into_response(),
    };
    if let Some(refusal) = refuse_foreign_page(&app, request.headers()) {
        return refusal;
    }
    // Browsers hide the status of a refused upgrade, so whoever has no place learns it from a close code.
    let Some(permit) = open(&app, peer, request.headers(), Some(kind)) else { return too_many_connections(&app) };
    let permit = permit.of_visitor();
    upgrade.answer(move |stream, first| async move { app.adopt(stream, first, permit, address).await })
}

/// The page of a room that is here, or can be; else where it is, or that it is gone. What a page shows opens nothing.
async fn page(app: &App, kind: Kind, room: &RoomAddress, query: &str, headers: &HeaderMap) -> Response {
    let RoomAddress { id, name } = room;
    let page = || assets::page(kind, headers).unwrap_or_else(pages::no_page_built);
    // The lobby sends whoever asked for a new room with `?new`: nobody has saved that yet.
    if app.rooms.is_open(id) || query.split('&').any(|part| part == "new") {
        return page();
    }
    let own = &*app.config.instance;
    // Whom it sends here since that room's machine is lost, it sends with `?moved=`, and counts.
    let moved: Option<u32> = query.split('&').find_map(|part| part.strip_prefix("moved=")?.parse().ok());
    let kept = match app.store.owner(id, own).await {
        Ok(kept) => kept,
        Err(error) => {
            tracing::error!(room = &**id, "nobody knows where the room is: {error:#}");
            return page();
        }
    };
    match (kept, home_of(id)) {
        // That it comes back tells the lobby to let it wait, if there is no such machine any more.
        (Some(Kept { owner, is_held: true }), _) if is_name(&owner.instance) => {
            redirect(&format!("{}{}/{name}?back={}", fly_replay::PREFIX, owner.instance, moved.unwrap_or(1)))
        }
        (_, Some(home)) if home == own => page(),
        (kept, Some(home)) if moved.is_none() && !is_interrupted_here(own, kept.as_ref().map(|kept| &kept.owner)) => {
            redirect(&format!("{}{home}/{}", fly_replay::PREFIX, kind.word()))
        }
        (Some(_), _) => page(),
        (None, _) => pages::room_is_gone(),
    }
}

fn redirect(to: &str) -> Response {
    (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, to), (header::CACHE_CONTROL, "no-store")]).into_response()
}

/// The answer to a page of another site.
fn refuse_foreign_page(app: &App, headers: &HeaderMap) -> Option<Response> {
    if is_origin_allowed(headers, &app.config.allowed_origins) {
        return None;
    }
    app.metrics.refused_upgrade("origin");
    Some(pages::forbidden("Pages of other sites may not connect here.\n"))
}

/// A permit for one more connection, for a room of a kind or a ping, if only to be refused.
fn open(app: &App, peer: SocketAddr, headers: &HeaderMap, kind: Option<Kind>) -> Option<ConnectionPermit> {
    app.admission.open(client_address(headers, peer), kind, Instant::now())
}

fn too_many_connections(app: &App) -> Response {
    app.metrics.refused_upgrade("too_many");
    (StatusCode::TOO_MANY_REQUESTS, "Too many connections.\n").into_response()
}

/// No origin (not a browser), the page's own host, or one that was allowed by name.
fn is_origin_allowed(headers: &HeaderMap, allowed: &[String]) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else { return true };
    let Ok(origin) = origin.to_str() else { return false };
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let is_own = origin.split_once("://").is_some_and(|(_, name)| name.eq_ignore_ascii_case(host));
    is_own || allowed.iter().any(|name| name.eq_ignore_ascii_case(origin))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_ours_or_allowed_by_name() {
        let is_allowed = |origin: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, "play.example:8080".parse().unwrap());
            if let Some(origin) = origin {
                headers.insert(header::ORIGIN, origin.parse().unwrap());
            }
            is_origin_allowed(&headers, &["https://friends.example".to_owned()])
        };
        assert!(is_allowed(None));
        assert!(is_allowed(Some("http://play.example:8080")) && is_allowed(Some("https://friends.example")));
        assert!(!is_allowed(Some("https://play.example")) && !is_allowed(Some("null")));
        assert!(!is_allowed(Some("https://evil.example")) && !is_allowed(Some("play.example:8080")));
    }
}
