//! A request's way: to the lobby, and from there wherever replays lead.
//!
//! Path: [`Edge::forward`] → the lobby's machine → as long as an answer carries `Fly-Replay`, the machine it names, or
//! back to the one that named it.
//! Invariants: of a replaying answer only that header counts, and its status only for WebSockets, as the setting says;
//! the replays of one request are bounded; a request that came back to its source may not be replayed again.
//! Never: a client's connection.

use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::{HeaderMap, Response, StatusCode};
use tokio::time::Instant;

use crate::controls::{News, Replay};
use crate::failure::Failure;
use crate::headers::{self, FLY_PREFERRED_UNAVAILABLE, FLY_REPLAY, FLY_REPLAY_FAILED, FLY_REPLAY_SRC};
use crate::machine::{Identity, Machine, Slot, unix_time};
use crate::original::Original;
use crate::proxy::Edge;
use crate::replay::{Candidate, Directive, Fallback, Refusal};
use crate::settings::WebsocketReplay;
use crate::upstream::{Reached, exchange, reach};

/// Longest time a replay may ask for. Policy: a longer one is shortened to it.
const REACH_TIMEOUT_MAX_MS: u64 = 60_000;

/// What a machine answered, for the client.
pub(crate) struct Answered {
    pub(crate) response: Response<Incoming>,
    pub(crate) machine: Arc<Machine>,
    pub(crate) slot: Slot,
}

/// A machine that was reached for a request.
struct Hop {
    reached: Reached,
    /// What the edge tells it beyond the original headers.
    told: HeaderMap,
    /// The request came back here because its replay failed.
    has_come_back: bool,
}

/// A replay's target that could not be reached.
struct Missed {
    /// Machine that was meant, if one fits.
    target: Option<Arc<Machine>>,
    reason: &'static str,
}

impl Edge {
    /// Takes the request to the lobby and from there wherever replays lead.
    pub(crate) async fn forward(&self, original: &mut Original) -> Result<Answered, Failure> {
        let replays_max = self.fleet.controls.settings().replays_max;
        let mut hop = self.first_hop().await?;
        let mut replays = 0;
        loop {
            let Reached { machine, stream, slot } = hop.reached;
            let request = original.request(&hop.told)?;
            let response = exchange(stream, self.way_to(&machine), request)
                .await
                .map_err(|error| Failure::NoAnswer(error.to_string()))?;
            let Some(header) = self.replaying(&response, original.is_upgrade()) else {
                return Ok(Answered { response, machine, slot });
            };
            let directive = Directive::parse(&header)?;
            if hop.has_come_back {
                return Err(Failure::ReplayAfterFallback);
            }
            if replays == replays_max {
                return Err(Failure::TooManyReplays);
            }
            replays += 1;
            drop(slot);
            hop = self.replay(&directive, &machine.identity, hop.told, &original.what()).await?;
        }
    }

    /// The `Fly-Replay` of an answer, if it counts.
    fn replaying(&self, response: &Response<Incoming>, is_websocket: bool) -> Option<String> {
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
    fn way_to(&self, machine: &Machine) -> Option<impl Fn() -> Duration + Clone + Send + 'static> {
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
        let seen = self.fleet.seen();
        let chosen = Directive::default().choose("", lobby, &seen, &self.fleet.regions)?;
        let reached = self.reach_first(&chosen, None).await.ok_or(Failure::Unreached)?;
        Ok(Hop { reached, told: HeaderMap::new(), has_come_back: false })
    }

    /// Obeys `directive`, which the machine `from` answered; `told` is what `from` itself was told.
    async fn replay(
        &self,
        directive: &Directive,
        from: &Identity,
        told: HeaderMap,
        request: &str,
    ) -> Result<Hop, Failure> {
        let began = Instant::now();
        let note = |to: Option<&Machine>, outcome: String| {
            self.fleet.controls.tell(News::Replay(Replay {
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
                let told = told_to_target(directive, from, &reached.machine);
                Ok(Hop { reached, told, has_come_back: false })
            }
            Ok(Err(missed)) => {
                note(missed.target.as_deref(), missed.reason.into());
                self.fall_back(directive, from, told, missed, began.elapsed()).await
            }
            Err(failure) => {
                note(None, failure.to_string());
                Err(failure)
            }
        }
    }

    /// Tries the machines that `directive` means. The outer error is one that no fallback helps against.
    async fn follow(&self, directive: &Directive, from: &Identity) -> Result<Result<Reached, Missed>, Failure> {
        let began = Instant::now();
        let seen = self.fleet.seen();
        let chosen = match directive.choose(&from.id, &from.app.name, &seen, &self.fleet.regions) {
            Ok(chosen) => chosen,
            Err(Refusal::NoCandidate) => return Ok(Err(Missed { target: None, reason: "no_candidate" })),
            Err(refusal) => return Err(refusal.into()),
        };
        let reached = self.reach_first(&chosen, directive.timeout).await;
        let is_late = directive.timeout.is_some_and(|timeout| began.elapsed() >= timeout);
        let reason = if is_late { "timeout" } else { "retries_exhausted" };
        let target = chosen.first().and_then(|candidate| self.fleet.machine(&candidate.id));
        Ok(reached.ok_or(Missed { target, reason }))
    }

    /// Gives the request back to the machine that replayed it, if it asked for that.
    async fn fall_back(
        &self,
        directive: &Directive,
        from: &Identity,
        mut told: HeaderMap,
        missed: Missed,
        elapsed: Duration,
    ) -> Result<Hop, Failure> {
        let back = match directive.fallback {
            Some(Fallback::ForceSelf) => Directive { instance: Some(from.id.clone()), ..Directive::default() },
            Some(Fallback::PreferSelf) => Directive { prefer_instance: Some(from.id.clone()), ..Directive::default() },
            None if missed.reason == "no_candidate" => return Err(Refusal::NoCandidate.into()),
            None => return Err(Failure::Unreached),
        };
        let meant = missed.target.as_ref().map(|machine| &machine.identity);
        let failed = format!(
            "instance={};app={};region={};replay_source={};reason={};elapsed_ms={}",
            meant.map(|target| &target.id).or(directive.instance.as_ref()).map_or("", String::as_str),
            directive.app.as_ref().unwrap_or(&from.app.name),
            meant.map_or_else(|| directive.regions.join(","), |target| target.region.clone()),
            from.id,
            missed.reason,
            elapsed.as_millis(),
        );
        tracing::info!(failed, "replay failed; back to its source");
        let seen = self.fleet.seen();
        let chosen = back.choose(&from.id, &from.app.name, &seen, &self.fleet.regions)?;
        let reached = self.reach_first(&chosen, None).await.ok_or(Failure::Unreached)?;
        told.insert(FLY_REPLAY_FAILED, headers::value(&failed));
        Ok(Hop { reached, told, has_come_back: true })
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

/// What the target of a replay hears beyond the original headers.
fn told_to_target(directive: &Directive, from: &Identity, target: &Machine) -> HeaderMap {
    let mut told = HeaderMap::new();
    let state = directive.state.as_deref().map_or(String::new(), |state| format!(";state={state}"));
    let t = unix_time().as_micros();
    let source = format!("instance={};region={};t={t}{state}", from.id, from.region);
    told.insert(FLY_REPLAY_SRC, headers::value(&source));
    if let Some(preferred) = directive.prefer_instance.as_ref().filter(|id| **id != target.identity.id) {
        told.insert(FLY_PREFERRED_UNAVAILABLE, headers::value(preferred));
    }
    told
}
