//! What the tests through the whole server cannot bring about: a room that does not tick, or is gone; a worker that
//! takes one turn after the other, in a time of the test's own.

use super::*;
use crate::{
    admission::Admission,
    config::Config,
    io::flow::FlowCounter,
    metrics::Metrics,
    room::{
        handle::Join,
        incarnation::{Incarnation, StartThread},
        machine::{Machine, Shutdown},
        rooms::{JOINS_MAX_COUNT, JoinRequest, Rooms},
    },
    store::Store,
};
use protocol::{
    message::{ClientMessage, HOT_BIT, Hello},
    room::Kind,
    token::{Grant, Key, Resume, Role},
};
use std::{
    io::Write,
    sync::{Arc, mpsc},
};
use tokio::sync::{mpsc as async_mpsc, watch};
use tungstenite::{Message, WebSocket};

const PATIENCE: Duration = Duration::from_secs(5);
const ROOM: &str = "arena-m1";

fn room() -> RoomAddress {
    RoomAddress { id: ROOM.into(), name: ROOM.into() }
}

/// A worker whose room nobody ticks, a player's end of one of its connections, and the room.
struct Bench {
    queue: WorkerSender,
    player: WebSocket<std::net::TcpStream>,
    incarnations: mpsc::Receiver<Incarnation>,
    rooms: Rooms,
    house: House,
}

async fn begin() -> Bench {
    let (house, handshake, joins) = build();
    let queue = Worker::start(0, handshake).unwrap();
    let (rooms, incarnations) = open(joins, &queue);
    let (player, stream) = connect();
    let permit = house.admission.open(player.local_addr().unwrap().ip(), Some(Kind::Arena), Instant::now()).unwrap();
    queue.send(WorkerMessage::Adopt(stream, Bytes::new(), permit, room())).await;
    let player = WebSocket::from_raw_socket(player, tungstenite::protocol::Role::Client, None);
    Bench { queue, player, incarnations, rooms, house }
}

/// What a worker works for.
struct House {
    joins: async_mpsc::Sender<JoinRequest>,
    admission: Arc<Admission>,
    key: Key,
}

fn build() -> (House, Handshake, async_mpsc::Receiver<JoinRequest>) {
    let config = Config::from_lookup(|name| match name {
        "AERODROME_SECRET" => Some("a secret of enough length".to_owned()),
        "FLY_MACHINE_ID" => Some("m1".to_owned()),
        _ => None,
    });
    let config = config.unwrap();
    let admission = Arc::new(Admission::new(&config, 0));
    let (joins, requests) = async_mpsc::channel(JOINS_MAX_COUNT);
    let handshake = Handshake::new(
        &config,
        crate::kinds::versions(),
        joins.clone(),
        Arc::clone(&admission),
        Arc::new(Metrics::new()),
    );
    (House { joins, admission, key: config.key }, handshake, requests)
}

/// Rooms begin from now on, and nobody ticks them.
fn open(joins: async_mpsc::Receiver<JoinRequest>, queue: &WorkerSender) -> (Rooms, mpsc::Receiver<Incarnation>) {
    let (begun, incarnations) = mpsc::channel();
    let (shutdown_sender, shutdown) = watch::channel(Shutdown::Running);
    let start = Box::new(move |begins| begun.send(begins).map_err(|_| anyhow::anyhow!("nobody is interested")));
    let start = StartThread { start, begins_anew: true };
    let machine = Machine {
        instance: "m1".to_owned(),
        store: Store::open("memory:///").unwrap(),
        metrics: Arc::new(Metrics::new()),
        workers: Arc::from([queue.clone()]),
        starts: [(Kind::Arena, start)].into(),
        shutdown,
    };
    (Rooms::start(Arc::new(machine), 4, shutdown_sender, joins), incarnations)
}

impl House {
    fn hello(&self) -> Hello {
        let resume = self.key.sign_resume(ROOM, Resume { epoch: 1, member: 1, generation: 1, role: Role::Member });
        let hello = Hello::to(Kind::Arena, crate::kinds::versions().spoken(Kind::Arena), "Ada", 0);
        Hello { resume: Some(resume), ..hello }
    }
}

/// A player's end and ours.
fn connect() -> (std::net::TcpStream, TcpStream) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let player = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    player.set_read_timeout(Some(PATIENCE)).unwrap();
    let (stream, _) = listener.accept().unwrap();
    stream.set_nonblocking(true).unwrap();
    (player, TcpStream::from_std(stream))
}

fn input(number: u8) -> Vec<u8> {
    [&[HOT_BIT, number][..], &[0; 9]].concat()
}

impl Bench {
    fn say(&mut self, message: Vec<u8>) {
        self.player.send(Message::Binary(message.into())).unwrap();
    }

    fn say_hello(&mut self) {
        self.say(ClientMessage::Hello(self.house.hello()).encode());
    }

    fn say_input(&mut self, number: u8) {
        self.say(input(number));
    }

    /// The close code the player hears.
    fn hear_close(&mut self) -> u16 {
        loop {
            if let Message::Close(Some(frame)) = self.player.read().unwrap() {
                return frame.code.into();
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_queue_delays_and_loses_nothing() {
    let mut bench = begin().await;
    // One that is gone by the time the room is open.
    let other = ConnectionId { shard: 0, slot: 99, number: 0 };
    let (flow, hello) = (FlowCounter::default(), bench.house.hello());
    let join = Box::new(Join { connection: other, flow, hello, admission: None, _waiting: None });
    let opener = bench.house.admission.open([127, 0, 0, 1].into(), Some(Kind::Arena), Instant::now()).unwrap().opener();
    let request = JoinRequest { room: ROOM.into(), join, grant: Grant::Enter, opener };
    bench.house.joins.send(request).await.unwrap();
    let incarnation = bench.incarnations.recv_timeout(PATIENCE).unwrap();
    let queue = bench.rooms.list()[0].events.clone();
    while queue.try_send(RoomEvent::Disconnected(other)).is_ok() {}
    bench.say_hello();
    (1..=100).for_each(|number| bench.say_input(number));
    bench.player.close(None).unwrap();
    thread::sleep(Duration::from_millis(50));
    assert_eq!(bench.house.admission.connections(), 1, "it is not read, so its close is not known");
    let mut heard = Vec::new();
    let mut is_gone = false;
    while !is_gone {
        match incarnation.events.recv_timeout(PATIENCE).unwrap() {
            RoomEvent::Disconnected(id) if id == other => {}
            RoomEvent::Join(join) if join.connection == other => {}
            RoomEvent::Disconnected(_) => is_gone = true,
            RoomEvent::Kind(_, packet) => heard.push(packet[1]),
            RoomEvent::Join(_) => assert!(heard.is_empty()),
            event => panic!("{event:?}"),
        }
    }
    assert!(heard.into_iter().eq(1..=100));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_that_ended_closes_its_connections() {
    let mut bench = begin().await;
    bench.say_hello();
    let incarnation = bench.incarnations.recv_timeout(PATIENCE).unwrap();
    assert!(matches!(incarnation.events.recv_timeout(PATIENCE), Ok(RoomEvent::Join(_))));
    // Its thread ends without a word.
    drop(incarnation);
    let began = Instant::now();
    while bench.rooms.is_open(ROOM) {
        assert!(began.elapsed() < PATIENCE, "the room stays");
        thread::sleep(Duration::from_millis(5));
    }
    bench.say_input(1);
    assert_eq!(bench.hear_close(), CloseReason::ServerStopping.code());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_ends_with_its_last_sender() {
    let mut bench = begin().await;
    bench.say_hello();
    let incarnation = bench.incarnations.recv_timeout(PATIENCE).unwrap();
    assert!(matches!(incarnation.events.recv_timeout(PATIENCE), Ok(RoomEvent::Join(_))));
    // Their task has one as long as there are rooms.
    drop((bench.queue, bench.rooms, incarnation));
    let began = Instant::now();
    while bench.house.admission.connections() > 0 {
        assert!(began.elapsed() < PATIENCE, "its connections stay");
        thread::sleep(Duration::from_millis(5));
    }
}

/// A worker that takes a turn when the test says so, and the room of those who talk to it.
struct ByHand {
    worker: Worker,
    events: Events,
    house: House,
    incarnations: mpsc::Receiver<Incarnation>,
    _rooms: Rooms,
    _queue: WorkerSender,
}

impl ByHand {
    fn begin() -> Self {
        let (house, handshake, joins) = build();
        let (worker, queue) = Worker::new(0, handshake).unwrap();
        let (rooms, incarnations) = open(joins, &queue);
        let events = Events::with_capacity(EVENTS_MAX_COUNT);
        Self { worker, events, house, incarnations, _rooms: rooms, _queue: queue }
    }

    /// The player's end of a connection that has joined, and its slot.
    fn join(&mut self) -> (std::net::TcpStream, usize) {
        let (mut player, stream) = connect();
        let hello = ClientMessage::Hello(self.house.hello()).encode();
        player.write_all(&masked(2, true, &hello)).unwrap();
        player.set_nonblocking(true).unwrap();
        let now = Instant::now();
        let permit = self.house.admission.open(player.local_addr().unwrap().ip(), Some(Kind::Arena), now).unwrap();
        self.worker.adopt(stream, Bytes::new(), permit, room(), now);
        let slot = self.worker.connections.len() - 1;
        while self.phase(slot) != Some(Phase::Joined) {
            assert!(now.elapsed() < PATIENCE, "it does not join");
            self.turn();
        }
        (player, slot)
    }

    fn turn(&mut self) {
        assert!(self.worker.turn(&mut self.events));
    }

    fn phase(&mut self, slot: usize) -> Option<Phase> {
        self.worker.connection(slot).map(|connection| connection.phase)
    }
}

/// A frame as a client sends it, with a mask that changes nothing.
fn masked(opcode: u8, is_final: bool, payload: &[u8]) -> Vec<u8> {
    let length = payload.len() as u16;
    let mut frame = vec![u8::from(is_final) << 7 | opcode];
    match length {
        0..=125 => frame.push(0x80 | length as u8),
        _ => frame.extend([0x80 | 126, (length >> 8) as u8, length as u8]),
    }
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_sends_without_end_has_a_turn_like_everybody() {
    const FLOOD_COUNT: usize = 40_000;
    let nothing = masked(9, true, &[]);
    let fragments = [masked(2, false, &[]), masked(0, false, &[]).repeat(FLOOD_COUNT)].concat();
    let inputs = masked(2, true, &input(1)).repeat(FLOOD_COUNT);
    let too_long = [vec![0x82, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff], vec![0; 6 * FLOOD_COUNT]].concat();
    for (what, flood) in
        [("fragments", fragments), ("inputs", inputs), ("pings", nothing.repeat(FLOOD_COUNT)), ("too long", too_long)]
    {
        let mut by_hand = ByHand::begin();
        let (mut player, well_behaved) = by_hand.join();
        let (mut flooding, flooder) = by_hand.join();
        // As much as the kernel takes: the rest does not matter.
        let _ = flooding.write_all(&flood);
        let mut turns = 0;
        while by_hand.phase(flooder) != Some(Phase::Closing) {
            by_hand.turn();
            turns += 1;
            assert!(turns < 10, "the flood of {what} is not noticed");
        }
        let incarnation = by_hand.incarnations.recv_timeout(PATIENCE).unwrap();
        // While the flooder lingers, each turn hears the player, and leaves some of the flood for the next.
        for number in 1..=10 {
            player.write_all(&masked(2, true, &input(number))).unwrap();
            let is_it = |event| {
                matches!(event, RoomEvent::Kind(id, packet)
                    if packet[1] == number && id.slot as usize == well_behaved)
            };
            let mut turns = 0;
            while !incarnation.events.try_iter().any(is_it) {
                assert!(turns < 10, "input {number} beside {what}");
                by_hand.turn();
                turns += 1;
            }
            assert_eq!(by_hand.worker.scheduled.len(), 1, "the flood of {what} waits for its next turn");
        }
        // Its time is over, though it has not come to its end.
        by_hand.worker.sweep(Instant::now() + PATIENCE);
        assert_eq!(by_hand.phase(flooder), None, "the flooder with {what} stays");
        assert_eq!(by_hand.phase(well_behaved), Some(Phase::Joined));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_are_read_one_after_the_other() {
    let mut by_hand = ByHand::begin();
    let mut players: Vec<_> = (0..3).map(|_| by_hand.join().0).collect();
    players.iter_mut().for_each(|player| player.write_all(&masked(9, true, &[0; 100]).repeat(230)).unwrap());
    let order = |worker: &Worker| worker.scheduled.iter().map(|id| id.slot as usize).collect::<Vec<_>>();
    for _ in 0..3 {
        by_hand.turn();
        assert_eq!(order(&by_hand.worker), [0, 1, 2], "all have more, and keep their turn");
    }
    // What epoll tells meanwhile does not give anybody a second turn.
    by_hand.worker.schedule(1);
    assert_eq!(order(&by_hand.worker), [0, 1, 2]);
    while !by_hand.worker.scheduled.is_empty() {
        by_hand.turn();
    }
    assert!((0..3).all(|slot| by_hand.phase(slot) == Some(Phase::Joined)), "a long talk within the rate does no harm");
}
