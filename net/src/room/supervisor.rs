//! Supervises one room: takes its lease, restores it, writes its saves, restarts it after a crash.
//!
//! Path: [`supervise`] asks whether the room may be opened here and claims it in the store, has its thread started with
//! the last save, writes what the thread hands over, and begins again if somebody came while it closed. What the store
//! does not take is kept and tried again: while the room's thread goes on, and, when nobody is there any more, here.
//! Invariants: a room's thread runs only while this machine owns it, or while it is not in the store yet, when no other
//! machine may open it; a room that was never used leaves nothing there; the store is never waited for on that thread,
//! but at the very end; a save that brought its room down twice is left aside; a room whose last state is not in the
//! store is not forgotten before the machine gives it up.
//! What is lost: after a crash of the room, the process or the machine, what happened since the last save
//! (`Config::save_interval`, and the time it takes to write); after sleep, stop and drain nothing, unless the store
//! takes nothing until the machine gives up, which ends the process with an error.

use crate::{
    admission::Charge,
    io::worker_queue::{Batch, WorkerMessage, worker_of},
    room::{
        handle::{ConnectionId, RoomEvent, RoomFacts, RoomHandle},
        rooms::Rooms,
    },
    store::{Claim, ClaimError, Owner, SaveError},
};
use bytes::Bytes;
use crossbeam_channel::Receiver;
use protocol::{close::CloseReason, message::ServerMessage};
use std::{
    sync::{Arc, atomic::Ordering, mpsc::SyncSender},
    time::Duration,
};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, sleep_until},
};

/// Saves under way from a room's thread: one that is due, and the last. Policy: while one waits, none is taken.
pub(crate) const SAVES_MAX_COUNT: usize = 2;
/// Pause before a room that failed begins anew, so that one that always fails does not spin.
const RESTART_PAUSE: Duration = Duration::from_millis(500);
/// Incarnations in a row that failed before they were saved. Policy: the save they came from is left aside.
const QUICK_FAILURES_MAX_COUNT: u32 = 2;
/// Pause before a write that failed is tried again: doubled by each failure, up to the second. While the machine stops
/// it stays the first.
const RETRY_PAUSE_MIN: Duration = Duration::from_millis(500);
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(10);
/// Failed writes in a row after which the store counts as not writable, and the players are told: one may be a hiccup.
const FAILURES_TOLD_COUNT: u32 = 2;
/// How often a supervisor whose room cannot be written looks for somebody who wants in, and for the machine's stop.
const KEEP_TRYING_POLL: Duration = Duration::from_millis(50);

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
    pub(crate) saves: mpsc::Sender<Save>,
}

/// What a room's thread wants written.
#[derive(Debug)]
pub(crate) struct Save {
    /// `None`: there is nothing that lasts in such a room, or nobody was in it.
    pub(crate) room: Option<Bytes>,
    /// When it was like that.
    pub(crate) taken: Instant,
    /// Nobody is there any more, and the thread ends.
    pub(crate) is_last: bool,
    /// Told when it is written.
    pub(crate) written: Option<SyncSender<()>>,
}

/// How an incarnation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// It was saved for the last time.
    Asleep,
    /// The store took nothing, and somebody came: it goes on from what is kept here.
    Wanted,
    /// The store took nothing until the machine gave up.
    Unwritten,
    /// It never began.
    Refused(CloseReason),
    /// Somebody else has the room now.
    Moved,
    /// A bug of ours.
    Failed { has_saved: bool },
}

/// The ownership of a room, and what the store does not have of it yet.
struct Ownership<'a> {
    rooms: &'a Rooms,
    room: &'a RoomHandle,
    claim: Claim,
    unwritten: Option<Save>,
    /// Since the last write that went well.
    failures: u32,
    tried_at: Instant,
    pause: Duration,
    has_saved: bool,
    is_lost: bool,
}

/// Supervises a room until nobody wants to be there. What its opening was charged is given back if it ends without a
/// claim that went through, or was refused.
pub(crate) async fn supervise(
    rooms: Arc<Rooms>,
    room: RoomHandle,
    events: Receiver<RoomEvent>,
    mut charge: Option<Charge>,
) {
    let (mut quick_failures, mut kept_on) = (0, None);
    loop {
        let is_save_bad = quick_failures >= QUICK_FAILURES_MAX_COUNT;
        let end = run_incarnation(&rooms, &room, &events, &mut kept_on, &mut charge, is_save_bad).await;
        tracing::info!(room = %room.id, ?end, "a room is closed");
        quick_failures = if end == (Outcome::Failed { has_saved: false }) { quick_failures + 1 } else { 0 };
        match end {
            Outcome::Wanted => continue,
            Outcome::Refused(reason) => refuse_waiting(&rooms, &events, reason).await,
            Outcome::Failed { .. } => sleep(RESTART_PAUSE).await,
            Outcome::Asleep | Outcome::Unwritten | Outcome::Moved => {}
        }
        room.facts.clear();
        if rooms.forget_if_quiet(&room) {
            // Somebody is left only when the machine stops.
            return refuse_waiting(&rooms, &events, CloseReason::ServerStopping).await;
        }
    }
}

/// One incarnation; `kept_on` is what the one before left, and what this one leaves to the next.
async fn run_incarnation<'a>(
    rooms: &'a Rooms,
    room: &'a RoomHandle,
    events: &Receiver<RoomEvent>,
    kept_on: &mut Option<Ownership<'a>>,
    charge: &mut Option<Charge>,
    is_save_bad: bool,
) -> Outcome {
    let (mut ownership, saved) = match kept_on.take() {
        Some(ownership) => {
            let saved = ownership.unwritten.as_ref().and_then(|save| save.room.clone());
            (ownership, saved)
        }
        None => match claim(rooms, room, charge).await {
            Ok(claimed) => claimed,
            Err(reason) => return Outcome::Refused(reason),
        },
    };
    if is_save_bad {
        tracing::error!(room = %room.id, "the last save brings the room down and is left aside");
    }
    let (saves, handed) = mpsc::channel(SAVES_MAX_COUNT);
    let incarnation = Incarnation {
        id: Arc::clone(&room.id),
        epoch: ownership.claim.epoch(),
        was_used: saved.is_some(),
        saved: saved.filter(|_| !is_save_bad),
        events: events.clone(),
        facts: Arc::clone(&room.facts),
        saves,
    };
    let end = match (rooms.machinery().start)(incarnation) {
        Ok(()) => ownership.write(handed).await,
        Err(error) => {
            tracing::error!(room = %room.id, "{error:#}");
            Outcome::Refused(CloseReason::RoomFailed)
        }
    };
    let end = ownership.keep_trying(events, end).await;
    if end == Outcome::Wanted {
        *kept_on = Some(ownership);
    }
    end
}

/// The room as the store has it, and as this machine's from now on.
async fn claim<'a>(
    rooms: &'a Rooms,
    room: &'a RoomHandle,
    charge: &mut Option<Charge>,
) -> Result<(Ownership<'a>, Option<Bytes>), CloseReason> {
    let check = |kept: Option<&Owner>| rooms.check_opening(&room.id, kept);
    let claimed = rooms.store.claim_if(&room.id, &rooms.instance, check).await;
    if let (Some(charge), Ok(_) | Err(ClaimError::Refused(_))) = (charge, &claimed) {
        charge.spend();
    }
    let (claim, saved) = match claimed {
        Ok(claimed) => claimed,
        Err(ClaimError::Held) => return Err(CloseReason::Moved),
        Err(ClaimError::Refused(reason)) => return Err(reason),
        Err(ClaimError::Store(error)) => {
            tracing::error!(room = %room.id, "the room cannot be opened: {error:#}");
            rooms.metrics.saves_failed.inc();
            return Err(CloseReason::RoomFailed);
        }
    };
    let now = Instant::now();
    // Of a room that nobody used yet nothing is lost.
    room.facts.set_written(saved.is_some().then_some(now));
    let (unwritten, failures, pause) = (None, 0, Duration::ZERO);
    let ownership =
        Ownership { rooms, room, claim, unwritten, failures, tried_at: now, pause, has_saved: false, is_lost: false };
    Ok((ownership, saved))
}

impl Ownership<'_> {
    /// Writes saves until the thread has ended. A newer one takes the place of one that is not written yet.
    async fn write(&mut self, mut handed: mpsc::Receiver<Save>) -> Outcome {
        let mut is_last = false;
        loop {
            let is_waiting = self.unwritten.is_some();
            tokio::select! {
                save = handed.recv() => match save {
                    // The room is somebody else's, and its thread was told.
                    Some(_) if self.is_lost => {}
                    Some(save) => {
                        is_last = save.is_last;
                        self.pause = if is_last { Duration::ZERO } else { self.pause };
                        self.room.facts.note_unwritten(save.taken);
                        self.unwritten = Some(save);
                    }
                    None if self.is_lost => return Outcome::Moved,
                    None if is_last => return Outcome::Asleep,
                    None => return Outcome::Failed { has_saved: self.has_saved },
                },
                () = sleep_until(self.tried_at + self.pause), if is_waiting => {
                    self.try_to_write().await;
                    if self.is_lost && !is_last {
                        self.room.tell(RoomEvent::Moved).await;
                    }
                }
            }
        }
    }

    /// After the thread: tries on until the store has all of the room, somebody wants in, or the machine gives up.
    async fn keep_trying(&mut self, events: &Receiver<RoomEvent>, end: Outcome) -> Outcome {
        while self.unwritten.is_some() {
            if self.rooms.has_given_up() {
                return Outcome::Unwritten;
            }
            let is_stopping = self.rooms.is_stopping();
            let pause = if is_stopping { self.pause.min(RETRY_PAUSE_MIN) } else { self.pause };
            if self.tried_at.elapsed() >= pause {
                self.try_to_write().await;
                continue;
            }
            let is_wanted = !self.room.waiting.is_zero() && !is_stopping;
            if is_wanted && end == Outcome::Asleep {
                self.unmark_last();
                return Outcome::Wanted;
            } else if is_wanted {
                // Who was in may be forgotten: only the next owner's number tells new sessions from theirs.
                refuse_waiting(self.rooms, events, CloseReason::RoomFailed).await;
            }
            sleep(KEEP_TRYING_POLL).await;
        }
        match end {
            _ if self.is_lost => Outcome::Moved,
            Outcome::Failed { .. } => Outcome::Failed { has_saved: self.has_saved },
            end => end,
        }
    }

    /// What is kept is not the last of the room after all.
    fn unmark_last(&mut self) {
        self.unwritten.as_mut().expect("the store did not take it").is_last = false;
        self.pause = Duration::ZERO;
    }

    /// One try; what is written, or lost to somebody else, is not kept any longer.
    async fn try_to_write(&mut self) {
        let Some(save) = &self.unwritten else { return };
        let written = match (&save.room, save.is_last) {
            (room, true) => self.claim.leave(room.as_deref()).await,
            (Some(room), false) => self.claim.save(room).await,
            (None, false) => Ok(()),
        };
        self.tried_at = Instant::now();
        match written {
            Ok(()) => self.note_written(),
            Err(SaveError::Store(error)) => self.note_failed(&error),
            Err(SaveError::Lost) => {
                tracing::error!(room = %self.room.id, "another machine has claimed the room: it ends here");
                self.is_lost = true;
                self.unwritten = None;
            }
        }
    }

    fn note_written(&mut self) {
        let Some(save) = self.unwritten.take() else { return };
        self.rooms.metrics.saves.inc();
        if self.failures > 0 {
            tracing::info!(room = %self.room.id, self.failures, "the room is saved again");
        }
        (self.failures, self.pause, self.has_saved) = (0, Duration::ZERO, true);
        self.room.facts.is_unwritable.store(false, Ordering::Relaxed);
        self.room.facts.set_written((!save.is_last).then_some(save.taken));
        // A thread that has given up waiting does not hear it.
        save.written.map(|written| written.send(()));
    }

    fn note_failed(&mut self, error: &anyhow::Error) {
        self.rooms.metrics.saves_failed.inc();
        self.failures += 1;
        let longest = if self.rooms.is_stopping() { RETRY_PAUSE_MIN } else { RETRY_PAUSE_MAX };
        self.pause = (self.pause * 2).clamp(RETRY_PAUSE_MIN, longest);
        let pause = self.pause;
        tracing::error!(room = %self.room.id, self.failures, ?pause, "the room is not saved, and is tried again: {error:#}");
        if self.failures >= FAILURES_TOLD_COUNT {
            self.room.facts.is_unwritable.store(true, Ordering::Relaxed);
        }
        if self.unwritten.as_ref().is_some_and(|save| save.room.is_none()) {
            // Nothing is lost but the word that the room is free.
            self.unwritten = None;
        }
    }
}

/// Tells everybody who waits for a room that it will not open.
async fn refuse_waiting(rooms: &Rooms, events: &Receiver<RoomEvent>, reason: CloseReason) {
    let workers = &rooms.machinery().workers;
    let mut batches: Vec<_> = workers.iter().map(|_| Batch::default()).collect();
    for connection in events.try_iter().filter_map(RoomEvent::joining) {
        refuse(&mut batches, connection, reason);
    }
    for (worker, batch) in workers.iter().zip(batches).filter(|(_, batch)| !batch.is_empty()) {
        worker.send(WorkerMessage::Batch(batch)).await;
    }
}

/// Says why, then closes.
pub(crate) fn refuse(batches: &mut [Batch], connection: ConnectionId, reason: CloseReason) {
    let batch = &mut batches[worker_of(connection)];
    batch.controls.push((connection, ServerMessage::refused(reason).encode().into()));
    batch.closes.push((connection, reason));
}
