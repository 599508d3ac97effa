//! The fleet on stage: what players and operators live through, over real processes behind the local Fly.

#![allow(clippy::unwrap_used, reason = "clippy's own exception covers test functions, not what they call")]

mod drain;
mod forgeries;
mod frozen;
mod joins;
mod loss;
mod openings;
mod refusals;
mod sleep;

use rehearsal::{Pilot, Stage, StageConfig};
use serde_json::{Value, json};
use std::time::Duration;

/// No wait of these tests is longer: machines boot, rooms are restored, and other tests use the same processors.
const PATIENCE: Duration = Duration::from_secs(40);

async fn open(change: impl FnOnce(&mut StageConfig)) -> Stage {
    let mut config = StageConfig::default();
    change(&mut config);
    Stage::open(&config).await.unwrap()
}

fn newark() -> Value {
    json!({ "region": "ewr" })
}

/// So many players in the air, joined at once.
async fn crew(stage: &Stage, count: usize) -> Vec<Pilot> {
    let joins = (0..count).map(|number| async move {
        let name = format!("Pilot {number}");
        Pilot::join(stage, &name, &newark()).await.unwrap()
    });
    futures_util::future::join_all(joins).await
}

/// Everybody flies for this long; nobody may lose the line.
async fn fly(pilots: &mut [Pilot], time: Duration) {
    let flights = pilots.iter_mut().map(|pilot| pilot.fly(time));
    for ending in futures_util::future::join_all(flights).await {
        assert_eq!(ending.unwrap(), rehearsal::Ending::Open);
    }
}
