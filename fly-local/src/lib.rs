//! A local Fly: an edge proxy that obeys `Fly-Replay`, a Machines API, and regions with their latency, over real child
//! processes.
//!
//! Path: [`FlyLocal::start`] reads the apps' `fly.toml` files, seeds the fleet, serves API and edge, and starts the
//! lobby; a request then goes client → edge → lobby → `Fly-Replay` → edge → gameserver.
//! Invariants: loopback only; the machines' environment is Fly's; no child outlives [`FlyLocal::shutdown`], a dropped
//! [`FlyLocal`], or the process itself.
//! Never: knows what the apps do; whatever it emulates is listed in README.md and in the modules' own headers.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

pub use boot::reserve_port;
pub use config::Config;
pub use controls::{Answer, Faults, Host, MachineFaults};
pub use settings::{KillSignal, Settings, StartOnStarted, Switch, WebsocketReplay};

use app::App;
use controls::Controls;
use data_dir::DataDir;
use edge::Edge;
use fleet::{Fleet, MachineDefaults, Pools};
use machine_state::Command;
use regions::Regions;
use routing::Routing;

mod api;
mod app;
mod boot;
mod child;
mod config;
mod control_api;
mod controls;
mod data_dir;
mod failure;
mod fleet;
mod headers;
mod latency;
mod lease;
mod machine;
mod machine_state;

mod edge;
mod fly_replay;
mod rate_limit;
mod regions;
mod replayable;
mod routing;
mod settings;
mod spec;
mod supervisor;
mod unix_time;
mod upstream;

/// Program of the lobby app, in the folder of programs.
const LOBBY_PROGRAM: &str = "lobby";
/// Program of the gameserver app.
const GAME_PROGRAM: &str = "gameserver";
/// Pause between two looks at whether the lobby answers.
const READY_PAUSE_MS: u64 = 50;
/// Bytes of randomness in a secret.
const SECRET_BYTES: usize = 32;

/// A running local Fly. Dropping it kills its machines at once; [`Self::shutdown`] lets them say goodbye.
#[derive(Debug)]
pub struct FlyLocal {
    edge: SocketAddr,
    api: SocketAddr,
    token: String,
    fleet: Arc<Fleet>,
    tasks: Vec<JoinHandle<()>>,
    _data: DataDir,
}

impl FlyLocal {
    /// Starts everything; returns when the lobby's process runs, which is before it answers (see [`Self::ready`]).
    /// Errors are sentences for the person who typed the command.
    pub async fn start(config: Config) -> anyhow::Result<Self> {
        let regions = Regions::load(&config.regions)?;
        ensure!(regions.knows(&config.edge_region), "There is no region `{}` to be in.", config.edge_region);
        let pools = Pools::load(&config.fleet, &regions)?;
        let faults = config.faults.as_deref().map(load_faults).transpose()?;
        let bin_dir = bin_dir(&config)?;
        let mut lobby = App::load(&config.lobby_config, program(&bin_dir, LOBBY_PROGRAM)?)?;
        let mut game = App::load(&config.game_config, program(&bin_dir, GAME_PROGRAM)?)?;
        game.network = config.game_network.unwrap_or(game.network);

        let edge_listener = listen(config.port, "PORT").await?;
        let api_listener = listen(config.api_port, "FLY_API_PORT").await?;
        let (edge, api) = (edge_listener.local_addr()?, api_listener.local_addr()?);
        let data = DataDir::open(config.data_dir.as_deref(), config.port)?;
        let token = config.api_token.map_or_else(random_hex, Ok)?;
        let secret = config.secret.map_or_else(random_hex, Ok)?;
        let common_env = BTreeMap::from([
            ("LOG_FORMAT".into(), "text".into()),
            ("STORE_URL".into(), config.store_url.unwrap_or_else(|| data.store_url())),
        ]);
        for app in [&mut lobby, &mut game] {
            app.secrets.insert("AERODROME_SECRET".into(), secret.clone());
        }
        lobby.secrets.insert("PUBLIC_URL".into(), format!("http://{edge}"));
        lobby.secrets.insert("FLY_API_HOSTNAME".into(), format!("http://{api}"));
        // What its file says is a port of a machine of its own; here it would be in the way of others.
        let metrics_port = config.metrics_port.map_or_else(String::new, |port| port.to_string());
        lobby.secrets.insert("METRICS_PORT".into(), metrics_port);
        lobby.secrets.insert("FLY_API_TOKEN".into(), token.clone());

        let controls = Arc::new(Controls::new(config.settings));
        let defaults = MachineDefaults { disks: data.disks(), common_env };
        let fleet = Fleet::seed(lobby, game, &pools, regions, config.edge_region, defaults, controls);
        if let Some((path, faults)) = config.faults.as_ref().zip(faults) {
            let checked = fleet.check(&faults).map_err(anyhow::Error::msg);
            checked.with_context(|| format!("The file of faults {} is not valid.", path.display()))?;
            fleet.controls.set_faults(faults);
        }
        let fleet = Arc::new(fleet);
        let router = api::router(Arc::clone(&fleet), &token);
        let edge_proxy = Arc::new(Edge {
            control: TowerToHyperService::new(control_api::router(Arc::clone(&fleet), edge)),
            routing: Routing { fleet: Arc::clone(&fleet), has_latency: config.latency.is_on() },
            address: edge,
        });
        let tasks = vec![
            tokio::spawn(async move {
                if let Err(error) = axum::serve(api_listener, router).await {
                    tracing::error!(%error, "the Machines API ended");
                }
            }),
            tokio::spawn(edge_proxy.serve(edge_listener)),
        ];
        let running = Self { edge, api, token, fleet, tasks, _data: data };
        running.start_lobby().await?;
        Ok(running)
    }

    /// Where people connect.
    pub fn edge(&self) -> SocketAddr {
        self.edge
    }

    /// Where the Machines API listens.
    pub fn api(&self) -> SocketAddr {
        self.api
    }

    /// The token that the Machines API asks for.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Region codes of the gameserver machines, each once.
    pub fn pool_regions(&self) -> Vec<String> {
        let game = self.fleet.machines().into_iter().filter(|it| it.identity.app.name == self.fleet.game.name);
        let codes: BTreeSet<_> = game.map(|machine| machine.identity.region.clone()).collect();
        codes.into_iter().collect()
    }

    /// Waits until the lobby answers `/healthz` through the edge, at most `timeout`.
    pub async fn ready(&self, timeout: Duration) -> anyhow::Result<()> {
        let lobby_gone = self.lobby_gone();
        let answers = async {
            while !self.healthy().await {
                tokio::time::sleep(Duration::from_millis(READY_PAUSE_MS)).await;
            }
        };
        tokio::select! {
            () = answers => Ok(()),
            () = lobby_gone => bail!("The lobby stopped while it was starting. Its lines above say why."),
            () = tokio::time::sleep(timeout) => bail!("The lobby runs but does not answer. Its lines above may say why."),
        }
    }

    /// Stops every machine as its app asks for (signal, grace, kill), then edge and API.
    pub async fn shutdown(self) {
        self.fleet.end().await;
    }

    async fn start_lobby(&self) -> anyhow::Result<()> {
        for machine in self.lobby_machines() {
            if let Err(refused) = machine.send(Command::Start).await {
                bail!("The lobby could not be started: {refused:?}");
            }
        }
        Ok(())
    }

    fn lobby_machines(&self) -> Vec<Arc<machine::Machine>> {
        let machines = self.fleet.machines().into_iter();
        machines.filter(|machine| machine.identity.app.name == self.fleet.lobby.name).collect()
    }

    /// Returns when a lobby has exited, even if it is restarted: whoever waits for the first page wants to know at once.
    async fn lobby_gone(&self) {
        for machine in self.lobby_machines() {
            machine.wait(|view| view.events.iter().any(|event| event.kind == "exit")).await;
        }
    }

    async fn healthy(&self) -> bool {
        let ask = async {
            let mut stream = TcpStream::connect(self.edge).await?;
            let request = format!("GET /healthz HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", self.edge);
            stream.write_all(request.as_bytes()).await?;
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await?;
            std::io::Result::Ok(answer.starts_with(b"HTTP/1.1 200"))
        };
        ask.await.unwrap_or(false)
    }
}

impl Drop for FlyLocal {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

fn bin_dir(config: &Config) -> anyhow::Result<PathBuf> {
    if let Some(dir) = &config.bin_dir {
        // Machines run in folders of their own, so the path must be whole.
        return dir.canonicalize().with_context(|| format!("There is no folder of programs {}.", dir.display()));
    }
    let own = std::env::current_exe().context("The folder of fly-local itself is unknown; name one with --bin-dir.")?;
    Ok(own.parent().expect("a program lies in a folder").to_owned())
}

fn load_faults(path: &Path) -> anyhow::Result<Faults> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("The file of faults {} cannot be read.", path.display()))?;
    let faults = control_api::read_faults(&text).map_err(anyhow::Error::msg);
    faults.with_context(|| format!("The file of faults {} is not valid.", path.display()))
}

fn program(dir: &Path, name: &str) -> anyhow::Result<PathBuf> {
    let path = dir.join(name);
    ensure!(
        path.is_file(),
        "The program `{name}` is missing from {}. Build it first, or name its folder with --bin-dir.",
        dir.display()
    );
    Ok(path)
}

async fn listen(port: u16, variable: &str) -> anyhow::Result<TcpListener> {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await {
        Ok(listener) => Ok(listener),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => bail!(
            "Port {port} is in use by another program. Stop it, or choose another one: make run {variable}={}",
            port.checked_add(1).unwrap_or(port - 1)
        ),
        Err(error) => Err(error).with_context(|| format!("Port {port} cannot be opened.")),
    }
}

fn random_hex() -> anyhow::Result<String> {
    let mut bytes = [0; SECRET_BYTES];
    getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("The system gives no randomness: {error}"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
