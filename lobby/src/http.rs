//! The lobby's addresses.
//!
//! Path: the table in [`router`] → a handler that asks the part that knows → an answer.
//! Invariants: every trouble has a sentence.
//! Never: a decision of its own (those are in `steer`, `board` and `place`).

use crate::Lobby;
use crate::board::Board;
use crate::{assets, desk, ferry, pages, stream};
use axum::Router;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use protocol::room::is_name;
use std::sync::Arc;

/// All addresses.
pub fn router(lobby: Arc<Lobby>) -> Router {
    Router::new()
        .route("/", get(|headers: HeaderMap| async move { assets::page(&headers) }))
        .route("/assets/{*name}", get(asset))
        .route("/api/regions", get(regions))
        .route("/api/regions/stream", get(stream::stream))
        .route("/api/join", post(desk::join).layer(DefaultBodyLimit::max(desk::BODY_MAX_BYTES)))
        .route("/gameserver/{*rest}", any(ferry::steer))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/metrics", get(metrics))
        .fallback(|| async { pages::not_found() })
        .with_state(lobby)
}

/// The region of the edge that took this player's connection, if the proxy says so.
pub(crate) fn edge_region(headers: &HeaderMap) -> Option<String> {
    let region = headers.get("fly-region")?.to_str().ok()?;
    is_name(region).then(|| region.to_owned())
}

async fn asset(Path(name): Path<String>, headers: HeaderMap) -> Response {
    assets::asset(&name, &headers)
}

async fn regions(State(lobby): State<Arc<Lobby>>, headers: HeaderMap) -> Response {
    let snapshot = lobby.fleet.fresh().await;
    let board = Board::new(&snapshot, &lobby.pools, edge_region(&headers).as_deref(), lobby.region.as_deref());
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    (headers, board.to_json()).into_response()
}

async fn metrics(State(lobby): State<Arc<Lobby>>) -> Response {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], lobby.metrics.text()).into_response()
}
