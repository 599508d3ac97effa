//! The processor time of this thread, so that other programs on the machine, or what its hypervisor takes away, do not
//! count as ours. Beside it, Unix time.

use nix::time::{ClockId, clock_gettime};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Began at a moment of this thread's processor time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stopwatch(Duration);

impl Stopwatch {
    /// Begins now.
    pub(crate) fn start() -> Self {
        Self(spent())
    }

    /// What the thread has worked since then; to be asked on the thread that started it.
    pub(crate) fn elapsed(self) -> Duration {
        spent().saturating_sub(self.0)
    }
}

/// What this thread has worked so far.
fn spent() -> Duration {
    let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("every Unix has this clock");
    Duration::new(time.tv_sec() as u64, time.tv_nsec() as u32)
}

/// Since 1970, as this machine has it.
pub(crate) fn unix_time() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sleep_is_no_work() {
        let watch = Stopwatch::start();
        std::thread::sleep(Duration::from_millis(50));
        assert!(watch.elapsed() < Duration::from_millis(20));
        let mut sum = 0u64;
        while watch.elapsed() < Duration::from_millis(30) {
            sum = std::hint::black_box(sum + 1);
        }
        assert!(sum > 0);
    }
}
