//! What a machine does when it is told to: every command, by the state it meets.
//!
//! Path: the supervisor hands each command to [`Supervisor::obey`]; what takes time is left for the supervisor's loop.
//! Invariants: a command either changes the state at once or is refused; what Fly refuses is refused with its reason.

use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::time::Instant;
use ulid::Ulid;

use super::{Due, Supervisor, Then};
use crate::controls::Host;
use crate::machine::{Command, Refused, State};
use crate::settings::{StartOnStarted, Switch};
use crate::spec::Spec;

/// The state before the command.
type Done = Result<State, Refused>;

impl Supervisor {
    pub(super) fn obey(&mut self, command: Command) -> Done {
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
                StartOnStarted::Conflict => return Err(Refused::AlreadyStarted),
                StartOnStarted::Precondition => return Err(Refused::StartFrom(state)),
            },
            State::Starting => return Err(Refused::StartUnderWay),
            State::Replacing => return Err(Refused::Replacing),
            State::Created if self.due.is_some() => return Err(Refused::StartFrom(state)),
            State::Stopped if Instant::now() < self.active_until => return Err(Refused::StillActive),
            State::Stopped | State::Created | State::Failed => {
                self.host_has_room()?;
                self.restarts = 0;
                self.begin("user");
            }
            // What is suspended still holds its place on the host.
            State::Suspended => {
                self.enter("start", State::Starting, "user", None);
                self.after(self.controls.settings().resume_ms, Due::Resume);
            }
            State::Suspending => {
                self.due = None;
                self.enter("start", State::Started, "user", None);
            }
            State::Stopping | State::Restarting | State::Destroying | State::Destroyed => {
                return Err(Refused::StartFrom(state));
            }
        }
        Ok(state)
    }

    /// A host without room refuses, unless the setting has the machine moved to another one.
    fn host_has_room(&self) -> Result<(), Refused> {
        let id = &self.identity.id;
        if self.controls.host(id) != Host::Full {
            return Ok(());
        }
        if self.controls.settings().migrate_from_full_host == Switch::Off {
            return Err(Refused::HostFull);
        }
        tracing::info!(machine = %id, "moved to another host");
        self.controls.alter_machine_faults(id, |faults| faults.host = Host::Ok);
        Ok(())
    }

    /// On the way up, from nothing.
    pub(super) fn begin(&mut self, source: &'static str) {
        self.enter("start", State::Starting, source, None);
        let settings = self.controls.settings();
        let faults = self.controls.machine_faults(&self.identity.id);
        self.after(faults.boot_ms.unwrap_or(settings.boot_ms), Due::Boot);
    }

    fn stop(&mut self, signal: Option<Signal>, grace: Option<Duration>) -> Done {
        let state = self.state();
        match state {
            State::Started | State::Stopping | State::Restarting => {
                self.then = Then::Stop;
                self.ask_to_stop(signal, grace);
                if state != State::Stopping {
                    self.enter("stop", State::Stopping, "user", None);
                }
            }
            // Its snapshot is thrown away.
            State::Suspended | State::Suspending => self.kill(Then::Stop, "stop", State::Stopping),
            // Resuming, or on its way up from nothing.
            State::Starting if self.process.is_some() => self.kill(Then::Stop, "stop", State::Stopping),
            State::Starting => {
                self.due = None;
                self.enter("stop", State::Stopped, "user", None);
            }
            State::Replacing if self.process.is_some() => self.then = Then::Stop,
            // It was to start when it is ready, and does not now.
            State::Created | State::Replacing => self.call_launch_off(),
            _ => {}
        }
        Ok(state)
    }

    fn call_launch_off(&mut self) {
        if let Some((_, Due::Prepared { launch } | Due::Replaced { launch })) = &mut self.due {
            *launch = false;
        }
    }

    fn restart(&mut self, signal: Option<Signal>, grace: Option<Duration>) -> Done {
        let state = self.state();
        if state != State::Started {
            return Err(Refused::NotRunning);
        }
        self.then = Then::Start;
        self.ask_to_stop(signal, grace);
        self.enter("restart", State::Restarting, "user", None);
        Ok(state)
    }

    fn suspend(&mut self) -> Done {
        let state = self.state();
        if state != State::Started {
            return Err(Refused::SuspendFrom(state));
        }
        let settings = self.controls.settings();
        let spec = self.spec();
        if spec.memory_mb() > settings.suspend_memory_max_mb || spec.is_scheduled() {
            return Err(Refused::NotSuspendable);
        }
        self.enter("suspend", State::Suspending, "user", None);
        self.after(settings.suspend_ms, Due::Freeze);
        Ok(state)
    }

    fn signal(&mut self, signal: Signal) -> Done {
        let state = self.state();
        match &self.process {
            Some(process) if state != State::Suspended => process.signal(signal),
            _ => return Err(Refused::NotRunning),
        }
        Ok(state)
    }

    fn update(&mut self, spec: Spec, expected_version: Option<String>, launch: bool) -> Done {
        let state = self.state();
        if expected_version.is_some_and(|expected| expected != self.view.borrow().version) {
            return Err(Refused::Concurrent);
        }
        if matches!(state, State::Stopping | State::Restarting | State::Replacing | State::Destroying) {
            return Err(Refused::Concurrent);
        }
        self.host_has_room()?;
        self.view.send_modify(|view| {
            view.spec = Arc::new(spec);
            view.version = Ulid::new().to_string();
        });
        match state {
            State::Started | State::Suspending => {
                self.then = if launch { Then::Start } else { Then::Stop };
                self.ask_to_stop(None, None);
                self.enter("update", State::Replacing, "user", None);
            }
            _ if self.process.is_some() => self.kill(Then::Stop, "update", State::Replacing),
            _ => {
                let was_to_run = matches!(self.due, Some((_, Due::Boot | Due::Prepared { launch: true })));
                self.enter("update", State::Replacing, "user", None);
                let launch = launch && was_to_run;
                self.after(self.controls.settings().replace_ms, Due::Replaced { launch });
            }
        }
        Ok(state)
    }

    fn destroy(&mut self, force: bool) -> Done {
        let state = self.state();
        match state {
            State::Destroying | State::Destroyed => {}
            State::Stopped | State::Suspended | State::Failed | State::Created => self.take_away(),
            _ if force => self.take_away(),
            _ => return Err(Refused::NotStopped),
        }
        Ok(state)
    }

    pub(super) fn take_away(&mut self) {
        match self.process {
            Some(_) => self.kill(Then::Destroy, "destroy", State::Destroying),
            None => {
                self.enter("destroy", State::Destroying, "user", None);
                self.after(self.controls.settings().destroy_ms, Due::Destroyed);
            }
        }
    }

    /// Sends the signal and lets the grace run; a grace that runs already goes on.
    fn ask_to_stop(&mut self, signal: Option<Signal>, grace: Option<Duration>) {
        let (usual, usual_grace) = self.spec().stop(&self.controls.settings());
        if let Some(process) = &self.process {
            process.signal(signal.unwrap_or(usual));
        }
        if !matches!(self.due, Some((_, Due::Kill))) {
            self.due = Some((Instant::now() + grace.unwrap_or(usual_grace), Due::Kill));
        }
    }

    fn kill(&mut self, then: Then, kind: &'static str, state: State) {
        (self.then, self.due) = (then, None);
        if let Some(process) = &self.process {
            process.signal(Signal::SIGKILL);
        }
        self.enter(kind, state, "user", None);
    }
}
