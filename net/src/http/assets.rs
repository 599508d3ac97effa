//! The pages of rooms, one for each kind, and their assets, embedded.
//!
//! Invariant: a page may load and reach nothing but its own origin, and no other may frame it.

use axum::{http::HeaderMap, response::Response};
use protocol::room::Kind;
use rust_embed::RustEmbed;

/// The web build's output. A build without it works and says so on a page.
#[derive(RustEmbed)]
#[folder = "../web-client/dist/rooms"]
#[allow_missing = true]
struct Dist;

/// What a page may do: its own scripts (each kind's client is WebAssembly), styles, assets and sockets, and nothing else.
const CSP: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; connect-src 'self'; \
                   img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'";

/// The page of rooms of this kind, if this build has one.
pub(crate) fn page(kind: Kind, request: &HeaderMap) -> Option<Response> {
    webserver::page::<Dist>(&format!("{}/index.html", kind.word()), request, CSP)
}

/// An asset of the pages by its name under `assets/`.
pub(crate) fn asset(name: &str, request: &HeaderMap) -> Option<Response> {
    webserver::asset::<Dist>(name, request)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::header;

    #[test]
    fn a_page_may_reach_nothing_but_its_own_origin() {
        for kind in Kind::ALL {
            // A build without the web client has no pages.
            let Some(page) = page(kind, &HeaderMap::new()) else { return };
            let csp = page.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
            let mut directives = csp.split("; ").map(|directive| directive.split(' '));
            assert!(directives.all(|mut words| {
                let _name = words.next();
                words.all(|word| matches!(word, "'none'" | "'self'" | "'wasm-unsafe-eval'" | "data:"))
            }));
            assert!(csp.starts_with("default-src 'none'; ") && csp.contains("frame-ancestors 'self'"), "{csp}");
        }
    }
}
