//! Starting a machine once, for everybody who wants it; and creating one, once for each name (single-flight).
//!
//! Path: the first join of a sleeping machine spawns a start task; later joins follow the same task and receive its
//! progress. A start task requests the start, waits until Fly says that the machine runs, then until it answers on the
//! path a player takes.
//! Invariants: one start per machine at a time in this lobby (other lobbies may race: the API copes with that, and names
//! are unique); a start task ends at its deadline, also when everybody who waited has left; the board is updated before
//! the task is forgotten.

use crate::api_errors::WakeError;
use crate::fleet::Fleet;
use crate::machine::{Machine, MachineConfig, MachineState};
use crate::machine_view::Condition;
use crate::machines_api::MachinesApi;
use crate::metrics::Metrics;
use crate::progress::Progress;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// Longest a machine may take to start and answer. Policy: it is skipped for a while, and the next one is tried.
pub const WAKE_DEADLINE_MS: u64 = 15_000;
/// The same for one that is created: Fly looks for a host and fetches the image first.
pub const CREATE_DEADLINE_MS: u64 = 45_000;
/// A list after a name turned out to be taken lags at most this long. Policy: the creation counts as refused.
const TAKEN_LIST_MS: u64 = 10_000;

/// What a start task publishes: its progress, then its end. The end of a creation names the machine.
#[derive(Debug, Clone)]
enum Update {
    Progress(Progress),
    Ended(Result<String, WakeError>),
}

/// All start tasks of this lobby.
#[derive(Debug)]
pub struct StartTasks {
    api: MachinesApi,
    fleet: Arc<Fleet>,
    metrics: Arc<Metrics>,
    tasks: Mutex<HashMap<String, watch::Receiver<Update>>>,
}

impl StartTasks {
    /// No task yet.
    pub fn new(api: MachinesApi, fleet: Arc<Fleet>, metrics: Arc<Metrics>) -> Self {
        Self { api, fleet, metrics, tasks: Mutex::default() }
    }

    /// Waits until the machine answers, and reports the progress.
    ///
    /// # Errors
    /// Why it does not, [`WAKE_DEADLINE_MS`] after the task's start at the latest.
    pub async fn wake(self: &Arc<Self>, id: &str, report: impl Fn(Progress)) -> Result<String, WakeError> {
        self.wake_until(id, Instant::now() + Duration::from_millis(WAKE_DEADLINE_MS), report).await
    }

    async fn wake_until(
        self: &Arc<Self>,
        id: &str,
        deadline: Instant,
        report: impl Fn(Progress),
    ) -> Result<String, WakeError> {
        let (tasks, machine) = (self.clone(), id.to_owned());
        let updates = self.follow_or_spawn(id, |updates| async move {
            tasks.start_machine(&machine, deadline, &updates).await.map(|()| machine)
        });
        follow(updates, report).await
    }

    /// Creates the machine of this name and waits until it answers; its id is the answer.
    ///
    /// # Errors
    /// Why there is none, [`CREATE_DEADLINE_MS`] after the task's start at the latest.
    pub async fn create(
        self: &Arc<Self>,
        region: &str,
        name: &str,
        template: &MachineConfig,
        report: impl Fn(Progress),
    ) -> Result<String, WakeError> {
        let (tasks, region, own_name) = (self.clone(), region.to_owned(), name.to_owned());
        let config = template.marked(true);
        let updates = self.follow_or_spawn(name, |updates| async move {
            let deadline = Instant::now() + Duration::from_millis(CREATE_DEADLINE_MS);
            updates.send_replace(Update::Progress(Progress::Creating));
            let id = tasks.create_machine(&region, &own_name, &config, deadline).await;
            let outcome = id.as_ref().map_or_else(|error| format!("{error:?}"), |_| "ok".to_owned());
            tracing::info!(region, name = own_name, outcome, "a creation ended");
            tasks.metrics.count_creation(&outcome);
            if let Err(error) = id {
                tasks.fleet.growth_failed(&region, error);
            }
            let report = |progress| drop(updates.send_replace(Update::Progress(progress)));
            tasks.wake_until(&id?, deadline, report).await
        });
        follow(updates, report).await
    }

    /// The updates of this key's task, which runs `start` and is spawned if there is none.
    fn follow_or_spawn<F>(
        self: &Arc<Self>,
        key: &str,
        start: impl FnOnce(watch::Sender<Update>) -> F,
    ) -> watch::Receiver<Update>
    where
        F: Future<Output = Result<String, WakeError>> + Send + 'static,
    {
        let mut tasks = self.tasks();
        if let Some(updates) = tasks.get(key) {
            return updates.clone();
        }
        let (sender, receiver) = watch::channel(Update::Progress(Progress::Asking));
        let last_update = sender.clone();
        let task = start(sender);
        let (all, own_key) = (self.clone(), key.to_owned());
        tokio::spawn(async move {
            let _remove = RemoveWhenDone { tasks: &all, key: &own_key };
            last_update.send_replace(Update::Ended(task.await));
        });
        tasks.insert(key.to_owned(), receiver.clone());
        receiver
    }

    async fn start_machine(
        &self,
        id: &str,
        deadline: Instant,
        updates: &watch::Sender<Update>,
    ) -> Result<(), WakeError> {
        let began = Instant::now();
        let known = self.fleet.snapshot().find(id).map(|machine| machine.condition);
        if known == Some(Condition::Ready) {
            return Ok(());
        }
        self.fleet.wake_began(id);
        let report = |progress| drop(updates.send_replace(Update::Progress(progress)));
        let mut ended = self.api.wake(id, deadline, report).await;
        if ended.is_ok() {
            ended = self.fleet.await_answer(id, deadline).await;
        }
        let took = began.elapsed();
        let outcome = ended.map_or_else(|error| format!("{error:?}"), |()| "ok".to_owned());
        tracing::info!(instance = id, outcome, took_ms = took.as_millis() as u64, "a wake ended");
        self.metrics.count_wake(&outcome, took);
        // Only a start from sleep shows how long one takes: others found the machine half way up.
        let was_asleep = known == Some(Condition::Asleep);
        self.fleet.wake_ended(id, ended.map(|()| was_asleep.then_some(took)));
        ended
    }

    /// Creates a machine; where another lobby was first, its machine is found.
    async fn create_machine(
        &self,
        region: &str,
        name: &str,
        config: &MachineConfig,
        deadline: Instant,
    ) -> Result<String, WakeError> {
        if let Some(machine) = self.api.create(region, name, config, true, deadline).await? {
            let id = machine.id.clone();
            // Fly launches it by itself, whatever its state reads meanwhile.
            self.fleet.created(Machine { state: MachineState::Waking, ..machine });
            return Ok(id);
        }
        let mut snapshots = self.fleet.watch();
        let find = |name: &str| self.fleet.current().machines.into_iter().find(|machine| machine.name == name);
        let listed = snapshots.wait_for(|_| find(name).is_some());
        let _ = tokio::time::timeout(Duration::from_millis(TAKEN_LIST_MS), listed).await;
        find(name).map(|machine| machine.instance).ok_or(WakeError::Refused)
    }

    fn tasks(&self) -> MutexGuard<'_, HashMap<String, watch::Receiver<Update>>> {
        self.tasks.lock().expect("nobody panics while holding the start tasks")
    }
}

/// Reports a task's progress, never the same twice in a row, and returns its end.
async fn follow(mut updates: watch::Receiver<Update>, report: impl Fn(Progress)) -> Result<String, WakeError> {
    let mut reported = None;
    loop {
        let update = updates.borrow_and_update().clone();
        match update {
            Update::Progress(progress) if reported == Some(progress) => {}
            Update::Progress(progress) => {
                report(progress);
                reported = Some(progress);
            }
            Update::Ended(outcome) => return outcome,
        }
        // A task that ends without an end had a bug of ours; those who wait get an answer all the same.
        updates.changed().await.map_err(|_| WakeError::Refused)?;
    }
}

/// Takes the task off the list when it ends, in whatever way: a bug in it must not keep the machine asleep for ever.
struct RemoveWhenDone<'a> {
    tasks: &'a StartTasks,
    key: &'a str,
}

impl Drop for RemoveWhenDone<'_> {
    fn drop(&mut self) {
        self.tasks.tasks().remove(self.key);
    }
}
