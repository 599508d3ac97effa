//! A machine that runs and does not answer: frozen, or behind a broken network.

use crate::support::Lobby;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Until the lobby has found out: what it heard last holds for 3 s.
const PATIENCE: Duration = Duration::from_secs(20);

/// Asks for the page of m1's room until it is not sent there any more.
async fn page_once_silent(lobby: &Lobby) -> reqwest::Response {
    let began = Instant::now();
    loop {
        let page = lobby.get("/gameserver/m1/arena").send().await.unwrap();
        if !page.headers().contains_key("fly-replay") {
            return page;
        }
        assert!(began.elapsed() < PATIENCE, "pages still go to a machine that does not answer");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn a_page_of_a_silent_machine_is_told_so_and_sent_there_again_when_it_answers() {
    let lobby = Lobby::start(&[("m1", "ewr", "started")]).await;
    assert_eq!(lobby.row("ewr").await["status"], "up");
    lobby.api.set("m1", |machine| machine.is_silent = true);
    let page = page_once_silent(&lobby).await;
    assert_eq!(page.status(), 503, "a link is no reason to create a machine");
    assert!(page.text().await.unwrap().contains("did not answer"));
    let socket = lobby.get("/gameserver/m1/arena").header("upgrade", "websocket").send().await.unwrap();
    assert_eq!((socket.status().as_u16(), socket.headers().get("fly-replay")), (503, None));
    let status = lobby.get("/gameserver/m1/status").send().await.unwrap();
    assert_eq!(status.status(), 307, "that is how it is found to answer again");
    let row = lobby.row("ewr").await;
    assert_eq!(
        (&row["status"], &row["machines"]["up"], &row["capacity"]),
        (&json!("unreachable"), &json!(0), &json!(0))
    );
    lobby.api.set("m1", |machine| machine.is_silent = false);
    let began = Instant::now();
    while !lobby.get("/gameserver/m1/arena").send().await.unwrap().headers().contains_key("fly-replay") {
        assert!(began.elapsed() < PATIENCE, "it answers and gets no pages");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn the_room_of_a_silent_machine_goes_to_another_one() {
    let lobby = Lobby::start(&[("m1", "ewr", "started"), ("m2", "ewr", "started")]).await;
    assert_eq!(lobby.row("ewr").await["machines"]["up"], 2);
    lobby.api.set("m1", |machine| machine.is_silent = true);
    let page = page_once_silent(&lobby).await;
    assert_eq!(
        (page.status().as_u16(), &page.headers()["location"]),
        (302, &"/gameserver/m2/arena-m1?moved=1".parse().unwrap())
    );
    let (status, body) = lobby.join(r#"{"instance":"m1","room":"arena"}"#).await;
    assert_eq!((status, &body["path"]), (200, &json!("/gameserver/m2/arena-m1")), "{body}");
    assert_eq!(lobby.row("ewr").await["status"], "up");
}

#[tokio::test]
async fn a_join_asks_before_it_sends_somebody_to_a_machine_that_was_up() {
    let lobby = Lobby::start(&[("m1", "ewr", "started"), ("m2", "ewr", "stopped")]).await;
    lobby.api.set("m1", |machine| machine.players = 100);
    assert_eq!(lobby.join(r#"{"region":"ewr"}"#).await.1["instance"], "m1");
    lobby.api.set("m1", |machine| machine.is_silent = true);
    // What was heard holds for a moment; then nobody is sent there, whoever else asks.
    tokio::time::sleep(Duration::from_millis(3_100)).await;
    let told = lobby.join_told(r#"{"region":"ewr"}"#).await;
    let (name, joined) = told.last().unwrap();
    assert_eq!((name.as_str(), &joined["instance"]), ("joined", &json!("m2")), "{told:?}");
    let says =
        |(_, progress): &(String, Value)| progress["message"].as_str().is_some_and(|it| it.contains("does not answer"));
    assert!(told.iter().any(says), "{told:?}");
}
