//! The accept loop, and HTTP on each connection until it becomes a WebSocket or ends.
//!
//! Invariants: accepted connections have `TCP_NODELAY` (merged ticks are useless) and a small send buffer (what lies in
//! the kernel is old when it arrives); a connection that does not say what it wants is closed; those that speak HTTP are
//! at most [`HTTP_MAX_COUNT`] (players' sockets do not any more, and are counted at their admission).

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
    sync::{OwnedSemaphorePermit, Semaphore, watch},
};

/// Kernel send buffer of a connection (Linux doubles it for its own use). Policy: a slow reader fills it within seconds
/// and is set aside; 64 KiB would hide a stall of 40 s.
const SEND_BUFFER_BYTES: usize = 16 * 1024;
/// Connections that speak HTTP at once. Policy: newcomers wait in the kernel's backlog until one has ended, which takes no
/// longer than the head's timeout.
const HTTP_MAX_COUNT: usize = 1024;
/// Pause when no connection can be accepted, which means that too many files are open. Policy: newcomers wait.
const ACCEPT_RETRY: Duration = Duration::from_millis(500);

/// Serves until told to stop; then the listener is closed and connections end after the request they are in.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    head_timeout: Duration,
    stopping: watch::Receiver<bool>,
) {
    serve_at_most(HTTP_MAX_COUNT, listener, router, head_timeout, stopping).await;
}

async fn serve_at_most(
    most: usize,
    listener: TcpListener,
    router: Router,
    head_timeout: Duration,
    mut stopping: watch::Receiver<bool>,
) {
    let places = Arc::new(Semaphore::new(most));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(head_timeout);
    loop {
        let accept = async {
            let place = Arc::clone(&places).acquire_owned().await.expect("it is never closed");
            listener.accept().await.map(|(stream, peer)| (stream, peer, place))
        };
        let accepted = tokio::select! {
            accepted = accept => accepted,
            // An error means that the server was dropped, which stops it as well.
            _ = stopping.wait_for(|stopping| *stopping) => return,
        };
        match accepted {
            Ok((stream, peer, place)) => {
                tokio::spawn(converse(http.clone(), stream, peer, place, router.clone(), stopping.clone()));
            }
            Err(error) => {
                tracing::warn!(%error, "no connection can be accepted");
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
        }
    }
}

/// HTTP on one connection, which keeps its place until it ends or is no HTTP any more.
async fn converse(
    http: http1::Builder,
    stream: TcpStream,
    peer: SocketAddr,
    _place: OwnedSemaphorePermit,
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

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        time::timeout,
    };

    const PATIENCE: Duration = Duration::from_secs(10);

    #[tokio::test]
    async fn who_finds_no_place_waits_until_the_silent_are_closed() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (_stop, stopping) = watch::channel(false);
        let router = Router::new().fallback(|| async { "here" });
        tokio::spawn(serve_at_most(2, listener, router, Duration::from_millis(300), stopping));
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
}
