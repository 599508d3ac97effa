//! The kinds of room that this machine can open: the one file that names their crates.
//!
//! Never: a connection, a thread; what is common to all kinds is in `session`.

use crate::{
    config::Config,
    room::{
        incarnation::{Start, StartThread},
        starter::Starter,
    },
    wall_clock::WallClock,
};
use anyhow::{anyhow, ensure};
use arena::{Room, RoomConfig};
use protocol::{limits::FRAME_INTERVAL_MAX_MS, room::Kind};
use session::Engine;
use std::{ops::RangeInclusive, sync::OnceLock};

/// Most members of a dogfight, whatever the catalogue says: a pilot's number has 16 bits, and none is used again at once.
const PLAYERS_MAX_COUNT: u32 = 4000;

/// The versions of a kind's part of the wire that its rooms here understand; the last is what they speak.
pub(crate) fn versions(kind: Kind) -> RangeInclusive<u32> {
    // Computed from declarations, and asked for with every hello.
    static ARENA: OnceLock<RangeInclusive<u32>> = OnceLock::new();
    match kind {
        Kind::Arena => ARENA.get_or_init(Room::versions).clone(),
    }
}

/// How rooms of a kind start.
///
/// # Errors
/// A sentence when what the kind is configured with is wrong.
pub(crate) fn start(kind: Kind, config: &Config, starter: &Starter) -> anyhow::Result<StartThread> {
    match kind {
        Kind::Arena => starter.of(arena(config)?),
    }
}

/// How a dogfight begins.
fn arena(config: &Config) -> anyhow::Result<impl Fn(Start<'_>) -> Room + Send + Sync + 'static> {
    let entry = &config.kinds[Kind::Arena];
    ensure!(
        entry.members <= PLAYERS_MAX_COUNT && u64::from(entry.idle_ms) == FRAME_INTERVAL_MAX_MS,
        "The catalogue's entry \"arena\" has members: {} and idle_ms: {}. A dogfight takes at most {PLAYERS_MAX_COUNT}, and \
        its clients count on a frame every {FRAME_INTERVAL_MAX_MS} ms.",
        entry.members,
        entry.idle_ms,
    );
    let usual = RoomConfig::new("", config.key.clone(), 0, 0, &config.tuning_ron)
        .map_err(|sentence| anyhow!("The tuning cannot be used: {sentence}"))?;
    let usual = RoomConfig {
        max_players: entry.members,
        max_readers: entry.readers,
        cadence_ticks: entry.beat_ticks,
        silence_max_ms: u64::from(entry.silence_s) * 1000,
        ..usual
    };
    Ok(move |start: Start<'_>| {
        let (name, epoch, clock) = (start.id.to_owned(), start.epoch, WallClock::default());
        let config = RoomConfig { name, epoch, seed: clock.now_ms(), begins_s: clock.now_s(), ..usual.clone() };
        let Some(saved) = start.saved else { return Room::new(config) };
        Room::restore(config.clone(), saved).unwrap_or_else(|error| {
            tracing::error!(room = start.id, "the room begins anew, since its save cannot be used: {error}");
            Room::new(config)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use catalogue::Catalogue;
    use protocol::token::Key;

    #[test]
    fn simulations_and_measurements_play_by_the_numbers_of_the_catalogue() {
        let key = Key::new("a secret of enough length").unwrap();
        let usual = RoomConfig::new("", key, 0, 0, include_str!("../../assets/tuning.ron")).unwrap();
        let entry = &Catalogue::built_in()[Kind::Arena];
        assert_eq!((entry.members, entry.readers), (usual.max_players, usual.max_readers));
        assert_eq!((entry.beat_ticks, entry.silence_s * 1000), (usual.cadence_ticks, usual.silence_max_ms as u32));
    }
}
