//! A client of the load, as the load sees it: what it is told, what it sends, and how its connection begins.

use super::websocket;
use std::time::Instant;

/// What one client does.
pub(crate) trait LoadClient {
    /// The connection is open: the upgrade was granted.
    fn opened(&mut self, outbox: &mut Outbox);
    /// A message (binary or text) arrived; `at` is when it was read.
    fn message(&mut self, bytes: &[u8], at: Instant, outbox: &mut Outbox);
    /// Called at a fixed rate while the connection is open.
    fn tick(&mut self, at: Instant, outbox: &mut Outbox);
}

/// How a connection begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Handshake {
    /// With a WebSocket upgrade of this path, with these headers beside WebSocket's own.
    Upgrade { path: String, headers: Vec<(String, String)> },
    /// With nothing: the server and the client use WebSocket frames from the first byte. For servers without HTTP that carry
    /// the same bytes.
    None,
}

/// What a client sends.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    pub(super) bytes: Vec<u8>,
    /// Makes the masks.
    state: u32,
}

impl Outbox {
    /// Queues a binary message.
    pub(crate) fn send(&mut self, message: &[u8]) {
        self.push(websocket::BINARY, message);
    }

    pub(super) fn push(&mut self, opcode: u8, payload: &[u8]) {
        // Marsaglia's xorshift32: masks need only differ.
        self.state = if self.state == 0 { 0x9e37_79b9 } else { self.state };
        self.state ^= self.state << 13;
        self.state ^= self.state >> 17;
        self.state ^= self.state << 5;
        websocket::push_masked(&mut self.bytes, opcode, payload, self.state.to_le_bytes());
    }
}
