//! A bullet: its row and how it flies: straight on, until its time is up or the field ends.
//!
//! Invariant: a bullet's id tells its shooter, and no two in the air share one (256 shots take longer than a life).

use crate::{
    geometry::toward,
    row_kind,
    rules::Rules,
    schema::{Kind, POSITION_MAX, Row, nothing_is_derived},
};
use bevy_ecs::prelude::Component;
use glam::IVec2;

/// Fastest bullet of any rules, units per tick and axis.
pub const SPEED_MAX: i32 = 8191;
/// Longest life of any rules; below 256, so that ids stay unique.
pub const LIFE_MAX_TICKS: i32 = 255;

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

/// How far the fastest shot gets, units: what is farther from a plane can neither hit it nor be hit by it.
pub fn reach(rules: &Rules) -> i32 {
    let fastest = rules.bullet_speed + rules.boost_speed * rules.bullet_inherits / 16_000;
    fastest.min(SPEED_MAX) * rules.bullet_life + rules.bullet_reach
}

/// The motion step of a bullet's row.
pub(crate) fn step_row(row: &Row, rules: &Rules, next: &mut Vec<Row>) {
    let mut bullet = Bullet::from_fields(&row.fields);
    if bullet.step(rules) {
        next.push(Row::new(&KIND, row.id, bullet.to_fields(), rules.grid));
    }
}

impl Bullet {
    /// A bullet leaving a gun at `muzzle`; `plane_speed` in 1/16 unit per tick.
    pub(crate) fn new(muzzle: IVec2, heading: i32, plane_speed: i32, rules: &Rules) -> Self {
        let velocity = toward(heading, rules.bullet_speed + plane_speed * rules.bullet_inherits / 16_000);
        let inside = muzzle.clamp(IVec2::ZERO, IVec2::splat(rules.grid.side_units() - 1));
        Self { x: inside.x, y: inside.y, vx: velocity.x, vy: velocity.y, ttl: rules.bullet_life }
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
    pub fn step(&mut self, rules: &Rules) -> bool {
        let place = self.position() + self.velocity();
        let side = 0..rules.grid.side_units();
        (self.x, self.y, self.ttl) = (place.x, place.y, self.ttl - 1);
        self.ttl > 0 && side.contains(&self.x) && side.contains(&self.y)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{geometry::TURN, test_support::MIDDLE};

    #[test]
    fn a_bullet_flies_straight_on_and_expires() {
        let rules = Rules::default();
        let mut bullet = Bullet::new(IVec2::splat(MIDDLE), 0, 0, &rules);
        let steps = (1..).find(|_| !bullet.step(&rules)).unwrap();
        assert_eq!(steps, rules.bullet_life);
        assert_eq!(bullet.position(), IVec2::new(MIDDLE + steps * rules.bullet_speed, MIDDLE));
    }

    #[test]
    fn a_bullet_ends_with_the_field() {
        let rules = Rules::default();
        let mut bullet = Bullet::new(IVec2::new(100, 100), TURN / 2, 0, &rules);
        assert!(!bullet.step(&rules));
    }

    #[test]
    fn an_id_tells_the_owner() {
        assert_eq!(owner(id(65_535, 255)), 65_535);
        assert_eq!(id(65_535, 255) >> KIND.id_bits, 0);
    }
}
