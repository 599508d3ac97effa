//! Clients that do not finish what they began, or do not take what they asked for, and how much of one address is under way.

use crate::support::Lobby;
use crate::support::api::Api;
use lobby::listen::Deadlines;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

const SHORT: Duration = Duration::from_millis(300);
/// Far more than [`SHORT`], on whatever machine.
const PATIENCE: Duration = Duration::from_secs(15);

async fn impatient(state: &str) -> Lobby {
    let api = Api::serve(&[("m1", "ewr", state)]).await;
    Lobby::configured(api, |config| {
        config.deadlines = Deadlines { head: SHORT, body: SHORT, write: SHORT };
        config.requests_max_count = 3;
    })
    .await
}

async fn connect(lobby: &Lobby) -> TcpStream {
    let address: SocketAddr = lobby.url.strip_prefix("http://").unwrap().parse().unwrap();
    let socket = TcpSocket::new_v4().unwrap();
    // So that a client who does not read is noticed after a few kilobytes.
    socket.set_recv_buffer_size(4096).unwrap();
    socket.connect(address).await.unwrap()
}

/// Says `words` and returns everything that comes until the lobby closes.
async fn answer_to(lobby: &Lobby, words: &str) -> String {
    let mut stream = connect(lobby).await;
    stream.write_all(words.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A reset is an end as well.
    let _ = timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("the lobby waits for ever");
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn half_a_head_is_not_waited_for() {
    let lobby = impatient("stopped").await;
    for words in ["", "GET / HTT", "GET /healthz HTTP/1.1\r\nhost: a\r\n"] {
        assert_eq!(answer_to(&lobby, words).await, "", "{words}");
    }
    let whole = answer_to(&lobby, "GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert!(whole.starts_with("HTTP/1.1 200") && whole.ends_with("ok\n"), "answered, and closed when idle: {whole}");
}

#[tokio::test]
async fn half_a_body_is_told_so() {
    let lobby = impatient("stopped").await;
    let head = "POST /api/join HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 16\r\n\r\n";
    let answer = answer_to(&lobby, &format!("{head}{{\"region\"")).await;
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("slow_body") && answer.contains("300ms"), "{answer}");
    assert_eq!(lobby.api.count("start m1"), 0);
}

#[tokio::test]
async fn who_never_reads_is_closed() {
    let lobby = impatient("stopped").await;
    let mut stream = connect(&lobby).await;
    let asking = async { while stream.write_all(b"GET /api/regions HTTP/1.1\r\nhost: a\r\n\r\n").await.is_ok() {} };
    timeout(PATIENCE, asking).await.expect("answers pile up for somebody who takes none");
}

#[tokio::test]
async fn a_join_that_reports_its_progress_is_not_cut_for_taking_long() {
    let lobby = impatient("stopped").await;
    lobby.api.set("m1", |machine| machine.is_silent = true);
    let answers = async {
        tokio::time::sleep(SHORT * 5).await;
        lobby.api.set("m1", |machine| machine.is_silent = false);
    };
    let (told, ()) = tokio::join!(lobby.join_told(r#"{"region":"ewr"}"#), answers);
    assert_eq!(told.last().unwrap().0, "joined", "{told:?}");
}

#[tokio::test]
async fn one_address_has_so_much_under_way_and_others_do_not_notice() {
    let lobby = impatient("started").await;
    let watch = |address: &'static str| lobby.get("/api/regions/stream").header("fly-client-ip", address).send();
    let mut watched = Vec::new();
    for _ in 0..3 {
        watched.push(watch("192.0.2.1").await.unwrap());
    }
    let refused = watch("192.0.2.1").await.unwrap();
    assert_eq!((refused.status().as_u16(), refused.headers().contains_key("retry-after")), (429, true));
    assert!(refused.text().await.unwrap().contains("under way"));
    assert_eq!(watch("192.0.2.2").await.unwrap().status(), 200);
    drop(watched);
    let began = Instant::now();
    while watch("192.0.2.1").await.unwrap().status() != 200 {
        assert!(began.elapsed() < PATIENCE, "who left still counts");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
