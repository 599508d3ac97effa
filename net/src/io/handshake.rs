//! The handshake: checks a connection's hello (versions, ticket) and joins it to its room.
//!
//! Path: a worker shows every new connection's first message to [`Handshake::accept`]; a good one becomes a
//! `JoinRequest` for the task that owns the rooms, which opens the room if it is not open.
//! Invariant: everything that can be checked without the room is checked here, before there is one: whoever has neither
//! a good ticket nor a resume token that was once given out for this very room opens and learns nothing. What a ticket
//! lets them have opened is [`crate::room::open_policy`]'s; a token alone grants what a plain ticket does. Whoever only reads
//! keeps no machine awake from here on.

use crate::{
    admission::{Admission, Admitted},
    config::Config,
    io::connection::Connection,
    kind_versions::KindVersions,
    metrics::Metrics,
    room::{handle::Join, rooms::JoinRequest},
    wall_clock::WallClock,
};
use protocol::{
    PROTOCOL_VERSION,
    close::CloseReason,
    message::{ClientMessage, Hello},
    token::Role,
};
use std::{sync::Arc, time::Duration};
use tokio::sync::mpsc::{self, error::TrySendError};

/// See the module; each worker has one.
#[derive(Debug, Clone)]
pub(crate) struct Handshake {
    pub(crate) hello_timeout: Duration,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) versions: KindVersions,
    joins: mpsc::Sender<JoinRequest>,
    admission: Arc<Admission>,
    wall_clock: WallClock,
}

impl Handshake {
    /// The way into the rooms that serve these joins.
    pub(crate) fn new(
        config: &Config,
        versions: KindVersions,
        joins: mpsc::Sender<JoinRequest>,
        admission: Arc<Admission>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let (hello_timeout, wall_clock) = (config.hello_timeout, config.wall_clock);
        Self { hello_timeout, metrics, versions, joins, admission, wall_clock }
    }

    /// Sends a newcomer to the room its connection was opened for.
    ///
    /// # Errors
    /// Why it does not come in.
    pub(crate) fn accept(&self, message: &[u8], connection: &mut Connection) -> Result<(), CloseReason> {
        // Before anything else of it is read: another version's hello may look different behind its version.
        if Hello::version_of(message).is_some_and(|version| version != PROTOCOL_VERSION) {
            return Err(CloseReason::VersionMismatch);
        }
        let Ok(ClientMessage::Hello(mut hello)) = ClientMessage::decode(message) else {
            return Err(CloseReason::BadMessage);
        };
        let kind = connection.room.kind();
        if hello.kind != kind.number() || !self.versions.understand(kind, hello.kind_version) {
            return Err(CloseReason::VersionMismatch);
        }
        let Admitted { role, by_ticket, grant } =
            self.admission.admit(&mut hello, &connection.room, self.wall_clock.now_s())?;
        if role == Role::Reader {
            connection.keeps_nobody_awake();
        }
        let admission = by_ticket.then_some(role);
        let join =
            Box::new(Join { connection: connection.id, flow: connection.flow(), hello, admission, _waiting: None });
        let request = JoinRequest { room: Arc::clone(&connection.room.id), join, grant, opener: connection.opener() };
        self.joins.try_send(request).map_err(|error| match error {
            TrySendError::Full(_) => CloseReason::RoomFull,
            TrySendError::Closed(_) => CloseReason::ServerStopping,
        })
    }
}
