//! One reading task per socket: hello, then decode, limit, queue; the writing half belongs to a worker.
//!
//! Path: [`serve`] waits for the hello, hands the sink to a writer worker and a `Join` to the room, then reads until
//! the peer or we have had enough, and ends with a `Gone` event.
//! Invariants: a task never blocks a thread and never writes after the sink was handed over; whatever the peer did, the
//! room learns that the socket is gone; every wait has an end.

use crate::{
    admission::{Place, unix_now_s},
    bucket::Bucket,
    outbox::{Outbox, close_message},
    room_handle::{Event, Gate, Join, SocketId},
    server::App,
    writer::CLOSE_LINGER_MS,
};
use axum::extract::ws::{Message, WebSocket};
use futures_util::{StreamExt, stream::SplitStream};
use protocol::{
    PROTOCOL_VERSION,
    close::CloseReason,
    message::{ClientMessage, ClientPacket, Hello, ServerMessage},
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite;

/// Messages a socket may send: this many a second, [`MESSAGES_BURST_COUNT`] at once. A client at 60 Hz with every input
/// changed and a chat line needs half. Policy: close with `TooFast`.
const MESSAGES_PER_S: u32 = 120;
const MESSAGES_BURST_COUNT: u32 = 240;
/// Longest a task waits for the worker to let go of its half. Policy: drop ours.
const LET_GO_MAX_MS: u64 = 3 * CLOSE_LINGER_MS;
/// Messages a ping socket may send, and how long it may live. Policy: close.
const PING_MESSAGES_MAX_COUNT: usize = 16;
const PING_MAX_MS: u64 = 5_000;

/// Why reading ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// The peer closed, left or vanished.
    PeerGone,
    /// The peer did something that closes the socket.
    Fault(CloseReason),
    /// The worker has closed its half: nothing can be said any more.
    SinkGone,
}

/// Serves a player's socket to its end. `place` is kept until then.
pub(crate) async fn serve(mut socket: WebSocket, place: Place, app: Arc<App>) {
    let greeting = match place.refusal {
        None => greet(&mut socket, &app).await,
        Some(reason) => Err(Ending::Fault(reason)),
    };
    match greeting {
        Ok((hello, admitted)) => {
            let (reader, join) = Reader::begin(socket, hello, admitted, app).await;
            reader.run(join).await;
        }
        Err(Ending::Fault(reason)) => refuse(socket, reason, &app).await,
        Err(_) => {}
    }
}

/// Answers whatever comes with the same, a few times: what the lobby's page measures latency with.
pub(crate) async fn echo(mut socket: WebSocket, _place: Place) {
    let echo = async {
        for _ in 0..PING_MESSAGES_MAX_COUNT {
            match socket.recv().await {
                Some(Ok(message @ (Message::Binary(_) | Message::Text(_)))) => socket.send(message).await.ok()?,
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                _ => return None,
            }
        }
        socket.send(Message::Close(None)).await.ok()
    };
    // Whoever is not done in time is simply disconnected: there is nothing to lose.
    let _ = timeout(Duration::from_millis(PING_MAX_MS), echo).await;
}

/// Waits for the hello and checks everything that can be checked without the room.
async fn greet(socket: &mut WebSocket, app: &App) -> Result<(Hello, bool), Ending> {
    let mut stopping = app.stopping.clone();
    let message = tokio::select! {
        message = timeout(app.config.hello_timeout, first_message(socket)) =>
            message.map_err(|_| Ending::Fault(CloseReason::HelloTimeout))??,
        _ = stopping.wait_for(|stopping| *stopping) => return Err(Ending::Fault(CloseReason::ServerStopping)),
    };
    // Before anything else of it is read: another version's hello may look different behind its version.
    if Hello::version_of(&message).is_some_and(|version| version != PROTOCOL_VERSION) {
        return Err(Ending::Fault(CloseReason::VersionMismatch));
    }
    let Ok(ClientPacket::Message(ClientMessage::Hello(hello))) = ClientPacket::decode(&message) else {
        return Err(Ending::Fault(CloseReason::BadMessage));
    };
    let admitted = app.admission.admit(&hello, app.arena.name, unix_now_s()).map_err(Ending::Fault)?;
    Ok((hello, admitted))
}

/// The first message that is not WebSocket's own.
async fn first_message(socket: &mut WebSocket) -> Result<bytes::Bytes, Ending> {
    loop {
        if let Some(message) = read_one(socket.recv().await)? {
            return Ok(message);
        }
    }
}

/// Tells a peer that is not in why it will not be, and closes.
async fn refuse(mut socket: WebSocket, reason: CloseReason, app: &App) {
    app.metrics.closed(reason);
    let answer = match reason {
        CloseReason::ServerStopping => ServerMessage::Bye { code: reason.code() },
        _ => ServerMessage::refused(reason),
    };
    let farewell = async {
        socket.send(Message::Binary(answer.encode().into())).await?;
        socket.send(close_message(reason)).await
    };
    if matches!(timeout(Duration::from_millis(CLOSE_LINGER_MS), farewell).await, Ok(Ok(()))) {
        drain(&mut socket).await;
    }
}

/// The reading half of a socket whose hello was good.
struct Reader {
    id: SocketId,
    stream: SplitStream<WebSocket>,
    gate: Arc<Gate>,
    app: Arc<App>,
}

impl Reader {
    /// Hands the writing half to a worker, then tells the room.
    async fn begin(socket: WebSocket, hello: Hello, admitted: bool, app: Arc<App>) -> (Self, Join) {
        let (sink, stream) = socket.split();
        let (socket, gate) = (app.new_socket_id(), Arc::<Gate>::default());
        app.writers.adopt(Outbox::new(socket, sink, Arc::clone(&gate))).await;
        let join = Join { socket, gate: Arc::clone(&gate), hello, admitted };
        (Self { id: socket, stream, gate, app }, join)
    }

    async fn run(mut self, join: Join) {
        let ending = match self.app.arena.send(Event::Join(Box::new(join)), &self.app.metrics).await {
            Ok(()) => self.read().await,
            Err(reason) => Ending::Fault(reason),
        };
        let reason = if let Ending::Fault(reason) = ending { Some(reason) } else { None };
        tracing::debug!(socket = self.id, ?ending, "the socket ends");
        if self.app.arena.send(Event::Gone(self.id, reason), &self.app.metrics).await.is_err() {
            // No room will close it, so we do.
            self.app.writers.close(self.id, reason.unwrap_or(CloseReason::ServerStopping)).await;
        }
        if ending != Ending::SinkGone {
            let _ = timeout(Duration::from_millis(LET_GO_MAX_MS), self.gate.ended.notified()).await;
        }
        if ending != Ending::PeerGone {
            drain(&mut self.stream).await;
        }
    }

    async fn read(&mut self) -> Ending {
        let mut messages = Bucket::new(MESSAGES_PER_S, MESSAGES_BURST_COUNT, Instant::now());
        loop {
            let item = tokio::select! {
                biased;
                () = self.gate.ended.notified() => return Ending::SinkGone,
                item = self.stream.next() => item,
            };
            let message = match read_one(item) {
                Ok(message) => message,
                Err(ending) => return ending,
            };
            if !messages.take(Instant::now()) {
                return Ending::Fault(CloseReason::TooFast);
            }
            let Some(message) = message else { continue };
            let packet = match ClientPacket::decode(&message) {
                // A hello is first, and only first.
                Err(_) | Ok(ClientPacket::Message(ClientMessage::Hello(_))) => {
                    return Ending::Fault(CloseReason::BadMessage);
                }
                Ok(packet) => packet,
            };
            let is_leaving = packet == ClientPacket::Message(ClientMessage::Leave);
            if let Err(reason) = self.app.arena.send(Event::Packet(self.id, packet), &self.app.metrics).await {
                return Ending::Fault(reason);
            }
            if is_leaving {
                return Ending::PeerGone;
            }
        }
    }
}

/// What a socket brought: a binary message, something of WebSocket's own (`None`), or an end.
fn read_one(item: Option<Result<Message, axum::Error>>) -> Result<Option<bytes::Bytes>, Ending> {
    match item {
        Some(Ok(Message::Binary(bytes))) => Ok(Some(bytes)),
        Some(Ok(Message::Ping(_) | Message::Pong(_))) => Ok(None),
        Some(Ok(Message::Text(_))) => Err(Ending::Fault(CloseReason::BadMessage)),
        Some(Ok(Message::Close(_))) | None => Err(Ending::PeerGone),
        Some(Err(error)) if is_peer_gone(&error) => Err(Ending::PeerGone),
        Some(Err(_)) => Err(Ending::Fault(CloseReason::BadMessage)),
    }
}

/// Tells a lost connection from a peer that breaks the rules (too long, not WebSocket).
fn is_peer_gone(error: &axum::Error) -> bool {
    use tungstenite::{Error, error::ProtocolError};
    matches!(
        std::error::Error::source(error).and_then(|source| source.downcast_ref::<Error>()),
        Some(
            Error::Io(_)
                | Error::ConnectionClosed
                | Error::AlreadyClosed
                | Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)
        )
    )
}

/// Reads on for a moment after a close: dropping a socket with unread bytes resets it, and the peer might never see why.
async fn drain(stream: &mut (impl futures_util::Stream<Item = Result<Message, axum::Error>> + Unpin)) {
    let read_on = async {
        loop {
            match stream.next().await {
                Some(Ok(_)) => {}
                // The peer answered the close.
                None => return,
                // What it sends cannot be read, so all that is left is to give it time.
                Some(Err(error)) if !is_peer_gone(&error) => std::future::pending().await,
                Some(Err(_)) => return,
            }
        }
    };
    let _ = timeout(Duration::from_millis(CLOSE_LINGER_MS), read_on).await;
}
