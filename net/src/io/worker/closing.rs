//! Closing a connection: refused, closed by us, left by its player, cut off.
//!
//! Path: something closes it → its last message and WebSocket's close are sent → what it still sends is discarded until
//! it has answered, or for [`CLOSE_LINGER`] → it is dropped.
//! Invariant: a connection that was told to close is gone by then, whatever it sends.

use super::{SWEEP_INTERVAL, Worker};
use crate::io::connection::{Closing, Phase};
use protocol::close::CloseReason;
use std::time::{Duration, Instant};

/// Time a close has to reach the kernel, and its answer to come back. Policy: drop the connection.
const CLOSE_LINGER: Duration = Duration::from_millis(1_000);

impl Worker {
    /// A newcomer is told why it will not be in.
    pub(super) fn refuse(&mut self, slot: usize, reason: CloseReason, now: Instant) {
        let closing = match reason {
            CloseReason::ServerStopping => Closing::Bye(reason),
            _ => Closing::Refused(reason),
        };
        self.say_why_and_close(slot, closing, now);
    }

    /// A peer did something that closes its connection.
    pub(super) fn fault(&mut self, slot: usize, reason: CloseReason, now: Instant) {
        match self.connection(slot).map(|connection| connection.phase) {
            Some(Phase::AwaitingHello) => self.refuse(slot, reason, now),
            Some(Phase::Joining | Phase::Joined) => {
                self.send_disconnected(slot, now);
                self.say_why_and_close(slot, Closing::Bye(reason), now);
            }
            Some(Phase::Closing) | None => {}
        }
    }

    /// The room's thread has ended, and with it every session.
    pub(super) fn room_is_gone(&mut self, slot: usize, now: Instant) {
        self.say_why_and_close(slot, Closing::Bye(CloseReason::ServerStopping), now);
    }

    fn say_why_and_close(&mut self, slot: usize, closing: Closing, now: Instant) {
        let versions = self.handshake.versions.clone();
        if let Some(connection) = self.connection(slot) {
            connection.queue_reason(closing, &versions);
            self.close(slot, closing.reason(), now);
            self.flush(slot, now);
        }
    }

    /// A player said goodbye.
    pub(super) fn leave(&mut self, slot: usize, now: Instant) {
        self.send_disconnected(slot, now);
        if let Some(connection) = self.connection(slot) {
            connection.queue_close(None);
            self.linger(slot, now);
            self.flush(slot, now);
        }
    }

    /// Sends the close; what arrives from now on is discarded, for a moment: dropping a connection with unread bytes
    /// resets it, and the peer might never see why.
    pub(super) fn close(&mut self, slot: usize, reason: CloseReason, now: Instant) {
        let Some(connection) = self.connections.get_mut(slot).and_then(Option::as_deref_mut) else { return };
        if connection.close(reason) {
            tracing::debug!(connection = ?connection.id, ?reason, "a connection is closed");
            self.handshake.metrics.closed(reason);
            self.linger(slot, now);
        }
    }

    fn linger(&mut self, slot: usize, now: Instant) {
        if let Some(connection) = self.connection(slot) {
            connection.deadline = Some(now + CLOSE_LINGER);
            let id = connection.id;
            self.timed.push(id);
        }
    }

    /// The connection is gone.
    pub(super) fn end(&mut self, slot: usize, now: Instant) {
        if self.connection(slot).is_some_and(|connection| connection.phase == Phase::Joined) {
            self.send_disconnected(slot, now);
        }
        self.drop_connection(slot);
    }

    fn drop_connection(&mut self, slot: usize) {
        if let Some(connection) = self.connections[slot].take() {
            if connection.blocked_for.is_some_and(|sweeps| sweeps > 0) {
                self.handshake.metrics.sockets_slow.dec();
            }
            self.free.push(slot as u32);
        }
    }

    /// Counts connections that have been set aside since the last sweep, and ends what has lasted too long.
    pub(super) fn sweep(&mut self, now: Instant) {
        if now < self.sweep_at {
            return;
        }
        self.sweep_at = now + SWEEP_INTERVAL;
        let mut blocked = std::mem::take(&mut self.blocked);
        blocked.retain(|id| {
            let Some(connection) = self.connection_of(*id) else { return false };
            let Some(sweeps) = connection.blocked_for.map(|sweeps| sweeps + 1) else { return false };
            connection.blocked_for = Some(sweeps);
            if sweeps == 1 {
                self.handshake.metrics.sockets_set_aside.inc();
                self.handshake.metrics.sockets_slow.inc();
            }
            true
        });
        self.blocked = blocked;
        let mut timed = std::mem::take(&mut self.timed);
        timed.retain(|id| {
            let Some(connection) = self.connection_of(*id) else { return false };
            let Some(deadline) = connection.deadline else { return false };
            let phase = connection.phase;
            match phase {
                _ if now < deadline => return true,
                Phase::Closing => self.drop_connection(id.slot as usize),
                Phase::AwaitingHello | Phase::Joining | Phase::Joined => {
                    self.fault(id.slot as usize, CloseReason::HelloTimeout, now)
                }
            }
            false
        });
        self.timed.extend(timed);
    }

    pub(super) fn stop(&mut self, now: Instant) {
        self.is_stopping = true;
        for slot in 0..self.connections.len() {
            if self.connection(slot).is_some_and(|connection| connection.phase == Phase::AwaitingHello) {
                self.refuse(slot, CloseReason::ServerStopping, now);
            }
        }
    }
}
