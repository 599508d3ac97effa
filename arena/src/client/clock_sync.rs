//! Clock synchronisation: how far the client runs ahead of the server, and how far behind others are shown.
//!
//! Path: every frame calls [`ClockSync::frame`], every packet [`ClockSync::sending`]; [`ClockSync::own_at`] and [`ClockSync::shown_at`] turn a
//! moment into (fractional) ticks. Scheme: Overwatch's ("Overwatch Gameplay Architecture and Netcode", GDC 2017): the room
//! tells how early the client's packets come, and the client's clock speeds up or slows down by a few percent until the
//! latest of them come just in time. The others are shown as late as 95 % of frames are, compared with the soonest.
//! Jumps: a line makes late, and it makes nothing early. So what comes earlier than ever, in a round trip that is not
//! shorter than ever, proves that one clock jumped: the room stood still, or this device slept ([`ClockSync::jumped`], as NTP
//! tells a step from a slow line). A jump goes into [`ClockSync::slip`], in one step, and all else stays as it was.
//! Invariants: both clocks only run forward but for a named jump; the distance between the two changes only with a
//! packet that tells the room, because the room lets bullets meet the others there; a stall of the line is no jitter and
//! moves neither clock. Time is an argument, in milliseconds of any origin.

mod window;

use crate::{TICK_HZ, wire::INPUT_LEAD_MAX_TICKS};
use game::lag_compensation::{PARTS, VIEW_DELAY_MAX};
use protocol::{Tick, frame::Ack};
use window::Window;

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
const VIEW_DELAY_STEP_PARTS: u32 = 2;
/// Beyond this error it jumps.
const VIEW_DELAY_JUMP_PARTS: u32 = 4 * PARTS;
/// Packet numbers wrap at 256.
const PACKETS: usize = 256;

/// What comes this much earlier than ever tells of a jump: 50 ms. Less is left to the usual rule.
const EARLY_TICKS: f64 = 3.0;
/// While fewer values than this tell what is usual, it must be as much as a stall.
const USUAL_MIN_COUNT: usize = 16;
/// For so long after a jump whatever shows that it was larger is believed, [`SETTLED_TICKS`] and more of it: the first to
/// tell of it may have met the whole jitter of the line. Whole ticks are rounded to one.
const SETTLING_MS: f64 = 1000.0;
const SETTLED_TICKS: f64 = 1.25;
/// One that tells of a jump met about half of the line's jitter, of which half is at most this.
const JITTER_HALF_TICKS: f64 = 1.5;
/// By so much two ways of measuring a jump may differ at least: a packet waits for a tick, and leads are whole ticks.
const ROUNDING_TICKS: f64 = 1.5;
/// And at most: what is usual may have changed by that.
const DISAGREEMENT_MAX_TICKS: f64 = 3.0;
/// This device stood still if nobody asked for the time for at least this share of a jump.
const STANDSTILL_SHARE: f64 = 0.5;

/// One of the two clocks jumped.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Jump {
    /// By how much the room is ahead of where this clock had it, ms. Below 0: the room stood still, or this clock gained.
    pub(crate) ms: f64,
    /// The clock of this device jumped, or it stood still; else the room did.
    pub(crate) is_own: bool,
}

/// What a frame says of a packet that this client sent.
#[derive(Debug, Clone, Copy)]
struct Answer {
    /// The own clock, less the moment in ticks, that would have brought the packet at its tick.
    demand: f64,
    lead: i8,
    rtt_ms: f64,
    /// It was under way when the room stood still.
    has_waited: bool,
}

/// A packet that was sent: the own clock, less the moment in ticks, and that moment.
#[derive(Debug, Clone, Copy)]
struct Sent {
    own: f64,
    moment: f64,
}

/// A jump that was noticed at `since_ms`: all of it so far, and what was told of that, ticks.
#[derive(Debug, Clone, Copy, Default)]
struct Settling {
    since_ms: f64,
    all: f64,
    told: f64,
}

/// See the module.
#[derive(Debug, Clone)]
pub(crate) struct ClockSync {
    /// What the jumps of both clocks come to, ticks: all moments below count it in.
    slip: f64,
    /// How late frames come: the moment in ticks less the frame's tick.
    arrivals: Window,
    /// Per packet that was answered: the own clock, less the moment in ticks, that would have brought it at its tick.
    demands: Window,
    /// The own clock, less the moment in ticks.
    own: f64,
    advanced_ms: f64,
    is_set: bool,
    /// How far behind the own clock the others are shown, parts of a tick.
    view_delay: u32,
    /// By packet number; `None` of what was not sent on this connection, or before this clock jumped ahead.
    sent: Vec<Option<Sent>>,
    rtt_ms: f64,
    lead: i8,
    /// The last jump.
    settling: Option<Settling>,
    /// When it was last noticed that the room had stood still.
    stood_still_ms: f64,
    /// The longest time for which nobody asked for the time of late, ms: when it ended, and how long it was.
    standstill: (f64, f64),
}

impl ClockSync {
    pub(crate) fn new() -> Self {
        Self {
            slip: 0.0,
            arrivals: Window::default(),
            demands: Window::default(),
            own: 0.0,
            advanced_ms: 0.0,
            is_set: false,
            view_delay: 0,
            sent: vec![None; PACKETS],
            rtt_ms: 0.0,
            lead: 0,
            settling: None,
            stood_still_ms: f64::NEG_INFINITY,
            standstill: (f64::NEG_INFINITY, 0.0),
        }
    }

    fn moment(&self, now_ms: f64) -> f64 {
        now_ms / TICK_MS + self.slip
    }

    /// A frame of `tick` arrived. Returns the jump that it proves, all of it so far.
    pub(crate) fn frame(&mut self, tick: Tick, ack: Option<Ack>, now_ms: f64) -> Option<Jump> {
        let lateness = |clock: &Self| clock.moment(now_ms) - f64::from(tick);
        let answer = |clock: &Self| ack.and_then(|ack| clock.answer(ack, now_ms));
        let ticks = self.jumped(lateness(self), answer(self), now_ms);
        let jump = ticks.map(|ticks| self.jump(ticks, now_ms));
        self.arrivals.add(lateness(self));
        let ahead = self.own + lateness(self);
        let is_possible = (0.0..=f64::from(INPUT_LEAD_MAX_TICKS)).contains(&ahead);
        if !self.is_set || (self.arrivals.count() == 1 && !is_possible) {
            // A guess until the room answers: a little ahead of what is known.
            (self.own, self.is_set) = (LEAD_WANTED_TICKS - self.arrivals.least(), true);
        }
        if let Some(answer) = answer(self) {
            self.answered(answer);
        }
        jump.flatten()
    }

    fn answer(&self, ack: Ack, now_ms: f64) -> Option<Answer> {
        let Sent { own, moment } = self.sent[usize::from(ack.packet)]?;
        let rtt_ms = (self.moment(now_ms) - moment) * TICK_MS;
        let has_waited = now_ms - rtt_ms < self.stood_still_ms;
        Some(Answer { demand: own - f64::from(ack.lead), lead: ack.lead, rtt_ms, has_waited })
    }

    fn answered(&mut self, Answer { demand, lead, rtt_ms, has_waited }: Answer) {
        // What waited for a clock that stood still says nothing of the line.
        if !self.demands.is_stall(demand) {
            // An answer may have waited for a frame: the shortest is the truest.
            let is_shorter = self.rtt_ms == 0.0 || rtt_ms < self.rtt_ms;
            self.rtt_ms += if is_shorter { rtt_ms - self.rtt_ms } else { (rtt_ms - self.rtt_ms) / 16.0 };
        }
        self.lead = lead;
        let is_first = self.demands.is_empty();
        // What waited for a room that stood still is no jitter either.
        if is_first || !has_waited || demand <= self.demands.greatest() {
            self.demands.add(demand);
        }
        if is_first {
            // The first word from the room is worth more than any guess: start there.
            self.own = self.own_wanted();
            self.view_delay = self.view_delay_wanted();
        }
    }

    /// The jump, in ticks, that a frame proves, with the answer it brings.
    ///
    /// The room may be behind where this clock has it (it stood still, or this clock gained): then the clock that an answer
    /// asks for is earlier than ever by that, and the frame later than ever by that or more. Or it may be ahead (this clock
    /// lost time): then the frame is earlier than ever by that, and the clock asked for later. Of a line that got
    /// shorter, neither can be said but within its shortest round trip.
    fn jumped(&self, lateness: f64, answer: Option<Answer>, now_ms: f64) -> Option<f64> {
        if self.arrivals.is_empty() || self.demands.is_empty() {
            return None;
        }
        let usual_count = self.arrivals.count().min(self.demands.count());
        let enough = if usual_count < USUAL_MIN_COUNT { Window::STALL_TICKS } else { EARLY_TICKS };
        let enough = if self.settling(now_ms).is_some() { SETTLED_TICKS } else { enough };
        let (arrives, is_asked) = (self.arrivals.least_before(), self.demands.least_before());
        if let Some(Answer { demand, lead, .. }) = answer {
            let (earlier, later) = (is_asked - demand, lateness - self.arrivals.least_of_late());
            if earlier > enough && agrees(later, earlier) {
                // The room cannot tell of a larger lead; the frame can.
                let more = if lead == i8::MAX { lateness - self.arrivals.greatest() } else { 0.0 };
                return Some(-more.max(earlier + ((later - earlier) / 2.0).clamp(0.0, JITTER_HALF_TICKS)));
            }
        }
        let earlier = arrives - lateness;
        let is_met = answer.is_some_and(|Answer { demand, lead, .. }| {
            lead == i8::MIN || agrees(demand - self.demands.least_of_late(), earlier)
        });
        let is_proved = is_met || self.settling(now_ms).is_some() || earlier > arrives + is_asked + enough;
        (earlier > enough && is_proved).then_some(earlier)
    }

    /// The jump of a moment ago.
    fn settling(&self, now_ms: f64) -> Option<Settling> {
        self.settling.filter(|settling| now_ms - settling.since_ms < SETTLING_MS)
    }

    /// Takes a jump of so many ticks: from now on all moments are those of a clock that went on as the room did. Returns what
    /// is to be told of it.
    fn jump(&mut self, ticks: f64, now_ms: f64) -> Option<Jump> {
        self.slip += ticks;
        self.arrivals.jump(ticks.abs());
        self.demands.jump(ticks.abs());
        if ticks < 0.0 {
            self.stood_still_ms = now_ms;
            // Of what is under way, nobody can say what was sent before the jump. That looks late now, which says nothing.
            self.sent
                .iter_mut()
                .flatten()
                .for_each(|sent| (sent.own, sent.moment) = (sent.own - ticks, sent.moment + ticks));
        } else if ticks > EARLY_TICKS {
            // That would look early, which says much.
            self.sent.fill(None);
            self.rtt_ms = 0.0;
        }
        let Settling { since_ms, all, told } =
            self.settling(now_ms).unwrap_or(Settling { since_ms: now_ms, ..Settling::default() });
        let all = all + ticks;
        let is_news = (all - told).abs() > EARLY_TICKS;
        self.settling = Some(Settling { since_ms, all, told: if is_news { all } else { told } });
        let (ended_ms, standstill_ms) = self.standstill;
        let ms = all * TICK_MS;
        let stood_still = now_ms - ended_ms < SETTLING_MS && standstill_ms > -ms * STANDSTILL_SHARE;
        is_news.then_some(Jump { ms, is_own: ms > 0.0 || stood_still })
    }

    /// Whether a frame came on this connection; before, neither clock means anything.
    pub(crate) fn is_set(&self) -> bool {
        !self.arrivals.is_empty()
    }

    /// Packet `number` goes out now and tells the returned distance of the clocks, in force from the next tick.
    pub(crate) fn sending(&mut self, number: u8, now_ms: f64) -> u32 {
        self.sent[usize::from(number)] = Some(Sent { own: self.own, moment: self.moment(now_ms) });
        let wanted = self.view_delay_wanted();
        self.view_delay = if wanted.abs_diff(self.view_delay) > VIEW_DELAY_JUMP_PARTS {
            wanted
        } else {
            wanted.clamp(self.view_delay.saturating_sub(VIEW_DELAY_STEP_PARTS), self.view_delay + VIEW_DELAY_STEP_PARTS)
        };
        self.view_delay
    }

    /// A new connection numbers its packets anew, and its way may be another; the own clock runs on.
    pub(crate) fn new_connection(&mut self) {
        self.arrivals = Window::default();
        self.demands = Window::default();
        self.sent.fill(None);
        self.rtt_ms = 0.0;
        self.settling = None;
        self.stood_still_ms = f64::NEG_INFINITY;
    }

    /// The own clock: the tick the own plane is shown at.
    pub(crate) fn own_at(&mut self, now_ms: f64) -> f64 {
        let elapsed = self.elapsed(now_ms);
        if !self.demands.is_empty() {
            let (error, limit) = (self.own_wanted() - self.own, elapsed * RATE_CHANGE_MAX);
            self.own += if error.abs() > JUMP_TICKS { error } else { error.clamp(-limit, limit) };
        }
        (self.moment(now_ms) + self.own).max(0.0)
    }

    /// Ticks since this was asked the last time.
    fn elapsed(&mut self, now_ms: f64) -> f64 {
        let elapsed_ms = now_ms - self.advanced_ms;
        let (ended_ms, longest_ms) = self.standstill;
        if elapsed_ms > longest_ms || now_ms - ended_ms > SETTLING_MS {
            self.standstill = (now_ms, elapsed_ms);
        }
        self.advanced_ms = self.advanced_ms.max(now_ms);
        (elapsed_ms / TICK_MS).clamp(0.0, 60.0)
    }

    /// The tick others are shown at.
    pub(crate) fn shown_at(&mut self, now_ms: f64) -> f64 {
        (self.own_at(now_ms) - f64::from(self.view_delay) / f64::from(PARTS)).max(0.0)
    }

    /// How far behind the own clock the others are shown, parts of a tick.
    pub(crate) fn view_delay(&self) -> u32 {
        self.view_delay
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

    /// Whether a frame of this tick, the newest, comes so late that the line has stalled, or so early that a clock has jumped.
    pub(crate) fn is_unusual(&self, tick: Tick, now_ms: f64) -> bool {
        let lateness = self.moment(now_ms) - f64::from(tick);
        !self.arrivals.is_empty()
            && (self.arrivals.is_stall(lateness) || lateness < self.arrivals.least() - EARLY_TICKS)
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

    fn view_delay_wanted(&self) -> u32 {
        let needed = self.own + self.arrivals.quantile(SHOWN_QUANTILE) + SHOWN_WAIT_TICKS;
        let allowed = f64::from(VIEW_DELAY_MAX) / f64::from(PARTS);
        let delay = needed.min(allowed.max(needed - SHOWN_HURRY_TICKS));
        (delay * f64::from(PARTS)).round().max(0.0) as u32
    }

    /// How far behind the tick that comes with this lateness the others are shown.
    fn behind_exactly(&self, lateness: f64) -> f64 {
        f64::from(self.view_delay) / f64::from(PARTS) - self.own - lateness
    }
}

/// Whether what is late is so by what is early, or by more.
fn agrees(later: f64, earlier: f64) -> bool {
    later > earlier - (earlier / 3.0).clamp(ROUNDING_TICKS, DISAGREEMENT_MAX_TICKS)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line with this delay each way and this much jitter on top; returns the clock, and the leads the room saw, one a
    /// tick. The client's frames lie between the room's ticks.
    fn play(one_way_ms: f64, jitter_ms: f64, ticks: u32) -> (ClockSync, Vec<i8>, f64) {
        let (mut clock, mut leads) = (ClockSync::new(), vec![]);
        let mut up: Vec<(f64, u8, f64)> = vec![];
        let mut down: Vec<(f64, Tick, Option<Ack>)> = vec![];
        let (mut number, mut now_ms) = (0u8, 0.0);
        let late =
            |tick: u32, salt: u32| f64::from(tick.wrapping_mul(2_654_435_761).wrapping_add(salt) >> 16) % 97.0 / 96.0;
        for tick in 100..100 + ticks {
            let room_ms = f64::from(tick) * TICK_MS;
            let mut ack = None;
            for (_, packet, at) in up.extract_if(.., |(arrival, ..)| *arrival <= room_ms) {
                let lead = (at.floor() - f64::from(tick - 1)) as i8;
                ack = Some(Ack { packet, lead });
                leads.push(lead);
            }
            down.push((room_ms + one_way_ms + jitter_ms * late(tick, 7), tick, ack));
            now_ms = room_ms + 0.4 * TICK_MS;
            for (arrival, tick, ack) in down.extract_if(.., |(arrival, ..)| *arrival <= now_ms) {
                clock.frame(tick, ack, arrival);
            }
            if clock.is_set() {
                number = number % 255 + 1;
                let at = clock.own_at(now_ms);
                clock.sending(number, now_ms);
                up.push((now_ms + one_way_ms + jitter_ms * late(tick, 99), number, at));
            }
        }
        (clock, leads, now_ms)
    }

    /// SPEC A5.6.
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
            let (clock, ..) = play(40.0, jitter_ms, 900);
            let delay = clock.delay_ticks();
            assert!((0.4..=jitter_ms / TICK_MS + 1.0).contains(&delay), "{jitter_ms} ms of jitter: {delay} ticks");
        }
    }

    #[test]
    fn a_stall_moves_neither_clock() {
        let (mut clock, _, now_ms) = play(40.0, 5.0, 600);
        let before = (clock.own_at(now_ms) - now_ms / TICK_MS, clock.delay_ticks());
        // Two seconds of nothing, then all of it at once.
        let tick = (now_ms / TICK_MS) as Tick - 2;
        let after_ms = now_ms + 2000.0;
        for late in 0..60 {
            clock.frame(tick + late, None, after_ms);
        }
        let after = (clock.own_at(after_ms) - after_ms / TICK_MS, clock.delay_ticks());
        assert!((before.0 - after.0).abs() < 1e-9 && (before.1 - after.1).abs() < 0.5, "{before:?} {after:?}");
    }
}
