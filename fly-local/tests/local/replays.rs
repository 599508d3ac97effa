//! What a `Fly-Replay` reaches and what it does not: services, cordons, limits, networks, WebSockets.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Error;

use crate::support::{Local, PATIENCE, seen, service, socket};

/// Makes a machine with this service; started, or stopped if `skip_launch`.
async fn made(local: &Local, service: Value, skip_launch: bool) -> String {
    let config = json!({ "image": "x", "services": [service] });
    local.make(json!({ "config": config, "skip_launch": skip_launch })).await
}

#[tokio::test]
async fn only_a_service_on_the_edges_port_is_reached() {
    let local = Local::start().await;
    let mut elsewhere = service();
    elsewhere["ports"][0]["port"] = 9000.into();
    let mut raw = service();
    raw["ports"][0]["handlers"] = json!([]);
    for service in [elsewhere, raw] {
        let id = made(&local, service, false).await;
        assert_eq!(local.status(&format!("app=game;instance={id}")).await, 503);
    }
    let reached = made(&local, service(), false).await;
    assert_eq!(local.status(&format!("app=game;instance={reached}")).await, 200);
    local.fly.shutdown().await;
}

#[tokio::test]
async fn a_sleeper_without_autostart_stays_asleep() {
    let local = Local::start().await;
    let mut service = service();
    service["autostart"] = false.into();
    let id = made(&local, service, true).await;
    assert_eq!(local.status(&format!("app=game;instance={id}")).await, 503);
    assert_eq!(local.state(&id).await, "stopped");
    local.post(&format!("/game/machines/{id}/start")).await;
    local.wait_for(&id, "started").await;
    assert_eq!(local.status(&format!("app=game;instance={id}")).await, 200);
    local.fly.shutdown().await;
}

#[tokio::test]
async fn a_cordoned_machine_gets_nothing_until_it_is_free_again() {
    let local = Local::start().await;
    let id = local.game_machine("ewr").await;
    let directive = format!("app=game;instance={id}");
    assert_eq!(local.post(&format!("/game/machines/{id}/cordon")).await, (200, json!({ "ok": true })));
    assert_eq!(local.get(&format!("/game/machines/{id}")).await.1["cordoned"], true);
    assert_eq!(local.status(&directive).await, 503);
    let other = local.seen("/", "app=game").await;
    assert_ne!(other["machine"], id.as_str());
    local.set(json!({ "cordon_binds_instance": "off" })).await;
    assert_eq!(local.status(&directive).await, 200);
    local.set(json!({ "cordon_binds_instance": "on" })).await;
    local.post(&format!("/game/machines/{id}/uncordon")).await;
    assert_eq!(local.status(&directive).await, 200);
    let body = json!({ "config": { "image": "x", "services": [service()] }, "skip_service_registration": true });
    assert_eq!(local.send(Method::POST, "/game/machines", &body).await.1["cordoned"], true);
    local.fly.shutdown().await;
}

#[tokio::test]
async fn at_its_hard_limit_a_machine_takes_nothing_more() {
    let local = Local::start().await;
    let mut limited = service();
    limited["concurrency"] = json!({ "type": "connections", "soft_limit": 1, "hard_limit": 1 });
    let id = made(&local, limited, false).await;
    let insisting = format!("app=game;instance={id};timeout=400ms;fallback=force_self");
    // One after the other is no crowd.
    for _ in 0..3 {
        assert_eq!(local.seen("/", &insisting).await["machine"], id.as_str());
    }
    let open = socket(&local, &insisting, "307").await.unwrap();
    let failed = local.seen("/", &insisting).await["headers"]["fly-replay-failed"].clone();
    assert!(failed.as_str().unwrap().contains("reason=timeout"), "{failed}");
    let elsewhere = local.seen("/", &format!("app=game;prefer_instance={id}")).await;
    assert_ne!(elsewhere["machine"], id.as_str());
    assert_eq!(elsewhere["headers"]["fly-preferred-instance-unavailable"], id.as_str());

    // Whoever waits gets in as soon as somebody leaves.
    let waiting = local.ask("/", &format!("app=game;instance={id};timeout=10s"));
    let waiting = tokio::spawn(seen(waiting));
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!waiting.is_finished());
    drop(open);
    let got = tokio::time::timeout(PATIENCE, waiting).await.unwrap().unwrap();
    assert_eq!(got["machine"], id.as_str());
    local.fly.shutdown().await;
}

#[tokio::test]
async fn another_private_network_is_out_of_bounds_unless_the_switch_is_on() {
    let local = Local::start_with(|config| config.game_network = Some("apart".into())).await;
    let id = local.game_machine("ewr").await;
    let directive = format!("app=game;instance={id};fallback=prefer_self");
    let response = local.ask("/", &directive).send().await.unwrap();
    assert_eq!(response.status(), 502);
    assert!(response.text().await.unwrap().starts_with("PA05"));
    assert_eq!(local.state(&id).await, "stopped", "it is not even woken");
    local.set(json!({ "cross_network_replay": "on", "status_refused": 500 })).await;
    assert_eq!(local.seen("/", &directive).await["machine"], id.as_str());
    local.fly.shutdown().await;
}

#[tokio::test]
async fn which_answers_replay_a_websocket_is_a_setting() {
    let local = Local::start().await;
    let id = local.game_machine("ewr").await;
    let directive = format!("app=game;instance={id};timeout=10s");
    for (mode, answer, is_replayed) in [
        ("any", "101", true),
        ("any", "204", true),
        ("only-101", "101", true),
        ("only-101", "307", false),
        ("never-101", "307", true),
        ("never-101", "101", false),
    ] {
        local.set(json!({ "websocket_replay": mode })).await;
        let opened = socket(&local, &directive, answer).await;
        assert_eq!(opened.is_ok(), is_replayed, "{mode} {answer}");
        if let (Err(Error::Http(response)), "307") = (opened, answer) {
            assert_eq!(response.status(), 307, "the lobby's own answer");
        }
    }
    // Plain requests do not care.
    local.set(json!({ "websocket_replay": "only-101" })).await;
    assert_eq!(local.status(&directive).await, 200);
    local.fly.shutdown().await;
}

#[tokio::test]
async fn limits_and_statuses_are_settings() {
    let local = Local::start().await;
    let id = local.game_machine("ewr").await;
    let url = format!("http://{}/", local.fly.edge());
    let long = "x".repeat(2 * 1024 * 1024 - 1);
    let replayed = local.http.post(&url).body(long.clone()).header("x-directive", format!("app=game;instance={id}"));
    local.set(json!({ "replay_body_max_bytes": 10 * 1024 * 1024 })).await;
    assert_eq!(seen(replayed).await["body"], long.as_str());

    local.set(json!({ "replays_max": 0, "status_refused": 508 })).await;
    let response = local.ask("/", &format!("app=game;instance={id}")).send().await.unwrap();
    assert_eq!(response.status(), 508);
    assert!(response.text().await.unwrap().starts_with("PA02"));
    local.set(json!({ "replays_max": 1, "status_no_candidate": 500, "reach_timeout_ms": 300 })).await;
    assert_eq!(local.status("app=game;instance=gone").await, 500);
    local.set(json!({ "status_unreached": 504 })).await;
    local.fault(json!({ "machines": { id.as_str(): { "host": "unreachable" } } })).await;
    assert_eq!(local.status(&format!("app=game;instance={id}")).await, 504);
    local.fly.shutdown().await;
}

#[tokio::test]
async fn elsewhere_leaves_the_answering_machine_out() {
    let local = Local::start().await;
    let first = local.seen("/", "").await["machine"].clone();
    let alone = local.ask("/", "elsewhere=true").send().await.unwrap();
    assert_eq!(alone.status(), 503);
    let body = json!({ "region": "ewr", "config": { "image": "x", "services": [service()] } });
    let (_, made) = local.send(Method::POST, "/front/machines", &body).await;
    let second = made["id"].as_str().unwrap();
    assert_eq!(local.get(&format!("/front/machines/{second}/wait?state=started")).await.0, 200);
    for _ in 0..4 {
        let seen = seen(local.ask("/", "elsewhere=true").header("x-once", "1")).await;
        let source = seen["headers"]["fly-replay-src"].as_str().unwrap();
        let from = source.split(';').next().unwrap().strip_prefix("instance=").unwrap();
        assert_ne!(seen["machine"], from);
        assert!([first.as_str().unwrap(), second].contains(&from), "{source}");
    }
    local.fly.shutdown().await;
}

#[tokio::test]
async fn an_edge_that_strips_nothing_lets_forgeries_through() {
    let local = Local::start_with(|config| config.settings.strip_forged = fly_local::Switch::Off).await;
    let forged = local.ask("/", "").header("fly-replay-src", "instance=x;state=forged");
    let headers = seen(forged.header("fly-region", "nrt")).await["headers"].clone();
    assert_eq!(headers["fly-replay-src"], "instance=x;state=forged");
    assert_eq!(headers["fly-region"], "ewr", "what the edge says itself, it says");
    // A real replay speaks over it.
    let id = local.game_machine("ewr").await;
    let forged = local.ask("/", &format!("app=game;instance={id};state=real"));
    let headers = seen(forged.header("fly-replay-src", "instance=x;state=forged")).await["headers"].clone();
    assert!(headers["fly-replay-src"].as_str().unwrap().ends_with(";state=real"));
    local.fly.shutdown().await;
}
