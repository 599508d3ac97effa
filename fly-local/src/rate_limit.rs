//! The Machines API's rate limits, as Fly documents them.
//!
//! Path: the API asks [`RateLimiter::allow`] before it handles a request.
//! Invariants: one bucket per action and identifier, which method and path spell; memory is bounded. A bucket is the
//! moment at which it will be full again (the generic cell rate algorithm), so there is nothing to refill.
//! Never: reads a clock or waits; who asks too often is refused.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Buckets remembered. Policy: those that are full again are forgotten, and if none is, all are.
const BUCKETS_MAX: usize = 4_096;

/// A rate, as Fly documents it.
#[derive(Clone, Copy)]
struct Rate {
    interval: Duration,
    burst: u32,
}

/// Any action on one machine or app.
const ACTION: Rate = Rate { interval: Duration::from_secs(1), burst: 3 };
/// Looking at one machine.
const MACHINE_SHOW: Rate = Rate { interval: Duration::from_millis(200), burst: 10 };
/// Deleting apps, all together.
const APP_DELETION: Rate = Rate { interval: Duration::from_millis(600), burst: 100 };

/// The buckets of all actions: when each will be full again, if nobody takes from it.
#[derive(Debug, Default)]
pub(crate) struct RateLimiter(Mutex<HashMap<String, Instant>>);

impl RateLimiter {
    /// Whether one more request of `method` to `path` is within its rate; counts it if so.
    pub(crate) fn allow(&self, method: &str, path: &str, now: Instant) -> bool {
        let depth = path.trim_matches('/').split('/').count();
        let (rate, key) = match (method, depth) {
            ("DELETE", 3) => (APP_DELETION, "DELETE app".to_owned()),
            // v1/apps/<app>/machines/<id>
            ("GET", 5) => (MACHINE_SHOW, format!("GET {path}")),
            _ => (ACTION, format!("{method} {path}")),
        };
        let mut buckets = self.0.lock().expect("nobody panics while holding the buckets");
        if buckets.len() >= BUCKETS_MAX {
            buckets.retain(|_, full_at| *full_at > now);
            if buckets.len() >= BUCKETS_MAX {
                buckets.clear();
            }
        }
        let bucket = buckets.entry(key).or_insert(now);
        let full_at = (*bucket).max(now) + rate.interval;
        let is_allowed = full_at <= now + rate.interval * rate.burst;
        if is_allowed {
            *bucket = full_at;
        }
        is_allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(rates: &RateLimiter, method: &str, path: &str, now: Instant) -> usize {
        (0..200).filter(|_| rates.allow(method, path, now)).count()
    }

    #[test]
    fn a_burst_then_one_a_second_for_each_action_and_machine() {
        let (rates, now) = (RateLimiter::default(), Instant::now());
        let start = "/v1/apps/game/machines/a/start";
        assert_eq!(allowed(&rates, "POST", start, now), 3);
        assert_eq!(allowed(&rates, "POST", "/v1/apps/game/machines/b/start", now), 3, "another machine");
        assert_eq!(allowed(&rates, "POST", "/v1/apps/game/machines/a/stop", now), 3, "another action");
        assert_eq!(allowed(&rates, "POST", start, now + Duration::from_secs(2)), 2);
        assert_eq!(allowed(&rates, "POST", start, now + Duration::from_secs(60)), 3);
    }

    #[test]
    fn one_machine_may_be_looked_at_more_often() {
        let (rates, now) = (RateLimiter::default(), Instant::now());
        assert_eq!(allowed(&rates, "GET", "/v1/apps/game/machines/a", now), 10);
        assert_eq!(allowed(&rates, "GET", "/v1/apps/game/machines", now), 3);
        assert_eq!(allowed(&rates, "GET", "/v1/apps/game/machines/a", now + Duration::from_secs(1)), 5);
        let deletions = (0..200).filter(|n| rates.allow("DELETE", &format!("/v1/apps/app{n}"), now));
        assert_eq!(deletions.count(), 100);
    }

    #[test]
    fn memory_stays_bounded() {
        let (rates, now) = (RateLimiter::default(), Instant::now());
        for n in 0..2 * BUCKETS_MAX {
            rates.allow("POST", &format!("/v1/apps/{n}"), now);
        }
        assert!(rates.0.lock().unwrap().len() <= BUCKETS_MAX);
    }
}
