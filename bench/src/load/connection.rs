//! One connection of the swarm: the handshake, then messages in place, and what the kernel did not take yet.
//!
//! Path: [`Connection::open`] connects and asks for the upgrade → [`Connection::read`] hands every message to the client →
//! [`Connection::write`] sends what the client queued.
//! Invariants: epoll is edge-triggered, so a readable connection is read until the kernel has nothing more; a connection
//! that ended keeps its client and the reason, and never comes back.

use super::{
    client::{Handshake, LoadClient, Outbox},
    websocket::{self, first_frame},
};
use anyhow::Context;
use mio::{Interest, Registry, Token, net::TcpStream};
use socket2::{Domain, Protocol, Socket, Type};
use std::{
    io::{self, ErrorKind, Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr},
    time::Instant,
};

/// Links per source address: a gameserver limits the sockets of one.
const CONNECTIONS_PER_ADDRESS_MAX_COUNT: usize = 200;
/// Where a handshake's answer ends.
const HEAD_END: &[u8] = b"\r\n\r\n";

/// How far a connection has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum State {
    /// Asked for the upgrade.
    Handshaking,
    /// Messages go to and fro.
    Open,
    /// Over, and why, as a sentence.
    Ended(String),
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Connection<P> {
    pub(crate) client: P,
    pub(crate) state: State,
    stream: TcpStream,
    /// The beginning of a message whose end has not come.
    carried: Vec<u8>,
    /// What the kernel did not take.
    unsent: Vec<u8>,
}

impl<P: LoadClient> Connection<P> {
    /// Connects from the source address that connection `index` has.
    ///
    /// # Errors
    /// When there is no connection to be had.
    pub(crate) fn open(server: SocketAddr, index: usize, handshake: &Handshake, client: P) -> anyhow::Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))
            .context("no socket for one more connection; does `ulimit -n` allow as many files?")?;
        socket.bind(&SocketAddr::from((source_of(index), 0)).into())?;
        socket.connect(&server.into()).with_context(|| format!("nothing answers at {server}"))?;
        socket.set_tcp_nodelay(true)?;
        socket.set_nonblocking(true)?;
        let stream = TcpStream::from_std(socket.into());
        let mut connection =
            Self { client, state: State::Handshaking, stream, carried: Vec::new(), unsent: Vec::new() };
        match handshake {
            Handshake::Upgrade { path, headers } => connection.write(request(server, path, headers).as_bytes()),
            Handshake::None => {}
        }
        Ok(connection)
    }

    /// Has epoll tell what happens on this connection.
    pub(crate) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        registry.register(&mut self.stream, token, Interest::READABLE | Interest::WRITABLE)
    }

    /// Reads all there is, through `buffer`, and hands it to the client; `is_ending` tells that the end has come, too.
    pub(crate) fn read(&mut self, buffer: &mut [u8], is_ending: bool, outbox: &mut Outbox) {
        loop {
            if matches!(self.state, State::Ended(_)) {
                return;
            }
            let carried = self.carried.len();
            if carried == buffer.len() {
                return self.end("The server sent a longer message than the load has room for.");
            }
            buffer[..carried].copy_from_slice(&self.carried);
            let room = buffer.len() - carried;
            let read = match self.stream.read(&mut buffer[carried..]) {
                Ok(0) => return self.end("The server ended the connection."),
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return self.end(&format!("The connection broke ({error}).")),
            };
            let bytes = &buffer[..carried + read];
            let used = self.take(bytes, Instant::now(), outbox);
            self.carried.clear();
            self.carried.extend_from_slice(&bytes[used..]);
            // A stream socket that gave less than asked for has no more: the next byte is a new edge. The end is not.
            if read < room && !is_ending {
                return;
            }
        }
    }

    /// Takes whole messages from the front of `bytes`; returns how many bytes they were.
    fn take(&mut self, bytes: &[u8], at: Instant, outbox: &mut Outbox) -> usize {
        let mut used = 0;
        if self.state == State::Handshaking {
            used = match self.take_answer(bytes) {
                Some(used) => used,
                None => return 0,
            };
            self.client.opened(outbox);
        }
        while self.state == State::Open {
            match first_frame(&bytes[used..]) {
                Ok(Some(frame)) => {
                    let payload = &bytes[used..][frame.payload.clone()];
                    self.take_frame(frame.opcode, payload, at, outbox);
                    used += frame.payload.end;
                }
                Ok(None) => break,
                Err(sentence) => self.end(sentence),
            }
        }
        used
    }

    fn take_frame(&mut self, opcode: u8, payload: &[u8], at: Instant, outbox: &mut Outbox) {
        match opcode {
            websocket::BINARY | websocket::TEXT => self.client.message(payload, at, outbox),
            websocket::PING => outbox.push(websocket::PONG, payload),
            websocket::CLOSE => {
                let code = payload.first_chunk().map_or(1005, |code| u16::from_be_bytes(*code));
                let reason = String::from_utf8_lossy(payload.get(2..).unwrap_or_default());
                self.end(&format!("The server closed with {code} ({reason})."));
            }
            _ => {}
        }
    }

    /// The length of the handshake's answer, once it is all there and says yes.
    fn take_answer(&mut self, bytes: &[u8]) -> Option<usize> {
        let end = bytes.windows(HEAD_END.len()).position(|window| window == HEAD_END)?;
        // The accept key is not looked at: nobody is between us and a server we started.
        if bytes.starts_with(b"HTTP/1.1 101 ") {
            self.state = State::Open;
            return Some(end + HEAD_END.len());
        }
        let line = bytes.split(|byte| *byte == b'\r').next().unwrap_or_default();
        self.end(&format!("The server refused the upgrade: {}.", String::from_utf8_lossy(line)));
        None
    }

    /// Sends, after whatever waits.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        let written = if self.unsent.is_empty() { self.try_write(bytes) } else { 0 };
        self.unsent.extend_from_slice(&bytes[written..]);
    }

    /// Tries again what the kernel did not take.
    pub(crate) fn flush(&mut self) {
        if !self.unsent.is_empty() {
            let unsent = std::mem::take(&mut self.unsent);
            self.write(&unsent);
        }
    }

    fn try_write(&mut self, bytes: &[u8]) -> usize {
        let mut written = 0;
        while written < bytes.len() && !matches!(self.state, State::Ended(_)) {
            match self.stream.write(&bytes[written..]) {
                Ok(count) => written += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return written,
                Err(error) => self.end(&format!("The connection broke ({error}).")),
            }
        }
        bytes.len().min(written)
    }

    /// The first reason counts.
    fn end(&mut self, sentence: &str) {
        if !matches!(self.state, State::Ended(_)) {
            self.state = State::Ended(sentence.to_owned());
            // The server shall see it too; one that is gone needs not.
            let _ = self.stream.shutdown(Shutdown::Both);
        }
    }
}

/// The address connection `index` comes from: 127.1.0.0/16 in order.
fn source_of(index: usize) -> Ipv4Addr {
    let [high, low] = ((index / CONNECTIONS_PER_ADDRESS_MAX_COUNT) as u16 + 1).to_be_bytes();
    Ipv4Addr::new(127, 1, high, low)
}

/// The upgrade request. The key is the same every time: it only has to be 16 bytes.
pub(crate) fn request(server: SocketAddr, path: &str, headers: &[(String, String)]) -> String {
    let mut request = format!(
        "GET {path} HTTP/1.1\r\nhost: {server}\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    );
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str("\r\n");
    request
}
