//! A local Fly over the fixture app, in a folder of its own.
//!
//! Apps: `front` (the lobby) and `game`, with one stopped machine each in `ewr` and `cdg`; policies as in production.

#![allow(dead_code, reason = "each test file uses its own part")]

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use fly_local::{Config, FlyLocal, Switch};
use serde_json::Value;

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

    pub(crate) fn api(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        let url = format!("http://{}/v1/apps{path}", self.fly.api());
        self.http.request(method, url).bearer_auth(self.fly.token())
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        answer(self.api(reqwest::Method::GET, path)).await
    }

    pub(crate) async fn post(&self, path: &str) -> (u16, Value) {
        answer(self.api(reqwest::Method::POST, path)).await
    }

    /// Id of the game machine in `region`.
    pub(crate) async fn game_machine(&self, region: &str) -> String {
        let (_, list) = self.get(&format!("/game/machines?region={region}")).await;
        list[0]["id"].as_str().expect("the pool has one there").to_owned()
    }

    pub(crate) async fn state(&self, id: &str) -> String {
        self.get(&format!("/game/machines/{id}")).await.1["state"].as_str().expect("a state").to_owned()
    }

    pub(crate) async fn wait_for(&self, id: &str, state: &str) {
        let (status, body) = self.get(&format!("/game/machines/{id}/wait?state={state}&timeout=15")).await;
        assert_eq!(status, 200, "{body}");
    }
}

pub(crate) async fn answer(request: reqwest::RequestBuilder) -> (u16, Value) {
    let response = request.send().await.expect("the API answers");
    (response.status().as_u16(), response.json().await.expect("JSON"))
}

pub(crate) async fn seen(request: reqwest::RequestBuilder) -> Value {
    let response = request.send().await.expect("the edge answers");
    assert_eq!(response.status(), 200);
    response.json().await.expect("the fixture's echo")
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
        lobby_config: write("front.toml", &format!("app = \"front\"\n{service}")),
        game_config: write("game.toml", &game),
        fleet: write(
            "fleet.toml",
            "[[pool]]\nregion = \"ewr\"\nmachines = 1\n[[pool]]\nregion = \"cdg\"\nmachines = 1\n",
        ),
        regions: Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets/regions.json"),
        bin_dir: Some(folder),
        edge_region: "ewr".into(),
        latency: Switch::Off,
        secret: None,
    }
}

fn link(at: &Path) {
    let _ = std::fs::remove_file(at);
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_fly-local-fixture"), at).expect("the target folder is ours");
}
