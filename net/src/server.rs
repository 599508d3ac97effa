//! The whole gameserver as one value: started, and stopped so that everybody is told.
//!
//! Path: [`Server::start`] (or [`Server::start_with`] another engine) begins the writer workers, the room's thread and
//! the accept loop; [`Server::stop`] ends them in the opposite order.
//! Invariants: accepted sockets have `TCP_NODELAY` (merged ticks are useless) and a small send buffer (what lies in the
//! kernel is old when it arrives); stopping takes at most [`STOP_MAX_MS`], whatever sockets do.

use crate::{
    admission::{Admission, unix_now_s},
    config::Config,
    engine::Engine,
    metrics::Metrics,
    room_handle::{Event, RoomHandle, SocketId},
    routes,
    tick::TickThread,
    writer::Writers,
};
use anyhow::Context;
use axum::serve::ListenerExt;
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};
use sync::{Room, RoomConfig};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{oneshot, watch},
    task::JoinHandle,
};

/// The one public room.
const ARENA: &str = "arena";
/// Kernel send buffer of a socket (Linux doubles it for its own use). Policy: a slow reader fills it within seconds and
/// is set aside; 64 KiB would hide a stall of 40 s.
const SEND_BUFFER_BYTES: usize = 16 * 1024;
/// Longest time stopping takes. Policy: whoever has not answered the close by then is cut off.
const STOP_MAX_MS: u64 = 4_000;
/// How often stopping looks whether all sockets are gone.
const STOP_POLL_MS: u64 = 10;

/// What every task shares.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) config: Config,
    pub(crate) admission: Arc<Admission>,
    pub(crate) arena: RoomHandle,
    pub(crate) writers: Writers,
    pub(crate) metrics: Arc<Metrics>,
    /// True once the server stops.
    pub(crate) stopping: watch::Receiver<bool>,
    next_socket: AtomicU64,
}

impl App {
    /// An id no socket had before.
    pub(crate) fn new_socket_id(&self) -> SocketId {
        self.next_socket.fetch_add(1, Ordering::Relaxed)
    }
}

/// A running gameserver.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    app: Arc<App>,
    stop: watch::Sender<bool>,
    accepting: JoinHandle<()>,
    room_ended: oneshot::Receiver<()>,
}

impl Server {
    /// Begins the arena, then listens.
    ///
    /// # Errors
    /// A sentence when the tuning is wrong or the address cannot be had.
    pub async fn start(config: Config) -> anyhow::Result<Self> {
        // The name goes into resume tokens: one machine's open nothing on another.
        let name = format!("{ARENA}@{}", config.instance);
        let mut room = RoomConfig::new(&name, config.key.clone(), 0, 0, &config.tuning_ron)
            .map_err(|sentence| anyhow::anyhow!("The tuning cannot be used: {sentence}"))?;
        room.max_players = config.max_players;
        let begin = move |epoch| Room::new(RoomConfig { epoch, seed: u64::from(epoch), ..room.clone() });
        Self::start_with(config, begin).await
    }

    /// Begins a room of another kind in the arena's place, then listens. `begin` is given each life's epoch.
    ///
    /// # Errors
    /// A sentence when the address cannot be had.
    pub async fn start_with<E: Engine>(
        config: Config,
        begin: impl FnMut(u32) -> E + Send + 'static,
    ) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(config.bind).await.with_context(|| {
            format!("{} cannot be listened on. Is another server there? PORT= changes it.", config.bind)
        })?;
        let address = listener.local_addr().context("the listener has no address")?;

        let metrics = Arc::new(Metrics::new());
        let writers = Writers::start(&metrics);
        let (arena, events) = RoomHandle::new(ARENA);
        let (begin, facts) = (Box::new(begin), Arc::clone(&arena.facts));
        let ticking = TickThread::new(ARENA, begin, events, writers.clone(), facts, Arc::clone(&metrics));
        let (ended, room_ended) = oneshot::channel();
        thread::Builder::new()
            .name(format!("tick-{ARENA}"))
            .spawn(move || {
                ticking.run();
                // Nobody listens when the server was dropped without being stopped.
                let _ = ended.send(());
            })
            .context("no thread for the room")?;

        let (stop, stopping) = watch::channel(false);
        let admission = Arc::new(Admission::new(&config, unix_now_s()));
        let next_socket = AtomicU64::new(1);
        let app = Arc::new(App { config, admission, arena, writers, metrics, stopping, next_socket });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&app)));
        tracing::info!(%address, instance = app.config.instance, region = app.config.region, "the gameserver is up");
        Ok(Self { address, app, stop, accepting, room_ended })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Tells everybody, closes every socket and returns when they are gone, or when it has waited long enough.
    pub async fn stop(self) {
        let Self { app, stop, accepting, room_ended, .. } = self;
        let goodbye = async {
            stop.send_replace(true);
            if app.arena.send(Event::Stop, &app.metrics).await.is_ok() {
                let _ = room_ended.await;
            }
            while app.admission.sockets() > 0 {
                tokio::time::sleep(Duration::from_millis(STOP_POLL_MS)).await;
            }
        };
        if tokio::time::timeout(Duration::from_millis(STOP_MAX_MS), goodbye).await.is_err() {
            tracing::warn!(sockets = app.admission.sockets(), "some sockets did not answer the close and are cut off");
        }
        accepting.abort();
        tracing::info!("stopped");
    }
}

/// The accept loop: ends, listener closed, when the server stops.
async fn accept(listener: TcpListener, app: Arc<App>) {
    let mut stopping = app.stopping.clone();
    let service = routes::router(app).into_make_service_with_connect_info::<SocketAddr>();
    let stopped = async move {
        // An error means that the server was dropped, which stops it as well.
        let _ = stopping.wait_for(|stopping| *stopping).await;
    };
    let serving = axum::serve(listener.tap_io(set_options), service).with_graceful_shutdown(stopped);
    if let Err(error) = serving.await {
        tracing::error!(%error, "the listener failed");
    }
}

fn set_options(stream: &mut TcpStream) {
    let set = stream
        .set_nodelay(true)
        .and_then(|()| socket2::SockRef::from(&*stream).set_send_buffer_size(SEND_BUFFER_BYTES));
    if let Err(error) = set {
        tracing::debug!(%error, "a connection ended before its options were set");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::{SinkExt, StreamExt};
    use protocol::{close::CloseReason, message::ServerMessage};
    use tokio_tungstenite::{
        WebSocketStream, client_async,
        tungstenite::{Message, client::IntoClientRequest},
    };

    async fn start() -> Server {
        let config = Config::from_lookup(|name| match name {
            "AERODROME_SECRET" => Some("a secret of enough length".to_owned()),
            "FLY_MACHINE_ID" => Some("m1".to_owned()),
            "BIND" => Some("127.0.0.1".to_owned()),
            "PORT" => Some("0".to_owned()),
            _ => None,
        });
        Server::start(config.unwrap()).await.unwrap()
    }

    /// Joins and returns the socket and the room's epoch.
    async fn join(server: &Server, nonce: u64) -> (WebSocketStream<TcpStream>, u32) {
        let (key, now_s) = (&server.app.config.key, crate::admission::unix_now_s());
        let path = "/gameserver/m1/arena";
        let mut request = format!("ws://{}{path}", server.address).into_client_request().unwrap();
        let state = format!("state={}", key.sign_replay("m1", path, now_s, 0));
        request.headers_mut().insert("fly-replay-src", state.parse().unwrap());
        let stream = TcpStream::connect(server.address).await.unwrap();
        let (mut socket, _) = client_async(request, stream).await.unwrap();
        let ticket = key.sign_ticket("m1", ARENA, nonce, now_s);
        let hello = sync::Client::new().hello("Ada", 0, Some(ticket), None);
        socket.send(Message::Binary(hello.into())).await.unwrap();
        let Some(Ok(Message::Binary(bytes))) = socket.next().await else { panic!("a welcome comes first") };
        let Ok(ServerMessage::Welcome(welcome)) = ServerMessage::decode(&bytes) else { panic!("no welcome") };
        (socket, welcome.epoch)
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_bug_ends_the_room_and_never_the_process() {
        let server = start().await;
        let (mut socket, epoch) = join(&server, 1).await;
        server.app.arena.events.send(Event::Fault).unwrap();
        let told = async {
            loop {
                if let Message::Close(frame) = socket.next().await.unwrap().unwrap() {
                    break u16::from(frame.unwrap().code);
                }
            }
        };
        let code = tokio::time::timeout(Duration::from_secs(5), told).await.unwrap();
        assert_eq!(code, CloseReason::RoomFailed.code());
        // The next one finds a fresh room.
        let (_socket, fresh) = tokio::time::timeout(Duration::from_secs(5), join(&server, 2)).await.unwrap();
        assert!(fresh > epoch);
        assert_eq!(server.app.metrics.room_failures.get(), 1);
        server.stop().await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn wrong_tuning_is_refused_with_a_sentence() {
        let server = start().await;
        let mut config = server.app.config.clone();
        config.tuning_ron = "(field: 3)".to_owned();
        let error = Server::start(config).await.unwrap_err().to_string();
        assert!(error.starts_with("The tuning cannot be used: "), "{error}");
        server.stop().await;
    }
}
