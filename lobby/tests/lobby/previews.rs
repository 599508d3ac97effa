//! Who only looks at an invite link: it gets something to show, and no machine hears of it.

use crate::support::Lobby;
use reqwest::Method;

const LINK: &str = "/gameserver/m1/field-abc";

#[tokio::test]
async fn a_preview_gets_a_title_and_a_picture_and_wakes_nothing() {
    let lobby = Lobby::start(&[("m1", "ewr", "started")]).await;
    for agent in ["Slackbot-LinkExpanding 1.0", "WhatsApp/2.23.20.0", "Mozilla/5.0 (compatible; Discordbot/2.0)"] {
        let page = lobby.get(LINK).header("user-agent", agent).send().await.unwrap();
        assert_eq!((page.status().as_u16(), page.headers().get("fly-replay")), (200, None), "{agent}");
        let html = page.text().await.unwrap();
        assert!(html.contains("og:title") && !html.contains("field-abc"), "a link is the key to its room: {html}");
        let (_, rest) = html.split_once(r#"property="og:image" content=""#).unwrap();
        let picture = rest.split('"').next().unwrap();
        // The public address of these tests is not the lobby's own.
        let path = picture.strip_prefix(&lobby.api.url()).unwrap_or_else(|| panic!("a whole address: {picture}"));
        let picture = lobby.get(path).send().await.unwrap();
        assert_eq!(picture.headers()["content-type"], "image/jpeg");
        assert!(picture.bytes().await.unwrap().starts_with(&[0xff, 0xd8]));
    }
    assert_eq!((lobby.api.count("list"), lobby.api.count("start m1")), (0, 0), "nobody is asked");
}

#[tokio::test]
async fn a_head_is_answered_here() {
    let lobby = Lobby::start(&[("m1", "ewr", "stopped")]).await;
    for path in [LINK, "/gameserver/m1/status", "/gameserver/m1/ping"] {
        let answer = lobby.http.request(Method::HEAD, format!("{}{path}", lobby.url)).send().await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.headers().get("fly-replay")), (200, None), "{path}");
    }
}

#[tokio::test]
async fn a_browser_that_fetches_ahead_is_told_to_come_again() {
    let lobby = Lobby::start(&[("m1", "ewr", "stopped")]).await;
    for purpose in ["prefetch", "prefetch;prerender"] {
        let answer = lobby.get(LINK).header("sec-purpose", purpose).send().await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.headers().get("fly-replay")), (503, None));
        assert_eq!(answer.headers()["cache-control"], "no-store");
    }
    assert!(lobby.get(LINK).send().await.unwrap().headers().contains_key("fly-replay"), "and then it is replayed");
}

#[tokio::test]
async fn a_protocol_that_nobody_speaks_here_is_ignored() {
    let lobby = Lobby::start(&[("m1", "ewr", "started")]).await;
    for path in ["/healthz", "/api/regions"] {
        let answer = lobby.get(path).header("connection", "upgrade").header("upgrade", "h2c").send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
    }
    let page = lobby.get("/gameserver/nobody/field-x").header("upgrade", "h2c").send().await.unwrap();
    assert_eq!(page.status(), 302, "it is a page like any other, not a socket");
}
