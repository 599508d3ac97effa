//! One player's place in a room: what was handed to the socket, which inputs wait, when to give up.
//!
//! Invariants: `since` (the last tick handed over) and the cells held then follow from what was handed out alone;
//! acknowledgements only open and close the window.

use crate::eye::Eye;
use game::{PilotId, field::CellId, past::PARTS};
use protocol::{
    Tick,
    frame::{Heard, Own},
    limits::{
        ACK_INTERVAL_MAX_MS, INPUT_LEAD_MAX_TICKS, RESUME_GRACE_MS, SILENCE_MAX_MS, UNACKNOWLEDGED_MAX_MS,
        WINDOW_EASY_TICKS, WINDOW_MAX_TICKS,
    },
    message::InputPacket,
};
use std::collections::VecDeque;

/// A session: a player from join to leave, over any number of sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u32);

const SILENCE_MAX_TICKS: u32 = ticks(SILENCE_MAX_MS);
const UNACKNOWLEDGED_MAX_TICKS: u32 = ticks(UNACKNOWLEDGED_MAX_MS);
const RESUME_GRACE_TICKS: u32 = ticks(RESUME_GRACE_MS);
/// One chat line a second, a few at once. Policy: the line is refused with a notice.
const CHAT_BURST_MAX_LINES: u32 = 5;
const CHAT_REFILL_TICKS: u32 = protocol::TICK_HZ;

/// Policy: requests that come sooner are ignored; the client finds the difference again and asks again.
const REPAIR_INTERVAL_TICKS: u32 = protocol::TICK_HZ;

/// A longer round trip is believed by this share per packet.
const ROUND_TRIP_SMOOTHING: u32 = 16;
/// Of a packet's lead so much counts as the client's buffer. Policy: more is not believed.
const LEAD_COUNTED_MAX_TICKS: u32 = 4;
/// Clients show others this much behind the newest frame at most, as far as bullets are concerned.
const SHOWN_LATE_MAX_TICKS: u32 = 3;

const fn ticks(ms: u64) -> u32 {
    (ms * protocol::TICK_HZ as u64 / 1000) as u32
}

// An acknowledgement must come several times within the window, else steady play would pause.
const _: () = assert!(ticks(ACK_INTERVAL_MAX_MS) * 4 < WINDOW_MAX_TICKS);

/// A frame that was handed over: what the client holds once it applied it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) tick: Tick,
    /// The eye the frame was made for: its cells are held.
    pub(crate) eye: Eye,
    /// The eye the client derives for the next frame.
    pub(crate) next_eye: Eye,
}

/// Adds what is to happen at a tick, no sooner than what was added before; the last word for a tick counts. The room reads
/// what is due on every tick and a client sends once per tick, so that a queue holds [`INPUT_LEAD_MAX_TICKS`] at most.
fn put<T>(queue: &mut VecDeque<(Tick, T)>, tick: Tick, what: T) {
    let tick = queue.back().map_or(tick, |(last, _)| tick.max(*last));
    match queue.back_mut() {
        Some(last) if last.0 == tick => last.1 = what,
        _ => queue.push_back((tick, what)),
    }
}

/// The newest of what is due at `tick`.
fn take<T>(queue: &mut VecDeque<(Tick, T)>, tick: Tick) -> Option<T> {
    let mut newest = None;
    while let Some((_, what)) = queue.pop_front_if(|(due, _)| *due <= tick) {
        newest = Some(what);
    }
    newest
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) pilot: PilotId,
    /// Counts the resume tokens given out.
    pub(crate) generation: u32,
    /// The newest token that the client is known to have: it has spoken since it was given out.
    confirmed: u32,
    pub(crate) is_connected: bool,
    /// The newest frame handed over, `None` before the first.
    pub(crate) last: Option<Sent>,
    /// Frames that are not acknowledged, oldest first, for the window and for a resume.
    unacknowledged: VecDeque<Sent>,
    /// The newest acknowledged frame, for a resume from just there.
    acknowledged: Option<Sent>,
    /// Held cells that must come whole.
    pub(crate) lost: Vec<CellId>,
    pub(crate) wants_sums: bool,
    /// Number of the last event handed over.
    pub(crate) event: u32,
    /// The own standing as last handed over.
    pub(crate) own: Option<Own>,
    /// The last input packet and the least lead since a frame told of one, until the next does.
    pub(crate) unanswered: Option<Heard>,
    /// Controls by the tick they take effect at, and how far back the pilot sees others by the tick after which that
    /// counts; both in the order of ticks.
    inputs: VecDeque<(Tick, u16)>,
    views: VecDeque<(Tick, u32)>,
    /// Round trip as measured here, 16ths of a tick: down at once, up slowly, since an acknowledgement may have waited.
    round_trip: u32,
    heard: Tick,
    chat_spent: u32,
    repaired: Option<Tick>,
}

impl Session {
    pub(crate) fn new(pilot: PilotId, now: Tick) -> Self {
        Self {
            pilot,
            generation: 0,
            confirmed: 0,
            is_connected: false,
            last: None,
            unacknowledged: VecDeque::new(),
            acknowledged: None,
            lost: Vec::new(),
            wants_sums: false,
            event: 0,
            own: None,
            unanswered: None,
            inputs: VecDeque::new(),
            views: VecDeque::new(),
            round_trip: 0,
            heard: now,
            chat_spent: 0,
            repaired: None,
        }
    }

    /// A socket (the first or another) begins. The client says which tick it still has; returns from which tick frames
    /// continue, 0 when it must begin anew.
    pub(crate) fn connect(&mut self, have_tick: Tick, now: Tick) -> Tick {
        let held = self.acknowledged.iter().chain(&self.unacknowledged).find(|sent| sent.tick == have_tick).copied();
        self.last = held.filter(|_| have_tick != 0);
        self.acknowledged = self.last;
        self.unacknowledged.clear();
        self.forget_inputs();
        self.round_trip = 0;
        self.lost.clear();
        self.generation += 1;
        self.is_connected = true;
        self.own = None;
        (self.unanswered, self.heard) = (None, now);
        self.last.map_or(0, |sent| sent.tick)
    }

    /// The socket is gone; the grace begins.
    pub(crate) fn disconnect(&mut self, now: Tick) {
        (self.is_connected, self.heard) = (false, now);
        self.forget_inputs();
    }

    fn forget_inputs(&mut self) {
        self.inputs.clear();
        self.views.clear();
    }

    /// The eye the client expects next; it begins with what everyone sees.
    pub(crate) fn derived_eye(&self) -> Eye {
        self.last.map_or(Eye::NOWHERE, |last| last.next_eye)
    }

    /// Whether the client asked for something that comes with a frame.
    pub(crate) fn has_asked(&self) -> bool {
        self.wants_sums || !self.lost.is_empty()
    }

    /// Whether a resume token of this generation is good: the newest, or the one before as long as nothing shows that
    /// the newest arrived.
    pub(crate) fn accepts(&self, generation: u32) -> bool {
        generation == self.generation || generation == self.confirmed
    }

    /// Notes inputs and acknowledgement; returns how many inputs came too late for their tick.
    ///
    /// Policy: late inputs take effect at the next tick; those from too far ahead at the limit.
    pub(crate) fn hear(&mut self, packet: &InputPacket, now: Tick) -> u32 {
        self.hear_message(now);
        let lead = i64::from(packet.at).saturating_sub(i64::from(now)).clamp(-128, 127) as i8;
        let least = self.unanswered.map_or(lead, |earlier| earlier.lead.min(lead));
        self.unanswered = Some(Heard { packet: packet.number, lead: least });
        let ack = packet.ack.min(self.last.map_or(0, |sent| sent.tick));
        while self.unacknowledged.front().is_some_and(|sent| sent.tick <= ack) {
            self.acknowledged = self.unacknowledged.pop_front();
        }
        if ack != 0 {
            self.measure((now - ack) * PARTS);
        }
        let late = packet.inputs.iter().filter(|input| input.tick <= now).count();
        for input in &packet.inputs {
            let tick = input.tick.clamp(now + 1, now + INPUT_LEAD_MAX_TICKS);
            put(&mut self.inputs, tick, input.controls);
        }
        let seen = u32::from(packet.behind).min(self.behind_max(lead));
        put(&mut self.views, packet.at.clamp(now, now + INPUT_LEAD_MAX_TICKS), seen);
        late as u32
    }

    fn measure(&mut self, round_trip: u32) {
        if self.round_trip == 0 || round_trip < self.round_trip {
            self.round_trip = round_trip;
        } else {
            self.round_trip += (round_trip - self.round_trip).div_ceil(ROUND_TRIP_SMOOTHING);
        }
    }

    /// How far back a client on such a line can honestly see others, 16ths of a tick: whoever claims more gains nothing.
    fn behind_max(&self, lead: i8) -> u32 {
        self.round_trip + (u32::from(lead.max(0) as u8).min(LEAD_COUNTED_MAX_TICKS) + SHOWN_LATE_MAX_TICKS) * PARTS
    }

    /// Something came.
    pub(crate) fn hear_message(&mut self, now: Tick) {
        (self.heard, self.confirmed) = (now, self.generation);
    }

    /// The controls that take effect at `tick`, if they change.
    pub(crate) fn controls_at(&mut self, tick: Tick) -> Option<u16> {
        take(&mut self.inputs, tick)
    }

    /// How far back the pilot sees others from `tick` on, 16ths of a tick, if it was told.
    pub(crate) fn view_at(&mut self, tick: Tick) -> Option<u32> {
        take(&mut self.views, tick - 1)
    }

    /// Whether another frame may be on its way, `waited` ticks after the last one: the longer nothing is acknowledged, the
    /// rarer frames get.
    pub(crate) fn has_window(&self, now: Tick, waited: u32) -> bool {
        let age = self.unacknowledged.front().map_or(0, |oldest| now - oldest.tick);
        self.is_connected && age < WINDOW_MAX_TICKS && waited > age.saturating_sub(WINDOW_EASY_TICKS) / 4
    }

    /// Whether a connected client has left frames unacknowledged for too long.
    pub(crate) fn is_too_slow(&self, now: Tick) -> bool {
        self.is_connected
            && self.unacknowledged.front().is_some_and(|oldest| now > oldest.tick + UNACKNOWLEDGED_MAX_TICKS)
    }

    /// Notes that this frame was handed over.
    pub(crate) fn handed(&mut self, sent: Sent) {
        self.unacknowledged.push_back(sent);
        self.last = Some(sent);
        self.lost.clear();
        (self.wants_sums, self.unanswered) = (false, None);
    }

    /// Whether a connected client has said nothing for too long.
    pub(crate) fn is_silent(&self, now: Tick) -> bool {
        self.is_connected && now > self.heard + SILENCE_MAX_TICKS
    }

    /// Since when the socket is lost; `None` while there is one.
    pub(crate) fn lost_since(&self) -> Option<Tick> {
        (!self.is_connected).then_some(self.heard)
    }

    /// Whether cells may be repaired now: once a second. A repair is sent to this session alone, so it must be rare.
    pub(crate) fn may_repair(&mut self, now: Tick) -> bool {
        let may = self.repaired.is_none_or(|repaired| now >= repaired + REPAIR_INTERVAL_TICKS);
        if may {
            self.repaired = Some(now);
        }
        may
    }

    /// Whether the grace of a lost socket is over.
    pub(crate) fn is_abandoned(&self, now: Tick) -> bool {
        !self.is_connected && now > self.heard + RESUME_GRACE_TICKS
    }

    /// Takes one chat line from the allowance, `false` when it is used up. A token bucket, kept as ticks owed.
    pub(crate) fn may_chat(&mut self, now: Tick) -> bool {
        let owed = self.chat_spent.max(now);
        let fits = owed < now + CHAT_BURST_MAX_LINES * CHAT_REFILL_TICKS;
        if fits {
            self.chat_spent = owed + CHAT_REFILL_TICKS;
        }
        fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::message::Input;

    const NOW: Tick = 1000;

    /// A session on a line whose round trip the room measured as so many ticks.
    fn session(round_trip: u32) -> Session {
        let mut session = Session::new(PilotId(1), NOW - 100);
        session.connect(0, NOW - 100);
        let tick = NOW - round_trip;
        session.handed(Sent { tick, eye: Eye::NOWHERE, next_eye: Eye::NOWHERE });
        session.hear(&InputPacket { ack: tick, ..packet(NOW + 2, 0, &[]) }, NOW);
        session.views.clear();
        session
    }

    fn packet(at: Tick, behind: u8, inputs: &[(Tick, u16)]) -> InputPacket {
        let inputs = inputs.iter().map(|(tick, controls)| Input { tick: *tick, controls: *controls }).collect();
        InputPacket { number: 1, ack: 0, at, behind, inputs }
    }

    /// What the room makes of inputs that arrive at [`NOW`]: tick and controls.
    fn heeded(inputs: &[(Tick, u16)]) -> Vec<(Tick, u16)> {
        let mut session = session(9);
        session.hear(&packet(NOW + 2, 0, inputs), NOW);
        (NOW + 1..NOW + 200).filter_map(|tick| Some((tick, session.controls_at(tick)?))).collect()
    }

    #[test]
    fn an_input_counts_at_its_tick_a_late_one_at_the_next_and_an_early_one_at_the_limit() {
        assert_eq!(heeded(&[(NOW + 3, 7)]), [(NOW + 3, 7)]);
        assert_eq!(heeded(&[(NOW - 50, 5), (NOW, 6)]), [(NOW + 1, 6)], "the last word counts");
        assert_eq!(heeded(&[(NOW + 500, 7)]), [(NOW + INPUT_LEAD_MAX_TICKS, 7)]);
        assert_eq!(heeded(&[(NOW + 9, 1), (NOW + 3, 2)]), [(NOW + 9, 2)], "ticks do not run backwards");
    }

    #[test]
    fn a_stamp_in_the_past_or_future_changes_nothing_before_the_next_tick() {
        for tick in [0, 1, NOW - 1, NOW, NOW + 1] {
            assert_eq!(heeded(&[(tick, 9)]), [(NOW + 1, 9)], "stamped {tick}");
        }
        assert!(heeded(&[(Tick::MAX, 9)]).iter().all(|(tick, _)| *tick > NOW + 1), "whoever stamps later waits longer");
    }

    #[test]
    fn who_claims_to_see_older_ticks_than_its_line_can_show_gains_nothing() {
        let seen = |at: Tick, behind: u8| {
            let mut session = session(6);
            session.hear(&packet(at, behind, &[]), NOW);
            session.view_at(NOW + INPUT_LEAD_MAX_TICKS + 1).unwrap()
        };
        let honest = (6 + 2 + SHOWN_LATE_MAX_TICKS) * PARTS;
        assert_eq!(seen(NOW + 2, 130), 130, "an honest word is believed");
        assert_eq!(seen(NOW + 2, 255), honest);
        let most = (6 + LEAD_COUNTED_MAX_TICKS + SHOWN_LATE_MAX_TICKS) * PARTS;
        for at in [NOW + 60, NOW + 100_000, Tick::MAX] {
            assert!(seen(at, 255) <= most, "a clock that is said to be far ahead buys {LEAD_COUNTED_MAX_TICKS} ticks");
        }
        assert_eq!(seen(0, 255), (6 + SHOWN_LATE_MAX_TICKS) * PARTS, "and one that is late none");
    }
}
