//! What stands between a socket's first message and its room.
//!
//! Path: a worker shows every new socket's first message to [`Door::greet`]; a good one becomes a `Join` in the room's
//! queue, and opens the room if it is not open.
//! Invariant: everything that can be checked without the room is checked here, before there is one: whoever has neither a
//! good ticket nor a resume token that was once given out for this very room opens and learns nothing. What a ticket lets
//! them have opened is [`crate::opening`]'s; a token alone grants what a plain ticket does.

use crate::{
    admission::Admission,
    config::Config,
    line::Line,
    metrics::Metrics,
    room_handle::Join,
    rooms::{Entered, Rooms},
    wall::Wall,
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
pub(crate) struct Door {
    pub(crate) hello_timeout: Duration,
    pub(crate) metrics: Arc<Metrics>,
    /// Gone with the server: rooms hold the way to the workers, and each worker has a door.
    rooms: Weak<Rooms>,
    admission: Arc<Admission>,
    wall: Wall,
}

impl Door {
    /// The way into these rooms.
    pub(crate) fn new(config: &Config, rooms: &Arc<Rooms>, admission: Arc<Admission>, metrics: Arc<Metrics>) -> Self {
        Self {
            hello_timeout: config.hello_timeout,
            metrics,
            rooms: Arc::downgrade(rooms),
            admission,
            wall: config.wall,
        }
    }

    /// Brings a newcomer into the room its socket was opened for.
    ///
    /// # Errors
    /// Why it does not come in.
    pub(crate) fn greet(&self, message: &[u8], line: &Line) -> Result<Entered, CloseReason> {
        // Before anything else of it is read: another version's hello may look different behind its version.
        if Hello::version_of(message).is_some_and(|version| version != PROTOCOL_VERSION) {
            return Err(CloseReason::VersionMismatch);
        }
        let Ok(ClientPacket::Message(ClientMessage::Hello(hello))) = ClientPacket::decode(message) else {
            return Err(CloseReason::BadMessage);
        };
        let granted = self.admission.admit(&hello, &line.room, self.wall.now_s())?;
        let rooms = self.rooms.upgrade().ok_or(CloseReason::ServerStopping)?;
        let (socket, gate, admitted) = (line.id, line.gate(), granted.is_some());
        let join = Box::new(Join { socket, gate, hello, admitted, _waiting: None });
        rooms.enter(&line.room, join, granted.unwrap_or(Grant::Enter), || line.charge_opening())
    }
}
