//! A machine: the handle that the API and the proxy hold.
//!
//! Path: [`Machine::launch`] starts a supervisor (see `supervisor.rs`) that owns the process; this handle sends it
//! commands and watches its [`View`].
//! Invariants: only the supervisor changes a view, so every command sees one definite state. `started` means that the
//! process runs, not that it listens, as on Fly.
//! Never: touches a process.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::sys::signal::Signal;
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::sync::{mpsc, oneshot, watch};
use ulid::Ulid;

use crate::app::App;
use crate::supervisor::Supervisor;

/// Commands a supervisor may have waiting; more senders wait.
const COMMANDS_MAX: usize = 16;
/// Events kept per machine, newest first; older ones are forgotten.
const EVENTS_MAX: usize = 20;

/// The handle of one machine.
#[derive(Debug)]
pub(crate) struct Machine {
    /// Who it is.
    pub(crate) identity: Arc<Identity>,
    view: watch::Receiver<View>,
    commands: mpsc::Sender<Command>,
}

/// What never changes about a machine.
#[derive(Debug)]
pub(crate) struct Identity {
    /// 14 hex characters, the same on every run so that links survive a restart.
    pub(crate) id: String,
    /// A readable name.
    pub(crate) name: String,
    /// Code of its region.
    pub(crate) region: String,
    /// Its app.
    pub(crate) app: Arc<App>,
    /// Version of its configuration (Fly's `instance_id`).
    pub(crate) version: String,
    /// When this run of fly-local created it.
    pub(crate) created_at: SystemTime,
}

/// What changes about a machine.
#[derive(Debug, Clone)]
pub(crate) struct View {
    /// Where it is in its life.
    pub(crate) state: State,
    /// Where its process listens or will listen, while it is started.
    pub(crate) address: Option<SocketAddr>,
    /// Newest first, at most [`EVENTS_MAX`].
    pub(crate) events: VecDeque<Event>,
    /// When `state` last changed.
    pub(crate) updated_at: SystemTime,
}

/// A machine's state, as the Machines API spells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    /// Never started yet.
    Created,
    /// Not running; can be started.
    Stopped,
    /// About to run, or waiting to be restarted after a failure.
    Starting,
    /// Its process runs.
    Started,
    /// Asked to stop; still running.
    Stopping,
}

/// Something that happened to a machine.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Event {
    /// Unique and ordered by time.
    pub(crate) id: String,
    /// `launch`, `start`, `stop`, `exit` or `restart`.
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

/// Why a machine cannot be started now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StartRefused {
    /// A start is under way.
    InProgress,
    /// It is in a state that no start leads out of.
    From(State),
    /// The program could not be run.
    Failed(String),
}

#[derive(Debug)]
pub(crate) enum Command {
    Start {
        reply: oneshot::Sender<Result<State, StartRefused>>,
    },
    /// `for_good`: it can never be started again, so that nobody who reconnects wakes it while fly-local ends.
    Stop {
        signal: Option<Signal>,
        timeout: Option<Duration>,
        for_good: bool,
        reply: oneshot::Sender<()>,
    },
}

impl Machine {
    /// Creates the machine number `index` of its app and region, in `state`, and its supervisor.
    pub(crate) fn launch(app: Arc<App>, region: &str, index: u32, state: State) -> Self {
        let identity = Arc::new(Identity {
            id: stable_id(&app.name, region, index),
            name: format!("{}-{region}-{index}", app.name),
            region: region.to_owned(),
            app,
            version: Ulid::new().to_string(),
            created_at: SystemTime::now(),
        });
        let (commands, inbox) = mpsc::channel(COMMANDS_MAX);
        let (writer, view) = watch::channel(View {
            state,
            address: None,
            events: VecDeque::from([Event::now("launch", State::Created, "user", None)]),
            updated_at: identity.created_at,
        });
        tokio::spawn(Supervisor::new(Arc::clone(&identity), inbox, writer).run());
        Self { identity, view, commands }
    }

    /// The machine as it is now.
    pub(crate) fn view(&self) -> View {
        self.view.borrow().clone()
    }

    /// Its state now.
    pub(crate) fn state(&self) -> State {
        self.view.borrow().state
    }

    /// Starts it if it does not run. Returns the state it was in; a machine that already runs is no error.
    pub(crate) async fn start(&self) -> Result<State, StartRefused> {
        let (reply, answer) = oneshot::channel();
        let gone = |_| StartRefused::Failed("fly-local is ending".into());
        self.commands.send(Command::Start { reply }).await.map_err(|_| gone(()))?;
        answer.await.map_err(|_| gone(()))?
    }

    /// Asks it to stop and returns at once; without arguments, as its app says.
    pub(crate) async fn stop(&self, signal: Option<Signal>, timeout: Option<Duration>) {
        let (reply, answer) = oneshot::channel();
        if self.commands.send(Command::Stop { signal, timeout, for_good: false, reply }).await.is_ok() {
            // No answer means that it is gone already, which is what was asked for.
            let _ = answer.await;
        }
    }

    /// Stops it as its app says, waits until it has ended, and never lets it start again.
    pub(crate) async fn end(&self) {
        let (reply, _) = oneshot::channel();
        let _ = self.commands.send(Command::Stop { signal: None, timeout: None, for_good: true, reply }).await;
        self.commands.closed().await;
    }

    /// Waits until the machine is in a state that `accept` likes, and returns it. Ends early if fly-local ends.
    pub(crate) async fn wait(&self, accept: impl Fn(State) -> bool) -> View {
        let mut view = self.view.clone();
        match view.wait_for(|view| accept(view.state)).await {
            Ok(reached) => reached.clone(),
            Err(_) => self.view(),
        }
    }
}

impl View {
    /// Moves to `status` and notes why.
    pub(crate) fn enter(&mut self, event: Event) {
        self.state = event.status;
        self.updated_at = SystemTime::now();
        self.events.push_front(event);
        self.events.truncate(EVENTS_MAX);
    }
}

impl Event {
    pub(crate) fn now(kind: &'static str, status: State, source: &'static str, request: Option<Value>) -> Self {
        Self { id: Ulid::new().to_string(), kind, status, source, timestamp: unix_time().as_millis() as u64, request }
    }
}

/// Time since 1970.
pub(crate) fn unix_time() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is set after 1970")
}

impl State {
    /// The API's spelling.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Stopped => "stopped",
            Self::Starting => "starting",
            Self::Started => "started",
            Self::Stopping => "stopping",
        }
    }
}

fn stable_id(app: &str, region: &str, index: u32) -> String {
    let digest = Sha256::digest(format!("{app}/{region}/{index}"));
    digest[..7].iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_survive_a_restart_and_tell_machines_apart() {
        let id = stable_id("aerodrome-game", "ewr", 0);
        assert_eq!(id, stable_id("aerodrome-game", "ewr", 0));
        assert_eq!(id.len(), 14);
        assert_ne!(id, stable_id("aerodrome-game", "ewr", 1));
        assert_ne!(id, stable_id("aerodrome-game", "cdg", 0));
    }
}
