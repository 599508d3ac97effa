//! Bounds the requests that one address has in flight.
//!
//! Path: [`guard`] wraps every route → a permit for this client's request → released when its answer was sent, or its
//! client has left.
//! Invariants: what one address can hold is bounded, whatever it holds up; memory is bounded by the requests under way.
//! Never: counts connections: behind Fly's proxy all of them come from the proxy, and only a request says whose it is.

use crate::limit::household;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use hyper::body::{Frame, SizeHint};
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};
use webserver::client_address;

/// Requests of one address at once, open boards among them: a school behind one address has one for each of its people.
/// Policy: 429 with a sentence.
pub const REQUESTS_MAX_COUNT: usize = 500;

/// Requests under way, by household.
#[derive(Debug)]
pub(crate) struct InFlight {
    counts: Mutex<HashMap<IpAddr, usize>>,
    /// Of one household.
    max_count: usize,
}

/// Permission for one request.
struct RequestPermit {
    all: Arc<InFlight>,
    household: IpAddr,
}

impl InFlight {
    /// No request yet, and room for this many of each household.
    pub(crate) fn new(max_count: usize) -> Self {
        Self { counts: Mutex::default(), max_count }
    }

    /// A permit for one more request of this address, if it does not have all of its own.
    fn enter(self: &Arc<Self>, address: IpAddr) -> Option<RequestPermit> {
        let household = household(address);
        let mut counts = self.counts();
        let count = counts.entry(household).or_default();
        if *count >= self.max_count {
            return None;
        }
        *count += 1;
        Some(RequestPermit { all: Arc::clone(self), household })
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.counts.lock().expect("nobody panics while counting requests")
    }
}

impl Drop for RequestPermit {
    fn drop(&mut self) {
        let mut counts = self.all.counts();
        if let Some(count) = counts.get_mut(&self.household) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.household);
            }
        }
    }
}

/// Lets a request in, unless its client has too many under way.
pub(crate) async fn guard(
    State(in_flight): State<Arc<InFlight>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    let address = client_address(request.headers(), peer);
    let Some(permit) = in_flight.enter(address) else { return too_many() };
    next.run(request).await.map(|body| Body::new(HeldBody { body, _permit: permit }))
}

/// A body, and its request's permit for as long as it is there.
struct HeldBody {
    body: Body,
    _permit: RequestPermit,
}

impl HttpBody for HeldBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn too_many() -> Response {
    let headers = [(header::RETRY_AFTER, "5")];
    let sentence =
        "Too many requests from your network are under way. Close some windows of the lobby, or wait a moment.\n";
    (StatusCode::TOO_MANY_REQUESTS, headers, sentence).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_has_so_many_permits_and_gets_them_back() {
        let all = Arc::new(InFlight::new(2));
        let (one, other) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        let permits: Vec<_> = (0..3).map_while(|_| all.enter(one)).collect();
        assert_eq!(permits.len(), 2);
        assert!(all.enter(other).is_some(), "others are not affected");
        drop(permits);
        assert!(all.enter(one).is_some());
        assert!(all.counts().is_empty(), "who has nothing under way is not remembered");
    }

    #[test]
    fn a_household_is_one_address() {
        let all = Arc::new(InFlight::new(1));
        let _permit = all.enter("2001:db8:1:1::1".parse().unwrap()).unwrap();
        assert!(all.enter("2001:db8:1:1:ffff::2".parse().unwrap()).is_none());
    }
}
