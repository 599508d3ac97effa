//! `POST /api/join` over HTTP.
//!
//! Path: sender, body and address are checked → [`Join::run`] → one JSON answer, or, for a client that accepts
//! `text/event-stream`, a `stage` event for each step of the progress and then `joined` or `refused`.
//! Invariants: a stream ends within the join's deadline; a client that leaves ends its join, and no start that others wait
//! for.

use crate::app::App;
use crate::headers::edge_region;
use crate::join::{Join, JoinGrant};
use crate::join_request::JoinRequest;
use crate::progress::Progress;
use crate::refusal::{Refusal, RefusedJoin};
use crate::{origin, regions};
use axum::Json;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, stream};
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::time::timeout;
use webserver::client_address;

/// Longest body of a join. Policy: 400 with a sentence.
pub(crate) const BODY_MAX_BYTES: usize = 4096;
/// Progress events waiting to be sent to one player. Policy: further ones are dropped, the end is not.
const PROGRESS_MAX_COUNT: usize = 32;
/// A comment this often keeps the stream alive while Fly works.
const HEARTBEAT_S: u64 = 5;

/// `POST /api/join`.
pub(crate) async fn join(
    State(app): State<Arc<App>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response {
    let (Parts { headers, .. }, body) = request.into_parts();
    let address = client_address(&headers, peer);
    let body = read_json(&app, address, &headers, body).await;
    let request = match body.and_then(|body| JoinRequest::parse(&body)) {
        Ok(request) => request,
        Err(refusal) => return answer(&app, Err(refusal.into())),
    };
    let from = edge_region(&headers).or_else(|| app.region.clone()).and_then(|code| regions::find(&code));
    if wants_progress(&headers) {
        return stream_progress(app, address, from, request);
    }
    let may_open = || app.may_open_room(address, Instant::now());
    let run = Join { app: &app, from, report: |_, _: &str| (), may_open: &may_open };
    answer(&app, run.run(&request).await)
}

/// The body of somebody who may ask: not a page of another site, and not too often.
pub(crate) async fn read_json(app: &App, address: IpAddr, headers: &HeaderMap, body: Body) -> Result<Bytes, Refusal> {
    // First, so that no page of another site uses up its visitors' rate limit.
    if let Some(foreign) = origin::foreign(headers, &app.allowed_origins) {
        return Err(Refusal::ForeignPage(foreign));
    }
    check_content_type(headers)?;
    if !app.may_join(address, Instant::now()) {
        return Err(Refusal::TooManyJoins);
    }
    let within = app.deadlines.body;
    let body = timeout(within, to_bytes(body, BODY_MAX_BYTES)).await.map_err(|_| Refusal::SlowBody(within))?;
    let too_long = |_| Refusal::BadRequest(format!("The body must be JSON of at most {BODY_MAX_BYTES} bytes."));
    body.map_err(too_long)
}

/// A page may send text and forms anywhere without asking; JSON only where it is allowed to.
fn check_content_type(headers: &HeaderMap) -> Result<(), Refusal> {
    let given = headers.get(header::CONTENT_TYPE).map(|value| value.to_str().unwrap_or("?"));
    let kind = given.map(|given| given.split(';').next().unwrap_or_default().trim());
    match kind {
        Some(kind) if kind.eq_ignore_ascii_case("application/json") => Ok(()),
        _ => Err(Refusal::NotJson(given.map(origin::excerpt))),
    }
}

fn answer(app: &App, outcome: Result<JoinGrant, RefusedJoin>) -> Response {
    count(app, &outcome);
    ([(header::CACHE_CONTROL, "no-store")], outcome.map(Json)).into_response()
}

fn count(app: &App, outcome: &Result<JoinGrant, RefusedJoin>) {
    let code = outcome.as_ref().map_or_else(|refused| refused.refusal.code(), |_| "ok");
    app.metrics.count_join(code);
    if outcome.is_err() {
        tracing::info!(code, "a join was refused");
    }
}

/// The join runs as part of the stream, so that it ends when the player leaves; its outcome goes through the same channel as
/// its progress, so that nothing overtakes.
fn stream_progress(
    app: Arc<App>,
    address: IpAddr,
    from: Option<&'static regions::Region>,
    request: JoinRequest,
) -> Response {
    let (sender, receiver) = mpsc::channel(PROGRESS_MAX_COUNT);
    let join = async move {
        let report = |progress: Progress, place: &str| {
            drop(sender.try_send(Event::default().event("stage").data(progress.to_json(place).to_string())));
        };
        let may_open = || app.may_open_room(address, Instant::now());
        let outcome = Join { app: &app, from, report: &report, may_open: &may_open }.run(&request).await;
        count(&app, &outcome);
        let last = match outcome {
            Ok(joined) => Event::default().event("joined").data(joined.to_json().to_string()),
            Err(refused) => Event::default().event("refused").data(refused.to_json().to_string()),
        };
        drop(sender.send(last).await);
    };
    let events = stream::unfold(receiver, |mut receiver| async move { Some((receiver.recv().await?, receiver)) });
    let silent = stream::once(join).filter_map(|()| async { None });
    let events = stream::select(events, silent).map(Ok::<_, Infallible>);
    let heartbeat = KeepAlive::new().interval(Duration::from_secs(HEARTBEAT_S));
    ([(header::CACHE_CONTROL, "no-store")], Sse::new(events).keep_alive(heartbeat)).into_response()
}

fn wants_progress(headers: &HeaderMap) -> bool {
    let accepted = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    accepted.contains("text/event-stream")
}
