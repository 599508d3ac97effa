//! Clock skew: how far the machines' clocks are from the lobby's.
//!
//! Path: each status answer has the machine's time → [`ClockSkews::observe`] → a metric, and a warning now and then.
//! Invariants: a difference counts only as far as the duration of the request does not explain it; bounded.
//! Never: decides anything. A machine whose clock is far off refuses to start, or refuses what the lobby signs.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// A difference that is worth a warning.
const WARNED_MS: i64 = 2_000;
/// Older observations do not count any more; also the shortest time between two warnings about a machine.
const OBSERVED_MAX: Duration = Duration::from_secs(60);

/// See the module.
#[derive(Debug, Default)]
pub struct ClockSkews {
    /// By instance.
    observed: Mutex<HashMap<String, ClockSkew>>,
    /// When a warning about an instance was given.
    warned: Mutex<HashMap<String, Instant>>,
}

#[derive(Debug)]
struct ClockSkew {
    ahead_ms: i64,
    at: Instant,
}

impl ClockSkews {
    /// A machine's clock read `its_ms` between two moments of ours. Returns the largest difference of all machines, ms.
    pub fn observe(&self, instance: &str, its_ms: u64, asked_ms: u64, now_ms: u64, now: Instant) -> i64 {
        let ahead_ms = 0_i64.clamp(its_ms as i64 - now_ms.max(asked_ms) as i64, its_ms as i64 - asked_ms as i64);
        let mut observed = self.observed.lock().expect("nobody panics while noting a clock");
        observed.retain(|_, skew| now.saturating_duration_since(skew.at) < OBSERVED_MAX);
        observed.insert(instance.to_owned(), ClockSkew { ahead_ms, at: now });
        if ahead_ms.abs() > WARNED_MS && self.may_warn(instance, now) {
            let (difference_s, side) = (ahead_ms.abs() / 1_000, if ahead_ms > 0 { "ahead of" } else { "behind" });
            tracing::warn!(instance, "a machine's clock is {difference_s} s {side} the lobby's: set both by NTP");
        }
        observed.values().map(|skew| skew.ahead_ms).max_by_key(|ahead_ms| ahead_ms.abs()).unwrap_or(0)
    }

    /// Whether a machine may be warned of now; that is noted.
    pub fn may_warn(&self, instance: &str, now: Instant) -> bool {
        let mut warned = self.warned.lock().expect("nobody panics while noting a warning");
        warned.retain(|_, at| now.saturating_duration_since(*at) < OBSERVED_MAX);
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
    fn the_largest_difference_that_a_request_does_not_explain_is_known_for_a_while() {
        let (skews, began) = (ClockSkews::default(), Instant::now());
        let observe = |instance: &str, its_ms, after_s| {
            skews.observe(instance, its_ms, 100_000, 100_300, began + Duration::from_secs(after_s))
        };
        assert_eq!(observe("m1", 100_200, 0), 0);
        assert_eq!(observe("m2", 108_300, 0), 8_000);
        assert_eq!(observe("m3", 95_000, 1), 8_000, "the others are nearer");
        assert_eq!(observe("m4", 80_000, 2), -20_000);
        assert_eq!(observe("m1", 100_200, 61), -20_000);
        assert_eq!(observe("m1", 100_200, 90), 0, "they have said nothing for long");
        let warned = |after_s| skews.may_warn("m5", began + Duration::from_secs(after_s));
        assert_eq!([0, 59, 60].map(warned), [true, false, true]);
    }
}
