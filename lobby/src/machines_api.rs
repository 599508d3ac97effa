//! The client of Fly's Machines API: the one file that calls it.
//!
//! Path: [`MachinesApi::list`] for the board; [`MachinesApi::wake`] for a join: start, classify the answer (`api_errors`),
//! wait for `started`, with backoff inside a deadline; [`MachinesApi::create`], [`MachinesApi::update`] and
//! [`MachinesApi::destroy`] for the pool.
//! Invariants: no call and no loop outlives its deadline; a call has at most one request under way; nothing is destroyed
//! by force, so a machine that somebody started meanwhile stays.
//! Never: caches, chooses among machines, knows about rooms.

use crate::api_config::ApiConfig;
use crate::api_errors::{CreateOutcome, ErrorBody, StartOutcome, WakeError, classify_create, classify_start};
use crate::http_client::{HttpClient, NoAnswer};
use crate::machine::{Machine, MachineConfig};
use crate::metrics::Metrics;
use crate::progress::Progress;
use crate::random::jittered;
use axum::http::{Method, StatusCode};
use bytes::Bytes;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Longest a list, a start or a destruction may take. Policy: the call counts as unanswered.
const API_TIMEOUT_MS: u64 = 5_000;
/// Longest a creation or an update may take: Fly looks for a host meanwhile. Policy: the call counts as unanswered.
const CREATE_TIMEOUT_MS: u64 = 20_000;
/// The API itself refuses to wait longer.
const API_WAIT_MAX_S: u64 = 60;
/// A start that is under way is checked again after this long: it may fail, and then it has to be requested again.
const UNDER_WAY_WAIT_S: u64 = 2;
/// First pause before a call is tried again; doubles up to [`BACKOFF_MAX_MS`], with jitter.
const BACKOFF_FIRST_MS: u64 = 300;
/// Longest pause between two tries.
const BACKOFF_MAX_MS: u64 = 2_000;

/// Why there is no list. The text is for logs.
#[derive(Debug)]
pub struct ListError(String);

impl std::fmt::Display for ListError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Client of the Machines API for one app.
#[derive(Debug, Clone)]
pub struct MachinesApi {
    client: HttpClient,
    /// `<host>/v1/apps/<app>/machines`.
    base: String,
    authorization: String,
    metrics: Arc<Metrics>,
}

impl MachinesApi {
    /// For the gameserver app of `config`.
    pub fn new(config: &ApiConfig, client: HttpClient, metrics: Arc<Metrics>) -> Self {
        let token = &config.token.0;
        // Macaroons bring their own scheme along.
        let authorization = if token.starts_with("FlyV1 ") { token.clone() } else { format!("Bearer {token}") };
        Self { client, base: format!("{}/v1/apps/{}/machines", config.url, config.game_app), authorization, metrics }
    }

    /// All machines of the app.
    ///
    /// # Errors
    /// [`ListError`] when the API does not answer, refuses, or answers something else.
    pub async fn list(&self) -> Result<Vec<Machine>, ListError> {
        let answer = self.call("list", Method::GET, &self.base, None, API_TIMEOUT_MS).await;
        let (status, body) = answer.map_err(|error| ListError(error.to_string()))?;
        if !status.is_success() {
            return Err(ListError(format!("status {status}: {}", ErrorBody::parse(&body).text)));
        }
        serde_json::from_slice(&body).map_err(|error| ListError(format!("not a list of machines: {error}")))
    }

    /// Starts the machine and waits until it runs. Harmless when it runs already or when others start it too.
    ///
    /// # Errors
    /// [`WakeError`], at `deadline` at the latest.
    pub async fn wake(&self, id: &str, deadline: Instant, report: impl Fn(Progress)) -> Result<(), WakeError> {
        let mut backoff = Backoff::new(deadline);
        loop {
            report(Progress::Asking);
            match self.try_wake(id, deadline, &report).await {
                StartOutcome::Done | StartOutcome::UnderWay => return Ok(()),
                StartOutcome::Never(error) => return Err(error),
                StartOutcome::Later(error, at_least) => {
                    report(Progress::Waiting(error));
                    backoff.pause(at_least).await.ok_or(error)?;
                }
            }
        }
    }

    /// One start and, if it was taken, one wait.
    async fn try_wake(&self, id: &str, deadline: Instant, report: &impl Fn(Progress)) -> StartOutcome {
        let url = format!("{}/{id}/start", self.base);
        let start = self.call("start", Method::POST, &url, None, remaining_ms(deadline).min(API_TIMEOUT_MS)).await;
        let outcome = classify_call(start, deadline);
        let wait_s = match outcome {
            StartOutcome::Done => (remaining_ms(deadline) / 1000).clamp(1, API_WAIT_MAX_S),
            StartOutcome::UnderWay => UNDER_WAY_WAIT_S,
            StartOutcome::Later(..) | StartOutcome::Never(_) => return outcome,
        };
        report(Progress::Booting);
        let url = format!("{}/{id}/wait?state=started&timeout={wait_s}", self.base);
        let too_slow = StartOutcome::Later(WakeError::TooSlow, Duration::ZERO);
        match self.call("wait", Method::GET, &url, None, remaining_ms(deadline)).await {
            Ok((StatusCode::REQUEST_TIMEOUT, _)) | Err(NoAnswer::TimedOut) => too_slow,
            answer => classify_call(answer, deadline),
        }
    }

    /// Creates a machine, asleep or on its way up. `None`: there is one of this name already.
    ///
    /// # Errors
    /// [`WakeError`], at `deadline` at the latest.
    pub async fn create(
        &self,
        region: &str,
        name: &str,
        config: &MachineConfig,
        is_launched: bool,
        deadline: Instant,
    ) -> Result<Option<Machine>, WakeError> {
        let request = json!({"name": name, "region": region, "config": config, "skip_launch": !is_launched});
        let mut backoff = Backoff::new(deadline);
        loop {
            let timeout_ms = remaining_ms(deadline).min(CREATE_TIMEOUT_MS);
            let answer = self.call("create", Method::POST, &self.base, Some(&request), timeout_ms).await;
            let (outcome, body) = match answer {
                Ok((status, body)) => (classify_create(status.as_u16(), &ErrorBody::parse(&body)), body),
                Err(_) => (CreateOutcome::Later(WakeError::ApiDown, Duration::ZERO), Bytes::new()),
            };
            match outcome {
                CreateOutcome::Made => return parse_machine(&body).map(Some),
                CreateOutcome::Taken => return Ok(None),
                CreateOutcome::Never(error) => return Err(error),
                CreateOutcome::Later(error, at_least) => backoff.pause(at_least).await.ok_or(error)?,
            }
        }
    }

    /// Gives a machine another configuration, if it still has the version this `machine` had.
    ///
    /// # Errors
    /// [`WakeError`].
    pub async fn update(&self, machine: &Machine, config: &MachineConfig) -> Result<(), WakeError> {
        let url = format!("{}/{}", self.base, machine.id);
        let request = json!({"config": config, "current_version": machine.version, "skip_launch": true});
        self.once("update", Method::POST, &url, Some(&request), CREATE_TIMEOUT_MS).await
    }

    /// Destroys a sleeping machine; one that runs is refused.
    ///
    /// # Errors
    /// [`WakeError`]; one that is gone already is none.
    pub async fn destroy(&self, id: &str) -> Result<(), WakeError> {
        let url = format!("{}/{id}", self.base);
        match self.once("destroy", Method::DELETE, &url, None, API_TIMEOUT_MS).await {
            Err(WakeError::Gone) => Ok(()),
            answer => answer,
        }
    }

    /// A call that is not worth a second try right now.
    async fn once(
        &self,
        name: &'static str,
        method: Method,
        url: &str,
        body: Option<&Value>,
        timeout_ms: u64,
    ) -> Result<(), WakeError> {
        match self.call(name, method, url, body, timeout_ms).await {
            Ok((status, _)) if status.is_success() => Ok(()),
            Ok((status, body)) => match classify_start(status.as_u16(), &ErrorBody::parse(&body)) {
                StartOutcome::Never(error) | StartOutcome::Later(error, _) => Err(error),
                StartOutcome::Done | StartOutcome::UnderWay => Err(WakeError::Refused),
            },
            Err(_) => Err(WakeError::ApiDown),
        }
    }

    async fn call(
        &self,
        name: &'static str,
        method: Method,
        url: &str,
        body: Option<&Value>,
        timeout_ms: u64,
    ) -> Result<(StatusCode, Bytes), NoAnswer> {
        let body = body.map_or_else(Bytes::new, |json| json.to_string().into());
        let timeout = Duration::from_millis(timeout_ms);
        let answer = self.client.request(method, url, Some(&self.authorization), body, timeout).await;
        self.metrics.count_api_call(name, answer.as_ref().ok().map(|(status, _)| status.as_u16()));
        match &answer {
            Ok((status, body)) if !status.is_success() => {
                tracing::info!(
                    call = name,
                    status = status.as_u16(),
                    text = ErrorBody::parse(body).text,
                    "Machines API refused"
                );
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(call = name, %error, "Machines API did not answer"),
        }
        answer
    }
}

fn remaining_ms(deadline: Instant) -> u64 {
    deadline.saturating_duration_since(Instant::now()).as_millis() as u64
}

fn classify_call(answer: Result<(StatusCode, Bytes), NoAnswer>, deadline: Instant) -> StartOutcome {
    let later = |error| StartOutcome::Later(error, Duration::ZERO);
    match answer {
        Ok((status, body)) => classify_start(status.as_u16(), &ErrorBody::parse(&body)),
        Err(NoAnswer::TimedOut) if remaining_ms(deadline) == 0 => later(WakeError::TooSlow),
        Err(_) => later(WakeError::ApiDown),
    }
}

fn parse_machine(body: &[u8]) -> Result<Machine, WakeError> {
    serde_json::from_slice(body).map_err(|error| {
        tracing::warn!(%error, "the answer to a creation is no machine");
        WakeError::Refused
    })
}

/// Pauses that grow, within a deadline.
struct Backoff {
    next: Duration,
    deadline: Instant,
}

impl Backoff {
    fn new(deadline: Instant) -> Self {
        Self { next: Duration::from_millis(BACKOFF_FIRST_MS), deadline }
    }

    /// Waits, and longer next time; `None` at once when there is no time left for it.
    async fn pause(&mut self, at_least: Duration) -> Option<()> {
        let pause = jittered(self.next.max(at_least));
        self.next = (self.next * 2).min(Duration::from_millis(BACKOFF_MAX_MS));
        if Instant::now() + pause >= self.deadline {
            return None;
        }
        sleep(pause).await;
        Some(())
    }
}
