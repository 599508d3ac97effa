//! What the tests through the whole server cannot bring about: a room that does not tick, or is gone.

use super::*;
use crate::{
    admission::Admission,
    config::Config,
    gate::Gate,
    keeper::Life,
    metrics::Metrics,
    room_handle::{Join, SocketId},
    rooms::{Machinery, Rooms},
    store::Store,
};
use protocol::{
    message::{Hello, InputPacket},
    token::{Grant, Key, Resume},
};
use std::sync::{Arc, mpsc};
use tungstenite::{Message, WebSocket, protocol::Role};

const PATIENCE: Duration = Duration::from_secs(5);
const ROOM: &str = "arena-m1";

/// A worker whose room nobody ticks, a player's end of one of its sockets, and the room.
struct Bench {
    inbox: Inbox,
    player: WebSocket<std::net::TcpStream>,
    rooms: Arc<Rooms>,
    lives: mpsc::Receiver<Life>,
    admission: Arc<Admission>,
    key: Key,
}

async fn begin() -> Bench {
    let config = Config::from_lookup(|name| match name {
        "AERODROME_SECRET" => Some("a secret of enough length".to_owned()),
        "FLY_MACHINE_ID" => Some("m1".to_owned()),
        _ => None,
    });
    let config = config.unwrap();
    let admission = Arc::new(Admission::new(&config, 0));
    let metrics = Arc::new(Metrics::new());
    let rooms = Rooms::new(&config, Store::open("memory:///").unwrap(), Arc::clone(&metrics));
    let door = Door::new(&config, &rooms, Arc::clone(&admission), metrics);
    let inbox = Worker::start(0, door).unwrap();
    let (begun, lives) = mpsc::channel();
    let start = Box::new(move |life| begun.send(life).map_err(|_| anyhow::anyhow!("nobody is interested")));
    rooms.equip(Machinery { start, workers: Arc::from([inbox.clone()]) });
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let player = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    player.set_read_timeout(Some(PATIENCE)).unwrap();
    let (stream, peer) = listener.accept().unwrap();
    stream.set_nonblocking(true).unwrap();
    let place = admission.open(peer.ip(), Instant::now()).unwrap();
    let stream = TcpStream::from_std(stream);
    inbox.send(WorkerMessage::Adopt(stream, bytes::Bytes::new(), place, ROOM.into())).await;
    let player = WebSocket::from_raw_socket(player, Role::Client, None);
    Bench { inbox, player, rooms, lives, admission, key: config.key }
}

impl Bench {
    fn say(&mut self, message: Vec<u8>) {
        self.player.send(Message::Binary(message.into())).unwrap();
    }

    fn hello(&self) -> Hello {
        let resume = self.key.sign_resume(ROOM, Resume { epoch: 1, session: 1, generation: 1 });
        let (version, ticket, resume) = (protocol::PROTOCOL_VERSION, None, Some(resume));
        let name = "Ada".to_owned();
        Hello { version, ticket, resume, have_tick: 0, have_event: 0, name, hue: 0 }
    }

    fn say_hello(&mut self) {
        self.say(ClientMessage::Hello(self.hello()).encode());
    }

    fn say_input(&mut self, number: u8) {
        self.say(InputPacket { number, ack: 0, at: 0, behind: 0, inputs: vec![] }.encode());
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
    let other = SocketId { worker: 1, slot: 0, number: 0 };
    let join = Join { socket: other, gate: Gate::default(), hello: bench.hello(), admitted: false, _waiting: None };
    let (queue, _) = bench.rooms.enter(&ROOM.into(), Box::new(join), Grant::Enter, || true).unwrap();
    let life = bench.lives.recv_timeout(PATIENCE).unwrap();
    while queue.try_send(Event::Gone(other)).is_ok() {}
    bench.say_hello();
    (1..=100).for_each(|number| bench.say_input(number));
    bench.player.close(None).unwrap();
    thread::sleep(Duration::from_millis(50));
    assert_eq!(bench.admission.sockets(), 1, "it is not read, so its close is not known");
    let mut heard = Vec::new();
    let mut is_gone = false;
    while !is_gone {
        match life.events.recv_timeout(PATIENCE).unwrap() {
            Event::Gone(socket) if socket == other => {}
            Event::Join(join) if join.socket == other => {}
            Event::Gone(_) => is_gone = true,
            Event::Packet(_, ClientPacket::Inputs(packet)) => heard.push(packet.number),
            Event::Join(_) => assert!(heard.is_empty()),
            event => panic!("{event:?}"),
        }
    }
    assert!(heard.into_iter().eq(1..=100));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_that_ended_closes_its_sockets() {
    let mut bench = begin().await;
    bench.say_hello();
    let life = bench.lives.recv_timeout(PATIENCE).unwrap();
    assert!(matches!(life.events.recv_timeout(PATIENCE), Ok(Event::Join(_))));
    // Its thread ends without a word.
    drop(life);
    let began = Instant::now();
    while bench.rooms.is_open(ROOM) {
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
    let life = bench.lives.recv_timeout(PATIENCE).unwrap();
    assert!(matches!(life.events.recv_timeout(PATIENCE), Ok(Event::Join(_))));
    // The room's keeper has an inbox as long as there is a room.
    drop((bench.inbox, bench.rooms, life));
    let began = Instant::now();
    while bench.admission.sockets() > 0 {
        assert!(began.elapsed() < PATIENCE, "its sockets stay");
        thread::sleep(Duration::from_millis(5));
    }
}
