//! A player of the capacity measurement: most are light, some are whole clients with a computer pilot.
//!
//! Invariants: both say hello, send what changed with every tick and acknowledge at least every 100 ms, as the page does;
//! both read the head of every frame, for its tick; arrival is taken before anything else is done with it.

use crate::{
    load::{LoadClient, Outbox},
    mouse_input::MouseInput,
    serve, world,
};
use arena::{
    Client, TICK_HZ,
    bot::{self, Asks, BotConfig, Decides, Sight},
    wire::{Header, Input, InputPacket},
};
use game::Controls;
use protocol::{
    Tick,
    bits::BitReader,
    limits::ACK_INTERVAL_MAX_MS,
    message::{ClientMessage, HOT_BIT, Hello, ServerMessage},
};
use std::time::{Duration, Instant};

/// Inputs are for so many ticks after the newest known one: the way to a server on this machine is short.
const LEAD_TICKS: u32 = 2;
/// An acknowledgement at least this often; a little less than the limit, since ticks are 17 ms apart.
const ACK_INTERVAL: Duration = Duration::from_millis(ACK_INTERVAL_MAX_MS - 20);
/// Who was shot down asks to fly again this often; a light bot does not know, so it always asks.
const FLY_AGAIN_INTERVAL_TICKS: u32 = 60;
const SEED: u64 = 5;
/// How a whole client is flown.
const PILOT: BotConfig =
    BotConfig { seed: SEED, decides: Decides::OnOwnTicks, asks: Asks::EveryTicks(FLY_AGAIN_INTERVAL_TICKS) };
const TICK_MS: f64 = 1000.0 / TICK_HZ as f64;

/// See the module.
#[derive(Debug)]
pub(crate) struct Bot {
    number: usize,
    driver: Driver,
    /// Milliseconds count from here.
    began: Instant,
    is_in: bool,
    /// The newest frame's tick, and when it came.
    tick: Tick,
    came: Instant,
    /// Own ticks.
    ticks: u32,
    figures: Figures,
}

/// What steers.
#[derive(Debug)]
enum Driver {
    Light { mouse: MouseInput, packet: u8, sent: Instant, controls: Controls },
    Full { client: Box<Client>, pilot: bot::Bot },
}

/// Counts since [`Bot::begin`].
#[derive(Debug, Default)]
struct Figures {
    is_measuring: bool,
    bytes: u64,
    packets: u64,
    wrong_checksums_before: u64,
    /// Of every frame: its arrival less its tick's number of intervals.
    offsets_ms: Vec<f64>,
}

impl Bot {
    /// Player number `number`.
    pub(crate) fn new(number: usize, is_full: bool, began: Instant) -> Self {
        let now = Instant::now();
        let driver = if is_full {
            Driver::Full { client: Box::default(), pilot: bot::Bot::new(PILOT) }
        } else {
            Driver::Light {
                mouse: MouseInput::new(SEED, number as u16),
                packet: 0,
                sent: now,
                controls: Controls::default(),
            }
        };
        Self { number, driver, began, is_in: false, tick: 0, came: now, ticks: 0, figures: Figures::default() }
    }

    /// Whether a frame has come.
    pub(crate) fn is_in(&self) -> bool {
        self.is_in && self.tick > 0
    }

    /// From now on it counts.
    pub(crate) fn begin(&mut self) {
        let wrong_checksums_before = self.mismatches();
        self.figures = Figures { is_measuring: true, wrong_checksums_before, ..Figures::default() };
    }

    /// Frames that came.
    pub(crate) fn frames(&self) -> u64 {
        self.figures.offsets_ms.len() as u64
    }

    /// Their bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.figures.bytes
    }

    /// Input packets sent.
    pub(crate) fn packets(&self) -> u64 {
        self.figures.packets
    }

    /// See [`Figures::offsets_ms`].
    pub(crate) fn offsets_ms(&self) -> &[f64] {
        &self.figures.offsets_ms
    }

    /// Frames whose checksum was wrong.
    pub(crate) fn wrong_checksums(&self) -> u64 {
        self.mismatches() - self.figures.wrong_checksums_before
    }

    /// The mouse of a light one.
    pub(crate) fn mouse(&self) -> Option<&MouseInput> {
        if let Driver::Light { mouse, .. } = &self.driver { Some(mouse) } else { None }
    }

    fn mismatches(&self) -> u64 {
        if let Driver::Full { client, .. } = &self.driver { client.stats().mismatches } else { 0 }
    }

    fn milliseconds(&self, at: Instant) -> f64 {
        at.duration_since(self.began).as_secs_f64() * 1000.0
    }

    fn note_frame(&mut self, bytes: &[u8], at: Instant) {
        // A frame that cannot be read is a bug; it shows as a client that is silent and loses its connection.
        let Ok(header) = Header::decode(&mut BitReader::new(bytes), self.tick) else { return };
        (self.tick, self.came) = (header.tick, at);
        if self.figures.is_measuring {
            self.figures.bytes += bytes.len() as u64;
            self.figures.offsets_ms.push(self.milliseconds(at) - f64::from(header.tick) * TICK_MS);
        }
    }
}

impl LoadClient for Bot {
    fn opened(&mut self, outbox: &mut Outbox) {
        let (name, hue) = (format!("Pilot {}", self.number), (self.number % 8) as u8);
        let ticket = Some(serve::ticket(self.number));
        outbox.send(&match &mut self.driver {
            Driver::Full { client, .. } => client.hello(&name, hue, ticket, None),
            Driver::Light { .. } => ClientMessage::Hello(Hello { ticket, ..world::hello(self.number) }).encode(),
        });
    }

    fn message(&mut self, bytes: &[u8], at: Instant, _outbox: &mut Outbox) {
        if bytes.first().is_some_and(|tag| tag & HOT_BIT != 0) {
            self.note_frame(bytes, at);
        } else if let Ok(ServerMessage::Welcome(welcome)) = ServerMessage::decode(bytes) {
            (self.is_in, self.tick, self.came) = (true, welcome.since, at);
        }
        let now_ms = self.milliseconds(at);
        if let Driver::Full { client, .. } = &mut self.driver {
            // A message it cannot read ends its replica: it sends nothing more and loses its connection, which is noticed.
            let _ = client.receive(bytes, now_ms);
            while client.poll_event().is_some() {}
        }
    }

    fn tick(&mut self, at: Instant, outbox: &mut Outbox) {
        if !self.is_in() {
            return;
        }
        self.ticks += 1;
        let (now_ms, asks_to_fly) = (self.milliseconds(at), self.ticks.is_multiple_of(FLY_AGAIN_INTERVAL_TICKS));
        let ahead = at.duration_since(self.came).as_secs_f64() * f64::from(TICK_HZ);
        let tick = self.tick + ahead as u32 + LEAD_TICKS;
        match &mut self.driver {
            Driver::Full { client, pilot } => {
                // Its watch counts own ticks; the half is for rounding.
                pilot.fly(client, now_ms, (f64::from(self.ticks) + 0.5) * TICK_MS, Sight::Replica);
                while let Some(message) = client.poll_send(now_ms) {
                    self.figures.packets += u64::from(message.first().is_some_and(|tag| tag & HOT_BIT != 0));
                    outbox.send(&message);
                }
            }
            Driver::Light { mouse, packet, sent, controls } => {
                let before = std::mem::replace(controls, mouse.blind(self.ticks));
                if asks_to_fly {
                    outbox.send(&world::fly_again(self.ticks));
                }
                let change = (*controls != before).then(|| Input { tick, controls: controls.to_bits() });
                if change.is_none() && at.duration_since(*sent) < ACK_INTERVAL {
                    return;
                }
                (*packet, *sent) = (*packet % 255 + 1, at);
                self.figures.packets += 1;
                let inputs = change.into_iter().collect();
                outbox.send(&InputPacket { number: *packet, ack: self.tick, at: tick, view_delay: 0, inputs }.encode());
            }
        }
    }
}
