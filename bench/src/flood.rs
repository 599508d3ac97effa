//! What becomes of 20 players while strangers send without end: fragments of a message that never ends, then messages far
//! beyond the rate, each from a few sockets that are opened again as soon as they are closed.
//!
//! Path: [`run`] → a gameserver of its own for each flood → everybody joins and plays → a quiet time is measured → the
//! flood begins and is measured, then the strangers leave.
//! Invariants: a stranger is a thread that writes as fast as the kernel takes it; the gap that is still open at the end
//! counts.

use crate::{
    capacity::bot::Bot,
    load::{self, Handshake, LoadClient, Outbox, Swarm, websocket},
    report::{Aim, Figures, Progress},
    serve::{self, Child},
    world,
};
use anyhow::{Context, ensure};
use arena::wire::InputPacket;
use protocol::message::{ClientMessage, HOT_BIT, Hello};
use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

const PLAYERS_COUNT: usize = 20;
const STRANGERS_COUNT: usize = 4;
const JOIN_MAX: Duration = Duration::from_secs(30);
const WARM_UP: Duration = Duration::from_secs(2);
const MEASURED: Duration = Duration::from_secs(8);
/// A person notices a picture that stands still for so long.
const GAP_AIM_MS: f64 = 250.0;
/// How much a stranger writes at once, and how long it waits for the kernel to take some.
const CHUNK_BYTES: usize = 64 * 1024;
const WRITE_PATIENCE: Duration = Duration::from_millis(100);
/// Tickets of strangers are numbered from here.
const STRANGERS_FROM: usize = 1_000_000;

/// A binary message's first fragment, and an empty piece of it, each with a mask that changes nothing.
const FRAGMENT_FIRST: [u8; 6] = [0x02, 0x80, 0, 0, 0, 0];
const FRAGMENT: [u8; 6] = [0x00, 0x80, 0, 0, 0, 0];

/// What a stranger sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Fragments,
    Messages,
}

/// Measures.
pub(crate) fn run(progress: &Progress) -> anyhow::Result<Figures> {
    let mut figures = Figures::default();
    for (name, kind) in [("fragments", Kind::Fragments), ("messages", Kind::Messages)] {
        progress.say(&format!("flood: {STRANGERS_COUNT} sockets send {name}"));
        let child = Child::start(&["serve-gameserver"], &serve::ENVIRONMENT)?;
        let began = Instant::now();
        let player = |number| Watched { bot: Bot::new(number, true, began), last: began, gaps_ms: Vec::new() };
        let mut swarm = Swarm::connect(child.address(), PLAYERS_COUNT, |_| serve::upgrade(), player)?;
        swarm.run_until(JOIN_MAX, |player| player.bot.is_in())?;
        swarm.run_for(WARM_UP)?;
        let quiet = measure(&mut swarm)?;
        let sockets = Arc::new(AtomicUsize::new(0));
        let strangers = begin(child.address(), kind, &sockets);
        let flooded = measure(&mut swarm)?;
        for stranger in strangers {
            stranger.join().ok().context("a stranger broke")??;
        }
        figures.add(format!("{name}_gap_max_ms"), flooded.max_ms, Aim::AtMost(GAP_AIM_MS));
        figures.add(format!("{name}_players_lost"), swarm.ended().count() as f64, Aim::AtMost(0.0));
        figures.add(format!("{name}_gap_p99_ms"), flooded.p99_ms, Aim::None);
        figures.add(format!("{name}_gap_max_before_ms"), quiet.max_ms, Aim::None);
        figures.add(format!("{name}_gap_p99_before_ms"), quiet.p99_ms, Aim::None);
        figures.add(format!("{name}_sockets"), sockets.load(Ordering::Relaxed) as f64, Aim::None);
    }
    figures.note(format!(
        "{PLAYERS_COUNT} whole clients; gaps are between the arrivals of a player's frames, of all players, over {} s. \
         {STRANGERS_COUNT} strangers send at a time, and come again whenever they are closed: `sockets` in all.",
        MEASURED.as_secs()
    ));
    Ok(figures)
}

/// Gaps of all players.
#[derive(Debug)]
struct Gaps {
    p99_ms: f64,
    max_ms: f64,
}

fn measure(swarm: &mut Swarm<Watched>) -> anyhow::Result<Gaps> {
    swarm.clients_mut().for_each(|player| player.gaps_ms.clear());
    swarm.run_for(MEASURED)?;
    let now = Instant::now();
    let mut gaps_ms: Vec<f64> = swarm.clients().flat_map(|player| player.gaps_ms.iter().copied()).collect();
    gaps_ms.extend(swarm.clients().map(|player| milliseconds(now - player.last)));
    gaps_ms.sort_by(f64::total_cmp);
    ensure!(gaps_ms.len() > PLAYERS_COUNT, "No frame came.");
    Ok(Gaps { p99_ms: gaps_ms[gaps_ms.len() * 99 / 100], max_ms: gaps_ms[gaps_ms.len() - 1] })
}

/// A player, and how long it was without a frame.
#[derive(Debug)]
struct Watched {
    bot: Bot,
    last: Instant,
    gaps_ms: Vec<f64>,
}

impl LoadClient for Watched {
    fn opened(&mut self, outbox: &mut Outbox) {
        self.bot.opened(outbox);
    }

    fn message(&mut self, bytes: &[u8], at: Instant, outbox: &mut Outbox) {
        if bytes.first().is_some_and(|tag| tag & HOT_BIT != 0) {
            self.gaps_ms.push(milliseconds(at - self.last));
            self.last = at;
        }
        self.bot.message(bytes, at, outbox);
    }

    fn tick(&mut self, at: Instant, outbox: &mut Outbox) {
        self.bot.tick(at, outbox);
    }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// The strangers; each counts the sockets it needs, and ends by itself.
fn begin(server: SocketAddr, kind: Kind, sockets: &Arc<AtomicUsize>) -> Vec<thread::JoinHandle<anyhow::Result<()>>> {
    let end = Instant::now() + MEASURED;
    let stranger = |_| {
        let sockets = Arc::clone(sockets);
        thread::spawn(move || {
            while Instant::now() < end {
                let number = STRANGERS_FROM + sockets.fetch_add(1, Ordering::Relaxed);
                flood(server, kind, number, end)?;
            }
            Ok(())
        })
    };
    (0..STRANGERS_COUNT).map(stranger).collect()
}

/// One socket, until it is closed or the time is over.
fn flood(server: SocketAddr, kind: Kind, number: usize, end: Instant) -> anyhow::Result<()> {
    let Handshake::Upgrade { path, headers } = serve::upgrade() else { return Ok(()) };
    let mut stream = TcpStream::connect(server).context("a stranger finds no server")?;
    stream.set_write_timeout(Some(WRITE_PATIENCE))?;
    stream.write_all(load::request(server, &path, &headers).as_bytes())?;
    // The answer, or some of it: the rest is never read.
    ensure!(stream.read(&mut [0; 1024])? > 0, "a stranger's upgrade is refused");
    let hello = Hello { ticket: Some(serve::ticket(number)), ..world::hello(number) };
    let mut first = Vec::new();
    websocket::push_masked(&mut first, websocket::BINARY, &ClientMessage::Hello(hello).encode(), [0; 4]);
    let mut again = FRAGMENT.to_vec();
    match kind {
        Kind::Fragments => first.extend(FRAGMENT_FIRST),
        Kind::Messages => {
            let input = InputPacket { number: 1, ack: 0, at: 0, view_delay: 0, inputs: vec![] }.encode();
            again.clear();
            websocket::push_masked(&mut again, websocket::BINARY, &input, [0; 4]);
        }
    }
    let chunk = again.repeat(CHUNK_BYTES / again.len());
    let mut unsent = &first[..];
    while Instant::now() < end {
        match stream.write(unsent) {
            Ok(count) if count < unsent.len() => unsent = &unsent[count..],
            Ok(_) => unsent = &chunk,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            // It was closed.
            Err(_) => return Ok(()),
        }
    }
    Ok(())
}
