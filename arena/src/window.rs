//! Frames under way to one client: which were handed over, which of them it has, and what it holds after each.
//!
//! Path: [`Window::handed`] notes a frame → [`Window::acknowledge`] closes what the client says it has → a resume asks
//! [`Window::find`] from where frames can go on.
//! Invariants: what is under way lies within the last [`WINDOW_MAX_TICKS`], so that a word has a bit for each tick; where
//! the client looks is kept for those frames only at which it changed. So a session that stays in place touches no memory
//! but its own.

use crate::rows::interest::Viewpoint;
use protocol::{
    Tick,
    limits::{WINDOW_EASY_TICKS, WINDOW_MAX_TICKS},
};
use std::collections::VecDeque;

const _: () = assert!(WINDOW_MAX_TICKS <= u64::BITS);

/// A frame that was handed over: what the client holds once it applied it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) tick: Tick,
    /// The viewpoint the frame was made for: its cells are held.
    pub(crate) viewpoint: Viewpoint,
    /// The viewpoint the client derives for the next frame.
    pub(crate) next_viewpoint: Viewpoint,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Window {
    /// The newest frame handed over, `None` before the first.
    last: Option<Sent>,
    /// Frames that are not acknowledged: bit i stands for the tick i before the newest.
    under_way: u64,
    /// Tick of the newest acknowledged frame, 0 before the first.
    acknowledged: Tick,
    /// The acknowledged frame and those under way, oldest first, without those that look as the one before them did.
    looks: VecDeque<Sent>,
}

impl Window {
    /// On a new socket: nothing is under way, and the client has this frame.
    pub(crate) fn starting_at(last: Option<Sent>) -> Self {
        Self { last, under_way: 0, acknowledged: last.map_or(0, |sent| sent.tick), looks: last.into_iter().collect() }
    }

    /// The newest frame handed over, `None` before the first.
    pub(crate) fn last(&self) -> Option<Sent> {
        self.last
    }

    /// Notes that this frame was handed over.
    pub(crate) fn handed(&mut self, sent: Sent) {
        let ticks = self.last.map_or(0, |last| sent.tick - last.tick);
        self.under_way = self.under_way.checked_shl(ticks).unwrap_or(0) | 1;
        let looks_on = |last: Sent| (last.viewpoint, last.next_viewpoint) == (sent.viewpoint, sent.next_viewpoint);
        if !self.last.is_some_and(looks_on) {
            self.looks.push_back(sent);
        }
        self.last = Some(sent);
    }

    /// The client has all frames up to this tick. Returns the tick of the newest of those that it was not known to have.
    pub(crate) fn acknowledge(&mut self, tick: Tick) -> Option<Tick> {
        let last = self.last?;
        let before = last.tick.saturating_sub(tick);
        let closed = self.under_way & u64::MAX.checked_shl(before).unwrap_or(0);
        if closed == 0 {
            return None;
        }
        self.under_way ^= closed;
        self.acknowledged = last.tick - closed.trailing_zeros();
        while self.looks.get(1).is_some_and(|next| next.tick <= self.acknowledged) {
            self.looks.pop_front();
        }
        Some(self.acknowledged)
    }

    /// The frame of this tick, if the client may have it and go on from there.
    pub(crate) fn find(&self, tick: Tick) -> Option<Sent> {
        let before = self.last?.tick.checked_sub(tick)?;
        let is_under_way = self.under_way.checked_shr(before).unwrap_or(0) & 1 == 1;
        let look = self.looks.iter().rev().find(|look| look.tick <= tick)?;
        (is_under_way || tick == self.acknowledged).then_some(Sent { tick, ..*look })
    }

    /// Tick of the oldest frame that is not acknowledged.
    pub(crate) fn oldest(&self) -> Option<Tick> {
        let last = self.last.filter(|_| self.under_way != 0)?;
        Some(last.tick - self.under_way.ilog2())
    }

    /// Whether another frame may be on its way, `waited` ticks after the last one: the longer nothing is acknowledged, the
    /// rarer frames get.
    pub(crate) fn has_room(&self, now: Tick, waited: u32) -> bool {
        let age = self.oldest().map_or(0, |oldest| now - oldest);
        age < WINDOW_MAX_TICKS && waited > age.saturating_sub(WINDOW_EASY_TICKS) / 4
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use game::schema::CellId;
    use proptest::prelude::*;

    fn sent(tick: Tick, cell: u16, next: u16) -> Sent {
        let viewpoint = |cell| Viewpoint { cell: CellId(cell), is_near: false };
        Sent { tick, viewpoint: viewpoint(cell), next_viewpoint: viewpoint(next) }
    }

    proptest! {
        /// A list of all frames is what the window stands for.
        #[test]
        fn it_knows_what_a_list_of_all_frames_knows(
            steps in prop::collection::vec((1u32..9, 1u16..3, 1u16..3, prop::option::of(0u32..80)), 1..200)
        ) {
            let (mut window, mut list, mut acknowledged) = (Window::default(), VecDeque::new(), None);
            let mut tick = 100;
            for (ticks, cell, next, ack) in steps {
                tick += ticks;
                if list.front().is_none_or(|oldest: &Sent| tick - oldest.tick < WINDOW_MAX_TICKS) {
                    window.handed(sent(tick, cell, next));
                    list.push_back(sent(tick, cell, next));
                }
                if let Some(ago) = ack {
                    let newest = window.last().map_or(0, |last| last.tick);
                    let ack = tick.saturating_sub(ago).min(newest);
                    let news = window.acknowledge(ack);
                    let closed = std::iter::from_fn(|| list.pop_front_if(|sent| sent.tick <= ack)).last();
                    prop_assert_eq!(news, closed.map(|sent| sent.tick));
                    acknowledged = closed.or(acknowledged);
                }
                prop_assert_eq!(window.oldest(), list.front().map(|oldest| oldest.tick));
                for tick in tick - 90..tick + 2 {
                    let held = acknowledged.iter().chain(&list).find(|sent| sent.tick == tick);
                    prop_assert_eq!(window.find(tick), held.copied());
                }
                prop_assert!(window.looks.len() <= list.len() + 1);
            }
        }
    }
}
