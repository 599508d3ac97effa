//! Adds latency to a connection: every byte arrives as late as the distance to the machine's region asks.
//!
//! Path: [`add_latency`] wraps a connected stream; each direction reads what is there, stamps it with the time it is due
//! at the far end, and hands it over then. The delay is asked for anew for every piece, so it can change on the way.
//! Invariants: bytes keep their order and are never dropped; many chunks are under way at once, so distance costs time
//! and not throughput; what is under way is bounded, and then the sender waits as on any full wire.
//! Never: knows HTTP. The connection itself opens without delay, as Fly's backhaul keeps its own connections open.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Longest piece that travels as one.
const CHUNK_MAX_BYTES: usize = 16 * 1024;
/// Pieces under way in one direction; when they are used up the sender waits.
const UNDER_WAY_MAX_CHUNKS: usize = 256;
/// What the near end may leave unread before the wire backs up.
const NEAR_BUFFER_BYTES: usize = 64 * 1024;
/// After the near end has closed, how long the far end may go on before the wire is cut.
const CLOSE_TIMEOUT_MS: u64 = 5_000;

/// Returns a stream to `far` on which every byte takes `one_way()` in each direction.
pub(crate) fn add_latency<S, F>(far: S, one_way: F) -> DuplexStream
where
    S: AsyncRead + AsyncWrite + Send + 'static,
    F: Fn() -> Duration + Clone + Send + 'static,
{
    let (near, inner) = tokio::io::duplex(NEAR_BUFFER_BYTES);
    let (near_read, near_write) = tokio::io::split(inner);
    let (far_read, far_write) = tokio::io::split(far);
    tokio::spawn(async move {
        let mut back = std::pin::pin!(carry(far_read, near_write, one_way.clone()));
        let forth = std::pin::pin!(carry(near_read, far_write, one_way));
        let back_first = tokio::select! {
            () = &mut back => true,
            () = forth => false,
        };
        // A far end that has closed takes nothing more; one that was closed on may still be finishing its answer.
        if !back_first {
            let _ = tokio::time::timeout(Duration::from_millis(CLOSE_TIMEOUT_MS), back).await;
        }
    });
    near
}

/// Carries one direction until either side ends, then closes the writing side.
async fn carry(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, one_way: impl Fn() -> Duration) {
    let (sender, mut receiver) = mpsc::channel::<(Instant, Bytes)>(UNDER_WAY_MAX_CHUNKS);
    let entering = async move {
        let mut buffer = BytesMut::new();
        loop {
            buffer.reserve(CHUNK_MAX_BYTES);
            match from.read_buf(&mut buffer).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
            if sender.send((Instant::now() + one_way(), buffer.split().freeze())).await.is_err() {
                return;
            }
        }
    };
    let leaving = async move {
        while let Some((due, chunk)) = receiver.recv().await {
            tokio::time::sleep_until(due).await;
            if to.write_all(&chunk).await.is_err() {
                return;
            }
        }
        let _ = to.shutdown().await;
    };
    // `leaving` ends after the last chunk that `entering` took in, or as soon as nobody takes them any more.
    tokio::pin!(entering, leaving);
    tokio::select! {
        () = &mut leaving => {}
        () = &mut entering => leaving.await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAY: Duration = Duration::from_millis(50);

    #[tokio::test]
    async fn every_byte_arrives_in_order_and_late() {
        let (far, mut machine) = tokio::io::duplex(1024);
        let mut near = add_latency(far, || WAY);
        let start = Instant::now();
        near.write_all(b"one ").await.unwrap();
        near.write_all(b"two").await.unwrap();
        let mut heard = [0; 7];
        machine.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"one two");
        assert!(start.elapsed() >= WAY);
        machine.write_all(b"three").await.unwrap();
        near.read_exact(&mut heard[..5]).await.unwrap();
        assert_eq!(&heard[..5], b"three");
        assert!(start.elapsed() >= 2 * WAY);
    }

    #[tokio::test]
    async fn distance_costs_no_throughput() {
        const SENT: usize = 4 * 1024 * 1024;
        let (far, mut machine) = tokio::io::duplex(64 * 1024);
        let mut near = add_latency(far, || WAY);
        let start = Instant::now();
        let writer = tokio::spawn(async move {
            near.write_all(&vec![7; SENT]).await.unwrap();
            near.shutdown().await.unwrap();
            near
        });
        let mut heard = Vec::new();
        machine.read_to_end(&mut heard).await.unwrap();
        drop(writer.await.unwrap());
        assert_eq!(heard.len(), SENT);
        assert!(start.elapsed() < 20 * WAY, "{:?}", start.elapsed());
    }

    #[tokio::test]
    async fn a_wire_can_become_longer_and_keeps_its_order() {
        let (far, mut machine) = tokio::io::duplex(1024);
        let way_ms = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(50));
        let now = std::sync::Arc::clone(&way_ms);
        let mut near = add_latency(far, move || Duration::from_millis(now.load(std::sync::atomic::Ordering::Relaxed)));
        near.write_all(b"slow").await.unwrap();
        tokio::time::sleep(Duration::from_millis(10)).await;
        way_ms.store(0, std::sync::atomic::Ordering::Relaxed);
        near.write_all(b"fast").await.unwrap();
        let mut heard = [0; 8];
        machine.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"slowfast");
    }

    #[tokio::test]
    async fn closing_travels_too() {
        let (far, machine) = tokio::io::duplex(1024);
        let mut near = add_latency(far, || WAY);
        let start = Instant::now();
        drop(machine);
        assert_eq!(near.read(&mut [0; 8]).await.unwrap(), 0);
        assert!(start.elapsed() < 10 * WAY);
    }
}
