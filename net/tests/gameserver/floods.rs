//! Sockets that send without end: they are closed in time, while they go on, and nobody else notices.

use crate::harness::{Gameserver, Player};
use arena::wire::InputPacket;
use protocol::{
    close::CloseReason,
    message::{ClientMessage, Hello},
    room::Kind,
};
use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};
use tokio_tungstenite::tungstenite::{
    Message, WebSocket,
    protocol::{Role, WebSocketConfig},
};

/// A flooder that is still there after this was not ended by its server: that takes 1.25 s, and machines are busy.
const ENDED_MAX: Duration = Duration::from_secs(5);
/// Longest time a player may be without a frame meanwhile; it was seven seconds before there were turns.
const GAP_MAX: Duration = Duration::from_secs(1);
/// How much a flooder writes at once.
const CHUNK_BYTES: usize = 64 * 1024;
/// Of the worst floods, so many at once.
const TOGETHER_COUNT: usize = 4;

/// Binary, text, continuation, close, ping and pong.
const BINARY: u8 = 2;
const TEXT: u8 = 1;
const CONTINUATION: u8 = 0;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// What somebody sends first, what again and again, and how the server should close it.
struct Flood {
    name: &'static str,
    is_in: bool,
    first: Vec<u8>,
    again: Vec<u8>,
    /// `None`: it says goodbye itself.
    reason: Option<CloseReason>,
}

/// How a flood ended.
struct Ended {
    name: &'static str,
    /// The close code, if it heard one.
    code: Option<u16>,
    expected: Option<u16>,
    /// Until its bytes went nowhere any more.
    after: Duration,
}

impl Flood {
    fn new(name: &'static str, first: Vec<u8>, again: Vec<u8>, reason: CloseReason) -> Self {
        Self { name, is_in: true, first, again, reason: Some(reason) }
    }

    /// Before its hello.
    fn outside(self) -> Self {
        Self { is_in: false, ..self }
    }

    fn goodbye(self) -> Self {
        Self { reason: None, ..self }
    }

    /// Writes until the socket is gone, while another thread reads.
    fn run(self, mut socket: TcpStream, hello: &[u8]) -> Ended {
        socket.set_write_timeout(Some(ENDED_MAX)).unwrap();
        let reader = socket.try_clone().unwrap();
        let reading = std::thread::spawn(move || close_code(reader));
        let chunk = self.again.repeat(CHUNK_BYTES / self.again.len());
        let began = Instant::now();
        let write = |socket: &mut TcpStream| -> std::io::Result<()> {
            if self.is_in {
                socket.write_all(hello)?;
            }
            socket.write_all(&self.first)?;
            while began.elapsed() < ENDED_MAX {
                socket.write_all(&chunk)?;
            }
            Ok(())
        };
        let _ = write(&mut socket);
        let after = began.elapsed();
        drop(socket);
        let expected = self.reason.map(CloseReason::code);
        Ended { name: self.name, code: reading.join().unwrap(), expected, after }
    }
}

/// Reads to the end, or to the close.
fn close_code(socket: TcpStream) -> Option<u16> {
    let config = WebSocketConfig::default().accept_unmasked_frames(true);
    let mut socket = WebSocket::from_raw_socket(socket, Role::Client, Some(config));
    loop {
        match socket.read() {
            Ok(Message::Close(frame)) => return frame.map(|frame| frame.code.into()),
            Ok(_) => {}
            Err(_) => return None,
        }
    }
}

/// A frame with a mask that changes nothing.
fn frame(opcode: u8, is_final: bool, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![u8::from(is_final) << 7 | opcode];
    match payload.len() {
        length @ 0..=125 => frame.push(0x80 | length as u8),
        length => frame.extend([0x80 | 126, (length >> 8) as u8, length as u8]),
    }
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

/// A socket whose upgrade was granted, without anything around it.
fn connect(gameserver: &Gameserver) -> TcpStream {
    let mut socket = TcpStream::connect(gameserver.address()).unwrap();
    let path = format!("/gameserver/{}/arena", gameserver.instance);
    let request = format!(
        "GET {path} HTTP/1.1\r\nhost: a\r\nfly-replay-src: {}\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        gameserver.replay_source(&path)
    );
    socket.write_all(request.as_bytes()).unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        socket.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&head));
    socket
}

/// All of them at once, and the longest time the player was without a frame until the last has ended.
async fn flood(gameserver: &Gameserver, player: &mut Player, floods: Vec<Flood>) -> (Vec<Ended>, Duration) {
    let floods = floods.into_iter().map(|flood| {
        let hello = Hello::to(Kind::Arena, arena::wire::version(), flood.name, 0);
        let hello = Hello { ticket: Some(gameserver.ticket()), ..hello };
        let hello = frame(BINARY, true, &ClientMessage::Hello(hello).encode());
        (flood, connect(gameserver), hello)
    });
    let floods: Vec<_> = floods.collect();
    let floods =
        floods.into_iter().map(|(flood, socket, hello)| tokio::task::spawn_blocking(move || flood.run(socket, &hello)));
    let floods: Vec<_> = floods.collect();
    let (mut gap, mut last) = (Duration::ZERO, Instant::now());
    while !floods.iter().all(tokio::task::JoinHandle::is_finished) {
        let before = player.frames;
        player.play(Duration::from_millis(20)).await;
        gap = gap.max(last.elapsed());
        if player.frames > before {
            last = Instant::now();
        }
    }
    let mut ended = Vec::new();
    for flood in floods {
        ended.push(flood.await.unwrap());
    }
    (ended, gap)
}

fn fragments() -> Flood {
    let (first, again) = (frame(BINARY, false, &[]), frame(CONTINUATION, false, &[]));
    Flood::new("fragments", first, again, CloseReason::BadMessage)
}

fn messages() -> Flood {
    let input = InputPacket { number: 1, ack: 0, at: 0, view_delay: 0, inputs: vec![] }.encode();
    Flood::new("messages", vec![], frame(BINARY, true, &input), CloseReason::TooFast)
}

/// Each is closed for the right reason and is gone in time.
fn judge(ended: &[Ended], gap: Duration) {
    for Ended { name, code, expected, after } in ended {
        assert!(*after < ENDED_MAX, "{name} went on for {after:?}");
        assert_eq!(code, expected, "the close of {name}");
    }
    assert!(gap < GAP_MAX, "a player was {gap:?} without a frame");
}

/// SPEC S1.5.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_never_ends_costs_nobody_else() {
    let gameserver = Gameserver::start().await;
    let mut player = gameserver.join("Ada").await;
    let (ended, gap) = flood(&gameserver, &mut player, (0..TOGETHER_COUNT).map(|_| fragments()).collect()).await;
    judge(&ended, gap);
    gameserver.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_without_end_cost_nobody_else() {
    let gameserver = Gameserver::start().await;
    let mut player = gameserver.join("Ada").await;
    let (ended, gap) = flood(&gameserver, &mut player, (0..TOGETHER_COUNT).map(|_| messages()).collect()).await;
    judge(&ended, gap);
    gameserver.server.stop().await;
}

/// SPEC S9.2.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_is_sent_without_end_keeps_a_socket() {
    let gameserver = Gameserver::start().await;
    let mut player = gameserver.join("Ada").await;
    let long_head = [0x82, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0].to_vec();
    let leave = frame(BINARY, true, &ClientMessage::Leave.encode());
    let floods = vec![
        fragments().outside(),
        Flood { reason: Some(CloseReason::BadMessage), ..messages().outside() },
        Flood::new("pings", vec![], frame(PING, true, &[7; 125]), CloseReason::TooFast),
        Flood::new("pings outside", vec![], frame(PING, true, &[]), CloseReason::TooFast).outside(),
        Flood::new("pongs", vec![], frame(PONG, true, &[]), CloseReason::TooFast),
        Flood::new("nothing", vec![], frame(BINARY, true, &[]), CloseReason::BadMessage),
        Flood::new("text", vec![], frame(TEXT, true, b"hello"), CloseReason::BadMessage),
        Flood::new("text in pieces", frame(TEXT, false, &[]), frame(CONTINUATION, false, &[]), CloseReason::BadMessage),
        Flood::new("one long message", long_head, vec![0; 1024], CloseReason::BadMessage),
        Flood::new("no frames", vec![], vec![0xff; 1024], CloseReason::BadMessage),
        Flood::new("leave", leave, messages().again, CloseReason::BadMessage).goodbye(),
        Flood::new("closes", vec![], frame(CLOSE, true, &[]), CloseReason::BadMessage).goodbye(),
    ];
    let (ended, gap) = flood(&gameserver, &mut player, floods).await;
    judge(&ended, gap);
    gameserver.wait_for_metric("sockets", 1.0).await;
    assert_eq!(gameserver.metric("sockets").await, 1.0, "the player's");
    gameserver.server.stop().await;
}
