//! Tests of the whole fleet, as players and operators experience it: real processes behind the local Fly.

#![allow(clippy::unwrap_used, reason = "clippy's own exception covers test functions, not what they call")]

mod drain;
mod forgeries;
mod frozen;
mod joins;
mod loss;
mod refusals;
mod sleep;
mod unknown_rooms;

use rehearsal::{Cluster, ClusterConfig, Pilot};
use serde_json::{Value, json};
use std::time::Duration;

/// No wait of these tests is longer: machines boot, rooms are restored, and other tests use the same processors.
const WAIT_MAX: Duration = Duration::from_secs(40);

async fn start_cluster(change: impl FnOnce(&mut ClusterConfig)) -> Cluster {
    let mut config = ClusterConfig::default();
    change(&mut config);
    Cluster::start(&config).await.unwrap()
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
