//! Saving and restoring a chat room: its members, its talk, and the next number of somebody new.

use super::{Room, RoomConfig, State};
use protocol::Tick;
use serde::{Deserialize, Serialize};
use session::{
    Engine, Host, SavedLog, SavedMembers,
    save::{self, Unreadable},
};
use std::{error, fmt};

/// Everything that lasts. A field that is added, here or below, needs a default.
#[derive(Debug, Serialize, Deserialize)]
struct Saved {
    tick: Tick,
    next_author: u32,
    members: SavedMembers<SavedState>,
    log: SavedLog,
}

/// What lasts of all that the room keeps of a member: nothing yet.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct SavedState {}

/// Why some bytes are no room to take up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unfit {
    /// No save of a room of this kind, or a damaged one.
    Unreadable(Unreadable),
    /// What is in it does not fit together.
    Inconsistent,
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(error) => error.fmt(f),
            Self::Inconsistent => f.write_str("who is in it does not fit together"),
        }
    }
}

impl error::Error for Unfit {}

impl Room {
    /// Everything that lasts, between two ticks.
    pub fn save(&self) -> Vec<u8> {
        let (members, log) = self.host.save(|_| SavedState {});
        save::seal(Self::KIND, self.tick, &Saved { tick: self.tick, next_author: self.next_author, members, log })
    }

    /// Restores a room under a new epoch.
    ///
    /// # Errors
    /// [`Unfit`].
    pub fn restore(config: RoomConfig, bytes: &[u8]) -> Result<Self, Unfit> {
        let saved: Saved = save::open(Self::KIND, bytes).map_err(Unfit::Unreadable)?;
        let Saved { tick, next_author, members, log } = saved;
        let are_numbered = members.authors().all(|author| (1..next_author).contains(&author));
        if !are_numbered || !members.is_sound(&log, std::iter::empty()) {
            return Err(Unfit::Inconsistent);
        }
        let host = Host::restore(config.host(), members, log, tick, |_| State::default());
        Ok(Self { tick, next_author, ..Self::around(host, config) })
    }
}
