//! Commands: what each one does in each state of a machine.
//!
//! Path: the supervisor hands each command to [`Supervisor::handle`]; what takes time is left for the supervisor's loop.
//! Invariants: a command either changes the state at once or is refused; what Fly refuses is refused with its reason.

use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::time::Instant;
use ulid::Ulid;

use super::{AfterExit, Supervisor, Timer};
use crate::controls::Host;
use crate::machine_state::{Command, CommandError, State};
use crate::settings::{StartOnStarted, Switch};
use crate::spec::Spec;

/// The state before the command.
type Done = Result<State, CommandError>;

impl Supervisor {
    pub(super) fn handle(&mut self, command: Command) -> Done {
        match command {
            Command::Start => self.start(),
            Command::Stop { signal, grace } => self.stop(signal, grace),
            Command::Restart { signal, grace } => self.restart(signal, grace),
            Command::Suspend => self.suspend(),
            Command::Signal(signal) => self.signal(signal),
            Command::Update { spec, expected_version, launch } => self.update(*spec, expected_version, launch),
            Command::Destroy { force } => self.destroy(force),
            Command::End => {
                self.is_ending = true;
                self.stop(None, None)
            }
        }
    }

    fn start(&mut self) -> Done {
        let state = self.state();
        match state {
            State::Started => match self.controls.settings().start_on_started {
                StartOnStarted::Ok => return Ok(state),
                StartOnStarted::Conflict => return Err(CommandError::AlreadyStarted),
                StartOnStarted::Precondition => return Err(CommandError::StartFrom(state)),
            },
            State::Starting => return Err(CommandError::StartUnderWay),
            State::Replacing => return Err(CommandError::Replacing),
            State::Created if self.timer.is_some() => return Err(CommandError::StartFrom(state)),
            State::Stopped if Instant::now() < self.active_until => return Err(CommandError::StillActive),
            State::Stopped | State::Created | State::Failed => {
                self.host_has_room()?;
                self.restarts = 0;
                self.begin_start("user");
            }
            // What is suspended still holds its place on the host.
            State::Suspended => {
                self.transition("start", State::Starting, "user", None);
                self.set_timer(self.controls.settings().resume_ms, Timer::Resume);
            }
            State::Suspending => {
                self.timer = None;
                self.transition("start", State::Started, "user", None);
            }
            State::Stopping | State::Restarting | State::Destroying | State::Destroyed => {
                return Err(CommandError::StartFrom(state));
            }
        }
        Ok(state)
    }

    /// A host without room refuses, unless the setting has the machine moved to another one.
    fn host_has_room(&self) -> Result<(), CommandError> {
        let id = &self.identity.id;
        if self.controls.host(id) != Host::Full {
            return Ok(());
        }
        if self.controls.settings().migrate_from_full_host == Switch::Off {
            return Err(CommandError::HostFull);
        }
        tracing::info!(machine = %id, "moved to another host");
        self.controls.modify_machine_faults(id, |faults| faults.host = Host::Ok);
        Ok(())
    }

    /// On the way up, from nothing.
    pub(super) fn begin_start(&mut self, source: &'static str) {
        self.transition("start", State::Starting, source, None);
        let settings = self.controls.settings();
        let faults = self.controls.machine_faults(&self.identity.id);
        self.set_timer(faults.boot_ms.unwrap_or(settings.boot_ms), Timer::Boot);
    }

    fn stop(&mut self, signal: Option<Signal>, grace: Option<Duration>) -> Done {
        let state = self.state();
        match state {
            State::Started | State::Stopping | State::Restarting => {
                self.after_exit = AfterExit::Stop;
                self.ask_to_stop(signal, grace);
                if state != State::Stopping {
                    self.transition("stop", State::Stopping, "user", None);
                }
            }
            // Its snapshot is thrown away.
            State::Suspended | State::Suspending => self.kill(AfterExit::Stop, "stop", State::Stopping),
            // Resuming, or on its way up from nothing.
            State::Starting if self.process.is_some() => self.kill(AfterExit::Stop, "stop", State::Stopping),
            State::Starting => {
                self.timer = None;
                self.transition("stop", State::Stopped, "user", None);
            }
            State::Replacing if self.process.is_some() => self.after_exit = AfterExit::Stop,
            // It was to start when it is ready, and does not now.
            State::Created | State::Replacing => self.cancel_launch(),
            _ => {}
        }
        Ok(state)
    }

    fn cancel_launch(&mut self) {
        if let Some((_, Timer::Prepared { launch } | Timer::Replaced { launch })) = &mut self.timer {
            *launch = false;
        }
    }

    fn restart(&mut self, signal: Option<Signal>, grace: Option<Duration>) -> Done {
        let state = self.state();
        if state != State::Started {
            return Err(CommandError::NotRunning);
        }
        self.after_exit = AfterExit::Start;
        self.ask_to_stop(signal, grace);
        self.transition("restart", State::Restarting, "user", None);
        Ok(state)
    }

    fn suspend(&mut self) -> Done {
        let state = self.state();
        if state != State::Started {
            return Err(CommandError::SuspendFrom(state));
        }
        let settings = self.controls.settings();
        let spec = self.spec();
        if spec.memory_mb() > settings.suspend_memory_max_mb || spec.is_scheduled() {
            return Err(CommandError::NotSuspendable);
        }
        self.transition("suspend", State::Suspending, "user", None);
        self.set_timer(settings.suspend_ms, Timer::Freeze);
        Ok(state)
    }

    fn signal(&mut self, signal: Signal) -> Done {
        let state = self.state();
        match &self.process {
            Some(process) if state != State::Suspended => process.signal(signal),
            _ => return Err(CommandError::NotRunning),
        }
        Ok(state)
    }

    fn update(&mut self, spec: Spec, expected_version: Option<String>, launch: bool) -> Done {
        let state = self.state();
        if expected_version.is_some_and(|expected| expected != self.view.borrow().version) {
            return Err(CommandError::Concurrent);
        }
        if matches!(state, State::Stopping | State::Restarting | State::Replacing | State::Destroying) {
            return Err(CommandError::Concurrent);
        }
        self.host_has_room()?;
        self.view.send_modify(|view| {
            view.spec = Arc::new(spec);
            view.version = Ulid::new().to_string();
        });
        match state {
            State::Started | State::Suspending => {
                self.after_exit = if launch { AfterExit::Start } else { AfterExit::Stop };
                self.ask_to_stop(None, None);
                self.transition("update", State::Replacing, "user", None);
            }
            _ if self.process.is_some() => self.kill(AfterExit::Stop, "update", State::Replacing),
            _ => {
                let was_to_run = matches!(self.timer, Some((_, Timer::Boot | Timer::Prepared { launch: true })));
                self.transition("update", State::Replacing, "user", None);
                let launch = launch && was_to_run;
                self.set_timer(self.controls.settings().replace_ms, Timer::Replaced { launch });
            }
        }
        Ok(state)
    }

    fn destroy(&mut self, force: bool) -> Done {
        let state = self.state();
        match state {
            State::Destroying | State::Destroyed => {}
            State::Stopped | State::Suspended | State::Failed | State::Created => self.begin_destroy(),
            _ if force => self.begin_destroy(),
            _ => return Err(CommandError::NotStopped),
        }
        Ok(state)
    }

    pub(super) fn begin_destroy(&mut self) {
        match self.process {
            Some(_) => self.kill(AfterExit::Destroy, "destroy", State::Destroying),
            None => {
                self.transition("destroy", State::Destroying, "user", None);
                self.set_timer(self.controls.settings().destroy_ms, Timer::Destroyed);
            }
        }
    }

    /// Sends the signal and lets the grace run; a grace that runs already goes on.
    fn ask_to_stop(&mut self, signal: Option<Signal>, grace: Option<Duration>) {
        let (usual, usual_grace) = self.spec().stop(&self.controls.settings());
        if let Some(process) = &self.process {
            process.signal(signal.unwrap_or(usual));
        }
        if !matches!(self.timer, Some((_, Timer::Kill))) {
            self.timer = Some((Instant::now() + grace.unwrap_or(usual_grace), Timer::Kill));
        }
    }

    fn kill(&mut self, then: AfterExit, kind: &'static str, state: State) {
        (self.after_exit, self.timer) = (then, None);
        if let Some(process) = &self.process {
            process.signal(Signal::SIGKILL);
        }
        self.transition(kind, state, "user", None);
    }
}
