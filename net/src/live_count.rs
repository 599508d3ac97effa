//! Counts things for as long as they live: each holds a guard.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// How many are alive.
#[derive(Debug, Clone, Default)]
pub(crate) struct LiveCount(Arc<AtomicUsize>);

/// One of them; dropping it counts it out.
#[derive(Debug)]
pub(crate) struct Counted(LiveCount);

impl LiveCount {
    /// One more.
    pub(crate) fn enter(&self) -> Counted {
        self.0.fetch_add(1, Ordering::AcqRel);
        Counted(self.clone())
    }

    pub(crate) fn is_zero(&self) -> bool {
        self.0.load(Ordering::Acquire) == 0
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::AcqRel);
    }
}
