//! State shared by all rooms of this machine: store, workers, metrics, how threads start, shutdown.

use crate::{
    io::worker_queue::{Batch, WorkerMessage, WorkerSender},
    metrics::Metrics,
    room::incarnation::{Incarnation, StartThread},
    store::Store,
};
use anyhow::Context;
use protocol::room::{Kind, home_of};
use std::{collections::BTreeMap, fmt, sync::Arc};
use tokio::sync::watch;

/// How far the machine's end has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Shutdown {
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
    pub(crate) starts: BTreeMap<Kind, StartThread>,
    pub(crate) shutdown: watch::Receiver<Shutdown>,
}

impl fmt::Debug for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Machine").field("instance", &self.instance).finish_non_exhaustive()
    }
}

impl Machine {
    /// Whether this is one of the machine's own public rooms.
    pub(crate) fn is_public(&self, id: &str) -> bool {
        home_of(id) == Some(&self.instance)
    }

    /// Starts the thread of a room, with an engine of its kind.
    pub(crate) fn start(&self, incarnation: Incarnation) -> anyhow::Result<()> {
        let start = Kind::of(&incarnation.id).and_then(|kind| self.starts.get(&kind));
        (start.context("there is no kind of room of this name")?.start)(incarnation)
    }

    /// Whether a room of this kind begins anew when its save cannot be used.
    pub(crate) fn begins_anew(&self, id: &str) -> bool {
        Kind::of(id).and_then(|kind| self.starts.get(&kind)).is_some_and(|start| start.begins_anew)
    }

    pub(crate) fn is_stopping(&self) -> bool {
        *self.shutdown.borrow() >= Shutdown::Stopping
    }

    pub(crate) fn has_given_up(&self) -> bool {
        *self.shutdown.borrow() >= Shutdown::GivenUp
    }

    /// One hand-over for each worker; those that are empty are not sent.
    pub(crate) async fn send(&self, batches: Vec<Batch>) {
        for (worker, batch) in self.workers.iter().zip(batches).filter(|(_, batch)| !batch.is_empty()) {
            worker.send(WorkerMessage::Batch(batch)).await;
        }
    }
}
