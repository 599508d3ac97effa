//! People talk in rooms of another kind than the arena beside them.

use super::{WAIT_MAX, newark, start_cluster};
use rehearsal::{Cluster, Guest, Pilot, SocketState};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Between two looks.
const LOOK: Duration = Duration::from_millis(50);
/// A save is at most this old.
const SAVED_EVERY: Duration = Duration::from_secs(10);

fn public() -> Value {
    json!({ "region": "ewr", "kind": "lounge" })
}

fn private() -> Value {
    json!({ "region": "ewr", "kind": "lounge", "private": true })
}

/// The request of whoever has the link of the room that this guest is in.
fn link_of(guest: &Guest) -> Value {
    json!({ "instance": guest.grant.instance, "room": guest.grant.room })
}

/// All stay until each log shows these lines last.
async fn read(guests: &mut [&mut Guest], lines: &[&str]) {
    let began = Instant::now();
    while guests.iter().any(|guest| !guest.lines().ends_with(lines)) {
        let shown: Vec<_> = guests.iter().map(|guest| guest.lines()).collect();
        assert!(began.elapsed() < WAIT_MAX, "{lines:?} is not read: {shown:?}");
        for guest in &mut *guests {
            assert_eq!(guest.stay(LOOK).await.unwrap(), SocketState::Open);
        }
    }
}

/// Until the guest notices that the connection is gone.
async fn lose(guest: &mut Guest) {
    assert_ne!(guest.stay(WAIT_MAX).await.unwrap(), SocketState::Open, "the socket stays open");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_guests_talk_and_the_arena_beside_them_is_not_disturbed() {
    let cluster = start_cluster(|_| {}).await;
    let mut pilot = Pilot::join(&cluster, "Pilot", &newark()).await.unwrap();
    let mut ada = Guest::join(&cluster, "Ada", &public()).await.unwrap();
    let mut bob = Guest::join(&cluster, "Bob", &public()).await.unwrap();
    assert_eq!((&ada.grant.instance, &ada.grant.room), (&pilot.grant.instance, &"lounge".to_owned()));
    assert_ne!(ada.member(), bob.member());
    let before = pilot.tick();
    let (flight, ()) = tokio::join!(pilot.fly(Duration::from_secs(3)), async {
        ada.say("Good evening, tower.");
        read(&mut [&mut ada, &mut bob], &["Good evening, tower."]).await;
        bob.say("Good evening, Ada.");
        read(&mut [&mut ada, &mut bob], &["Good evening, tower.", "Good evening, Ada."]).await;
    });
    assert_eq!((flight.unwrap(), pilot.mismatches()), (SocketState::Open, 0));
    assert!(pilot.tick() > before + 100 && pilot.plane().is_some(), "it flew from {before} to {}", pilot.tick());
    assert!(!pilot.was_resumed && ada.declined().is_empty() && bob.declined().is_empty());
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_guest_is_the_same_again_and_has_missed_nothing() {
    let cluster = start_cluster(|_| {}).await;
    let mut ada = Guest::join(&cluster, "Ada", &private()).await.unwrap();
    let mut bob = Guest::join(&cluster, "Bob", &link_of(&ada)).await.unwrap();
    let who = ada.member();
    ada.say("one");
    read(&mut [&mut ada, &mut bob], &["one"]).await;
    ada.cut().await;
    lose(&mut ada).await;
    bob.say("two");
    read(&mut [&mut bob], &["one", "two"]).await;
    // It waits for the next socket.
    ada.say("three");
    ada.rejoin(&cluster).await.unwrap();
    assert!(ada.was_resumed && ada.member() == who);
    read(&mut [&mut ada, &mut bob], &["one", "two", "three"]).await;
    for guest in [&mut ada, &mut bob] {
        guest.stay(Duration::from_millis(500)).await.unwrap();
        assert_eq!(guest.lines(), ["one", "two", "three"], "each line once");
    }
    assert_eq!(ada.numbers(), bob.numbers());
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_said_by_a_link_is_there_when_the_lounge_has_slept() {
    let cluster = start_cluster(|_| {}).await;
    let mut host = Guest::join(&cluster, "Host", &private()).await.unwrap();
    let request = link_of(&host);
    let (id, room) = (host.grant.instance.clone(), host.grant.room.clone());
    assert!(room.starts_with("lounge-p-") && host.grant.host.is_some(), "{:?}", host.grant);
    let mut guest = Guest::join(&cluster, "Guest", &request).await.unwrap();
    host.say("The kettle is on.");
    read(&mut [&mut host, &mut guest], &["The kettle is on."]).await;
    guest.say("On my way.");
    read(&mut [&mut host, &mut guest], &["The kettle is on.", "On my way."]).await;
    let numbers = host.numbers();
    host.leave().await;
    guest.leave().await;
    cluster.wait_for_state(&id, "stopped", WAIT_MAX).await.unwrap();

    let (status, _) = cluster.request(Method::GET, &format!("/gameserver/{id}/{room}"), None).await.unwrap();
    assert_eq!(status, StatusCode::OK, "the link wakes its machine");
    let mut late = Guest::join(&cluster, "Late", &request).await.unwrap();
    assert_eq!((late.lines(), late.numbers()), (vec!["The kettle is on.", "On my way."], numbers));
    late.say("Is there some left?");
    read(&mut [&mut late], &["On my way.", "Is there some left?"]).await;
    cluster.shutdown().await;
}

/// Comes back by the link of a machine that is gone.
async fn join_elsewhere(cluster: &Cluster, request: &Value) -> Guest {
    let began = Instant::now();
    loop {
        // The lobby may still have the machine on its list.
        match Guest::join(cluster, "Late", request).await {
            Ok(guest) => return guest,
            Err(error) => assert!(began.elapsed() < WAIT_MAX, "nobody gets in any more: {error:#}"),
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_destroyed_machines_lounge_goes_on_elsewhere_with_its_talk() {
    let cluster = start_cluster(|config| config.pool = vec![("ewr", 2)]).await;
    let mut ada = Guest::join(&cluster, "Ada", &private()).await.unwrap();
    let (request, id, who) = (link_of(&ada), ada.grant.instance.clone(), ada.member());
    ada.say("Before the move.");
    read(&mut [&mut ada], &["Before the move."]).await;
    ada.stay(SAVED_EVERY + Duration::from_secs(2)).await.unwrap();
    cluster.act_on(&id, "destroy").await.unwrap();
    lose(&mut ada).await;
    ada.say("After it.");
    ada.rejoin(&cluster).await.unwrap();
    assert!(ada.was_resumed && ada.member() == who && ada.grant.instance != id, "{:?}", ada.grant);
    let mut late = join_elsewhere(&cluster, &request).await;
    assert_eq!(late.grant.instance, ada.grant.instance);
    read(&mut [&mut ada, &mut late], &["Before the move.", "After it."]).await;
    assert_eq!(ada.lines(), late.lines());
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deploy_under_talk_loses_no_line() {
    let cluster = start_cluster(|_| {}).await;
    let mut ada = Guest::join(&cluster, "Ada", &public()).await.unwrap();
    let (id, who) = (ada.grant.instance.clone(), ada.member());
    for number in 1..=4 {
        ada.say(&format!("Line {number}."));
    }
    read(&mut [&mut ada], &["Line 1.", "Line 2.", "Line 3.", "Line 4."]).await;
    // As a deploy does; the machine starts again when somebody comes.
    let (_, stopped) = tokio::join!(lose(&mut ada), cluster.act_on(&id, "stop"));
    stopped.unwrap();
    ada.rejoin(&cluster).await.unwrap();
    assert!(ada.was_resumed && ada.member() == who);
    ada.say("Still here.");
    read(&mut [&mut ada], &["Line 1.", "Line 2.", "Line 3.", "Line 4.", "Still here."]).await;
    assert!(ada.lines().len() == 5 && ada.declined().is_empty(), "{:?}", ada.lines());
    cluster.shutdown().await;
}
