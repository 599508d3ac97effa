//! The accept loop, and HTTP on each connection.
//!
//! Path: [`serve`] accepts until it is told to close → hyper reads a request, the router answers it → the next one.
//! Invariants: a client that does not send its request, or does not read the answer, is closed after [`Deadlines`];
//! connections are at most [`CONNECTIONS_MAX_COUNT`].
//! Never: counts connections by address, since all come from Fly's proxy; `in_flight` counts what each client asks.

use axum::Router;
use axum::extract::ConnectInfo;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::OwnedSemaphorePermit;
use tokio_io_timeout::TimeoutStream;
use webserver::BoundedListener;

/// Connections at once: more than Fly's proxy brings (`hard_limit` in `fly.toml`). Policy: newcomers wait in the kernel's
/// backlog until one has ended.
const CONNECTIONS_MAX_COUNT: usize = 3_000;
/// What is read ahead of a connection, and written, at most; so also the longest head. Policy: 431.
const BUFFER_MAX_BYTES: usize = 32 * 1024;
/// Kernel send buffer of a connection (Linux doubles it for its own use): all that a client who never reads can hold.
const SEND_BUFFER_BYTES: usize = 32 * 1024;

/// What a client may keep a connection waiting for.
#[derive(Debug, Clone, Copy)]
pub struct Deadlines {
    /// From the connection, or the last answer, to the end of the next request's head. Policy: the connection is closed.
    pub head: Duration,
    /// From the head to the end of the body. Policy: 408 with a sentence.
    pub body: Duration,
    /// Without a single byte being taken while some wait. Policy: the connection is closed. An answer that takes its time is
    /// no concern of this: a stream may be silent, and goes on as long as the client takes what there is.
    pub write: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self { head: Duration::from_secs(10), body: Duration::from_secs(10), write: Duration::from_secs(20) }
    }
}

/// Serves until `closed` completes, then lets the requests under way end.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    deadlines: Deadlines,
    closed: impl Future<Output = ()>,
) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(deadlines.head).max_buf_size(BUFFER_MAX_BYTES);
    let (listener, under_way) = (BoundedListener::new(listener, CONNECTIONS_MAX_COUNT), GracefulShutdown::new());
    let mut closed = pin!(closed);
    loop {
        let (stream, peer, permit) = tokio::select! {
            accepted = listener.accept() => accepted,
            () = closed.as_mut() => break,
        };
        let connection = serve_connection(&http, stream, peer, router.clone(), deadlines.write, &under_way);
        tokio::spawn(hold(permit, connection));
    }
    drop(listener);
    under_way.shutdown().await;
}

async fn hold(permit: OwnedSemaphorePermit, connection: impl Future<Output = ()>) {
    connection.await;
    drop(permit);
}

/// HTTP on one connection.
fn serve_connection(
    http: &http1::Builder,
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    write_deadline: Duration,
    under_way: &GracefulShutdown,
) -> impl Future<Output = ()> + use<> {
    // Events of the board are small and should not wait for more. A connection that ended already says so when it is read.
    let _ = stream.set_nodelay(true);
    let _ = socket2::SockRef::from(&stream).set_send_buffer_size(SEND_BUFFER_BYTES);
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(write_deadline));
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        router.call(request)
    });
    let connection = under_way.watch(http.serve_connection(TokioIo::new(Box::pin(stream)), service));
    async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection ended early");
        }
    }
}
