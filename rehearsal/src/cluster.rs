//! Starts a whole fleet on this machine (the local Fly with lobby and gameservers) and injects faults into it.
//!
//! Path: [`Cluster::start`] writes the apps' `fly.toml` with shorter times than in production → the local Fly runs in
//! this process, its machines as children → [`Cluster::machines`] and [`Cluster::wait_for_state`] watch,
//! [`Cluster::act_on`] and [`Cluster::set_faults`] interfere.
//! Invariant: the files of the repository are read, never written.

use anyhow::{Context, ensure};
use clap::Parser;
use fly_local::{Config, FlyLocal, reserve_port};
use reqwest::{Client, Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{
    fmt::Write,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tokio::{net::TcpSocket, time::sleep};

/// How long the lobby may take until it answers.
const READY_MAX_MS: u64 = 30_000;
/// Longest wait for an answer of the cluster. Policy: an error.
const ANSWER_MAX_MS: u64 = 90_000;
/// How often [`Cluster::wait_for_state`] looks.
const POLL_MS: u64 = 20;
/// The apps, as their `fly.toml` name them.
const LOBBY_TOML: &str = include_str!("../../fly.toml");
const GAME_TOML: &str = include_str!("../../net/fly.toml");

/// How a cluster is set up.
#[derive(Debug, Clone)]
pub struct ClusterConfig {
    /// The pool: region and number of machines.
    pub pool: Vec<(&'static str, u32)>,
    /// Most machines per region and in all.
    pub machines_max: u32,
    /// Added to the gameservers' environment.
    pub game_env: Vec<(&'static str, String)>,
    /// Further words for the local Fly.
    pub words: Vec<String>,
    /// What the programs log, as `RUST_LOG` takes it.
    pub log: &'static str,
}

impl Default for ClusterConfig {
    /// One machine in Newark, no latency, and rooms that are empty for a second put their machine to sleep.
    fn default() -> Self {
        Self {
            pool: vec![("ewr", 1)],
            machines_max: 4,
            game_env: vec![("SLEEP_AFTER_S", "1".to_owned())],
            words: vec!["--latency".to_owned(), "off".to_owned()],
            log: "info",
        }
    }
}

/// A machine, as the local Fly's control API tells it.
#[derive(Debug, Clone, Deserialize)]
pub struct Machine {
    /// Its id: the instance of a path.
    pub id: String,
    /// The app it belongs to.
    pub app: String,
    /// Where it is.
    pub region: String,
    /// In Fly's words.
    pub state: String,
    /// Where its program listens, while it runs.
    pub address: Option<SocketAddr>,
    /// Its process, while it runs.
    pub pid: Option<u32>,
}

/// See the module.
#[derive(Debug)]
pub struct Cluster {
    fly: FlyLocal,
    game_app: String,
    http: Client,
    folder: TempDir,
    /// Where the lobby serves its metrics, held so that nobody else is given the port.
    metrics: TcpSocket,
}

impl Cluster {
    /// Starts everything and waits until the lobby answers.
    ///
    /// # Errors
    /// A sentence: a program that was not built, a port that cannot be had, a lobby that does not answer.
    pub async fn start(config: &ClusterConfig) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir().context("There is no folder for temporary files.")?;
        let write = |name: &str, text: &str| -> anyhow::Result<PathBuf> {
            let path = folder.path().join(name);
            std::fs::write(&path, text).with_context(|| format!("{} cannot be written.", path.display()))?;
            Ok(path)
        };
        let fleet = write("fleet.toml", &pools(config))?;
        let log = ("RUST_LOG", config.log.to_owned());
        let lobby_env = [("FLEET_FILE", fleet.display().to_string()), log.clone()];
        let game_env: Vec<_> = config.game_env.iter().cloned().chain([log]).collect();
        let lobby = write("lobby.toml", &with_env(LOBBY_TOML, &lobby_env))?;
        let game = write("game.toml", &with_env(GAME_TOML, &game_env))?;
        let mut words = vec!["fly-local".to_owned(), "--port=0".to_owned(), "--api-port=0".to_owned()];
        let paths = [("lobby-config", lobby), ("game-config", game), ("fleet", fleet)];
        let own = [("regions", repository().join("assets/regions.json")), ("bin-dir", programs()?)];
        words.extend(paths.iter().chain(&own).map(|(name, path)| format!("--{name}={}", path.display())));
        words.push(format!("--secret={SECRET}"));
        words.push(format!("--data-dir={}", folder.path().join("data").display()));
        let metrics = reserve_port()?;
        words.push(format!("--metrics-port={}", metrics.local_addr()?.port()));
        words.extend(config.words.iter().cloned());
        let fly = FlyLocal::start(Config::try_parse_from(words)?).await?;
        fly.ready(Duration::from_millis(READY_MAX_MS)).await?;
        let http =
            Client::builder().timeout(Duration::from_millis(ANSWER_MAX_MS)).redirect(reqwest::redirect::Policy::none());
        let game_app = named(GAME_TOML, "app").context("net/fly.toml names no app.")?;
        Ok(Self { fly, game_app, http: http.build()?, folder, metrics })
    }

    /// `http://` and the edge's address.
    pub fn url(&self) -> String {
        format!("http://{}", self.fly.edge())
    }

    /// Where the edge listens.
    pub fn edge(&self) -> SocketAddr {
        self.fly.edge()
    }

    /// The folder of everything that lasts: the object store is in it.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Sends a request to the edge. Redirects are answers.
    ///
    /// # Errors
    /// When nothing answers.
    pub async fn request(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<(StatusCode, String)> {
        let mut request = self.http.request(method, format!("{}{path}", self.url()));
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.with_context(|| format!("{path} does not answer"))?;
        Ok((answer.status(), answer.text().await?))
    }

    /// What the lobby counts, as Prometheus would read it.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn lobby_metrics(&self) -> anyhow::Result<String> {
        let answer = self.http.get(format!("http://{}/metrics", self.metrics.local_addr()?)).send().await;
        Ok(answer.context("the lobby's metrics do not answer")?.text().await?)
    }

    /// Where a path leads to: the `Location` of its redirect.
    ///
    /// # Errors
    /// When nothing answers, or the answer is no redirect.
    pub async fn location_of(&self, path: &str) -> anyhow::Result<String> {
        let answer = self.http.get(format!("{}{path}", self.url())).send().await?;
        let status = answer.status();
        let location = answer.headers().get("location").and_then(|value| value.to_str().ok().map(str::to_owned));
        location.with_context(|| format!("{path} was answered with {status} and no Location"))
    }

    /// The gameserver machines there are.
    ///
    /// # Errors
    /// When the control API does not answer.
    pub async fn machines(&self) -> anyhow::Result<Vec<Machine>> {
        let (_, text) = self.request(Method::GET, "/_fly/api/state", None).await?;
        let state: Value = serde_json::from_str(&text)?;
        let machines: Vec<Machine> = serde_json::from_value(state["machines"].clone())?;
        Ok(machines.into_iter().filter(|machine| machine.app == self.game_app).collect())
    }

    /// The gameserver machine of this id.
    ///
    /// # Errors
    /// When there is none.
    pub async fn machine(&self, id: &str) -> anyhow::Result<Machine> {
        let machines = self.machines().await?;
        machines.into_iter().find(|machine| machine.id == id).with_context(|| format!("there is no machine {id}"))
    }

    /// Waits until the machine is in a state; returns how long that took.
    ///
    /// # Errors
    /// When it is not within `most`.
    pub async fn wait_for_state(&self, id: &str, state: &str, most: Duration) -> anyhow::Result<Duration> {
        let began = Instant::now();
        loop {
            let now = self.machine(id).await?.state;
            if now == state {
                return Ok(began.elapsed());
            }
            ensure!(began.elapsed() < most, "{id} is {now} after {most:?}, not {state}");
            sleep(Duration::from_millis(POLL_MS)).await;
        }
    }

    /// `start`, `stop`, `suspend`, `kill`, `freeze`, `thaw` or `destroy` a machine, past everything the Machines API would say.
    ///
    /// # Errors
    /// When the local Fly refuses.
    pub async fn act_on(&self, id: &str, action: &str) -> anyhow::Result<()> {
        let (status, text) = self.request(Method::POST, &format!("/_fly/api/machines/{id}/{action}"), None).await?;
        ensure!(status.is_success(), "{action} was refused: {text}");
        Ok(())
    }

    /// Injects faults; an empty object ends them. See the local Fly's README for the fields.
    ///
    /// # Errors
    /// When a field is not known.
    pub async fn set_faults(&self, faults: Value) -> anyhow::Result<()> {
        let (status, text) = self.request(Method::PUT, "/_fly/api/faults", Some(&faults)).await?;
        ensure!(status.is_success(), "the faults were refused: {text}");
        Ok(())
    }

    /// Changes Fly's settings: only the fields that are named.
    ///
    /// # Errors
    /// When a field is not known.
    pub async fn set_settings(&self, settings: Value) -> anyhow::Result<()> {
        let (status, text) = self.request(Method::PATCH, "/_fly/api/settings", Some(&settings)).await?;
        ensure!(status.is_success(), "the settings were refused: {text}");
        Ok(())
    }

    /// How often the machine was started so far, as its events at the Machines API say.
    ///
    /// # Errors
    /// When the API does not answer.
    pub async fn starts_of(&self, id: &str) -> anyhow::Result<usize> {
        let url = format!("http://{}/v1/apps/{}/machines/{id}/events?limit=100", self.fly.api(), self.game_app);
        let answer = self.http.get(url).bearer_auth(self.fly.token()).send().await?;
        let events: Value = answer.json().await?;
        let events = events.as_array().cloned().or_else(|| events["events"].as_array().cloned()).unwrap_or_default();
        Ok(events.iter().filter(|event| event["type"] == "start" && event["status"] == "started").count())
    }

    /// A second lobby for the same fleet, on a port of its own; it ends when it is dropped.
    ///
    /// # Errors
    /// When its program cannot be started or does not answer.
    pub async fn second_lobby(&self) -> anyhow::Result<SecondLobby> {
        // Held until it listens, so that nobody else is given the port meanwhile.
        let reserved = reserve_port()?;
        let port = reserved.local_addr()?.port();
        let child = tokio::process::Command::new(programs()?.join("lobby"))
            .envs([
                ("PORT", port.to_string()),
                ("GAME_APP", self.game_app.clone()),
                ("PUBLIC_URL", self.url()),
                ("FLY_API_HOSTNAME", format!("http://{}", self.fly.api())),
                ("FLY_API_TOKEN", self.fly.token().to_owned()),
                ("FLY_REGION", "ewr".to_owned()),
                ("FLEET_FILE", self.folder().join("fleet.toml").display().to_string()),
                ("AERODROME_SECRET", SECRET.to_owned()),
            ])
            .kill_on_drop(true)
            .spawn()
            .context("the second lobby does not start")?;
        let lobby = SecondLobby { url: format!("http://127.0.0.1:{port}"), http: self.http.clone(), _child: child };
        let give_up = Instant::now() + Duration::from_millis(READY_MAX_MS);
        while self.http.get(format!("{}/healthz", lobby.url)).send().await.is_err() {
            ensure!(Instant::now() < give_up, "the second lobby does not answer");
            sleep(Duration::from_millis(POLL_MS)).await;
        }
        Ok(lobby)
    }

    /// Stops every machine in an orderly way.
    pub async fn shutdown(self) {
        self.fly.shutdown().await;
    }
}

/// What both apps sign with in a rehearsal.
pub const SECRET: &str = "only for rehearsals on this machine";

/// Another lobby of the same fleet.
#[derive(Debug)]
pub struct SecondLobby {
    url: String,
    http: Client,
    _child: tokio::process::Child,
}

impl SecondLobby {
    /// Its answer to a join.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn join(&self, request: &Value) -> anyhow::Result<(StatusCode, Value)> {
        let answer = self.http.post(format!("{}/api/join", self.url)).json(request).send().await?;
        Ok((answer.status(), answer.json().await?))
    }
}

/// A `fly.toml` with more in its `[env]`.
fn with_env(text: &str, more: &[(&str, String)]) -> String {
    let mut lines = String::from("[env]\n");
    for (name, value) in more {
        writeln!(lines, "{name} = {}", json!(value)).expect("text takes more text");
    }
    text.replacen("[env]\n", &lines, 1)
}

fn pools(config: &ClusterConfig) -> String {
    let most = config.machines_max;
    let mut text = format!("machines_max = {most}\n");
    for (region, machines) in &config.pool {
        write!(text, "\n[[pool]]\nregion = \"{region}\"\nmachines = {machines}\nmachines_max = {most}\n")
            .expect("text takes more text");
    }
    text
}

/// The value of a line `name = "value"`.
fn named(text: &str, name: &str) -> Option<String> {
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.trim().strip_prefix('='))?;
    Some(value.trim().trim_matches('"').to_owned())
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The folder of the programs that were built with this one: tests and benches lie in it, or one below.
fn programs() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe().context("This program does not know where it lies.")?;
    let found = own.ancestors().skip(1).take(2).find(|folder| folder.join("gameserver").is_file());
    let found = found.filter(|folder| folder.join("lobby").is_file());
    found.map(Path::to_owned).context("Lobby and gameserver are not built: cargo build -p lobby -p net")
}
