//! Starting machines: once, with reported progress, and every refusal has an end.

use crate::support::{Lobby, error};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::timeout;

/// A lobby whose only machine answers starts as scripted; returns the join's status, its error code, and the starts.
async fn join_scripted(answers: Vec<(u16, Value)>, is_stubborn: bool) -> (u16, String, usize) {
    let lobby = Lobby::start(&[("m1", "ewr", "stopped")]).await;
    // Nowhere else to go: no new machine either.
    let no_host = (422, json!({"error": "full", "status": "insufficient_capacity"}));
    lobby.api.script("create", [no_host.clone(), no_host.clone(), no_host]);
    lobby.api.script("start m1", answers);
    lobby.api.inner().is_stubborn = is_stubborn;
    let (status, body) =
        timeout(Duration::from_secs(20), lobby.join(r#"{"instance":"m1"}"#)).await.expect("has an end");
    if let Some(sentence) = body["error"]["message"].as_str() {
        assert!(sentence.ends_with('.') && sentence.len() > 20, "a person can read it: {sentence}");
    }
    (status, body["error"]["code"].as_str().unwrap_or("ok").to_owned(), lobby.api.count("start m1"))
}

#[tokio::test]
async fn a_hundred_joins_at_once_wake_a_sleeper_exactly_once() {
    let lobby = Lobby::start(&[("m1", "ewr", "stopped")]).await;
    let joins = (0..100).map(|_| lobby.join(r#"{"region":"ewr"}"#));
    for (status, body) in futures_util::future::join_all(joins).await {
        assert_eq!((status, body["path"].as_str()), (200, Some("/gameserver/m1/arena")), "{body}");
    }
    assert_eq!((lobby.api.count("start m1"), lobby.api.count("create")), (1, 0));
    assert_eq!(lobby.join(r#"{"instance":"m1","room":"arena"}"#).await.0, 200);
    assert_eq!(lobby.api.count("start m1"), 1, "one that runs is not started again");
}

#[tokio::test]
async fn two_lobbies_that_race_bring_everybody_in() {
    let one = Lobby::start(&[("m1", "ewr", "stopped")]).await;
    let two = Lobby::over(one.api.clone()).await;
    let joins = (0..20).map(|n| if n % 2 == 0 { &one } else { &two }.join(r#"{"region":"ewr"}"#));
    for (status, body) in futures_util::future::join_all(joins).await {
        assert_eq!((status, &body["instance"]), (200, &json!("m1")), "{body}");
    }
    assert!(one.api.count("start m1") <= 2 * 2, "each lobby asks once, and once more if told to wait");
}

/// SPEC S10.3.
#[tokio::test]
async fn a_join_reports_its_progress_as_it_happens() {
    let lobby = Lobby::start(&[("m1", "cdg", "stopped")]).await;
    lobby.api.script("start m1", [(412, error("failed_precondition: machine still active, refusing to start"))]);
    let events = lobby.join_told(r#"{"region":"cdg"}"#).await;
    let words: Vec<&str> = events.iter().map(|(name, data)| data["stage"].as_str().unwrap_or(name.as_str())).collect();
    assert_eq!(words, ["asking", "waiting", "asking", "booting", "ready", "joined"]);
    assert_eq!(events[0].1["message"], "Asking Fly to wake Paris.");
    assert_eq!(events[5].1["path"], "/gameserver/m1/arena");
    let again = lobby.join_told(r#"{"region":"cdg"}"#).await;
    let words: Vec<&str> = again.iter().map(|(name, data)| data["stage"].as_str().unwrap_or(name)).collect();
    assert_eq!(words, ["ready", "joined"], "nobody asks Fly for what is up");
    let refused = lobby.join_told(r#"{"region":"syd"}"#).await;
    assert_eq!((refused[0].0.as_str(), &refused[0].1["error"]["code"]), ("refused", &json!("no_server")));
}

#[tokio::test]
async fn refusals_that_pass_are_tried_again() {
    let refusals = [
        (412, error("failed_precondition: machine still active, refusing to start")),
        (412, error("failed_precondition: unable to start machine from current state: 'created'")),
        (412, error("failed_precondition: unable to start machine from current state: 'stopping'")),
        (412, error("failed_precondition: machine getting replaced, refusing to start")),
        (409, error("machine ID m1 lease currently held by somebody, expires soon")),
        (409, error("aborted: machine still attempting to start")),
        (429, error("rate limit exceeded")),
        (503, error("unavailable: try later")),
        (500, json!("not an object")),
    ];
    let cases = refusals.map(|refusal| async {
        let text = refusal.1.to_string();
        assert_eq!(join_scripted(vec![refusal], false).await, (200, "ok".into(), 2), "{text}");
    });
    futures_util::future::join_all(cases).await;
}

#[tokio::test]
async fn refusals_that_stay_end_in_a_sentence_at_once() {
    let full = |text| (409, error(text), "no_capacity");
    let refusals = [
        full("aborted: could not reserve resource for machine: insufficient memory available"),
        full("aborted: insufficient IPs available to fulfill request"),
        (412, json!({"error": "full", "status": "volume_placement_capacity"}), "no_capacity"),
        (422, json!({"error": "no candidate host", "status": "insufficient_capacity"}), "no_capacity"),
        (422, error("Your organization has reached its machine limit"), "no_capacity"),
        (408, error("deadline_exceeded: no answer from the host"), "no_capacity"),
        (404, error("not_found: machine not found"), "no_capacity"),
        (401, error("Authenticate: token validation error"), "not_allowed"),
    ];
    // What is wrong with one machine leads on: here to a new one, for which there is no capacity.
    let cases = refusals.map(|(status, body, code)| async move {
        let text = body.to_string();
        let ended = timeout(Duration::from_secs(10), join_scripted(vec![(status, body)], false)).await.expect("soon");
        assert_eq!((ended.1.as_str(), ended.2), (code, 1), "{text}");
    });
    futures_util::future::join_all(cases).await;
}

#[tokio::test]
async fn a_machine_stuck_for_ever_is_given_up_on() {
    let stuck = |status, text| async move { join_scripted(vec![(status, error(text))], true).await };
    let (created, limited, starting) = tokio::join!(
        stuck(412, "failed_precondition: unable to start machine from current state: 'created'"),
        stuck(429, "rate limit exceeded"),
        stuck(409, "aborted: machine still attempting to start"),
    );
    // Given up on, and then there is no capacity for another one.
    assert_eq!((created.0, created.1.as_str()), (503, "no_capacity"));
    assert_eq!((limited.0, limited.1.as_str()), (503, "fly_unavailable"));
    assert_eq!((starting.0, starting.1.as_str()), (503, "no_capacity"));
    assert!(created.2 <= 15 && limited.2 <= 15, "about one start a second at most: {} {}", created.2, limited.2);
}

#[tokio::test]
async fn a_machine_that_boots_but_never_answers_is_given_up_on() {
    let lobby = Lobby::start(&[("m1", "ewr", "stopped"), ("m2", "ewr", "stopped")]).await;
    lobby.api.set("m1", |machine| machine.is_silent = true);
    let told = timeout(Duration::from_secs(25), lobby.join_told(r#"{"region":"ewr"}"#)).await.expect("has an end");
    assert!(told.iter().any(|(_, data)| data["stage"] == "another"), "{told:?}");
    assert_eq!(told.last().unwrap().1["instance"], "m2");
}

#[tokio::test]
async fn started_already_is_woken_in_every_spelling() {
    for (status, body) in [
        (200, json!({"previous_state": "started"})),
        (409, error("aborted: machine already started")),
        (412, error("failed_precondition: machine is already running")),
        (412, error("failed_precondition: unable to start machine from current state: 'started'")),
    ] {
        let lobby = Lobby::start(&[("m1", "ewr", "stopped")]).await;
        lobby.board().await;
        lobby.api.set("m1", |machine| machine.state = "started".into());
        lobby.api.script("start m1", [(status, body.clone())]);
        assert_eq!(lobby.join(r#"{"instance":"m1"}"#).await.0, 200, "{body}");
        assert_eq!(lobby.api.count("start m1"), 1);
    }
}

#[tokio::test]
async fn the_next_machine_of_the_region_takes_over_when_a_host_is_full() {
    let lobby = Lobby::start(&[("m1", "ewr", "stopped"), ("m2", "ewr", "stopped")]).await;
    let full = (409, error("aborted: could not reserve resource for machine: insufficient CPUs available"));
    lobby.api.script("start m1", [full]);
    let (status, body) = lobby.join(r#"{"region":"ewr"}"#).await;
    assert_eq!((status, &body["instance"]), (200, &json!("m2")));
    lobby.join(r#"{"region":"ewr"}"#).await;
    assert_eq!(lobby.api.count("start m1"), 1, "a full host is left alone for a while");
}

#[tokio::test]
async fn wake_times_are_measured_and_shown() {
    let lobby = Lobby::start(&[("m1", "ewr", "stopped")]).await;
    assert_eq!(lobby.row("ewr").await["wake"], Value::Null);
    lobby.join(r#"{"region":"ewr"}"#).await;
    let wake = lobby.row("ewr").await["wake"].clone();
    let (p50, p95) = (wake["p50_ms"].as_u64().unwrap(), wake["p95_ms"].as_u64().unwrap());
    assert!(wake["samples"] == 1 && p50 >= 150 && p50 == p95, "{wake}");
}
