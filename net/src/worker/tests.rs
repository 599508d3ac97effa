//! What the tests through the whole server cannot bring about: a room that does not tick, or is gone.

use super::*;
use crate::{
    admission::Admission,
    config::Config,
    metrics::Metrics,
    room_handle::{RoomHandle, SocketId},
};
use protocol::message::{Hello, InputPacket};
use std::sync::Arc;
use tokio::{sync::mpsc::Receiver, time::timeout};
use tungstenite::{Message, WebSocket, protocol::Role};

const PATIENCE: Duration = Duration::from_secs(5);

/// A worker whose room nobody ticks, a player's end of one of its sockets, and the room's queue.
struct Bench {
    inbox: Inbox,
    player: WebSocket<std::net::TcpStream>,
    room: RoomHandle,
    events: Receiver<Event>,
    admission: Arc<Admission>,
}

async fn begin() -> Bench {
    let config = Config::from_lookup(|name| match name {
        "AERODROME_SECRET" => Some("a secret of enough length".to_owned()),
        "FLY_MACHINE_ID" => Some("m1".to_owned()),
        _ => None,
    });
    let config = config.unwrap();
    let admission = Arc::new(Admission::new(&config, 0));
    let (room, events) = RoomHandle::new("arena");
    let door = Door::new(&config, room.clone(), Arc::clone(&admission), Arc::new(Metrics::new()));
    let inbox = Worker::start(0, door).unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let player = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    player.set_read_timeout(Some(PATIENCE)).unwrap();
    let (stream, peer) = listener.accept().unwrap();
    stream.set_nonblocking(true).unwrap();
    let place = admission.open(peer.ip(), Instant::now()).unwrap();
    let stream = TcpStream::from_std(stream);
    inbox.send(WorkerMessage::Adopt(stream, bytes::Bytes::new(), place)).await;
    Bench { inbox, player: WebSocket::from_raw_socket(player, Role::Client, None), room, events, admission }
}

impl Bench {
    fn say(&mut self, message: Vec<u8>) {
        self.player.send(Message::Binary(message.into())).unwrap();
    }

    fn say_hello(&mut self) {
        let (version, ticket, resume) = (protocol::PROTOCOL_VERSION, None, Some("any".to_owned()));
        let name = "Ada".to_owned();
        let hello = Hello { version, ticket, resume, have_tick: 0, have_event: 0, name, hue: 0 };
        self.say(ClientMessage::Hello(hello).encode());
    }

    fn say_input(&mut self, number: u8) {
        self.say(InputPacket { number, ack: 0, at: 0, behind: 0, inputs: vec![] }.encode());
    }

    /// What the room hears next.
    async fn hear_event(&mut self) -> Event {
        timeout(PATIENCE, self.events.recv()).await.expect("in time").expect("the worker is there")
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

#[tokio::test]
async fn a_full_queue_delays_and_loses_nothing() {
    let mut bench = begin().await;
    let other = SocketId { worker: 1, slot: 0, number: 0 };
    while bench.room.events.try_send(Event::Gone(other)).is_ok() {}
    bench.say_hello();
    (1..=100).for_each(|number| bench.say_input(number));
    bench.player.close(None).unwrap();
    thread::sleep(Duration::from_millis(50));
    assert_eq!(bench.admission.sockets(), 1, "it is not read, so its close is not known");
    let mut heard = Vec::new();
    let mut is_gone = false;
    while !is_gone {
        match bench.hear_event().await {
            Event::Gone(socket) if socket == other => {}
            Event::Gone(_) => is_gone = true,
            Event::Packet(_, ClientPacket::Inputs(packet)) => heard.push(packet.number),
            Event::Join(_) => assert!(heard.is_empty()),
            event => panic!("{event:?}"),
        }
    }
    assert!(heard.into_iter().eq(1..=100));
}

#[tokio::test]
async fn a_room_that_ended_closes_its_sockets() {
    let mut bench = begin().await;
    bench.say_hello();
    assert!(matches!(bench.hear_event().await, Event::Join(_)));
    bench.events.close();
    bench.say_input(1);
    assert_eq!(bench.hear_close(), CloseReason::ServerStopping.code());
}

#[tokio::test]
async fn a_worker_ends_with_its_last_inbox() {
    let mut bench = begin().await;
    bench.say_hello();
    assert!(matches!(bench.hear_event().await, Event::Join(_)));
    drop(bench.inbox);
    let began = Instant::now();
    while bench.admission.sockets() > 0 {
        assert!(began.elapsed() < PATIENCE, "its sockets stay");
        thread::sleep(Duration::from_millis(5));
    }
}
