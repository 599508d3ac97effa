//! Machines that die, vanish, or fight over a room.

use super::{PATIENCE, crew, fly, open};
use rehearsal::{Ending, Pilot, Stage};
use reqwest::Method;
use serde_json::json;
use std::time::Duration;

/// A save is at most this old.
const SAVED_EVERY: Duration = Duration::from_secs(10);

/// Everybody notices that the line is gone.
async fn lose(pilots: &mut [Pilot]) {
    for pilot in pilots {
        assert_ne!(pilot.fly(PATIENCE).await.unwrap(), Ending::Open, "the socket stays open");
    }
}

/// Everybody comes back as who they were, wherever the room is now.
async fn come_back(stage: &Stage, pilots: &mut [Pilot]) {
    let who: Vec<_> = pilots.iter().map(Pilot::id).collect();
    let backs = pilots.iter_mut().map(|pilot| pilot.come_back(stage));
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
    let stage = open(|_| {}).await;
    let mut pilots = crew(&stage, 5).await;
    fly(&mut pilots, SAVED_EVERY + Duration::from_secs(2)).await;
    let (id, tick) = (pilots[0].joined.instance.clone(), pilots[0].tick());
    stage.act(&id, "kill").await.unwrap();
    lose(&mut pilots).await;
    come_back(&stage, &mut pilots).await;
    let lost = tick.saturating_sub(pilots[0].tick());
    assert!(u64::from(lost) < 60 * (SAVED_EVERY.as_secs() + 2), "{lost} ticks are lost");
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_destroyed_machines_room_is_restored_on_another() {
    let stage = open(|config| config.pool = vec![("ewr", 2)]).await;
    let mut pilots = crew(&stage, 3).await;
    fly(&mut pilots, SAVED_EVERY + Duration::from_secs(2)).await;
    let (id, tick) = (pilots[0].joined.instance.clone(), pilots[0].tick());
    stage.act(&id, "destroy").await.unwrap();
    lose(&mut pilots).await;
    come_back(&stage, &mut pilots).await;
    assert!(pilots.iter().all(|pilot| pilot.joined.instance != id));
    assert!(pilots[0].tick() + 60 * 12 > tick);
    // Its invite link leads on to where it is now.
    let location = stage.location_of(&format!("/gameserver/{id}/arena")).await.unwrap();
    assert!(location.ends_with(&format!("/{}/arena-{id}?moved=1", pilots[0].joined.instance)), "{location}");
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sleeping_room_whose_machine_is_destroyed_wakes_elsewhere() {
    let stage = open(|config| config.pool = vec![("ewr", 1), ("cdg", 1)]).await;
    let mut host = Pilot::join(&stage, "Host", &json!({ "region": "ewr", "private": true })).await.unwrap();
    host.fly(Duration::from_secs(1)).await.unwrap();
    let (id, room, tick) = (host.joined.instance.clone(), host.joined.room.clone(), host.tick());
    host.leave().await;
    stage.until(&id, "stopped", PATIENCE).await.unwrap();
    stage.act(&id, "destroy").await.unwrap();
    let mut guest = loop {
        // The lobby may still have it on its list.
        if let Ok(guest) = Pilot::join(&stage, "Guest", &json!({ "instance": id, "room": room })).await {
            break guest;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    };
    guest.fly(Duration::from_millis(300)).await.unwrap();
    assert_ne!(guest.joined.instance, id);
    assert!(guest.tick() > tick, "it went on at {}, left at {tick}", guest.tick());
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_machines_that_claim_one_room_end_with_one_owner() {
    let stage = open(|config| config.pool = vec![("ewr", 2)]).await;
    let mut host = Pilot::join(&stage, "Host", &json!({ "region": "ewr", "private": true })).await.unwrap();
    host.fly(Duration::from_secs(1)).await.unwrap();
    let (owner, room) = (host.joined.instance.clone(), host.joined.room.clone());
    let other = stage.machines().await.unwrap().into_iter().find(|machine| machine.id != owner).unwrap();
    // The lobby was told to bring the room to the other machine, while its owner has it open.
    let joined = rehearsal::ask(&stage, &json!({ "instance": other.id, "room": room })).await.unwrap().unwrap();
    let rival = Pilot::enter(&stage, "Rival", joined).await;
    assert!(rival.is_err(), "the other machine opened a room that is not its own");
    let path = format!("/gameserver/{}/{room}", other.id);
    let location = stage.location_of(&path).await.unwrap();
    assert!(location.ends_with(&format!("/gameserver/{owner}/{room}?back=1")), "{location}");
    assert_eq!(host.fly(Duration::from_millis(500)).await.unwrap(), Ending::Open);
    let (status, _) = stage.ask(Method::GET, &location, None).await.unwrap();
    assert!(status.is_success());
    stage.close().await;
}
