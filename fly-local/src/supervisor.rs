//! The life of one machine: the only task that owns its process.
//!
//! Path: [`Supervisor::run`] waits for a start → boots the process → serves commands until it ends → restarts it by
//! policy or leaves the machine stopped.
//! Invariants: `started` if and only if the process runs and nobody asked it to stop; a process that was asked to stop
//! is never restarted; restarts in a row are bounded; without a handle left, the process is killed.
//! Never: speaks HTTP.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::json;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until};

use crate::app::RestartPolicy;
use crate::child::Process;
use crate::machine::{Command, Event, Identity, StartRefused, State, View, unix_time};

/// Pause before the first restart; it doubles with each further one.
const RESTART_PAUSE_MS: u64 = 500;
const RESTART_PAUSE_MAX_MS: u64 = 8_000;
/// A process that ran this long has proven itself: its restarts are counted anew (Fly counts within 5 minutes).
const RESTART_WINDOW_SECS: u64 = 300;

type StartReply = oneshot::Sender<Result<State, StartRefused>>;

pub(crate) struct Supervisor {
    identity: Arc<Identity>,
    commands: mpsc::Receiver<Command>,
    view: watch::Sender<View>,
    /// The machine was stopped for good: fly-local ends.
    ending: bool,
}

/// How a process ended.
struct Exit {
    status: ExitStatus,
    /// Somebody asked for it.
    requested: bool,
    ran_for: Duration,
}

impl Supervisor {
    pub(crate) fn new(identity: Arc<Identity>, commands: mpsc::Receiver<Command>, view: watch::Sender<View>) -> Self {
        Self { identity, commands, view, ending: false }
    }

    /// Serves the machine until its last handle is gone or it was stopped for good.
    pub(crate) async fn run(mut self) {
        while !self.ending
            && let Some(command) = self.commands.recv().await
        {
            match command {
                Command::Start { reply } => self.stay_up(reply).await,
                Command::Stop { for_good, reply, .. } => {
                    self.ending |= for_good;
                    let _ = reply.send(());
                }
            }
        }
    }

    /// Boots the machine and keeps it up until it is stopped, ends by itself or fails too often.
    async fn stay_up(&mut self, reply: StartReply) {
        let previous = self.view.borrow().state;
        self.enter(Event::now("start", State::Starting, "user", None));
        let mut reply = Some(reply);
        let mut restarts = 0;
        loop {
            let process = match self.boot() {
                Ok(process) => process,
                Err(error) => return self.boot_failed(&error, reply),
            };
            if let Some(reply) = reply.take() {
                let _ = reply.send(Ok(previous));
            }
            let exit = self.attend(process).await;
            if exit.ran_for >= Duration::from_secs(RESTART_WINDOW_SECS) {
                restarts = 0;
            }
            let again = self.restarts(&exit) && restarts < self.identity.app.restart.max_retries;
            self.left(&exit, again, restarts);
            if !again || !self.pause(restarts).await {
                return;
            }
            restarts += 1;
        }
    }

    /// Runs the program on a free port.
    fn boot(&mut self) -> std::io::Result<Process> {
        let address = free_address()?;
        let identity = &self.identity;
        let prefix = format!("[{} {} {}]", identity.app.name, identity.region, identity.id);
        let process = Process::spawn(&identity.app.program, &environment(identity, address), &prefix)?;
        tracing::info!(machine = %identity.id, app = %identity.app.name, region = %identity.region, "machine started");
        self.view.send_modify(|view| {
            view.address = Some(address);
            view.enter(Event::now("start", State::Started, "flyd", None));
        });
        Ok(process)
    }

    fn boot_failed(&mut self, error: &std::io::Error, reply: Option<StartReply>) {
        let sentence = format!("{} cannot be run: {error}", self.identity.app.program.display());
        tracing::error!(machine = %self.identity.id, "{sentence}");
        self.enter(Event::now("exit", State::Stopped, "flyd", None));
        if let Some(reply) = reply {
            let _ = reply.send(Err(StartRefused::Failed(sentence)));
        }
    }

    /// Serves commands while the process runs.
    async fn attend(&mut self, mut process: Process) -> Exit {
        let began = Instant::now();
        let mut kill_at = None;
        let mut requested = false;
        let mut attended = true;
        let status = loop {
            let deadline = kill_at.unwrap_or(began);
            tokio::select! {
                status = process.wait() => break status,
                command = self.commands.recv(), if attended => match command {
                    Some(Command::Start { reply }) => drop(reply.send(self.start_while_running())),
                    Some(Command::Stop { signal, timeout, for_good, reply }) => {
                        self.ending |= for_good;
                        let app = &self.identity.app;
                        process.signal(signal.unwrap_or(app.kill_signal));
                        kill_at.get_or_insert(Instant::now() + timeout.unwrap_or(app.kill_timeout));
                        if !requested {
                            self.enter(Event::now("stop", State::Stopping, "user", None));
                        }
                        requested = true;
                        let _ = reply.send(());
                    }
                    None => {
                        (attended, requested) = (false, true);
                        process.signal(Signal::SIGKILL);
                    }
                },
                () = sleep_until(deadline), if kill_at.is_some() => {
                    tracing::warn!(machine = %self.identity.id, "did not stop in time and was killed");
                    process.signal(Signal::SIGKILL);
                    kill_at = None;
                }
            }
        };
        process.clear_up().await;
        // Waiting fails only for a process that is not ours, so its status is as good as lost: count it as a failure.
        Exit { status: status.unwrap_or_else(|_| ExitStatus::from_raw(1 << 8)), requested, ran_for: began.elapsed() }
    }

    fn start_while_running(&self) -> Result<State, StartRefused> {
        match self.view.borrow().state {
            State::Started => Ok(State::Started),
            other => Err(StartRefused::From(other)),
        }
    }

    fn restarts(&self, exit: &Exit) -> bool {
        !exit.requested
            && match self.identity.app.restart.policy {
                RestartPolicy::No => false,
                RestartPolicy::OnFailure => !exit.status.success(),
                RestartPolicy::Always => true,
            }
    }

    /// Notes the end of the process.
    fn left(&mut self, exit: &Exit, again: bool, restarts: u32) {
        tracing::info!(machine = %self.identity.id, status = %exit.status, again, "machine exited");
        let details = json!({
            "exit_event": {
                "exit_code": exit.status.code().unwrap_or(-1),
                "guest_exit_code": exit.status.code().unwrap_or(0),
                "guest_signal": exit.status.signal().unwrap_or(-1),
                "signal": exit.status.signal().unwrap_or(-1),
                "oom_killed": false,
                "requested_stop": exit.requested,
                "restarting": again,
                "exited_at": unix_time().as_millis() as u64,
            },
            "restart_count": restarts,
        });
        self.view.send_modify(|view| {
            view.address = None;
            let state = if again { State::Starting } else { State::Stopped };
            view.enter(Event::now("exit", state, "flyd", Some(details)));
        });
    }

    /// Waits before a restart. False if the machine was stopped meanwhile.
    async fn pause(&mut self, restarts: u32) -> bool {
        let pause_ms = (RESTART_PAUSE_MS << restarts.min(8)).min(RESTART_PAUSE_MAX_MS);
        let until = Instant::now() + Duration::from_millis(pause_ms);
        loop {
            tokio::select! {
                () = sleep_until(until) => return true,
                command = self.commands.recv() => match command {
                    Some(Command::Start { reply }) => drop(reply.send(Err(StartRefused::InProgress))),
                    Some(Command::Stop { for_good, reply, .. }) => {
                        self.ending |= for_good;
                        self.enter(Event::now("stop", State::Stopped, "user", None));
                        let _ = reply.send(());
                        return false;
                    }
                    None => return false,
                },
            }
        }
    }

    fn enter(&self, event: Event) {
        self.view.send_modify(|view| view.enter(event));
    }
}

/// A port that is free now. Somebody else may take it before the child does; then the child fails and is restarted on
/// another one.
fn free_address() -> std::io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

/// What a machine finds in its environment, as on Fly, apart from `BIND` and `PORT`: here all machines share one host.
fn environment(identity: &Identity, address: SocketAddr) -> BTreeMap<String, String> {
    let app = &identity.app;
    let mut env = app.env.clone();
    env.extend(app.secrets.clone());
    for (name, value) in [
        ("FLY_APP_NAME", app.name.clone()),
        ("FLY_MACHINE_ID", identity.id.clone()),
        ("FLY_ALLOC_ID", identity.id.clone()),
        ("FLY_REGION", identity.region.clone()),
        ("FLY_PUBLIC_IP", "::1".into()),
        ("FLY_PRIVATE_IP", private_ip(&identity.id)),
        ("FLY_IMAGE_REF", image_ref(&app.name)),
        ("FLY_MACHINE_VERSION", identity.version.clone()),
        ("FLY_PROCESS_GROUP", "app".into()),
        ("FLY_VM_MEMORY_MB", app.memory_mb.to_string()),
        ("PRIMARY_REGION", app.primary_region.clone()),
        ("BIND", address.ip().to_string()),
        ("PORT", address.port().to_string()),
    ] {
        env.insert(name.to_owned(), value);
    }
    env
}

/// An address of the shape Fly's private network has; nothing listens there.
pub(crate) fn private_ip(id: &str) -> String {
    format!("fdaa:0:1:a7b:{}:{}:{}:2", &id[..4], &id[4..8], &id[8..12])
}

pub(crate) fn image_ref(app: &str) -> String {
    format!("registry.fly.io/{app}:local")
}
