//! The least possible server, for comparison: sends the same bytes at the same rate and receives the same inputs.
//!
//! One thread, one epoll: at 60 Hz it writes to every connection, in between it reads what came and counts it.
//! There is no handshake and no WebSocket: what it writes happens to be a WebSocket frame, so that the load is the same.

use crate::{fixed_engine, load::websocket};
use anyhow::Context;
use mio::{Events, Interest, Poll, Token, net::TcpListener, net::TcpStream};
use socket2::SockRef;
use std::{
    io::{ErrorKind, Read, Write},
    net::SocketAddr,
    time::{Duration, Instant},
};

const LISTENER: Token = Token(usize::MAX);
/// As large as the events of all clients at once.
const EVENTS_MAX_COUNT: usize = 1024;
const READ_BUFFER_BYTES: usize = 4096;
/// As the gameserver's.
const SEND_BUFFER_BYTES: usize = 16 * 1024;

struct RawServer {
    listener: TcpListener,
    poll: Poll,
    /// `None` once it ended.
    clients: Vec<Option<TcpStream>>,
    buffer: Vec<u8>,
    bytes_read: u64,
}

/// Serves frames of `length` bytes for good.
///
/// # Errors
/// When there is no port or no epoll.
pub(crate) fn serve(length: usize, say_address: fn(SocketAddr)) -> anyhow::Result<()> {
    let mut listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).context("no port is free")?;
    let poll = Poll::new().context("no epoll")?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    say_address(listener.local_addr()?);
    let mut server =
        RawServer { listener, poll, clients: Vec::new(), buffer: vec![0; READ_BUFFER_BYTES], bytes_read: 0 };
    let mut events = Events::with_capacity(EVENTS_MAX_COUNT);
    let interval = Duration::from_secs(1) / arena::TICK_HZ;
    let mut due = Instant::now();
    let mut tick = 0;
    loop {
        let now = Instant::now();
        if now >= due {
            tick += 1;
            // Ticks that were missed are dropped, as the gameserver does.
            due = (due + interval).max(now);
            server.tick(tick, length);
        }
        server.poll.poll(&mut events, Some(due.saturating_duration_since(Instant::now())))?;
        for event in &events {
            match event.token() {
                LISTENER => server.accept()?,
                Token(index) => server.read(index),
            }
        }
    }
}

impl RawServer {
    fn tick(&mut self, tick: u32, length: usize) {
        let mut frame = Vec::with_capacity(length + 10);
        let inputs = self.bytes_read / fixed_engine::INPUT_WIRE_BYTES;
        websocket::push_unmasked(&mut frame, websocket::BINARY, &fixed_engine::frame(length, tick, inputs));
        for client in &mut self.clients {
            let written = client.as_mut().map(|stream| stream.write(&frame));
            match written {
                None => {}
                Some(Ok(written)) if written == frame.len() => {}
                // It does not take a frame: it misses this one.
                Some(Err(error)) if error.kind() == ErrorKind::WouldBlock => {}
                // The rest of a frame would have to be kept; that does not happen with clients that read.
                Some(_) => *client = None,
            }
        }
    }

    fn accept(&mut self) -> anyhow::Result<()> {
        loop {
            let mut stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error).context("no more connections"),
            };
            stream.set_nodelay(true)?;
            SockRef::from(&stream).set_send_buffer_size(SEND_BUFFER_BYTES)?;
            self.poll.registry().register(&mut stream, Token(self.clients.len()), Interest::READABLE)?;
            self.clients.push(Some(stream));
        }
    }

    fn read(&mut self, index: usize) {
        let Some(stream) = &mut self.clients[index] else { return };
        loop {
            match stream.read(&mut self.buffer) {
                // A short read has emptied the socket: the next byte is a new edge.
                Ok(read) if (1..self.buffer.len()).contains(&read) => return self.bytes_read += read as u64,
                Ok(0) => break,
                Ok(read) => self.bytes_read += read as u64,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => break,
            }
        }
        self.clients[index] = None;
    }
}
