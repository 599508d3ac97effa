//! Invite links: the way to a machine, and to the same room when its machine is lost.

use crate::support::{Lobby, error, key, now_s};
use protocol::token::{Grant, TokenError};
use serde_json::json;

const FAILED: &str = "instance=m1;app=aerodrome-game;region=ewr;replay_source=x;reason=timeout;elapsed_ms=10000";

/// What the ticket of a join grants.
fn grant(joined: &serde_json::Value, instance: &str, room: &str) -> Grant {
    let ticket = joined["ticket"].as_str().unwrap_or_else(|| panic!("a ticket: {joined}"));
    key().verify_ticket(ticket, instance, room, now_s()).unwrap().grant
}

fn location(answer: &reqwest::Response) -> &str {
    answer.headers()["location"].to_str().unwrap()
}

/// SPEC S10.6.
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
    assert_eq!(lobby.api.count("start m1"), 0, "the proxy starts it, not we");
}

#[tokio::test]
async fn what_is_no_address_is_told_plainly() {
    let lobby = Lobby::start(&[("m1", "ewr", "started")]).await;
    for path in ["/gameserver/nobody/status", "/gameserver/m1/%2e%2e", "/gameserver/m1", "/nothing"] {
        let answer = lobby.get(path).send().await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.headers().get("fly-replay")), (404, None), "{path}");
        assert!(answer.text().await.unwrap().contains("Go to the lobby"));
    }
    assert!(lobby.api.count("list") <= 1, "strangers do not make us ask Fly");
}

#[tokio::test]
async fn a_room_whose_machine_was_destroyed_is_sought_in_the_same_region_first() {
    let lobby = Lobby::start(&[("m1", "cdg", "stopped"), ("n1", "ewr", "started"), ("p1", "cdg", "stopped")]).await;
    lobby.board().await;
    lobby.api.inner().machines.remove("m1");
    // Known from the last list, until the proxy says otherwise and the API agrees.
    let returned = |path: &str| lobby.get(path).header("fly-replay-failed", FAILED).header("fly-region", "ewr");
    let moved = returned("/gameserver/m1/field-abc?new").send().await.unwrap();
    assert_eq!((moved.status().as_u16(), location(&moved)), (302, "/gameserver/p1/field-abc?moved=1"));
    let arena = returned("/gameserver/m1/arena").send().await.unwrap();
    assert_eq!(location(&arena), "/gameserver/p1/arena-m1?moved=1", "its own room has a name of its own elsewhere");
    let (status, body) = lobby.join(r#"{"instance":"m1","room":"arena"}"#).await;
    assert_eq!((status, &body["path"]), (200, &json!("/gameserver/p1/arena-m1")), "{body}");
    assert_eq!(grant(&body, "p1", "arena-m1"), Grant::Move);
    // A machine that this lobby never saw: near the asker.
    let stranger = lobby.get("/gameserver/nobody/field-x").header("fly-region", "ewr").send().await.unwrap();
    assert_eq!(location(&stranger), "/gameserver/n1/field-x?moved=1");
    let socket = lobby.get("/gameserver/nobody/field-x").header("upgrade", "websocket").send().await.unwrap();
    assert_eq!(socket.status(), 404, "a socket cannot follow; its page asks for a new place");
}

#[tokio::test]
async fn a_room_that_is_sent_back_waits_on_a_page_instead_of_turning_in_circles() {
    let lobby = Lobby::start(&[("p1", "cdg", "started")]).await;
    let get = async |query: &str| lobby.get(&format!("/gameserver/m1/field-abc{query}")).send().await.unwrap();
    let mut query = String::new();
    for round in 1..=8 {
        let away = get(&query).await;
        assert_eq!(location(&away), format!("/gameserver/p1/field-abc?moved={round}"));
        // As the gameserver sends it back while the lost machine still counts as the owner.
        let page = get(&format!("?back={round}")).await;
        assert_eq!(page.status(), 503);
        if round < 8 {
            assert!(page.text().await.unwrap().contains(&format!(r#"content="5;url=?try={round}""#)));
        }
        query = format!("?try={round}");
    }
    for query in ["?try=8", "?back=8"] {
        let tired = get(query).await;
        assert_eq!(tired.status(), 503);
        assert!(!tired.text().await.unwrap().contains("http-equiv"), "it is not sent round for ever");
    }
}

#[tokio::test]
async fn a_room_with_nowhere_to_go_is_gone_and_a_new_one_is_offered() {
    let lobby = Lobby::start(&[]).await;
    let page = lobby.get("/gameserver/m1/field-abc").send().await.unwrap();
    assert_eq!(page.status(), 410);
    assert!(page.text().await.unwrap().contains(r#"<a href="/#new">Open a new room</a>"#));
    assert_eq!(lobby.join(r#"{"instance":"m1","room":"field-abc"}"#).await.1["error"]["code"], "unknown_server");
}

#[tokio::test]
async fn a_request_that_came_back_is_never_replayed_again() {
    let lobby = Lobby::start(&[("m1", "ewr", "stopped")]).await;
    let returned = |path: &str| lobby.get(path).header("fly-replay-failed", FAILED);
    // The proxy could not start it; we can, and the page comes again.
    let woken = returned("/gameserver/m1/arena").send().await.unwrap();
    assert_eq!((woken.status().as_u16(), location(&woken)), (302, "/gameserver/m1/arena?try=1"));
    assert_eq!(lobby.api.count("start m1"), 1);
    let tired = returned("/gameserver/m1/arena?try=5").send().await.unwrap();
    assert_eq!(tired.status(), 503);
    assert!(!tired.text().await.unwrap().contains("http-equiv"), "it does not reload for ever");
    let sent_round = returned("/gameserver/m1/arena?moved=5").send().await.unwrap();
    assert_eq!((sent_round.status().as_u16(), lobby.api.count("start m1")), (503, 1), "wherever the rounds led");
    let socket = returned("/gameserver/m1/arena").header("upgrade", "websocket").send().await.unwrap();
    assert_eq!((socket.status().as_u16(), &socket.headers()["retry-after"]), (503, &"2".parse().unwrap()));
    assert_eq!(returned("/gameserver/nobody/status").send().await.unwrap().status(), 410);
}

#[tokio::test]
async fn a_machine_that_takes_its_time_gets_a_waking_page() {
    let lobby = Lobby::start(&[("m1", "ewr", "stopped")]).await;
    lobby.api.set("m1", |machine| machine.is_silent = true);
    let page = lobby.get("/gameserver/m1/arena").header("fly-replay-failed", FAILED).send().await.unwrap();
    assert_eq!(page.status(), 503);
    assert!(page.text().await.unwrap().contains(r#"http-equiv="refresh" content="2;url=?try=1""#));
    let page = lobby.get("/gameserver/m1/field-a?new").header("fly-replay-failed", FAILED).send().await.unwrap();
    assert!(page.text().await.unwrap().contains(r#"url=?try=1&amp;new""#), "a new room is still new then");
}

#[tokio::test]
async fn a_room_whose_host_is_full_is_restored_elsewhere() {
    let lobby = Lobby::start(&[("m1", "ewr", "stopped"), ("m2", "ewr", "stopped")]).await;
    let full = (409, error("aborted: could not reserve resource for machine: insufficient memory available"));
    lobby.api.script("start m1", [full.clone(), full]);
    let page = lobby.get("/gameserver/m1/field-abc").header("fly-replay-failed", FAILED).send().await.unwrap();
    assert_eq!((page.status().as_u16(), location(&page)), (302, "/gameserver/m2/field-abc?moved=1"));
    let (status, body) = lobby.join(r#"{"instance":"m1","room":"field-abc"}"#).await;
    assert_eq!((status, &body["path"]), (200, &json!("/gameserver/m2/field-abc")), "{body}");
}

#[tokio::test]
async fn a_public_room_opens_elsewhere_only_while_its_machine_is_lost() {
    let lobby = Lobby::start(&[("m1", "ewr", "stopped"), ("m2", "cdg", "started")]).await;
    let request = r#"{"instance":"m2","room":"arena-m1"}"#;
    let (status, body) = lobby.join(request).await;
    assert_eq!((status, &body["path"]), (200, &json!("/gameserver/m2/arena-m1")), "{body}");
    assert_eq!(grant(&body, "m2", "arena-m1"), Grant::Enter, "m1 only sleeps");
    for own in [r#"{"instance":"m2","room":"arena"}"#, r#"{"instance":"m2","room":"arena-m2"}"#] {
        assert_eq!(grant(&lobby.join(own).await.1, "m2", "arena"), Grant::Enter);
    }
    assert_eq!(lobby.api.count("start m1"), 0);
    // Its host has no room for it: it cannot be had.
    let full = (409, error("aborted: could not reserve resource for machine: insufficient memory available"));
    lobby.api.script("start m1", [full]);
    let (_, body) = lobby.join(r#"{"instance":"m1"}"#).await;
    assert_eq!((&body["path"], grant(&body, "m2", "arena-m1")), (&json!("/gameserver/m2/arena-m1"), Grant::Move));
    assert_eq!(grant(&lobby.join(request).await.1, "m2", "arena-m1"), Grant::Move, "whoever follows comes in, too");
}

#[tokio::test]
async fn everybody_of_a_lost_machine_follows_to_the_same_one_and_one_opening_is_counted() {
    let machines = ["m2", "m3", "m4"].map(|id| (id, "ewr", "stopped"));
    let lobby = Lobby::start(&machines).await;
    // A school: more of them than rooms that one address may open, or than a machine has.
    let joins =
        futures_util::future::join_all((0..60).map(|_| lobby.join(r#"{"instance":"m1","room":"arena"}"#))).await;
    let there = joins[0].1["instance"].as_str().unwrap().to_owned();
    for (status, body) in joins {
        assert_eq!((status, &body["instance"], &body["room"]), (200, &json!(there), &json!("arena-m1")), "{body}");
        assert_eq!(grant(&body, &there, "arena-m1"), Grant::Move);
    }
    let page = lobby.get("/gameserver/m1/arena").send().await.unwrap();
    assert_eq!(location(&page), format!("/gameserver/{there}/arena-m1?moved=1"));
    assert_eq!(machines.iter().map(|(id, ..)| lobby.api.count(&format!("start {id}"))).sum::<usize>(), 1);
}

#[tokio::test]
async fn a_public_room_that_had_moved_goes_home_when_the_other_machine_is_lost() {
    let lobby = Lobby::start(&[("m1", "ewr", "stopped"), ("m3", "cdg", "started")]).await;
    let (status, body) = lobby.join(r#"{"instance":"m2","room":"arena-m1"}"#).await;
    assert_eq!((status, &body["path"]), (200, &json!("/gameserver/m1/arena")), "{body}");
    assert_eq!(grant(&body, "m1", "arena"), Grant::Enter);
    let page = lobby.get("/gameserver/m2/arena-m1?try=2").send().await.unwrap();
    assert_eq!(location(&page), "/gameserver/m1/arena?moved=3");
}

#[tokio::test]
async fn while_fly_lists_nothing_no_machine_counts_as_lost() {
    let lobby = Lobby::start(&[("m1", "ewr", "started"), ("m2", "cdg", "started")]).await;
    lobby.board().await;
    lobby.api.inner().is_stubborn = true;
    lobby.api.script("list", [(503, error("unavailable"))]);
    while !lobby.board().await["stale"].as_bool().unwrap() {
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    // Another lobby may have created it a moment ago.
    let (status, body) = lobby.join(r#"{"instance":"m9","room":"arena"}"#).await;
    assert_eq!((status, &body["error"]["code"]), (503, &json!("fly_unavailable")), "{body}");
    let (_, body) = lobby.join(r#"{"instance":"m2","room":"arena-m9"}"#).await;
    assert_eq!(grant(&body, "m2", "arena-m9"), Grant::Enter);
}

#[tokio::test]
async fn whoever_was_told_that_a_machine_stops_waits_for_it_to_come_back() {
    let lobby = Lobby::start(&[("m1", "ewr", "started"), ("m2", "ewr", "started")]).await;
    lobby.api.set("m1", |machine| machine.is_draining = true);
    assert_eq!(lobby.join(r#"{"region":"ewr"}"#).await.1["instance"], "m2", "nobody new is sent there");
    let join = lobby.join(r#"{"instance":"m1","room":"field-abc"}"#);
    let deploy = async {
        tokio::time::sleep(std::time::Duration::from_millis(600)).await;
        lobby.api.set("m1", |machine| machine.is_draining = false);
    };
    let ((status, body), ()) = tokio::join!(join, deploy);
    assert_eq!((status, &body["path"]), (200, &json!("/gameserver/m1/field-abc")), "its room is on it: {body}");
}
