//! What the tests through the whole server cannot bring about: a room that does not tick, or is gone; a worker that
//! takes one turn after the other, in a time of the test's own.

use super::*;
use crate::{
    admission::Admission,
    config::Config,
    io::flow::FlowCounter,
    metrics::Metrics,
    room::{
        handle::{ConnectionId, Join},
        rooms::{Machinery, Rooms},
        supervisor::Incarnation,
    },
    store::Store,
};
use protocol::{
    message::{Hello, InputPacket},
    token::{Grant, Key, Resume},
};
use std::{
    io::Write,
    sync::{Arc, mpsc},
};
use tungstenite::{Message, WebSocket, protocol::Role};

const PATIENCE: Duration = Duration::from_secs(5);
const ROOM: &str = "arena-m1";

/// A worker whose room nobody ticks, a player's end of one of its connections, and the room.
struct Bench {
    inbox: WorkerSender,
    player: WebSocket<std::net::TcpStream>,
    incarnations: mpsc::Receiver<Incarnation>,
    house: House,
}

async fn begin() -> Bench {
    let (house, handshake) = build();
    let inbox = Worker::start(0, handshake).unwrap();
    let incarnations = house.open(&inbox);
    let (player, stream) = connect();
    let permit = house.admission.open(player.local_addr().unwrap().ip(), Instant::now()).unwrap();
    inbox.send(WorkerMessage::Adopt(stream, Bytes::new(), permit, ROOM.into())).await;
    let player = WebSocket::from_raw_socket(player, Role::Client, None);
    Bench { inbox, player, incarnations, house }
}

/// What a worker works for.
struct House {
    rooms: Arc<Rooms>,
    admission: Arc<Admission>,
    key: Key,
}

fn build() -> (House, Handshake) {
    let config = Config::from_lookup(|name| match name {
        "AERODROME_SECRET" => Some("a secret of enough length".to_owned()),
        "FLY_MACHINE_ID" => Some("m1".to_owned()),
        _ => None,
    });
    let config = config.unwrap();
    let admission = Arc::new(Admission::new(&config, 0));
    let metrics = Arc::new(Metrics::new());
    let rooms = Rooms::new(&config, Store::open("memory:///").unwrap(), Arc::clone(&metrics));
    let handshake = Handshake::new(&config, &rooms, Arc::clone(&admission), metrics);
    (House { rooms, admission, key: config.key }, handshake)
}

impl House {
    /// Rooms begin from now on, and nobody ticks them.
    fn open(&self, inbox: &WorkerSender) -> mpsc::Receiver<Incarnation> {
        let (begun, incarnations) = mpsc::channel();
        let start =
            Box::new(move |incarnation| begun.send(incarnation).map_err(|_| anyhow::anyhow!("nobody is interested")));
        self.rooms.equip(Machinery { start, workers: Arc::from([inbox.clone()]) });
        incarnations
    }

    fn hello(&self) -> Hello {
        let resume = self.key.sign_resume(ROOM, Resume { epoch: 1, session: 1, generation: 1 });
        let (version, ticket, resume) = (protocol::PROTOCOL_VERSION, None, Some(resume));
        let name = "Ada".to_owned();
        Hello { version, ticket, resume, have_tick: 0, have_event: 0, name, hue: 0 }
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
    InputPacket { number, ack: 0, at: 0, view_delay: 0, inputs: vec![] }.encode()
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
    let other = ConnectionId { worker: 1, slot: 0, number: 0 };
    let join = Join {
        connection: other,
        flow: FlowCounter::default(),
        hello: bench.house.hello(),
        admitted: false,
        _waiting: None,
    };
    let (queue, _) = bench.house.rooms.join(&ROOM.into(), Box::new(join), Grant::Enter, || None).unwrap();
    let incarnation = bench.incarnations.recv_timeout(PATIENCE).unwrap();
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
            RoomEvent::Packet(_, ClientPacket::Inputs(packet)) => heard.push(packet.number),
            RoomEvent::Join(_) => assert!(heard.is_empty()),
            event => panic!("{event:?}"),
        }
    }
    assert!(heard.into_iter().eq(1..=100));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_that_ended_closes_its_sockets() {
    let mut bench = begin().await;
    bench.say_hello();
    let incarnation = bench.incarnations.recv_timeout(PATIENCE).unwrap();
    assert!(matches!(incarnation.events.recv_timeout(PATIENCE), Ok(RoomEvent::Join(_))));
    // Its thread ends without a word.
    drop(incarnation);
    let began = Instant::now();
    while bench.house.rooms.is_open(ROOM) {
        assert!(began.elapsed() < PATIENCE, "the room stays");
        thread::sleep(Duration::from_millis(5));
    }
    bench.say_input(1);
    assert_eq!(bench.hear_close(), CloseReason::ServerStopping.code());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_ends_with_its_last_inbox() {
    let mut bench = begin().await;
    bench.say_hello();
    let incarnation = bench.incarnations.recv_timeout(PATIENCE).unwrap();
    assert!(matches!(incarnation.events.recv_timeout(PATIENCE), Ok(RoomEvent::Join(_))));
    // The room's keeper has an inbox as long as there is a room.
    drop((bench.inbox, bench.house.rooms, incarnation));
    let began = Instant::now();
    while bench.house.admission.connections() > 0 {
        assert!(began.elapsed() < PATIENCE, "its sockets stay");
        thread::sleep(Duration::from_millis(5));
    }
}

/// A worker that takes a turn when the test says so, and the room of those who talk to it.
struct ByHand {
    worker: Worker,
    events: Events,
    house: House,
    incarnations: mpsc::Receiver<Incarnation>,
    _inbox: WorkerSender,
}

impl ByHand {
    fn begin() -> Self {
        let (house, handshake) = build();
        let (worker, inbox) = Worker::new(0, handshake).unwrap();
        let incarnations = house.open(&inbox);
        Self { worker, events: Events::with_capacity(EVENTS_MAX_COUNT), house, incarnations, _inbox: inbox }
    }

    /// The player's end of a connection that has sent its hello and then this, and its slot.
    fn adopt(&mut self, sent: &[u8]) -> (std::net::TcpStream, usize) {
        let (mut player, stream) = connect();
        let hello = ClientMessage::Hello(self.house.hello()).encode();
        player.write_all(&masked(2, true, &hello)).unwrap();
        player.set_nonblocking(true).unwrap();
        // As much as the kernel takes: the rest does not matter.
        let _ = player.write_all(sent);
        let now = Instant::now();
        let permit = self.house.admission.open(player.local_addr().unwrap().ip(), now).unwrap();
        self.worker.adopt(stream, Bytes::new(), permit, ROOM.into(), now);
        (player, self.worker.connections.len() - 1)
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
        let (_flooding, flooder) = by_hand.adopt(&flood);
        let (mut player, well_behaved) = by_hand.adopt(&[]);
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
                matches!(event, RoomEvent::Packet(id, ClientPacket::Inputs(packet))
                    if packet.number == number && id.slot as usize == well_behaved)
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
async fn sockets_are_heard_one_after_the_other() {
    let mut by_hand = ByHand::begin();
    let _players: Vec<_> = (0..3).map(|_| by_hand.adopt(&masked(9, true, &[0; 100]).repeat(230))).collect();
    let order = |worker: &Worker| worker.scheduled.iter().map(|id| id.slot as usize).collect::<Vec<_>>();
    assert_eq!(order(&by_hand.worker), [0, 1, 2]);
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
