//! The lobby's page and its files, embedded.

use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use rust_embed::RustEmbed;

const CACHE_A_DAY: &str = "public, max-age=86400";
/// The page brings everything along: it asks nobody but this host, nothing of it stands in its HTML, and it is in no frame.
const CSP: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
    base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
/// Where [`preview`] is, for good: pages of others refer to it.
pub const PREVIEW_PATH: &str = "/preview.jpg";
const PREVIEW: &[u8] = include_bytes!("../../assets/preview.jpg");

/// The web build's output. A build without it works and says so on the page.
#[derive(RustEmbed)]
#[folder = "../web-client/dist/lobby"]
#[allow_missing = true]
struct Dist;

/// The lobby's page, if this build has one.
pub fn page(headers: &HeaderMap) -> Option<Response> {
    webserver::page::<Dist>("index.html", headers, CSP)
}

/// The picture that stands for a link to a room.
pub fn preview() -> Response {
    ([(header::CONTENT_TYPE, "image/jpeg"), (header::CACHE_CONTROL, CACHE_A_DAY)], PREVIEW).into_response()
}

/// A file below `/assets/`.
pub fn asset(name: &str, headers: &HeaderMap) -> Option<Response> {
    webserver::asset::<Dist>(name, headers)
}
