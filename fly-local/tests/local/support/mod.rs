//! A local Fly over the fixture app, in a folder of its own.
//!
//! Apps: `front` (the lobby) and `game`, with one stopped machine each in `ewr` and `cdg`; policies as in production.

#![allow(dead_code, reason = "each test file uses its own part")]

pub(crate) mod openapi;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use fly_local::{Config, FlyLocal, Settings, Switch};
use reqwest::Method;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, tungstenite};

/// Longer than anything here takes, shorter than anybody wants to wait.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A running local Fly with a client for its edge and its API.
pub(crate) struct Local {
    pub(crate) fly: FlyLocal,
    pub(crate) http: reqwest::Client,
}

impl Local {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub(crate) async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = config();
        change(&mut config);
        let fly = FlyLocal::start(config).await.expect("it starts");
        fly.ready(PATIENCE).await.expect("the lobby answers");
        let http = reqwest::Client::builder().timeout(PATIENCE).no_proxy().build().expect("a plain client");
        Self { fly, http }
    }

    /// A request to the edge that asks the lobby to answer `directive`.
    pub(crate) fn ask(&self, path: &str, directive: &str) -> reqwest::RequestBuilder {
        let request = self.http.get(format!("http://{}{path}", self.fly.edge()));
        if directive.is_empty() { request } else { request.header("x-directive", directive) }
    }

    /// What the fixture that answered [`Self::ask`] saw.
    pub(crate) async fn seen(&self, path: &str, directive: &str) -> Value {
        seen(self.ask(path, directive)).await
    }

    pub(crate) fn api(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let url = format!("http://{}/v1/apps{path}", self.fly.api());
        self.http.request(method, url).bearer_auth(self.fly.token())
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        answer(self.api(Method::GET, path)).await
    }

    pub(crate) async fn post(&self, path: &str) -> (u16, Value) {
        answer(self.api(Method::POST, path)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> (u16, Value) {
        answer(self.api(Method::DELETE, path)).await
    }

    pub(crate) async fn send(&self, method: Method, path: &str, body: &Value) -> (u16, Value) {
        answer(self.api(method, path).json(body)).await
    }

    /// A request to the control API.
    pub(crate) async fn control(&self, method: Method, path: &str, body: &Value) -> (u16, Value) {
        let url = format!("http://{}/_fly/api{path}", self.fly.edge());
        let response = self.http.request(method, url).json(body).send().await.expect("the control API answers");
        let status = response.status().as_u16();
        let text = response.text().await.expect("a text");
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    /// Changes settings while everything runs.
    pub(crate) async fn set(&self, settings: Value) {
        let (status, body) = self.control(Method::PATCH, "/settings", &settings).await;
        assert_eq!(status, 200, "{body}");
    }

    /// Breaks or mends something.
    pub(crate) async fn fault(&self, faults: Value) {
        let (status, body) = self.control(Method::PATCH, "/faults", &faults).await;
        assert_eq!(status, 200, "{body}");
    }

    /// Id of the game machine in `region`.
    pub(crate) async fn game_machine(&self, region: &str) -> String {
        let (_, list) = self.get(&format!("/game/machines?region={region}")).await;
        list[0]["id"].as_str().expect("the pool has one there").to_owned()
    }

    /// Process of the machine `id`, which a replay reaches.
    pub(crate) async fn pid(&self, id: &str) -> u64 {
        self.seen("/", &format!("app=game;instance={id}")).await["pid"].as_u64().expect("the fixture's echo")
    }

    /// Status of an answer to a replay by `directive`.
    pub(crate) async fn status(&self, directive: &str) -> u16 {
        self.ask("/", directive).send().await.expect("the edge answers").status().as_u16()
    }

    /// Makes a game machine in `ewr` as `body` says and waits until it is `started`, or `stopped` if it is not launched.
    pub(crate) async fn make(&self, mut body: Value) -> String {
        body["region"] = "ewr".into();
        let state = if body["skip_launch"] == true { "stopped" } else { "started" };
        let (status, made) = self.send(Method::POST, "/game/machines", &body).await;
        assert_eq!(status, 200, "{made}");
        let id = made["id"].as_str().expect("an id").to_owned();
        self.wait_for(&id, state).await;
        id
    }

    pub(crate) async fn state(&self, id: &str) -> String {
        self.get(&format!("/game/machines/{id}")).await.1["state"].as_str().expect("a state").to_owned()
    }

    pub(crate) async fn wait_for(&self, id: &str, state: &str) {
        let (status, body) = self.get(&format!("/game/machines/{id}/wait?state={state}&timeout=15")).await;
        assert_eq!(status, 200, "{body}");
    }
}

/// Status and body of the API's answer, checked against Fly's specification if there is one.
pub(crate) async fn answer(request: reqwest::RequestBuilder) -> (u16, Value) {
    let (client, request) = request.build_split();
    let request = request.expect("a request");
    let (method, path) = (request.method().to_string(), request.url().path().to_owned());
    let response = client.execute(request).await.expect("the API answers");
    let status = response.status().as_u16();
    let text = response.text().await.expect("a text");
    let body = match text.as_str() {
        "" => Value::Null,
        text => serde_json::from_str(text).unwrap_or_else(|error| panic!("{method} {path}: {error}: {text}")),
    };
    openapi::check(&method, path.strip_prefix("/v1").expect("the API is below /v1"), status, &body);
    (status, body)
}

pub(crate) async fn seen(request: reqwest::RequestBuilder) -> Value {
    let response = request.send().await.expect("the edge answers");
    assert_eq!(response.status(), 200);
    response.json().await.expect("the fixture's echo")
}

/// A WebSocket to the edge, whose lobby answers `directive` with `status`.
pub(crate) async fn socket(
    local: &Local,
    directive: &str,
    status: &str,
) -> Result<WebSocketStream<MaybeTlsStream<TcpStream>>, tungstenite::Error> {
    let mut request = format!("ws://{}/ws", local.fly.edge()).into_client_request()?;
    request.headers_mut().insert("x-directive", directive.parse().expect("a header's value"));
    request.headers_mut().insert("x-status", status.parse().expect("a status"));
    Ok(tokio_tungstenite::connect_async(request).await?.0)
}

/// Whether a process of this id runs (a zombie does not).
pub(crate) fn runs(pid: u64) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !status.is_empty() && !status.contains(") Z ")
}

/// Waits until no process of this id runs.
pub(crate) async fn gone(pid: u64) -> bool {
    let start = Instant::now();
    while runs(pid) {
        if start.elapsed() > PATIENCE {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    true
}

/// A service as the apps of these tests have it, for machines made through the API.
pub(crate) fn service() -> Value {
    serde_json::json!({
        "protocol": "tcp",
        "internal_port": 8080,
        "autostart": true,
        "ports": [{ "port": 443, "handlers": ["tls", "http"] }],
    })
}

/// Configuration files and programs in a fresh folder; any free ports, no latency.
pub(crate) fn config() -> Config {
    static FOLDERS: AtomicU32 = AtomicU32::new(0);
    let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("fly-{}-{number}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("the target folder is ours");
    let write = |name: &str, text: &str| {
        std::fs::write(folder.join(name), text).expect("the target folder is ours");
        folder.join(name)
    };
    for program in ["lobby", "gameserver"] {
        link(&folder.join(program));
    }
    let service = "kill_signal = \"SIGTERM\"\nkill_timeout = 1\nprimary_region = \"ewr\"\n[http_service]\n";
    let game = format!(
        "app = \"game\"\n{service}[env]\nBOOT_MS = \"200\"\n[[restart]]\npolicy = \"on-failure\"\nretries = 2\n"
    );
    Config {
        port: 0,
        api_port: 0,
        metrics_port: None,
        lobby_config: write("front.toml", &format!("app = \"front\"\n{service}")),
        game_config: write("game.toml", &game),
        fleet: write(
            "fleet.toml",
            "[[pool]]\nregion = \"ewr\"\nmachines = 1\n[[pool]]\nregion = \"cdg\"\nmachines = 1\n",
        ),
        regions: Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets/regions.json"),
        bin_dir: Some(folder),
        game_network: None,
        data_dir: None,
        store_url: None,
        edge_region: "ewr".into(),
        latency: Switch::Off,
        faults: None,
        api_token: None,
        secret: None,
        settings: quick(),
    }
}

/// Settings under which nothing takes longer than it must, and calls are not counted: tests ask more often than that.
pub(crate) fn quick() -> Settings {
    Settings {
        create_ms: 0,
        boot_ms: 0,
        resume_ms: 0,
        suspend_ms: 0,
        replace_ms: 0,
        destroy_ms: 0,
        teardown_ms: 0,
        edge_lag_ms: 0,
        rate_limits: Switch::Off,
        ..Settings::default()
    }
}

fn link(at: &Path) {
    let _ = std::fs::remove_file(at);
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_fly-local-fixture"), at).expect("the target folder is ours");
}
