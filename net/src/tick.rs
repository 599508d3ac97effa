//! The tick thread: one per room, 60 times a second, the only one that touches the room.
//!
//! Path: [`TickThread::tick`]: wait for the deadline → drain events → `Engine::tick` → a frame for every session that can
//! take one → one hand-over per worker → what that cost decides how much service is left out.
//! Invariants: nothing here waits for a socket or a worker; a frame that is assembled is handed over; a panic ends this
//! life of the room (its sockets are told) and never the process.

use crate::{
    clock::{Clock, thread_time},
    engine::Engine,
    inbox::{Batch, Inbox, WorkerMessage, worker_of},
    load::Load,
    metrics::Metrics,
    precedence::Precedence,
    room_handle::{Event, Join, RoomFacts, SocketId},
    seats::{Seat, Seats},
};
use bytes::Bytes;
use protocol::{TICK_HZ, close::CloseReason, limits::RESUME_GRACE_MS, message::ServerMessage};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use sync::Output;
use tokio::sync::mpsc::Receiver;

/// Events handled before one tick. Policy: the rest wait for the next tick, in order.
const EVENTS_PER_TICK_MAX_COUNT: usize = 4096;
/// Control messages held for a worker that is behind. Policy: close the socket with `TooFast` instead.
const CARRIED_MAX_COUNT: usize = 4096;
/// Ticks without any socket after which the room sleeps: the grace of the last session, and a second.
const SLEEP_AFTER_TICKS: u32 = (RESUME_GRACE_MS / 1000 + 1) as u32 * TICK_HZ;
/// Pause before a room that failed begins anew, so that one that always fails does not spin.
const RESTART_PAUSE_MS: u64 = 500;
/// Time the last hand-over may wait for a worker that is behind. Policy: its sockets close without a word.
const LAST_HAND_OVER_MAX_MS: u64 = 500;

/// Begins a room's life with this epoch.
pub(crate) type Factory<E> = Box<dyn FnMut(u32) -> E + Send>;

/// A room and everything its thread owns.
pub(crate) struct TickThread<E> {
    name: &'static str,
    begin: Factory<E>,
    epoch: u32,
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
    empty_ticks: u32,
    is_stopping: bool,
}

impl<E: Engine> TickThread<E> {
    /// Begins the room; [`TickThread::run`] is for a thread of its own.
    pub(crate) fn new(
        name: &'static str,
        mut begin: Factory<E>,
        events: Receiver<Event>,
        workers: Arc<[Inbox]>,
        facts: Arc<RoomFacts>,
        metrics: Arc<Metrics>,
        load: Load,
    ) -> Self {
        let batches = workers.iter().map(|_| Batch::default()).collect();
        let epoch = epoch_now();
        let room = begin(epoch);
        facts.publish(&room.stats(), room.max_players());
        let precedence = Precedence::new(name, Arc::clone(&metrics));
        Self {
            name,
            begin,
            epoch,
            room,
            clock: Clock::new(Instant::now()),
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
            empty_ticks: 0,
            is_stopping: false,
        }
    }

    /// Ticks until told to stop.
    pub(crate) fn run(mut self) {
        self.precedence.take();
        while !self.is_stopping {
            if catch_unwind(AssertUnwindSafe(|| self.tick())).is_err() {
                self.begin_anew();
            }
        }
        self.say_goodbye();
    }

    /// The whole of a tick, in order.
    fn tick(&mut self) {
        self.sleep_while_empty();
        self.wait_for_deadline();
        let (began, worked) = (Instant::now(), thread_time());

        for _ in 0..EVENTS_PER_TICK_MAX_COUNT {
            let Ok(event) = self.events.try_recv() else { break };
            self.handle(event);
        }
        self.room.tick();
        let simulated = Instant::now();

        self.hand_over();
        self.publish();
        self.govern(simulated - began, simulated.elapsed());
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
            let sockets: Vec<_> = self.seats.iter_mut().map(|(_, seat)| seat.socket).collect();
            for socket in sockets {
                self.control(socket, message.clone());
            }
        }
    }

    /// After their welcome, when service is not what a welcome lets them expect.
    fn tell_newcomers(&mut self) {
        let message = self.load.message();
        for socket in std::mem::take(&mut self.newcomers) {
            if let Some(message) = message.as_ref().filter(|_| self.seats.session_at(socket).is_some()) {
                self.control(socket, message.clone());
            }
        }
    }

    /// A room nobody is in does not tick; the next event wakes it.
    fn sleep_while_empty(&mut self) {
        self.empty_ticks = if self.seats.is_empty() { self.empty_ticks + 1 } else { 0 };
        if self.empty_ticks <= SLEEP_AFTER_TICKS {
            return;
        }
        match self.events.blocking_recv() {
            Some(event) => self.handle(event),
            None => self.is_stopping = true,
        }
        self.empty_ticks = 0;
        self.clock = Clock::new(Instant::now());
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
            Event::Stop => self.is_stopping = true,
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
                self.control(join.socket, ServerMessage::refused(reason).encode().into());
                self.batches[worker_of(join.socket)].closes.push((join.socket, reason));
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

    fn publish(&self) {
        let stats = self.room.stats();
        self.facts.publish(&stats, self.room.max_players());
        self.metrics.players.set(i64::from(stats.players));
        self.metrics.pilots.set(i64::from(stats.pilots));
    }

    /// After a bug of ours: everybody is told, and a fresh room with a new epoch takes the old one's place.
    fn begin_anew(&mut self) {
        self.metrics.room_failures.inc();
        self.epoch = epoch_now().max(self.epoch.wrapping_add(1));
        tracing::error!(room = self.name, epoch = self.epoch, "the room failed and is begun anew");
        let at_hand = self.at_hand.take();
        for socket in self.seats.clear().into_iter().chain(at_hand) {
            self.close(socket, CloseReason::RoomFailed);
        }
        self.room = (self.begin)(self.epoch);
        self.newcomers.clear();
        self.load.begin_anew();
        self.hand_over_last();
        thread::sleep(Duration::from_millis(RESTART_PAUSE_MS));
        self.clock = Clock::new(Instant::now());
    }

    /// Closes everybody, those who are just joining too.
    fn say_goodbye(&mut self) {
        let joining: Vec<SocketId> = std::iter::from_fn(|| self.events.try_recv().ok())
            .filter_map(|event| if let Event::Join(join) = event { Some(join.socket) } else { None })
            .collect();
        for socket in self.seats.clear().into_iter().chain(joining) {
            self.close(socket, CloseReason::ServerStopping);
        }
        self.hand_over_last();
        tracing::info!(room = self.name, "the room has stopped");
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

/// Tells one life of a room from the next: the low bits of unix milliseconds, which come around after 49 days.
pub(crate) fn epoch_now() -> u32 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u32
}
