//! The writer workers: a few tasks that own every sink and try-write.
//!
//! Path: once a tick each worker gets one [`Batch`]; it fills the outboxes, writes each until the kernel has it or takes
//! no more, and sets the latter aside until the kernel wakes the worker.
//! Invariants: a worker never waits for one socket; it drops a sink only after telling the reading task (by `Outbox`'s
//! drop); a closing socket that takes nothing is dropped after [`CLOSE_LINGER_MS`].
//! A task per socket would cost a fifth more CPU per message, and a pump that awaits its sinks in turn would be stopped
//! by the first full one.

use crate::{metrics::Metrics, outbox::Outbox, room_handle::SocketId};
use bytes::Bytes;
use protocol::close::CloseReason;
use std::{
    collections::HashMap,
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};
use tokio::{
    sync::mpsc,
    time::{Interval, MissedTickBehavior, interval},
};

/// Writer workers: two halve the median latency of one for a little more CPU; more would fight the tick thread.
pub(crate) const WORKERS_COUNT: usize = 2;
/// Hand-overs that may wait for a worker. Policy: a worker with this many is behind, and its sockets' frames are not
/// assembled until it has caught up.
pub(crate) const WORKER_INBOX_MAX_COUNT: usize = 64;
/// Time a close frame has to reach the kernel, and its answer to come back. Policy: drop the socket.
pub(crate) const CLOSE_LINGER_MS: u64 = 1_000;
/// How often a worker looks for sockets that have waited too long.
const SWEEP_INTERVAL_MS: u64 = 250;

/// What a worker is sent.
#[derive(Debug)]
pub(crate) enum WorkerMessage {
    /// A new socket; always before anything else about it.
    Adopt(Outbox),
    /// A tick's hand-over.
    Batch(Batch),
}

impl From<Batch> for WorkerMessage {
    fn from(batch: Batch) -> Self {
        Self::Batch(batch)
    }
}

/// Everything one tick has for one worker. Control messages go before frames, closes after both.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) controls: Vec<(SocketId, Bytes)>,
    pub(crate) frames: Vec<(SocketId, Bytes)>,
    /// `None` drops the socket without a word: its peer is gone.
    pub(crate) closes: Vec<(SocketId, Option<CloseReason>)>,
}

impl Batch {
    /// Whether there is nothing to hand over.
    pub(crate) fn is_empty(&self) -> bool {
        self.controls.is_empty() && self.frames.is_empty() && self.closes.is_empty()
    }
}

/// The workers' inboxes; a socket's worker follows from its id.
#[derive(Debug, Clone)]
pub(crate) struct Writers(Vec<mpsc::Sender<WorkerMessage>>);

impl Writers {
    /// Starts the workers on the current runtime. They end when every clone of this is gone.
    pub(crate) fn start(metrics: &Arc<Metrics>) -> Self {
        Self((0..WORKERS_COUNT).map(|_| Worker::start(Arc::clone(metrics))).collect())
    }

    /// Every worker's inbox, in the order of [`worker_of`].
    pub(crate) fn inboxes(&self) -> &[mpsc::Sender<WorkerMessage>] {
        &self.0
    }

    /// Hands a socket's writing half over.
    pub(crate) async fn adopt(&self, outbox: Outbox) {
        self.send(outbox.socket, WorkerMessage::Adopt(outbox)).await;
    }

    /// Closes a socket of which no room knows.
    pub(crate) async fn close(&self, socket: SocketId, reason: CloseReason) {
        let batch = Batch { closes: vec![(socket, Some(reason))], ..Batch::default() };
        self.send(socket, WorkerMessage::Batch(batch)).await;
    }

    async fn send(&self, socket: SocketId, message: WorkerMessage) {
        // A worker that has ended has dropped every sink, which is all a message could still bring about.
        let _ = self.0[worker_of(socket)].send(message).await;
    }
}

/// Which worker owns a socket's sink.
pub(crate) fn worker_of(socket: SocketId) -> usize {
    (socket % WORKERS_COUNT as u64) as usize
}

#[derive(Debug)]
struct Worker {
    inbox: mpsc::Receiver<WorkerMessage>,
    outboxes: HashMap<SocketId, Outbox>,
    /// Sockets to write to now: those a batch touched and those that were set aside, each once.
    listed: Vec<SocketId>,
    sweeps: Interval,
    metrics: Arc<Metrics>,
}

impl Worker {
    fn start(metrics: Arc<Metrics>) -> mpsc::Sender<WorkerMessage> {
        let (sender, inbox) = mpsc::channel(WORKER_INBOX_MAX_COUNT);
        let mut sweeps = interval(Duration::from_millis(SWEEP_INTERVAL_MS));
        sweeps.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut worker = Self { inbox, outboxes: HashMap::new(), listed: Vec::new(), sweeps, metrics };
        // Unconstrained: tokio's budget of 128 operations per poll would make socket 129 look as if it were full.
        tokio::spawn(tokio::task::unconstrained(async move { poll_fn(|cx| worker.poll(cx)).await }));
        sender
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            match self.inbox.poll_recv(cx) {
                Poll::Ready(Some(WorkerMessage::Adopt(outbox))) => {
                    self.outboxes.insert(outbox.socket, outbox);
                }
                Poll::Ready(Some(WorkerMessage::Batch(batch))) => self.fill(batch),
                Poll::Ready(None) => return Poll::Ready(()),
                Poll::Pending => break,
            }
        }
        while self.sweeps.poll_tick(cx).is_ready() {
            self.sweep(Instant::now());
        }
        for socket in std::mem::take(&mut self.listed) {
            self.write(socket, cx);
        }
        Poll::Pending
    }

    /// Puts a batch's messages into the outboxes. A socket that is not there any more gets nothing.
    fn fill(&mut self, batch: Batch) {
        let now = Instant::now();
        for (socket, message) in batch.controls {
            let Some(outbox) = Self::list(&mut self.outboxes, &mut self.listed, socket) else { continue };
            if !outbox.push_control(message) && outbox.close(CloseReason::TooFast, now) {
                self.metrics.closed(CloseReason::TooFast);
            }
        }
        for (socket, frame) in batch.frames {
            if let Some(outbox) = Self::list(&mut self.outboxes, &mut self.listed, socket) {
                outbox.push_frame(frame);
            }
        }
        for (socket, reason) in batch.closes {
            match reason {
                Some(reason) => {
                    let outbox = Self::list(&mut self.outboxes, &mut self.listed, socket);
                    if outbox.is_some_and(|outbox| outbox.close(reason, now)) {
                        self.metrics.closed(reason);
                    }
                }
                None => self.remove(socket),
            }
        }
    }

    /// The socket's outbox, listed for writing.
    fn list<'a>(
        outboxes: &'a mut HashMap<SocketId, Outbox>,
        listed: &mut Vec<SocketId>,
        socket: SocketId,
    ) -> Option<&'a mut Outbox> {
        let outbox = outboxes.get_mut(&socket)?;
        if !std::mem::replace(&mut outbox.is_listed, true) {
            listed.push(socket);
        }
        Some(outbox)
    }

    fn write(&mut self, socket: SocketId, cx: &mut Context<'_>) {
        let Some(outbox) = self.outboxes.get_mut(&socket) else { return };
        match outbox.poll_write(cx) {
            // Set aside: it stays listed, and the kernel wakes the worker when it takes something again.
            Poll::Pending => self.listed.push(socket),
            Poll::Ready(Ok(())) if outbox.closing_since.is_none() => {
                outbox.is_listed = false;
                if std::mem::take(&mut outbox.sweeps_waited) > 0 {
                    self.metrics.sockets_slow.dec();
                }
            }
            // Closed as asked, or broken: the reading task learns of it and ends the session.
            Poll::Ready(_) => self.remove(socket),
        }
    }

    /// Counts sockets that have been set aside since the last sweep and drops those that do not even take their close.
    fn sweep(&mut self, now: Instant) {
        let mut stuck = Vec::new();
        for socket in &self.listed {
            let Some(outbox) = self.outboxes.get_mut(socket) else { continue };
            if outbox.sweeps_waited == 0 {
                self.metrics.sockets_set_aside.inc();
                self.metrics.sockets_slow.inc();
            }
            outbox.sweeps_waited += 1;
            let since = outbox.closing_since.unwrap_or(now);
            if now.duration_since(since) > Duration::from_millis(CLOSE_LINGER_MS) {
                stuck.push(*socket);
            }
        }
        for socket in stuck {
            self.remove(socket);
        }
    }

    fn remove(&mut self, socket: SocketId) {
        let removed = self.outboxes.remove(&socket);
        if removed.is_some_and(|outbox| outbox.sweeps_waited > 0) {
            self.metrics.sockets_slow.dec();
        }
    }
}
