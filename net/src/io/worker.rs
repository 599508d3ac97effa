//! The I/O workers: a few threads, each with an epoll of its own, that own the players' connections.
//!
//! Path in: a connection is readable → its messages are decoded and limited here → `try_send` into the room's queue.
//! Path out: once a tick each worker gets one [`Batch`] → everything is queued → each connection is flushed, one write
//! each.
//! Invariants: a worker never waits for one connection or for the room; connections with something to read have turns
//! of bounded length, one after the other, and between two rounds of them the tick's frames go out, so whoever sends
//! without end slows nobody but itself; a connection whose room has no place for its message is not read until it has
//! (TCP slows its peer); one that takes nothing is set aside until the kernel says otherwise; what happened on one
//! connection reaches the room in order, and a session's end always does.
//! Why not a task per connection: it takes several times the memory (`bench idle` has a bare axum server beside ours),
//! and the runtime's wakers cost time for every message.

mod closing;
mod deferred;
mod sending;

use crate::{
    admission::ConnectionPermit,
    io::{
        connection::{Connection, Flushed, Incoming, Phase},
        flow::FlowCounters,
        handshake::Handshake,
        worker_queue::{self, Batch, Joined, WAKER, WorkerMessage, WorkerReceiver, WorkerSender},
    },
    room::{address::RoomAddress, handle::RoomEvent},
};
use anyhow::Context;
use bytes::Bytes;
use deferred::Deferred;
use mio::{Events, Poll, Token, net::TcpStream};
use protocol::{
    close::CloseReason,
    message::{ClientMessage, Packet},
};
use session::ConnectionId;
use std::{
    collections::VecDeque,
    thread,
    time::{Duration, Instant},
};
use tokio::sync::mpsc::error::TryRecvError;

/// Workers: two halve the median latency of one for a little more CPU; more would fight the tick thread.
pub(crate) const WORKERS_COUNT: u8 = 2;
/// Events told at once. Policy: the rest are told the next time.
const EVENTS_MAX_COUNT: usize = 512;
/// Connections visited before the worker's own queue is read again. Policy: the rest is visited then, before those that
/// come later.
const VISITS_MAX_COUNT: usize = 512;
/// After messages were read, those that follow within this time are read together: they wait for the next tick anyway,
/// and to sleep and wake costs a worker as much as reading several of them. A hand-over ends it. It also bounds what
/// somebody who sends without end takes of the processor. Policy: delay.
const READ_COALESCE: Duration = Duration::from_millis(1);
/// How often a worker looks for connections that have waited too long.
const SWEEP_INTERVAL: Duration = Duration::from_millis(250);
/// Pause before another try when the room's queue was full. Policy: delay.
const QUEUE_RETRY: Duration = Duration::from_millis(4);

/// See the module.
#[derive(Debug)]
pub(crate) struct Worker {
    index: u8,
    poll: Poll,
    queue: WorkerReceiver,
    handshake: Handshake,
    /// By slot.
    connections: Vec<Option<Box<Connection>>>,
    free: Vec<u32>,
    flow_counters: FlowCounters,
    adopted: u32,
    /// Connections whose turn to be read comes, each at most once.
    scheduled: VecDeque<ConnectionId>,
    deferred: Deferred,
    blocked: Vec<ConnectionId>,
    /// Connections with a deadline, each at most once per deadline.
    timed: Vec<ConnectionId>,
    sweep_at: Instant,
    is_stopping: bool,
}

impl Worker {
    /// Starts worker number `index`.
    ///
    /// # Errors
    /// When the system has no epoll or thread for it.
    pub(crate) fn start(index: u8, handshake: Handshake) -> anyhow::Result<WorkerSender> {
        let (worker, sender) = Self::new(index, handshake)?;
        thread::Builder::new().name(format!("io-{index}")).spawn(|| worker.run()).context("no thread for a worker")?;
        Ok(sender)
    }

    fn new(index: u8, handshake: Handshake) -> anyhow::Result<(Self, WorkerSender)> {
        let poll = Poll::new().context("no epoll for a worker")?;
        let (sender, queue) = worker_queue::new(poll.registry()).context("no waker for a worker")?;
        let worker = Self {
            index,
            poll,
            queue,
            handshake,
            connections: Vec::new(),
            free: Vec::new(),
            flow_counters: FlowCounters::default(),
            adopted: 0,
            scheduled: VecDeque::new(),
            deferred: Deferred::default(),
            blocked: Vec::new(),
            timed: Vec::new(),
            sweep_at: Instant::now(),
            is_stopping: false,
        };
        Ok((worker, sender))
    }

    fn run(mut self) {
        let mut events = Events::with_capacity(EVENTS_MAX_COUNT);
        while self.turn(&mut events) {}
    }

    /// Does what there is to do, a bounded amount of it; false when nobody will ever send anything again.
    fn turn(&mut self, events: &mut Events) -> bool {
        if let Err(error) = self.poll.poll(events, self.poll_timeout(Instant::now())) {
            // Nothing else is documented to happen but a signal.
            tracing::debug!(%error, "epoll was interrupted");
        }
        let now = Instant::now();
        if !self.drain_queue(now) {
            return false;
        }
        events.iter().filter(|event| event.token() != WAKER).for_each(|event| self.note(event, now));
        let has_read = self.visit_scheduled(now);
        self.retry_deferred(now);
        self.sweep(now);
        if has_read {
            self.queue.pause(READ_COALESCE);
        }
        true
    }

    /// What epoll tells of a connection.
    fn note(&mut self, event: &mio::event::Event, now: Instant) {
        let slot = event.token().0;
        if event.is_writable() && self.connection(slot).is_some_and(|connection| connection.blocked_for.is_some()) {
            self.flush(slot, now);
        }
        if event.is_readable()
            && let Some(connection) = self.connection(slot)
        {
            connection.wake(event.is_read_closed());
            self.schedule(slot);
        }
    }

    /// A connection is to be visited, after all that are already.
    fn schedule(&mut self, slot: usize) {
        let Some(connection) = self.connections.get_mut(slot).and_then(Option::as_deref_mut) else { return };
        if !connection.is_scheduled {
            connection.is_scheduled = true;
            self.scheduled.push_back(connection.id);
        }
    }

    /// Gives the connections that are scheduled a turn each; false when there was none.
    fn visit_scheduled(&mut self, now: Instant) -> bool {
        let count = self.scheduled.len().min(VISITS_MAX_COUNT);
        for _ in 0..count {
            let Some(id) = self.scheduled.pop_front() else { break };
            self.visit(id, now);
        }
        count > 0
    }

    /// A connection's turn; what it left unread makes it the last one of the next.
    fn visit(&mut self, id: ConnectionId, now: Instant) {
        let Some(connection) = self.connection_of(id) else { return };
        connection.begin_visit();
        self.read(id.slot as usize, now);
        if self.connection_of(id).is_some_and(|connection| connection.has_more() && !connection.is_read_paused) {
            self.schedule(id.slot as usize);
        }
    }

    /// How long there is nothing to do but for events.
    fn poll_timeout(&self, now: Instant) -> Option<Duration> {
        if !self.scheduled.is_empty() {
            return Some(Duration::ZERO);
        }
        if !self.deferred.is_empty() {
            return Some(QUEUE_RETRY);
        }
        let has_waiting = !self.timed.is_empty() || !self.blocked.is_empty();
        has_waiting.then(|| self.sweep_at.saturating_duration_since(now))
    }

    /// False when nobody will ever send anything again.
    fn drain_queue(&mut self, now: Instant) -> bool {
        while let Some((id, joined)) = self.queue.next_answer() {
            self.finish_join(id, joined, now);
        }
        loop {
            match self.queue.next() {
                Ok(WorkerMessage::Adopt(stream, first, permit, room)) => self.adopt(stream, first, permit, room, now),
                Ok(WorkerMessage::Batch(batch)) => self.send_batch(batch, now),
                Ok(WorkerMessage::Stop) => self.stop(now),
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return false,
            }
        }
    }

    fn connection(&mut self, slot: usize) -> Option<&mut Connection> {
        self.connections.get_mut(slot)?.as_deref_mut()
    }

    /// The connection with this very id: its slot may have another by now.
    fn connection_of(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        self.connection(id.slot as usize).filter(|connection| connection.id == id)
    }

    fn adopt(&mut self, stream: TcpStream, first: Bytes, permit: ConnectionPermit, room: RoomAddress, now: Instant) {
        let slot = self.free.pop().unwrap_or(self.connections.len() as u32);
        let id = ConnectionId { shard: self.index, slot, number: self.adopted };
        self.adopted = self.adopted.wrapping_add(1);
        let refusal = permit.refusal;
        let flow = self.flow_counters.open(slot as usize);
        let mut connection = Box::new(Connection::new(id, stream, first, (permit, flow), room, now));
        if let Err(error) = connection.register(self.poll.registry(), Token(slot as usize)) {
            tracing::warn!(%error, "epoll takes no more sockets");
            self.free.push(slot);
            return;
        }
        connection.deadline = Some(now + self.handshake.hello_timeout);
        if slot as usize == self.connections.len() {
            self.connections.push(None);
        }
        self.connections[slot as usize] = Some(connection);
        self.timed.push(id);
        match refusal {
            Some(reason) => self.refuse(slot as usize, reason, now),
            None if self.is_stopping => self.refuse(slot as usize, CloseReason::ServerStopping, now),
            // The hello may have come right behind the request.
            None => self.schedule(slot as usize),
        }
    }

    /// Sends what a tick brought. A connection that is not there any more gets nothing.
    fn send_batch(&mut self, batch: Batch, now: Instant) {
        let mut too_fast = Vec::new();
        for (id, message) in &batch.controls {
            let Some(connection) = self.connection_of(*id) else { continue };
            if !connection.queue_control(message) {
                too_fast.push(*id);
            }
        }
        for (id, closing) in &batch.closes {
            let versions = self.handshake.versions.clone();
            if let Some(connection) = self.connection_of(*id) {
                connection.queue_reason(*closing, &versions);
            }
        }
        for (id, frame) in batch.frames() {
            if let Some(connection) = self.connection_of(id) {
                let flushed = connection.send_frame(frame);
                self.note_flushed(id.slot as usize, flushed, now);
            }
        }
        for (id, closing) in &batch.closes {
            if self.connection_of(*id).is_some() {
                self.close(id.slot as usize, closing.reason(), now);
            }
        }
        for id in too_fast {
            if self.connection_of(id).is_some() {
                self.fault(id.slot as usize, CloseReason::TooFast, now);
            }
        }
        // What did not leave together with a frame.
        let unsent = batch.controls.iter().map(|(id, _)| id).chain(batch.closes.iter().map(|(id, _)| id));
        for id in unsent {
            if self.connection_of(*id).is_some() {
                self.flush(id.slot as usize, now);
            }
        }
    }

    /// Reads what a turn allows.
    fn read(&mut self, slot: usize, now: Instant) {
        loop {
            let Some(connection) = self.connection(slot).filter(|connection| !connection.is_read_paused) else {
                return;
            };
            let is_closing = connection.phase == Phase::Closing;
            match connection.receive() {
                Incoming::Nothing => return,
                Incoming::End => return self.end(slot, now),
                Incoming::Control | Incoming::Message(_) if !connection.may_send_more(now) => {
                    // Not even its answer to the close is waited for.
                    connection.discard_input();
                    self.fault(slot, CloseReason::TooFast, now);
                }
                _ if is_closing => {}
                Incoming::Malformed => self.fault(slot, CloseReason::BadMessage, now),
                Incoming::Control => {}
                Incoming::Message(message) => self.handle(slot, &message, now),
            }
        }
    }

    /// A message of a connection that is not closing.
    fn handle(&mut self, slot: usize, message: &[u8], now: Instant) {
        let Some(connection) = self.connections.get_mut(slot).and_then(Option::as_deref_mut) else { return };
        if connection.phase == Phase::AwaitingHello {
            return match self.handshake.accept(message, connection) {
                Ok(()) => {
                    // The deadline of the hello is that of its answer, too.
                    connection.phase = Phase::Joining;
                    connection.is_read_paused = true;
                }
                Err(reason) => self.refuse(slot, reason, now),
            };
        }
        let id = connection.id;
        match Packet::decode(message) {
            // A hello is first, and only first.
            Err(_) | Ok(Packet::Session(ClientMessage::Hello(_))) => self.fault(slot, CloseReason::BadMessage, now),
            Ok(Packet::Session(ClientMessage::Leave)) => {
                self.send_event(slot, RoomEvent::Message(id, ClientMessage::Leave), now);
                self.leave(slot, now);
            }
            Ok(Packet::Session(message)) => self.send_event(slot, RoomEvent::Message(id, message), now),
            Ok(Packet::Kind(bytes)) => self.send_event(slot, RoomEvent::Kind(id, bytes.into()), now),
        }
    }

    /// The rooms' answer to a hello. If the connection has ended meanwhile, the room learns that behind its join.
    fn finish_join(&mut self, id: ConnectionId, joined: Result<Joined, CloseReason>, now: Instant) {
        let slot = id.slot as usize;
        self.resume(id);
        match (self.connection_of(id).filter(|connection| connection.phase == Phase::Joining), joined) {
            (Some(connection), Ok(Joined { events, unsent })) => {
                (connection.phase, connection.deadline) = (Phase::Joined, None);
                connection.events = Some(events.clone());
                if let Some(event) = unsent {
                    self.defer(slot, event, events, now);
                }
            }
            (Some(_), Err(reason)) => self.refuse(slot, reason, now),
            (None, Ok(Joined { events, unsent: None })) => self.send_last(id, events, now),
            // The room has not heard of it.
            (None, Ok(Joined { unsent: Some(_), .. }) | Err(_)) => {}
        }
    }

    /// Writes what was queued. What the kernel does not take waits for its word.
    fn flush(&mut self, slot: usize, now: Instant) {
        if let Some(connection) = self.connection(slot) {
            let flushed = connection.flush();
            self.note_flushed(slot, flushed, now);
        }
    }

    fn note_flushed(&mut self, slot: usize, flushed: Flushed, now: Instant) {
        let Some(connection) = self.connections.get_mut(slot).and_then(Option::as_deref_mut) else { return };
        match flushed {
            Flushed::All => {
                if connection.blocked_for.take().is_some_and(|sweeps| sweeps > 0) {
                    self.handshake.metrics.sockets_slow.dec();
                }
            }
            Flushed::Part => {
                if connection.blocked_for.is_none() {
                    connection.blocked_for = Some(0);
                    let id = connection.id;
                    self.blocked.push(id);
                }
            }
            Flushed::Broken => self.end(slot, now),
        }
    }
}

#[cfg(test)]
mod tests;
