//! The accept loop, and HTTP on each connection until it becomes a WebSocket or ends.
//!
//! Path: [`Listening::begin`] accepts → [`Listening::close`] serves the connections that were already made, and no
//! more.
//! Invariants: accepted connections have `TCP_NODELAY` (merged ticks are useless) and a small send buffer (what lies in
//! the kernel is old when it arrives); a connection that does not say what it wants is closed, and so is one that does
//! not take what it asked for ([`WriteTimeout`]) or keeps a body to itself (nothing here reads one); those that speak
//! HTTP are at most [`HTTP_MAX_COUNT`] (players' connections do not any more, and are counted at their admission).

use crate::{
    http::write_timeout::{TAKE_GRACE, WriteTimeout},
    live_count::LiveCount,
};
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
    sync::{Notify, OwnedSemaphorePermit, watch},
    task::JoinHandle,
    time::timeout,
};
use webserver::BoundedListener;

/// Kernel send buffer of a connection (Linux doubles it for its own use). Policy: a slow reader fills it within seconds
/// and is set aside; 64 KiB would hide a stall of 40 s.
const SEND_BUFFER_BYTES: usize = 16 * 1024;
/// Connections that speak HTTP at once. Policy: newcomers wait in the kernel's backlog until one has ended: it has the
/// head's timeout to ask, and what [`WriteTimeout`] allows to take the answer.
pub(crate) const HTTP_MAX_COUNT: usize = 1024;
/// Longest head of a request. Policy: answer with status 431 and close.
const HEAD_MAX_BYTES: usize = 16 * 1024;
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
    pub(crate) fn begin(listener: TcpListener, router: Router, head_timeout: Duration, connections: LiveCount) -> Self {
        let bounds = Bounds { most: HTTP_MAX_COUNT, head_timeout, take_grace: TAKE_GRACE };
        Self::begin_with(bounds, listener, router, connections)
    }

    fn begin_with(bounds: Bounds, listener: TcpListener, router: Router, connections: LiveCount) -> Self {
        let Bounds { most, head_timeout, take_grace } = bounds;
        let (stop, stopping) = watch::channel(false);
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(head_timeout).max_buf_size(HEAD_MAX_BYTES);
        let acceptor = Acceptor { http, router, connections, stopping, take_grace };
        let accepting = tokio::spawn(accept(BoundedListener::new(listener, most), acceptor));
        Self { stop, accepting }
    }

    /// Returns when the listener is closed; connections end after the request they are in.
    pub(crate) async fn close(self) {
        self.stop.send_replace(true);
        // An error means that it has ended by itself.
        let _ = self.accepting.await;
    }
}

/// How many connections there may be, and how patient they are.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    most: usize,
    head_timeout: Duration,
    take_grace: Duration,
}

/// What a connection needs.
#[derive(Debug, Clone)]
struct Acceptor {
    http: http1::Builder,
    router: Router,
    connections: LiveCount,
    stopping: watch::Receiver<bool>,
    take_grace: Duration,
}

async fn accept(listener: BoundedListener, mut acceptor: Acceptor) {
    loop {
        let (stream, peer, permit) = tokio::select! {
            accepted = listener.accept() => accepted,
            // An error means that the server was dropped, which stops it as well.
            _ = acceptor.stopping.wait_for(|stopping| *stopping) => break,
        };
        acceptor.spawn(stream, peer, Some(permit));
    }
    // Whoever is connected already would be reset by the close, which is not what proxies try again.
    // The runtime may not know of them yet, so the kernel is asked.
    let Ok(listener) = listener.into_inner().into_std() else { return };
    for _ in 0..LAST_ACCEPTS_MAX_COUNT {
        let Ok((stream, peer)) = listener.accept() else { return };
        match stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream)) {
            Ok(stream) => acceptor.spawn(stream, peer, None),
            Err(error) => tracing::debug!(%error, "a connection ended before its first word"),
        }
    }
}

impl Acceptor {
    /// The connection keeps its permit until it ends or is no HTTP any more.
    fn spawn(&self, stream: TcpStream, peer: SocketAddr, permit: Option<OwnedSemaphorePermit>) {
        let counted = self.connections.enter();
        let acceptor = self.clone();
        tokio::spawn(async move {
            acceptor.serve_connection(stream, peer).await;
            drop((counted, permit));
        });
    }

    /// HTTP on one connection.
    async fn serve_connection(self, stream: TcpStream, peer: SocketAddr) {
        let Self { http, router, mut stopping, take_grace, .. } = self;
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
        let stream = TokioIo::new(WriteTimeout::new(stream, take_grace));
        let mut connection = pin!(http.serve_connection(stream, service).with_upgrades());
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

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    const PATIENCE: Duration = Duration::from_secs(10);
    const BOUNDS: Bounds =
        Bounds { most: 2, head_timeout: Duration::from_millis(300), take_grace: Duration::from_millis(300) };

    /// A listener whose every answer is this, and the connections it has.
    async fn begin(answer: &'static [u8]) -> (Listening, SocketAddr, LiveCount) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(move || async move { answer });
        let connections = LiveCount::default();
        (Listening::begin_with(BOUNDS, listener, router, connections.clone()), address, connections)
    }

    #[tokio::test]
    async fn who_finds_no_place_waits_until_the_silent_are_closed() {
        let (_listening, address, _) = begin(b"here").await;
        let mut silent = Vec::new();
        for _ in 0..2 {
            silent.push(TcpStream::connect(address).await.unwrap());
        }
        let mut last = TcpStream::connect(address).await.unwrap();
        last.write_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        let early = timeout(Duration::from_millis(50), last.read_to_string(&mut answer)).await;
        assert!(early.is_err(), "the third waits: {answer}");
        timeout(PATIENCE, last.read_to_string(&mut answer)).await.expect("and comes in then").unwrap();
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("here"), "{answer}");
    }

    #[tokio::test]
    async fn who_does_not_read_the_answer_is_closed() {
        static LONG: [u8; 16 * 1024 * 1024] = [0; 16 * 1024 * 1024];
        let (_listening, address, connections) = begin(&LONG).await;
        let mut deaf = TcpStream::connect(address).await.unwrap();
        // And asks again and again.
        deaf.write_all(&b"GET / HTTP/1.1\r\nhost: a\r\n\r\n".repeat(100)).await.unwrap();
        wait_until(|| !connections.is_zero()).await;
        wait_until(|| connections.is_zero()).await;
    }

    #[tokio::test]
    async fn who_keeps_half_of_it_back_is_closed() {
        let (_listening, address, connections) = begin(b"here").await;
        let long_head = [&b"GET / HTTP/1.1\r\nx: "[..], &[b'x'; 2 * HEAD_MAX_BYTES]].concat();
        let halves = [
            &b"GET / HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\nhalf"[..],
            b"GET / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nha",
            b"GET / HTTP/1.1\r\nhost: a\r\nx: ",
            &long_head,
        ];
        for half in halves {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(half).await.unwrap();
            let what = String::from_utf8_lossy(&half[..half.len().min(80)]);
            // It may be reset, since it was not read to its end.
            let ended = timeout(PATIENCE, stream.read_to_end(&mut Vec::new())).await;
            assert!(ended.is_ok(), "{what}");
            wait_until(|| connections.is_zero()).await;
        }
    }

    async fn wait_until(is_so: impl Fn() -> bool) {
        let reached = async {
            while !is_so() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, reached).await.expect("connections come and end in time");
    }
}
