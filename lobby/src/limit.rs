//! Rate limits by address: a token bucket each.
//!
//! Invariants: memory is bounded by [`ADDRESSES_MAX_COUNT`]; addresses beyond that share one bucket until others have
//! filled up again. Pure: the time is an argument.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use protocol::rate_limit::{RateLimit, TokenBucket};

/// Joins of one address: a school behind one address, or a swarm of bots, starts together. Policy: 429 with a sentence.
pub const JOINS: RateLimit<Duration> = RateLimit::with_burst(Duration::from_millis(200), 300);
/// Joins of one address that open a room: a private one, or one whose machine is gone. Policy:
/// 429 with a sentence.
pub const ROOM_OPENINGS: RateLimit<Duration> = RateLimit::with_burst(Duration::from_secs(30), 20);
/// Addresses remembered one by one. Policy: the rest share one bucket.
const ADDRESSES_MAX_COUNT: usize = 10_000;
/// A sweep looks at every bucket, so it is not done for each join of a flood.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);
/// Low bits of an IPv6 address that one household chooses freely.
const IPV6_FREE_BITS: u32 = 64;

/// The buckets of all addresses seen lately.
#[derive(Debug)]
pub struct Limiter {
    limit: RateLimit<Duration>,
    buckets: HashMap<IpAddr, TokenBucket<Instant>>,
    shared: TokenBucket<Instant>,
    swept_at: Instant,
}

impl Limiter {
    /// Every bucket is full.
    pub fn new(limit: RateLimit<Duration>, now: Instant) -> Self {
        Self { limit, buckets: HashMap::new(), shared: TokenBucket::new(now), swept_at: now }
    }

    /// Takes a token from the address's bucket; false when it is empty.
    pub fn admit(&mut self, address: IpAddr, now: Instant) -> bool {
        let key = household(address);
        if self.buckets.len() >= ADDRESSES_MAX_COUNT && now.saturating_duration_since(self.swept_at) >= SWEEP_INTERVAL {
            // A bucket that is full again says the same as none.
            self.buckets.retain(|_, bucket| !bucket.is_full(now));
            self.swept_at = now;
        }
        let has_room = self.buckets.len() < ADDRESSES_MAX_COUNT;
        let bucket = match self.buckets.get_mut(&key) {
            Some(bucket) => bucket,
            None if has_room => self.buckets.entry(key).or_insert(TokenBucket::new(now)),
            None => &mut self.shared,
        };
        bucket.take(self.limit, now)
    }
}

/// The address that stands for all that one household chooses freely.
pub(crate) fn household(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() >> IPV6_FREE_BITS << IPV6_FREE_BITS).into()),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(limiter: &mut Limiter, address: &str, now: Instant) -> usize {
        (0..1000).filter(|_| limiter.admit(address.parse().unwrap(), now)).count()
    }

    #[test]
    fn a_burst_is_admitted_then_a_trickle() {
        let now = Instant::now();
        let mut limiter = Limiter::new(JOINS, now);
        assert_eq!(drain(&mut limiter, "192.0.2.1", now), 300);
        assert_eq!(drain(&mut limiter, "192.0.2.1", now + Duration::from_secs(2)), 10);
        assert_eq!(drain(&mut limiter, "192.0.2.2", now), 300, "others are not affected");
    }

    #[test]
    fn a_household_is_one_address() {
        let now = Instant::now();
        let mut limiter = Limiter::new(JOINS, now);
        assert_eq!(drain(&mut limiter, "2001:db8:1:1::1", now), 300);
        assert_eq!(drain(&mut limiter, "2001:db8:1:1:ffff::2", now), 0);
        assert_eq!(drain(&mut limiter, "2001:db8:1:2::1", now), 300);
        assert_eq!(drain(&mut limiter, "::ffff:192.0.2.9", now), 300);
        assert_eq!(drain(&mut limiter, "192.0.2.9", now), 0);
    }

    #[test]
    fn a_flood_of_addresses_shares_one_bucket() {
        let now = Instant::now();
        let mut limiter = Limiter::new(JOINS, now);
        let admitted = (0..20_000u32).filter(|&n| limiter.admit(IpAddr::V4(n.into()), now)).count();
        assert_eq!(admitted, ADDRESSES_MAX_COUNT + 300);
        assert!(limiter.buckets.len() <= ADDRESSES_MAX_COUNT);
        let later = now + Duration::from_secs(60);
        assert!(limiter.admit("192.0.2.1".parse().unwrap(), later), "full buckets are forgotten");
    }
}
