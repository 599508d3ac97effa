//! A deploy, as players see it.

use super::{WAIT_MAX, fly, join_many, start_cluster};
use protocol::close::CloseReason;
use rehearsal::{Pilot, SocketState};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_under_fifty_players_loses_nobody() {
    let cluster = start_cluster(|config| config.words.push("--rate-limits=off".into())).await;
    let mut pilots = join_many(&cluster, 50).await;
    fly(&mut pilots, Duration::from_secs(4)).await;
    let before: Vec<_> = pilots.iter().map(|pilot| (pilot.id(), pilot.score())).collect();
    let id = pilots[0].grant.instance.clone();
    let flights = futures_util::future::join_all(pilots.iter_mut().map(|pilot| pilot.fly(WAIT_MAX)));
    let (endings, stopped) = tokio::join!(flights, cluster.act_on(&id, "stop"));
    stopped.unwrap();
    for ending in endings {
        assert_eq!(ending.unwrap(), SocketState::Closed(CloseReason::ServerStopping));
    }
    let backs = futures_util::future::join_all(pilots.iter_mut().map(|pilot| pilot.rejoin(&cluster))).await;
    backs.into_iter().for_each(|back| _ = back.unwrap());
    fly(&mut pilots, Duration::from_secs(1)).await;
    assert!(pilots.iter().all(|pilot| pilot.was_resumed && pilot.mismatches() == 0));
    let ids: Vec<_> = pilots.iter().map(Pilot::id).collect();
    assert_eq!(ids, before.iter().map(|(id, _)| *id).collect::<Vec<_>>(), "same planes");
    for (pilot, (_, score)) in pilots.iter().zip(&before) {
        assert!(pilot.score() >= *score, "a score fell from {score} to {}", pilot.score());
    }
    assert!(before.iter().any(|(_, score)| *score > 0), "nobody scored, so that scores prove nothing");
    cluster.shutdown().await;
}
