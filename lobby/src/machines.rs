//! Fly's Machines API: the one file that knows it.
//!
//! Path: [`Machines::list`] for the board; [`Machines::wake`] for a join: start, judge the answer, wait for `started`,
//! with backoff inside a deadline.
//! Invariants: a machine that runs already counts as woken, in every spelling the API has for it; each refusal ends in
//! a [`WakeError`], never later than the deadline; at most one request a call is under way.
//! Never: a cache, a choice among machines, a word about rooms.

use crate::client::{Client, NoAnswer};
use crate::config::Config;
use crate::metrics::Metrics;
use crate::random::jittered;
use axum::http::{Method, StatusCode};
use bytes::Bytes;
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Longest a list or a start may take. Policy: the call counts as unanswered.
const API_TIMEOUT_MS: u64 = 5_000;
/// The API itself refuses to wait longer.
const API_WAIT_MAX_S: u64 = 60;
/// A start that is under way is looked at again after this long: it may fail, and then it has to be asked for again.
const UNDER_WAY_WAIT_S: u64 = 2;
/// First pause before a start is tried again; doubles up to [`BACKOFF_MAX_MS`]. The API allows one start a second for
/// each machine, three in a burst.
const BACKOFF_FIRST_MS: u64 = 300;
/// Longest pause between two tries.
const BACKOFF_MAX_MS: u64 = 2_000;

/// A machine, as far as the lobby cares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// Fly's id: the instance of a Fly-Replay.
    pub id: String,
    /// Region code.
    pub region: String,
    /// What its state means for a player.
    pub phase: Phase,
    /// Whether its host answers.
    pub is_host_ok: bool,
}

/// What a machine's state means for a player.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// It runs.
    Started,
    /// On its way up.
    Waking,
    /// It can be started, perhaps after some seconds.
    Asleep,
    /// It will not come back.
    Gone,
}

/// Why a machine did not wake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WakeError {
    /// There is no such machine (any more).
    Gone,
    /// No room for it on its host or in its region.
    NoCapacity,
    /// Its host does not answer.
    HostUnreachable,
    /// Our token is not good for this app.
    NotAllowed,
    /// Refused for a reason that trying again does not change.
    Refused,
    /// Still in a state between two others when the time was up.
    TooSlow,
    /// The API was busy, broken or silent until the time was up.
    ApiDown,
}

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
pub struct Machines {
    client: Client,
    /// `<host>/v1/apps/<app>/machines`.
    base: String,
    authorization: String,
    metrics: Arc<Metrics>,
}

impl Machines {
    /// For the gameserver app of `config`.
    pub fn new(config: &Config, client: Client, metrics: Arc<Metrics>) -> Self {
        let token = &config.api_token.0;
        // Macaroons bring their own scheme along.
        let authorization = if token.starts_with("FlyV1 ") { token.clone() } else { format!("Bearer {token}") };
        Self {
            client,
            base: format!("{}/v1/apps/{}/machines", config.api_url, config.game_app),
            authorization,
            metrics,
        }
    }

    /// All machines of the app.
    ///
    /// # Errors
    /// [`ListError`] when the API does not answer, refuses, or answers something else.
    pub async fn list(&self) -> Result<Vec<Machine>, ListError> {
        let timeout = Duration::from_millis(API_TIMEOUT_MS);
        let answer = self.call("list", Method::GET, &self.base, timeout).await;
        let (status, body) = answer.map_err(|error| ListError(error.to_string()))?;
        if !status.is_success() {
            return Err(ListError(format!("status {status}: {}", Fault::parse(&body).text)));
        }
        let wire: Vec<WireMachine> =
            serde_json::from_slice(&body).map_err(|error| ListError(format!("not a list of machines: {error}")))?;
        Ok(wire.into_iter().map(WireMachine::understand).collect())
    }

    /// Starts the machine and waits until it runs. Harmless when it runs already or when others start it too.
    ///
    /// # Errors
    /// [`WakeError`], at `deadline` at the latest.
    pub async fn wake(&self, id: &str, deadline: Instant) -> Result<(), WakeError> {
        let mut backoff = Duration::from_millis(BACKOFF_FIRST_MS);
        loop {
            let error = match self.try_wake(id, deadline).await {
                Verdict::Done | Verdict::UnderWay => return Ok(()),
                Verdict::Never(error) => return Err(error),
                Verdict::Later(error) => error,
            };
            let pause = jittered(backoff);
            if Instant::now() + pause >= deadline {
                return Err(error);
            }
            sleep(pause).await;
            backoff = (backoff * 2).min(Duration::from_millis(BACKOFF_MAX_MS));
        }
    }

    /// One start and, if it was taken, one wait.
    async fn try_wake(&self, id: &str, deadline: Instant) -> Verdict {
        let url = format!("{}/{id}/start", self.base);
        let timeout = remaining(deadline).min(Duration::from_millis(API_TIMEOUT_MS));
        let verdict = judge(self.call("start", Method::POST, &url, timeout).await, deadline);
        let wait_s = match verdict {
            Verdict::Done => remaining(deadline).as_secs().clamp(1, API_WAIT_MAX_S),
            Verdict::UnderWay => UNDER_WAY_WAIT_S,
            Verdict::Later(_) | Verdict::Never(_) => return verdict,
        };
        let url = format!("{}/{id}/wait?state=started&timeout={wait_s}", self.base);
        match self.call("wait", Method::GET, &url, remaining(deadline)).await {
            Ok((StatusCode::REQUEST_TIMEOUT, _)) => Verdict::Later(WakeError::TooSlow),
            Err(NoAnswer::TimedOut) => Verdict::Later(WakeError::TooSlow),
            answer => judge(answer, deadline),
        }
    }

    async fn call(
        &self,
        name: &'static str,
        method: Method,
        url: &str,
        timeout: Duration,
    ) -> Result<(StatusCode, Bytes), NoAnswer> {
        let answer = self.client.request(method, url, Some(&self.authorization), timeout).await;
        self.metrics.count_api_call(name, answer.as_ref().ok().map(|(status, _)| status.as_u16()));
        match &answer {
            Ok((status, body)) if !status.is_success() => {
                tracing::info!(
                    call = name,
                    status = status.as_u16(),
                    text = Fault::parse(body).text,
                    "Machines API refused"
                );
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(call = name, %error, "Machines API did not answer"),
        }
        answer
    }
}

fn remaining(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}

/// What an answer to a start (or a wait) means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Done,
    UnderWay,
    Later(WakeError),
    Never(WakeError),
}

fn judge(answer: Result<(StatusCode, Bytes), NoAnswer>, deadline: Instant) -> Verdict {
    match answer {
        Ok((status, body)) => judge_answer(status.as_u16(), &Fault::parse(&body)),
        Err(NoAnswer::TimedOut) if remaining(deadline).is_zero() => Verdict::Later(WakeError::TooSlow),
        Err(_) => Verdict::Later(WakeError::ApiDown),
    }
}

/// The table of everything the API was seen to say to a start.
fn judge_answer(status: u16, fault: &Fault) -> Verdict {
    match status {
        200..=299 => Verdict::Done,
        401 | 403 => Verdict::Never(WakeError::NotAllowed),
        404 | 410 => Verdict::Never(WakeError::Gone),
        408 => Verdict::Never(WakeError::HostUnreachable),
        409 | 412 => judge_conflict(fault),
        422 if fault.is_capacity() => Verdict::Never(WakeError::NoCapacity),
        429 | 500..=599 => Verdict::Later(WakeError::ApiDown),
        _ => Verdict::Never(WakeError::Refused),
    }
}

/// 409 and 412 say anything from "done already" to "never". What is not known here passes with time: a lease held by
/// somebody else, `stopping`, `created`, "still active", "getting replaced".
fn judge_conflict(fault: &Fault) -> Verdict {
    let says = |text: &str| fault.text.contains(text);
    let is_other_already = says("already_exists") || says("already exists") || says("already claimed");
    if (says("already") && !is_other_already) || says("current state: 'started'") {
        Verdict::Done
    } else if says("still attempting to start") || says("current state: 'starting'") {
        Verdict::UnderWay
    } else if fault.is_capacity() {
        Verdict::Never(WakeError::NoCapacity)
    } else if says("'destroyed'") || says("'destroying'") || says("'replaced'") {
        Verdict::Never(WakeError::Gone)
    } else {
        Verdict::Later(WakeError::TooSlow)
    }
}

/// An error body: `{"error" or "message", "status"}`.
struct Fault {
    /// Lower case, so that spellings compare.
    text: String,
    code: String,
}

impl Fault {
    fn parse(body: &[u8]) -> Self {
        let json: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
        let field = |name: &str| json[name].as_str().map(str::to_ascii_lowercase);
        Self {
            text: field("error").or_else(|| field("message")).unwrap_or_default(),
            code: field("status").unwrap_or_default(),
        }
    }

    fn is_capacity(&self) -> bool {
        let says = |text: &str| self.text.contains(text);
        self.code.ends_with("_capacity")
            || says("could not reserve resource")
            || says("insufficient")
            || says("no capacity")
            || says("temporarily disabled")
            || says("governor policy blocked")
    }
}

#[derive(Deserialize)]
struct WireMachine {
    id: String,
    #[serde(default)]
    region: String,
    #[serde(default)]
    state: String,
    #[serde(default)]
    host_status: Option<String>,
}

impl WireMachine {
    fn understand(self) -> Machine {
        let phase = match self.state.as_str() {
            "started" => Phase::Started,
            "creating" | "starting" | "restarting" | "updating" | "replacing" => Phase::Waking,
            // `created` settles into `stopped`; a start cancels `suspending`, and one after `stopping` is tried again.
            "stopped" | "suspended" | "created" | "stopping" | "suspending" | "failed" => Phase::Asleep,
            _ => Phase::Gone,
        };
        let is_host_ok = self.host_status.is_none_or(|status| status != "unreachable");
        Machine { id: self.id, region: self.region, phase, is_host_ok }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_answer_to_a_start_has_its_outcome() {
        use Verdict::{Done, Later, Never, UnderWay};
        use WakeError::{ApiDown, Gone, HostUnreachable, NoCapacity, NotAllowed, Refused, TooSlow};
        let error = |text: &str| format!(r#"{{"error":"{text}"}}"#);
        let table = [
            (200, r#"{"previous_state":"stopped","migrated":false,"new_host":""}"#.to_owned(), Done),
            (200, r#"{"previous_state":"suspended"}"#.to_owned(), Done),
            (200, r#"{"previous_state":"started"}"#.to_owned(), Done),
            (409, error("machine already started"), Done),
            (412, error("failed_precondition: machine is already running"), Done),
            (412, error("failed_precondition: unable to start machine from current state: 'started'"), Done),
            (409, error("aborted: machine still attempting to start"), UnderWay),
            (412, error("failed_precondition: unable to start machine from current state: 'starting'"), UnderWay),
            (412, error("failed_precondition: unable to start machine from current state: 'stopping'"), Later(TooSlow)),
            (412, error("failed_precondition: machine still active, refusing to start"), Later(TooSlow)),
            (412, error("failed_precondition: unable to start machine from current state: 'created'"), Later(TooSlow)),
            (412, error("failed_precondition: machine getting replaced, refusing to start"), Later(TooSlow)),
            (
                409,
                r#"{"status":"error","message":"machine ID 1 lease currently held by x, expires at y"}"#.into(),
                Later(TooSlow),
            ),
            (409, error("already_exists: unique machine name violation"), Later(TooSlow)),
            (
                409,
                error("aborted: could not reserve resource for machine: insufficient memory available"),
                Never(NoCapacity),
            ),
            (409, error("aborted: insufficient IPs available to fulfill request"), Never(NoCapacity)),
            (409, error("aborted: no capacity"), Never(NoCapacity)),
            (409, error("deploys to this host are temporarily disabled"), Never(NoCapacity)),
            (412, error("governor policy blocked start"), Never(NoCapacity)),
            (412, r#"{"error":"volume","status":"volume_placement_capacity"}"#.into(), Never(NoCapacity)),
            (
                422,
                r#"{"error":"could not find a candidate host","status":"insufficient_capacity"}"#.into(),
                Never(NoCapacity),
            ),
            (422, error("Your organization has reached its machine limit"), Never(Refused)),
            (408, error("deadline_exceeded: host unreachable"), Never(HostUnreachable)),
            (429, error("rate limit exceeded"), Later(ApiDown)),
            (500, String::new(), Later(ApiDown)),
            (503, "<html>".to_owned(), Later(ApiDown)),
            (404, error("not_found: machine not found"), Never(Gone)),
            (401, error("Authenticate: token validation error"), Never(NotAllowed)),
            (403, String::new(), Never(NotAllowed)),
            (400, error("invalid_argument: no"), Never(Refused)),
        ];
        for (status, body, expected) in table {
            assert_eq!(judge_answer(status, &Fault::parse(body.as_bytes())), expected, "{status} {body}");
        }
    }

    #[test]
    fn states_are_read_as_what_they_mean() {
        let read = |state: &str, host: &str| {
            let json = format!(r#"{{"id":"a","region":"ewr","state":"{state}","host_status":"{host}","config":{{}}}}"#);
            serde_json::from_str::<WireMachine>(&json).unwrap().understand()
        };
        assert_eq!(read("started", "ok").phase, Phase::Started);
        assert_eq!(read("starting", "ok").phase, Phase::Waking);
        for state in ["stopped", "suspended", "created", "stopping"] {
            assert_eq!(read(state, "ok").phase, Phase::Asleep, "{state}");
        }
        for state in ["destroyed", "destroying", "replaced", "some new word"] {
            assert_eq!(read(state, "ok").phase, Phase::Gone, "{state}");
        }
        assert!(!read("stopped", "unreachable").is_host_ok);
        assert!(read("stopped", "unknown").is_host_ok);
    }
}
