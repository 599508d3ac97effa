//! The server that one would write first, for comparison: axum, a task per client, the newest frame in a `watch` channel.
//! It shows what leaving the async runtime saves.
//!
//! As a competent user of axum would set it up: no Nagle, a small read buffer, a frame shared by all clients.

use crate::fixed_engine;
use arena::TICK_HZ;
use axum::{
    Router,
    extract::{
        State,
        ws::{Message, WebSocket, WebSocketUpgrade},
    },
    response::Response,
    routing::get,
    serve::ListenerExt,
};
use bytes::Bytes;
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    net::TcpListener,
    sync::watch,
    time::{MissedTickBehavior, interval},
};

/// As prototypes found it best; the usual 128 KiB cost memory and time.
pub(crate) const READ_BUFFER_BYTES: usize = 4096;

#[derive(Debug, Clone)]
struct Shared {
    frames: watch::Receiver<Bytes>,
    inputs: Arc<AtomicU64>,
}

/// Serves frames of `length` bytes at 60 Hz for good; none when it is 0.
///
/// # Errors
/// When there is no port.
pub(crate) async fn serve(length: usize, say_address: fn(SocketAddr)) -> anyhow::Result<()> {
    let (newest, frames) = watch::channel(Bytes::new());
    let shared = Shared { frames, inputs: Arc::default() };
    tokio::spawn(tick(length, newest, Arc::clone(&shared.inputs)));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    say_address(listener.local_addr()?);
    let listener = listener.tap_io(|stream| {
        // One that is gone already ends with its first read.
        let _ = stream.set_nodelay(true);
    });
    Ok(axum::serve(listener, Router::new().route("/", get(upgrade)).with_state(shared)).await?)
}

async fn tick(length: usize, newest: watch::Sender<Bytes>, inputs: Arc<AtomicU64>) {
    let mut ticks = interval(Duration::from_secs(1) / TICK_HZ);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    for tick in 1.. {
        ticks.tick().await;
        if length > 0 {
            newest.send_replace(fixed_engine::frame(length, tick, inputs.load(Ordering::Relaxed)).into());
        }
    }
}

async fn upgrade(upgrade: WebSocketUpgrade, State(shared): State<Shared>) -> Response {
    upgrade.read_buffer_size(READ_BUFFER_BYTES).on_upgrade(|socket| talk(socket, shared))
}

/// Until the connection ends.
async fn talk(mut socket: WebSocket, Shared { mut frames, inputs }: Shared) {
    loop {
        tokio::select! {
            Ok(()) = frames.changed() => {
                let frame = frames.borrow_and_update().clone();
                if socket.send(Message::Binary(frame)).await.is_err() {
                    return;
                }
            }
            heard = socket.recv() => match heard {
                Some(Ok(_)) => _ = inputs.fetch_add(1, Ordering::Relaxed),
                _ => return,
            }
        }
    }
}
