//! A chat room over real sockets: talk, what is kept, and what is there again after the machine.

use crate::harness::{Gameserver, PATIENCE, Received, Socket, StoreDirectory};
use lounge::{Client, ClientEvent};
use protocol::{
    entry::{Entry, Talk},
    message::Operation,
    token::{Grant, Role},
};
use session::SessionEvent;
use std::time::{Duration, Instant};

/// A guest's end.
struct Guest {
    socket: Socket,
    client: Client,
    lines: Vec<String>,
    /// The newest entry that came, and the last that is said to be kept.
    newest: u32,
    kept: u32,
    began: Instant,
}

impl Guest {
    async fn join(gameserver: &Gameserver, room: &str, client: Client, ticket: Option<String>) -> Self {
        let socket = gameserver.upgrade(room, &[], None).await.unwrap();
        let (lines, began) = (vec![], Instant::now());
        let mut guest = Self { socket, client, lines, newest: 0, kept: 0, began };
        let hello = guest.client.hello("Ada", 1, ticket, None);
        guest.socket.send(hello).await;
        guest.until(|guest| guest.client.is_welcomed()).await;
        guest
    }

    async fn enter(gameserver: &Gameserver, room: &str) -> Self {
        let ticket = gameserver.ticket_as(room, Grant::Open, Role::Member);
        Self::join(gameserver, room, Client::new(), Some(ticket)).await
    }

    /// Sends and reads until it is so.
    async fn until(&mut self, is_so: impl Fn(&Self) -> bool) {
        let since = Instant::now();
        while !is_so(self) {
            assert!(since.elapsed() < PATIENCE, "it does not come to pass: {:?}", self.lines);
            while let Some(bytes) = self.client.poll_send(self.began.elapsed().as_secs_f64() * 1000.0) {
                self.socket.send(bytes).await;
            }
            match tokio::time::timeout(Duration::from_millis(50), self.socket.hear()).await {
                Ok(Received::Message(bytes)) => self.client.receive(&bytes).unwrap(),
                Ok(other) => panic!("{other:?}"),
                Err(_) => {}
            }
            self.note();
        }
    }

    fn note(&mut self) {
        while let Some(event) = self.client.poll_event() {
            match event {
                ClientEvent::Session(SessionEvent::Welcomed { history, continues: false, .. }) => {
                    let text = |entry: &Entry| match entry.talk() {
                        Ok(Some(Talk::Chat(line))) => line.text,
                        other => panic!("a history is lines, not {other:?}"),
                    };
                    self.lines = history.iter().map(text).collect();
                }
                ClientEvent::Session(SessionEvent::Entry { number, talk: Talk::Chat(line), .. }) => {
                    self.newest = number;
                    self.lines.push(line.text);
                }
                ClientEvent::Session(SessionEvent::Kept(entry)) => self.kept = entry,
                _ => {}
            }
        }
    }

    fn say(&mut self, text: &str) {
        self.client.operate(Operation::Chat(text.to_owned()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guests_talk_and_a_line_is_called_kept_once_the_store_has_it() {
    let store = StoreDirectory::new();
    let gameserver = store.serve("m1", |config| config.save_interval = Duration::from_millis(300)).await;
    let mut ada = Guest::enter(&gameserver, "lounge").await;
    let mut bob = Guest::enter(&gameserver, "lounge").await;
    ada.say("hello");
    ada.until(|ada| ada.newest > 0).await;
    bob.until(|bob| bob.lines == ["hello"]).await;
    ada.until(|ada| ada.newest > 0 && ada.kept >= ada.newest).await;
    assert!(store.object("lounge-m1", "snapshot").exists(), "what is called kept is there");
    gameserver.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_called_kept_that_ends_with_the_process() {
    let gameserver = Gameserver::start_with(|config| config.save_interval = Duration::from_millis(100)).await;
    let mut ada = Guest::enter(&gameserver, "lounge").await;
    ada.say("hello");
    ada.until(|ada| ada.newest > 0).await;
    gameserver.wait_for_metric("saves_total", 3.0).await;
    ada.say("are you there");
    ada.until(|ada| ada.lines.len() == 2).await;
    assert_eq!(ada.kept, 0);
    gameserver.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_private_lounge_goes_on_with_its_talk_on_another_machine() {
    const ROOM: &str = "lounge-p-abcdef2345";
    let store = StoreDirectory::new();
    let first = store.serve("m1", |_| {}).await;
    let mut ada = Guest::enter(&first, ROOM).await;
    ada.say("see you elsewhere");
    ada.until(|ada| ada.lines.len() == 1).await;
    let member = ada.client.member();
    first.server.stop().await;
    let second = store.serve("m2", |_| {}).await;
    let mut ada = Guest::join(&second, ROOM, ada.client, None).await;
    assert_eq!((&ada.lines[..], ada.client.member()), (&["see you elsewhere".to_owned()][..], member));
    ada.say("here");
    ada.until(|ada| ada.lines.len() == 2).await;
    second.server.stop().await;
}
