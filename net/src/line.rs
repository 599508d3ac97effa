//! One player's socket: WebSocket's state, what its peer said, and what the kernel has not taken yet.
//!
//! Path: a worker begins a visit and calls [`Line::hear`] until there is nothing, [`Line::control`] and [`Line::close`]
//! when there is something to say, then [`Line::flush`]; [`Line::frame`] does both, for it is what happens all the time.
//! Invariants: no call waits, and a visit ends whatever the peer sends ([`Stream`] sees to it); at most one frame waits for
//! the kernel (the gate sees to it) and at most [`CONTROLS_MAX_COUNT`] control messages, so a socket that is not read costs
//! a bounded amount; after [`Line::close`] nothing else is said.
//! Why tungstenite's state machine reads, answers pings and closes, but messages do not go through it: a server's message
//! is a head of 2 or 4 bytes ([`push_message`]) and itself, and can leave in one write from where the tick thread put it.

use crate::{
    admission::{Charge, Place},
    bucket::Bucket,
    gate::Gate,
    room_handle::{Event, SocketId},
    stream::Stream,
};
use bytes::Bytes;
use crossbeam_channel::Sender;
use mio::{Interest, Registry, Token, net::TcpStream};
use protocol::{close::CloseReason, limits, message::ServerMessage};
use std::{
    io::{self, ErrorKind},
    sync::Arc,
    time::Instant,
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

/// Control messages that may wait for a socket that takes nothing. Policy: close with `TooFast`; they are answers to
/// what the client itself asked.
const CONTROLS_MAX_COUNT: usize = 16;
/// Messages a socket may send: this many a second, [`MESSAGES_BURST_COUNT`] at once. A client at 60 Hz with every input
/// changed and a chat line needs half. Policy: close with `TooFast`.
const MESSAGES_PER_S: u32 = 120;
const MESSAGES_BURST_COUNT: u32 = 240;
/// Read buffer of a socket, which it keeps: a client's messages have a few dozen bytes. A longer one makes it grow.
const READ_BUFFER_BYTES: usize = 512;
/// Pongs and the close that may wait for the kernel. Policy: the newest pong replaces an older one.
const ANSWERS_MAX_BYTES: usize = 1024;

/// Appends a binary message to what is to be sent: WebSocket's head, then the message.
pub(crate) fn push_message(out: &mut Vec<u8>, message: &[u8]) {
    let head = FrameHeader { opcode: OpCode::Data(Data::Binary), ..FrameHeader::default() };
    head.format(message.len() as u64, out).expect("memory takes everything");
    out.extend_from_slice(message);
}

/// How far a socket has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Its hello has not come.
    Greeting,
    /// The room knows it.
    Joined,
    /// It was told to close: what it says is not heard any more.
    Closing,
}

/// What a socket brought.
#[derive(Debug)]
pub(crate) enum Heard {
    /// Nothing more for now.
    Nothing,
    /// A binary message.
    Message(Bytes),
    /// Something of WebSocket's own.
    Aside,
    /// No WebSocket, or no message that anybody here sends.
    Nonsense,
    /// The peer closed or vanished.
    End,
}

/// What became of what was said.
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
pub(crate) struct Line {
    pub(crate) id: SocketId,
    pub(crate) phase: Phase,
    /// The durable id of the room that it was opened for, and the way there once it joined.
    pub(crate) room: Arc<str>,
    pub(crate) events: Option<Sender<Event>>,
    /// Reading waits until the room's queue has taken what was read.
    pub(crate) is_held: bool,
    /// Its worker has it down for a visit.
    pub(crate) is_expected: bool,
    /// The kernel took no more. Counts the sweeps since, from 0.
    pub(crate) blocked_for: Option<u32>,
    /// When the phase has lasted too long.
    pub(crate) deadline: Option<Instant>,
    socket: WebSocketContext,
    stream: Stream,
    /// The peer broke WebSocket's rules: its bytes are only thrown away.
    is_deaf: bool,
    messages: Bucket,
    gate: Gate,
    /// Frames said so far; becomes the gate's count once everything is flushed.
    frames: u32,
    /// Control messages said since everything was flushed last.
    controls: usize,
    /// Kept for as long as the socket.
    place: Place,
}

impl Line {
    /// A socket whose upgrade was granted; `first` are bytes that came right behind it.
    pub(crate) fn new(
        id: SocketId,
        tcp: TcpStream,
        first: Bytes,
        (place, gate): (Place, Gate),
        room: Arc<str>,
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
            phase: Phase::Greeting,
            room,
            events: None,
            is_held: false,
            is_expected: false,
            blocked_for: None,
            deadline: None,
            socket: WebSocketContext::new(Role::Server, Some(config)),
            stream: Stream::new(tcp, first),
            is_deaf: false,
            messages: Bucket::new(MESSAGES_PER_S, MESSAGES_BURST_COUNT, now),
            gate,
            frames: 0,
            controls: 0,
            place,
        }
    }

    /// Has epoll tell what happens on this socket.
    pub(crate) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        registry.register(&mut self.stream.tcp, token, Interest::READABLE | Interest::WRITABLE)
    }

    /// What the tick thread needs to know of this socket.
    pub(crate) fn gate(&self) -> Gate {
        self.gate.clone()
    }

    /// Counts one more opening of a room against its address; `None` if that has had enough.
    pub(crate) fn charge_opening(&self) -> Option<Charge> {
        self.place.charge_opening(Instant::now())
    }

    /// There is something to read again; `is_ending` tells that the end has come, too.
    pub(crate) fn wake(&mut self, is_ending: bool) {
        self.stream.wake(is_ending);
    }

    /// It is this socket's turn to be heard.
    pub(crate) fn begin_visit(&mut self) {
        self.is_expected = false;
        self.stream.begin_visit();
    }

    /// Whether it needs another turn, though epoll will not say so.
    pub(crate) fn has_more(&self) -> bool {
        self.stream.has_more()
    }

    /// Whether one more message is within what a socket may send.
    pub(crate) fn may_say_more(&mut self, now: Instant) -> bool {
        self.messages.take(now)
    }

    /// From now on what it says is only thrown away.
    pub(crate) fn turn_deaf(&mut self) {
        self.is_deaf = true;
    }

    /// The next thing the peer said, as far as its turn goes.
    pub(crate) fn hear(&mut self) -> Heard {
        if self.is_deaf {
            return if self.stream.discard() { Heard::Nothing } else { Heard::End };
        }
        loop {
            let read = self.socket.read(&mut self.stream);
            if read.is_ok() {
                self.stream.note_message();
            }
            return match read {
                Ok(Message::Binary(bytes)) => Heard::Message(bytes),
                Ok(Message::Ping(_) | Message::Pong(_)) => Heard::Aside,
                // The next read sends the answer, and is the end.
                Ok(Message::Close(_)) => continue,
                Ok(_) => Heard::Nonsense,
                Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => Heard::Nothing,
                Err(error) if is_end(&error) => Heard::End,
                Err(_) => {
                    self.turn_deaf();
                    Heard::Nonsense
                }
            };
        }
    }

    /// Says a control message; false when too many wait already.
    #[must_use]
    pub(crate) fn control(&mut self, message: &[u8]) -> bool {
        self.controls += 1;
        let has_room = self.controls <= CONTROLS_MAX_COUNT;
        if has_room {
            self.say(message);
        }
        has_room
    }

    /// Says the tick's frame, which has its head already, and hands everything said to the kernel.
    pub(crate) fn frame(&mut self, frame: &[u8]) -> Flushed {
        self.frames = self.frames.wrapping_add(1);
        if self.phase != Phase::Closing && self.stream.send(frame).is_err() {
            return Flushed::Broken;
        }
        self.flush()
    }

    /// Says the last words and WebSocket's close, with a code for programs and a sentence for people. False when it is
    /// closing already.
    pub(crate) fn close(&mut self, last_words: Option<&ServerMessage>, reason: CloseReason) -> bool {
        if self.phase == Phase::Closing {
            return false;
        }
        if let Some(message) = last_words {
            self.say(&message.encode());
        }
        self.say_close(Some(CloseFrame {
            code: reason.code().into(),
            reason: Utf8Bytes::from_static(reason.sentence()),
        }));
        true
    }

    /// The same without a word, as an answer to a goodbye.
    pub(crate) fn say_close(&mut self, frame: Option<CloseFrame>) {
        // Whatever goes wrong here shows when it is flushed.
        let _ = self.socket.close(&mut self.stream, frame);
        self.phase = Phase::Closing;
    }

    fn say(&mut self, message: &[u8]) {
        if self.phase != Phase::Closing {
            push_message(self.stream.unsent_mut(), message);
        }
    }

    /// Hands everything said to the kernel, as far as it takes it.
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
        self.gate.note_flushed(self.frames);
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
