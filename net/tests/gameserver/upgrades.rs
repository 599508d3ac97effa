//! WebSocket's handshake, byte by byte: what is granted, what is refused, and what is no WebSocket at all.

use crate::harness::{Gameserver, INSTANCE, PATIENCE};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

const RIGHT: &str = "connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
                     sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

impl Gameserver {
    /// Asks with exactly this line, these headers and this body; status and head of the answer.
    async fn ask(&self, method: &str, name: &str, version: &str, headers: &str, body: &str) -> (u16, String) {
        let path = format!("/gameserver/{INSTANCE}/{name}");
        let source = self.replay_source(&path);
        let request = format!("{method} {path} {version}\r\nfly-replay-src: {source}\r\n{headers}\r\n{body}");
        let mut stream = TcpStream::connect(self.address()).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(timeout(PATIENCE, stream.read_u8()).await.unwrap().unwrap());
        }
        let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), head)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_right_handshake_is_granted() {
    let gameserver = Gameserver::start().await;
    for name in ["arena", "ping"] {
        let (status, head) = gameserver.ask("GET", name, "HTTP/1.1", &format!("host: a\r\n{RIGHT}"), "").await;
        assert_eq!(status, 101, "{name}");
        // The example of the standard, section 1.3.
        assert!(head.contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="), "{head}");
    }
    gameserver.server.stop().await;
}

/// SPEC S4.1.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_handshake_is_refused() {
    let gameserver = Gameserver::start().await;
    let with = |key: &str| RIGHT.replace("dGhlIHNhbXBsZSBub25jZQ==", key);
    let host = "host: a\r\n";
    let wrong = [
        (400, "GET", format!("{host}{}", with("abc")), ""),
        (400, "GET", format!("{host}{}", with("")), ""),
        (400, "GET", format!("{host}{}", RIGHT.replace("connection: Upgrade\r\n", "")), ""),
        (400, "GET", RIGHT.to_owned(), ""),
        (400, "GET", format!("{host}content-length: 5\r\n{RIGHT}"), "hello"),
        (400, "GET", format!("{host}transfer-encoding: chunked\r\n{RIGHT}"), "5\r\nhello\r\n0\r\n\r\n"),
        (400, "HEAD", format!("{host}{RIGHT}"), ""),
        (405, "POST", format!("{host}{RIGHT}"), ""),
        (426, "GET", format!("{host}{}", RIGHT.replace("13", "8")), ""),
        (426, "GET", format!("{host}{}", RIGHT.replace("sec-websocket-version: 13\r\n", "")), ""),
    ];
    for name in ["arena", "ping"] {
        for (expected, method, headers, body) in &wrong {
            let (status, head) = gameserver.ask(method, name, "HTTP/1.1", headers, body).await;
            assert_eq!(status, *expected, "{name}: {method} {headers:?} {body:?}");
            if status == 426 {
                assert!(head.contains("sec-websocket-version: 13\r\n") && head.contains("upgrade: websocket\r\n"));
            }
        }
    }
    assert_eq!(gameserver.metric("sockets").await, 0.0);
    gameserver.server.stop().await;
}

/// SPEC S4.1.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upgrade_to_something_else_is_no_upgrade() {
    let gameserver = Gameserver::start().await;
    let h2c = "host: a\r\nconnection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n";
    let old = format!("host: a\r\n{RIGHT}");
    let (plain, _) = gameserver.ask("GET", "arena", "HTTP/1.1", "host: a\r\n", "").await;
    for (version, headers) in [("HTTP/1.1", h2c), ("HTTP/1.0", &old)] {
        let (status, head) = gameserver.ask("GET", "arena", version, headers, "").await;
        assert_eq!(status, plain, "{headers}");
        assert!(head.contains("content-type: text/html"), "{head}");
        assert_eq!(gameserver.ask("GET", "status", version, headers, "").await.0, 200, "{headers}");
        assert_eq!(gameserver.ask("GET", "ping", version, headers, "").await.0, 426, "{headers}");
    }
    gameserver.server.stop().await;
}
