//! Starts the threads of rooms.
//!
//! Path: [`crate::kinds`] says how engines of a kind begin → [`Starter::of`] makes of it what starts a room's thread,
//! whatever its engine → a supervisor calls that with each incarnation.

use crate::{
    config::Config,
    io::worker_queue::WorkerSender,
    metrics::Metrics,
    room::{
        incarnation::{Incarnation, Start, StartThread},
        load::Load,
        tick_thread::{Pace, TickThread},
    },
};
use anyhow::{Context, ensure};
use catalogue::Catalogue;
use session::{Engine, governor::Budget};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread,
    time::Duration,
};

/// What every room's thread is started with.
#[derive(Debug)]
pub(crate) struct Starter {
    workers: Arc<[WorkerSender]>,
    metrics: Arc<Metrics>,
    kinds: Catalogue,
    has_governor: bool,
    save_interval: Duration,
}

impl Starter {
    pub(crate) fn new(config: &Config, workers: Arc<[WorkerSender]>, metrics: Arc<Metrics>) -> Self {
        let (kinds, has_governor, save_interval) = (config.kinds.clone(), config.has_governor, config.save_interval);
        Self { workers, metrics, kinds, has_governor, save_interval }
    }

    /// How rooms start whose engines begin like that.
    ///
    /// # Errors
    /// A sentence when the catalogue has them tick as the engine does not.
    pub(crate) fn of<E: Engine>(
        &self,
        begin: impl Fn(Start<'_>) -> anyhow::Result<E> + Send + Sync + 'static,
    ) -> anyhow::Result<StartThread> {
        let (kind, entry) = (E::KIND, &self.kinds[E::KIND]);
        ensure!(
            entry.tick_hz == E::TICK_HZ,
            "The catalogue's entry \"{}\" has tick_hz: {}. Rooms of this kind tick at {}.",
            kind.word(),
            entry.tick_hz,
            E::TICK_HZ,
        );
        let budget = self.has_governor.then(|| Budget::of_tick(entry.tick_budget_us));
        let pace = Pace {
            tick_hz: entry.tick_hz,
            sleep_after: Duration::from_secs(entry.sleep_s.into()),
            save_interval: self.save_interval,
        };
        let (begin, workers, metrics) = (Arc::new(begin), Arc::clone(&self.workers), Arc::clone(&self.metrics));
        let start = move |incarnation: Incarnation| {
            let name = format!("tick-{}", incarnation.id);
            let (begin, workers, metrics) = (Arc::clone(&begin), Arc::clone(&workers), Arc::clone(&metrics));
            let run = move || {
                let start =
                    Start { id: &incarnation.id, epoch: incarnation.epoch, saved: incarnation.saved.as_deref() };
                // In either case its supervisor sees that nothing was saved.
                let room = match catch_unwind(AssertUnwindSafe(|| begin(start))) {
                    Ok(Ok(room)) => room,
                    Ok(Err(complaint)) => return incarnation.refuse_save(complaint),
                    Err(_) => {
                        metrics.room_failures.inc();
                        return;
                    }
                };
                tracing::info!(room = %incarnation.id, incarnation.epoch, was_saved = incarnation.saved.is_some(), "a room is open");
                let facts = Arc::clone(&incarnation.facts);
                let load =
                    Load::new(Arc::clone(&incarnation.id), (kind, pace.tick_hz), budget, facts, Arc::clone(&metrics));
                TickThread::new(room, incarnation, workers, metrics, load, pace).run();
            };
            thread::Builder::new().name(name).spawn(run).context("no thread for a room")?;
            Ok(())
        };
        Ok(StartThread { start: Box::new(start), begins_anew: E::BEGINS_ANEW })
    }
}
