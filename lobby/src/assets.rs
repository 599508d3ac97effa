//! The lobby's page and its files, embedded.
//!
//! Path: a path → the file, or its brotli twin (`.br`) where the browser takes it.
//! Invariants: files below `assets/` have a hash in their name and are cached for ever, but for the script that watches
//! over the others (`boot.js`); that and the page never are. A debug build reads the files from the folder instead.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use rust_embed::{EmbeddedFile, RustEmbed};
use std::borrow::Cow;

const PAGE: &str = "index.html";
/// It has the same name in every build, so that a page of an older one finds it.
const BOOT: &str = "boot.js";
const CACHE_FOR_EVER: &str = "public, max-age=31536000, immutable";
const CACHE_NEVER: &str = "no-cache";
const CACHE_A_DAY: &str = "public, max-age=86400";
/// The page brings everything along: it asks nobody but this host, nothing of it stands in its HTML, and it is in no frame.
const CSP: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
    base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
/// Where [`preview`] is, for good: pages of others refer to it.
pub const PREVIEW_PATH: &str = "/preview.jpg";
const PREVIEW: &[u8] = include_bytes!("../../assets/preview.jpg");

#[derive(RustEmbed)]
#[folder = "../web-client/dist/lobby"]
#[allow_missing = true]
struct Built;

/// The lobby's page, if this build has one.
pub fn page(headers: &HeaderMap) -> Option<Response> {
    let mut page = serve(PAGE, CACHE_NEVER, headers)?;
    page.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(CSP));
    Some(page)
}

/// The picture that stands for a link to a room.
pub fn preview() -> Response {
    ([(header::CONTENT_TYPE, "image/jpeg"), (header::CACHE_CONTROL, CACHE_A_DAY)], PREVIEW).into_response()
}

/// A file below `/assets/`.
pub fn asset(name: &str, headers: &HeaderMap) -> Option<Response> {
    let cache = if name == BOOT { CACHE_NEVER } else { CACHE_FOR_EVER };
    serve(&format!("assets/{name}"), cache, headers)
}

fn serve(path: &str, cache: &'static str, headers: &HeaderMap) -> Option<Response> {
    let plain = Built::get(path)?;
    let kind = plain.metadata.mimetype().to_owned();
    let fixed = [
        (header::CACHE_CONTROL, cache),
        (header::VARY, "accept-encoding"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    let twin = takes_brotli(headers).then(|| Built::get(&format!("{path}.br"))).flatten();
    let mut response = match twin {
        Some(twin) => ([(header::CONTENT_ENCODING, "br")], body(twin)).into_response(),
        None => body(plain).into_response(),
    };
    response.headers_mut().insert(header::CONTENT_TYPE, kind.parse().ok()?);
    response.headers_mut().extend(fixed.map(|(name, value)| (name, header::HeaderValue::from_static(value))));
    Some(response)
}

fn body(file: EmbeddedFile) -> Body {
    match file.data {
        Cow::Borrowed(bytes) => bytes.into(),
        Cow::Owned(bytes) => bytes.into(),
    }
}

fn takes_brotli(headers: &HeaderMap) -> bool {
    let accepted = headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
    accepted.split(',').any(|coding| {
        let (name, quality) = coding.split_once(';').unwrap_or((coding, ""));
        name.trim() == "br" && !matches!(quality.trim(), "q=0" | "q=0.0")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brotli_only_for_those_who_take_it() {
        for (accepted, expected) in [
            ("gzip, deflate, br, zstd", true),
            ("br;q=0.5", true),
            ("gzip", false),
            ("br;q=0", false),
            ("brotli", false),
        ] {
            let headers = HeaderMap::from_iter([(header::ACCEPT_ENCODING, accepted.parse().unwrap())]);
            assert_eq!(takes_brotli(&headers), expected, "{accepted}");
        }
        assert!(!takes_brotli(&HeaderMap::new()));
    }
}
