//! What the Machines API can refuse, and what players are told.

use super::{newark, open};
use rehearsal::{Pilot, Stage, ask};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Every join that cannot be had ends within this.
const ANSWER_MAX: Duration = Duration::from_secs(75);

/// A refusal is a plain sentence, in time.
async fn refused(stage: &Stage, faults: Value) -> String {
    stage.faults(faults).await.unwrap();
    let began = Instant::now();
    let no = ask(stage, &newark()).await.unwrap().expect_err("somebody got in");
    assert!(began.elapsed() < ANSWER_MAX);
    assert!(no.sentence.ends_with('.') && !no.code.is_empty(), "{no:?}");
    no.code
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_host_leads_to_the_next_machine_of_the_region() {
    let stage = open(|config| config.pool = vec![("ewr", 2)]).await;
    let machines = stage.machines().await.unwrap();
    let (first, second) = (&machines[0].id, &machines[1].id);
    for host in ["full", "unreachable"] {
        stage.faults(json!({ "machines": { first: { "host": host } } })).await.unwrap();
        let pilot = Pilot::join(&stage, "Guest", &newark()).await.unwrap();
        assert_eq!(&pilot.joined.instance, second, "{host}");
    }
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_that_fails_to_boot_is_told_in_a_sentence() {
    let stage = open(|config| config.machines_max = 1).await;
    let id = stage.machines().await.unwrap().remove(0).id;
    refused(&stage, json!({ "machines": { &id: { "boot_fails": true } } })).await;
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_stuck_between_two_states_is_given_up() {
    let stage = open(|config| config.machines_max = 1).await;
    let id = stage.machines().await.unwrap().remove(0).id;
    refused(&stage, json!({ "machines": { &id: { "is_stuck": true } } })).await;
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_any_capacity_the_player_learns_where_there_is_some() {
    let stage = open(|config| config.pool = vec![("ewr", 1), ("cdg", 1)]).await;
    let id = stage.machines().await.unwrap().into_iter().find(|machine| machine.region == "ewr").unwrap().id;
    stage.faults(json!({ "regions_full": ["ewr"], "machines": { &id: { "host": "full" } } })).await.unwrap();
    let body = json!({ "region": "ewr" });
    let (status, text) = stage.ask(reqwest::Method::POST, "/api/join", Some(&body)).await.unwrap();
    assert!(status.is_server_error() || status.is_client_error(), "{text}");
    assert!(text.contains("cdg"), "another region is offered, and not taken without consent: {text}");
    Pilot::join(&stage, "Guest", &json!({ "region": "cdg" })).await.unwrap();
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_api_that_is_busy_for_a_moment_costs_only_that_moment() {
    let stage = open(|_| {}).await;
    for status in [429, 500, 503] {
        let answer = json!({ "path_end": "/start", "status": status, "error": "not now", "times": 2 });
        stage.faults(json!({ "answers": [answer] })).await.unwrap();
        let pilot = Pilot::join(&stage, "Guest", &newark()).await.unwrap();
        let id = pilot.joined.instance.clone();
        pilot.leave().await;
        stage.until(&id, "stopped", super::PATIENCE).await.unwrap();
    }
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_api_that_refuses_for_good_ends_in_a_sentence() {
    let stage = open(|config| config.machines_max = 1).await;
    for (status, error) in [(401, "unauthorized"), (404, "not_found: machine not found"), (503, "unavailable")] {
        let answer = json!({ "path_end": "/start", "status": status, "error": error });
        refused(&stage, json!({ "answers": [answer] })).await;
    }
    stage.close().await;
}
