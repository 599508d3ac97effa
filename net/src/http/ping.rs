//! The ping: what the lobby's page measures latency with. Short-lived, a task per connection, nothing of the game.
//!
//! Invariant: a connection is over after [`LIFE_MAX`] or [`SOCKET_MAX_BYTES`], whatever its peer sends.

use crate::admission::ConnectionPermit;
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, join},
    net::TcpStream,
    time::timeout,
};
use tokio_tungstenite::WebSocketStream;
use tungstenite::{
    Message,
    protocol::{Role, WebSocketConfig},
};

/// Longest message. Policy: disconnect.
const MESSAGE_MAX_BYTES: usize = 64;
/// Messages a connection may send, and how long it may live. Policy: close.
const MESSAGES_MAX_COUNT: usize = 16;
const LIFE_MAX: Duration = Duration::from_millis(5_000);
/// What a connection may send in all: its messages and the heads of their frames. Policy: disconnect.
const SOCKET_MAX_BYTES: u64 = (MESSAGES_MAX_COUNT * (MESSAGE_MAX_BYTES + 16)) as u64;

/// Answers whatever comes with the same, a few times; `first` came right behind the upgrade. `permit` is kept as long
/// as the connection.
pub(crate) async fn echo(stream: std::net::TcpStream, first: Bytes, permit: ConnectionPermit) {
    let Ok(stream) = TcpStream::from_std(stream) else { return };
    let (read, write) = stream.into_split();
    let stream = join(read.take(SOCKET_MAX_BYTES), write);
    let config = WebSocketConfig::default()
        .read_buffer_size(MESSAGE_MAX_BYTES)
        .max_message_size(Some(MESSAGE_MAX_BYTES))
        .max_frame_size(Some(MESSAGE_MAX_BYTES));
    let first = first[..first.len().min(SOCKET_MAX_BYTES as usize)].to_vec();
    let mut socket = WebSocketStream::from_partially_read(stream, first, Role::Server, Some(config)).await;
    let echo = async {
        for _ in 0..MESSAGES_MAX_COUNT {
            match socket.next().await {
                Some(Ok(message @ (Message::Binary(_) | Message::Text(_)))) => socket.send(message).await.ok()?,
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                _ => return None,
            }
        }
        socket.send(Message::Close(None)).await.ok()
    };
    // Whoever is not done in time is simply disconnected: there is nothing to lose.
    let _ = timeout(LIFE_MAX, echo).await;
    drop(permit);
}
