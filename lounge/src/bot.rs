//! A computer guest: says a line now and then.
//!
//! Path: who has the client calls [`Bot::act`] as often as it likes. Same seed and calls, same lines.
//! Never: a socket, a clock (times are arguments).

use crate::Client;
use protocol::message::Operation;

/// Words that lines are made of: as long as people's.
const WORDS: [&str; 16] = [
    "hello", "tower", "lovely", "evening", "who", "saw", "that", "landing", "over", "the", "river", "clear", "skies",
    "and", "tea", "please",
];
/// Words of a line, at least and at most.
const LINE_WORDS: (u64, u64) = (3, 12);

/// See the module.
#[derive(Debug, Clone)]
pub struct Bot {
    seed: u64,
    lines: u64,
    /// Mean time from line to line.
    interval_ms: f64,
    /// When it says the next one; `None` before its first look at the clock.
    next_ms: Option<f64>,
}

impl Bot {
    /// A guest who says a line every `interval_ms` on average.
    pub fn new(seed: u64, interval_ms: f64) -> Self {
        Self { seed, lines: 0, interval_ms, next_ms: None }
    }

    /// Says a line, if it is time to; the operation, if it did. Nobody talks in step with the others: the first line comes
    /// within one interval.
    pub fn act(&mut self, client: &mut Client, now_ms: f64) -> Option<u32> {
        let share = |lot: u64| (lot % 1000) as f64 / 1000.0;
        let due_ms = *self.next_ms.get_or_insert(now_ms + self.interval_ms * share(lot(self.seed, 0)));
        if now_ms < due_ms || !client.is_welcomed() {
            return None;
        }
        self.lines += 1;
        self.next_ms = Some(now_ms + self.interval_ms * (0.5 + share(lot(self.seed, self.lines))));
        Some(client.operate(Operation::Chat(self.line())))
    }

    fn line(&self) -> String {
        let draw = |purpose: u64| lot(self.seed, self.lines << 8 | purpose);
        let (least, most) = LINE_WORDS;
        let words = least + draw(0) % (most - least + 1);
        (1..=words).map(|word| WORDS[(draw(word) % WORDS.len() as u64) as usize]).collect::<Vec<_>>().join(" ")
    }
}

/// A number by lot (SplitMix64's finaliser).
fn lot(seed: u64, number: u64) -> u64 {
    let mut x = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(number);
    x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ x >> 31
}
