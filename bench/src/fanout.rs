//! What a message to a client costs: the real server's send and receive path, over the least possible one of
//! [`crate::raw_server`].
//!
//! Path: [`run`] → in turn, a [`Turn`] of each [`Side`]: a fresh server in a process of its own, all clients connect,
//! warm-up, then its CPU time over the messages that arrived.
//! Invariants: the real `net::Server` with all its tasks, queues and limits, around an engine that does nothing
//! ([`crate::fixed_engine`]): every client gets the same bytes at 60 Hz. The load is the same program for all sides, and
//! all read the same inputs: the count they read comes back in the frames. Beside it, what leaving the async runtime
//! saves: [`crate::axum_tasks`].

use crate::{
    fixed_engine::{INPUT_WIRE_BYTES, read_frame},
    load::{Handshake, LoadClient, Outbox, Swarm},
    report::{Aim, Figures, Progress},
    serve::{self, Child, Usage},
};
use anyhow::ensure;
use arena::{
    TICK_HZ,
    wire::{Input, InputPacket},
};
use protocol::message::{ClientMessage, Hello};
use std::time::{Duration, Instant};

const CLIENTS_COUNT: usize = 1000;
const FRAME_BYTES: usize = 200;
/// Every client sends an input every so many ticks: 20 a second.
const INPUT_INTERVAL_TICKS: u32 = 3;
/// Turns of each side.
const ROUNDS: usize = 4;
const WARM_UP: Duration = Duration::from_millis(1500);
const MEASURED: Duration = Duration::from_secs(5);
const JOIN_MAX: Duration = Duration::from_secs(20);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Ours,
    Raw,
    Tasks,
}

impl Side {
    /// What serves it.
    fn kind(self) -> &'static str {
        match self {
            Self::Ours => "serve-fixed",
            Self::Raw => "serve-raw",
            Self::Tasks => "serve-tasks",
        }
    }

    fn handshake(self) -> Handshake {
        match self {
            Self::Ours => serve::upgrade(),
            Self::Raw => Handshake::None,
            Self::Tasks => Handshake::Upgrade { path: "/".to_owned(), headers: Vec::new() },
        }
    }
}

/// What one turn measured, per message that arrived.
#[derive(Debug, Clone, Copy)]
struct Turn {
    us: f64,
    user_us: f64,
    messages_per_s: f64,
    inputs_per_s: f64,
}

/// Measures.
pub(crate) fn run(progress: &Progress) -> anyhow::Result<Figures> {
    let (mut ours, mut raw, mut tasks) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=ROUNDS {
        progress.say(&format!("fanout: round {round} of {ROUNDS}, ours"));
        ours.push(turn(Side::Ours)?);
        progress.say(&format!("fanout: round {round} of {ROUNDS}, the floor"));
        raw.push(turn(Side::Raw)?);
        progress.say(&format!("fanout: round {round} of {ROUNDS}, axum with a task per client"));
        tasks.push(turn(Side::Tasks)?);
    }
    let all = |turns: &[Turn], of: fn(&Turn) -> f64| turns.iter().map(of).collect::<Vec<_>>();
    let ratios = |turns: &[Turn]| turns.iter().zip(&raw).map(|(turn, raw)| turn.us / raw.us).collect();
    let mut figures = Figures::default();
    figures.add_median("cpu_ratio_to_raw", ratios(&ours), Aim::AtMost(1.15));
    figures.add_median("user_us_per_message", all(&ours, |turn| turn.user_us), Aim::AtMost(1.5));
    figures.add_median("us_per_message", all(&ours, |turn| turn.us), Aim::None);
    figures.add_median("raw_us_per_message", all(&raw, |turn| turn.us), Aim::None);
    figures.add_median("raw_user_us_per_message", all(&raw, |turn| turn.user_us), Aim::None);
    figures.add_median("axum_tasks_cpu_ratio_to_raw", ratios(&tasks), Aim::None);
    figures.add_median("axum_tasks_user_us_per_message", all(&tasks, |turn| turn.user_us), Aim::None);
    figures.add_median("axum_tasks_messages_per_s", all(&tasks, |turn| turn.messages_per_s), Aim::None);
    figures.add_median("messages_per_s", all(&ours, |turn| turn.messages_per_s), Aim::None);
    figures.add_median("raw_messages_per_s", all(&raw, |turn| turn.messages_per_s), Aim::None);
    figures.add_median("inputs_per_s", all(&ours, |turn| turn.inputs_per_s), Aim::None);
    figures.add_median("raw_inputs_per_s", all(&raw, |turn| turn.inputs_per_s), Aim::None);
    figures.note(format!(
        "{CLIENTS_COUNT} clients, {FRAME_BYTES} B a message, {TICK_HZ} Hz; each client sends {} inputs of {INPUT_WIRE_BYTES} B \
         a second, spread evenly. CPU of the server's process, kernel included.",
        TICK_HZ / INPUT_INTERVAL_TICKS
    ));
    Ok(figures)
}

fn turn(side: Side) -> anyhow::Result<Turn> {
    let length = FRAME_BYTES.to_string();
    let child = Child::start(&[side.kind(), &length], &[])?;
    let client = |number| Client::new(number, side);
    let mut swarm = Swarm::connect(child.address(), CLIENTS_COUNT, |_| side.handshake(), client)?;
    swarm.run_until(JOIN_MAX, |client| client.frames > 0)?;
    swarm.run_for(WARM_UP)?;

    let (before, began, usage) = (sums(&swarm), Instant::now(), child.usage()?);
    swarm.run_for(MEASURED)?;
    let (after, seconds, usage) = (sums(&swarm), began.elapsed().as_secs_f64(), child.usage()? - usage);
    ensure!(swarm.ended().count() == 0, "A client lost its connection. {:?}", swarm.ended().next());
    let inputs = swarm.clients().map(|client| client.inputs_read).max().unwrap_or_default() - before.inputs_read;
    let sent = after.sent - before.sent;
    ensure!(
        inputs.abs_diff(sent) < sent / 10,
        "The server read {inputs} inputs of {sent}: it does not keep up, so there is nothing to compare."
    );
    let Usage { user_us, .. } = usage;
    let messages = (after.frames - before.frames) as f64;
    Ok(Turn {
        us: usage.us() / messages,
        user_us: user_us / messages,
        messages_per_s: messages / seconds,
        inputs_per_s: inputs as f64 / seconds,
    })
}

/// Of all clients together.
struct Sums {
    frames: u64,
    sent: u64,
    inputs_read: u64,
}

fn sums(swarm: &Swarm<Client>) -> Sums {
    let frames = swarm.clients().map(|client| client.frames).sum();
    let sent = swarm.clients().map(|client| client.sent).sum();
    let inputs_read = swarm.clients().map(|client| client.inputs_read).max().unwrap_or_default();
    Sums { frames, sent, inputs_read }
}

/// A client that counts frames and sends inputs.
#[derive(Debug)]
pub(crate) struct Client {
    number: usize,
    /// Whether the server speaks the game's protocol.
    has_protocol: bool,
    pub(crate) is_welcomed: bool,
    frames: u64,
    sent: u64,
    inputs_read: u64,
    /// The newest frame's tick.
    tick: u32,
    /// Own ticks, from a different number on each client, so that they do not send all at once.
    ticks: u32,
}

impl Client {
    fn new(number: usize, side: Side) -> Self {
        let (has_protocol, ticks) = (side == Side::Ours, number as u32);
        Self { number, has_protocol, is_welcomed: false, frames: 0, sent: 0, inputs_read: 0, tick: 0, ticks }
    }

    /// One that joins the real server and then only listens, if no frame ever comes.
    pub(crate) fn idle(number: usize) -> Self {
        Self::new(number, Side::Ours)
    }
}

impl LoadClient for Client {
    fn opened(&mut self, outbox: &mut Outbox) {
        if self.has_protocol {
            outbox.send(&hello(self.number));
        }
    }

    fn message(&mut self, bytes: &[u8], _at: Instant, _outbox: &mut Outbox) {
        match read_frame(bytes) {
            Some((tick, inputs)) => (self.tick, self.inputs_read, self.frames) = (tick, inputs, self.frames + 1),
            None => self.is_welcomed = true,
        }
    }

    fn tick(&mut self, _at: Instant, outbox: &mut Outbox) {
        self.ticks += 1;
        if self.frames == 0 || !self.ticks.is_multiple_of(INPUT_INTERVAL_TICKS) {
            return;
        }
        self.sent += 1;
        let (ack, at) = (self.tick, self.tick + 2);
        let inputs = vec![Input { tick: at, controls: self.sent as u16 }];
        outbox.send(&InputPacket { number: (self.sent % 255 + 1) as u8, ack, at, view_delay: 0, inputs }.encode());
    }
}

/// The hello of client `number`.
pub(crate) fn hello(number: usize) -> Vec<u8> {
    let ticket = Some(serve::ticket(number));
    ClientMessage::Hello(Hello { ticket, ..crate::world::hello(number) }).encode()
}
