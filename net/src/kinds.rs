//! The kinds of room that this machine can open: the one file that names their crates.
//!
//! Never: a connection, a thread; what is common to all kinds is in `session`.

use crate::{room::incarnation::Start, wall_clock::WallClock};
use arena::{Room, RoomConfig};
use protocol::{room::Kind, token::Key};
use session::Engine;
use std::{ops::RangeInclusive, sync::OnceLock};

pub(crate) use arena::CADENCE_TICKS;

/// What everybody in the room is told when the store does not take it.
pub(crate) const UNWRITABLE: &str = "This field cannot be saved at the moment. We keep trying, and you can fly on; if its server \
    stopped meanwhile, the latest points would be lost.";
/// And when it does again.
pub(crate) const WRITABLE: &str = "This field is saved again.";

/// The versions of a kind's part of the wire that its rooms here understand; the last is what they speak.
pub(crate) fn versions(kind: Kind) -> RangeInclusive<u32> {
    // Computed from declarations, and asked for with every hello.
    static ARENA: OnceLock<RangeInclusive<u32>> = OnceLock::new();
    match kind {
        Kind::Arena => ARENA.get_or_init(Room::versions).clone(),
    }
}

/// How rooms of the dogfight begin; `tuning_ron` is the text of its rules.
///
/// # Errors
/// A sentence when the tuning is wrong.
pub(crate) fn arena(
    key: Key,
    tuning_ron: &str,
    max_players: u16,
    cadence_ticks: u32,
) -> anyhow::Result<impl Fn(Start<'_>) -> Room + Send + Sync + 'static> {
    let usual = RoomConfig::new("", key, 0, 0, tuning_ron)
        .map_err(|sentence| anyhow::anyhow!("The tuning cannot be used: {sentence}"))?;
    let usual = RoomConfig { max_players: max_players.into(), cadence_ticks, ..usual };
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
