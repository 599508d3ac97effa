//! The load: one thread and one epoll for thousands of clients, so cheap that it may share two cores with the server.
//!
//! Path: [`Swarm::connect`] opens the connections → [`Swarm::run_for`] calls the [`LoadClient`]s: `message` for everything
//! that arrives, `tick` [`TICK_HZ`] times a second → [`Outbox::send`] answers.
//! Invariants: a message is handed over where it was read, without a copy; ticks are spread evenly over their interval,
//! as strangers' clocks are; nothing waits for a server that does not read.

mod client;
mod connection;
pub(crate) mod websocket;

use anyhow::{Context, bail};
pub(crate) use client::{Handshake, LoadClient, Outbox};
pub(crate) use connection::request;
use connection::{Connection, State};
use mio::{Events, Poll, Token};
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

/// How often a client ticks.
const TICK_HZ: u32 = 60;
/// Slices of a tick's interval: the clients of a slice tick together. 8 of 60 Hz are 2 ms.
const SLICES_PER_TICK: u32 = 8;
/// The longest message; longer ones end the connection.
const READ_BUFFER_BYTES: usize = 512 * 1024;
/// Events that epoll tells at once.
const EVENTS_MAX_COUNT: usize = 1024;
/// Handshakes under way at once: few enough for any server's backlog.
const OPENING_MAX_COUNT: usize = 64;
/// Longest wait for a handshake, all of them together not counted. Policy: the measurement fails.
const OPENING_MAX: Duration = Duration::from_secs(20);

/// See the module.
#[derive(Debug)]
pub(crate) struct Swarm<P> {
    server: SocketAddr,
    connections: Vec<Connection<P>>,
    poll: Poll,
    events: Events,
    buffer: Vec<u8>,
    outbox: Outbox,
    /// Since when slices are counted, and how many have been served.
    began: Instant,
    slices: u64,
}

impl<P: LoadClient> Swarm<P> {
    /// Opens `count` connections and waits until all are open. `handshake` and `client` are asked right before each.
    ///
    /// # Errors
    /// When one of them is not to be had, or is refused.
    pub(crate) fn connect(
        server: SocketAddr,
        count: usize,
        handshake: impl FnMut(usize) -> Handshake,
        client: impl FnMut(usize) -> P,
    ) -> anyhow::Result<Self> {
        let mut swarm = Self {
            server,
            connections: Vec::new(),
            poll: Poll::new().context("no epoll")?,
            events: Events::with_capacity(EVENTS_MAX_COUNT),
            buffer: vec![0; READ_BUFFER_BYTES],
            outbox: Outbox::default(),
            began: Instant::now(),
            slices: 0,
        };
        swarm.add(count, handshake, client)?;
        Ok(swarm)
    }

    /// Opens `count` more connections, while those there are go on; their numbers follow on.
    ///
    /// # Errors
    /// As [`Swarm::connect`].
    pub(crate) fn add(
        &mut self,
        count: usize,
        mut handshake: impl FnMut(usize) -> Handshake,
        mut client: impl FnMut(usize) -> P,
    ) -> anyhow::Result<()> {
        let (first, last) = (self.connections.len(), self.connections.len() + count);
        for index in first..last {
            let handshake = handshake(index);
            let mut connection = Connection::open(self.server, index, &handshake, client(index))?;
            connection.register(self.poll.registry(), Token(index)).context("epoll takes no more connections")?;
            if handshake == Handshake::None {
                connection.state = State::Open;
                connection.client.opened(&mut self.outbox);
            }
            self.connections.push(connection);
            self.send_from(index);
            self.wait_for_openings(first, OPENING_MAX_COUNT)?;
        }
        self.wait_for_openings(first, 1)
    }

    /// Lets the clients talk for this long.
    ///
    /// # Errors
    /// When epoll fails.
    pub(crate) fn run_for(&mut self, time: Duration) -> anyhow::Result<()> {
        let end = Instant::now() + time;
        while self.serve_until(end)? < end {}
        Ok(())
    }

    /// Lets the clients talk until `is_done` says so of all of them.
    ///
    /// # Errors
    /// When that takes too long, when a connection ends meanwhile, or when epoll fails.
    pub(crate) fn run_until(&mut self, longest: Duration, mut is_done: impl FnMut(&P) -> bool) -> anyhow::Result<()> {
        let end = Instant::now() + longest;
        loop {
            let waiting = self.connections.iter().filter(|connection| !is_done(&connection.client)).count();
            if waiting == 0 {
                return Ok(());
            }
            if let Some((index, why)) = self.ended().next() {
                bail!("Client {index} lost its connection. {why}");
            }
            if self.serve_until(end)? >= end {
                bail!("{waiting} of {} clients were not served in {longest:?}.", self.connections.len());
            }
        }
    }

    /// Every client, by number.
    pub(crate) fn clients(&self) -> impl Iterator<Item = &P> {
        self.connections.iter().map(|connection| &connection.client)
    }

    /// Every client, by number, to be changed.
    pub(crate) fn clients_mut(&mut self) -> impl Iterator<Item = &mut P> {
        self.connections.iter_mut().map(|connection| &mut connection.client)
    }

    /// The connections that have ended: number and reason.
    pub(crate) fn ended(&self) -> impl Iterator<Item = (usize, &str)> {
        self.connections.iter().enumerate().filter_map(|(index, connection)| match &connection.state {
            State::Ended(why) => Some((index, why.as_str())),
            State::Handshaking | State::Open => None,
        })
    }

    /// Waits until fewer than `fewer_than` handshakes of the connections from `first` on are under way.
    fn wait_for_openings(&mut self, first: usize, fewer_than: usize) -> anyhow::Result<()> {
        let end = Instant::now() + OPENING_MAX;
        loop {
            let opening =
                self.connections[first..].iter().filter(|connection| connection.state == State::Handshaking).count();
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
                self.connections[index].flush();
            }
            if event.is_readable() {
                self.connections[index].read(&mut self.buffer, event.is_read_closed(), &mut self.outbox);
                self.send_from(index);
            }
        }
        std::mem::swap(&mut self.events, &mut events);
        Ok(Instant::now())
    }

    fn tick_slice(&mut self, now: Instant) {
        let slices = SLICES_PER_TICK as usize;
        for index in (self.slices as usize % slices..self.connections.len()).step_by(slices) {
            if self.connections[index].state == State::Open {
                self.connections[index].client.tick(now, &mut self.outbox);
                self.send_from(index);
            }
        }
    }

    /// Sends what a client has just said.
    fn send_from(&mut self, index: usize) {
        if !self.outbox.bytes.is_empty() {
            self.connections[index].write(&self.outbox.bytes);
            self.outbox.bytes.clear();
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

    impl LoadClient for Echoed {
        fn opened(&mut self, outbox: &mut Outbox) {
            outbox.send(&[7; LONG_BYTES]);
        }

        fn message(&mut self, bytes: &[u8], _at: Instant, _outbox: &mut Outbox) {
            match bytes.try_into() {
                Ok(number) => {
                    assert_eq!(u32::from_le_bytes(number), self.back);
                    self.back += 1;
                }
                Err(_) => self.long += bytes.len(),
            }
        }

        fn tick(&mut self, _at: Instant, outbox: &mut Outbox) {
            outbox.send(&self.sent.to_le_bytes());
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
            websocket::push_unmasked(&mut framed, head[0] & 0x0f, &plain);
            stream.write_all(&framed).ok()?;
        }
    }

    fn upgrade(_: usize) -> Handshake {
        Handshake::Upgrade { path: "/any".to_owned(), headers: vec![("a".to_owned(), "b".to_owned())] }
    }

    #[test]
    fn every_message_comes_back_to_its_peer() {
        let server = echo_server(30, "HTTP/1.1 101 Switching Protocols\r\n\r\n");
        let mut swarm = Swarm::connect(server, 20, upgrade, |_| Echoed::default()).unwrap();
        swarm.add(10, upgrade, |_| Echoed::default()).unwrap();
        swarm.run_until(Duration::from_secs(20), |client| client.back >= 30 && client.long == LONG_BYTES).unwrap();
        assert_eq!((swarm.clients().count(), swarm.ended().count()), (30, 0));
    }

    #[test]
    fn peers_tick_at_their_rate() {
        let server = echo_server(4, "HTTP/1.1 101 Switching Protocols\r\n\r\n");
        let mut swarm = Swarm::connect(server, 4, upgrade, |_| Echoed::default()).unwrap();
        let before: Vec<u32> = swarm.clients().map(|client| client.sent).collect();
        let began = Instant::now();
        swarm.run_for(Duration::from_millis(500)).unwrap();
        let due = began.elapsed().as_secs_f64() * f64::from(TICK_HZ);
        let ticks = swarm.clients().zip(before).map(|(client, before)| f64::from(client.sent - before));
        assert!(ticks.into_iter().all(|ticks| (ticks - due).abs() < 10.0), "{due}");
    }

    #[test]
    fn a_refusal_is_told() {
        let server = echo_server(1, "HTTP/1.1 403 Forbidden\r\n\r\n");
        let error = Swarm::connect(server, 1, upgrade, |_| Echoed::default()).unwrap_err().to_string();
        assert!(error.contains("403 Forbidden"), "{error}");
    }
}
