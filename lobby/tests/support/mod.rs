//! A lobby on a free port, in front of a small fake of the Machines API that can be told what to answer.
//!
//! The fake also answers the status path, as a machine behind the edge would.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use lobby::config::{ApiToken, Config};
use protocol::token::Key;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub(crate) const SECRET: &str = "a secret of enough length";
const BOOT_MS: u64 = 150;

/// What the fake knows and was asked.
#[derive(Default)]
pub(crate) struct Fake {
    /// Id → (region, state).
    pub(crate) machines: BTreeMap<String, (String, String)>,
    /// Id → what `start` answers next, before it behaves.
    pub(crate) script: HashMap<String, VecDeque<(u16, Value)>>,
    /// Whether the last scripted answer stays for ever.
    pub(crate) is_stubborn: bool,
    /// Id → how often `start` was asked for.
    pub(crate) starts: HashMap<String, u32>,
    pub(crate) lists: u32,
    /// Whether the list is refused.
    pub(crate) refuses_lists: bool,
}

pub(crate) type Shared = Arc<Mutex<Fake>>;

pub(crate) struct Lobby {
    pub(crate) url: String,
    pub(crate) fake: Shared,
    pub(crate) http: reqwest::Client,
    stop: Option<oneshot::Sender<()>>,
    server: JoinHandle<std::io::Result<()>>,
}

impl Lobby {
    /// Starts both; `machines` are (id, region, state).
    pub(crate) async fn start(machines: &[(&str, &str, &str)]) -> Self {
        let fake = Shared::default();
        for (id, region, state) in machines {
            fake.lock().unwrap().machines.insert((*id).into(), ((*region).into(), (*state).into()));
        }
        let fake_address = serve_fake(fake.clone()).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let config = Config {
            listen: listener.local_addr().unwrap(),
            key: key(),
            api_url: format!("http://{fake_address}"),
            api_token: ApiToken("token".into()),
            game_app: "aerodrome-game".into(),
            public_url: format!("http://{fake_address}"),
            region: Some("ewr".into()),
            log_json: false,
        };
        let (stop, stopped) = oneshot::channel();
        let server = tokio::spawn(async move { lobby::serve(&config, listener, async { drop(stopped.await) }).await });
        Self { url, fake, http: reqwest::Client::new(), stop: Some(stop), server }
    }

    pub(crate) fn get(&self, path: &str) -> reqwest::RequestBuilder {
        self.http.get(format!("{}{path}", self.url))
    }

    pub(crate) async fn board(&self) -> Value {
        self.get("/api/regions").header("fly-region", "ewr").send().await.unwrap().json().await.unwrap()
    }

    /// Status and body of a join.
    pub(crate) async fn join(&self, body: &str) -> (u16, Value) {
        let request = self.http.post(format!("{}/api/join", self.url)).body(body.to_owned());
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    /// Asks the lobby to close, and waits until it has.
    pub(crate) async fn close(mut self) {
        self.stop.take().unwrap().send(()).unwrap();
        tokio::time::timeout(Duration::from_secs(3), &mut self.server).await.expect("closes soon").unwrap().unwrap();
    }
}

pub(crate) fn key() -> Key {
    Key::new(SECRET).unwrap()
}

async fn serve_fake(fake: Shared) -> SocketAddr {
    let router = Router::new()
        .route("/v1/apps/aerodrome-game/machines", get(list))
        .route("/v1/apps/aerodrome-game/machines/{id}/start", post(start))
        .route("/v1/apps/aerodrome-game/machines/{id}/wait", get(wait))
        .route("/gameserver/{id}/status", get(status))
        .with_state(fake);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

async fn list(State(fake): State<Shared>) -> Response {
    let mut fake = fake.lock().unwrap();
    fake.lists += 1;
    if fake.refuses_lists {
        return (StatusCode::TOO_MANY_REQUESTS, Json(json!({"error": "rate limit exceeded"}))).into_response();
    }
    let machine = |(id, (region, state)): (&String, &(String, String))| json!({"id": id, "region": region, "state": state, "host_status": "ok"});
    Json(fake.machines.iter().map(machine).collect::<Vec<_>>()).into_response()
}

async fn start(State(fake): State<Shared>, Path(id): Path<String>) -> Response {
    let previous = {
        let mut fake = fake.lock().unwrap();
        *fake.starts.entry(id.clone()).or_default() += 1;
        let is_stubborn = fake.is_stubborn;
        if let Some(answers) = fake.script.get_mut(&id)
            && let Some((status, body)) = answers.pop_front()
        {
            if is_stubborn && answers.is_empty() {
                answers.push_back((status, body.clone()));
            }
            return (StatusCode::from_u16(status).unwrap(), Json(body)).into_response();
        }
        let Some((_, state)) = fake.machines.get_mut(&id) else {
            return (StatusCode::NOT_FOUND, Json(json!({"error": "not_found: machine not found"}))).into_response();
        };
        std::mem::replace(state, "starting".into())
    };
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(BOOT_MS)).await;
        set_state(&fake, &id, "started");
    });
    Json(json!({"previous_state": previous, "migrated": false, "new_host": ""})).into_response()
}

pub(crate) fn set_state(fake: &Shared, id: &str, state: &str) {
    fake.lock().unwrap().machines.get_mut(id).unwrap().1 = state.into();
}

async fn wait(State(fake): State<Shared>, Path(id): Path<String>) -> Response {
    for _ in 0..20 {
        if fake.lock().unwrap().machines[&id].1 == "started" {
            return Json(json!({"ok": true, "state": "started"})).into_response();
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    (StatusCode::REQUEST_TIMEOUT, Json(json!({"error": "deadline_exceeded: machine failed to reach desired state"})))
        .into_response()
}

async fn status(State(fake): State<Shared>, Path(id): Path<String>) -> Response {
    let fake = fake.lock().unwrap();
    match fake.machines.get(&id) {
        Some((region, state)) if state == "started" => {
            let body =
                json!({"instance": id, "region": region, "players": 3, "pilots": 23, "capacity": 200, "rooms": []});
            Json(body).into_response()
        }
        _ => StatusCode::BAD_GATEWAY.into_response(),
    }
}
