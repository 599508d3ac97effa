//! A bullet: its row and how it flies: straight on, until its time is up or the field ends.
//!
//! Invariant: a bullet's id tells its shooter, and no two in the air share one (256 shots take longer than a life).

use crate::{
    flight::{self, HEALTH_FULL},
    geometry::{PLANE_LENGTH_UNITS, TURN, toward},
    row_kind,
    schema::{CELL_UNITS, Grid, Kind, POSITION_MAX, Row, nothing_is_derived},
    tuning::{LENGTH, RulesError, SECOND, TICKS_PER_S, number, share, ticks},
};
use bevy_ecs::prelude::Component;
use glam::IVec2;
use serde::{Deserialize, Serialize};

/// Fastest bullet of any rules, units per tick and axis.
pub const SPEED_MAX: i32 = 8191;
/// Longest life of any rules; below 256, so that ids stay unique.
pub const LIFE_MAX_TICKS: i32 = 255;
/// Longest pause between shots of any rules.
pub const PAUSE_MAX_TICKS: i32 = 255;
/// Fastest bullet that a tuning file may ask for, lengths per second, not counting what it inherits.
const TUNED_SPEED_MAX: f64 = 150.0;
/// With all that it inherits it stays within its declared range, and below a cell a tick.
const _: () = assert!(TUNED_SPEED_MAX as i32 * PLANE_LENGTH_UNITS / TICKS_PER_S + flight::SPEED_MAX / 16 <= SPEED_MAX);
const _: () = assert!(SPEED_MAX < CELL_UNITS);

/// How guns and their bullets work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GunRules {
    /// Ticks from shot to shot.
    pub pause: i32,
    /// Speed of a bullet, units per tick.
    pub speed: i32,
    /// Per mille of the plane's own speed that a bullet has on top.
    pub inherits: i32,
    /// Ticks that a bullet flies.
    pub life: i32,
    /// Health that a bullet takes.
    pub damage: i32,
    /// A bullet hits within this distance of a plane's middle, units.
    pub reach: i32,
}

/// The same as the tuning file says it.
#[derive(Debug, Deserialize)]
#[serde(rename = "Guns", deny_unknown_fields)]
pub(crate) struct GunTuning {
    pause: f64,
    speed: f64,
    inherits: f64,
    life: f64,
    damage: f64,
    reach: f64,
}

row_kind! {
    /// A bullet in the air.
    #[derive(Component)]
    pub struct Bullet {
        /// Units from the field's left edge.
        x: 0..=POSITION_MAX,
        /// Units from the field's upper edge.
        y: 0..=POSITION_MAX,
        /// Units per tick to the right.
        vx: -SPEED_MAX..=SPEED_MAX,
        /// Units per tick downwards.
        vy: -SPEED_MAX..=SPEED_MAX,
        /// Ticks left.
        ttl: 0..=LIFE_MAX_TICKS,
    }
}

/// Kind of the rows of bullets.
pub const BULLET: u8 = 1;

/// The declaration of bullets; see [`id`].
pub const KIND: Kind = Kind {
    number: BULLET,
    name: "bullet",
    id_bits: 24,
    fields: Bullet::FIELDS,
    is_placed: true,
    derived: 0,
    derive: nothing_is_derived,
};

/// The id of the row of a plane's shot: canonical order is by owner, then age (as far as `shots` has not wrapped).
pub fn id(plane: u32, shots: i32) -> u32 {
    plane << 8 | shots as u32
}

/// The plane that fired the bullet with this id.
pub fn owner(id: u32) -> u16 {
    (id >> 8) as u16
}

/// The motion step of a bullet's row.
pub(crate) fn step_row(row: &Row, grid: Grid, next: &mut Vec<Row>) {
    let mut bullet = Bullet::from_fields(&row.fields);
    if bullet.step(grid) {
        next.push(Row::new(&KIND, row.id, bullet.to_fields(), grid));
    }
}

impl GunRules {
    /// Checks every number and converts it.
    pub(crate) fn from_tuning(guns: &GunTuning) -> Result<Self, RulesError> {
        Ok(Self {
            pause: ticks("guns.pause", guns.pause, PAUSE_MAX_TICKS)?,
            speed: number("guns.speed", guns.speed, 1.0..=TUNED_SPEED_MAX, "lengths per second", LENGTH / SECOND)?,
            inherits: share("guns.inherits", guns.inherits)?,
            life: ticks("guns.life", guns.life, LIFE_MAX_TICKS)?,
            damage: number("guns.damage", guns.damage, 1.0..=f64::from(HEALTH_FULL), "of health", 1.0)?,
            reach: number("guns.reach", guns.reach, 0.1..=2.0, "plane lengths", LENGTH)?,
        })
    }

    /// Whether no step of a bullet can leave a field's range by these rules.
    pub(crate) fn are_sound(&self) -> bool {
        (0..=TURN).contains(&self.speed)
            && (0..=1000).contains(&self.inherits)
            && (0..=PAUSE_MAX_TICKS).contains(&self.pause)
            && (1..=LIFE_MAX_TICKS).contains(&self.life)
            && self.speed_from(flight::SPEED_MAX) <= SPEED_MAX
    }

    /// Speed of a bullet fired from a plane with this speed, in 1/16 unit per tick.
    pub(crate) fn speed_from(&self, plane_speed: i32) -> i32 {
        self.speed + plane_speed * self.inherits / 16_000
    }

    /// How far a shot from the fastest plane gets, units: what is farther from a plane can neither hit it nor be hit by it.
    pub(crate) fn reach_from(&self, plane_speed: i32) -> i32 {
        self.speed_from(plane_speed).min(SPEED_MAX) * self.life + self.reach
    }
}

impl Bullet {
    /// A bullet leaving a gun at `muzzle`; `plane_speed` in 1/16 unit per tick.
    pub(crate) fn new(muzzle: IVec2, heading: i32, plane_speed: i32, grid: Grid, guns: &GunRules) -> Self {
        let velocity = toward(heading, guns.speed_from(plane_speed));
        let inside = muzzle.clamp(IVec2::ZERO, IVec2::splat(grid.side_units() - 1));
        Self { x: inside.x, y: inside.y, vx: velocity.x, vy: velocity.y, ttl: guns.life }
    }

    /// Units from the field's upper left corner.
    pub fn position(&self) -> IVec2 {
        IVec2::new(self.x, self.y)
    }

    /// Units per tick.
    pub fn velocity(&self) -> IVec2 {
        IVec2::new(self.vx, self.vy)
    }

    /// One tick of flight; `false` if it ends here.
    pub fn step(&mut self, grid: Grid) -> bool {
        let place = self.position() + self.velocity();
        let side = 0..grid.side_units();
        (self.x, self.y, self.ttl) = (place.x, place.y, self.ttl - 1);
        self.ttl > 0 && side.contains(&self.x) && side.contains(&self.y)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{plane::MotionRules, rules::Rules, test_support::MIDDLE};

    #[test]
    fn a_bullet_flies_straight_on_and_expires() {
        let MotionRules { grid, guns, .. } = Rules::default().motion;
        let mut bullet = Bullet::new(IVec2::splat(MIDDLE), 0, 0, grid, &guns);
        let steps = (1..).find(|_| !bullet.step(grid)).unwrap();
        assert_eq!(steps, guns.life);
        assert_eq!(bullet.position(), IVec2::new(MIDDLE + steps * guns.speed, MIDDLE));
    }

    #[test]
    fn a_bullet_ends_with_the_field() {
        let MotionRules { grid, guns, .. } = Rules::default().motion;
        let mut bullet = Bullet::new(IVec2::new(100, 100), TURN / 2, 0, grid, &guns);
        assert!(!bullet.step(grid));
    }

    #[test]
    fn an_id_tells_the_owner() {
        assert_eq!(owner(id(65_535, 255)), 65_535);
        assert_eq!(id(65_535, 255) >> KIND.id_bits, 0);
    }
}
