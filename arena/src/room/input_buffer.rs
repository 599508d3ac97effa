//! The input buffer: inputs waiting for their tick.
//!
//! Path: a session's inputs are filed under the tick they take effect at → `Room::tick` takes out that tick's, and nobody
//! is asked who wants nothing. Invariants: the last word for a tick counts, and a word for an earlier tick voids what was
//! wanted of later ones; each slot lists a pilot once at most; a word costs the same whatever this pilot and others filed
//! before.

use crate::wire::INPUT_LEAD_MAX_TICKS;
use game::PilotId;
use protocol::Tick;

/// Ticks that can be filed under, each a bit of a mask: all that an input may be ahead by, and one for a view, which counts
/// from the tick after.
const SLOTS: u32 = u64::BITS;
const _: () = assert!(SLOTS > INPUT_LEAD_MAX_TICKS + 1);

/// What a pilot wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pending {
    /// Its controls, as bits.
    Controls(u16),
    /// Its bullets to meet others so far in the past, 16ths of a tick.
    View(u8),
}

/// See the module.
#[derive(Debug)]
pub(crate) struct InputBuffer {
    /// By slot: the pilots who filed something there since it was last taken, void by now or not.
    listed: Vec<Vec<PilotId>>,
    /// By pilot.
    wants: Vec<Option<Box<Wants>>>,
}

/// What one pilot wants.
#[derive(Debug)]
struct Wants {
    /// The slots that list the pilot.
    listed: u64,
    controls: Words<u16>,
    views: Words<u8>,
}

/// What one pilot wants of one kind.
#[derive(Debug)]
struct Words<T> {
    /// The slots in which there is one.
    filed: u64,
    by_slot: [T; SLOTS as usize],
}

impl<T: Copy> Words<T> {
    /// Files a word for `tick`, the last one and so the only one from there on; later ones are void.
    fn put(&mut self, now: Tick, tick: Tick, word: T) {
        let earlier = ((1 << (tick - now - 1)) - 1_u64).rotate_left((now + 1) % SLOTS);
        self.filed = self.filed & earlier | bit(tick);
        self.by_slot[slot(tick)] = word;
    }

    fn take(&mut self, tick: Tick) -> Option<T> {
        let is_filed = self.filed & bit(tick) != 0;
        self.filed &= !bit(tick);
        is_filed.then_some(self.by_slot[slot(tick)])
    }
}

fn slot(tick: Tick) -> usize {
    (tick % SLOTS) as usize
}

fn bit(tick: Tick) -> u64 {
    1 << (tick % SLOTS)
}

impl Wants {
    fn new() -> Self {
        let controls = Words { filed: 0, by_slot: [0; SLOTS as usize] };
        Self { listed: 0, controls, views: Words { filed: 0, by_slot: [0; SLOTS as usize] } }
    }

    fn take(&mut self, tick: Tick) -> [Option<Pending>; 2] {
        self.listed &= !bit(tick);
        [self.controls.take(tick).map(Pending::Controls), self.views.take(tick).map(Pending::View)]
    }
}

impl InputBuffer {
    /// Nobody wants anything.
    pub(crate) fn new() -> Self {
        Self { listed: vec![Vec::new(); SLOTS as usize], wants: Vec::new() }
    }

    /// Files a want under a tick, which lies after `now`, the last one that was taken, and less than [`SLOTS`] ahead. What
    /// the pilot wanted of this kind at that tick and at later ones is void.
    pub(crate) fn put(&mut self, now: Tick, tick: Tick, pilot: PilotId, want: Pending) {
        let index = usize::from(pilot.0);
        if index >= self.wants.len() {
            self.wants.resize_with(index + 1, || None);
        }
        let wants = self.wants[index].get_or_insert_with(|| Box::new(Wants::new()));
        match want {
            Pending::Controls(bits) => wants.controls.put(now, tick, bits),
            Pending::View(delay) => wants.views.put(now, tick, delay),
        }
        if wants.listed & bit(tick) == 0 {
            wants.listed |= bit(tick);
            self.listed[slot(tick)].push(pilot);
        }
    }

    /// What is wanted at `tick`.
    pub(crate) fn take(&mut self, tick: Tick) -> impl Iterator<Item = (PilotId, Pending)> {
        let Self { listed, wants } = self;
        listed[slot(tick)].drain(..).flat_map(move |pilot| {
            let wants = wants[usize::from(pilot.0)].as_mut().map_or([None; 2], |wants| wants.take(tick));
            wants.into_iter().flatten().map(move |want| (pilot, want))
        })
    }

    /// All that a pilot wanted is void; it may want something again.
    pub(crate) fn void(&mut self, pilot: PilotId) {
        if let Some(Some(wants)) = self.wants.get_mut(usize::from(pilot.0)) {
            // It stays listed where it was: the list is never searched.
            (wants.controls.filed, wants.views.filed) = (0, 0);
        }
    }

    /// A pilot is gone.
    pub(crate) fn forget(&mut self, pilot: PilotId) {
        if let Some(wants) = self.wants.get_mut(usize::from(pilot.0)) {
            *wants = None;
        }
    }

    /// Entries of all slots: the work of the ticks to come.
    #[cfg(test)]
    pub(crate) fn entries(&self) -> usize {
        self.listed.iter().map(Vec::len).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_want_of_a_tick_comes_unless_it_is_void() {
        let mut due = InputBuffer::new();
        let (one, other) = (PilotId(1), PilotId(2));
        due.put(8, 10, one, Pending::Controls(1));
        due.put(8, 10, other, Pending::Controls(2));
        due.put(8, 10, one, Pending::Controls(3));
        due.put(8, 11, one, Pending::View(4));
        due.put(8, 11, other, Pending::View(5));
        assert_eq!(due.take(9).count(), 0);
        let wants: Vec<_> = due.take(10).collect();
        assert_eq!(wants, [(one, Pending::Controls(3)), (other, Pending::Controls(2))]);
        due.void(one);
        due.forget(other);
        due.put(10, 12, one, Pending::View(6));
        assert_eq!(due.take(11).count(), 0);
        assert_eq!(due.take(12).collect::<Vec<_>>(), [(one, Pending::View(6))]);
    }

    /// SPEC A5.4.
    #[test]
    fn a_want_voids_later_ones_of_its_kind_wherever_the_slots_begin_anew() {
        let pilot = PilotId(1);
        for now in 0..2 * SLOTS {
            let mut due = InputBuffer::new();
            for ahead in [1, 5, INPUT_LEAD_MAX_TICKS, 5, INPUT_LEAD_MAX_TICKS + 1, 7] {
                due.put(now, now + ahead, pilot, Pending::Controls(ahead as u16));
            }
            due.put(now, now + INPUT_LEAD_MAX_TICKS + 1, pilot, Pending::View(0));
            let mut wants = |ahead| due.take(now + ahead).map(move |(_, want)| (ahead, want)).collect::<Vec<_>>();
            let all: Vec<_> = (1..SLOTS).flat_map(&mut wants).collect();
            let controls = [1, 5, 7].map(|ahead| (ahead, Pending::Controls(ahead as u16)));
            assert_eq!(all, [&controls[..], &[(INPUT_LEAD_MAX_TICKS + 1, Pending::View(0))]].concat(), "at {now}");
        }
    }
}
