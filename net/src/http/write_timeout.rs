//! A write timeout for HTTP connections: the peer must take what it asked for.
//!
//! Invariant: what was asked and is not taken costs a place and memory for a bounded time: some of it must be taken
//! within [`TAKE_GRACE`], and all of it within that and a second more for every [`TAKE_MIN_BYTES_PER_S`] that were.
//! Why here: hyper has a deadline for what is read, and none for what is written.

use std::{
    io::{self, ErrorKind, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Instant, Sleep, sleep_until},
};

/// Time in which some of an answer must be taken. Policy: close the connection.
pub(crate) const TAKE_GRACE: Duration = Duration::from_millis(10_000);
/// Rate at which a long answer must be taken. Policy: the same.
const TAKE_MIN_BYTES_PER_S: u32 = 8 * 1024;

/// See the module.
#[derive(Debug)]
pub(crate) struct WriteTimeout {
    tcp: TcpStream,
    grace: Duration,
    writing: Option<Writing>,
    /// Rings when that takes too long; set when something has to wait.
    alarm: Option<Pin<Box<Sleep>>>,
}

/// What is being written.
#[derive(Debug)]
struct Writing {
    began: Instant,
    /// When some of it was taken last.
    last: Instant,
    taken_bytes: u64,
}

impl Writing {
    fn new(now: Instant) -> Self {
        Self { began: now, last: now, taken_bytes: 0 }
    }

    /// When it has taken too long, unless some more is taken before.
    fn due(&self, grace: Duration) -> Instant {
        let all = Duration::from_secs(self.taken_bytes / u64::from(TAKE_MIN_BYTES_PER_S));
        (self.began + all).min(self.last) + grace
    }
}

impl WriteTimeout {
    /// A connection that was accepted.
    pub(crate) fn new(tcp: TcpStream, grace: Duration) -> Self {
        Self { tcp, grace, writing: None, alarm: None }
    }

    /// The connection itself.
    pub(crate) fn into_tcp(self) -> TcpStream {
        self.tcp
    }

    /// Counts what was taken, or waits no longer than there is time.
    fn note(&mut self, written: Poll<io::Result<usize>>, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let now = Instant::now();
        let writing = self.writing.get_or_insert_with(|| Writing::new(now));
        if let Poll::Ready(result) = written {
            writing.last = now;
            writing.taken_bytes += *result.as_ref().unwrap_or(&0) as u64;
            self.alarm = None;
            return Poll::Ready(result);
        }
        let due = writing.due(self.grace);
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep_until(due)));
        ready!(alarm.as_mut().poll(context));
        Poll::Ready(Err(ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for WriteTimeout {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().tcp).poll_read(context, bytes)
    }
}

impl AsyncWrite for WriteTimeout {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.tcp).poll_write(context, bytes);
        this.note(written, context)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.tcp).poll_write_vectored(context, parts);
        this.note(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    /// hyper flushes when it has written all it had.
    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.writing = None;
        Pin::new(&mut this.tcp).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().tcp).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
        time::timeout,
    };

    const PATIENCE: Duration = Duration::from_secs(10);
    const GRACE: Duration = Duration::from_millis(300);
    /// More than any kernel keeps for a peer.
    const LONG_BYTES: usize = 16 * 1024 * 1024;

    async fn pair() -> (WriteTimeout, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let peer = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (WriteTimeout::new(listener.accept().await.unwrap().0, GRACE), peer)
    }

    #[tokio::test]
    async fn who_does_not_take_the_answer_is_given_up() {
        let (mut stream, _peer) = pair().await;
        let written = timeout(PATIENCE, stream.write_all(&vec![0; LONG_BYTES])).await.expect("it ends in time");
        assert_eq!(written.unwrap_err().kind(), ErrorKind::TimedOut);
    }

    #[test]
    fn a_sip_now_and_then_is_not_enough() {
        let start = Instant::now();
        let mut writing = Writing::new(start);
        assert_eq!(writing.due(GRACE), start + GRACE);
        // All of the time at a fiftieth of the rate.
        for second in 1..=100 {
            writing.last = start + Duration::from_secs(second);
            writing.taken_bytes += u64::from(TAKE_MIN_BYTES_PER_S) / 50;
        }
        assert_eq!(writing.due(GRACE), start + Duration::from_secs(1) + GRACE);
        // Much at once, and then nothing.
        writing.taken_bytes = u64::from(u32::MAX);
        assert_eq!(writing.due(GRACE), start + Duration::from_secs(100) + GRACE);
    }

    #[tokio::test]
    async fn who_takes_it_has_as_long_as_it_takes() {
        let (mut stream, mut peer) = pair().await;
        let read = async {
            let mut all = Vec::new();
            // Slower than the grace alone would allow.
            while all.len() < LONG_BYTES {
                tokio::time::sleep(Duration::from_millis(5)).await;
                let mut some = vec![0; 128 * 1024];
                let count = peer.read(&mut some).await.unwrap();
                all.extend_from_slice(&some[..count]);
            }
            all.len()
        };
        let write = async {
            stream.write_all(&vec![7; LONG_BYTES]).await.unwrap();
            stream.flush().await.unwrap();
        };
        let (length, ()) = timeout(PATIENCE * 2, async { tokio::join!(read, write) }).await.expect("all of it comes");
        assert_eq!(length, LONG_BYTES);
        assert!(stream.writing.is_none(), "the next answer has its own time");
    }
}
