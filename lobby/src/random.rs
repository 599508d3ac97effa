//! Randomness from the operating system: nonces and jitter.

use std::time::Duration;

/// A number nobody can guess and that practically never comes twice.
pub fn nonce() -> u64 {
    getrandom::u64().expect("the operating system has randomness")
}

/// A duration between `base` and one and a half times `base`, so that many lobbies do not act in step.
pub fn jittered(base: Duration) -> Duration {
    let share = nonce() as f64 / u64::MAX as f64;
    base.mul_f64(1.0 + share / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_only_ever_delays_and_only_by_half() {
        let base = Duration::from_secs(2);
        assert!((0..100).map(|_| jittered(base)).all(|d| d >= base && d <= base.mul_f64(1.5)));
        assert_ne!(nonce(), nonce());
    }
}
