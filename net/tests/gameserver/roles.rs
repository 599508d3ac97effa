//! Readers: what they open, what they keep awake, and what they learn.

use crate::harness::{Gameserver, Player, StoreDirectory};
use arena::Client;
use protocol::{
    close::CloseReason,
    token::{Grant, Role},
};
use std::time::Duration;
use tokio::time::timeout;

const ROOM: &str = "arena-p-abcdef2345";
/// Idle for so long, a machine of these tests sleeps.
const SLEEP_AFTER: Duration = Duration::from_millis(150);
const SOON: Duration = Duration::from_secs(10);

async fn sleepy(store: &StoreDirectory, instance: &str) -> Gameserver {
    store.serve(instance, |config| config.sleep_after = Some(SLEEP_AFTER)).await
}

/// Somebody plays in a room until it is kept, and leaves it to the store.
async fn leave_kept(store: &StoreDirectory) {
    let gameserver = store.serve("m1", |_| {}).await;
    gameserver.join_room(ROOM).await.unwrap().play(Duration::from_millis(100)).await;
    gameserver.server.stop().await.result().unwrap();
}

async fn read(gameserver: &Gameserver, client: Client, has_ticket: bool) -> Result<Player, u16> {
    let alias = gameserver.key.seal_alias(ROOM).unwrap();
    let ticket = has_ticket.then(|| gameserver.ticket_as(&alias, Grant::Enter, Role::Reader));
    gameserver.try_join(&alias, client, ticket).await
}

async fn watch(gameserver: &Gameserver) -> Result<Player, u16> {
    gameserver.try_join("arena", Client::new(), Some(gameserver.ticket_as("arena", Grant::Watch, Role::Reader))).await
}

/// SPEC S3.8.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_readers_link_wakes_its_room_and_keeps_nothing_awake() {
    let store = StoreDirectory::new();
    leave_kept(&store).await;
    let gameserver = sleepy(&store, "m1").await;
    let mut reader = read(&gameserver, Client::new(), true).await.unwrap();
    let (slept, (code, _)) =
        timeout(SOON, async { tokio::join!(gameserver.server.asleep(), reader.play_until_closed()) })
            .await
            .expect("nobody but a reader is there");
    slept.unwrap();
    assert_eq!(code, CloseReason::Asleep.code(), "the reader is told so");
    assert_eq!(store.owner(ROOM)["is_asleep"], true);
    // And may come back.
    let gameserver = sleepy(&store, "m1").await;
    read(&gameserver, Client::new(), true).await.unwrap();
    gameserver.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_that_nobody_kept_is_not_opened_by_a_readers_link() {
    let gameserver = Gameserver::start().await;
    assert_eq!(read(&gameserver, Client::new(), true).await.err(), Some(CloseReason::NoSuchRoom.code()));
    gameserver.server.stop().await;
}

/// SPEC S3.9.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_readers_token_is_good_by_the_alias_alone() {
    let store = StoreDirectory::new();
    leave_kept(&store).await;
    let gameserver = store.serve("m1", |_| {}).await;
    let mut reader = read(&gameserver, Client::new(), true).await.unwrap();
    reader.play(Duration::from_millis(100)).await;
    let alias = gameserver.key.seal_alias(ROOM).unwrap();
    let token = reader.client.resume_token().unwrap().to_owned();
    assert_eq!(gameserver.key.verify_resume(&token, &alias).map(|resume| resume.role), Ok(Role::Reader));
    assert!(gameserver.key.verify_resume(&token, ROOM).is_err());
    let client = std::mem::take(&mut reader.client);
    drop(reader);
    let mut again = read(&gameserver, client, false).await.unwrap();
    let client = std::mem::take(&mut again.client);
    let as_member = gameserver.try_join(ROOM, client, None).await;
    assert_eq!(as_member.err(), Some(CloseReason::BadTicket.code()));
    gameserver.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_for_readers_leads_on_by_the_alias() {
    let store = StoreDirectory::new();
    let elsewhere = store.serve("m2", |_| {}).await;
    let mut player = elsewhere.join_room(ROOM).await.unwrap();
    player.play(Duration::from_millis(100)).await;
    store.wait_for(ROOM).await;
    let gameserver = store.serve("m1", |_| {}).await;
    let alias = gameserver.key.seal_alias(ROOM).unwrap();
    let (status, head, body) = gameserver.get_replayed(&format!("/gameserver/m1/{alias}")).await;
    assert_eq!(status, 307);
    assert!(head.contains(&format!("location: /gameserver/m2/{alias}?back=1")), "{head}");
    assert!(!head.contains(ROOM) && !body.contains(ROOM));
    assert_eq!(read(&gameserver, Client::new(), true).await.err(), Some(CloseReason::Moved.code()));
    let (status, ..) = gameserver.get_replayed("/gameserver/m1/arena-r-abcdef2345").await;
    assert_eq!(status, 404, "one that was not made here");
    let (_, _, status) = elsewhere.get_replayed("/gameserver/m2/status").await;
    assert!(!status.contains(ROOM), "a status names no private room: {status}");
    gameserver.server.stop().await;
    elsewhere.server.stop().await;
}

/// SPEC S4.6.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_looks_on_from_the_board_opens_nothing_and_keeps_nothing_awake() {
    let store = StoreDirectory::new();
    let gameserver = sleepy(&store, "m1").await;
    assert_eq!(watch(&gameserver).await.err(), Some(CloseReason::Asleep.code()), "nobody is there");
    let mut player = gameserver.join("Ada").await;
    let mut spectator = watch(&gameserver).await.unwrap();
    assert!(
        timeout(4 * SLEEP_AFTER, async { tokio::join!(gameserver.server.asleep(), player.play(SOON)) }).await.is_err()
    );
    drop(player);
    let (slept, (code, _)) =
        timeout(SOON, async { tokio::join!(gameserver.server.asleep(), spectator.play_until_closed()) })
            .await
            .expect("nobody but a spectator is there");
    slept.unwrap();
    assert_eq!(code, CloseReason::Asleep.code());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_takes_twenty_readers_and_they_take_nobodys_place() {
    let gameserver = Gameserver::start().await;
    let mut player = gameserver.join("Ada").await;
    let mut readers = Vec::new();
    for _ in 0..20 {
        readers.push(watch(&gameserver).await.unwrap());
    }
    assert_eq!(watch(&gameserver).await.err(), Some(CloseReason::RoomFull.code()));
    let (_, _, status) = gameserver.get_replayed(&format!("/gameserver/{}/status", gameserver.instance)).await;
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    let arena = &status["kinds"]["arena"];
    assert_eq!((&arena["members"], &arena["is_open"]), (&1.into(), &true.into()), "{status}");
    player.play(Duration::from_millis(50)).await;
    gameserver.join("Bob").await;
    gameserver.server.stop().await;
}
