//! What a client tells its page: messages of the room, and the shots, hits and explosions it saw.
//!
//! Path: messages and events become [`ClientEvent`]s in `Client`; [`Watch`] finds shots and hits by comparing the planes
//! of one tick with those of the tick before, since both are consequences of the rules and never sent.

use crate::client::view::lengths;
use game::{PilotId, plane::Plane, schema::Row};
use session::SessionEvent;

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub enum ClientEvent {
    /// What a session tells its page, whatever the kind of room.
    Session(SessionEvent),
    /// Somebody was shot down, or flew into somebody; both names are known, or were waited for long enough.
    Kill(Killed),
    /// A clock jumped against the other, and was set right. A jump that turns out to be larger is told again, all of it.
    ClockJumped {
        /// By how much the room is ahead of where it was taken to be, ms; below 0 if it stood still for so long.
        ms: f64,
        /// This device's clock jumped, or it stood still; else the server paused.
        is_own: bool,
    },
    /// A plane lost health.
    Hit(Spot),
    /// A plane ended.
    Explosion(Spot),
    /// A gun fired.
    Shot(Spot),
}

/// Who was shot down by whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Killed {
    /// Who did it; equals `victim` when nobody else did.
    pub killer: u16,
    /// Whose plane it was.
    pub victim: u16,
    /// A collision instead of a gun.
    pub rammed: bool,
    /// How far in the past the killer saw the victim, 16ths of a tick.
    pub view_delay: u8,
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
