//! Lengths and headings in integers, with the little trigonometry that the rules need.
//!
//! Invariants: positions are whole units (a plane is [`PLANE_LENGTH_UNITS`] long), y grows downwards; every platform gets the
//! same results.

use glam::IVec2;

/// Length of a plane: positions are finer than 1/2000 of it.
pub const PLANE_LENGTH_UNITS: i32 = 2048;
/// A full turn of a heading: 16 bits, 0 = east, a quarter turn = south (y grows downwards, as on a screen).
pub const TURN: i32 = 65_536;

/// `length` units in the direction of `heading`, rounded towards zero; |length| ≤ 2^17.
pub fn toward(heading: i32, length: i32) -> IVec2 {
    let scaled = |sine: i32| (i64::from(sine) * i64::from(length) / i64::from(SINE_ONE)) as i32;
    IVec2::new(scaled(sine(heading + TURN / 4)), scaled(sine(heading)))
}

/// What [`sine`] returns for a quarter turn.
pub const SINE_ONE: i32 = 1 << 14;
/// Steps of the table a quarter turn.
const SINE_STEPS: usize = 256;

/// Sine of a heading, scaled by [`SINE_ONE`], off by at most 1; integers only, so that every platform agrees.
pub fn sine(heading: i32) -> i32 {
    let heading = heading.rem_euclid(TURN);
    let quarter = heading % (TURN / 4);
    let rising = if heading / (TURN / 4) % 2 == 0 { quarter } else { TURN / 4 - quarter };
    let per_step = TURN / 4 / SINE_STEPS as i32;
    let (index, part) = ((rising / per_step) as usize, rising % per_step);
    let (low, high) = (SINES[index], SINES[(index + 1).min(SINE_STEPS)]);
    let value = low + (high - low) * part / per_step;
    if heading < TURN / 2 { value } else { -value }
}

/// A quarter wave, computed at compile time with the Taylor series in 2^-30 fixed point.
static SINES: [i32; SINE_STEPS + 1] = {
    const ONE: i64 = 1 << 30;
    const HALF_PI: i64 = 1_686_629_713; // π/2 · 2^30
    let mut table = [0; SINE_STEPS + 1];
    let mut i = 0;
    while i <= SINE_STEPS {
        let x = HALF_PI * i as i64 / SINE_STEPS as i64;
        let square = x * x / ONE;
        let (mut term, mut sum, mut n) = (x, x, 1);
        while n < 8 {
            term = -(term * square / ONE) / (2 * n * (2 * n + 1));
            sum += term;
            n += 1;
        }
        table[i] = ((sum * SINE_ONE as i64 + ONE / 2) / ONE) as i32;
        i += 1;
    }
    table
};

/// The heading from the origin towards `to`, 0..TURN; 0 for the origin itself. Off by at most 1/1000 of a turn.
///
/// Integer arctangent with the polynomial of Rajan et al., "Efficient Approximations for the Arctangent Function",
/// IEEE Signal Processing Magazine 23(3), 2006: atan(z) ≈ z·(π/4 + 0.273·(1 − z)) for 0 ≤ z ≤ 1.
pub fn heading_of(to: IVec2) -> i32 {
    let (x, y) = (i64::from(to.x).abs(), i64::from(to.y).abs());
    if x == 0 && y == 0 {
        return 0;
    }
    let (small, large) = (x.min(y), x.max(y));
    let ratio = small * 4096 / large; // z in 2^-12
    // Eighth of a turn = π/4; 0.273 rad = 2847.6 heading units.
    let octant = (ratio * (8192 + 2848 * (4096 - ratio) / 4096) / 4096) as i32;
    let quarter = if y > x { TURN / 4 - octant } else { octant };
    let half = if to.x < 0 { TURN / 2 - quarter } else { quarter };
    (if to.y < 0 { -half } else { half }).rem_euclid(TURN)
}

/// The turn from heading `from` to heading `to`, the short way: -TURN/2 ..TURN/2.
pub fn turn_between(from: i32, to: i32) -> i32 {
    (to - from + TURN / 2).rem_euclid(TURN) - TURN / 2
}

/// The square of a vector's length; of any two positions' difference without overflow.
pub fn squared(of: IVec2) -> i64 {
    i64::from(of.x) * i64::from(of.x) + i64::from(of.y) * i64::from(of.y)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SPEC A4.1 and A4.2.
    #[test]
    fn sine_and_heading_agree_with_the_real_ones() {
        for heading in (0..TURN).step_by(7) {
            let angle = f64::from(heading) / f64::from(TURN) * std::f64::consts::TAU;
            assert!((f64::from(sine(heading)) - angle.sin() * f64::from(SINE_ONE)).abs() < 1.6, "sine of {heading}");
            let back = heading_of(toward(heading, 100_000));
            assert!(turn_between(heading, back).abs() <= TURN / 1000, "{heading} came back as {back}");
        }
        assert_eq!((sine(TURN / 4), sine(TURN / 2), sine(-TURN / 4)), (SINE_ONE, 0, -SINE_ONE));
    }
}
