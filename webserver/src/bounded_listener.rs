//! Accepting connections, never more than so many at once.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Pause when no connection can be accepted, which means that too many files are open. Policy: newcomers wait.
const ACCEPT_RETRY: Duration = Duration::from_millis(500);

/// A listener that has at most so many connections open. Policy: newcomers wait in the kernel's backlog until one has ended.
#[derive(Debug)]
pub struct BoundedListener {
    listener: TcpListener,
    permits: Arc<Semaphore>,
}

impl BoundedListener {
    /// Accepts from `listener`, at most `max_count` connections at once.
    pub fn new(listener: TcpListener, max_count: usize) -> Self {
        Self { listener, permits: Arc::new(Semaphore::new(max_count)) }
    }

    /// The next connection, and the permit that it holds for as long as it counts. Nothing is lost if this is dropped.
    pub async fn accept(&self) -> (TcpStream, SocketAddr, OwnedSemaphorePermit) {
        let permit = Arc::clone(&self.permits).acquire_owned().await.expect("it is never closed");
        loop {
            match self.listener.accept().await {
                Ok((stream, peer)) => return (stream, peer, permit),
                Err(error) => {
                    tracing::warn!(%error, "no connection can be accepted");
                    tokio::time::sleep(ACCEPT_RETRY).await;
                }
            }
        }
    }

    /// The listener itself, to close it.
    pub fn into_inner(self) -> TcpListener {
        self.listener
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::timeout;

    #[tokio::test]
    async fn a_newcomer_waits_until_a_connection_has_ended() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let bounded = BoundedListener::new(listener, 1);
        let (_first, _second) =
            (TcpStream::connect(address).await.unwrap(), TcpStream::connect(address).await.unwrap());
        let (_, _, permit) = bounded.accept().await;
        assert!(timeout(Duration::from_millis(50), bounded.accept()).await.is_err());
        drop(permit);
        let accepted = timeout(Duration::from_secs(10), bounded.accept()).await;
        assert!(accepted.is_ok(), "there is room again");
    }
}
