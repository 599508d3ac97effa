//! What Fly's proxy adds to a request.

use axum::http::HeaderMap;
use protocol::room::is_name;
use std::net::{IpAddr, SocketAddr};

/// The region of the edge that accepted this player's connection, if the proxy names it.
pub(crate) fn edge_region(headers: &HeaderMap) -> Option<String> {
    let region = headers.get("fly-region")?.to_str().ok()?;
    is_name(region).then(|| region.to_owned())
}

/// The client's address: from the proxy, or the peer's where there is no proxy.
pub(crate) fn client_address(headers: &HeaderMap, peer: SocketAddr) -> IpAddr {
    let forwarded = headers.get("fly-client-ip").and_then(|value| value.to_str().ok()?.parse().ok());
    forwarded.unwrap_or(peer.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_proxy_says_who_the_client_is() {
        let peer = "127.0.0.1:5".parse().unwrap();
        let with = |value: &str| HeaderMap::from_iter([("fly-client-ip".parse().unwrap(), value.parse().unwrap())]);
        assert_eq!(client_address(&with("203.0.113.9"), peer).to_string(), "203.0.113.9");
        assert_eq!(client_address(&with("nonsense"), peer).to_string(), "127.0.0.1");
        assert_eq!(client_address(&HeaderMap::new(), peer).to_string(), "127.0.0.1");
    }
}
