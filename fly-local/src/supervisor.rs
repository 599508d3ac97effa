//! Supervises one machine: the only task that owns its process, and the only one that changes its state.
//!
//! Path: [`Supervisor::run`] waits for whichever comes first: a command (see `supervisor/commands.rs`), the end of the
//! process, or a timer; each is one short step from one state to the next.
//! Invariants: `started` if and only if the process runs and nobody asked it to stop; a process that was asked to stop
//! is never restarted by policy; restarts after failures are bounded; without a handle left, the process is killed.
//! Never: speaks HTTP.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use crate::boot::boot;
use crate::child::Process;
use crate::controls::{Controls, Update};
use crate::machine_state::{Event, Identity, PendingCommand, State, View};
use crate::settings::Switch;
use crate::spec::{RestartPolicy, Spec};
use crate::unix_time::unix_time;

/// Pause before the first restart; it doubles with each further one.
const RESTART_PAUSE_MS: u64 = 500;
const RESTART_PAUSE_MAX_MS: u64 = 8_000;
/// A process that ran this long has proven itself: its restarts are counted anew (Fly counts within 5 minutes).
const RESTART_WINDOW_SECS: u64 = 300;
/// How often a machine that is stuck looks whether it still is.
const STUCK_LOOK_MS: u64 = 100;

mod commands;

pub(crate) struct Supervisor {
    identity: Arc<Identity>,
    controls: Arc<Controls>,
    commands: mpsc::Receiver<PendingCommand>,
    view: watch::Sender<View>,
    process: Option<Process>,
    /// When the process began.
    began: Instant,
    /// What happens next without a command.
    timer: Option<(Instant, Timer)>,
    /// What the end of the process leads to.
    after_exit: AfterExit,
    /// Restarts by policy in a row.
    restarts: u32,
    /// Until then the machine is still being taken down.
    active_until: Instant,
    /// The machine was stopped for good: fly-local ends.
    is_ending: bool,
}

/// What happens at a set time, without a command.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Timer {
    /// The image of a new machine is ready.
    Prepared { launch: bool },
    /// The program is run.
    Boot,
    /// The frozen process goes on.
    Resume,
    /// The process is frozen.
    Freeze,
    /// The grace is over.
    Kill,
    /// The new version of a machine that did not run is in place.
    Replaced { launch: bool },
    /// Nothing is left of the machine.
    Destroyed,
}

/// What the end of the process leads to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum AfterExit {
    /// Whatever the restart policy says.
    Policy,
    Stop,
    Start,
    Destroy,
}

impl Supervisor {
    pub(crate) fn new(
        identity: Arc<Identity>,
        controls: Arc<Controls>,
        commands: mpsc::Receiver<PendingCommand>,
        view: watch::Sender<View>,
    ) -> Self {
        let now = Instant::now();
        Self {
            identity,
            controls,
            commands,
            view,
            process: None,
            began: now,
            timer: None,
            after_exit: AfterExit::Policy,
            restarts: 0,
            active_until: now,
            is_ending: false,
        }
    }

    /// Serves the machine until its last handle is gone, it was destroyed or stopped for good.
    pub(crate) async fn run(mut self, launch: bool) {
        if self.state() == State::Created {
            self.set_timer(self.controls.settings().create_ms, Timer::Prepared { launch });
        }
        self.controls.publish(Update::Machine(self.identity.id.clone()));
        while self.process.is_some() || !(self.is_ending || self.state() == State::Destroyed) {
            let due = self.timer.map_or(self.began, |(at, _)| at);
            tokio::select! {
                ask = self.commands.recv() => match ask {
                    Some(PendingCommand { command, reply }) => {
                        let done = self.handle(command);
                        let _ = reply.send(done);
                    }
                    // Dropping the process kills it.
                    None => break,
                },
                status = end_of(&mut self.process), if self.process.is_some() => self.on_exit(status).await,
                () = sleep_until(due), if self.timer.is_some() => self.on_timer(),
            }
        }
        // Fly resets a root disk on every start, and nobody looks at one of a machine that is gone.
        let _ = std::fs::remove_dir_all(&self.identity.root);
    }

    fn on_timer(&mut self) {
        let Some((_, due)) = self.timer.take() else { return };
        if due != Timer::Kill && self.controls.machine_faults(&self.identity.id).is_stuck {
            return self.set_timer(STUCK_LOOK_MS, due);
        }
        match due {
            Timer::Prepared { launch: true } => self.begin_start("flyd"),
            Timer::Prepared { launch: false } if self.controls.settings().created_settles == Switch::Off => {}
            Timer::Prepared { launch: false } => self.transition("launch", State::Stopped, "flyd", None),
            Timer::Boot => self.boot(),
            Timer::Resume => {
                self.signal_process(Signal::SIGCONT);
                self.transition("start", State::Started, "flyd", None);
            }
            Timer::Freeze => {
                self.signal_process(Signal::SIGSTOP);
                self.transition("suspend", State::Suspended, "flyd", None);
            }
            Timer::Kill => {
                tracing::warn!(machine = %self.identity.id, "did not stop in time and was killed");
                self.signal_process(Signal::SIGKILL);
            }
            Timer::Replaced { launch: true } => self.begin_start("flyd"),
            Timer::Replaced { launch: false } => {
                tracing::info!(
                    machine = %self.identity.id,
                    "machine was in a non-started state prior to the update so leaving the new version stopped"
                );
                self.transition("update", State::Stopped, "flyd", None);
            }
            Timer::Destroyed => self.transition("destroy", State::Destroyed, "flyd", None),
        }
    }

    fn boot(&mut self) {
        let booted = match self.controls.machine_faults(&self.identity.id).boot_fails {
            true => Err(std::io::Error::other("a fault says so")),
            false => boot(&self.identity, &self.view.borrow()),
        };
        match booted {
            Ok(process) => {
                let id = &self.identity;
                tracing::info!(machine = %id.id, app = %id.app.name, region = %id.region, "machine started");
                self.view.send_modify(|view| (view.address, view.pid) = (process.address(), process.id()));
                (self.process, self.began, self.after_exit) = (Some(process), Instant::now(), AfterExit::Policy);
                self.transition("start", State::Started, "flyd", None);
            }
            Err(error) => {
                let program = self.identity.program.display();
                tracing::error!(machine = %self.identity.id, "{program} cannot be run: {error}");
                self.transition("exit", State::Failed, "flyd", None);
            }
        }
    }

    /// The process has ended.
    async fn on_exit(&mut self, status: std::io::Result<ExitStatus>) {
        // Waiting fails only for a process that is not ours, so its status is as good as lost: count it as a failure.
        let status = status.unwrap_or_else(|_| ExitStatus::from_raw(1 << 8));
        if let Some(process) = self.process.take() {
            process.clean_up().await;
        }
        self.timer = None;
        self.view.send_modify(|view| (view.address, view.pid) = (None, None));
        self.active_until = Instant::now() + Duration::from_millis(self.controls.settings().teardown_ms);
        let then = self.after_exit;
        let again = then == AfterExit::Policy && self.restarts_after(status);
        let next = match then {
            AfterExit::Destroy => State::Destroying,
            AfterExit::Start => State::Restarting,
            AfterExit::Policy if again => State::Starting,
            AfterExit::Policy | AfterExit::Stop => State::Stopped,
        };
        tracing::info!(machine = %self.identity.id, %status, again, "machine exited");
        self.transition(
            "exit",
            next,
            "flyd",
            Some(exit_details(status, then != AfterExit::Policy, again, self.restarts)),
        );
        self.after_exit = AfterExit::Policy;
        match next {
            State::Starting => {
                let pause_ms = (RESTART_PAUSE_MS << self.restarts.min(8)).min(RESTART_PAUSE_MAX_MS);
                self.restarts += 1;
                self.set_timer(pause_ms, Timer::Boot);
            }
            State::Restarting => self.begin_start("flyd"),
            State::Destroying => self.set_timer(self.controls.settings().destroy_ms, Timer::Destroyed),
            _ if self.spec().is_auto_destroyed() && !self.is_ending => self.begin_destroy(),
            _ => {}
        }
    }

    fn restarts_after(&mut self, status: ExitStatus) -> bool {
        if self.began.elapsed() >= Duration::from_secs(RESTART_WINDOW_SECS) {
            self.restarts = 0;
        }
        let restart = self.spec().restart();
        let wanted = match restart.policy {
            RestartPolicy::No => false,
            // Only failures are counted out: `always` never leaves a machine stopped.
            RestartPolicy::OnFailure => !status.success() && self.restarts < restart.max_retries,
            RestartPolicy::Always => true,
        };
        wanted && !self.is_ending
    }

    fn signal_process(&self, signal: Signal) {
        if let Some(process) = &self.process {
            process.signal(signal);
        }
    }

    fn set_timer(&mut self, ms: u64, due: Timer) {
        self.timer = Some((Instant::now() + Duration::from_millis(ms), due));
    }

    fn state(&self) -> State {
        self.view.borrow().state
    }

    fn spec(&self) -> Arc<Spec> {
        Arc::clone(&self.view.borrow().spec)
    }

    fn transition(&self, kind: &'static str, state: State, source: &'static str, details: Option<Value>) {
        self.view.send_modify(|view| view.transition(Event::now(kind, state, source, details)));
        self.controls.publish(Update::Machine(self.identity.id.clone()));
    }
}

/// Waits for the end of the process. Only called while there is one.
async fn end_of(process: &mut Option<Process>) -> std::io::Result<ExitStatus> {
    match process {
        Some(process) => process.wait().await,
        None => std::future::pending().await,
    }
}

fn exit_details(status: ExitStatus, is_requested: bool, is_restarting: bool, restarts: u32) -> Value {
    json!({
        "exit_event": {
            "exit_code": status.code().unwrap_or(-1),
            "guest_exit_code": status.code().unwrap_or(0),
            "guest_signal": status.signal().unwrap_or(-1),
            "signal": status.signal().unwrap_or(-1),
            "oom_killed": false,
            "requested_stop": is_requested,
            "restarting": is_restarting,
            "exited_at": unix_time().as_millis() as u64,
        },
        "restart_count": restarts,
    })
}
