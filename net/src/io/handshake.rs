//! The handshake: checks a connection's hello (version, ticket) and joins it to its room.
//!
//! Path: a worker shows every new connection's first message to [`Handshake::accept`]; a good one becomes a `Join` in
//! the room's queue, and opens the room if it is not open.
//! Invariant: everything that can be checked without the room is checked here, before there is one: whoever has neither
//! a good ticket nor a resume token that was once given out for this very room opens and learns nothing. What a ticket
//! lets them have opened is [`crate::room::open_policy`]'s; a token alone grants what a plain ticket does.

use crate::{
    admission::Admission,
    config::Config,
    io::connection::Connection,
    metrics::Metrics,
    room::{
        handle::Join,
        rooms::{Joined, Rooms},
    },
    wall_clock::WallClock,
};
use protocol::{
    PROTOCOL_VERSION,
    close::CloseReason,
    message::{ClientMessage, ClientPacket, Hello},
    token::Grant,
};
use std::{
    sync::{Arc, Weak},
    time::Duration,
};

/// See the module; each worker has one.
#[derive(Debug, Clone)]
pub(crate) struct Handshake {
    pub(crate) hello_timeout: Duration,
    pub(crate) metrics: Arc<Metrics>,
    /// Gone with the server: rooms hold the way to the workers, and each worker has a handshake.
    rooms: Weak<Rooms>,
    admission: Arc<Admission>,
    wall_clock: WallClock,
}

impl Handshake {
    /// The way into these rooms.
    pub(crate) fn new(config: &Config, rooms: &Arc<Rooms>, admission: Arc<Admission>, metrics: Arc<Metrics>) -> Self {
        Self {
            hello_timeout: config.hello_timeout,
            metrics,
            rooms: Arc::downgrade(rooms),
            admission,
            wall_clock: config.wall_clock,
        }
    }

    /// Brings a newcomer into the room its connection was opened for.
    ///
    /// # Errors
    /// Why it does not come in.
    pub(crate) fn accept(&self, message: &[u8], connection: &Connection) -> Result<Joined, CloseReason> {
        // Before anything else of it is read: another version's hello may look different behind its version.
        if Hello::version_of(message).is_some_and(|version| version != PROTOCOL_VERSION) {
            return Err(CloseReason::VersionMismatch);
        }
        let Ok(ClientPacket::Message(ClientMessage::Hello(hello))) = ClientPacket::decode(message) else {
            return Err(CloseReason::BadMessage);
        };
        let granted = self.admission.admit(&hello, &connection.room, self.wall_clock.now_s())?;
        let rooms = self.rooms.upgrade().ok_or(CloseReason::ServerStopping)?;
        let (id, flow, admitted) = (connection.id, connection.flow(), granted.is_some());
        let join = Box::new(Join { connection: id, flow, hello, admitted, _waiting: None });
        rooms.join(&connection.room, join, granted.unwrap_or(Grant::Enter), || connection.charge_opening())
    }
}
