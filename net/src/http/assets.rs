//! The arena's page and its assets, embedded.
//!
//! Invariant: the page may load and reach nothing but its own origin, and no other may frame it.

use axum::{http::HeaderMap, response::Response};
use rust_embed::RustEmbed;

/// The web build's output. A build without it works and says so on the page.
#[derive(RustEmbed)]
#[folder = "../web-client/dist/arena"]
#[allow_missing = true]
struct Dist;

/// What the page may do: its own scripts (the replica is WebAssembly), styles, assets and sockets, and nothing else.
const CSP: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; connect-src 'self'; \
                   img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'";

/// The arena's page, if this build has one.
pub(crate) fn page(request: &HeaderMap) -> Option<Response> {
    webserver::page::<Dist>(request, CSP)
}

/// An asset of the page by its name under `assets/`.
pub(crate) fn asset(name: &str, request: &HeaderMap) -> Option<Response> {
    webserver::asset::<Dist>(name, request)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::header;

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
    }
}
