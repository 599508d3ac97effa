//! The way from the edge to a machine.
//!
//! Path: [`reach`] wakes the machine if need be and connects → [`exchange`] sends one request over that connection.
//! Invariants: one connection a request and no pool, so that an upgrade can take its connection over; a machine whose
//! app says no autostart is never started from here.
//! Never: looks at `Fly-Replay`.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use crate::delay::lengthen;
use crate::machine::{Machine, State};

/// Pause between two attempts to reach a machine that boots.
const RETRY_PAUSE_MS: u64 = 20;

/// A body on its way through the edge.
pub(crate) type Body = UnsyncBoxBody<Bytes, hyper::Error>;

/// Connects to `machine`, starting it if it does not run, until `deadline`.
pub(crate) async fn reach(machine: &Machine, deadline: Instant) -> Option<TcpStream> {
    timeout_at(deadline, try_until_connected(machine)).await.ok().flatten()
}

async fn try_until_connected(machine: &Machine) -> Option<TcpStream> {
    loop {
        let view = machine.view();
        match (view.state, view.address) {
            (State::Started, Some(address)) => {
                if let Ok(stream) = TcpStream::connect(address).await
                    && !is_its_own_peer(&stream)
                {
                    let _ = stream.set_nodelay(true);
                    return Some(stream);
                }
            }
            (State::Stopped | State::Created, _) if !machine.identity.app.service.autostart => return None,
            (State::Stopped | State::Created, _) => {
                tracing::info!(machine = %machine.identity.id, "starting machine for a request");
                // A refusal is a state that passes: the next attempt sees what came of it.
                let _ = machine.start().await;
            }
            _ => {}
        }
        tokio::time::sleep(Duration::from_millis(RETRY_PAUSE_MS)).await;
    }
}

/// On loopback, connecting to a port that nobody listens on can pick that very port as its own and so meet itself.
fn is_its_own_peer(stream: &TcpStream) -> bool {
    stream.local_addr().ok() == stream.peer_addr().ok()
}

/// Sends `request` over `stream`, every byte taking `one_way` in each direction, and returns the answer's head.
pub(crate) async fn exchange(
    stream: TcpStream,
    one_way: Option<Duration>,
    request: Request<Body>,
) -> hyper::Result<Response<Incoming>> {
    match one_way {
        Some(one_way) => speak(lengthen(stream, one_way), request).await,
        None => speak(stream, request).await,
    }
}

async fn speak<S>(stream: S, request: Request<Body>) -> hyper::Result<Response<Incoming>>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(async move {
        if let Err(error) = connection.with_upgrades().await {
            tracing::debug!(%error, "connection to a machine ended");
        }
    });
    sender.send_request(request).await
}
