//! The I/O workers: a few threads, each with an epoll of its own, that own the players' sockets.
//!
//! Path in: a socket is readable → its messages are decoded and limited here → `try_send` into the room's queue. Path
//! out: once a tick each worker gets one [`Batch`] → everything is said → each socket is flushed, one write each.
//! Invariants: a worker never waits for one socket or for the room; sockets with something to read have turns of bounded
//! length, one after the other, and between two rounds of them the tick's frames go out, so whoever sends without end
//! slows nobody but itself; a socket whose room has no place for its message is not read until it has (TCP slows its
//! peer); one that takes nothing is set aside until the kernel says otherwise; what happened on one socket reaches the
//! room in order, and a session's end always does.
//! Why not a task per socket: it takes several times the memory (`bench idle` has a bare axum server beside ours), and the
//! runtime's wakers cost time for every message.

mod ending;
mod held;

use crate::{
    admission::Place,
    door::Door,
    gate::Gates,
    inbox::{self, Batch, Inbox, Mail, WAKER, WorkerMessage},
    line::{Flushed, Heard, Line, Phase},
    room_handle::{Event, SocketId},
};
use anyhow::Context;
use bytes::Bytes;
use held::Held;
use mio::{Events, Poll, Token, net::TcpStream};
use protocol::{
    close::CloseReason,
    message::{ClientMessage, ClientPacket},
};
use std::{
    collections::VecDeque,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};
use tokio::sync::mpsc::error::TryRecvError;

/// Workers: two halve the median latency of one for a little more CPU; more would fight the tick thread.
pub(crate) const WORKERS_COUNT: u8 = 2;
/// Events told at once. Policy: the rest are told the next time.
const EVENTS_MAX_COUNT: usize = 512;
/// Sockets visited before mail is read again. Policy: the rest is visited then, before those that come later.
const VISITS_MAX_COUNT: usize = 512;
/// After messages were read, those that follow within this time are read together: they wait for the next tick anyway,
/// and to sleep and wake costs a worker as much as reading several of them. A hand-over ends it. It also bounds what
/// somebody who sends without end takes of the processor. Policy: delay.
const GATHER: Duration = Duration::from_millis(1);
/// How often a worker looks for sockets that have waited too long.
const SWEEP_INTERVAL: Duration = Duration::from_millis(250);
/// Pause before another try when the room's queue was full. Policy: delay.
const QUEUE_RETRY: Duration = Duration::from_millis(4);

/// See the module.
#[derive(Debug)]
pub(crate) struct Worker {
    index: u8,
    poll: Poll,
    mail: Mail,
    door: Door,
    /// By slot.
    lines: Vec<Option<Box<Line>>>,
    free: Vec<u32>,
    gates: Gates,
    adopted: u32,
    /// Sockets to be read, each at most once.
    expected: VecDeque<SocketId>,
    held: VecDeque<Held>,
    blocked: Vec<SocketId>,
    /// Sockets with a deadline, each at most once per deadline.
    timed: Vec<SocketId>,
    sweep_at: Instant,
    is_stopping: bool,
}

impl Worker {
    /// Starts worker number `index`.
    ///
    /// # Errors
    /// When the system has no epoll or thread for it.
    pub(crate) fn start(index: u8, door: Door) -> anyhow::Result<Inbox> {
        let (worker, inbox) = Self::new(index, door)?;
        thread::Builder::new().name(format!("io-{index}")).spawn(|| worker.run()).context("no thread for a worker")?;
        Ok(inbox)
    }

    fn new(index: u8, door: Door) -> anyhow::Result<(Self, Inbox)> {
        let poll = Poll::new().context("no epoll for a worker")?;
        let (inbox, mail) = inbox::new(poll.registry()).context("no waker for a worker")?;
        let worker = Self {
            index,
            poll,
            mail,
            door,
            lines: Vec::new(),
            free: Vec::new(),
            gates: Gates::default(),
            adopted: 0,
            expected: VecDeque::new(),
            held: VecDeque::new(),
            blocked: Vec::new(),
            timed: Vec::new(),
            sweep_at: Instant::now(),
            is_stopping: false,
        };
        Ok((worker, inbox))
    }

    fn run(mut self) {
        let mut events = Events::with_capacity(EVENTS_MAX_COUNT);
        while self.turn(&mut events) {}
    }

    /// Does what there is to do, a bounded amount of it; false when nobody will ever send anything again.
    fn turn(&mut self, events: &mut Events) -> bool {
        if let Err(error) = self.poll.poll(events, self.patience(Instant::now())) {
            // Nothing else is documented to happen but a signal.
            tracing::debug!(%error, "epoll was interrupted");
        }
        let now = Instant::now();
        if !self.read_mail(now) {
            return false;
        }
        events.iter().filter(|event| event.token() != WAKER).for_each(|event| self.note(event, now));
        let has_read = self.visit_expected(now);
        self.retry_held(now);
        self.sweep(now);
        if has_read {
            self.mail.pause(GATHER);
        }
        true
    }

    /// What epoll tells of a socket.
    fn note(&mut self, event: &mio::event::Event, now: Instant) {
        let slot = event.token().0;
        if event.is_writable() && self.line(slot).is_some_and(|line| line.blocked_for.is_some()) {
            self.flush(slot, now);
        }
        if event.is_readable()
            && let Some(line) = self.line(slot)
        {
            line.wake(event.is_read_closed());
            self.expect(slot);
        }
    }

    /// A socket is to be visited, after all that are already.
    fn expect(&mut self, slot: usize) {
        let Some(line) = self.lines.get_mut(slot).and_then(Option::as_deref_mut) else { return };
        if !line.is_expected {
            line.is_expected = true;
            self.expected.push_back(line.id);
        }
    }

    /// Gives the sockets that are expected a turn each; false when there was none.
    fn visit_expected(&mut self, now: Instant) -> bool {
        let count = self.expected.len().min(VISITS_MAX_COUNT);
        for _ in 0..count {
            let Some(socket) = self.expected.pop_front() else { break };
            self.visit(socket, now);
        }
        count > 0
    }

    /// A socket's turn; what it left unread makes it the last one of the next.
    fn visit(&mut self, socket: SocketId, now: Instant) {
        let Some(line) = self.line_of(socket) else { return };
        line.begin_visit();
        self.read(socket.slot as usize, now);
        if self.line_of(socket).is_some_and(|line| line.has_more() && !line.is_held) {
            self.expect(socket.slot as usize);
        }
    }

    /// How long there is nothing to do but for events.
    fn patience(&self, now: Instant) -> Option<Duration> {
        if !self.expected.is_empty() {
            return Some(Duration::ZERO);
        }
        if !self.held.is_empty() {
            return Some(QUEUE_RETRY);
        }
        let has_waiting = !self.timed.is_empty() || !self.blocked.is_empty();
        has_waiting.then(|| self.sweep_at.saturating_duration_since(now))
    }

    /// False when nobody will ever send anything again.
    fn read_mail(&mut self, now: Instant) -> bool {
        loop {
            match self.mail.next() {
                Ok(WorkerMessage::Adopt(stream, first, place, room)) => self.adopt(stream, first, place, room, now),
                Ok(WorkerMessage::Batch(batch)) => self.say(batch, now),
                Ok(WorkerMessage::Stop) => self.stop(now),
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return false,
            }
        }
    }

    fn line(&mut self, slot: usize) -> Option<&mut Line> {
        self.lines.get_mut(slot)?.as_deref_mut()
    }

    /// The line of this very socket: its slot may have another by now.
    fn line_of(&mut self, socket: SocketId) -> Option<&mut Line> {
        self.line(socket.slot as usize).filter(|line| line.id == socket)
    }

    fn adopt(&mut self, stream: TcpStream, first: Bytes, place: Place, room: Arc<str>, now: Instant) {
        let slot = self.free.pop().unwrap_or(self.lines.len() as u32);
        let id = SocketId { worker: self.index, slot, number: self.adopted };
        self.adopted = self.adopted.wrapping_add(1);
        let refusal = place.refusal;
        let gate = self.gates.open(slot as usize);
        let mut line = Box::new(Line::new(id, stream, first, (place, gate), room, now));
        if let Err(error) = line.register(self.poll.registry(), Token(slot as usize)) {
            tracing::warn!(%error, "epoll takes no more sockets");
            self.free.push(slot);
            return;
        }
        line.deadline = Some(now + self.door.hello_timeout);
        if slot as usize == self.lines.len() {
            self.lines.push(None);
        }
        self.lines[slot as usize] = Some(line);
        self.timed.push(id);
        match refusal {
            Some(reason) => self.refuse(slot as usize, reason, now),
            None if self.is_stopping => self.refuse(slot as usize, CloseReason::ServerStopping, now),
            // The hello may have come right behind the request.
            None => self.expect(slot as usize),
        }
    }

    /// Says what a tick brought. A socket that is not there any more gets nothing.
    fn say(&mut self, batch: Batch, now: Instant) {
        let mut too_fast = Vec::new();
        for (socket, message) in &batch.controls {
            let Some(line) = self.line_of(*socket) else { continue };
            if !line.control(message) {
                too_fast.push(*socket);
            }
        }
        for (socket, frame) in batch.frames() {
            if let Some(line) = self.line_of(socket) {
                let flushed = line.frame(frame);
                self.note_flushed(socket.slot as usize, flushed, now);
            }
        }
        for (socket, reason) in &batch.closes {
            if self.line_of(*socket).is_some() {
                self.close(socket.slot as usize, None, *reason, now);
            }
        }
        for socket in too_fast {
            if self.line_of(socket).is_some() {
                self.fault(socket.slot as usize, CloseReason::TooFast, now);
            }
        }
        // What did not leave together with a frame.
        let unsaid =
            batch.controls.iter().map(|(socket, _)| socket).chain(batch.closes.iter().map(|(socket, _)| socket));
        for socket in unsaid {
            if self.line_of(*socket).is_some() {
                self.flush(socket.slot as usize, now);
            }
        }
    }

    /// Reads what a turn allows.
    fn read(&mut self, slot: usize, now: Instant) {
        loop {
            let Some(line) = self.line(slot).filter(|line| !line.is_held) else { return };
            let is_closing = line.phase == Phase::Closing;
            match line.hear() {
                Heard::Nothing => return,
                Heard::End => return self.end(slot, now),
                Heard::Aside | Heard::Message(_) if !line.may_say_more(now) => {
                    // Not even its answer to the close is waited for.
                    line.turn_deaf();
                    self.fault(slot, CloseReason::TooFast, now);
                }
                _ if is_closing => {}
                Heard::Nonsense => self.fault(slot, CloseReason::BadMessage, now),
                Heard::Aside => {}
                Heard::Message(message) => self.take(slot, &message, now),
            }
        }
    }

    /// A message of a socket that is not closing.
    fn take(&mut self, slot: usize, message: &[u8], now: Instant) {
        let Some(line) = self.lines.get_mut(slot).and_then(Option::as_deref_mut) else { return };
        if line.phase == Phase::Greeting {
            return match self.door.greet(message, line) {
                Ok((events, waiting)) => {
                    (line.phase, line.deadline) = (Phase::Joined, None);
                    line.events = Some(events.clone());
                    waiting.into_iter().for_each(|event| self.hold(slot, event, events.clone(), now));
                }
                Err(reason) => self.refuse(slot, reason, now),
            };
        }
        let socket = line.id;
        match ClientPacket::decode(message) {
            // A hello is first, and only first.
            Err(_) | Ok(ClientPacket::Message(ClientMessage::Hello(_))) => {
                self.fault(slot, CloseReason::BadMessage, now);
            }
            Ok(packet @ ClientPacket::Message(ClientMessage::Leave)) => {
                self.tell(slot, Event::Packet(socket, packet), now);
                self.leave(slot, now);
            }
            Ok(packet) => self.tell(slot, Event::Packet(socket, packet), now),
        }
    }

    /// Writes what was said. What the kernel does not take waits for its word.
    fn flush(&mut self, slot: usize, now: Instant) {
        if let Some(line) = self.line(slot) {
            let flushed = line.flush();
            self.note_flushed(slot, flushed, now);
        }
    }

    fn note_flushed(&mut self, slot: usize, flushed: Flushed, now: Instant) {
        let Some(line) = self.lines.get_mut(slot).and_then(Option::as_deref_mut) else { return };
        match flushed {
            Flushed::All => {
                if line.blocked_for.take().is_some_and(|sweeps| sweeps > 0) {
                    self.door.metrics.sockets_slow.dec();
                }
            }
            Flushed::Part => {
                if line.blocked_for.is_none() {
                    line.blocked_for = Some(0);
                    let socket = line.id;
                    self.blocked.push(socket);
                }
            }
            Flushed::Broken => self.end(slot, now),
        }
    }
}

#[cfg(test)]
mod tests;
