//! What both ways into a room share: the grant that they give, and how they say that nothing answers.

use reqwest::Url;

/// Longest wait for an answer of lobby or gameserver. Policy: it is not reachable.
pub(crate) const REACHABLE_MAX_MS: u64 = 5_000;

/// Permission to join a room: good for one hello.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JoinGrant {
    /// Path of the room's WebSocket.
    pub(crate) path: String,
    /// For the hello.
    pub(crate) ticket: String,
}

/// What to say when nothing answers.
pub(crate) fn nothing_answers(base: &Url) -> String {
    let address = base.as_str().trim_end_matches('/');
    format!("Nothing answers at {address}; is `make run` running?")
}
