//! The cache of the fleet: asks as little as possible, publishes what changed.
//!
//! Path: somebody watches or asks → [`Fleet::keep`] lists the machines, reads the status of those that run, writes the
//! [`Book`] and publishes a [`Snapshot`]; a wake of our own writes the book at once.
//! Invariants: one task refreshes, so a refresh is single-flight; it lists at most once in [`LIST_INTERVAL_MS`], with
//! jitter, and less often while the API refuses; with nobody there it looks once in [`TIDY_INTERVAL_MS`], for machines
//! that are not needed any more. A read of the published snapshot never waits for the network.
//! Never: starts or creates a machine, decides where a player goes.

use crate::book::{Book, Snapshot};
use crate::machines::{Machine, Machines};
use crate::place;
use crate::pools::Pools;
use crate::server::Need;
use crate::status::StatusReader;
use crate::verdict::WakeError;
use futures_util::{StreamExt, stream};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, timeout};

/// Shortest time between two lists (jitter makes it up to half longer). Policy: the last answer is used.
const LIST_INTERVAL_MS: u64 = 5_000;
/// While the API refuses lists, the time between two doubles up to this. Policy: the last answer is shown as stale.
const LIST_REFUSED_INTERVAL_MAX_MS: u64 = 40_000;
/// With nobody there, the fleet is looked at this often.
const TIDY_INTERVAL_MS: u64 = 10 * 60 * 1_000;
/// A snapshot older than this is refreshed before a question is answered from it: one list interval with its jitter.
const FRESH_MAX_MS: u64 = LIST_INTERVAL_MS * 3 / 2;
/// After a refusal, questions are answered from before it for this long: the longest interval with its jitter.
const STALE_MAX_MS: u64 = LIST_REFUSED_INTERVAL_MAX_MS * 3 / 2;
/// Longest a question waits for that. Policy: the answer comes from the last snapshot.
const FRESH_WAIT_MS: u64 = 6_000;
/// Status reads under way at once. Policy: the others wait.
const STATUS_READS_MAX_COUNT: usize = 8;
/// A machine that was just woken is asked this often until it answers.
const ANSWER_POLL_MS: u64 = 100;

/// The fleet as this lobby knows it.
#[derive(Debug)]
pub struct Fleet {
    machines: Machines,
    status: StatusReader,
    pools: Pools,
    book: Mutex<Book>,
    /// Of machines that somebody wants to know about right now.
    turns: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
    published: watch::Sender<Arc<Snapshot>>,
    wanted: Notify,
}

impl Fleet {
    /// An empty cache; [`Fleet::keep`] has to run for it to fill.
    pub fn new(machines: Machines, status: StatusReader, pools: Pools) -> Self {
        let published = watch::Sender::new(Arc::new(Snapshot::default()));
        Self {
            machines,
            status,
            pools,
            book: Mutex::default(),
            turns: Mutex::default(),
            published,
            wanted: Notify::new(),
        }
    }

    /// Refreshes as long as somebody watches or asks, and destroys what is not needed any more. Runs for ever.
    pub async fn keep(&self) {
        let mut interval_ms = LIST_INTERVAL_MS;
        loop {
            if self.published.receiver_count() == 0 {
                let _ = timeout(Duration::from_millis(TIDY_INTERVAL_MS), self.wanted.notified()).await;
            }
            let is_told = self.refresh().await;
            interval_ms = if is_told { LIST_INTERVAL_MS } else { (interval_ms * 2).min(LIST_REFUSED_INTERVAL_MAX_MS) };
            let pause = sleep(crate::random::jittered(Duration::from_millis(interval_ms)));
            if is_told {
                self.tidy().await;
            }
            pause.await;
        }
    }

    /// Several lobbies choose the same machines; the second destruction finds nothing, and one that was woken meanwhile
    /// is refused.
    async fn tidy(&self) {
        for id in place::surplus(&self.snapshot(), &self.pools, crate::now_ms()) {
            match self.machines.destroy(&id).await {
                Ok(()) => {
                    tracing::info!(instance = id, "a machine that was not needed any more is destroyed");
                    self.gone(&id);
                }
                Err(error) => tracing::warn!(instance = id, ?error, "a machine that is not needed stays"),
            }
        }
    }

    /// What was published last, without asking anybody.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.published.borrow().clone()
    }

    /// What is known this very moment, promises included.
    pub fn look(&self) -> Snapshot {
        self.book().snapshot(Instant::now())
    }

    /// What is known, at most [`FRESH_MAX_MS`] old where the API answers.
    pub async fn fresh(&self) -> Arc<Snapshot> {
        let seen = self.snapshot();
        let age = seen.checked_at.map_or(Duration::MAX, |at| at.elapsed());
        if age < Duration::from_millis(FRESH_MAX_MS) {
            return seen;
        }
        // While the API refuses, what it said last is the answer; nobody waits for it to refuse again.
        if seen.is_stale && age < Duration::from_millis(STALE_MAX_MS) {
            self.wanted.notify_one();
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

    /// Sets a seat aside, if this machine is up and has what is needed.
    pub fn promise(&self, id: &str, need: Need) -> bool {
        self.book().promise(id, need, Instant::now())
    }

    /// The region in which a machine is, or was.
    pub fn region_of(&self, id: &str) -> Option<String> {
        self.book().region_of(id)
    }

    /// Whether this machine cannot be had: it is not there any more, or players do not get to it. A list from before a
    /// refusal says nothing about a machine that it does not have, unless this lobby saw it go.
    pub fn is_lost(&self, id: &str) -> bool {
        let known = self.look();
        match known.find(id) {
            Some(server) => !server.can_be_had(),
            None => known.is_known && (!known.is_stale || self.region_of(id).is_some()),
        }
    }

    /// A machine was created.
    pub fn born(&self, machine: Machine) {
        self.book().born(machine, Instant::now());
        self.publish();
    }

    /// Fly refused a new machine in this region.
    pub fn growth_failed(&self, region: &str, why: WakeError) {
        self.book().growth_failed(region, why, Instant::now());
        self.publish();
    }

    /// A machine was destroyed.
    pub fn gone(&self, id: &str) {
        self.book().gone(id);
        self.publish();
    }

    /// A start is being asked for: the board says so at once.
    pub fn wake_began(&self, id: &str) {
        self.book().wake_began(id);
        self.publish();
    }

    /// Fly says that the machine runs. Waits until it answers on the path a player takes, and not as one that is about to
    /// stop: asking again over that path also wakes it, should it stop.
    ///
    /// # Errors
    /// [`WakeError::Silent`] at `deadline`.
    pub async fn await_answer(&self, id: &str, deadline: Instant) -> Result<(), WakeError> {
        self.book().started(id, Instant::now());
        self.publish();
        while Instant::now() < deadline {
            if let Some(occupancy) = self.status.read(id).await.filter(|said| !said.is_draining) {
                self.book().heard(id, Some(occupancy), Instant::now());
                return Ok(());
            }
            sleep(Duration::from_millis(ANSWER_POLL_MS)).await;
        }
        Err(WakeError::Silent)
    }

    /// A wake ended; `Ok` with the time it took, if the machine was asleep.
    pub fn wake_ended(&self, id: &str, outcome: Result<Option<Duration>, WakeError>) {
        self.book().wake_ended(id, outcome, Instant::now());
        self.publish();
    }

    /// Whether there was a list.
    async fn refresh(&self) -> bool {
        let asked_at = Instant::now();
        let listed = self.machines.list().await;
        let is_told = listed.is_ok();
        match listed {
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
        is_told
    }

    async fn read_statuses(&self) {
        let askable = self.book().askable();
        self.turns().retain(|id, _| askable.contains(id));
        let reads = askable.into_iter().map(|id| async move {
            self.ask(&id).await;
            // Who misses for the first time is asked once more at once.
            self.is_silent(&id).await;
        });
        stream::iter(reads).buffer_unordered(STATUS_READS_MAX_COUNT).collect::<()>().await;
    }

    async fn ask(&self, id: &str) {
        let occupancy = self.status.read(id).await;
        self.book().heard(id, occupancy, Instant::now());
    }

    /// Whether this machine should answer and does not: known from a moment ago, or asked now. One that sleeps or boots is
    /// not asked.
    pub async fn is_silent(&self, id: &str) -> bool {
        if let Some(is_silent) = self.book().is_silent(id, Instant::now()) {
            return is_silent;
        }
        // One asks, and a crowd hears the answer.
        let turn = self.turns().entry(id.to_owned()).or_default().clone();
        let _turn = turn.lock().await;
        loop {
            let known = self.book().is_silent(id, Instant::now());
            match known {
                Some(is_silent) => {
                    self.publish();
                    return is_silent;
                }
                None => self.ask(id).await,
            }
        }
    }

    fn turns(&self) -> MutexGuard<'_, HashMap<String, Arc<tokio::sync::Mutex<()>>>> {
        self.turns.lock().expect("nobody panics while holding the turns")
    }

    fn publish(&self) {
        let snapshot = self.book().snapshot(Instant::now());
        self.published.send_replace(Arc::new(snapshot));
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().expect("nobody panics while writing the book")
    }
}
