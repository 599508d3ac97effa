//! Where a request below `/gameserver/` goes.
//!
//! Path: [`Address::parse`] reads the path, [`decide`] weighs what is known, `http` writes the answer.
//! Invariants: pure; a request that came back (`fly-replay-failed`) is never replayed again; a waking page reloads a
//! bounded number of times.
//! Never: a signature, a page, a socket.

use crate::book::{Condition, Snapshot};
use protocol::limits::PATH_NAME_MAX_BYTES;

/// Everything below it belongs to gameservers.
pub const PREFIX: &str = "/gameserver/";
/// Longest file name of a page's asset. Policy: 404.
const ASSET_NAME_MAX_BYTES: usize = 128;
/// Times a waking page reloads itself; with the proxy's own tries that is a good minute. Policy: it says so and stops.
pub const WAKING_TRIES_MAX_COUNT: u32 = 5;

/// A valid path of a gameserver: `/gameserver/<instance>/<room>` or `/gameserver/<instance>/assets/<file>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address<'a> {
    /// The machine's id.
    pub instance: &'a str,
}

/// What is known about a request for a gameserver.
#[derive(Debug, Clone, Copy)]
pub struct Facts {
    /// The proxy could not reach the machine and gave the request back.
    pub is_returned: bool,
    /// It asks for a WebSocket: nobody will see a page.
    pub is_upgrade: bool,
    /// How often the waking page has reloaded already.
    pub tries: u32,
    /// What the fleet says about the instance.
    pub knowledge: Knowledge,
}

/// What the fleet says about an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Knowledge {
    /// It exists.
    Known(Condition),
    /// There is a list, and it is not on it.
    Absent,
    /// There never was a list: the API has been refusing since we started.
    Unsure,
}

/// What to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Send it to the machine.
    Replay,
    /// A page that says the machine is waking, and tries again by itself.
    Waking,
    /// A page that says the machine does not answer.
    Silent,
    /// It was there a moment ago.
    Gone,
    /// No such machine.
    Unknown,
    /// 503 without a page, for a socket: the arena's page knows how to come back.
    TryAgain,
}

impl Decision {
    /// For metrics and logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Replay => "replay",
            Self::Waking => "waking",
            Self::Silent => "silent",
            Self::Gone => "gone",
            Self::Unknown => "unknown",
            Self::TryAgain => "try_again",
        }
    }
}

impl<'a> Address<'a> {
    /// Reads a raw path (without query); `None` for one that no gameserver has.
    pub fn parse(path: &'a str) -> Option<Self> {
        let mut parts = path.strip_prefix(PREFIX)?.split('/');
        let (instance, name, file) = (parts.next()?, parts.next()?, parts.next());
        let is_valid = match (name, file) {
            ("assets", Some(file)) => is_file_name(file),
            ("assets", None) => false,
            (room, None) => is_name(room),
            (_, Some(_)) => false,
        };
        (is_valid && is_name(instance) && parts.next().is_none()).then_some(Self { instance })
    }
}

/// Whether this can be the name of an instance or a room.
pub fn is_name(text: &str) -> bool {
    let is_name_byte = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=PATH_NAME_MAX_BYTES).contains(&text.len()) && text.bytes().all(is_name_byte)
}

fn is_file_name(text: &str) -> bool {
    let is_file_byte = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=ASSET_NAME_MAX_BYTES).contains(&text.len()) && !text.starts_with('.') && text.bytes().all(is_file_byte)
}

impl Knowledge {
    /// What `snapshot` says about `instance`.
    pub fn of(instance: &str, snapshot: &Snapshot) -> Self {
        match snapshot.servers.iter().find(|server| server.instance == instance) {
            Some(server) => Self::Known(server.condition),
            None if snapshot.is_known => Self::Absent,
            None => Self::Unsure,
        }
    }
}

/// The decision. When nothing is known the request is replayed: an invite link works while the API refuses, and the
/// proxy says soon enough if there is no such machine.
pub fn decide(facts: Facts) -> Decision {
    match (facts.is_returned, facts.knowledge) {
        (false, Knowledge::Absent) => Decision::Unknown,
        (false, Knowledge::Known(_) | Knowledge::Unsure) => Decision::Replay,
        (true, _) if facts.is_upgrade => Decision::TryAgain,
        (true, Knowledge::Absent) => Decision::Gone,
        (true, Knowledge::Unsure | Knowledge::Known(Condition::Unreachable)) => Decision::Silent,
        (true, Knowledge::Known(_)) if facts.tries >= WAKING_TRIES_MAX_COUNT => Decision::Silent,
        (true, Knowledge::Known(_)) => Decision::Waking,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_that_a_gameserver_has_are_steered() {
        let long = "a".repeat(65);
        for (path, instance) in [
            ("/gameserver/148e21ea7d3889/arena", Some("148e21ea7d3889")),
            ("/gameserver/m-1/status", Some("m-1")),
            ("/gameserver/m-1/assets/index-Bx_9.js", Some("m-1")),
            ("/gameserver/m-1", None),
            ("/gameserver/m-1/", None),
            ("/gameserver//arena", None),
            ("/gameserver/m-1/arena/", None),
            ("/gameserver/m-1/arena/more", None),
            ("/gameserver/m-1/assets", None),
            ("/gameserver/m-1/assets/", None),
            ("/gameserver/m-1/assets/..", None),
            ("/gameserver/m-1/assets/a/b.js", None),
            ("/gameserver/M1/arena", None),
            ("/gameserver/a;app=other/arena", None),
            ("/gameserver/m%2d1/arena", None),
            ("/elsewhere/m-1/arena", None),
            (&format!("/gameserver/{long}/arena"), None),
            (&format!("/gameserver/m/{long}"), None),
        ] {
            assert_eq!(Address::parse(path).map(|address| address.instance), instance, "{path}");
        }
    }

    #[test]
    fn every_case_has_its_decision() {
        use Condition::{Asleep, Ready, Unreachable};
        use Decision::{Gone, Replay, Silent, TryAgain, Unknown, Waking};
        use Knowledge::{Absent, Known, Unsure};
        // (returned, upgrade, tries, knowledge) → decision
        for (is_returned, is_upgrade, tries, knowledge, expected) in [
            (false, false, 0, Known(Ready), Replay),
            (false, true, 0, Known(Ready), Replay),
            (false, false, 0, Known(Asleep), Replay),
            (false, false, 0, Known(Unreachable), Replay),
            (false, false, 0, Unsure, Replay),
            (false, false, 0, Absent, Unknown),
            (false, true, 0, Absent, Unknown),
            (true, false, 0, Known(Asleep), Waking),
            (true, false, 4, Known(Ready), Waking),
            (true, false, 5, Known(Ready), Silent),
            (true, false, 0, Known(Unreachable), Silent),
            (true, false, 0, Unsure, Silent),
            (true, false, 0, Absent, Gone),
            (true, true, 0, Known(Ready), TryAgain),
            (true, true, 0, Absent, TryAgain),
        ] {
            let facts = Facts { is_returned, is_upgrade, tries, knowledge };
            assert_eq!(decide(facts), expected, "{facts:?}");
        }
    }
}
