//! The board, live and asked for; and the small addresses beside it.

use crate::support::{Lobby, error};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::timeout;

#[tokio::test]
async fn the_board_lists_every_region_best_first_and_asks_fly_rarely() {
    let lobby = Lobby::start(&[("t1", "nrt", "stopped"), ("p1", "cdg", "started"), ("p2", "cdg", "stopped")]).await;
    let mut board = Value::Null;
    for _ in 0..20 {
        board = lobby.board().await;
    }
    let row = |n: usize| board["regions"][n].clone();
    let seen = [0, 1, 2].map(|n| (row(n)["region"].clone(), row(n)["status"].clone()));
    // Nobody has a machine in New Jersey yet; the first player there causes one.
    assert_eq!(seen, [("ewr", "asleep"), ("cdg", "up"), ("nrt", "asleep")].map(|(a, b)| (json!(a), json!(b))));
    assert_eq!((&row(1)["players"], &row(1)["pilots"], &row(1)["place"]), (&json!(3), &json!(23), &json!("Paris")));
    assert_eq!((&row(1)["probe"], &row(1)["latency"]), (&json!("p1"), &json!("estimated")));
    assert_eq!((&board["you"]["region"], &board["stale"]), (&json!("ewr"), &json!(false)));
    assert_eq!(lobby.api.count("list"), 1);
    assert_eq!(lobby.api.count("start t1") + lobby.api.count("create"), 0, "looking never wakes");
}

/// SPEC S10.8.
#[tokio::test]
async fn the_live_board_shows_a_machine_waking_and_ends_when_the_lobby_closes() {
    let lobby = Lobby::start(&[("m1", "ewr", "stopped")]).await;
    let mut stream = lobby.get("/api/regions/stream").header("fly-region", "cdg").send().await.unwrap();
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    let join = lobby.join(r#"{"instance":"m1"}"#);
    let watch = async {
        let mut text = String::new();
        for word in ["asleep", "waking", "up"] {
            while !text.contains(&format!(r#""region":"ewr","place":"New Jersey","status":"{word}""#)) {
                let chunk = timeout(Duration::from_secs(5), stream.chunk()).await.expect(word).unwrap().expect(word);
                text.push_str(&String::from_utf8_lossy(&chunk));
            }
        }
        text
    };
    let (text, (status, _)) = tokio::join!(watch, join);
    assert!(text.starts_with("event: regions\ndata: {\"you\":{\"region\":\"cdg\"}"), "{text}");
    assert_eq!(status, 200);
    assert!(lobby.api.count("list") <= 2, "the board follows our own wake without a list");
    lobby.close().await;
    while let Some(chunk) = timeout(Duration::from_secs(3), stream.chunk()).await.expect("ends").unwrap() {
        assert!(!chunk.is_empty());
    }
}

#[tokio::test]
async fn a_refusing_api_is_told_and_invite_links_still_work() {
    let lobby = Lobby::start(&[("m1", "ewr", "started")]).await;
    lobby.api.script("list", [(429, error("rate limit exceeded"))]);
    lobby.api.inner().is_stubborn = true;
    let board = lobby.board().await;
    assert_eq!((&board["stale"], board["regions"].as_array().unwrap().len()), (&json!(true), 3));
    let (status, body) = lobby.join(r#"{"region":"ewr"}"#).await;
    assert_eq!((status, &body["error"]["code"]), (503, &json!("fly_unavailable")));
    assert_eq!(lobby.get("/gameserver/m1/arena").send().await.unwrap().status(), 307);
    assert_eq!(lobby.api.count("list"), 1, "a refusal is no reason to ask more often");
}

#[tokio::test]
async fn the_last_answer_stays_when_fly_refuses_later() {
    let lobby = Lobby::start(&[("m1", "ewr", "started")]).await;
    let mut stream = lobby.get("/api/regions/stream").send().await.unwrap();
    assert_eq!(lobby.row("ewr").await["status"], "up");
    lobby.api.script("list", [(503, error("unavailable"))]);
    let mut text = String::new();
    while !text.contains(r#""stale":true"#) {
        let chunk = timeout(Duration::from_secs(12), stream.chunk()).await.expect("a list every few seconds");
        text.push_str(&String::from_utf8_lossy(&chunk.unwrap().unwrap()));
    }
    let last = text.lines().rfind(|line| line.starts_with("data: ")).unwrap();
    assert!(last.contains(r#""status":"up""#), "{last}");
}

#[tokio::test]
async fn health_metrics_and_the_page_answer() {
    let lobby = Lobby::start(&[]).await;
    assert_eq!(lobby.get("/healthz").send().await.unwrap().status(), 200);
    lobby.get("/gameserver/nobody/status").send().await.unwrap();
    let metrics = lobby.metrics().await;
    assert!(metrics.contains(r#"lobby_steered_total{decision="unknown"} 1"#), "{metrics}");
    assert!(metrics.contains(r#"lobby_api_calls_total{call="list",status="200"} 1"#), "{metrics}");
    assert_eq!(lobby.get("/metrics").send().await.unwrap().status(), 404, "not on the public address");
    let page = lobby.get("/").send().await.unwrap();
    assert!(page.headers()["content-type"].to_str().unwrap().starts_with("text/html"));
    let said = |name: &str| page.headers()[name].to_str().unwrap().to_owned();
    assert_eq!((said("referrer-policy"), said("x-content-type-options")), ("same-origin".into(), "nosniff".into()));
    assert!(said("content-security-policy").starts_with("default-src 'none';"));
}
