//! One Fly app: what its machines have in common, and what its `fly.toml` says about them.
//!
//! Path: [`App::load`] reads the same file a deployment reads and makes the machine configuration that `flyctl` would
//! make of it; the API's `POST /apps` makes an app without one.
//! Invariants: what a file leaves out gets Fly's documented default.
//! Never: starts anything; keys it has no use for (build, checks, metrics) are ignored.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::spec::{RestartPolicy, Spec};

/// The private network of an app that names none.
pub(crate) const NETWORK_DEFAULT: &str = "default";
const INTERNAL_PORT_DEFAULT: u16 = 8080;

/// An app: what all of its machines have in common.
#[derive(Debug, Clone)]
pub(crate) struct App {
    /// Name, as in `Fly-Replay: app=..`.
    pub(crate) name: String,
    /// Its private network. Fixed for good.
    pub(crate) network: String,
    /// The program that a machine of this app runs; without one, the image decides.
    pub(crate) program: Option<PathBuf>,
    /// Region of its first machine.
    pub(crate) primary_region: String,
    /// What wins over a configuration's `env`: secrets, and what differs on this computer. The API never shows it.
    pub(crate) secrets: BTreeMap<String, String>,
    /// Configuration of the machines that are there from the start.
    pub(crate) template: Option<Spec>,
}

/// The part of `[http_service]` that the proxy acts on or the API shows.
#[derive(Debug, Deserialize)]
struct HttpService {
    #[serde(default = "internal_port_default")]
    internal_port: u16,
    #[serde(default = "yes")]
    auto_start_machines: bool,
    #[serde(default)]
    auto_stop_machines: Option<Value>,
    #[serde(default)]
    min_machines_running: u32,
    #[serde(default)]
    force_https: bool,
    #[serde(default)]
    concurrency: Option<Value>,
}

impl App {
    /// Reads the app's `fly.toml`. `program` is the binary its machines run.
    pub(crate) fn load(path: &Path, program: PathBuf) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("The app's configuration {} cannot be read.", path.display()))?;
        Self::parse(&text, program).with_context(|| format!("{} is not a valid fly.toml.", path.display()))
    }

    /// An app that was asked for through the API.
    pub(crate) fn without_file(
        name: String,
        network: String,
        primary_region: String,
        secrets: BTreeMap<String, String>,
    ) -> Self {
        Self { name, network, program: None, primary_region, secrets, template: None }
    }

    fn parse(text: &str, program: PathBuf) -> anyhow::Result<Self> {
        let file: File = toml::from_str(text)?;
        let template = file.machine_config()?;
        let template = template.as_object().expect("it was made as an object").clone();
        Ok(Self {
            network: NETWORK_DEFAULT.into(),
            program: Some(program),
            primary_region: file.primary_region,
            secrets: BTreeMap::new(),
            template: Some(Spec::parse(template).map_err(anyhow::Error::msg)?),
            name: file.app,
        })
    }
}

/// The image that an app's machines run.
pub(crate) fn image_ref(app: &str) -> String {
    format!("registry.fly.io/{app}:local")
}

#[derive(Deserialize)]
struct File {
    app: String,
    primary_region: String,
    kill_signal: Option<String>,
    kill_timeout: Option<Time>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    http_service: HttpService,
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

impl File {
    /// What `flyctl` would send as a machine's `config`.
    fn machine_config(&self) -> anyhow::Result<Value> {
        let mut config = json!({
            "image": image_ref(&self.app),
            "env": self.env,
            "guest": { "cpu_kind": "shared", "cpus": 1 },
            "metadata": { "fly_platform_version": "v2", "fly_process_group": "app" },
            "services": [self.http_service.machine_service()],
            "restart": {},
            "stop_config": {},
            "auto_destroy": false,
        });
        if let Some(memory) = self.vm.first().and_then(|vm| vm.memory.as_ref()) {
            config["guest"]["memory_mb"] = memory_mb(memory).context("[[vm]] memory is not like \"256mb\"")?.into();
        }
        if let Some(restart) = self.restart.first() {
            config["restart"]["policy"] = serde_json::to_value(restart.policy)?;
            if let Some(retries) = restart.retries {
                config["restart"]["max_retries"] = retries.into();
            }
        }
        if let Some(signal) = &self.kill_signal {
            config["stop_config"]["signal"] = signal.as_str().into();
        }
        if let Some(time) = &self.kill_timeout {
            config["stop_config"]["timeout"] = match time {
                Time::Seconds(seconds) => format!("{seconds}s").into(),
                Time::Text(text) => text.as_str().into(),
            };
        }
        ensure!(
            !self.env.keys().any(|name| name.starts_with("FLY_")),
            "[env] may not set names in FLY_: they are Fly's"
        );
        Ok(config)
    }
}

impl HttpService {
    fn machine_service(&self) -> Value {
        let mut service = json!({
            "protocol": "tcp",
            "internal_port": self.internal_port,
            "ports": [
                { "port": 80, "handlers": ["http"], "force_https": self.force_https },
                { "port": 443, "handlers": ["tls", "http"] },
            ],
            "autostart": self.auto_start_machines,
            "autostop": self.auto_stop_machines.clone().unwrap_or("off".into()),
            "min_machines_running": self.min_machines_running,
        });
        if let Some(concurrency) = &self.concurrency {
            service["concurrency"] = concurrency.clone();
        }
        service
    }
}

/// Seconds, or text such as `10s`.
#[derive(Deserialize)]
#[serde(untagged)]
enum Time {
    Seconds(u64),
    Text(String),
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

fn internal_port_default() -> u16 {
    INTERNAL_PORT_DEFAULT
}

fn yes() -> bool {
    true
}

#[cfg(test)]
mod tests {
    use nix::sys::signal::Signal;

    use super::*;
    use crate::settings::{Settings, Switch};
    use crate::spec::Restart;

    #[test]
    fn the_projects_own_files_are_understood() {
        let lobby = App::parse(include_str!("../../fly.toml"), "lobby".into()).unwrap();
        let front = lobby.template.unwrap();
        assert_eq!((lobby.name.as_str(), lobby.primary_region.as_str()), ("aerodrome", "ewr"));
        assert_eq!(front.stop(&Settings::default()).0, Signal::SIGTERM);
        assert_eq!(front.memory_mb(), 256);
        let game = App::parse(include_str!("../../net/fly.toml"), "gameserver".into()).unwrap();
        assert_eq!(game.name, front.env()["GAME_APP"]);
        let spec = game.template.unwrap();
        assert_eq!(spec.restart(), Restart { policy: RestartPolicy::OnFailure, max_retries: 10 });
        let service = spec.service(443).unwrap();
        assert!(service.is_autostarted(Switch::Off), "a replay to a sleeping machine must start it");
        assert_eq!(spec.memory_mb(), 4096);
    }

    #[test]
    fn what_a_file_leaves_out_gets_flys_defaults() {
        let app = App::parse("app = \"a\"\nprimary_region = \"ewr\"\n[http_service]", "a".into()).unwrap();
        let spec = app.template.unwrap();
        assert_eq!(spec.stop(&Settings::default()), (Signal::SIGINT, std::time::Duration::from_secs(5)));
        assert_eq!(spec.restart(), Restart::default());
        assert!(spec.service(80).unwrap().is_autostarted(Switch::Off));
    }
}
