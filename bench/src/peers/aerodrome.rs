//! Our gameserver's side: its process, and what a client of it says.
//!
//! Invariants: a client acknowledges every frame's tick at least every 100 ms, as the page does, or frames would pause;
//! a few also decode everything, to show that the frames are what they should be.

use super::protocol_client::ProtocolClient;
use crate::{
    load::Outbox,
    serve::{self, Child},
};
use arena::{
    TICK_HZ,
    wire::{Header, Input, InputPacket},
};
use game::{
    BULLET, Controls, PLANE,
    plane::Plane,
    schema::{CELL_UNITS, VIEW_CELLS},
};
use glam::IVec2;
use protocol::{
    Tick,
    bits::BitReader,
    limits::ACK_INTERVAL_MAX_MS,
    message::{ClientMessage, HOT_BIT, Hello, ServerMessage},
};
use std::{
    ops::AddAssign,
    time::{Duration, Instant},
};

/// The tuning that ships; only the size of the field is changed.
const TUNING: &str = include_str!("../../../assets/tuning.ron");
/// One of so many players decodes everything.
const DECODED_EVERY: usize = 25;
/// Inputs are for so many ticks after the newest known one: the way to a server on this machine is short.
const LEAD_TICKS: u32 = 2;
/// An acknowledgement at least this often; a little less than the limit, since ticks are 17 ms apart.
const ACK_INTERVAL: Duration = Duration::from_millis(ACK_INTERVAL_MAX_MS - 20);

/// Starts a gameserver on a field of `cells` × `cells` that lets `players` in; with a frame every `cadence_ticks`, or as
/// often as it thinks right.
///
/// # Errors
/// When it does not start.
pub(crate) fn start(cells: u32, players: usize, cadence_ticks: Option<u32>) -> anyhow::Result<Child> {
    let tuning = TUNING.replacen("cells: 10,", &format!("cells: {cells},"), 1);
    let kinds = serve::kinds(|entry| {
        (entry.members, entry.beat_ticks) = (players as u32, cadence_ticks.unwrap_or(entry.beat_ticks));
    });
    let own = [("TUNING", &*tuning), ("KINDS", &*kinds)];
    Child::start(&["serve-gameserver"], &[&serve::ENVIRONMENT[..], &own[..]].concat())
}

/// A client's side of the protocol.
#[derive(Debug)]
pub(crate) struct AerodromeClient {
    number: usize,
    is_in: bool,
    /// The newest frame's tick, and when it came.
    tick: Tick,
    came: Instant,
    shown_ticks: u64,
    packet: u8,
    sent: Instant,
    decoder: Option<Box<Decoder>>,
}

impl AerodromeClient {
    /// Player number `number`.
    pub(crate) fn new(number: usize) -> Self {
        let now = Instant::now();
        let decoder = number.is_multiple_of(DECODED_EVERY).then(|| Box::new(Decoder::new(now)));
        Self { number, is_in: false, tick: 0, came: now, shown_ticks: 0, packet: 0, sent: now, decoder }
    }

    /// What it decodes with, if it does.
    pub(crate) fn decoder(&self) -> Option<&Decoder> {
        self.decoder.as_deref()
    }

    /// The tick at which an input sent now takes effect.
    fn own_tick(&self, at: Instant) -> Tick {
        let since = at.duration_since(self.came).as_millis() as u32 * TICK_HZ / 1000;
        self.tick + since + LEAD_TICKS
    }
}

impl ProtocolClient for AerodromeClient {
    fn opened(&mut self, _at: Instant, outbox: &mut Outbox) {
        let (name, hue, ticket) =
            (format!("Pilot {}", self.number), (self.number % 8) as u8, Some(serve::ticket(self.number)));
        let hello = match &mut self.decoder {
            Some(decoder) => decoder.client.hello(&name, hue, ticket, None),
            None => ClientMessage::Hello(Hello { ticket, ..crate::world::hello(self.number) }).encode(),
        };
        outbox.send(&hello);
    }

    fn message(&mut self, bytes: &[u8], at: Instant, _outbox: &mut Outbox) {
        if let Some(decoder) = &mut self.decoder {
            decoder.message(bytes, at);
        }
        if bytes.first().is_some_and(|tag| tag & HOT_BIT != 0) {
            if let Ok(header) = Header::decode(&mut BitReader::new(bytes), self.tick) {
                self.shown_ticks += u64::from(header.tick.saturating_sub(self.tick));
                (self.tick, self.came) = (header.tick, at);
            }
        } else if let Ok(ServerMessage::Welcome(welcome)) = ServerMessage::decode(bytes) {
            (self.is_in, self.tick, self.came) = (true, welcome.tick, at);
        }
    }

    fn is_in(&self) -> bool {
        self.is_in
    }

    fn shown_ticks(&self) -> u64 {
        self.shown_ticks
    }

    fn begin(&mut self) {
        if let Some(decoder) = &mut self.decoder {
            decoder.seen = Seen::default();
        }
    }

    fn tick(&mut self, changed: Option<Controls>, at: Instant, outbox: &mut Outbox) {
        if let Some(decoder) = &mut self.decoder {
            return decoder.tick(changed, at, outbox);
        }
        if !self.is_in || changed.is_none() && at.duration_since(self.sent) < ACK_INTERVAL {
            return;
        }
        let tick = self.own_tick(at);
        (self.packet, self.sent) = (self.packet % 255 + 1, at);
        let inputs = changed.map(|controls| Input { tick, controls: controls.to_bits() }).into_iter().collect();
        outbox.send(&InputPacket { number: self.packet, ack: self.tick, at: tick, view_delay: 0, inputs }.encode());
    }

    fn fly_again(&mut self, outbox: &mut Outbox) {
        match &mut self.decoder {
            Some(decoder) => decoder.client.fly_again(),
            None => outbox.send(&crate::world::fly_again(self.tick + 1)),
        }
    }
}

/// Sums over the ticks at which somebody with a plane looked.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Seen {
    pub(crate) looks: usize,
    /// Within a view around the own plane.
    pub(crate) planes_in_view: usize,
    pub(crate) planes_held: usize,
    pub(crate) bullets_held: usize,
}

impl AddAssign for Seen {
    fn add_assign(&mut self, other: Self) {
        self.looks += other.looks;
        self.planes_in_view += other.planes_in_view;
        self.planes_held += other.planes_held;
        self.bullets_held += other.bullets_held;
    }
}

/// A whole client, as in the page.
#[derive(Debug)]
pub(crate) struct Decoder {
    client: arena::Client,
    began: Instant,
    seen: Seen,
}

impl Decoder {
    fn new(began: Instant) -> Self {
        Self { client: arena::Client::new(), began, seen: Seen::default() }
    }

    /// What it has seen since the measured time began.
    pub(crate) fn seen(&self) -> Seen {
        self.seen
    }

    /// Frames whose checksum was wrong.
    pub(crate) fn mismatches(&self) -> u64 {
        self.client.stats().mismatches
    }

    fn message(&mut self, bytes: &[u8], at: Instant) {
        // A frame that cannot be read ends the replica: nothing is seen from then on, which is noticed.
        let _ = self.client.receive(bytes, self.milliseconds(at));
        while self.client.poll_event().is_some() {}
    }

    fn tick(&mut self, changed: Option<Controls>, at: Instant, outbox: &mut Outbox) {
        if let Some(controls) = changed {
            self.client.control(controls);
        }
        while let Some(message) = self.client.poll_send(self.milliseconds(at)) {
            outbox.send(&message);
        }
        self.look();
    }

    fn look(&mut self) {
        let Some(replica) = self.client.replica() else { return };
        let planes = replica.rows().iter().filter(|row| row.kind == PLANE);
        let places: Vec<_> = planes.map(|row| (row.id, Plane::from_fields(&row.fields).position())).collect();
        let Some((_, own)) = places.iter().find(|(id, _)| *id == u32::from(self.client.pilot())) else { return };
        let is_in_view = |place: &IVec2| (place - own).abs().max_element() <= VIEW_CELLS / 2 * CELL_UNITS;
        self.seen += Seen {
            looks: 1,
            planes_in_view: places.iter().filter(|(_, place)| is_in_view(place)).count(),
            planes_held: places.len(),
            bullets_held: replica.rows().iter().filter(|row| row.kind == BULLET).count(),
        };
    }

    fn milliseconds(&self, at: Instant) -> f64 {
        at.duration_since(self.began).as_secs_f64() * 1000.0
    }
}
