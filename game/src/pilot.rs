//! A computer pilot: a pure policy from what a player may see to what a player may do. Fillers, swarms and simulations
//! fly by it.
//!
//! Path: every few ticks [`decide`] looks around once, then takes the first of: keep off the edge, avoid a crash, break
//! away from a chaser, chase, wander.
//! Invariants: it knows only the planes in view; it remembers nothing (chance is a function of seed, tick and id); it
//! leaves the controls alone between its decisions, since every change of controls costs bytes for everybody.

use crate::{
    controls::Controls,
    geometry::{PLANE_LENGTH_UNITS, TURN, heading_of, squared, toward, turn_between},
    plane::{ENERGY_FULL, MotionRules, Plane},
    random::{Purpose, rand},
    rules::Rules,
};
use glam::IVec2;

/// A pilot decides once in so many ticks (slow ones in twice as many), each at its own ones.
pub const DECISION_TICKS: u32 = 3;

const LENGTH: i32 = PLANE_LENGTH_UNITS;
const DEGREE: i32 = TURN / 360;
/// How far ahead it looks for the edge of the field.
const EDGE_TICKS: i32 = 55;
/// How far ahead it looks for a crash.
const CRASH_TICKS: i64 = 40;
/// Farther than this nobody is a danger.
const NEAR_UNITS: i64 = 8 * LENGTH as i64;
/// Nearer than this is a crash.
const CRASH_UNITS: i64 = LENGTH as i64 * 13 / 10;

/// What the pilot `id`, flying `me`, does next, seeing the `others` (those in the 5 × 5 cells around; not itself).
pub fn decide(
    me: &Plane,
    id: u16,
    others: &mut dyn Iterator<Item = (u16, Plane)>,
    rules: &Rules,
    tick: u32,
    seed: u64,
) -> Controls {
    let mind = Mind { id, tick, seed };
    let now = Controls::of(me);
    if !(tick + u32::from(id)).is_multiple_of(mind.decision_ticks()) {
        return now;
    }
    let rules = &rules.motion;
    let sight = Sight::of(me, others, rules, mind.eyes());
    let intent = keep_off_the_edge(me, rules)
        .or_else(|| sight.crash.map(|crash| avoid(me, crash)))
        .or_else(|| sight.chaser.and_then(|chaser| break_away(me, chaser, &sight, mind)))
        .or_else(|| sight.target.map(|target| chase(me, &target, rules, mind)))
        .unwrap_or_else(|| wander(me, rules, mind));
    intent.fly(me, now, rules)
}

/// A pilot's character and chances.
#[derive(Debug, Clone, Copy)]
struct Mind {
    id: u16,
    tick: u32,
    seed: u64,
}

impl Mind {
    /// 0 = beginner ..= 3 = ace. It is the pilot's for life.
    fn skill(self) -> i32 {
        (rand(self.seed, 0, self.id.into(), Purpose::Skill as u32) % 4) as i32
    }

    fn decision_ticks(self) -> u32 {
        if self.skill() < 2 { 2 * DECISION_TICKS } else { DECISION_TICKS }
    }

    /// How far away somebody still interests it, units.
    fn eyes(self) -> i32 {
        (12 + 2 * self.skill()) * LENGTH
    }

    /// A number 0..`below` that stays the same for `ticks`.
    fn chance(self, purpose: Purpose, ticks: u32, below: i32) -> i32 {
        // Shifted by the id, or all pilots would change their minds at once.
        let period = (self.tick + u32::from(self.id) * 7) / ticks;
        (rand(self.seed, period, self.id.into(), purpose as u32) % below as u64) as i32
    }

    fn misses_by(self) -> i32 {
        let most = (9 - 2 * self.skill()) * DEGREE;
        self.chance(Purpose::Aim, 32, 2 * most + 1) - most
    }
}

/// What matters of what is in view.
#[derive(Debug, Default)]
struct Sight {
    /// The one easiest to get at.
    target: Option<Plane>,
    /// The nearest that comes from behind.
    chaser: Option<Plane>,
    /// The nearest that would be hit soon.
    crash: Option<Plane>,
}

impl Sight {
    fn of(me: &Plane, others: &mut dyn Iterator<Item = (u16, Plane)>, rules: &MotionRules, eyes: i32) -> Self {
        let mut sight = Self::default();
        let (mut target_cost, mut chaser_range, mut crash_range) = (i64::MAX, i64::MAX, i64::MAX);
        let nose = toward(me.heading, LENGTH);
        for (_, plane) in others {
            let offset = plane.position() - me.position();
            if plane.health == 0 || offset.abs().max_element() > eyes {
                continue; // most are too far away: this is what a thousand pilots spend their time on
            }
            let range = squared(offset).isqrt();
            let is_ahead = dot(nose, offset) > 0;
            let cost = if is_ahead { range } else { range * 3 / 2 };
            if !plane.is_shielded() && cost < target_cost {
                (target_cost, sight.target) = (cost, Some(plane));
            }
            if range > NEAR_UNITS {
                continue;
            }
            if !is_ahead && range < chaser_range && aims_at(&plane, -offset, range) {
                (chaser_range, sight.chaser) = (range, Some(plane));
            }
            if range < crash_range && is_crash(me, &plane, offset, rules) {
                (crash_range, sight.crash) = (range, Some(plane));
            }
        }
        sight
    }
}

/// Whether `plane`'s nose points along `offset` (within 25°).
fn aims_at(plane: &Plane, offset: IVec2, range: i64) -> bool {
    dot(toward(plane.heading, LENGTH), offset) * 100 > 90 * range * i64::from(LENGTH)
}

/// Whether both would come too close soon if they flew straight on.
fn is_crash(me: &Plane, plane: &Plane, offset: IVec2, rules: &MotionRules) -> bool {
    let reach = CRASH_UNITS.max(2 * i64::from(rules.ramming.reach));
    let way = plane.velocity() - me.velocity();
    let ticks = (-dot(offset, way) / squared(way).max(1)).clamp(0, CRASH_TICKS) as i32;
    ticks > 0 && squared(offset + way * ticks) < reach * reach
}

fn dot(a: IVec2, b: IVec2) -> i64 {
    i64::from(a.x) * i64::from(b.x) + i64::from(a.y) * i64::from(b.y)
}

/// Where to and how.
#[derive(Debug, Clone, Copy)]
struct Intent {
    heading: i32,
    throttle: i32,
    boost: bool,
    fire: bool,
}

impl Intent {
    fn fly(self, me: &Plane, now: Controls, rules: &MotionRules) -> Controls {
        let Self { heading, throttle, boost, fire } = self;
        let rate = me.turn_rate(&rules.flight) * DECISION_TICKS as i32;
        let wanted = Controls::steer_towards(me.heading, heading, rate);
        // A notch more or less is not worth a change, but straight on is.
        let is_close = wanted != 0 && (wanted - now.steer).abs() == 1;
        Controls { steer: if is_close { now.steer } else { wanted }, throttle, boost, fire }
    }
}

fn keep_off_the_edge(me: &Plane, rules: &MotionRules) -> Option<Intent> {
    let margin = rules.flight.border + LENGTH;
    let soon = me.position() + me.velocity() * EDGE_TICKS;
    let inside = soon.clamp(IVec2::splat(margin), IVec2::splat(rules.grid.side_units() - margin));
    let middle = IVec2::splat(rules.grid.side_units() / 2);
    let heading = heading_of(middle - me.position());
    (inside != soon).then_some(Intent { heading, throttle: 1, boost: false, fire: false })
}

/// Turns away from the side on which the other one is.
fn avoid(me: &Plane, crash: Plane) -> Intent {
    let bearing = turn_between(me.heading, heading_of(crash.position() - me.position()));
    let away = if bearing >= 0 { -TURN / 4 } else { TURN / 4 };
    let is_in_sights = bearing.abs() < 4 * DEGREE && !crash.is_shielded();
    Intent { heading: me.heading + away, throttle: 1, boost: false, fire: is_in_sights }
}

/// Turns hard to a side of its choice, unless it is busy with somebody in front, or does not notice.
fn break_away(me: &Plane, chaser: Plane, sight: &Sight, mind: Mind) -> Option<Intent> {
    let is_busy = sight.target.is_some_and(|target| {
        let offset = target.position() - me.position();
        squared(offset) < squared(chaser.position() - me.position())
            && turn_between(me.heading, heading_of(offset)).abs() < 30 * DEGREE
    });
    let notices = mind.chance(Purpose::Break, 45, 8) < 2 + 2 * mind.skill();
    let side = if mind.chance(Purpose::BreakSide, 45, 2) == 0 { -TURN / 4 } else { TURN / 4 };
    let boost = me.energy > ENERGY_FULL / 4 && mind.skill() > 0;
    (notices && !is_busy).then_some(Intent { heading: me.heading + side, throttle: 2, boost, fire: false })
}

/// Flies at where the target will be when a bullet arrives, and shoots when that is in its sights.
fn chase(me: &Plane, target: &Plane, rules: &MotionRules, mind: Mind) -> Intent {
    let bullet_speed = rules.guns.speed_from(me.speed);
    let distance = squared(target.position() - me.position()).isqrt() as i32;
    let flight_ticks = (distance / bullet_speed).min(rules.guns.life);
    let lead = target.position() + target.velocity() * flight_ticks - me.position();
    let heading = heading_of(lead) + mind.misses_by();
    let off = turn_between(me.heading, heading).abs();
    let range = bullet_speed * rules.guns.life * (5 + mind.skill()) / 10;
    let holds_trigger = mind.chance(Purpose::Burst, 24, 10) < 6 + mind.skill();
    let is_on_tail = turn_between(me.heading, target.heading).abs() < 60 * DEGREE;
    Intent {
        heading,
        throttle: match distance / LENGTH {
            0..4 if is_on_tail => 0,
            0..8 => 1,
            _ => 2,
        },
        boost: distance > 9 * LENGTH && off < 25 * DEGREE && me.energy > boost_reserve(me),
        fire: off < 5 * DEGREE && distance < range && holds_trigger,
    }
}

/// Wanders over the field, more often than not towards the middle.
fn wander(me: &Plane, rules: &MotionRules, mind: Mind) -> Intent {
    let room = rules.grid.side_units() - 4 * rules.flight.border;
    let place =
        IVec2::new(mind.chance(Purpose::WanderX, 240, room.max(1)), mind.chance(Purpose::WanderY, 240, room.max(1)))
            + 2 * rules.flight.border;
    Intent { heading: heading_of(place - me.position()), throttle: 1, boost: false, fire: false }
}

/// Once boosting it goes on until a quarter is left; it starts only with plenty.
fn boost_reserve(me: &Plane) -> i32 {
    if me.boost == 1 { ENERGY_FULL / 4 } else { ENERGY_FULL * 3 / 4 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::plane_at;

    /// What the pilots 1..=40 do in this situation, at a tick at which each decides.
    fn all_decide(me: Plane, others: &[Plane]) -> Vec<Controls> {
        let rules = Rules::default();
        let decide_at = |id: u16, tick| {
            let mut others = (100..).zip(others.iter().copied());
            decide(&me, id, &mut others, &rules, tick, 7)
        };
        (1..=40).map(|id| decide_at(id, 600 - u32::from(id))).collect()
    }

    fn share(controls: &[Controls], does: impl Fn(&Controls) -> bool) -> f32 {
        controls.iter().filter(|controls| does(controls)).count() as f32 / controls.len() as f32
    }

    #[test]
    fn shoots_at_what_is_in_its_sights_but_not_always_well() {
        let shooting = share(&all_decide(plane_at(0, 0, 0), &[plane_at(5, 0, 0)]), |controls| controls.fire);
        assert!((0.2..0.9).contains(&shooting), "{shooting} of them fire");
    }

    #[test]
    fn never_shoots_at_nothing_or_at_the_protected() {
        let shielded = Plane { shield: 50, ..plane_at(5, 0, 0) };
        for others in [&[][..], &[shielded], &[plane_at(-5, 0, 0)]] {
            assert_eq!(share(&all_decide(plane_at(0, 0, 0), others), |controls| controls.fire), 0.0);
        }
    }

    #[test]
    fn turns_towards_its_target_and_leads_it() {
        let to_the_right = share(&all_decide(plane_at(0, 0, 0), &[plane_at(6, 6, 0)]), |controls| controls.steer > 0);
        assert_eq!(to_the_right, 1.0);
        // It crosses from left to right: straight ahead now, but not when a bullet gets there.
        let crossing = all_decide(plane_at(0, 0, 0), &[plane_at(9, 0, TURN / 4)]);
        assert!(share(&crossing, |controls| controls.steer > 0) > 0.8);
    }

    #[test]
    fn some_break_away_from_a_chaser() {
        let chased = all_decide(plane_at(0, 0, 0), &[plane_at(-4, 0, 0)]);
        let boosting = share(&chased, |controls| controls.boost);
        assert!((0.2..0.9).contains(&boosting), "{boosting} of them");
    }

    #[test]
    fn avoids_a_head_on_crash_and_the_edge() {
        let head_on = all_decide(plane_at(0, 0, 0), &[plane_at(6, 0, TURN / 2)]);
        assert_eq!(share(&head_on, |controls| controls.steer.abs() == 7), 1.0);
        let at_the_edge = all_decide(plane_at(30, 5, 0), &[]);
        assert_eq!(share(&at_the_edge, |controls| controls.steer.abs() == 7), 1.0);
    }

    #[test]
    fn leaves_the_controls_alone_between_decisions() {
        let rules = Rules::default();
        let me = Plane { steer: 3, throttle: 2, fire: 1, ..plane_at(30, 5, 0) };
        let decides = |tick| decide(&me, 9, &mut std::iter::empty(), &rules, tick, 7) != Controls::of(&me);
        let decisions = (0..60).filter(|tick| decides(*tick)).count();
        assert!(decisions == 10 || decisions == 20, "{decisions} decisions a second");
    }
}
