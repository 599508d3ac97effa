//! The states of a machine: what leads where, and what is refused.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Local, gone, runs, service};

/// A machine of its own with `more` in its configuration; started.
async fn made(local: &Local, more: &[(&str, Value)]) -> String {
    let stop = json!({ "signal": "SIGTERM", "timeout": "1s" });
    let mut config = json!({ "image": "x", "services": [service()], "stop_config": stop });
    for (key, value) in more {
        config[key] = value.clone();
    }
    local.make(json!({ "config": config })).await
}

#[tokio::test]
async fn a_start_is_answered_by_the_state_it_meets() {
    let local = Local::start().await;
    let id = local.game_machine("ewr").await;
    let path = format!("/game/machines/{id}/start");
    local.set(json!({ "boot_ms": 400, "teardown_ms": 600 })).await;
    assert_eq!(local.post(&path).await.1["previous_state"], "stopped");
    let under_way = json!({ "error": "aborted: machine still attempting to start" });
    assert_eq!(local.post(&path).await, (409, under_way));
    local.wait_for(&id, "started").await;
    assert_eq!(local.post(&path).await.1["previous_state"], "started");
    for (status, words) in [
        ("409", "aborted: machine already started"),
        ("412", "failed_precondition: unable to start machine from current state: 'started'"),
    ] {
        local.set(json!({ "start_on_started": status })).await;
        assert_eq!(local.post(&path).await, (status.parse().unwrap(), json!({ "error": words })));
    }
    local.post(&format!("/game/machines/{id}/stop")).await;
    local.wait_for(&id, "stopped").await;
    let active = json!({ "error": "failed_precondition: machine still active, refusing to start" });
    assert_eq!(local.post(&path).await, (412, active));
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!(local.post(&path).await.0, 200);
    local.fly.shutdown().await;
}

#[tokio::test]
async fn a_stop_calls_off_a_start() {
    let local = Local::start().await;
    local.set(json!({ "boot_ms": 60_000 })).await;
    let id = local.game_machine("ewr").await;
    local.post(&format!("/game/machines/{id}/start")).await;
    assert_eq!(local.state(&id).await, "starting");
    local.post(&format!("/game/machines/{id}/stop")).await;
    assert_eq!(local.state(&id).await, "stopped");
    local.fly.shutdown().await;
}

#[tokio::test]
async fn a_suspended_machine_goes_on_where_it_was() {
    let local = Local::start().await;
    let id = local.game_machine("ewr").await;
    let directive = format!("app=game;instance={id}");
    let before = local.pid(&id).await;
    local.ask("/write/kept", &directive).send().await.unwrap();
    assert_eq!(local.post(&format!("/game/machines/{id}/suspend")).await, (200, json!({ "ok": true })));
    local.wait_for(&id, "suspended").await;
    assert!(runs(before));
    // A request wakes it, as one that was stopped.
    assert_eq!(local.pid(&id).await, before);
    assert_eq!(local.seen("/files", &directive).await, json!(["kept"]));
    let (_, events) = local.get(&format!("/game/machines/{id}/events?limit=3")).await;
    let kinds: Vec<_> = events.as_array().unwrap().iter().map(|event| event["status"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["started", "starting", "suspended"]);

    local.post(&format!("/game/machines/{id}/suspend")).await;
    local.wait_for(&id, "suspended").await;
    assert_eq!(local.post(&format!("/game/machines/{id}/start")).await.1["previous_state"], "suspended");
    local.wait_for(&id, "started").await;
    local.post(&format!("/game/machines/{id}/suspend")).await;
    local.wait_for(&id, "suspended").await;
    local.post(&format!("/game/machines/{id}/stop")).await;
    local.wait_for(&id, "stopped").await;
    assert!(gone(before).await, "a stop throws the snapshot away");
    assert_ne!(local.pid(&id).await, before);
    assert_eq!(local.seen("/files", &directive).await, json!([]));
    local.fly.shutdown().await;
}

#[tokio::test]
async fn a_start_cancels_a_suspension_and_not_every_machine_can_be_suspended() {
    let local = Local::start().await;
    local.set(json!({ "suspend_ms": 60_000 })).await;
    let id = made(&local, &[]).await;
    let before = local.pid(&id).await;
    local.post(&format!("/game/machines/{id}/suspend")).await;
    assert_eq!(local.state(&id).await, "suspending");
    assert_eq!(local.post(&format!("/game/machines/{id}/start")).await.1["previous_state"], "suspending");
    assert_eq!((local.state(&id).await, local.pid(&id).await), ("started".into(), before));

    let large = made(&local, &[("guest", json!({ "memory_mb": 4096 }))]).await;
    let (status, error) = local.post(&format!("/game/machines/{large}/suspend")).await;
    assert_eq!(status, 412);
    assert!(error["error"].as_str().unwrap().starts_with("failed_precondition: machine cannot be suspended"));
    let stopped = local.game_machine("cdg").await;
    let words = "failed_precondition: unable to suspend machine from current state: 'stopped'";
    assert_eq!(local.post(&format!("/game/machines/{stopped}/suspend")).await, (412, json!({ "error": words })));
    local.fly.shutdown().await;
}

#[tokio::test]
async fn a_restart_is_a_stop_and_a_start_and_needs_a_machine_that_runs() {
    let local = Local::start().await;
    let id = local.game_machine("ewr").await;
    let not_running = json!({ "error": "failed_precondition: machine not running" });
    assert_eq!(local.post(&format!("/game/machines/{id}/restart")).await, (412, not_running.clone()));
    let before = local.pid(&id).await;
    let deaf = format!("app=game;instance={id}");
    local.ask("/deafen", &deaf).send().await.unwrap();
    // Deaf to its signal, it is killed when the grace in the query is over, long before its own.
    local.set(json!({ "kill_timeout_ms": 60_000 })).await;
    assert_eq!(local.post(&format!("/game/machines/{id}/restart?timeout=200ms&signal=SIGTERM")).await.0, 200);
    assert_eq!(local.state(&id).await, "restarting");
    assert!(gone(before).await);
    assert_ne!(local.pid(&id).await, before);
    assert_eq!(local.post(&format!("/game/machines/{id}/restart?signal=SIGSOON")).await.0, 400);
    local.fly.shutdown().await;
}

#[tokio::test]
async fn a_signal_reaches_the_process_by_name_or_number() {
    let local = Local::start().await;
    let id = made(&local, &[("restart", json!({ "policy": "no" }))]).await;
    let path = format!("/game/machines/{id}/signal");
    for (bad, status) in [(json!({ "signal": "SIGSOON" }), 400), (json!({ "signal": 99 }), 400), (json!({}), 400)] {
        assert_eq!(local.send(Method::POST, &path, &bad).await.0, status);
    }
    for signal in [json!("SIGINT"), json!(9)] {
        let before = local.pid(&id).await;
        assert_eq!(local.send(Method::POST, &path, &json!({ "signal": signal })).await.0, 200);
        assert!(gone(before).await);
        local.wait_for(&id, "stopped").await;
    }
    let (_, machine) = local.get(&format!("/game/machines/{id}")).await;
    let exit = &machine["events"][0]["request"]["exit_event"];
    assert_eq!((&exit["guest_signal"], &exit["requested_stop"]), (&9.into(), &false.into()));
    let not_running = json!({ "error": "failed_precondition: machine not running" });
    assert_eq!(local.send(Method::POST, &path, &json!({ "signal": "SIGTERM" })).await, (412, not_running));
    local.fly.shutdown().await;
}

#[tokio::test]
async fn what_follows_an_exit_is_the_policys_decision() {
    let local = Local::start().await;
    for (policy, code, comes_back) in
        [("no", 3, false), ("no", 0, false), ("on-failure", 0, false), ("on-failure", 3, true), ("always", 0, true)]
    {
        let id = made(&local, &[("restart", json!({ "policy": policy }))]).await;
        let before = local.pid(&id).await;
        local.ask(&format!("/exit/{code}"), &format!("app=game;instance={id}")).send().await.unwrap();
        assert!(gone(before).await);
        let state = if comes_back { "started" } else { "stopped" };
        let (status, body) = local.get(&format!("/game/machines/{id}/wait?state={state}&timeout=15")).await;
        assert_eq!(status, 200, "{policy} after {code}: {body}");
        let restarted = local.get(&format!("/game/machines/{id}")).await.1["events"][1]["request"].clone();
        if comes_back {
            assert_eq!(restarted["exit_event"]["restarting"], true, "{policy} after {code}");
        }
        local.delete(&format!("/game/machines/{id}?force=true")).await;
    }
    local.fly.shutdown().await;
}

#[tokio::test]
async fn a_machine_can_destroy_itself_when_it_is_done() {
    let local = Local::start().await;
    let id = made(&local, &[("auto_destroy", json!(true))]).await;
    local.ask("/exit/0", &format!("app=game;instance={id}")).send().await.unwrap();
    local.wait_for(&id, "destroyed").await;
    local.fly.shutdown().await;
}

#[tokio::test]
async fn every_start_finds_an_empty_disk_and_the_same_store() {
    let local = Local::start().await;
    let id = local.game_machine("ewr").await;
    let directive = format!("app=game;instance={id}");
    let first = local.seen("/", &directive).await["env"].clone();
    local.ask("/write/room", &directive).send().await.unwrap();
    assert_eq!(local.seen("/files", &directive).await, json!(["room"]));
    let store = first["STORE_URL"].as_str().unwrap();
    let folder = std::path::Path::new(store.strip_prefix("file://").unwrap());
    std::fs::write(folder.join("snapshot"), "saved").unwrap();
    for how in ["stop", "crash"] {
        let end = if how == "stop" { "/exit/0" } else { "/exit/3" };
        local.ask(end, &directive).send().await.unwrap();
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(local.seen("/files", &directive).await, json!([]), "after a {how}");
        let again = local.seen("/", &directive).await["env"].clone();
        assert_eq!((&again["TMPDIR"], &again["STORE_URL"]), (&first["TMPDIR"], &first["STORE_URL"]));
    }
    assert_eq!(std::fs::read_to_string(folder.join("snapshot")).unwrap(), "saved");
    let other = local.game_machine("cdg").await;
    let other = local.seen("/", &format!("app=game;instance={other}")).await["env"].clone();
    assert_eq!(other["STORE_URL"], store);
    assert_ne!(other["TMPDIR"], first["TMPDIR"]);
    local.fly.shutdown().await;
}

#[tokio::test]
async fn a_wait_says_what_it_waits_for() {
    let local = Local::start().await;
    let id = local.game_machine("ewr").await;
    let path = format!("/game/machines/{id}");
    let (_, stopped) = local.get(&format!("{path}/wait?state=settled")).await;
    assert_eq!(stopped["state"], "stopped");
    let version = stopped["version"].as_str().unwrap();
    for query in [format!("version={version}"), format!("instance_id={version}")] {
        assert_eq!(local.get(&format!("{path}/wait?state=stopped&{query}")).await.0, 200);
    }
    assert_eq!(local.get(&format!("{path}/wait?state=stopped&version=older")).await.0, 404);
    assert_eq!(local.get(&format!("{path}/wait?timeout=soon")).await.0, 400);
    // What has happened already is not what happens after it.
    let event = stopped["event_id"].as_str().unwrap();
    assert_eq!(local.get(&format!("{path}/wait?state=stopped&from_event_id={event}&timeout=1")).await.0, 408);
    let (wait, start) = (format!("{path}/wait?state=suspended,started&timeout=10"), format!("{path}/start"));
    let (waited, _) = tokio::join!(local.get(&wait), local.post(&start));
    assert_eq!((waited.0, &waited.1["state"]), (200, &"started".into()));
    local.set(json!({ "wait_stopped_needs_version": "on" })).await;
    assert_eq!(local.get(&format!("{path}/wait?state=stopped")).await.0, 400);
    local.fly.shutdown().await;
}

#[tokio::test]
async fn a_named_folder_of_data_outlives_a_run_and_another_store_can_be_named() {
    let folder = std::env::temp_dir().join(format!("fly-local-data-{}", std::process::id()));
    let local = Local::start_with(|config| config.data_dir = Some(folder.clone())).await;
    let id = local.game_machine("ewr").await;
    let directive = format!("app=game;instance={id}");
    local.ask("/write/gone", &directive).send().await.unwrap();
    let store = local.seen("/", &directive).await["env"]["STORE_URL"].as_str().unwrap().to_owned();
    std::fs::write(std::path::Path::new(store.strip_prefix("file://").unwrap()).join("kept"), "").unwrap();
    let mut second = crate::support::config();
    second.data_dir = Some(folder.clone());
    let error = fly_local::FlyLocal::start(second).await.unwrap_err().to_string();
    assert!(error.contains("is in use by another fly-local"), "{error}");
    local.fly.shutdown().await;
    assert!(folder.join("store/kept").exists() && !folder.join("machines").join(&id).exists());

    let local = Local::start_with(|config| {
        config.data_dir = Some(folder.clone());
        config.store_url = Some("s3://bucket/prefix".into());
    })
    .await;
    assert_eq!(local.game_machine("ewr").await, id, "ids are the same on every run");
    assert_eq!(local.seen("/files", &directive).await, json!([]));
    assert_eq!(local.seen("/", &directive).await["env"]["STORE_URL"], "s3://bucket/prefix");
    local.fly.shutdown().await;
    std::fs::remove_dir_all(folder).unwrap();
}
