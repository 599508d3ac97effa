//! Rooms that the store does not take: they stay up, people are told, and what ends ends with an error.

use crate::{
    harness::{Gameserver, PATIENCE, Player, StoreDirectory, join_process},
    stopping::serve,
};
use arena::ClientEvent;
use protocol::close::CloseReason;
use session::SessionEvent;
use std::{
    io::Read,
    process::{Child, Command},
    time::{Duration, Instant},
};
use tokio::time::timeout;

const SLEEP_AFTER: Duration = Duration::from_millis(150);

async fn sleepy(store: &StoreDirectory, unwritable_max: Duration) -> Gameserver {
    store.serve("m1", |config| (config.sleep_after, config.unwritable_max) = (Some(SLEEP_AFTER), unwritable_max)).await
}

/// Leaves without a word; what is kept of the session.
fn hang_up(mut player: Player) -> arena::Client {
    std::mem::take(&mut player.client)
}

/// The notices so far.
pub(crate) fn notices(player: &mut Player) -> Vec<String> {
    let events = std::iter::from_fn(|| player.client.poll_event());
    let notices = events.filter_map(|event| match event {
        ClientEvent::Session(SessionEvent::Notice(text)) => Some(text),
        _ => None,
    });
    notices.collect()
}

pub(crate) async fn play_until_noticed(player: &mut Player, words: &str) {
    let began = Instant::now();
    loop {
        player.play(Duration::from_millis(50)).await;
        if notices(player).iter().any(|notice| notice.contains(words)) {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "nobody says \"{words}\"");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_that_cannot_be_written_stays_up_until_it_is() {
    let store = StoreDirectory::new();
    let gameserver = sleepy(&store, Duration::from_secs(600)).await;
    let mut player = gameserver.join_room("field-a").await.unwrap();
    let mut other = gameserver.join_room("field-b").await.unwrap();
    tokio::join!(player.play(Duration::from_millis(100)), other.play(Duration::from_millis(100)));
    let pilot = player.client.pilot();
    tokio::join!(store.wait_for("field-a"), store.wait_for("field-b"));
    store.spoil("field-a");
    let (client, _) = (hang_up(player), hang_up(other));
    assert!(timeout(Duration::from_secs(3), gameserver.server.asleep()).await.is_err(), "it sleeps on a room");
    assert_eq!(store.owner("field-b")["is_asleep"], true, "what can be written is");
    assert_eq!(gameserver.metric("rooms_open").await, 1.0);
    assert_eq!(gameserver.metric("rooms_unwritable").await, 1.0);
    assert!(gameserver.metric("unwritten_seconds").await >= 2.0);

    // Whoever comes back finds the room as it was, though the store has nothing of it.
    let mut player = gameserver.try_join("field-a", client, None).await.unwrap();
    assert_eq!(player.client.pilot(), pilot);
    play_until_noticed(&mut player, "cannot be saved").await;
    assert_eq!(player.client.stats().mismatches, 0);
    let client = hang_up(player);

    store.repair("field-a");
    timeout(3 * PATIENCE, gameserver.server.asleep()).await.expect("it is written, and the machine sleeps").unwrap();
    assert_eq!(store.owner("field-a")["is_asleep"], true);
    let gameserver = sleepy(&store, Duration::from_secs(600)).await;
    let player = gameserver.try_join("field-a", client, None).await.unwrap();
    assert_eq!(player.client.pilot(), pilot);
    assert!(gameserver.server.stop().await.unwritten.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_with_nothing_but_unwritable_rooms_gives_up_in_the_end() {
    let store = StoreDirectory::new();
    let gameserver = sleepy(&store, Duration::from_secs(1)).await;
    let mut flying = gameserver.join_room("field-a").await.unwrap();
    let mut other = gameserver.join_room("field-b").await.unwrap();
    tokio::join!(flying.play(Duration::from_millis(100)), other.play(Duration::from_millis(100)));
    tokio::join!(store.wait_for("field-a"), store.wait_for("field-b"));
    store.spoil("field-a");
    drop(other);
    let asleep = async { tokio::join!(gameserver.server.asleep(), flying.play(Duration::from_secs(4))) };
    assert!(timeout(Duration::from_secs(3), asleep).await.is_err(), "somebody is there");
    drop(flying);
    let sentence = timeout(PATIENCE, gameserver.server.asleep()).await.expect("it gives up").unwrap_err().to_string();
    assert!(sentence.contains("for 1 s the store took nothing") && sentence.contains("field-a."), "{sentence}");
    assert!(!sentence.contains("field-b"), "{sentence}");
    assert_eq!(store.owner("field-b")["is_asleep"], true, "what could be written is");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_are_told_that_their_room_cannot_be_saved_and_fly_on() {
    let store = StoreDirectory::new();
    let gameserver = store.serve("m1", |config| config.save_interval = Duration::from_millis(300)).await;
    let mut player = gameserver.join_room("field-a").await.unwrap();
    let mut elsewhere = gameserver.join_room("field-b").await.unwrap();
    player.play(Duration::from_millis(700)).await;
    assert_eq!(notices(&mut player), Vec::<String>::new());
    store.spoil("field-a");
    play_until_noticed(&mut player, "cannot be saved at the moment").await;
    let mut newcomer = gameserver.join_room("field-a").await.unwrap();
    play_until_noticed(&mut newcomer, "cannot be saved at the moment").await;
    store.repair("field-a");
    tokio::join!(
        play_until_noticed(&mut player, "saved again"),
        play_until_noticed(&mut newcomer, "saved again"),
        elsewhere.play(Duration::from_millis(200))
    );
    assert_eq!(notices(&mut elsewhere), Vec::<String>::new());
    assert_eq!(gameserver.metric("rooms_unwritable").await, 0.0);
    gameserver.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_tries_to_write_until_its_deadline_and_then_tells_what_is_lost() {
    let store = StoreDirectory::new();
    let gameservers = [store.serve("m1", |_| {}).await, store.serve("m2", |_| {}).await];
    let mut players =
        [gameservers[0].join_room("field-a").await.unwrap(), gameservers[1].join_room("field-b").await.unwrap()];
    let [given_up, mended] = gameservers;
    for (player, room) in players.iter_mut().zip(["field-a", "field-b"]) {
        player.play(Duration::from_millis(100)).await;
        store.wait_for(room).await;
        store.spoil(room);
    }
    let repair = async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        store.repair("field-b");
    };
    let [player, other] = &mut players;
    let (stopped, good, (code, _), (other_code, _), ()) = tokio::join!(
        given_up.server.stop(),
        mended.server.stop(),
        player.play_until_closed(),
        other.play_until_closed(),
        repair
    );
    assert_eq!(stopped.unwritten, ["field-a".into()]);
    assert!(stopped.result().unwrap_err().to_string().contains("lost in: field-a."));
    assert!(good.unwritten.is_empty());
    assert_eq!([code, other_code], [CloseReason::ServerStopping.code(); 2]);
    assert_eq!(store.owner("field-b")["is_asleep"], true);
}

/// The exit code, and what it said.
fn end_of(mut child: Child) -> (Option<i32>, String) {
    let began = Instant::now();
    let code = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status.code();
        }
        if began.elapsed() > 2 * PATIENCE {
            child.kill().unwrap();
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let mut told = String::new();
    child.stderr.take().unwrap().read_to_string(&mut told).unwrap();
    (code, told)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_loses_a_room_ends_with_an_error_and_a_sentence() {
    for signal in [None, Some("TERM")] {
        let store = StoreDirectory::new();
        let url = format!("file://{}", store.0.display());
        let (child, port) = serve(&[("STORE_URL", &url), ("SLEEP_AFTER_S", "1"), ("UNWRITABLE_MAX_S", "1")]);
        let mut player = join_process(port, "field-a").await;
        player.play(Duration::from_millis(100)).await;
        store.wait_for("field-a").await;
        store.spoil("field-a");
        if let Some(signal) = signal {
            Command::new("kill").args(["-s", signal, &child.id().to_string()]).status().unwrap();
            assert_eq!(player.play_until_closed().await.0, CloseReason::ServerStopping.code());
        }
        drop(player);
        let (code, told) = tokio::task::spawn_blocking(|| end_of(child)).await.unwrap();
        assert_eq!(code, Some(1), "{told}");
        let sentence = told.lines().find(|line| line.starts_with("Error: ")).unwrap_or_default();
        assert!(sentence.contains("is lost in: field-a. Look at the disk or bucket"), "{told}");
    }
}
