//! The accept loop, and HTTP on each connection until it becomes a WebSocket or ends.
//!
//! Invariants: accepted connections have `TCP_NODELAY` (merged ticks are useless) and a small send buffer (what lies in
//! the kernel is old when it arrives); a connection that does not say what it wants is closed.

use axum::{Router, extract::ConnectInfo};
use hyper::{
    Request,
    body::Incoming,
    server::conn::http1,
    service::{Service, service_fn},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use std::{net::SocketAddr, pin::pin, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// Kernel send buffer of a connection (Linux doubles it for its own use). Policy: a slow reader fills it within seconds
/// and is set aside; 64 KiB would hide a stall of 40 s.
const SEND_BUFFER_BYTES: usize = 16 * 1024;
/// Pause when no connection can be accepted, which means that too many files are open. Policy: newcomers wait.
const ACCEPT_RETRY: Duration = Duration::from_millis(500);

/// Serves until told to stop; then the listener is closed and connections end after the request they are in.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    head_timeout: Duration,
    mut stopping: watch::Receiver<bool>,
) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(head_timeout);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            // An error means that the server was dropped, which stops it as well.
            _ = stopping.wait_for(|stopping| *stopping) => return,
        };
        match accepted {
            Ok((stream, peer)) => {
                tokio::spawn(converse(http.clone(), stream, peer, router.clone(), stopping.clone()));
            }
            Err(error) => {
                tracing::warn!(%error, "no connection can be accepted");
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
        }
    }
}

/// HTTP on one connection.
async fn converse(
    http: http1::Builder,
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    mut stopping: watch::Receiver<bool>,
) {
    let options =
        stream.set_nodelay(true).and_then(|()| socket2::SockRef::from(&stream).set_send_buffer_size(SEND_BUFFER_BYTES));
    if let Err(error) = options {
        return tracing::debug!(%error, "a connection ended before its options were set");
    }
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        router.call(request)
    });
    let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service).with_upgrades());
    let ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        _ = stopping.wait_for(|stopping| *stopping) => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}
