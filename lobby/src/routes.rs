//! The lobby's routes.
//!
//! Path: the table in [`router`] → a handler that asks the responsible part → an answer.
//! Invariants: every error has a sentence.
//! Never: decides anything (decisions are made in `steer`, `board` and `placement`).

use crate::app::App;
use crate::board::Board;
use crate::headers::edge_region;
use crate::{assets, board_stream, gameserver_routes, in_flight, join_http, pages, share};
use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::middleware::{from_fn_with_state, map_response};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use std::sync::Arc;

/// All routes.
pub(crate) fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/", get(page))
        .route("/assets/{*name}", get(asset))
        .route(assets::PREVIEW_PATH, get(|| async { assets::preview() }))
        .route("/api/regions", get(regions))
        .route("/api/regions/stream", get(board_stream::stream))
        .route("/api/join", post(join_http::join))
        .route("/api/share", post(share::share))
        .route("/gameserver/{*rest}", get(gameserver_routes::steer))
        .route("/healthz", get(|| async { "ok\n" }))
        .method_not_allowed_fallback(|| async { pages::wrong_method() })
        .fallback(|| async { pages::not_found() })
        .layer(from_fn_with_state(app.in_flight.clone(), in_flight::guard))
        .layer(map_response(harden))
        .with_state(app)
}

/// The metrics, on a port that nobody outside reaches.
pub(crate) fn metrics_router(app: Arc<App>) -> Router {
    Router::new().route("/metrics", get(metrics)).with_state(app)
}

/// The headers of every answer. A room's name can be the key to it, so no other site gets to see an address.
async fn harden(mut response: Response) -> Response {
    for (name, value) in
        [(header::X_CONTENT_TYPE_OPTIONS, "nosniff"), (header::REFERRER_POLICY, webserver::REFERRER_POLICY)]
    {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

async fn page(headers: HeaderMap) -> Response {
    assets::page(&headers).unwrap_or_else(pages::not_built)
}

async fn asset(Path(name): Path<String>, headers: HeaderMap) -> Response {
    assets::asset(&name, &headers).unwrap_or_else(pages::not_found)
}

async fn regions(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    let snapshot = app.fleet.fresh().await;
    let board = Board::new(&snapshot, &app.pools, &app.kinds, edge_region(&headers).as_deref(), app.region.as_deref());
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    (headers, board.to_json()).into_response()
}

async fn metrics(State(app): State<Arc<App>>) -> Response {
    webserver::metrics(app.metrics.text())
}
