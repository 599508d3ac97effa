//! A stand-in for lobby and gameserver around a real room of each kind, on a port of its own.
//!
//! Path: axum answers the board, joins and sockets; a task owns each room, ticks it at its rate, and gives each socket its
//! messages and frames through a small channel. Tickets and replay states are verified as the real ones do.

use axum::{
    Json, Router,
    extract::{
        ConnectInfo, Path, State, WebSocketUpgrade,
        ws::{CloseFrame, Message, WebSocket},
    },
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use protocol::{
    close::CloseReason,
    message::{ClientMessage, Hello, Packet, ServerMessage},
    room::Kind,
    token::{Grant, Key, Role},
};
use serde_json::json;
use session::{
    ConnectionId, Engine, Output,
    sim::{self, Outbox},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::{
    net::TcpListener,
    sync::mpsc,
    time::{MissedTickBehavior, interval, sleep, timeout},
};

pub(crate) const SECRET: &str = "a secret of enough length";
pub(crate) const INSTANCE: &str = "148e21ea7d3889";
/// Between two looks at what is waited for.
const LOOK: Duration = Duration::from_millis(15);
/// Messages a socket may have waiting; frames only go into an empty channel.
const WAITING_MAX_COUNT: usize = 32;
/// Joins that a busy lobby refuses first.
const REFUSED_FIRST_COUNT: u64 = 2;

/// How the lobby answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LobbyMode {
    Normal,
    /// Asks the first ones to come back in a second.
    Busy,
    /// Knows no such region.
    Refusing,
}

/// What a socket's task tells the room's.
enum Input {
    Join(Hello, mpsc::Sender<Message>, tokio::sync::oneshot::Sender<ConnectionId>),
    Packet(ConnectionId, Vec<u8>),
    Gone(ConnectionId),
    CutOne,
}

struct Shared {
    key: Key,
    mode: LobbyMode,
    join_bodies: Mutex<Vec<String>>,
    joins: AtomicU64,
    goodbyes: AtomicU32,
    /// Where sockets came from.
    addresses: Mutex<BTreeSet<IpAddr>>,
    rooms: BTreeMap<Kind, RoomHandle>,
}

/// The way to the task that owns a room.
struct RoomHandle {
    inputs: mpsc::UnboundedSender<Input>,
    members: AtomicU32,
}

/// The stand-in, until it is dropped with its runtime.
pub(crate) struct StandIn {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl StandIn {
    pub(crate) async fn start(mode: LobbyMode) -> Self {
        let key = Key::new(SECRET).unwrap();
        let (arena, arena_inputs) = RoomHandle::new();
        let (lounge, lounge_inputs) = RoomHandle::new();
        let shared = Arc::new(Shared {
            key: key.clone(),
            mode,
            join_bodies: Mutex::default(),
            joins: AtomicU64::new(0),
            goodbyes: AtomicU32::new(0),
            addresses: Mutex::default(),
            rooms: BTreeMap::from([(Kind::Arena, arena), (Kind::Lounge, lounge)]),
        });
        tokio::spawn(run_room(arena_room(key.clone()), arena_inputs, Arc::clone(&shared)));
        tokio::spawn(run_room(lounge_room(key), lounge_inputs, Arc::clone(&shared)));
        let router = Router::new()
            .route("/healthz", get(|| async { "ok" }))
            .route("/api/regions", get(regions))
            .route("/api/join", post(join))
            .route(&format!("/gameserver/{INSTANCE}/{{room}}"), get(room))
            .with_state(Arc::clone(&shared));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(async move { axum::serve(listener, service).await });
        Self { address, shared }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Players who left for good, once nobody has a socket any more.
    pub(crate) async fn goodbyes(&self) -> u32 {
        self.wait_until(|players| players == 0).await;
        self.shared.goodbyes.load(Relaxed)
    }

    /// The bodies of all joins so far.
    pub(crate) fn join_bodies(&self) -> Vec<String> {
        self.shared.join_bodies.lock().unwrap().clone()
    }

    pub(crate) async fn wait_for_players(&self, count: u32) {
        self.wait_until(|players| players >= count).await;
    }

    /// Where sockets came from so far.
    pub(crate) fn addresses(&self) -> Vec<String> {
        self.shared.addresses.lock().unwrap().iter().map(IpAddr::to_string).collect()
    }

    /// `is_so` of the sessions with a socket, as of the last ticks.
    async fn wait_until(&self, is_so: impl Fn(u32) -> bool) {
        let members = || self.shared.rooms.values().map(|room| room.members.load(Relaxed)).sum();
        let wait = async {
            while !is_so(members()) {
                sleep(LOOK).await;
            }
        };
        timeout(Duration::from_secs(20), wait).await.expect("they come and go");
    }

    /// One player's socket ends without a word.
    pub(crate) fn cut_one(&self) {
        self.shared.rooms[&Kind::Arena].inputs.send(Input::CutOne).ok().unwrap();
    }
}

impl RoomHandle {
    fn new() -> (Self, mpsc::UnboundedReceiver<Input>) {
        let (inputs, receiver) = mpsc::unbounded_channel();
        (Self { inputs, members: AtomicU32::new(0) }, receiver)
    }
}

fn arena_room(key: Key) -> arena::Room {
    arena::Room::new(arena::RoomConfig {
        name: "arena".into(),
        key,
        epoch: 1,
        seed: 7,
        rules: game::rules::Rules::default(),
        fillers: 20,
        max_players: 200,
        max_readers: 0,
        silence_max_ms: 10_000,
        begins_s: 0,
        cadence_ticks: 1,
    })
}

fn lounge_room(key: Key) -> lounge::Room {
    lounge::Room::new(lounge::RoomConfig {
        name: "lounge".into(),
        key,
        epoch: 1,
        max_members: 1000,
        max_readers: 0,
        beat_ticks: 4,
        idle_ms: 5_000,
        silence_max_ms: 60_000,
        begins_s: 0,
    })
}

async fn regions() -> Json<serde_json::Value> {
    let row = |region: &str, status: &str| {
        let kinds: BTreeMap<_, _> = Kind::ALL.map(|kind| (kind.word(), json!({ "status": status }))).into();
        json!({ "region": region, "status": status, "players": 0, "kinds": kinds })
    };
    Json(json!({ "you": { "region": null }, "regions": [row("ewr", "full"), row("cdg", "up")] }))
}

async fn join(State(shared): State<Arc<Shared>>, body: String) -> Response {
    let wanted: serde_json::Value = serde_json::from_str(&body).unwrap();
    let room = wanted["kind"].as_str().unwrap().to_owned();
    shared.join_bodies.lock().unwrap().push(body);
    let nonce = shared.joins.fetch_add(1, Relaxed);
    let refuse = |status: StatusCode, message: &str| {
        let body = json!({ "error": { "code": "some_code", "message": message } });
        (status, [("retry-after", "1")], Json(body)).into_response()
    };
    match shared.mode {
        LobbyMode::Busy if nonce < REFUSED_FIRST_COUNT => {
            refuse(StatusCode::TOO_MANY_REQUESTS, "Too many joins came from your network just now.")
        }
        LobbyMode::Refusing => refuse(StatusCode::NOT_FOUND, "There is no region \"xyz\"."),
        LobbyMode::Normal | LobbyMode::Busy => {
            let ticket = shared.key.sign_ticket((INSTANCE, &room), (Grant::Enter, Role::Member), nonce, now_s());
            let path = format!("/gameserver/{INSTANCE}/{room}");
            Json(json!({ "path": path, "ticket": ticket, "instance": INSTANCE, "region": "cdg", "room": room }))
                .into_response()
        }
    }
}

/// What comes without a lobby in front must bring a signed state, as at a gameserver.
async fn room(
    State(shared): State<Arc<Shared>>,
    Path(room): Path<String>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    let Some(kind) = Kind::from_word(&room) else { return StatusCode::NOT_FOUND.into_response() };
    if let Some(source) = headers.get("fly-replay-src") {
        let fields = source.to_str().unwrap();
        let state = fields.split(';').find_map(|field| field.strip_prefix("state=")).unwrap();
        if shared.key.verify_replay(state, INSTANCE, &format!("/gameserver/{INSTANCE}/{room}"), now_s()) != Ok(0) {
            return StatusCode::FORBIDDEN.into_response();
        }
    } else if shared.joins.load(Relaxed) == 0 {
        return StatusCode::FORBIDDEN.into_response();
    }
    shared.addresses.lock().unwrap().insert(peer.ip());
    upgrade.on_upgrade(move |socket| async move {
        let _ = serve(socket, kind, shared).await;
    })
}

/// One player's socket.
async fn serve(mut socket: WebSocket, kind: Kind, shared: Arc<Shared>) -> Option<()> {
    let Some(Ok(Message::Binary(first))) = socket.recv().await else { return None };
    let Ok(ClientMessage::Hello(hello)) = ClientMessage::decode(&first) else { return None };
    let ticket = hello.ticket.as_deref().unwrap_or_default();
    if hello.kind != kind.number() || shared.key.verify_ticket(ticket, INSTANCE, kind.word(), now_s()).is_err() {
        let refusal = ServerMessage::refused(CloseReason::BadTicket, kind, hello.kind_version).encode();
        return socket.send(Message::Binary(refusal.into())).await.ok();
    }
    let (sender, mut outbox) = mpsc::channel(WAITING_MAX_COUNT);
    let (answer, connection) = tokio::sync::oneshot::channel();
    let inputs = &shared.rooms[&kind].inputs;
    inputs.send(Input::Join(hello, sender, answer)).ok()?;
    let connection = connection.await.ok()?;
    loop {
        tokio::select! {
            message = outbox.recv() => {
                // An ended channel is a cut connection: nothing more is sent.
                let Some(message) = message else { break };
                if socket.send(message).await.is_err() {
                    break;
                }
            }
            item = socket.recv() => match item {
                Some(Ok(Message::Binary(bytes))) => {
                    inputs.send(Input::Packet(connection, bytes.to_vec())).ok()?;
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                _ => break,
            },
        }
    }
    inputs.send(Input::Gone(connection)).ok()
}

/// Owns the room: inputs, a tick, frames.
async fn run_room<R: Engine>(mut room: R, mut inputs: mpsc::UnboundedReceiver<Input>, shared: Arc<Shared>) {
    let mut sockets = BTreeMap::<ConnectionId, mpsc::Sender<Message>>::new();
    let mut connections = 0;
    let mut clock = interval(Duration::from_secs(1) / R::TICK_HZ);
    clock.set_missed_tick_behavior(MissedTickBehavior::Burst);
    loop {
        clock.tick().await;
        while let Ok(input) = inputs.try_recv() {
            match input {
                Input::Join(hello, socket, answer) => {
                    connections += 1;
                    let connection = sim::connection(connections);
                    room.connect(connection, &hello, Some(Role::Member));
                    sockets.insert(connection, socket);
                    answer.send(connection).expect("the socket's task waits for it");
                }
                Input::Packet(connection, bytes) => {
                    let packet = Packet::decode(&bytes).expect("bots send what servers read");
                    let is_goodbye = packet == Packet::Session(ClientMessage::Leave);
                    shared.goodbyes.fetch_add(u32::from(is_goodbye), Relaxed);
                    room.receive(connection, packet);
                }
                Input::Gone(connection) => {
                    sockets.remove(&connection);
                    room.disconnect(connection);
                }
                Input::CutOne => drop(sockets.pop_first()),
            }
        }
        room.tick();
        while let Some(output) = room.poll_output() {
            let (to, message) = match output {
                Output::Message(to, bytes) => (to, Message::Binary(bytes)),
                Output::Close(to, reason) | Output::Refuse(to, reason) => (to, close(reason)),
            };
            if let Some(socket) = sockets.get(&to) {
                socket.try_send(message).expect("control messages are few");
            }
        }
        let is_blocked = |socket: &mpsc::Sender<Message>| socket.capacity() < WAITING_MAX_COUNT;
        let blocked = sockets.iter().filter(|(_, socket)| is_blocked(socket)).map(|(to, _)| *to).collect();
        let mut outbox = Outbox { blocked, ..Outbox::default() };
        room.frames(&mut outbox);
        for (to, frame) in outbox.frames {
            // Its task may have ended a moment ago; that it is gone comes next.
            _ = sockets.get(&to).map(|socket| socket.try_send(Message::Binary(frame.into())));
        }
        shared.rooms[&R::KIND].members.store(room.stats().members, Relaxed);
    }
}

fn close(reason: CloseReason) -> Message {
    Message::Close(Some(CloseFrame { code: reason.code(), reason: reason.wire_text().into() }))
}

fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}
