//! A machine: the handle that API, edge and control page hold.
//!
//! Path: [`Machine::launch`] starts a supervisor (see `supervisor.rs`) that owns the process; this handle sends it
//! commands and watches its [`View`].
//! Invariants: only the supervisor moves a machine from state to state, so every command sees one definite state.
//! `started` means that the process runs, not that it listens, as on Fly.
//! Never: touches a process.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use crate::controls::{Controls, Update};
use crate::lease::Leases;
use crate::machine_state::{Command, CommandError, Identity, PendingCommand, State, View};
use crate::spec::Spec;
use crate::supervisor::Supervisor;

/// Commands a supervisor may have waiting. Policy: more senders wait.
const COMMANDS_MAX: usize = 16;

/// The handle of one machine.
#[derive(Debug)]
pub(crate) struct Machine {
    /// Who it is.
    pub(crate) identity: Arc<Identity>,
    view: watch::Sender<View>,
    commands: mpsc::Sender<PendingCommand>,
    controls: Arc<Controls>,
    leases: Mutex<Leases>,
    /// Requests and WebSockets that the edge has brought here and that have not ended.
    load: Arc<AtomicU32>,
}

/// One of the connections a machine may have; it is given back when this is dropped.
#[derive(Debug)]
pub(crate) struct Slot(Arc<AtomicU32>);

impl Machine {
    /// Creates a machine and its supervisor. In `created`, it is prepared and then `launch` says whether it starts.
    pub(crate) fn launch(
        identity: Identity,
        spec: Spec,
        state: State,
        launch: bool,
        controls: Arc<Controls>,
    ) -> Arc<Self> {
        let identity = Arc::new(identity);
        let (commands, inbox) = mpsc::channel(COMMANDS_MAX);
        let view = watch::Sender::new(View::new(state, spec, identity.created_at));
        let supervisor = Supervisor::new(Arc::clone(&identity), Arc::clone(&controls), inbox, view.clone());
        tokio::spawn(supervisor.run(launch));
        Arc::new(Self { identity, view, commands, controls, leases: Mutex::default(), load: Arc::default() })
    }

    /// The machine as it is now.
    pub(crate) fn view(&self) -> View {
        self.view.borrow().clone()
    }

    /// Reads something of the machine as it is now.
    pub(crate) fn with_view<T>(&self, read: impl FnOnce(&View) -> T) -> T {
        read(&self.view.borrow())
    }

    /// Its state now.
    pub(crate) fn state(&self) -> State {
        self.view.borrow().state
    }

    /// Its state as it was `lag` ago.
    pub(crate) fn state_seen_after(&self, lag: Duration) -> State {
        let then = Instant::now().checked_sub(lag);
        self.view.borrow().seen_at(then)
    }

    /// Changes what is no state: cordon and metadata.
    pub(crate) fn modify(&self, change: impl FnOnce(&mut View)) {
        self.view.send_modify(|view| {
            change(view);
            view.updated_at = SystemTime::now();
        });
        self.controls.publish(Update::Machine(self.identity.id.clone()));
    }

    /// Has the supervisor do `command`. Returns as soon as it is begun, with the state before it.
    pub(crate) async fn send(&self, command: Command) -> Result<State, CommandError> {
        let gone = || match self.state() {
            State::Destroyed => CommandError::StartFrom(State::Destroyed),
            _ => CommandError::Ending,
        };
        let (reply, answer) = oneshot::channel();
        self.commands.send(PendingCommand { command, reply }).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }

    /// Stops it as its configuration says, waits until it has ended, and never lets it start again.
    pub(crate) async fn end(&self) {
        let _ = self.send(Command::End).await;
        self.commands.closed().await;
    }

    /// Waits until `accept` likes the machine, and returns it. Ends early if it will never change again.
    pub(crate) async fn wait(&self, accept: impl Fn(&View) -> bool) -> View {
        let mut changes = self.view.subscribe();
        tokio::select! {
            reached = changes.wait_for(accept) => reached.map_or_else(|_| self.view(), |view| view.clone()),
            () = self.commands.closed() => self.view(),
        }
    }

    /// Who may change it.
    pub(crate) fn leases(&self) -> MutexGuard<'_, Leases> {
        self.leases.lock().expect("nobody panics while holding the leases")
    }

    /// Requests and WebSockets it has.
    pub(crate) fn load(&self) -> u32 {
        self.load.load(Ordering::Relaxed)
    }

    /// Takes a slot, if fewer than `limit` are taken.
    pub(crate) fn acquire_slot(&self, limit: u32) -> Option<Slot> {
        let more = |load: u32| (load < limit).then(|| load + 1);
        self.load.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(Slot(Arc::clone(&self.load)))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
