//! The edge: takes every public request to the lobby and obeys its `Fly-Replay`.
//!
//! Path: accept → [`Edge::answer`] reads the body → the lobby's machine → as long as an answer carries `Fly-Replay`,
//! the machine it names → the answer streams back, or after a 101 both sides are joined as raw bytes.
//! Invariants: of a replaying answer only that header counts, whatever its status; at most [`REPLAYS_MAX`] replays; a
//! request that came back to its source may not be replayed again; answers are never buffered.
//! Never: knows what the lobby is about. Not emulated: replay cache, steering headers of clients, TLS.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::{OnUpgrade, on};
use hyper::{HeaderMap, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::Instant;
use ulid::Ulid;

use crate::failure::Failure;
use crate::fleet::Fleet;
use crate::headers::{self, FLY_PREFERRED_UNAVAILABLE, FLY_REPLAY, FLY_REPLAY_FAILED, FLY_REPLAY_SRC};
use crate::machine::{Identity, Machine, unix_time};
use crate::original::Original;
use crate::regions::Regions;
use crate::replay::{Candidate, Directive, Fallback, Refusal};
use crate::upstream::{Body, exchange, reach};

/// More than this and the edge gives up on the request (PA02).
const REPLAYS_MAX: u32 = 10;
/// How long a machine is tried when nobody says; Fly "tries for a while".
const REACH_TIMEOUT_DEFAULT_MS: u64 = 15_000;
/// Longest time a replay may ask for.
const REACH_TIMEOUT_MAX_MS: u64 = 60_000;
/// Pause after a failed accept, which means that we ran out of descriptors.
const ACCEPT_RETRY_MS: u64 = 50;

/// The edge proxy in one region.
pub(crate) struct Edge {
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) regions: Regions,
    /// Where the edge stands, which is where "you" are.
    pub(crate) region: String,
    /// Whether distance costs time.
    pub(crate) latency: bool,
    /// The address clients connect to.
    pub(crate) address: SocketAddr,
}

/// A machine that was reached for a request.
struct Hop {
    machine: Arc<Machine>,
    stream: TcpStream,
    /// What the edge tells it beyond the original headers.
    told: HeaderMap,
    /// The request came back here because its replay failed.
    came_back: bool,
}

/// A replay's target that could not be reached.
struct Missed {
    /// Machine that was meant, if one fits.
    target: Option<Arc<Machine>>,
    reason: &'static str,
}

impl Edge {
    /// Serves clients until the task is aborted, which ends all plain connections with it.
    pub(crate) async fn serve(self: Arc<Self>, listener: TcpListener) {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                Some(_) = connections.join_next() => {}
                accepted = listener.accept() => match accepted {
                    Ok((stream, client)) => drop(connections.spawn(Arc::clone(&self).converse(stream, client))),
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept a connection");
                        tokio::time::sleep(Duration::from_millis(ACCEPT_RETRY_MS)).await;
                    }
                },
            }
        }
    }

    async fn converse(self: Arc<Self>, stream: TcpStream, client: SocketAddr) {
        let _ = stream.set_nodelay(true);
        let service = service_fn(|request| {
            let edge = Arc::clone(&self);
            async move { Ok::<_, std::convert::Infallible>(edge.answer(request, client).await) }
        });
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service).with_upgrades();
        if let Err(error) = connection.await {
            tracing::debug!(%error, "connection of a client ended");
        }
    }

    /// Answers one request.
    async fn answer(&self, mut request: Request<Incoming>, client: SocketAddr) -> Response<Body> {
        let began = Instant::now();
        let request_id = format!("{}-{}", Ulid::new(), self.region);
        let what = format!("{} {}", request.method(), request.uri().path());
        let upgrade = headers::upgrade_of(request.headers()).map(|_| on(&mut request));
        let answered = match Original::read(request, |headers| {
            headers::enter(headers, client, self.address, &self.region);
        })
        .await
        {
            Ok(mut original) => self.forward(&mut original).await,
            Err(failure) => Err(failure),
        };
        let mut response = match answered {
            Ok(response) => join_if_upgraded(response, upgrade),
            Err(failure) => {
                tracing::warn!(request = what, "{failure}");
                refuse(&failure)
            }
        };
        let upgraded = response.status() == StatusCode::SWITCHING_PROTOCOLS;
        headers::leave(response.headers_mut(), &request_id, upgraded);
        tracing::debug!(request = what, status = response.status().as_u16(), took = ?began.elapsed(), "answered");
        response
    }

    /// Takes the request to the lobby and from there wherever replays lead.
    async fn forward(&self, original: &mut Original) -> Result<Response<Incoming>, Failure> {
        let mut hop = self.first_hop().await?;
        let mut replays = 0;
        loop {
            let identity = Arc::clone(&hop.machine.identity);
            let one_way = self.latency.then(|| self.regions.one_way(&self.region, &identity.region));
            let response = exchange(hop.stream, one_way, original.request(&hop.told)?)
                .await
                .map_err(|error| Failure::NoAnswer(error.to_string()))?;
            let Some(header) = response.headers().get(FLY_REPLAY) else { return Ok(response) };
            let directive = Directive::parse(&String::from_utf8_lossy(header.as_bytes()))?;
            if hop.came_back {
                return Err(Failure::ReplayAfterFallback);
            }
            if replays == REPLAYS_MAX {
                return Err(Failure::TooManyReplays);
            }
            replays += 1;
            hop = self.replay(&directive, &identity, hop.told).await?;
        }
    }

    async fn first_hop(&self) -> Result<Hop, Failure> {
        let anywhere = Directive { app: Some(self.fleet.lobby.name.clone()), ..Directive::default() };
        let candidates = self.fleet.candidates(&self.region, &self.regions);
        let from = candidates.first().ok_or(Refusal::NoCandidate)?;
        let chosen = anywhere.choose(from, &candidates, &self.regions)?;
        let (machine, stream) = self.reach_first(&chosen, None).await.ok_or(Failure::Unreached)?;
        Ok(Hop { machine, stream, told: HeaderMap::new(), came_back: false })
    }

    /// Obeys `directive`, which the machine `from` answered; `told` is what `from` itself was told.
    async fn replay(&self, directive: &Directive, from: &Identity, told: HeaderMap) -> Result<Hop, Failure> {
        let began = Instant::now();
        match self.follow(directive, from).await? {
            Ok((machine, stream)) => {
                tracing::debug!(from = %from.id, to = %machine.identity.id, "replay");
                let mut told = HeaderMap::new();
                let state = directive.state.as_deref().map_or(String::new(), |state| format!(";state={state}"));
                let t = unix_time().as_micros();
                let source = format!("instance={};region={};t={t}{state}", from.id, from.region);
                told.insert(FLY_REPLAY_SRC, headers::value(&source));
                if let Some(preferred) = directive.prefer_instance.as_ref().filter(|id| **id != machine.identity.id) {
                    told.insert(FLY_PREFERRED_UNAVAILABLE, headers::value(preferred));
                }
                Ok(Hop { machine, stream, told, came_back: false })
            }
            Err(missed) => self.fall_back(directive, from, told, missed, began.elapsed()).await,
        }
    }

    /// Tries the machines that `directive` means. The outer error is one that no fallback helps against.
    async fn follow(
        &self,
        directive: &Directive,
        from: &Identity,
    ) -> Result<Result<(Arc<Machine>, TcpStream), Missed>, Failure> {
        let candidates = self.fleet.candidates(&self.region, &self.regions);
        let chosen = match directive.choose(&self.candidate(from), &candidates, &self.regions) {
            Ok(chosen) => chosen,
            Err(Refusal::NoCandidate) => return Ok(Err(Missed { target: None, reason: "no_candidate" })),
            Err(refusal) => return Err(refusal.into()),
        };
        let reached = self.reach_first(&chosen, directive.timeout).await;
        let reason = if directive.timeout.is_some() { "timeout" } else { "retries_exhausted" };
        let target = chosen.first().and_then(|candidate| self.fleet.machine(&candidate.id)).cloned();
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
        let back = Directive { app: Some(from.app.name.clone()), ..Directive::default() };
        let back = match directive.fallback {
            Some(Fallback::ForceSelf) => Directive { instance: Some(from.id.clone()), ..back },
            Some(Fallback::PreferSelf) => Directive { prefer_instance: Some(from.id.clone()), ..back },
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
        let candidates = self.fleet.candidates(&self.region, &self.regions);
        let chosen = back.choose(&self.candidate(from), &candidates, &self.regions)?;
        let (machine, stream) = self.reach_first(&chosen, None).await.ok_or(Failure::Unreached)?;
        told.insert(FLY_REPLAY_FAILED, headers::value(&failed));
        Ok(Hop { machine, stream, told, came_back: true })
    }

    /// Connects to the first of `chosen` that can be reached; each gets an even share of the time that is left.
    async fn reach_first(&self, chosen: &[&Candidate], timeout: Option<Duration>) -> Option<(Arc<Machine>, TcpStream)> {
        let timeout = timeout.unwrap_or(Duration::from_millis(REACH_TIMEOUT_DEFAULT_MS));
        let deadline = Instant::now() + timeout.min(Duration::from_millis(REACH_TIMEOUT_MAX_MS));
        for (tried, candidate) in chosen.iter().enumerate() {
            let machine = self.fleet.machine(&candidate.id).expect("candidates come from the fleet, which only grows");
            let now = Instant::now();
            let left = u32::try_from(chosen.len() - tried).unwrap_or(u32::MAX);
            let share = deadline.saturating_duration_since(now) / left;
            if let Some(stream) = reach(machine, now + share).await {
                return Some((Arc::clone(machine), stream));
            }
        }
        None
    }

    fn candidate(&self, identity: &Identity) -> Candidate {
        Candidate {
            id: identity.id.clone(),
            app: identity.app.name.clone(),
            region: identity.region.clone(),
            running: true,
            startable: true,
            distance: self.regions.one_way(&self.region, &identity.region),
        }
    }
}

/// After a 101, joins the client's connection with the machine's.
fn join_if_upgraded(mut response: Response<Incoming>, client: Option<OnUpgrade>) -> Response<Body> {
    if response.status() == StatusCode::SWITCHING_PROTOCOLS
        && let Some(client) = client
    {
        let machine = on(&mut response);
        tokio::spawn(async move {
            if let (Ok(client), Ok(machine)) = tokio::join!(client, machine) {
                let (mut client, mut machine) = (TokioIo::new(client), TokioIo::new(machine));
                // An error is the sudden end of one side; the other side ends with it.
                let _ = tokio::io::copy_bidirectional(&mut client, &mut machine).await;
            }
        });
    }
    response.map(BodyExt::boxed_unsync)
}

fn refuse(failure: &Failure) -> Response<Body> {
    let body = Full::from(format!("{failure}\n")).map_err(|never| match never {}).boxed_unsync();
    let mut response = Response::new(body);
    *response.status_mut() = failure.status();
    response.headers_mut().insert(hyper::header::CONTENT_TYPE, headers::value("text/plain; charset=utf-8"));
    response
}
