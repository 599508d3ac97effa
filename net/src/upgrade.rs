//! From an HTTP request to a bare connection: WebSocket's handshake (RFC 6455, section 4.2).
//!
//! Path: [`Upgrade::of`] checks a request → [`Upgrade::answer`] grants it and hands the connection on, once the answer
//! has been sent.
//! Invariant: the connection leaves the async runtime here, and nothing of HTTP stays with it.

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tungstenite::handshake::derive_accept_key;

const VERSION: &str = "13";

/// A request that may become a WebSocket.
#[derive(Debug)]
pub(crate) struct Upgrade {
    accept: HeaderValue,
    pending: OnUpgrade,
}

/// What is wrong with a request; the answer to it.
#[derive(Debug)]
pub(crate) struct Wrong(StatusCode, &'static str);

impl IntoResponse for Wrong {
    fn into_response(self) -> Response {
        (self.0, [(header::SEC_WEBSOCKET_VERSION, VERSION)], self.1).into_response()
    }
}

impl Upgrade {
    /// What a request asks for.
    ///
    /// # Errors
    /// What it does wrong.
    pub(crate) fn of(request: &mut Request) -> Result<Self, Wrong> {
        let headers = request.headers();
        let names = |name: HeaderName, wanted: &str| {
            let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
            values.flat_map(|value| value.split(',')).any(|value| value.trim().eq_ignore_ascii_case(wanted))
        };
        let is_upgrade = request.method() == Method::GET
            && names(header::CONNECTION, "upgrade")
            && names(header::UPGRADE, "websocket");
        if !is_upgrade {
            return Err(Wrong(StatusCode::BAD_REQUEST, "A WebSocket begins with GET and its upgrade.\n"));
        }
        if !names(header::SEC_WEBSOCKET_VERSION, VERSION) {
            return Err(Wrong(StatusCode::UPGRADE_REQUIRED, "WebSocket's version is 13.\n"));
        }
        let key = headers.get(header::SEC_WEBSOCKET_KEY).map(|key| derive_accept_key(key.as_bytes()));
        let accept = key.and_then(|key| HeaderValue::try_from(key).ok());
        let pending = request.extensions_mut().remove::<OnUpgrade>();
        let (Some(accept), Some(pending)) = (accept, pending) else {
            return Err(Wrong(StatusCode::BAD_REQUEST, "This connection cannot become a WebSocket.\n"));
        };
        Ok(Self { accept, pending })
    }

    /// Whether a request wants to be a WebSocket, rightly or wrongly.
    pub(crate) fn is_wanted(headers: &HeaderMap) -> bool {
        headers.contains_key(header::UPGRADE)
    }

    /// Grants it: `then` gets the connection and what was read of it already, unless the peer is gone by then.
    pub(crate) fn answer<F>(self, then: impl FnOnce(std::net::TcpStream, Bytes) -> F + Send + 'static) -> Response
    where
        F: Future<Output = ()> + Send,
    {
        tokio::spawn(async move {
            let upgraded = self.pending.await.ok()?;
            let parts = upgraded.downcast::<TokioIo<TcpStream>>().ok()?;
            let stream = parts.io.into_inner().into_std().ok()?;
            then(stream, parts.read_buf).await;
            Some(())
        });
        let headers = [
            (header::CONNECTION, HeaderValue::from_static("upgrade")),
            (header::UPGRADE, HeaderValue::from_static("websocket")),
            (header::SEC_WEBSOCKET_ACCEPT, self.accept),
        ];
        (StatusCode::SWITCHING_PROTOCOLS, headers).into_response()
    }
}
