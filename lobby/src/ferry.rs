//! Requests below `/gameserver/`: what `steer` decided, done.
//!
//! Path: path and headers → `preview` and `origin` keep out who shall wake nothing → [`steer::decide`] → a Fly-Replay, a
//! redirect to another machine's path, or a small page.
//! Invariants: a page of another site can only link here, so that its visitors wake nothing; no answer is ever 101 and no
//! body is read; a redirect leads to a machine that the fleet has.

use crate::preview::{self, Looker};
use crate::steer::{self, Address, Decision, Facts, Knowledge, PREFIX};
use crate::{Lobby, now_s, origin, pages, place, regions};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use protocol::room::durable_id;
use std::sync::Arc;
use std::time::Duration;

/// How long the proxy tries to reach (and start) a machine before it gives the request back.
const REPLAY_TIMEOUT: &str = "10s";
/// Longest a page waits here for a machine to wake. Policy: a page that says so, and tries again.
const WAKE_WAIT_MS: u64 = 4_000;
/// Longest somebody on the way to a room waits for a newer list of machines. Policy: the last one counts.
const LOOK_WAIT_MS: u64 = 1_000;
/// A page with this cookie was sent to another machine a moment ago.
const MOVED_COOKIE: &str = "moved=1";

pub(crate) async fn steer(State(lobby): State<Arc<Lobby>>, request: Request) -> Response {
    let (path, headers, query) = (request.uri().path(), request.headers(), request.uri().query().unwrap_or_default());
    let Some(address) = Address::parse(path) else {
        lobby.metrics.count_steered("no_address");
        return pages::unknown_server();
    };
    match preview::looker(request.method(), headers) {
        Looker::Person => {}
        Looker::Preview => {
            lobby.metrics.count_steered("preview");
            return pages::invitation(&lobby.public_url);
        }
        Looker::Prefetch => {
            lobby.metrics.count_steered("prefetch");
            return not_ahead();
        }
    }
    if let Some(foreign) = origin::foreign(headers, &lobby.allowed_origins).filter(|_| !origin::is_navigation(headers))
    {
        lobby.metrics.count_steered("foreign_page");
        return (StatusCode::FORBIDDEN, format!("{}\n", foreign.sentence())).into_response();
    }
    let is_returned = headers.contains_key("fly-replay-failed");
    let facts = Facts {
        is_returned,
        is_upgrade: is_websocket(headers),
        is_room: address.room.is_some(),
        tries: tries(query),
        was_moved: has_cookie(headers, MOVED_COOKIE),
        knowledge: knowledge(&lobby, address, is_returned).await,
    };
    let decision = steer::decide(facts);
    lobby.metrics.count_steered(decision.name());
    if decision != Decision::Replay {
        let failed = headers.get("fly-replay-failed").and_then(|value| value.to_str().ok()).unwrap_or_default();
        tracing::info!(path, decision = decision.name(), failed, "a request stays here");
    }
    match decision {
        Decision::Replay => replay(&lobby, address.instance, path),
        Decision::Wake => wake(&lobby, address, headers, query, facts.tries).await,
        Decision::Waking => pages::waking(facts.tries + 1),
        Decision::Elsewhere => elsewhere(&lobby, address, headers, query),
        Decision::Moving => pages::moving(facts.tries + 1),
        Decision::Silent => pages::silent(),
        Decision::Gone => pages::gone(),
        Decision::Unknown => pages::unknown_server(),
        Decision::TryAgain => try_again(),
    }
}

/// An unknown instance is looked up once more, and so is one that could not be reached. Of a known one only somebody who
/// wants into a room is a reason to ask: our own status reads come through here too, and would keep the fleet busy with
/// nobody there.
async fn knowledge(lobby: &Lobby, address: Address<'_>, is_returned: bool) -> Knowledge {
    let Address { instance, room } = address;
    let known = Knowledge::of(instance, &lobby.fleet.snapshot());
    if !matches!(known, Knowledge::Known(_)) || is_returned {
        let snapshot = lobby.fleet.fresh().await;
        return Knowledge::of(instance, &snapshot);
    }
    if room.is_none() {
        return known;
    }
    // Whether it runs by now. What takes longer is not worth the wait: mostly it does what it did.
    let _ = tokio::time::timeout(Duration::from_millis(LOOK_WAIT_MS), lobby.fleet.fresh()).await;
    lobby.fleet.is_silent(instance).await;
    Knowledge::of(instance, &lobby.fleet.look())
}

fn tries(query: &str) -> u32 {
    query.split('&').find_map(|pair| pair.strip_prefix("try=")?.parse().ok()).unwrap_or(0)
}

fn has_cookie(headers: &HeaderMap, cookie: &str) -> bool {
    let texts = headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    texts.flat_map(|text| text.split(';')).any(|pair| pair.trim() == cookie)
}

/// The status is 307 without a `Location`: the proxy goes by the header, and nothing else on the way acts on it.
fn replay(lobby: &Lobby, instance: &str, path: &str) -> Response {
    let (app, state) = (&lobby.game_app, lobby.key.sign_replay(instance, path, now_s(), 0));
    let value = format!("app={app};instance={instance};state={state};timeout={REPLAY_TIMEOUT};fallback=prefer_self");
    let headers = [("fly-replay", value), ("cache-control", "no-store".to_owned())];
    (StatusCode::TEMPORARY_REDIRECT, headers).into_response()
}

/// The proxy could not start the machine. The API says why, where the proxy does not.
async fn wake(lobby: &Arc<Lobby>, address: Address<'_>, headers: &HeaderMap, query: &str, tries: u32) -> Response {
    let waking = lobby.wakes.wake(address.instance, |_| ());
    match tokio::time::timeout(Duration::from_millis(WAKE_WAIT_MS), waking).await {
        Ok(Ok(_)) => {
            let room = address.room.unwrap_or_default();
            redirect(&format!("{PREFIX}{}/{room}?try={}{}", address.instance, tries + 1, fresh_mark(query, '&')), None)
        }
        Ok(Err(error)) if error.is_about_this_machine() => elsewhere(lobby, address, headers, query),
        Ok(Err(_)) | Err(_) => pages::waking(tries + 1),
    }
}

/// Another machine for this room: in the same region where this lobby remembers it, else near the asker.
fn elsewhere(lobby: &Lobby, address: Address<'_>, headers: &HeaderMap, query: &str) -> Response {
    let Address { instance, room: Some(room) } = address else { return pages::gone() };
    let snapshot = lobby.fleet.look();
    let edge = crate::http::edge_region(headers).or_else(|| lobby.region.clone());
    let near = lobby.fleet.region_of(instance).or(edge).and_then(|code| regions::find(&code));
    let plan = place::elsewhere(instance, near, &snapshot, &lobby.pools);
    // A link is no reason to create a machine.
    let Some((_, place::Step::Take(other) | place::Step::Wake(other))) = plan.first() else {
        let is_there = matches!(Knowledge::of(instance, &snapshot), Knowledge::Known(_));
        return if is_there { pages::silent() } else { pages::gone() };
    };
    let cookie = format!(
        "{MOVED_COOKIE}; Path={PREFIX}{instance}/{room}; Max-Age={}; HttpOnly; SameSite=Lax",
        pages::MOVING_REFRESH_S
    );
    let id = durable_id(instance, room);
    redirect(&format!("{PREFIX}{other}/{id}{}", fresh_mark(query, '?')), Some(&cookie))
}

/// What tells the gameserver that this room is new travels along.
fn fresh_mark(query: &str, separator: char) -> String {
    let is_fresh = query.split('&').any(|pair| pair == "new");
    if is_fresh { format!("{separator}new") } else { String::new() }
}

fn redirect(to: &str, cookie: Option<&str>) -> Response {
    let mut response = StatusCode::FOUND.into_response();
    let headers =
        [(header::LOCATION, Some(to)), (header::CACHE_CONTROL, Some("no-store")), (header::SET_COOKIE, cookie)];
    for (name, value) in headers {
        if let Some(value) = value.and_then(|value| value.parse().ok()) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// Any error tells a browser to ask again when its person really comes; a good answer would be shown then.
fn not_ahead() -> Response {
    let headers = [(header::CACHE_CONTROL, "no-store")];
    (StatusCode::SERVICE_UNAVAILABLE, headers, "This page cannot be fetched ahead: that would wake a machine.\n")
        .into_response()
}

/// Any other protocol is one that we do not speak: RFC 9110 lets a server ignore it.
fn is_websocket(headers: &HeaderMap) -> bool {
    let asked = headers.get_all(header::UPGRADE).into_iter().filter_map(|value| value.to_str().ok());
    asked.flat_map(|protocols| protocols.split(',')).any(|protocol| protocol.trim().eq_ignore_ascii_case("websocket"))
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
    fn only_a_websocket_is_an_upgrade() {
        let asks = |value: &str| is_websocket(&HeaderMap::from_iter([(header::UPGRADE, value.parse().unwrap())]));
        assert!(asks("websocket") && asks("h2c, WebSocket"));
        assert!(!asks("h2c") && !asks("websocket/13") && !is_websocket(&HeaderMap::new()));
    }

    #[test]
    fn queries_and_cookies_are_read_whatever_else_is_there() {
        assert_eq!(["try=3", "a=b&try=4", "try=x", "retry=9", ""].map(tries), [3, 4, 0, 0, 0]);
        assert_eq!(["new", "a=b&new", "news", ""].map(|query| fresh_mark(query, '?')), ["?new", "?new", "", ""]);
        let with = |value: &str| HeaderMap::from_iter([(header::COOKIE, value.parse().unwrap())]);
        assert!(has_cookie(&with("a=b; moved=1"), MOVED_COOKIE) && !has_cookie(&with("unmoved=1"), MOVED_COOKIE));
    }
}
