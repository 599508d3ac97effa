//! One socket's way out: the sink, and what has not been taken by it yet.
//!
//! Path: a worker pushes what a batch brought, then [`Outbox::poll_write`]s until the kernel has it all or takes no more.
//! Invariants: at most one frame waits (the gate sees to it) and at most [`CONTROLS_MAX_COUNT`] control messages, so a
//! socket that is not read costs a bounded amount and no time; after [`Outbox::close`] nothing else is added.

use crate::room_handle::{Gate, SocketId};
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket};
use bytes::Bytes;
use futures_util::{SinkExt, stream::SplitSink};
use protocol::close::CloseReason;
use std::{
    collections::VecDeque,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll, Waker, ready},
    time::Instant,
};

/// Control messages that may wait for a socket that takes nothing. Policy: close with `TooFast`; they are answers to
/// what the client itself asked.
pub(crate) const CONTROLS_MAX_COUNT: usize = 16;

/// The writing half of a socket and its little queue.
#[derive(Debug)]
pub(crate) struct Outbox {
    pub(crate) socket: SocketId,
    sink: SplitSink<WebSocket, Message>,
    gate: Arc<Gate>,
    queue: VecDeque<Message>,
    /// Frames pushed so far; becomes the gate's count once everything is flushed.
    frames: u32,
    /// When the close was asked for.
    pub(crate) closing_since: Option<Instant>,
    /// Already in the worker's list of sockets to write to.
    pub(crate) is_listed: bool,
    /// Sweeps of the worker this socket has been waiting through; 0 = it takes what is sent.
    pub(crate) sweeps_waited: u32,
}

impl Outbox {
    /// Takes over a socket's writing half.
    pub(crate) fn new(socket: SocketId, sink: SplitSink<WebSocket, Message>, gate: Arc<Gate>) -> Self {
        Self {
            socket,
            sink,
            gate,
            queue: VecDeque::new(),
            frames: 0,
            closing_since: None,
            is_listed: false,
            sweeps_waited: 0,
        }
    }

    /// Adds a control message; false when too many wait already.
    #[must_use]
    pub(crate) fn push_control(&mut self, message: Bytes) -> bool {
        let has_room = self.queue.len() < CONTROLS_MAX_COUNT;
        if has_room && self.closing_since.is_none() {
            self.queue.push_back(Message::Binary(message));
        }
        has_room
    }

    /// Adds the tick's frame.
    pub(crate) fn push_frame(&mut self, frame: Bytes) {
        if self.closing_since.is_none() {
            self.frames = self.frames.wrapping_add(1);
            self.queue.push_back(Message::Binary(frame));
        }
    }

    /// Adds the close frame: the last thing this socket gets. False when it is closing already.
    pub(crate) fn close(&mut self, reason: CloseReason, now: Instant) -> bool {
        let is_first = self.closing_since.is_none();
        if is_first {
            self.closing_since = Some(now);
            self.queue.push_back(close_message(reason));
        }
        is_first
    }

    /// Writes what waits. Ready when the kernel has all of it; pending registers the worker's waker.
    pub(crate) fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), axum::Error>> {
        // The first try goes without a waker: tungstenite also wakes a registered writer when something can be *read*,
        // and with every input of every socket waking the worker it would do little else.
        match self.try_write(&mut Context::from_waker(Waker::noop())) {
            Poll::Pending => self.try_write(cx),
            done => done,
        }
    }

    fn try_write(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), axum::Error>> {
        while !self.queue.is_empty() {
            ready!(self.sink.poll_ready_unpin(cx))?;
            self.sink.start_send_unpin(self.queue.pop_front().expect("the queue was not empty"))?;
        }
        ready!(self.sink.poll_flush_unpin(cx))?;
        self.gate.frames_flushed.store(self.frames, Ordering::Release);
        Poll::Ready(Ok(()))
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        self.gate.ended.notify_one();
    }
}

/// The WebSocket close frame for a reason: a code for programs, a sentence for people.
pub(crate) fn close_message(reason: CloseReason) -> Message {
    Message::Close(Some(CloseFrame { code: reason.code(), reason: Utf8Bytes::from_static(reason.sentence()) }))
}
