//! The end: everybody is told, whatever they are doing.

use crate::harness::{Gameserver, INSTANCE, PATIENCE, SECRET};
use protocol::{close::CloseReason, message::ServerMessage};
use std::{
    net::TcpStream,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use tokio::net::TcpSocket;

/// SPEC S6.2.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopping_tells_everybody_and_is_quick() {
    let gameserver = Gameserver::start().await;
    let mut flying = gameserver.join("Ada").await;
    let mut silent = gameserver.open().await;
    let address = gameserver.address();
    let began = Instant::now();
    let stopped = tokio::spawn(gameserver.server.stop());
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

/// SPEC S9.2.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_does_not_answer_the_close_is_cut_off() {
    let gameserver = Gameserver::start().await;
    let ignoring = gameserver.join("Ada").await;
    let began = Instant::now();
    gameserver.server.stop().await;
    assert!(began.elapsed() < Duration::from_secs(5));
    drop(ignoring);
}

/// The real binary, listening.
fn spawn(sleep_after_s: &str) -> Child {
    serve(&[("SLEEP_AFTER_S", sleep_after_s)]).0
}

/// The same with any settings; and its port.
pub(crate) fn serve(settings: &[(&str, &str)]) -> (Child, u16) {
    // Bound and not listening, it keeps everybody else off the port, and lets the binary listen there.
    let reserved = TcpSocket::new_v4().unwrap();
    reserved.set_reuseaddr(true).unwrap();
    reserved.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let port = reserved.local_addr().unwrap().port();
    let child = Command::new(env!("CARGO_BIN_EXE_gameserver"))
        .env_clear()
        .envs([("AERODROME_SECRET", SECRET), ("FLY_MACHINE_ID", INSTANCE), ("BIND", "127.0.0.1")])
        .env("PORT", port.to_string())
        .envs(settings.iter().copied())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let began = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(began.elapsed() < PATIENCE, "the binary does not listen");
        std::thread::sleep(Duration::from_millis(20));
    }
    (child, port)
}

#[test]
fn signals_stop_the_process_with_exit_code_zero() {
    for signal in ["TERM", "INT"] {
        let child = spawn("0");
        Command::new("kill").args(["-s", signal, &child.id().to_string()]).status().unwrap();
        assert_eq!(exit_code_of(child), Some(0), "after SIG{signal}");
    }
}

#[test]
fn a_process_that_nobody_needs_ends_with_exit_code_zero() {
    assert_eq!(exit_code_of(spawn("1")), Some(0));
}

/// Waits for the end, not for ever.
fn exit_code_of(mut child: Child) -> Option<i32> {
    let began = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        if began.elapsed() > PATIENCE {
            child.kill().unwrap();
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// On Fly, without what it needs there.
#[test]
fn in_production_a_missing_secret_or_store_is_one_sentence() {
    for (variables, words) in [
        (vec![], "AERODROME_SECRET is not set."),
        (vec![("AERODROME_SECRET", SECRET)], "STORE_URL is not set."),
        (vec![("AERODROME_SECRET", SECRET), ("STORE_URL", "s3://rooms")], "AWS_ACCESS_KEY_ID is not set."),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gameserver"));
        command.env_clear().envs([("FLY_APP_NAME", "aerodrome-game"), ("FLY_MACHINE_ID", INSTANCE)]);
        let output = command.envs(variables).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(1) && told.contains(words) && told.lines().count() == 1, "{told}");
    }
}

#[test]
fn a_missing_secret_is_one_sentence() {
    let output = Command::new(env!("CARGO_BIN_EXE_gameserver")).env_clear().output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(words.contains("AERODROME_SECRET is not set.") && words.lines().count() == 1, "{words}");
}
