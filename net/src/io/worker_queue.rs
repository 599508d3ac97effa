//! A worker's queue: new connections and each tick's batch, sent without anybody waiting.
//!
//! Path: the tick thread asks for a [`Reservation`] before it assembles frames, fills its [`Batch`], sends it, and the
//! worker's epoll wakes.
//! Invariant: a frame is assembled only for a worker that has a place for it.

use crate::{
    admission::ConnectionPermit,
    io::connection::{Closing, HEAD_MAX_BYTES, message_head},
    room::{address::RoomAddress, handle::RoomEvent},
};
use bytes::Bytes;
use crossbeam_channel::Sender;
use mio::{Events, Poll, Registry, Token, Waker, net::TcpStream};
use protocol::close::CloseReason;
use session::ConnectionId;
use std::{io, ops::Range, sync::Arc, time::Duration};
use tokio::sync::mpsc;

/// Hand-overs that may wait for a worker. Policy: a worker with this many is behind, and its connections' frames are
/// not assembled until it has caught up.
const QUEUE_MAX_COUNT: usize = 64;
/// How a worker's epoll tells that there is something in the queue.
pub(crate) const WAKER: Token = Token(usize::MAX);

/// What a worker is sent.
#[derive(Debug)]
pub(crate) enum WorkerMessage {
    /// A new connection, the bytes that came right behind its upgrade, its permit, and the room it was opened for.
    Adopt(TcpStream, Bytes, ConnectionPermit, RoomAddress),
    /// A tick's hand-over.
    Batch(Batch),
    /// The process is stopping: whoever has not said hello is told, and so is whoever comes.
    Stop,
}

/// The rooms' answer to a hello.
pub(crate) type Answer = (ConnectionId, Result<Joined, CloseReason>);

/// The way to the room that a connection joins.
#[derive(Debug)]
pub(crate) struct Joined {
    pub(crate) events: Sender<RoomEvent>,
    /// The join itself, if the room's queue had no place for it.
    pub(crate) unsent: Option<RoomEvent>,
}

/// Everything one tick has for one worker. Control messages and the words of those who close go before frames, closes
/// after both.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) controls: Vec<(ConnectionId, Bytes)>,
    pub(crate) closes: Vec<(ConnectionId, Closing)>,
    /// Whose frame is where in `bytes`.
    frames: Vec<(ConnectionId, Range<usize>)>,
    /// All frames, one behind the other, as they go over the wire: one allocation a tick instead of one a frame, each
    /// of which another thread would have to free.
    bytes: Vec<u8>,
}

impl Batch {
    /// Whether there is nothing to hand over.
    pub(crate) fn is_empty(&self) -> bool {
        self.controls.is_empty() && self.frames.is_empty() && self.closes.is_empty()
    }

    /// Adds a connection's frame, which `write` appends; returns its length.
    pub(crate) fn push_frame(&mut self, id: ConnectionId, write: &mut dyn FnMut(&mut Vec<u8>)) -> usize {
        let reserved = self.bytes.len();
        let begin = reserved + HEAD_MAX_BYTES;
        self.bytes.resize(begin, 0);
        write(&mut self.bytes);
        let length = self.bytes.len() - begin;
        // How long the head is, is known only now: it stands right before the frame.
        let (head, head_bytes) = message_head(length);
        let start = begin - head_bytes;
        self.bytes[start..begin].copy_from_slice(&head[..head_bytes]);
        self.frames.push((id, start..self.bytes.len()));
        length
    }

    /// The frames, each with WebSocket's head.
    pub(crate) fn frames(&self) -> impl Iterator<Item = (ConnectionId, &[u8])> {
        self.frames.iter().map(|(id, place)| (*id, &self.bytes[place.clone()]))
    }

    /// All of it; what stays behind has room for as many frames as there ever were. Always the same size: another thread frees
    /// it, and pieces of every size would stay unused between what lives on.
    pub(crate) fn take(&mut self) -> Self {
        let (frames, bytes) = (Vec::with_capacity(self.frames.capacity()), Vec::with_capacity(self.bytes.capacity()));
        std::mem::replace(self, Self { frames, bytes, ..Self::default() })
    }
}

/// The way to a worker. When the last clone is gone, so is the worker.
#[derive(Debug, Clone)]
pub(crate) struct WorkerSender {
    // Dropped first, so that the worker that is woken last finds nobody there.
    sender: mpsc::Sender<WorkerMessage>,
    /// Without a limit of its own: a connection waits for one answer at most. Apart from the other messages, so that joins
    /// take no tick's place, and their answers wait for no worker.
    answers: mpsc::UnboundedSender<Answer>,
    waker: Arc<WakeOnDrop>,
}

/// The worker's end.
#[derive(Debug)]
pub(crate) struct WorkerReceiver {
    messages: mpsc::Receiver<WorkerMessage>,
    answers: mpsc::UnboundedReceiver<Answer>,
    /// Tells of messages and of nothing else.
    waiting: Poll,
    wakes: Events,
    /// Must live as long as the polls: a waker that is dropped takes its last wake with it.
    _wakers: Arc<[Waker; 2]>,
}

/// Both ends; a message wakes the poll of this registry.
///
/// # Errors
/// When the system has no waker.
pub(crate) fn new(registry: &Registry) -> io::Result<(WorkerSender, WorkerReceiver)> {
    let waiting = Poll::new()?;
    let wakers = Arc::new([Waker::new(registry, WAKER)?, Waker::new(waiting.registry(), WAKER)?]);
    let (sender, messages) = mpsc::channel(QUEUE_MAX_COUNT);
    let (answering, answers) = mpsc::unbounded_channel();
    let sender = WorkerSender { sender, answers: answering, waker: Arc::new(WakeOnDrop(Arc::clone(&wakers))) };
    Ok((sender, WorkerReceiver { messages, answers, waiting, wakes: Events::with_capacity(1), _wakers: wakers }))
}

impl WorkerReceiver {
    /// The next message.
    ///
    /// # Errors
    /// `Empty`, or `Disconnected` when nobody will ever send anything again.
    pub(crate) fn next(&mut self) -> Result<WorkerMessage, mpsc::error::TryRecvError> {
        self.messages.try_recv()
    }

    /// The next answer of the rooms to a hello.
    pub(crate) fn next_answer(&mut self) -> Option<Answer> {
        self.answers.try_recv().ok()
    }

    /// Waits this long, or until a message comes.
    pub(crate) fn pause(&mut self, time: Duration) {
        // A pause that is cut short does no harm.
        let _ = self.waiting.poll(&mut self.wakes, Some(time));
    }
}

/// A place in a worker's queue.
#[derive(Debug)]
pub(crate) struct Reservation<'a>(mpsc::Permit<'a, WorkerMessage>, &'a WakeOnDrop);

#[derive(Debug)]
struct WakeOnDrop(Arc<[Waker; 2]>);

impl WakeOnDrop {
    fn wake(&self) {
        // The one way this fails is a worker that is gone, which has dropped every connection.
        for waker in self.0.iter() {
            let _ = waker.wake();
        }
    }
}

impl Drop for WakeOnDrop {
    fn drop(&mut self) {
        self.wake();
    }
}

impl WorkerSender {
    /// A place, if the worker is not behind.
    pub(crate) fn reserve(&self) -> Option<Reservation<'_>> {
        self.sender.try_reserve().ok().map(|permit| Reservation(permit, &self.waker))
    }

    /// Tells how a hello is answered.
    pub(crate) fn answer(&self, id: ConnectionId, joined: Result<Joined, CloseReason>) {
        // As below.
        let _ = self.answers.send((id, joined));
        self.waker.wake();
    }

    /// Sends when there is a place.
    pub(crate) async fn send(&self, message: WorkerMessage) {
        // A worker that has ended has dropped every connection, which is all a message could still bring about.
        let _ = self.sender.send(message).await;
        self.waker.wake();
    }
}

impl Reservation<'_> {
    /// Puts the message there.
    pub(crate) fn send(self, message: WorkerMessage) {
        self.0.send(message);
        self.1.wake();
    }
}

/// Which worker owns a connection.
pub(crate) fn worker_of(id: ConnectionId) -> usize {
    id.shard.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_frame_comes_out_with_its_head() {
        let id = |slot| ConnectionId { shard: 0, slot, number: 1 };
        let mut batch = Batch::default();
        let (long, longest) = ([7; 200], vec![8; 70_000]);
        for (slot, frame) in [(1, &b"one"[..]), (2, b""), (3, &long), (4, &longest)] {
            assert_eq!(batch.push_frame(id(slot), &mut |bytes| bytes.extend_from_slice(frame)), frame.len());
        }
        let taken = batch.take();
        assert!(batch.is_empty() && !taken.is_empty());
        let frames: Vec<_> = taken.frames().map(|(id, frame)| (id.slot, frame)).collect();
        let long = [&[0x82, 126, 0, 200][..], &long].concat();
        let longest = [&[0x82, 127, 0, 0, 0, 0, 0, 1, 0x11, 0x70][..], &longest].concat();
        assert_eq!(frames, [(1, &b"\x82\x03one"[..]), (2, b"\x82\x00"), (3, &long), (4, &longest)]);
    }
}
