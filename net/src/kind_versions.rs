//! The versions of each kind's part of the wire that rooms of this machine understand.
//!
//! Path: whoever starts the server says them → the handshake compares a hello with them, and a refusal tells them.

use protocol::room::Kind;
use std::{collections::BTreeMap, ops::RangeInclusive, sync::Arc};

/// See the module; some are computed from declarations, so they are asked for once.
#[derive(Debug, Clone)]
pub(crate) struct KindVersions(Arc<BTreeMap<Kind, RangeInclusive<u32>>>);

impl KindVersions {
    /// Of these kinds; no others are understood.
    pub(crate) fn new(versions: impl IntoIterator<Item = (Kind, RangeInclusive<u32>)>) -> Self {
        Self(Arc::new(versions.into_iter().collect()))
    }

    /// Whether rooms of this kind understand that version.
    pub(crate) fn understand(&self, kind: Kind, version: u32) -> bool {
        self.0.get(&kind).is_some_and(|versions| versions.contains(&version))
    }

    /// The version that rooms of this kind speak; 0 where there are none.
    pub(crate) fn spoken(&self, kind: Kind) -> u32 {
        self.0.get(&kind).map_or(0, |versions| *versions.end())
    }
}
