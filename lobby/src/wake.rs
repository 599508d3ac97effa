//! Waking a machine once, for everybody who wants it.
//!
//! Path: the first join of a sleeping machine starts a flight (a task); later ones wait for the same flight.
//! Invariants: one start per machine at a time in this lobby (other lobbies may race: the API takes that well); a
//! flight ends at its deadline, also when all who wait have left; the board is told before the flight is forgotten.

use crate::fleet::Fleet;
use crate::machines::{Machines, WakeError};
use crate::metrics::Metrics;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::time::Instant;

/// Longest a player waits for a machine to wake. Policy: a sentence that says so.
pub const WAKE_DEADLINE_MS: u64 = 15_000;

type Flight = Shared<BoxFuture<'static, Result<(), WakeError>>>;

/// All flights of this lobby.
#[derive(Debug)]
pub struct Wakes {
    machines: Machines,
    fleet: Arc<Fleet>,
    metrics: Arc<Metrics>,
    flights: Mutex<HashMap<String, Flight>>,
}

impl Wakes {
    /// No flight yet.
    pub fn new(machines: Machines, fleet: Arc<Fleet>, metrics: Arc<Metrics>) -> Self {
        Self { machines, fleet, metrics, flights: Mutex::default() }
    }

    /// Waits until the machine runs.
    ///
    /// # Errors
    /// Why it does not, [`WAKE_DEADLINE_MS`] after the flight's start at the latest.
    pub async fn wake(self: &Arc<Self>, id: &str) -> Result<(), WakeError> {
        match self.board_flight(id) {
            Some(flight) => flight.await,
            None => Ok(()),
        }
    }

    /// The flight for this machine; `None` when one has landed since the caller looked.
    fn board_flight(self: &Arc<Self>, id: &str) -> Option<Flight> {
        let mut flights = self.flights();
        if let Some(flight) = flights.get(id) {
            return Some(flight.clone());
        }
        if self.fleet.snapshot().servers.iter().any(|server| server.instance == id && server.is_started) {
            return None;
        }
        let (wakes, key) = (self.clone(), id.to_owned());
        let task = tokio::spawn(async move { wakes.fly(&key).await });
        // A panic inside would be our own bug; those who wait get an answer all the same.
        let flight = task.map(|landed| landed.unwrap_or(Err(WakeError::Refused))).boxed().shared();
        flights.insert(id.to_owned(), flight.clone());
        Some(flight)
    }

    async fn fly(&self, id: &str) -> Result<(), WakeError> {
        let _landing = Landing { wakes: self, id };
        let began = Instant::now();
        self.fleet.wake_began(id);
        let landed = self.machines.wake(id, began + Duration::from_millis(WAKE_DEADLINE_MS)).await;
        let took = began.elapsed();
        let outcome = landed.map_or_else(|error| format!("{error:?}"), |()| "ok".to_owned());
        tracing::info!(instance = id, outcome, took_ms = took.as_millis() as u64, "a wake ended");
        self.metrics.count_wake(&outcome, took);
        self.fleet.wake_ended(id, landed.is_ok());
        landed
    }

    fn flights(&self) -> MutexGuard<'_, HashMap<String, Flight>> {
        self.flights.lock().expect("nobody panics while holding the flights")
    }
}
/// Takes the flight off the list when it ends, by whatever way: a bug in it must not keep the machine asleep for ever.
struct Landing<'a> {
    wakes: &'a Wakes,
    id: &'a str,
}

impl Drop for Landing<'_> {
    fn drop(&mut self) {
        self.wakes.flights().remove(self.id);
    }
}
