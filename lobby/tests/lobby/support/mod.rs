//! A lobby on a free port, in front of a scripted Machines API that can be told what to answer.
//!
//! The API also answers the status path, as a machine behind the edge would.

pub(crate) mod api;

use api::{Api, Shared};
use lobby::api_config::{ApiConfig, ApiToken};
use lobby::config::Config;
use lobby::in_flight::REQUESTS_MAX_COUNT;
use lobby::listen::Deadlines;
use lobby::pools::Pools;
use protocol::token::Key;
use serde_json::Value;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub(crate) const SECRET: &str = "a secret of enough length";
/// Up to three machines in each of three regions, five in all.
const FLEET: &str = "machines_max = 5
[[pool]]
region = \"ewr\"
machines = 1
machines_max = 3
[[pool]]
region = \"cdg\"
machines = 1
machines_max = 3
[[pool]]
region = \"nrt\"
machines = 1
machines_max = 3
";

pub(crate) struct Lobby {
    pub(crate) url: String,
    /// Of the metrics.
    metrics_url: String,
    pub(crate) api: Shared,
    pub(crate) http: reqwest::Client,
    stop: Option<oneshot::Sender<()>>,
    server: JoinHandle<()>,
}

impl Lobby {
    /// Starts both; `machines` are (id, region, state).
    pub(crate) async fn start(machines: &[(&str, &str, &str)]) -> Self {
        Self::over(Api::serve(machines).await).await
    }

    /// One more lobby over the same API.
    pub(crate) async fn over(api: Shared) -> Self {
        Self::configured(api, |_| ()).await
    }

    pub(crate) async fn configured(api: Shared, change: impl FnOnce(&mut Config)) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let metrics = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let metrics_url = format!("http://{}/metrics", metrics.local_addr().unwrap());
        let mut config = Config {
            metrics: None,
            listen: listener.local_addr().unwrap(),
            key: key(),
            api: api_config(&api),
            pools: Pools::parse(FLEET).unwrap(),
            public_url: api.url(),
            allowed_origins: Vec::new(),
            deadlines: Deadlines::default(),
            requests_max_count: REQUESTS_MAX_COUNT,
            region: Some("ewr".into()),
            log_json: false,
        };
        change(&mut config);
        let (stop, stopped) = oneshot::channel();
        let server =
            tokio::spawn(
                async move { lobby::serve(&config, listener, Some(metrics), async { drop(stopped.await) }).await },
            );
        // A redirect is an answer to be looked at.
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { url, metrics_url, api, http, stop: Some(stop), server }
    }

    pub(crate) fn get(&self, path: &str) -> reqwest::RequestBuilder {
        self.http.get(format!("{}{path}", self.url))
    }

    pub(crate) async fn metrics(&self) -> String {
        self.http.get(&self.metrics_url).send().await.unwrap().text().await.unwrap()
    }

    pub(crate) async fn board(&self) -> Value {
        self.get("/api/regions").header("fly-region", "ewr").send().await.unwrap().json().await.unwrap()
    }

    /// The row of a region on the board.
    pub(crate) async fn row(&self, region: &str) -> Value {
        let board = self.board().await;
        let row = board["regions"].as_array().unwrap().iter().find(|row| row["region"] == region);
        row.unwrap_or_else(|| panic!("{region} is on {board}")).clone()
    }

    /// A join as programs make it.
    pub(crate) fn ask_to_join(&self, body: &str) -> reqwest::RequestBuilder {
        let request = self.http.post(format!("{}/api/join", self.url)).header("content-type", "application/json");
        request.body(body.to_owned())
    }

    /// Status and body of a join.
    pub(crate) async fn join(&self, body: &str) -> (u16, Value) {
        let answer = self.ask_to_join(body).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    /// The events of a join as (name, data), to its end.
    pub(crate) async fn join_told(&self, body: &str) -> Vec<(String, Value)> {
        let request = self.ask_to_join(body).header("accept", "text/event-stream");
        let text = request.send().await.unwrap().text().await.unwrap();
        let event = |block: &str| {
            let line = |field: &str| block.lines().find_map(|line| line.strip_prefix(field)).map(str::to_owned);
            Some((line("event: ")?, serde_json::from_str(&line("data: ")?).unwrap()))
        };
        text.split("\n\n").filter_map(event).collect()
    }

    /// Asks the lobby to close, and waits until it has.
    pub(crate) async fn close(mut self) {
        self.stop.take().unwrap().send(()).unwrap();
        tokio::time::timeout(Duration::from_secs(3), &mut self.server).await.expect("closes soon").unwrap();
    }
}

pub(crate) fn key() -> Key {
    Key::new(SECRET).unwrap()
}

pub(crate) fn api_config(api: &Shared) -> ApiConfig {
    ApiConfig { url: api.url(), token: ApiToken("token".into()), game_app: "aerodrome-game".into() }
}

pub(crate) fn now_s() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

/// An error body of the Machines API.
pub(crate) fn error(text: &str) -> Value {
    serde_json::json!({"error": text})
}
