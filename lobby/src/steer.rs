//! Routes requests below `/gameserver/`: decides where each one goes.
//!
//! Path: [`GameserverPath::parse`] reads the path, [`decide`] weighs what is known, `gameserver_routes` does it and writes the answer.
//! Invariants: pure; a request that came back (`fly-replay-failed`) is never replayed again; whatever sends a page round
//! (waking, to another machine and back) is counted in its address and ends; only the page of a room is ever sent to
//! another machine; for whoever only looks on nothing is started.
//! Never: a signature, a page, a socket.

use crate::fleet_state::FleetSnapshot;
use crate::machine_view::Condition;
use protocol::room::{Kind, is_name};

/// Everything below it belongs to gameservers.
pub const PREFIX: &str = "/gameserver/";
/// Longest file name of a page's asset. Policy: 404.
const ASSET_NAME_MAX_BYTES: usize = 128;
/// Times a waking page reloads itself; with the proxy's own tries that is a good minute. Policy: it says so and stops.
pub const WAKING_TRIES_MAX_COUNT: u32 = 5;
/// Times a page is sent to another machine: with the pauses between, longer than the 30 s for which a lost machine still
/// counts as the owner of its rooms. Policy: it says so and stops.
pub const MOVING_TRIES_MAX_COUNT: u32 = 8;

/// A valid path of a gameserver: `/gameserver/<instance>/<room>` or `/gameserver/<instance>/assets/<file>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GameserverPath<'a> {
    /// The machine's id.
    pub instance: &'a str,
    /// The room, if it is one's address and not that of what lies beside the rooms.
    pub room: Option<&'a str>,
}

/// What is known about a request for a gameserver.
#[derive(Debug, Clone, Copy)]
pub struct Facts {
    /// The proxy could not reach the machine and returned the request.
    pub is_returned: bool,
    /// It asks for a WebSocket: nobody will see a page.
    pub is_upgrade: bool,
    /// It asks for a room.
    pub is_room: bool,
    /// How often the page has been sent round already.
    pub tries: u32,
    /// Another machine has just sent it back here.
    pub is_back: bool,
    /// It is for somebody who only looks on, for whom nothing is woken.
    pub is_watching: bool,
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
    /// There is none that could tell: the API refuses.
    Unsure,
}

/// What to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Send it to the machine.
    Replay,
    /// Start the machine ourselves: that shows whether it can be. Then the same page again, or another machine's.
    Wake,
    /// A page that says the machine is waking, and tries again by itself.
    Waking,
    /// Redirect to the same room on another machine.
    Elsewhere,
    /// A page that says the room is between two machines, and tries again by itself.
    Moving,
    /// A page that says the machine does not answer.
    Silent,
    /// It was there a moment ago.
    Gone,
    /// No such machine.
    Unknown,
    /// A page that says there is nobody to look at.
    Quiet,
    /// 503 without a page, for a socket: the room's page knows how to come back.
    TryAgain,
}

impl Decision {
    /// For metrics and logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Replay => "replay",
            Self::Wake => "wake",
            Self::Waking => "waking",
            Self::Elsewhere => "elsewhere",
            Self::Moving => "moving",
            Self::Silent => "silent",
            Self::Gone => "gone",
            Self::Unknown => "unknown",
            Self::Quiet => "quiet",
            Self::TryAgain => "try_again",
        }
    }
}

impl<'a> GameserverPath<'a> {
    /// Reads a raw path (without query); `None` for one that no gameserver has.
    pub fn parse(path: &'a str) -> Option<Self> {
        let mut parts = path.strip_prefix(PREFIX)?.split('/');
        let (instance, name, file) = (parts.next()?, parts.next()?, parts.next());
        let is_valid = match (name, file) {
            ("assets", Some(file)) => is_file_name(file),
            ("assets", None) => false,
            (name, None) => is_name(name),
            (_, Some(_)) => false,
        };
        let room = (file.is_none() && Kind::of(name).is_some()).then_some(name);
        (is_valid && is_name(instance) && parts.next().is_none()).then_some(Self { instance, room })
    }
}

fn is_file_name(text: &str) -> bool {
    let is_file_byte = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=ASSET_NAME_MAX_BYTES).contains(&text.len()) && !text.starts_with('.') && text.bytes().all(is_file_byte)
}

impl Knowledge {
    /// What `snapshot` says about `instance`.
    pub fn of(instance: &str, snapshot: &FleetSnapshot) -> Self {
        match snapshot.machines.iter().find(|machine| machine.instance == instance) {
            Some(machine) => Self::Known(machine.condition),
            None if snapshot.is_known && !snapshot.is_stale => Self::Absent,
            None => Self::Unsure,
        }
    }
}

/// The decision. What lies beside the rooms is replayed to a machine that does not answer too: that is how it is found to
/// answer again. When nothing is known the request is replayed: an invite link works while the API refuses, and the
/// proxy says soon enough if there is no such machine.
pub fn decide(facts: Facts) -> Decision {
    let is_up = !facts.is_returned && matches!(facts.knowledge, Knowledge::Known(Condition::Ready | Condition::Full));
    match (facts.is_returned, facts.knowledge) {
        _ if facts.is_watching && !is_up => {
            if facts.is_upgrade {
                Decision::TryAgain
            } else {
                Decision::Quiet
            }
        }
        // The proxy would connect, since the kernel does that for a frozen process too, and then wait without end.
        (false, Knowledge::Known(Condition::Unreachable)) if facts.is_upgrade => Decision::TryAgain,
        (false, Knowledge::Known(Condition::Unreachable)) if facts.is_room => decide_absent(facts),
        (false, Knowledge::Known(_) | Knowledge::Unsure) => Decision::Replay,
        (true, _) if facts.is_upgrade => Decision::TryAgain,
        (_, Knowledge::Absent) if facts.is_room && !facts.is_upgrade => decide_absent(facts),
        (false, Knowledge::Absent) => Decision::Unknown,
        (true, Knowledge::Absent) => Decision::Gone,
        (true, Knowledge::Unsure) => Decision::Silent,
        (true, Knowledge::Known(_)) if facts.tries >= WAKING_TRIES_MAX_COUNT => Decision::Silent,
        (true, Knowledge::Known(_)) if facts.is_room => Decision::Wake,
        (true, Knowledge::Known(Condition::Unreachable)) => Decision::Silent,
        (true, Knowledge::Known(_)) => Decision::Waking,
    }
}

/// The machine is gone or does not answer. Where the room goes, the owner of before may still be respected, and then the
/// page comes back here for a while.
fn decide_absent(facts: Facts) -> Decision {
    match facts {
        Facts { tries: MOVING_TRIES_MAX_COUNT.., .. } => Decision::Silent,
        Facts { is_back: true, .. } => Decision::Moving,
        Facts { is_back: false, .. } => Decision::Elsewhere,
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
            assert_eq!(GameserverPath::parse(path).map(|address| address.instance), instance, "{path}");
        }
    }

    #[test]
    fn rooms_are_told_from_what_lies_beside_them() {
        for (path, room) in [
            ("/gameserver/m-1/arena", Some("arena")),
            ("/gameserver/m-1/field-a2", Some("field-a2")),
            ("/gameserver/m-1/status", None),
            ("/gameserver/m-1/ping", None),
            ("/gameserver/m-1/assets/index-Bx_9.js", None),
        ] {
            assert_eq!(GameserverPath::parse(path).unwrap().room, room, "{path}");
        }
    }

    #[test]
    fn every_case_has_its_decision() {
        use Condition::{Asleep, Full, Ready, Unreachable, Waking as Booting};
        use Decision::{Elsewhere, Gone, Moving, Quiet, Replay, Silent, TryAgain, Unknown, Wake, Waking};
        use Knowledge::{Absent, Known, Unsure};
        let page = |is_returned, tries, knowledge| Facts {
            is_returned,
            is_upgrade: false,
            is_room: true,
            tries,
            is_back: false,
            is_watching: false,
            knowledge,
        };
        let socket = |is_returned, knowledge| Facts { is_upgrade: true, ..page(is_returned, 0, knowledge) };
        let beside = |is_returned, knowledge| Facts { is_room: false, ..page(is_returned, 0, knowledge) };
        let watch = |is_returned, knowledge| Facts { is_watching: true, ..page(is_returned, 0, knowledge) };
        let back = |is_returned, tries| Facts { is_back: true, ..page(is_returned, tries, Absent) };
        for (facts, expected) in [
            (page(false, 0, Known(Ready)), Replay),
            (page(false, 0, Known(Asleep)), Replay),
            (page(false, 0, Known(Unreachable)), Elsewhere),
            (Facts { is_back: true, ..page(false, 1, Known(Unreachable)) }, Moving),
            (Facts { is_back: true, ..page(false, 8, Known(Unreachable)) }, Silent),
            (page(false, 0, Unsure), Replay),
            (page(false, 0, Absent), Elsewhere),
            (page(true, 0, Absent), Elsewhere),
            (page(true, 0, Known(Asleep)), Wake),
            (page(true, 4, Known(Ready)), Wake),
            (page(true, 0, Known(Full)), Wake),
            (page(true, 0, Known(Unreachable)), Wake),
            (page(true, 5, Known(Ready)), Silent),
            (page(true, 0, Unsure), Silent),
            (page(false, 7, Absent), Elsewhere),
            (page(true, 8, Absent), Silent),
            (back(false, 1), Moving),
            (back(true, 7), Moving),
            (back(false, 8), Silent),
            (socket(false, Known(Ready)), Replay),
            (socket(false, Known(Unreachable)), TryAgain),
            (socket(false, Unsure), Replay),
            (socket(false, Absent), Unknown),
            (socket(true, Known(Ready)), TryAgain),
            (socket(true, Absent), TryAgain),
            (beside(false, Known(Asleep)), Replay),
            (beside(false, Known(Unreachable)), Replay),
            (beside(false, Absent), Unknown),
            (beside(true, Absent), Gone),
            (beside(true, Known(Asleep)), Waking),
            (beside(true, Known(Unreachable)), Silent),
            (watch(false, Known(Ready)), Replay),
            (watch(false, Known(Full)), Replay),
            (watch(false, Known(Asleep)), Quiet),
            (watch(false, Known(Booting)), Quiet),
            (watch(false, Absent), Quiet),
            (watch(false, Unsure), Quiet),
            (watch(true, Known(Ready)), Quiet),
            (Facts { is_upgrade: true, ..watch(false, Known(Asleep)) }, TryAgain),
            (Facts { is_room: false, ..watch(false, Known(Asleep)) }, Quiet),
        ] {
            assert_eq!(decide(facts), expected, "{facts:?}");
        }
    }

    #[test]
    fn a_stale_list_never_says_that_a_machine_is_gone() {
        let fresh = FleetSnapshot { is_known: true, ..FleetSnapshot::default() };
        assert_eq!(Knowledge::of("m", &fresh), Knowledge::Absent);
        assert_eq!(Knowledge::of("m", &FleetSnapshot { is_stale: true, ..fresh }), Knowledge::Unsure);
    }
}
