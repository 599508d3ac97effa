//! The same arena on Colyseus and on our gameserver, in turn: CPU, memory, and bytes on the wire.
//!
//! Path: [`run`] → for every size, in turn, a [`Turn`] of each [`Side`]: a fresh server in a process of its own,
//! everybody joins, warm-up, then its CPU time and all that its clients receive.
//! Invariants: both get the same mouse input on the same field, with the same area of interest and rules, and are asked for
//! 60 ticks a second; what each really did stands beside the ratios. CPU and bytes are per client and tick shown to it,
//! since a server that cannot keep up would else look cheap. How fair it is: `bench/peers/colyseus/README.md`.

mod aerodrome;
pub(crate) mod colyseus;
mod protocol_client;

use crate::{
    load::{LoadClient, Outbox, Swarm},
    mouse_input::MouseInput,
    report::{Aim, Figures, Progress},
    serve::{self, Child},
};
use aerodrome::Seen;
use anyhow::{Context, bail, ensure};
use game::Controls;
use protocol::Tick;
use protocol_client::ProtocolClient;
use std::{
    mem,
    time::{Duration, Instant},
};

/// Players, and cells a side of their field: 2 planes per cell.
const SIZES: [(usize, u32); 2] = [(200, 10), (400, 14)];
/// Turns of each side and size.
const ROUNDS: usize = 2;
/// V8 compiles while it warms up, and newcomers lose their protection.
const WARM_UP: Duration = Duration::from_secs(5);
const MEASURED: Duration = Duration::from_secs(8);
/// Longest wait until all players are in. Policy: the measurement fails.
const JOIN_MAX: Duration = Duration::from_secs(30);
/// Everybody asks to fly again this often: a client that decodes nothing does not know when it was shot down.
const FLY_AGAIN_INTERVAL_TICKS: Tick = 30;
/// Of the bursts of mouse input that does not look, one each 90 ticks, every third is fired: a bullet in the air for every
/// third plane.
const BURST_TICKS: Tick = 90;
const BURSTS_FIRED_EVERY: Tick = 3;
/// Fewer ticks shown per second than this are told.
const TICKS_MIN_PER_S: f64 = 55.0;
const SEED: u64 = 3;
const BYTES_PER_MB: f64 = 1024.0 * 1024.0;

/// What is measured in turn; an index of the turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Colyseus,
    /// A frame every tick.
    Ours,
    /// Frames as often as our server thinks right.
    OursAtDefaultCadence,
}

impl Side {
    const ALL: [Self; 3] = [Self::Colyseus, Self::Ours, Self::OursAtDefaultCadence];

    /// Within the keys of the figures.
    fn name(self) -> &'static str {
        match self {
            Self::Colyseus => "colyseus",
            Self::Ours => "ours",
            Self::OursAtDefaultCadence => "ours_default_cadence",
        }
    }
}

/// A player: its mouse, its end of the server's protocol, and what it received.
struct Player<L> {
    mouse: MouseInput,
    client: L,
    /// Players are at different places of their bursts.
    phase: Tick,
    ticks: Tick,
    controls: Controls,
    /// Ticks at which the controls changed.
    changes: u32,
    received: Received,
}

/// What a client received.
#[derive(Debug, Clone, Copy, Default)]
struct Received {
    /// Ticks of the arena that were shown.
    ticks: u64,
    messages: u64,
    /// With WebSocket's framing.
    bytes: u64,
}

impl Received {
    fn of_all<L: ProtocolClient>(swarm: &Swarm<Player<L>>) -> Self {
        swarm.clients().fold(Self::default(), |sum, Player { received, client, .. }| Self {
            ticks: sum.ticks + client.shown_ticks(),
            messages: sum.messages + received.messages,
            bytes: sum.bytes + received.bytes,
        })
    }
}

impl<L> Player<L> {
    fn new(number: usize, client: L) -> Self {
        Self {
            mouse: MouseInput::new(SEED, number as u16),
            client,
            phase: number as Tick * 97,
            ticks: 0,
            controls: Controls::default(),
            changes: 0,
            received: Received::default(),
        }
    }
}

impl<L: ProtocolClient> LoadClient for Player<L> {
    fn opened(&mut self, outbox: &mut Outbox) {
        self.client.opened(Instant::now(), outbox);
    }

    fn message(&mut self, bytes: &[u8], at: Instant, outbox: &mut Outbox) {
        self.received.messages += 1;
        self.received.bytes += (framing_bytes(bytes.len()) + bytes.len()) as u64;
        self.client.message(bytes, at, outbox);
    }

    fn tick(&mut self, at: Instant, outbox: &mut Outbox) {
        if !self.client.is_in() {
            return;
        }
        self.ticks += 1;
        let tick = self.phase + self.ticks;
        let blind = self.mouse.blind(tick);
        let is_burst = (tick / BURST_TICKS).is_multiple_of(BURSTS_FIRED_EVERY);
        let controls = Controls { fire: blind.fire && is_burst, ..blind };
        let has_changed = mem::replace(&mut self.controls, controls) != controls;
        self.changes += u32::from(has_changed);
        self.client.tick(has_changed.then_some(controls), at, outbox);
        if tick.is_multiple_of(FLY_AGAIN_INTERVAL_TICKS) {
            self.client.fly_again(outbox);
        }
    }
}

/// Bytes that WebSocket puts before a server's message of this length (RFC 6455).
fn framing_bytes(length: usize) -> usize {
    match length {
        0..126 => 2,
        126..=0xffff => 4,
        _ => 10,
    }
}

/// What one turn gave.
#[derive(Debug, Clone, Default)]
struct Turn {
    /// Cores kept busy.
    cpu_cores: f64,
    rss_mb: f64,
    /// Per client and tick shown.
    cpu_us: f64,
    bytes: f64,
    /// Per client and second.
    ticks: f64,
    messages: f64,
    /// In the 4×4 cells around a plane; in the area of interest.
    planes_in_view: f64,
    planes_held: f64,
    bullets_held: f64,
    share_of_changes: f64,
}

/// What is compared: the key, what it is of a turn, and what ours over theirs should reach.
type Ratio = (&'static str, Of, Aim);
/// A figure of a turn.
type Of = fn(&Turn) -> f64;
const RATIOS: [Ratio; 3] = [
    ("cpu_ratio", |turn| turn.cpu_us, Aim::AtMost(0.35)),
    ("bytes_ratio", |turn| turn.bytes, Aim::AtMost(0.06)),
    ("rss_ratio", |turn| turn.rss_mb, Aim::AtMost(0.5)),
];

/// Runs the comparison.
///
/// # Errors
/// A sentence when Colyseus cannot be installed, or one of the servers does not do its work.
pub(crate) fn run(progress: &Progress) -> anyhow::Result<Figures> {
    colyseus::install(progress)?;
    let mut sizes = Vec::new();
    for (players, cells) in SIZES {
        let mut turns: [Vec<Turn>; 3] = Default::default();
        for round in 1..=ROUNDS {
            for (side, turns) in Side::ALL.iter().zip(&mut turns) {
                progress.say(&format!("peers: {players} players on {}, round {round} of {ROUNDS}", side.name()));
                turns.push(take_turn(*side, players, cells)?);
            }
        }
        sizes.push((players, turns));
    }
    let mut figures = Figures::default();
    for ratio in RATIOS {
        add_ratio(&mut figures, ratio, &sizes, Side::Ours, "");
    }
    for (name, of, _) in RATIOS {
        add_ratio(&mut figures, (name, of, Aim::None), &sizes, Side::OursAtDefaultCadence, "_default_cadence");
    }
    for (players, turns) in &sizes {
        for (side, turns) in Side::ALL.iter().zip(turns) {
            add_own_figures(&mut figures, side.name(), *players, turns);
        }
    }
    add_notes(&mut figures)?;
    Ok(figures)
}

/// Ours over theirs, round by round: for every size, and that of the size where it is worst.
fn add_ratio(
    figures: &mut Figures,
    (name, of, aim): Ratio,
    sizes: &[(usize, [Vec<Turn>; 3])],
    ours: Side,
    suffix: &str,
) {
    let ratios = |turns: &[Vec<Turn>; 3]| -> Vec<f64> {
        let pairs = turns[ours as usize].iter().zip(&turns[Side::Colyseus as usize]);
        pairs.map(|(ours, theirs)| of(ours) / of(theirs)).collect()
    };
    let all: Vec<_> = sizes.iter().map(|(players, turns)| (*players, ratios(turns))).collect();
    // As many rounds at every size: the greatest sum is the greatest mean.
    let worst = all.iter().max_by(|(_, a), (_, b)| a.iter().sum::<f64>().total_cmp(&b.iter().sum()));
    if let Some((_, worst)) = worst {
        figures.add_median(format!("{name}{suffix}"), worst.clone(), aim);
    }
    for (players, ratios) in all {
        figures.add_median(format!("{name}_{players}{suffix}"), ratios, Aim::None);
    }
}

/// What one side did at one size.
fn add_own_figures(figures: &mut Figures, side: &str, players: usize, turns: &[Turn]) {
    let own: [(&str, Of); 9] = [
        ("cpu_cores", |turn| turn.cpu_cores),
        ("cpu_us_per_client_tick", |turn| turn.cpu_us),
        ("bytes_per_client_tick", |turn| turn.bytes),
        ("rss_mb", |turn| turn.rss_mb),
        ("ticks_shown_per_s", |turn| turn.ticks),
        ("messages_per_client_s", |turn| turn.messages),
        ("planes_in_view", |turn| turn.planes_in_view),
        ("planes_held", |turn| turn.planes_held),
        ("bullets_held", |turn| turn.bullets_held),
    ];
    for (name, of) in own {
        figures.add_median(format!("{side}_{players}_{name}"), turns.iter().map(of).collect(), Aim::None);
    }
    let mean = |of: Of| turns.iter().map(of).sum::<f64>() / turns.len() as f64;
    let (changes, ticks) = (mean(|turn| turn.share_of_changes) * 100.0, mean(|turn| turn.ticks));
    figures
        .note(format!("{side}, {players} players: controls changed on {changes:.0} % of ticks, {ticks:.1} ticks/s."));
    if ticks < TICKS_MIN_PER_S {
        figures.note(format!("{side} had no CPU left for 60 ticks a second with {players} players."));
    }
}

fn add_notes(figures: &mut Figures) -> anyhow::Result<()> {
    let (_, node) = colyseus::node()?;
    let mut versions = format!("Node {node}");
    for package in ["@colyseus/core", "@colyseus/schema", "@colyseus/ws-transport", "ws"] {
        versions.push_str(&format!(", {package} {}", colyseus::version(package)?));
    }
    figures.note(format!("Theirs: {versions}; bench/peers/colyseus/README.md says how it is set up."));
    figures.note("Views are 4×4 cells; both sides hold the 5×5 cells around a plane's own one.");
    Ok(())
}

/// A fresh server, its players, and what they cost.
fn take_turn(side: Side, players: usize, cells: u32) -> anyhow::Result<Turn> {
    match side {
        Side::Colyseus => take_their_turn(players, cells),
        Side::Ours => take_our_turn(players, cells, Some(1)),
        Side::OursAtDefaultCadence => take_our_turn(players, cells, None),
    }
}

fn take_their_turn(players: usize, cells: u32) -> anyhow::Result<Turn> {
    let child = colyseus::start(cells)?;
    let server = child.address();
    let mut seats = colyseus::seats(server, players)?.into_iter();
    let handshake = |_| seats.next().expect("a seat for everybody");
    let player = |number| Player::new(number, colyseus::ColyseusClient::default());
    let mut swarm = Swarm::connect(server, players, handshake, player)?;
    let turn = measure(&child, &mut swarm)?;
    let told = colyseus::figures(server)?;
    let tell = |name: &str| told[name].as_f64().with_context(|| format!("the room does not tell {name}"));
    Ok(Turn {
        planes_in_view: tell("planes_in_view")?,
        planes_held: tell("planes_held")?,
        bullets_held: tell("bullets_held")?,
        ..turn
    })
}

fn take_our_turn(players: usize, cells: u32, cadence_ticks: Option<u32>) -> anyhow::Result<Turn> {
    let child = aerodrome::start(cells, players, cadence_ticks)?;
    let player = |number| Player::new(number, aerodrome::AerodromeClient::new(number));
    let mut swarm = Swarm::connect(child.address(), players, |_| serve::upgrade(), player)?;
    let turn = measure(&child, &mut swarm)?;
    let mut seen = Seen::default();
    for decoder in swarm.clients().filter_map(|player| player.client.decoder()) {
        let wrong = decoder.mismatches();
        ensure!(wrong == 0, "A client that decodes found {wrong} wrong frames.");
        seen += decoder.seen();
    }
    ensure!(seen.looks > 0, "The clients that decode saw nothing.");
    let mean = |sum: usize| sum as f64 / seen.looks as f64;
    let (planes_in_view, planes_held) = (mean(seen.planes_in_view), mean(seen.planes_held));
    Ok(Turn { planes_in_view, planes_held, bullets_held: mean(seen.bullets_held), ..turn })
}

/// Waits until all are in, warms up, and counts.
fn measure<L: ProtocolClient>(child: &Child, swarm: &mut Swarm<Player<L>>) -> anyhow::Result<Turn> {
    swarm.run_until(JOIN_MAX, |player| player.client.is_in())?;
    swarm.run_for(WARM_UP)?;
    swarm.clients_mut().for_each(|player| player.client.begin());
    let earlier = Received::of_all(swarm);
    let (before, began) = (child.usage()?, Instant::now());
    swarm.run_for(MEASURED)?;
    let (cpu_us, seconds) = ((child.usage()? - before).us(), began.elapsed().as_secs_f64());
    if let Some((index, why)) = swarm.ended().next() {
        bail!("Client {index} lost its connection. {why}");
    }
    let received = Received::of_all(swarm);
    let ticks = (received.ticks - earlier.ticks) as f64;
    ensure!(ticks > 0.0, "The server showed nothing.");
    let client_seconds = swarm.clients().count() as f64 * seconds;
    Ok(Turn {
        cpu_cores: cpu_us / 1e6 / seconds,
        rss_mb: child.rss_bytes()? / BYTES_PER_MB,
        cpu_us: cpu_us / ticks,
        bytes: (received.bytes - earlier.bytes) as f64 / ticks,
        ticks: ticks / client_seconds,
        messages: (received.messages - earlier.messages) as f64 / client_seconds,
        share_of_changes: share_of_changes(swarm),
        ..Turn::default()
    })
}

/// Share of ticks at which a player's controls changed.
fn share_of_changes<L: ProtocolClient>(swarm: &Swarm<Player<L>>) -> f64 {
    let (ticks, changes) = swarm.clients().fold((0, 0), |(ticks, changes), player| {
        (ticks + u64::from(player.ticks), changes + u64::from(player.changes))
    });
    changes as f64 / ticks.max(1) as f64
}
