//! Machines whose wall clock is wrong.

use crate::harness::{Gameserver, SECRET, StoreDirectory, now_s};
use net::Config;
use std::time::Duration;

fn config(store: &StoreDirectory, ahead_ms: i64) -> Config {
    let url = format!("file://{}", store.0.display());
    let mut config = Config::from_lookup(|name| match name {
        "AERODROME_SECRET" => Some(SECRET.to_owned()),
        "FLY_MACHINE_ID" => Some("m1".to_owned()),
        "STORE_URL" => Some(url.clone()),
        "BIND" => Some("127.0.0.1".to_owned()),
        "PORT" => Some("0".to_owned()),
        _ => None,
    })
    .unwrap();
    config.wall_clock.ahead_ms = ahead_ms;
    config
}

/// SPEC S3.3.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_whose_clock_is_far_off_does_not_start_and_says_why() {
    let store = StoreDirectory::new();
    for (ahead_ms, words) in [(25_000, "25 s ahead of the store's"), (-31_000, "s behind the store's")] {
        let sentence = Gameserver::try_start(config(&store, ahead_ms)).await.err().expect("it refuses").to_string();
        assert!(sentence.starts_with("This machine's clock is ") && sentence.contains(words), "{sentence}");
    }
}

/// From its first moment on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_is_a_little_off_keeps_nobody_out() {
    let store = StoreDirectory::new();
    for (ahead_ms, least_s, most_s) in [(9_000, 8, 10), (-9_000, -10, -8)] {
        let gameserver = Gameserver::try_start(config(&store, ahead_ms)).await.unwrap();
        let mut player = gameserver.join_room("arena").await.unwrap();
        player.play(Duration::from_millis(100)).await;
        let (store_ms, lobby_s) = (
            gameserver.metric("clock_ahead_of_store_ms").await,
            gameserver.metric("clock_ahead_of_lobby_seconds").await,
        );
        assert!((f64::from(least_s) * 1e3..=f64::from(most_s) * 1e3).contains(&store_ms), "{store_ms}");
        assert!((f64::from(least_s)..=f64::from(most_s)).contains(&lobby_s), "{lobby_s}");
        gameserver.server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_status_tells_the_machines_time() {
    let gameserver = Gameserver::start_with(|config| config.wall_clock.ahead_ms = 5_000).await;
    let (_, _, body) = gameserver.get_replayed(&format!("/gameserver/{}/status", gameserver.instance)).await;
    let status: serde_json::Value = serde_json::from_str(&body).unwrap();
    let ahead_s = status["unix_ms"].as_u64().unwrap() as i64 / 1000 - now_s() as i64;
    assert!((4..=6).contains(&ahead_s), "{ahead_s}");
    gameserver.server.stop().await;
}
