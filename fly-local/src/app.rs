//! One Fly app, as its `fly.toml` describes it.
//!
//! Path: [`App::load`] reads the same file a deployment reads and keeps what a local machine needs: environment, stop
//! signal, restart policy, service.
//! Invariants: what a file leaves out gets Fly's documented default.
//! Never: starts anything; keys it has no use for (build, checks, metrics) are ignored.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, ensure};
use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};

/// Fly's default between the stop signal and the kill.
const KILL_TIMEOUT_DEFAULT: Duration = Duration::from_secs(5);
/// Fly's own upper limit for it.
const KILL_TIMEOUT_MAX: Duration = Duration::from_secs(300);
/// Fly's default number of restarts before a machine is left stopped.
const RESTARTS_DEFAULT: u32 = 10;
const INTERNAL_PORT_DEFAULT: u16 = 8080;
const MEMORY_DEFAULT_MB: u32 = 256;

/// An app: what all of its machines have in common.
#[derive(Debug, Clone)]
pub(crate) struct App {
    /// Name, as in `Fly-Replay: app=..`.
    pub(crate) name: String,
    /// The program that a machine of this app runs.
    pub(crate) program: PathBuf,
    /// Region of its first machine.
    pub(crate) primary_region: String,
    /// `[env]`, shown by the API.
    pub(crate) env: BTreeMap<String, String>,
    /// Secrets: they win over `env`, and the API never shows them.
    pub(crate) secrets: BTreeMap<String, String>,
    /// Signal that asks a machine to stop.
    pub(crate) kill_signal: Signal,
    /// How long it may take before it is killed.
    pub(crate) kill_timeout: Duration,
    /// What happens when the process ends by itself.
    pub(crate) restart: Restart,
    /// The public service.
    pub(crate) service: Service,
    /// Memory a machine is told it has, in MB.
    pub(crate) memory_mb: u32,
}

/// What happens when a process ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Restart {
    /// In which cases it is started again.
    pub(crate) policy: RestartPolicy,
    /// How often in a row.
    pub(crate) max_retries: u32,
}

/// In which cases a process is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum RestartPolicy {
    /// Never.
    #[serde(alias = "never")]
    No,
    /// When it ended with anything but exit code 0.
    OnFailure,
    /// Unless somebody asked it to stop.
    Always,
}

/// The part of `[http_service]` that the proxy acts on or the API shows.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Service {
    /// Port the app listens on in production; here every machine gets a free one of its own.
    #[serde(default = "internal_port_default")]
    pub(crate) internal_port: u16,
    /// Whether a request may start a machine that does not run.
    #[serde(default = "yes", rename = "auto_start_machines")]
    pub(crate) autostart: bool,
    /// Machines kept running in the primary region.
    #[serde(default)]
    pub(crate) min_machines_running: u32,
    /// Whether plain HTTP is redirected in production; here there is no TLS.
    #[serde(default)]
    pub(crate) force_https: bool,
    /// Limits, shown by the API as they are.
    #[serde(default)]
    pub(crate) concurrency: Option<serde_json::Value>,
}

impl App {
    /// Reads the app's `fly.toml`. `program` is the binary its machines run.
    pub(crate) fn load(path: &Path, program: PathBuf) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("The app's configuration {} cannot be read.", path.display()))?;
        Self::parse(&text, program).with_context(|| format!("{} is not a valid fly.toml.", path.display()))
    }

    fn parse(text: &str, program: PathBuf) -> anyhow::Result<Self> {
        let file: File = toml::from_str(text)?;
        for name in file.env.keys() {
            ensure!(!name.starts_with("FLY_"), "[env] may not set {name}: FLY_ is Fly's");
        }
        let kill_timeout = file.kill_timeout.map_or(Ok(KILL_TIMEOUT_DEFAULT), |time| time.parse())?;
        ensure!(kill_timeout <= KILL_TIMEOUT_MAX, "kill_timeout may be at most 5 minutes");
        let memory_mb = match file.vm.first().and_then(|vm| vm.memory.as_ref()) {
            Some(memory) => memory_mb(memory).context("[[vm]] memory is not like \"256mb\"")?,
            None => MEMORY_DEFAULT_MB,
        };
        let restart = file.restart.first();
        Ok(Self {
            name: file.app,
            program,
            primary_region: file.primary_region,
            env: file.env,
            secrets: BTreeMap::new(),
            kill_signal: Signal::from_str(&file.kill_signal).context("kill_signal is not a signal's name")?,
            kill_timeout,
            restart: Restart {
                policy: restart.map_or(RestartPolicy::OnFailure, |restart| restart.policy),
                max_retries: restart.and_then(|restart| restart.retries).unwrap_or(RESTARTS_DEFAULT),
            },
            service: file.http_service,
            memory_mb,
        })
    }
}

#[derive(Deserialize)]
struct File {
    app: String,
    primary_region: String,
    #[serde(default = "kill_signal_default")]
    kill_signal: String,
    kill_timeout: Option<Time>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    http_service: Service,
    #[serde(default)]
    restart: Vec<RestartEntry>,
    #[serde(default)]
    vm: Vec<Vm>,
}

#[derive(Deserialize)]
struct RestartEntry {
    policy: RestartPolicy,
    retries: Option<u32>,
}

#[derive(Deserialize)]
struct Vm {
    memory: Option<String>,
}

/// Seconds, or text such as `10s`.
#[derive(Deserialize)]
#[serde(untagged)]
enum Time {
    Seconds(u64),
    Text(String),
}

impl Time {
    fn parse(self) -> anyhow::Result<Duration> {
        match self {
            Self::Seconds(seconds) => Ok(Duration::from_secs(seconds)),
            Self::Text(text) => humantime::parse_duration(&text).context("kill_timeout is not like \"10s\""),
        }
    }
}

fn memory_mb(text: &str) -> Option<u32> {
    let text = text.trim().to_ascii_lowercase();
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let amount: u32 = digits.parse().ok()?;
    match text[digits.len()..].trim() {
        "" | "mb" => Some(amount),
        "gb" => amount.checked_mul(1024),
        _ => None,
    }
}

fn kill_signal_default() -> String {
    "SIGINT".into()
}

fn internal_port_default() -> u16 {
    INTERNAL_PORT_DEFAULT
}

fn yes() -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_projects_own_files_are_understood() {
        let lobby = App::parse(include_str!("../../fly.toml"), "lobby".into()).unwrap();
        assert_eq!((lobby.name.as_str(), lobby.primary_region.as_str()), ("aerodrome", "ewr"));
        assert_eq!(lobby.kill_signal, Signal::SIGTERM);
        assert_eq!(lobby.memory_mb, 256);
        let game = App::parse(include_str!("../../net/fly.toml"), "gameserver".into()).unwrap();
        assert_eq!(game.name, lobby.env["GAME_APP"]);
        assert_eq!(game.restart, Restart { policy: RestartPolicy::OnFailure, max_retries: 10 });
        assert!(game.service.autostart, "a replay to a sleeping machine must start it");
        assert_eq!(game.memory_mb, 4096);
    }

    #[test]
    fn what_is_left_out_gets_flys_defaults() {
        let app = App::parse("app = \"a\"\nprimary_region = \"ewr\"\n[http_service]", "a".into()).unwrap();
        assert_eq!((app.kill_signal, app.kill_timeout), (Signal::SIGINT, KILL_TIMEOUT_DEFAULT));
        assert_eq!(app.restart.policy, RestartPolicy::OnFailure);
        assert!(app.service.autostart);
    }
}
