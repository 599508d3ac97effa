//! The end: everybody is told, whatever they are doing.

use crate::field::Field;
use protocol::{close::CloseReason, message::ServerMessage};
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopping_tells_everybody_and_is_quick() {
    let field = Field::start().await;
    let mut flying = field.join("Ada").await;
    let mut silent = field.open().await;
    let address = field.address();
    let began = Instant::now();
    let stopped = tokio::spawn(field.server.stop());
    let code = CloseReason::ServerStopping.code();
    for socket in [&mut flying.socket, &mut silent] {
        let (heard, told) = socket.hear_close().await;
        assert_eq!(heard, code);
        assert!(told.contains(&ServerMessage::Bye { code }));
    }
    drop((flying, silent));
    stopped.await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(2), "it took {:?}", began.elapsed());
    assert!(tokio::net::TcpStream::connect(address).await.is_err(), "the listener is closed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_does_not_answer_the_close_is_cut_off() {
    let field = Field::start().await;
    let ignoring = field.join("Ada").await;
    let began = Instant::now();
    field.server.stop().await;
    assert!(began.elapsed() < Duration::from_secs(5));
    drop(ignoring);
}
