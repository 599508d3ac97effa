//! Requests below `/gameserver/`: carries out what `steer` decides.
//!
//! Path: path and headers → `preview` and `origin` keep out requests that must start nothing → [`steer::decide`] → a
//! Fly-Replay, a redirect to another machine's path, or a small page.
//! Invariants: a page of another site can only link here, so that its visitors start nothing; no answer is ever 101 and no
//! body is read; a redirect leads to a machine that the fleet has.

use crate::app::App;
use crate::headers::edge_region;
use crate::preview::{self, Visitor};
use crate::steer::{self, Decision, Facts, GameserverPath, Knowledge, PREFIX};
use crate::unix_time::now_s;
use crate::{origin, pages, placement, regions};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use protocol::alias::is_alias;
use protocol::room::{Kind, durable_id, home_of};
use std::sync::Arc;
use std::time::Duration;

/// How long the proxy tries to reach (and start) a machine before it returns the request.
const REPLAY_TIMEOUT: &str = "10s";
/// Longest a request waits here for a machine to start. Policy: a page that says so, and tries again.
const WAKE_WAIT_MS: u64 = 4_000;
/// Query parameters that count how often a page was sent round: by our waking or moving page, which reloads; by us to
/// another machine; by that one back.
const ROUNDS: [&str; 3] = ["try=", MOVED, BACK];
const MOVED: &str = "moved=";
const BACK: &str = "back=";
/// In the address of a page, and of its socket, for somebody who only looks on.
const WATCH: &str = "watch";
/// Longest a request for a room waits for a newer list of machines. Policy: the last one counts.
const LOOK_WAIT_MS: u64 = 1_000;

pub(crate) async fn steer(State(app): State<Arc<App>>, request: Request) -> Response {
    let (path, headers, query) = (request.uri().path(), request.headers(), request.uri().query().unwrap_or_default());
    let is_there = |address: &GameserverPath<'_>| address.room.is_none_or(|room| is_sound(&app, room));
    let Some(address) = GameserverPath::parse(path).filter(is_there) else {
        app.metrics.count_steered("no_address");
        return pages::unknown_machine();
    };
    match preview::visitor(request.method(), headers) {
        Visitor::Person => {}
        Visitor::Preview => {
            app.metrics.count_steered("preview");
            let kind = address.room.and_then(Kind::of);
            return pages::invitation(&app.public_url, kind.map(|kind| &app.kinds[kind]));
        }
        Visitor::Prefetch => {
            app.metrics.count_steered("prefetch");
            return no_prefetch();
        }
    }
    if let Some(foreign) = origin::foreign(headers, &app.allowed_origins).filter(|_| !origin::is_navigation(headers)) {
        app.metrics.count_steered("foreign_page");
        return (StatusCode::FORBIDDEN, format!("{}\n", foreign.sentence())).into_response();
    }
    let is_returned = headers.contains_key("fly-replay-failed");
    let facts = Facts {
        is_returned,
        is_upgrade: is_websocket(headers),
        is_room: address.room.is_some(),
        tries: tries(query),
        is_back: query.split('&').any(|pair| pair.starts_with(BACK)),
        is_watching: query.split('&').any(|pair| pair == WATCH),
        knowledge: knowledge(&app, address, is_returned).await,
    };
    let decision = steer::decide(facts);
    app.metrics.count_steered(decision.name());
    if decision != Decision::Replay {
        let failed = headers.get("fly-replay-failed").and_then(|value| value.to_str().ok()).unwrap_or_default();
        tracing::info!(path, decision = decision.name(), failed, "a request stays here");
    }
    match decision {
        Decision::Replay => replay(&app, address.instance, path),
        Decision::Wake => wake(&app, address, headers, query, facts.tries).await,
        Decision::Waking => pages::waking(facts.tries + 1, is_new(query)),
        Decision::Elsewhere => elsewhere(&app, address, headers, facts.tries),
        // The waiting is part of the round that it ends.
        Decision::Moving => pages::moving(facts.tries),
        Decision::Silent => pages::silent(),
        Decision::Gone => pages::gone(),
        Decision::Unknown => pages::unknown_machine(),
        Decision::Quiet => pages::quiet(),
        Decision::TryAgain => try_again(),
    }
}

/// An alias that was not made here leads nowhere, and starts nothing.
fn is_sound(app: &App, room: &str) -> bool {
    !is_alias(room) || app.key.open_alias(room).is_some()
}

/// An unknown instance is looked up once more, and so is one that could not be reached. For a known one, only a request for
/// a room is a reason to ask: our own status reads come through here too, and would keep the fleet busy with nobody there.
async fn knowledge(app: &App, address: GameserverPath<'_>, is_returned: bool) -> Knowledge {
    let GameserverPath { instance, room } = address;
    let known = Knowledge::of(instance, &app.fleet.snapshot());
    if !matches!(known, Knowledge::Known(_)) || is_returned {
        let snapshot = app.fleet.fresh().await;
        return Knowledge::of(instance, &snapshot);
    }
    if room.is_none() {
        return known;
    }
    // Whether it runs by now. A longer wait is not worth it: mostly nothing changed.
    let _ = tokio::time::timeout(Duration::from_millis(LOOK_WAIT_MS), app.fleet.fresh()).await;
    app.fleet.is_silent(instance).await;
    Knowledge::of(instance, &app.fleet.current())
}

fn tries(query: &str) -> u32 {
    let number = |pair: &str| ROUNDS.iter().find_map(|name| pair.strip_prefix(name)?.parse().ok());
    query.split('&').find_map(number).unwrap_or(0)
}

/// The status is 307 without a `Location`: the proxy goes by the header, and nothing else on the way acts on it.
fn replay(app: &App, instance: &str, path: &str) -> Response {
    let (app, state) = (&app.game_app, app.key.sign_replay(instance, path, now_s(), 0));
    let value = format!("app={app};instance={instance};state={state};timeout={REPLAY_TIMEOUT};fallback=prefer_self");
    let headers = [("fly-replay", value), ("cache-control", "no-store".to_owned())];
    (StatusCode::TEMPORARY_REDIRECT, headers).into_response()
}

/// The proxy could not start the machine. The API says why, the proxy does not.
async fn wake(app: &Arc<App>, address: GameserverPath<'_>, headers: &HeaderMap, query: &str, tries: u32) -> Response {
    let waking = app.start_tasks.wake(address.instance, |_| ());
    match tokio::time::timeout(Duration::from_millis(WAKE_WAIT_MS), waking).await {
        Ok(Ok(_)) => {
            let room = address.room.unwrap_or_default();
            let new = if is_new(query) { "&new" } else { "" };
            redirect(&format!("{PREFIX}{}/{room}?try={}{new}", address.instance, tries + 1))
        }
        Ok(Err(error)) if error.is_about_this_machine() => elsewhere(app, address, headers, tries),
        Ok(Err(_)) | Err(_) => pages::waking(tries + 1, is_new(query)),
    }
}

/// Another machine for this room: its own, if it is a public room that had moved; else where others were sent with it a
/// moment ago; else in the same region where this lobby remembers it, else near the asker.
fn elsewhere(app: &App, address: GameserverPath<'_>, headers: &HeaderMap, tries: u32) -> Response {
    let GameserverPath { instance, room: Some(room) } = address else { return pages::gone() };
    let (id, round) = (durable_id(instance, room), tries + 1);
    if let Some(home) = home_of(&id).filter(|home| *home != instance && !app.fleet.is_lost(home)) {
        let public = Kind::of(room).map_or("", Kind::word);
        return redirect(&format!("{PREFIX}{home}/{public}?{MOVED}{round}"));
    }
    if let Some(other) = app.moved_to(&id).filter(|other| !app.fleet.is_lost(other)) {
        return redirect(&format!("{PREFIX}{other}/{id}?{MOVED}{round}"));
    }
    let snapshot = app.fleet.current();
    let edge = edge_region(headers).or_else(|| app.region.clone());
    let near = app.fleet.region_of(instance).or(edge).and_then(|code| regions::find(&code));
    let plan = placement::elsewhere(instance, near, &snapshot, &app.pools);
    // A link is no reason to create a machine.
    let Some((_, placement::Step::Take(other) | placement::Step::Wake(other))) = plan.first() else {
        let is_there = matches!(Knowledge::of(instance, &snapshot), Knowledge::Known(_));
        return if is_there { pages::silent() } else { pages::gone() };
    };
    redirect(&format!("{PREFIX}{other}/{id}?{MOVED}{round}"))
}

/// Tells the gameserver that nobody has been in this room yet; it is passed along.
fn is_new(query: &str) -> bool {
    query.split('&').any(|pair| pair == "new")
}

fn redirect(to: &str) -> Response {
    (StatusCode::FOUND, [(header::LOCATION, to), (header::CACHE_CONTROL, "no-store")]).into_response()
}

/// Any error tells a browser to ask again when the person really comes; a good answer would be shown then.
fn no_prefetch() -> Response {
    let headers = [(header::CACHE_CONTROL, "no-store")];
    (StatusCode::SERVICE_UNAVAILABLE, headers, "This page cannot be fetched ahead: that would wake a machine.\n")
        .into_response()
}

/// Other protocols are not supported: RFC 9110 lets a server ignore them.
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
    fn queries_are_read_whatever_else_is_there() {
        assert_eq!(["try=3", "a=b&try=4", "moved=2", "back=5", "new&back=1"].map(tries), [3, 4, 2, 5, 1]);
        assert_eq!(["try=x", "retry=9", "back", ""].map(tries), [0; 4]);
        assert_eq!(["new", "a=b&new", "news", ""].map(is_new), [true, true, false, false]);
    }

    #[test]
    fn only_a_websocket_is_an_upgrade() {
        let asks = |value: &str| is_websocket(&HeaderMap::from_iter([(header::UPGRADE, value.parse().unwrap())]));
        assert!(asks("websocket") && asks("h2c, WebSocket"));
        assert!(!asks("h2c") && !asks("websocket/13") && !is_websocket(&HeaderMap::new()));
    }
}
