//! State shared by all rooms of this machine: store, workers, metrics, how threads start, shutdown.

use crate::{
    io::worker_queue::{Batch, WorkerMessage, WorkerSender},
    metrics::Metrics,
    room::incarnation::StartThread,
    store::Store,
};
use std::{fmt, sync::Arc};
use tokio::sync::watch;

/// How far the machine's end has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    Running,
    /// Nobody is let in any more, and every room is saved and closed.
    Stopping,
    /// What is not in the store by now is lost.
    GivenUp,
}

/// See the module.
pub(crate) struct Machine {
    pub(crate) instance: String,
    pub(crate) store: Store,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) workers: Arc<[WorkerSender]>,
    pub(crate) start: StartThread,
    pub(crate) stage: watch::Receiver<Stage>,
}

impl fmt::Debug for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Machine").field("instance", &self.instance).finish_non_exhaustive()
    }
}

impl Machine {
    pub(crate) fn is_stopping(&self) -> bool {
        *self.stage.borrow() >= Stage::Stopping
    }

    pub(crate) fn has_given_up(&self) -> bool {
        *self.stage.borrow() >= Stage::GivenUp
    }

    /// One hand-over for each worker; those that are empty are not sent.
    pub(crate) async fn send(&self, batches: Vec<Batch>) {
        for (worker, batch) in self.workers.iter().zip(batches).filter(|(_, batch)| !batch.is_empty()) {
            worker.send(WorkerMessage::Batch(batch)).await;
        }
    }
}
