//! The tick thread: one per room, 60 times a second, the only one that touches the room.
//!
//! Path: [`TickThread::tick`]: wait for the deadline → drain events → `Engine::tick` → a frame for every session that can
//! take one → one hand-over per worker → what that cost decides how much service is left out. Now and then what the room
//! is goes to its keeper, which writes it.
//! Invariants: nothing here waits for a socket, a worker or a disk (but once, at the very end); a frame that is assembled
//! is handed over; a panic ends this life of the room (its sockets are told) and never the process.

use crate::{
    clock::{Clock, thread_time},
    engine::Engine,
    inbox::{Batch, Inbox, WorkerMessage, worker_of},
    keeper::{self, Life, SAVES_MAX_COUNT, Save},
    load::Load,
    metrics::Metrics,
    precedence::Precedence,
    room_handle::{Event, Join, RoomFacts, SocketId},
    seats::{Seat, Seats},
};
use arena::Output;
use bytes::Bytes;
use crossbeam_channel::Receiver;
use protocol::{TICK_HZ, close::CloseReason, limits::RESUME_GRACE_MS, message::ServerMessage};
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
/// Control messages held for a worker that is behind. Policy: close the socket with `TooFast` instead.
const CARRIED_MAX_COUNT: usize = 4096;
/// Ticks without any socket after which the room sleeps: the grace of the last session, and a second.
const SLEEP_AFTER_TICKS: u32 = (RESUME_GRACE_MS / 1000 + 1) as u32 * TICK_HZ;
/// Longest time the last save is waited for when the process stops. Policy: everybody is told and the thread ends; the
/// keeper tries on.
const LAST_SAVE_MAX: Duration = Duration::from_secs(6);
/// Time the last hand-over may wait for a worker that is behind. Policy: its sockets close without a word.
const LAST_HAND_OVER_MAX_MS: u64 = 500;

/// What everybody in the room is told when the store does not take it, and when it does again.
const UNWRITABLE: &str = "This field cannot be saved at the moment. We keep trying, and you can fly on; if its server \
    stopped meanwhile, the latest points would be lost.";
const WRITABLE: &str = "This field is saved again.";

/// Why a room's thread ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// Nobody is there.
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
    events: Receiver<Event>,
    seats: Seats,
    /// The socket whose event is being handled: it has no seat yet when its join brings the room down.
    at_hand: Option<SocketId>,
    workers: Arc<[Inbox]>,
    /// What the next hand-over brings, per worker.
    batches: Vec<Batch>,
    facts: Arc<RoomFacts>,
    metrics: Arc<Metrics>,
    load: Load,
    precedence: Precedence,
    /// Sockets whose session was let in during this tick.
    newcomers: Vec<SocketId>,
    saves: mpsc::Sender<Save>,
    empty_ticks: u32,
    /// Somebody who was let in has said something, in this life or before: the room is worth keeping.
    is_used: bool,
    save_interval: Duration,
    /// By time and not by ticks: a room that is slow must tell in time, too, that it is still here.
    save_at: Instant,
    /// Everybody was told that the store does not take the room.
    is_unwritable: bool,
    end: Option<End>,
}

impl<E: Engine> TickThread<E> {
    /// Around a room that has begun; [`TickThread::run`] is for a thread of its own.
    pub(crate) fn new(
        room: E,
        life: Life,
        workers: Arc<[Inbox]>,
        metrics: Arc<Metrics>,
        load: Load,
        save_interval: Duration,
    ) -> Self {
        let Life { id, events, facts, saves, was_used, .. } = life;
        let batches = workers.iter().map(|_| Batch::default()).collect();
        facts.publish(&room.stats(), room.max_players());
        let precedence = Precedence::new(Arc::clone(&id), Arc::clone(&metrics));
        let now = Instant::now();
        Self {
            id,
            room,
            clock: Clock::new(now),
            events,
            seats: Seats::default(),
            at_hand: None,
            workers,
            batches,
            facts,
            metrics,
            load,
            precedence,
            newcomers: Vec::new(),
            saves,
            empty_ticks: 0,
            is_used: was_used,
            save_interval,
            save_at: now + save_interval,
            is_unwritable: false,
            end: None,
        }
    }

    /// Ticks until there is a reason to end.
    pub(crate) fn run(mut self) {
        self.precedence.take();
        let end = loop {
            if catch_unwind(AssertUnwindSafe(|| self.tick())).is_err() {
                break self.fail();
            }
            if let Some(end) = self.end {
                break end;
            }
        };
        match end {
            End::Empty => _ = self.hand_last_save(None),
            End::Stopping => self.save_last(),
            End::Moved | End::Failed => {}
        }
        self.say_goodbye(end);
    }

    /// The whole of a tick, in order.
    fn tick(&mut self) {
        self.wait_for_deadline();
        let (began, worked) = (Instant::now(), thread_time());

        for _ in 0..EVENTS_PER_TICK_MAX_COUNT {
            let Ok(event) = self.events.try_recv() else { break };
            self.handle(event);
        }
        self.room.tick();
        let simulated = Instant::now();

        self.hand_over();
        self.facts.publish(&self.room.stats(), self.room.max_players());
        self.govern(simulated - began, simulated.elapsed());
        self.tell_whether_saved();
        self.save_if_due();
        self.note_emptiness();
        self.metrics.tick_cpu_seconds.observe(thread_time().saturating_sub(worked).as_secs_f64());
    }

    /// Everybody's frames and whatever else is to be said, in one hand-over per worker.
    fn hand_over(&mut self) {
        let workers = Arc::clone(&self.workers);
        let slots: Vec<_> = workers.iter().map(Inbox::slot).collect();
        let (mut frames, mut bytes) = (0, 0);
        for (session, seat) in self.seats.iter_mut() {
            let worker = worker_of(seat.socket);
            if slots[worker].is_none() || !seat.can_take_frame() {
                continue;
            }
            if let Some(frame) = self.room.frame_for(session) {
                seat.hand_frame();
                (frames, bytes) = (frames + 1, bytes + frame.len() as u64);
                self.batches[worker].push_frame(seat.socket, &frame);
            }
        }
        self.metrics.frames.inc_by(frames);
        self.metrics.bytes_out.inc_by(bytes);
        self.collect_output();
        self.tell_newcomers();
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
            self.room.relieve(level);
        }
        if let Some(message) = change.message {
            self.tell_everybody(&message);
        }
    }

    /// Whether what happens lasts: everybody is told when that changes, with the next hand-over.
    fn tell_whether_saved(&mut self) {
        let is_unwritable = self.facts.is_unwritable.load(Ordering::Relaxed);
        if std::mem::replace(&mut self.is_unwritable, is_unwritable) != is_unwritable {
            self.tell_everybody(&notice(if is_unwritable { UNWRITABLE } else { WRITABLE }));
        }
    }

    fn tell_everybody(&mut self, message: &Bytes) {
        let sockets: Vec<_> = self.seats.iter_mut().map(|(_, seat)| seat.socket).collect();
        for socket in sockets {
            self.control(socket, message.clone());
        }
    }

    /// After their welcome, when service is not what a welcome lets them expect.
    fn tell_newcomers(&mut self) {
        let unwritable = self.is_unwritable.then(|| notice(UNWRITABLE));
        let messages: Vec<_> = self.load.message().into_iter().chain(unwritable).collect();
        for socket in std::mem::take(&mut self.newcomers) {
            let is_in = self.seats.session_at(socket).is_some();
            for message in messages.iter().filter(|_| is_in) {
                self.control(socket, message.clone());
            }
        }
    }

    /// A room nobody is in does not tick.
    fn note_emptiness(&mut self) {
        self.empty_ticks = if self.seats.is_empty() { self.empty_ticks + 1 } else { 0 };
        let shall_sleep = self.facts.shall_sleep.swap(false, Ordering::Relaxed);
        if shall_sleep || self.empty_ticks > SLEEP_AFTER_TICKS {
            self.sleep_if_empty();
        }
    }

    /// Whoever waits in the queue is about to be there.
    fn sleep_if_empty(&mut self) {
        if self.seats.is_empty() && self.events.is_empty() {
            self.end = self.end.or(Some(End::Empty));
        }
    }

    /// From the first use on, a room is in the store: others can find it there, and whoever loses it comes back to it.
    fn note_use(&mut self) {
        if !std::mem::replace(&mut self.is_used, true) {
            self.save_at = Instant::now();
        }
    }

    /// What the room is goes to its keeper, unless that has enough to write. Also when nobody is there: until it sleeps,
    /// the room is this machine's.
    fn save_if_due(&mut self) {
        let now = Instant::now();
        if !self.is_used || now < self.save_at {
            return;
        }
        self.save_at = now + self.save_interval;
        // One place stays free for the last one.
        if self.saves.capacity() == SAVES_MAX_COUNT
            && let Ok(place) = self.saves.try_reserve()
        {
            let (room, taken) = (self.room.snapshot().map(Bytes::from), tokio::time::Instant::now());
            place.send(Save { room, taken, is_last: false, written: None });
        }
    }

    /// The room stands still from here on, until it is written.
    fn save_last(&mut self) {
        let (written, is_written) = sync_channel(1);
        if self.hand_last_save(Some(written)) && is_written.recv_timeout(LAST_SAVE_MAX).is_err() {
            tracing::error!(room = %self.id, "the room's last save is not written in time");
        }
    }

    /// Whether the keeper has it.
    fn hand_last_save(&mut self, written: Option<SyncSender<()>>) -> bool {
        let snapshot = catch_unwind(AssertUnwindSafe(|| self.room.snapshot().filter(|_| self.is_used)));
        let Ok(room) = snapshot else {
            tracing::error!(room = %self.id, "the room cannot be saved");
            return false;
        };
        let (room, taken) = (room.map(Bytes::from), tokio::time::Instant::now());
        self.saves.try_send(Save { room, taken, is_last: true, written }).is_ok()
    }

    fn wait_for_deadline(&mut self) {
        let due = self.clock.next(Instant::now());
        if due.sleep.is_zero() {
            self.metrics.ticks_late.inc();
        }
        self.metrics.ticks_dropped.inc_by(due.dropped);
        self.precedence.note(!due.sleep.is_zero());
        thread::sleep(due.sleep);
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Join(join) => self.join(*join),
            Event::Packet(socket, packet) => {
                if let Some(session) = self.seats.session_at(socket) {
                    self.note_use();
                    self.room.handle(session, packet);
                }
            }
            Event::Gone(socket) => {
                if let Some(session) = self.seats.session_at(socket) {
                    self.seats.remove(session);
                    self.room.disconnect(session);
                }
            }
            Event::Budget(budget) => self.load.set_budget(budget),
            Event::Stop => self.end = Some(End::Stopping),
            Event::Moved => self.end = Some(End::Moved),
            #[cfg(test)]
            Event::Fault => panic!("a fault, as the test asked"),
        }
    }

    fn join(&mut self, join: Join) {
        self.at_hand = Some(join.socket);
        match self.room.join(&join.hello, join.admitted) {
            Ok(session) => {
                self.newcomers.push(join.socket);
                if let Some(older) = self.seats.seat(session, Seat::new(join.socket, join.gate)) {
                    self.close(older, CloseReason::Replaced);
                }
            }
            Err(reason) => {
                keeper::refuse(&mut self.batches, join.socket, reason);
            }
        }
        self.at_hand = None;
    }

    /// What the room wants done besides frames.
    fn collect_output(&mut self) {
        while let Some(output) = self.room.poll_output() {
            match output {
                Output::Message(session, message) => {
                    if let Some(socket) = self.seats.socket_of(session) {
                        self.control(socket, message);
                    }
                }
                Output::Close(session, reason) => {
                    if let Some(socket) = self.seats.socket_of(session) {
                        self.seats.remove(session);
                        self.room.disconnect(session);
                        self.close(socket, reason);
                    }
                }
            }
        }
    }

    fn control(&mut self, socket: SocketId, message: Bytes) {
        let batch = &mut self.batches[worker_of(socket)];
        if batch.controls.len() < CARRIED_MAX_COUNT {
            self.metrics.bytes_out.inc_by(message.len() as u64);
            batch.controls.push((socket, message));
            return;
        }
        batch.closes.push((socket, CloseReason::TooFast));
        if let Some(session) = self.seats.session_at(socket) {
            self.seats.remove(session);
            self.room.disconnect(session);
        }
    }

    /// Says why, then closes.
    fn close(&mut self, socket: SocketId, reason: CloseReason) {
        let batch = &mut self.batches[worker_of(socket)];
        if batch.controls.len() < CARRIED_MAX_COUNT {
            batch.controls.push((socket, ServerMessage::Bye { code: reason.code() }.encode().into()));
        }
        batch.closes.push((socket, reason));
    }

    /// After a bug of ours: whoever was just joining is seated by nobody.
    fn fail(&mut self) -> End {
        self.metrics.room_failures.inc();
        tracing::error!(room = %self.id, "the room failed");
        if let Some(socket) = self.at_hand.take() {
            self.close(socket, CloseReason::RoomFailed);
        }
        End::Failed
    }

    /// Closes everybody, those who are just joining too, unless they may find the room's next life.
    fn say_goodbye(&mut self, end: End) {
        let reason = match end {
            End::Empty => return,
            End::Stopping => CloseReason::ServerStopping,
            End::Moved => CloseReason::Moved,
            End::Failed => CloseReason::RoomFailed,
        };
        let joining: Vec<SocketId> = match end {
            End::Failed => Vec::new(),
            _ => self.events.try_iter().filter_map(|event| event.joining()).collect(),
        };
        for socket in self.seats.clear().into_iter().chain(joining) {
            self.close(socket, reason);
        }
        self.hand_over_last();
    }

    /// A hand-over that may wait a little, since no tick depends on it.
    fn hand_over_last(&mut self) {
        let give_up = Instant::now() + Duration::from_millis(LAST_HAND_OVER_MAX_MS);
        for (inbox, batch) in self.workers.iter().zip(&mut self.batches) {
            loop {
                if let Some(slot) = inbox.slot() {
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

fn notice(sentence: &str) -> Bytes {
    ServerMessage::Notice(sentence.to_owned()).encode().into()
}

#[cfg(test)]
mod tests;
