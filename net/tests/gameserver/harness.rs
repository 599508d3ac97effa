//! A gameserver in this process, and players that behave as well or as badly as a test wants.

use arena::Client;
use futures_util::{SinkExt, StreamExt};
use net::{Config, Server, Start};
use protocol::{
    close::CloseReason,
    message::ServerMessage,
    room::Kind,
    token::{Grant, Key, Role},
};
use session::Engine;
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Error, Message, client::IntoClientRequest},
};

pub(crate) const SECRET: &str = "a secret of enough length";
pub(crate) const INSTANCE: &str = "148e21ea7d3889";
/// Every kind's own.
pub(crate) const PUBLIC_ROOMS: u32 = Kind::ALL.len() as u32;
/// No single wait of a test is longer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// A running gameserver and the lobby's key.
pub(crate) struct Gameserver {
    pub(crate) server: Server,
    pub(crate) key: Key,
    pub(crate) instance: String,
}

/// A directory that several gameservers keep their rooms in; gone with the test.
pub(crate) struct StoreDirectory(pub(crate) PathBuf);

impl StoreDirectory {
    pub(crate) fn new() -> Self {
        Self(std::env::temp_dir().join(format!("aerodrome-{}-{:x}", std::process::id(), nonce())))
    }

    /// A gameserver that keeps its rooms here.
    pub(crate) async fn serve(&self, instance: &str, change: impl FnOnce(&mut Config)) -> Gameserver {
        let mut config = self.config(instance);
        change(&mut config);
        Gameserver::try_start(config).await.unwrap()
    }

    /// The configuration of such a gameserver.
    pub(crate) fn config(&self, instance: &str) -> Config {
        let mut config = usual_config();
        (config.instance, config.store_url) = (instance.to_owned(), format!("file://{}", self.0.display()));
        config
    }

    /// An object of a room.
    pub(crate) fn object(&self, room: &str, name: &str) -> PathBuf {
        self.0.join("rooms").join(room).join(name)
    }

    /// From now on nothing of a room can be read or written, as on a disk that is broken or full.
    pub(crate) fn spoil(&self, room: &str) {
        let directory = self.0.join("rooms").join(room);
        std::fs::rename(&directory, self.0.join(room)).unwrap();
        std::fs::write(directory, "not a directory").unwrap();
    }

    /// The end of that.
    pub(crate) fn repair(&self, room: &str) {
        let directory = self.0.join("rooms").join(room);
        std::fs::remove_file(&directory).unwrap();
        std::fs::rename(self.0.join(room), directory).unwrap();
    }

    pub(crate) fn owner(&self, room: &str) -> serde_json::Value {
        serde_json::from_slice(&std::fs::read(self.object(room, "owner")).unwrap()).unwrap()
    }

    /// Waits until a room that is played in was saved for the first time.
    pub(crate) async fn wait_for(&self, room: &str) {
        let began = Instant::now();
        while !self.object(room, "snapshot").exists() {
            assert!(began.elapsed() < PATIENCE, "{room} is not saved");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The names of everything that is kept here.
    pub(crate) fn files(&self) -> Vec<String> {
        fn below(folder: &Path) -> Vec<String> {
            let entries = std::fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path());
            let names = |path: PathBuf| if path.is_dir() { below(&path) } else { vec![path.display().to_string()] };
            entries.flat_map(names).collect()
        }
        below(&self.0)
    }
}

impl Drop for StoreDirectory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What a socket brought next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Received {
    Message(Vec<u8>),
    /// A close frame with its code.
    Closed(u16),
    /// The connection ended without one.
    Gone,
}

/// What a gameserver here needs to be told.
pub(crate) fn config() -> Config {
    let config = Config::from_lookup(|name| match name {
        "AERODROME_SECRET" => Some(SECRET.to_owned()),
        "FLY_MACHINE_ID" => Some(INSTANCE.to_owned()),
        "FLY_REGION" => Some("ewr".to_owned()),
        "BIND" => Some("127.0.0.1".to_owned()),
        "PORT" => Some("0".to_owned()),
        _ => None,
    });
    config.unwrap()
}

/// The same, with a frame every tick, whatever it costs: frames are counted here, also on a busy machine.
fn usual_config() -> Config {
    let mut config = config();
    (config.kinds[Kind::Arena].beat_ticks, config.has_governor) = (1, false);
    config
}

impl Gameserver {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub(crate) async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = usual_config();
        change(&mut config);
        Self::try_start(config).await.unwrap()
    }

    /// With rooms of this engine.
    pub(crate) async fn start_engine<E: Engine>(
        config: Config,
        begin: impl Fn(Start<'_>) -> anyhow::Result<E> + Send + Sync + 'static,
    ) -> Self {
        let (key, instance) = (config.key.clone(), config.instance.clone());
        Self { server: Server::start_with(config, begin).await.unwrap(), key, instance }
    }

    /// By a configuration of the caller's.
    pub(crate) async fn try_start(config: Config) -> anyhow::Result<Self> {
        let (key, instance) = (config.key.clone(), config.instance.clone());
        Ok(Self { server: Server::start(config).await?, key, instance })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.server.address()
    }

    pub(crate) fn ticket(&self) -> String {
        self.ticket_for("arena")
    }

    /// A ticket that also opens a room of a new name.
    pub(crate) fn ticket_for(&self, room: &str) -> String {
        self.ticket_granting(room, Grant::Open)
    }

    pub(crate) fn ticket_granting(&self, room: &str, grant: Grant) -> String {
        self.ticket_as(room, grant, Role::Member)
    }

    pub(crate) fn ticket_as(&self, room: &str, grant: Grant, role: Role) -> String {
        self.key.sign_ticket((&self.instance, room), (grant, role), nonce(), now_s())
    }

    /// The header a replay by the lobby brings.
    pub(crate) fn replay_source(&self, path: &str) -> String {
        replay_source(&self.key, &self.instance, path)
    }

    /// A socket to the arena that has not said anything.
    pub(crate) async fn open(&self) -> Socket {
        self.open_from(None).await
    }

    /// The same, with the smallest receive buffer the kernel gives.
    pub(crate) async fn open_with_receive_buffer(&self, bytes: u32) -> Socket {
        self.open_from(Some(bytes)).await
    }

    async fn open_from(&self, receive_buffer_bytes: Option<u32>) -> Socket {
        self.upgrade("arena", &[], receive_buffer_bytes).await.unwrap()
    }

    /// An upgrade with any headers.
    pub(crate) async fn upgrade(
        &self,
        name: &str,
        headers: &[(&'static str, &str)],
        receive_buffer_bytes: Option<u32>,
    ) -> Result<Socket, Error> {
        upgrade(self.address(), (&self.key, &self.instance), name, headers, receive_buffer_bytes).await
    }

    /// A player who was let in.
    pub(crate) async fn join(&self, name: &str) -> Player {
        let mut player = Player::on(self.open().await, Client::new());
        player.say_hello(name, Some(self.ticket()), None).await;
        player.wait_for_welcome().await;
        player
    }

    /// Says hello to a room; a player who was let in, or the close code.
    pub(crate) async fn try_join(&self, room: &str, mut client: Client, ticket: Option<String>) -> Result<Player, u16> {
        let token = client.resume_token().map(str::to_owned);
        let hello = client.hello("Ada", 3, ticket, token);
        let mut player = Player::on(self.upgrade(room, &[], None).await.expect("the upgrade is granted"), client);
        player.socket.send(hello).await;
        player.wait_for_welcome_or_close().await.map_or(Ok(player), Err)
    }

    /// Somebody new who comes with such a ticket, or the close code.
    pub(crate) async fn join_with(&self, room: &str, grant: Grant) -> Result<Player, u16> {
        self.try_join(room, Client::new(), Some(self.ticket_granting(room, grant))).await
    }

    /// Somebody new in a room.
    pub(crate) async fn join_room(&self, room: &str) -> Result<Player, u16> {
        self.try_join(room, Client::new(), Some(self.ticket_for(room))).await
    }

    /// One HTTP request; status, head and body of the answer.
    pub(crate) async fn get(&self, path: &str, headers: &str) -> (u16, String, String) {
        let mut stream = TcpStream::connect(self.address()).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n{headers}\r\n", self.address());
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        timeout(PATIENCE, stream.read_to_end(&mut answer)).await.unwrap().unwrap();
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, head.to_owned(), body.to_owned())
    }

    /// A request as the lobby replays it.
    pub(crate) async fn get_replayed(&self, path: &str) -> (u16, String, String) {
        self.get(path, &format!("fly-replay-src: {}\r\n", self.replay_source(path))).await
    }

    /// The value of a metric, 0 when it is not there.
    pub(crate) async fn metric(&self, name: &str) -> f64 {
        let (_, _, text) = self.get("/metrics", "").await;
        let names = [format!("gameserver_{name} "), format!("gameserver_{name}{{kind=\"arena\"}} ")];
        let line = text.lines().find_map(|line| names.iter().find_map(|name| line.strip_prefix(name)));
        line.map_or(0.0, |value| value.trim().parse().unwrap())
    }

    /// The room's clock, and the ticks it had to leave out because the machine was too busy.
    pub(crate) async fn ticks(&self) -> (f64, f64) {
        let (_, _, body) = self.get_replayed(&format!("/gameserver/{}/status", self.instance)).await;
        let status: serde_json::Value = serde_json::from_str(&body).unwrap();
        (status["rooms"][0]["tick"].as_f64().unwrap(), self.metric("ticks_dropped_total").await)
    }

    /// Waits until a metric is at least this.
    pub(crate) async fn wait_for_metric(&self, name: &str, at_least: f64) {
        let began = Instant::now();
        while self.metric(name).await < at_least {
            assert!(began.elapsed() < PATIENCE, "{name} stayed below {at_least}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

fn replay_source(key: &Key, instance: &str, path: &str) -> String {
    format!("instance=lobby1;region=ewr;t=1;state={}", key.sign_replay(instance, path, now_s(), 0))
}

/// An upgrade at the address of any gameserver.
async fn upgrade(
    address: SocketAddr,
    (key, instance): (&Key, &str),
    name: &str,
    headers: &[(&'static str, &str)],
    receive_buffer_bytes: Option<u32>,
) -> Result<Socket, Error> {
    let path = format!("/gameserver/{instance}/{name}");
    let mut request = format!("ws://{address}{path}").into_client_request().unwrap();
    request.headers_mut().insert("fly-replay-src", replay_source(key, instance, &path).parse().unwrap());
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    let socket = TcpSocket::new_v4().unwrap();
    if let Some(bytes) = receive_buffer_bytes {
        socket.set_recv_buffer_size(bytes).unwrap();
    }
    let stream = socket.connect(address).await?;
    stream.set_nodelay(true)?;
    let (stream, _) = client_async(request, stream).await?;
    Ok(Socket { stream })
}

/// Somebody new in a room of a gameserver that is a process of its own.
pub(crate) async fn join_process(port: u16, room: &str) -> Player {
    let (key, address) = (Key::new(SECRET).unwrap(), SocketAddr::from(([127, 0, 0, 1], port)));
    let mut player = Player::on(upgrade(address, (&key, INSTANCE), room, &[], None).await.unwrap(), Client::new());
    player
        .say_hello("Ada", Some(key.sign_ticket((INSTANCE, room), (Grant::Open, Role::Member), nonce(), now_s())), None)
        .await;
    player.wait_for_welcome().await;
    player
}

/// A raw WebSocket.
pub(crate) struct Socket {
    stream: WebSocketStream<TcpStream>,
}

impl Socket {
    pub(crate) async fn send(&mut self, bytes: Vec<u8>) {
        let _ = timeout(PATIENCE, self.stream.send(Message::Binary(bytes.into()))).await.unwrap();
    }

    pub(crate) async fn send_text(&mut self, text: &str) {
        let _ = timeout(PATIENCE, self.stream.send(Message::text(text))).await.unwrap();
    }

    pub(crate) async fn hear(&mut self) -> Received {
        loop {
            match timeout(PATIENCE, self.stream.next()).await.expect("something is heard in time") {
                Some(Ok(Message::Binary(bytes))) => return Received::Message(bytes.to_vec()),
                Some(Ok(Message::Close(Some(frame)))) => return Received::Closed(frame.code.into()),
                Some(Ok(Message::Close(None)) | Err(_)) | None => return Received::Gone,
                Some(Ok(Message::Text(text))) => return Received::Message(text.as_bytes().to_vec()),
                Some(Ok(_)) => {}
            }
        }
    }

    /// The code this socket is closed with, and the control messages that came before.
    pub(crate) async fn hear_close(&mut self) -> (u16, Vec<ServerMessage>) {
        let mut messages = Vec::new();
        loop {
            match self.hear().await {
                Received::Message(bytes) => messages.extend(ServerMessage::decode(&bytes).ok()),
                Received::Closed(code) => return (code, messages),
                Received::Gone => panic!("the connection ended without a close frame"),
            }
        }
    }
}

/// A page that behaves: it reads, acknowledges and steers.
pub(crate) struct Player {
    pub(crate) socket: Socket,
    pub(crate) client: Client,
    began: Instant,
    pub(crate) frames: usize,
}

impl Player {
    pub(crate) fn on(socket: Socket, client: Client) -> Self {
        Self { socket, client, began: Instant::now(), frames: 0 }
    }

    pub(crate) async fn say_hello(&mut self, name: &str, ticket: Option<String>, resume: Option<String>) {
        let hello = self.client.hello(name, 3, ticket, resume);
        self.socket.send(hello).await;
    }

    pub(crate) async fn wait_for_welcome(&mut self) {
        while !self.client.is_welcomed() {
            let Received::Message(bytes) = self.socket.hear().await else {
                panic!("the socket ended before the welcome")
            };
            self.take(&bytes).await;
        }
    }

    /// The close code, if one comes before the welcome.
    pub(crate) async fn wait_for_welcome_or_close(&mut self) -> Option<u16> {
        while !self.client.is_welcomed() {
            match self.socket.hear().await {
                Received::Message(bytes) => self.take(&bytes).await,
                Received::Closed(code) => return Some(code),
                Received::Gone => panic!("the connection ended without a close frame"),
            }
        }
        None
    }

    /// Plays on until the socket is closed: its code, and the control messages until then.
    pub(crate) async fn play_until_closed(&mut self) -> (u16, Vec<ServerMessage>) {
        let mut messages = Vec::new();
        loop {
            match self.socket.hear().await {
                Received::Message(bytes) => {
                    messages.extend(ServerMessage::decode(&bytes).ok());
                    self.take(&bytes).await;
                }
                Received::Closed(code) => return (code, messages),
                Received::Gone => panic!("the connection ended without a close frame"),
            }
        }
    }

    /// Plays for this long; panics if the socket ends.
    pub(crate) async fn play(&mut self, time: Duration) {
        let end = Instant::now() + time;
        while let Ok(heard) = tokio::time::timeout_at(end.into(), self.socket.hear()).await {
            let Received::Message(bytes) = heard else { panic!("the player lost the socket: {heard:?}") };
            self.take(&bytes).await;
        }
    }

    pub(crate) async fn take(&mut self, bytes: &[u8]) {
        let now_ms = self.began.elapsed().as_secs_f64() * 1000.0;
        self.client.receive(bytes, now_ms).expect("what the server sends is understood");
        self.frames += usize::from(bytes[0] & protocol::message::HOT_BIT != 0);
        while let Some(message) = self.client.poll_send(now_ms) {
            self.socket.send(message).await;
        }
    }
}

/// Different each time.
fn nonce() -> u64 {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
    (now << 12).wrapping_add(COUNT.fetch_add(1, Ordering::Relaxed))
}

pub(crate) fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// What a connection to an arena is told that is not let in.
pub(crate) fn refused(reason: CloseReason) -> ServerMessage {
    ServerMessage::refused(reason, Kind::Arena, arena::wire::version())
}
