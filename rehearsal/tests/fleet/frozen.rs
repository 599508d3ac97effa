//! A machine that stands still: Fly takes it for running, its kernel takes connections, and nothing answers.

use super::{WAIT_MAX, fly, join_many, newark, start_cluster};
use rehearsal::{Cluster, Pilot, request_join};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Longest that one question may take: two status reads of 2 s, a list of 1 s, and a busy machine.
const ANSWER_MAX: Duration = Duration::from_secs(15);

/// Asks for a page once, within [`ANSWER_MAX`].
async fn page(cluster: &Cluster, path: &str) -> (StatusCode, String) {
    let asking = cluster.request(Method::GET, path, None);
    tokio::time::timeout(ANSWER_MAX, asking).await.expect("a page hangs on a frozen machine").unwrap()
}

async fn status_of(cluster: &Cluster, region: &str) -> String {
    let (_, text) = cluster.request(Method::GET, "/api/regions", None).await.unwrap();
    let board: Value = serde_json::from_str(&text).unwrap();
    let row = board["regions"].as_array().unwrap().iter().find(|row| row["region"] == region).unwrap();
    row["status"].as_str().unwrap().to_owned()
}

/// Freezes a machine and lets pass what the lobby still holds for true.
async fn freeze(cluster: &Cluster, id: &str) {
    cluster.act_on(id, "freeze").await.unwrap();
    tokio::time::sleep(Duration::from_millis(3_500)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_machine_is_told_of_within_seconds_and_back_when_it_answers() {
    let cluster = start_cluster(|config| config.machines_max = 1).await;
    let mut pilots = join_many(&cluster, 1).await;
    fly(&mut pilots, Duration::from_millis(300)).await;
    let (id, path) = (pilots[0].grant.instance.clone(), pilots[0].grant.path.clone());
    assert_eq!(page(&cluster, &path).await.0, StatusCode::OK);
    freeze(&cluster, &id).await;
    let (status, text) = page(&cluster, &path).await;
    assert!(status == StatusCode::SERVICE_UNAVAILABLE && text.contains("did not answer"), "{status}: {text}");
    let began = Instant::now();
    let refused = request_join(&cluster, &newark()).await.unwrap().unwrap_err();
    assert!(began.elapsed() < ANSWER_MAX, "a join hangs on a frozen machine");
    assert!(refused.sentence.contains("does not answer"), "{refused}");
    assert_eq!(status_of(&cluster, "ewr").await, "unreachable");
    cluster.act_on(&id, "thaw").await.unwrap();
    let began = Instant::now();
    while page(&cluster, &path).await.0 != StatusCode::OK || status_of(&cluster, "ewr").await != "up" {
        assert!(began.elapsed() < WAIT_MAX, "it answers, and nobody is sent there");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Pilot::join(&cluster, "Guest", &newark()).await.unwrap();
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_flies_on_a_frozen_machine_goes_on_elsewhere() {
    let cluster = start_cluster(|config| config.pool = vec![("ewr", 2)]).await;
    let mut pilots = join_many(&cluster, 2).await;
    // Longer than the time between two saves.
    fly(&mut pilots, Duration::from_secs(12)).await;
    let (id, room) = (pilots[0].grant.instance.clone(), pilots[0].grant.room.clone());
    let who: Vec<_> = pilots.iter().map(Pilot::id).collect();
    freeze(&cluster, &id).await;
    let began = Instant::now();
    let grant = request_join(&cluster, &json!({ "instance": id, "room": room })).await.unwrap().unwrap();
    assert!(grant.instance != id && began.elapsed() < ANSWER_MAX, "{grant:?} after {:?}", began.elapsed());
    let (status, _) = page(&cluster, &pilots[0].grant.path).await;
    assert!(status.is_redirection(), "{status}");
    for back in futures_util::future::join_all(pilots.iter_mut().map(|pilot| pilot.rejoin(&cluster))).await {
        back.unwrap();
    }
    assert!(pilots.iter().all(|pilot| pilot.was_resumed && pilot.grant.instance != id));
    assert_eq!(pilots.iter().map(Pilot::id).collect::<Vec<_>>(), who);
    fly(&mut pilots, Duration::from_millis(500)).await;
    cluster.act_on(&id, "thaw").await.unwrap();
    cluster.shutdown().await;
}
