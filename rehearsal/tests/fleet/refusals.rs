//! What the Machines API can refuse, and what players are told.

use super::{newark, start_cluster};
use rehearsal::{Cluster, Pilot, request_join};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Every join that cannot be had ends within this.
const ANSWER_MAX: Duration = Duration::from_secs(75);

/// A refusal is a plain sentence, in time.
async fn refused(cluster: &Cluster, faults: Value) -> String {
    cluster.set_faults(faults).await.unwrap();
    let began = Instant::now();
    let no = request_join(cluster, &newark()).await.unwrap().expect_err("somebody got in");
    assert!(began.elapsed() < ANSWER_MAX);
    assert!(no.sentence.ends_with('.') && !no.code.is_empty(), "{no:?}");
    no.code
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_host_leads_to_the_next_machine_of_the_region() {
    let cluster = start_cluster(|config| config.pool = vec![("ewr", 2)]).await;
    let machines = cluster.machines().await.unwrap();
    let (first, second) = (&machines[0].id, &machines[1].id);
    for host in ["full", "unreachable"] {
        cluster.set_faults(json!({ "machines": { first: { "host": host } } })).await.unwrap();
        let pilot = Pilot::join(&cluster, "Guest", &newark()).await.unwrap();
        assert_eq!(&pilot.grant.instance, second, "{host}");
    }
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_that_fails_to_boot_is_told_in_a_sentence() {
    let cluster = start_cluster(|config| config.machines_max = 1).await;
    let id = cluster.machines().await.unwrap().remove(0).id;
    refused(&cluster, json!({ "machines": { &id: { "boot_fails": true } } })).await;
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_stuck_between_two_states_is_given_up() {
    let cluster = start_cluster(|config| config.machines_max = 1).await;
    let id = cluster.machines().await.unwrap().remove(0).id;
    refused(&cluster, json!({ "machines": { &id: { "is_stuck": true } } })).await;
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_any_capacity_the_player_learns_where_there_is_some() {
    let cluster = start_cluster(|config| config.pool = vec![("ewr", 1), ("cdg", 1)]).await;
    let id = cluster.machines().await.unwrap().into_iter().find(|machine| machine.region == "ewr").unwrap().id;
    cluster.set_faults(json!({ "regions_full": ["ewr"], "machines": { &id: { "host": "full" } } })).await.unwrap();
    let body = json!({ "region": "ewr" });
    let (status, text) = cluster.request(reqwest::Method::POST, "/api/join", Some(&body)).await.unwrap();
    assert!(status.is_server_error() || status.is_client_error(), "{text}");
    assert!(text.contains("cdg"), "another region is offered, and not taken without consent: {text}");
    Pilot::join(&cluster, "Guest", &json!({ "region": "cdg" })).await.unwrap();
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_api_that_is_busy_for_a_moment_costs_only_that_moment() {
    let cluster = start_cluster(|_| {}).await;
    for status in [429, 500, 503] {
        let answer = json!({ "path_end": "/start", "status": status, "error": "not now", "times": 2 });
        cluster.set_faults(json!({ "answers": [answer] })).await.unwrap();
        let pilot = Pilot::join(&cluster, "Guest", &newark()).await.unwrap();
        let id = pilot.grant.instance.clone();
        pilot.leave().await;
        cluster.wait_for_state(&id, "stopped", super::WAIT_MAX).await.unwrap();
    }
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_api_that_refuses_for_good_ends_in_a_sentence() {
    let cluster = start_cluster(|config| config.machines_max = 1).await;
    for (status, error) in [(401, "unauthorized"), (404, "not_found: machine not found"), (503, "unavailable")] {
        let answer = json!({ "path_end": "/start", "status": status, "error": error });
        refused(&cluster, json!({ "answers": [answer] })).await;
    }
    cluster.shutdown().await;
}
