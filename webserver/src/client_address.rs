//! The client's IP address: `Fly-Client-IP` behind the proxy, else the peer's.

use axum::http::HeaderMap;
use std::net::{IpAddr, SocketAddr};

/// The client's address as Fly's edge saw it (it strips what clients forge), else the peer's.
pub fn client_address(headers: &HeaderMap, peer: SocketAddr) -> IpAddr {
    let forwarded = headers.get("fly-client-ip").and_then(|value| value.to_str().ok()?.parse().ok());
    forwarded.unwrap_or(peer.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_edge_tells_the_address_and_without_an_edge_it_is_the_peer() {
        let peer = "127.0.0.1:5".parse().unwrap();
        let with = |value: &str| HeaderMap::from_iter([("fly-client-ip".parse().unwrap(), value.parse().unwrap())]);
        assert_eq!(client_address(&with("203.0.113.9"), peer).to_string(), "203.0.113.9");
        assert_eq!(client_address(&with("2001:db8::7"), peer).to_string(), "2001:db8::7");
        assert_eq!(client_address(&with("nonsense"), peer).to_string(), "127.0.0.1");
        assert_eq!(client_address(&HeaderMap::new(), peer).to_string(), "127.0.0.1");
    }
}
