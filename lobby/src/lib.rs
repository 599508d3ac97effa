//! The lobby: shows the fleet, wakes machines, and steers each player to one with Fly-Replay.
//!
//! Path: [`serve`] puts the parts together. `listen` accepts, `in_flight` bounds each client, `routes` is the table of
//! addresses, `app` what their handlers share; `fleet` (with `fleet_state`, `machines_api` and `status`) knows the
//! machines; `board` shows their regions; `join_http` and `join` (with `placement`, `wake`, `moves` and `limit`) let a
//! player in, and `share` tells how others read along; `steer` and `gameserver_routes` send requests on; `origin` keeps pages of other sites out, and `preview` keeps
//! link previews away from the machines; `provision` makes the pool what `pools` says.
//! Invariants: stateless: whatever it knows is a cache, so any instance can answer any request. Fly's API is known to
//! `machines_api`, `machine`, `api_config` and `api_errors` alone; where a player goes and when a pool grows is decided in
//! `placement` alone.
//! Never: knows the game, opens a room, holds a player's socket.

pub mod api_config;
pub mod api_errors;
mod app;
pub mod assets;
pub mod board;
mod board_stream;
pub mod by_kind;
pub mod clock_skew;
pub mod config;
pub mod fleet;
pub mod fleet_state;
mod gameserver_routes;
mod headers;
pub mod http_client;
pub mod in_flight;
pub mod join;
mod join_http;
pub mod join_request;
pub mod limit;
pub mod listen;
pub mod machine;
pub mod machine_view;
pub mod machines_api;
pub mod metrics;
mod moves;
pub mod origin;
pub mod pages;
pub mod placement;
pub mod pools;
mod preview;
pub mod progress;
pub mod provision;
pub mod random;
pub mod refusal;
pub mod regions;
mod routes;
mod share;
pub mod status;
pub mod steer;
pub mod template;
mod unix_time;
pub mod wake;
pub mod wake_times;

use app::App;
use config::Config;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

/// Longest that requests under way may take once the lobby closes. Policy: they are cut.
const CLOSE_GRACE_MS: u64 = 5_000;

/// Serves on `listener`, and the metrics on one of their own, until `stop` completes, then ends open streams and lets the
/// rest finish.
pub async fn serve(
    config: &Config,
    listener: TcpListener,
    metrics: Option<TcpListener>,
    stop: impl Future<Output = ()>,
) {
    let app = Arc::new(App::new(config));
    let fleet = app.fleet.clone();
    let refreshing = tokio::spawn(async move { fleet.run().await });
    let mut closing = app.closing.subscribe();
    let closed = async move {
        let _ = closing.wait_for(|is_closing| *is_closing).await;
    };
    let scraped = async {
        match metrics {
            Some(listener) => {
                listen::serve(listener, routes::metrics_router(app.clone()), app.deadlines, pending()).await;
            }
            None => pending().await,
        }
    };
    tokio::select! {
        () = scraped => {}
        () = listen::serve(listener, routes::router(app.clone()), app.deadlines, closed) => {}
        () = close_after(stop, &app) => {}
    }
    refreshing.abort();
}

async fn close_after(stop: impl Future<Output = ()>, app: &App) {
    stop.await;
    app.closing.send_replace(true);
    tokio::time::sleep(Duration::from_millis(CLOSE_GRACE_MS)).await;
    tracing::warn!("some requests did not end in time and are cut");
}
