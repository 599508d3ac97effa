//! Interpolation: what to draw at a moment between two ticks.
//!
//! Path: the client records the rows of every tick in [`History`]; [`History::at`] interpolates between two ticks, or
//! steps on from the newest when frames are late. Invariants: between two ticks nothing jumps; extrapolation is bounded.
//! Units: plane lengths, radians, screen axes (x right, y down).

use crate::TICK_HZ;
use crate::client::prediction::is_own;
use game::{
    PilotId,
    bullet::Bullet,
    geometry::{PLANE_LENGTH_UNITS, TURN, turn_between},
    lag_compensation::{between as place_between, tick_and_part},
    plane::{ENERGY_FULL, HEALTH_FULL, Plane, STEER_MAX},
    rules::Rules,
    schema::{CELL_UNITS, Row, VIEW_CELLS},
    step_row,
};
use glam::IVec2;
use protocol::Tick;
use std::collections::VecDeque;

/// Ticks of rows kept for interpolation. Policy: the oldest is dropped.
const HISTORY_MAX_TICKS: usize = 32;
/// Furthest that others are shown beyond the newest frame. Policy: they stand still.
const EXTRAPOLATION_MAX_TICKS: u32 = 8;

/// Who took off comes into view this much later, since the news of it may come after the moment that is shown.
const UNSEEN_TICKS: i32 = 6;
/// And is all there after so long.
const APPEAR_TICKS: i32 = 9;
/// Half of what is surely known around the own plane, as the room had it: held are its cell and two more to every side. The
/// others are shown a little before that, so a length is left out.
const KNOWN_LENGTHS: f32 = (VIEW_CELLS / 2 * CELL_UNITS) as f32 / PLANE_LENGTH_UNITS as f32 - 1.0;
/// Within so much of its edge planes fade.
const FADE_LENGTHS: f32 = 1.5;

/// A plane to draw.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct PlaneView {
    /// The pilot's id.
    pub id: u16,
    /// Middle.
    pub x: f32,
    /// Middle.
    pub y: f32,
    /// Where the nose points.
    pub heading: f32,
    /// Plane lengths a second.
    pub speed: f32,
    /// 0..=1.
    pub health: f32,
    /// 0..=1.
    pub energy: f32,
    /// -1 (left) ..= 1 (right), whoever steers.
    pub steer: f32,
    /// 0 slow, 1 cruise, 2 full.
    pub throttle: f32,
    /// Boost is pressed and has energy.
    pub is_boosting: bool,
    /// The trigger is pressed.
    pub is_firing: bool,
    /// Cannot be hurt for the moment.
    pub is_shielded: bool,
    /// Rammed a moment ago: it is about to reel, or reels.
    pub is_rammed: bool,
    /// 0..=1: planes fade in and out where what is known ends, and after they took off.
    pub opacity: f32,
}

/// A bullet to draw.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct BulletView {
    /// Row id: the owner's id and a shot number.
    pub id: u32,
    /// Middle.
    pub x: f32,
    /// Middle.
    pub y: f32,
    /// Direction of flight.
    pub heading: f32,
    /// 0 (fresh) ..= 1 (spent).
    pub age: f32,
    /// Fired by the own plane.
    pub is_own: bool,
}

/// Everything to draw at one moment; reused from call to call.
#[derive(Debug, Clone, Default)]
pub struct Scene {
    /// The own plane first, if it flies.
    pub planes: Vec<PlaneView>,
    /// All bullets.
    pub bullets: Vec<BulletView>,
}

impl Scene {
    pub(crate) fn clear(&mut self) {
        self.planes.clear();
        self.bullets.clear();
    }

    /// Fades the planes towards the edge of what is known around this place.
    pub(crate) fn fade(&mut self, middle: (f32, f32)) {
        for plane in &mut self.planes {
            let away = (plane.x - middle.0).abs().max((plane.y - middle.1).abs());
            plane.opacity *= ((KNOWN_LENGTHS - away) / FADE_LENGTHS).clamp(0.0, 1.0);
        }
    }

    /// Adds the row `part` (0..=1) of the way from its state a tick before to its state after.
    pub(crate) fn add(&mut self, before: &Row, after: &Row, part: f32, own: PilotId, rules: &Rules) {
        match after.kind {
            game::PLANE => self.planes.push(plane_view(before, after, part, own, rules)),
            game::BULLET => self.bullets.push(bullet_view(before, after, part, own, rules)),
            _ => {}
        }
    }
}

/// Units as plane lengths.
pub(crate) fn lengths(units: i32) -> f32 {
    units as f32 / PLANE_LENGTH_UNITS as f32
}

fn between(before: i32, after: i32, part: f32) -> f32 {
    lengths(before) + lengths(after - before) * part
}

fn plane_view(before: &Row, after: &Row, part: f32, own: PilotId, rules: &Rules) -> PlaneView {
    let (from, to) = (Plane::from_fields(&before.fields), Plane::from_fields(&after.fields));
    let heading = from.heading as f32 + turn_between(from.heading, to.heading) as f32 * part;
    PlaneView {
        id: after.id as u16,
        x: between(from.x, to.x, part),
        y: between(from.y, to.y, part),
        heading: heading * std::f32::consts::TAU / TURN as f32,
        speed: lengths(to.speed) / 16.0 * TICK_HZ as f32,
        health: to.health as f32 / HEALTH_FULL as f32,
        energy: to.energy as f32 / ENERGY_FULL as f32,
        steer: to.forced_steer(&rules.motion).unwrap_or(to.steer) as f32 / STEER_MAX as f32,
        throttle: to.throttle as f32,
        is_boosting: to.is_boosting(&rules.motion),
        is_firing: to.fire == 1,
        is_shielded: to.is_shielded(),
        is_rammed: to.reel != 0,
        opacity: opacity(&to, is_own(after, own), rules),
    }
}

/// How much of a plane that took off has come into view.
fn opacity(plane: &Plane, is_own: bool, rules: &Rules) -> f32 {
    if !plane.is_shielded() {
        return 1.0;
    }
    let aloft = rules.respawn.shield - plane.shield - if is_own { 0 } else { UNSEEN_TICKS };
    (aloft as f32 / APPEAR_TICKS as f32).clamp(0.0, 1.0)
}

fn bullet_view(before: &Row, after: &Row, part: f32, own: PilotId, rules: &Rules) -> BulletView {
    let (from, to) = (Bullet::from_fields(&before.fields), Bullet::from_fields(&after.fields));
    BulletView {
        id: after.id,
        x: between(from.x, to.x, part),
        y: between(from.y, to.y, part),
        heading: (to.vy as f32).atan2(to.vx as f32),
        age: 1.0 - (to.ttl as f32 / rules.motion.guns.life.max(1) as f32).clamp(0.0, 1.0),
        is_own: is_own(after, own),
    }
}

/// Where somebody who can be hurt went within a tick.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Way {
    pub(crate) pilot: u16,
    pub(crate) from: IVec2,
    pub(crate) to: IVec2,
    /// At its beginning.
    pub(crate) health: i32,
}

/// The planes and bullets of the last ticks, without the own ones.
#[derive(Debug, Clone, Default)]
pub(crate) struct History {
    /// Oldest first; rows sorted by key.
    ticks: VecDeque<(Tick, Vec<Row>)>,
    /// What is shown or shot at beyond the newest tick, and where everybody went; kept for their memory.
    beyond: [Beyond; 3],
    ways: Vec<Way>,
}

impl History {
    pub(crate) fn clear(&mut self) {
        self.ticks.clear();
    }

    /// Records the rows after `tick`.
    pub(crate) fn record(&mut self, tick: Tick, rows: &[Row], own: PilotId) {
        let mut kept = if self.ticks.len() < HISTORY_MAX_TICKS {
            Vec::new()
        } else {
            self.ticks.pop_front().map_or_else(Vec::new, |(_, rows)| rows)
        };
        kept.clear();
        let is_drawn = |row: &&Row| matches!(row.kind, game::PLANE | game::BULLET) && !is_own(row, own);
        kept.extend(rows.iter().filter(is_drawn));
        kept.sort_unstable_by_key(Row::key);
        self.ticks.push_back((tick, kept));
    }

    /// Where everybody else who can be hurt went within a tick from a moment ([`game::lag_compensation::moment`]). Beyond the newest tick
    /// the motion step carries them on.
    pub(crate) fn ways(&mut self, from: u64, rules: &Rules) -> &[Way] {
        let Self { ticks, beyond, ways } = self;
        let (tick, part) = tick_and_part(from);
        let mut rows_at = (tick..).zip(beyond).map(|(tick, beyond)| rows_at(ticks, tick, beyond, rules));
        let [first, second, third] = std::array::from_fn(|_| rows_at.next().unwrap_or_default());
        let open = |row: &Row| Some(Plane::from_fields(&row.fields)).filter(|it| it.health > 0 && !it.is_shielded());
        let find = |rows: &[Row], id: u32| {
            let at = rows.binary_search_by_key(&(game::PLANE, id), Row::key).ok()?;
            open(&rows[at]).map(|plane| plane.position())
        };
        ways.clear();
        ways.extend(first.iter().take_while(|row| row.kind == game::PLANE).filter_map(|row| {
            let plane = open(row)?;
            let (a, b) = (plane.position(), find(second, row.id)?);
            let c = if part == 0 { b } else { find(third, row.id)? };
            let (from, to) = (place_between(a, b, part), place_between(b, c, part));
            Some(Way { pilot: row.id as u16, from, to, health: plane.health })
        }));
        ways
    }

    /// Adds everybody else to `scene`, as they were at the (fractional) tick `at`.
    pub(crate) fn at(&mut self, at: f64, own: PilotId, rules: &Rules, scene: &mut Scene) {
        let Self { ticks, beyond: [earlier, later, _], .. } = self;
        let Some((newest, rows)) = ticks.back() else { return };
        let part = (at - at.floor()) as f32;
        if at >= f64::from(*newest) {
            let steps = ((at - f64::from(*newest)).floor() as u32).min(EXTRAPOLATION_MAX_TICKS);
            let before = earlier.step(rows, steps, rules);
            let after = later.step(before, 1, rules);
            let part = if steps == EXTRAPOLATION_MAX_TICKS { 0.0 } else { part };
            add_pairs(before, after, part, own, rules, scene);
            return;
        }
        let index = ticks.partition_point(|(tick, _)| f64::from(*tick) <= at).max(1);
        let (before, after) = (&ticks[index - 1], &ticks[index.min(ticks.len() - 1)]);
        let part = if f64::from(before.0) > at { 0.0 } else { part };
        add_pairs(&before.1, &after.1, part, own, rules, scene);
    }
}

/// The rows at the end of a tick; none of one that is too old.
fn rows_at<'a>(ticks: &'a VecDeque<(Tick, Vec<Row>)>, tick: Tick, beyond: &'a mut Beyond, rules: &Rules) -> &'a [Row] {
    match (ticks.binary_search_by_key(&tick, |(tick, _)| *tick), ticks.back()) {
        (Ok(at), _) => &ticks[at].1,
        (Err(_), Some((newest, rows))) if tick > *newest => {
            beyond.step(rows, (tick - newest).min(EXTRAPOLATION_MAX_TICKS), rules)
        }
        _ => &[],
    }
}

/// Rows that the motion step carried on.
#[derive(Debug, Clone, Default)]
struct Beyond {
    /// Sorted by key.
    rows: Vec<Row>,
    before: Vec<Row>,
}

impl Beyond {
    /// What becomes of these rows.
    fn step(&mut self, rows: &[Row], steps: u32, rules: &Rules) -> &[Row] {
        self.rows.clear();
        self.rows.extend_from_slice(rows);
        for _ in 0..steps {
            std::mem::swap(&mut self.rows, &mut self.before);
            self.rows.clear();
            self.before.iter().for_each(|row| step_row(row, rules, &mut self.rows));
        }
        self.rows.sort_unstable_by_key(Row::key);
        &self.rows
    }
}

/// Both lists are sorted by key. A row that is only in one of them is drawn where it is there.
fn add_pairs(before: &[Row], after: &[Row], part: f32, own: PilotId, rules: &Rules, scene: &mut Scene) {
    let mut earlier = before.iter().peekable();
    for row in after {
        while earlier.next_if(|other| other.key() < row.key()).is_some() {}
        let other = earlier.next_if(|other| other.key() == row.key()).unwrap_or(row);
        scene.add(other, row, part, own, rules);
    }
}
