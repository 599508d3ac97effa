//! The fleet cache: asks as little as possible, publishes what changed.
//!
//! Path: somebody watches or asks → [`Fleet::run`] lists the machines, reads the status of those that run, updates the
//! [`FleetState`] and publishes a [`FleetSnapshot`]; a start of this lobby's own updates the state at once.
//! Invariants: one task refreshes, so a refresh is single-flight; it lists at most once in [`LIST_INTERVAL_MS`], with
//! jitter, and less often while the API refuses; with nobody there it looks once in [`REAP_INTERVAL_MS`], for machines
//! that are not needed any more. A read of the published snapshot never waits for the network.
//! Never: starts or creates a machine, decides where a player goes.

use crate::api_errors::WakeError;
use crate::fleet_state::{FleetSnapshot, FleetState};
use crate::machine::Machine;
use crate::machine_view::Need;
use crate::machines_api::MachinesApi;
use crate::placement;
use crate::pools::Pools;
use crate::status::StatusReader;
use crate::unix_time::now_ms;
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
/// With nobody there, the fleet is listed this often.
const REAP_INTERVAL_MS: u64 = 10 * 60 * 1_000;
/// A snapshot older than this is refreshed before it is used: one list interval with its jitter.
const FRESH_MAX_MS: u64 = LIST_INTERVAL_MS * 3 / 2;
/// After a refusal, the snapshot from before it is used for this long: the longest interval with its jitter.
const STALE_MAX_MS: u64 = LIST_REFUSED_INTERVAL_MAX_MS * 3 / 2;
/// Longest a caller waits for a refresh. Policy: it gets the last snapshot.
const FRESH_WAIT_MS: u64 = 6_000;
/// Status reads under way at once. Policy: the others wait.
const STATUS_READS_MAX_COUNT: usize = 8;
/// The status of a machine that was just started is read this often until it answers.
const ANSWER_POLL_MS: u64 = 100;

/// The fleet as this lobby knows it.
#[derive(Debug)]
pub struct Fleet {
    api: MachinesApi,
    status: StatusReader,
    pools: Pools,
    state: Mutex<FleetState>,
    /// By machine: who holds the lock reads its status, the others wait for the result.
    status_locks: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
    published: watch::Sender<Arc<FleetSnapshot>>,
    refresh_wanted: Notify,
}

impl Fleet {
    /// An empty cache; [`Fleet::run`] has to run for it to fill.
    pub fn new(api: MachinesApi, status: StatusReader, pools: Pools) -> Self {
        let published = watch::Sender::new(Arc::new(FleetSnapshot::default()));
        Self {
            api,
            status,
            pools,
            state: Mutex::default(),
            status_locks: Mutex::default(),
            published,
            refresh_wanted: Notify::new(),
        }
    }

    /// Refreshes as long as somebody watches or asks, and destroys machines that are not needed any more. Runs for ever.
    pub async fn run(&self) {
        let mut interval_ms = LIST_INTERVAL_MS;
        loop {
            if self.published.receiver_count() == 0 {
                let _ = timeout(Duration::from_millis(REAP_INTERVAL_MS), self.refresh_wanted.notified()).await;
            }
            let is_listed = self.refresh().await;
            interval_ms =
                if is_listed { LIST_INTERVAL_MS } else { (interval_ms * 2).min(LIST_REFUSED_INTERVAL_MAX_MS) };
            let pause = sleep(crate::random::jittered(Duration::from_millis(interval_ms)));
            if is_listed {
                self.reap().await;
            }
            pause.await;
        }
    }

    /// Several lobbies choose the same machines; the second destruction finds nothing, and one that was woken meanwhile
    /// is refused.
    async fn reap(&self) {
        for id in placement::surplus(&self.snapshot(), &self.pools, now_ms()) {
            match self.api.destroy(&id).await {
                Ok(()) => {
                    tracing::info!(instance = id, "a machine that was not needed any more is destroyed");
                    self.destroyed(&id);
                }
                Err(error) => tracing::warn!(instance = id, ?error, "a machine that is not needed stays"),
            }
        }
    }

    /// The last published snapshot, without a request.
    pub fn snapshot(&self) -> Arc<FleetSnapshot> {
        self.published.borrow().clone()
    }

    /// The state at this very moment, reservations included.
    pub fn current(&self) -> FleetSnapshot {
        self.state().snapshot(Instant::now())
    }

    /// A snapshot that is at most [`FRESH_MAX_MS`] old where the API answers.
    pub async fn fresh(&self) -> Arc<FleetSnapshot> {
        let seen = self.snapshot();
        let age = seen.checked_at.map_or(Duration::MAX, |at| at.elapsed());
        if age < Duration::from_millis(FRESH_MAX_MS) {
            return seen;
        }
        // While the API refuses, its last answer counts; nobody waits for it to refuse again.
        if seen.is_stale && age < Duration::from_millis(STALE_MAX_MS) {
            self.refresh_wanted.notify_one();
            return seen;
        }
        let mut snapshots = self.watch();
        let refreshed = snapshots.wait_for(|snapshot| snapshot.checked_at > seen.checked_at);
        match timeout(Duration::from_millis(FRESH_WAIT_MS), refreshed).await {
            Ok(Ok(snapshot)) => snapshot.clone(),
            Ok(Err(_)) | Err(_) => seen,
        }
    }

    /// Every snapshot from now on. The fleet stays fresh as long as the receiver lives.
    pub fn watch(&self) -> watch::Receiver<Arc<FleetSnapshot>> {
        let receiver = self.published.subscribe();
        self.refresh_wanted.notify_one();
        receiver
    }

    /// Reserves a seat, if this machine is up and has what is needed.
    pub fn reserve(&self, id: &str, need: Need) -> bool {
        self.state().reserve(id, need, Instant::now())
    }

    /// The region in which a machine is, or was.
    pub fn region_of(&self, id: &str) -> Option<String> {
        self.state().region_of(id)
    }

    /// Whether this machine is lost: it is not there any more, or players cannot reach it. A list from before a refusal
    /// proves nothing about a machine that it does not have, unless this lobby saw it go.
    pub fn is_lost(&self, id: &str) -> bool {
        let known = self.current();
        match known.find(id) {
            Some(machine) => !machine.is_available(),
            None => known.is_known && (!known.is_stale || self.region_of(id).is_some()),
        }
    }

    /// A machine was created.
    pub fn created(&self, machine: Machine) {
        self.state().created(machine, Instant::now());
        self.publish();
    }

    /// Fly refused a new machine in this region.
    pub fn growth_failed(&self, region: &str, why: WakeError) {
        self.state().growth_failed(region, why, Instant::now());
        self.publish();
    }

    /// A machine was destroyed.
    pub fn destroyed(&self, id: &str) {
        self.state().destroyed(id);
        self.publish();
    }

    /// A start is being requested: the board shows it at once.
    pub fn wake_began(&self, id: &str) {
        self.state().wake_began(id);
        self.publish();
    }

    /// Fly says that the machine runs. Waits until it answers on the path a player takes, and not as one that is about to
    /// stop: reading again over that path also starts it, should it stop.
    ///
    /// # Errors
    /// [`WakeError::Silent`] at `deadline`.
    pub async fn await_answer(&self, id: &str, deadline: Instant) -> Result<(), WakeError> {
        self.state().started(id, Instant::now());
        self.publish();
        while Instant::now() < deadline {
            if let Some(occupancy) = self.status.read(id).await.filter(|occupancy| !occupancy.is_draining) {
                self.state().apply_status(id, Some(occupancy), Instant::now());
                return Ok(());
            }
            sleep(Duration::from_millis(ANSWER_POLL_MS)).await;
        }
        Err(WakeError::Silent)
    }

    /// A start ended; `Ok` with the time it took, if the machine was asleep.
    pub fn wake_ended(&self, id: &str, outcome: Result<Option<Duration>, WakeError>) {
        self.state().wake_ended(id, outcome, Instant::now());
        self.publish();
    }

    /// Whether there was a list.
    async fn refresh(&self) -> bool {
        let asked_at = Instant::now();
        let listed = self.api.list().await;
        let is_listed = listed.is_ok();
        match listed {
            Ok(machines) => {
                self.state().apply_list(machines, asked_at, Instant::now());
                self.read_statuses().await;
            }
            Err(error) => {
                tracing::warn!(%error, "the fleet could not be listed; showing the last answer");
                self.state().list_failed(Instant::now());
            }
        }
        self.publish();
        is_listed
    }

    async fn read_statuses(&self) {
        let status_targets = self.state().status_targets();
        self.status_locks().retain(|id, _| status_targets.contains(id));
        let reads = status_targets.into_iter().map(|id| async move {
            self.read_status(&id).await;
            // After a first miss it is read once more at once.
            self.is_silent(&id).await;
        });
        stream::iter(reads).buffer_unordered(STATUS_READS_MAX_COUNT).collect::<()>().await;
    }

    async fn read_status(&self, id: &str) {
        let occupancy = self.status.read(id).await;
        self.state().apply_status(id, occupancy, Instant::now());
    }

    /// Whether this machine should answer and does not: known from a recent read, or read now. The status of one that
    /// sleeps or boots is not read.
    pub async fn is_silent(&self, id: &str) -> bool {
        if let Some(is_silent) = self.state().is_silent(id, Instant::now()) {
            return is_silent;
        }
        // One caller reads, and a crowd gets the result.
        let lock = self.status_locks().entry(id.to_owned()).or_default().clone();
        let _locked = lock.lock().await;
        loop {
            let known = self.state().is_silent(id, Instant::now());
            match known {
                Some(is_silent) => {
                    self.publish();
                    return is_silent;
                }
                None => self.read_status(id).await,
            }
        }
    }

    fn status_locks(&self) -> MutexGuard<'_, HashMap<String, Arc<tokio::sync::Mutex<()>>>> {
        self.status_locks.lock().expect("nobody panics while holding the locks of status reads")
    }

    fn publish(&self) {
        let snapshot = self.state().snapshot(Instant::now());
        self.published.send_replace(Arc::new(snapshot));
    }

    fn state(&self) -> MutexGuard<'_, FleetState> {
        self.state.lock().expect("nobody panics while updating the fleet's state")
    }
}
