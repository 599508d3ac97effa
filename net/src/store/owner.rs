//! The record of who owns a room, as it lies in the store.

use crate::wall_clock::WallClock;
use serde::{Deserialize, Serialize};

/// Who has a room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Owner {
    /// The machine.
    pub(crate) instance: String,
    /// Counts owners of this room.
    pub(crate) epoch: u32,
    /// Counts how often this owner has said so: no two records are alike.
    #[serde(default)]
    pub(crate) renewals: u32,
    /// When it last did, unix milliseconds of its own clock: for people, nothing is judged by it.
    #[serde(default)]
    pub(crate) renewed_unix_ms: u64,
    /// It has saved the room and let go of it.
    pub(crate) is_asleep: bool,
}

impl Owner {
    /// In a damaged record's place: gone, and later than all owners that counted from 1.
    pub(crate) fn unknown() -> Self {
        let epoch = (WallClock::default().now_ms() / 1000) as u32;
        Self { instance: String::new(), epoch, renewals: 0, renewed_unix_ms: 0, is_asleep: false }
    }

    /// Whether it is the same owner, at another moment.
    pub(crate) fn is_life_of(&self, other: &Self) -> bool {
        (&self.instance, self.epoch) == (&other.instance, other.epoch)
    }

    /// Whether it is another machine than this one that may still be there. A damaged record is nobody's.
    pub(crate) fn is_foreign(&self, instance: &str) -> bool {
        self.instance != instance && !self.is_asleep && !self.instance.is_empty()
    }
}
