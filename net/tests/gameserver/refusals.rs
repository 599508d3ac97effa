//! Who does not get in, who does not stay, and what they are told.

use crate::harness::{Gameserver, INSTANCE, Received, StoreDirectory, now_s, refused};
use arena::wire::InputPacket;
use protocol::{
    PROTOCOL_VERSION,
    close::CloseReason,
    message::{ClientMessage, Hello, ServerMessage},
    room::Kind,
    token::{Grant, Role},
};
use std::time::{Duration, Instant};

fn hello(ticket: Option<String>) -> Hello {
    Hello { ticket, ..Hello::to(Kind::Arena, arena::wire::version(), "Ada", 0) }
}

/// Says this first and hears how it ends.
async fn close_code_of(gameserver: &Gameserver, first: Vec<u8>) -> (u16, Vec<ServerMessage>) {
    let mut socket = gameserver.open().await;
    socket.send(first).await;
    socket.hear_close().await
}

/// SPEC S4.2 and S6.2.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn missing_foreign_forged_and_old_tickets_are_refused() {
    let gameserver = Gameserver::start().await;
    let bad = [
        None,
        Some("7.99.00".to_owned()),
        Some(gameserver.key.sign_ticket(("elsewhere", "arena"), (Grant::Enter, Role::Member), 1, now_s())),
        Some(gameserver.key.sign_ticket((INSTANCE, "other"), (Grant::Open, Role::Member), 1, now_s())),
        Some(gameserver.key.sign_ticket((INSTANCE, "arena"), (Grant::Enter, Role::Member), 1, now_s() - 120)),
    ];
    for ticket in bad {
        let (code, told) = close_code_of(&gameserver, ClientMessage::Hello(hello(ticket)).encode()).await;
        assert_eq!(code, CloseReason::BadTicket.code());
        assert_eq!(told, [refused(CloseReason::BadTicket)]);
    }
    gameserver.server.stop().await;
}

/// SPEC S3.3.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ticket_works_once() {
    let gameserver = Gameserver::start().await;
    let hello = ClientMessage::Hello(hello(Some(gameserver.ticket()))).encode();
    let mut first = gameserver.open().await;
    first.send(hello.clone()).await;
    first.hear().await;
    assert_eq!(close_code_of(&gameserver, hello).await.0, CloseReason::BadTicket.code());
    gameserver.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forged_resume_token_is_refused() {
    let gameserver = Gameserver::start().await;
    let hello = Hello { resume: Some("1.1.1.00".to_owned()), ..hello(None) };
    let (code, told) = close_code_of(&gameserver, ClientMessage::Hello(hello).encode()).await;
    assert_eq!(code, CloseReason::BadTicket.code());
    assert_eq!(told, [refused(CloseReason::BadTicket)]);
    gameserver.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_forged_opens_a_room() {
    let store = StoreDirectory::new();
    let gameserver = store.serve("m1", |_| {}).await;
    let ticket = |instance: &str, room: &str, signed_s| {
        Some(gameserver.key.sign_ticket((instance, room), (Grant::Open, Role::Member), 9, signed_s))
    };
    let stranger = protocol::token::Key::new("another secret, also long").unwrap();
    let resume = protocol::token::Resume { epoch: 1, member: 1, generation: 1, role: Role::Member };
    let strangers = [
        (None, None),
        (ticket("m2", "field-a", now_s()), None),
        (ticket("m1", "field-b", now_s()), None),
        (ticket("m1", "field-a", now_s() - 120), None),
        (Some(stranger.sign_ticket(("m1", "field-a"), (Grant::Open, Role::Member), 9, now_s())), None),
        (None, Some(stranger.sign_resume("field-a", resume))),
        (None, Some(gameserver.key.sign_resume("field-b", resume))),
        (None, ticket("m1", "field-a", now_s())),
    ];
    for (ticket, resume) in strangers {
        let mut socket = gameserver.upgrade("field-a", &[], None).await.unwrap();
        socket.send(ClientMessage::Hello(Hello { resume, ..hello(ticket) }).encode()).await;
        assert_eq!(socket.hear_close().await.0, CloseReason::BadTicket.code());
    }
    // A replay that nobody of ours signed, or signed for something else, does not even get a socket.
    let path = "/gameserver/m1/field-a";
    let states = [
        "state=1.0.00".to_owned(),
        format!("state={}", gameserver.key.sign_replay("m1", path, now_s() - 60, 0)),
        format!("state={}", gameserver.key.sign_replay("m1", "/gameserver/m1/arena", now_s(), 0)),
        format!("state={}", stranger.sign_replay("m1", path, now_s(), 0)),
    ];
    let upgrade =
        "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: AA==\r\n";
    for state in states {
        assert_eq!(gameserver.get(path, &format!("{upgrade}fly-replay-src: {state}\r\n")).await.0, 403);
    }
    assert_eq!(gameserver.get(path, upgrade).await.0, 403);
    assert_eq!((gameserver.metric("rooms_open").await, store.object("field-a", "owner").exists()), (0.0, false));
    gameserver.server.stop().await;
}

/// SPEC S3.5.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_stolen_before_its_last_use_opens_nothing() {
    let gameserver = Gameserver::start().await;
    let mut player = gameserver.join("Ada").await;
    let stolen = player.client.resume_token().map(str::to_owned);
    let client = std::mem::take(&mut player.client);
    let mut player = gameserver.try_join("arena", client, None).await.unwrap();
    player.play(Duration::from_millis(200)).await;
    let thief = Hello { resume: stolen, ..hello(None) };
    let (code, told) = close_code_of(&gameserver, ClientMessage::Hello(thief).encode()).await;
    assert_eq!(code, CloseReason::Replaced.code(), "somebody flies by a newer one");
    assert_eq!(told, [refused(CloseReason::Replaced)]);
    player.play(Duration::from_millis(100)).await;
    gameserver.server.stop().await;
}

/// SPEC S2.3.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_version_is_told_ours() {
    let gameserver = Gameserver::start().await;
    let hello = Hello { version: PROTOCOL_VERSION + 1, ..hello(Some(gameserver.ticket())) };
    let (code, told) = close_code_of(&gameserver, ClientMessage::Hello(hello).encode()).await;
    assert_eq!(code, CloseReason::VersionMismatch.code());
    assert_eq!(told, [refused(CloseReason::VersionMismatch)]);
    // Another version of the kind's part, and another kind; both before the ticket is used up.
    let other = self::hello(Some(gameserver.ticket()));
    for hello in [
        Hello { kind_version: other.kind_version.wrapping_add(1), ..other.clone() },
        Hello { kind: u8::MAX, ..other.clone() },
    ] {
        let (code, told) = close_code_of(&gameserver, ClientMessage::Hello(hello).encode()).await;
        assert_eq!((code, &told[..]), (4001, &[refused(CloseReason::VersionMismatch)][..]));
    }
    let mut socket = gameserver.open().await;
    socket.send(ClientMessage::Hello(other).encode()).await;
    assert!(matches!(socket.hear().await, Received::Message(_)), "the ticket is still good");
    // A hello of tomorrow: the version first, the rest unknown to us.
    let (code, _) = close_code_of(&gameserver, vec![0, 0, PROTOCOL_VERSION as u8 + 1, 7, 7, 7]).await;
    assert_eq!(code, CloseReason::VersionMismatch.code());
    gameserver.server.stop().await;
}

/// SPEC S4.2.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silence_before_the_hello_ends() {
    let gameserver = Gameserver::start_with(|config| config.hello_timeout = Duration::from_millis(100)).await;
    let began = Instant::now();
    assert_eq!(gameserver.open().await.hear_close().await.0, CloseReason::HelloTimeout.code());
    assert!(began.elapsed() < Duration::from_secs(2));
    gameserver.server.stop().await;
}

/// SPEC S1.1 and S1.4.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_that_are_no_message_end_it() {
    let gameserver = Gameserver::start().await;
    assert_eq!(close_code_of(&gameserver, vec![0, 99, 1]).await.0, CloseReason::BadMessage.code());
    // An input before the hello.
    let input = InputPacket { number: 1, ack: 0, at: 0, view_delay: 0, inputs: vec![] };
    assert_eq!(close_code_of(&gameserver, input.encode()).await.0, CloseReason::BadMessage.code());
    // Text, a second hello and garbage once in.
    let mut player = gameserver.join("Ada").await;
    player.socket.send_text("hello").await;
    assert_eq!(player.socket.hear_close().await.0, CloseReason::BadMessage.code());
    let mut player = gameserver.join("Ada").await;
    player.socket.send(ClientMessage::Hello(hello(None)).encode()).await;
    assert_eq!(player.socket.hear_close().await.0, CloseReason::BadMessage.code());
    gameserver.server.stop().await;
}

/// SPEC S1.4.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_is_too_long_ends_it() {
    let gameserver = Gameserver::start().await;
    let too_long = vec![0; protocol::limits::CLIENT_MESSAGE_MAX_BYTES + 1];
    assert_eq!(close_code_of(&gameserver, too_long.clone()).await.0, CloseReason::BadMessage.code());
    let mut player = gameserver.join("Ada").await;
    player.socket.send(too_long).await;
    assert_eq!(player.socket.hear_close().await.0, CloseReason::BadMessage.code());
    gameserver.server.stop().await;
}

/// SPEC S1.6.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_many_messages_end_it() {
    let gameserver = Gameserver::start().await;
    let mut player = gameserver.join("Ada").await;
    for number in 0..=255 {
        player.socket.send(InputPacket { number, ack: 0, at: 0, view_delay: 0, inputs: vec![] }.encode()).await;
    }
    let (code, told) = player.socket.hear_close().await;
    assert_eq!(code, CloseReason::TooFast.code());
    assert!(told.contains(&ServerMessage::Bye { code }));
    gameserver.server.stop().await;
}
