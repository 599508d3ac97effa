//! State shared by all HTTP handlers, and the hand-over of a connection to a worker.
//!
//! Invariant: whoever asks for the rooms here sees a copy; only their own task changes them.

use crate::{
    admission::{Admission, ConnectionPermit},
    config::Config,
    io::worker_queue::{WorkerMessage, WorkerSender},
    live_count::LiveCount,
    metrics::Metrics,
    room::{address::RoomAddress, rooms::Rooms},
    store::Store,
    wall_clock::{self, LobbyClock},
};
use bytes::Bytes;
use std::{
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

/// How often the clock is compared with the store's.
const CLOCK_INTERVAL: Duration = Duration::from_secs(300);

/// What every task shares.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) config: Config,
    pub(crate) admission: Arc<Admission>,
    pub(crate) store: Store,
    pub(crate) rooms: Rooms,
    pub(crate) metrics: Arc<Metrics>,
    /// Connections that are HTTP's still.
    pub(crate) http_connections: LiveCount,
    workers: Arc<[WorkerSender]>,
    /// Connections adopted so far.
    adopted: AtomicUsize,
    lobby_clock: Mutex<LobbyClock>,
}

impl App {
    /// Nobody has connected yet.
    pub(crate) fn new(
        config: Config,
        admission: Arc<Admission>,
        store: Store,
        rooms: Rooms,
        metrics: Arc<Metrics>,
        workers: Arc<[WorkerSender]>,
    ) -> Self {
        let (http_connections, adopted) = (LiveCount::default(), AtomicUsize::new(0));
        let lobby_clock = Mutex::new(LobbyClock::new(Instant::now()));
        Self { config, admission, store, rooms, metrics, http_connections, workers, adopted, lobby_clock }
    }

    /// Every worker refuses newcomers from now on.
    pub(crate) async fn stop_workers(&self) {
        for worker in self.workers.iter() {
            worker.send(WorkerMessage::Stop).await;
        }
    }

    /// Gives a connection for this room to one of the workers, all in turn.
    pub(crate) async fn adopt(
        &self,
        stream: std::net::TcpStream,
        first: Bytes,
        permit: ConnectionPermit,
        room: RoomAddress,
    ) {
        let number = self.adopted.fetch_add(1, Ordering::Relaxed);
        let stream = mio::net::TcpStream::from_std(stream);
        self.workers[number % self.workers.len()].send(WorkerMessage::Adopt(stream, first, permit, room)).await;
    }

    /// The lobby signed something at this time of its clock, and it came at this one of ours, unix seconds.
    pub(crate) fn note_lobby_time(&self, signed_s: u64, own_s: u64) {
        let mut clock = self.lobby_clock.lock().unwrap_or_else(PoisonError::into_inner);
        let skew = clock.note(signed_s, own_s, Instant::now());
        self.metrics.clock_ahead_of_lobby_seconds.set(skew.ahead_s);
        if let Some(warning) = skew.warning {
            tracing::warn!("{warning}");
        }
    }

    /// How far the clock is ahead of the store's, milliseconds; a metric, and a word in the log if that is much.
    pub(crate) async fn compare_clocks(&self) -> Option<i64> {
        let (wall_clock, before_ms) = (self.config.wall_clock, self.config.wall_clock.now_ms());
        let told = self.store.time_ms(&self.config.instance).await;
        let store_ms = told.inspect_err(|error| tracing::warn!("the store does not tell the time: {error:#}")).ok()?;
        let ahead_ms = wall_clock::from_store(before_ms, wall_clock.now_ms(), store_ms);
        self.metrics.clock_ahead_of_store_ms.set(ahead_ms);
        if let Some(complaint) = wall_clock::complaint(ahead_ms) {
            tracing::warn!("{complaint}");
        }
        Some(ahead_ms)
    }

    /// Compares the clocks now and then, as long as anybody else has use for it.
    pub(crate) async fn watch_clock(app: Weak<Self>) {
        loop {
            tokio::time::sleep(CLOCK_INTERVAL).await;
            let Some(app) = app.upgrade() else { return };
            app.compare_clocks().await;
        }
    }
}
