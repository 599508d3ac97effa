//! What goes wrong on purpose, and how it looks from outside.

use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use reqwest::Method;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::support::{Local, gone, runs, socket};

fn on(id: &str, faults: Value) -> Value {
    json!({ "machines": { id: faults } })
}

#[tokio::test]
async fn a_full_host_starts_nothing_and_keeps_what_runs() {
    let local = Local::start().await;
    let id = local.game_machine("ewr").await;
    let path = format!("/game/machines/{id}");
    local.fault(on(&id, json!({ "host": "full" }))).await;
    let words = "aborted: could not reserve resource for machine: insufficient memory available to fulfill request on \
                 the current host";
    let full = (409, json!({ "error": words }));
    assert_eq!(local.post(&format!("{path}/start")).await, full);
    assert_eq!(local.send(Method::POST, &path, &json!({ "config": { "image": "x" } })).await, full);
    assert_eq!(local.state(&id).await, "stopped");
    let back = local.seen("/", &format!("app=game;instance={id};timeout=300ms;fallback=force_self")).await;
    assert!(back["headers"]["fly-replay-failed"].as_str().unwrap().contains("reason=timeout"));
    let other = local.seen("/", &format!("app=game;prefer_instance={id};timeout=1s")).await;
    assert_eq!(other["headers"]["fly-preferred-instance-unavailable"], id.as_str());

    local.set(json!({ "migrate_from_full_host": "on" })).await;
    let (status, moved) = local.post(&format!("{path}/start")).await;
    assert_eq!((status, &moved["migrated"]), (200, &true.into()));
    assert_ne!(moved["new_host"], "");
    local.wait_for(&id, "started").await;

    // What is suspended keeps its place.
    local.post(&format!("{path}/suspend")).await;
    local.wait_for(&id, "suspended").await;
    local.set(json!({ "migrate_from_full_host": "off" })).await;
    local.fault(on(&id, json!({ "host": "full" }))).await;
    assert_eq!(local.post(&format!("{path}/start")).await.0, 200);
    local.fly.shutdown().await;
}

#[tokio::test]
async fn an_unreachable_host_answers_nobody_while_its_machine_goes_on() {
    let local = Local::start().await;
    let id = local.game_machine("ewr").await;
    let path = format!("/game/machines/{id}");
    let before = local.pid(&id).await;
    let mut open = socket(&local, &format!("app=game;instance={id}"), "307").await.unwrap();
    local.fault(on(&id, json!({ "host": "unreachable" }))).await;
    let cut = tokio::time::timeout(Duration::from_secs(5), open.next()).await.expect("it is cut");
    assert!(cut.is_none_or(|message| message.is_err()));

    let unreachable = (408, json!({ "error": "deadline_exceeded: host unreachable" }));
    for end in ["start", "stop", "restart", "suspend", "signal", "cordon", "lease"] {
        assert_eq!(local.post(&format!("{path}/{end}")).await, unreachable, "{end}");
    }
    assert_eq!(local.get(&format!("{path}/wait?state=started")).await, unreachable);
    assert_eq!(local.delete(&format!("{path}?force=true")).await, unreachable);
    let (status, machine) = local.get(&path).await;
    assert_eq!((status, &machine["host_status"]), (200, &"unreachable".into()));
    assert!(machine.get("config").is_none() && machine["incomplete_config"].is_object());
    let back = local.seen("/", &format!("app=game;instance={id};timeout=300ms;fallback=force_self")).await;
    assert!(back["headers"]["fly-replay-failed"].as_str().unwrap().contains("reason=timeout"));
    assert!(runs(before));

    local.fault(on(&id, json!({ "host": "ok" }))).await;
    assert_eq!(local.pid(&id).await, before);
    local.fly.shutdown().await;
}

#[tokio::test]
async fn a_stuck_machine_stays_where_it_is_until_it_is_mended() {
    let local = Local::start().await;
    let id = local.game_machine("ewr").await;
    let path = format!("/game/machines/{id}");
    local.fault(on(&id, json!({ "is_stuck": true }))).await;
    local.post(&format!("{path}/start")).await;
    let (status, error) = local.get(&format!("{path}/wait?state=started&timeout=1")).await;
    assert_eq!(status, 408);
    assert!(error["error"].as_str().unwrap().ends_with("currently starting"), "{error}");
    local.fault(on(&id, Value::Null)).await;
    local.wait_for(&id, "started").await;
    local.fly.shutdown().await;
}

#[tokio::test]
async fn a_boot_can_fail_and_can_be_tried_again() {
    let local = Local::start().await;
    let id = local.game_machine("ewr").await;
    let path = format!("/game/machines/{id}");
    local.fault(on(&id, json!({ "boot_fails": true }))).await;
    assert_eq!(local.post(&format!("{path}/start")).await.0, 200);
    local.wait_for(&id, "failed").await;
    local.fault(on(&id, json!({ "boot_fails": null, "boot_ms": 600 }))).await;
    let start = Instant::now();
    assert_eq!(local.post(&format!("{path}/start")).await.1["previous_state"], "failed");
    local.wait_for(&id, "started").await;
    assert!(start.elapsed() >= Duration::from_millis(600));
    local.fly.shutdown().await;
}

#[tokio::test]
async fn the_api_can_be_made_to_say_anything() {
    let local = Local::start().await;
    let id = local.game_machine("ewr").await;
    let path = format!("/game/machines/{id}");
    local
        .fault(json!({ "answers": [
            { "method": "POST", "path_end": "/start", "status": 412, "error": "governor policy blocked start", "times": 2 },
            { "path_end": "/game/machines", "status": 503, "error": "unavailable: try later" },
            { "method": "DELETE", "status": 422, "error": "no", "code": "insufficient_capacity" },
        ] }))
        .await;
    let blocked = (412, json!({ "error": "governor policy blocked start" }));
    assert_eq!(local.post(&format!("{path}/start")).await, blocked);
    assert_eq!(local.post(&format!("{path}/start")).await, blocked);
    assert_eq!(local.post(&format!("{path}/start")).await.0, 200);
    for _ in 0..3 {
        assert_eq!(local.get("/game/machines").await, (503, json!({ "error": "unavailable: try later" })));
    }
    assert_eq!(local.get(&path).await.0, 200);
    let refused = json!({ "error": "no", "status": "insufficient_capacity" });
    assert_eq!(local.delete(&path).await, (422, refused));

    let (_, faults) = local.control(Method::GET, "/faults", &Value::Null).await;
    assert_eq!(faults["answers"][0]["times"], 0);
    assert_eq!(local.control(Method::DELETE, "/faults", &Value::Null).await.0, 204);
    local.fault(json!({ "api_delay_ms": 300 })).await;
    let start = Instant::now();
    assert_eq!(local.get("/game/machines").await.0, 200);
    assert!(start.elapsed() >= Duration::from_millis(300));
    local.fly.shutdown().await;
}

#[tokio::test]
async fn a_slow_machine_is_slow_at_once_and_both_ways() {
    let local = Local::start_with(|config| config.latency = fly_local::Switch::On).await;
    let id = local.game_machine("ewr").await;
    let mut open = socket(&local, &format!("app=game;instance={id};timeout=10s"), "307").await.unwrap();
    let mut echo = async || {
        let start = Instant::now();
        open.send(Message::text("hello")).await.unwrap();
        assert_eq!(open.next().await.unwrap().unwrap(), Message::text("hello"));
        start.elapsed()
    };
    echo().await;
    local.fault(on(&id, json!({ "extra_ms": 400 }))).await;
    assert!(echo().await >= Duration::from_millis(800));
    local.fly.shutdown().await;
}

#[tokio::test]
async fn faults_can_be_there_from_the_start() {
    let file = std::env::temp_dir().join(format!("fly-local-faults-{}.json", std::process::id()));
    std::fs::write(&file, r#"{ "regions_full": ["nrt"] }"#).unwrap();
    let local = Local::start_with(|config| config.faults = Some(file.clone())).await;
    let body = json!({ "region": "nrt", "config": { "image": "x" } });
    assert_eq!(local.send(Method::POST, "/game/machines", &body).await.0, 422);
    local.fly.shutdown().await;

    for (text, field) in [
        (r#"{ "regions_ful": [] }"#, "regions_ful: unknown field"),
        (r#"{ "regions_full": ["mars"] }"#, "regions_full: there is no region `mars`"),
        (r#"{ "machines": { "nobody": {} } }"#, "machines.nobody: there is no such machine"),
        (r#"{ "answers": [{ "status": 200, "error": "x" }] }"#, "answers: status 200 is no error"),
    ] {
        std::fs::write(&file, text).unwrap();
        let mut config = crate::support::config();
        config.faults = Some(file.clone());
        let error = fly_local::FlyLocal::start(config).await.unwrap_err();
        let error = format!("{error:#}");
        assert!(error.contains("is not valid") && error.contains(field), "{error}");
    }
    std::fs::remove_file(file).unwrap();
}

#[tokio::test]
async fn an_edge_that_is_behind_still_finds_what_changed() {
    let local = Local::start().await;
    let id = local.game_machine("ewr").await;
    let directive = format!("app=game;instance={id};timeout=5s;fallback=force_self");
    local.fault(on(&id, json!({ "edge_lag_ms": 60_000 }))).await;
    // It reads stopped and has been started: the start says so, and the edge learns.
    local.post(&format!("/game/machines/{id}/start")).await;
    local.wait_for(&id, "started").await;
    let first = local.seen("/", &directive).await;
    assert_eq!(first["machine"], id.as_str());
    // It reads running and has stopped: the connection fails, and the edge starts it.
    local.fault(on(&id, json!({ "edge_lag_ms": 0 }))).await;
    assert_eq!(local.pid(&id).await, first["pid"].as_u64().unwrap());
    tokio::time::sleep(Duration::from_millis(700)).await;
    local.fault(on(&id, json!({ "edge_lag_ms": 600 }))).await;
    local.ask("/exit/0", &directive).send().await.unwrap();
    assert!(gone(first["pid"].as_u64().unwrap()).await);
    let second = local.seen("/", &directive).await;
    assert_eq!(second["machine"], id.as_str());
    assert_ne!(second["pid"], first["pid"]);
    // It reads running and was destroyed: nobody is there.
    tokio::time::sleep(Duration::from_millis(700)).await;
    local.delete(&format!("/game/machines/{id}?force=true")).await;
    local.wait_for(&id, "destroyed").await;
    let failed = local.seen("/", &directive).await["headers"]["fly-replay-failed"].clone();
    assert!(failed.as_str().unwrap().contains("reason=retries_exhausted"), "{failed}");
    local.fly.shutdown().await;
}
