//! Hit prediction: own bullets that meet somebody on this screen before the room confirms it.
//!
//! Path: each tick of the own clock [`Shots::predict`] tests the own bullets against the others where they are shown, with
//! the room's own arithmetic (`game::lag_compensation`) → a bullet that met somebody is no longer drawn → [`Shots::reconcile`] compares
//! with what the room made of it: confirmed, denied (it is drawn again), or a hit that was not seen here.
//! Invariant: nothing here changes what the room or the replica holds; a bullet is predicted to hit once at most.

use crate::{
    Spot,
    client::prediction::is_own,
    client::view::{History, lengths},
};
use game::{
    PilotId,
    bullet::Bullet,
    lag_compensation::{VIEW_DELAY_MAX, moment, moment_of_meeting, tick_and_part},
    plane::Plane,
    rules::Rules,
    schema::{CellId, Row},
    step_row,
};
use protocol::Tick;
use std::collections::BTreeMap;

/// Ticks by which room and screen may differ about the moment of a hit.
const SLACK_TICKS: Tick = 2;

/// What became of own shots.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ShotCounts {
    /// Bullets that met somebody on this screen and of which the room has told what became.
    pub met: u64,
    /// Of these, hits.
    pub confirmed: u64,
    /// Hits that were not seen here first.
    pub unseen: u64,
}

/// See the module.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shots {
    /// The last tick of the own clock that was predicted_to.
    predicted_to: Tick,
    /// By bullet: the tick of the own clock at which it met somebody, and whom.
    met: BTreeMap<u32, (Tick, u16)>,
    /// Shots that the own plane had fired when it was last looked at.
    fired: Option<i32>,
    /// Own bullets of the newest truth.
    flying: Vec<Row>,
    /// Kept for its memory.
    stepped: Vec<Row>,
    /// Hits that were seen here and that the others, as they are shown, do not have yet: when, and who.
    dealt: Vec<(Tick, u16)>,
    counts: ShotCounts,
}

impl Shots {
    /// Begins anew: nothing of before holds.
    pub(crate) fn clear(&mut self) {
        *self = Self { counts: self.counts, ..Self::default() };
    }

    /// The own clock goes back to `tick`: what was predicted_to of later ones never was.
    pub(crate) fn go_back_to(&mut self, tick: Tick) {
        if tick < self.predicted_to {
            (self.predicted_to, self.fired) = (tick, None);
            self.met.retain(|_, (met, _)| *met <= tick);
            self.dealt.retain(|(met, _)| *met <= tick);
        }
    }

    pub(crate) fn counts(&self) -> ShotCounts {
        self.counts
    }

    /// Whether a bullet has met somebody here.
    pub(crate) fn has_met(&self, row: &Row) -> bool {
        row.kind == game::BULLET && self.met.contains_key(&row.id)
    }

    /// Looks at the own rows as predicted for `tick`, with the others shown `view_delay` parts of a tick before it; `tell` hears
    /// who was met. Returns where the own plane is if its gun fired.
    pub(crate) fn predict(
        &mut self,
        tick: Tick,
        own_rows: &[Row],
        view_delay: u32,
        history: &mut History,
        rules: &Rules,
        mut tell: impl FnMut(Spot),
    ) -> Option<Spot> {
        if tick <= self.predicted_to {
            return None;
        }
        self.predicted_to = tick;
        let fired = self.fired(own_rows);
        // Whoever sees later than the bound is told where the room will look.
        let from = moment(tick - 1, view_delay.min(VIEW_DELAY_MAX));
        self.dealt.retain(|(met, _)| *met > tick_and_part(from).0);
        let mut bullets = own_rows.iter().filter(|row| row.kind == game::BULLET).peekable();
        let ways = if bullets.peek().is_some() { history.ways(from, rules) } else { &[] };
        for row in bullets {
            if self.met.contains_key(&row.id) {
                continue;
            }
            let bullet = Bullet::from_fields(&row.fields);
            let shot = (bullet.position() - bullet.velocity(), bullet.position());
            // Who has taken the last hit lets further bullets through, before the room says so.
            let damage = |victim: u16| {
                self.dealt.iter().filter(|(_, dealt)| *dealt == victim).count() as i32 * rules.motion.guns.damage
            };
            let meeting = ways
                .iter()
                .filter(|way| way.health > damage(way.pilot))
                .filter_map(|way| {
                    let moment = moment_of_meeting(shot, (way.from, way.to), rules.motion.guns.reach)?;
                    Some((moment, way.pilot, way.to))
                })
                .min_by_key(|(moment, victim, _)| (*moment, *victim));
            if let Some((_, victim, place)) = meeting {
                self.met.insert(row.id, (tick, victim));
                self.dealt.push((tick, victim));
                tell(Spot { pilot: victim, x: lengths(place.x), y: lengths(place.y) });
            }
        }
        fired
    }

    fn fired(&mut self, own_rows: &[Row]) -> Option<Spot> {
        let row = own_rows.iter().find(|row| row.kind == game::PLANE)?;
        let plane = Plane::from_fields(&row.fields);
        let before = self.fired.replace(plane.shots);
        let spot = Spot { pilot: row.id as u16, x: lengths(plane.x), y: lengths(plane.y) };
        before.is_some_and(|before| before != plane.shots).then_some(spot)
    }

    /// Looks at the truth of the next tick: which own bullets ended there against the rules of flight? Returns who was hit
    /// by those that were seen to hit here.
    pub(crate) fn reconcile(
        &mut self,
        tick: Tick,
        rows: &[Row],
        own: PilotId,
        held: &[CellId],
        rules: &Rules,
    ) -> Vec<u16> {
        let mut confirmed = Vec::new();
        for row in &self.flying {
            self.stepped.clear();
            step_row(row, rules, &mut self.stepped);
            let Some(stepped) = self.stepped.first() else {
                // Spent, or off the field: whatever it met here, it did not hit.
                self.counts.met += u64::from(self.met.remove(&row.id).is_some());
                continue;
            };
            let is_known = held.binary_search(&stepped.cell).is_ok();
            let is_there = rows.iter().any(|other| other.key() == row.key());
            if is_known && !is_there {
                let met = self.met.remove(&row.id);
                self.counts.met += u64::from(met.is_some());
                self.counts.confirmed += u64::from(met.is_some());
                self.counts.unseen += u64::from(met.is_none());
                confirmed.extend(met.map(|(_, victim)| victim));
            }
        }
        self.flying.clear();
        self.flying.extend(rows.iter().filter(|row| row.kind == game::BULLET && is_own(row, own)));
        let denied = self
            .met
            .extract_if(.., |id, (met, _)| tick > *met + SLACK_TICKS && self.flying.iter().any(|row| row.id == *id));
        self.counts.met += denied.count() as u64;
        self.met.retain(|_, (met, _)| tick < *met + rules.motion.guns.life as Tick);
        confirmed
    }
}
