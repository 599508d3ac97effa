//! Roles: who is the host of a room, who reads along, who looks on from the board.

use crate::support::{Lobby, key, now_s};
use protocol::token::{Grant, Role, Ticket};
use serde_json::{Value, json};

const ROOM: &str = "arena-p-abcdef2345";

/// What the ticket of a join says.
fn said(joined: &Value, room: &str) -> Ticket {
    let (ticket, instance) = (joined["ticket"].as_str(), joined["instance"].as_str());
    let ticket = ticket.unwrap_or_else(|| panic!("a ticket: {joined}"));
    key().verify_ticket(ticket, instance.unwrap(), room, now_s()).unwrap()
}

fn alias() -> String {
    key().seal_alias(ROOM).unwrap()
}

/// Status and body of asking for a link to read along.
async fn share(lobby: &Lobby, body: &Value, headers: &[(&str, &str)]) -> (u16, Value) {
    let request = lobby.http.post(format!("{}/api/share", lobby.url)).body(body.to_string());
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

const JSON: (&str, &str) = ("content-type", "application/json");

/// SPEC S3.9 and S10.3.
#[tokio::test]
async fn whoever_had_a_room_made_is_its_host_and_can_prove_it() {
    let lobby = Lobby::start(&[("m1", "ewr", "started")]).await;
    let (_, made) = lobby.join(r#"{"region":"ewr","private":true}"#).await;
    let (room, proof) = (made["room"].as_str().unwrap(), made["host"].as_str().unwrap());
    assert_eq!(said(&made, room).role, Role::Host);
    let ask = |host: Option<&str>| json!({"instance": "m1", "room": room, "host": host}).to_string();
    let (_, again) = lobby.join(&ask(Some(proof))).await;
    assert_eq!((said(&again, room).grant, said(&again, room).role), (Grant::Enter, Role::Host));
    assert_eq!(again.get("host"), None, "whoever shows it has it");
    // Whoever comes first, or wakes the room, is none.
    let (_, other) = lobby.join(&ask(None)).await;
    assert_eq!(said(&other, room).role, Role::Member);
}

/// SPEC S3.9.
#[tokio::test]
async fn a_proof_that_is_not_the_rooms_is_refused_and_never_taken_for_a_members_join() {
    let lobby = Lobby::start(&[("m1", "ewr", "stopped")]).await;
    let elsewhere = key().sign_host("arena-p-another234");
    for proof in [&*elsewhere, "", "00", &key().sign_host("arena-m1")] {
        let (status, body) = lobby.join(&json!({"instance": "m1", "room": ROOM, "host": proof}).to_string()).await;
        assert_eq!((status, &body["error"]["code"]), (403, &json!("not_the_host")), "{proof}: {body}");
        assert!(body["error"]["message"].as_str().unwrap().ends_with('.'));
    }
    let reader = json!({"instance": "m1", "room": alias(), "host": key().sign_host(ROOM)});
    assert_eq!(lobby.join(&reader.to_string()).await.0, 403, "nobody becomes the host by a link to read along");
    assert_eq!(lobby.api.count("start m1"), 0);
}

/// SPEC S3.9.
#[tokio::test]
async fn a_readers_link_names_no_room_and_wakes_its_machine() {
    let lobby = Lobby::start(&[("m1", "ewr", "stopped")]).await;
    let (status, shared) = share(&lobby, &json!({"instance": "m1", "room": ROOM}), &[JSON]).await;
    assert_eq!((status, &shared), (200, &json!({"path": format!("/gameserver/m1/{}", alias())})));
    assert_eq!(lobby.api.count("start m1"), 0, "to pass it on wakes nothing");
    let (status, joined) = lobby.join(&json!({"instance": "m1", "room": alias()}).to_string()).await;
    assert_eq!((status, &joined["path"], &joined["room"]), (200, &shared["path"], &json!(alias())));
    assert!(!joined.to_string().contains(ROOM), "{joined}");
    let ticket = said(&joined, &alias());
    assert_eq!((ticket.grant, ticket.role), (Grant::Enter, Role::Reader));
    assert!(key().verify_ticket(joined["ticket"].as_str().unwrap(), "m1", ROOM, now_s()).is_err());
    assert_eq!(lobby.api.count("start m1"), 1, "as a member's link does");
}

#[tokio::test]
async fn readers_take_no_seat() {
    let lobby = Lobby::start(&[("m1", "ewr", "started")]).await;
    lobby.api.set("m1", |machine| machine.players = machine.capacity);
    let member = lobby.join(&json!({"instance": "m1", "room": "arena"}).to_string()).await;
    assert_eq!(member.1["error"]["code"], "full");
    let (status, reader) = lobby.join(&json!({"instance": "m1", "room": alias()}).to_string()).await;
    assert_eq!((status, said(&reader, &alias()).role), (200, Role::Reader), "{reader}");
}

#[tokio::test]
async fn a_forged_alias_leads_nowhere_and_wakes_nothing() {
    let lobby = Lobby::start(&[("m1", "ewr", "stopped")]).await;
    let mut forged = alias();
    forged.replace_range(forged.len() - 1.., if forged.ends_with('0') { "1" } else { "0" });
    for room in [&*forged, "arena-r-", "arena-r-abcdef2345"] {
        let (status, body) = lobby.join(&json!({"instance": "m1", "room": room}).to_string()).await;
        assert_eq!((status, &body["error"]["code"]), (404, &json!("unknown_link")), "{room}: {body}");
        let page = lobby.get(&format!("/gameserver/m1/{room}")).send().await.unwrap();
        assert_eq!((page.status().as_u16(), page.headers().get("fly-replay")), (404, None), "{room}");
    }
    assert_eq!(lobby.api.count("start m1"), 0);
    let page = lobby.get(&format!("/gameserver/m1/{}", alias())).send().await.unwrap();
    assert!(page.headers().contains_key("fly-replay"), "a good one is replayed");
}

#[tokio::test]
async fn readers_of_a_lost_machine_follow_the_others_and_learn_no_name() {
    let lobby = Lobby::start(&[("m2", "ewr", "started"), ("m3", "ewr", "started")]).await;
    lobby.api.set("m3", |machine| machine.players = 1);
    let (_, member) = lobby.join(&json!({"instance": "m1", "room": ROOM}).to_string()).await;
    let there = member["instance"].as_str().unwrap().to_owned();
    // From now on that one is not what anybody new would be sent to.
    lobby.api.set(&there, |machine| machine.players = 150);
    let (_, reader) = lobby.join(&json!({"instance": "m1", "room": alias()}).to_string()).await;
    assert_eq!((&reader["instance"], &reader["room"]), (&json!(there), &json!(alias())), "{reader}");
    assert_eq!(said(&reader, &alias()).role, Role::Reader);
    let page = lobby.get(&format!("/gameserver/m1/{}", alias())).send().await.unwrap();
    assert_eq!(page.headers()["location"], format!("/gameserver/{there}/{}?moved=1", alias()));
}

/// SPEC S10.7.
#[tokio::test]
async fn a_link_to_read_along_is_for_pages_of_ours_and_not_without_end() {
    let lobby = Lobby::start(&[]).await;
    let body = json!({"instance": "m1", "room": ROOM});
    let foreign = share(&lobby, &body, &[JSON, ("origin", "https://evil.example")]).await;
    assert_eq!((foreign.0, &foreign.1["error"]["code"]), (403, &json!("foreign_page")));
    assert_eq!(share(&lobby, &body, &[("content-type", "text/plain")]).await.0, 415);
    let public = share(&lobby, &json!({"instance": "m1", "room": "arena"}), &[JSON]).await;
    assert_eq!((public.0, &public.1["error"]["code"]), (400, &json!("bad_request")));
    let mut asked = 0;
    while share(&lobby, &body, &[JSON, ("fly-client-ip", "192.0.2.1")]).await.0 == 200 {
        asked += 1;
        assert!(asked < 600, "one address may ask without end");
    }
}

/// SPEC S10.3.
#[tokio::test]
async fn a_spectator_looks_on_where_somebody_is_and_wakes_nobody() {
    let machines = [("m1", "ewr", "started"), ("m2", "ewr", "started"), ("p1", "cdg", "stopped")];
    let lobby = Lobby::start(&machines).await;
    lobby.api.set("m2", |machine| machine.players = machine.capacity);
    let (status, joined) = lobby.join(r#"{"region":"ewr","watch":true}"#).await;
    assert_eq!((status, &joined["path"]), (200, &json!("/gameserver/m2/arena?watch")), "{joined}");
    let ticket = said(&joined, "arena");
    assert_eq!((ticket.grant, ticket.role), (Grant::Watch, Role::Reader));
    let again = lobby.join(r#"{"instance":"m2","room":"arena","watch":true}"#).await;
    assert_eq!((again.0, &again.1["path"]), (200, &json!("/gameserver/m2/arena?watch")), "also when full");
    for body in [r#"{"region":"cdg","watch":true}"#, r#"{"instance":"p1","watch":true}"#] {
        let (status, refused) = lobby.join(body).await;
        assert_eq!((status, &refused["error"]["code"]), (409, &json!("nothing_to_watch")), "{body}");
        assert!(refused["error"]["message"].as_str().unwrap().contains("Paris"), "{refused}");
    }
    for upgrade in [false, true] {
        let request = lobby.get("/gameserver/p1/arena?watch");
        let request = if upgrade { request.header("upgrade", "websocket") } else { request };
        let answer = request.send().await.unwrap();
        let expected = if upgrade { 503 } else { 409 };
        assert_eq!((answer.status().as_u16(), answer.headers().get("fly-replay")), (expected, None));
    }
    let probe = lobby.get("/gameserver/p1/status?watch").send().await.unwrap();
    assert_eq!(probe.headers().get("fly-replay"), None);
    assert_eq!((lobby.api.count("start p1"), lobby.api.count("create")), (0, 0));
}

#[tokio::test]
async fn there_is_nothing_to_watch_where_the_public_room_sleeps() {
    let lobby = Lobby::start(&[("m1", "ewr", "started")]).await;
    lobby.api.set("m1", |machine| machine.has_public_room = false);
    let (status, body) = lobby.join(r#"{"region":"ewr","watch":true}"#).await;
    assert_eq!((status, &body["error"]["code"]), (409, &json!("nothing_to_watch")), "{body}");
}
