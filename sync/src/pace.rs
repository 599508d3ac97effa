//! Two clocks: how far the own plane runs ahead of the room, and how far behind that the others are shown.
//!
//! Path: every frame calls [`Pace::frame`], every packet [`Pace::sending`]; [`Pace::own_at`] and [`Pace::shown_at`] turn a
//! moment into (fractional) ticks. Scheme: Overwatch's ("Overwatch Gameplay Architecture and Netcode", GDC 2017): the room
//! tells how early the client's packets come, and the client's clock speeds up or slows down by a few percent until the
//! latest of them come just in time. The others are shown as late as 95 % of frames are, compared with the soonest.
//! Invariants: both clocks only run forward but for a named jump; the distance between the two changes only with a
//! packet that tells the room, because the room lets bullets meet the others there; a stall of the line is no jitter and
//! moves neither clock. Time is an argument, in milliseconds of any origin.

use game::past::{BEHIND_MAX, PARTS};
use protocol::{TICK_HZ, Tick, frame::Heard};

/// Length of a tick.
pub(crate) const TICK_MS: f64 = 1000.0 / TICK_HZ as f64;
/// Packets shall come at least this much before the room needs them: one tick is the last that is in time.
const LEAD_WANTED_TICKS: f64 = 1.25;
/// Share of packets that the lead must do for: nearly the latest of a window.
const LEAD_QUANTILE: f64 = 0.995;
/// Share of frames that are there when the others are shown; for the rest the motion step carries them on.
const SHOWN_QUANTILE: f64 = 0.95;
/// Frames come once a tick: half of them must be waited for, the other half is stepped, which is exact but for surprises.
const SHOWN_WAIT_TICKS: f64 = 0.5;
/// To keep within what the room allows, the others are carried on by at most so much more.
const SHOWN_HURRY_TICKS: f64 = 3.0;
/// The own clock runs at most this much faster or slower.
const RATE_CHANGE_MAX: f64 = 0.05;
/// Beyond this error the clock jumps: easing would take seconds.
const JUMP_TICKS: f64 = 12.0;
/// The distance of the clocks changes by at most this per packet, parts of a tick; 2 are 2 ms.
const BEHIND_STEP_PARTS: u32 = 2;
/// Beyond this error it jumps.
const BEHIND_JUMP_PARTS: u32 = 4 * PARTS;
/// Packet numbers wrap at 256.
const PACKETS: usize = 256;

/// See the module.
#[derive(Debug, Clone)]
pub(crate) struct Pace {
    /// How late frames come: the moment in ticks less the frame's tick.
    arrivals: Window,
    /// Per packet that was answered: the own clock, less the moment in ticks, that would have brought it at its tick.
    demands: Window,
    /// The own clock, less the moment in ticks.
    own: f64,
    advanced_ms: f64,
    is_set: bool,
    /// How far behind the own clock the others are shown, parts of a tick.
    behind: u32,
    /// Per packet number: the own clock and the moment when it was sent.
    sent: Vec<(f64, f64)>,
    rtt_ms: f64,
    lead: i8,
}

impl Pace {
    pub(crate) fn new() -> Self {
        Self {
            arrivals: Window::default(),
            demands: Window::default(),
            own: 0.0,
            advanced_ms: 0.0,
            is_set: false,
            behind: 0,
            sent: vec![(0.0, f64::NEG_INFINITY); PACKETS],
            rtt_ms: 0.0,
            lead: 0,
        }
    }

    /// A frame of `tick` arrived.
    pub(crate) fn frame(&mut self, tick: Tick, heard: Option<Heard>, now_ms: f64) {
        self.arrivals.add(now_ms / TICK_MS - f64::from(tick));
        if !self.is_set {
            // A guess until the room answers: a little ahead of what is known.
            (self.own, self.is_set) = (LEAD_WANTED_TICKS - self.arrivals.least(), true);
        }
        if let Some(Heard { packet, lead }) = heard {
            let (own, sent_ms) = self.sent[usize::from(packet)];
            if sent_ms.is_finite() {
                self.answered(own, lead, now_ms - sent_ms);
            }
        }
    }

    fn answered(&mut self, own: f64, lead: i8, rtt_ms: f64) {
        // An answer may have waited for a frame: the shortest is the truest.
        let is_shorter = self.rtt_ms == 0.0 || rtt_ms < self.rtt_ms;
        self.rtt_ms += if is_shorter { rtt_ms - self.rtt_ms } else { (rtt_ms - self.rtt_ms) / 16.0 };
        self.lead = lead;
        let is_first = self.demands.is_empty();
        self.demands.add(own - f64::from(lead));
        if is_first {
            // The first word from the room is worth more than any guess: start there.
            self.own = self.own_wanted();
            self.behind = self.behind_wanted();
        }
    }

    /// Whether a frame came on this socket; before, neither clock means anything.
    pub(crate) fn is_set(&self) -> bool {
        !self.arrivals.is_empty()
    }

    /// Packet `number` goes out now and tells the returned distance of the clocks, in force from the next tick.
    pub(crate) fn sending(&mut self, number: u8, now_ms: f64) -> u32 {
        self.sent[usize::from(number)] = (self.own, now_ms);
        let wanted = self.behind_wanted();
        self.behind = if wanted.abs_diff(self.behind) > BEHIND_JUMP_PARTS {
            wanted
        } else {
            wanted.clamp(self.behind.saturating_sub(BEHIND_STEP_PARTS), self.behind + BEHIND_STEP_PARTS)
        };
        self.behind
    }

    /// A new socket numbers its packets anew, and its way may be another; the own clock runs on.
    pub(crate) fn new_socket(&mut self) {
        self.arrivals = Window::default();
        self.demands = Window::default();
        self.sent.fill((0.0, f64::NEG_INFINITY));
        self.rtt_ms = 0.0;
    }

    /// The own clock: the tick the own plane is shown at.
    pub(crate) fn own_at(&mut self, now_ms: f64) -> f64 {
        let elapsed = ((now_ms - self.advanced_ms) / TICK_MS).clamp(0.0, 60.0);
        self.advanced_ms = self.advanced_ms.max(now_ms);
        if !self.demands.is_empty() {
            let (error, limit) = (self.own_wanted() - self.own, elapsed * RATE_CHANGE_MAX);
            self.own += if error.abs() > JUMP_TICKS { error } else { error.clamp(-limit, limit) };
        }
        (now_ms / TICK_MS + self.own).max(0.0)
    }

    /// The tick others are shown at.
    pub(crate) fn shown_at(&mut self, now_ms: f64) -> f64 {
        (self.own_at(now_ms) - f64::from(self.behind) / f64::from(PARTS)).max(0.0)
    }

    /// How far behind the own clock the others are shown, parts of a tick.
    pub(crate) fn behind(&self) -> u32 {
        self.behind
    }

    /// How far behind the newest tick that this line could have brought the others are shown, ticks.
    pub(crate) fn delay_ticks(&self) -> f64 {
        if self.arrivals.is_empty() { 0.0 } else { self.behind_exactly(self.arrivals.least()) }
    }

    /// Round trip of the game's own packets, 0 while unknown.
    pub(crate) fn rtt_ms(&self) -> f64 {
        self.rtt_ms
    }

    /// 95 % of frames come within this of the soonest.
    pub(crate) fn jitter_ms(&self) -> f64 {
        if self.arrivals.is_empty() {
            return 0.0;
        }
        (self.arrivals.quantile(SHOWN_QUANTILE) - self.arrivals.least()) * TICK_MS
    }

    /// Whether a frame of this tick, the newest, is so old that the line has stalled.
    pub(crate) fn is_stalled(&self, tick: Tick, now_ms: f64) -> bool {
        !self.arrivals.is_empty() && now_ms / TICK_MS - f64::from(tick) > self.arrivals.least() + Window::STALL_TICKS
    }

    /// How far the own clock is ahead of the newest tick that this line could have brought.
    pub(crate) fn ahead_ticks(&self) -> f64 {
        if self.arrivals.is_empty() { 0.0 } else { self.own + self.arrivals.least() }
    }

    /// How early the last packet was, as the room said.
    pub(crate) fn lead_ticks(&self) -> i8 {
        self.lead
    }

    fn own_wanted(&self) -> f64 {
        self.demands.quantile(LEAD_QUANTILE) + LEAD_WANTED_TICKS
    }

    fn behind_wanted(&self) -> u32 {
        let needed = self.own + self.arrivals.quantile(SHOWN_QUANTILE) + SHOWN_WAIT_TICKS;
        let allowed = f64::from(BEHIND_MAX) / f64::from(PARTS);
        let behind = needed.min(allowed.max(needed - SHOWN_HURRY_TICKS));
        (behind * f64::from(PARTS)).round().max(0.0) as u32
    }

    /// How far behind the tick that comes with this lateness the others are shown.
    fn behind_exactly(&self, lateness: f64) -> f64 {
        f64::from(self.behind) / f64::from(PARTS) - self.own - lateness
    }
}

/// The last values of something that a line makes late.
#[derive(Debug, Clone, Default)]
struct Window {
    /// In the order they came, the oldest at `next` once it is full.
    values: Vec<f64>,
    ascending: Vec<f64>,
    next: usize,
    /// Values left out in a row.
    stalled: usize,
}

impl Window {
    /// Values kept: two seconds of frames.
    const KEPT_COUNT: usize = 128;
    /// What comes this much later than the least is a stall: it says nothing of what comes after it.
    const STALL_TICKS: f64 = 9.0;
    /// After so many in a row the line is another one now.
    const STALLED_MAX_COUNT: usize = 90;

    fn is_empty(&self) -> bool {
        self.ascending.is_empty()
    }

    /// The least value; there must be one.
    fn least(&self) -> f64 {
        self.ascending[0]
    }

    /// The value that this share of them does not exceed; there must be one.
    fn quantile(&self, share: f64) -> f64 {
        self.ascending[((self.ascending.len() as f64 * share) as usize).min(self.ascending.len() - 1)]
    }

    fn add(&mut self, value: f64) {
        if self.ascending.first().is_some_and(|least| value > least + Self::STALL_TICKS) {
            self.stalled += 1;
            if self.stalled <= Self::STALLED_MAX_COUNT {
                return;
            }
            *self = Self::default();
        }
        self.stalled = 0;
        if self.values.len() < Self::KEPT_COUNT {
            self.values.push(value);
        } else {
            let oldest = std::mem::replace(&mut self.values[self.next], value);
            self.next = (self.next + 1) % Self::KEPT_COUNT;
            let at = self.ascending.partition_point(|other| *other < oldest);
            self.ascending.remove(at);
        }
        let at = self.ascending.partition_point(|other| *other < value);
        self.ascending.insert(at, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line with this delay each way and this much jitter on top; returns the pace, and the leads the room saw, one a
    /// tick. The client's frames lie between the room's ticks.
    fn play(one_way_ms: f64, jitter_ms: f64, ticks: u32) -> (Pace, Vec<i8>, f64) {
        let (mut pace, mut leads) = (Pace::new(), vec![]);
        let mut up: Vec<(f64, u8, f64)> = vec![];
        let mut down: Vec<(f64, Tick, Option<Heard>)> = vec![];
        let (mut number, mut now_ms) = (0u8, 0.0);
        let late =
            |tick: u32, salt: u32| f64::from(tick.wrapping_mul(2_654_435_761).wrapping_add(salt) >> 16) % 97.0 / 96.0;
        for tick in 100..100 + ticks {
            let room_ms = f64::from(tick) * TICK_MS;
            let mut heard = None;
            for (_, packet, at) in up.extract_if(.., |(arrival, ..)| *arrival <= room_ms) {
                let lead = (at.floor() - f64::from(tick - 1)) as i8;
                heard = Some(Heard { packet, lead });
                leads.push(lead);
            }
            down.push((room_ms + one_way_ms + jitter_ms * late(tick, 7), tick, heard));
            now_ms = room_ms + 0.4 * TICK_MS;
            for (arrival, tick, heard) in down.extract_if(.., |(arrival, ..)| *arrival <= now_ms) {
                pace.frame(tick, heard, arrival);
            }
            if pace.is_set() {
                number = number % 255 + 1;
                let at = pace.own_at(now_ms);
                pace.sending(number, now_ms);
                up.push((now_ms + one_way_ms + jitter_ms * late(tick, 99), number, at));
            }
        }
        (pace, leads, now_ms)
    }

    #[test]
    fn packets_come_just_in_time_whatever_the_line() {
        for (one_way_ms, jitter_ms) in [(0.0, 0.0), (25.0, 0.0), (75.0, 0.0), (150.0, 0.0), (75.0, 20.0), (75.0, 50.0)]
        {
            let (_, leads, _) = play(one_way_ms, jitter_ms, 1200);
            let leads = &leads[600..];
            let late = leads.iter().filter(|lead| **lead < 1).count();
            let most = 3 + (jitter_ms / TICK_MS).ceil() as i8;
            assert!(late * 200 <= leads.len(), "{one_way_ms} ms: {late} of {} late", leads.len());
            assert!(leads.iter().all(|lead| *lead <= most), "{one_way_ms} ms: {leads:?}");
        }
    }

    #[test]
    fn others_are_shown_no_later_than_the_jitter_asks_for() {
        for jitter_ms in [0.0, 20.0, 50.0] {
            let (pace, ..) = play(40.0, jitter_ms, 900);
            let delay = pace.delay_ticks();
            assert!((0.4..=jitter_ms / TICK_MS + 1.0).contains(&delay), "{jitter_ms} ms of jitter: {delay} ticks");
        }
    }

    #[test]
    fn a_stall_moves_neither_clock() {
        let (mut pace, _, now_ms) = play(40.0, 5.0, 600);
        let before = (pace.own_at(now_ms) - now_ms / TICK_MS, pace.delay_ticks());
        // Two seconds of nothing, then all of it at once.
        let tick = (now_ms / TICK_MS) as Tick - 2;
        let after_ms = now_ms + 2000.0;
        for late in 0..60 {
            pace.frame(tick + late, None, after_ms);
        }
        let after = (pace.own_at(after_ms) - after_ms / TICK_MS, pace.delay_ticks());
        assert!((before.0 - after.0).abs() < 1e-9 && (before.1 - after.1).abs() < 0.5, "{before:?} {after:?}");
    }

    #[test]
    fn a_longer_line_is_believed_after_a_while() {
        let mut window = Window::default();
        (0..200).for_each(|_| window.add(1.0));
        (0..=Window::STALLED_MAX_COUNT).for_each(|_| window.add(13.0));
        assert_eq!(window.least(), 13.0);
    }
}
