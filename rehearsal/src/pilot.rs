//! Somebody who flies in a dogfight, as a computer pilot.
//!
//! Invariant: every frame's checksum is verified by the replica.

use crate::visitor::{Player, SocketState, Visitor};
use arena::{
    Client, ClientEvent,
    bot::{Asks, Bot, BotConfig, Decides, Sight},
};
use game::plane::Plane;
use protocol::DecodeError;
use session::SessionEvent;
use std::time::Duration;

/// How they fly.
const PILOT: BotConfig = BotConfig { seed: 1, decides: Decides::OnceOnOwnTicks, asks: Asks::AfterMs(500.0) };

/// Somebody in an arena.
pub type Pilot = Visitor<Flight>;

/// What a pilot does.
#[derive(Debug)]
pub struct Flight {
    client: Client,
    bot: Bot,
}

impl Default for Flight {
    fn default() -> Self {
        Self { client: Client::new(), bot: Bot::new(PILOT) }
    }
}

impl Player for Flight {
    fn hello(&mut self, name: &str, ticket: String) -> Vec<u8> {
        self.client.hello(name, 0, Some(ticket), None)
    }

    fn receive(&mut self, bytes: &[u8], now_ms: f64) -> Result<(), DecodeError> {
        self.client.receive(bytes, now_ms)
    }

    fn act(&mut self, now_ms: f64) {
        self.bot.fly(&mut self.client, now_ms, now_ms, Sight::Replica);
    }

    fn poll_send(&mut self, now_ms: f64) -> Option<Vec<u8>> {
        self.client.poll_send(now_ms)
    }

    fn poll_event(&mut self) -> Option<SessionEvent> {
        loop {
            if let ClientEvent::Session(event) = self.client.poll_event()? {
                return Some(event);
            }
        }
    }

    fn is_welcomed(&self) -> bool {
        self.client.is_welcomed()
    }

    fn leave(&mut self) {
        self.client.leave();
    }
}

impl Pilot {
    /// Flies for this long, or until the socket ends.
    ///
    /// # Errors
    /// When a message cannot be read: a bug.
    pub async fn fly(&mut self, time: Duration) -> anyhow::Result<SocketState> {
        self.stay(time).await
    }

    /// The pilot's number in the room: the entity.
    pub fn id(&self) -> u16 {
        self.player.client.pilot()
    }

    /// Its score.
    pub fn score(&self) -> u32 {
        self.player.client.private_state().score
    }

    /// The tick of its room.
    pub fn tick(&self) -> u32 {
        self.player.client.replica().map_or(0, arena::Replica::tick)
    }

    /// Checksums that did not match: each is a bug.
    pub fn mismatches(&self) -> u64 {
        self.player.client.stats().mismatches
    }

    /// Its plane, if it flies.
    pub fn plane(&self) -> Option<Plane> {
        let key = (game::PLANE, u32::from(self.id()));
        let row = self.player.client.replica()?.rows().iter().find(|row| row.key() == key)?;
        Some(Plane::from_fields(&row.fields))
    }

    /// The token that leads back to its session.
    pub fn resume_token(&self) -> Option<&str> {
        self.player.client.resume_token()
    }
}
