//! What a machine is and what it can be told: identity, state, events, commands.
//!
//! Path: the supervisor moves a [`View`] from state to state with [`View::transition`]; everybody else reads it.
//! Invariants: states and events are spelled as in the Machines API; the history of both is bounded.
//! Never: starts, stops or asks anything: these are values.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use nix::sys::signal::Signal;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::oneshot;
use tokio::time::Instant;
use ulid::Ulid;

use crate::app::App;
use crate::spec::Spec;
use crate::unix_time::unix_time;

/// Events kept per machine, newest first. Policy: older ones are forgotten.
const EVENTS_MAX: usize = 50;
/// States kept for an edge that lags behind. Policy: the oldest is forgotten, so a picture can only get newer.
const PAST_MAX: usize = 32;

/// What never changes about a machine.
#[derive(Debug)]
pub(crate) struct Identity {
    /// 14 hex characters.
    pub(crate) id: String,
    /// A readable name, unique in its app.
    pub(crate) name: String,
    /// Code of its region.
    pub(crate) region: String,
    /// Its app.
    pub(crate) app: Arc<App>,
    /// What it runs.
    pub(crate) program: PathBuf,
    /// Its root disk: emptied on every start.
    pub(crate) root: PathBuf,
    pub(crate) created_at: SystemTime,
}

/// What changes about a machine.
#[derive(Debug, Clone)]
pub(crate) struct View {
    /// Where it is in its life.
    pub(crate) state: State,
    /// Version of its configuration (Fly's `instance_id`).
    pub(crate) version: String,
    pub(crate) spec: Arc<Spec>,
    /// The edge brings it nothing.
    pub(crate) is_cordoned: bool,
    /// Where its process listens or will listen, while it has one.
    pub(crate) address: Option<SocketAddr>,
    /// Its process, while it has one.
    pub(crate) pid: Option<u32>,
    /// Newest first, at most [`EVENTS_MAX`].
    pub(crate) events: VecDeque<Event>,
    /// When something last changed.
    pub(crate) updated_at: SystemTime,
    /// States with their beginnings, newest first.
    past: VecDeque<(Instant, State)>,
}

/// A machine's state, as the Machines API spells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    /// Never started yet.
    Created,
    /// About to run, or waiting to be restarted after a failure.
    Starting,
    /// Its process runs.
    Started,
    /// Asked to stop; still running.
    Stopping,
    /// Not running; can be started.
    Stopped,
    /// About to be frozen.
    Suspending,
    /// Frozen with its memory; a start goes on where it was.
    Suspended,
    /// Asked to stop in order to start again.
    Restarting,
    /// Between two versions.
    Replacing,
    /// It could not boot.
    Failed,
    /// Being destroyed.
    Destroying,
    /// Gone for good.
    Destroyed,
}

/// Something that happened to a machine.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Event {
    /// Unique and ordered by time.
    pub(crate) id: String,
    /// `launch`, `start`, `stop`, `exit`, `restart`, `suspend`, `update` or `destroy`.
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
    /// State it led to.
    pub(crate) status: State,
    /// `user` (the API or the proxy asked) or `flyd` (it happened).
    pub(crate) source: &'static str,
    /// Milliseconds since 1970.
    pub(crate) timestamp: u64,
    /// Details, for `exit`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) request: Option<Value>,
}

/// Why a machine refuses a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CommandError {
    /// A start is under way.
    StartUnderWay,
    /// It runs already, and the setting says to make an error of it.
    AlreadyStarted,
    /// No start leads out of this state.
    StartFrom(State),
    /// It reads `stopped` and is still being taken down.
    StillActive,
    /// A new version of it is on its way.
    Replacing,
    /// Its host has no room.
    HostFull,
    /// It would have to run for this.
    NotRunning,
    /// It runs, and nobody said to destroy it all the same.
    NotStopped,
    /// No suspension leads out of this state.
    SuspendFrom(State),
    /// It has too much memory, or a schedule.
    NotSuspendable,
    /// Something else changes it right now, or its version is not the one that was meant.
    Concurrent,
    /// fly-local ends.
    Ending,
}

/// A command to a machine's supervisor.
#[derive(Debug)]
pub(crate) enum Command {
    Start,
    /// Without arguments, as its configuration says.
    Stop {
        signal: Option<Signal>,
        grace: Option<Duration>,
    },
    Restart {
        signal: Option<Signal>,
        grace: Option<Duration>,
    },
    Suspend,
    Signal(Signal),
    /// `launch`: start the new version if the old one ran.
    Update {
        spec: Box<Spec>,
        expected_version: Option<String>,
        launch: bool,
    },
    Destroy {
        force: bool,
    },
    /// Stop, and never start again, so that nobody who reconnects wakes it while fly-local ends.
    End,
}

/// A command that waits, and where its answer goes: the state before it.
#[derive(Debug)]
pub(crate) struct PendingCommand {
    pub(crate) command: Command,
    pub(crate) reply: oneshot::Sender<Result<State, CommandError>>,
}

impl View {
    /// A machine that was created at `now` and begins in `state`.
    pub(crate) fn new(state: State, spec: Spec, now: SystemTime) -> Self {
        Self {
            state,
            version: Ulid::new().to_string(),
            spec: Arc::new(spec),
            is_cordoned: false,
            address: None,
            pid: None,
            events: VecDeque::from([Event::now("launch", State::Created, "user", None)]),
            updated_at: now,
            past: VecDeque::from([(Instant::now(), state)]),
        }
    }

    /// Moves to the event's state and notes why.
    pub(crate) fn transition(&mut self, event: Event) {
        self.state = event.status;
        self.updated_at = SystemTime::now();
        self.past.push_front((Instant::now(), self.state));
        self.past.truncate(PAST_MAX);
        self.events.push_front(event);
        self.events.truncate(EVENTS_MAX);
    }

    /// State at the time `then`; before its beginning (`None`), a machine is seen as it began.
    pub(crate) fn seen_at(&self, then: Option<Instant>) -> State {
        let was = |since: &Instant| then.is_some_and(|then| *since <= then);
        let seen = self.past.iter().find(|(since, _)| was(since)).or(self.past.back());
        seen.expect("a machine begins with a state").1
    }
}

impl Event {
    pub(crate) fn now(kind: &'static str, status: State, source: &'static str, request: Option<Value>) -> Self {
        Self { id: Ulid::new().to_string(), kind, status, source, timestamp: unix_time().as_millis() as u64, request }
    }
}

impl State {
    /// The API's spelling.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Starting => "starting",
            Self::Started => "started",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::Suspending => "suspending",
            Self::Suspended => "suspended",
            Self::Restarting => "restarting",
            Self::Replacing => "replacing",
            Self::Failed => "failed",
            Self::Destroying => "destroying",
            Self::Destroyed => "destroyed",
        }
    }

    /// Whether a machine stays in it by itself.
    pub(crate) fn is_settled(self) -> bool {
        matches!(self, Self::Created | Self::Started | Self::Stopped | Self::Suspended | Self::Failed | Self::Destroyed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lagging_edge_sees_what_was() {
        let spec = Spec::parse(serde_json::from_str(r#"{"image":"a"}"#).unwrap()).unwrap();
        let mut view = View::new(State::Stopped, spec, SystemTime::now());
        let began = view.past[0].0;
        view.transition(Event::now("start", State::Started, "flyd", None));
        let started = view.past[0].0;
        assert_eq!(view.seen_at(Some(started)), State::Started);
        assert_eq!(view.seen_at(Some(began)), State::Stopped);
        assert_eq!(view.seen_at(None), State::Stopped);
        for _ in 0..2 * PAST_MAX {
            view.transition(Event::now("start", State::Started, "flyd", None));
        }
        assert_eq!(view.past.len(), PAST_MAX);
    }
}
