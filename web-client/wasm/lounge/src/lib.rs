//! `lounge::Client` for the browser: types that JavaScript understands, and no decisions of its own.
//!
//! Path: the page gives bytes and moments, and shows what [`Client::poll_event`] tells. Names in `lower_case` are the page's.

use lounge::ClientEvent;
use protocol::message::Operation;
use serde_json::json;
use session_json::session_event;
use wasm_bindgen::prelude::*;

/// A guest's end of the wire.
#[wasm_bindgen]
#[derive(Debug, Default)]
pub struct Client {
    client: lounge::Client,
}

#[wasm_bindgen]
impl Client {
    /// A client that has never been anywhere.
    #[wasm_bindgen(constructor)]
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes of the hello: the first message on every new socket.
    pub fn hello(&mut self, name: &str, hue: u8, ticket: Option<String>, resume: Option<String>) -> Vec<u8> {
        self.client.hello(name, hue, ticket, resume)
    }

    /// A binary message arrived.
    ///
    /// # Errors
    /// A sentence, if it was not understood: close the socket and connect anew.
    pub fn receive(&mut self, bytes: &[u8], _now_ms: f64) -> Result<(), JsError> {
        self.client.receive(bytes).map_err(|error| JsError::new(&error.to_string()))
    }

    /// Says a line; returns the id by which events tell what became of it.
    pub fn say(&mut self, text: String) -> u32 {
        self.client.operate(Operation::Chat(text))
    }

    /// Changes name and colour.
    pub fn rename(&mut self, name: String, hue: u8) {
        self.client.operate(Operation::Rename { name, hue });
    }

    /// Leaves for good.
    pub fn leave(&mut self) {
        self.client.leave();
    }

    /// The next message to send, `undefined` when none is due.
    pub fn poll_send(&mut self, now_ms: f64) -> Option<Vec<u8>> {
        self.client.poll_send(now_ms)
    }

    /// The next event as JSON, `undefined` when none is left.
    pub fn poll_event(&mut self) -> Option<String> {
        let event = match self.client.poll_event()? {
            ClientEvent::Session(event) => session_event(&event, self.client.member()),
            ClientEvent::People(count) => json!({"type": "people", "count": count}),
        };
        Some(event.to_string())
    }

    /// A member's name; `undefined` until the answer is there.
    pub fn name_of(&mut self, member: u32) -> Option<String> {
        self.client.profile(member).map(|profile| profile.name.clone())
    }

    /// A member's colour, 0..=7; one that follows from the number while the profile is unknown.
    pub fn hue_of(&mut self, member: u32) -> u8 {
        self.client.profile(member).map_or((member % 8) as u8, |profile| profile.hue)
    }

    /// The token that resumes this session.
    pub fn resume_token(&self) -> Option<String> {
        self.client.resume_token().map(str::to_owned)
    }
}
