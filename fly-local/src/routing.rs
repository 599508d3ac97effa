//! Routing: takes a request to the lobby, and from there to whichever machine `Fly-Replay` names.
//!
//! Path: [`Routing::forward`] → the lobby's machine → as long as an answer carries `Fly-Replay`, the machine it names, or
//! back to the one that named it.
//! Invariants: of a replaying answer only that header counts, and its status only for WebSockets, as the setting says;
//! the replays of one request are bounded; a request that came back to its source may not be replayed again.
//! Never: a client's connection.

use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::{HeaderMap, Response, StatusCode};
use tokio::time::Instant;

use crate::controls::{Replay, Update};
use crate::failure::Failure;
use crate::fleet::Fleet;
use crate::fly_replay::{Candidate, Directive, Fallback, ReplayError};
use crate::headers::{self, FLY_PREFERRED_UNAVAILABLE, FLY_REPLAY, FLY_REPLAY_FAILED, FLY_REPLAY_SRC};
use crate::machine::{Machine, Slot};
use crate::machine_state::Identity;
use crate::replayable::ReplayableRequest;
use crate::settings::WebsocketReplay;
use crate::unix_time::unix_time;
use crate::upstream::{Reached, exchange, reach};

/// Longest time a replay may ask for. Policy: a longer one is shortened to it.
const REACH_TIMEOUT_MAX_MS: u64 = 60_000;

/// Where a request goes.
pub(crate) struct Routing {
    pub(crate) fleet: Arc<Fleet>,
    /// Whether distance costs time.
    pub(crate) has_latency: bool,
}

/// What a machine answered, for the client.
pub(crate) struct Answered {
    pub(crate) response: Response<Incoming>,
    pub(crate) machine: Arc<Machine>,
    pub(crate) slot: Slot,
}

/// A machine that was reached for a request.
struct Hop {
    reached: Reached,
    /// What the edge adds to the original headers.
    extra_headers: HeaderMap,
    /// The request came back here because its replay failed.
    is_fallback: bool,
}

/// A replay's target that could not be reached.
struct Unreached {
    /// Machine that was meant, if one fits.
    target: Option<Arc<Machine>>,
    reason: &'static str,
}

impl Routing {
    /// Takes the request to the lobby and from there wherever replays lead.
    pub(crate) async fn forward(&self, original: &mut ReplayableRequest) -> Result<Answered, Failure> {
        let replays_max = self.fleet.controls.settings().replays_max;
        let mut hop = self.first_hop().await?;
        let mut replays = 0;
        loop {
            let Reached { machine, stream, slot } = hop.reached;
            let request = original.request(&hop.extra_headers)?;
            let response = exchange(stream, self.latency_to(&machine), request)
                .await
                .map_err(|error| Failure::NoAnswer(error.to_string()))?;
            let Some(header) = self.replay_header(&response, original.is_upgrade()) else {
                return Ok(Answered { response, machine, slot });
            };
            let directive = Directive::parse(&header)?;
            if hop.is_fallback {
                return Err(Failure::ReplayAfterFallback);
            }
            if replays == replays_max {
                return Err(Failure::TooManyReplays);
            }
            replays += 1;
            drop(slot);
            hop = self.replay(&directive, &machine.identity, hop.extra_headers, &original.what()).await?;
        }
    }

    /// The `Fly-Replay` of an answer, if it counts.
    fn replay_header(&self, response: &Response<Incoming>, is_websocket: bool) -> Option<String> {
        let header = response.headers().get(FLY_REPLAY)?;
        let is_101 = response.status() == StatusCode::SWITCHING_PROTOCOLS;
        let counts = match self.fleet.controls.settings().websocket_replay {
            WebsocketReplay::Any => true,
            WebsocketReplay::Only101 => !is_websocket || is_101,
            WebsocketReplay::Never101 => !is_websocket || !is_101,
        };
        counts.then(|| String::from_utf8_lossy(header.as_bytes()).into_owned())
    }

    /// How long bytes take to `machine`, asked anew for each; `None` while distance and faults cost nothing.
    fn latency_to(&self, machine: &Machine) -> Option<impl Fn() -> Duration + Clone + Send + 'static> {
        let id = machine.identity.id.clone();
        let distance = match self.has_latency {
            true => self.fleet.regions.one_way(&self.fleet.edge_region, &machine.identity.region),
            false => Duration::ZERO,
        };
        let controls = Arc::clone(&self.fleet.controls);
        let is_short = !self.has_latency && controls.machine_faults(&id).extra_ms == 0;
        (!is_short).then_some(move || distance + Duration::from_millis(controls.machine_faults(&id).extra_ms))
    }

    async fn first_hop(&self) -> Result<Hop, Failure> {
        let lobby = &self.fleet.lobby.name;
        let seen = self.fleet.view();
        let chosen = Directive::default().choose("", lobby, &seen, &self.fleet.regions)?;
        let reached = self.reach_first(&chosen, None).await.ok_or(Failure::Unreached)?;
        Ok(Hop { reached, extra_headers: HeaderMap::new(), is_fallback: false })
    }

    /// Carries out `directive`, which the machine `from` answered; `extra_headers` are those that `from` itself got.
    async fn replay(
        &self,
        directive: &Directive,
        from: &Identity,
        extra_headers: HeaderMap,
        request: &str,
    ) -> Result<Hop, Failure> {
        let began = Instant::now();
        let note = |to: Option<&Machine>, outcome: String| {
            self.fleet.controls.publish(Update::Replay(Replay {
                at_ms: u64::try_from(unix_time().as_millis()).unwrap_or(u64::MAX),
                request: request.to_owned(),
                from: from.id.clone(),
                to: to.map(|machine| machine.identity.id.clone()),
                outcome,
                took_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
            }));
        };
        match self.follow(directive, from).await {
            Ok(Ok(reached)) => {
                note(Some(&reached.machine), "reached".into());
                tracing::debug!(from = %from.id, to = %reached.machine.identity.id, "replay");
                let extra_headers = headers_for_target(directive, from, &reached.machine);
                Ok(Hop { reached, extra_headers, is_fallback: false })
            }
            Ok(Err(unreached)) => {
                note(unreached.target.as_deref(), unreached.reason.into());
                self.fall_back(directive, from, extra_headers, unreached, began.elapsed()).await
            }
            Err(failure) => {
                note(None, failure.to_string());
                Err(failure)
            }
        }
    }

    /// Tries the machines that `directive` means. The outer error is one that no fallback helps against.
    async fn follow(&self, directive: &Directive, from: &Identity) -> Result<Result<Reached, Unreached>, Failure> {
        let began = Instant::now();
        let seen = self.fleet.view();
        let chosen = match directive.choose(&from.id, &from.app.name, &seen, &self.fleet.regions) {
            Ok(chosen) => chosen,
            Err(ReplayError::NoCandidate) => return Ok(Err(Unreached { target: None, reason: "no_candidate" })),
            Err(refusal) => return Err(refusal.into()),
        };
        let reached = self.reach_first(&chosen, directive.timeout).await;
        let is_late = directive.timeout.is_some_and(|timeout| began.elapsed() >= timeout);
        let reason = if is_late { "timeout" } else { "retries_exhausted" };
        let target = chosen.first().and_then(|candidate| self.fleet.machine(&candidate.id));
        Ok(reached.ok_or(Unreached { target, reason }))
    }

    /// Gives the request back to the machine that replayed it, if it asked for that.
    async fn fall_back(
        &self,
        directive: &Directive,
        from: &Identity,
        mut extra_headers: HeaderMap,
        unreached: Unreached,
        elapsed: Duration,
    ) -> Result<Hop, Failure> {
        let back = match directive.fallback {
            Some(Fallback::ForceSelf) => Directive { instance: Some(from.id.clone()), ..Directive::default() },
            Some(Fallback::PreferSelf) => Directive { prefer_instance: Some(from.id.clone()), ..Directive::default() },
            None if unreached.reason == "no_candidate" => return Err(ReplayError::NoCandidate.into()),
            None => return Err(Failure::Unreached),
        };
        let meant = unreached.target.as_ref().map(|machine| &machine.identity);
        let failed = format!(
            "instance={};app={};region={};replay_source={};reason={};elapsed_ms={}",
            meant.map(|target| &target.id).or(directive.instance.as_ref()).map_or("", String::as_str),
            directive.app.as_ref().unwrap_or(&from.app.name),
            meant.map_or_else(|| directive.regions.join(","), |target| target.region.clone()),
            from.id,
            unreached.reason,
            elapsed.as_millis(),
        );
        tracing::info!(failed, "replay failed; back to its source");
        let seen = self.fleet.view();
        let chosen = back.choose(&from.id, &from.app.name, &seen, &self.fleet.regions)?;
        let reached = self.reach_first(&chosen, None).await.ok_or(Failure::Unreached)?;
        extra_headers.insert(FLY_REPLAY_FAILED, headers::value(&failed));
        Ok(Hop { reached, extra_headers, is_fallback: true })
    }

    /// Connects to the first of `chosen` that can be reached; each gets an even share of the time that is left.
    async fn reach_first(&self, chosen: &[&Candidate], timeout: Option<Duration>) -> Option<Reached> {
        let controls = &self.fleet.controls;
        let timeout = timeout.unwrap_or(Duration::from_millis(controls.settings().reach_timeout_ms));
        let deadline = Instant::now() + timeout.min(Duration::from_millis(REACH_TIMEOUT_MAX_MS));
        for (tried, candidate) in chosen.iter().enumerate() {
            // One that was destroyed and forgotten meanwhile cannot be reached.
            let Some(machine) = self.fleet.machine(&candidate.id) else { continue };
            let now = Instant::now();
            let left = u32::try_from(chosen.len() - tried).unwrap_or(u32::MAX);
            let share = deadline.saturating_duration_since(now) / left;
            if let Some(reached) = reach(&machine, controls, now + share).await {
                return Some(reached);
            }
        }
        None
    }
}

/// What the edge adds for the target of a replay.
fn headers_for_target(directive: &Directive, from: &Identity, target: &Machine) -> HeaderMap {
    let mut extra_headers = HeaderMap::new();
    let state = directive.state.as_deref().map_or(String::new(), |state| format!(";state={state}"));
    let t = unix_time().as_micros();
    let source = format!("instance={};region={};t={t}{state}", from.id, from.region);
    extra_headers.insert(FLY_REPLAY_SRC, headers::value(&source));
    if let Some(preferred) = directive.prefer_instance.as_ref().filter(|id| **id != target.identity.id) {
        extra_headers.insert(FLY_PREFERRED_UNAVAILABLE, headers::value(preferred));
    }
    extra_headers
}
