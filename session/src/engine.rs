//! The seam between a room of some kind and whoever drives it: a thread with sockets, or a simulation.
//!
//! Path, within a tick: [`Engine::connect`], [`Engine::receive`], [`Engine::disconnect`] and [`Engine::command`] in the
//! order things came → [`Engine::tick`] → [`Engine::frames`] → [`Engine::poll_output`] until there is none (which may be
//! asked earlier, too, as for the answer to a hello).
//! Invariants: an engine is a plain value, driven from one thread; connections are opaque to it, and it alone knows which
//! of them belongs to whom; a frame that it put into the sink is sent. When it panics it is dropped, and another is begun
//! from what [`Engine::snapshot`] gave last.
//! Never: a socket, a clock, a thread, a disk.

use crate::governor::Level;
use bytes::Bytes;
use protocol::{
    Tick,
    close::CloseReason,
    message::{Hello, Packet},
    room::Kind,
    token::Role,
};
use std::ops::RangeInclusive;

/// A connection, as whoever carries its bytes names it. No two that anybody still speaks of have the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId {
    /// Which worker carries it, from 0: frames are assembled worker by worker, so that several cores can share them.
    pub shard: u8,
    /// Its place there, from 0; free places are used again, so that tables by place stay short.
    pub slot: u32,
    /// Tells it from those that had its place before.
    pub number: u32,
}

/// The server end of a room, of whatever kind.
pub trait Engine: Send + 'static {
    /// What kind of room it is.
    const KIND: Kind;
    /// Ticks a second.
    const TICK_HZ: u32;
    /// Whether a room of this kind begins anew when its save cannot be used, which is kept beside the next one; if not, it
    /// does not open.
    const BEGINS_ANEW: bool;
    /// The versions of the kind's part of the wire that are understood; the last is what is spoken.
    fn versions() -> RangeInclusive<u32>;

    /// A connection says hello; `admission` is the role its ticket gives, if that was good. The answer is among the outputs:
    /// a welcome, or [`Output::Refuse`]. An older connection of the same member is closed as replaced, and one that had the
    /// same place has ended.
    fn connect(&mut self, from: ConnectionId, hello: &Hello, admission: Option<Role>);
    /// What a connection brought after its hello.
    fn receive(&mut self, from: ConnectionId, packet: Packet<'_>);
    /// The connection is gone; nothing if the engine closed or refused it itself.
    fn disconnect(&mut self, from: ConnectionId);
    /// A command of the machine's.
    fn command(&mut self, command: Command);
    /// The log up to this entry is kept, whatever happens to the machine.
    fn committed(&mut self, entry: u32);
    /// One tick of the room's life.
    fn tick(&mut self);
    /// Ticks from now on that bring nothing if nothing comes: whoever drives the room may leave them out, and then says how
    /// many ([`Engine::skip`]). 0: every tick counts.
    fn idle_ticks(&self) -> u32 {
        0
    }
    /// So many ticks passed that brought nothing, at most [`Engine::idle_ticks`].
    fn skip(&mut self, ticks: u32) {
        assert_eq!(ticks, 0, "an engine whose ticks all count leaves none out");
    }
    /// Puts the frames that are due after this tick, at most one for each connection, straight to where they are sent from.
    fn frames(&mut self, sink: &mut dyn FrameSink);
    /// The next thing to do besides frames, oldest first.
    fn poll_output(&mut self) -> Option<Output>;
    /// All that lasts; `None` if nothing does.
    fn snapshot(&self) -> Option<Vec<u8>>;
    /// Figures for people, placement and metrics.
    fn stats(&self) -> Stats;
}

/// Where a tick's frames go: a worker's batch, or a simulated link.
pub trait FrameSink {
    /// Whether a frame of this connection can leave now: its last one has left, and its worker is not behind. Asked only
    /// when a frame is due, so that it may cost something.
    fn can_take(&mut self, to: ConnectionId) -> bool;
    /// Takes a frame: `write` appends its bytes, and nothing else, to what is sent.
    fn put(&mut self, to: ConnectionId, write: &mut dyn FnMut(&mut Vec<u8>));
}

/// A command of the machine's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Leave out as much service as the level says, or give it again; an engine that has none to leave out carries on.
    Relieve(Level),
}

/// What an engine wants done, besides frames.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Send this message; it goes before the next frame.
    Message(ConnectionId, Bytes),
    /// Say goodbye and why, then close, after all messages. The engine has forgotten the connection.
    Close(ConnectionId, CloseReason),
    /// The answer to a bad hello: say why, then close.
    Refuse(ConnectionId, CloseReason),
}

/// Figures for people, placement and metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Ticks since the room began.
    pub tick: Tick,
    /// Members with a connection, readers apart.
    pub members: u32,
    /// Readers with a connection.
    pub readers: u32,
    /// Everybody who can be met there: members, connected or soon back, and whoever a computer plays.
    pub population: u32,
    /// Most members at once, readers apart.
    pub capacity: u32,
    /// Number of the newest log entry, 0 before the first.
    pub last_entry: u32,
}
