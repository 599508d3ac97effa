//! One member of a room: a person from the hello to the leave, over any number of connections.
//!
//! Invariants: a member has at most one connection; what was handed to it follows from the window alone, and
//! acknowledgements only open and close that; each use of a resume token voids all older ones.

use crate::{engine::ConnectionId, log::LogCursor, window::Window};
use protocol::{
    Tick,
    close::CloseReason,
    limits::{RESUME_GRACE_MS, UNACKNOWLEDGED_MAX_MS},
    rate_limit::{RateLimit, TokenBucket},
    token::{Resume, Role},
};
use serde::{Deserialize, Serialize};

/// A member: unique within a room, over all lives of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberId(pub u32);

/// Chat lines at once, and then one a second; a tick after them the next may come already, and the one after that is later
/// for it. Policy: the line is declined with a sentence.
const CHAT_BURST_COUNT: u32 = 5;
/// Resume tokens and operations of a member that is restored. Policy: refuse the save.
const COUNT_MAX: u32 = u32::MAX / 2;

/// How long things take, in the ticks of a room's kind.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timing {
    tick_hz: u32,
    silence_max_ticks: u32,
    chat: RateLimit<Tick>,
}

impl Timing {
    /// Of rooms that tick so often, and close whoever says nothing for so long.
    pub(crate) fn new(tick_hz: u32, silence_max_ms: u64) -> Self {
        let chat = RateLimit { interval: tick_hz, tolerance: CHAT_BURST_COUNT * tick_hz - 1 };
        let silence_max_ticks = (silence_max_ms * u64::from(tick_hz) / 1000) as u32;
        Self { tick_hz, silence_max_ticks, chat }
    }

    /// Whole seconds of so many ticks.
    pub(crate) fn seconds(&self, ticks: u32) -> u32 {
        ticks / self.tick_hz
    }

    fn ticks(&self, ms: u64) -> u32 {
        (ms * u64::from(self.tick_hz) / 1000) as u32
    }
}

/// Why a member is not to go on as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The connection is to be closed; the member may come back within the grace.
    Close(CloseReason),
    /// The grace of a lost connection is over.
    Leave,
}

/// What lasts of a member in a save; what was under way on its connection does not. A field that is added needs a default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedMember<S> {
    pub(crate) author: u32,
    #[serde(default = "plain_member")]
    role: Role,
    epoch: u32,
    generation: u32,
    confirmed: u32,
    #[serde(default)]
    last_operation: u32,
    is_connected: bool,
    heard: Tick,
    /// When all of the chat allowance is back.
    #[serde(default)]
    chat_full_at: Tick,
    /// The kind's.
    pub state: S,
}

/// What everybody was before there were roles.
fn plain_member() -> Role {
    Role::Member
}

/// See the module; `V` is what the kind remembers of each frame, `S` what else it keeps of a member.
#[derive(Debug)]
pub struct Member<V, S> {
    /// By which others know the member: the author of what it says; 0 for a reader, of whom nobody knows.
    pub author: u32,
    /// What it may do.
    pub role: Role,
    /// The room's life in which it began.
    epoch: u32,
    /// Counts the resume tokens given out.
    generation: u32,
    /// The newest token that the client is known to have: it has used it, or spoken since it was given out.
    confirmed: u32,
    pub(crate) connection: Option<ConnectionId>,
    /// Frames under way.
    pub window: Window<V>,
    /// What it was told of the log.
    pub cursor: LogCursor,
    /// Number of its last operation, done or declined.
    last_operation: u32,
    heard: Tick,
    chat: TokenBucket<Tick>,
    /// The kind's.
    pub state: S,
}

impl<V: Copy + Eq, S> Member<V, S> {
    /// A member that has no connection yet.
    pub fn new((author, role): (u32, Role), epoch: u32, now: Tick, state: S) -> Self {
        Self {
            author,
            role,
            epoch,
            generation: 0,
            confirmed: 0,
            connection: None,
            window: Window::default(),
            cursor: LogCursor::default(),
            last_operation: 0,
            heard: now,
            chat: TokenBucket::new(0),
            state,
        }
    }

    /// Its connection; `None` while it may come back.
    pub fn connection(&self) -> Option<ConnectionId> {
        self.connection
    }

    /// Since when its connection is lost; `None` while there is one.
    pub fn lost_since(&self) -> Option<Tick> {
        self.connection.is_none().then_some(self.heard)
    }

    /// Something came.
    pub fn note_activity(&mut self, now: Tick) {
        (self.heard, self.confirmed) = (now, self.generation);
    }

    /// Whether another frame may go out, `waited` ticks after the last one.
    pub fn has_window(&self, now: Tick, waited: u32) -> bool {
        self.connection.is_some() && self.window.has_room(now, waited)
    }

    /// What a resume token for it says now.
    pub(crate) fn resume(&self, id: MemberId) -> Resume {
        Resume { epoch: self.epoch, member: id.0, generation: self.generation, role: self.role }
    }

    /// Whether it began in this life of the room.
    pub(crate) fn began_in(&self, epoch: u32) -> bool {
        self.epoch == epoch
    }

    /// A connection (the first or another) begins. The client says which tick it still has; returns from which tick frames
    /// continue, 0 when it must begin anew.
    pub(crate) fn connect(&mut self, from: ConnectionId, have_tick: Tick, now: Tick) -> Tick {
        let held = self.window.find(have_tick).filter(|_| have_tick != 0);
        self.window = Window::starting_at(held);
        self.generation += 1;
        (self.connection, self.heard) = (Some(from), now);
        held.map_or(0, |sent| sent.tick)
    }

    /// The connection is gone; the grace begins.
    pub(crate) fn disconnect(&mut self, now: Tick) -> Option<ConnectionId> {
        self.heard = now;
        self.connection.take()
    }

    /// A token of this generation is shown: whether it is good, which is so until the client is known to have a newer one. A
    /// token that is used was received, so that all older ones are void from then on. One that the room cannot have given
    /// out yet is from what it forgot when it was restored from an older save, and newer than all it knows.
    pub(crate) fn recognise(&mut self, generation: u32) -> bool {
        let is_good = generation >= self.confirmed;
        if is_good {
            self.confirmed = generation;
            self.generation = self.generation.max(generation);
        }
        is_good
    }

    /// How the member, or its connection, comes to an end now, if it does.
    pub(crate) fn ending(&self, timing: &Timing, now: Tick) -> Option<Ending> {
        let unacknowledged_max_ticks = timing.ticks(UNACKNOWLEDGED_MAX_MS);
        let is_unacknowledged = || self.window.oldest().is_some_and(|oldest| now > oldest + unacknowledged_max_ticks);
        match self.connection {
            Some(_) if now > self.heard + timing.silence_max_ticks => Some(Ending::Close(CloseReason::Silent)),
            Some(_) if is_unacknowledged() => Some(Ending::Close(CloseReason::TooSlow)),
            None if now > self.heard + timing.ticks(RESUME_GRACE_MS) => Some(Ending::Leave),
            _ => None,
        }
    }

    /// Takes one chat line from the allowance, `false` when it is used up.
    pub(crate) fn may_chat(&mut self, timing: &Timing, now: Tick) -> bool {
        self.chat.take(timing.chat, now)
    }

    /// Number of its last operation, 0 before the first.
    pub(crate) fn last_operation(&self) -> u32 {
        self.last_operation
    }

    /// Begins an operation: false if it was done or declined before.
    pub(crate) fn begin_operation(&mut self, number: u32) -> bool {
        let is_new = number > self.last_operation;
        self.last_operation = self.last_operation.max(number);
        is_new
    }

    /// See [`SavedMember`].
    pub(crate) fn save<T>(&self, state: T) -> SavedMember<T> {
        let Self { author, role, epoch, generation, confirmed, last_operation, heard, .. } = *self;
        let (is_connected, chat_full_at) = (self.connection.is_some(), self.chat.full_at());
        SavedMember {
            author,
            role,
            epoch,
            generation,
            confirmed,
            last_operation,
            is_connected,
            heard,
            chat_full_at,
            state,
        }
    }

    /// As it was when its room was saved at tick `now`; its connection, if it had one, is lost since then.
    pub(crate) fn restore<T>(saved: &SavedMember<T>, cursor: LogCursor, now: Tick, state: S) -> Self {
        let SavedMember { author, role, epoch, generation, confirmed, last_operation, is_connected, heard, .. } =
            *saved;
        let heard = if is_connected { now } else { heard.min(now) };
        let chat = TokenBucket::new(saved.chat_full_at);
        let fresh = Self::new((author, role), epoch, now, state);
        Self { generation, confirmed, cursor, last_operation, heard, chat, ..fresh }
    }
}

impl<S> SavedMember<S> {
    /// Whether its numbers are ones that a room gives out.
    pub(crate) fn is_sound(&self) -> bool {
        self.generation.max(self.confirmed).max(self.last_operation) <= COUNT_MAX && self.role != Role::Reader
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SPEC S5.5.
    #[test]
    fn a_few_lines_at_once_and_then_one_a_second() {
        let (timing, interval) = (Timing::new(60, 10_000), 60);
        let mut member = Member::<(), ()>::new((1, Role::Member), 1, 0, ());
        assert!((0..5).all(|_| member.may_chat(&timing, 100)) && !member.may_chat(&timing, 100));
        assert!(member.may_chat(&timing, 101) && !member.may_chat(&timing, 100 + interval));
        assert!(member.may_chat(&timing, 101 + interval));
    }

    /// SPEC S5.3.
    #[test]
    fn an_operation_begins_once() {
        let mut member = Member::<(), ()>::new((1, Role::Member), 1, 0, ());
        assert!(member.begin_operation(1) && !member.begin_operation(1) && member.begin_operation(5));
        assert!(!member.begin_operation(2) && !member.begin_operation(0));
        assert_eq!(member.last_operation(), 5);
    }
}
