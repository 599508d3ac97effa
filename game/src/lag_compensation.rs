//! Lag compensation: a shooter's bullets meet the others where its pilot saw them, not where they are by now.
//!
//! Path: a pilot's page shows the others a little in the past and says by how much ([`crate::Game::look`]) → after every
//! tick each plane's place is noted in its [`PositionHistory`] → `hits` tests a bullet against the histories of that moment.
//! Scheme: Source's lag compensation (Bernier, "Latency Compensating Methods in Client/Server In-game Protocol Design",
//! GDC 2001), carried on for as long as a bullet flies.
//! Invariants: never farther back than [`VIEW_DELAY_MAX`]; a plane that was not there then cannot be hit there.

use crate::{
    geometry::squared,
    plane::{Plane, REEL_NOTICE_TICKS},
    schedule::{Clock, Phase, Setup},
    schema::{Field, Fields, POSITION_MAX},
};
use bevy_ecs::prelude::*;
use glam::IVec2;

/// Parts of a tick in which moments of the past are told.
pub const PARTS: u32 = 16;
/// Furthest back that a bullet finds its target: 12 ticks, 200 ms. Policy: whoever sees later than that must aim ahead.
pub const VIEW_DELAY_MAX: u32 = 12 * PARTS;
/// Ticks that a history reaches back: what can be asked for, a tick before it, and the present.
const HISTORY_TICKS: usize = 16;
/// Fractions of a tick, for the moment of a hit.
const MOMENTS: i64 = 1024;

const _: () = assert!(REEL_NOTICE_TICKS as u32 * PARTS == VIEW_DELAY_MAX, "as far back as reeling is announced ahead");
const _: () = assert!(HISTORY_TICKS as u32 > VIEW_DELAY_MAX / PARTS + 2);

/// How far in the past a pilot sees the others, parts of a tick.
#[derive(Debug, Clone, Copy, Default, Component)]
pub(crate) struct ViewDelay(pub(crate) u32);

/// Where a plane was at the end of a tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct PastPosition {
    tick: u32,
    place: IVec2,
    /// It could be hurt.
    is_open: bool,
}

/// The places of a pilot's plane at the ends of the last ticks.
#[derive(Debug, Clone, PartialEq, Eq, Default, Component)]
pub(crate) struct PositionHistory([PastPosition; HISTORY_TICKS]);

impl PositionHistory {
    /// What is saved of each place.
    pub(crate) const FIELDS: [Field; 4] = [
        Field::new("tick", 0..=i32::MAX, 0),
        Field::new("x", 0..=POSITION_MAX, 0),
        Field::new("y", 0..=POSITION_MAX, 0),
        Field::new("is_open", 0..=1, 0),
    ];

    /// Every place there is, to be saved.
    pub(crate) fn to_rows(&self) -> impl Iterator<Item = Fields> {
        let row = |past: &PastPosition| {
            let mut fields = Fields::default();
            fields[..4].copy_from_slice(&[past.tick as i32, past.place.x, past.place.y, past.is_open.into()]);
            fields
        };
        self.0.iter().filter(|past| past.tick != 0).map(row)
    }

    /// A place that was saved.
    pub(crate) fn put(&mut self, fields: &Fields) {
        let (tick, place, is_open) = (fields[0] as u32, IVec2::new(fields[1], fields[2]), fields[3] == 1);
        self.0[tick as usize % HISTORY_TICKS] = PastPosition { tick, place, is_open };
    }

    fn note(&mut self, tick: u32, plane: &Plane) {
        let is_open = plane.health > 0 && !plane.is_shielded();
        self.0[tick as usize % HISTORY_TICKS] = PastPosition { tick, place: plane.position(), is_open };
    }

    /// The place at a moment; `None` if the plane was not there, or could not be hurt.
    pub(crate) fn at(&self, moment: u64) -> Option<IVec2> {
        let spot = |tick: u32| Some(self.0[tick as usize % HISTORY_TICKS]).filter(|spot| spot.tick == tick);
        let (tick, part) = tick_and_part(moment);
        let from = spot(tick)?;
        let to = if part == 0 { from } else { spot(tick + 1)? };
        (from.is_open && to.is_open).then(|| between(from.place, to.place, part))
    }

    /// The same while `tick` has moved the plane to `place`, but is not noted yet.
    pub(crate) fn at_or_now(&self, wanted: u64, tick: u32, place: IVec2) -> Option<IVec2> {
        let noted = moment(tick - 1, 0);
        if wanted <= noted {
            return self.at(wanted);
        }
        Some(between(self.at(noted)?, place, (wanted - noted) as i32))
    }
}

/// The moment so many parts before the end of a tick, in parts of a tick since tick 0.
pub fn moment(tick: u32, view_delay: u32) -> u64 {
    (u64::from(tick) * u64::from(PARTS)).saturating_sub(view_delay.into())
}

/// The last tick that ended by a moment, and how many parts later that is.
pub fn tick_and_part(moment: u64) -> (u32, i32) {
    ((moment / u64::from(PARTS)) as u32, (moment % u64::from(PARTS)) as i32)
}

/// The place `part` [`PARTS`] of the way between two.
pub fn between(from: IVec2, to: IVec2, part: i32) -> IVec2 {
    from + (to - from) * part / PARTS as i32
}

/// When in a tick (0..=1024) two that move in straight lines, each from its first place to its second, were closest, if
/// that was within `reach` units.
pub fn moment_of_meeting(bullet: (IVec2, IVec2), plane: (IVec2, IVec2), reach: i32) -> Option<i64> {
    let start = bullet.0 - plane.0;
    let way = bullet.1 - plane.1 - start;
    let dot = i64::from(start.x) * i64::from(way.x) + i64::from(start.y) * i64::from(way.y);
    let moment = (-dot * MOMENTS / squared(way).max(1)).clamp(0, MOMENTS);
    let at = |start: i32, way: i32| start + (i64::from(way) * moment / MOMENTS) as i32;
    let closest = IVec2::new(at(start.x, way.x), at(start.y, way.y));
    (squared(closest) <= squared(IVec2::new(reach, 0))).then_some(moment)
}

/// Notes where every plane is at the end of a tick.
pub(crate) fn plugin(setup: &mut Setup) {
    setup.world.register_component::<ViewDelay>();
    setup.world.register_component::<PositionHistory>();
    setup.schedule.add_systems(note.in_set(Phase::History));
}

fn note(clock: Res<Clock>, mut planes: Query<(&Plane, &mut PositionHistory)>) {
    for (plane, mut history) in &mut planes {
        history.note(clock.tick, plane);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::plane_at;

    #[test]
    fn a_history_tells_places_between_ticks_as_long_as_it_reaches_back() {
        let mut history = PositionHistory::default();
        for tick in 1..=40 {
            history.note(tick, &Plane { x: tick as i32 * 160, y: 0, ..plane_at(0, 0, 0) });
        }
        assert_eq!(history.at(moment(40, 0)), Some(IVec2::new(6400, 0)));
        assert_eq!(history.at(moment(30, 0) + 4), Some(IVec2::new(4840, 0)));
        assert!(history.at(moment(39, VIEW_DELAY_MAX)).is_some());
        assert_eq!(history.at(moment(24, 0)), None, "forgotten");
        assert_eq!(history.at(moment(40, 0) + 1), None, "not yet");
    }

    #[test]
    fn who_was_protected_or_not_there_is_not_found() {
        let mut history = PositionHistory::default();
        history.note(7, &Plane { shield: 1, ..plane_at(0, 0, 0) });
        history.note(8, &plane_at(0, 0, 0));
        assert_eq!((history.at(moment(6, 0)), history.at(moment(7, 0) + 1)), (None, None));
        assert!(history.at(moment(8, 0)).is_some());
    }

    #[test]
    fn lines_that_cross_at_the_same_moment_meet() {
        let crossing = ((IVec2::ZERO, IVec2::new(100, 0)), (IVec2::new(50, 50), IVec2::new(50, -50)));
        assert_eq!(moment_of_meeting(crossing.0, crossing.1, 5), Some(512));
        let beside = (IVec2::new(50, 90), IVec2::new(50, -10));
        assert_eq!(moment_of_meeting(crossing.0, beside, 5), None, "it crosses later");
    }
}
