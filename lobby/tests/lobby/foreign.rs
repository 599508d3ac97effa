//! Pages of other sites: whatever they send, no machine wakes and nothing of their visitors' is used up.

use crate::support::Lobby;
use serde_json::Value;

const BODY: &str = r#"{"region":"ewr"}"#;

/// Status, code and sentence of a join with these headers and no others that matter.
async fn join(lobby: &Lobby, headers: &[(&str, &str)]) -> (u16, String, String) {
    let request = lobby.http.post(format!("{}/api/join", lobby.url)).body(BODY);
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    let answer = request.send().await.unwrap();
    let (status, body) = (answer.status().as_u16(), answer.json::<Value>().await.unwrap());
    let word = |name: &str| body["error"][name].as_str().unwrap_or_default().to_owned();
    (status, word("code"), word("message"))
}

/// SPEC S10.4.
#[tokio::test]
async fn a_page_of_another_site_cannot_join() {
    let lobby = Lobby::start(&[("m1", "ewr", "stopped")]).await;
    let json = ("content-type", "application/json");
    for (headers, header) in [
        (&[json, ("origin", "https://evil.example")][..], "\"origin\""),
        (&[json, ("origin", "null")], "\"origin\""),
        (&[json, ("sec-fetch-site", "cross-site")], "\"sec-fetch-site\""),
        // What `mode: 'no-cors'` sends.
        (&[("content-type", "text/plain;charset=UTF-8"), ("origin", "https://evil.example")], "\"origin\""),
    ] {
        let (status, code, sentence) = join(&lobby, headers).await;
        assert_eq!((status, code.as_str()), (403, "foreign_page"), "{headers:?}");
        assert!(sentence.contains(header) && sentence.ends_with('.'), "{sentence}");
    }
    assert_eq!(lobby.api.count("start m1"), 0);
    let own = [json, ("origin", lobby.url.as_str()), ("sec-fetch-site", "same-origin")];
    assert_eq!(join(&lobby, &own).await.0, 200);
    assert_eq!(lobby.api.count("start m1"), 1);
}

/// SPEC S10.3.
#[tokio::test]
async fn a_join_has_to_be_json() {
    let lobby = Lobby::start(&[("m1", "ewr", "stopped")]).await;
    for said in [None, Some("text/plain"), Some("application/x-www-form-urlencoded"), Some("application/jsonp")] {
        let headers: Vec<_> = said.iter().map(|said| ("content-type", *said)).collect();
        let (status, code, sentence) = join(&lobby, &headers).await;
        assert_eq!((status, code.as_str()), (415, "not_json"), "{said:?}");
        assert!(sentence.contains("\"content-type\"") && sentence.contains("\"application/json\""), "{sentence}");
    }
    assert_eq!(lobby.api.count("start m1"), 0);
    assert_eq!(join(&lobby, &[("content-type", "Application/JSON; charset=utf-8")]).await.0, 200);
}

#[tokio::test]
async fn foreign_pages_do_not_use_up_what_their_visitors_may_do() {
    let lobby = Lobby::start(&[("m1", "ewr", "started")]).await;
    let foreign = [("content-type", "text/plain"), ("origin", "https://evil.example"), ("fly-client-ip", "192.0.2.1")];
    for _ in 0..310 {
        assert_eq!(join(&lobby, &foreign).await.0, 403);
    }
    let own = lobby.ask_to_join(BODY).header("fly-client-ip", "192.0.2.1");
    assert_eq!(own.send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_machine_is_reached_by_a_followed_link_and_not_by_what_a_foreign_page_loads() {
    let lobby = Lobby::start(&[("m1", "ewr", "stopped")]).await;
    let ask = async |headers: &[(&str, &str)]| {
        let request = lobby.get("/gameserver/m1/arena");
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.headers().contains_key("fly-replay"))
    };
    let cross = |mode, dest| [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", mode), ("sec-fetch-dest", dest)];
    assert_eq!(ask(&cross("navigate", "document")).await, (307, true), "somebody clicked an invite link");
    assert_eq!(ask(&cross("no-cors", "image")).await, (403, false));
    assert_eq!(ask(&cross("navigate", "iframe")).await, (403, false));
    let socket = [("upgrade", "websocket"), ("connection", "upgrade"), ("origin", "https://evil.example")];
    assert_eq!(ask(&socket).await, (403, false), "the proxy would start the machine before it could refuse");
    let own = [("upgrade", "websocket"), ("connection", "upgrade"), ("origin", lobby.url.as_str())];
    assert_eq!(ask(&own).await, (307, true));
}

#[tokio::test]
async fn only_what_reads_is_replayed() {
    let lobby = Lobby::start(&[("m1", "ewr", "stopped")]).await;
    for method in [reqwest::Method::POST, reqwest::Method::PUT, reqwest::Method::OPTIONS] {
        let answer = lobby.http.request(method, format!("{}/gameserver/m1/arena", lobby.url)).send().await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.headers().get("fly-replay")), (405, None));
    }
    assert_eq!(
        lobby.get("/api/join").send().await.unwrap().status(),
        405,
        "and looking at the join's address is no join"
    );
}
