//! The window of unacknowledged frames: which were handed over to a client, which of them it has, and what it holds after each.
//!
//! Path: [`Window::handed`] notes a frame → [`Window::acknowledge`] closes what the client says it has → a resume asks
//! [`Window::find`] from where frames can go on.
//! Invariants: what is under way lies within the last [`WINDOW_MAX_TICKS`], so that a word has a bit for each tick; what
//! the kind remembers of a frame is kept for those only at which it changed. So a member that stays in place touches no
//! memory but its own.

use protocol::{
    Tick,
    limits::{WINDOW_EASY_TICKS, WINDOW_MAX_TICKS},
};
use std::collections::VecDeque;

const _: () = assert!(WINDOW_MAX_TICKS <= u64::BITS);

/// A frame that was handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent<V> {
    /// The tick it described.
    pub tick: Tick,
    /// What the kind remembers of it: what the client sees once it has applied it.
    pub view: V,
}

/// See the module; `V` is what a kind remembers of each frame.
#[derive(Debug)]
pub struct Window<V> {
    /// The newest frame handed over, `None` before the first.
    last: Option<Sent<V>>,
    /// Frames that are not acknowledged: bit i stands for the tick i before the newest.
    under_way: u64,
    /// Tick of the newest acknowledged frame, 0 before the first.
    acknowledged: Tick,
    /// The acknowledged frame and those under way, oldest first, without those with the view of the one before them.
    views: VecDeque<Sent<V>>,
}

impl<V> Default for Window<V> {
    fn default() -> Self {
        Self { last: None, under_way: 0, acknowledged: 0, views: VecDeque::new() }
    }
}

impl<V: Copy + Eq> Window<V> {
    /// On a new connection: nothing is under way, and the client has this frame.
    pub fn starting_at(last: Option<Sent<V>>) -> Self {
        Self { last, under_way: 0, acknowledged: last.map_or(0, |sent| sent.tick), views: last.into_iter().collect() }
    }

    /// The newest frame handed over, `None` before the first.
    pub fn last(&self) -> Option<Sent<V>> {
        self.last
    }

    /// Notes that this frame was handed over.
    pub fn handed(&mut self, sent: Sent<V>) {
        let ticks = self.last.map_or(0, |last| sent.tick - last.tick);
        self.under_way = self.under_way.checked_shl(ticks).unwrap_or(0) | 1;
        if self.last.is_none_or(|last| last.view != sent.view) {
            self.views.push_back(sent);
        }
        self.last = Some(sent);
    }

    /// The client has all frames up to this tick. Returns the tick of the newest of those that it was not known to have.
    pub fn acknowledge(&mut self, tick: Tick) -> Option<Tick> {
        let last = self.last?;
        let before = last.tick.saturating_sub(tick);
        let closed = self.under_way & u64::MAX.checked_shl(before).unwrap_or(0);
        if closed == 0 {
            return None;
        }
        self.under_way ^= closed;
        self.acknowledged = last.tick - closed.trailing_zeros();
        while self.views.get(1).is_some_and(|next| next.tick <= self.acknowledged) {
            self.views.pop_front();
        }
        Some(self.acknowledged)
    }

    /// The frame of this tick, if the client may have it and go on from there.
    pub fn find(&self, tick: Tick) -> Option<Sent<V>> {
        let before = self.last?.tick.checked_sub(tick)?;
        let is_under_way = self.under_way.checked_shr(before).unwrap_or(0) & 1 == 1;
        let before = self.views.iter().rev().find(|sent| sent.tick <= tick)?;
        (is_under_way || tick == self.acknowledged).then_some(Sent { tick, ..*before })
    }

    /// Tick of the oldest frame that is not acknowledged.
    pub fn oldest(&self) -> Option<Tick> {
        let last = self.last.filter(|_| self.under_way != 0)?;
        Some(last.tick - self.under_way.ilog2())
    }

    /// Whether another frame may be on its way, `waited` ticks after the last one: the longer nothing is acknowledged, the
    /// rarer frames get.
    pub fn has_room(&self, now: Tick, waited: u32) -> bool {
        let age = self.oldest().map_or(0, |oldest| now - oldest);
        age < WINDOW_MAX_TICKS && waited > age.saturating_sub(WINDOW_EASY_TICKS) / 4
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sent(tick: Tick, here: u16, next: u16) -> Sent<(u16, u16)> {
        Sent { tick, view: (here, next) }
    }

    proptest! {
        /// A list of all frames is what the window stands for.
        #[test]
        fn it_knows_what_a_list_of_all_frames_knows(
            steps in prop::collection::vec((1u32..9, 1u16..3, 1u16..3, prop::option::of(0u32..80)), 1..200)
        ) {
            let (mut window, mut list, mut acknowledged) = (Window::default(), VecDeque::new(), None);
            let mut tick = 100;
            for (ticks, here, next, ack) in steps {
                tick += ticks;
                if list.front().is_none_or(|oldest: &Sent<(u16, u16)>| tick - oldest.tick < WINDOW_MAX_TICKS) {
                    window.handed(sent(tick, here, next));
                    list.push_back(sent(tick, here, next));
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
                prop_assert!(window.views.len() <= list.len() + 1);
            }
        }
    }
}
