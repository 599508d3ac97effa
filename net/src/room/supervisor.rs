//! Supervises one room: takes its lease, restores it, writes its saves, restarts it after a crash.
//!
//! Path: [`Supervisor::run`] asks whether the room may be opened here and claims it in the store, has its thread
//! started with the last save, writes what the thread hands over, and ends with it; if somebody came while it closed,
//! the rooms' task runs it again. A save that cannot be used is set aside, and the room begins anew, if its kind allows. What the store does not take is kept and tried again: while the room's thread goes
//! on, and, when nobody is there any more, here.
//! Invariants: a room's thread runs only while this machine owns it, or while it is not in the store yet, when no other
//! machine may open it; a room that was never used leaves nothing there; the store is never waited for on that thread,
//! but at the very end; a save that cannot be read, or that brought its room down twice in a row, is not begun from again,
//! and nothing is written in its place before the store has it set aside; a room whose last state is not in the store is
//! not forgotten before the machine gives it up.
//! What is lost: after a crash of the room, the process or the machine, what happened since the last save
//! (`Config::save_interval`, and the time it takes to write); after sleep, stop and drain nothing, unless the store
//! takes nothing until the machine gives up, which ends the process with an error.

use crate::{
    admission::Charge,
    io::{
        connection::Closing,
        worker_queue::{Batch, worker_of},
    },
    room::{
        handle::{RoomEvent, RoomHandle},
        incarnation::{Incarnation, SAVES_MAX_COUNT, Save, UnusableSave},
        machine::Machine,
        open_policy,
    },
    store::{Claim, ClaimError, SaveError, owner::Owner},
};
use anyhow::anyhow;
use bytes::Bytes;
use crossbeam_channel::Receiver;
use protocol::{close::CloseReason, token::Grant};
use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, sleep, sleep_until},
};

/// Pause before a room that failed begins anew, so that one that always fails does not spin.
const RESTART_PAUSE: Duration = Duration::from_millis(500);
/// Incarnations in a row that failed before they were saved. Policy: the save they came from cannot be used.
const QUICK_FAILURES_MAX_COUNT: u32 = 2;
/// Pause before a write that failed is tried again: doubled by each failure, up to the second. While the machine stops
/// it stays the first.
const RETRY_PAUSE_MIN: Duration = Duration::from_millis(500);
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(10);
/// Failed writes in a row after which the store counts as not writable, and the players are told: one may be a hiccup.
const FAILURES_TOLD_COUNT: u32 = 2;
/// How often a supervisor whose room cannot be written looks for somebody who wants in, and for the machine's stop.
const KEEP_TRYING_POLL: Duration = Duration::from_millis(50);

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

/// One room's supervisor, which outlives its incarnations.
#[derive(Debug)]
pub(crate) struct Supervisor {
    machine: Arc<Machine>,
    room: RoomHandle,
    events: Receiver<RoomEvent>,
    /// The most that anybody who came was granted: whoever has to be turned away takes nobody along who need not be.
    grant: watch::Receiver<Grant>,
    /// What the room's opening was charged. Given back if it ends without a claim that went through, or was refused.
    charge: Option<Charge>,
    /// Incarnations in a row that failed before they were saved.
    quick_failures: u32,
}

/// The ownership of a room, and what the store does not have of it yet.
struct Ownership {
    machine: Arc<Machine>,
    room: RoomHandle,
    claim: Claim,
    unwritten: Option<Save>,
    /// Since the last write that went well.
    failures: u32,
    tried_at: Instant,
    pause: Duration,
    has_saved: bool,
    is_lost: bool,
}

impl Supervisor {
    /// Of a room that is not open yet.
    pub(crate) fn new(
        machine: Arc<Machine>,
        room: RoomHandle,
        events: Receiver<RoomEvent>,
        grant: watch::Receiver<Grant>,
        charge: Option<Charge>,
    ) -> Self {
        Self { machine, room, events, grant, charge, quick_failures: 0 }
    }

    /// The room's durable id.
    pub(crate) fn room(&self) -> &Arc<str> {
        &self.room.id
    }

    /// Opens the room and returns when it is closed. Then it is forgotten, or, if somebody waits for it, this is called
    /// again.
    pub(crate) async fn run(mut self) -> Self {
        let mut kept = None;
        let outcome = loop {
            let outcome = self.run_incarnation(&mut kept).await;
            tracing::info!(room = %self.room.id, ?outcome, "a room is closed");
            let has_failed_quickly = outcome == Outcome::Failed { has_saved: false };
            self.quick_failures = if has_failed_quickly { self.quick_failures + 1 } else { 0 };
            if outcome != Outcome::Wanted {
                break outcome;
            }
        };
        match outcome {
            Outcome::Refused(reason) => self.refuse_waiting(reason).await,
            Outcome::Failed { .. } => sleep(RESTART_PAUSE).await,
            Outcome::Asleep | Outcome::Wanted | Outcome::Unwritten | Outcome::Moved => {}
        }
        self.room.facts.clear();
        self
    }

    /// One incarnation; `kept` is what the one before left, and what this one leaves to the next.
    async fn run_incarnation(&mut self, kept: &mut Option<Ownership>) -> Outcome {
        let (mut ownership, saved) = match kept.take() {
            Some(ownership) => {
                let saved = ownership.unwritten.as_ref().and_then(|save| save.room.clone());
                (ownership, saved)
            }
            None => match self.claim().await {
                Ok(claimed) => claimed,
                Err(reason) => return Outcome::Refused(reason),
            },
        };
        let brings_down = self.quick_failures >= QUICK_FAILURES_MAX_COUNT;
        let begun = match saved {
            Some(saved) if brings_down => {
                Err(UnusableSave { saved, complaint: anyhow!("it brought the room down twice in a row") })
            }
            saved => self.begin(&mut ownership, saved, false).await,
        };
        let outcome = match begun {
            Ok(outcome) => outcome,
            Err(unusable) => self.begin_anew(&mut ownership, unusable).await,
        };
        let outcome = self.keep_trying(&mut ownership, outcome).await;
        if outcome == Outcome::Wanted {
            *kept = Some(ownership);
        }
        outcome
    }

    /// Runs the room's thread from its start to its end, unless it cannot begin from what was saved.
    async fn begin(
        &self,
        ownership: &mut Ownership,
        saved: Option<Bytes>,
        is_anew: bool,
    ) -> Result<Outcome, UnusableSave> {
        let (saves, handed) = mpsc::channel(SAVES_MAX_COUNT);
        let (unusable, is_unusable) = oneshot::channel();
        // All of what a room is restored from is kept, if the store has it, and nothing of one that begins.
        let is_kept = saved.is_some() && ownership.unwritten.is_none() && self.machine.store.is_lasting();
        self.room.facts.kept_entry.store(if is_kept { u32::MAX } else { 0 }, Ordering::Relaxed);
        let incarnation = Incarnation {
            id: Arc::clone(&self.room.id),
            epoch: ownership.claim.epoch(),
            was_used: saved.is_some() || is_anew,
            saved,
            is_anew,
            events: self.events.clone(),
            facts: Arc::clone(&self.room.facts),
            saves,
            unusable,
        };
        if let Err(error) = self.machine.start(incarnation) {
            tracing::error!(room = %self.room.id, "{error:#}");
            return Ok(Outcome::Refused(CloseReason::RoomFailed));
        }
        let outcome = ownership.write(handed).await;
        is_unusable.await.map_or(Ok(outcome), Err)
    }

    /// The same without what was saved, once that is set aside. If it cannot be, or the kind does not allow it, the save
    /// stays where it is and the room is let go: another machine may know better.
    async fn begin_anew(&self, ownership: &mut Ownership, unusable: UnusableSave) -> Outcome {
        let (room, UnusableSave { saved, complaint }) = (&self.room.id, unusable);
        self.machine.metrics.saves_unusable.inc();
        let kept = match self.machine.begins_anew(room) {
            true => ownership.claim.set_aside(&saved).await,
            false => Err(anyhow!("a room of this kind does not begin anew")),
        };
        match kept {
            Ok(path) => {
                tracing::error!(%room, %path, "the room's save cannot be used and is kept there, and the room begins anew: {complaint:#}");
                // Without a save there is nothing that it could refuse.
                self.begin(ownership, None, true).await.unwrap_or(Outcome::Refused(CloseReason::RoomFailed))
            }
            Err(error) => {
                tracing::error!(%room, "the room's save cannot be used, and the room does not open ({error:#}): {complaint:#}");
                _ = ownership.claim.leave(None).await;
                Outcome::Refused(CloseReason::RoomFailed)
            }
        }
    }

    /// The room as the store has it, and as this machine's from now on.
    async fn claim(&mut self) -> Result<(Ownership, Option<Bytes>), CloseReason> {
        let (machine, room) = (Arc::clone(&self.machine), self.room.clone());
        let check = |kept: Option<&Owner>| open_policy::check(&room.id, &machine.instance, *self.grant.borrow(), kept);
        let claimed = machine.store.claim_if(&room.id, &machine.instance, check).await;
        if let (Some(charge), Ok(_) | Err(ClaimError::Refused(_))) = (&mut self.charge, &claimed) {
            charge.spend();
        }
        let (claim, saved) = match claimed {
            Ok(claimed) => claimed,
            Err(ClaimError::Held) => return Err(CloseReason::Moved),
            Err(ClaimError::Refused(reason)) => return Err(reason),
            Err(ClaimError::Store(error)) => {
                tracing::error!(room = %room.id, "the room cannot be opened: {error:#}");
                machine.metrics.saves_failed.inc();
                return Err(CloseReason::RoomFailed);
            }
        };
        let now = Instant::now();
        // Of a room that nobody used yet nothing is lost.
        room.facts.set_written(saved.is_some().then_some(now));
        let (unwritten, failures, pause) = (None, 0, Duration::ZERO);
        let (tried_at, has_saved, is_lost) = (now, false, false);
        Ok((Ownership { machine, room, claim, unwritten, failures, tried_at, pause, has_saved, is_lost }, saved))
    }

    /// After the thread: tries on until the store has all of the room, somebody wants in, or the machine gives up.
    async fn keep_trying(&self, ownership: &mut Ownership, outcome: Outcome) -> Outcome {
        while ownership.unwritten.is_some() {
            if self.machine.has_given_up() {
                return Outcome::Unwritten;
            }
            let is_stopping = self.machine.is_stopping();
            if ownership.is_due(is_stopping) {
                ownership.try_to_write().await;
                continue;
            }
            let is_wanted = !self.room.waiting.is_zero() && !is_stopping;
            if is_wanted && outcome == Outcome::Asleep {
                ownership.unmark_last();
                return Outcome::Wanted;
            } else if is_wanted {
                // Who was in may be forgotten: only the next owner's number tells new sessions from theirs.
                self.refuse_waiting(CloseReason::RoomFailed).await;
            }
            sleep(KEEP_TRYING_POLL).await;
        }
        match outcome {
            _ if ownership.is_lost => Outcome::Moved,
            Outcome::Failed { .. } => Outcome::Failed { has_saved: ownership.has_saved },
            outcome => outcome,
        }
    }

    /// Tells everybody who waits for the room that it will not open.
    pub(crate) async fn refuse_waiting(&self, reason: CloseReason) {
        let mut batches: Vec<_> = self.machine.workers.iter().map(|_| Batch::default()).collect();
        for connection in self.events.try_iter().filter_map(RoomEvent::joining) {
            batches[worker_of(connection)].closes.push((connection, Closing::Refused(reason)));
        }
        self.machine.send(batches).await;
    }
}

impl Ownership {
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

    /// Whether it is time for another try.
    fn is_due(&self, is_stopping: bool) -> bool {
        let pause = if is_stopping { self.pause.min(RETRY_PAUSE_MIN) } else { self.pause };
        self.tried_at.elapsed() >= pause
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
        self.machine.metrics.saves.inc();
        if self.failures > 0 {
            tracing::info!(room = %self.room.id, self.failures, "the room is saved again");
        }
        (self.failures, self.pause, self.has_saved) = (0, Duration::ZERO, true);
        let facts = &self.room.facts;
        let mut has_news = facts.is_unwritable.swap(false, Ordering::Relaxed);
        facts.set_written((!save.is_last).then_some(save.taken));
        if self.machine.store.is_lasting() {
            has_news |= facts.kept_entry.swap(save.last_entry, Ordering::Relaxed) != save.last_entry;
        }
        if has_news {
            self.room.nudge();
        }
        // A thread that has given up waiting does not hear it.
        save.written.map(|written| written.send(()));
    }

    fn note_failed(&mut self, error: &anyhow::Error) {
        self.machine.metrics.saves_failed.inc();
        self.failures += 1;
        let longest = if self.machine.is_stopping() { RETRY_PAUSE_MIN } else { RETRY_PAUSE_MAX };
        self.pause = (self.pause * 2).clamp(RETRY_PAUSE_MIN, longest);
        let pause = self.pause;
        tracing::error!(room = %self.room.id, self.failures, ?pause, "the room is not saved, and is tried again: {error:#}");
        if self.failures >= FAILURES_TOLD_COUNT && !self.room.facts.is_unwritable.swap(true, Ordering::Relaxed) {
            self.room.nudge();
        }
        if self.unwritten.as_ref().is_some_and(|save| save.room.is_none()) {
            // Nothing is lost but the word that the room is free.
            self.unwritten = None;
        }
    }
}
