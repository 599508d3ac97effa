//! The first join of a region that sleeps, and many at once.

use super::{PATIENCE, crew, fly, newark, open};
use rehearsal::{Pilot, ask};
use reqwest::Method;
use serde_json::Value;
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_join_wakes_a_cold_region() {
    let stage = open(|_| {}).await;
    let machine = stage.machines().await.unwrap().remove(0);
    assert_eq!(machine.state, "stopped");
    let mut pilot = Pilot::join(&stage, "First", &newark()).await.unwrap();
    assert_eq!(pilot.joined.instance, machine.id);
    pilot.fly(Duration::from_secs(2)).await.unwrap();
    assert!(pilot.tick() > 60 && pilot.plane().is_some());
    assert_eq!((pilot.mismatches(), stage.starts_of(&machine.id).await.unwrap()), (0, 1));
    // The board asks machines every few seconds.
    let began = Instant::now();
    loop {
        let (_, board) = stage.ask(Method::GET, "/api/regions", None).await.unwrap();
        let board: Value = serde_json::from_str(&board).unwrap();
        let row = board["regions"].as_array().unwrap().iter().find(|row| row["region"] == "ewr").unwrap();
        assert_eq!(row["status"], "up", "{row}");
        if row["players"] == 1 {
            break;
        }
        assert!(began.elapsed() < PATIENCE, "{row}");
        pilot.fly(Duration::from_millis(500)).await.unwrap();
    }
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_joins_at_once_start_one_machine() {
    let stage = open(|_| {}).await;
    let mut pilots = crew(&stage, 100).await;
    fly(&mut pilots, Duration::from_secs(2)).await;
    let machine = pilots[0].joined.instance.clone();
    assert!(pilots.iter().all(|pilot| pilot.joined.instance == machine && pilot.mismatches() == 0));
    assert_eq!(stage.starts_of(&machine).await.unwrap(), 1);
    for path in ["/metrics".to_owned(), format!("/gameserver/{machine}/metrics")] {
        let (_, text) = stage.ask(Method::GET, &path, None).await.unwrap();
        assert!(!text.contains("# TYPE"), "{path} shows metrics to everybody");
    }
    let metrics = stage.lobby_metrics().await.unwrap();
    let starts = metrics.lines().filter(|line| line.contains("api_calls_total") && line.contains("call=\"start\""));
    let calls: f64 = starts.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum();
    assert!((calls - 1.0).abs() < 0.5, "one start is asked for, not {calls}:\n{metrics}");
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_lobbies_that_wake_the_same_machine_do_no_harm() {
    for start_on_started in ["200", "409", "412"] {
        let stage = open(|config| config.words.push(format!("--start-on-started={start_on_started}"))).await;
        let other = stage.second_lobby().await.unwrap();
        let (newark, theirs) = (newark(), newark());
        let (ours, theirs) = tokio::join!(ask(&stage, &newark), other.join(&theirs));
        let (ours, (status, theirs)) = (ours.unwrap().unwrap(), theirs.unwrap());
        assert!(status.is_success(), "{theirs}");
        assert_eq!(ours.instance, theirs["instance"].as_str().unwrap());
        assert_eq!(stage.starts_of(&ours.instance).await.unwrap(), 1);
        for joined in [ours, serde_json::from_value(theirs).unwrap()] {
            Pilot::enter(&stage, "Guest", joined).await.unwrap();
        }
        stage.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edge_whose_picture_lags_still_brings_everybody_in() {
    let stage = open(|config| config.words.push("--edge-lag-ms=3000".into())).await;
    let mut pilot = Pilot::join(&stage, "First", &newark()).await.unwrap();
    pilot.fly(Duration::from_secs(1)).await.unwrap();
    let id = pilot.joined.instance.clone();
    pilot.leave().await;
    // For the edge the machine still runs when it has gone to sleep: the proxy's tries must wake it.
    stage.until(&id, "stopped", PATIENCE).await.unwrap();
    let mut back = Pilot::join(&stage, "Second", &newark()).await.unwrap();
    back.fly(Duration::from_secs(1)).await.unwrap();
    assert!(back.plane().is_some());
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_region_grows_up_to_its_limit_and_then_says_so() {
    let stage = open(|config| {
        config.machines_max = 2;
        config.game_env.push(("MAX_PLAYERS", "2".into()));
    })
    .await;
    let mut pilots = Vec::new();
    for number in 0..4 {
        pilots.push(Pilot::join(&stage, &format!("Pilot {number}"), &newark()).await.unwrap());
    }
    let machines = stage.machines().await.unwrap();
    assert_eq!(machines.iter().filter(|machine| machine.state == "started").count(), 2, "{machines:?}");
    let no = ask(&stage, &newark()).await.unwrap().unwrap_err();
    assert!(no.sentence.ends_with('.') && no.status.as_u16() >= 400, "{no:?}");
    drop(pilots);
    stage.close().await;
}
