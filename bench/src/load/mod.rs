//! The load: one thread and one epoll for thousands of clients, so cheap that it may share two cores with the server.
//!
//! Path: [`Swarm::connect`] opens the connections → [`Swarm::run_for`] calls the [`Peer`]s: `message` for everything that
//! arrives, `tick` [`TICK_HZ`] times a second → [`Out::send`] answers.
//! Invariants: a message is handed over where it was read, without a copy; ticks are spread evenly over their interval,
//! as strangers' clocks are; nothing waits for a server that does not read.

mod link;
pub(crate) mod wire;

use anyhow::{Context, bail};
pub(crate) use link::request;
use link::{Link, State};
use mio::{Events, Poll, Token};
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

/// How often a peer ticks.
const TICK_HZ: u32 = 60;
/// Slices of a tick's interval: the peers of a slice tick together. 8 of 60 Hz are 2 ms.
const SLICES_PER_TICK: u32 = 8;
/// The longest message; longer ones end the connection.
const READ_BUFFER_BYTES: usize = 512 * 1024;
/// Events that epoll tells at once.
const EVENTS_MAX_COUNT: usize = 1024;
/// Handshakes under way at once: few enough for any server's backlog.
const OPENING_MAX_COUNT: usize = 64;
/// Longest wait for a handshake, all of them together not counted. Policy: the measurement fails.
const OPENING_MAX: Duration = Duration::from_secs(20);

/// What one client does.
pub(crate) trait Peer {
    /// The connection is open: the upgrade was granted.
    fn opened(&mut self, out: &mut Out);
    /// A message (binary or text) arrived; `at` is when it was read.
    fn message(&mut self, bytes: &[u8], at: Instant, out: &mut Out);
    /// Called at a fixed rate while the connection is open.
    fn tick(&mut self, at: Instant, out: &mut Out);
}

/// How a connection begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Opening {
    /// With a WebSocket upgrade of this path, with these headers beside WebSocket's own.
    Upgrade { path: String, headers: Vec<(String, String)> },
    /// With nothing: the server and the peer use WebSocket's frames from the first byte. For floors, which are to carry
    /// the same bytes.
    Bare,
}

/// What a peer sends.
#[derive(Debug, Default)]
pub(crate) struct Out {
    bytes: Vec<u8>,
    /// Makes the masks.
    state: u32,
}

impl Out {
    /// Queues a binary message.
    pub(crate) fn send(&mut self, message: &[u8]) {
        self.push(wire::BINARY, message);
    }

    fn push(&mut self, opcode: u8, payload: &[u8]) {
        // Marsaglia's xorshift32: masks need only differ.
        self.state = if self.state == 0 { 0x9e37_79b9 } else { self.state };
        self.state ^= self.state << 13;
        self.state ^= self.state >> 17;
        self.state ^= self.state << 5;
        wire::push_masked(&mut self.bytes, opcode, payload, self.state.to_le_bytes());
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Swarm<P> {
    server: SocketAddr,
    links: Vec<Link<P>>,
    poll: Poll,
    events: Events,
    buffer: Vec<u8>,
    out: Out,
    /// Since when slices are counted, and how many have been served.
    began: Instant,
    slices: u64,
}

impl<P: Peer> Swarm<P> {
    /// Opens `count` connections and waits until all are open. `opening` and `peer` are asked right before each.
    ///
    /// # Errors
    /// When one of them is not to be had, or is refused.
    pub(crate) fn connect(
        server: SocketAddr,
        count: usize,
        opening: impl FnMut(usize) -> Opening,
        peer: impl FnMut(usize) -> P,
    ) -> anyhow::Result<Self> {
        let mut swarm = Self {
            server,
            links: Vec::new(),
            poll: Poll::new().context("no epoll")?,
            events: Events::with_capacity(EVENTS_MAX_COUNT),
            buffer: vec![0; READ_BUFFER_BYTES],
            out: Out::default(),
            began: Instant::now(),
            slices: 0,
        };
        swarm.add(count, opening, peer)?;
        Ok(swarm)
    }

    /// Opens `count` more connections, while those there are go on; their numbers follow on.
    ///
    /// # Errors
    /// As [`Swarm::connect`].
    pub(crate) fn add(
        &mut self,
        count: usize,
        mut opening: impl FnMut(usize) -> Opening,
        mut peer: impl FnMut(usize) -> P,
    ) -> anyhow::Result<()> {
        let (first, last) = (self.links.len(), self.links.len() + count);
        for index in first..last {
            let opening = opening(index);
            let mut link = Link::open(self.server, index, &opening, peer(index))?;
            link.register(self.poll.registry(), Token(index)).context("epoll takes no more connections")?;
            if opening == Opening::Bare {
                link.state = State::Open;
                link.peer.opened(&mut self.out);
            }
            self.links.push(link);
            self.send_from(index);
            self.wait_for_openings(first, OPENING_MAX_COUNT)?;
        }
        self.wait_for_openings(first, 1)
    }

    /// Lets the peers talk for this long.
    ///
    /// # Errors
    /// When epoll fails.
    pub(crate) fn run_for(&mut self, time: Duration) -> anyhow::Result<()> {
        let end = Instant::now() + time;
        while self.serve_until(end)? < end {}
        Ok(())
    }

    /// Lets the peers talk until all of them are as wished.
    ///
    /// # Errors
    /// When that takes too long, when a connection ends meanwhile, or when epoll fails.
    pub(crate) fn run_until(&mut self, longest: Duration, mut is_done: impl FnMut(&P) -> bool) -> anyhow::Result<()> {
        let end = Instant::now() + longest;
        loop {
            let waiting = self.links.iter().filter(|link| !is_done(&link.peer)).count();
            if waiting == 0 {
                return Ok(());
            }
            if let Some((index, why)) = self.ended().next() {
                bail!("Client {index} lost its connection. {why}");
            }
            if self.serve_until(end)? >= end {
                bail!("{waiting} of {} clients were not served in {longest:?}.", self.links.len());
            }
        }
    }

    /// Every peer, by number.
    pub(crate) fn peers(&self) -> impl Iterator<Item = &P> {
        self.links.iter().map(|link| &link.peer)
    }

    /// Every peer, by number, to be changed.
    pub(crate) fn peers_mut(&mut self) -> impl Iterator<Item = &mut P> {
        self.links.iter_mut().map(|link| &mut link.peer)
    }

    /// The connections that have ended: number and reason.
    pub(crate) fn ended(&self) -> impl Iterator<Item = (usize, &str)> {
        self.links.iter().enumerate().filter_map(|(index, link)| match &link.state {
            State::Ended(why) => Some((index, why.as_str())),
            State::Opening | State::Open => None,
        })
    }

    /// Waits until fewer than `fewer_than` handshakes of the links from `first` on are under way.
    fn wait_for_openings(&mut self, first: usize, fewer_than: usize) -> anyhow::Result<()> {
        let end = Instant::now() + OPENING_MAX;
        loop {
            let opening = self.links[first..].iter().filter(|link| link.state == State::Opening).count();
            if let Some((index, why)) = self.ended().find(|(index, _)| *index >= first) {
                bail!("Client {index} was not let in. {why}");
            }
            if opening < fewer_than {
                return Ok(());
            }
            if self.serve_until(end)? >= end {
                bail!("{} does not answer {opening} handshakes.", self.server);
            }
        }
    }

    /// Ticks what is due, then serves one batch of events; returns the time.
    fn serve_until(&mut self, end: Instant) -> anyhow::Result<Instant> {
        let now = Instant::now();
        let slice = Duration::from_secs(1) / (TICK_HZ * SLICES_PER_TICK);
        let due = (now.duration_since(self.began).as_nanos() / slice.as_nanos()) as u64;
        if due.saturating_sub(self.slices) > u64::from(SLICES_PER_TICK) {
            // Far behind: what was missed is not made up for, or it would never end.
            self.slices = due - u64::from(SLICES_PER_TICK);
        }
        while self.slices < due {
            self.slices += 1;
            self.tick_slice(now);
        }
        let next = self.began + slice * (self.slices as u32 + 1);
        let wait = next.min(end).saturating_duration_since(now);
        match self.poll.poll(&mut self.events, Some(wait)) {
            Err(error) if error.kind() != std::io::ErrorKind::Interrupted => return Err(error).context("epoll failed"),
            _ => {}
        }
        let mut events = std::mem::replace(&mut self.events, Events::with_capacity(0));
        for event in &events {
            let index = event.token().0;
            if event.is_writable() {
                self.links[index].flush();
            }
            if event.is_readable() {
                self.links[index].read(&mut self.buffer, event.is_read_closed(), &mut self.out);
                self.send_from(index);
            }
        }
        std::mem::swap(&mut self.events, &mut events);
        Ok(Instant::now())
    }

    fn tick_slice(&mut self, now: Instant) {
        let slices = SLICES_PER_TICK as usize;
        for index in (self.slices as usize % slices..self.links.len()).step_by(slices) {
            if self.links[index].state == State::Open {
                self.links[index].peer.tick(now, &mut self.out);
                self.send_from(index);
            }
        }
    }

    /// Sends what a peer has just said.
    fn send_from(&mut self, index: usize) {
        if !self.out.bytes.is_empty() {
            self.links[index].write(&self.out.bytes);
            self.out.bytes.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        io::{Read, Write},
        net::{TcpListener, TcpStream},
        thread,
    };

    /// Sends one long message when it opens, one a tick then, and checks that all come back in order.
    #[derive(Debug, Default)]
    struct Echoed {
        sent: u32,
        back: u32,
        long: usize,
    }

    const LONG_BYTES: usize = 300_000;

    impl Peer for Echoed {
        fn opened(&mut self, out: &mut Out) {
            out.send(&[7; LONG_BYTES]);
        }

        fn message(&mut self, bytes: &[u8], _at: Instant, _out: &mut Out) {
            match bytes.try_into() {
                Ok(number) => {
                    assert_eq!(u32::from_le_bytes(number), self.back);
                    self.back += 1;
                }
                Err(_) => self.long += bytes.len(),
            }
        }

        fn tick(&mut self, _at: Instant, out: &mut Out) {
            out.send(&self.sent.to_le_bytes());
            self.sent += 1;
        }
    }

    /// A server of `sockets` connections that answers the upgrade with `answer` and echoes every message.
    fn echo_server(sockets: usize, answer: &'static str) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for stream in listener.incoming().take(sockets) {
                thread::spawn(move || echo(stream.unwrap(), answer));
            }
        });
        address
    }

    fn echo(mut stream: TcpStream, answer: &str) -> Option<()> {
        let mut bytes = Vec::new();
        while !bytes.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).ok()?;
            bytes.push(byte[0]);
        }
        stream.write_all(answer.as_bytes()).ok()?;
        loop {
            let mut head = [0; 2];
            stream.read_exact(&mut head).ok()?;
            let mut length = [0; 8];
            let length = match head[1] & 0x7f {
                126 => stream.read_exact(&mut length[6..]).map(|()| u64::from_be_bytes(length)).ok()?,
                127 => stream.read_exact(&mut length).map(|()| u64::from_be_bytes(length)).ok()?,
                length => u64::from(length),
            };
            let mut masked = vec![0; 4 + length as usize];
            stream.read_exact(&mut masked).ok()?;
            let (key, payload) = masked.split_first_chunk::<4>().unwrap();
            let plain: Vec<u8> = payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key).collect();
            let mut framed = Vec::new();
            wire::push_unmasked(&mut framed, head[0] & 0x0f, &plain);
            stream.write_all(&framed).ok()?;
        }
    }

    fn upgrade(_: usize) -> Opening {
        Opening::Upgrade { path: "/any".to_owned(), headers: vec![("a".to_owned(), "b".to_owned())] }
    }

    #[test]
    fn every_message_comes_back_to_its_peer() {
        let server = echo_server(30, "HTTP/1.1 101 Switching Protocols\r\n\r\n");
        let mut swarm = Swarm::connect(server, 20, upgrade, |_| Echoed::default()).unwrap();
        swarm.add(10, upgrade, |_| Echoed::default()).unwrap();
        swarm.run_until(Duration::from_secs(20), |peer| peer.back >= 30 && peer.long == LONG_BYTES).unwrap();
        assert_eq!((swarm.peers().count(), swarm.ended().count()), (30, 0));
    }

    #[test]
    fn peers_tick_at_their_rate() {
        let server = echo_server(4, "HTTP/1.1 101 Switching Protocols\r\n\r\n");
        let mut swarm = Swarm::connect(server, 4, upgrade, |_| Echoed::default()).unwrap();
        let before: Vec<u32> = swarm.peers().map(|peer| peer.sent).collect();
        let began = Instant::now();
        swarm.run_for(Duration::from_millis(500)).unwrap();
        let due = began.elapsed().as_secs_f64() * f64::from(TICK_HZ);
        let ticks = swarm.peers().zip(before).map(|(peer, before)| f64::from(peer.sent - before));
        assert!(ticks.into_iter().all(|ticks| (ticks - due).abs() < 10.0), "{due}");
    }

    #[test]
    fn a_refusal_is_told() {
        let server = echo_server(1, "HTTP/1.1 403 Forbidden\r\n\r\n");
        let error = Swarm::connect(server, 1, upgrade, |_| Echoed::default()).unwrap_err().to_string();
        assert!(error.contains("403 Forbidden"), "{error}");
    }
}
