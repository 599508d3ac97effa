//! What a client tells its page: messages of the room, and the shots, hits and explosions it saw.
//!
//! Path: messages and events become [`ClientEvent`]s in `Client`; [`Watch`] finds shots and hits by comparing the planes
//! of one tick with those of the tick before, since both are consequences of the rules and never sent.

use crate::{Level, client::view::lengths};
use game::{PilotId, plane::Plane, schema::Row};
use protocol::{
    close::CloseReason,
    message::{Event, Profile},
};

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub enum ClientEvent {
    /// The room let us in.
    Welcomed {
        /// Plane and score are those of before.
        resumed: bool,
        /// What was shown before still holds: frames and events go on from there, and the history is empty.
        continues: bool,
        /// The profile as accepted.
        profile: Profile,
        /// Chat before now, oldest first.
        history: Vec<Event>,
    },
    /// An entry of the room's event log.
    Entry(Event),
    /// A word from the room to us alone.
    Notice(String),
    /// How much service the room can give from now on. A welcome means full service until this says otherwise.
    Service {
        /// What is left out.
        level: Level,
        /// Time runs slower for everybody.
        is_slow: bool,
    },
    /// A clock jumped against the other, and was set right. A jump that turns out to be larger is told again, all of it.
    ClockJumped {
        /// By how much the room is ahead of where it was taken to be, ms; below 0 if it stood still for so long.
        ms: f64,
        /// This device's clock jumped, or it stood still; else the server paused.
        is_own: bool,
    },
    /// The room will not have us, or says goodbye; the socket ends.
    Ended {
        /// Why; `None` for a code this version does not know.
        reason: Option<CloseReason>,
        /// The code itself.
        code: u16,
    },
    /// A plane lost health.
    Hit(Spot),
    /// A plane ended.
    Explosion(Spot),
    /// A gun fired.
    Shot(Spot),
}

/// Whose plane, and where (plane lengths).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spot {
    /// The pilot.
    pub pilot: u16,
    /// Place.
    pub x: f32,
    /// Place.
    pub y: f32,
}

/// A plane as the last tick showed it.
#[derive(Debug, Clone, Copy)]
struct Seen {
    health: i32,
    shots: i32,
    spot: Spot,
}

/// The planes of the last tick, sorted by pilot.
#[derive(Debug, Clone, Default)]
pub(crate) struct Watch {
    seen: Vec<Seen>,
}

impl Watch {
    pub(crate) fn clear(&mut self) {
        self.seen.clear();
    }

    /// Where a pilot's plane was seen last.
    pub(crate) fn spot_of(&self, pilot: u16) -> Option<Spot> {
        self.find(pilot).map(|seen| seen.spot)
    }

    /// Looks at the rows of the next tick and tells what changed. The own plane's shots were told when they were predicted.
    pub(crate) fn look(&mut self, rows: &[Row], own: PilotId, mut tell: impl FnMut(ClientEvent)) {
        let mut next = Vec::with_capacity(self.seen.len() + 4);
        for row in rows.iter().filter(|row| row.kind == game::PLANE) {
            let plane = Plane::from_fields(&row.fields);
            let spot = Spot { pilot: row.id as u16, x: lengths(plane.x), y: lengths(plane.y) };
            if let Some(before) = self.find(spot.pilot) {
                if plane.health < before.health {
                    tell(ClientEvent::Hit(spot));
                }
                if plane.shots != before.shots && spot.pilot != own.0 {
                    tell(ClientEvent::Shot(spot));
                }
            }
            next.push(Seen { health: plane.health, shots: plane.shots, spot });
        }
        next.sort_unstable_by_key(|seen| seen.spot.pilot);
        self.seen = next;
    }

    fn find(&self, pilot: u16) -> Option<&Seen> {
        self.seen.binary_search_by_key(&pilot, |seen| seen.spot.pilot).ok().map(|at| &self.seen[at])
    }
}
