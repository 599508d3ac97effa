//! The whole gameserver as one value: started, and stopped so that everybody is told.
//!
//! Path: [`Server::start`] (or [`Server::start_with`] another engine) begins the I/O workers, the room's thread and the
//! accept loop; [`Server::stop`] ends them in the opposite order.
//! Invariant: stopping takes at most [`STOP_MAX_MS`], whatever sockets do.

use crate::{
    admission::{Admission, Place, unix_now_s},
    config::Config,
    door::Door,
    engine::Engine,
    inbox::{Inbox, WorkerMessage},
    listen,
    load::Load,
    metrics::Metrics,
    room_handle::{Event, RoomHandle},
    routes,
    tick::TickThread,
    worker::{WORKERS_COUNT, Worker},
};
use anyhow::Context;
use bytes::Bytes;
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};
use sync::{Room, RoomConfig, governor::Budget};
use tokio::{
    net::TcpListener,
    sync::{oneshot, watch},
    task::JoinHandle,
};

/// The one public room.
const ARENA: &str = "arena";
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
    pub(crate) metrics: Arc<Metrics>,
    workers: Arc<[Inbox]>,
    /// Sockets adopted so far.
    adopted: AtomicUsize,
}

impl App {
    /// Gives a socket to one of the workers, all in turn.
    pub(crate) async fn adopt(&self, stream: std::net::TcpStream, first: Bytes, place: Place) {
        let number = self.adopted.fetch_add(1, Ordering::Relaxed);
        let stream = mio::net::TcpStream::from_std(stream);
        self.workers[number % self.workers.len()].send(WorkerMessage::Adopt(stream, first, place)).await;
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
        (room.max_players, room.cadence_ticks) = (config.max_players, config.cadence_ticks);
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
        let admission = Arc::new(Admission::new(&config, unix_now_s()));
        let (arena, events) = RoomHandle::new(ARENA);
        let door = Door::new(&config, arena.clone(), Arc::clone(&admission), Arc::clone(&metrics));
        let workers = (0..WORKERS_COUNT).map(|index| Worker::start(index, door.clone()));
        let workers = workers.collect::<anyhow::Result<Arc<[Inbox]>>>()?;
        let (begin, facts) = (Box::new(begin), Arc::clone(&arena.facts));
        let load = Load::new(ARENA, config.tick_budget, Arc::clone(&metrics));
        let ticking = TickThread::new(ARENA, begin, events, Arc::clone(&workers), facts, Arc::clone(&metrics), load);
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
        let app = Arc::new(App { config, admission, arena, metrics, workers, adopted: AtomicUsize::new(0) });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&app), stopping));
        tracing::info!(%address, instance = app.config.instance, region = app.config.region, "the gameserver is up");
        Ok(Self { address, app, stop, accepting, room_ended })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on a tick may cost this; nothing happens when the server was begun without a budget.
    pub async fn set_tick_budget(&self, budget: Budget) {
        self.app.arena.tell(Event::Budget(budget)).await;
    }

    /// Tells everybody, closes every socket and returns when they are gone, or when it has waited long enough.
    pub async fn stop(self) {
        let Self { app, stop, accepting, room_ended, .. } = self;
        let goodbye = async {
            stop.send_replace(true);
            // An error means that it has ended by itself.
            let _ = room_ended.await;
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

/// Accepts until the server stops or is dropped; then tells those who tell everybody.
async fn accept(listener: TcpListener, app: Arc<App>, stopping: watch::Receiver<bool>) {
    let head_timeout = app.config.head_timeout;
    listen::serve(listener, routes::router(Arc::clone(&app)), head_timeout, stopping).await;
    for worker in app.workers.iter() {
        worker.send(WorkerMessage::Stop).await;
    }
    app.arena.tell(Event::Stop).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::{SinkExt, StreamExt};
    use protocol::{close::CloseReason, message::ServerMessage};
    use tokio::net::TcpStream;
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
        server.app.arena.tell(Event::Fault).await;
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
