//! The accept loop, and HTTP on each connection until it becomes a WebSocket or ends.
//!
//! Path: [`Listening::begin`] accepts → [`Listening::close`] accepts whoever has connected by then, and nobody after.
//! Invariants: accepted connections have `TCP_NODELAY` (merged ticks are useless) and a small send buffer (what lies in
//! the kernel is old when it arrives); a connection that does not say what it wants is closed.

use crate::counted::Count;
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
use std::{net::SocketAddr, pin::pin, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Notify, watch},
    task::JoinHandle,
    time::timeout,
};

/// Kernel send buffer of a connection (Linux doubles it for its own use). Policy: a slow reader fills it within seconds
/// and is set aside; 64 KiB would hide a stall of 40 s.
const SEND_BUFFER_BYTES: usize = 16 * 1024;
/// Pause when no connection can be accepted, which means that too many files are open. Policy: newcomers wait.
const ACCEPT_RETRY: Duration = Duration::from_millis(500);
/// Time a connection has for its first request once the listener is closed. Policy: close it.
const FIRST_WORD_MAX: Duration = Duration::from_millis(1_000);
/// Connections that are accepted after the word to close. Policy: the rest is reset.
const LAST_ACCEPTS_MAX_COUNT: usize = 1024;

/// A listener at work; dropping it closes it.
#[derive(Debug)]
pub(crate) struct Listening {
    stop: watch::Sender<bool>,
    accepting: JoinHandle<()>,
}

impl Listening {
    /// Accepts from now on. `connections` counts those that are HTTP's still.
    pub(crate) fn begin(listener: TcpListener, router: Router, head_timeout: Duration, connections: Count) -> Self {
        let (stop, stopping) = watch::channel(false);
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(head_timeout);
        let accepting = tokio::spawn(accept(listener, Host { http, router, connections, stopping }));
        Self { stop, accepting }
    }

    /// Returns when the listener is closed; connections end after the request they are in.
    pub(crate) async fn close(self) {
        self.stop.send_replace(true);
        // An error means that it has ended by itself.
        let _ = self.accepting.await;
    }
}

/// What a connection needs.
#[derive(Debug, Clone)]
struct Host {
    http: http1::Builder,
    router: Router,
    connections: Count,
    stopping: watch::Receiver<bool>,
}

async fn accept(listener: TcpListener, mut host: Host) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            // An error means that the server was dropped, which stops it as well.
            _ = host.stopping.wait_for(|stopping| *stopping) => break,
        };
        match accepted {
            Ok((stream, peer)) => host.welcome(stream, peer),
            Err(error) => {
                tracing::warn!(%error, "no connection can be accepted");
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
        }
    }
    // Whoever is connected already would be reset by the close, which is not what proxies try again.
    // The runtime may not know of them yet, so the kernel is asked.
    let Ok(listener) = listener.into_std() else { return };
    for _ in 0..LAST_ACCEPTS_MAX_COUNT {
        let Ok((stream, peer)) = listener.accept() else { return };
        match stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream)) {
            Ok(stream) => host.welcome(stream, peer),
            Err(error) => tracing::debug!(%error, "a connection ended before its first word"),
        }
    }
}

impl Host {
    fn welcome(&self, stream: TcpStream, peer: SocketAddr) {
        let counted = self.connections.enter();
        let host = self.clone();
        tokio::spawn(async move {
            host.converse(stream, peer).await;
            drop(counted);
        });
    }

    /// HTTP on one connection.
    async fn converse(self, stream: TcpStream, peer: SocketAddr) {
        let Self { http, router, mut stopping, .. } = self;
        let options = stream
            .set_nodelay(true)
            .and_then(|()| socket2::SockRef::from(&stream).set_send_buffer_size(SEND_BUFFER_BYTES));
        if let Err(error) = options {
            return tracing::debug!(%error, "a connection ended before its options were set");
        }
        let router = TowerToHyperService::new(router);
        let has_asked = Arc::new(Notify::new());
        let asking = Arc::clone(&has_asked);
        let service = service_fn(move |mut request: Request<Incoming>| {
            asking.notify_one();
            request.extensions_mut().insert(ConnectInfo(peer));
            router.call(request)
        });
        let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service).with_upgrades());
        let shall_end = async {
            // An error means that the server was dropped, which stops it as well.
            let _ = stopping.wait_for(|stopping| *stopping).await;
            // hyper would close a connection on which nothing was said yet, though its first request may be on its way.
            let _ = timeout(FIRST_WORD_MAX, has_asked.notified()).await;
        };
        let ended = tokio::select! {
            ended = connection.as_mut() => Some(ended),
            () = shall_end => None,
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
}
