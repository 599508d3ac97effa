//! The scripted Machines API.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use protocol::room::Kind;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::net::TcpListener;

const BOOT_MS: u64 = 150;

/// What the API knows and was asked.
pub(crate) struct Api {
    address: SocketAddr,
    inner: Mutex<Inner>,
}

#[derive(Default)]
pub(crate) struct Inner {
    /// By id.
    pub(crate) machines: BTreeMap<String, Machine>,
    /// Call, such as `start m1`, `create`, `list` → what it answers next, before the API behaves.
    pub(crate) script: HashMap<String, VecDeque<(u16, Value)>>,
    /// Whether the last scripted answer stays for ever.
    pub(crate) is_stubborn: bool,
    /// Every call so far.
    calls: Vec<String>,
}

#[derive(Clone)]
pub(crate) struct Machine {
    pub(crate) name: String,
    pub(crate) region: String,
    pub(crate) state: String,
    pub(crate) changed_at_ms: u64,
    pub(crate) config: Value,
    pub(crate) players: u32,
    pub(crate) capacity: u32,
    pub(crate) rooms: u32,
    /// Whether it boots without ever answering a player.
    pub(crate) is_silent: bool,
    /// Whether it is about to stop.
    pub(crate) is_draining: bool,
    /// Whether its public room is open.
    pub(crate) has_public_room: bool,
}

pub(crate) type Shared = Arc<Api>;

impl Api {
    pub(crate) async fn serve(machines: &[(&str, &str, &str)]) -> Shared {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let api = Arc::new(Self { address: listener.local_addr().unwrap(), inner: Mutex::default() });
        for (id, region, state) in machines {
            api.inner().machines.insert((*id).into(), Machine::new(id, region, state));
        }
        let machines = "/v1/apps/aerodrome-game/machines";
        let router = Router::new()
            .route(machines, get(list).post(create))
            .route(&format!("{machines}/{{id}}"), post(update).delete(destroy))
            .route(&format!("{machines}/{{id}}/start"), post(start))
            .route(&format!("{machines}/{{id}}/wait"), get(wait))
            .route("/gameserver/{id}/status", get(status))
            .with_state(api.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        api
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    /// Scripts what a call answers next.
    pub(crate) fn script(&self, call: &str, answers: impl IntoIterator<Item = (u16, Value)>) {
        self.inner().script.insert(call.into(), answers.into_iter().collect());
    }

    /// Changes a machine.
    pub(crate) fn set(&self, id: &str, change: impl FnOnce(&mut Machine)) {
        change(self.inner().machines.get_mut(id).unwrap());
    }

    /// How often this was called.
    pub(crate) fn count(&self, call: &str) -> usize {
        self.inner().calls.iter().filter(|made| *made == call).count()
    }

    /// Notes the call; its scripted answer, if there is one.
    fn called(&self, call: &str) -> Option<Response> {
        let mut inner = self.inner();
        inner.calls.push(call.to_owned());
        let is_stubborn = inner.is_stubborn;
        let answers = inner.script.get_mut(call)?;
        let (status, body) = answers.pop_front()?;
        if is_stubborn && answers.is_empty() {
            answers.push_back((status, body.clone()));
        }
        Some((StatusCode::from_u16(status).unwrap(), Json(body)).into_response())
    }
}

impl Machine {
    pub(crate) fn new(name: &str, region: &str, state: &str) -> Self {
        Self {
            name: name.into(),
            region: region.into(),
            state: state.into(),
            changed_at_ms: 1,
            config: json!({"image": "game:1", "metadata": {}}),
            players: 3,
            capacity: 200,
            rooms: 1,
            is_silent: false,
            is_draining: false,
            has_public_room: true,
        }
    }

    fn to_json(&self, id: &str) -> Value {
        json!({
            "id": id, "name": self.name, "region": self.region, "state": self.state, "host_status": "ok",
            "instance_id": "01", "config": self.config, "events": [{"type": "exit", "timestamp": self.changed_at_ms}],
        })
    }
}

fn missing() -> Response {
    (StatusCode::NOT_FOUND, Json(json!({"error": "not_found: machine not found"}))).into_response()
}

async fn list(State(api): State<Shared>) -> Response {
    if let Some(answer) = api.called("list") {
        return answer;
    }
    Json(api.inner().machines.iter().map(|(id, machine)| machine.to_json(id)).collect::<Vec<_>>()).into_response()
}

async fn create(State(api): State<Shared>, Json(request): Json<Value>) -> Response {
    if let Some(answer) = api.called("create") {
        return answer;
    }
    let text = |key: &str| request[key].as_str().unwrap().to_owned();
    let (id, is_asleep) = (format!("new-{}", text("name")), request["skip_launch"] == true);
    let mut machine = Machine::new(&text("name"), &text("region"), if is_asleep { "stopped" } else { "starting" });
    machine.config = request["config"].clone();
    {
        let mut inner = api.inner();
        if inner.machines.values().any(|other| other.name == machine.name) {
            let body = json!({"error": "already_exists: unique machine name violation"});
            return (StatusCode::CONFLICT, Json(body)).into_response();
        }
        inner.machines.insert(id.clone(), machine.clone());
    }
    if !is_asleep {
        boot(&api, &id);
    }
    Json(machine.to_json(&id)).into_response()
}

async fn update(State(api): State<Shared>, Path(id): Path<String>, Json(request): Json<Value>) -> Response {
    if let Some(answer) = api.called(&format!("update {id}")) {
        return answer;
    }
    assert_eq!((&request["current_version"], &request["skip_launch"]), (&json!("01"), &json!(true)));
    let mut inner = api.inner();
    let Some(machine) = inner.machines.get_mut(&id) else { return missing() };
    machine.config = request["config"].clone();
    Json(machine.to_json(&id)).into_response()
}

async fn destroy(State(api): State<Shared>, Path(id): Path<String>) -> Response {
    if let Some(answer) = api.called(&format!("destroy {id}")) {
        return answer;
    }
    let mut inner = api.inner();
    match inner.machines.get(&id).map(|machine| machine.state.clone()).as_deref() {
        Some("stopped") => {
            inner.machines.remove(&id);
            Json(json!({"ok": true})).into_response()
        }
        Some(_) => {
            let body = json!({"error": "failed_precondition: unable to destroy machine, not currently stopped"});
            (StatusCode::PRECONDITION_FAILED, Json(body)).into_response()
        }
        None => missing(),
    }
}

async fn start(State(api): State<Shared>, Path(id): Path<String>) -> Response {
    if let Some(answer) = api.called(&format!("start {id}")) {
        return answer;
    }
    let previous = {
        let mut inner = api.inner();
        let Some(machine) = inner.machines.get_mut(&id) else { return missing() };
        if machine.state == "started" {
            return Json(json!({"previous_state": "started"})).into_response();
        }
        if machine.state == "starting" {
            let body = json!({"error": "aborted: machine still attempting to start"});
            return (StatusCode::CONFLICT, Json(body)).into_response();
        }
        std::mem::replace(&mut machine.state, "starting".into())
    };
    boot(&api, &id);
    Json(json!({"previous_state": previous, "migrated": false, "new_host": ""})).into_response()
}

fn boot(api: &Shared, id: &str) {
    let (api, id) = (api.clone(), id.to_owned());
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(BOOT_MS)).await;
        api.set(&id, |machine| machine.state = "started".into());
    });
}

async fn wait(State(api): State<Shared>, Path(id): Path<String>) -> Response {
    if let Some(answer) = api.called(&format!("wait {id}")) {
        return answer;
    }
    for _ in 0..20 {
        if api.inner().machines.get(&id).is_some_and(|machine| machine.state == "started") {
            return Json(json!({"ok": true, "state": "started"})).into_response();
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    (StatusCode::REQUEST_TIMEOUT, Json(json!({"error": "deadline_exceeded: machine failed to reach desired state"})))
        .into_response()
}

async fn status(State(api): State<Shared>, Path(id): Path<String>) -> Response {
    let inner = api.inner();
    match inner.machines.get(&id) {
        Some(machine) if machine.state == "started" && !machine.is_silent => {
            let rooms: Vec<Value> = (0..machine.rooms).map(|number| json!({"room": format!("r{number}")})).collect();
            // Nobody is ever in rooms of another kind than the first.
            let kinds = Kind::ALL.map(|kind| {
                let is_first = kind == Kind::ALL[0];
                let (members, capacity) = if is_first { (machine.players, machine.capacity) } else { (0, 9) };
                let places = json!({
                    "members": members, "population": if is_first { members + 20 } else { 0 }, "capacity": capacity,
                    "seats": capacity.saturating_sub(members), "is_open": machine.has_public_room,
                });
                (kind.word().to_owned(), places)
            });
            let body = json!({
                "instance": id, "region": machine.region, "kinds": serde_json::Map::from_iter(kinds), "rooms": rooms,
                "rooms_max": 4, "is_draining": machine.is_draining, "is_overloaded": false,
            });
            Json(body).into_response()
        }
        _ => StatusCode::BAD_GATEWAY.into_response(),
    }
}
