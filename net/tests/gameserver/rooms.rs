//! Rooms that last: opened on demand, saved, and taken up again by another machine.

use crate::harness::{Gameserver, PATIENCE, PUBLIC_ROOMS, StoreDirectory};
use arena::ClientEvent;
use futures_util::future::join_all;
use protocol::{
    close::CloseReason,
    entry::{Entry, Talk},
    message::{Operation, ServerMessage},
    room::Kind,
    token::Grant,
};
use serde_json::json;
use session::SessionEvent;
use std::time::{Duration, Instant};

/// What the tower said before, to somebody who was just welcomed.
fn history(player: &mut crate::harness::Player) -> Vec<String> {
    let events = std::iter::from_fn(|| player.client.poll_event());
    let histories = events.filter_map(|event| match event {
        ClientEvent::Session(SessionEvent::Welcomed { history, .. }) => Some(history),
        _ => None,
    });
    let text = |entry: Entry| if let Ok(Some(Talk::Chat(line))) = entry.talk() { Some(line.text) } else { None };
    histories.flatten().filter_map(text).collect()
}

/// Waits until a gameserver has no private room.
pub(crate) async fn wait_until_closed(gameserver: &Gameserver) {
    let began = Instant::now();
    loop {
        let (_, _, body) = gameserver.get_replayed(&format!("/gameserver/{}/status", gameserver.instance)).await;
        let status: serde_json::Value = serde_json::from_str(&body).unwrap();
        if status["rooms"].as_array().unwrap().len() == Kind::ALL.len() {
            return;
        }
        assert!(began.elapsed() < 3 * PATIENCE, "{body}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_outlives_its_machine() {
    let store = StoreDirectory::new();
    let first = store.serve("m1", |_| {}).await;
    let mut player = first.join_room("field-a").await.unwrap();
    player.client.operate(Operation::Chat("See you elsewhere".to_owned()));
    player.play(Duration::from_millis(500)).await;
    let (pilot, tick) = (player.client.pilot(), player.client.replica().unwrap().tick());
    first.server.stop().await;
    assert_eq!(store.owner("field-a")["is_asleep"], true);
    let epoch = store.owner("field-a")["epoch"].clone();

    let second = store.serve("m2", |_| {}).await;
    let client = std::mem::take(&mut player.client);
    let mut player = second.try_join("field-a", client, None).await.unwrap();
    assert_eq!(player.client.pilot(), pilot);
    assert_eq!(history(&mut player), ["See you elsewhere"]);
    player.play(Duration::from_millis(300)).await;
    assert!(player.client.replica().unwrap().tick() > tick, "its clock goes on");
    assert_eq!(player.client.stats().mismatches, 0);
    let owner = store.owner("field-a");
    assert_eq!((&owner["instance"], &owner["is_asleep"]), (&"m2".into(), &false.into()));
    assert_eq!(owner["epoch"].as_u64(), epoch.as_u64().map(|epoch| epoch + 1));
    second.server.stop().await;
}

/// SPEC S4.5.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_players_move_and_nobody_is_lost() {
    let store = StoreDirectory::new();
    let first = store.serve("m1", |_| {}).await;
    let players = join_all((0..50).map(|_| first.join_room("arena"))).await;
    let player_tasks = players.into_iter().map(|player| {
        tokio::spawn(async move {
            let mut player = player.unwrap();
            let (code, told) = player.play_until_closed().await;
            (player.client.pilot(), player.client.private_state().score, code, told, player.client)
        })
    });
    let player_tasks: Vec<_> = player_tasks.collect();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let began = Instant::now();
    first.server.stop().await;
    assert!(began.elapsed() < Duration::from_secs(12), "it took {:?}", began.elapsed());

    let second = store.serve("m2", |_| {}).await;
    let code = CloseReason::ServerStopping.code();
    for player_task in player_tasks {
        let (pilot, score, heard, told, client) = player_task.await.unwrap();
        assert!(heard == code && told.contains(&ServerMessage::Bye { code }), "{heard} {told:?}");
        let ticket = second.ticket_granting("arena-m1", Grant::Move);
        let mut player = second.try_join("arena-m1", client, Some(ticket)).await.unwrap();
        player.play(Duration::from_millis(20)).await;
        assert_eq!((player.client.pilot(), player.client.private_state().score >= score), (pilot, true));
    }
    second.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_machines_that_claim_a_room_one_wins_and_the_other_knows_it() {
    let store = StoreDirectory::new();
    let rooms: Vec<_> = (0..8).map(|round| format!("field-{round}")).collect();
    let builder = store.serve("m0", |config| config.kinds.rooms = 8 + PUBLIC_ROOMS).await;
    for room in &rooms {
        builder.join_room(room).await.unwrap().play(Duration::from_millis(50)).await;
        store.wait_for(room).await;
    }
    builder.server.stop().await;
    let [one, other] = ["m1", "m2"].map(|name| store.serve(name, |config| config.kinds.rooms = 8 + PUBLIC_ROOMS));
    let gameservers = [one.await, other.await];
    for room in rooms {
        let [one, other] = [0, 1].map(|at| gameservers[at].join_with(&room, Grant::Enter));
        let (one, other) = tokio::join!(one, other);
        let moved = CloseReason::Moved.code();
        let (winner, loser) = match (&one, &other) {
            (Ok(_), Err(code)) if *code == moved => (0, 1),
            (Err(code), Ok(_)) if *code == moved => (1, 0),
            (one, other) => panic!("{:?} and {:?}", one.as_ref().err(), other.as_ref().err()),
        };
        // The page of the loser leads to the winner, as soon as it has given up.
        let page = format!("/gameserver/{}/{room}", gameservers[loser].instance);
        let there = format!("location: /gameserver/{}/{room}", gameservers[winner].instance);
        let began = Instant::now();
        loop {
            let (status, head, _) = gameservers[loser].get_replayed(&page).await;
            if status == 307 && head.contains(&there) {
                break;
            }
            assert!(began.elapsed() < PATIENCE, "{head}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    for gameserver in gameservers {
        gameserver.server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_that_lost_its_room_stops_it() {
    let store = StoreDirectory::new();
    let stale = store.serve("m1", |_| {}).await;
    let mut player = stale.join_room("field-a").await.unwrap();
    player.play(Duration::from_millis(100)).await;
    store.wait_for("field-a").await;
    // As if the machine stood still for longer than the lease: it saves every 10 s.
    let fresh = store.serve("m2", |config| config.lease = Duration::from_millis(500)).await;
    assert_eq!(fresh.join_room("field-a").await.err(), Some(CloseReason::Moved.code()), "seen for the first time");
    let (status, head, _) = fresh.get_replayed("/gameserver/m2/field-a").await;
    assert!(status == 307 && head.contains("location: /gameserver/m1/field-a"), "{head}");
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_ne!(fresh.get_replayed("/gameserver/m2/field-a").await.0, 307);
    let newcomer = fresh.join_room("field-a").await.unwrap();
    // It learns it with its next save.
    assert_eq!(player.play_until_closed().await.0, CloseReason::Moved.code());
    assert_eq!(store.owner("field-a")["instance"], "m2");
    wait_until_closed(&stale).await;
    drop(newcomer);
    stale.server.stop().await;
    fresh.server.stop().await;
}

/// However far its clock is ahead, and however short its patience: the owner saves.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_whose_owner_saves_is_not_taken_whatever_the_clocks_say() {
    let store = StoreDirectory::new();
    let owner = store.serve("m1", |config| config.save_interval = Duration::from_millis(200)).await;
    let mut player = owner.join_room("field-a").await.unwrap();
    player.play(Duration::from_millis(100)).await;
    store.wait_for("field-a").await;
    for ahead_ms in [9_000, -9_000] {
        let rival = store.serve("m2", |config| {
            (config.lease, config.wall_clock.ahead_ms) = (Duration::from_millis(1_500), ahead_ms);
        });
        let rival = rival.await;
        for _ in 0..4 {
            player.play(Duration::from_millis(500)).await;
            assert_eq!(rival.join_room("field-a").await.err(), Some(CloseReason::Moved.code()), "{ahead_ms}");
        }
        rival.server.stop().await;
    }
    assert_eq!(store.owner("field-a")["instance"], "m1");
    owner.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_has_so_many_rooms_and_no_more() {
    let gameserver = Gameserver::start_with(|config| config.kinds.rooms = 1 + PUBLIC_ROOMS).await;
    let players = [gameserver.join_room("field-a").await.unwrap(), gameserver.join_room("arena").await.unwrap()];
    assert_eq!(gameserver.join_room("field-b").await.err(), Some(CloseReason::RoomFull.code()));
    let other_name = gameserver.join_room(&format!("arena-{}", gameserver.instance)).await.unwrap();
    let (_, _, body) = gameserver.get_replayed(&format!("/gameserver/{}/status", gameserver.instance)).await;
    let status: serde_json::Value = serde_json::from_str(&body).unwrap();
    let rooms: Vec<_> = status["rooms"].as_array().unwrap().iter().map(|room| room["room"].as_str()).collect();
    assert_eq!(rooms, [&Kind::ALL.map(|kind| Some(kind.word()))[..], &[None]].concat(), "a private one is not named");
    let arena = &status["kinds"]["arena"];
    assert_eq!((&arena["members"], &arena["capacity"], &arena["seats"]), (&json!(3), &json!(200), &json!(198)));
    drop((players, other_name));
    gameserver.server.stop().await;
}

/// SPEC S4.5.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_is_there_for_rooms_that_are_or_will_be() {
    let store = StoreDirectory::new();
    let gameserver = store.serve("m1", |_| {}).await;
    let page = async |name: &str| gameserver.get_replayed(&format!("/gameserver/m1/{name}")).await;
    let is_gone = |(status, _, body): (u16, String, String)| status == 404 && body.contains("This room is gone.");
    assert!(is_gone(page("field-a").await));
    // What the lobby signs is the path without its query.
    let source = gameserver.replay_source("/gameserver/m1/field-a");
    let (_, _, body) = gameserver.get("/gameserver/m1/field-a?new", &format!("fly-replay-src: {source}\r\n")).await;
    assert!(!body.contains("This room is gone."));
    let mut player = gameserver.join_room("field-a").await.unwrap();
    assert!(!is_gone(page("field-a").await), "an open one");
    player.play(Duration::from_millis(100)).await;
    drop(player);
    gameserver.server.stop().await;
    let gameserver = store.serve("m2", |_| {}).await;
    let (_, _, body) = gameserver.get_replayed("/gameserver/m2/field-a").await;
    assert!(!body.contains("This room is gone."), "one that sleeps");
    gameserver.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_private_room_of_any_kind_has_the_kinds_word_before_its_name_and_lasts_under_it() {
    let store = StoreDirectory::new();
    let gameserver = store.serve("m1", |_| {}).await;
    let names = ["field-abcdefgh23".to_owned(), Kind::Arena.private_room("abcdefgh23")];
    for name in &names {
        let mut player = gameserver.join_room(name).await.unwrap();
        player.play(Duration::from_millis(100)).await;
        store.wait_for(name).await;
    }
    for name in ["cellar", "cellar-p-abcdefgh23", "fields-a", "arenas"] {
        let (status, _, body) = gameserver.get_replayed(&format!("/gameserver/m1/{name}")).await;
        assert!(status == 404 && body.contains("There is no such room."), "{name}: {body}");
        assert!(gameserver.upgrade(name, &[], None).await.is_err(), "{name}");
    }
    gameserver.server.stop().await;
    // As before there were kinds, so that links and saves of then lead somewhere.
    let gameserver = store.serve("m2", |_| {}).await;
    for name in &names {
        gameserver.join_with(name, Grant::Enter).await.expect("it is kept");
    }
    gameserver.server.stop().await;
}
