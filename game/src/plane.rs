//! A plane: its row and how it flies.
//!
//! Path: `motion` and every replica call [`Plane::step`] once a tick; everything else that happens to a plane (hits, being
//! rammed, new controls) is written into its row between two steps.
//! Invariants: a plane always flies forward, never faster than `FlightRules::boost_speed` allows, never off the field; the
//! step reads this row and the rules, nothing else. A plane without health ends by its next step.

pub use crate::flight::{ENERGY_FULL, HEALTH_FULL, SPEED_MAX};

use crate::{
    bullet::{self, Bullet, GunRules, PAUSE_MAX_TICKS},
    flight::FlightRules,
    geometry::{PLANE_LENGTH_UNITS, TURN, heading_of, toward, turn_between},
    ramming::{REEL_MAX_TICKS, RammingRules},
    row_kind,
    schema::{Fields, Grid, Kind, POSITION_MAX, Row},
};
use bevy_ecs::prelude::{Component, Resource};
use glam::IVec2;
use serde::{Deserialize, Serialize};

/// Stick hard over.
pub const STEER_MAX: i32 = 7;
/// Throttle forward.
pub const THROTTLE_MAX: i32 = 2;
/// A stick that moves is read on every tick that is a multiple of this: 20 Hz. What turns is a heading, the sum of all
/// steers, so that nobody sees the difference, and two thirds of the ticks bring no news of sticks.
pub const STICK_TICKS: u32 = 3;
/// A stick that did not move for so long is read at once: the first answer to a key never waits.
pub const STICK_REST_TICKS: i32 = 12;
/// Longest protection of any rules.
pub const SHIELD_MAX_TICKS: i32 = 1023;
/// How long ahead a rammed plane's reeling is announced: the 200 ms that bullets look back too, so
/// that on a line whose round trip and buffers are shorter nothing of it has to be corrected.
pub const REEL_NOTICE_TICKS: i32 = 12;

/// What planes and bullets move by: all that the motion step reads, and what ramming does besides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Resource)]
pub struct MotionRules {
    /// The field's.
    pub grid: Grid,
    /// How planes fly.
    pub flight: FlightRules,
    /// How guns and their bullets work.
    pub guns: GunRules,
    /// What planes that touch do to each other.
    pub ramming: RammingRules,
}

impl MotionRules {
    /// How far the fastest shot gets, units: what is farther from a plane can neither hit it nor be hit by it.
    pub fn weapon_reach(&self) -> i32 {
        self.guns.reach_from(self.flight.boost_speed)
    }
}

row_kind! {
    /// A plane in the air.
    #[derive(Component)]
    pub struct Plane {
        /// Middle, units from the field's left edge.
        x: 0..=POSITION_MAX,
        /// Middle, units from the field's upper edge.
        y: 0..=POSITION_MAX,
        /// Where the nose points.
        heading: 0..=TURN - 1,
        /// 1/16 unit per tick.
        speed: 0..=SPEED_MAX,
        /// Stick, negative = left.
        steer: -STEER_MAX..=STEER_MAX,
        /// 0 slow, 1 cruise, 2 full.
        throttle: 0..=THROTTLE_MAX => 1,
        /// 1: boost is pressed.
        boost: 0..=1,
        /// 1: the trigger is pressed.
        fire: 0..=1,
        /// 0: shot down, ends by its next step.
        health: 0..=HEALTH_FULL => HEALTH_FULL,
        /// What boosting has left.
        energy: 0..=ENERGY_FULL => ENERGY_FULL,
        /// Ticks until the gun is ready.
        cooldown: 0..=PAUSE_MAX_TICKS,
        /// Ticks of protection left.
        shield: 0..=SHIELD_MAX_TICKS,
        /// Shots fired; wraps. Part of the next bullet's id.
        shots: 0..=255,
        /// Ticks until the stick has rested; see [`Plane::take_over`].
        stick_hold as "unrest": 0..=STICK_REST_TICKS,
        /// Rammed: ticks until the plane has stopped reeling, negative = to the left; see [`Plane::reel`].
        reel: -REEL_NOTICE_TICKS - REEL_MAX_TICKS..=REEL_NOTICE_TICKS + REEL_MAX_TICKS,
    }
}

/// Kind of the rows of planes.
pub const PLANE: u8 = 0;

/// The declaration of planes; the id is the pilot's.
pub const KIND: Kind = Kind {
    number: PLANE,
    name: "plane",
    id_bits: 16,
    fields: Plane::FIELDS,
    is_placed: true,
    derived: 1 << STICK_HOLD,
    derive,
};

/// Places of fields in the declaration.
const STEER: usize = 4;
const STICK_HOLD: usize = 13;

/// A stick that moved has not rested.
fn derive(before: &Fields, after: &mut Fields) {
    if after[STEER] != before[STEER] {
        after[STICK_HOLD] = STICK_REST_TICKS;
    }
}

/// The motion step of a plane's row: itself, and the bullet that it fires.
pub(crate) fn step_row(row: &Row, rules: &MotionRules, next: &mut Vec<Row>) {
    let mut plane = Plane::from_fields(&row.fields);
    if plane.health == 0 {
        return;
    }
    let bullet = plane.step(row.id, rules);
    next.push(Row::new(&KIND, row.id, plane.to_fields(), rules.grid));
    if let Some((id, bullet)) = bullet {
        next.push(Row::new(&bullet::KIND, id, bullet.to_fields(), rules.grid));
    }
}

impl Plane {
    /// A new plane at cruise, protected for `shield` ticks; `shots` goes on counting from the pilot's last plane, so that a bullet's id
    /// stays unique.
    pub fn new(at: IVec2, heading: i32, shots: i32, flight: &FlightRules, shield: i32) -> Self {
        Self {
            x: at.x,
            y: at.y,
            heading,
            speed: flight.throttle_speeds[1],
            throttle: 1,
            health: HEALTH_FULL,
            energy: ENERGY_FULL,
            shield,
            shots,
            ..Self::default()
        }
    }

    /// The middle, units.
    pub fn position(&self) -> IVec2 {
        IVec2::new(self.x, self.y)
    }

    /// Units per tick; after a step, what that step moved it by (but for the field's edge).
    pub fn velocity(&self) -> IVec2 {
        (toward(self.heading, self.speed) + 8) >> 4
    }

    /// Turn per tick with the stick hard over: the faster, the less.
    pub fn turn_rate(&self, flight: &FlightRules) -> i32 {
        let range = flight.boost_speed - flight.throttle_speeds[0];
        let below = (flight.boost_speed - self.speed).clamp(0, range);
        flight.turn_fast + (flight.turn_slow - flight.turn_fast) * below / range
    }

    /// Whether boost is pressed, has energy left, and the pilot has the engine.
    pub fn is_boosting(&self, rules: &MotionRules) -> bool {
        self.boost == 1 && self.energy >= rules.flight.boost_drain && self.reeling(rules).is_none()
    }

    /// Takes health; `true` if that was the last of it.
    pub(crate) fn hurt(&mut self, amount: i32) -> bool {
        let was_alive = self.health > 0;
        self.health = (self.health - amount).max(0);
        was_alive && self.health == 0
    }

    /// Cannot be hurt, cannot shoot.
    pub fn is_shielded(&self) -> bool {
        self.shield > 0
    }

    /// One tick of flight; `id` is the row's. Returns the bullet that was fired, with its row's id.
    pub fn step(&mut self, id: u32, rules: &MotionRules) -> Option<(u32, Bullet)> {
        self.cooldown = (self.cooldown - 1).max(0);
        self.shield = (self.shield - 1).max(0);
        self.stick_hold = (self.stick_hold - 1).max(0);
        let steer = match self.forced_steer(rules) {
            Some(steer) => {
                // It may turn as sharply as a slow plane, whatever the speed: the strip at the edge is narrow.
                self.turn(rules.flight.turn_slow * steer / STEER_MAX);
                steer
            }
            None => {
                self.turn(self.turn_rate(&rules.flight) * self.steer / STEER_MAX);
                self.steer
            }
        };
        self.accelerate(steer, rules);
        self.reel -= self.reel.signum();
        self.move_to(self.position() + self.velocity(), rules);
        self.shoot(id, rules)
    }

    /// Where it will be about when it reels, if it is rammed now, units.
    pub(crate) fn at_reeling(&self) -> IVec2 {
        self.position() + self.velocity() * REEL_NOTICE_TICKS
    }

    /// Rammed from its left or right: from [`REEL_NOTICE_TICKS`] later on, so that every client knows of it before, the
    /// plane turns away hard and its engine is throttled back, whatever its pilot does, for as long as the rules say.
    pub(crate) fn reel(&mut self, to_the_right: bool, rules: &MotionRules) {
        let ticks = REEL_NOTICE_TICKS + rules.ramming.reel;
        self.reel = if to_the_right { ticks } else { -ticks };
    }

    /// The steer of this tick if it is not the pilot's: the autopilot's at the field's edge, or that of a plane that reels.
    pub fn forced_steer(&self, rules: &MotionRules) -> Option<i32> {
        self.autopilot(rules).or_else(|| self.reeling(rules))
    }

    fn reeling(&self, rules: &MotionRules) -> Option<i32> {
        (self.reel != 0 && self.reel.abs() <= rules.ramming.reel).then_some(self.reel.signum() * STEER_MAX)
    }

    /// Moves the plane there, or as far as the field goes.
    fn move_to(&mut self, place: IVec2, rules: &MotionRules) {
        let inside = place.clamp(IVec2::ZERO, IVec2::splat(rules.grid.side_units() - 1));
        (self.x, self.y) = (inside.x, inside.y);
    }

    /// Turns the nose by this much, positive = right.
    fn turn(&mut self, by: i32) {
        self.heading = (self.heading + by).rem_euclid(TURN);
    }

    /// In the strip along the field's edge: the steer that brings the plane back; `None` if the pilot flies.
    fn autopilot(&self, rules: &MotionRules) -> Option<i32> {
        let place = self.position();
        let inside = place
            .clamp(IVec2::splat(rules.flight.border), IVec2::splat(rules.grid.side_units() - 1 - rules.flight.border));
        if inside == place {
            return None;
        }
        let turn = turn_between(self.heading, heading_of(inside - place));
        // Within an eighth of a turn of straight back in, the pilot may have the stick again.
        (turn.abs() > TURN / 8).then_some(turn.signum() * STEER_MAX)
    }

    /// Speed goes to its target as fast as thrust and drag allow; energy drains and refills.
    fn accelerate(&mut self, steer: i32, rules: &MotionRules) {
        let is_boosting = self.is_boosting(rules);
        if is_boosting {
            self.energy -= rules.flight.boost_drain;
        } else if self.boost == 0 {
            // While the button is down nothing refills, or an empty store would boost every few ticks.
            self.energy = (self.energy + rules.flight.boost_refill).min(ENERGY_FULL);
        }
        let (wanted, thrust) = if is_boosting {
            (rules.flight.boost_speed, rules.flight.boost_thrust)
        } else {
            let throttle = if self.reeling(rules).is_some() { 0 } else { self.throttle };
            (rules.flight.throttle_speeds[throttle as usize], rules.flight.thrust)
        };
        let cost = rules.flight.turn_cost * steer * steer / (STEER_MAX * STEER_MAX); // per mille
        let target = wanted - wanted * cost / 1000;
        self.speed += (target - self.speed).clamp(-rules.flight.drag, thrust);
    }

    /// Fires from the nose if the trigger is pressed, the gun ready and the plane unprotected.
    fn shoot(&mut self, id: u32, rules: &MotionRules) -> Option<(u32, Bullet)> {
        if self.fire == 0 || self.cooldown > 0 || self.is_shielded() {
            return None;
        }
        let nose = self.position() + toward(self.heading, PLANE_LENGTH_UNITS / 2);
        let bullet = Bullet::new(nose, self.heading, self.speed, rules.grid, &rules.guns);
        let bullet_id = bullet::id(id, self.shots);
        self.cooldown = rules.guns.pause;
        self.shots = (self.shots + 1) % 256;
        Some((bullet_id, bullet))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_where_their_names_say() {
        assert_eq!([STEER, STICK_HOLD].map(|place| Plane::FIELDS[place].name), ["steer", "unrest"]);
    }

    /// SPEC A5.5.
    #[test]
    fn a_rested_stick_answers_at_once_and_a_moving_one_every_third_tick() {
        let steer = |steer| crate::Controls { steer, ..crate::Controls::default() };
        let mut plane = plane_at(0, 0, 0);
        let rules = Rules::default().motion;
        let mut seen = Vec::new();
        for tick in 100..112 {
            plane.step(1, &rules);
            plane.take_over(steer((tick - 99).min(7) as i32), tick);
            seen.push(plane.steer);
        }
        assert_eq!(seen, [1, 1, 3, 3, 3, 6, 6, 6, 7, 7, 7, 7]);
        fly(&mut plane, STICK_REST_TICKS as u32, &rules);
        plane.take_over(steer(-7), 121);
        assert_eq!(plane.steer, -7);
    }
    use crate::{
        rules::Rules,
        test_support::{MIDDLE, plane_at},
    };
    use proptest::prelude::*;

    fn fly(plane: &mut Plane, ticks: u32, rules: &MotionRules) -> usize {
        (0..ticks).filter_map(|_| plane.step(1, rules)).count()
    }

    #[test]
    fn planes_always_fly_forward() {
        let rules = Rules::default().motion;
        for throttle in 0..=THROTTLE_MAX {
            for steer in -STEER_MAX..=STEER_MAX {
                let mut plane = Plane { throttle, steer, ..plane_at(0, 0, 0) };
                for _ in 0..300 {
                    let before = plane.position();
                    plane.step(1, &rules);
                    assert_eq!(plane.position() - before, plane.velocity());
                    assert!(plane.speed * 2 > rules.flight.throttle_speeds[0], "never stalls");
                }
            }
        }
    }

    #[test]
    fn throttle_sets_the_speed() {
        let rules = Rules::default().motion;
        for throttle in 0..=THROTTLE_MAX {
            let mut plane = Plane { throttle, ..plane_at(0, 0, 0) };
            fly(&mut plane, 120, &rules);
            assert_eq!(plane.speed, rules.flight.throttle_speeds[throttle as usize]);
        }
    }

    #[test]
    fn turning_hard_costs_speed_and_turning_gently_hardly_any() {
        let rules = Rules::default().motion;
        let speed_with = |steer| {
            let mut plane = Plane { steer, ..plane_at(0, 0, 0) };
            fly(&mut plane, 120, &rules);
            plane.speed
        };
        let (straight, gentle, hard) = (speed_with(0), speed_with(2), speed_with(STEER_MAX));
        assert!(hard < straight * 8 / 10 && gentle > straight * 97 / 100, "{straight} {gentle} {hard}");
    }

    #[test]
    fn the_slower_the_tighter_it_turns() {
        let rules = Rules::default().motion;
        let rates =
            [4, 7, 13].map(|lengths| Plane { speed: lengths * 546, ..plane_at(0, 0, 0) }.turn_rate(&rules.flight));
        assert!(rates.is_sorted_by(|slow, fast| slow > fast));
        let degrees_per_s = rates[1] * 360 * 60 / TURN;
        assert!((145..155).contains(&degrees_per_s), "{degrees_per_s} degrees a second at cruise");
    }

    #[test]
    fn boost_drains_gives_speed_and_refills_when_let_go() {
        let rules = Rules::default().motion;
        let mut plane = Plane { boost: 1, ..plane_at(-30, 0, 0) };
        fly(&mut plane, 60, &rules);
        assert_eq!(plane.speed, rules.flight.boost_speed);
        fly(&mut plane, 90, &rules);
        assert!(!plane.is_boosting(&rules), "the store lasts less than 2.5 s");
        assert!(plane.speed < rules.flight.boost_speed);
        plane.boost = 0;
        fly(&mut plane, 310, &rules);
        assert_eq!(plane.energy, ENERGY_FULL);
    }

    /// SPEC A4.4.
    #[test]
    fn the_autopilot_brings_everybody_back() {
        let rules = Rules::default().motion;
        for heading in (0..TURN).step_by(1024) {
            for boost in 0..=1 {
                let mut plane = Plane { boost, throttle: 2, ..plane_at(33, -33, heading) };
                let mut outside = 0;
                for _ in 0..600 {
                    plane.step(1, &rules);
                    outside = if plane.autopilot(&rules).is_some() { outside + 1 } else { 0 };
                    assert!(outside < 150, "turned back within 2.5 s");
                }
            }
        }
    }

    /// SPEC A4.6.
    #[test]
    fn a_rammed_plane_flies_on_until_the_notice_is_over_and_then_turns_away_slower() {
        let rules = Rules::default().motion;
        let (mut free, mut rammed) = (plane_at(0, 0, 0), plane_at(0, 0, 0));
        rammed.reel(false, &rules);
        for _ in 0..REEL_NOTICE_TICKS {
            free.step(1, &rules);
            rammed.step(1, &rules);
            assert_eq!(Plane { reel: 0, ..rammed }, free);
        }
        (rammed.steer, rammed.boost) = (STEER_MAX, 1);
        fly(&mut rammed, rules.ramming.reel as u32, &rules);
        assert_eq!(
            (rammed.heading, rammed.reel),
            (TURN - rules.flight.turn_slow * rules.ramming.reel, 0),
            "whatever the stick says"
        );
        assert!(rammed.speed < free.speed * 4 / 5);
        assert_eq!(rammed.energy, ENERGY_FULL, "an engine that is throttled back burns no boost");
        rammed.step(1, &rules);
        assert!(rammed.heading > TURN - rules.flight.turn_slow * rules.ramming.reel, "the pilot has the stick again");
    }

    /// SPEC A4.7.
    #[test]
    fn guns_fire_at_their_rate_but_not_under_protection() {
        let rules = Rules::default().motion;
        let mut plane = Plane { fire: 1, steer: 3, ..plane_at(0, 0, 0) };
        assert_eq!(fly(&mut plane, 90, &rules), 10);
        assert_eq!(plane.shots, 10);
        plane.shield = 90;
        assert_eq!(fly(&mut plane, 89, &rules), 0);
        assert_eq!(fly(&mut plane, 1, &rules), 1, "protection is over");
    }

    /// SPEC A4.3.
    #[test]
    fn a_plane_without_health_ends_by_its_next_step() {
        let rules = Rules::default().motion;
        let row = |health| Row::new(&KIND, 1, Plane { health, fire: 1, ..plane_at(0, 0, 0) }.to_fields(), rules.grid);
        let mut next = Vec::new();
        step_row(&row(0), &rules, &mut next);
        assert!(next.is_empty());
        step_row(&row(1), &rules, &mut next);
        assert_eq!(next.iter().map(|row| row.kind).collect::<Vec<_>>(), [PLANE, bullet::BULLET]);
    }

    /// Any values that the declaration allows, in the order of the fields.
    fn any_plane() -> impl Strategy<Value = Plane> {
        let ranges: Vec<_> = Plane::FIELDS.iter().map(|field| field.range.clone()).collect();
        ranges.prop_map(|values| {
            let mut fields = [0; crate::schema::FIELDS_MAX_COUNT];
            fields[..values.len()].copy_from_slice(&values);
            Plane::from_fields(&fields)
        })
    }

    proptest! {
        #[test]
        fn a_step_stays_within_the_declared_ranges(mut plane in any_plane(), is_extreme in any::<bool>()) {
            let rules = if is_extreme { extreme_rules() } else { Rules::default().motion };
            if let Some((_, bullet)) = plane.step(1, &rules) {
                for (field, value) in Bullet::FIELDS.iter().zip(bullet.to_fields()) {
                    prop_assert!(field.range.contains(&value), "{}: {value}", field.name);
                }
            }
            for (field, value) in Plane::FIELDS.iter().zip(plane.to_fields()) {
                prop_assert!(field.range.contains(&value), "{}: {value}", field.name);
            }
            prop_assert!(plane.position().max_element() < rules.grid.side_units());
        }
    }

    /// The fastest that a tuning file may ask for, on the smallest field.
    fn extreme_rules() -> MotionRules {
        let mut text = include_str!("../../assets/tuning.ron").to_owned();
        let changes = [
            ("cells: 10", "cells: 3"),
            ("border: 5.0", "border: 8"),
            ("boost: 13.0", "boost: 59"),
            ("speed: 26.0", "speed: 150"),
        ];
        for (from, to) in changes {
            text = text.replace(from, to);
        }
        Rules::parse(&text).unwrap().motion
    }

    #[test]
    fn nothing_leaves_the_field_even_when_it_flies_into_a_corner_at_full_boost() {
        let rules = extreme_rules();
        let mut plane =
            Plane { boost: 1, x: MIDDLE.min(rules.grid.side_units() - 1), y: 0, ..plane_at(0, 0, TURN * 7 / 8) };
        for _ in 0..1000 {
            plane.step(1, &rules);
            assert!(plane.position().min_element() >= 0 && plane.position().max_element() < rules.grid.side_units());
        }
    }
}
