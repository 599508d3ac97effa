//! In, and in the air at 60 frames a second.

use crate::harness::{Gameserver, Player, Received};
use arena::Client;
use protocol::close::CloseReason;
use std::time::{Duration, Instant};
use tokio::time::timeout;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_player_joins_and_sees_sixty_frames_a_second() {
    let gameserver = Gameserver::start().await;
    let mut player = gameserver.join("Ada").await;
    player.play(Duration::from_millis(500)).await;
    let (began, before, (tick, dropped)) = (Instant::now(), player.frames, gameserver.ticks().await);
    player.play(Duration::from_secs(2)).await;
    let (tick_now, dropped_now) = gameserver.ticks().await;
    let (ticks, elapsed_s) = (tick_now - tick, began.elapsed().as_secs_f64());
    // On a busy machine ticks may be left out, but then they are counted.
    let per_s = (ticks + dropped_now - dropped) / elapsed_s;
    assert!((57.0..63.0).contains(&per_s), "{per_s} ticks a second");
    let frames = (player.frames - before) as f64;
    assert!(frames > 0.8 * ticks, "{frames} frames of {ticks} ticks");
    assert_eq!(player.client.stats().mismatches, 0);
    assert!(gameserver.metric("members").await >= 1.0);
    gameserver.server.stop().await;
}

/// SPEC S3.5.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_newest_socket_of_a_session_wins() {
    let gameserver = Gameserver::start().await;
    let mut first = gameserver.join("Ada").await;
    let token = first.client.resume_token().unwrap().to_owned();
    let mut second = Player::on(gameserver.open().await, Client::new());
    second.say_hello("Ada", None, Some(token)).await;
    second.wait_for_welcome().await;
    assert_eq!(second.client.pilot(), first.client.pilot());
    assert_eq!(first.socket.hear_close().await.0, CloseReason::Replaced.code());
    second.play(Duration::from_millis(300)).await;
    assert!(second.frames > 5);
    gameserver.server.stop().await;
}

/// A line that is bad enough makes a page open one socket after the other; or a tab was duplicated.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_sockets_that_race_with_one_token_one_flies_on_and_the_others_are_replaced() {
    let gameserver = Gameserver::start().await;
    let first = gameserver.join("Ada").await;
    let (pilot, token) = (first.client.pilot(), first.client.resume_token().unwrap().to_owned());
    drop(first);
    for round in 0..5 {
        let racing = (0..8).map(async |_| {
            let mut player = Player::on(gameserver.open().await, Client::new());
            player.say_hello("Ada", None, Some(token.clone())).await;
            let ended = timeout(Duration::from_millis(700), player.play_until_closed()).await;
            (player, ended.ok().map(|(code, _)| code))
        });
        let mut winners = Vec::new();
        for (player, code) in futures_util::future::join_all(racing).await {
            match code {
                None => winners.push(player),
                Some(code) => assert_eq!(code, CloseReason::Replaced.code(), "round {round}"),
            }
        }
        if round == 0 {
            assert_eq!((winners.len(), winners[0].client.pilot()), (1, pilot));
            let mut winner = winners.remove(0);
            winner.play(Duration::from_millis(100)).await;
            tokio::spawn(async move { winner.play_until_closed().await });
        } else {
            assert_eq!(winners.len(), 0, "the first token is void: its newer one was used");
        }
    }
    gameserver.server.stop().await;
}

/// Each welcome that is read brings a token that works, whatever comes after it and gets lost.
/// SPEC S3.4.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_newest_token_that_arrived_works_however_many_welcomes_are_lost() {
    let gameserver = Gameserver::start().await;
    let first = gameserver.join("Ada").await;
    let (pilot, mut token) = (first.client.pilot(), first.client.resume_token().unwrap().to_owned());
    drop(first);
    for round in 0..6 {
        let mut player = Player::on(gameserver.open().await, Client::new());
        player.say_hello("Ada", None, Some(token.clone())).await;
        if round % 3 == 0 {
            // It reads the welcome and says nothing.
            let Received::Message(bytes) = player.socket.hear().await else { panic!("no welcome in round {round}") };
            player.client.receive(&bytes, 0.0).unwrap();
            assert_eq!(player.client.pilot(), pilot, "round {round}");
            token = player.client.resume_token().unwrap().to_owned();
        } else {
            // The welcome is lost on the way.
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    let mut player = Player::on(gameserver.open().await, Client::new());
    player.say_hello("Ada", None, Some(token)).await;
    player.wait_for_welcome().await;
    assert_eq!(player.client.pilot(), pilot);
    gameserver.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_connection_comes_back_into_the_same_plane() {
    let gameserver = Gameserver::start().await;
    let mut player = gameserver.join("Ada").await;
    player.play(Duration::from_millis(300)).await;
    let (pilot, token) = (player.client.pilot(), player.client.resume_token().unwrap().to_owned());
    let client = std::mem::take(&mut player.client);
    drop(player);
    tokio::time::sleep(Duration::from_millis(200)).await;
    let mut again = Player::on(gameserver.open().await, client);
    again.say_hello("Ada", None, Some(token)).await;
    again.wait_for_welcome().await;
    again.play(Duration::from_millis(500)).await;
    assert_eq!(again.client.pilot(), pilot);
    assert_eq!(again.client.stats().mismatches, 0);
    gameserver.server.stop().await;
}

/// SPEC S5.6.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_leaves_is_gone_at_once() {
    let gameserver = Gameserver::start().await;
    let mut player = gameserver.join("Ada").await;
    player.socket.send(protocol::message::ClientMessage::Leave.encode()).await;
    while let Received::Message(_) = player.socket.hear().await {}
    let began = Instant::now();
    while gameserver.metric("members").await > 0.0 || gameserver.metric("sockets").await > 0.0 {
        assert!(began.elapsed() < Duration::from_secs(3), "the session lives on");
    }
    gameserver.server.stop().await;
}
