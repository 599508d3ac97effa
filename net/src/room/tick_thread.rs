//! The tick thread: one per room, as often as its kind says, the only one that touches the room.
//!
//! Path: [`TickThread::tick`]: rest while there is nothing to do → wait for the deadline → drain events → `Engine::tick` → the engine writes frames for
//! those that can take one → one hand-over per worker → what that cost decides how much service is left out. Now and
//! then what the room is goes to its supervisor, which writes it.
//! Invariants: nothing here waits for a connection, a worker or a disk (but once, at the very end); a frame that is
//! assembled is handed over; a panic ends this incarnation of the room (its connections are told) and never the
//! process.

use crate::{
    io::{
        connection::Closing,
        worker_queue::{Batch, WorkerMessage, WorkerSender, worker_of},
    },
    metrics::Metrics,
    room::{
        clock::{Clock, thread_time},
        connections::Connections,
        handle::{Join, RoomEvent, RoomFacts},
        incarnation::{Incarnation, SAVES_MAX_COUNT, Save},
        load::Load,
        thread_priority::TickPriority,
    },
};
use bytes::Bytes;
use crossbeam_channel::Receiver;
use protocol::{
    close::CloseReason,
    message::{Packet, ServerMessage},
};
use session::{Command, ConnectionId, Engine, FrameSink, Output};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::Ordering,
        mpsc::{SyncSender, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};
use tokio::sync::mpsc;

/// Events handled before one tick. Policy: the rest wait for the next tick, in order.
const EVENTS_PER_TICK_MAX_COUNT: usize = 4096;
/// Control messages held for a worker that is behind. Policy: close the connection with `TooFast` instead.
const CARRIED_MAX_COUNT: usize = 4096;
/// How long whoever comes is told that the room had to begin anew.
const ANEW_TOLD: Duration = Duration::from_secs(600);
/// Longest time the last save is waited for when the process stops. Policy: everybody is told and the thread ends; the
/// supervisor tries on.
const LAST_SAVE_MAX: Duration = Duration::from_secs(6);
/// Time the last hand-over may wait for a worker that is behind. Policy: its connections close without a word.
const LAST_HAND_OVER_MAX_MS: u64 = 500;

/// What everybody in the room is told when the store does not take it.
const UNWRITABLE: &str = "This room cannot be saved at the moment. We keep trying, and you can go on; if its server \
    stopped meanwhile, the latest would be lost.";
/// And when it does again.
const WRITABLE: &str = "This room is saved again.";
/// What everybody who comes is told when the room had to begin anew.
const BEGUN_ANEW: &str = "This room begins anew, since what was saved of it could not be used. That is kept, and somebody \
    will look at it.";

/// How often things happen to a room.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    pub(crate) tick_hz: u32,
    /// Time without any connection after which the room sleeps.
    pub(crate) sleep_after: Duration,
    /// Time from save to save.
    pub(crate) save_interval: Duration,
}

/// Why a room's thread ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum EndReason {
    /// Nobody is there, or only those who read.
    Empty,
    /// The process stops.
    Stopping,
    /// The room is another machine's.
    Moved,
    /// A bug of ours.
    Failed,
}

/// A room and everything its thread owns.
pub(crate) struct TickThread<E> {
    id: Arc<str>,
    room: E,
    clock: Clock,
    events: Receiver<RoomEvent>,
    connections: Connections,
    workers: Arc<[WorkerSender]>,
    /// What the next hand-over brings, per worker.
    batches: Vec<Batch>,
    facts: Arc<RoomFacts>,
    metrics: Arc<Metrics>,
    load: Load,
    priority: TickPriority,
    /// What ended a rest, and waits for the tick.
    first: Option<RoomEvent>,
    /// Connections that were let in during this tick.
    newcomers: Vec<ConnectionId>,
    saves: mpsc::Sender<Save>,
    empty_since: Option<Instant>,
    /// Somebody who was let in has said something, in this incarnation or before: the room is worth keeping.
    is_used: bool,
    pace: Pace,
    /// By time and not by ticks: a room that is slow must tell in time, too, that it is still here.
    save_at: Instant,
    /// The newest log entry that the room knows to be kept.
    kept_entry: u32,
    /// Everybody was told that the store does not take the room.
    is_unwritable: bool,
    /// Until then everybody who comes is told that the room had to begin anew.
    anew_until: Option<Instant>,
    end: Option<EndReason>,
}

impl<E: Engine> TickThread<E> {
    /// Around a room that has begun; [`TickThread::run`] is for a thread of its own.
    pub(crate) fn new(
        room: E,
        incarnation: Incarnation,
        workers: Arc<[WorkerSender]>,
        metrics: Arc<Metrics>,
        load: Load,
        pace: Pace,
    ) -> Self {
        let Incarnation { id, events, facts, saves, was_used, is_anew, .. } = incarnation;
        let batches = workers.iter().map(|_| Batch::default()).collect();
        facts.publish(&room.stats());
        let priority = TickPriority::new(Arc::clone(&id), Arc::clone(&metrics));
        let now = Instant::now();
        Self {
            id,
            room,
            clock: Clock::new(now, pace.tick_hz),
            events,
            connections: Connections::default(),
            workers,
            batches,
            facts,
            metrics,
            load,
            priority,
            first: None,
            newcomers: Vec::new(),
            saves,
            empty_since: None,
            is_used: was_used,
            pace,
            save_at: now + pace.save_interval,
            kept_entry: 0,
            is_unwritable: false,
            anew_until: is_anew.then_some(now + ANEW_TOLD),
            end: None,
        }
    }

    /// Ticks until there is a reason to end.
    pub(crate) fn run(mut self) {
        self.priority.raise();
        let end = loop {
            if catch_unwind(AssertUnwindSafe(|| self.tick())).is_err() {
                break self.fail();
            }
            if let Some(end) = self.end {
                break end;
            }
        };
        match end {
            EndReason::Empty => _ = self.hand_last_save(None),
            EndReason::Stopping => self.save_last(),
            EndReason::Moved | EndReason::Failed => {}
        }
        self.close_everybody(end);
    }

    /// The whole of a tick, in order.
    fn tick(&mut self) {
        self.wait_for_deadline();
        let (began, worked) = (Instant::now(), thread_time());

        // Before anything new comes into the log.
        self.note_kept();
        if let Some(event) = self.first.take() {
            self.handle(event);
        }
        for _ in 0..EVENTS_PER_TICK_MAX_COUNT {
            let Ok(event) = self.events.try_recv() else { break };
            self.handle(event);
        }
        self.room.tick();
        let simulated = Instant::now();

        self.hand_over();
        let stats = self.room.stats();
        self.facts.publish(&stats);
        self.govern(simulated - began, simulated.elapsed());
        self.notify_whether_saved();
        self.save_if_due();
        self.note_emptiness(stats.members == 0);
        self.load.note_processor_time(thread_time().saturating_sub(worked));
    }

    /// What the store has, the room may call kept.
    fn note_kept(&mut self) {
        let kept = self.facts.kept_entry.load(Ordering::Relaxed);
        if std::mem::replace(&mut self.kept_entry, kept) != kept {
            self.room.committed(kept);
        }
    }

    /// Everybody's frames and whatever else is to be said, in one hand-over per worker.
    fn hand_over(&mut self) {
        let workers = Arc::clone(&self.workers);
        let slots: Vec<_> = workers.iter().map(WorkerSender::reserve).collect();
        let is_open: Vec<_> = slots.iter().map(Option::is_some).collect();
        let (connections, batches) = (&mut self.connections, &mut self.batches[..]);
        let mut sink = Batches { connections, batches, is_open: &is_open, frames: 0, bytes: 0 };
        self.room.frames(&mut sink);
        self.metrics.frames.inc_by(sink.frames);
        self.metrics.bytes_out.inc_by(sink.bytes);
        self.collect_output();
        self.notify_newcomers();
        for (slot, batch) in slots.into_iter().zip(&mut self.batches) {
            match slot {
                Some(slot) if !batch.is_empty() => slot.send(WorkerMessage::Batch(batch.take())),
                Some(_) => {}
                None => _ = self.metrics.workers_behind.inc(),
            }
        }
    }

    /// What the tick cost decides how much service there is from now on; everybody is told with the next hand-over.
    fn govern(&mut self, simulate: Duration, frames: Duration) {
        let change = self.load.note(simulate, frames);
        if let Some(level) = change.level {
            self.room.command(Command::Relieve(level));
        }
        if let Some(message) = change.message {
            self.notify_everybody(&message);
        }
    }

    /// Whether what happens lasts: everybody is told when that changes, with the next hand-over.
    fn notify_whether_saved(&mut self) {
        let is_unwritable = self.facts.is_unwritable.load(Ordering::Relaxed);
        if std::mem::replace(&mut self.is_unwritable, is_unwritable) != is_unwritable {
            self.notify_everybody(&notice(if is_unwritable { UNWRITABLE } else { WRITABLE }));
        }
    }

    fn notify_everybody(&mut self, message: &Bytes) {
        let connections: Vec<_> = self.connections.iter().collect();
        for connection in connections {
            self.control(connection, message.clone());
        }
    }

    /// After their welcome, when service or room is not what a welcome lets them expect.
    fn notify_newcomers(&mut self) {
        let unwritable = self.is_unwritable.then(|| notice(UNWRITABLE));
        let anew = self.anew_until.filter(|until| Instant::now() < *until).map(|_| notice(BEGUN_ANEW));
        let messages: Vec<_> = self.load.message().into_iter().chain(unwritable).chain(anew).collect();
        for connection in std::mem::take(&mut self.newcomers) {
            let is_in = self.connections.contains(connection);
            for message in messages.iter().filter(|_| is_in) {
                self.control(connection, message.clone());
            }
        }
    }

    /// A room nobody takes part in does not tick: those who only read keep it from that as little as nobody.
    fn note_emptiness(&mut self, is_empty: bool) {
        if self.saves.is_closed() {
            // A bug of ours: nobody renews the ownership or writes anything any more.
            self.end = self.end.or(Some(EndReason::Failed));
        }
        let now = Instant::now();
        self.empty_since = is_empty.then(|| self.empty_since.unwrap_or(now));
        let is_long_empty = self.empty_since.is_some_and(|since| now - since >= self.pace.sleep_after);
        let shall_sleep = self.facts.shall_sleep.swap(false, Ordering::Relaxed);
        // Whoever waits in the queue is about to be there.
        let may_sleep = is_empty && self.events.is_empty();
        if may_sleep && (shall_sleep || is_long_empty) {
            self.end = self.end.or(Some(EndReason::Empty));
        }
    }

    /// From the first use on, a room is in the store: others can find it there, and whoever loses it comes back to it. To
    /// look on is no use of it.
    fn note_use(&mut self) {
        if !self.is_used && self.room.stats().members > 0 {
            (self.is_used, self.save_at) = (true, Instant::now());
        }
    }

    /// What the room is goes to its supervisor, unless that has enough to write. Also when nobody is there: until it
    /// sleeps, the room is this machine's.
    fn save_if_due(&mut self) {
        let now = Instant::now();
        if !self.is_used || now < self.save_at {
            return;
        }
        self.save_at = now + self.pace.save_interval;
        // One place stays free for the last one.
        if self.saves.capacity() == SAVES_MAX_COUNT
            && let Ok(place) = self.saves.try_reserve()
        {
            let (room, taken) = (self.room.snapshot().map(Bytes::from), tokio::time::Instant::now());
            let last_entry = self.room.stats().last_entry;
            place.send(Save { room, taken, last_entry, is_last: false, written: None });
        }
    }

    /// The room stands still from here on, until it is written.
    fn save_last(&mut self) {
        let (written, is_written) = sync_channel(1);
        if self.hand_last_save(Some(written)) && is_written.recv_timeout(LAST_SAVE_MAX).is_err() {
            tracing::error!(room = %self.id, "the room's last save is not written in time");
        }
    }

    /// Whether the supervisor has it.
    fn hand_last_save(&mut self, written: Option<SyncSender<()>>) -> bool {
        let snapshot = catch_unwind(AssertUnwindSafe(|| self.room.snapshot().filter(|_| self.is_used)));
        let Ok(room) = snapshot else {
            tracing::error!(room = %self.id, "the room cannot be saved");
            return false;
        };
        let (room, taken) = (room.map(Bytes::from), tokio::time::Instant::now());
        let last_entry = self.room.stats().last_entry;
        self.saves.try_send(Save { room, taken, last_entry, is_last: true, written }).is_ok()
    }

    fn wait_for_deadline(&mut self) {
        let has_rested = self.rest();
        let due = self.clock.next(Instant::now());
        let is_late = due.sleep.is_zero() && !has_rested;
        if is_late {
            self.metrics.ticks_late.inc();
        }
        self.metrics.ticks_dropped.inc_by(due.dropped);
        self.priority.note(!is_late);
        thread::sleep(due.sleep);
    }

    /// While nothing is to be done: waits until something comes or falls due, and leaves out the ticks that passed. False
    /// when there was something.
    fn rest(&mut self) -> bool {
        let has_work = !self.batches.iter().all(Batch::is_empty) || !self.load.is_at_ease();
        let idle_ticks = if has_work { 0 } else { self.room.idle_ticks() };
        if idle_ticks == 0 {
            return false;
        }
        let falls_asleep = self.empty_since.map(|since| since + self.pace.sleep_after);
        let duties = falls_asleep.into_iter().chain(self.is_used.then_some(self.save_at));
        let until = duties.fold(self.clock.due_after(idle_ticks), Instant::min);
        // Whatever else changes for this room wakes it with an event (`RoomHandle::nudge`).
        self.first = self.events.recv_deadline(until).ok();
        let skipped = self.clock.skip(Instant::now(), idle_ticks);
        self.room.skip(skipped);
        true
    }

    fn handle(&mut self, event: RoomEvent) {
        match event {
            RoomEvent::Join(join) => self.join(*join),
            RoomEvent::Message(connection, message) => self.receive(connection, Packet::Session(message)),
            RoomEvent::Kind(connection, bytes) => self.receive(connection, Packet::Kind(&bytes)),
            RoomEvent::Disconnected(connection) => self.disconnect(connection),
            RoomEvent::Budget(budget) => self.load.set_budget(budget),
            RoomEvent::Nudge => {}
            RoomEvent::Stop => self.end = Some(EndReason::Stopping),
            RoomEvent::Moved => self.end = Some(EndReason::Moved),
            #[cfg(test)]
            RoomEvent::Fault => panic!("a fault, as the test asked"),
        }
    }

    fn receive(&mut self, connection: ConnectionId, packet: Packet<'_>) {
        if self.connections.contains(connection) {
            self.note_use();
            self.room.receive(connection, packet);
        }
    }

    fn join(&mut self, join: Join) {
        let Join { connection, flow, hello, admission, .. } = join;
        // Whoever had its place is gone, though that may come later: if this queue was full, it waits at the worker.
        if let Some(earlier) = self.connections.insert(connection, flow) {
            self.room.disconnect(earlier);
        }
        self.room.connect(connection, &hello, admission);
        // Whoever is not let in has no say in what comes next.
        self.collect_output();
        if self.connections.contains(connection) {
            self.newcomers.push(connection);
        }
    }

    /// The connection is gone, if the engine does not know that already.
    fn disconnect(&mut self, connection: ConnectionId) {
        if self.connections.remove(connection) {
            self.room.disconnect(connection);
        }
    }

    /// What the room wants done besides frames.
    fn collect_output(&mut self) {
        while let Some(output) = self.room.poll_output() {
            match output {
                Output::Message(to, message) => self.control(to, message),
                Output::Close(to, reason) => self.close(to, Closing::Bye(reason)),
                Output::Refuse(to, reason) => self.close(to, Closing::Refused(reason)),
            }
        }
    }

    fn control(&mut self, to: ConnectionId, message: Bytes) {
        if !self.connections.contains(to) {
            return;
        }
        let batch = &mut self.batches[worker_of(to)];
        if batch.controls.len() < CARRIED_MAX_COUNT {
            self.metrics.bytes_out.inc_by(message.len() as u64);
            batch.controls.push((to, message));
            return;
        }
        self.close(to, Closing::Silent(CloseReason::TooFast));
        self.room.disconnect(to);
    }

    /// The engine knows already, or is told by the caller.
    fn close(&mut self, connection: ConnectionId, closing: Closing) {
        if self.connections.remove(connection) {
            self.batches[worker_of(connection)].closes.push((connection, closing));
        }
    }

    /// After a bug of ours.
    fn fail(&mut self) -> EndReason {
        self.metrics.room_failures.inc();
        tracing::error!(room = %self.id, "the room failed");
        EndReason::Failed
    }

    /// Closes everybody, those who are just joining too, unless they may find the room's next incarnation.
    fn close_everybody(&mut self, end: EndReason) {
        let reason = match end {
            EndReason::Empty => CloseReason::Asleep,
            EndReason::Stopping => CloseReason::ServerStopping,
            EndReason::Moved => CloseReason::Moved,
            EndReason::Failed => CloseReason::RoomFailed,
        };
        let joining: Vec<ConnectionId> = match end {
            EndReason::Failed | EndReason::Empty => Vec::new(),
            EndReason::Stopping | EndReason::Moved => {
                self.events.try_iter().filter_map(|event| event.joining()).collect()
            }
        };
        for connection in self.connections.clear().into_iter().chain(joining) {
            self.batches[worker_of(connection)].closes.push((connection, Closing::Bye(reason)));
        }
        self.hand_over_last();
    }

    /// A hand-over that may wait a little, since no tick depends on it.
    fn hand_over_last(&mut self) {
        let give_up = Instant::now() + Duration::from_millis(LAST_HAND_OVER_MAX_MS);
        for (worker, batch) in self.workers.iter().zip(&mut self.batches) {
            loop {
                if let Some(slot) = worker.reserve() {
                    slot.send(WorkerMessage::Batch(batch.take()));
                } else if Instant::now() < give_up {
                    thread::sleep(Duration::from_millis(1));
                    continue;
                }
                break;
            }
        }
    }
}

/// Where a tick's frames go: straight into what is handed over to the workers.
struct Batches<'a> {
    connections: &'a mut Connections,
    batches: &'a mut [Batch],
    /// Workers that are not behind.
    is_open: &'a [bool],
    frames: u64,
    bytes: u64,
}

impl FrameSink for Batches<'_> {
    fn can_take(&mut self, to: ConnectionId) -> bool {
        self.is_open[worker_of(to)] && self.connections.can_take_frame(to)
    }

    fn put(&mut self, to: ConnectionId, write: &mut dyn FnMut(&mut Vec<u8>)) {
        self.connections.note_frame(to);
        self.frames += 1;
        self.bytes += self.batches[worker_of(to)].push_frame(to, write) as u64;
    }
}

fn notice(sentence: &str) -> Bytes {
    ServerMessage::Notice(sentence.to_owned()).encode().into()
}

#[cfg(test)]
mod tests;
