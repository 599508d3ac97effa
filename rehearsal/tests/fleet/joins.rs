//! The first join of a region that sleeps, and many at once.

use super::{WAIT_MAX, fly, join_many, newark, start_cluster};
use catalogue::Catalogue;
use protocol::room::Kind;
use rehearsal::{Pilot, request_join};
use reqwest::Method;
use serde_json::Value;
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_join_wakes_a_cold_region() {
    let cluster = start_cluster(|_| {}).await;
    let machine = cluster.machines().await.unwrap().remove(0);
    assert_eq!(machine.state, "stopped");
    let mut pilot = Pilot::join(&cluster, "First", &newark()).await.unwrap();
    assert_eq!(pilot.grant.instance, machine.id);
    pilot.fly(Duration::from_secs(2)).await.unwrap();
    assert!(pilot.tick() > 60 && pilot.plane().is_some());
    assert_eq!((pilot.mismatches(), cluster.starts_of(&machine.id).await.unwrap()), (0, 1));
    // The board asks machines every few seconds.
    let began = Instant::now();
    loop {
        let (_, board) = cluster.request(Method::GET, "/api/regions", None).await.unwrap();
        let board: Value = serde_json::from_str(&board).unwrap();
        let row = board["regions"].as_array().unwrap().iter().find(|row| row["region"] == "ewr").unwrap();
        assert_eq!(row["status"], "up", "{row}");
        if row["players"] == 1 {
            break;
        }
        assert!(began.elapsed() < WAIT_MAX, "{row}");
        pilot.fly(Duration::from_millis(500)).await.unwrap();
    }
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_joins_at_once_start_one_machine() {
    let cluster = start_cluster(|_| {}).await;
    let mut pilots = join_many(&cluster, 100).await;
    fly(&mut pilots, Duration::from_secs(2)).await;
    let machine = pilots[0].grant.instance.clone();
    assert!(pilots.iter().all(|pilot| pilot.grant.instance == machine && pilot.mismatches() == 0));
    assert_eq!(cluster.starts_of(&machine).await.unwrap(), 1);
    for path in ["/metrics".to_owned(), format!("/gameserver/{machine}/metrics")] {
        let (_, text) = cluster.request(Method::GET, &path, None).await.unwrap();
        assert!(!text.contains("# TYPE"), "{path} shows metrics to everybody");
    }
    let metrics = cluster.lobby_metrics().await.unwrap();
    let starts = metrics.lines().filter(|line| line.contains("api_calls_total") && line.contains("call=\"start\""));
    let calls: f64 = starts.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum();
    assert!((calls - 1.0).abs() < 0.5, "one start is asked for, not {calls}:\n{metrics}");
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_lobbies_that_wake_the_same_machine_do_no_harm() {
    for start_on_started in ["200", "409", "412"] {
        let cluster = start_cluster(|config| config.words.push(format!("--start-on-started={start_on_started}"))).await;
        let other = cluster.second_lobby().await.unwrap();
        let (newark, theirs) = (newark(), newark());
        let (ours, theirs) = tokio::join!(request_join(&cluster, &newark), other.join(&theirs));
        let (ours, (status, theirs)) = (ours.unwrap().unwrap(), theirs.unwrap());
        assert!(status.is_success(), "{theirs}");
        assert_eq!(ours.instance, theirs["instance"].as_str().unwrap());
        assert_eq!(cluster.starts_of(&ours.instance).await.unwrap(), 1);
        for grant in [ours, serde_json::from_value(theirs).unwrap()] {
            Pilot::join_with(&cluster, "Guest", grant).await.unwrap();
        }
        cluster.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edge_whose_picture_lags_still_brings_everybody_in() {
    let cluster = start_cluster(|config| config.words.push("--edge-lag-ms=3000".into())).await;
    let mut pilot = Pilot::join(&cluster, "First", &newark()).await.unwrap();
    pilot.fly(Duration::from_secs(1)).await.unwrap();
    let id = pilot.grant.instance.clone();
    pilot.leave().await;
    // For the edge the machine still runs when it has gone to sleep: the proxy's tries must wake it.
    cluster.wait_for_state(&id, "stopped", WAIT_MAX).await.unwrap();
    let mut back = Pilot::join(&cluster, "Second", &newark()).await.unwrap();
    back.fly(Duration::from_secs(1)).await.unwrap();
    assert!(back.plane().is_some());
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_region_grows_up_to_its_limit_and_then_says_so() {
    let cluster = start_cluster(|config| {
        config.machines_max = 2;
        let mut kinds = Catalogue::built_in();
        kinds[Kind::Arena].members = 2;
        config.game_env.push(("KINDS", kinds.to_ron()));
    })
    .await;
    let mut pilots = Vec::new();
    for number in 0..4 {
        pilots.push(Pilot::join(&cluster, &format!("Pilot {number}"), &newark()).await.unwrap());
    }
    let machines = cluster.machines().await.unwrap();
    assert_eq!(machines.iter().filter(|machine| machine.state == "started").count(), 2, "{machines:?}");
    let no = request_join(&cluster, &newark()).await.unwrap().unwrap_err();
    assert!(no.sentence.ends_with('.') && no.status.as_u16() >= 400, "{no:?}");
    drop(pilots);
    cluster.shutdown().await;
}
