//! One member of a room: a person from the hello to the leave, over any number of connections.
//!
//! Invariants: a member has at most one connection; what was handed to it follows from the window alone, and
//! acknowledgements only open and close that; each use of a resume token voids all older ones.

use crate::{engine::ConnectionId, window::Window};
use protocol::{
    Tick,
    close::CloseReason,
    limits::{ACK_INTERVAL_MAX_MS, RESUME_GRACE_MS, SILENCE_MAX_MS, UNACKNOWLEDGED_MAX_MS, WINDOW_MAX_TICKS},
    rate_limit::{RateLimit, TokenBucket},
    token::{Resume, Role},
};
use serde::{Deserialize, Serialize};

/// A member: unique within a room, over all lives of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberId(pub u32);

const SILENCE_MAX_TICKS: u32 = ticks(SILENCE_MAX_MS);
const UNACKNOWLEDGED_MAX_TICKS: u32 = ticks(UNACKNOWLEDGED_MAX_MS);
const RESUME_GRACE_TICKS: u32 = ticks(RESUME_GRACE_MS);
/// One chat line a second, five at once; a tick after them the next may come already, and the one after that is later for
/// it. Policy: the line is refused with a notice.
const CHAT_LIMIT: RateLimit<Tick> = RateLimit { interval: protocol::TICK_HZ, tolerance: 5 * protocol::TICK_HZ - 1 };
/// Resume tokens of a member that is restored. Policy: refuse the save.
const GENERATION_MAX: u32 = u32::MAX / 2;

const fn ticks(ms: u64) -> u32 {
    (ms * protocol::TICK_HZ as u64 / 1000) as u32
}

// An acknowledgement must come several times within the window, else steady use would pause.
const _: () = assert!(ticks(ACK_INTERVAL_MAX_MS) * 4 < WINDOW_MAX_TICKS);

/// Why a member is not to go on as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The connection is to be closed; the member may come back within the grace.
    Close(CloseReason),
    /// The grace of a lost connection is over.
    Leave,
}

/// What lasts of a member in a save; what was under way on its connection does not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedMember<S> {
    pub(crate) author: u16,
    epoch: u32,
    generation: u32,
    confirmed: u32,
    is_connected: bool,
    heard: Tick,
    /// When all of the chat allowance is back.
    chat_full_at: Tick,
    /// The kind's.
    pub state: S,
}

/// See the module; `V` is what the kind remembers of each frame, `S` what else it keeps of a member.
#[derive(Debug)]
pub struct Member<V, S> {
    /// By which others know the member: the author of what it says.
    pub author: u16,
    /// The room's life in which it began.
    epoch: u32,
    /// Counts the resume tokens given out.
    generation: u32,
    /// The newest token that the client is known to have: it has used it, or spoken since it was given out.
    confirmed: u32,
    pub(crate) connection: Option<ConnectionId>,
    /// Frames under way.
    pub window: Window<V>,
    /// Number of the last log entry handed over.
    pub cursor: u32,
    heard: Tick,
    chat: TokenBucket<Tick>,
    /// The kind's.
    pub state: S,
}

impl<V: Copy + Eq, S> Member<V, S> {
    /// A member that has no connection yet.
    pub fn new(author: u16, epoch: u32, now: Tick, state: S) -> Self {
        Self {
            author,
            epoch,
            generation: 0,
            confirmed: 0,
            connection: None,
            window: Window::default(),
            cursor: 0,
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
        Resume { epoch: self.epoch, member: id.0, generation: self.generation, role: Role::Member }
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
    pub(crate) fn ending(&self, now: Tick) -> Option<Ending> {
        let is_unacknowledged = || self.window.oldest().is_some_and(|oldest| now > oldest + UNACKNOWLEDGED_MAX_TICKS);
        match self.connection {
            Some(_) if now > self.heard + SILENCE_MAX_TICKS => Some(Ending::Close(CloseReason::Silent)),
            Some(_) if is_unacknowledged() => Some(Ending::Close(CloseReason::TooSlow)),
            None if now > self.heard + RESUME_GRACE_TICKS => Some(Ending::Leave),
            _ => None,
        }
    }

    /// Takes one chat line from the allowance, `false` when it is used up.
    pub(crate) fn may_chat(&mut self, now: Tick) -> bool {
        self.chat.take(CHAT_LIMIT, now)
    }

    /// See [`SavedMember`].
    pub(crate) fn save<T>(&self, state: T) -> SavedMember<T> {
        let Self { author, epoch, generation, confirmed, heard, .. } = *self;
        let (is_connected, chat_full_at) = (self.connection.is_some(), self.chat.full_at());
        SavedMember { author, epoch, generation, confirmed, is_connected, heard, chat_full_at, state }
    }

    /// As it was when its room was saved at tick `now`; its connection, if it had one, is lost since then.
    pub(crate) fn restore<T>(saved: &SavedMember<T>, cursor: u32, now: Tick, state: S) -> Self {
        let SavedMember { author, epoch, generation, confirmed, is_connected, heard, chat_full_at, .. } = *saved;
        let heard = if is_connected { now } else { heard.min(now) };
        let chat = TokenBucket::new(chat_full_at);
        Self { generation, confirmed, cursor, heard, chat, ..Self::new(author, epoch, now, state) }
    }
}

impl<S> SavedMember<S> {
    /// Whether its numbers are ones that a room gives out.
    pub(crate) fn is_sound(&self) -> bool {
        self.generation.max(self.confirmed) <= GENERATION_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_lines_at_once_and_then_one_a_second() {
        let mut member = Member::<(), ()>::new(1, 1, 0, ());
        assert!((0..5).all(|_| member.may_chat(100)) && !member.may_chat(100));
        assert!(member.may_chat(101) && !member.may_chat(100 + CHAT_LIMIT.interval));
        assert!(member.may_chat(101 + CHAT_LIMIT.interval));
    }
}
