//! The arena's page and its assets, embedded so that the binary is all that runs and page and server always match.
//!
//! Invariants: the page may load and reach nothing but its own origin, and no other may frame it; assets have a hash in
//! their name and are cached for good, but for the script that watches over the others (`boot.js`), which is asked for
//! each time, as the page is; a brotli twin (`<name>.br`, made at build time) is sent to whoever accepts it.

use axum::{
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use rust_embed::RustEmbed;
use std::borrow::Cow;

/// The web build's output. A build without it works and says so on the page.
#[derive(RustEmbed)]
#[folder = "../web-client/dist/arena"]
#[allow_missing = true]
struct Dist;

/// It has the same name in every build, so that a page of an older one finds it.
const BOOT: &str = "boot.js";
const FOR_EVER: &str = "public, max-age=31536000, immutable";
const NEVER: &str = "no-cache";

/// What the page may do: its own scripts (the replica is WebAssembly), styles, assets and sockets, and nothing else.
const CSP: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; connect-src 'self'; \
                   img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'";
/// Where the player comes from is nobody's business; not `no-referrer`, which would also take the origin from what the
/// page posts to the lobby.
pub(crate) const REFERRER_POLICY: &str = "same-origin";

/// The arena's page, if this build has one.
pub(crate) fn page(request: &HeaderMap) -> Option<Response> {
    let mut response = file("index.html", request, NEVER)?;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(CSP));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static(REFERRER_POLICY));
    Some(response)
}

/// An asset of the page by its name under `assets/`.
pub(crate) fn asset(name: &str, request: &HeaderMap) -> Option<Response> {
    file(&format!("assets/{name}"), request, if name == BOOT { NEVER } else { FOR_EVER })
}

fn file(path: &str, request: &HeaderMap, caching: &'static str) -> Option<Response> {
    let plain = Dist::get(path)?;
    let twin = if accepts_brotli(request) { Dist::get(&format!("{path}.br")) } else { None };
    let mime = HeaderValue::from_str(plain.metadata.mimetype()).ok()?;
    let is_brotli = twin.is_some();
    let data = match twin.unwrap_or(plain).data {
        // As many answers as are asked for share what the program has.
        Cow::Borrowed(data) => Bytes::from_static(data),
        Cow::Owned(data) => data.into(),
    };
    let mut response = (StatusCode::OK, data).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, mime);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(caching));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if is_brotli {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("br"));
    }
    Some(response)
}

/// Whether the request lists `br` without refusing it (`;q=0`).
fn accepts_brotli(request: &HeaderMap) -> bool {
    let accepted = request.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
    accepted.split(',').any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        name.trim() == "br" && !matches!(weight.trim(), "q=0" | "q=0.0" | "q=0.00" | "q=0.000")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_may_reach_nothing_but_its_own_origin() {
        // A build without the web client has no page.
        let Some(page) = page(&HeaderMap::new()) else { return };
        let csp = page.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        let mut directives = csp.split("; ").map(|directive| directive.split(' '));
        assert!(directives.all(|mut words| {
            let _name = words.next();
            words.all(|word| matches!(word, "'none'" | "'self'" | "'wasm-unsafe-eval'" | "data:"))
        }));
        assert!(csp.starts_with("default-src 'none'; ") && csp.contains("frame-ancestors 'self'"), "{csp}");
        assert_eq!(page.headers()[header::REFERRER_POLICY], REFERRER_POLICY);
        assert_eq!(page.headers()[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
    }

    #[test]
    fn brotli_is_sent_to_those_who_accept_it() {
        let accepts = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, value.parse().unwrap());
            accepts_brotli(&headers)
        };
        assert!(accepts("gzip, deflate, br, zstd") && accepts("br;q=0.8"));
        assert!(!accepts("gzip") && !accepts("br;q=0, gzip") && !accepts("brotli"));
    }
}
