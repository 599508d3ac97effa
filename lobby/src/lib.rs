//! The lobby: shows the fleet, wakes machines, and steers each player to one with Fly-Replay.
//!
//! Path: [`serve`] puts the parts together. `listen` accepts, `in_flight` bounds each client, `http` holds the addresses;
//! `fleet` (with `book`, `machines` and `status`) knows the machines; `board` shows their regions; `desk` and `join` (with
//! `place`, `wake`, `moves` and `limit`) let a player in; `steer` and `ferry` send requests on; `origin` keeps pages of
//! other sites out and `preview` those who only look; `provision` makes the pool what `pools` says.
//! Invariants: stateless: whatever it knows is a cache, so any instance can answer any request. Fly's API is known to
//! `machines` and `verdict` alone; where a player goes and when a pool grows is decided in `place` alone.
//! Never: the game, a room, a player's socket.

pub mod assets;
pub mod board;
pub mod book;
pub mod client;
pub mod config;
mod desk;
mod ferry;
pub mod fleet;
pub mod http;
pub mod in_flight;
pub mod join;
pub mod limit;
pub mod listen;
pub mod machines;
pub mod metrics;
mod moves;
pub mod origin;
pub mod pages;
pub mod place;
pub mod pools;
mod preview;
pub mod provision;
pub mod random;
pub mod refusal;
pub mod regions;
pub mod server;
pub mod skew;
pub mod stage;
pub mod status;
pub mod steer;
mod stream;
pub mod verdict;
pub mod wake;
pub mod wake_times;
pub mod wish;

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
use wake::Wakes;

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
    wakes: Arc<Wakes>,
    deadlines: listen::Deadlines,
    requests_max_count: usize,
    in_flight: Arc<in_flight::InFlight>,
    joins: Mutex<Limiter>,
    fields: Mutex<Limiter>,
    moves: Mutex<Moves>,
    metrics: Arc<Metrics>,
    /// Becomes true once, when the lobby closes.
    closing: watch::Sender<bool>,
}

impl Lobby {
    /// Nothing runs yet; see [`serve`].
    pub fn new(config: &Config) -> Self {
        let metrics = Arc::new(Metrics::default());
        let client = client::Client::new();
        let machines = machines::Machines::new(&config.api, client.clone(), metrics.clone());
        let status = status::StatusReader::new(client, config.public_url.clone(), metrics.clone());
        let fleet = Arc::new(Fleet::new(machines.clone(), status, config.pools.clone()));
        Self {
            key: config.key.clone(),
            game_app: config.api.game_app.clone(),
            region: config.region.clone(),
            pools: config.pools.clone(),
            public_url: config.public_url.clone(),
            allowed_origins: config.allowed_origins.clone(),
            wakes: Arc::new(Wakes::new(machines, fleet.clone(), metrics.clone())),
            fleet,
            deadlines: config.deadlines,
            requests_max_count: config.requests_max_count,
            in_flight: Arc::default(),
            joins: Mutex::new(Limiter::new(limit::JOINS, Instant::now())),
            fields: Mutex::new(Limiter::new(limit::FIELDS, Instant::now())),
            moves: Mutex::default(),
            metrics,
            closing: watch::Sender::new(false),
        }
    }

    fn may_join(&self, address: IpAddr, now: Instant) -> bool {
        self.joins.lock().expect("nobody panics while counting joins").admit(address, now)
    }

    fn may_open_field(&self, address: IpAddr, now: Instant) -> bool {
        self.fields.lock().expect("nobody panics while counting fields").admit(address, now)
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
    let keeper = tokio::spawn(async move { fleet.keep().await });
    let mut closing = lobby.closing.subscribe();
    let closed = async move {
        let _ = closing.wait_for(|is_closing| *is_closing).await;
    };
    let scraped = async {
        match metrics {
            Some(listener) => {
                listen::serve(listener, http::metrics_router(lobby.clone()), lobby.deadlines, pending()).await;
            }
            None => pending().await,
        }
    };
    tokio::select! {
        () = scraped => {}
        () = listen::serve(listener, http::router(lobby.clone()), lobby.deadlines, closed) => {}
        () = close_after(stop, &lobby) => {}
    }
    keeper.abort();
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
