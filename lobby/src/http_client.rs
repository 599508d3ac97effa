//! A small HTTP client: one request, one bounded answer, inside one deadline.
//!
//! Path: [`HttpClient::request`] → connection pool → status and body as they are; callers judge them.
//! Invariants: no answer longer than [`ANSWER_MAX_BYTES`] is kept, no request outlives its timeout.
//! Never: follows a redirect or tries twice; that is the caller's decision. reqwest was the alternative: its only
//! built-in TLS provider takes minutes to compile, and choosing another one binds every program of the workspace.

use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use axum::http::{Method, Request, StatusCode};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use std::time::Duration;

/// A list of a thousand machines with their configurations stays below it. Policy: the request fails.
const ANSWER_MAX_BYTES: usize = 8 * 1024 * 1024;
/// Idle connections are dropped before the other side does it. Policy: a new connection.
const IDLE_MAX_S: u64 = 30;

/// Shared and cheap to clone.
#[derive(Clone, Debug)]
pub struct HttpClient(hyper_util::client::legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>);

/// Why there is no answer at all. The text is for logs.
#[derive(Debug)]
pub enum NoAnswer {
    /// The time is up.
    TimedOut,
    /// No connection, a broken one, or an answer that is too long.
    Broken(String),
}

impl std::fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::TimedOut => f.write_str("no answer in time"),
            Self::Broken(why) => f.write_str(why),
        }
    }
}

impl HttpClient {
    /// A client with its own pool that trusts the roots compiled in.
    pub fn new() -> Self {
        let connector = HttpsConnectorBuilder::new()
            .with_provider_and_webpki_roots(rustls::crypto::ring::default_provider())
            .expect("ring offers every protocol version that rustls asks for")
            .https_or_http()
            .enable_http1()
            .build();
        let client = hyper_util::client::legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(IDLE_MAX_S))
            .build(connector);
        Self(client)
    }

    /// Sends a request (`body` is JSON, or empty) and reads the whole answer within `timeout`.
    /// `authorization` is that header's whole value.
    ///
    /// # Errors
    /// [`NoAnswer`]; any status is an answer.
    pub async fn request(
        &self,
        method: Method,
        url: &str,
        authorization: Option<&str>,
        body: Bytes,
        timeout: Duration,
    ) -> Result<(StatusCode, Bytes), NoAnswer> {
        let mut request = Request::builder()
            .method(method)
            .uri(url)
            .header(USER_AGENT, concat!("aerodrome-lobby/", env!("CARGO_PKG_VERSION")));
        if let Some(value) = authorization {
            request = request.header(AUTHORIZATION, value);
        }
        if !body.is_empty() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let request = request.body(Full::new(body)).map_err(broken)?;
        let exchange = async {
            let answer = self.0.request(request).await.map_err(broken)?;
            let status = answer.status();
            let body = Limited::new(answer.into_body(), ANSWER_MAX_BYTES).collect().await;
            let body = body.map_err(|error| NoAnswer::Broken(error.to_string()))?;
            Ok((status, body.to_bytes()))
        };
        tokio::time::timeout(timeout, exchange).await.unwrap_or(Err(NoAnswer::TimedOut))
    }
}

impl Default for HttpClient {
    fn default() -> Self {
        Self::new()
    }
}

fn broken(error: impl std::error::Error) -> NoAnswer {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    NoAnswer::Broken(text)
}
