//! The wall clock as Unix time.

use std::time::{SystemTime, UNIX_EPOCH};

/// Unix time in milliseconds, as the Machines API dates its events.
pub(crate) fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970").as_millis() as u64
}

/// Unix time in seconds, for what is signed.
pub(crate) fn now_s() -> u64 {
    now_ms() / 1_000
}
