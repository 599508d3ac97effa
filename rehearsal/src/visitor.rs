//! Somebody for tests of the fleet, in a room of any kind: joins through the lobby, plays, and reconnects as a page does.
//!
//! Path: [`Visitor::join`] asks the lobby for a grant → socket → hello → [`Visitor::stay`] for a while, which returns a
//! [`SocketState`] → [`Visitor::rejoin`] asks the lobby for the same room and shows the resume token.
//! Invariant: every wait has an end.
//! Never: a kind of room; that is [`Player`]'s.

use crate::cluster::Cluster;
use anyhow::{Context, ensure};
use futures_util::{SinkExt, StreamExt};
use protocol::{DecodeError, close::CloseReason, limits::FRAME_MAX_BYTES};
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use session::SessionEvent;
use std::{
    error, fmt,
    time::{Duration, Instant},
};
use tokio::{
    io::AsyncWriteExt,
    net::TcpStream,
    time::{interval, sleep, timeout},
};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{Message, protocol::WebSocketConfig},
};

/// Longest until a socket is open, a sleeping machine included.
const CONNECT_MAX_MS: u64 = 20_000;
/// Longest until a welcome.
const WELCOME_MAX_MS: u64 = 10_000;
/// How often somebody looks whether something is to be sent.
const SEND_INTERVAL_MS: u64 = 15;
/// Pause between two tries to come back, and how long all of them may take.
const RETRY_MS: u64 = 250;
const REJOIN_MAX_MS: u64 = 60_000;

/// An open connection to a room.
pub type Socket = WebSocketStream<TcpStream>;

/// The lobby's permission to join a room.
#[derive(Debug, Clone, Deserialize)]
pub struct JoinGrant {
    /// Of page and socket.
    pub path: String,
    /// For the hello.
    pub ticket: String,
    /// The machine.
    pub instance: String,
    /// Its region.
    pub region: String,
    /// The room's name there.
    pub room: String,
    /// That the room was made for whoever joins.
    pub host: Option<String>,
}

/// Why the lobby refused a join.
#[derive(Debug, Clone)]
pub struct JoinRefused {
    /// Of the answer.
    pub status: StatusCode,
    /// For programs.
    pub code: String,
    /// For people.
    pub sentence: String,
}

impl fmt::Display for JoinRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}", self.status, self.code, self.sentence)
    }
}

impl error::Error for JoinRefused {}

/// What became of a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SocketState {
    /// It has not: the time was up.
    Open,
    /// The room said why.
    Closed(CloseReason),
    /// It broke without a word.
    Broken,
}

/// What is a kind's own of somebody: the client of its rooms, and what it does there.
pub trait Player: Default + fmt::Debug + Send {
    /// The first message of a new socket.
    fn hello(&mut self, name: &str, ticket: String) -> Vec<u8>;
    /// A message arrived.
    ///
    /// # Errors
    /// [`DecodeError`]: a bug.
    fn receive(&mut self, bytes: &[u8], now_ms: f64) -> Result<(), DecodeError>;
    /// Does what it would do by now.
    fn act(&mut self, now_ms: f64);
    /// The next message to send, if one is due.
    fn poll_send(&mut self, now_ms: f64) -> Option<Vec<u8>>;
    /// The next thing that the session tells.
    fn poll_event(&mut self) -> Option<SessionEvent>;
    /// Whether the room has let it in on this socket.
    fn is_welcomed(&self) -> bool;
    /// Wants to leave for good.
    fn leave(&mut self);
}

/// See the module.
#[derive(Debug)]
pub struct Visitor<P> {
    name: String,
    /// The newest grant: where it is.
    pub grant: JoinGrant,
    pub(crate) player: P,
    socket: Socket,
    clock: Instant,
    /// Whether the newest welcome continued a session.
    pub was_resumed: bool,
}

/// Asks the lobby for a grant.
///
/// # Errors
/// When the lobby does not answer; what it refuses is no error of this call.
pub async fn request_join(cluster: &Cluster, request: &Value) -> anyhow::Result<Result<JoinGrant, JoinRefused>> {
    let (status, text) = cluster.request(Method::POST, "/api/join", Some(request)).await?;
    let answer: Value = serde_json::from_str(&text).with_context(|| format!("the lobby said {status}: {text}"))?;
    if status.is_success() {
        return Ok(Ok(serde_json::from_value(answer)?));
    }
    let word = |name: &str| answer["error"][name].as_str().unwrap_or_default().to_owned();
    Ok(Err(JoinRefused { status, code: word("code"), sentence: word("message") }))
}

impl<P: Player> Visitor<P> {
    /// Joins as this request says: `{"region": ..}`, `{"instance": .., "room": ..}` and so on.
    ///
    /// # Errors
    /// A sentence: what the lobby refused, or where joining failed.
    pub async fn join(cluster: &Cluster, name: &str, request: &Value) -> anyhow::Result<Self> {
        Self::join_with(cluster, name, request_join(cluster, request).await??).await
    }

    /// Joins with a grant.
    ///
    /// # Errors
    /// As [`Visitor::join`].
    pub async fn join_with(cluster: &Cluster, name: &str, grant: JoinGrant) -> anyhow::Result<Self> {
        let socket = connect(cluster, &grant.path).await?;
        let (name, player, clock) = (name.to_owned(), P::default(), Instant::now());
        let mut visitor = Self { name, grant, player, socket, clock, was_resumed: false };
        visitor.say_hello().await?;
        Ok(visitor)
    }

    /// Goes back through the lobby until it is in its room again, wherever that is now.
    ///
    /// # Errors
    /// The last thing that went wrong, when [`REJOIN_MAX_MS`] are over.
    pub async fn rejoin(&mut self, cluster: &Cluster) -> anyhow::Result<Duration> {
        let began = Instant::now();
        loop {
            let Err(error) = self.try_rejoin(cluster).await else { return Ok(began.elapsed()) };
            ensure!(
                began.elapsed() < Duration::from_millis(REJOIN_MAX_MS),
                "{} did not come back: {error:#}",
                self.name
            );
            sleep(Duration::from_millis(RETRY_MS)).await;
        }
    }

    async fn try_rejoin(&mut self, cluster: &Cluster) -> anyhow::Result<()> {
        let request = json!({ "instance": self.grant.instance, "room": self.grant.room });
        self.grant = request_join(cluster, &request).await??;
        self.socket = connect(cluster, &self.grant.path).await?;
        self.say_hello().await
    }

    async fn say_hello(&mut self) -> anyhow::Result<()> {
        let hello = self.player.hello(&self.name, self.grant.ticket.clone());
        self.socket.send(Message::Binary(hello.into())).await?;
        let give_up = Instant::now() + Duration::from_millis(WELCOME_MAX_MS);
        while !self.player.is_welcomed() {
            let ending = self.stay(Duration::from_millis(SEND_INTERVAL_MS)).await?;
            ensure!(ending == SocketState::Open, "{} was not let in: {ending:?}", self.name);
            ensure!(Instant::now() < give_up, "{} got no welcome", self.name);
        }
        Ok(())
    }

    /// Plays for this long, or until the socket ends.
    ///
    /// # Errors
    /// When a message cannot be read: a bug.
    pub async fn stay(&mut self, time: Duration) -> anyhow::Result<SocketState> {
        let end = tokio::time::Instant::now() + time;
        let mut timer = interval(Duration::from_millis(SEND_INTERVAL_MS));
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(end) => return Ok(SocketState::Open),
                item = self.socket.next() => match item {
                    Some(Ok(Message::Binary(bytes))) => {
                        let now_ms = self.now_ms();
                        self.player.receive(&bytes, now_ms)?;
                        if let Some(ending) = self.handle_events() {
                            return Ok(ending);
                        }
                    }
                    Some(Ok(Message::Close(frame))) => {
                        let reason = frame.and_then(|frame| CloseReason::from_code(frame.code.into()));
                        return Ok(reason.map_or(SocketState::Broken, SocketState::Closed));
                    }
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => return Ok(SocketState::Broken),
                },
                _ = timer.tick() => {
                    let now_ms = self.now_ms();
                    self.player.act(now_ms);
                    while let Some(bytes) = self.player.poll_send(now_ms) {
                        if self.socket.send(Message::Binary(bytes.into())).await.is_err() {
                            return Ok(SocketState::Broken);
                        }
                    }
                }
            }
        }
    }

    fn handle_events(&mut self) -> Option<SocketState> {
        while let Some(event) = self.player.poll_event() {
            match event {
                SessionEvent::Welcomed { resumed, .. } => self.was_resumed = resumed,
                SessionEvent::Ended { reason, .. } => {
                    return Some(reason.map_or(SocketState::Broken, SocketState::Closed));
                }
                _ => {}
            }
        }
        None
    }

    /// The line breaks, and nobody says a word.
    pub async fn cut(&mut self) {
        // It may be broken already.
        let _ = self.socket.get_mut().shutdown().await;
    }

    /// Leaves for good.
    pub async fn leave(mut self) {
        self.player.leave();
        let now_ms = self.now_ms();
        while let Some(bytes) = self.player.poll_send(now_ms) {
            let _ = self.socket.send(Message::Binary(bytes.into())).await;
        }
        let _ = timeout(Duration::from_secs(1), self.socket.close(None)).await;
    }

    fn now_ms(&self) -> f64 {
        self.clock.elapsed().as_secs_f64() * 1000.0
    }
}

/// Opens a socket on this path of the edge.
///
/// # Errors
/// When it does not open, or not in time.
pub async fn connect(cluster: &Cluster, path: &str) -> anyhow::Result<Socket> {
    let url = format!("ws://{}{path}", cluster.edge());
    let limits = WebSocketConfig::default().max_message_size(Some(FRAME_MAX_BYTES));
    let opening = async {
        let tcp = TcpStream::connect(cluster.edge()).await?;
        tcp.set_nodelay(true)?;
        let (socket, _) = client_async_with_config(url, tcp, Some(limits)).await?;
        anyhow::Ok(socket)
    };
    timeout(Duration::from_millis(CONNECT_MAX_MS), opening).await.context("no socket in time")?
}
