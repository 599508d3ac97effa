//! What comes by replay, what does not, and what an operator reads.

use crate::harness::{Gameserver, INSTANCE, PATIENCE, Received, now_s};
use protocol::room::Kind;
use serde_json::json;
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_tungstenite::tungstenite::Error;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_the_lobby_signed_comes_in() {
    let gameserver = Gameserver::start().await;
    let path = format!("/gameserver/{INSTANCE}/status");
    assert_eq!(gameserver.get(&path, "").await.0, 403);
    let forged = "fly-replay-src: instance=a;region=b;t=1;state=1.0.00\r\n";
    assert_eq!(gameserver.get(&path, forged).await.0, 403);
    let other_path = gameserver.replay_source(&format!("/gameserver/{INSTANCE}/arena"));
    assert_eq!(gameserver.get(&path, &format!("fly-replay-src: {other_path}\r\n")).await.0, 403);
    let (status, _, body) = gameserver.get_replayed(&path).await;
    assert_eq!(status, 200);
    let json: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!((json["instance"].as_str(), json["region"].as_str()), (Some(INSTANCE), Some("ewr")));
    for (number, kind) in Kind::ALL.into_iter().enumerate() {
        assert_eq!(
            (&json["rooms"][number]["room"], &json["rooms"][number]["members"]),
            (&json!(kind.word()), &json!(0))
        );
        let of_kind = &json["kinds"][kind.word()];
        assert!(
            of_kind["seats"].as_u64() >= Some(1) && of_kind["seats"] == of_kind["capacity"],
            "nobody opened it yet"
        );
    }
    assert_eq!((json["rooms_max"].as_u64(), json["is_draining"].as_bool()), (Some(256), Some(false)));
    gameserver.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn anothers_request_is_sent_on_once() {
    let gameserver = Gameserver::start().await;
    let path = "/gameserver/another1/arena";
    let by_hop =
        |hop| format!("fly-replay-src: state={}\r\n", gameserver.key.sign_replay("another1", path, now_s(), hop));
    let (_, head, body) = gameserver.get(path, &by_hop(0)).await;
    let replay = head.lines().find_map(|line| line.strip_prefix("fly-replay: ")).unwrap();
    assert!(replay.starts_with("app=aerodrome-game;instance=another1;state=") && body.is_empty(), "{replay}");
    let (status, _, body) = gameserver.get(path, &by_hop(1)).await;
    assert!(status == 404 && body.contains("That room is gone."));
    gameserver.server.stop().await;
}

/// SPEC S3.1.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unknown_rooms_and_assets_are_not_found() {
    let gameserver = Gameserver::start().await;
    let (status, _, body) = gameserver.get_replayed(&format!("/gameserver/{INSTANCE}/elsewhere")).await;
    assert!(status == 404 && body.contains("There is no such room."), "of no kind: {body}");
    let (status, _, body) = gameserver.get_replayed(&format!("/gameserver/{INSTANCE}/arena-p-abcdef2345")).await;
    assert!(status == 404 && body.contains("This room is gone."));
    let (status, _, body) = gameserver.get_replayed(&format!("/gameserver/{INSTANCE}/No.Name")).await;
    assert!(status == 404 && body.contains("There is no such room."));
    assert_eq!(gameserver.get_replayed(&format!("/gameserver/{INSTANCE}/assets/none.js")).await.0, 404);
    assert_eq!(gameserver.get("/anything", "").await.0, 404);
    let (_, head, body) = gameserver.get_replayed(&format!("/gameserver/{INSTANCE}/arena")).await;
    for header in
        ["content-security-policy: default-src 'none'; ", "referrer-policy: ", "x-content-type-options: nosniff"]
    {
        assert!(head.contains(&format!("\r\n{header}")), "{head}");
    }
    assert!(body.starts_with("<!doctype html>") || body.starts_with("<!DOCTYPE html>"), "{body}");
    gameserver.server.stop().await;
}

/// SPEC S4.1.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_of_other_sites_may_not_connect() {
    let gameserver =
        Gameserver::start_with(|config| config.allowed_origins = vec!["https://friend.example".to_owned()]).await;
    let own = format!("http://{}", gameserver.address());
    for (origin, is_allowed) in
        [(own.as_str(), true), ("https://friend.example", true), ("https://evil.example", false)]
    {
        match gameserver.upgrade("arena", &[("origin", origin)], None).await {
            Ok(_) => assert!(is_allowed, "{origin}"),
            Err(Error::Http(response)) => assert!(!is_allowed && response.status() == 403, "{origin}"),
            Err(error) => panic!("{error}"),
        }
    }
    gameserver.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ping_is_answered_a_few_times_and_is_no_player() {
    let gameserver = Gameserver::start().await;
    let mut socket = gameserver.upgrade("ping", &[], None).await.unwrap();
    for i in 0..16_u8 {
        socket.send(vec![i]).await;
        assert_eq!(socket.hear().await, Received::Message(vec![i]));
    }
    assert_eq!(socket.hear().await, Received::Gone);
    assert_eq!(gameserver.metric("members").await, 0.0);
    gameserver.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_asks_nothing_is_closed() {
    let gameserver = Gameserver::start_with(|config| config.head_timeout = Duration::from_millis(200)).await;
    let half = "GET /healthz HTTP/1.1\r\nhost: a";
    for (said, answer) in [("", ""), (half, ""), ("GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n", "HTTP/1.1 200")] {
        let mut stream = TcpStream::connect(gameserver.address()).await.unwrap();
        stream.write_all(said.as_bytes()).await.unwrap();
        let mut heard = String::new();
        timeout(PATIENCE, stream.read_to_string(&mut heard)).await.expect("it is closed in time").unwrap();
        assert!(heard.starts_with(answer), "{heard}");
    }
    gameserver.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_can_look() {
    let gameserver = Gameserver::start().await;
    assert_eq!(gameserver.get("/healthz", "").await.0, 200);
    let (status, head, body) = gameserver.get("/metrics", "").await;
    assert!(status == 200 && head.contains("openmetrics") && body.ends_with("# EOF\n"));
    for name in ["members", "population", "tick_seconds_bucket", "ticks_late_total", "frames_total", "queue_full_total"]
    {
        assert!(body.contains(&format!("\ngameserver_{name}")), "{name}");
    }
    gameserver.server.stop().await;
}
