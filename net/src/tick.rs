//! The tick thread: one per room, 60 times a second, the only one that touches the room.
//!
//! Path: [`TickThread::tick`]: wait for the deadline → drain events → `Engine::tick` → a frame for every session that can
//! take one → one hand-over per worker.
//! Invariants: nothing here waits for a socket or a worker; a frame that is assembled is handed over; a panic ends this
//! life of the room (its sockets are told) and never the process.

use crate::{
    clock::Clock,
    engine::Engine,
    metrics::Metrics,
    room_handle::{Event, Join, RoomFacts, SocketId},
    seats::{Seat, Seats},
    writer::{Batch, Writers, worker_of},
};
use bytes::Bytes;
use crossbeam_channel::Receiver;
use protocol::{TICK_HZ, close::CloseReason, limits::RESUME_GRACE_MS, message::ServerMessage};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use sync::Output;

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
    writers: Writers,
    /// What the next hand-over brings, per worker.
    batches: Vec<Batch>,
    facts: Arc<RoomFacts>,
    metrics: Arc<Metrics>,
    empty_ticks: u32,
    is_stopping: bool,
}

impl<E: Engine> TickThread<E> {
    /// Begins the room; [`TickThread::run`] is for a thread of its own.
    pub(crate) fn new(
        name: &'static str,
        mut begin: Factory<E>,
        events: Receiver<Event>,
        writers: Writers,
        facts: Arc<RoomFacts>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let batches = writers.inboxes().iter().map(|_| Batch::default()).collect();
        let epoch = epoch_now();
        let room = begin(epoch);
        facts.publish(&room.stats(), room.max_players());
        Self {
            name,
            begin,
            epoch,
            room,
            clock: Clock::new(Instant::now()),
            events,
            seats: Seats::default(),
            at_hand: None,
            writers,
            batches,
            facts,
            metrics,
            empty_ticks: 0,
            is_stopping: false,
        }
    }

    /// Ticks until told to stop.
    pub(crate) fn run(mut self) {
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
        let began = Instant::now();

        for event in self.events.clone().try_iter().take(EVENTS_PER_TICK_MAX_COUNT) {
            self.handle(event);
        }
        self.room.tick();

        let inboxes = self.writers.clone();
        let places: Vec<_> = inboxes.inboxes().iter().map(|inbox| inbox.try_reserve().ok()).collect();
        for (session, seat) in self.seats.iter_mut() {
            let worker = worker_of(seat.socket);
            if places[worker].is_none() || !seat.can_take_frame() {
                continue;
            }
            if let Some(frame) = self.room.frame_for(session) {
                seat.hand_frame();
                self.metrics.frames.inc();
                self.metrics.bytes_out.inc_by(frame.len() as u64);
                self.batches[worker].frames.push((seat.socket, frame));
            }
        }
        self.collect_output();
        for (place, batch) in places.into_iter().zip(&mut self.batches) {
            match place {
                Some(place) if !batch.is_empty() => place.send(std::mem::take(batch).into()),
                Some(_) => {}
                None => _ = self.metrics.workers_behind.inc(),
            }
        }
        self.publish(began.elapsed());
    }

    /// A room nobody is in does not tick; the next event wakes it.
    fn sleep_while_empty(&mut self) {
        self.empty_ticks = if self.seats.is_empty() { self.empty_ticks + 1 } else { 0 };
        if self.empty_ticks <= SLEEP_AFTER_TICKS {
            return;
        }
        match self.events.recv() {
            Ok(event) => self.handle(event),
            Err(_) => self.is_stopping = true,
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
            Event::Gone(socket, reason) => {
                if let Some(session) = self.seats.session_at(socket) {
                    self.seats.remove(session);
                    self.room.disconnect(session);
                }
                match reason {
                    Some(reason) => self.close(socket, reason),
                    None => self.batches[worker_of(socket)].closes.push((socket, None)),
                }
            }
            Event::Stop => self.is_stopping = true,
            #[cfg(test)]
            Event::Fault => panic!("a fault, as the test asked"),
        }
    }

    fn join(&mut self, join: Join) {
        self.at_hand = Some(join.socket);
        match self.room.join(&join.hello, join.admitted) {
            Ok(session) => {
                if let Some(older) = self.seats.seat(session, Seat::new(join.socket, join.gate)) {
                    self.close(older, CloseReason::Replaced);
                }
            }
            Err(reason) => {
                self.control(join.socket, ServerMessage::refused(reason).encode().into());
                self.batches[worker_of(join.socket)].closes.push((join.socket, Some(reason)));
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
        batch.closes.push((socket, Some(CloseReason::TooFast)));
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
        batch.closes.push((socket, Some(reason)));
    }

    fn publish(&self, work: Duration) {
        let stats = self.room.stats();
        self.facts.publish(&stats, self.room.max_players());
        self.metrics.players.set(i64::from(stats.players));
        self.metrics.pilots.set(i64::from(stats.pilots));
        self.metrics.tick_seconds.observe(work.as_secs_f64());
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
        self.hand_over_last();
        thread::sleep(Duration::from_millis(RESTART_PAUSE_MS));
        self.clock = Clock::new(Instant::now());
    }

    /// Closes everybody, those who are just joining too.
    fn say_goodbye(&mut self) {
        let joining: Vec<SocketId> = self
            .events
            .try_iter()
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
        let inboxes = self.writers.clone();
        for (inbox, batch) in inboxes.inboxes().iter().zip(&mut self.batches) {
            let mut message = std::mem::take(batch).into();
            while let Err(error) = inbox.try_send(message) {
                if Instant::now() > give_up {
                    break;
                }
                message = error.into_inner();
                thread::sleep(Duration::from_millis(1));
            }
        }
    }
}

/// Tells one life of a room from the next: the low bits of unix milliseconds, which come around after 49 days.
pub(crate) fn epoch_now() -> u32 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u32
}
