//! A page and its assets, embedded so that the binary is all that runs and page and server always match.
//!
//! Path: a path → the file, or its brotli twin (`<name>.br`, made at build time) for a client that accepts it.
//! Invariants: assets have a hash in their name and are cached for good, but for the script that watches over the others
//! (`boot.js`); that one and the page are asked for each time. A debug build reads the files from the folder instead.
//!
//! Not a library's (axum-embed, memory-serve and static-serve were weighed): they ignore the weights of `Accept-Encoding`,
//! compress by themselves, or add an `ETag` to what never changes, and none lets a page have its own policies.

use crate::responses::REFERRER_POLICY;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use rust_embed::RustEmbed;
use std::borrow::Cow;

/// It has the same name in every build, so that a page of an older one finds it.
const BOOT: &str = "boot.js";
const CACHE_FOR_EVER: &str = "public, max-age=31536000, immutable";
const CACHE_NEVER: &str = "no-cache";

/// The page of a web build at this path in it, if there is one. `csp` is what it may load and reach.
pub fn page<Dist: RustEmbed>(path: &str, request: &HeaderMap, csp: &'static str) -> Option<Response> {
    let mut page = file::<Dist>(path, request, CACHE_NEVER)?;
    page.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(csp));
    page.headers_mut().insert(header::REFERRER_POLICY, HeaderValue::from_static(REFERRER_POLICY));
    Some(page)
}

/// An asset of the pages by its name under `assets/`.
pub fn asset<Dist: RustEmbed>(name: &str, request: &HeaderMap) -> Option<Response> {
    file::<Dist>(&format!("assets/{name}"), request, if name == BOOT { CACHE_NEVER } else { CACHE_FOR_EVER })
}

fn file<Dist: RustEmbed>(path: &str, request: &HeaderMap, caching: &'static str) -> Option<Response> {
    let plain = Dist::get(path)?;
    let content_type = HeaderValue::from_str(plain.metadata.mimetype()).ok()?;
    let brotli = if accepts_brotli(request) { Dist::get(&format!("{path}.br")) } else { None };
    let is_brotli = brotli.is_some();
    let mut response = match brotli.unwrap_or(plain).data {
        // All answers share what the program has.
        Cow::Borrowed(bytes) => Bytes::from_static(bytes),
        Cow::Owned(bytes) => bytes.into(),
    }
    .into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, content_type);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(caching));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if is_brotli {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("br"));
    }
    Some(response)
}

/// Whether the request lists `br`, and with no weight of zero (RFC 9110, 12.4.2: not acceptable).
fn accepts_brotli(request: &HeaderMap) -> bool {
    let accepted = request.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
    accepted.split(',').any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        name.trim() == "br" && !is_zero(weight)
    })
}

/// Whether this is `q=0`, with however many decimals.
fn is_zero(weight: &str) -> bool {
    let value = weight.split_once('=').filter(|(name, _)| name.trim().eq_ignore_ascii_case("q"));
    value.is_some_and(|(_, value)| value.trim().parse() == Ok(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(RustEmbed)]
    #[folder = "tests/site"]
    struct Site;

    fn accepting(codings: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::ACCEPT_ENCODING, codings.parse().unwrap())])
    }

    async fn body(response: Response) -> String {
        let bytes = axum::body::to_bytes(response.into_body(), 1_000).await.unwrap();
        String::from_utf8(bytes.to_vec()).unwrap().trim_end().to_owned()
    }

    fn sorted(response: &Response) -> Vec<(&str, &str)> {
        let mut all: Vec<_> =
            response.headers().iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        all.sort_unstable();
        all
    }

    #[tokio::test]
    async fn the_page_is_asked_for_each_time_and_has_its_policies() {
        let page = page::<Site>("index.html", &HeaderMap::new(), "default-src 'none'").unwrap();
        let expected = [
            ("cache-control", "no-cache"),
            ("content-security-policy", "default-src 'none'"),
            ("content-type", "text/html"),
            ("referrer-policy", "same-origin"),
            ("vary", "accept-encoding"),
            ("x-content-type-options", "nosniff"),
        ];
        assert_eq!(sorted(&page), expected);
        assert_eq!(body(page).await, "plain page");
    }

    #[tokio::test]
    async fn an_asset_is_kept_for_good_but_for_the_script_that_watches() {
        let asset = |name| asset::<Site>(name, &accepting("gzip, br"));
        let script = asset("app-1a2b.js").unwrap();
        let expected = [
            ("cache-control", "public, max-age=31536000, immutable"),
            ("content-encoding", "br"),
            ("content-type", "text/javascript"),
            ("vary", "accept-encoding"),
            ("x-content-type-options", "nosniff"),
        ];
        assert_eq!(sorted(&script), expected);
        assert_eq!(body(script).await, "script in brotli");
        let boot = asset("boot.js").unwrap();
        assert_eq!(
            (&boot.headers()["cache-control"], boot.headers().get("content-encoding")),
            (&"no-cache".parse().unwrap(), None)
        );
        assert_eq!(body(boot).await, "boot");
        assert!(asset("nothing.js").is_none());
    }

    #[test]
    fn brotli_is_sent_to_those_who_accept_it() {
        for codings in ["gzip, deflate, br, zstd", "br;q=0.8", "br; q=0.001", "br;q=1", "gzip;q=0, br"] {
            assert!(accepts_brotli(&accepting(codings)), "{codings}");
        }
        let zero = ["br;q=0", "br;q=0, gzip", "br;q=0.", "br;q=0.0", "br;q=0.00", "br;q=0.000", "br; q=0.00", "br;Q=0"];
        for codings in zero.into_iter().chain(["gzip", "brotli", ""]) {
            assert!(!accepts_brotli(&accepting(codings)), "{codings}");
        }
        assert!(!accepts_brotli(&HeaderMap::new()));
    }
}
