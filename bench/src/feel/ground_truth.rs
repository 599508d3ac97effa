//! The ground truth: the room's planes and bullets of every tick, and what happened to them.
//!
//! Path: [`GroundTruth::note`] after every tick of the room → the players' pictures are compared with it at the end.
//! Invariant: nothing here comes from a client, so that what a client says of itself can be checked.

use game::{
    bullet::{Bullet, owner},
    geometry::turn_between,
    lag_compensation::moment_of_meeting,
    plane::Plane,
    rules::Rules,
    schema::Row,
};
use glam::IVec2;
use protocol::Tick;
use std::collections::{BTreeMap, BTreeSet};

/// A bullet meets nobody farther back than this, ticks; a little more than the bound, to find who breaks it.
const SEARCHED_MAX_TICKS: u32 = 15;

/// A bullet that hit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hit {
    pub(crate) tick: Tick,
    pub(crate) shooter: u16,
    pub(crate) victim: u16,
    /// How many ticks before the victim was last in the bullet's way; 0: it still was.
    pub(crate) after_escape_ticks: u32,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct GroundTruth {
    /// Planes by pilot, one list a tick, from tick 1.
    ticks: Vec<Vec<(u16, Plane)>>,
    /// Planes that something else than their own flight hurt or made reel.
    touched: BTreeSet<(Tick, u16)>,
    pub(crate) hits: Vec<Hit>,
    bullets: Vec<Row>,
    stepped: Vec<Row>,
}

impl GroundTruth {
    /// The newest tick.
    pub(crate) fn tick(&self) -> Tick {
        self.ticks.len() as Tick
    }

    /// Looks at the room's rows after the next tick.
    pub(crate) fn note(&mut self, rows: &[Row], rules: &Rules) {
        let is_plane = |row: &&Row| row.kind == game::PLANE;
        let mut planes: Vec<_> =
            rows.iter().filter(is_plane).map(|row| (row.id as u16, Plane::from_fields(&row.fields))).collect();
        planes.sort_unstable_by_key(|(id, _)| *id);
        self.ticks.push(planes);
        let tick = self.tick();
        self.note_touched(tick, rules);
        self.note_hits(tick, rows, rules);
    }

    fn note_touched(&mut self, tick: Tick, rules: &Rules) {
        for (id, before) in self.planes(tick - 1).to_vec() {
            let mut flown = before;
            flown.step(id.into(), &rules.motion);
            let same =
                |plane: Plane| (plane.position(), plane.heading, plane.speed, plane.health, plane.shots, plane.reel);
            if self.plane(tick, id).map(same) != Some(same(flown)) {
                self.touched.insert((tick, id));
            }
        }
    }

    /// A bullet that its flight does not end, and that is gone, has hit somebody who lost health.
    fn note_hits(&mut self, tick: Tick, rows: &[Row], rules: &Rules) {
        let there: BTreeMap<u32, &Row> =
            rows.iter().filter(|row| row.kind == game::BULLET).map(|row| (row.id, row)).collect();
        self.stepped.clear();
        self.bullets.iter().for_each(|row| game::step_row(row, rules, &mut self.stepped));
        let gone: Vec<_> = self.stepped.iter().filter(|row| !there.contains_key(&row.id)).copied().collect();
        let hurt: Vec<u16> = self
            .planes(tick - 1)
            .iter()
            .filter(|(id, before)| self.plane(tick, *id).is_none_or(|after| after.health < before.health))
            .map(|(id, _)| *id)
            .collect();
        for row in gone {
            let bullet = Bullet::from_fields(&row.fields);
            let shot = (bullet.position() - bullet.velocity(), bullet.position());
            let last_met = |victim: u16| {
                (0..SEARCHED_MAX_TICKS).find(|back| {
                    let way = self.way(tick.saturating_sub(*back), victim);
                    way.is_some_and(|way| moment_of_meeting(shot, way, rules.motion.guns.reach).is_some())
                })
            };
            let shooter = owner(row.id);
            let victims = hurt.iter().filter(|victim| **victim != shooter);
            let found = victims.filter_map(|victim| Some((last_met(*victim)?, *victim))).min();
            if let Some((after_escape_ticks, victim)) = found {
                self.hits.push(Hit { tick, shooter, victim, after_escape_ticks });
            }
        }
        self.bullets.clear();
        self.bullets.extend(there.into_values());
    }

    /// From where to where a plane flew within a tick.
    fn way(&self, tick: Tick, id: u16) -> Option<(IVec2, IVec2)> {
        let place = |tick: Tick| self.plane(tick, id).map(|plane| plane.position());
        Some((place(tick.checked_sub(1)?)?, place(tick)?))
    }

    /// The planes of a tick, by pilot; none of one that has not been.
    pub(crate) fn planes(&self, tick: Tick) -> &[(u16, Plane)] {
        (tick as usize).checked_sub(1).and_then(|index| self.ticks.get(index)).map_or(&[], |planes| planes)
    }

    /// A pilot's plane at the end of a tick.
    pub(crate) fn plane(&self, tick: Tick, id: u16) -> Option<Plane> {
        let planes = self.planes(tick);
        planes.binary_search_by_key(&id, |(id, _)| *id).ok().map(|at| planes[at].1)
    }

    /// Where a plane was at a (fractional) tick, plane lengths, and where its nose pointed, 65,536ths of a turn.
    pub(crate) fn place(&self, at: f64, id: u16) -> Option<(f64, f64, f64)> {
        let (from, to) = (self.plane(at.floor() as Tick, id)?, self.plane(at.ceil() as Tick, id)?);
        let part = at - at.floor();
        let between = |from: i32, to: i32| f64::from(from) + f64::from(to - from) * part;
        let turn = f64::from(turn_between(from.heading, to.heading)) * part;
        let length = f64::from(game::geometry::PLANE_LENGTH_UNITS);
        Some((between(from.x, to.x) / length, between(from.y, to.y) / length, f64::from(from.heading) + turn))
    }

    /// Whether something touched a plane in the ticks after `from`, up to `to`.
    pub(crate) fn is_touched(&self, from: Tick, to: Tick, id: u16) -> bool {
        (from + 1..=to).any(|tick| self.touched.contains(&(tick, id)))
    }
}
