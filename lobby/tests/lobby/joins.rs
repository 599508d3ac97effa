//! Joins: who gets a ticket for what, and what the others are told.

use crate::support::{Lobby, key, now_s};
use protocol::token::Grant;
use serde_json::{Value, json};
use std::collections::HashSet;

/// SPEC S10.3.
#[tokio::test]
async fn each_ticket_is_for_one_join_of_one_room() {
    let lobby = Lobby::start(&[("m1", "ewr", "started")]).await;
    let mut nonces = HashSet::new();
    for room in ["arena", "field-abc"] {
        let (status, body) = lobby.join(&format!(r#"{{"instance":"m1","room":"{room}"}}"#)).await;
        assert_eq!(
            (status, &body["path"], &body["room"]),
            (200, &json!(format!("/gameserver/m1/{room}")), &json!(room))
        );
        let ticket = body["ticket"].as_str().unwrap();
        let said = key().verify_ticket(ticket, "m1", room, now_s()).unwrap();
        assert_eq!(said.grant, Grant::Enter, "{room}");
        assert!(nonces.insert(said.nonce));
        assert!(key().verify_ticket(ticket, "m1", "other", now_s()).is_err());
    }
}

#[tokio::test]
async fn a_private_room_has_a_name_nobody_guesses_and_a_machine_with_room_for_it() {
    let lobby = Lobby::start(&[("m1", "ewr", "started"), ("m2", "ewr", "started")]).await;
    lobby.api.set("m1", |machine| (machine.rooms, machine.players) = (4, 100));
    let mut names = HashSet::new();
    for _ in 0..3 {
        let (status, body) = lobby.join(r#"{"region":"ewr","private":true}"#).await;
        let room = body["room"].as_str().unwrap().to_owned();
        let secret = room.strip_prefix("arena-p-").unwrap();
        assert!(secret.len() == 10 && secret.bytes().all(|b| b.is_ascii_lowercase() || (b'2'..=b'7').contains(&b)));
        assert_eq!((status, &body["path"]), (200, &json!(format!("/gameserver/m2/{room}?new"))));
        let said = key().verify_ticket(body["ticket"].as_str().unwrap(), "m2", &room, now_s()).unwrap();
        assert_eq!(said.grant, Grant::Open);
        assert!(names.insert(room));
    }
}

/// SPEC S10.5.
#[tokio::test]
async fn a_full_region_offers_another_one_and_sends_nobody_there_unasked() {
    let lobby = Lobby::start(&[("m1", "ewr", "started"), ("p1", "cdg", "stopped")]).await;
    lobby.api.set("m1", |machine| machine.players = 200);
    lobby.api.script("create", [(422, json!({"error": "no host", "status": "insufficient_capacity"}))]);
    let (status, body) = lobby.join(r#"{"region":"ewr"}"#).await;
    assert_eq!((status, &body["error"]["code"]), (503, &json!("no_capacity")), "{body}");
    assert_eq!((&body["error"]["offer"]["region"], &body["error"]["offer"]["place"]), (&json!("cdg"), &json!("Paris")));
    assert_eq!(lobby.api.count("start p1"), 0, "the player has not said yes");
    let told = lobby.join_told(r#"{"instance":"m1"}"#).await;
    assert_eq!(told.last().unwrap().1["error"]["code"], "full");
    assert_eq!(lobby.join(r#"{"region":"cdg"}"#).await.1["instance"], "p1");
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
    ] {
        let (got, answer) = lobby.join(body).await;
        assert_eq!((got, &answer["error"]["code"]), (status, &json!(code)), "{body}");
        assert!(answer["error"]["message"].as_str().unwrap().contains(word), "{answer}");
    }
}

/// The first refusal of many joins by one address, and how many came before it.
async fn flood(lobby: &Lobby, address: &str, body: &str) -> (usize, reqwest::Response) {
    for admitted in 0..600 {
        let answer = lobby.ask_to_join(body).header("fly-client-ip", address).send().await.unwrap();
        if answer.status() == 429 {
            return (admitted, answer);
        }
    }
    panic!("600 joins were admitted");
}

/// SPEC S10.5.
#[tokio::test]
async fn one_address_cannot_join_without_end_and_others_can() {
    let lobby = Lobby::start(&[("m1", "ewr", "started")]).await;
    lobby.api.set("m1", |machine| machine.capacity = 10_000);
    let (admitted, refused) = flood(&lobby, "192.0.2.1", r#"{"region":"ewr"}"#).await;
    assert!(admitted >= 300 && refused.headers().contains_key("retry-after"), "{admitted}");
    assert_eq!(refused.json::<Value>().await.unwrap()["error"]["code"], "too_many_joins");
    let other = lobby.ask_to_join(r#"{"region":"ewr"}"#).header("fly-client-ip", "192.0.2.2");
    assert_eq!(other.send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn one_address_cannot_open_rooms_without_end() {
    let machines = ["m1", "m2", "m3", "m4", "m5"].map(|id| (id, "ewr", "started"));
    let lobby = Lobby::start(&machines).await;
    for (id, ..) in machines {
        lobby.api.set(id, |machine| machine.rooms = 0);
    }
    let (opened, refused) = flood(&lobby, "192.0.2.1", r#"{"region":"ewr","private":true}"#).await;
    assert_eq!(
        (opened, refused.json::<Value>().await.unwrap()["error"]["code"].as_str()),
        (20, Some("too_many_rooms"))
    );
}
