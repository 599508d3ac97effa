//! The whole gameserver as one value: started, and stopped so that everybody is told.
//!
//! Path: [`Server::start`] begins the writer workers, the room's thread and the accept loop; [`Server::stop`] ends them
//! in the opposite order.
//! Invariants: accepted sockets have `TCP_NODELAY` (merged ticks are useless) and a small send buffer (what lies in the
//! kernel is old when it arrives); stopping takes at most [`STOP_MAX_MS`], whatever sockets do.

use crate::{
    admission::Admission,
    config::Config,
    metrics::Metrics,
    room_handle::{Event, RoomHandle, SocketId},
    routes,
    tick::{TickThread, epoch_now},
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
use sync::RoomConfig;
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
    /// Begins the room, then listens.
    ///
    /// # Errors
    /// A sentence when the tuning is wrong or the address cannot be had.
    pub async fn start(config: Config) -> anyhow::Result<Self> {
        let epoch = epoch_now();
        let room = RoomConfig::new(ARENA, config.key.clone(), epoch, u64::from(epoch), &config.tuning_ron)
            .map_err(|sentence| anyhow::anyhow!("The tuning cannot be used: {sentence}"))?;
        let listener = TcpListener::bind(config.bind)
            .await
            .with_context(|| format!("{} cannot be listened on. Is another server there? PORT= changes it.", config.bind))?;
        let address = listener.local_addr().context("the listener has no address")?;

        let metrics = Arc::new(Metrics::new());
        let writers = Writers::start(&metrics);
        let (arena, events) = RoomHandle::new(ARENA, room.max_players);
        let ticking = TickThread::new(room, events, writers.clone(), Arc::clone(&arena.facts), Arc::clone(&metrics));
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
        let admission = Arc::new(Admission::new(config.key.clone(), config.instance.clone()));
        let next_socket = AtomicU64::new(1);
        let app = Arc::new(App { config, admission, arena, writers, metrics, stopping, next_socket });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&app)));
        tracing::info!(%address, instance = app.config.instance, region = app.config.region, epoch, "the gameserver is up");
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
