//! What stands between a socket's first message and the room.
//!
//! Path: a worker shows every new socket's first message to [`Door::greet`]; a good one becomes a `Join`.
//! Invariant: everything that can be checked without the room is checked here.

use crate::{
    admission::{Admission, unix_now_s},
    config::Config,
    line::Line,
    metrics::Metrics,
    room_handle::{Join, RoomHandle},
};
use protocol::{
    PROTOCOL_VERSION,
    close::CloseReason,
    message::{ClientMessage, ClientPacket, Hello},
};
use std::{sync::Arc, time::Duration};

/// See the module; each worker has one.
#[derive(Debug, Clone)]
pub(crate) struct Door {
    pub(crate) hello_timeout: Duration,
    pub(crate) room: RoomHandle,
    pub(crate) metrics: Arc<Metrics>,
    admission: Arc<Admission>,
}

impl Door {
    /// The way into this room.
    pub(crate) fn new(config: &Config, room: RoomHandle, admission: Arc<Admission>, metrics: Arc<Metrics>) -> Self {
        Self { hello_timeout: config.hello_timeout, room, metrics, admission }
    }

    /// What the room is told of a newcomer.
    ///
    /// # Errors
    /// Why it does not come in.
    pub(crate) fn greet(&self, message: &[u8], line: &Line) -> Result<Box<Join>, CloseReason> {
        // Before anything else of it is read: another version's hello may look different behind its version.
        if Hello::version_of(message).is_some_and(|version| version != PROTOCOL_VERSION) {
            return Err(CloseReason::VersionMismatch);
        }
        let Ok(ClientPacket::Message(ClientMessage::Hello(hello))) = ClientPacket::decode(message) else {
            return Err(CloseReason::BadMessage);
        };
        let admitted = self.admission.admit(&hello, self.room.name, unix_now_s())?;
        Ok(Box::new(Join { socket: line.id, gate: line.gate(), hello, admitted }))
    }
}
