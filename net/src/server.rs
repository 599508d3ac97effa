//! The whole gameserver as one value: started, and stopped so that everybody is told.
//!
//! Path: [`Server::start`] (or [`Server::start_with`] another engine) begins the I/O workers and the accept loop; rooms
//! begin when somebody comes. [`Server::stop`] ends them in the opposite order, [`Server::asleep`] waits until nobody
//! needs any of it.
//! Invariant: stopping takes at most [`ROOMS_STOP_MAX`] and [`STOP_MAX`], whatever connections and the store do;
//! together they are less than the grace that a machine has after SIGTERM (`net/fly.toml`).

use crate::{
    admission::Admission,
    app::App,
    config::Config,
    http::{listen::Listening, routes},
    io::{
        handshake::Handshake,
        worker::{WORKERS_COUNT, Worker},
        worker_queue::WorkerSender,
    },
    kind_versions::KindVersions,
    kinds,
    metrics::Metrics,
    open_files,
    room::{
        handle::RoomEvent,
        incarnation::{Start, StartThread},
        machine::{Machine, Shutdown},
        rooms::{JOINS_MAX_COUNT, Rooms},
        starter::Starter,
    },
    store::Store,
    wall_clock,
};
use anyhow::{Context, bail};
use protocol::room::Kind;
use session::{Engine, governor::Budget};
use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    net::TcpListener,
    sync::{Mutex, mpsc, watch},
};

/// Longest time rooms take to be saved and to tell everybody. Policy: the rest is left as it was saved last, and the
/// process ends with an error.
const ROOMS_STOP_MAX: Duration = Duration::from_secs(8);
/// Longest time connections have to answer the close. Policy: they are cut off.
const STOP_MAX: Duration = Duration::from_secs(4);
/// Longest time that comparing the clock with the store's may take before the machine listens. Policy: it listens, and
/// the clock is compared later.
const CLOCK_MAX: Duration = Duration::from_secs(2);
/// How often stopping looks whether all connections are gone.
const STOP_POLL: Duration = Duration::from_millis(10);

/// A running gameserver.
#[derive(Debug)]
pub struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) app: Arc<App>,
    /// `None` while the machine falls asleep.
    listening: Mutex<Option<Listening>>,
}

/// How a gameserver ended.
#[derive(Debug)]
pub struct Stopped {
    /// Rooms that the store did not take in time.
    pub unwritten: Vec<Arc<str>>,
}

impl Stopped {
    /// For the process's exit code.
    ///
    /// # Errors
    /// A sentence when something is lost.
    pub fn result(self) -> anyhow::Result<()> {
        if self.unwritten.is_empty() {
            return Ok(());
        }
        bail!("The store did not take every room before the stop's deadline. {}", lost(&self.unwritten))
    }
}

/// What the loss of these rooms means, and what to look at.
pub(crate) fn lost(rooms: &[Arc<str>]) -> String {
    let names = rooms.join(", ");
    format!("What happened since their last save is lost in: {names}. Look at the disk or bucket that STORE_URL names.")
}

impl Server {
    /// Gets ready for rooms, then listens.
    ///
    /// # Errors
    /// A sentence when the tuning or the clock is wrong, or the store or the address cannot be had.
    pub async fn start(config: Config) -> anyhow::Result<Self> {
        let start = |config: &Config, starter: &Starter| {
            Kind::ALL.into_iter().map(|kind| Ok((kind, kinds::start(kind, config, starter)?))).collect()
        };
        Self::start_kinds(config, kinds::versions(), start).await
    }

    /// Gets ready for rooms with this engine, and no others, then listens. `begin` fails when a save cannot be used.
    ///
    /// # Errors
    /// A sentence when the store or the address cannot be had, or the clock is wrong.
    pub async fn start_with<E: Engine>(
        config: Config,
        begin: impl Fn(Start<'_>) -> anyhow::Result<E> + Send + Sync + 'static,
    ) -> anyhow::Result<Self> {
        let start = |_: &Config, starter: &Starter| Ok([(E::KIND, starter.of(begin)?)].into());
        Self::start_kinds(config, KindVersions::new([(E::KIND, E::versions())]), start).await
    }

    async fn start_kinds(
        config: Config,
        versions: KindVersions,
        start: impl FnOnce(&Config, &Starter) -> anyhow::Result<BTreeMap<Kind, StartThread>>,
    ) -> anyhow::Result<Self> {
        let store = Store::open(&config.store_url)?.with_lease(config.lease);
        let listener = TcpListener::bind(config.bind).await.with_context(|| {
            format!("{} cannot be listened on. Is another server there? PORT= changes it.", config.bind)
        })?;
        let address = listener.local_addr().context("the listener has no address")?;
        open_files::allow_for(config.kinds.connections());

        let metrics = Arc::new(Metrics::new());
        let admission = Arc::new(Admission::new(&config, config.wall_clock.now_s()));
        let (joins, join_requests) = mpsc::channel(JOINS_MAX_COUNT);
        let handshake = Handshake::new(&config, versions, joins, Arc::clone(&admission), Arc::clone(&metrics));
        let workers = (0..WORKERS_COUNT).map(|index| Worker::start(index, handshake.clone()));
        let workers = workers.collect::<anyhow::Result<Arc<[WorkerSender]>>>()?;
        let starter = Starter::new(&config, Arc::clone(&workers), Arc::clone(&metrics));
        let starts = start(&config, &starter)?;
        let (shutdown_sender, shutdown) = watch::channel(Shutdown::Running);
        let machine = Machine {
            instance: config.instance.clone(),
            store: store.clone(),
            metrics: Arc::clone(&metrics),
            workers: Arc::clone(&workers),
            starts,
            shutdown,
        };
        let rooms = Rooms::start(Arc::new(machine), config.kinds.rooms as usize, shutdown_sender, join_requests);
        let app = Arc::new(App::new(config, admission, store, rooms, metrics, workers));
        let ahead_ms = tokio::time::timeout(CLOCK_MAX, app.compare_clocks()).await.ok().flatten().unwrap_or_default();
        if let Some(sentence) = wall_clock::complaint(ahead_ms).filter(|_| ahead_ms.abs() > wall_clock::SKEW_MAX_MS) {
            bail!(sentence);
        }
        tokio::spawn(App::watch_clock(Arc::downgrade(&app)));
        let server = Self { address, app, listening: Mutex::new(None) };
        server.listen(listener).await;
        let config = &server.app.config;
        tracing::info!(%address, instance = config.instance, region = config.region, "the gameserver is up");
        Ok(server)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on a tick of the rooms that are open may cost this; nothing happens when the server was begun without a
    /// budget.
    pub async fn set_tick_budget(&self, budget: Budget) {
        for room in self.app.rooms.list().iter() {
            room.tell(RoomEvent::Budget(budget)).await;
        }
    }

    /// Saves every room, tells everybody, closes every connection and returns when they are gone, or when it has waited
    /// long enough.
    pub async fn stop(self) -> Stopped {
        self.close_listener().await;
        let Self { app, .. } = self;
        app.stop_workers().await;
        let unwritten = app.rooms.stop(ROOMS_STOP_MAX).await;
        let goodbye = async {
            while app.admission.connections() > 0 {
                tokio::time::sleep(STOP_POLL).await;
            }
        };
        if tokio::time::timeout(STOP_MAX, goodbye).await.is_err() {
            tracing::warn!(
                connections = app.admission.connections(),
                "some connections did not answer the close and are cut off"
            );
        }
        tracing::info!("stopped");
        Stopped { unwritten }
    }

    pub(crate) async fn listen(&self, listener: TcpListener) {
        let (router, head_timeout) = (routes::router(Arc::clone(&self.app)), self.app.config.head_timeout);
        let listening = Listening::begin(listener, router, head_timeout, self.app.http_connections.clone());
        *self.listening.lock().await = Some(listening);
    }

    pub(crate) async fn close_listener(&self) {
        if let Some(listening) = self.listening.lock().await.take() {
            listening.close().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::{SinkExt, StreamExt};
    use protocol::{
        close::CloseReason,
        message::{ClientMessage, HOT_BIT, Hello, ServerMessage, Welcome},
        room::{ARENA, Kind},
        token::{Grant, Role},
    };
    use tokio::net::TcpStream;
    use tokio_tungstenite::{
        WebSocketStream, client_async,
        tungstenite::{Message, client::IntoClientRequest},
    };

    async fn start() -> Server {
        start_with_settings(|_| {}).await
    }

    async fn start_with_settings(change: impl FnOnce(&mut Config)) -> Server {
        let config = Config::from_lookup(|name| match name {
            "AERODROME_SECRET" => Some("a secret of enough length".to_owned()),
            "FLY_MACHINE_ID" => Some("m1".to_owned()),
            "BIND" => Some("127.0.0.1".to_owned()),
            "PORT" => Some("0".to_owned()),
            _ => None,
        });
        let mut config = config.unwrap();
        change(&mut config);
        Server::start(config).await.unwrap()
    }

    async fn use_room(socket: &mut WebSocketStream<TcpStream>) {
        // An input packet of no inputs.
        let input = [&[HOT_BIT, 1][..], &[0; 9]].concat();
        socket.send(Message::Binary(input.into())).await.unwrap();
    }

    async fn until(is_so: impl Fn() -> bool) {
        let began = std::time::Instant::now();
        while !is_so() {
            assert!(began.elapsed() < Duration::from_secs(15), "it does not come to pass");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Joins and returns the connection and the room's epoch.
    async fn join(server: &Server, nonce: u64) -> (WebSocketStream<TcpStream>, u32) {
        let (key, now_s) = (&server.app.config.key, server.app.config.wall_clock.now_s());
        let (socket, welcome) =
            say_hello(server, Some(key.sign_ticket(("m1", ARENA), (Grant::Enter, Role::Member), nonce, now_s)), None)
                .await;
        (socket, welcome.epoch)
    }

    async fn say_hello(
        server: &Server,
        ticket: Option<String>,
        resume: Option<String>,
    ) -> (WebSocketStream<TcpStream>, Box<Welcome>) {
        let (key, now_s) = (&server.app.config.key, server.app.config.wall_clock.now_s());
        let path = "/gameserver/m1/arena";
        let mut request = format!("ws://{}{path}", server.address).into_client_request().unwrap();
        let state = format!("state={}", key.sign_replay("m1", path, now_s, 0));
        request.headers_mut().insert("fly-replay-src", state.parse().unwrap());
        let stream = TcpStream::connect(server.address).await.unwrap();
        let (mut socket, _) = client_async(request, stream).await.unwrap();
        let hello = Hello::to(Kind::Arena, kinds::versions().spoken(Kind::Arena), "Ada", 0);
        let hello = ClientMessage::Hello(Hello { ticket, resume, ..hello }).encode();
        socket.send(Message::Binary(hello.into())).await.unwrap();
        let Some(Ok(Message::Binary(bytes))) = socket.next().await else { panic!("a welcome comes first") };
        let Ok(ServerMessage::Welcome(welcome)) = ServerMessage::decode(&bytes) else { panic!("no welcome") };
        (socket, welcome)
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_bug_ends_the_room_and_never_the_process() {
        let server = start().await;
        let (mut socket, epoch) = join(&server, 1).await;
        server.app.rooms.list()[0].events.send(RoomEvent::Fault).unwrap();
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
        assert_ne!(fresh, epoch);
        assert_eq!(server.app.metrics.room_failures.get(), 1);
        server.stop().await;
    }

    /// A player who comes back, and what was welcomed.
    async fn come_back(server: &Server, resume: &str, nonce: u64) -> (WebSocketStream<TcpStream>, Box<Welcome>) {
        let (key, now_s) = (&server.app.config.key, server.app.config.wall_clock.now_s());
        let ticket = Some(key.sign_ticket(("m1", ARENA), (Grant::Enter, Role::Member), nonce, now_s));
        say_hello(server, ticket, Some(resume.to_owned())).await
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_room_that_failed_goes_on_from_its_last_save_unless_that_brings_it_down() {
        let server = start().await;
        let now_s = server.app.config.wall_clock.now_s();
        let ticket = server.app.config.key.sign_ticket(("m1", ARENA), (Grant::Enter, Role::Member), 1, now_s);
        let (mut socket, first) = say_hello(&server, Some(ticket), None).await;
        // Whoever says nothing leaves nothing to go on from.
        use_room(&mut socket).await;
        socket.close(None).await.unwrap();
        let asleep = async {
            while !server.app.rooms.are_all_closed() {
                server.app.rooms.put_to_sleep();
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(5), asleep).await.expect("it is empty and sleeps");
        let mut token = first.resume.clone();
        for (fault, is_same) in [(1, true), (2, true), (3, false)] {
            let (_socket, welcome) = come_back(&server, &token, 1 + fault).await;
            let session = (welcome.resumed, welcome.member);
            assert_eq!(session.0, is_same, "after {} faults", fault - 1);
            assert!(!is_same || session.1 == first.member);
            token = welcome.resume;
            server.app.rooms.list()[0].events.send(RoomEvent::Fault).unwrap();
            let began = std::time::Instant::now();
            while server.app.metrics.room_failures.get() < fault {
                assert!(began.elapsed() < Duration::from_secs(5));
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        assert_eq!(server.app.metrics.saves_unusable.get(), 1, "that save is set aside");
        server.stop().await;
    }

    /// Two kinds of bad luck at once: what was kept is written before the next incarnation begins from it.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_the_store_did_not_take_outlives_a_bug() {
        let directory = std::env::temp_dir().join(format!("aerodrome-bug-{}", std::process::id()));
        let server = start_with_settings(|config| {
            config.store_url = format!("file://{}", directory.display());
            config.save_interval = Duration::from_millis(100);
        });
        let server = server.await;
        let (mut early, _) = join(&server, 1).await;
        use_room(&mut early).await;
        until(|| server.app.metrics.saves.get() > 0).await;
        let (room, away) = (directory.join("rooms/arena-m1"), directory.join("away"));
        std::fs::rename(&room, &away).unwrap();
        std::fs::write(&room, "not a directory").unwrap();
        let ticket = server.app.config.key.sign_ticket(
            ("m1", ARENA),
            (Grant::Enter, Role::Member),
            2,
            server.app.config.wall_clock.now_s(),
        );
        let (_late, welcome) = say_hello(&server, Some(ticket), None).await;
        let is_unwritable = || server.app.rooms.are_all_unwritable();
        until(is_unwritable).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        server.app.rooms.list()[0].events.send(RoomEvent::Fault).unwrap();
        until(|| server.app.metrics.room_failures.get() == 1).await;
        std::fs::remove_file(&room).unwrap();
        std::fs::rename(&away, &room).unwrap();
        until(|| !is_unwritable()).await;
        let (_socket, back) = come_back(&server, &welcome.resume, 3).await;
        assert_eq!((back.resumed, back.member), (true, welcome.member), "whom the store had never heard of");
        assert!(back.epoch > welcome.epoch);
        assert!(server.stop().await.unwritten.is_empty());
        std::fs::remove_dir_all(directory).unwrap();
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
