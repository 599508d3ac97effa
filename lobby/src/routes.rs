//! The lobby's routes.
//!
//! Path: the table in [`router`] → a handler that asks the responsible part → an answer.
//! Invariants: every error has a sentence.
//! Never: decides anything (decisions are made in `steer`, `board` and `placement`).

use crate::Lobby;
use crate::board::Board;
use crate::{assets, board_stream, gameserver_routes, in_flight, join_http, pages};
use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::middleware::{from_fn_with_state, map_response};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use protocol::room::is_name;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// All routes.
pub fn router(lobby: Arc<Lobby>) -> Router {
    Router::new()
        .route("/", get(|headers: HeaderMap| async move { assets::page(&headers) }))
        .route("/assets/{*name}", get(asset))
        .route(assets::PREVIEW_PATH, get(|| async { assets::preview() }))
        .route("/api/regions", get(regions))
        .route("/api/regions/stream", get(board_stream::stream))
        .route("/api/join", post(join_http::join))
        .route("/gameserver/{*rest}", get(gameserver_routes::steer))
        .route("/healthz", get(|| async { "ok\n" }))
        .method_not_allowed_fallback(|| async { pages::wrong_method() })
        .fallback(|| async { pages::not_found() })
        .layer(from_fn_with_state(lobby.clone(), in_flight::guard))
        .layer(map_response(harden))
        .with_state(lobby)
}

/// The metrics, on a port that nobody outside reaches.
pub(crate) fn metrics_router(lobby: Arc<Lobby>) -> Router {
    Router::new().route("/metrics", get(metrics)).with_state(lobby)
}

/// The headers of every answer. A room's name can be the key to it, so no other site gets to see an address.
async fn harden(mut response: Response) -> Response {
    for (name, value) in [(header::X_CONTENT_TYPE_OPTIONS, "nosniff"), (header::REFERRER_POLICY, "same-origin")] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// The region of the edge that accepted this player's connection, if the proxy names it.
pub(crate) fn edge_region(headers: &HeaderMap) -> Option<String> {
    let region = headers.get("fly-region")?.to_str().ok()?;
    is_name(region).then(|| region.to_owned())
}

/// The client's address: from the proxy, or the peer's where there is no proxy.
pub(crate) fn client_address(headers: &HeaderMap, peer: SocketAddr) -> IpAddr {
    let forwarded = headers.get("fly-client-ip").and_then(|value| value.to_str().ok()?.parse().ok());
    forwarded.unwrap_or(peer.ip())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_proxy_says_who_the_client_is() {
        let peer = "127.0.0.1:5".parse().unwrap();
        let with = |value: &str| HeaderMap::from_iter([("fly-client-ip".parse().unwrap(), value.parse().unwrap())]);
        assert_eq!(client_address(&with("203.0.113.9"), peer).to_string(), "203.0.113.9");
        assert_eq!(client_address(&with("nonsense"), peer).to_string(), "127.0.0.1");
        assert_eq!(client_address(&HeaderMap::new(), peer).to_string(), "127.0.0.1");
    }
}
