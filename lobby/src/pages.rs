//! The lobby's own small pages: each says in one sentence what went wrong.
//!
//! Invariants: no outside request, no script; day and night by the reader's preference; nothing from a request is
//! repeated in a page.

use crate::assets;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use catalogue::Entry;

/// A waking page loads itself again after this long.
const WAKING_REFRESH_S: u32 = 2;
/// A moving page does after this long; see [`moving`].
const MOVING_REFRESH_S: u32 = 5;
/// Where most pages lead: address and text of their link.
const LOBBY: (&str, &str) = ("/", "Go to the lobby");
/// The lobby opens with the button for a new private room in reach.
const NEW_ROOM: (&str, &str) = ("/#new", "Open a new room");

const STYLE: &str = "
:root{color-scheme:light dark;--ground:#F4EFE6;--sky:#BFD9E0;--ink:#1E2A32;--quiet:#5B6770;--line:#D9D0C1;--accent:#B8401C;--on:#fff}
@media(prefers-color-scheme:dark){:root{--ground:#12202B;--sky:#1B3140;--ink:#F2EBDD;--quiet:#8FA3AE;--line:#2A4352;--accent:#FF7A4D;--on:#12202B}}
*{box-sizing:border-box}
body{margin:0;min-height:100vh;display:grid;place-items:center;padding:24px;color:var(--ink);
background:linear-gradient(var(--sky),var(--ground) 62%);font:18px/1.5 Seravek,'Gill Sans Nova',Ubuntu,Calibri,'Segoe UI',sans-serif}
main{max-width:34rem;padding:36px;background:var(--ground);border:1px solid var(--line);border-radius:14px}
small{font:13px ui-monospace,Menlo,Consolas,monospace;letter-spacing:.12em;text-transform:uppercase;color:var(--quiet)}
h1{margin:4px 0 12px;font-size:36px;line-height:1.15;font-weight:600}
p{margin:0 0 24px}
a{display:inline-block;min-height:48px;padding:10px 24px;border-radius:6px;background:var(--accent);color:var(--on);text-decoration:none}
a:focus-visible{outline:3px solid var(--ink);outline-offset:2px}
@media(max-width:420px){main{padding:24px}h1{font-size:24px}}";

/// The page that chats show of a link to a room of some kind. No room is named, and no machine is asked.
pub fn invitation(public_url: &str, kind: Option<&Entry>) -> Response {
    let title = kind.map_or("Come in", |entry| entry.title.as_str());
    let about = kind.map_or_else(String::new, |entry| format!(" {}", entry.about));
    let body = format!("You are invited.{about} In your browser, without an account.");
    let picture = format!("{public_url}{}", assets::PREVIEW_PATH);
    let head = format!(
        "<meta name=\"robots\" content=\"noindex\"><meta name=\"description\" content=\"{body}\">\
         <meta property=\"og:type\" content=\"website\"><meta property=\"og:site_name\" content=\"Aerodrome\">\
         <meta property=\"og:title\" content=\"{title}\"><meta property=\"og:description\" content=\"{body}\">\
         <meta property=\"og:image\" content=\"{picture}\"><meta property=\"og:image:type\" content=\"image/jpeg\">\
         <meta property=\"og:image:width\" content=\"1200\"><meta property=\"og:image:height\" content=\"630\">\
         <meta property=\"og:image:alt\" content=\"Planes in a dogfight over an airfield\">\
         <meta name=\"twitter:card\" content=\"summary_large_image\">"
    );
    page(StatusCode::OK, "Invitation", title, &body, LOBBY, &head)
}

/// A machine is on its way up; the page comes back by itself for the `tries`th time, for a new room if it `is_new`.
pub fn waking(tries: u32, is_new: bool) -> Response {
    let body = "This server is waking up. The page tries again by itself every few seconds.";
    retrying(WAKING_REFRESH_S, (tries, is_new), "On its way", "The server is coming", body)
}

/// A room's machine is lost, and the next one waits until it is sure of that; the page was sent round `tries` times.
pub fn moving(tries: u32) -> Response {
    let body = "The server of this room is lost, and another one takes over within half a minute. The page tries again by itself.";
    retrying(MOVING_REFRESH_S, (tries, false), "On its way", "This room is moving", body)
}

fn retrying(after_s: u32, (tries, is_new): (u32, bool), kicker: &str, title: &str, body: &str) -> Response {
    let new = if is_new { "&amp;new" } else { "" };
    let refresh = format!("<meta http-equiv=\"refresh\" content=\"{after_s};url=?try={tries}{new}\">");
    let mut response = page(StatusCode::SERVICE_UNAVAILABLE, kicker, title, body, LOBBY, &refresh);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(after_s));
    response
}

/// A machine does not answer, and waiting did not help.
pub fn silent() -> Response {
    let body = "This server did not answer, and we stopped trying. Pick another room, or open this page again later.";
    page(StatusCode::SERVICE_UNAVAILABLE, "No contact", "There is no answer", body, LOBBY, "")
}

/// Somebody only wants to look on, and the machine sleeps or is gone.
pub fn quiet() -> Response {
    let body = "Nobody is there right now, so there is nothing to watch. The lobby shows where people are.";
    page(StatusCode::CONFLICT, "Quiet", "Nobody is there", body, LOBBY, "")
}

/// A machine was destroyed, and there is none that its rooms could go to.
pub fn gone() -> Response {
    let body = "This room was closed and does not come back. You can open a new one and send its link to your friends.";
    page(StatusCode::GONE, "Closed", "That room is gone", body, NEW_ROOM, "")
}

/// There is no such machine.
pub fn unknown_machine() -> Response {
    let body = "We know no server at this address: the link may be old or mistyped. The lobby shows the rooms that are open now.";
    page(StatusCode::NOT_FOUND, "Not on the map", "No such room", body, LOBBY, "")
}

/// Any other address.
pub fn not_found() -> Response {
    let body = "There is nothing at this address. The lobby shows where you can go.";
    page(StatusCode::NOT_FOUND, "Not on the map", "Nothing here", body, LOBBY, "")
}

/// The address is right, the method is not.
pub fn wrong_method() -> Response {
    let body = "This address cannot be asked in this way. The lobby shows where you can go.";
    page(StatusCode::METHOD_NOT_ALLOWED, "Not on the map", "Not like this", body, LOBBY, "")
}

/// The program was built without its page.
pub fn not_built() -> Response {
    let body =
        "The lobby's page is not part of this build. Run <code>make web</code>, build the lobby again and reload.";
    page(StatusCode::SERVICE_UNAVAILABLE, "Under construction", "The page is missing", body, LOBBY, "")
}

fn page(status: StatusCode, kicker: &str, title: &str, body: &str, (href, link): (&str, &str), head: &str) -> Response {
    let html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">{head}\
         <title>{title} · Aerodrome</title><link rel=\"icon\" href=\"data:,\"><style>{STYLE}</style></head>\
         <body><main><small>{kicker}</small><h1>{title}</h1><p>{body}</p><a href=\"{href}\">{link}</a></main></body></html>"
    );
    webserver::notice(status, html)
}

#[cfg(test)]
mod tests {
    use super::*;
    use catalogue::Catalogue;
    use protocol::room::Kind;

    #[tokio::test]
    async fn an_invitation_has_a_title_and_a_picture_with_a_whole_address() {
        let kinds = Catalogue::built_in();
        let response = invitation("https://a.example", Some(&kinds[Kind::Arena]));
        assert_eq!(response.status(), StatusCode::OK);
        let body = axum::body::to_bytes(response.into_body(), 100_000).await.unwrap();
        let html = String::from_utf8(body.to_vec()).unwrap();
        for part in [
            "<title>Dogfight · Aerodrome</title>",
            r#"property="og:title" content="Dogfight""#,
            r#"property="og:image" content="https://a.example/preview.jpg""#,
            r#"content="noindex""#,
        ] {
            assert!(html.contains(part), "{part}: {html}");
        }
    }

    #[tokio::test]
    async fn every_page_says_one_thing_offers_the_lobby_and_asks_nobody_else() {
        for response in [
            waking(1, false),
            moving(1),
            silent(),
            quiet(),
            gone(),
            unknown_machine(),
            not_found(),
            wrong_method(),
            not_built(),
        ] {
            assert!(!response.status().is_success());
            let body = axum::body::to_bytes(response.into_body(), 100_000).await.unwrap();
            let html = String::from_utf8(body.to_vec()).unwrap();
            assert!(html.contains("<a href=\"/") && html.contains("prefers-color-scheme"));
            assert!(!html.contains("http://") && !html.contains("https://") && !html.contains("<script"), "{html}");
            assert!(!html.contains('!') || html.matches('!').count() == 1, "only the doctype has an exclamation mark");
        }
    }
}
