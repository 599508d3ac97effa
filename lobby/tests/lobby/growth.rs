//! The pool under load: it grows to its limits, tells them plainly, and shrinks again.

use crate::support::{Lobby, error};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::{sleep, timeout};

async fn soon(what: &str, mut is_so: impl FnMut() -> bool) {
    let wait = async {
        while !is_so() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(8), wait).await.unwrap_or_else(|_| panic!("{what}"));
}

#[tokio::test]
async fn a_crowd_fills_one_machine_after_the_other_and_then_a_new_one() {
    let lobby = Lobby::start(&[("m1", "ewr", "started"), ("m2", "ewr", "stopped")]).await;
    for id in ["m1", "m2"] {
        lobby.api.set(id, |machine| (machine.players, machine.capacity) = (0, 5));
    }
    let mut seen = Vec::new();
    for _ in 0..11 {
        let (status, body) = lobby.join(r#"{"region":"ewr"}"#).await;
        assert_eq!(status, 200, "{body}");
        seen.push(body["instance"].as_str().unwrap().to_owned());
    }
    assert!(seen[..5].iter().all(|id| id == "m1") && seen[5..10].iter().all(|id| id == "m2"), "{seen:?}");
    assert_eq!((seen[10].as_str(), lobby.api.count("create")), ("new-ewr-1", 1));
    assert_eq!(lobby.row("ewr").await["wake"]["samples"], 1, "a new machine says nothing about wakes");
    let config = lobby.api.inner().machines["new-ewr-1"].config.clone();
    assert_eq!((&config["image"], &config["metadata"]["aerodrome_grown"]), (&json!("game:1"), &json!("yes")));
}

#[tokio::test]
async fn the_next_sleeper_starts_before_the_last_seat_is_taken() {
    let lobby = Lobby::start(&[("m1", "ewr", "started"), ("m2", "ewr", "stopped")]).await;
    lobby.api.set("m1", |machine| (machine.players, machine.capacity) = (7, 10));
    assert_eq!(lobby.join(r#"{"region":"ewr"}"#).await.1["instance"], "m1");
    assert_eq!(lobby.api.count("start m2"), 0, "eight of ten is not above the mark");
    assert_eq!(lobby.join(r#"{"region":"ewr"}"#).await.1["instance"], "m1");
    soon("m2 starts by itself", || lobby.api.count("start m2") == 1).await;
}

#[tokio::test]
async fn a_hundred_joins_on_a_full_pool_create_one_machine() {
    let lobby = Lobby::start(&[("m1", "ewr", "started")]).await;
    lobby.api.set("m1", |machine| machine.players = machine.capacity);
    let joins = (0..100).map(|_| lobby.join(r#"{"region":"ewr"}"#));
    for (status, body) in futures_util::future::join_all(joins).await {
        assert_eq!((status, &body["instance"]), (200, &json!("new-ewr-1")), "{body}");
    }
    assert_eq!(lobby.api.count("create"), 1);
}

#[tokio::test]
async fn two_lobbies_that_grow_at_once_create_one_machine() {
    let one = Lobby::start(&[("m1", "ewr", "started")]).await;
    one.api.set("m1", |machine| machine.players = machine.capacity);
    let two = Lobby::over(one.api.clone()).await;
    let joins = [&one, &two].map(|lobby| lobby.join(r#"{"region":"ewr"}"#));
    for (status, body) in futures_util::future::join_all(joins).await {
        assert_eq!((status, &body["instance"]), (200, &json!("new-ewr-1")), "{body}");
    }
    assert_eq!(one.api.inner().machines.len(), 2);
}

#[tokio::test]
async fn limits_are_told_plainly() {
    // Three of three in this region; then five of five in the fleet.
    for (others, code) in [(0, "full"), (2, "fleet_at_limit")] {
        let mut machines = vec![("a", "ewr", "started"), ("b", "ewr", "started")];
        machines.extend(
            [("c", "nrt", "started"), ("d", "nrt", "started"), ("e", "nrt", "started")].iter().take(others + 1),
        );
        if code == "full" {
            machines[2] = ("c", "ewr", "started");
        }
        let lobby = Lobby::start(&machines).await;
        for (id, ..) in &machines {
            lobby.api.set(id, |machine| machine.players = machine.capacity);
        }
        let (status, body) = lobby.join(r#"{"region":"ewr"}"#).await;
        assert_eq!((status, &body["error"]["code"]), (503, &json!(code)), "{body}");
        assert!(body["error"]["message"].as_str().unwrap().contains("New Jersey"), "{body}");
        assert_eq!(lobby.api.count("create"), 0);
    }
}

#[tokio::test]
async fn refused_creations_end_as_they_should() {
    let capacity = json!({"error": "could not find a candidate host", "status": "insufficient_capacity"});
    let table: [(u16, Value, Option<&str>); 6] = [
        (422, capacity, Some("no_capacity")),
        (409, error("aborted: insufficient resources available to fulfill request: no host"), Some("no_capacity")),
        (422, error("Your organization has reached its machine limit"), Some("start_refused")),
        (401, error("Authenticate: token validation error"), Some("not_allowed")),
        (429, error("rate limit exceeded"), None),
        (503, error("unavailable"), None),
    ];
    let cases = table.map(|(status, body, code)| async move {
        let lobby = Lobby::start(&[("m1", "ewr", "started")]).await;
        lobby.api.set("m1", |machine| machine.players = machine.capacity);
        lobby.api.script("create", [(status, body.clone())]);
        let (_, answer) = lobby.join(r#"{"region":"ewr"}"#).await;
        assert_eq!(answer["error"]["code"].as_str(), code, "{status} {body}: {answer}");
        let again = lobby.join(r#"{"region":"ewr"}"#).await.1;
        assert_eq!(again["error"]["code"].as_str(), code, "the same answer for a while");
        assert_eq!(lobby.api.count("create"), if code.is_some() { 1 } else { 2 }, "without asking Fly again");
    });
    futures_util::future::join_all(cases).await;
}

#[tokio::test]
async fn a_surplus_machine_that_slept_long_is_destroyed_and_a_fixed_one_is_not() {
    let lobby = Lobby::start(&[("m1", "ewr", "stopped"), ("g1", "ewr", "stopped"), ("g2", "cdg", "stopped")]).await;
    for id in ["g1", "g2"] {
        lobby
            .api
            .set(id, |machine| machine.config = json!({"image": "game:1", "metadata": {"aerodrome_grown": "yes"}}));
    }
    lobby.board().await;
    soon("the surplus one goes", || lobby.api.count("destroy g1") == 1).await;
    assert_eq!(
        lobby.api.inner().machines.keys().collect::<Vec<_>>(),
        ["g2", "m1"],
        "each pool keeps what it always has"
    );
    assert_eq!(lobby.row("ewr").await["machines"]["all"], 1);
}

#[tokio::test]
async fn a_surplus_machine_that_somebody_woke_meanwhile_stays() {
    let lobby = Lobby::start(&[("m1", "ewr", "stopped"), ("g1", "ewr", "stopped")]).await;
    lobby.api.set("g1", |machine| machine.config = json!({"image": "game:1", "metadata": {"aerodrome_grown": "yes"}}));
    let body =
        error("failed_precondition: unable to destroy machine, not currently stopped, suspended, failed or created");
    lobby.api.script("destroy g1", [(412, body)]);
    lobby.board().await;
    soon("it is tried", || lobby.api.count("destroy g1") == 1).await;
    assert_eq!(lobby.row("ewr").await["machines"]["all"], 2);
}
