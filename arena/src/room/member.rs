//! The arena's state per member: pending requests, last private state, measured round trip.
//!
//! Invariant: what its client expects to see next follows from the last frame that was handed over.

use crate::{
    room::input_buffer::{InputBuffer, Pending},
    rows::interest::Viewpoint,
    wire::{INPUT_LEAD_MAX_TICKS, InputPacket, PrivateState},
};
use game::{PilotId, lag_compensation::PARTS, schema::CellId};
use protocol::{
    Tick,
    frame::Ack,
    limits::{ACK_INTERVAL_MAX_MS, WINDOW_MAX_TICKS},
    token::Role,
};

/// Policy: requests that come sooner are ignored; the client finds the difference again and asks again.
const REPAIR_INTERVAL_TICKS: u32 = crate::TICK_HZ;
/// A longer way ahead is believed by this share per packet.
const AHEAD_SMOOTHING: u32 = 16;
/// Of a packet's lead so much counts as the client's buffer. Policy: more is not believed.
const LEAD_COUNTED_MAX_TICKS: u32 = 4;
/// Clients show others this much behind the newest frame at most, as far as bullets are concerned: as late as frames come
/// with 50 ms of jitter, and half a tick.
const SHOWN_LATE_MAX_TICKS: u32 = 4;

// An acknowledgement must come several times within the window, else steady use would pause.
const _: () = assert!(ACK_INTERVAL_MAX_MS as u32 * crate::TICK_HZ / 1000 * 4 < WINDOW_MAX_TICKS);

/// What is remembered of each frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct View {
    /// The viewpoint the frame was made for: its cells are held.
    pub(crate) viewpoint: Viewpoint,
    /// The viewpoint the client derives for the next frame.
    pub(crate) next: Viewpoint,
}

/// See the module.
pub(crate) type Member = session::Member<View, State>;

/// See the module.
#[derive(Debug, Clone, Default)]
pub(crate) struct State {
    /// Held cells that must come whole.
    pub(crate) lost: Vec<CellId>,
    pub(crate) wants_sums: bool,
    /// The own standing as last handed over.
    pub(crate) private: Option<PrivateState>,
    /// The last input packet and the least lead since a frame told of one, until the next does.
    pub(crate) unanswered: Option<Ack>,
    /// How far the client's clock is ahead of the newest frame it has, which is the round trip and its buffer, as measured
    /// here, 16ths of a tick: down at once, up slowly, since an acknowledgement may have waited. 0 while unknown.
    ahead: u32,
    /// Whom a reader watches.
    pub(crate) watches: Option<PilotId>,
    /// When cells were repaired last; all that lasts in a save.
    pub(crate) repaired: Option<Tick>,
}

impl State {
    /// Of a room that was saved.
    pub(crate) fn restored(repaired: Option<Tick>) -> Self {
        Self { repaired, ..Self::default() }
    }

    /// A connection (the first or another) begins.
    pub(crate) fn new_connection(&mut self) {
        *self = Self { repaired: self.repaired, wants_sums: self.wants_sums, ..Self::default() };
    }

    /// Whether the client asked for something that comes with a frame.
    pub(crate) fn has_asked(&self) -> bool {
        self.wants_sums || !self.lost.is_empty()
    }

    /// A frame was handed over: what it brought is done.
    pub(crate) fn handed(&mut self, private: Option<PrivateState>) {
        self.lost.clear();
        (self.wants_sums, self.unanswered, self.private) = (false, None, private);
    }

    /// Whether cells may be repaired now: once a second. A repair is sent to this member alone, so it must be rare.
    pub(crate) fn may_repair(&mut self, now: Tick) -> bool {
        let may = self.repaired.is_none_or(|repaired| now >= repaired + REPAIR_INTERVAL_TICKS);
        if may {
            self.repaired = Some(now);
        }
        may
    }

    fn measure(&mut self, ahead: u32) {
        if self.ahead == 0 || ahead < self.ahead {
            self.ahead = ahead;
        } else {
            self.ahead += (ahead - self.ahead).div_ceil(AHEAD_SMOOTHING);
        }
    }
}

/// The pilot that a member is to others; 0, which is nobody, for a reader.
pub(crate) fn pilot_of(member: &Member) -> PilotId {
    PilotId(member.author.try_into().expect("the room gave it the id of a pilot"))
}

/// The viewpoint the client expects next; it begins with what everyone sees.
pub(crate) fn derived_viewpoint(member: &Member) -> Viewpoint {
    member.window.last().map_or(Viewpoint::NOWHERE, |last| last.view.next)
}

/// Notes the acknowledgement and files the inputs; returns how many of them came too late for their tick.
///
/// Policy: late inputs take effect at the next tick; those from too far ahead at the limit. One voids what came before
/// it for later ticks: the client's clock went back, and its last word counts.
pub(crate) fn receive_inputs(member: &mut Member, packet: &InputPacket, now: Tick, buffer: &mut InputBuffer) -> u32 {
    member.note_activity(now);
    let pilot = pilot_of(member);
    let (state, window) = (&mut member.state, &mut member.window);
    let lead = i64::from(packet.at).saturating_sub(i64::from(now)).clamp(-128, 127) as i8;
    let least = state.unanswered.map_or(lead, |earlier| earlier.lead.min(lead));
    state.unanswered = Some(Ack { packet: packet.number, lead: least });
    let ack = packet.ack.min(window.last().map_or(0, |sent| sent.tick));
    // A frame counts once: whoever repeats an old word has no longer line.
    if let Some(acknowledged) = window.acknowledge(ack) {
        let buffer = u32::from(lead.max(0) as u8).min(LEAD_COUNTED_MAX_TICKS);
        state.measure(((now - acknowledged).min(WINDOW_MAX_TICKS) + buffer) * PARTS);
    }
    if member.role == Role::Reader {
        // It says how far it is; what it wants moves nothing.
        return 0;
    }
    let late = packet.inputs.iter().filter(|input| input.tick <= now).count();
    for input in &packet.inputs {
        let tick = input.tick.clamp(now + 1, now + INPUT_LEAD_MAX_TICKS);
        buffer.put(now, tick, pilot, Pending::Controls(input.controls));
    }
    // How far back a client on such a line can honestly see others: whoever claims more gains nothing. Whoever delays
    // the word looks like a longer line, and gains no more than one has: `BEHIND_MAX`.
    let most = state.ahead + SHOWN_LATE_MAX_TICKS * PARTS;
    let seen = packet.view_delay.min(most.try_into().unwrap_or(u8::MAX));
    let tick = packet.at.clamp(now, now + INPUT_LEAD_MAX_TICKS) + 1;
    buffer.put(now, tick, pilot, Pending::View(seen));
    late as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{INPUTS_MAX_COUNT, Input};
    use session::Sent;

    const NOW: Tick = 1000;

    /// A member on a line with a round trip of so many ticks; its packets come 2 ticks early.
    fn member(pilot: u16, round_trip: u32) -> Member {
        let mut member = Member::new((pilot.into(), Role::Member), 1, NOW - 100, State::default());
        let tick = NOW - round_trip;
        hand(&mut member, tick);
        receive(&mut member, &InputPacket { ack: tick, ..packet(NOW + 2, 0, &[]) }, NOW, &mut InputBuffer::new());
        member
    }

    fn hand(member: &mut Member, tick: Tick) {
        let view = View { viewpoint: Viewpoint::NOWHERE, next: Viewpoint::NOWHERE };
        member.window.handed(Sent { tick, view });
        member.state.handed(None);
    }

    fn receive(member: &mut Member, packet: &InputPacket, now: Tick, buffer: &mut InputBuffer) {
        receive_inputs(member, packet, now, buffer);
    }

    fn packet(at: Tick, view_delay: u8, inputs: &[(Tick, u16)]) -> InputPacket {
        let inputs = inputs.iter().map(|(tick, controls)| Input { tick: *tick, controls: *controls }).collect();
        InputPacket { number: 1, ack: 0, at, view_delay, inputs }
    }

    /// What the room makes of inputs that arrive at [`NOW`]: tick and controls, the last word for each.
    fn heeded(inputs: &[(Tick, u16)]) -> Vec<(Tick, u16)> {
        let (mut member, mut buffer) = (member(1, 9), InputBuffer::new());
        receive(&mut member, &packet(NOW + 2, 0, inputs), NOW, &mut buffer);
        let mut last_word = |tick| {
            let controls = |(_, want)| if let Pending::Controls(bits) = want { Some(bits) } else { None };
            buffer.take(tick).filter_map(controls).last()
        };
        (NOW + 1..=NOW + INPUT_LEAD_MAX_TICKS).filter_map(|tick| Some((tick, last_word(tick)?))).collect()
    }

    /// SPEC A5.4.
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
        /// What a connection may send at once, and in the second after it.
        const PACKETS: u32 = 360;
        const SENDERS: u16 = 200;
        let mut buffer = InputBuffer::new();
        let mut senders: Vec<_> = (1..=SENDERS).map(|pilot| member(pilot, 9)).collect();
        // Half of them pile up at the limit; the others make void what they said, seven times in each packet. If any of
        // that walked over what is filed, this would not end within hours.
        let piled = packet(Tick::MAX, 0, &[(Tick::MAX, 1); INPUTS_MAX_COUNT]);
        let voiding: Vec<_> = (0..INPUTS_MAX_COUNT).map(|i| (if i % 2 == 0 { Tick::MAX } else { 0 }, 2)).collect();
        let mut voiding = packet(0, 0, &voiding);
        for sent in 0..PACKETS {
            voiding.at = if sent % 2 == 0 { Tick::MAX } else { 0 };
            for sender in &mut senders {
                let is_piling = sender.author % 2 == 0;
                receive(sender, if is_piling { &piled } else { &voiding }, NOW, &mut buffer);
            }
        }
        // The limit, and the tick after for the view; half of them the next tick too.
        assert_eq!(buffer.entries(), usize::from(SENDERS) * 2 + usize::from(SENDERS) / 2);
        for ahead in 0..2 * INPUT_LEAD_MAX_TICKS {
            let tick = NOW + ahead * 37 % (INPUT_LEAD_MAX_TICKS + 7);
            senders.iter_mut().for_each(|sender| receive(sender, &packet(tick, 0, &[(tick, 3)]), NOW, &mut buffer));
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
        let (mut member, mut buffer, mut seen) = (member(1, 6), InputBuffer::new(), None);
        for now in NOW + 1..=NOW + 200 {
            let view = |(_, want)| if let Pending::View(delay) = want { Some(u32::from(delay)) } else { None };
            seen = buffer.take(now).filter_map(view).last().or(seen);
            hand(&mut member, now - 6);
            receive(&mut member, &InputPacket { ack: now - 6, ..packet(at(now), view_delay, &[]) }, now, &mut buffer);
        }
        seen.expect("every packet tells a view")
    }

    /// SPEC A5.7.
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

    /// SPEC A5.7.
    #[test]
    fn an_old_word_said_again_makes_no_longer_line() {
        let mut member = member(1, 6);
        for now in NOW..NOW + 200 {
            receive(
                &mut member,
                &InputPacket { ack: NOW - 6, ..packet(now + 2, 255, &[]) },
                now,
                &mut InputBuffer::new(),
            );
        }
        assert_eq!(member.state.ahead / PARTS, 6 + 2);
    }
}
