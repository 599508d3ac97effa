//! A machine that nobody needs sleeps; nobody who comes is put out by it.

use crate::harness::{Gameserver, Player, StoreDirectory};
use arena::Client;
use protocol::close::CloseReason;
use std::{
    io::ErrorKind,
    time::{Duration, Instant},
};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::tungstenite::{Error, error::ProtocolError};

/// Idle for so long, a machine of these tests sleeps.
const SLEEP_AFTER: Duration = Duration::from_millis(150);

async fn sleepy(store: &StoreDirectory, instance: &str) -> Gameserver {
    store.serve(instance, |config| config.sleep_after = Some(SLEEP_AFTER)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_sleeps_when_the_last_player_has_left() {
    let store = StoreDirectory::new();
    let gameserver = sleepy(&store, "m1").await;
    let mut player = gameserver.join_room("field-a").await.unwrap();
    player.play(Duration::from_millis(100)).await;
    let pilot = player.client.pilot();
    assert!(timeout(4 * SLEEP_AFTER, gameserver.server.asleep()).await.is_err(), "somebody is there");
    let client = std::mem::take(&mut player.client);
    drop(player);
    let began = Instant::now();
    timeout(Duration::from_secs(10), gameserver.server.asleep()).await.expect("nobody is there").unwrap();
    assert!(began.elapsed() >= SLEEP_AFTER);
    assert_eq!(TcpStream::connect(gameserver.address()).await.unwrap_err().kind(), ErrorKind::ConnectionRefused);
    assert_eq!(store.owner("field-a")["is_asleep"], true);

    // Woken, it is the same room, with whoever was in it a moment ago.
    let gameserver = sleepy(&store, "m1").await;
    let player = gameserver.try_join("field-a", client, None).await.unwrap();
    assert_eq!(player.client.pilot(), pilot);
    gameserver.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pings_status_and_pages_keep_nobody_awake() {
    let store = StoreDirectory::new();
    let gameserver = sleepy(&store, "m1").await;
    let asking = async {
        loop {
            let ping = gameserver.upgrade("ping", &[], None).await;
            gameserver.get_replayed("/gameserver/m1/status").await;
            gameserver.get_replayed("/gameserver/m1/arena").await;
            drop(ping);
        }
    };
    tokio::select! {
        slept = gameserver.server.asleep() => slept.unwrap(),
        () = quietly(asking) => unreachable!("it asks until it is refused"),
        () = tokio::time::sleep(Duration::from_secs(10)) => panic!("it does not sleep"),
    }
}

/// The future, or for ever once it panics: whoever asks a machine that has fallen asleep is refused.
async fn quietly(asking: impl Future<Output = ()>) {
    let asking = std::panic::AssertUnwindSafe(asking);
    if futures_util::FutureExt::catch_unwind(asking).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// How a join at some moment ends.
enum Came {
    In(Box<Player>),
    /// As when nobody listens, which makes the proxy start the machine and try again.
    Refused,
    /// Connected in the instant between the last accept and the close: reset before a byte of an answer.
    Reset,
}

async fn come(gameserver: &Gameserver) -> Came {
    let mut client = Client::new();
    let hello = client.hello("Ada", 3, Some(gameserver.ticket_for("field-a")), None);
    let socket = match gameserver.upgrade("field-a", &[], None).await {
        Ok(socket) => socket,
        Err(Error::Io(error)) if error.kind() == ErrorKind::ConnectionRefused => return Came::Refused,
        Err(Error::Io(_) | Error::Protocol(ProtocolError::HandshakeIncomplete)) => return Came::Reset,
        Err(error) => panic!("{error}"),
    };
    let mut player = Player::on(socket, client);
    player.socket.send(hello).await;
    let closed = player.wait_for_welcome_or_close().await.and_then(CloseReason::from_code);
    assert_eq!(closed, None, "whoever has a socket is let in");
    Came::In(Box::new(player))
}

/// The race of the last socket with sleep: whoever comes is in, or finds nobody, and the machine sleeps only in the
/// second case. Every other time a room has to be saved first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_comes_while_the_machine_falls_asleep_is_in_or_finds_nobody() {
    const ROUNDS: u64 = 80;
    const PATIENCE: Duration = Duration::from_secs(10);
    let (mut joined, mut refused, mut reset) = (0, 0, 0);
    for round in 0..ROUNDS {
        let store = StoreDirectory::new();
        let gameserver = store.serve("m1", |config| config.sleep_after = Some(Duration::from_millis(20))).await;
        let has_room = round % 2 == 1;
        if has_room {
            gameserver.join_room("field-a").await.unwrap().play(Duration::from_millis(30)).await;
        }
        // Most moments around the one at which it falls asleep.
        let spread_ms = if has_room { 120 } else { 14 };
        let offset = Duration::from_micros(14_000 + (round * 7_919) % spread_ms * 1_000 + (round * 104_729) % 1_000);
        {
            let mut asleep = std::pin::pin!(gameserver.server.asleep());
            let mut coming = std::pin::pin!(async {
                tokio::time::sleep(offset).await;
                come(&gameserver).await
            });
            let (came, slept_first) = tokio::select! {
                came = &mut coming => (came, false),
                slept = &mut asleep => {
                    slept.unwrap();
                    (coming.await, true)
                }
            };
            match came {
                Came::In(mut player) => {
                    joined += 1;
                    assert!(!slept_first, "it fell asleep with somebody on the way in, round {round}");
                    let still =
                        timeout(Duration::from_millis(150), async { tokio::join!(asleep, player.play(PATIENCE)) });
                    assert!(still.await.is_err(), "it fell asleep with somebody in it, round {round}");
                }
                Came::Refused => {
                    refused += 1;
                    if !slept_first {
                        timeout(PATIENCE, asleep).await.expect("it sleeps").unwrap();
                    }
                }
                Came::Reset => reset += 1,
            }
        }
        gameserver.server.stop().await;
    }
    eprintln!("{joined} were in, {refused} found nobody, {reset} were reset");
    assert!(joined > 5 && refused > 5, "{joined} were in, {refused} found nobody: the race was not run");
    assert!(reset <= 1, "{reset} of {ROUNDS} were reset");
}
