//! Somebody who reads and talks in a lounge, saying what a test wants said.

use crate::visitor::{Player, Visitor};
use lounge::{Client, ClientEvent};
use protocol::{
    DecodeError,
    entry::{Entry, Talk},
    message::Operation,
};
use session::SessionEvent;

/// Somebody in a lounge.
pub type Guest = Visitor<Chat>;

/// What a guest reads and says.
#[derive(Debug, Default)]
pub struct Chat {
    client: Client,
    /// What the log shows, by number, as a page would.
    lines: Vec<(u32, String)>,
    declined: Vec<String>,
}

impl Player for Chat {
    fn hello(&mut self, name: &str, ticket: String) -> Vec<u8> {
        self.client.hello(name, 0, Some(ticket), None)
    }

    fn receive(&mut self, bytes: &[u8], _now_ms: f64) -> Result<(), DecodeError> {
        self.client.receive(bytes)
    }

    fn act(&mut self, _now_ms: f64) {}

    fn poll_send(&mut self, now_ms: f64) -> Option<Vec<u8>> {
        self.client.poll_send(now_ms)
    }

    fn poll_event(&mut self) -> Option<SessionEvent> {
        loop {
            let ClientEvent::Session(event) = self.client.poll_event()? else { continue };
            match &event {
                SessionEvent::Welcomed { continues: false, history, .. } => {
                    self.lines = history.iter().filter_map(line).collect();
                }
                SessionEvent::Entry { number, talk: Talk::Chat(line), .. } => {
                    self.lines.push((*number, line.text.clone()));
                }
                SessionEvent::Declined { sentence, .. } => self.declined.push(sentence.clone()),
                _ => {}
            }
            return Some(event);
        }
    }

    fn is_welcomed(&self) -> bool {
        self.client.is_welcomed()
    }

    fn leave(&mut self) {
        self.client.leave();
    }
}

fn line(entry: &Entry) -> Option<(u32, String)> {
    match entry.talk() {
        Ok(Some(Talk::Chat(line))) => Some((entry.number, line.text)),
        _ => None,
    }
}

impl Guest {
    /// Wants to say this; it goes out while the guest stays, on this socket or the next.
    pub fn say(&mut self, text: &str) {
        self.player.client.operate(Operation::Chat(text.to_owned()));
    }

    /// The lines that its log shows, oldest first.
    pub fn lines(&self) -> Vec<&str> {
        self.player.lines.iter().map(|(_, text)| text.as_str()).collect()
    }

    /// The numbers of these lines.
    pub fn numbers(&self) -> Vec<u32> {
        self.player.lines.iter().map(|(number, _)| *number).collect()
    }

    /// What the room said of lines that it did not take.
    pub fn declined(&self) -> &[String] {
        &self.player.declined
    }

    /// Whom others know it by.
    pub fn member(&self) -> u32 {
        self.player.client.member()
    }
}
