//! An app for the tests: as lobby and as gameserver it echoes what it was asked, unless it is told otherwise.
//!
//! `x-directive: ..` on a request makes it answer `Fly-Replay: ..` with the status in `x-status` (default 307), once
//! (`fly-replay-failed` makes it echo, and with `x-once` so does `fly-replay-src`) or always (`x-insist`). Paths: `/ws`
//! echoes messages, `/drip` streams, `/exit/N` ends the process, `/deafen` makes it ignore SIGTERM, `/write/NAME` leaves
//! a file in the working directory and `/files` lists what is there. `BOOT_MS` delays listening.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::env::var;
use std::time::Duration;

use axum::body::Body;
use axum::extract::ws::{WebSocket, WebSocketUpgrade};
use axum::extract::{Path, Request};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use axum::{Json, Router};
use futures_util::stream;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::sleep;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let boot_ms = var("BOOT_MS").ok().and_then(|text| text.parse().ok()).unwrap_or(0);
    sleep(Duration::from_millis(boot_ms)).await;
    let router = Router::new()
        .route("/healthz", get(|| async { "ok" }))
        .route("/ws", any(|upgrade: WebSocketUpgrade| async { upgrade.on_upgrade(echo_messages) }))
        .route("/drip", get(drip))
        .route("/exit/{code}", get(exit))
        .route("/deafen", get(deafen))
        .route("/write/{name}", get(write))
        .route("/files", get(files))
        .fallback(echo)
        .layer(from_fn(replay_if_told));
    let address = format!("{}:{}", var("BIND").unwrap_or_default(), var("PORT").unwrap_or_default());
    axum::serve(TcpListener::bind(address).await?, router).await
}

async fn replay_if_told(request: Request, next: Next) -> Response {
    let headers = request.headers();
    let is_replayed = headers.contains_key("fly-replay-src") && headers.contains_key("x-once");
    let came_back = headers.contains_key("fly-replay-failed") && !headers.contains_key("x-insist");
    let is_lobby = var("FLY_APP_NAME").is_ok_and(|app| app == "front");
    match headers.get("x-directive") {
        Some(directive) if is_lobby && !came_back && !is_replayed => {
            let directive = directive.clone();
            let status = headers.get("x-status").and_then(|text| text.to_str().ok()?.parse().ok());
            let status = status.unwrap_or(StatusCode::TEMPORARY_REDIRECT);
            // Read to its end, so that an early answer is not what a test about long bodies finds.
            let _ = axum::body::to_bytes(request.into_body(), usize::MAX).await;
            (status, [("fly-replay", directive)], "never seen").into_response()
        }
        _ => next.run(request).await,
    }
}

async fn echo(headers: HeaderMap, uri: Uri, body: String) -> Json<Value> {
    let headers: BTreeMap<_, _> = headers
        .iter()
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect();
    let env: BTreeMap<_, _> = std::env::vars().filter(|(name, _)| name != "PATH").collect();
    Json(json!({
        "app": var("FLY_APP_NAME").ok(),
        "machine": var("FLY_MACHINE_ID").ok(),
        "pid": std::process::id(),
        "path": uri.to_string(),
        "headers": headers,
        "env": env,
        "body": body,
    }))
}

async fn echo_messages(mut socket: WebSocket) {
    while let Some(Ok(message)) = socket.recv().await {
        if socket.send(message).await.is_err() {
            return;
        }
    }
}

/// Two pieces, the second of which comes too late for a test that waits for the whole.
async fn drip() -> Body {
    Body::from_stream(stream::unfold(0, |count| async move {
        match count {
            0 => Some((Ok::<_, Infallible>("first\n"), 1)),
            1 => {
                sleep(Duration::from_secs(30)).await;
                Some((Ok("second\n"), 2))
            }
            _ => None,
        }
    }))
}

async fn exit(Path(code): Path<i32>) -> &'static str {
    tokio::spawn(async move {
        sleep(Duration::from_millis(50)).await;
        std::process::exit(code);
    });
    "ending"
}

async fn write(Path(name): Path<String>) -> &'static str {
    std::fs::write(name, "left here").expect("the working directory can be written to");
    "written"
}

async fn files() -> Json<Vec<String>> {
    let entries = std::fs::read_dir(".").expect("the working directory can be read");
    Json(entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect())
}

async fn deafen() -> &'static str {
    let mut terminate = signal(SignalKind::terminate()).expect("SIGTERM can be handled");
    tokio::spawn(async move { while terminate.recv().await.is_some() {} });
    "what?"
}
