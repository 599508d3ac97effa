//! A client's request, buffered so that `Fly-Replay` can send it again.
//!
//! Path: [`ReplayableRequest::read`] takes the request in; [`ReplayableRequest::request`] makes one copy per hop.
//! Invariants: a body of up to the setting's length is read whole before the first hop and can be replayed; a
//! longer one streams through once, and then a replay is refused.
//! Never: changes a header after it was read in.

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use http_body_util::{BodyExt, BodyStream, Full, StreamBody};
use hyper::body::{Body as _, Frame, Incoming};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Request, Uri, Version};

use crate::failure::Failure;
use crate::headers;
use crate::upstream::Body;

/// A request as the client sent it, with the edge's headers.
pub(crate) struct ReplayableRequest {
    parts: Parts,
    body: KeptBody,
}

enum KeptBody {
    Whole(Bytes),
    /// What was read of a longer body, and the rest.
    Long(Bytes, Incoming),
    /// A longer body that was sent already.
    Gone,
}

impl ReplayableRequest {
    /// Reads the request and lets `edit` rewrite its headers. A body longer than `kept_max_bytes` cannot be replayed.
    pub(crate) async fn read(
        request: Request<Incoming>,
        kept_max_bytes: usize,
        edit: impl FnOnce(&mut HeaderMap),
    ) -> Result<Self, Failure> {
        let (mut parts, mut incoming) = request.into_parts();
        edit(&mut parts.headers);
        let mut read = BytesMut::new();
        while read.len() <= kept_max_bytes {
            match incoming.frame().await {
                Some(Ok(frame)) => read.extend_from_slice(frame.data_ref().map_or(&[], |data| data)),
                Some(Err(_)) => return Err(Failure::BodyBroken),
                None => return Ok(Self { parts, body: KeptBody::Whole(read.freeze()) }),
            }
        }
        Ok(Self { parts, body: KeptBody::Long(read.freeze(), incoming) })
    }

    /// Method and path, for people.
    pub(crate) fn what(&self) -> String {
        format!("{} {}", self.parts.method, self.parts.uri.path())
    }

    /// Whether it asks for a WebSocket.
    pub(crate) fn is_upgrade(&self) -> bool {
        headers::upgrade_of(&self.parts.headers).is_some()
    }

    /// The request for the next hop: as the client sent it, with `extra_headers` set.
    pub(crate) fn request(&mut self, extra_headers: &HeaderMap) -> Result<Request<Body>, Failure> {
        let mut request = Request::new(self.next_body()?);
        *request.method_mut() = self.parts.method.clone();
        *request.uri_mut() = self.parts.uri.path_and_query().cloned().map_or_else(Uri::default, Uri::from);
        *request.version_mut() = Version::HTTP_11;
        *request.headers_mut() = self.parts.headers.clone();
        for (name, value) in extra_headers {
            request.headers_mut().insert(name, value.clone());
        }
        Ok(request)
    }

    fn next_body(&mut self) -> Result<Body, Failure> {
        match std::mem::replace(&mut self.body, KeptBody::Gone) {
            KeptBody::Whole(bytes) => {
                self.body = KeptBody::Whole(bytes.clone());
                Ok(Full::new(bytes).map_err(|never| match never {}).boxed_unsync())
            }
            KeptBody::Long(read, rest) if !rest.is_end_stream() => {
                let read = futures_util::stream::iter([Ok(Frame::data(read))]);
                let rest = BodyStream::new(rest).map(|frame| frame.map_err(std::io::Error::other));
                Ok(StreamBody::new(read.chain(rest)).boxed_unsync())
            }
            KeptBody::Long(read, _) => Ok(Full::new(read).map_err(|never| match never {}).boxed_unsync()),
            KeptBody::Gone => Err(Failure::BodyTooLong),
        }
    }
}
