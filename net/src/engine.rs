//! What a room's thread ticks.
//!
//! Path: the tick thread drains events into [`Engine::join`], [`Engine::handle`] and [`Engine::disconnect`], calls
//! [`Engine::tick`], asks [`Engine::frame_for`] for every session that can take one, then drains
//! [`Engine::poll_output`]. When that costs too much, it calls [`Engine::relieve`].
//! Invariant: an engine is a plain value, called from one thread; a frame it gave is sent. When it panics, it is
//! dropped and another is begun with another epoch, from what [`Engine::snapshot`] gave last.

use arena::{Level, Output, Room, RoomStats, SessionId};
use bytes::Bytes;
use protocol::{
    close::CloseReason,
    message::{ClientPacket, Hello},
};

/// What a room is begun from.
#[derive(Debug, Clone, Copy)]
pub struct Start<'a> {
    /// The room's durable id.
    pub id: &'a str,
    /// Tells this incarnation of the room from all others.
    pub epoch: u32,
    /// What [`Engine::snapshot`] gave at the end of its last incarnation.
    pub saved: Option<&'a [u8]>,
}

/// The server end of a room, of whatever kind.
pub trait Engine: Send + 'static {
    /// A connection says hello; `is_admitted` tells that its ticket was good. An older connection of the session is
    /// replaced.
    ///
    /// # Errors
    /// Why it is not let in; the connection is told and closed.
    fn join(&mut self, hello: &Hello, is_admitted: bool) -> Result<SessionId, CloseReason>;
    /// What a session's connection brought.
    fn handle(&mut self, session: SessionId, packet: ClientPacket);
    /// The session's connection is gone.
    fn disconnect(&mut self, session: SessionId);
    /// One tick: 1/60 s of the room's incarnation.
    fn tick(&mut self);
    /// What a session is shown after this tick, if anything.
    fn frame_for(&mut self, session: SessionId) -> Option<Bytes>;
    /// Leaves out as much service as the level says; an engine that has none to leave out carries on.
    fn relieve(&mut self, _level: Level) {}
    /// The next thing to do for a session, besides frames.
    fn poll_output(&mut self) -> Option<Output>;
    /// All that lasts; `None` if nothing does.
    fn snapshot(&self) -> Option<Vec<u8>> {
        None
    }
    /// Figures for people and metrics.
    fn stats(&self) -> RoomStats;
    /// Most sessions at once.
    fn max_players(&self) -> u32;
}

impl Engine for Room {
    fn join(&mut self, hello: &Hello, is_admitted: bool) -> Result<SessionId, CloseReason> {
        self.join(hello, is_admitted)
    }

    fn handle(&mut self, session: SessionId, packet: ClientPacket) {
        self.handle(session, packet);
    }

    fn disconnect(&mut self, session: SessionId) {
        self.disconnect(session);
    }

    fn tick(&mut self) {
        self.tick();
    }

    fn frame_for(&mut self, session: SessionId) -> Option<Bytes> {
        self.frame_for(session)
    }

    fn relieve(&mut self, level: Level) {
        self.relieve(level);
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.poll_output()
    }

    fn snapshot(&self) -> Option<Vec<u8>> {
        Some(self.snapshot())
    }

    fn stats(&self) -> RoomStats {
        self.stats()
    }

    fn max_players(&self) -> u32 {
        self.max_players()
    }
}
