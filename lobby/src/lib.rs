//! The lobby: shows the fleet, wakes machines, and steers each player to one with Fly-Replay.
//!
//! Path: [`serve`] puts the parts together. `listen` accepts, `in_flight` bounds each client, `routes` is the table of
//! addresses; `fleet` (with `fleet_state`, `machines_api` and `status`) knows the machines; `board` shows their regions;
//! `join_http` and `join` (with `placement`, `wake`, `moves` and `limit`) let a player in; `steer` and `gameserver_routes`
//! send requests on; `origin` keeps pages of other sites out, and `preview` keeps link previews away from the machines;
//! `provision` makes the pool what `pools` says.
//! Invariants: stateless: whatever it knows is a cache, so any instance can answer any request. Fly's API is known to
//! `machines_api` and `api_errors` alone; where a player goes and when a pool grows is decided in `placement` alone.
//! Never: knows the game, opens a room, holds a player's socket.

pub mod api_errors;
pub mod assets;
pub mod board;
mod board_stream;
pub mod clock_skew;
pub mod config;
pub mod fleet;
pub mod fleet_state;
mod gameserver_routes;
pub mod http_client;
pub mod in_flight;
pub mod join;
mod join_http;
pub mod join_request;
pub mod limit;
pub mod listen;
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
pub mod routes;
pub mod status;
pub mod steer;
pub mod wake;
pub mod wake_times;

use config::Config;
use fleet::Fleet;
use limit::Limiter;
use metrics::Metrics;
use moves::Moves;
use pools::Pools;
use protocol::token::Key;
use std::future::pending;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::net::TcpListener;
use tokio::sync::watch;
use wake::StartTasks;

/// Longest that requests under way may take once the lobby closes. Policy: they are cut.
const CLOSE_GRACE_MS: u64 = 5_000;

/// All parts of one running lobby.
#[derive(Debug)]
pub struct Lobby {
    key: Key,
    game_app: String,
    region: Option<String>,
    pools: Pools,
    public_url: String,
    allowed_origins: Vec<String>,
    fleet: Arc<Fleet>,
    start_tasks: Arc<StartTasks>,
    deadlines: listen::Deadlines,
    requests_max_count: usize,
    in_flight: Arc<in_flight::InFlight>,
    joins: Mutex<Limiter>,
    room_openings: Mutex<Limiter>,
    moves: Mutex<Moves>,
    metrics: Arc<Metrics>,
    /// Becomes true once, when the lobby closes.
    closing: watch::Sender<bool>,
}

impl Lobby {
    /// Nothing runs yet; see [`serve`].
    pub fn new(config: &Config) -> Self {
        let metrics = Arc::new(Metrics::default());
        let client = http_client::HttpClient::new();
        let api = machines_api::MachinesApi::new(&config.api, client.clone(), metrics.clone());
        let status = status::StatusReader::new(client, config.public_url.clone(), metrics.clone());
        let fleet = Arc::new(Fleet::new(api.clone(), status, config.pools.clone()));
        Self {
            key: config.key.clone(),
            game_app: config.api.game_app.clone(),
            region: config.region.clone(),
            pools: config.pools.clone(),
            public_url: config.public_url.clone(),
            allowed_origins: config.allowed_origins.clone(),
            start_tasks: Arc::new(StartTasks::new(api, fleet.clone(), metrics.clone())),
            fleet,
            deadlines: config.deadlines,
            requests_max_count: config.requests_max_count,
            in_flight: Arc::default(),
            joins: Mutex::new(Limiter::new(limit::JOINS, Instant::now())),
            room_openings: Mutex::new(Limiter::new(limit::ROOM_OPENINGS, Instant::now())),
            moves: Mutex::default(),
            metrics,
            closing: watch::Sender::new(false),
        }
    }

    fn may_join(&self, address: IpAddr, now: Instant) -> bool {
        self.joins.lock().expect("nobody panics while counting joins").admit(address, now)
    }

    fn may_open_room(&self, address: IpAddr, now: Instant) -> bool {
        self.room_openings.lock().expect("nobody panics while counting rooms").admit(address, now)
    }

    /// Where this room went a moment ago, since its machine is lost.
    fn moved_to(&self, room: &str) -> Option<String> {
        self.moves.lock().expect("nobody panics while remembering moves").find(room, Instant::now())
    }

    fn note_move(&self, room: &str, instance: &str) {
        let mut moves = self.moves.lock().expect("nobody panics while remembering moves");
        moves.note(room.to_owned(), instance.to_owned(), Instant::now());
    }
}

/// Serves on `listener`, and the metrics on one of their own, until `stop` completes, then ends open streams and lets the
/// rest finish.
pub async fn serve(
    config: &Config,
    listener: TcpListener,
    metrics: Option<TcpListener>,
    stop: impl Future<Output = ()>,
) {
    let lobby = Arc::new(Lobby::new(config));
    let fleet = lobby.fleet.clone();
    let refreshing = tokio::spawn(async move { fleet.run().await });
    let mut closing = lobby.closing.subscribe();
    let closed = async move {
        let _ = closing.wait_for(|is_closing| *is_closing).await;
    };
    let scraped = async {
        match metrics {
            Some(listener) => {
                listen::serve(listener, routes::metrics_router(lobby.clone()), lobby.deadlines, pending()).await;
            }
            None => pending().await,
        }
    };
    tokio::select! {
        () = scraped => {}
        () = listen::serve(listener, routes::router(lobby.clone()), lobby.deadlines, closed) => {}
        () = close_after(stop, &lobby) => {}
    }
    refreshing.abort();
}

async fn close_after(stop: impl Future<Output = ()>, lobby: &Lobby) {
    stop.await;
    lobby.closing.send_replace(true);
    tokio::time::sleep(Duration::from_millis(CLOSE_GRACE_MS)).await;
    tracing::warn!("some requests did not end in time and are cut");
}

/// Unix time in milliseconds, as the Machines API dates its events.
pub(crate) fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970").as_millis() as u64
}

/// Unix time in seconds, for what is signed.
pub(crate) fn now_s() -> u64 {
    now_ms() / 1_000
}
