//! One machine as people see it: its condition, how busy it is, and whether it takes somebody else.
//!
//! Invariants: pure values, made by `fleet_state` and read by `board`, `placement` and `steer`.

use crate::by_kind::ByKind;
use protocol::room::Kind;
use serde::Deserialize;

/// One machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MachineView {
    /// Its id.
    pub instance: String,
    /// Its name in the app.
    pub name: String,
    /// Its region's code.
    pub region: String,
    /// What people can expect, whatever they need.
    pub condition: Condition,
    /// Its last status answer; `None` while it sleeps.
    pub occupancy: Option<Occupancy>,
    /// Seats reserved in its public rooms for people whom its last answer does not count yet.
    pub reserved_seats: ByKind<u32>,
    /// The same for rooms.
    pub reserved_rooms: u32,
    /// When something last happened to it, in unix milliseconds; 0 if nobody knows.
    pub changed_at_ms: u64,
    /// Whether a lobby created it under load.
    pub is_grown: bool,
}

/// What people can expect of a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// Up.
    Ready,
    /// Up and without room, or its host has none for it.
    Full,
    /// Stopped; the first who comes wakes it.
    Asleep,
    /// On its way up, or on its way down to come back.
    Waking,
    /// Does not answer although it should, does not come up, or its host is gone.
    Unreachable,
}

/// What somebody needs of a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// A seat in its own public room of this kind.
    Seat(Kind),
    /// A place for one more room.
    Room,
    /// The way to a room that is or was there: whether that has a seat, it says itself.
    Link,
}

/// How busy a machine is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Occupancy {
    /// What there is of each kind.
    pub kinds: ByKind<Places>,
    /// Open rooms, its own public ones among them, open or not.
    pub rooms: u32,
    /// Rooms it may have open.
    pub rooms_max: u32,
    /// It is about to stop and accepts nobody.
    pub is_draining: bool,
    /// Its ticks cost too much, and it accepts nobody new.
    pub is_overloaded: bool,
}

/// Who is in a machine's rooms of one kind, and who could be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub struct Places {
    /// People, in all its rooms.
    pub members: u32,
    /// People, and whoever a computer plays.
    pub population: u32,
    /// People whom its public room could still take.
    pub seats: u32,
    /// People for whom there is room in its public room.
    pub capacity: u32,
    /// Whether that is open, to be looked at.
    pub is_open: bool,
}

impl Occupancy {
    /// Whether somebody could come in.
    pub fn condition(&self) -> Condition {
        if self.is_draining {
            // Told to stop, most often by a deploy: it is back in a moment, and its rooms with it.
            Condition::Waking
        } else if self.is_overloaded {
            Condition::Full
        } else {
            Condition::Ready
        }
    }
}

impl MachineView {
    /// Whether it is up and takes one more person with this need; reserved seats and rooms count as taken.
    pub fn takes(&self, need: Need) -> bool {
        let (is_ready, is_up) = (self.condition == Condition::Ready, self.is_up());
        self.occupancy.is_some_and(|occupancy| match need {
            Need::Seat(kind) => is_ready && occupancy.kinds[kind].seats > self.reserved_seats[kind],
            Need::Room => is_ready && occupancy.rooms + self.reserved_rooms < occupancy.rooms_max,
            Need::Link => is_up,
        })
    }

    /// What somebody with this need can expect.
    pub fn condition_for(&self, need: Need) -> Condition {
        match self.condition {
            Condition::Ready if !self.takes(need) => Condition::Full,
            condition => condition,
        }
    }

    /// Whether it is up and answers, with a free seat or without.
    pub fn is_up(&self) -> bool {
        matches!(self.condition, Condition::Ready | Condition::Full) && self.occupancy.is_some()
    }

    /// Whether its own public room of this kind is open, to be looked at.
    pub fn is_open(&self, kind: Kind) -> bool {
        self.is_up() && self.occupancy.is_some_and(|occupancy| occupancy.kinds[kind].is_open)
    }

    /// Whether people get to it: it is up, or it can be woken.
    pub fn is_available(&self) -> bool {
        match self.condition {
            Condition::Ready | Condition::Asleep | Condition::Waking => true,
            // Without an answer from it, it is its host that has no room for it.
            Condition::Full => self.occupancy.is_some(),
            Condition::Unreachable => false,
        }
    }

    /// People there and people on the way, of one kind.
    pub fn expected(&self, kind: Kind) -> u32 {
        self.occupancy.map_or(0, |occupancy| occupancy.kinds[kind].members) + self.reserved_seats[kind]
    }

    /// People there and people on the way.
    pub fn expected_people(&self) -> u32 {
        Kind::ALL.into_iter().map(|kind| self.expected(kind)).sum()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The kind that is asked for in tests.
    pub(crate) const KIND: Kind = Kind::ALL[0];
    /// A seat of it.
    pub(crate) const SEAT: Need = Need::Seat(KIND);

    /// So many seats reserved in rooms of [`KIND`].
    pub(crate) fn seats(count: u32) -> ByKind<u32> {
        ByKind::of(|kind| if kind == KIND { count } else { 0 })
    }

    /// So many of `capacity` people in the public room of [`KIND`], nobody in the others, and place for one more room.
    pub(crate) fn occupied(members: u32, capacity: u32) -> Occupancy {
        let mut kinds = ByKind::of(|_| Places { members: 0, population: 0, seats: 9, capacity: 9, is_open: true });
        let (population, seats, is_open) = (members + 20, capacity - members, true);
        kinds[KIND] = Places { members, population, seats, capacity, is_open };
        let rooms = Kind::ALL.len() as u32;
        Occupancy { kinds, rooms, rooms_max: rooms + 1, is_draining: false, is_overloaded: false }
    }

    /// A machine that is up with `members` of `capacity` people and place for one more room, or is in another condition.
    pub(crate) fn machine(
        instance: &str,
        region: &str,
        condition: Condition,
        members: u32,
        capacity: u32,
    ) -> MachineView {
        let is_up = condition == Condition::Ready || (condition == Condition::Full && capacity > 0);
        MachineView {
            instance: instance.into(),
            name: format!("{region}-{instance}"),
            region: region.into(),
            condition,
            occupancy: is_up.then(|| occupied(members, capacity)),
            reserved_seats: ByKind::default(),
            reserved_rooms: 0,
            changed_at_ms: 0,
            is_grown: false,
        }
    }

    #[test]
    fn a_machine_takes_whom_it_has_seats_and_rooms_for() {
        let ready = machine("m", "ewr", Condition::Ready, 3, 5);
        assert!(ready.takes(SEAT) && ready.takes(Need::Room) && ready.takes(Need::Link));
        let reserved = MachineView { reserved_seats: seats(1), reserved_rooms: 1, ..ready.clone() };
        assert!(reserved.takes(SEAT) && !reserved.takes(Need::Room) && reserved.takes(Need::Link));
        let taken = MachineView { reserved_seats: seats(2), ..ready.clone() };
        assert!(!taken.takes(SEAT) && taken.takes(Need::Room));
        for kind in Kind::ALL {
            assert_eq!(taken.takes(Need::Seat(kind)), kind != KIND, "each kind has its own seats");
            let expected = if kind == KIND { Condition::Full } else { Condition::Ready };
            assert_eq!(taken.condition_for(Need::Seat(kind)), expected);
        }
        for condition in [Condition::Full, Condition::Asleep, Condition::Waking, Condition::Unreachable] {
            assert!(!MachineView { condition, ..ready.clone() }.takes(SEAT), "{condition:?}");
        }
        let overloaded = MachineView { condition: Condition::Full, ..ready.clone() };
        assert!(!overloaded.takes(Need::Room) && overloaded.takes(Need::Link), "whoever was in may come back");
        let host_full = machine("m", "ewr", Condition::Full, 0, 0);
        assert!(machine("m", "ewr", Condition::Full, 5, 5).is_available() && !host_full.is_available());
        let occupancy = ready.occupancy.unwrap();
        assert_eq!(Occupancy { is_draining: true, ..occupancy }.condition(), Condition::Waking);
        assert_eq!(Occupancy { is_overloaded: true, ..occupancy }.condition(), Condition::Full);
    }
}
