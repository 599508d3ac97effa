//! The TCP stream under a player's WebSocket: bounds what one turn reads, keeps what the kernel has not taken yet.
//!
//! Path: tungstenite reads from it and writes its answers to it; [`Stream::send`] and [`Stream::send_rest`] write the
//! rest.
//! Invariants: a visit ([`Stream::begin_visit`]) reads at most [`VISIT_MAX_BYTES`], whatever the peer sends, since
//! tungstenite would go on for as long as fragments come; what was left is told by [`Stream::has_more`], for epoll
//! tells edges and will not tell it again; no message is cut in two.

use bytes::{Buf, Bytes};
use mio::net::TcpStream;
use protocol::limits::{CLIENT_MESSAGE_MAX_BYTES, CLIENT_MESSAGE_WIRE_MAX_BYTES};
use std::io::{self, ErrorKind, Read, Write};

/// Bytes of one connection that are read before others have their turn: two of the longest messages. A frame takes six
/// of them at least, so this bounds frames and fragments too. Policy: the rest waits for the connection's next turn.
pub(crate) const VISIT_MAX_BYTES: usize = 2 * CLIENT_MESSAGE_MAX_BYTES;

/// See the module.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) tcp: TcpStream,
    /// What came right behind the upgrade; read before anything else.
    first: Bytes,
    /// Nothing is in the kernel: epoll will tell when something is.
    is_empty: bool,
    /// The peer has sent its last byte: the end is told only once, so it must be read.
    is_ending: bool,
    /// What this visit may still read.
    allowed_bytes: usize,
    /// Read since the last message was complete.
    unfinished_bytes: usize,
    /// Queued, and not taken by the kernel yet.
    unsent: Vec<u8>,
    /// WebSocket's own answers wait behind that.
    pub(crate) has_answers: bool,
}

impl Stream {
    /// A connection, and the bytes of it that were read already.
    pub(crate) fn new(tcp: TcpStream, first: Bytes) -> Self {
        Self {
            tcp,
            first,
            is_empty: false,
            is_ending: false,
            allowed_bytes: VISIT_MAX_BYTES,
            unfinished_bytes: 0,
            unsent: Vec::new(),
            has_answers: false,
        }
    }

    /// There is something to read again; `is_ending` tells that the end has come, too.
    pub(crate) fn wake(&mut self, is_ending: bool) {
        self.is_empty = false;
        self.is_ending |= is_ending;
    }

    /// It is this connection's turn.
    pub(crate) fn begin_visit(&mut self) {
        self.allowed_bytes = VISIT_MAX_BYTES;
    }

    /// Whether there may be something to read that epoll will not tell of.
    pub(crate) fn has_more(&self) -> bool {
        !self.is_empty || !self.first.is_empty()
    }

    /// What was read was a whole message.
    pub(crate) fn note_message(&mut self) {
        self.unfinished_bytes = 0;
    }

    /// Whether nothing waits for the kernel.
    pub(crate) fn is_all_sent(&self) -> bool {
        self.unsent.is_empty()
    }

    /// Where to put what is sent together with something else.
    pub(crate) fn unsent_mut(&mut self) -> &mut Vec<u8> {
        &mut self.unsent
    }

    /// Sends, behind whatever waits; what the kernel does not take waits.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let taken = if self.unsent.is_empty() { self.try_send(bytes)? } else { 0 };
        self.unsent.extend_from_slice(&bytes[taken..]);
        Ok(())
    }

    /// Sends what waits; false when the kernel does not take all of it.
    pub(crate) fn send_rest(&mut self) -> io::Result<bool> {
        if !self.unsent.is_empty() {
            let unsent = std::mem::take(&mut self.unsent);
            let taken = self.try_send(&unsent)?;
            self.unsent.extend_from_slice(&unsent[taken..]);
        }
        Ok(self.unsent.is_empty())
    }

    /// How many of the bytes the kernel took.
    fn try_send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut taken = 0;
        while taken < bytes.len() {
            match self.tcp.write(&bytes[taken..]) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => taken += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(taken)
    }

    /// Discards what this visit may read; false when the connection is gone.
    pub(crate) fn discard(&mut self) -> bool {
        let mut bytes = [0; VISIT_MAX_BYTES];
        loop {
            self.note_message();
            match self.read(&mut bytes) {
                Ok(0) => return false,
                Ok(_) => {}
                Err(error) => return error.kind() == ErrorKind::WouldBlock,
            }
        }
    }

    /// One read of the kernel. A read that fills the buffer may have left something, a shorter one has not: that saves
    /// asking a second time for every message.
    fn receive(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        if self.is_empty {
            return Err(ErrorKind::WouldBlock.into());
        }
        let result = self.tcp.read(bytes);
        self.is_empty = match &result {
            Ok(count) => !self.is_ending && (1..bytes.len()).contains(count),
            Err(error) => error.kind() == ErrorKind::WouldBlock,
        };
        result
    }
}

impl Read for Stream {
    /// `WouldBlock` also when this visit has read enough, `InvalidData` when a message takes too many bytes.
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        if self.unfinished_bytes >= CLIENT_MESSAGE_WIRE_MAX_BYTES {
            return Err(ErrorKind::InvalidData.into());
        }
        let most = bytes.len().min(self.allowed_bytes);
        if most == 0 {
            return Err(ErrorKind::WouldBlock.into());
        }
        let count = if self.first.is_empty() {
            self.receive(&mut bytes[..most])?
        } else {
            let count = most.min(self.first.len());
            self.first.copy_to_slice(&mut bytes[..count]);
            if self.first.is_empty() {
                // An empty slice would keep the request's buffer.
                self.first = Bytes::new();
            }
            count
        };
        self.allowed_bytes -= count;
        self.unfinished_bytes += count;
        Ok(count)
    }
}

/// What tungstenite writes: its answers.
impl Write for Stream {
    /// Takes all or nothing: nothing while something waits, so that no message is cut in two.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.unsent.is_empty() {
            self.has_answers = true;
            return Err(ErrorKind::WouldBlock.into());
        }
        self.send(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    /// A stream whose peer has sent this already.
    fn stream(first: &[u8], sent: &[u8]) -> (Stream, std::net::TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut peer = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        peer.write_all(sent).unwrap();
        let (tcp, _) = listener.accept().unwrap();
        tcp.set_nonblocking(true).unwrap();
        (Stream::new(TcpStream::from_std(tcp), Bytes::copy_from_slice(first)), peer)
    }

    /// Reads in small pieces until it is told to wait, or that it is too much; each piece is a message if `is_message`.
    fn read_all(stream: &mut Stream, is_message: bool) -> (Vec<u8>, ErrorKind) {
        let mut all = Vec::new();
        loop {
            let mut bytes = [0; 512];
            match stream.read(&mut bytes) {
                Ok(count) => all.extend_from_slice(&bytes[..count]),
                Err(error) => return (all, error.kind()),
            }
            if is_message {
                stream.note_message();
            }
        }
    }

    #[test]
    fn a_visit_reads_its_share_and_the_next_goes_on() {
        let sent: Vec<u8> = (0..3 * VISIT_MAX_BYTES + 100).map(|i| i as u8).collect();
        let (first, behind) = sent.split_at(VISIT_MAX_BYTES + 50);
        let (mut stream, _peer) = stream(first, behind);
        let mut all = Vec::new();
        for _ in 0..3 {
            stream.begin_visit();
            let (read, kind) = read_all(&mut stream, true);
            assert_eq!((read.len(), kind), (VISIT_MAX_BYTES, ErrorKind::WouldBlock));
            assert!(stream.has_more(), "which epoll will not tell again");
            all.extend(read);
        }
        stream.begin_visit();
        all.extend(read_all(&mut stream, true).0);
        assert!(all == sent, "nothing is lost, and nothing comes twice");
        assert!(!stream.has_more());
    }

    /// SPEC S1.5.
    #[test]
    fn bytes_without_a_message_are_counted_over_all_visits() {
        let sent = vec![0; 4 * CLIENT_MESSAGE_WIRE_MAX_BYTES];
        let (mut stream, _peer) = stream(&sent[..100], &sent);
        let (mut read, mut kind, mut visits) = (0, ErrorKind::WouldBlock, 0);
        while kind == ErrorKind::WouldBlock {
            assert!(visits < 10, "{read} bytes and no end");
            visits += 1;
            stream.begin_visit();
            let (some, ended) = read_all(&mut stream, false);
            (read, kind) = (read + some.len(), ended);
        }
        assert_eq!(kind, ErrorKind::InvalidData);
        assert!((CLIENT_MESSAGE_WIRE_MAX_BYTES..CLIENT_MESSAGE_WIRE_MAX_BYTES + 512).contains(&read), "{read}");
        stream.begin_visit();
        assert!(stream.discard() && stream.has_more(), "what is thrown away has its share as well");
    }

    #[test]
    fn an_end_is_read_though_the_bytes_before_it_were_few() {
        let (mut stream, peer) = stream(&[], b"last words");
        drop(peer);
        stream.wake(true);
        let mut bytes = [0; 512];
        assert_eq!(stream.read(&mut bytes).unwrap(), 10);
        assert!(stream.has_more());
        assert_eq!(stream.read(&mut bytes).unwrap(), 0);
    }
}
