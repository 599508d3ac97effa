//! The cache of the fleet: asks as little as possible, publishes what changed.
//!
//! Path: somebody watches or asks → [`Fleet::keep`] lists the machines, reads the status of those that run, writes the
//! [`Book`] and publishes a [`Snapshot`]; a wake of our own writes the book at once.
//! Invariants: one task refreshes, so a refresh is single-flight; it lists at most once in [`LIST_INTERVAL_MS`]; with
//! nobody there, nobody is asked. A read of the published snapshot never waits for the network.
//! Never: starts a machine, decides where a player goes.

use crate::book::{BOOT_PATIENCE_MS, Book, Snapshot};
use crate::machines::Machines;
use crate::status::StatusReader;
use futures_util::{StreamExt, stream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, timeout};

/// Shortest time between two lists (jitter makes it up to half longer). Policy: the last answer is used.
const LIST_INTERVAL_MS: u64 = 5_000;
/// A snapshot older than this is refreshed before a question is answered from it: one list interval with its jitter.
const FRESH_MAX_MS: u64 = LIST_INTERVAL_MS * 3 / 2;
/// Longest a question waits for that. Policy: the answer comes from the last snapshot.
const FRESH_WAIT_MS: u64 = 6_000;
/// Status reads under way at once. Policy: the others wait.
const STATUS_READS_MAX_COUNT: usize = 8;
/// A machine that was just woken is asked this often until it answers.
const BOOT_POLL_MS: u64 = 300;

/// The fleet as this lobby knows it.
#[derive(Debug)]
pub struct Fleet {
    machines: Machines,
    status: StatusReader,
    book: Mutex<Book>,
    published: watch::Sender<Arc<Snapshot>>,
    wanted: Notify,
}

impl Fleet {
    /// An empty cache; [`Fleet::keep`] has to run for it to fill.
    pub fn new(machines: Machines, status: StatusReader) -> Self {
        let published = watch::Sender::new(Arc::new(Snapshot::default()));
        Self { machines, status, book: Mutex::default(), published, wanted: Notify::new() }
    }

    /// Refreshes as long as somebody watches or asks. Runs for ever.
    pub async fn keep(&self) {
        loop {
            if self.published.receiver_count() == 0 {
                self.wanted.notified().await;
            }
            self.refresh().await;
            sleep(crate::random::jittered(Duration::from_millis(LIST_INTERVAL_MS))).await;
        }
    }

    /// What is known now, without asking anybody.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.published.borrow().clone()
    }

    /// What is known, at most [`FRESH_MAX_MS`] old where the API answers.
    pub async fn fresh(&self) -> Arc<Snapshot> {
        let seen = self.snapshot();
        let is_fresh = |at: Instant| at.elapsed() < Duration::from_millis(FRESH_MAX_MS);
        if seen.checked_at.is_some_and(is_fresh) {
            return seen;
        }
        let mut news = self.watch();
        let refreshed = news.wait_for(|snapshot| snapshot.checked_at > seen.checked_at);
        match timeout(Duration::from_millis(FRESH_WAIT_MS), refreshed).await {
            Ok(Ok(snapshot)) => snapshot.clone(),
            Ok(Err(_)) | Err(_) => seen,
        }
    }

    /// Every snapshot from now on. The fleet stays fresh as long as the receiver lives.
    pub fn watch(&self) -> watch::Receiver<Arc<Snapshot>> {
        let receiver = self.published.subscribe();
        self.wanted.notify_one();
        receiver
    }

    /// A start was asked for: the board says so at once.
    pub fn wake_began(&self, id: &str) {
        self.book().wake_began(id);
        self.publish();
    }

    /// A start ended. When the machine runs, it is asked for its status until it answers.
    pub fn wake_ended(self: &Arc<Self>, id: &str, is_up: bool) {
        self.book().wake_ended(id, is_up, Instant::now());
        self.publish();
        if is_up {
            let (fleet, id) = (self.clone(), id.to_owned());
            tokio::spawn(async move { fleet.listen_for(&id).await });
        }
    }

    async fn listen_for(&self, id: &str) {
        let give_up = Instant::now() + Duration::from_millis(BOOT_PATIENCE_MS);
        while Instant::now() < give_up {
            if let Some(occupancy) = self.status.read(id).await {
                self.book().heard(id, Some(occupancy));
                return self.publish();
            }
            sleep(Duration::from_millis(BOOT_POLL_MS)).await;
        }
    }

    async fn refresh(&self) {
        let asked_at = Instant::now();
        match self.machines.list().await {
            Ok(machines) => {
                self.book().apply_list(machines, asked_at, Instant::now());
                self.read_statuses().await;
            }
            Err(error) => {
                tracing::warn!(%error, "the fleet could not be listed; showing the last answer");
                self.book().list_failed(Instant::now());
            }
        }
        self.publish();
    }

    async fn read_statuses(&self) {
        let askable = self.book().askable();
        let reads = askable.into_iter().map(|id| async move { (self.status.read(&id).await, id) });
        let mut answers = stream::iter(reads).buffer_unordered(STATUS_READS_MAX_COUNT);
        while let Some((occupancy, id)) = answers.next().await {
            self.book().heard(&id, occupancy);
        }
    }

    fn publish(&self) {
        let snapshot = self.book().snapshot(Instant::now());
        self.published.send_replace(Arc::new(snapshot));
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().expect("nobody panics while writing the book")
    }
}
