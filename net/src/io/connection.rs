//! One player's WebSocket connection: reads and rate-limits its messages, queues what is to be sent, closes it.
//!
//! Path: a worker begins a visit and calls [`Connection::receive`] until there is nothing,
//! [`Connection::queue_control`] and [`Connection::close`] when there is something to send, then [`Connection::flush`];
//! [`Connection::send_frame`] does both, for it is what happens all the time.
//! Invariants: no call waits, and a visit ends whatever the peer sends ([`Stream`] sees to it); at most one frame waits
//! for the kernel (its [`FlowCounter`] sees to it) and at most [`CONTROLS_MAX_COUNT`] control messages, so a connection
//! that is not read costs a bounded amount; after [`Connection::close`] nothing else is sent.
//! Why tungstenite's state machine reads, answers pings and closes, but messages do not go through it: a server's
//! message is a head of 2 or 4 bytes ([`message_head`]) and itself, and can leave in one write from where the tick
//! thread put it.

use crate::{
    admission::{ConnectionPermit, Opener},
    io::{flow::FlowCounter, stream::Stream},
    kind_versions::KindVersions,
    room::{address::RoomAddress, handle::RoomEvent},
};
use bytes::Bytes;
use crossbeam_channel::Sender;
use mio::{Interest, Registry, Token, net::TcpStream};
use protocol::{
    close::CloseReason,
    limits,
    message::ServerMessage,
    rate_limit::{RateLimit, TokenBucket},
    room::Kind,
};
use session::ConnectionId;
use std::{
    io::{self, ErrorKind},
    time::{Duration, Instant},
};
use tungstenite::{
    Error, Message, Utf8Bytes,
    error::ProtocolError,
    protocol::{
        CloseFrame, Role, WebSocketConfig, WebSocketContext,
        frame::{
            FrameHeader,
            coding::{Data, OpCode},
        },
    },
};

/// Control messages that may wait for a connection that takes nothing. Policy: close with `TooFast`; they are answers
/// to what the client itself asked.
const CONTROLS_MAX_COUNT: usize = 16;
/// Messages a connection may send: 120 a second, 240 at once. A client at 60 Hz with every input changed and a chat line
/// needs half. Policy: close with `TooFast`.
const MESSAGES: RateLimit<Duration> = RateLimit::with_burst(Duration::from_nanos(1_000_000_000 / 120), 240);
/// Read buffer of a connection, which it keeps: a client's messages have a few dozen bytes. A longer one makes it grow.
const READ_BUFFER_BYTES: usize = 512;
/// Pongs and the close that may wait for the kernel. Policy: the newest pong replaces an older one.
const ANSWERS_MAX_BYTES: usize = 1024;

/// Longest head of a message.
pub(crate) const HEAD_MAX_BYTES: usize = 10;

/// WebSocket's head of a binary message, and how much of it there is.
pub(crate) fn message_head(length: usize) -> ([u8; HEAD_MAX_BYTES], usize) {
    let header = FrameHeader { opcode: OpCode::Data(Data::Binary), ..FrameHeader::default() };
    let mut head = [0; HEAD_MAX_BYTES];
    let mut rest = &mut head[..];
    header.format(length as u64, &mut rest).expect("it is the longest that there is");
    let unused = rest.len();
    (head, HEAD_MAX_BYTES - unused)
}

/// How far a connection has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Its hello has not come.
    AwaitingHello,
    /// Its hello is on its way to the room. Nothing else is read until the rooms' task has answered.
    Joining,
    /// The room knows it.
    Joined,
    /// It was told to close: what still arrives is discarded.
    Closing,
}

/// What arrived on a connection.
#[derive(Debug)]
pub(crate) enum Incoming {
    /// Nothing more for now.
    Nothing,
    /// A binary message.
    Message(Bytes),
    /// A ping or pong of WebSocket's own.
    Control,
    /// No WebSocket, or no message that anybody here sends.
    Malformed,
    /// The peer closed or vanished.
    End,
}

/// How a connection is closed: what its peer is told before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Closing {
    /// It was not let in.
    Refused(CloseReason),
    /// It had been let in, or might have been.
    Bye(CloseReason),
    /// Its peer does not take what it is told.
    Silent(CloseReason),
}

impl Closing {
    pub(crate) fn reason(self) -> CloseReason {
        match self {
            Self::Refused(reason) | Self::Bye(reason) | Self::Silent(reason) => reason,
        }
    }

    /// What the peer of a connection to a room of this kind is told, whose part of the wire is spoken in this version.
    fn message(self, kind: Kind, kind_version: u32) -> Option<ServerMessage> {
        match self {
            Self::Refused(reason) => Some(ServerMessage::refused(reason, kind, kind_version)),
            Self::Bye(reason) => Some(ServerMessage::Bye { code: reason.code() }),
            Self::Silent(_) => None,
        }
    }
}

/// What became of what was queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flushed {
    /// The kernel has all of it.
    All,
    /// The kernel takes no more for now and will say when it does.
    Part,
    /// There is no connection any more.
    Broken,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) id: ConnectionId,
    pub(crate) phase: Phase,
    /// The room that it was opened for, and the way there once it joined.
    pub(crate) room: RoomAddress,
    pub(crate) events: Option<Sender<RoomEvent>>,
    /// Reading waits until the room, or its queue, has taken what was read.
    pub(crate) is_read_paused: bool,
    /// Its worker has it down for a visit.
    pub(crate) is_scheduled: bool,
    /// The kernel took no more. Counts the sweeps since, from 0.
    pub(crate) blocked_for: Option<u32>,
    /// When the phase has lasted too long.
    pub(crate) deadline: Option<Instant>,
    socket: WebSocketContext,
    stream: Stream,
    /// After a protocol error: input is discarded.
    is_discarding: bool,
    messages: TokenBucket<Instant>,
    flow: FlowCounter,
    /// Frames sent so far; becomes the flow counter's count once everything is flushed.
    frames: u32,
    /// Control messages queued since everything was flushed last.
    controls: usize,
    /// Kept for as long as the connection.
    permit: ConnectionPermit,
}

impl Connection {
    /// A connection whose upgrade was granted; `first` are bytes that came right behind it.
    pub(crate) fn new(
        id: ConnectionId,
        tcp: TcpStream,
        first: Bytes,
        (permit, flow): (ConnectionPermit, FlowCounter),
        room: RoomAddress,
        now: Instant,
    ) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER_BYTES)
            .write_buffer_size(0)
            .max_write_buffer_size(ANSWERS_MAX_BYTES)
            .max_message_size(Some(limits::CLIENT_MESSAGE_MAX_BYTES))
            .max_frame_size(Some(limits::CLIENT_MESSAGE_MAX_BYTES));
        Self {
            id,
            phase: Phase::AwaitingHello,
            room,
            events: None,
            is_read_paused: false,
            is_scheduled: false,
            blocked_for: None,
            deadline: None,
            socket: WebSocketContext::new(Role::Server, Some(config)),
            stream: Stream::new(tcp, first),
            is_discarding: false,
            messages: TokenBucket::new(now),
            flow,
            frames: 0,
            controls: 0,
            permit,
        }
    }

    /// Has epoll tell what happens on this connection.
    pub(crate) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        registry.register(&mut self.stream.tcp, token, Interest::READABLE | Interest::WRITABLE)
    }

    /// What the tick thread needs to know of this connection.
    pub(crate) fn flow(&self) -> FlowCounter {
        self.flow.clone()
    }

    /// Whom a room's opening is charged to.
    pub(crate) fn opener(&self) -> Opener {
        self.permit.opener()
    }

    /// Its peer only reads.
    pub(crate) fn keeps_nobody_awake(&mut self) {
        self.permit.keeps_nobody_awake();
    }

    /// There is something to read again; `is_ending` tells that the end has come, too.
    pub(crate) fn wake(&mut self, is_ending: bool) {
        self.stream.wake(is_ending);
    }

    /// It is this connection's turn to be read.
    pub(crate) fn begin_visit(&mut self) {
        self.is_scheduled = false;
        self.stream.begin_visit();
    }

    /// Whether it needs another turn, though epoll will not say so.
    pub(crate) fn has_more(&self) -> bool {
        self.stream.has_more()
    }

    /// Whether one more message is within what a connection may send.
    pub(crate) fn may_send_more(&mut self, now: Instant) -> bool {
        self.messages.take(MESSAGES, now)
    }

    /// From now on input is discarded.
    pub(crate) fn discard_input(&mut self) {
        self.is_discarding = true;
    }

    /// The next thing the peer sent, as far as its turn goes.
    pub(crate) fn receive(&mut self) -> Incoming {
        if self.is_discarding {
            return if self.stream.discard() { Incoming::Nothing } else { Incoming::End };
        }
        loop {
            let read = self.socket.read(&mut self.stream);
            if read.is_ok() {
                self.stream.note_message();
            }
            return match read {
                Ok(Message::Binary(bytes)) => Incoming::Message(bytes),
                Ok(Message::Ping(_) | Message::Pong(_)) => Incoming::Control,
                // The next read sends the answer, and is the end.
                Ok(Message::Close(_)) => continue,
                Ok(_) => Incoming::Malformed,
                Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => Incoming::Nothing,
                Err(error) if is_end(&error) => Incoming::End,
                Err(_) => {
                    self.discard_input();
                    Incoming::Malformed
                }
            };
        }
    }

    /// Queues a control message; false when too many wait already.
    #[must_use]
    pub(crate) fn queue_control(&mut self, message: &[u8]) -> bool {
        self.controls += 1;
        let has_room = self.controls <= CONTROLS_MAX_COUNT;
        if has_room {
            self.queue(message);
        }
        has_room
    }

    /// Sends the tick's frame, which has its head already, and everything queued.
    pub(crate) fn send_frame(&mut self, frame: &[u8]) -> Flushed {
        self.frames = self.frames.wrapping_add(1);
        if self.phase != Phase::Closing && self.stream.send(frame).is_err() {
            return Flushed::Broken;
        }
        self.flush()
    }

    /// Queues the message that says why the connection closes.
    pub(crate) fn queue_reason(&mut self, closing: Closing, versions: &KindVersions) {
        if let Some(message) = closing.message(self.room.kind(), versions.spoken(self.room.kind())) {
            self.queue(&message.encode());
        }
    }

    /// Queues WebSocket's close, with a code for programs and a sentence for people. False when it is closing already.
    pub(crate) fn close(&mut self, reason: CloseReason) -> bool {
        if self.phase == Phase::Closing {
            return false;
        }
        self.queue_close(Some(CloseFrame {
            code: reason.code().into(),
            reason: Utf8Bytes::from_static(reason.wire_text()),
        }));
        true
    }

    /// WebSocket's close alone, as an answer to a goodbye.
    pub(crate) fn queue_close(&mut self, frame: Option<CloseFrame>) {
        // Whatever goes wrong here shows when it is flushed.
        let _ = self.socket.close(&mut self.stream, frame);
        self.phase = Phase::Closing;
    }

    fn queue(&mut self, message: &[u8]) {
        if self.phase != Phase::Closing {
            let ((head, head_bytes), unsent) = (message_head(message.len()), self.stream.unsent_mut());
            unsent.extend_from_slice(&head[..head_bytes]);
            unsent.extend_from_slice(message);
        }
    }

    /// Hands everything queued to the kernel, as far as it takes it.
    pub(crate) fn flush(&mut self) -> Flushed {
        match self.stream.send_rest() {
            Ok(true) => {}
            Ok(false) => return Flushed::Part,
            Err(_) => return Flushed::Broken,
        }
        if self.stream.has_answers {
            self.stream.has_answers = false;
            match self.socket.flush(&mut self.stream) {
                Ok(()) if self.stream.is_all_sent() => {}
                Ok(()) => return Flushed::Part,
                Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => return Flushed::Part,
                Err(_) => return Flushed::Broken,
            }
        }
        self.controls = 0;
        self.flow.note_flushed(self.frames);
        Flushed::All
    }
}

/// Tells a connection that ended from a peer that breaks the rules (too long, not WebSocket).
fn is_end(error: &Error) -> bool {
    match error {
        // The stream's word for too many bytes without a message.
        Error::Io(error) => error.kind() != ErrorKind::InvalidData,
        Error::ConnectionClosed | Error::AlreadyClosed => true,
        Error::Protocol(error) => *error == ProtocolError::ResetWithoutClosingHandshake,
        _ => false,
    }
}
