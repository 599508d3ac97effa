//! Error pages of the gameserver: what happened, and what to do next.
//!
//! Invariant: nothing a stranger wrote is repeated on a page.

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};

/// What is no room's address.
pub(crate) fn no_such_room() -> Response {
    page(StatusCode::NOT_FOUND, "There is no such room.", "The lobby knows which rooms are open.")
}

/// A room that was never there, or that nobody can bring back.
pub(crate) fn room_is_gone() -> Response {
    page(StatusCode::NOT_FOUND, "This room is gone.", "Nobody has kept it, but the lobby can open you a new one.")
}

/// A machine that is not there any more.
pub(crate) fn machine_is_gone() -> Response {
    page(StatusCode::NOT_FOUND, "That room is gone.", "The lobby knows which rooms are open.")
}

/// A build without the web client.
pub(crate) fn no_page_built() -> Response {
    page(
        StatusCode::SERVICE_UNAVAILABLE,
        "This gameserver was built without its page.",
        "Build the web client first, then the server again.",
    )
}

/// Plain words for a program; a browser only sees them when something is wrong.
pub(crate) fn forbidden(sentence: &'static str) -> Response {
    (StatusCode::FORBIDDEN, sentence).into_response()
}

fn page(status: StatusCode, happened: &str, to_do: &str) -> Response {
    let html = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><link rel=\"icon\" href=\"data:,\"><title>{happened}</title>\
         <style>body{{margin:0;min-height:100vh;display:grid;place-content:center;gap:16px;padding:24px;\
         background:#F4EFE6;color:#1E2A32;font:18px/1.5 system-ui,sans-serif}}\
         h1{{font-size:36px;line-height:1.2;margin:0}}p{{margin:0}}a{{color:#B3261E}}\
         @media(prefers-color-scheme:dark){{body{{background:#12202B;color:#F2EBDD}}a{{color:#FF7A4D}}}}</style>\
         <h1>{happened}</h1><p>{to_do} <a href=\"/\">Go to the lobby</a></p></html>"
    );
    webserver::notice(status, html)
}
