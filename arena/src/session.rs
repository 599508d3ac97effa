//! One player's place in a room: what was handed to the socket, which inputs wait, when to give up.
//!
//! Invariants: `since` (the last tick handed over) and the cells held then follow from what was handed out alone;
//! acknowledgements only open and close the window.

use crate::{
    room::input_buffer::{InputBuffer, Pending},
    rows::interest::Viewpoint,
    window::{Sent, Window},
};
use game::{PilotId, lag_compensation::PARTS, schema::CellId};
use protocol::{
    Tick,
    close::CloseReason,
    frame::{InputAck, PrivateState},
    limits::{
        ACK_INTERVAL_MAX_MS, INPUT_LEAD_MAX_TICKS, RESUME_GRACE_MS, SILENCE_MAX_MS, UNACKNOWLEDGED_MAX_MS,
        WINDOW_MAX_TICKS,
    },
    message::InputPacket,
};
use serde::{Deserialize, Serialize};

/// A session: a player from join to leave, over any number of sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u32);

const SILENCE_MAX_TICKS: u32 = ticks(SILENCE_MAX_MS);
const UNACKNOWLEDGED_MAX_TICKS: u32 = ticks(UNACKNOWLEDGED_MAX_MS);
const RESUME_GRACE_TICKS: u32 = ticks(RESUME_GRACE_MS);
/// One chat line a second, a few at once. Policy: the line is refused with a notice.
const CHAT_BURST_MAX_LINES: u32 = 5;
const CHAT_REFILL_TICKS: u32 = protocol::TICK_HZ;

/// Sockets of a session that is taken up again. Policy: refuse the snapshot.
const GENERATION_MAX: u32 = u32::MAX / 2;
/// Policy: requests that come sooner are ignored; the client finds the difference again and asks again.
const REPAIR_INTERVAL_TICKS: u32 = protocol::TICK_HZ;

/// A longer way ahead is believed by this share per packet.
const AHEAD_SMOOTHING: u32 = 16;
/// Of a packet's lead so much counts as the client's buffer. Policy: more is not believed.
const LEAD_COUNTED_MAX_TICKS: u32 = 4;
/// Clients show others this much behind the newest frame at most, as far as bullets are concerned: as late as frames come
/// with 50 ms of jitter, and half a tick.
const SHOWN_LATE_MAX_TICKS: u32 = 4;

const fn ticks(ms: u64) -> u32 {
    (ms * protocol::TICK_HZ as u64 / 1000) as u32
}

// An acknowledgement must come several times within the window, else steady play would pause.
const _: () = assert!(ticks(ACK_INTERVAL_MAX_MS) * 4 < WINDOW_MAX_TICKS);

/// Why a session is not to go on as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The socket is to be closed; the plane stays for the grace.
    Close(CloseReason),
    /// The grace of a lost socket is over.
    Leave,
}

/// What lasts of a session while its room is put aside; what was under way on its socket does not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SavedSession {
    pub(crate) pilot: PilotId,
    epoch: u32,
    generation: u32,
    confirmed: u32,
    is_connected: bool,
    heard: Tick,
    chat_spent: u32,
    repaired: Option<Tick>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) pilot: PilotId,
    /// The room's life in which it began.
    pub(crate) epoch: u32,
    /// Counts the resume tokens given out.
    pub(crate) generation: u32,
    /// The newest token that the client is known to have: it has used it, or spoken since it was given out.
    confirmed: u32,
    pub(crate) is_connected: bool,
    pub(crate) window: Window,
    /// Held cells that must come whole.
    pub(crate) lost: Vec<CellId>,
    pub(crate) wants_sums: bool,
    /// Number of the last event handed over.
    pub(crate) event: u32,
    /// The own standing as last handed over.
    pub(crate) private: Option<PrivateState>,
    /// The last input packet and the least lead since a frame told of one, until the next does.
    pub(crate) unanswered: Option<InputAck>,
    /// How far the client's clock is ahead of the newest frame it has, which is the round trip and its buffer, as measured
    /// here, 16ths of a tick: down at once, up slowly, since an acknowledgement may have waited. 0 while unknown.
    ahead: u32,
    heard: Tick,
    chat_spent: u32,
    repaired: Option<Tick>,
}

impl Session {
    pub(crate) fn new(pilot: PilotId, epoch: u32, now: Tick) -> Self {
        Self {
            pilot,
            epoch,
            generation: 0,
            confirmed: 0,
            is_connected: false,
            window: Window::default(),
            lost: Vec::new(),
            wants_sums: false,
            event: 0,
            private: None,
            unanswered: None,
            ahead: 0,
            heard: now,
            chat_spent: 0,
            repaired: None,
        }
    }

    /// See [`SavedSession`].
    pub(crate) fn save(&self) -> SavedSession {
        let Self { pilot, epoch, generation, confirmed, is_connected, heard, chat_spent, repaired, .. } = *self;
        SavedSession { pilot, epoch, generation, confirmed, is_connected, heard, chat_spent, repaired }
    }

    /// Whether a session can go on from this at tick `now`.
    pub(crate) fn can_restore(saved: &SavedSession, now: Tick) -> bool {
        saved.generation.max(saved.confirmed) <= GENERATION_MAX && saved.repaired.is_none_or(|repaired| repaired <= now)
    }

    /// As it was when its room was put aside at tick `now`; its socket, if it had one, is lost since then.
    pub(crate) fn restore(saved: &SavedSession, now: Tick) -> Self {
        let SavedSession { pilot, epoch, generation, confirmed, is_connected, heard, chat_spent, repaired } = *saved;
        let heard = if is_connected { now } else { heard.min(now) };
        Self { generation, confirmed, heard, chat_spent, repaired, ..Self::new(pilot, epoch, now) }
    }

    /// A socket (the first or another) begins. The client says which tick it still has; returns from which tick frames
    /// continue, 0 when it must begin anew.
    pub(crate) fn connect(&mut self, have_tick: Tick, now: Tick) -> Tick {
        let held = self.window.find(have_tick).filter(|_| have_tick != 0);
        self.window = Window::starting_at(held);
        self.ahead = 0;
        self.lost.clear();
        self.generation += 1;
        self.is_connected = true;
        self.private = None;
        (self.unanswered, self.heard) = (None, now);
        held.map_or(0, |sent| sent.tick)
    }

    /// The socket is gone; the grace begins.
    pub(crate) fn disconnect(&mut self, now: Tick) {
        (self.is_connected, self.heard) = (false, now);
    }

    /// The viewpoint the client expects next; it begins with what everyone sees.
    pub(crate) fn derived_viewpoint(&self) -> Viewpoint {
        self.window.last().map_or(Viewpoint::NOWHERE, |last| last.next_viewpoint)
    }

    /// Whether the client asked for something that comes with a frame.
    pub(crate) fn has_asked(&self) -> bool {
        self.wants_sums || !self.lost.is_empty()
    }

    /// A token of this generation is shown: whether it is good, which is so until the client is known to have a newer one. A
    /// token that is used was received, so that all older ones are void from then on. One that the room cannot have given
    /// out yet is from what it forgot when it was taken up from an older save, and newer than all it knows.
    pub(crate) fn recognise(&mut self, generation: u32) -> bool {
        let is_good = generation >= self.confirmed;
        if is_good {
            self.confirmed = generation;
            self.generation = self.generation.max(generation);
        }
        is_good
    }

    /// Notes the acknowledgement and files the inputs; returns how many of them came too late for their tick.
    ///
    /// Policy: late inputs take effect at the next tick; those from too far ahead at the limit. One voids what came before
    /// it for later ticks: the client's clock went back, and its last word counts.
    pub(crate) fn hear(&mut self, packet: &InputPacket, now: Tick, buffer: &mut InputBuffer) -> u32 {
        self.hear_message(now);
        let lead = i64::from(packet.at).saturating_sub(i64::from(now)).clamp(-128, 127) as i8;
        let least = self.unanswered.map_or(lead, |earlier| earlier.lead.min(lead));
        self.unanswered = Some(InputAck { packet: packet.number, lead: least });
        let ack = packet.ack.min(self.window.last().map_or(0, |sent| sent.tick));
        // A frame counts once: whoever repeats an old word has no longer line.
        if let Some(acknowledged) = self.window.acknowledge(ack) {
            let buffer = u32::from(lead.max(0) as u8).min(LEAD_COUNTED_MAX_TICKS);
            self.measure(((now - acknowledged).min(WINDOW_MAX_TICKS) + buffer) * PARTS);
        }
        let late = packet.inputs.iter().filter(|input| input.tick <= now).count();
        for input in &packet.inputs {
            let tick = input.tick.clamp(now + 1, now + INPUT_LEAD_MAX_TICKS);
            buffer.put(now, tick, self.pilot, Pending::Controls(input.controls));
        }
        // How far back a client on such a line can honestly see others: whoever claims more gains nothing. Whoever delays
        // the word looks like a longer line, and gains no more than one has: `BEHIND_MAX`.
        let most = self.ahead + SHOWN_LATE_MAX_TICKS * PARTS;
        let seen = packet.view_delay.min(most.try_into().unwrap_or(u8::MAX));
        let tick = packet.at.clamp(now, now + INPUT_LEAD_MAX_TICKS) + 1;
        buffer.put(now, tick, self.pilot, Pending::View(seen));
        late as u32
    }

    fn measure(&mut self, ahead: u32) {
        if self.ahead == 0 || ahead < self.ahead {
            self.ahead = ahead;
        } else {
            self.ahead += (ahead - self.ahead).div_ceil(AHEAD_SMOOTHING);
        }
    }

    /// Something came.
    pub(crate) fn hear_message(&mut self, now: Tick) {
        (self.heard, self.confirmed) = (now, self.generation);
    }

    /// Whether another frame may go out, `waited` ticks after the last one.
    pub(crate) fn has_window(&self, now: Tick, waited: u32) -> bool {
        self.is_connected && self.window.has_room(now, waited)
    }

    /// Notes that this frame was handed over.
    pub(crate) fn handed(&mut self, sent: Sent) {
        self.window.handed(sent);
        self.lost.clear();
        (self.wants_sums, self.unanswered) = (false, None);
    }

    /// How the session, or its socket, comes to an end now, if it does.
    pub(crate) fn ending(&self, now: Tick) -> Option<Ending> {
        let is_unacknowledged = || self.window.oldest().is_some_and(|oldest| now > oldest + UNACKNOWLEDGED_MAX_TICKS);
        match self.is_connected {
            true if now > self.heard + SILENCE_MAX_TICKS => Some(Ending::Close(CloseReason::Silent)),
            true if is_unacknowledged() => Some(Ending::Close(CloseReason::TooSlow)),
            false if now > self.heard + RESUME_GRACE_TICKS => Some(Ending::Leave),
            _ => None,
        }
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
    use protocol::{limits::INPUTS_MAX_COUNT, message::Input};

    const NOW: Tick = 1000;

    /// A session on a line with a round trip of so many ticks; its packets come 2 ticks early.
    fn session(round_trip: u32) -> Session {
        let mut session = Session::new(PilotId(1), 1, NOW - 100);
        session.connect(0, NOW - 100);
        let tick = NOW - round_trip;
        session.handed(Sent { tick, viewpoint: Viewpoint::NOWHERE, next_viewpoint: Viewpoint::NOWHERE });
        session.hear(&InputPacket { ack: tick, ..packet(NOW + 2, 0, &[]) }, NOW, &mut InputBuffer::new());
        session
    }

    fn packet(at: Tick, view_delay: u8, inputs: &[(Tick, u16)]) -> InputPacket {
        let inputs = inputs.iter().map(|(tick, controls)| Input { tick: *tick, controls: *controls }).collect();
        InputPacket { number: 1, ack: 0, at, view_delay, inputs }
    }

    /// What the room makes of inputs that arrive at [`NOW`]: tick and controls, the last word for each.
    fn heeded(inputs: &[(Tick, u16)]) -> Vec<(Tick, u16)> {
        let (mut session, mut buffer) = (session(9), InputBuffer::new());
        session.hear(&packet(NOW + 2, 0, inputs), NOW, &mut buffer);
        let mut last_word = |tick| {
            let controls = |(_, want)| if let Pending::Controls(bits) = want { Some(bits) } else { None };
            buffer.take(tick).filter_map(controls).last()
        };
        (NOW + 1..=NOW + INPUT_LEAD_MAX_TICKS).filter_map(|tick| Some((tick, last_word(tick)?))).collect()
    }

    #[test]
    fn an_input_counts_at_its_tick_a_late_one_at_the_next_and_an_early_one_at_the_limit() {
        assert_eq!(heeded(&[(NOW + 3, 7)]), [(NOW + 3, 7)]);
        assert_eq!(heeded(&[(NOW - 50, 5), (NOW, 6)]), [(NOW + 1, 6)], "the last word counts");
        assert_eq!(heeded(&[(NOW + 500, 7)]), [(NOW + INPUT_LEAD_MAX_TICKS, 7)]);
        let words = [(NOW + 2, 1), (NOW + 9, 2), (NOW + 500, 3), (NOW + 9, 4)];
        assert_eq!(heeded(&words), [(NOW + 2, 1), (NOW + 9, 4)], "an earlier tick voids later ones");
    }

    #[test]
    fn a_stamp_in_the_past_or_future_changes_nothing_before_the_next_tick() {
        for tick in [0, 1, NOW - 1, NOW, NOW + 1] {
            assert_eq!(heeded(&[(tick, 9)]), [(NOW + 1, 9)], "stamped {tick}");
        }
        assert!(heeded(&[(Tick::MAX, 9)]).iter().all(|(tick, _)| *tick > NOW + 1), "whoever stamps later waits longer");
    }

    #[test]
    fn what_is_filed_and_what_it_costs_stay_bounded_whatever_order_of_ticks_clients_send() {
        /// What a socket may send at once, and in the second after it.
        const PACKETS: u32 = 360;
        const SENDERS: u16 = 200;
        let mut buffer = InputBuffer::new();
        let mut senders: Vec<_> = (1..=SENDERS).map(|pilot| Session { pilot: PilotId(pilot), ..session(9) }).collect();
        // Half of them pile up at the limit; the others make void what they said, seven times in each packet. If any of
        // that walked over what is filed, this would not end within hours.
        let piled = packet(Tick::MAX, 0, &[(Tick::MAX, 1); INPUTS_MAX_COUNT]);
        let voiding: Vec<_> = (0..INPUTS_MAX_COUNT).map(|i| (if i % 2 == 0 { Tick::MAX } else { 0 }, 2)).collect();
        let mut voiding = packet(0, 0, &voiding);
        for sent in 0..PACKETS {
            voiding.at = if sent % 2 == 0 { Tick::MAX } else { 0 };
            for sender in &mut senders {
                let is_piling = sender.pilot.0 % 2 == 0;
                sender.hear(if is_piling { &piled } else { &voiding }, NOW, &mut buffer);
            }
        }
        // The limit, and the tick after for the view; half of them the next tick too.
        assert_eq!(buffer.entries(), usize::from(SENDERS) * 2 + usize::from(SENDERS) / 2);
        for ahead in 0..2 * INPUT_LEAD_MAX_TICKS {
            let tick = NOW + ahead * 37 % (INPUT_LEAD_MAX_TICKS + 7);
            senders.iter_mut().for_each(|sender| _ = sender.hear(&packet(tick, 0, &[(tick, 3)]), NOW, &mut buffer));
        }
        assert_eq!(
            buffer.entries(),
            usize::from(SENDERS) * (INPUT_LEAD_MAX_TICKS as usize + 1),
            "all ticks, each once"
        );
    }

    /// What the room lets a client see, parts of a tick, after it got a frame and acknowledged it on each of 200 ticks, over
    /// a line with a round trip of 6 ticks, with packets that all say `behind` and, at tick `now`, `at(now)`.
    fn seen(at: impl Fn(Tick) -> Tick, view_delay: u8) -> u32 {
        let (mut session, mut buffer, mut seen) = (session(6), InputBuffer::new(), None);
        for now in NOW + 1..=NOW + 200 {
            let view = |(_, want)| if let Pending::View(behind) = want { Some(u32::from(behind)) } else { None };
            seen = buffer.take(now).filter_map(view).last().or(seen);
            session.handed(Sent { tick: now - 6, viewpoint: Viewpoint::NOWHERE, next_viewpoint: Viewpoint::NOWHERE });
            session.hear(&InputPacket { ack: now - 6, ..packet(at(now), view_delay, &[]) }, now, &mut buffer);
        }
        seen.expect("every packet tells a view")
    }

    #[test]
    fn who_claims_to_see_older_ticks_than_its_line_can_show_gains_nothing() {
        let honest = (6 + 2 + SHOWN_LATE_MAX_TICKS) * PARTS;
        for behind in [130, 170] {
            assert_eq!(seen(|now| now + 2, behind), u32::from(behind), "an honest word is believed");
        }
        assert_eq!(seen(|now| now + 2, 255), honest);
        let most = (6 + LEAD_COUNTED_MAX_TICKS + SHOWN_LATE_MAX_TICKS) * PARTS;
        for lead in [60, 100_000, Tick::MAX - NOW - 200] {
            let seen = seen(|now| now + lead, 255);
            assert_eq!(seen, most, "a clock that is said to be far ahead buys {LEAD_COUNTED_MAX_TICKS} ticks");
        }
        assert_eq!(seen(|_| 0, 255), (6 + SHOWN_LATE_MAX_TICKS) * PARTS, "and one that is late none");
    }

    #[test]
    fn an_old_word_said_again_makes_no_longer_line() {
        let mut session = session(6);
        for now in NOW..NOW + 200 {
            session.hear(&InputPacket { ack: NOW - 6, ..packet(now + 2, 255, &[]) }, now, &mut InputBuffer::new());
        }
        assert_eq!(session.ahead / PARTS, 6 + 2);
    }
}
