//! The client: handshake, clocks, inputs, prediction, what to draw and which events to report.
//!
//! Path: [`Client::hello`] opens a connection → [`Client::receive`] takes every message → [`Client::control`] says what the
//! pilot wants → [`Client::poll_send`] gives what goes out → [`Client::scene`] is what to draw now.
//! Invariants: connections come and go, the client stays; a wrong checksum is repaired cell by cell and counted.
//! Never: a socket, a clock (milliseconds of any one origin are an argument).

pub(crate) mod clock_sync;
pub(crate) mod event;
pub(crate) mod hit_prediction;
pub(crate) mod kill_feed;
mod own_plane;
pub(crate) mod prediction;
pub mod view;

use crate::{
    client::clock_sync::{ClockSync, Jump},
    client::event::{ClientEvent, Killed, Watch},
    client::hit_prediction::{ShotCounts, Shots},
    client::kill_feed::Feed,
    client::prediction::{Inputs, PredictedRows},
    client::view::{History, lengths},
    code_tables,
    replica::{Applied, Replica},
    rows::code_tables::CodeTables,
    wire::{self, Header, InputPacket, KILL_TOPIC, Kill, PrivateState, Request},
};
use game::{Controls, PilotId, geometry::heading_of, minimap, schema::Row, standing::StandingRow};
use glam::IVec2;
use own_plane::{ErrorSmoothing, OwnFlight};
use protocol::{
    DecodeError, Tick,
    entry::Entry,
    frame::Ack,
    limits::{ACK_INTERVAL_MAX_MS, TICK_MAX},
    message::{HOT_BIT, Operation, ServerMessage, Welcome},
    profile::Profile,
    room::Kind,
};
use session::Peer;
use std::{collections::VecDeque, sync::Arc};

/// Something is said at least this often; a little less than the limit, so that a late timer keeps it.
const SEND_INTERVAL_MS: f64 = ACK_INTERVAL_MAX_MS as f64 * 0.8;
/// Happenings kept for a page that does not ask (a hidden tab). Policy: the oldest is dropped.
const EVENTS_MAX_COUNT: usize = 512;

/// Figures for the network read-out and the swarm.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ClientStats {
    /// Frames applied.
    pub frames: u64,
    /// Frames whose checksum was wrong.
    pub mismatches: u64,
    /// Times the own plane was not where it had been predicted.
    pub corrections: u64,
    /// Of these, those that nothing explains: nobody touched the plane, and no input came late. A bug.
    pub corrections_unexplained: u64,
    /// How far off it was the last time, plane lengths.
    pub correction_lengths: f32,
    /// Frames that told of an input packet that came too late for its tick.
    pub late_packets: u64,
    /// What became of own shots.
    pub shots: ShotCounts,
    /// Payload bytes in.
    pub bytes_in: u64,
    /// Payload bytes out.
    pub bytes_out: u64,
    /// Round trip of the game's own packets, ms; 0 while unknown.
    pub rtt_ms: f64,
    /// 95 % of frames come within this of the soonest, ms.
    pub jitter_ms: f64,
    /// How early the last packet was, ticks: the depth of the room's buffer of inputs.
    pub lead_ticks: i8,
    /// How far the own plane is shown ahead of the newest tick that the line could have brought, ticks.
    pub ahead_ticks: f64,
    /// How far behind that tick the others are shown, ticks.
    pub delay_ticks: f64,
}

/// See the module.
#[derive(Debug, Clone)]
pub struct Client {
    tables: Arc<CodeTables>,
    replica: Option<Replica>,
    peer: Peer,
    pilot: PilotId,
    clock_sync: ClockSync,
    inputs: Inputs,
    wanted: Controls,
    /// Number of the last packet sent on this connection.
    packet: u8,
    sent_ms: f64,
    /// The tick of that packet, and the tick it acknowledged.
    packet_tick: Tick,
    packet_ack: Tick,
    /// The tick of the last packet that brought inputs.
    input_tick: Tick,
    history: History,
    events: VecDeque<ClientEvent>,
    feed: Feed,
    watch: Watch,
    private: PrivateState,
    /// The last packet of this connection that the room is known to have.
    input_ack: Ack,
    is_verifying: bool,
    shots: Shots,
    flight: PredictedRows,
    own_flight: OwnFlight,
    smoothing: ErrorSmoothing,
    /// Where the camera looks, and the tick the own plane was drawn at.
    camera: (f32, f32),
    /// Whom the camera stays with, when there is no own plane.
    watched: u16,
    drawn: Tick,
    stats: ClientStats,
}

impl Default for Client {
    fn default() -> Self {
        Self::new()
    }
}

impl Client {
    /// A client that has never been anywhere.
    pub fn new() -> Self {
        Self::sharing(code_tables())
    }

    /// The same, by tables that other clients have too.
    pub fn sharing(tables: Arc<CodeTables>) -> Self {
        Self {
            peer: Peer::new(Kind::Arena, tables.version),
            tables,
            replica: None,
            pilot: PilotId(0),
            clock_sync: ClockSync::new(),
            inputs: Inputs::default(),
            wanted: Controls::default(),
            packet: 0,
            sent_ms: f64::NEG_INFINITY,
            packet_tick: 0,
            packet_ack: 0,
            input_tick: 0,
            history: History::default(),
            events: VecDeque::new(),
            feed: Feed::default(),
            watch: Watch::default(),
            private: PrivateState::default(),
            input_ack: Ack::default(),
            is_verifying: false,
            shots: Shots::default(),
            flight: PredictedRows::default(),
            own_flight: OwnFlight::default(),
            smoothing: ErrorSmoothing::default(),
            camera: (0.0, 0.0),
            watched: 0,
            drawn: 0,
            stats: ClientStats::default(),
        }
    }

    /// The first message of a new connection. A resume token from elsewhere (another life of the page, another tab that went on
    /// with the session) may be given, and is taken for the newest.
    pub fn hello(&mut self, name: &str, hue: u8, ticket: Option<String>, resume: Option<String>) -> Vec<u8> {
        (self.packet, self.input_ack) = (0, Ack::default());
        self.is_verifying = false;
        let have_tick = self.replica.as_ref().map_or(0, Replica::tick);
        let hello = self.peer.hello((name, hue), ticket, resume, have_tick);
        // The answer may have been lost with the last connection.
        self.feed.pilots().for_each(|pilot| self.peer.profiles.want(pilot.into()));
        self.clock_sync.new_connection();
        self.inputs.new_connection();
        hello
    }

    /// A message arrived.
    ///
    /// # Errors
    /// [`DecodeError`]: close the connection and say hello on a new one; the client then begins from whole cells.
    pub fn receive(&mut self, bytes: &[u8], now_ms: f64) -> Result<(), DecodeError> {
        self.peer.count_in(bytes);
        let result = match bytes.first() {
            Some(tag) if tag & HOT_BIT != 0 => self.receive_frame(bytes, now_ms),
            _ => ServerMessage::decode(bytes).and_then(|message| match self.peer.receive(message) {
                Some(welcome) => self.welcomed(*welcome),
                None => Ok(()),
            }),
        };
        self.note_session();
        self.events.extend(self.feed.ready(&self.peer.profiles, now_ms).map(ClientEvent::Kill));
        self.events.drain(..self.events.len().saturating_sub(EVENTS_MAX_COUNT));
        if result.is_err() {
            self.replica = None;
        }
        result
    }

    /// What the pilot wants from now on.
    pub fn control(&mut self, controls: Controls) {
        self.wanted = controls;
    }

    /// The same, with the stick such that the own plane turns to this angle.
    pub fn control_towards(&mut self, angle: f32, controls: Controls, now_ms: f64) {
        let far = IVec2::new((angle.cos() * 10_000.0) as i32, (angle.sin() * 10_000.0) as i32);
        self.wanted = match (self.own_plane(now_ms), &self.replica) {
            (Some(plane), Some(replica)) => controls.toward(&plane, heading_of(far), &replica.rules().motion.flight),
            _ => controls,
        };
    }

    /// Wants something done, once; returns the id by which events tell what became of it.
    pub fn operate(&mut self, operation: Operation) -> u32 {
        self.peer.operate(operation)
    }

    /// Wants to fly again after having been shot down.
    pub fn fly_again(&mut self) {
        self.operate(Operation::Kind(wire::Operation::FlyAgain.encode()));
    }

    /// Leaves for good.
    pub fn leave(&mut self) {
        self.peer.leave();
    }

    /// The next message to send, if one is due.
    pub fn poll_send(&mut self, now_ms: f64) -> Option<Vec<u8>> {
        if !self.peer.is_welcomed() {
            return None;
        }
        if let Some(message) = self.peer.poll_message() {
            return Some(message);
        }
        if !self.clock_sync.is_set() {
            return None;
        }
        let tick = self.clock_sync.own_at(now_ms).floor() as Tick;
        if tick == self.input_tick {
            // A screen may ask several times a tick; the newest wish of the next tick is as good.
            return None;
        }
        self.inputs.stamp(self.wanted, tick);
        let ack = self.replica.as_ref().map_or(0, Replica::tick);
        // After a stall the room waits for this word before it sends what came to pass since; after a jump of a clock its
        // answer shows what the room's is.
        let is_awaited = ack > self.packet_ack && self.clock_sync.is_unusual(ack, now_ms);
        let is_due = tick != self.packet_tick && (is_awaited || now_ms - self.sent_ms >= SEND_INTERVAL_MS);
        if self.inputs.has_unsent() {
            self.input_tick = tick;
        } else if !is_due {
            return None;
        }
        self.packet = self.packet % 255 + 1;
        (self.sent_ms, self.packet_tick, self.packet_ack) = (now_ms, tick, ack);
        let view_delay = self.clock_sync.sending(self.packet, now_ms).try_into().unwrap_or(u8::MAX);
        let inputs = self.inputs.take_unsent(self.packet);
        let packet = InputPacket { number: self.packet, ack, at: tick, view_delay, inputs };
        Some(self.peer.count_out(packet.encode()))
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<ClientEvent> {
        self.events.pop_front()
    }

    /// The replica, after the welcome.
    pub fn replica(&self) -> Option<&Replica> {
        self.replica.as_ref()
    }

    /// The own pilot's id, 0 before the welcome and for whoever only watches.
    pub fn pilot(&self) -> u16 {
        self.pilot.0
    }

    /// The own score, rank and announced respawn.
    pub fn private_state(&self) -> PrivateState {
        self.private
    }

    /// The last packet of this connection that the room is known to have; number 0 before the first.
    pub fn input_ack(&self) -> Ack {
        self.input_ack
    }

    /// Ticks until the announced respawn is seen; `None` when none is announced, or it is past.
    pub fn respawn_in(&self) -> Option<u32> {
        self.private.respawn.map(|respawn| respawn.tick.saturating_sub(self.drawn)).filter(|ticks| *ticks > 0)
    }

    /// Where the camera looks, plane lengths, as of the last [`Client::scene`]: at the own plane, at the place of its end,
    /// then at the announced place.
    pub fn camera(&self) -> (f32, f32) {
        self.camera
    }

    /// The (fractional) tick at which the own plane is shown.
    pub fn own_at(&mut self, now_ms: f64) -> f64 {
        self.clock_sync.own_at(now_ms)
    }

    /// The (fractional) tick at which others are shown.
    pub fn shown_at(&mut self, now_ms: f64) -> f64 {
        self.clock_sync.shown_at(now_ms)
    }

    /// The token that resumes this session, the newest.
    pub fn resume_token(&self) -> Option<&str> {
        self.peer.resume_token()
    }

    /// A pilot's profile, if it is known; an unknown one is asked for.
    pub fn profile(&mut self, pilot: u16) -> Option<&Profile> {
        self.peer.profiles.want(pilot.into());
        self.peer.profiles.get(pilot.into())
    }

    /// A pilot's colour, 0..=7; one that follows from the id while the profile is unknown.
    pub fn hue(&self, pilot: u16) -> u8 {
        self.peer.profiles.get(pilot.into()).map_or((pilot % 8) as u8, |profile| profile.hue)
    }

    /// The top list: rank (from 1), pilot, score.
    pub fn standings(&self) -> Vec<(u32, u16, i32)> {
        let lines = self.rows_of(game::STANDING).map(|row| (row.id + 1, StandingRow::from_fields(&row.fields)));
        lines.map(|(rank, line)| (rank, line.pilot as u16, line.score)).collect()
    }

    /// Densities 0..=3 of the minimap's sectors, line by line: as many lines as sectors in a line; empty before they are
    /// known.
    pub fn minimap(&self) -> Vec<u8> {
        let side = self.replica.as_ref().map_or(0, |replica| minimap::side(replica.rules().motion.grid) as usize);
        self.rows_of(game::SECTOR).flat_map(|line| &line.fields[..side]).map(|density| *density as u8).collect()
    }

    /// Side of the field, plane lengths; 0 before the welcome.
    pub fn field_side(&self) -> f32 {
        self.replica.as_ref().map_or(0.0, |replica| lengths(replica.rules().motion.grid.side_units()))
    }

    fn rows_of(&self, kind: u8) -> impl Iterator<Item = &Row> {
        self.replica.iter().flat_map(|replica| replica.rows()).filter(move |row| row.kind == kind)
    }

    /// Figures so far.
    pub fn stats(&self) -> ClientStats {
        let (bytes_in, bytes_out) = self.peer.bytes();
        ClientStats {
            bytes_in,
            bytes_out,
            rtt_ms: self.clock_sync.rtt_ms(),
            jitter_ms: self.clock_sync.jitter_ms(),
            lead_ticks: self.clock_sync.lead_ticks(),
            ahead_ticks: self.clock_sync.ahead_ticks(),
            delay_ticks: self.clock_sync.delay_ticks(),
            shots: self.shots.counts(),
            ..self.stats
        }
    }

    /// Whether a welcome came on the current connection.
    pub fn is_welcomed(&self) -> bool {
        self.peer.is_welcomed()
    }

    fn welcomed(&mut self, welcome: Welcome) -> Result<(), DecodeError> {
        let wire::Welcome { pilot, rules } = wire::Welcome::decode(&welcome.kind)?;
        if welcome.tick > TICK_MAX {
            return Err(DecodeError::OutOfRange("tick"));
        }
        let continues =
            self.replica.as_ref().is_some_and(|replica| replica.tick() == welcome.since && welcome.since != 0);
        self.pilot = PilotId(pilot);
        if !continues {
            self.replica = Some(Replica::starting_at(Arc::clone(&self.tables), rules, self.pilot, welcome.tick));
            self.history.clear();
            self.watch.clear();
            self.shots.clear();
            self.events.extend(self.feed.rest().map(ClientEvent::Kill));
        }
        self.peer.welcomed(welcome, continues);
        Ok(())
    }

    fn receive_frame(&mut self, bytes: &[u8], now_ms: f64) -> Result<(), DecodeError> {
        let mut replica = self.replica.take().ok_or(DecodeError::Malformed)?;
        let (before, ticks) = (self.predicted_plane(&replica, now_ms), self.guessed_ticks(&replica, now_ms));
        self.own_flight.begin(&replica);
        let rules = replica.rules().clone();
        let applied = replica.apply(bytes, self.peer.last_entry(), |tick, rows, held| {
            self.own_flight.look(rows, self.pilot, &rules);
            let confirmed = self.shots.reconcile(tick, rows, self.pilot, held, &rules);
            self.history.record(tick, rows, self.pilot);
            self.watch.look(rows, self.pilot, |event| {
                let is_known = matches!(event, ClientEvent::Hit(spot) if confirmed.contains(&spot.pilot));
                self.events.extend((!is_known).then_some(event));
            });
        })?;
        let header = &applied.header;
        self.input_ack = header.input_ack.unwrap_or(self.input_ack);
        let has_jumped = self.keep_pace(header, now_ms);
        self.inputs.acknowledge(self.input_ack.packet, self.packet, header.tick);
        self.private = header.private.unwrap_or(self.private);
        self.stats.frames += 1;
        let is_late = header.input_ack.is_some_and(|ack| ack.lead < 1);
        self.stats.late_packets += u64::from(is_late);
        let is_late = is_late || self.inputs.is_overdue(header.tick);
        let after = self.predicted_plane(&replica, now_ms);
        if let (Some(before), Some(after)) = (before, after) {
            self.correct(&before, &after, ticks, self.own_flight.was_touched() || is_late || has_jumped);
        }
        self.replica = Some(replica);
        self.check(&applied);
        if let Some(entries) = applied.entries {
            for entry in self.peer.take_entries(entries)? {
                self.note_kill(&entry, now_ms)?;
            }
        }
        Ok(())
    }

    /// Sets the clocks by a frame. Returns whether the own clock jumped: then what was sent for the ticks that it goes back
    /// over is void, and said anew.
    fn keep_pace(&mut self, header: &Header, now_ms: f64) -> bool {
        let before = self.clock_sync.own_at(now_ms);
        if let Some(Jump { ms, is_own }) = self.clock_sync.frame(header.tick, header.input_ack, now_ms) {
            self.happen(ClientEvent::ClockJumped { ms, is_own });
        }
        let after = self.clock_sync.own_at(now_ms);
        if after.floor() < before.floor() {
            self.inputs.say_again();
            self.shots.go_back_to(after as Tick);
        }
        after.floor() != before.floor()
    }

    /// Asks for the cells' sums after a wrong checksum, then for the wrong cells.
    fn check(&mut self, applied: &Applied) {
        if applied.header.has_sums {
            self.is_verifying = false;
            if !applied.wrong_cells.is_empty() {
                self.peer.say_kind(&Request::Repair(applied.wrong_cells.clone()).encode());
            }
        } else if !applied.is_true && !self.is_verifying {
            self.is_verifying = true;
            self.peer.say_kind(&Request::Verify.encode());
        }
        self.stats.mismatches += u64::from(!applied.is_true);
    }

    fn note_kill(&mut self, entry: &Entry, now_ms: f64) -> Result<(), DecodeError> {
        let (KILL_TOPIC, Ok(killer)) = (entry.topic, u16::try_from(entry.author)) else {
            return Err(DecodeError::OutOfRange("topic"));
        };
        let Kill { victim, rammed, view_delay } = Kill::decode(&entry.body)?;
        self.events.extend(self.watch.spot_of(victim).map(ClientEvent::Explosion));
        [killer, victim].into_iter().for_each(|pilot| self.peer.profiles.want(pilot.into()));
        self.feed.note(Killed { killer, victim, rammed, view_delay }, now_ms);
        Ok(())
    }

    /// What the session told goes to the page in the order it came.
    fn note_session(&mut self) {
        self.events.extend(std::iter::from_fn(|| self.peer.poll_event()).map(ClientEvent::Session));
    }

    fn happen(&mut self, event: ClientEvent) {
        self.events.push_back(event);
    }
}
