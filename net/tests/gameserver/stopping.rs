//! The end: everybody is told, whatever they are doing.

use crate::field::{Field, INSTANCE, PATIENCE, SECRET};
use protocol::{close::CloseReason, message::ServerMessage};
use std::{
    net::{TcpListener, TcpStream},
    process::{Child, Command},
    time::{Duration, Instant},
};

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
    assert!(TcpStream::connect(address).is_err(), "the listener is closed");
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

/// The real binary, listening.
fn spawn(port: u16) -> Child {
    let child = Command::new(env!("CARGO_BIN_EXE_gameserver"))
        .env_clear()
        .envs([("AERODROME_SECRET", SECRET), ("FLY_MACHINE_ID", INSTANCE), ("BIND", "127.0.0.1")])
        .env("PORT", port.to_string())
        .spawn()
        .unwrap();
    let began = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(began.elapsed() < PATIENCE, "the binary does not listen");
        std::thread::sleep(Duration::from_millis(20));
    }
    child
}

#[test]
fn signals_stop_the_process_with_exit_code_zero() {
    for signal in ["TERM", "INT"] {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut child = spawn(port);
        let began = Instant::now();
        Command::new("kill").args(["-s", signal, &child.id().to_string()]).status().unwrap();
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            if began.elapsed() > Duration::from_secs(5) {
                child.kill().unwrap();
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        assert_eq!(status.code(), Some(0), "after SIG{signal}");
    }
}

#[test]
fn a_missing_secret_is_one_sentence() {
    let output = Command::new(env!("CARGO_BIN_EXE_gameserver")).env_clear().output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(words.contains("AERODROME_SECRET is not set.") && words.lines().count() == 1, "{words}");
}
