//! One player's socket: WebSocket's state, what its peer said, and what the kernel has not taken yet.
//!
//! Path: a worker calls [`Line::hear`] when there is something to read, [`Line::control`] and [`Line::close`] when there
//! is something to say, then [`Line::flush`]; [`Line::frame`] does both, for it is what happens all the time.
//! Invariants: no call waits; at most one frame waits for the kernel (the gate sees to it) and at most
//! [`CONTROLS_MAX_COUNT`] control messages, so a socket that is not read costs a bounded amount; after
//! [`Line::close`] nothing else is said.
//! Why tungstenite's state machine reads, answers pings and closes, but messages do not go through it: a server's message
//! is a head of 2 or 4 bytes ([`push_message`]) and itself, and can leave in one write from where the tick thread put it.

use crate::{
    admission::Place,
    bucket::Bucket,
    gate::Gate,
    room_handle::{Event, SocketId},
};
use bytes::Bytes;
use crossbeam_channel::Sender;
use mio::{Interest, Registry, Token, net::TcpStream};
use protocol::{close::CloseReason, limits, message::ServerMessage};
use std::{
    io::{self, ErrorKind, Read, Write},
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

/// The connection, whether it is known to have nothing to read, and what it has not taken.
#[derive(Debug)]
struct Stream {
    tcp: TcpStream,
    is_empty: bool,
    /// The peer has sent its last byte: the end is told only once, so it must be read.
    is_ending: bool,
    /// Said, and not taken by the kernel yet.
    unsent: Vec<u8>,
    /// WebSocket's own answers wait behind that.
    has_answers: bool,
}

impl Line {
    /// A socket whose upgrade was granted; `first` are bytes that came right behind it.
    pub(crate) fn new(
        id: SocketId,
        tcp: TcpStream,
        first: &[u8],
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
            blocked_for: None,
            deadline: None,
            socket: WebSocketContext::from_partially_read(first.to_vec(), Role::Server, Some(config)),
            stream: Stream { tcp, is_empty: false, is_ending: false, unsent: Vec::new(), has_answers: false },
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

    /// Whether its address may have one more room opened; that is counted.
    pub(crate) fn may_open_room(&self) -> bool {
        self.place.may_open_room(Instant::now())
    }

    /// There is something to read again; `is_ending` tells that the end has come, too.
    pub(crate) fn wake(&mut self, is_ending: bool) {
        self.stream.is_empty = false;
        self.stream.is_ending |= is_ending;
    }

    /// Whether one more message is within what a socket may send.
    pub(crate) fn may_say_more(&mut self, now: Instant) -> bool {
        self.messages.take(now)
    }

    /// The next thing the peer said.
    pub(crate) fn hear(&mut self) -> Heard {
        if self.is_deaf {
            return self.stream.discard();
        }
        loop {
            match self.socket.read(&mut self.stream) {
                Ok(Message::Binary(bytes)) => return Heard::Message(bytes),
                Ok(Message::Ping(_) | Message::Pong(_)) => return Heard::Aside,
                // The next read sends the answer, and is the end.
                Ok(Message::Close(_)) => {}
                Ok(_) => return Heard::Nonsense,
                Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => return Heard::Nothing,
                Err(error) if is_end(&error) => return Heard::End,
                Err(_) => {
                    self.is_deaf = true;
                    return Heard::Nonsense;
                }
            }
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
            push_message(&mut self.stream.unsent, message);
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
                Ok(()) if self.stream.unsent.is_empty() => {}
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

impl Stream {
    /// Sends, behind whatever waits; what the kernel does not take waits.
    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let taken = if self.unsent.is_empty() { self.try_send(bytes)? } else { 0 };
        self.unsent.extend_from_slice(&bytes[taken..]);
        Ok(())
    }

    /// Sends what waits; false when the kernel does not take all of it.
    fn send_rest(&mut self) -> io::Result<bool> {
        if !self.unsent.is_empty() {
            let unsent = std::mem::take(&mut self.unsent);
            let taken = self.try_send(&unsent)?;
            self.unsent.extend_from_slice(&unsent[taken..]);
        }
        Ok(self.unsent.is_empty())
    }

    /// How many of the bytes the kernel took.
    fn try_send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut taken = 0;
        while taken < bytes.len() {
            match self.tcp.write(&bytes[taken..]) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => taken += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(taken)
    }

    /// Throws away what comes.
    fn discard(&mut self) -> Heard {
        let mut bytes = [0; READ_BUFFER_BYTES];
        loop {
            match self.read(&mut bytes) {
                Ok(0) => return Heard::End,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Heard::Nothing,
                Err(_) => return Heard::End,
            }
        }
    }
}

impl Read for Stream {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        // Epoll tells edges: a read that fills the buffer may have left something, a shorter one has not. That saves
        // asking a second time for every message.
        if self.is_empty {
            return Err(ErrorKind::WouldBlock.into());
        }
        let result = self.tcp.read(bytes);
        self.is_empty = !self.is_ending && matches!(&result, Ok(read) if (1..bytes.len()).contains(read));
        result
    }
}

/// What tungstenite writes: its answers.
impl Write for Stream {
    /// Takes all or nothing: nothing while something waits, so that no message is cut in two.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.unsent.is_empty() {
            self.has_answers = true;
            return Err(ErrorKind::WouldBlock.into());
        }
        self.send(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Tells a connection that ended from a peer that breaks the rules (too long, not WebSocket).
fn is_end(error: &Error) -> bool {
    matches!(
        error,
        Error::Io(_)
            | Error::ConnectionClosed
            | Error::AlreadyClosed
            | Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)
    )
}
