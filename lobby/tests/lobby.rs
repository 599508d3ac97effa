//! The lobby over real sockets, in front of a fake Machines API.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use protocol::token::TokenError;
use serde_json::{Value, json};
use std::time::Duration;
use support::{Lobby, key, set_state};
use tokio::time::timeout;

fn now_s() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

#[tokio::test]
async fn the_board_lists_every_machine_nearest_first_and_asks_fly_rarely() {
    let lobby = Lobby::start(&[("t1", "nrt", "stopped"), ("p1", "cdg", "started"), ("n1", "ewr", "stopped")]).await;
    let mut board = Value::Null;
    for _ in 0..20 {
        board = lobby.board().await;
    }
    let row = |n: usize| board["servers"][n].clone();
    let seen = [0, 1, 2].map(|n| (row(n)["instance"].clone(), row(n)["status"].clone()));
    assert_eq!(seen, [("n1", "asleep"), ("p1", "ready"), ("t1", "asleep")].map(|(a, b)| (json!(a), json!(b))));
    assert_eq!((&row(1)["players"], &row(1)["pilots"], &row(1)["place"]), (&json!(3), &json!(23), &json!("Paris")));
    assert_eq!((&board["you"]["region"], &board["stale"]), (&json!("ewr"), &json!(false)));
    assert_eq!(lobby.fake.lock().unwrap().lists, 1);
    assert!(lobby.fake.lock().unwrap().starts.is_empty(), "looking never wakes");
}

#[tokio::test]
async fn twenty_joins_at_once_wake_a_sleeper_exactly_once() {
    let lobby = Lobby::start(&[("m1", "ewr", "stopped")]).await;
    let joins = (0..20).map(|_| lobby.join(r#"{"region":"ewr"}"#));
    let answers = futures_util::future::join_all(joins).await;
    let mut nonces = std::collections::HashSet::new();
    for (status, body) in &answers {
        assert_eq!((*status, body["path"].as_str()), (200, Some("/gameserver/m1/arena")), "{body}");
        let ticket = key().verify_ticket(body["ticket"].as_str().unwrap(), "m1", "arena", now_s()).unwrap();
        assert!(nonces.insert(ticket.nonce), "each ticket is for one join");
    }
    assert_eq!(lobby.fake.lock().unwrap().starts["m1"], 1);
    assert_eq!(lobby.join(r#"{"instance":"m1","room":"arena"}"#).await.0, 200);
    assert_eq!(lobby.fake.lock().unwrap().starts["m1"], 1, "one that runs is not started again");
}

/// A lobby whose only machine answers starts as scripted; returns the join's status, its error code, and the starts.
async fn join_scripted(answers: Vec<(u16, Value)>, is_stubborn: bool) -> (u16, String, u32) {
    let lobby = Lobby::start(&[("m1", "ewr", "stopped")]).await;
    {
        let mut fake = lobby.fake.lock().unwrap();
        fake.script.insert("m1".into(), answers.into());
        fake.is_stubborn = is_stubborn;
    }
    let (status, body) = timeout(Duration::from_secs(20), lobby.join(r#"{"region":"ewr"}"#)).await.expect("has an end");
    if let Some(sentence) = body["error"]["message"].as_str() {
        assert!(sentence.ends_with('.') && sentence.len() > 20, "a person can read it: {sentence}");
    }
    let starts = lobby.fake.lock().unwrap().starts["m1"];
    (status, body["error"]["code"].as_str().unwrap_or("ok").to_owned(), starts)
}

fn error(text: &str) -> Value {
    json!({"error": text})
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
    let refusals = [
        (
            409,
            error("aborted: could not reserve resource for machine: insufficient memory available"),
            503,
            "no_capacity",
        ),
        (409, error("aborted: insufficient IPs available to fulfill request"), 503, "no_capacity"),
        (412, json!({"error": "full", "status": "volume_placement_capacity"}), 503, "no_capacity"),
        (422, json!({"error": "no candidate host", "status": "insufficient_capacity"}), 503, "no_capacity"),
        (422, error("Your organization has reached its machine limit"), 502, "start_refused"),
        (408, error("deadline_exceeded: no answer from the host"), 503, "unreachable"),
        (404, error("not_found: machine not found"), 404, "unknown_server"),
        (401, error("Authenticate: token validation error"), 502, "not_allowed"),
    ];
    let cases = refusals.map(|(status, body, joined, code)| async move {
        let text = body.to_string();
        let ended = timeout(Duration::from_secs(10), join_scripted(vec![(status, body)], false)).await.expect("soon");
        assert_eq!(ended, (joined, code.to_owned(), 1), "{text}");
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
    assert_eq!((created.0, created.1.as_str()), (504, "too_slow"));
    assert_eq!((limited.0, limited.1.as_str()), (503, "fly_unavailable"));
    assert_eq!((starting.0, starting.1.as_str()), (504, "too_slow"));
    assert!(created.2 <= 15, "about one start a second at most: {}", created.2);
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
        set_state(&lobby.fake, "m1", "started");
        lobby.fake.lock().unwrap().script.insert("m1".into(), [(status, body.clone())].into());
        assert_eq!(lobby.join(r#"{"instance":"m1"}"#).await.0, 200, "{body}");
        assert_eq!(lobby.fake.lock().unwrap().starts["m1"], 1);
    }
}

#[tokio::test]
async fn the_next_machine_of_the_region_takes_over_when_a_host_is_full() {
    let lobby = Lobby::start(&[("m1", "ewr", "stopped"), ("m2", "ewr", "stopped")]).await;
    let full = (409, error("aborted: could not reserve resource for machine: insufficient CPUs available"));
    lobby.fake.lock().unwrap().script.insert("m1".into(), [full].into());
    let (status, body) = lobby.join(r#"{"region":"ewr"}"#).await;
    assert_eq!((status, &body["instance"]), (200, &json!("m2")));
}

#[tokio::test]
async fn a_request_for_a_known_machine_is_replayed_with_a_signed_state() {
    let lobby = Lobby::start(&[("m1", "ewr", "stopped")]).await;
    for path in ["/gameserver/m1/arena", "/gameserver/m1/assets/index-Ab_1.js", "/gameserver/m1/ping"] {
        let answer = lobby.get(&format!("{path}?x=1")).header("upgrade", "websocket").send().await.unwrap();
        assert_eq!(answer.status(), 307);
        let header = answer.headers()["fly-replay"].to_str().unwrap().to_owned();
        let state = header
            .strip_prefix("app=aerodrome-game;instance=m1;state=")
            .and_then(|rest| rest.strip_suffix(";timeout=10s;fallback=prefer_self"))
            .unwrap_or_else(|| panic!("exactly this form: {header}"));
        assert_eq!(key().verify_replay(state, "m1", path, now_s()), Ok(0));
        assert_eq!(key().verify_replay(state, "m1", "/gameserver/m1/else", now_s()), Err(TokenError::Forged));
        assert_eq!(answer.text().await.unwrap(), "");
    }
    assert!(lobby.fake.lock().unwrap().starts.is_empty(), "the proxy starts it, not we");
}

#[tokio::test]
async fn an_unknown_machine_is_told_plainly() {
    let lobby = Lobby::start(&[("m1", "ewr", "started")]).await;
    for path in ["/gameserver/nobody/arena", "/gameserver/m1/%2e%2e", "/gameserver/m1", "/nothing"] {
        let answer = lobby.get(path).send().await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.headers().get("fly-replay")), (404, None), "{path}");
        assert!(answer.text().await.unwrap().contains("Go to the lobby"));
    }
    assert!(lobby.fake.lock().unwrap().lists <= 1, "strangers do not make us ask Fly");
}

#[tokio::test]
async fn a_request_that_came_back_is_never_replayed_again() {
    let lobby = Lobby::start(&[("m1", "ewr", "stopped")]).await;
    let failed = "instance=m1;app=aerodrome-game;region=ewr;replay_source=x;reason=timeout;elapsed_ms=10000";
    let returned = |path: &str| lobby.get(path).header("fly-replay-failed", failed);
    let waking = returned("/gameserver/m1/arena").send().await.unwrap();
    assert_eq!((waking.status().as_u16(), waking.headers().get("fly-replay")), (503, None));
    assert!(waking.text().await.unwrap().contains(r#"http-equiv="refresh" content="2;url=?try=1""#));
    let tired = returned("/gameserver/m1/arena?try=5").send().await.unwrap();
    assert_eq!(tired.status(), 503);
    assert!(!tired.text().await.unwrap().contains("http-equiv"), "it does not reload for ever");
    let socket = returned("/gameserver/m1/arena").header("upgrade", "websocket").send().await.unwrap();
    assert_eq!((socket.status().as_u16(), &socket.headers()["retry-after"]), (503, &"2".parse().unwrap()));
    assert_eq!(returned("/gameserver/nobody/arena").send().await.unwrap().status(), 410);
}

#[tokio::test]
async fn a_bad_join_names_its_field() {
    let lobby = Lobby::start(&[("m1", "ewr", "started")]).await;
    for (body, status, code, word) in [
        ("{", 400, "bad_request", "JSON"),
        (r#"{"region":7}"#, 400, "bad_request", "\"region\""),
        (r#"{"region":"ewr","room":"No Room"}"#, 400, "bad_request", "\"room\""),
        (&" ".repeat(5000), 400, "bad_request", "4096"),
        (r#"{"region":"zzz"}"#, 404, "unknown_region", "zzz"),
        (r#"{"region":"syd"}"#, 404, "no_server", "Sydney"),
        (r#"{"instance":"nobody"}"#, 404, "unknown_server", "nobody"),
    ] {
        let (got, answer) = lobby.join(body).await;
        assert_eq!((got, &answer["error"]["code"]), (status, &json!(code)), "{body}");
        assert!(answer["error"]["message"].as_str().unwrap().contains(word), "{answer}");
    }
}

#[tokio::test]
async fn one_address_cannot_join_without_end_and_others_can() {
    let lobby = Lobby::start(&[("m1", "ewr", "started")]).await;
    let join = |address: &str| {
        let request = lobby.http.post(format!("{}/api/join", lobby.url)).header("fly-client-ip", address);
        async move { request.body(r#"{"region":"ewr"}"#).send().await.unwrap() }
    };
    let mut last = 200;
    for _ in 0..600 {
        last = join("192.0.2.1").await.status().as_u16();
        if last != 200 {
            break;
        }
    }
    assert_eq!(last, 429);
    let refused = join("192.0.2.1").await;
    assert!(refused.headers().contains_key("retry-after"));
    assert_eq!(refused.json::<Value>().await.unwrap()["error"]["code"], "too_many_joins");
    assert_eq!(join("192.0.2.2").await.status(), 200);
}

#[tokio::test]
async fn the_live_board_shows_a_machine_waking_and_ends_when_the_lobby_closes() {
    let lobby = Lobby::start(&[("m1", "ewr", "stopped")]).await;
    let mut stream = lobby.get("/api/regions/stream").header("fly-region", "cdg").send().await.unwrap();
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    let join = lobby.join(r#"{"instance":"m1"}"#);
    let watch = async {
        let mut text = String::new();
        for word in ["asleep", "waking", "ready"] {
            while !text.contains(&format!(r#""status":"{word}""#)) {
                let chunk = timeout(Duration::from_secs(5), stream.chunk()).await.expect(word).unwrap().expect(word);
                text.push_str(&String::from_utf8_lossy(&chunk));
            }
        }
        text
    };
    let (text, (status, _)) = tokio::join!(watch, join);
    assert!(text.starts_with("event: regions\ndata: {\"you\":{\"region\":\"cdg\"}"), "{text}");
    assert_eq!(status, 200);
    assert!(lobby.fake.lock().unwrap().lists <= 2, "the board follows our own wake without a list");
    lobby.close().await;
    while let Some(chunk) = timeout(Duration::from_secs(3), stream.chunk()).await.expect("ends").unwrap() {
        assert!(!chunk.is_empty());
    }
}

#[tokio::test]
async fn a_refusing_api_is_told_and_invite_links_still_work() {
    let lobby = Lobby::start(&[("m1", "ewr", "started")]).await;
    lobby.fake.lock().unwrap().refuses_lists = true;
    assert_eq!(lobby.board().await["stale"], json!(true));
    let (status, body) = lobby.join(r#"{"region":"ewr"}"#).await;
    assert_eq!((status, &body["error"]["code"]), (503, &json!("fly_unavailable")));
    assert_eq!(lobby.get("/gameserver/m1/arena").send().await.unwrap().status(), 307);
}

#[tokio::test]
async fn health_metrics_and_the_page_answer() {
    let lobby = Lobby::start(&[]).await;
    assert_eq!(lobby.get("/healthz").send().await.unwrap().status(), 200);
    lobby.get("/gameserver/nobody/arena").send().await.unwrap();
    let metrics = lobby.get("/metrics").send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains(r#"lobby_steered_total{decision="unknown"} 1"#), "{metrics}");
    assert!(metrics.contains(r#"lobby_api_calls_total{call="list",status="200"} 1"#), "{metrics}");
    let page = lobby.get("/").send().await.unwrap();
    assert!(page.headers()["content-type"].to_str().unwrap().starts_with("text/html"));
}
