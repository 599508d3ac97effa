//! One incarnation of a room: what its supervisor hands to its thread, and what the thread hands back to be written.

use crate::room::handle::{RoomEvent, RoomFacts};
use bytes::Bytes;
use crossbeam_channel::Receiver;
use std::sync::{Arc, mpsc::SyncSender};
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

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

/// How rooms of a kind start.
pub(crate) struct StartThread {
    /// Starts the thread of one.
    pub(crate) start: Box<dyn Fn(Incarnation) -> anyhow::Result<()> + Send + Sync>,
    /// [`session::Engine::BEGINS_ANEW`].
    pub(crate) begins_anew: bool,
}

/// One incarnation of a room, from its opening until its thread ends.
#[derive(Debug)]
pub(crate) struct Incarnation {
    pub(crate) id: Arc<str>,
    /// Tells this incarnation from all others of the room, unless it goes on exactly where another one had ended.
    pub(crate) epoch: u32,
    /// What it was.
    pub(crate) saved: Option<Bytes>,
    /// What it was could not be used.
    pub(crate) is_anew: bool,
    /// Whether somebody was in it before this incarnation.
    pub(crate) was_used: bool,
    pub(crate) events: Receiver<RoomEvent>,
    pub(crate) facts: Arc<RoomFacts>,
    /// Closed when nobody supervises the room any more.
    pub(crate) saves: mpsc::Sender<Save>,
    /// Told when it cannot begin from what it was.
    pub(crate) unusable: oneshot::Sender<UnusableSave>,
}

impl Incarnation {
    /// It does not begin.
    pub(crate) fn refuse_save(self, complaint: anyhow::Error) {
        let saved = self.saved.unwrap_or_default();
        // Nobody supervises the room any more: then nothing is written in the save's place either.
        _ = self.unusable.send(UnusableSave { saved, complaint });
    }
}

/// A save that no room can be begun from, and why.
#[derive(Debug)]
pub(crate) struct UnusableSave {
    pub(crate) saved: Bytes,
    pub(crate) complaint: anyhow::Error,
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
