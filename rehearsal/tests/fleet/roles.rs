//! The whole way of a room's host, of those who read along by its other link, and of those who look on from the board.

use super::{WAIT_MAX, newark, start_cluster};
use protocol::close::CloseReason;
use rehearsal::{Cluster, Pilot, SocketState, request_join};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::timeout;

/// Stays until the socket ends.
async fn stay(mut pilot: Pilot) -> SocketState {
    let staying = async {
        loop {
            let state = pilot.fly(Duration::from_millis(500)).await.unwrap();
            if state != SocketState::Open {
                return state;
            }
        }
    };
    timeout(WAIT_MAX, staying).await.expect("nothing keeps the room awake")
}

/// The name by which people read along.
async fn alias(cluster: &Cluster, room: &Value) -> String {
    let (status, answer) = cluster.request(Method::POST, "/api/share", Some(room)).await.unwrap();
    assert_eq!(status, StatusCode::OK, "{answer}");
    let answer: Value = serde_json::from_str(&answer).unwrap();
    answer["path"].as_str().unwrap().rsplit('/').next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_readers_link_wakes_its_room_and_lets_it_sleep_again_and_the_host_stays_the_host() {
    let cluster = start_cluster(|_| {}).await;
    let mut host = Pilot::join(&cluster, "Host", &json!({ "region": "ewr", "private": true })).await.unwrap();
    host.fly(Duration::from_secs(1)).await.unwrap();
    let (id, room, proof) = (host.grant.instance.clone(), host.grant.room.clone(), host.grant.host.clone());
    let alias = alias(&cluster, &json!({ "instance": id, "room": room })).await;
    host.leave().await;
    cluster.wait_for_state(&id, "stopped", WAIT_MAX).await.unwrap();

    let reader = Pilot::join(&cluster, "Reader", &json!({ "instance": id, "room": alias })).await.unwrap();
    assert!(!format!("{:?}", reader.grant).contains(&room), "{:?}", reader.grant);
    assert_eq!(stay(reader).await, SocketState::Closed(CloseReason::Asleep));
    cluster.wait_for_state(&id, "stopped", WAIT_MAX).await.unwrap();

    let again = json!({ "instance": id, "room": room, "host": proof.expect("whoever had it made gets the proof") });
    Pilot::join(&cluster, "Host", &again).await.unwrap().leave().await;
    let forged = json!({ "instance": id, "room": room, "host": "00" });
    let refused = request_join(&cluster, &forged).await.unwrap().unwrap_err();
    assert_eq!((refused.status, refused.code.as_str()), (StatusCode::FORBIDDEN, "not_the_host"));
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_looks_on_from_the_board_wakes_no_machine_and_keeps_none_awake() {
    let cluster = start_cluster(|_| {}).await;
    let watch = json!({ "region": "ewr", "watch": true });
    let refused = request_join(&cluster, &watch).await.unwrap().unwrap_err();
    assert_eq!((refused.status, refused.code.as_str()), (StatusCode::CONFLICT, "nothing_to_watch"));
    let mut pilot = Pilot::join(&cluster, "Ada", &newark()).await.unwrap();
    let id = pilot.grant.instance.clone();
    assert_eq!(cluster.starts_of(&id).await.unwrap(), 1, "the spectator had started none");
    // Until the lobby has seen that somebody is there.
    let looking = async {
        loop {
            if let Ok(grant) = request_join(&cluster, &watch).await.unwrap() {
                return Pilot::join_with(&cluster, "Bob", grant).await.unwrap();
            }
            pilot.fly(Duration::from_millis(300)).await.unwrap();
        }
    };
    let spectator = timeout(WAIT_MAX, looking).await.expect("there is somebody to look at");
    pilot.leave().await;
    assert_eq!(stay(spectator).await, SocketState::Closed(CloseReason::Asleep));
    cluster.wait_for_state(&id, "stopped", WAIT_MAX).await.unwrap();
    assert_eq!(cluster.starts_of(&id).await.unwrap(), 1);
    cluster.shutdown().await;
}
