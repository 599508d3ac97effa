//! Two clocks, kept by arrival times alone: where others are shown, and how far the own plane runs ahead.
//!
//! Path: every frame calls [`Pace::frame`]; [`Pace::shown_at`] and [`Pace::own_at`] turn a moment into (fractional)
//! ticks. Scheme: Overwatch's ("Overwatch Gameplay Architecture and Netcode", GDC 2017): the server tells how early the
//! client's packets come, and the client's clock speeds up or slows down by a few percent until they come just in time.
//! Invariants: both clocks only run forward but for a named jump; time is an argument, in milliseconds of any origin.

use protocol::{TICK_HZ, Tick, frame::Heard};

/// Length of a tick.
pub(crate) const TICK_MS: f64 = 1000.0 / TICK_HZ as f64;
/// How much of a change of the line is believed at once.
const SMOOTHING: f64 = 1.0 / 32.0;
/// Packets shall come this much before their tick, beside the line's jitter. Less than 1 is too late; clocks are read
/// in whole ticks, which is worth another.
const LEAD_WANTED_TICKS: f64 = 2.0;
/// The own clock runs at most this much faster or slower.
const RATE_CHANGE_MAX: f64 = 0.05;
/// Beyond this error the clock jumps: easing would take seconds.
const JUMP_TICKS: f64 = 12.0;
/// Packet numbers wrap at 256.
const PACKETS: usize = 256;

/// See the module.
#[derive(Debug, Clone)]
pub(crate) struct Pace {
    /// Arrival time of a tick's frame, less the tick's length times its number: smoothed.
    base_ms: Option<f64>,
    /// Mean deviation from it.
    jitter_ms: f64,
    /// How far the own clock is ahead of the frames' arrival, in ticks.
    ahead: f64,
    ahead_wanted: f64,
    advanced_ms: f64,
    /// Per packet number: `ahead` and the moment when it was sent.
    sent: Vec<(f64, f64)>,
    acked: u8,
    rtt_ms: f64,
    lead: i8,
    newest: Tick,
}

impl Pace {
    pub(crate) fn new() -> Self {
        Self {
            base_ms: None,
            jitter_ms: 2.0,
            ahead: 4.0,
            ahead_wanted: 4.0,
            advanced_ms: 0.0,
            sent: vec![(0.0, 0.0); PACKETS],
            acked: 0,
            rtt_ms: 0.0,
            lead: 0,
            newest: 0,
        }
    }

    /// A frame of `tick` arrived.
    pub(crate) fn frame(&mut self, tick: Tick, heard: Option<Heard>, now_ms: f64) {
        let observed = now_ms - f64::from(tick) * TICK_MS;
        self.newest = tick;
        let base = *self.base_ms.get_or_insert(observed);
        let deviation = observed - base;
        if deviation.abs() > JUMP_TICKS * TICK_MS {
            self.base_ms = Some(observed);
        } else {
            self.base_ms = Some(base + deviation * SMOOTHING);
            self.jitter_ms += (deviation.abs() - self.jitter_ms) * SMOOTHING;
        }
        if let Some(Heard { packet: ack, lead }) = heard {
            let (ahead, sent_ms) = self.sent[usize::from(ack)];
            let rtt = now_ms - sent_ms;
            let wanted = ahead + LEAD_WANTED_TICKS + self.jitter_ms / TICK_MS - f64::from(lead);
            if self.acked == 0 {
                // The first word from the server is worth more than any guess: start there.
                (self.rtt_ms, self.ahead_wanted, self.ahead) = (rtt, wanted, wanted);
            } else {
                self.rtt_ms += (rtt - self.rtt_ms) / 8.0;
                self.ahead_wanted += (wanted - self.ahead_wanted) / 8.0;
            }
            (self.acked, self.lead) = (ack, lead);
        }
    }

    /// Whether a frame came on this socket; before, neither clock means anything.
    pub(crate) fn is_set(&self) -> bool {
        self.base_ms.is_some()
    }

    /// Packet `number` goes out now.
    pub(crate) fn sending(&mut self, number: u8, now_ms: f64) {
        self.sent[usize::from(number)] = (self.ahead, now_ms);
    }

    /// A new socket numbers its packets anew.
    pub(crate) fn new_socket(&mut self) {
        (self.acked, self.base_ms) = (0, None);
    }

    /// The own clock: the tick the own plane is shown at.
    pub(crate) fn own_at(&mut self, now_ms: f64) -> f64 {
        let elapsed = ((now_ms - self.advanced_ms) / TICK_MS).clamp(0.0, 60.0);
        self.advanced_ms = self.advanced_ms.max(now_ms);
        let error = self.ahead_wanted - self.ahead;
        let limit = elapsed * RATE_CHANGE_MAX;
        self.ahead += if error.abs() > JUMP_TICKS { error } else { error.clamp(-limit, limit) };
        (self.arrival_tick(now_ms) + self.ahead).max(0.0)
    }

    /// The tick others are shown at: late enough that the next frame is there already.
    pub(crate) fn shown_at(&self, now_ms: f64) -> f64 {
        (self.arrival_tick(now_ms) - self.delay_ticks()).max(0.0)
    }

    /// How far behind the newest frame others are shown.
    pub(crate) fn delay_ticks(&self) -> f64 {
        1.0 + 3.0 * self.jitter_ms / TICK_MS
    }

    /// Round trip of the game's own packets, 0 while unknown.
    pub(crate) fn rtt_ms(&self) -> f64 {
        self.rtt_ms
    }

    /// Mean deviation of frames from their regular arrival.
    pub(crate) fn jitter_ms(&self) -> f64 {
        self.jitter_ms
    }

    /// How far the own clock is ahead of the frames' arrival.
    pub(crate) fn ahead_ticks(&self) -> f64 {
        self.ahead
    }

    /// How early the last packet was, as the server said.
    pub(crate) fn lead_ticks(&self) -> i8 {
        self.lead
    }

    /// The tick whose frame would arrive at this moment on a line without jitter.
    fn arrival_tick(&self, now_ms: f64) -> f64 {
        self.base_ms.map_or(0.0, |base| (now_ms - base) / TICK_MS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line with this delay each way; returns the leads the server saw, one a tick.
    fn leads(one_way_ms: f64, ticks: u32) -> Vec<i8> {
        let mut pace = Pace::new();
        let mut leads = vec![];
        let mut on_the_way: Vec<(f64, u8, f64)> = vec![];
        let (mut heard, mut number) = (None, 0u8);
        for tick in 100..100 + ticks {
            let server_ms = f64::from(tick) * TICK_MS;
            for (_, packet, at) in on_the_way.extract_if(.., |(arrival, ..)| *arrival <= server_ms) {
                let lead = (at.floor() - f64::from(tick)) as i8;
                heard = Some(Heard { packet, lead });
                leads.push(lead);
            }
            let now_ms = server_ms + one_way_ms;
            pace.frame(tick, heard.take(), now_ms);
            number = number % 255 + 1;
            let at = pace.own_at(now_ms);
            pace.sending(number, now_ms);
            on_the_way.push((now_ms + one_way_ms, number, at));
        }
        leads
    }

    #[test]
    fn packets_come_just_in_time_whatever_the_line() {
        for one_way_ms in [0.0, 25.0, 75.0, 150.0] {
            let leads = leads(one_way_ms, 600);
            assert!(leads[300..].iter().all(|lead| (0..=3).contains(lead)), "{one_way_ms} ms: {:?}", &leads[300..]);
        }
    }

    #[test]
    fn others_are_shown_a_little_behind_on_a_calm_line() {
        let mut pace = Pace::new();
        for tick in 0..300 {
            pace.frame(tick, None, f64::from(tick) * TICK_MS + 40.0);
        }
        let behind = 299.0 - pace.shown_at(299.0 * TICK_MS + 40.0);
        assert!((1.0..1.5).contains(&behind), "{behind}");
    }
}
