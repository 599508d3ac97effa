//! One incarnation of a room: what its supervisor hands to its thread, and what the thread hands back to be written.

use crate::room::handle::{RoomEvent, RoomFacts};
use bytes::Bytes;
use crossbeam_channel::Receiver;
use std::sync::{Arc, mpsc::SyncSender};
use tokio::{sync::mpsc, time::Instant};

/// Saves under way from a room's thread: one that is due, and the last. Policy: while one waits, none is taken.
pub(crate) const SAVES_MAX_COUNT: usize = 2;

/// What a room is begun from.
#[derive(Debug, Clone, Copy)]
pub struct Start<'a> {
    /// The room's durable id.
    pub id: &'a str,
    /// Tells this incarnation of the room from all others.
    pub epoch: u32,
    /// What [`session::Engine::snapshot`] gave at the end of its last incarnation.
    pub saved: Option<&'a [u8]>,
}

/// Starts the thread of a room.
pub(crate) type StartThread = Box<dyn Fn(Incarnation) -> anyhow::Result<()> + Send + Sync>;

/// One incarnation of a room, from its opening until its thread ends.
#[derive(Debug)]
pub(crate) struct Incarnation {
    pub(crate) id: Arc<str>,
    /// Tells this incarnation from all others of the room, unless it goes on exactly where another one had ended.
    pub(crate) epoch: u32,
    /// What it was.
    pub(crate) saved: Option<Bytes>,
    /// Whether somebody was in it before this incarnation.
    pub(crate) was_used: bool,
    pub(crate) events: Receiver<RoomEvent>,
    pub(crate) facts: Arc<RoomFacts>,
    /// Closed when nobody supervises the room any more.
    pub(crate) saves: mpsc::Sender<Save>,
}

/// What a room's thread wants written.
#[derive(Debug)]
pub(crate) struct Save {
    /// `None`: there is nothing that lasts in such a room, or nobody was in it.
    pub(crate) room: Option<Bytes>,
    /// When it was like that.
    pub(crate) taken: Instant,
    /// The newest entry of its log then.
    pub(crate) last_entry: u32,
    /// Nobody is there any more, and the thread ends.
    pub(crate) is_last: bool,
    /// Told when it is written.
    pub(crate) written: Option<SyncSender<()>>,
}
