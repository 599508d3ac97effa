//! Which rooms open, for whom, and what those leave behind that should not have been.

use crate::{
    harness::{Gameserver, PATIENCE, PUBLIC_ROOMS, Received, StoreDirectory, refused},
    rooms::wait_until_closed,
};
use arena::Client;
use protocol::{
    close::CloseReason,
    message::ServerMessage,
    token::{Grant, Resume, Role},
};
use std::time::{Duration, Instant};
use tokio::time::timeout;

const NO_FILES: [&str; 0] = [];

fn code(refused: Option<u16>) -> Option<CloseReason> {
    refused.and_then(CloseReason::from_code)
}

/// Somebody who is let in and never says a word after the hello.
async fn say_hello_and_nothing(gameserver: &Gameserver, room: &str) {
    let mut socket = gameserver.upgrade(room, &[], None).await.unwrap();
    socket.send(Client::new().hello("Ada", 3, Some(gameserver.ticket_for(room)), None)).await;
    let Received::Message(bytes) = socket.hear().await else { panic!("not let in") };
    assert!(matches!(ServerMessage::decode(&bytes), Ok(ServerMessage::Welcome(_))));
}

async fn fall_asleep(gameserver: &Gameserver) {
    timeout(PATIENCE, gameserver.server.asleep()).await.expect("nobody is there").unwrap();
}

/// Waits until a page redirects there, or nowhere: a room that was refused is listed for a moment longer.
async fn leads_to(gameserver: &Gameserver, path: &str, expected: Option<&str>) {
    let source = gameserver.replay_source(path.split('?').next().unwrap_or_default());
    let began = Instant::now();
    loop {
        let (status, head, _) = gameserver.get(path, &format!("fly-replay-src: {source}\r\n")).await;
        let location = head.lines().find_map(|line| line.strip_prefix("location: "));
        assert_eq!(status == 307, location.is_some(), "{head}");
        if location == expected {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "{path} leads to {location:?}, not to {expected:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// SPEC S4.6.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_takes_the_public_room_of_a_machine_that_is_there() {
    let store = StoreDirectory::new();
    let [home, other] = [store.serve("m1", |_| {}).await, store.serve("m2", |_| {}).await];
    let token = home.key.sign_resume("arena-m1", Resume { epoch: 1, member: 1, generation: 1, role: Role::Member });
    let steal = async || {
        let mut thief = other.upgrade("arena-m1", &[], None).await.unwrap();
        thief
            .send(Client::new().hello("Mallory", 0, Some(other.ticket_granting("arena-m1", Grant::Enter)), None))
            .await;
        assert_eq!(thief.hear_close().await.0, CloseReason::Moved.code());
        let mut ghost = other.upgrade("arena-m1", &[], None).await.unwrap();
        ghost.send(Client::new().hello("Mallory", 0, None, Some(token.clone()))).await;
        assert_eq!(ghost.hear_close().await.0, CloseReason::Moved.code());
        // Whoever came in good faith is led home by the page.
        leads_to(&other, "/gameserver/m2/arena-m1", Some("/gameserver/m1/arena")).await;
        (thief, ghost)
    };
    let _kept_open = steal().await;
    assert_eq!(store.files(), NO_FILES);
    // Before it was ever opened, while it is open, and when it was put aside.
    let mut player = home.join_room("arena").await.unwrap();
    player.play(Duration::from_millis(100)).await;
    store.wait_for("arena-m1").await;
    assert_eq!(code(other.join_with("arena-m1", Grant::Enter).await.err()), Some(CloseReason::Moved));
    home.server.stop().await;
    assert_eq!(store.owner("arena-m1")["is_asleep"], true);
    let _kept_open = steal().await;
    assert_eq!(store.owner("arena-m1")["instance"], "m1");
    let home = store.serve("m1", |_| {}).await;
    home.join_room("arena").await.unwrap();
    home.server.stop().await;
    other.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_public_room_moves_when_its_machine_is_lost_and_goes_home_again() {
    let store = StoreDirectory::new();
    let home = store.serve("m1", |_| {}).await;
    let other = store.serve("m2", |_| {}).await;
    // Nobody was ever in it: there is nothing to bring here.
    assert_eq!(code(other.join_with("arena-m9", Grant::Move).await.err()), Some(CloseReason::NoSuchRoom));
    let source = other.replay_source("/gameserver/m2/arena-m8");
    let page = other.get("/gameserver/m2/arena-m8?moved=1", &format!("fly-replay-src: {source}\r\n")).await;
    assert!(page.0 == 404 && page.2.contains("This room is gone."), "{}", page.2);
    home.join_room("arena").await.unwrap().play(Duration::from_millis(100)).await;
    store.wait_for("arena-m1").await;
    home.server.stop().await;
    // Whom the lobby sends since the machine is lost gets the page, and a ticket that says so.
    leads_to(&other, "/gameserver/m2/arena-m1?moved=1", None).await;
    let mut mover = other.join_with("arena-m1", Grant::Move).await.unwrap();
    assert_eq!(store.owner("arena-m1")["instance"], "m2");
    // It is there again: whoever comes is led to where everybody is, and gets in.
    let home = store.serve("m1", |_| {}).await;
    assert_eq!(code(home.join_room("arena").await.err()), Some(CloseReason::Moved));
    leads_to(&home, "/gameserver/m1/arena", Some("/gameserver/m2/arena-m1?back=1")).await;
    leads_to(&other, "/gameserver/m2/arena-m1?back=1", None).await;
    other.join_with("arena-m1", Grant::Enter).await.unwrap().play(Duration::from_millis(50)).await;
    mover.play(Duration::from_millis(50)).await;
    other.server.stop().await;
    leads_to(&home, "/gameserver/m1/arena", None).await;
    home.join_room("arena").await.unwrap();
    assert_eq!(store.owner("arena-m1")["instance"], "m1");
    home.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_nobody_made_opens_nothing_and_leaves_nothing() {
    let store = StoreDirectory::new();
    let gameserver = store.serve("m1", |_| {}).await;
    let mut kept_open = Vec::new();
    for number in 1..=8 {
        let room = format!("field-spam{number}");
        let mut socket = gameserver.upgrade(&room, &[], None).await.unwrap();
        socket
            .send(Client::new().hello("Mallory", 0, Some(gameserver.ticket_granting(&room, Grant::Enter)), None))
            .await;
        let (code, told) = socket.hear_close().await;
        assert_eq!((code, &told[..]), (4014, &[refused(CloseReason::NoSuchRoom)][..]));
        kept_open.push(socket);
    }
    gameserver.join_room("arena").await.unwrap();
    gameserver.join_room("field-a").await.unwrap();
    assert_eq!(code(gameserver.join_with("field-spam9", Grant::Move).await.err()), Some(CloseReason::NoSuchRoom));
    assert!(store.files().iter().all(|file| !file.contains("spam")));
    gameserver.server.stop().await;
}

/// SPEC S4.6.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_public_room_has_a_place_whatever_else_is_open() {
    let gameserver = Gameserver::start_with(|config| config.kinds.rooms = 3 + PUBLIC_ROOMS).await;
    let mut players = Vec::new();
    for room in ["field-a", "field-b", "field-c"] {
        players.push(gameserver.join_room(room).await.unwrap());
    }
    assert_eq!(code(gameserver.join_room("field-d").await.err()), Some(CloseReason::RoomFull));
    players.push(gameserver.join_room("arena").await.unwrap());
    let (_, _, body) = gameserver.get_replayed(&format!("/gameserver/{}/status", gameserver.instance)).await;
    let status: serde_json::Value = serde_json::from_str(&body).unwrap();
    // The lobby counts public rooms whether they are open or not, and so agrees.
    let all = 3 + PUBLIC_ROOMS as usize;
    assert_eq!((status["rooms"].as_array().unwrap().len(), &status["rooms_max"]), (all, &all.into()));
    gameserver.server.stop().await;
}

/// SPEC S10.2.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_opening_counts_against_the_address_and_entering_does_not() {
    let gameserver = Gameserver::start_with(|config| config.kinds.rooms = 63 + PUBLIC_ROOMS).await;
    let mut host = gameserver.join_room("field-host").await.unwrap();
    for number in 2..=20 {
        let reason = code(gameserver.join_with(&format!("field-spam{number}"), Grant::Enter).await.err());
        assert_eq!(reason, Some(CloseReason::NoSuchRoom), "{number}");
    }
    assert_eq!(code(gameserver.join_room("field-new").await.err()), Some(CloseReason::TooManyRooms));
    for room in ["field-host", "arena"] {
        gameserver.join_with(room, Grant::Enter).await.unwrap();
    }
    let place = [("fly-client-ip", "203.0.113.9")];
    let mut neighbour = gameserver.upgrade("field-new", &place, None).await.unwrap();
    neighbour.send(Client::new().hello("Bob", 0, Some(gameserver.ticket_for("field-new")), None)).await;
    let Received::Message(bytes) = neighbour.hear().await else { panic!("another address is not concerned") };
    assert!(matches!(ServerMessage::decode(&bytes), Ok(ServerMessage::Welcome(_))));
    host.play(Duration::from_millis(50)).await;
    gameserver.server.stop().await;
}

/// Pupils behind one address who follow a room to another machine, while its owner may still be there.
/// SPEC S10.2.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tries_at_a_room_that_another_machine_has_or_the_store_does_not_give_do_not_count() {
    let store = StoreDirectory::new();
    let owner = store.serve("m1", |_| {}).await;
    for room in ["field-a", "field-b"] {
        owner.join_room(room).await.unwrap().play(Duration::from_millis(100)).await;
        store.wait_for(room).await;
    }
    store.spoil("field-b");
    let gameserver = store.serve("m2", |config| config.kinds.rooms = 63 + PUBLIC_ROOMS).await;
    for (room, expected) in [("field-a", CloseReason::Moved), ("field-b", CloseReason::RoomFailed)] {
        for number in 1..=21 {
            assert_eq!(code(gameserver.join_with(room, Grant::Enter).await.err()), Some(expected), "{number}");
            // So that the next one has it opened once more.
            wait_until_closed(&gameserver).await;
        }
    }
    for number in 1..=20 {
        let reason = code(gameserver.join_with(&format!("field-spam{number}"), Grant::Enter).await.err());
        assert_eq!(reason, Some(CloseReason::NoSuchRoom), "{number}");
    }
    assert_eq!(code(gameserver.join_room("field-new").await.err()), Some(CloseReason::TooManyRooms));
    store.repair("field-b");
    owner.server.stop().await;
    gameserver.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_that_was_never_used_leaves_nothing() {
    let store = StoreDirectory::new();
    let sleepy = || store.serve("m1", |config| config.sleep_after = Some(Duration::from_millis(100)));
    let gameserver = sleepy().await;
    for room in ["arena", "field-a"] {
        say_hello_and_nothing(&gameserver, room).await;
    }
    fall_asleep(&gameserver).await;
    gameserver.server.stop().await;
    assert_eq!(store.files(), NO_FILES);
    // Nobody finds it by its link.
    let gameserver = sleepy().await;
    let (status, _, body) = gameserver.get_replayed("/gameserver/m1/field-a").await;
    assert!(status == 404 && body.contains("This room is gone."), "{body}");
    assert_eq!(code(gameserver.join_with("field-a", Grant::Enter).await.err()), Some(CloseReason::NoSuchRoom));
    // One that somebody flew in stays, whoever looks in later.
    gameserver.join_room("field-b").await.unwrap().play(Duration::from_millis(50)).await;
    fall_asleep(&gameserver).await;
    let gameserver = sleepy().await;
    let saved = std::fs::read(store.object("field-b", "snapshot")).unwrap();
    say_hello_and_nothing(&gameserver, "field-b").await;
    fall_asleep(&gameserver).await;
    assert_eq!(store.owner("field-b")["is_asleep"], true);
    assert!(std::fs::read(store.object("field-b", "snapshot")).unwrap() != saved, "it went on");
}
