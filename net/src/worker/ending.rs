//! How a socket ends: refused, closed, left, cut off.
//!
//! Path: something closes it → its last words and WebSocket's close are said → what it still says is thrown away until it
//! has answered, or for [`CLOSE_LINGER`] → it is dropped.
//! Invariant: a socket that was told to close is gone by then, whatever it sends.

use super::{SWEEP_INTERVAL, Worker};
use crate::line::Phase;
use protocol::{close::CloseReason, message::ServerMessage};
use std::time::{Duration, Instant};

/// Time a close has to reach the kernel, and its answer to come back. Policy: drop the socket.
const CLOSE_LINGER: Duration = Duration::from_millis(1_000);

impl Worker {
    /// A newcomer is told why it will not be in.
    pub(super) fn refuse(&mut self, slot: usize, reason: CloseReason, now: Instant) {
        let answer = match reason {
            CloseReason::ServerStopping => bye(reason),
            _ => Some(ServerMessage::refused(reason)),
        };
        self.close(slot, answer, reason, now);
        self.flush(slot, now);
    }

    /// A peer did something that closes its socket.
    pub(super) fn fault(&mut self, slot: usize, reason: CloseReason, now: Instant) {
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
    pub(super) fn leave(&mut self, slot: usize, now: Instant) {
        self.tell_end(slot, now);
        if let Some(line) = self.line(slot) {
            line.say_close(None);
            self.linger(slot, now);
            self.flush(slot, now);
        }
    }

    /// Says the close; what is heard from now on is thrown away, for a moment: dropping a socket with unread bytes resets
    /// it, and the peer might never see why.
    pub(super) fn close(&mut self, slot: usize, last_words: Option<ServerMessage>, reason: CloseReason, now: Instant) {
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
    pub(super) fn end(&mut self, slot: usize, now: Instant) {
        if self.line(slot).is_some_and(|line| line.phase == Phase::Joined) {
            self.tell_end(slot, now);
        }
        self.drop_line(slot);
    }

    /// The room's thread has ended, and with it every session.
    pub(super) fn room_is_gone(&mut self, slot: usize, now: Instant) {
        let reason = CloseReason::ServerStopping;
        self.close(slot, bye(reason), reason, now);
        self.flush(slot, now);
    }

    fn drop_line(&mut self, slot: usize) {
        if let Some(line) = self.lines[slot].take() {
            if line.blocked_for.is_some_and(|sweeps| sweeps > 0) {
                self.door.metrics.sockets_slow.dec();
            }
            self.free.push(slot as u32);
        }
    }

    /// Counts sockets that have been set aside since the last sweep, and ends what has lasted too long.
    pub(super) fn sweep(&mut self, now: Instant) {
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

    pub(super) fn stop(&mut self, now: Instant) {
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
