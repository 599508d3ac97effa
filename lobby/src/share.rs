//! `POST /api/share`: the link by which people read along in a private room.
//!
//! Path: `{"instance", "room"}` from somebody who knows the room's name → `{"path"}`, which names the room by its alias.
//! Invariants: as careful as a join with whoever asks, and counted as one; no machine hears of it.

use crate::app::App;
use crate::join_http::read_json;
use crate::refusal::{Refusal, RefusedJoin};
use crate::steer::{GameserverPath, PREFIX};
use axum::Json;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use protocol::token::Key;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use webserver::client_address;

/// `POST /api/share`.
pub(crate) async fn share(
    State(app): State<Arc<App>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response {
    let (Parts { headers, .. }, body) = request.into_parts();
    let body = read_json(&app, client_address(&headers, peer), &headers, body).await;
    let answer = body.and_then(|body| reader_path(&app.key, &body)).map(|path| Json(json!({ "path": path })));
    ([(header::CACHE_CONTROL, "no-store")], answer.map_err(RefusedJoin::from)).into_response()
}

/// Where readers of the room that the body names go.
fn reader_path(key: &Key, body: &[u8]) -> Result<String, Refusal> {
    let bad = |sentence: &str| Refusal::BadRequest(sentence.to_owned());
    let json: Value = serde_json::from_slice(body).map_err(|error| bad(&format!("The body is not JSON: {error}.")))?;
    let (Some(instance), Some(room)) = (json["instance"].as_str(), json["room"].as_str()) else {
        return Err(bad("Name the \"instance\" and the \"room\" that the link is for."));
    };
    if GameserverPath::parse(&format!("{PREFIX}{instance}/{room}")).is_none_or(|path| path.room.is_none()) {
        return Err(bad("\"instance\" and \"room\" must be those of a room's address."));
    }
    let alias = key.seal_alias(room);
    let alias = alias.ok_or_else(|| bad("\"room\" has no link to read along: only a private room has one."))?;
    Ok(format!("{PREFIX}{instance}/{alias}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SPEC S10.7.
    #[test]
    fn a_bad_body_is_told_which_field_is_wrong() {
        let key = Key::new("a secret of enough length").unwrap();
        for (body, word) in [
            ("", "JSON"),
            ("{}", "\"instance\""),
            (r#"{"instance":"m1"}"#, "\"room\""),
            (r#"{"instance":"m1","room":7}"#, "\"room\""),
            (r#"{"instance":"..","room":"arena-p-a"}"#, "\"instance\""),
            (r#"{"instance":"m1","room":"status"}"#, "\"room\""),
            (r#"{"instance":"m1","room":"arena"}"#, "private"),
            (r#"{"instance":"m1","room":"arena-r-0a1b"}"#, "private"),
        ] {
            let Err(Refusal::BadRequest(sentence)) = reader_path(&key, body.as_bytes()) else {
                panic!("{body} was taken")
            };
            assert!(sentence.contains(word) && sentence.ends_with('.'), "{body}: {sentence}");
        }
    }
}
