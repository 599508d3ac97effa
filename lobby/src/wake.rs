//! Waking a machine once, for everybody who wants it; and creating one, once for each name.
//!
//! Path: the first join of a sleeping machine starts a flight (a task); later ones follow the same flight and hear its
//! stages. A flight asks for a start, waits until Fly says that the machine runs, then until it answers on the path a
//! player takes.
//! Invariants: one start per machine at a time in this lobby (other lobbies may race: the API takes that well, and names
//! are unique); a flight ends at its deadline, also when all who wait have left; the board is told before the flight is
//! forgotten.

use crate::fleet::Fleet;
use crate::machines::{Machine, Machines, Phase};
use crate::metrics::Metrics;
use crate::pools;
use crate::server::Condition;
use crate::stage::Stage;
use crate::verdict::WakeError;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// Longest a machine may take to wake and answer. Policy: it is given up on for a while, and the next one is tried.
pub const WAKE_DEADLINE_MS: u64 = 15_000;
/// The same for one that is created: Fly looks for a host and fetches the image first.
pub const CREATE_DEADLINE_MS: u64 = 45_000;
/// A list after a name turned out to be taken lags at most this long. Policy: the creation counts as refused.
const TAKEN_LIST_MS: u64 = 10_000;

/// What a flight tells: a stage, then its end. The end of a creation names the machine.
#[derive(Debug, Clone)]
enum News {
    Stage(Stage),
    Landed(Result<String, WakeError>),
}

/// All flights of this lobby.
#[derive(Debug)]
pub struct Wakes {
    machines: Machines,
    fleet: Arc<Fleet>,
    metrics: Arc<Metrics>,
    flights: Mutex<HashMap<String, watch::Receiver<News>>>,
}

impl Wakes {
    /// No flight yet.
    pub fn new(machines: Machines, fleet: Arc<Fleet>, metrics: Arc<Metrics>) -> Self {
        Self { machines, fleet, metrics, flights: Mutex::default() }
    }

    /// Waits until the machine answers, and says by which stages.
    ///
    /// # Errors
    /// Why it does not, [`WAKE_DEADLINE_MS`] after the flight's start at the latest.
    pub async fn wake(self: &Arc<Self>, id: &str, tell: impl Fn(Stage)) -> Result<String, WakeError> {
        self.wake_until(id, Instant::now() + Duration::from_millis(WAKE_DEADLINE_MS), tell).await
    }

    async fn wake_until(
        self: &Arc<Self>,
        id: &str,
        deadline: Instant,
        tell: impl Fn(Stage),
    ) -> Result<String, WakeError> {
        let (wakes, machine) = (self.clone(), id.to_owned());
        let flight =
            self.board_flight(id, |news| async move { wakes.fly(&machine, deadline, &news).await.map(|()| machine) });
        follow(flight, tell).await
    }

    /// Creates the machine of this name and waits until it answers; its id is the answer.
    ///
    /// # Errors
    /// Why there is none, [`CREATE_DEADLINE_MS`] after the flight's start at the latest.
    pub async fn create(
        self: &Arc<Self>,
        region: &str,
        name: &str,
        template: &Value,
        tell: impl Fn(Stage),
    ) -> Result<String, WakeError> {
        let (wakes, region, own_name) = (self.clone(), region.to_owned(), name.to_owned());
        let config = pools::mark(template, true);
        let flight = self.board_flight(name, |news| async move {
            let deadline = Instant::now() + Duration::from_millis(CREATE_DEADLINE_MS);
            news.send_replace(News::Stage(Stage::Creating));
            let id = wakes.make(&region, &own_name, &config, deadline).await;
            let outcome = id.as_ref().map_or_else(|error| format!("{error:?}"), |_| "ok".to_owned());
            tracing::info!(region, name = own_name, outcome, "a creation ended");
            wakes.metrics.count_creation(&outcome);
            if let Err(error) = id {
                wakes.fleet.growth_failed(&region, error);
            }
            let tell = |stage| drop(news.send_replace(News::Stage(stage)));
            wakes.wake_until(&id?, deadline, tell).await
        });
        follow(flight, tell).await
    }

    /// The flight of this key, which `fly` starts if there is none.
    fn board_flight<F>(self: &Arc<Self>, key: &str, fly: impl FnOnce(watch::Sender<News>) -> F) -> watch::Receiver<News>
    where
        F: Future<Output = Result<String, WakeError>> + Send + 'static,
    {
        let mut flights = self.flights();
        if let Some(flight) = flights.get(key) {
            return flight.clone();
        }
        let (sender, receiver) = watch::channel(News::Stage(Stage::Asking));
        let last_word = sender.clone();
        let flight = fly(sender);
        let (wakes, own_key) = (self.clone(), key.to_owned());
        tokio::spawn(async move {
            let _landing = Landing { wakes: &wakes, key: &own_key };
            last_word.send_replace(News::Landed(flight.await));
        });
        flights.insert(key.to_owned(), receiver.clone());
        receiver
    }

    async fn fly(&self, id: &str, deadline: Instant, news: &watch::Sender<News>) -> Result<(), WakeError> {
        let began = Instant::now();
        let known = self.fleet.snapshot().servers.iter().find(|server| server.instance == id).map(|s| s.condition);
        if known == Some(Condition::Ready) {
            return Ok(());
        }
        self.fleet.wake_began(id);
        let tell = |stage| drop(news.send_replace(News::Stage(stage)));
        let mut landed = self.machines.wake(id, deadline, tell).await;
        if landed.is_ok() {
            landed = self.fleet.await_answer(id, deadline).await;
        }
        let took = began.elapsed();
        let outcome = landed.map_or_else(|error| format!("{error:?}"), |()| "ok".to_owned());
        tracing::info!(instance = id, outcome, took_ms = took.as_millis() as u64, "a wake ended");
        self.metrics.count_wake(&outcome, took);
        // Only a wake from sleep says how long one takes: others found the machine half way up.
        let was_asleep = known == Some(Condition::Asleep);
        self.fleet.wake_ended(id, landed.map(|()| was_asleep.then_some(took)));
        landed
    }

    /// Creates a machine; where another lobby was first, it is theirs that is found.
    async fn make(&self, region: &str, name: &str, config: &Value, deadline: Instant) -> Result<String, WakeError> {
        if let Some(machine) = self.machines.create(region, name, config, true, deadline).await? {
            let id = machine.id.clone();
            // Fly launches it by itself, whatever its state reads meanwhile.
            self.fleet.born(Machine { phase: Phase::Waking, ..machine });
            return Ok(id);
        }
        let mut news = self.fleet.watch();
        let has_it = |id: &str| self.fleet.look().servers.into_iter().find(|server| server.name == id);
        let listed = news.wait_for(|_| has_it(name).is_some());
        let _ = tokio::time::timeout(Duration::from_millis(TAKEN_LIST_MS), listed).await;
        has_it(name).map(|server| server.instance).ok_or(WakeError::Refused)
    }

    fn flights(&self) -> MutexGuard<'_, HashMap<String, watch::Receiver<News>>> {
        self.flights.lock().expect("nobody panics while holding the flights")
    }
}

/// Tells every stage of a flight, each once in a row, and returns its end.
async fn follow(mut flight: watch::Receiver<News>, tell: impl Fn(Stage)) -> Result<String, WakeError> {
    let mut told = None;
    loop {
        let news = flight.borrow_and_update().clone();
        match news {
            News::Stage(stage) if told == Some(stage) => {}
            News::Stage(stage) => {
                tell(stage);
                told = Some(stage);
            }
            News::Landed(landed) => return landed,
        }
        // A flight that ends without a word had a bug of ours; those who wait get an answer all the same.
        flight.changed().await.map_err(|_| WakeError::Refused)?;
    }
}

/// Takes the flight off the list when it ends, by whatever way: a bug in it must not keep the machine asleep for ever.
struct Landing<'a> {
    wakes: &'a Wakes,
    key: &'a str,
}

impl Drop for Landing<'_> {
    fn drop(&mut self) {
        self.wakes.flights().remove(self.key);
    }
}
