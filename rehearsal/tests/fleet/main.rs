//! Tests of the whole fleet, as players and operators experience it: real processes behind the local Fly.

#![allow(clippy::unwrap_used, reason = "clippy's own exception covers test functions, not what they call")]

mod drain;
mod forgeries;
mod frozen;
mod joins;
mod loss;
mod lounge;
mod refusals;
mod roles;
mod sleep;
mod unknown_rooms;

use arena::Client;
use futures_util::{SinkExt, StreamExt};
use protocol::close::CloseReason;
use rehearsal::{Cluster, ClusterConfig, Pilot, Socket, connect};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

/// No wait of these tests is longer: machines boot, rooms are restored, and other tests use the same processors.
const WAIT_MAX: Duration = Duration::from_secs(40);
/// Whoever is refused is told so within this.
const CLOSE_MAX: Duration = Duration::from_secs(5);

async fn start_cluster(change: impl FnOnce(&mut ClusterConfig)) -> Cluster {
    let mut config = ClusterConfig::default();
    change(&mut config);
    Cluster::start(&config).await.unwrap()
}

/// A socket that says this hello and then not a word, and why it was closed, if it was.
async fn say_hello(
    cluster: &Cluster,
    path: &str,
    ticket: Option<String>,
    resume: Option<String>,
) -> (Socket, Option<CloseReason>) {
    let mut socket = connect(cluster, path).await.unwrap();
    let hello = Client::new().hello("Mallory", 0, ticket, resume);
    socket.send(Message::Binary(hello.into())).await.unwrap();
    let closed = async {
        while let Some(Ok(message)) = socket.next().await {
            if let Message::Close(frame) = message {
                return frame.and_then(|frame| CloseReason::from_code(frame.code.into()));
            }
        }
        None
    };
    let reason = timeout(CLOSE_MAX, closed).await.unwrap_or(None);
    (socket, reason)
}

fn newark() -> Value {
    json!({ "region": "ewr" })
}

/// So many players, who join at once.
async fn join_many(cluster: &Cluster, count: usize) -> Vec<Pilot> {
    let joins = (0..count).map(|number| async move {
        let name = format!("Pilot {number}");
        Pilot::join(cluster, &name, &newark()).await.unwrap()
    });
    futures_util::future::join_all(joins).await
}

/// Everybody flies for this long; nobody may lose the connection.
async fn fly(pilots: &mut [Pilot], time: Duration) {
    let flights = pilots.iter_mut().map(|pilot| pilot.fly(time));
    for ending in futures_util::future::join_all(flights).await {
        assert_eq!(ending.unwrap(), rehearsal::SocketState::Open);
    }
}
