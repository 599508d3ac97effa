//! The lobby's addresses.
//!
//! Path: the table in [`router`] → a handler that reads headers and asks the part that knows → an answer.
//! Invariants: below `/gameserver/` no answer is ever 101 and no body is read; every trouble has a sentence.
//! Never: a decision of its own (those are in `steer`, `board` and `join`).

use crate::Lobby;
use crate::board::Board;
use crate::join::{self, Wish};
use crate::refusal::Refusal;
use crate::steer::{self, Address, Decision, Facts, Knowledge};
use crate::{assets, now_s, pages};
use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{ConnectInfo, DefaultBodyLimit, Path, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// Longest body of a join. Policy: 400 with a sentence.
const JOIN_BODY_MAX_BYTES: usize = 4096;
/// How long the proxy tries to reach (and start) a machine before it gives the request back.
const REPLAY_TIMEOUT: &str = "10s";

/// All addresses.
pub fn router(lobby: Arc<Lobby>) -> Router {
    Router::new()
        .route("/", get(|headers: HeaderMap| async move { assets::page(&headers) }))
        .route("/assets/{*name}", get(asset))
        .route("/api/regions", get(regions))
        .route("/api/regions/stream", get(crate::stream::stream))
        .route("/api/join", post(join).layer(DefaultBodyLimit::max(JOIN_BODY_MAX_BYTES)))
        .route("/gameserver/{*rest}", any(steer))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/metrics", get(metrics))
        .fallback(|| async { pages::not_found() })
        .with_state(lobby)
}

/// The region of the edge that took this player's connection, if the proxy says so.
pub(crate) fn edge_region(headers: &HeaderMap) -> Option<String> {
    let region = headers.get("fly-region")?.to_str().ok()?;
    steer::is_name(region).then(|| region.to_owned())
}

async fn asset(Path(name): Path<String>, headers: HeaderMap) -> Response {
    assets::asset(&name, &headers)
}

async fn regions(State(lobby): State<Arc<Lobby>>, headers: HeaderMap) -> Response {
    let snapshot = lobby.fleet.fresh().await;
    let board = Board::new(&snapshot, edge_region(&headers).as_deref(), lobby.region.as_deref());
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    (headers, board.to_json()).into_response()
}

async fn metrics(State(lobby): State<Arc<Lobby>>) -> Response {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], lobby.metrics.text()).into_response()
}

async fn join(
    State(lobby): State<Arc<Lobby>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let answer = try_join(&lobby, client_address(&headers, peer), body).await;
    match &answer {
        Ok(_) => lobby.metrics.count_join("ok"),
        Err(refusal) => {
            lobby.metrics.count_join(refusal.code());
            tracing::info!(code = refusal.code(), "a join was refused");
        }
    }
    let headers = [(header::CACHE_CONTROL, "no-store")];
    (headers, answer.map(axum::Json)).into_response()
}

async fn try_join(
    lobby: &Lobby,
    address: IpAddr,
    body: Result<Bytes, BytesRejection>,
) -> Result<join::Joined, Refusal> {
    if !lobby.limiter().admit(address, std::time::Instant::now()) {
        return Err(Refusal::TooManyJoins);
    }
    let body = body
        .map_err(|_| Refusal::BadRequest(format!("The body must be JSON of at most {JOIN_BODY_MAX_BYTES} bytes.")))?;
    let wish = Wish::parse(&body)?;
    join::join(&wish, &lobby.fleet, &lobby.wakes, &lobby.key).await
}

/// The proxy says who the client is; without a proxy it is the peer.
fn client_address(headers: &HeaderMap, peer: SocketAddr) -> IpAddr {
    let said = headers.get("fly-client-ip").and_then(|value| value.to_str().ok()?.parse().ok());
    said.unwrap_or(peer.ip())
}

async fn steer(State(lobby): State<Arc<Lobby>>, request: Request) -> Response {
    let (path, headers) = (request.uri().path(), request.headers());
    let Some(Address { instance }) = Address::parse(path) else {
        lobby.metrics.count_steered("no_address");
        return pages::unknown_server();
    };
    let is_returned = headers.contains_key("fly-replay-failed");
    let facts = Facts {
        is_returned,
        is_upgrade: headers.contains_key(header::UPGRADE),
        tries: request.uri().query().map_or(0, tries),
        knowledge: knowledge(&lobby, instance, is_returned).await,
    };
    let decision = steer::decide(facts);
    lobby.metrics.count_steered(decision.name());
    if decision != Decision::Replay {
        let failed = headers.get("fly-replay-failed").and_then(|value| value.to_str().ok()).unwrap_or_default();
        tracing::info!(path, decision = decision.name(), failed, "a request stays here");
    }
    match decision {
        Decision::Replay => replay(&lobby, instance, path),
        Decision::Waking => pages::waking(facts.tries + 1),
        Decision::Silent => pages::silent(),
        Decision::Gone => pages::gone(),
        Decision::Unknown => pages::unknown_server(),
        Decision::TryAgain => try_again(),
    }
}

/// An unknown instance is looked up once more, and so is one that could not be reached. A known one is never a reason
/// to ask: our own status reads come through here too, and would keep the fleet busy with nobody there.
async fn knowledge(lobby: &Lobby, instance: &str, is_returned: bool) -> Knowledge {
    let known = Knowledge::of(instance, &lobby.fleet.snapshot());
    if matches!(known, Knowledge::Known(_)) && !is_returned {
        return known;
    }
    let snapshot = lobby.fleet.fresh().await;
    Knowledge::of(instance, &snapshot)
}

fn tries(query: &str) -> u32 {
    query.split('&').find_map(|pair| pair.strip_prefix("try=")?.parse().ok()).unwrap_or(0)
}

/// The status is 307 without a `Location`: the proxy goes by the header, and nothing else on the way acts on it.
fn replay(lobby: &Lobby, instance: &str, path: &str) -> Response {
    let (app, state) = (&lobby.game_app, lobby.key.sign_replay(instance, path, now_s(), 0));
    let value = format!("app={app};instance={instance};state={state};timeout={REPLAY_TIMEOUT};fallback=prefer_self");
    let headers = [("fly-replay", value), ("cache-control", "no-store".to_owned())];
    (StatusCode::TEMPORARY_REDIRECT, headers).into_response()
}

fn try_again() -> Response {
    let headers = [(header::RETRY_AFTER, "2"), (header::CACHE_CONTROL, "no-store")];
    (StatusCode::SERVICE_UNAVAILABLE, headers, "This server cannot be reached right now. Try again in a moment.\n")
        .into_response()
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

    #[test]
    fn tries_are_read_from_any_query() {
        assert_eq!(["try=3", "a=b&try=4", "try=x", "retry=9", ""].map(tries), [3, 4, 0, 0, 0]);
    }
}
