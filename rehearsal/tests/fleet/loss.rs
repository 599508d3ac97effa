//! Machines that die, vanish, or fight over a room.

use super::{WAIT_MAX, fly, join_many, start_cluster};
use rehearsal::{Cluster, Pilot, SocketState};
use reqwest::Method;
use serde_json::json;
use std::time::Duration;

/// A save is at most this old.
const SAVED_EVERY: Duration = Duration::from_secs(10);

/// Everybody notices that the connection is gone.
async fn lose(pilots: &mut [Pilot]) {
    for pilot in pilots {
        assert_ne!(pilot.fly(WAIT_MAX).await.unwrap(), SocketState::Open, "the socket stays open");
    }
}

/// Everybody comes back as who they were, wherever the room is now.
async fn rejoin(cluster: &Cluster, pilots: &mut [Pilot]) {
    let who: Vec<_> = pilots.iter().map(Pilot::id).collect();
    let backs = pilots.iter_mut().map(|pilot| pilot.rejoin(cluster));
    for back in futures_util::future::join_all(backs).await {
        back.unwrap();
    }
    fly(pilots, Duration::from_millis(500)).await;
    assert!(pilots.iter().all(|pilot| pilot.was_resumed), "somebody came back as a newcomer");
    assert_eq!(pilots.iter().map(Pilot::id).collect::<Vec<_>>(), who);
    assert!(pilots.iter().all(|pilot| pilot.mismatches() == 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_machine_loses_no_more_than_its_last_save() {
    let cluster = start_cluster(|_| {}).await;
    let mut pilots = join_many(&cluster, 5).await;
    fly(&mut pilots, SAVED_EVERY + Duration::from_secs(2)).await;
    let (id, tick) = (pilots[0].grant.instance.clone(), pilots[0].tick());
    cluster.act_on(&id, "kill").await.unwrap();
    lose(&mut pilots).await;
    rejoin(&cluster, &mut pilots).await;
    let lost = tick.saturating_sub(pilots[0].tick());
    assert!(u64::from(lost) < 60 * (SAVED_EVERY.as_secs() + 2), "{lost} ticks are lost");
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_destroyed_machines_room_is_restored_on_another() {
    let cluster = start_cluster(|config| config.pool = vec![("ewr", 2)]).await;
    let mut pilots = join_many(&cluster, 3).await;
    fly(&mut pilots, SAVED_EVERY + Duration::from_secs(2)).await;
    let (id, tick) = (pilots[0].grant.instance.clone(), pilots[0].tick());
    cluster.act_on(&id, "destroy").await.unwrap();
    lose(&mut pilots).await;
    rejoin(&cluster, &mut pilots).await;
    assert!(pilots.iter().all(|pilot| pilot.grant.instance != id));
    assert!(pilots[0].tick() + 60 * 12 > tick);
    // Its invite link leads on to where it is now.
    let location = cluster.location_of(&format!("/gameserver/{id}/arena")).await.unwrap();
    assert!(location.ends_with(&format!("/{}/arena-{id}?moved=1", pilots[0].grant.instance)), "{location}");
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sleeping_room_whose_machine_is_destroyed_wakes_elsewhere() {
    let cluster = start_cluster(|config| config.pool = vec![("ewr", 1), ("cdg", 1)]).await;
    let mut host = Pilot::join(&cluster, "Host", &json!({ "region": "ewr", "private": true })).await.unwrap();
    host.fly(Duration::from_secs(1)).await.unwrap();
    let (id, room, tick) = (host.grant.instance.clone(), host.grant.room.clone(), host.tick());
    host.leave().await;
    cluster.wait_for_state(&id, "stopped", WAIT_MAX).await.unwrap();
    cluster.act_on(&id, "destroy").await.unwrap();
    let mut guest = loop {
        // The lobby may still have it on its list.
        if let Ok(guest) = Pilot::join(&cluster, "Guest", &json!({ "instance": id, "room": room })).await {
            break guest;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    };
    guest.fly(Duration::from_millis(300)).await.unwrap();
    assert_ne!(guest.grant.instance, id);
    assert!(guest.tick() > tick, "it went on at {}, left at {tick}", guest.tick());
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_machines_that_claim_one_room_end_with_one_owner() {
    let cluster = start_cluster(|config| config.pool = vec![("ewr", 2)]).await;
    let mut host = Pilot::join(&cluster, "Host", &json!({ "region": "ewr", "private": true })).await.unwrap();
    host.fly(Duration::from_secs(1)).await.unwrap();
    let (owner, room) = (host.grant.instance.clone(), host.grant.room.clone());
    let other = cluster.machines().await.unwrap().into_iter().find(|machine| machine.id != owner).unwrap();
    // The lobby was told to bring the room to the other machine, while its owner has it open.
    let grant =
        rehearsal::request_join(&cluster, &json!({ "instance": other.id, "room": room })).await.unwrap().unwrap();
    let rival = Pilot::join_with(&cluster, "Rival", grant).await;
    assert!(rival.is_err(), "the other machine opened a room that is not its own");
    let path = format!("/gameserver/{}/{room}", other.id);
    let location = cluster.location_of(&path).await.unwrap();
    assert!(location.ends_with(&format!("/gameserver/{owner}/{room}?back=1")), "{location}");
    assert_eq!(host.fly(Duration::from_millis(500)).await.unwrap(), SocketState::Open);
    let (status, _) = cluster.request(Method::GET, &location, None).await.unwrap();
    assert!(status.is_success());
    cluster.shutdown().await;
}
