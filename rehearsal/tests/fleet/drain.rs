//! A deploy, as players see it.

use super::{PATIENCE, crew, fly, open};
use protocol::close::CloseReason;
use rehearsal::{Ending, Pilot};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_under_fifty_players_loses_nobody() {
    let stage = open(|config| config.words.push("--rate-limits=off".into())).await;
    let mut pilots = crew(&stage, 50).await;
    fly(&mut pilots, Duration::from_secs(4)).await;
    let before: Vec<_> = pilots.iter().map(|pilot| (pilot.id(), pilot.score())).collect();
    let id = pilots[0].joined.instance.clone();
    let flights = futures_util::future::join_all(pilots.iter_mut().map(|pilot| pilot.fly(PATIENCE)));
    let (endings, stopped) = tokio::join!(flights, stage.act(&id, "stop"));
    stopped.unwrap();
    for ending in endings {
        assert_eq!(ending.unwrap(), Ending::Closed(CloseReason::ServerStopping));
    }
    let backs = futures_util::future::join_all(pilots.iter_mut().map(|pilot| pilot.come_back(&stage))).await;
    backs.into_iter().for_each(|back| _ = back.unwrap());
    fly(&mut pilots, Duration::from_secs(1)).await;
    assert!(pilots.iter().all(|pilot| pilot.was_resumed && pilot.mismatches() == 0));
    let ids: Vec<_> = pilots.iter().map(Pilot::id).collect();
    assert_eq!(ids, before.iter().map(|(id, _)| *id).collect::<Vec<_>>(), "same planes");
    for (pilot, (_, score)) in pilots.iter().zip(&before) {
        assert!(pilot.score() >= *score, "a score fell from {score} to {}", pilot.score());
    }
    assert!(before.iter().any(|(_, score)| *score > 0), "nobody scored, so that scores prove nothing");
    stage.close().await;
}
