//! The I/O workers: a few threads, each with an epoll of its own, that own the players' sockets.
//!
//! Path in: a socket is readable → its messages are decoded and limited here → `try_send` into the room's queue. Path
//! out: once a tick each worker gets one [`Batch`] → everything is said → each socket is flushed, one write each.
//! Invariants: a worker never waits for one socket or for the room; a socket whose room has no place for its message is
//! not read until it has (TCP slows its peer); one that takes nothing is set aside until the kernel says otherwise; what
//! happened on one socket reaches the room in order, and a session's end always does.
//! Why not a task per socket: it takes several times the memory (`bench idle` has a bare axum server beside ours), and the
//! runtime's wakers cost time for every message.

use crate::{
    admission::Place,
    door::Door,
    gate::Gates,
    inbox::{self, Batch, Inbox, Mail, WAKER, WorkerMessage},
    line::{Flushed, Heard, Line, Phase},
    room_handle::{Event, SocketId},
};
use anyhow::Context;
use crossbeam_channel::{Sender, TrySendError};
use mio::{Events, Poll, Token, net::TcpStream};
use protocol::{
    close::CloseReason,
    message::{ClientMessage, ClientPacket, ServerMessage},
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
/// After messages were read, those that follow within this time are read together: they wait for the next tick anyway,
/// and to sleep and wake costs a worker as much as reading several of them. A hand-over ends it. Policy: delay.
const GATHER: Duration = Duration::from_millis(1);
/// Time a close has to reach the kernel, and its answer to come back. Policy: drop the socket.
const CLOSE_LINGER: Duration = Duration::from_millis(1_000);
/// How often a worker looks for sockets that have waited too long.
const SWEEP_INTERVAL: Duration = Duration::from_millis(250);
/// Pause before another try when the room's queue was full. Policy: delay.
const QUEUE_RETRY: Duration = Duration::from_millis(4);
/// Longest time a message waits for the queue. Policy: close with `RoomFailed`, the room is not ticking.
const QUEUE_WAIT_MAX: Duration = Duration::from_millis(2_000);
/// The same for a socket's last event, without which its session would end by its silence only.
const QUEUE_WAIT_LAST_MAX: Duration = Duration::from_millis(30_000);

/// An event the room's queue had no place for.
#[derive(Debug)]
struct Held {
    event: Event,
    /// The way to its room.
    events: Sender<Event>,
    socket: SocketId,
    since: Instant,
}

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
            held: VecDeque::new(),
            blocked: Vec::new(),
            timed: Vec::new(),
            sweep_at: Instant::now(),
            is_stopping: false,
        };
        thread::Builder::new().name(format!("io-{index}")).spawn(|| worker.run()).context("no thread for a worker")?;
        Ok(inbox)
    }

    fn run(mut self) {
        let mut events = Events::with_capacity(EVENTS_MAX_COUNT);
        loop {
            if let Err(error) = self.poll.poll(&mut events, self.patience(Instant::now())) {
                // Nothing else is documented to happen but a signal.
                tracing::debug!(%error, "epoll was interrupted");
            }
            let now = Instant::now();
            if !self.read_mail(now) {
                return;
            }
            let mut has_read = false;
            for event in events.iter().filter(|event| event.token() != WAKER) {
                let slot = event.token().0;
                if event.is_writable() && self.line(slot).is_some_and(|line| line.blocked_for.is_some()) {
                    self.flush(slot, now);
                }
                if event.is_readable() {
                    if let Some(line) = self.line(slot) {
                        line.wake(event.is_read_closed());
                    }
                    self.read(slot, now);
                    has_read = true;
                }
            }
            self.retry_held(now);
            self.sweep(now);
            if has_read {
                self.mail.pause(GATHER);
            }
        }
    }

    /// How long there is nothing to do but for events.
    fn patience(&self, now: Instant) -> Option<Duration> {
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
                Ok(WorkerMessage::Adopt(stream, first, place, room)) => self.adopt(stream, &first, place, room, now),
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

    fn adopt(&mut self, stream: TcpStream, first: &[u8], place: Place, room: Arc<str>, now: Instant) {
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
            None => self.read(slot as usize, now),
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

    /// Reads all there is.
    fn read(&mut self, slot: usize, now: Instant) {
        loop {
            let Some(line) = self.line(slot).filter(|line| !line.is_held) else { return };
            let is_closing = line.phase == Phase::Closing;
            match line.hear() {
                Heard::Nothing => return,
                Heard::End => return self.end(slot, now),
                _ if is_closing => {}
                Heard::Nonsense => self.fault(slot, CloseReason::BadMessage, now),
                Heard::Aside if line.may_say_more(now) => {}
                Heard::Message(message) if line.may_say_more(now) => self.take(slot, &message, now),
                Heard::Aside | Heard::Message(_) => self.fault(slot, CloseReason::TooFast, now),
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

    /// Tells the room, now or as soon as its queue has a place.
    fn tell(&mut self, slot: usize, event: Event, now: Instant) {
        let Some(events) = self.line(slot).and_then(|line| line.events.as_ref()) else { return };
        match events.try_send(event) {
            Ok(()) => {}
            Err(TrySendError::Full(event)) => {
                let events = events.clone();
                self.hold(slot, event, events, now);
            }
            Err(TrySendError::Disconnected(_)) => self.room_is_gone(slot, now),
        }
    }

    /// Keeps what the room's queue had no place for; nothing else is read of the socket until it has.
    fn hold(&mut self, slot: usize, event: Event, events: Sender<Event>, now: Instant) {
        self.door.metrics.queue_full.inc();
        if let Some(line) = self.line(slot) {
            line.is_held = true;
            let socket = line.id;
            self.held.push_back(Held { event, events, socket, since: now });
        }
    }

    /// The room's thread has ended, and with it every session.
    fn room_is_gone(&mut self, slot: usize, now: Instant) {
        let reason = CloseReason::ServerStopping;
        self.close(slot, bye(reason), reason, now);
        self.flush(slot, now);
    }

    /// Tells rooms what they had no place for; a room that still has none keeps nobody of another room waiting.
    fn retry_held(&mut self, now: Instant) {
        let (mut full, mut rest): (Vec<Sender<Event>>, _) = (Vec::new(), VecDeque::new());
        for Held { event, events, socket, since } in std::mem::take(&mut self.held) {
            if full.iter().any(|full| full.same_channel(&events)) {
                rest.push_back(Held { event, events, socket, since });
                continue;
            }
            let is_last = matches!(event, Event::Gone(_));
            match events.try_send(event) {
                Ok(()) => self.resume(socket, now),
                Err(TrySendError::Full(event)) => {
                    let longest = if is_last { QUEUE_WAIT_LAST_MAX } else { QUEUE_WAIT_MAX };
                    if now.duration_since(since) < longest {
                        full.push(events.clone());
                        rest.push_back(Held { event, events, socket, since });
                    } else if let Some(line) = self.line_of(socket) {
                        line.is_held = false;
                        self.fault(socket.slot as usize, CloseReason::RoomFailed, now);
                    }
                }
                Err(TrySendError::Disconnected(_)) => {
                    if self.line_of(socket).is_some() {
                        self.room_is_gone(socket.slot as usize, now);
                    }
                }
            }
        }
        rest.append(&mut self.held);
        self.held = rest;
    }

    /// Reads on where the full queue had stopped it.
    fn resume(&mut self, socket: SocketId, now: Instant) {
        if let Some(line) = self.line_of(socket).filter(|line| line.is_held) {
            line.is_held = false;
            self.read(socket.slot as usize, now);
        }
    }

    /// A newcomer is told why it will not be in.
    fn refuse(&mut self, slot: usize, reason: CloseReason, now: Instant) {
        let answer = match reason {
            CloseReason::ServerStopping => bye(reason),
            _ => Some(ServerMessage::refused(reason)),
        };
        self.close(slot, answer, reason, now);
        self.flush(slot, now);
    }

    /// A peer did something that closes its socket.
    fn fault(&mut self, slot: usize, reason: CloseReason, now: Instant) {
        match self.line(slot).map(|line| line.phase) {
            Some(Phase::Greeting) => self.refuse(slot, reason, now),
            Some(Phase::Joined) => {
                self.tell_end(slot, now);
                self.close(slot, bye(reason), reason, now);
                self.flush(slot, now);
            }
            Some(Phase::Closing) | None => {}
        }
    }

    /// A player said goodbye.
    fn leave(&mut self, slot: usize, now: Instant) {
        self.tell_end(slot, now);
        if let Some(line) = self.line(slot) {
            line.say_close(None);
            self.linger(slot, now);
            self.flush(slot, now);
        }
    }

    /// Says the close; what is heard from now on is thrown away, for a moment: dropping a socket with unread bytes resets
    /// it, and the peer might never see why.
    fn close(&mut self, slot: usize, last_words: Option<ServerMessage>, reason: CloseReason, now: Instant) {
        let Some(line) = self.lines.get_mut(slot).and_then(Option::as_deref_mut) else { return };
        if line.close(last_words.as_ref(), reason) {
            tracing::debug!(socket = ?line.id, ?reason, "a socket is closed");
            self.door.metrics.closed(reason);
            self.linger(slot, now);
        }
    }

    fn linger(&mut self, slot: usize, now: Instant) {
        if let Some(line) = self.line(slot) {
            line.deadline = Some(now + CLOSE_LINGER);
            let socket = line.id;
            self.timed.push(socket);
        }
    }

    /// The connection is gone.
    fn end(&mut self, slot: usize, now: Instant) {
        if self.line(slot).is_some_and(|line| line.phase == Phase::Joined) {
            self.tell_end(slot, now);
        }
        self.drop_line(slot);
    }

    /// The room learns that a session's socket is gone.
    fn tell_end(&mut self, slot: usize, now: Instant) {
        let Some(line) = self.line(slot) else { return };
        let Some(events) = line.events.clone() else { return };
        let (socket, is_held) = (line.id, line.is_held);
        let event = Event::Gone(socket);
        // Behind whatever is held of this socket.
        if is_held {
            return self.held.push_back(Held { event, events, socket, since: now });
        }
        if let Err(TrySendError::Full(event)) = events.try_send(event) {
            self.door.metrics.queue_full.inc();
            self.held.push_back(Held { event, events, socket, since: now });
        }
    }

    fn drop_line(&mut self, slot: usize) {
        if let Some(line) = self.lines[slot].take() {
            if line.blocked_for.is_some_and(|sweeps| sweeps > 0) {
                self.door.metrics.sockets_slow.dec();
            }
            self.free.push(slot as u32);
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

    /// Counts sockets that have been set aside since the last sweep, and ends what has lasted too long.
    fn sweep(&mut self, now: Instant) {
        if now < self.sweep_at {
            return;
        }
        self.sweep_at = now + SWEEP_INTERVAL;
        let mut blocked = std::mem::take(&mut self.blocked);
        blocked.retain(|socket| {
            let Some(line) = self.line_of(*socket) else { return false };
            let Some(sweeps) = line.blocked_for.map(|sweeps| sweeps + 1) else { return false };
            line.blocked_for = Some(sweeps);
            if sweeps == 1 {
                self.door.metrics.sockets_set_aside.inc();
                self.door.metrics.sockets_slow.inc();
            }
            true
        });
        self.blocked = blocked;
        let mut timed = std::mem::take(&mut self.timed);
        timed.retain(|socket| {
            let Some(line) = self.line_of(*socket) else { return false };
            let Some(deadline) = line.deadline else { return false };
            let phase = line.phase;
            match phase {
                _ if now < deadline => return true,
                Phase::Closing => self.drop_line(socket.slot as usize),
                Phase::Greeting | Phase::Joined => self.fault(socket.slot as usize, CloseReason::HelloTimeout, now),
            }
            false
        });
        self.timed.extend(timed);
    }

    fn stop(&mut self, now: Instant) {
        self.is_stopping = true;
        for slot in 0..self.lines.len() {
            if self.line(slot).is_some_and(|line| line.phase == Phase::Greeting) {
                self.refuse(slot, CloseReason::ServerStopping, now);
            }
        }
    }
}

fn bye(reason: CloseReason) -> Option<ServerMessage> {
    Some(ServerMessage::Bye { code: reason.code() })
}

#[cfg(test)]
mod tests;
