//! The edge proxy: accepts every public connection, routes its requests to machines and returns their answers.
//!
//! Path: accept → [`Edge::answer`]: the control page's own paths stay here; anything else is read, taken along its route
//! (see `routing.rs`), and the answer streams back, or after a 101 both sides are joined as raw bytes.
//! Invariants: answers are never buffered; a place at a machine is held until the answer or the WebSocket has ended.
//! Never: knows what the lobby is about. Not emulated: replay cache, steering headers of clients, TLS, health checks.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper::upgrade::{OnUpgrade, on};
use hyper::{Request, Response, StatusCode, Version, header};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::Instant;
use ulid::Ulid;

use crate::control_api;
use crate::failure::Failure;
use crate::headers;
use crate::replayable::ReplayableRequest;
use crate::routing::{Answered, Routing};
use crate::settings::Settings;
use crate::upstream::Body;

/// Pause after a failed accept, which means that we ran out of descriptors.
const ACCEPT_RETRY_MS: u64 = 50;

/// The edge proxy in one region.
pub(crate) struct Edge {
    pub(crate) routing: Routing,
    /// The address clients connect to.
    pub(crate) address: SocketAddr,
    /// The page and the API of `/_fly`.
    pub(crate) control: TowerToHyperService<Router>,
}

impl Edge {
    /// Serves clients until the task is aborted, which ends all plain connections with it.
    pub(crate) async fn serve(self: Arc<Self>, listener: TcpListener) {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                Some(_) = connections.join_next() => {}
                accepted = listener.accept() => match accepted {
                    Ok((stream, client)) => drop(connections.spawn(Arc::clone(&self).serve_connection(stream, client))),
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept a connection");
                        tokio::time::sleep(Duration::from_millis(ACCEPT_RETRY_MS)).await;
                    }
                },
            }
        }
    }

    async fn serve_connection(self: Arc<Self>, stream: TcpStream, client: SocketAddr) {
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
        if control_api::is_control_path(request.uri().path()) {
            let Ok(answer) = self.control.call(request).await;
            return answer.map(|body| body.map_err(std::io::Error::other).boxed_unsync());
        }
        let began = Instant::now();
        let settings = self.routing.fleet.controls.settings();
        let region = &self.routing.fleet.edge_region;
        let request_id = format!("{}-{region}", Ulid::new());
        let what = format!("{} {}", request.method(), request.uri().path());
        if request.version() < Version::HTTP_11 {
            // HTTP/1.0 has no upgrades (RFC 9110, section 7.8), but the hop to the machine is HTTP/1.1.
            request.headers_mut().remove(header::UPGRADE);
        }
        let upgrade = headers::upgrade_of(request.headers()).map(|_| on(&mut request));
        let answered = match ReplayableRequest::read(request, settings.replay_body_max_bytes, |headers| {
            headers::prepare_request(headers, client, self.address, region, settings.strip_forged.is_on());
        })
        .await
        {
            Ok(mut original) => self.routing.forward(&mut original).await,
            Err(failure) => Err(failure),
        };
        let mut response = match answered {
            Ok(answered) => self.respond(answered, upgrade),
            Err(failure) => {
                tracing::warn!(request = what, "{failure}");
                refuse(&failure, &settings)
            }
        };
        let upgraded = response.status() == StatusCode::SWITCHING_PROTOCOLS;
        headers::prepare_response(response.headers_mut(), &request_id, upgraded);
        tracing::debug!(request = what, status = response.status().as_u16(), took = ?began.elapsed(), "answered");
        response
    }

    /// Gives the client what the machine answered; after a 101, joins both connections until one side ends or the
    /// machine's host is out of reach.
    fn respond(&self, answered: Answered, client: Option<OnUpgrade>) -> Response<Body> {
        let Answered { mut response, machine, slot } = answered;
        if response.status() == StatusCode::SWITCHING_PROTOCOLS
            && let Some(client) = client
        {
            let upstream = on(&mut response);
            let controls = Arc::clone(&self.routing.fleet.controls);
            // Not the machine itself: whoever holds that keeps its process alive.
            let id = machine.identity.id.clone();
            tokio::spawn(async move {
                let _slot = slot;
                if let (Ok(client), Ok(upstream)) = tokio::join!(client, upstream) {
                    let (mut client, mut upstream) = (TokioIo::new(client), TokioIo::new(upstream));
                    tokio::select! {
                        // An error is the sudden end of one side; the other side ends with it.
                        _ = tokio::io::copy_bidirectional(&mut client, &mut upstream) => {}
                        () = controls.until_unreachable(&id) => {}
                    }
                }
            });
            return response.map(|body| body.map_err(std::io::Error::other).boxed_unsync());
        }
        response.map(|body| {
            body.map_err(std::io::Error::other)
                .map_frame(move |frame| {
                    // The place is held as long as the body is.
                    let _ = &slot;
                    frame
                })
                .boxed_unsync()
        })
    }
}

fn refuse(failure: &Failure, settings: &Settings) -> Response<Body> {
    let body = Full::from(format!("{failure}\n")).map_err(|never| match never {}).boxed_unsync();
    let mut response = Response::new(body);
    *response.status_mut() = failure.status(settings);
    response.headers_mut().insert(hyper::header::CONTENT_TYPE, headers::value("text/plain; charset=utf-8"));
    response
}
