//! Which headers cross the edge, and which ones it writes itself.
//!
//! Path: the proxy runs [`prepare_request`] once on what a client sent and [`prepare_response`] once on what it gets back.
//! Invariants: nothing a client sends can look like the edge's own word; hop-by-hop headers never cross, except an
//! upgrade's.
//! Never: looks at a body.

use std::net::SocketAddr;

use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};

pub(crate) const FLY_REPLAY: HeaderName = HeaderName::from_static("fly-replay");
pub(crate) const FLY_REPLAY_SRC: HeaderName = HeaderName::from_static("fly-replay-src");
pub(crate) const FLY_REPLAY_FAILED: HeaderName = HeaderName::from_static("fly-replay-failed");
pub(crate) const FLY_PREFERRED_UNAVAILABLE: HeaderName = HeaderName::from_static("fly-preferred-instance-unavailable");
const FLY_REQUEST_ID: HeaderName = HeaderName::from_static("fly-request-id");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const VIA_FLY: HeaderValue = HeaderValue::from_static("1.1 fly.io");

/// Headers that concern one connection only. `expect` is one of them here because the edge has the body already.
const HOP_BY_HOP: [&str; 10] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "expect",
];

/// Makes a client's headers those that an app behind Fly's edge receives.
/// `strip_forged`: take out whatever a client sends under a name of Fly's.
pub(crate) fn prepare_request(
    headers: &mut HeaderMap,
    client: SocketAddr,
    edge: SocketAddr,
    edge_region: &str,
    strip_forged: bool,
) {
    let upgrade = upgrade_of(headers);
    drop_hop_by_hop(headers);
    if strip_forged {
        // Everything `fly-`: what the edge says about a request, and steering headers that this edge does not offer.
        let forged: Vec<_> = headers.keys().filter(|name| name.as_str().starts_with("fly-")).cloned().collect();
        for name in forged {
            headers.remove(name);
        }
    }
    // The left part is the client's own claim, as on Fly; the rightmost address is the app's.
    let mut way: Vec<_> = headers.get_all(X_FORWARDED_FOR).iter().filter_map(|v| v.to_str().ok()).collect();
    let (client_ip, edge_ip) = (client.ip().to_string(), edge.ip().to_string());
    way.extend([client_ip.as_str(), edge_ip.as_str()]);
    let way = way.join(", ");
    for (name, text) in [
        ("x-forwarded-for", way.as_str()),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-ssl", "off"),
        ("x-forwarded-port", &edge.port().to_string()),
        ("fly-forwarded-port", &edge.port().to_string()),
        ("fly-client-ip", client_ip.as_str()),
        ("fly-region", edge_region),
    ] {
        headers.insert(HeaderName::from_static(name), value(text));
    }
    headers.append(header::VIA, VIA_FLY);
    if let Some(protocol) = upgrade {
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(header::UPGRADE, protocol);
    }
}

/// Makes an app's answer what a client gets. `upgraded`: it is the 101 of an upgrade.
pub(crate) fn prepare_response(headers: &mut HeaderMap, request_id: &str, upgraded: bool) {
    let upgrade = upgrade_of(headers).filter(|_| upgraded);
    drop_hop_by_hop(headers);
    if let Some(protocol) = upgrade {
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(header::UPGRADE, protocol);
    }
    headers.append(header::VIA, VIA_FLY);
    headers.insert(FLY_REQUEST_ID, value(request_id));
}

/// The protocol that these headers ask to switch to, if they do.
pub(crate) fn upgrade_of(headers: &HeaderMap) -> Option<HeaderValue> {
    let asks = connection_options(headers).any(|option| option.eq_ignore_ascii_case("upgrade"));
    headers.get(header::UPGRADE).filter(|_| asks).cloned()
}

/// A header value; characters that may not stand in one become `?`.
pub(crate) fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or_else(|_| {
        let safe: String = text.chars().map(|c| if matches!(c, ' '..='~') { c } else { '?' }).collect();
        HeaderValue::from_str(&safe).expect("printable ASCII is a valid header value")
    })
}

fn connection_options(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let values = headers.get_all(header::CONNECTION).iter();
    values.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).map(str::trim)
}

fn drop_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<String> = connection_options(headers).map(str::to_ascii_lowercase).collect();
    for name in named.iter().map(String::as_str).chain(HOP_BY_HOP) {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entered(sent: &[(&'static str, &'static str)]) -> HeaderMap {
        entered_with(sent, true)
    }

    fn entered_with(sent: &[(&'static str, &'static str)], strip_forged: bool) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, text) in sent {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(text));
        }
        let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
        prepare_request(&mut headers, address(50_000), address(8080), "ewr", strip_forged);
        headers
    }

    #[test]
    fn a_client_cannot_speak_for_the_edge() {
        let headers = entered(&[
            ("fly-replay-src", "instance=x;state=forged"),
            ("fly-replay-failed", "reason=timeout"),
            ("fly-client-ip", "8.8.8.8"),
            ("fly-region", "nrt"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-for", "9.9.9.9"),
        ]);
        assert!(!headers.contains_key(FLY_REPLAY_SRC));
        assert!(!headers.contains_key(FLY_REPLAY_FAILED));
        assert_eq!(headers["fly-client-ip"], "127.0.0.1");
        assert_eq!(headers["fly-region"], "ewr");
        assert_eq!(headers["x-forwarded-proto"], "http");
        assert_eq!(headers["x-forwarded-for"], "9.9.9.9, 127.0.0.1, 127.0.0.1");
    }

    #[test]
    fn an_edge_that_strips_nothing_still_speaks_for_itself() {
        let headers = entered_with(&[("fly-replay-src", "forged"), ("fly-region", "nrt")], false);
        assert_eq!((&headers[FLY_REPLAY_SRC], &headers["fly-region"]), (&value("forged"), &value("ewr")));
    }

    #[test]
    fn only_an_upgrade_crosses_hop_by_hop() {
        let plain = entered(&[("connection", "keep-alive, x-private"), ("x-private", "1"), ("host", "a:8080")]);
        assert!(!plain.contains_key("connection") && !plain.contains_key("x-private"));
        assert_eq!(plain["host"], "a:8080");
        let upgrade = entered(&[("connection", "keep-alive, Upgrade"), ("upgrade", "websocket")]);
        assert_eq!((&upgrade["connection"], &upgrade["upgrade"]), (&value("upgrade"), &value("websocket")));
    }
}
