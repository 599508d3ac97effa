//! Saves that no room can be begun from: they are kept, it is told, and nothing is written over them.

use crate::{
    harness::{Gameserver, PATIENCE, StoreDirectory},
    unwritable::{notices, play_until_noticed},
};
use arena::{Room, RoomConfig};
use net::Config;
use protocol::{
    close::CloseReason,
    message::{Hello, Packet},
    room::Kind,
    token::Role,
};
use session::{Command, ConnectionId, Engine, FrameSink, Output, Stats};
use std::{
    ops::RangeInclusive,
    path::PathBuf,
    time::{Duration, Instant},
};

const SOON: Duration = Duration::from_millis(100);

/// A room that was played in and sleeps, and whose save has been damaged since: the save, its writer's epoch, and whoever
/// was there.
async fn damaged(store: &StoreDirectory) -> (Vec<u8>, u64, arena::Client) {
    let gameserver = store.serve("m1", |_| {}).await;
    let mut player = gameserver.join_room("field-a").await.unwrap();
    player.play(SOON).await;
    gameserver.server.stop().await;
    let save = store.object("field-a", "snapshot");
    let mut bytes = std::fs::read(&save).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&save, &bytes).unwrap();
    (bytes, store.owner("field-a")["epoch"].as_u64().unwrap(), std::mem::take(&mut player.client))
}

fn aside(store: &StoreDirectory, epoch: u64) -> PathBuf {
    store.object("field-a", &format!("snapshot.{epoch}.bad"))
}

fn read(path: PathBuf) -> Vec<u8> {
    std::fs::read(path).unwrap()
}

/// What is set aside of all rooms.
fn bad_saves(store: &StoreDirectory) -> usize {
    store.files().iter().filter(|name| name.ends_with(".bad")).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_save_that_cannot_be_read_is_kept_and_told_while_the_room_goes_on_anew() {
    let store = StoreDirectory::new();
    let (bad, epoch, client) = damaged(&store).await;
    let gameserver = store.serve("m1", |config| config.save_interval = SOON).await;
    let refused = gameserver.try_join("field-a", client.clone(), None).await.err();
    assert_eq!(refused, Some(CloseReason::BadTicket.code()), "nobody knows the session");
    let ticket = gameserver.ticket_for("field-a");
    let mut player = gameserver.try_join("field-a", client, Some(ticket)).await.unwrap();
    play_until_noticed(&mut player, "begins anew").await;
    let mut other = gameserver.join_room("field-a").await.unwrap();
    play_until_noticed(&mut other, "begins anew").await;
    assert_eq!(gameserver.metric("saves_unusable_total").await, 1.0);
    let began = Instant::now();
    while read(store.object("field-a", "snapshot")) == bad {
        assert!(began.elapsed() < PATIENCE, "the new room is not saved");
        player.play(SOON).await;
    }
    assert_eq!(read(aside(&store, epoch)), bad);
    gameserver.server.stop().await;

    // The next machine finds the new room, and has nothing to tell.
    let gameserver = store.serve("m2", |_| {}).await;
    let pilot = player.client.pilot();
    let mut player =
        gameserver.try_join("field-a", std::mem::take(&mut player.client), None).await.expect("it is known");
    player.play(3 * SOON).await;
    assert_eq!((player.client.pilot(), notices(&mut player)), (pilot, vec![]));
    assert_eq!(gameserver.metric("saves_unusable_total").await, 0.0);
    gameserver.server.stop().await;
    assert_eq!((read(aside(&store, epoch)), bad_saves(&store)), (bad, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_whose_bad_save_cannot_be_set_aside_does_not_open() {
    let store = StoreDirectory::new();
    let (bad, epoch, _) = damaged(&store).await;
    // Both names that it could have are taken.
    [epoch, epoch + 1].into_iter().for_each(|epoch| std::fs::write(aside(&store, epoch), "an older one").unwrap());
    let gameserver = store.serve("m1", |_| {}).await;
    assert_eq!(gameserver.join_room("field-a").await.err(), Some(CloseReason::RoomFailed.code()));
    assert_eq!(read(store.object("field-a", "snapshot")), bad);
    let found = [epoch, epoch + 1].map(|epoch| read(aside(&store, epoch)));
    assert_eq!(found, [b"an older one", b"an older one"]);
    assert_eq!(store.owner("field-a")["is_asleep"], true, "another machine may try");

    let mut player = gameserver.join_room("field-a").await.unwrap();
    play_until_noticed(&mut player, "begins anew").await;
    assert_eq!(read(aside(&store, epoch + 2)), bad);
    gameserver.server.stop().await;
}

/// A room of a kind of which nothing may be lost.
struct Strict(Room);

impl Engine for Strict {
    const KIND: Kind = Room::KIND;
    const TICK_HZ: u32 = Room::TICK_HZ;
    const BEGINS_ANEW: bool = false;

    fn versions() -> RangeInclusive<u32> {
        Room::versions()
    }

    fn connect(&mut self, from: ConnectionId, hello: &Hello, admission: Option<Role>) {
        self.0.connect(from, hello, admission);
    }

    fn committed(&mut self, entry: u32) {
        self.0.committed(entry);
    }

    fn receive(&mut self, from: ConnectionId, packet: Packet<'_>) {
        self.0.receive(from, packet);
    }

    fn disconnect(&mut self, from: ConnectionId) {
        self.0.disconnect(from);
    }

    fn command(&mut self, command: Command) {
        self.0.command(command);
    }

    fn tick(&mut self) {
        self.0.tick();
    }

    fn frames(&mut self, sink: &mut dyn FrameSink) {
        self.0.frames(sink);
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.0.poll_output()
    }

    fn snapshot(&self) -> Option<Vec<u8>> {
        self.0.snapshot()
    }

    fn stats(&self) -> Stats {
        self.0.stats()
    }
}

async fn serve_strict(config: Config) -> Gameserver {
    let usual = RoomConfig::new("", config.key.clone(), 0, 0, &config.tuning_ron).unwrap();
    let begin = move |start: net::Start<'_>| {
        let config = RoomConfig { name: start.id.to_owned(), epoch: start.epoch, ..usual.clone() };
        Ok(Strict(match start.saved {
            None => Room::new(config),
            Some(saved) => Room::restore(config, saved)?,
        }))
    };
    Gameserver::start_engine(config, begin).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_that_may_not_begin_anew_does_not_open_until_its_save_can_be_read() {
    let store = StoreDirectory::new();
    let (bad, _, client) = damaged(&store).await;
    let gameserver = serve_strict(store.config("m1")).await;
    for _ in 0..2 {
        assert_eq!(gameserver.join_room("field-a").await.err(), Some(CloseReason::RoomFailed.code()));
    }
    assert_eq!(gameserver.metric("saves_unusable_total").await, 2.0);
    assert_eq!((read(store.object("field-a", "snapshot")), bad_saves(&store)), (bad.clone(), 0));
    // Somebody has mended it: it opens, and everybody is still there.
    let mut mended = bad;
    let middle = mended.len() / 2;
    mended[middle] ^= 1;
    std::fs::write(store.object("field-a", "snapshot"), mended).unwrap();
    let pilot = client.pilot();
    let player = gameserver.try_join("field-a", client, None).await.unwrap();
    assert_eq!(player.client.pilot(), pilot);
    gameserver.server.stop().await;
}
