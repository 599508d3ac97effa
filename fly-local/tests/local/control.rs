//! The control API and its page.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Local, gone};

#[tokio::test]
async fn the_page_needs_nothing_but_itself() {
    let local = Local::start().await;
    let response = local.ask("/_fly", "").send().await.unwrap();
    assert!(response.headers()["content-type"].to_str().unwrap().starts_with("text/html"));
    let page = response.text().await.unwrap();
    for outside in ["http://", "https://", "src=", "url(", "@import"] {
        assert!(!page.contains(outside), "the page asks for `{outside}`");
    }
    assert_eq!(local.ask("/_fly/nothing", "").send().await.unwrap().status(), 404);
    assert_eq!(local.seen("/_flyer", "").await["app"], "front", "other paths are the lobby's");
    local.fly.shutdown().await;
}

#[tokio::test]
async fn pages_of_others_may_not_act_here() {
    let local = Local::start().await;
    let port = local.fly.edge().port();
    let state = format!("http://{}/_fly/api/state", local.fly.edge());
    for (name, value, status) in [
        ("origin", format!("http://127.0.0.1:{port}"), 200),
        ("origin", format!("http://localhost:{port}"), 200),
        ("origin", "https://elsewhere.example".into(), 403),
        ("origin", "null".into(), 403),
        ("host", format!("elsewhere.example:{port}"), 403),
    ] {
        let response = local.http.get(&state).header(name, &value).send().await.unwrap();
        assert_eq!(response.status(), status, "{name}: {value}");
    }
    local.fly.shutdown().await;
}

#[tokio::test]
async fn settings_change_at_run_time_and_bad_ones_are_named() {
    let local = Local::start().await;
    for (bad, field) in [
        (json!({ "boot_msec": 1 }), "boot_msec"),
        (json!({ "boot_ms": "long" }), "boot_ms"),
        (json!({ "start_on_started": "201" }), "start_on_started"),
        (json!({ "status_refused": 200 }), "200 is no error"),
    ] {
        let (status, error) = local.control(Method::PATCH, "/settings", &bad).await;
        assert_eq!(status, 400, "{bad}");
        let text = error["error"].as_str().unwrap();
        assert!(text.contains(field), "{text}");
    }
    let nobody = json!({ "machines": { "nobody": { "host": "full" } } });
    let (status, error) = local.control(Method::PATCH, "/faults", &nobody).await;
    assert_eq!((status, &error["error"]), (400, &"machines.nobody: there is no such machine".into()));
    let (_, changed) = local.control(Method::PATCH, "/settings", &json!({ "boot_ms": 7 })).await;
    let (_, now) = local.control(Method::GET, "/settings", &Value::Null).await;
    assert_eq!((&changed, &now["boot_ms"]), (&now, &7.into()));
    local.fly.shutdown().await;
}

#[tokio::test]
async fn a_person_can_stop_kill_start_and_destroy_a_machine() {
    let local = Local::start().await;
    let id = local.game_machine("ewr").await;
    let directive = format!("app=game;instance={id}");
    let act = async |action: &str| local.control(Method::POST, &format!("/machines/{id}/{action}"), &Value::Null).await;
    assert_eq!(act("kill").await.0, 409, "there is nothing to kill");
    assert_eq!(act("start").await, (200, json!({ "previous_state": "stopped" })));
    let before = local.seen("/", &directive).await["pid"].as_u64().unwrap();
    assert_eq!(act("kill").await.0, 200);
    assert!(gone(before).await);
    assert_ne!(local.seen("/", &directive).await["pid"], before, "its restart policy brought it back");
    // A lease is no obstacle here.
    local.post(&format!("/game/machines/{id}/lease")).await;
    assert_eq!(act("stop").await.0, 200);
    local.wait_for(&id, "stopped").await;
    assert_eq!(act("explode").await.0, 400);
    assert_eq!(act("destroy").await.0, 200);
    local.wait_for(&id, "destroyed").await;
    assert_eq!(local.control(Method::POST, "/machines/nobody/stop", &Value::Null).await.0, 404);
    local.fly.shutdown().await;
}

#[tokio::test]
async fn what_happens_is_told_as_it_happens() {
    let local = Local::start().await;
    let id = local.game_machine("ewr").await;
    let mut stream = local.ask("/_fly/api/events", "").send().await.unwrap();
    let directive = format!("app=game;instance={id};state=secret");
    local.seen("/somewhere?x=1", &directive).await;
    local.fault(json!({ "regions_full": ["nrt"] })).await;
    let mut text = String::new();
    let read = async {
        while !text.contains("event: controls") {
            text.push_str(&String::from_utf8_lossy(&stream.chunk().await.unwrap().unwrap()));
        }
    };
    tokio::time::timeout(Duration::from_secs(10), read).await.expect("news arrive");
    for state in ["starting", "started"] {
        assert!(text.contains(&format!("\"state\":\"{state}\"")), "{text}");
    }
    assert!(text.contains("event: replay") && text.contains("GET /somewhere"), "{text}");
    assert!(!text.contains("secret"), "a replay's state is for its target only");

    let (_, state) = local.control(Method::GET, "/state", &Value::Null).await;
    let replay = &state["replays"][0];
    assert_eq!((&replay["to"], &replay["outcome"]), (&id.as_str().into(), &"reached".into()));
    assert_eq!(state["machines"].as_array().unwrap().len(), 3);
    assert_eq!(state["faults"]["regions_full"], json!(["nrt"]));
    local.fly.shutdown().await;
}
