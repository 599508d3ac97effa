//! What a client and an app see of the edge, over real processes.

use std::time::{Duration, Instant};

use crate::support::{Local, seen, socket};
use fly_local::Switch;
use futures_util::{SinkExt, StreamExt};
use reqwest::Version;
use tokio_tungstenite::tungstenite::Message;

#[tokio::test]
async fn a_public_request_reaches_the_lobby_with_the_edges_headers() {
    let local = Local::start().await;
    let response = local.ask("/hello?x=1", "").send().await.unwrap();
    assert!(response.headers()["fly-request-id"].to_str().unwrap().ends_with("-ewr"));
    assert_eq!(response.headers()["via"], "1.1 fly.io");
    let seen: serde_json::Value = response.json().await.unwrap();
    assert_eq!((&seen["app"], &seen["path"]), (&"front".into(), &"/hello?x=1".into()));
    let headers = &seen["headers"];
    assert_eq!(headers["host"], local.fly.edge().to_string());
    assert_eq!(headers["fly-client-ip"], "127.0.0.1");
    assert_eq!(headers["fly-region"], "ewr");
    assert_eq!(headers["fly-forwarded-port"], local.fly.edge().port().to_string());
    assert_eq!(headers["x-forwarded-proto"], "http");
    assert_eq!(headers["via"], "1.1 fly.io");
    local.fly.shutdown().await;
}

#[tokio::test]
async fn a_replay_wakes_the_machine_and_hands_it_the_original_request() {
    let local = Local::start().await;
    let id = local.game_machine("ewr").await;
    assert_eq!(local.state(&id).await, "stopped");
    let directive = format!("app=game;instance={id};state=a.0.b;timeout=10s");
    for status in ["200", "204", "307", "409", "101"] {
        let request = local.http.post(format!("http://{}/deep/path?q=1", local.fly.edge()));
        let request = request.header("x-directive", &directive).header("x-status", status).body("payload");
        let seen = seen(request).await;
        assert_eq!(seen["machine"], id.as_str(), "{status}");
        assert_eq!((&seen["path"], &seen["body"]), (&"/deep/path?q=1".into(), &"payload".into()));
        let source = seen["headers"]["fly-replay-src"].as_str().unwrap();
        let fields: Vec<_> = source.split(';').collect();
        assert_eq!((fields[1], fields[3]), ("region=ewr", "state=a.0.b"));
        assert!(fields[0].starts_with("instance=") && fields[2].starts_with("t="), "{source}");
    }
    assert_eq!(local.state(&id).await, "started");
    local.fly.shutdown().await;
}

#[tokio::test]
async fn what_a_client_forges_is_stripped() {
    let local = Local::start().await;
    let id = local.game_machine("ewr").await;
    for directive in [String::new(), format!("app=game;instance={id}")] {
        let request = local.ask("/", &directive);
        let request = request.header("fly-replay-src", "instance=x;state=forged").header("fly-replay-failed", "yes");
        let headers =
            seen(request.header("fly-region", "nrt").header("fly-client-ip", "1.2.3.4")).await["headers"].clone();
        assert!(headers.get("fly-replay-failed").is_none());
        assert!(!headers["fly-replay-src"].to_string().contains("forged"));
        assert_eq!((&headers["fly-region"], &headers["fly-client-ip"]), (&"ewr".into(), &"127.0.0.1".into()));
    }
    local.fly.shutdown().await;
}

#[tokio::test]
async fn a_websocket_is_replayed_and_then_carried_as_it_is() {
    let local = Local::start_with(|config| config.latency = Switch::On).await;
    let id = local.game_machine("cdg").await;
    for status in ["307", "101"] {
        let mut socket = socket(&local, &format!("app=game;instance={id};timeout=10s"), status).await.unwrap();
        let start = Instant::now();
        for size in [0, 1, 100, 100_000] {
            let sent = Message::binary(vec![7; size]);
            socket.send(sent.clone()).await.unwrap();
            assert_eq!(socket.next().await.unwrap().unwrap(), sent);
        }
        let round_trip = start.elapsed() / 4;
        assert!(round_trip >= Duration::from_millis(75), "Paris is far: {round_trip:?}");
        assert!(round_trip < Duration::from_millis(150), "but not that far: {round_trip:?}");
        socket.close(None).await.unwrap();
        while let Some(Ok(_)) = socket.next().await {}
    }
    local.fly.shutdown().await;
}

#[tokio::test]
async fn only_http_1_1_has_upgrades() {
    let local = Local::start().await;
    for (version, upgrade, carried) in [
        (Version::HTTP_10, "websocket", None),
        (Version::HTTP_11, "h2c", Some("h2c")),
        (Version::HTTP_11, "websocket", Some("websocket")),
    ] {
        let request = local.ask("/hello", "").version(version).header("connection", "upgrade");
        let seen = seen(request.header("upgrade", upgrade)).await;
        assert_eq!(seen["headers"].get("upgrade").and_then(|value| value.as_str()), carried, "{version:?} {upgrade}");
    }
    local.fly.shutdown().await;
}

#[tokio::test]
async fn an_answer_streams_through_as_it_comes() {
    let local = Local::start_with(|config| config.latency = Switch::On).await;
    let mut response = local.ask("/drip", "").send().await.unwrap();
    let first = tokio::time::timeout(Duration::from_secs(5), response.chunk()).await;
    assert_eq!(first.unwrap().unwrap().unwrap(), "first\n");
    local.fly.shutdown().await;
}

#[tokio::test]
async fn a_failed_replay_comes_back_and_may_not_be_replayed_again() {
    let local = Local::start().await;
    for fallback in ["prefer_self", "force_self"] {
        let directive = format!("app=game;instance=00000000000000;timeout=1s;fallback={fallback}");
        let seen = local.seen("/", &directive).await;
        assert_eq!(seen["app"], "front");
        let failed = seen["headers"]["fly-replay-failed"].as_str().unwrap();
        assert!(failed.starts_with("instance=00000000000000;app=game;region=;replay_source="), "{failed}");
        assert!(failed.contains(";reason=no_candidate;elapsed_ms="), "{failed}");
        let insisting = local.ask("/", &directive).header("x-insist", "1").send().await.unwrap();
        assert_eq!(insisting.status(), 502);
    }
    local.fly.shutdown().await;
}

#[tokio::test]
async fn a_target_that_boots_too_slowly_counts_as_a_timeout() {
    let local = Local::start().await;
    let id = local.game_machine("ewr").await;
    let seen = local.seen("/", &format!("app=game;instance={id};timeout=50ms;fallback=force_self")).await;
    let failed = seen["headers"]["fly-replay-failed"].as_str().unwrap();
    assert!(failed.starts_with(&format!("instance={id};app=game;region=ewr;")), "{failed}");
    assert!(failed.contains(";reason=timeout;"), "{failed}");
    local.fly.shutdown().await;
}

#[tokio::test]
async fn replays_that_lead_nowhere_end_in_an_error() {
    let local = Local::start().await;
    for (directive, status, code) in [
        ("app=front", 502, "PA02"),
        ("app", 502, "PA03"),
        ("app=nobody;fallback=prefer_self", 502, "PA04"),
        ("app=game;instance=gone", 503, "PR01"),
    ] {
        let response = local.ask("/", directive).send().await.unwrap();
        assert_eq!(response.status().as_u16(), status, "{directive}");
        assert!(!response.headers().contains_key("fly-replay"));
        assert!(response.text().await.unwrap().starts_with(code), "{directive}");
    }
    local.fly.shutdown().await;
}

#[tokio::test]
async fn a_long_body_reaches_the_lobby_and_is_never_replayed() {
    let local = Local::start().await;
    let body = "x".repeat(2 * 1024 * 1024 - 1);
    let url = format!("http://{}/", local.fly.edge());
    assert_eq!(seen(local.http.post(&url).body(body.clone())).await["body"], body.as_str());
    let replayed = local.http.post(&url).body(body).header("x-directive", "app=game").send().await.unwrap();
    assert!(replayed.text().await.unwrap().starts_with("PA01"));
    local.fly.shutdown().await;
}

#[tokio::test]
async fn an_unavailable_preference_is_told() {
    let local = Local::start().await;
    let seen = local.seen("/", "app=game;prefer_instance=gone;region=\"cdg\"").await;
    assert_eq!(seen["machine"], local.game_machine("cdg").await.as_str());
    assert_eq!(seen["headers"]["fly-preferred-instance-unavailable"], "gone");
    local.fly.shutdown().await;
}
