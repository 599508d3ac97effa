//! The kinds of room that this machine can open: the one file that names their crates.
//!
//! Never: a connection, a thread; what is common to all kinds is in `session`.

use crate::{
    config::Config,
    kind_versions::KindVersions,
    room::{
        incarnation::{Start, StartThread},
        starter::Starter,
    },
    wall_clock::WallClock,
};
use anyhow::{anyhow, ensure};
use protocol::{limits::FRAME_INTERVAL_MAX_MS, room::Kind};
use session::Engine;
use std::ops::RangeInclusive;

/// Most members of a dogfight, whatever the catalogue says: a pilot's number has 16 bits, and none is used again at once.
const PLAYERS_MAX_COUNT: u32 = 4000;

/// What a kind of room is to this machine.
struct Registration {
    /// The versions of the kind's part of the wire that its rooms understand; the last is what they speak.
    versions: fn() -> RangeInclusive<u32>,
    /// How its rooms start; a sentence when what the kind is configured with is wrong.
    start: fn(&Config, &Starter) -> anyhow::Result<StartThread>,
}

fn registration(kind: Kind) -> Registration {
    match kind {
        Kind::Arena => {
            Registration { versions: arena::Room::versions, start: |config, starter| starter.of(arena(config)?) }
        }
        Kind::Lounge => {
            Registration { versions: lounge::Room::versions, start: |config, starter| starter.of(lounge(config)) }
        }
    }
}

/// The versions of every kind's part of the wire that its rooms here understand.
pub(crate) fn versions() -> KindVersions {
    KindVersions::new(Kind::ALL.into_iter().map(|kind| (kind, (registration(kind).versions)())))
}

/// How rooms of a kind start.
///
/// # Errors
/// A sentence when what the kind is configured with is wrong.
pub(crate) fn start(kind: Kind, config: &Config, starter: &Starter) -> anyhow::Result<StartThread> {
    (registration(kind).start)(config, starter)
}

/// How a dogfight begins.
fn arena(config: &Config) -> anyhow::Result<impl Fn(Start<'_>) -> anyhow::Result<arena::Room> + Send + Sync + 'static> {
    let entry = &config.kinds[Kind::Arena];
    ensure!(
        entry.members <= PLAYERS_MAX_COUNT && u64::from(entry.idle_ms) == FRAME_INTERVAL_MAX_MS,
        "The catalogue's entry \"arena\" has members: {} and idle_ms: {}. A dogfight takes at most {PLAYERS_MAX_COUNT}, and \
        its clients count on a frame every {FRAME_INTERVAL_MAX_MS} ms.",
        entry.members,
        entry.idle_ms,
    );
    let usual = arena::RoomConfig::new("", config.key.clone(), 0, 0, &config.tuning_ron)
        .map_err(|sentence| anyhow!("The tuning cannot be used: {sentence}"))?;
    let usual = arena::RoomConfig {
        max_players: entry.members,
        max_readers: entry.readers,
        cadence_ticks: entry.beat_ticks,
        silence_max_ms: u64::from(entry.silence_s) * 1000,
        ..usual
    };
    Ok(move |start: Start<'_>| {
        let (name, epoch, clock) = (start.id.to_owned(), start.epoch, WallClock::default());
        let config = arena::RoomConfig { name, epoch, seed: clock.now_ms(), begins_s: clock.now_s(), ..usual.clone() };
        match start.saved {
            None => Ok(arena::Room::new(config)),
            Some(saved) => Ok(arena::Room::restore(config, saved)?),
        }
    })
}

/// How a chat room begins.
fn lounge(config: &Config) -> impl Fn(Start<'_>) -> anyhow::Result<lounge::Room> + Send + Sync + 'static {
    let entry = config.kinds[Kind::Lounge].clone();
    let key = config.key.clone();
    move |start: Start<'_>| {
        let config = lounge::RoomConfig {
            name: start.id.to_owned(),
            key: key.clone(),
            epoch: start.epoch,
            max_members: entry.members,
            max_readers: entry.readers,
            beat_ticks: entry.beat_ticks,
            idle_ms: entry.idle_ms,
            silence_max_ms: u64::from(entry.silence_s) * 1000,
            begins_s: WallClock::default().now_s(),
        };
        match start.saved {
            None => Ok(lounge::Room::new(config)),
            Some(saved) => Ok(lounge::Room::restore(config, saved)?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use catalogue::Catalogue;
    use protocol::token::Key;

    #[test]
    fn simulations_and_measurements_play_by_the_numbers_of_the_catalogue() {
        let key = Key::new("a secret of enough length").unwrap();
        let usual = arena::RoomConfig::new("", key, 0, 0, include_str!("../../assets/tuning.ron")).unwrap();
        let entry = &Catalogue::built_in()[Kind::Arena];
        assert_eq!((entry.members, entry.readers), (usual.max_players, usual.max_readers));
        assert_eq!((entry.beat_ticks, entry.silence_s * 1000), (usual.cadence_ticks, usual.silence_max_ms as u32));
    }
}
