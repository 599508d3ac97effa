//! Randomness without state: a number is a function of where it is used.
//!
//! Invariant: nothing is drawn in an order, so that who asks first can never matter.

/// What a random number is for, so that two uses at one tick by one id are independent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Purpose {
    /// Candidates of a place to spawn: this one and the ones after it.
    SpawnPlace = 0x100,
    /// A computer pilot's character.
    Skill = 0x200,
    /// Where to, when nobody is in sight.
    WanderX,
    WanderY,
    /// By how much it misses.
    Aim,
    /// Whether it holds the trigger just now.
    Burst,
    /// Whether it notices a chaser.
    Break,
    /// Which way it breaks away.
    BreakSide,
}

/// A number for this use: all 64 bits are equally good.
pub(crate) fn rand(seed: u64, tick: u32, id: u32, purpose: u32) -> u64 {
    mix(mix(seed ^ (u64::from(tick) << 32 | u64::from(id))).wrapping_add(u64::from(purpose)))
}

/// The finaliser of SplitMix64: Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014.
fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_argument_matters_and_bits_are_even() {
        let base = rand(1, 2, 3, 4);
        for other in [rand(2, 2, 3, 4), rand(1, 3, 3, 4), rand(1, 2, 4, 4), rand(1, 2, 3, 5)] {
            assert_ne!(base, other);
        }
        let ones: u32 = (0..1000).map(|tick| rand(7, tick, 1, 1).count_ones()).sum();
        assert!((31_000..33_000).contains(&ones), "{ones} of 64000 bits");
    }
}
