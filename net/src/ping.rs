//! The ping: what the lobby's page measures latency with. Short-lived, a task per socket, nothing of the game.

use crate::admission::Place;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use std::time::Duration;
use tokio::time::timeout;

/// Longest message. Policy: disconnect.
const MESSAGE_MAX_BYTES: usize = 64;
/// Messages a socket may send, and how long it may live. Policy: close.
const MESSAGES_MAX_COUNT: usize = 16;
const LIFE_MAX: Duration = Duration::from_millis(5_000);

/// Answers an upgrade; `place` is kept as long as the socket.
pub(crate) fn answer(upgrade: WebSocketUpgrade, place: Place) -> Response {
    upgrade
        .read_buffer_size(MESSAGE_MAX_BYTES)
        .max_message_size(MESSAGE_MAX_BYTES)
        .max_frame_size(MESSAGE_MAX_BYTES)
        .on_upgrade(|socket| echo(socket, place))
}

/// Answers whatever comes with the same, a few times.
async fn echo(mut socket: WebSocket, _place: Place) {
    let echo = async {
        for _ in 0..MESSAGES_MAX_COUNT {
            match socket.recv().await {
                Some(Ok(message @ (Message::Binary(_) | Message::Text(_)))) => socket.send(message).await.ok()?,
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                _ => return None,
            }
        }
        socket.send(Message::Close(None)).await.ok()
    };
    // Whoever is not done in time is simply disconnected: there is nothing to lose.
    let _ = timeout(LIFE_MAX, echo).await;
}
