//! What Fly's proxy adds to a request.

use axum::http::HeaderMap;
use protocol::room::is_name;

/// The region of the edge that accepted this player's connection, if the proxy names it.
pub(crate) fn edge_region(headers: &HeaderMap) -> Option<String> {
    let region = headers.get("fly-region")?.to_str().ok()?;
    is_name(region).then(|| region.to_owned())
}
