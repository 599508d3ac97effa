//! What the clients of both servers have in common.

use crate::load::Outbox;
use game::Controls;
use std::time::Instant;

/// One protocol, as far as a client that only counts needs it.
pub(crate) trait ProtocolClient {
    /// The connection is open.
    fn opened(&mut self, at: Instant, outbox: &mut Outbox);
    /// A message arrived.
    fn message(&mut self, bytes: &[u8], at: Instant, outbox: &mut Outbox);
    /// Whether the server has let the player in.
    fn is_in(&self) -> bool;
    /// Ticks of the arena shown so far.
    fn shown_ticks(&self) -> u64;
    /// The measured time begins.
    fn begin(&mut self) {}
    /// A tick passed; `changed` are the controls if they are other ones than before.
    fn tick(&mut self, changed: Option<Controls>, at: Instant, outbox: &mut Outbox);
    /// Asks to fly again.
    fn fly_again(&mut self, outbox: &mut Outbox);
}
