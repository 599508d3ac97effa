//! From an HTTP request to a bare connection: WebSocket's handshake (RFC 6455, section 4.2).
//!
//! Path: [`Upgrade::is_wanted`] tells a WebSocket's request from all others → [`Upgrade::of`] checks it →
//! [`Upgrade::answer`] grants it and hands the connection on, once the answer has been sent.
//! Invariants: only a request that is right in every point of section 4.2.1 is granted; an upgrade to anything else is
//! ignored, as RFC 9110 wants it (section 7.8); the connection leaves the async runtime here, and nothing of HTTP stays
//! with it.

use crate::http::write_timeout::WriteTimeout;
use axum::{
    body::HttpBody,
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use data_encoding::BASE64;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tungstenite::handshake::derive_accept_key;

const PROTOCOL: &str = "websocket";
const VERSION: &str = "13";
/// Length of the random number that a client's key stands for.
const KEY_BYTES: usize = 16;

/// A request that may become a WebSocket.
#[derive(Debug)]
pub(crate) struct Upgrade {
    accept: HeaderValue,
    pending: OnUpgrade,
}

/// What is wrong with a request; the answer to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// It breaks the handshake's rules.
    Handshake(&'static str),
    /// It is no WebSocket, or one of another version.
    Required(&'static str),
}

impl IntoResponse for Wrong {
    fn into_response(self) -> Response {
        match self {
            Self::Handshake(sentence) => (StatusCode::BAD_REQUEST, sentence).into_response(),
            Self::Required(sentence) => {
                let told = [
                    (header::CONNECTION, "upgrade"),
                    (header::UPGRADE, PROTOCOL),
                    (header::SEC_WEBSOCKET_VERSION, VERSION),
                ];
                (StatusCode::UPGRADE_REQUIRED, told, sentence).into_response()
            }
        }
    }
}

impl Upgrade {
    /// Whether a request wants to be a WebSocket, rightly or wrongly. HTTP/1.0 has no upgrades, and other protocols are
    /// none of ours.
    pub(crate) fn is_wanted(request: &Request) -> bool {
        request.version() >= Version::HTTP_11 && names(request.headers(), header::UPGRADE, PROTOCOL)
    }

    /// What a request asks for.
    ///
    /// # Errors
    /// What it does wrong.
    pub(crate) fn of(request: &mut Request) -> Result<Self, Wrong> {
        let key = check(request)?;
        let accept = HeaderValue::try_from(derive_accept_key(key)).ok();
        let pending = request.extensions_mut().remove::<OnUpgrade>();
        let (Some(accept), Some(pending)) = (accept, pending) else {
            return Err(Wrong::Handshake("This connection cannot become a WebSocket.\n"));
        };
        Ok(Self { accept, pending })
    }

    /// Grants it: `then` gets the connection and what was read of it already, unless the peer is gone by then.
    pub(crate) fn answer<F>(self, then: impl FnOnce(std::net::TcpStream, Bytes) -> F + Send + 'static) -> Response
    where
        F: Future<Output = ()> + Send,
    {
        tokio::spawn(async move {
            let upgraded = self.pending.await.ok()?;
            let parts = upgraded.downcast::<TokioIo<WriteTimeout>>().ok()?;
            let stream = parts.io.into_inner().into_tcp().into_std().ok()?;
            then(stream, parts.read_buf).await;
            Some(())
        });
        let headers = [
            (header::CONNECTION, HeaderValue::from_static("upgrade")),
            (header::UPGRADE, HeaderValue::from_static(PROTOCOL)),
            (header::SEC_WEBSOCKET_ACCEPT, self.accept),
        ];
        (StatusCode::SWITCHING_PROTOCOLS, headers).into_response()
    }
}

/// Section 4.2.1, point by point; the client's key.
fn check(request: &Request) -> Result<&[u8], Wrong> {
    if !Upgrade::is_wanted(request) {
        return Err(Wrong::Required("Only a WebSocket is to be had here.\n"));
    }
    let headers = request.headers();
    if request.method() != Method::GET || !request.body().is_end_stream() {
        return Err(Wrong::Handshake("A WebSocket begins with a GET, without a body.\n"));
    }
    if only(headers, header::HOST).is_none_or(<[u8]>::is_empty) {
        return Err(Wrong::Handshake("A WebSocket's request names one Host.\n"));
    }
    if !names(headers, header::CONNECTION, "upgrade") {
        return Err(Wrong::Handshake("The Connection header must name the upgrade.\n"));
    }
    if only(headers, header::SEC_WEBSOCKET_VERSION) != Some(VERSION.as_bytes()) {
        return Err(Wrong::Required("WebSocket's version is 13.\n"));
    }
    let key = only(headers, header::SEC_WEBSOCKET_KEY);
    key.filter(|key| BASE64.decode(key).is_ok_and(|number| number.len() == KEY_BYTES))
        .ok_or(Wrong::Handshake("Sec-WebSocket-Key must be 16 bytes in base64, once.\n"))
}

/// Whether a list has this member.
fn names(headers: &HeaderMap, name: HeaderName, wanted: &str) -> bool {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|value| value.trim().eq_ignore_ascii_case(wanted))
}

/// The value of a header that is there once.
fn only(headers: &HeaderMap, name: HeaderName) -> Option<&[u8]> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    values.next().is_none().then(|| value.as_bytes().trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;

    const RIGHT: [(&str, &str); 5] = [
        ("host", "play.example"),
        ("connection", "keep-alive, Upgrade"),
        ("upgrade", "WebSocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];

    /// The right request with some headers in place of its own; an empty value takes one away.
    fn request(changes: &[(&str, &str)]) -> Request {
        let mut request = axum::http::Request::builder();
        for (name, value) in RIGHT {
            if changes.iter().all(|(changed, _)| *changed != name) {
                request = request.header(name, value);
            }
        }
        for (name, value) in changes.iter().filter(|(_, value)| !value.is_empty()) {
            request = request.header(*name, *value);
        }
        request.body(Body::empty()).unwrap()
    }

    #[test]
    fn the_handshake_of_the_standard_is_right() {
        assert_eq!(check(&request(&[])), Ok(&b"dGhlIHNhbXBsZSBub25jZQ=="[..]));
        assert!(check(&request(&[("upgrade", "h2c, websocket")])).is_ok());
    }

    /// SPEC S4.1.
    #[test]
    fn every_point_of_the_handshake_is_looked_at() {
        let mut post = request(&[]);
        *post.method_mut() = Method::POST;
        let body = request(&[]).map(|_| Body::from("hello"));
        let wrong = [
            post,
            body,
            request(&[("host", "")]),
            request(&[("host", "a"), ("host", "b")]),
            request(&[("connection", "keep-alive")]),
            request(&[("sec-websocket-key", "")]),
            request(&[("sec-websocket-key", "abc")]),
            request(&[("sec-websocket-key", "AAAAAAAAAAAAAAAAAAAAAA=")]),
            request(&[("sec-websocket-key", "AAAAAAAAAAAAAAAAAAAAAB==")]),
            request(&[("sec-websocket-key", "AAAAAAAAAAAAAAAAAAAAAAAA")]),
            request(&[("sec-websocket-key", RIGHT[4].1), ("sec-websocket-key", RIGHT[4].1)]),
        ];
        for request in wrong {
            assert!(matches!(check(&request), Err(Wrong::Handshake(_))), "{request:?}");
        }
        for version in ["", "8", "13, 8", "013"] {
            let request = request(&[("sec-websocket-version", version)]);
            assert!(matches!(check(&request), Err(Wrong::Required(_))), "{request:?}");
        }
    }

    #[test]
    fn what_is_no_websocket_is_not_wanted() {
        let mut old = request(&[]);
        *old.version_mut() = Version::HTTP_10;
        for request in [old, request(&[("upgrade", "h2c")]), request(&[("upgrade", "")])] {
            assert!(!Upgrade::is_wanted(&request), "{request:?}");
            assert!(matches!(check(&request), Err(Wrong::Required(_))), "{request:?}");
        }
        assert!(Upgrade::is_wanted(&request(&[("connection", "")])), "wrong, but wanted");
    }
}
