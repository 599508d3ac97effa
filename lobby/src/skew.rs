//! Clocks of machines that differ from the lobby's.
//!
//! Path: each status says the machine's time → [`Skews::hear`] → a metric, and a warning once in a while.
//! Invariants: a difference counts only as far as the time of the question cannot explain it; bounded.
//! Never: decides anything. A machine that is far off refuses to start by itself, or what the lobby signs.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// A difference that is worth a warning.
const WARNED_MS: i64 = 2_000;
/// What was heard longer ago says nothing any more; and shortest time between two warnings about a machine.
const HEARD_MAX: Duration = Duration::from_secs(60);

/// See the module.
#[derive(Debug, Default)]
pub struct Skews {
    /// By instance.
    heard: Mutex<HashMap<String, Skew>>,
    /// When a warning about an instance was given.
    warned: Mutex<HashMap<String, Instant>>,
}

#[derive(Debug)]
struct Skew {
    ahead_ms: i64,
    at: Instant,
}

impl Skews {
    /// A machine's clock said `its_ms` between two moments of ours. Returns the largest difference of all, ms.
    pub fn hear(&self, instance: &str, its_ms: u64, asked_ms: u64, now_ms: u64, now: Instant) -> i64 {
        let ahead_ms = 0_i64.clamp(its_ms as i64 - now_ms.max(asked_ms) as i64, its_ms as i64 - asked_ms as i64);
        let mut heard = self.heard.lock().expect("nobody panics while noting a clock");
        heard.retain(|_, skew| now.saturating_duration_since(skew.at) < HEARD_MAX);
        heard.insert(instance.to_owned(), Skew { ahead_ms, at: now });
        if ahead_ms.abs() > WARNED_MS && self.may_warn(instance, now) {
            let (difference_s, side) = (ahead_ms.abs() / 1_000, if ahead_ms > 0 { "ahead of" } else { "behind" });
            tracing::warn!(instance, "a machine's clock is {difference_s} s {side} the lobby's: set both by NTP");
        }
        heard.values().map(|skew| skew.ahead_ms).max_by_key(|ahead_ms| ahead_ms.abs()).unwrap_or(0)
    }

    /// Whether a machine may be warned of now; that is noted.
    pub fn may_warn(&self, instance: &str, now: Instant) -> bool {
        let mut warned = self.warned.lock().expect("nobody panics while noting a warning");
        warned.retain(|_, at| now.saturating_duration_since(*at) < HEARD_MAX);
        let may_warn = !warned.contains_key(instance);
        if may_warn {
            warned.insert(instance.to_owned(), now);
        }
        may_warn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_difference_that_a_question_does_not_explain_is_known_for_a_while() {
        let (skews, began) = (Skews::default(), Instant::now());
        let hear = |instance: &str, its_ms, after_s| {
            skews.hear(instance, its_ms, 100_000, 100_300, began + Duration::from_secs(after_s))
        };
        assert_eq!(hear("m1", 100_200, 0), 0);
        assert_eq!(hear("m2", 108_300, 0), 8_000);
        assert_eq!(hear("m3", 95_000, 1), 8_000, "the others are nearer");
        assert_eq!(hear("m4", 80_000, 2), -20_000);
        assert_eq!(hear("m1", 100_200, 61), -20_000);
        assert_eq!(hear("m1", 100_200, 90), 0, "they have said nothing for long");
        let warned = |after_s| skews.may_warn("m5", began + Duration::from_secs(after_s));
        assert_eq!([0, 59, 60].map(warned), [true, false, true]);
    }
}
