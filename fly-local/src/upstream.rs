//! Connections from the edge to machines: wakes one that sleeps, connects, sends one request.
//!
//! Path: [`reach`] wakes the machine if need be and connects → [`exchange`] sends one request over that connection.
//! Invariants: one connection a request and no pool, so that an upgrade can take its connection over; a machine whose
//! app says no autostart is never started from here.
//! Never: looks at `Fly-Replay`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use crate::controls::{Controls, Host};
use crate::latency::add_latency;
use crate::machine::{Machine, Slot};
use crate::machine_state::{Command, State};
use crate::settings::Settings;
use crate::spec::Spec;

/// Pause between two attempts to reach a machine that boots.
const RETRY_PAUSE_MS: u64 = 20;

/// A body on its way through the edge.
pub(crate) type Body = UnsyncBoxBody<Bytes, std::io::Error>;

/// A connection to a machine, with its slot there.
pub(crate) struct Reached {
    pub(crate) machine: Arc<Machine>,
    pub(crate) stream: TcpStream,
    pub(crate) slot: Slot,
}

/// Connects to `machine`, starting it if it does not run and waiting while it is full, until `deadline`.
pub(crate) async fn reach(machine: &Arc<Machine>, controls: &Controls, deadline: Instant) -> Option<Reached> {
    timeout_at(deadline, try_until_connected(machine, controls)).await.ok().flatten()
}

/// The first try trusts the edge's picture, which may be old; each further one asks the machine's host.
async fn try_until_connected(machine: &Arc<Machine>, controls: &Controls) -> Option<Reached> {
    let id = &machine.identity.id;
    let settings = controls.settings();
    let lag_ms = controls.machine_faults(id).edge_lag_ms.unwrap_or(settings.edge_lag_ms);
    let mut lag = Duration::from_millis(lag_ms);
    loop {
        let seen = machine.state_seen_after(std::mem::take(&mut lag));
        let (state, address) = machine.with_view(|view| (view.state, view.address));
        match (seen, address) {
            _ if controls.host(id) == Host::Unreachable => {}
            // What the edge takes for running may have stopped or been frozen: then the connection fails.
            (State::Started, Some(address)) if state == State::Started => {
                if let Some((stream, slot)) = connect(machine, address, &settings).await {
                    return Some(Reached { machine: Arc::clone(machine), stream, slot });
                }
            }
            (State::Destroying | State::Destroyed, _) => return None,
            (State::Stopped | State::Created | State::Suspended | State::Suspending | State::Failed, _) => {
                if !is_autostarted(machine, &settings) {
                    return None;
                }
                // A refusal is a state that passes: the next try sees what came of it.
                wake(machine).await;
            }
            _ => {}
        }
        tokio::time::sleep(Duration::from_millis(RETRY_PAUSE_MS)).await;
    }
}

async fn connect(machine: &Machine, address: SocketAddr, settings: &Settings) -> Option<(TcpStream, Slot)> {
    let limit = spec(machine).service(settings.edge_serves_port)?.hard_limit();
    let slot = machine.acquire_slot(limit)?;
    let stream = TcpStream::connect(address).await.ok()?;
    let _ = stream.set_nodelay(true);
    Some((stream, slot))
}

fn is_autostarted(machine: &Machine, settings: &Settings) -> bool {
    let spec = spec(machine);
    let service = spec.service(settings.edge_serves_port);
    service.is_some_and(|service| service.is_autostarted(settings.autostart_default))
}

fn spec(machine: &Machine) -> Arc<Spec> {
    machine.with_view(|view| Arc::clone(&view.spec))
}

/// Starts a machine for a request; a lease that somebody holds is in the way, as for everybody else.
async fn wake(machine: &Machine) {
    let id = &machine.identity.id;
    if machine.leases().allow(None).is_err() {
        return tracing::debug!(machine = %id, "a lease keeps it from starting");
    }
    match machine.send(Command::Start).await {
        Ok(State::Started) => tracing::debug!(machine = %id, "the edge took it for stopped"),
        Ok(_) => tracing::info!(machine = %id, "starting machine for a request"),
        Err(refused) => tracing::debug!(machine = %id, ?refused, "not started"),
    }
}

/// Sends `request` over `stream`, every byte taking `one_way()` in each direction, and returns the answer's head.
pub(crate) async fn exchange<F>(
    stream: TcpStream,
    one_way: Option<F>,
    request: Request<Body>,
) -> hyper::Result<Response<Incoming>>
where
    F: Fn() -> Duration + Clone + Send + 'static,
{
    match one_way {
        Some(one_way) => speak(add_latency(stream, one_way), request).await,
        None => speak(stream, request).await,
    }
}

async fn speak<S>(stream: S, request: Request<Body>) -> hyper::Result<Response<Incoming>>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(async move {
        if let Err(error) = connection.with_upgrades().await {
            tracing::debug!(%error, "connection to a machine ended");
        }
    });
    sender.send_request(request).await
}
