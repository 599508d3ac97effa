//! A stall over a real socket: a gameserver in its own process, a relay that stops carrying, a real client behind it. And a
//! pause: the same without a relay, the gameserver's process stopped ([`back_after_pauses_ms`]).
//!
//! Path: [`recoveries_ms`] starts server and relay → the relay carries nothing for two seconds, so that both kernels' buffers
//! fill as they do in life → from its end until a frame as fresh as those before. The relay takes the place of the bad network,
//! so TCP's own back-off after lost packets is not in it.

use super::{scenario::STALL_MS, world::TICK_MS};
use crate::{
    load::{LoadClient, Outbox, Swarm},
    serve::{self, Child},
};
use anyhow::ensure;
use arena::{Client, controls};
use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

const STALLS_COUNT: usize = 3;
const CALM: Duration = Duration::from_secs(3);
const AFTER: Duration = Duration::from_secs(1);
/// What a client of a server that paused may be off its usual way ahead.
const USUAL_TICKS: f64 = 2.5;
/// A frame is as fresh as those before if it is no later than the soonest of them by this.
const FRESH_TICKS: f64 = 2.0;
/// What a relay carries at once.
const CARRIED_MAX_BYTES: usize = 4096;

/// From each stall's end to a current view with the right checksum, ms.
///
/// # Errors
/// When there is no server to be had, or the client does not come back.
pub(crate) fn recoveries_ms() -> anyhow::Result<Vec<f64>> {
    let child = Child::start(&["serve-gameserver"], &serve::ENVIRONMENT)?;
    let is_stalled = Arc::new(AtomicBool::new(false));
    let relay = relay(child.address(), is_stalled.clone())?;
    let mut swarm = Swarm::connect(relay, 1, |_| serve::upgrade(), |_| Watcher::new())?;
    let mut recoveries = Vec::new();
    for _ in 0..STALLS_COUNT {
        swarm.run_for(CALM)?;
        swarm.clients_mut().for_each(|watcher| watcher.frames.clear());
        swarm.run_for(AFTER)?;
        let usual_ms = watcher(&swarm).frames.iter().map(|frame| frame.1).fold(f64::INFINITY, f64::min);
        is_stalled.store(true, Relaxed);
        swarm.run_for(Duration::from_secs_f64(STALL_MS / 1000.0))?;
        is_stalled.store(false, Relaxed);
        let end_ms = watcher(&swarm).ms(Instant::now());
        swarm.run_for(AFTER)?;
        let is_fresh = |frame: &&(f64, f64, f64)| frame.0 >= end_ms && frame.1 < usual_ms + FRESH_TICKS * TICK_MS;
        let fresh = watcher(&swarm).frames.iter().find(is_fresh).map(|frame| frame.0 - end_ms);
        ensure!(watcher(&swarm).client.stats().mismatches == 0, "a checksum was wrong after a stall");
        recoveries.push(fresh.unwrap_or(f64::INFINITY));
    }
    Ok(recoveries)
}

/// From the end of a pause of the gameserver of so long, until the own clock is as far ahead of its frames as before; several
/// times.
///
/// # Errors
/// When there is no server to be had, or the client does not come back.
pub(crate) fn back_after_pauses_ms(pause_ms: f64) -> anyhow::Result<Vec<f64>> {
    let child = Child::start(&["serve-gameserver"], &serve::ENVIRONMENT)?;
    let mut swarm = Swarm::connect(child.address(), 1, |_| serve::upgrade(), |_| Watcher::new())?;
    let mut all = Vec::new();
    swarm.run_for(CALM)?;
    for _ in 0..STALLS_COUNT {
        swarm.clients_mut().for_each(|watcher| watcher.frames.clear());
        swarm.run_for(CALM)?;
        let frames = &watcher(&swarm).frames;
        ensure!(!frames.is_empty(), "no frame came in {CALM:?}");
        let usual = frames.iter().map(|frame| frame.2).sum::<f64>() / frames.len() as f64;
        child.set_paused(true)?;
        let paused = swarm.run_for(Duration::from_secs_f64(pause_ms / 1000.0));
        child.set_paused(false)?;
        paused?;
        let end_ms = watcher(&swarm).ms(Instant::now());
        swarm.run_for(CALM)?;
        let after = watcher(&swarm).frames.iter().filter(|frame| frame.0 > end_ms);
        let off = after.clone().rfind(|frame| (frame.2 - usual).abs() > USUAL_TICKS);
        let has_come = after.count() > 0;
        ensure!(has_come && watcher(&swarm).client.stats().mismatches == 0, "the client did not come back");
        all.push(off.map_or(0.0, |frame| frame.0 - end_ms));
    }
    Ok(all)
}

fn watcher(swarm: &Swarm<Watcher>) -> &Watcher {
    swarm.clients().next().expect("one was connected")
}

/// Carries one connection to the server and back, but not while `is_stalled`.
fn relay(server: SocketAddr, is_stalled: Arc<AtomicBool>) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        let (Ok((page, _)), Ok(server)) = (listener.accept(), TcpStream::connect(server)) else { return };
        for stream in [&page, &server] {
            // Only speed is at stake.
            let _ = stream.set_nodelay(true);
        }
        if let (Ok(from), Ok(to)) = (page.try_clone(), server.try_clone()) {
            let is_stalled = is_stalled.clone();
            thread::spawn(move || carry(from, to, &is_stalled));
        }
        carry(server, page, &is_stalled);
    });
    Ok(address)
}

/// Until one end is gone.
fn carry(mut from: TcpStream, mut to: TcpStream, is_stalled: &AtomicBool) {
    let mut bytes = [0; CARRIED_MAX_BYTES];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        while is_stalled.load(Relaxed) {
            thread::sleep(Duration::from_millis(1));
        }
        if to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    // The other direction ends with it.
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

/// A client that flies in curves and notes its frames.
#[derive(Debug)]
struct Watcher {
    client: Client,
    began: Instant,
    /// When each frame came, and how late that is for its tick, ms; and how far ahead of it the own clock was, ticks.
    frames: Vec<(f64, f64, f64)>,
}

impl Watcher {
    fn new() -> Self {
        Self { client: Client::new(), began: Instant::now(), frames: Vec::new() }
    }

    fn ms(&self, at: Instant) -> f64 {
        at.duration_since(self.began).as_secs_f64() * 1000.0
    }

    fn send(&mut self, at: Instant, outbox: &mut Outbox) {
        while let Some(message) = self.client.poll_send(self.ms(at)) {
            outbox.send(&message);
        }
    }
}

impl LoadClient for Watcher {
    fn opened(&mut self, outbox: &mut Outbox) {
        outbox.send(&self.client.hello("Watcher", 0, Some(serve::ticket(0)), None));
    }

    fn message(&mut self, bytes: &[u8], at: Instant, outbox: &mut Outbox) {
        let now_ms = self.ms(at);
        let before = self.client.stats().frames;
        // A message it cannot read ends its replica: no frame is fresh from then on.
        let _ = self.client.receive(bytes, now_ms);
        while self.client.poll_event().is_some() {}
        if self.client.stats().frames > before {
            let tick = self.client.replica().map_or(0, arena::Replica::tick);
            let ahead = self.client.own_at(now_ms) - f64::from(tick);
            self.frames.push((now_ms, now_ms - f64::from(tick) * TICK_MS, ahead));
        }
        self.send(at, outbox);
    }

    fn tick(&mut self, at: Instant, outbox: &mut Outbox) {
        let steer = if (self.ms(at) as u64 / 700).is_multiple_of(2) { 4 } else { -2 };
        self.client.control(controls(steer, 1, false, false));
        self.send(at, outbox);
    }
}
