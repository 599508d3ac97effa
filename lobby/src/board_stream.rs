//! The live board, as server-sent events.
//!
//! Path: the fleet's watch channel → [`Board`] for this watcher → an event when its text changed.
//! Invariants: a slow watcher skips to the newest board and queues nothing; every stream ends when the lobby closes;
//! at most [`WATCHERS_MAX_COUNT`] at once.

use crate::app::App;
use crate::board::Board;
use crate::fleet_state::FleetSnapshot;
use crate::headers::edge_region;
use crate::metrics::Metrics;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Open streams of one lobby. Policy: 503; the page asks again later.
const WATCHERS_MAX_COUNT: i64 = 2_000;
/// A comment this often tells both ends that the other is there.
const HEARTBEAT_S: u64 = 15;

/// One open stream.
struct Watcher {
    app: Arc<App>,
    snapshots: watch::Receiver<Arc<FleetSnapshot>>,
    closing: watch::Receiver<bool>,
    edge: Option<String>,
    last_sent: String,
    _counted: WatcherCount,
}

/// Counts a watcher as long as it lives.
struct WatcherCount(Arc<Metrics>);

impl Drop for WatcherCount {
    fn drop(&mut self) {
        self.0.watchers.dec();
    }
}

/// `GET /api/regions/stream`: the board at once, then whenever it changes.
pub(crate) async fn stream(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    if app.metrics.watchers.inc() >= WATCHERS_MAX_COUNT {
        app.metrics.watchers.dec();
        let headers = [(header::RETRY_AFTER, "15")];
        return (StatusCode::SERVICE_UNAVAILABLE, headers, "Too many people watch the board right now.\n")
            .into_response();
    }
    let counted = WatcherCount(app.metrics.clone());
    if !app.fleet.snapshot().is_known {
        app.fleet.fresh().await;
    }
    let watcher = Watcher {
        snapshots: app.fleet.watch(),
        closing: app.closing.subscribe(),
        edge: edge_region(&headers),
        last_sent: String::new(),
        app,
        _counted: counted,
    };
    let events = stream::unfold(watcher, |mut watcher| async move {
        let event = watcher.next().await?;
        Some((Ok::<_, Infallible>(event), watcher))
    });
    let heartbeat = KeepAlive::new().interval(Duration::from_secs(HEARTBEAT_S));
    Sse::new(events).keep_alive(heartbeat).into_response()
}

impl Watcher {
    /// The next event; `None` when the lobby closes.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if *self.closing.borrow() {
                return None;
            }
            let snapshot = self.snapshots.borrow_and_update().clone();
            let (edge, home) = (self.edge.as_deref(), self.app.region.as_deref());
            let board = Board::new(&snapshot, &self.app.pools, &self.app.kinds, edge, home).to_json();
            if board != self.last_sent {
                self.last_sent.clone_from(&board);
                return Some(Event::default().event("regions").data(board));
            }
            tokio::select! {
                changed = self.snapshots.changed() => changed.ok()?,
                closed = self.closing.changed() => closed.ok()?,
            }
        }
    }
}
