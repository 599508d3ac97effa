//! The wall clock, and checks of how far it is from the store's and the lobby's.
//!
//! Path: [`WallClock`] is what signatures are judged by. Before it listens, and now and then, a machine writes an
//! object and compares the time that the store gives it ([`from_store`]). What the lobby signed was not signed after it
//! came: the least age of many tells the lobby's clock ([`LobbyClock`]).
//! Invariants: who owns a room does not depend on any of it ([`crate::store::lease`]); a measured difference is the
//! least that explains what was seen, so that slow answers and whole seconds accuse nobody.
//! Never: sets a clock.

use protocol::limits::REPLAY_TTL_S;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A difference that is worth a warning, and one that is more than signatures bear. Policy: refuse to start.
const SKEW_WARNED_MS: i64 = 2_000;
pub(crate) const SKEW_MAX_MS: i64 = 10_000;
/// Many stores tell time in whole seconds.
const STORE_RESOLUTION_MS: i64 = 1_000;
/// Over so long the youngest of the lobby's words is looked for, twice: the time that goes on, and the one before.
const WINDOW: Duration = Duration::from_secs(60);
/// Words of the lobby in a window that is judged: of many one came at once.
const WORDS_MIN_COUNT: u32 = 5;
/// Shortest time between two warnings of a kind. Policy: the others are left out.
const WARNING_INTERVAL: Duration = Duration::from_secs(60);

/// Unix time as this machine has it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WallClock {
    /// As if the clock were set wrong by so much, milliseconds: for tests.
    pub ahead_ms: i64,
}

impl WallClock {
    /// Unix milliseconds.
    pub fn now_ms(self) -> u64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
        now.saturating_add_signed(self.ahead_ms)
    }

    /// Unix seconds.
    pub fn now_s(self) -> u64 {
        self.now_ms() / 1000
    }
}

/// How far this clock is ahead of the store's (behind: negative), milliseconds: an object was written between two
/// moments of this clock, and the store gave it `store_ms`.
pub(crate) fn from_store(before_ms: u64, after_ms: u64, store_ms: i64) -> i64 {
    let cut_off_ms = if store_ms % STORE_RESOLUTION_MS == 0 { STORE_RESOLUTION_MS } else { 1 };
    let least = before_ms as i64 - (store_ms + cut_off_ms);
    let most = after_ms as i64 - store_ms;
    0_i64.clamp(least.min(most), most)
}

/// What is wrong with a clock that is so far from the store's; `None`: nothing.
pub(crate) fn complaint(ahead_ms: i64) -> Option<String> {
    (ahead_ms.abs() > SKEW_WARNED_MS).then(|| {
        let (difference_s, side) = ((ahead_ms.abs() + 500) / 1000, if ahead_ms > 0 { "ahead of" } else { "behind" });
        let most_s = SKEW_MAX_MS / 1000;
        format!(
            "This machine's clock is {difference_s} s {side} the store's. Tickets and replays need clocks that differ by \
             less than {most_s} s: set it by NTP."
        )
    })
}

/// What the lobby's signatures tell about its clock.
#[derive(Debug)]
pub(crate) struct LobbyClock {
    began: Instant,
    words: u32,
    /// The least of (own time - time of signing), seconds, in the window that goes on and in the one before.
    least: Option<i64>,
    least_before: Option<i64>,
    warned: Option<Instant>,
}

/// What a word of the lobby changed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Skew {
    /// How far this clock seems ahead of the lobby's at most (behind, at least: negative), seconds.
    pub(crate) ahead_s: i64,
    /// For the log.
    pub(crate) warning: Option<String>,
}

impl LobbyClock {
    pub(crate) fn new(now: Instant) -> Self {
        Self { began: now, words: 0, least: None, least_before: None, warned: None }
    }

    /// Something that the lobby signed at `signed_s` came at `own_s`.
    pub(crate) fn note(&mut self, signed_s: u64, own_s: u64, now: Instant) -> Skew {
        let age_s = own_s as i64 - signed_s as i64;
        // A boot delays words by as long as it takes; so only a window with several of them tells that this clock is
        // ahead.
        let is_over = now.saturating_duration_since(self.began) >= WINDOW;
        let judged = self.least.filter(|_| is_over && self.words >= WORDS_MIN_COUNT);
        if is_over {
            (self.least_before, self.least, self.words, self.began) = (self.least, None, 0, now);
        }
        self.words += 1;
        self.least = Some(self.least.map_or(age_s, |least| least.min(age_s)));
        let ahead_s = self.least_before.map_or(age_s, |before| before.min(age_s)).min(self.least.unwrap_or(age_s));
        let warning = self.warning(age_s, judged).filter(|_| {
            let may_warn = self.warned.is_none_or(|at| now.saturating_duration_since(at) >= WARNING_INTERVAL);
            self.warned = if may_warn { Some(now) } else { self.warned };
            may_warn
        });
        Skew { ahead_s, warning }
    }

    /// Times of signing and arrival are whole seconds: a second of difference says nothing.
    fn warning(&self, age_s: i64, judged: Option<i64>) -> Option<String> {
        let warned_s = SKEW_WARNED_MS / 1000;
        if age_s < -warned_s {
            let least_s = -age_s - 1;
            return Some(format!(
                "This machine's clock is at least {least_s} s behind the lobby's, or the lobby's is ahead."
            ));
        }
        if age_s > REPLAY_TTL_S as i64 {
            return Some(format!(
                "A request is refused: the lobby signed it {age_s} s ago by this machine's clock. Either it was on its way so \
                 long, or the clocks differ."
            ));
        }
        let ahead_s = judged.filter(|least| *least > warned_s)?;
        Some(format!("This machine's clock is about {ahead_s} s ahead of the lobby's, or the lobby's is behind."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_store_tells_the_least_difference_that_explains_its_time() {
        // Written within 100 ms; the store cut the fraction off.
        assert_eq!(from_store(10_900, 11_000, 10_000), 0);
        assert_eq!(from_store(10_900, 11_000, 11_000), 0);
        assert_eq!(from_store(36_000, 36_100, 10_000), 25_000);
        assert_eq!(from_store(36_000, 36_100, 11_001), 24_998, "a file system tells more");
        assert_eq!(from_store(10_000, 10_100, 35_000), -24_900);
        // A slow answer accuses nobody.
        assert_eq!(from_store(10_000, 15_000, 13_000), 0);
        assert_eq!(complaint(1_900), None);
        assert!(complaint(31_000).unwrap().starts_with("This machine's clock is 31 s ahead of the store's."));
        assert!(complaint(-3_000).unwrap().starts_with("This machine's clock is 3 s behind the store's."));
    }

    /// What is warned of when the lobby speaks every 5 s for so long, each word as late as `late_s` says, to a clock
    /// that is ahead by so much.
    fn warnings(seconds: u64, ahead_s: i64, late_s: impl Fn(u64) -> u64) -> (i64, Vec<String>) {
        let began = Instant::now();
        let (mut clock, mut warnings, mut ahead) = (LobbyClock::new(began), Vec::new(), 0);
        for second in (0..seconds).step_by(5) {
            let own_s = (1_000_000 + second + late_s(second)).saturating_add_signed(ahead_s);
            let skew = clock.note(1_000_000 + second, own_s, began + Duration::from_secs(second));
            warnings.extend(skew.warning);
            ahead = skew.ahead_s;
        }
        (ahead, warnings)
    }

    #[test]
    fn the_lobbys_words_tell_its_clock() {
        assert_eq!(warnings(300, 0, |_| 0), (0, vec![]));
        assert_eq!(
            warnings(300, 0, |second| if second % 20 == 0 { 0 } else { 9 }).1,
            Vec::<String>::new(),
            "a slow way"
        );
        assert_eq!(warnings(55, 0, |_| 9).1, Vec::<String>::new(), "too soon to tell");
        let (ahead_s, ahead) = warnings(300, 8, |second| second % 3);
        assert!(ahead_s == 8 && ahead[0].contains("about 8 s ahead"), "{ahead:?}");
        let (ahead_s, behind) = warnings(300, -8, |second| second % 3);
        assert!(ahead_s == -8 && behind[0].contains("at least 7 s behind"), "{behind:?}");
        assert!(ahead.len() <= 5 && behind.len() <= 5, "once a minute");
        assert!(warnings(1, 31, |_| 0).1[0].starts_with("A request is refused: the lobby signed it 31 s ago"));
    }
}
