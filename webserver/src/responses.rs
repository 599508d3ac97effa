//! Answers that both servers give: a small page that explains something, and the metrics.

use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};

/// Where the player comes from is nobody's business; not `no-referrer`, which would also take the origin from what a page
/// posts to the lobby.
pub const REFERRER_POLICY: &str = "same-origin";

/// A notice has a style of its own and a link, and nothing else.
const NOTICE_CSP: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; \
    form-action 'none'; frame-ancestors 'none'";

/// A page that consists of this HTML alone, without a script; nobody caches it.
pub fn notice(status: StatusCode, html: String) -> Response {
    let headers = [
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, NOTICE_CSP),
        (header::REFERRER_POLICY, REFERRER_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (status, headers, Html(html)).into_response()
}

/// Metrics in OpenMetrics' text format.
pub fn metrics(text: String) -> Response {
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, content_type)], text).into_response()
}
