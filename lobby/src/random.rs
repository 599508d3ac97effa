//! Randomness from the operating system: nonces, names and jitter.

use std::time::Duration;

/// A number nobody can guess and that practically never comes twice.
pub fn nonce() -> u64 {
    getrandom::u64().expect("the operating system has randomness")
}

/// `count` letters and digits (RFC 4648's base 32, five bits each) that nobody can guess.
pub fn letters(count: usize) -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let mut bytes = vec![0; count];
    getrandom::fill(&mut bytes).expect("the operating system has randomness");
    bytes.into_iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)])).collect()
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
