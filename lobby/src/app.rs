//! The state that all handlers share.
//!
//! Invariants: whatever it knows is a cache, so any lobby can answer any request.

use crate::config::Config;
use crate::fleet::Fleet;
use crate::http_client::HttpClient;
use crate::in_flight::InFlight;
use crate::limit::{self, Limiter};
use crate::listen::Deadlines;
use crate::machines_api::MachinesApi;
use crate::metrics::Metrics;
use crate::moves::Moves;
use crate::pools::Pools;
use crate::status::StatusReader;
use crate::wake::StartTasks;
use catalogue::Catalogue;
use protocol::token::Key;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Instant;
use tokio::sync::watch;

/// All parts of one running lobby, for its handlers.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) key: Key,
    pub(crate) game_app: String,
    pub(crate) region: Option<String>,
    pub(crate) pools: Pools,
    pub(crate) kinds: Catalogue,
    pub(crate) public_url: String,
    pub(crate) allowed_origins: Vec<String>,
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) start_tasks: Arc<StartTasks>,
    pub(crate) deadlines: Deadlines,
    pub(crate) in_flight: Arc<InFlight>,
    joins: Mutex<Limiter>,
    room_openings: Mutex<Limiter>,
    moves: Mutex<Moves>,
    pub(crate) metrics: Arc<Metrics>,
    /// Becomes true once, when the lobby closes.
    pub(crate) closing: watch::Sender<bool>,
}

impl App {
    /// Nothing runs yet.
    pub(crate) fn new(config: &Config) -> Self {
        let metrics = Arc::new(Metrics::default());
        let client = HttpClient::new();
        let api = MachinesApi::new(&config.api, client.clone(), metrics.clone());
        let status = StatusReader::new(client, config.public_url.clone(), metrics.clone());
        let fleet = Arc::new(Fleet::new(api.clone(), status, config.pools.clone()));
        Self {
            key: config.key.clone(),
            game_app: config.api.game_app.clone(),
            region: config.region.clone(),
            pools: config.pools.clone(),
            kinds: Catalogue::built_in(),
            public_url: config.public_url.clone(),
            allowed_origins: config.allowed_origins.clone(),
            start_tasks: Arc::new(StartTasks::new(api, fleet.clone(), metrics.clone())),
            fleet,
            deadlines: config.deadlines,
            in_flight: Arc::new(InFlight::new(config.requests_max_count)),
            joins: Mutex::new(Limiter::new(limit::JOINS, Instant::now())),
            room_openings: Mutex::new(Limiter::new(limit::ROOM_OPENINGS, Instant::now())),
            moves: Mutex::default(),
            metrics,
            closing: watch::Sender::new(false),
        }
    }

    pub(crate) fn may_join(&self, address: IpAddr, now: Instant) -> bool {
        self.joins.lock().expect("nobody panics while counting joins").admit(address, now)
    }

    pub(crate) fn may_open_room(&self, address: IpAddr, now: Instant) -> bool {
        self.room_openings.lock().expect("nobody panics while counting rooms").admit(address, now)
    }

    /// Where this room went a moment ago, since its machine is lost. Readers, who know it by its alias, follow the others.
    pub(crate) fn moved_to(&self, room: &str) -> Option<String> {
        let id = self.key.open_alias(room);
        let mut moves = self.moves.lock().expect("nobody panics while remembering moves");
        moves.find(id.as_deref().unwrap_or(room), Instant::now())
    }

    pub(crate) fn note_move(&self, room: &str, instance: &str) {
        let id = self.key.open_alias(room).unwrap_or_else(|| room.to_owned());
        let mut moves = self.moves.lock().expect("nobody panics while remembering moves");
        moves.note(id, instance.to_owned(), Instant::now());
    }
}
