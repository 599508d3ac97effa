//! The keeper of a room: who owns it, what it was, when it is saved, how it ends.
//!
//! Path: [`keep`] asks whether the room may be opened here and claims it in the store, has its thread started with the last
//! save, writes what the thread hands over, and begins again if somebody came while it closed.
//! Invariants: a room's thread runs only while this machine owns it, or while it is not in the store yet, when no other
//! machine may open it; a room that was never used leaves nothing there; the store is never waited for on that thread, but
//! at the very end; a save that brought its room down twice is left aside.
//! What is lost: after a crash of the room, the process or the machine, what happened since the last save
//! (`tick::SAVE_INTERVAL_TICKS`, and the time it takes to write); after sleep, stop and drain nothing.

use crate::{
    inbox::{Batch, WorkerMessage, worker_of},
    room_handle::{Event, RoomFacts, RoomHandle, SocketId},
    rooms::Rooms,
    store::{Claim, ClaimError, Owner, SaveError},
};
use bytes::Bytes;
use crossbeam_channel::Receiver;
use protocol::{close::CloseReason, message::ServerMessage};
use std::{
    sync::{Arc, mpsc::SyncSender},
    time::Duration,
};
use tokio::{sync::mpsc, time::sleep};

/// Saves under way from a room's thread: one that is due, and the last. Policy: while one waits, none is taken.
pub(crate) const SAVES_MAX_COUNT: usize = 2;
/// Pause before a room that failed begins anew, so that one that always fails does not spin.
const RESTART_PAUSE: Duration = Duration::from_millis(500);
/// Lives in a row that failed before they were saved. Policy: the save they came from is left aside.
const QUICK_FAILURES_MAX_COUNT: u32 = 2;

/// Starts the thread of a room.
pub(crate) type StartThread = Box<dyn Fn(Life) -> anyhow::Result<()> + Send + Sync>;

/// One life of a room, from its opening until its thread ends.
#[derive(Debug)]
pub(crate) struct Life {
    pub(crate) id: Arc<str>,
    /// Tells this life from all others of the room.
    pub(crate) epoch: u32,
    /// What it was.
    pub(crate) saved: Option<Bytes>,
    /// Whether somebody was in it before this life.
    pub(crate) was_used: bool,
    pub(crate) events: Receiver<Event>,
    pub(crate) facts: Arc<RoomFacts>,
    pub(crate) saves: mpsc::Sender<Save>,
}

/// What a room's thread wants written.
#[derive(Debug)]
pub(crate) struct Save {
    /// `None`: there is nothing that lasts in such a room, or nobody was in it.
    pub(crate) room: Option<Vec<u8>>,
    /// Of the last one: told when it is written, or cannot be.
    pub(crate) written: Option<SyncSender<()>>,
}

/// How a life ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// It was saved for the last time.
    Asleep,
    /// It never began.
    Refused(CloseReason),
    /// Somebody else has the room now.
    Moved,
    /// A bug of ours.
    Failed { has_saved: bool },
}

/// Keeps a room until nobody wants to be there.
pub(crate) async fn keep(rooms: Arc<Rooms>, room: RoomHandle, events: Receiver<Event>) {
    let mut quick_failures = 0;
    loop {
        let end = live(&rooms, &room, &events, quick_failures >= QUICK_FAILURES_MAX_COUNT).await;
        tracing::info!(room = %room.id, ?end, "a room is closed");
        quick_failures = if end == (End::Failed { has_saved: false }) { quick_failures + 1 } else { 0 };
        match end {
            End::Refused(reason) => turn_away(&rooms, &events, reason).await,
            End::Failed { .. } => sleep(RESTART_PAUSE).await,
            End::Asleep | End::Moved => {}
        }
        room.facts.clear();
        if rooms.forget_if_quiet(&room) {
            // Somebody is left only when the machine stops.
            return turn_away(&rooms, &events, CloseReason::ServerStopping).await;
        }
    }
}

async fn live(rooms: &Rooms, room: &RoomHandle, events: &Receiver<Event>, is_save_bad: bool) -> End {
    let check = |kept: Option<&Owner>| rooms.check_opening(&room.id, kept);
    let (mut claim, saved) = match rooms.store.claim_if(&room.id, &rooms.instance, check).await {
        Ok(claimed) => claimed,
        Err(ClaimError::Held) => return End::Refused(CloseReason::Moved),
        Err(ClaimError::Refused(reason)) => return End::Refused(reason),
        Err(ClaimError::Store(error)) => {
            tracing::error!(room = %room.id, "the room cannot be opened: {error:#}");
            rooms.metrics.saves_failed.inc();
            return End::Refused(CloseReason::RoomFailed);
        }
    };
    if is_save_bad {
        tracing::error!(room = %room.id, "the last save brings the room down and is left aside");
    }
    let (saves, handed) = mpsc::channel(SAVES_MAX_COUNT);
    let life = Life {
        id: Arc::clone(&room.id),
        epoch: claim.epoch(),
        was_used: saved.is_some(),
        saved: saved.filter(|_| !is_save_bad),
        events: events.clone(),
        facts: Arc::clone(&room.facts),
        saves,
    };
    if let Err(error) = (rooms.machinery().start)(life) {
        tracing::error!(room = %room.id, "{error:#}");
        return End::Refused(CloseReason::RoomFailed);
    }
    write(rooms, room, &mut claim, handed).await
}

/// Writes saves until the thread has ended.
async fn write(rooms: &Rooms, room: &RoomHandle, claim: &mut Claim, mut handed: mpsc::Receiver<Save>) -> End {
    let mut end = End::Failed { has_saved: false };
    while let Some(Save { room: bytes, written }) = handed.recv().await {
        let saved = match (&bytes, &written) {
            (bytes, Some(_)) => claim.leave(bytes.as_deref()).await,
            (Some(bytes), None) => claim.save(bytes).await,
            (None, None) => Ok(()),
        };
        if written.is_some() {
            end = End::Asleep;
        }
        match saved {
            Ok(()) => rooms.metrics.saves.inc(),
            Err(SaveError::Store(error)) => {
                tracing::error!(room = %room.id, "the room is not saved: {error:#}");
                rooms.metrics.saves_failed.inc()
            }
            Err(SaveError::Lost) => {
                tracing::error!(room = %room.id, "another machine has claimed the room: it ends here");
                end = End::Moved;
                room.tell(Event::Moved).await;
                0
            }
        };
        if let End::Failed { has_saved } = &mut end {
            *has_saved = true;
        }
        // A thread that has given up waiting does not hear it.
        written.map(|written| written.send(()));
    }
    end
}

/// Tells everybody who waits for a room that it will not open.
async fn turn_away(rooms: &Rooms, events: &Receiver<Event>, reason: CloseReason) {
    let workers = &rooms.machinery().workers;
    let mut batches: Vec<_> = workers.iter().map(|_| Batch::default()).collect();
    for socket in events.try_iter().filter_map(Event::joining) {
        refuse(&mut batches, socket, reason);
    }
    for (worker, batch) in workers.iter().zip(batches).filter(|(_, batch)| !batch.is_empty()) {
        worker.send(WorkerMessage::Batch(batch)).await;
    }
}

/// Says why, then closes.
pub(crate) fn refuse(batches: &mut [Batch], socket: SocketId, reason: CloseReason) {
    let batch = &mut batches[worker_of(socket)];
    batch.controls.push((socket, ServerMessage::refused(reason).encode().into()));
    batch.closes.push((socket, reason));
}
