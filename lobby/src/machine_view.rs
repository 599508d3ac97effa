//! One machine as a player sees it: its condition, how busy it is, and whether it takes another player.
//!
//! Invariants: pure values, made by `fleet_state` and read by `board`, `placement` and `steer`.

use protocol::room::Kind;

/// One machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MachineView {
    /// Its id.
    pub instance: String,
    /// Its name in the app.
    pub name: String,
    /// Its region's code.
    pub region: String,
    /// What a player can expect.
    pub condition: Condition,
    /// Its last status answer; `None` while it sleeps.
    pub occupancy: Option<Occupancy>,
    /// Seats reserved for players whom its last answer does not count yet.
    pub reserved_seats: u32,
    /// The same for rooms.
    pub reserved_rooms: u32,
    /// When something last happened to it, in unix milliseconds; 0 if nobody knows.
    pub changed_at_ms: u64,
    /// Whether a lobby created it under load.
    pub is_grown: bool,
}

/// What a player can expect of a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// Up, with room.
    Ready,
    /// Up and without room, or its host has none for it.
    Full,
    /// Stopped; the first player wakes it.
    Asleep,
    /// On its way up, or on its way down to come back.
    Waking,
    /// Does not answer although it should, does not come up, or its host is gone.
    Unreachable,
}

/// What a player needs of a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// A seat in a room that is there.
    Seat,
    /// A seat, and room for one more room.
    Room,
}

/// How busy a machine is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Occupancy {
    /// People, in all its rooms.
    pub players: u32,
    /// People and computer pilots.
    pub pilots: u32,
    /// People it has room for.
    pub capacity: u32,
    /// Open rooms.
    pub rooms: u32,
    /// Rooms it may have open.
    pub rooms_max: u32,
    /// It is about to stop and accepts nobody.
    pub is_draining: bool,
    /// Whether its own public room of a kind is open, by the kind's number.
    pub open: [bool; Kind::ALL.len()],
}

impl Occupancy {
    /// Whether another player could come in.
    pub fn condition(&self) -> Condition {
        if self.is_draining {
            // Told to stop, most often by a deploy: it is back in a moment, and its rooms with it.
            Condition::Waking
        } else if self.players >= self.capacity {
            Condition::Full
        } else {
            Condition::Ready
        }
    }
}

impl MachineView {
    /// Whether it is up and takes one more player with this need; reserved seats and rooms count as taken.
    pub fn takes(&self, need: Need) -> bool {
        self.condition == Condition::Ready
            && self.occupancy.is_some_and(|occupancy| {
                let has_seat = occupancy.players + self.reserved_seats < occupancy.capacity;
                let has_room = occupancy.rooms + self.reserved_rooms < occupancy.rooms_max;
                has_seat && (need == Need::Seat || has_room)
            })
    }

    /// Whether it is up and answers, with a free seat or without.
    pub fn is_up(&self) -> bool {
        matches!(self.condition, Condition::Ready | Condition::Full) && self.occupancy.is_some()
    }

    /// Whether its own public room of this kind is open, to be looked at.
    pub fn is_open(&self, kind: Kind) -> bool {
        self.is_up() && self.occupancy.is_some_and(|occupancy| occupancy.open[usize::from(kind.number())])
    }

    /// Whether players get to it: it is up, or it can be woken.
    pub fn is_available(&self) -> bool {
        match self.condition {
            Condition::Ready | Condition::Asleep | Condition::Waking => true,
            // Without an answer from it, it is its host that has no room for it.
            Condition::Full => self.occupancy.is_some(),
            Condition::Unreachable => false,
        }
    }

    /// People there and people on the way.
    pub fn expected_players(&self) -> u32 {
        self.occupancy.map_or(0, |occupancy| occupancy.players) + self.reserved_seats
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A machine that is up with `players` of `capacity` people and one of two rooms, or is in another condition.
    pub(crate) fn machine(
        instance: &str,
        region: &str,
        condition: Condition,
        players: u32,
        capacity: u32,
    ) -> MachineView {
        let is_up = condition == Condition::Ready || (condition == Condition::Full && capacity > 0);
        MachineView {
            instance: instance.into(),
            name: format!("{region}-{instance}"),
            region: region.into(),
            condition,
            occupancy: is_up.then_some(Occupancy {
                players,
                pilots: players + 20,
                capacity,
                rooms: 1,
                rooms_max: 2,
                is_draining: false,
                open: [true; Kind::ALL.len()],
            }),
            reserved_seats: 0,
            reserved_rooms: 0,
            changed_at_ms: 0,
            is_grown: false,
        }
    }

    #[test]
    fn a_machine_takes_whom_it_has_seats_and_rooms_for() {
        let ready = machine("m", "ewr", Condition::Ready, 3, 5);
        assert!(ready.takes(Need::Seat) && ready.takes(Need::Room));
        let reserved = MachineView { reserved_seats: 1, reserved_rooms: 1, ..ready.clone() };
        assert!(reserved.takes(Need::Seat) && !reserved.takes(Need::Room));
        assert!(!MachineView { reserved_seats: 2, ..ready.clone() }.takes(Need::Seat));
        for condition in [Condition::Full, Condition::Asleep, Condition::Waking, Condition::Unreachable] {
            assert!(!MachineView { condition, ..ready.clone() }.takes(Need::Seat), "{condition:?}");
        }
        let host_full = machine("m", "ewr", Condition::Full, 0, 0);
        assert!(machine("m", "ewr", Condition::Full, 5, 5).is_available() && !host_full.is_available());
        let draining = Occupancy { is_draining: true, ..ready.occupancy.unwrap() };
        assert_eq!(draining.condition(), Condition::Waking);
    }
}
