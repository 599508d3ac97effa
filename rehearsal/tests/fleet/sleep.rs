//! Machines sleep after their last player and come back as they were.

use super::{WAIT_MAX, newark, start_cluster};
use rehearsal::{Pilot, SocketState};
use reqwest::{Method, StatusCode};
use serde_json::json;
use std::time::Duration;
use tokio::time::sleep;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_machine_sleeps_and_a_room_comes_back_as_it_was() {
    let cluster = start_cluster(|_| {}).await;
    let mut pilot = Pilot::join(&cluster, "First", &newark()).await.unwrap();
    pilot.fly(Duration::from_secs(2)).await.unwrap();
    let (id, tick) = (pilot.grant.instance.clone(), pilot.tick());
    pilot.leave().await;
    cluster.wait_for_state(&id, "stopped", WAIT_MAX).await.unwrap();
    let mut next = Pilot::join(&cluster, "Second", &newark()).await.unwrap();
    next.fly(Duration::from_millis(300)).await.unwrap();
    assert!(next.tick() > tick, "the room went on at {}, having been left at {tick}", next.tick());
    assert_eq!(cluster.starts_of(&id).await.unwrap(), 2);
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn probes_pages_and_pings_keep_nobody_awake() {
    let cluster = start_cluster(|_| {}).await;
    let pilot = Pilot::join(&cluster, "First", &newark()).await.unwrap();
    let id = pilot.grant.instance.clone();
    pilot.leave().await;
    let curious = async {
        loop {
            for path in [format!("/gameserver/{id}/status"), format!("/gameserver/{id}/arena"), "/api/regions".into()] {
                // Only while it runs: a probe of a sleeper would wake it.
                if cluster.machine(&id).await.unwrap().state == "started" {
                    let _ = cluster.request(Method::GET, &path, None).await;
                }
            }
            sleep(Duration::from_millis(400)).await;
        }
    };
    tokio::select! {
        () = curious => {}
        slept = cluster.wait_for_state(&id, "stopped", WAIT_MAX) => drop(slept.unwrap()),
    }
    cluster.shutdown().await;
}

/// Whoever comes while a machine goes to sleep gets in, whenever that is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_lost_between_waking_and_sleeping() {
    let cluster = start_cluster(|_| {}).await;
    let mut offset_ms = 17;
    for round in 0..12 {
        let mut pilot = Pilot::join(&cluster, "Guest", &newark()).await.unwrap();
        assert_eq!(pilot.fly(Duration::from_millis(100)).await.unwrap(), SocketState::Open);
        assert_eq!(pilot.mismatches(), 0);
        pilot.leave().await;
        // Somewhere around the moment at which the empty machine goes: 0.9 to 1.6 s after the last player.
        offset_ms = (offset_ms * 131 + round) % 700;
        sleep(Duration::from_millis(900 + offset_ms)).await;
    }
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invite_link_leads_to_the_same_private_room_though_it_slept() {
    let cluster = start_cluster(|_| {}).await;
    let mut host = Pilot::join(&cluster, "Host", &json!({ "region": "ewr", "private": true })).await.unwrap();
    host.fly(Duration::from_secs(1)).await.unwrap();
    let (id, room, tick) = (host.grant.instance.clone(), host.grant.room.clone(), host.tick());
    let link = format!("/gameserver/{id}/{room}");
    host.leave().await;
    cluster.wait_for_state(&id, "stopped", WAIT_MAX).await.unwrap();
    let (status, _) = cluster.request(Method::GET, &link, None).await.unwrap();
    assert_eq!(status, StatusCode::OK, "the link wakes its machine");
    let mut guest = Pilot::join(&cluster, "Guest", &json!({ "instance": id, "room": room })).await.unwrap();
    guest.fly(Duration::from_millis(300)).await.unwrap();
    assert!(guest.tick() > tick);
    let (_, page) = cluster.request(Method::GET, &format!("/gameserver/{id}/field-never4ever"), None).await.unwrap();
    assert!(page.contains("gone"), "a room that never was is told to be gone:\n{page}");
    cluster.shutdown().await;
}
