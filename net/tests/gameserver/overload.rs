//! What a busy gameserver tells players and operators, and what becomes of the players. The costs are what ticks cost
//! here; budgets are what no tick can keep, or a share of that.

use crate::harness::{Gameserver, Player};
use arena::{Client, ClientEvent};
use net::Config;
use protocol::{close::CloseReason, room::Kind};
use session::{
    Level, SessionEvent,
    governor::{Budget, TICK_US},
};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// What a player was told about the service, in order.
fn told(player: &mut Player) -> Vec<Level> {
    let events = std::iter::from_fn(|| player.client.poll_event());
    let levels = events.filter_map(|happening| match happening {
        ClientEvent::Session(SessionEvent::Service { level, .. }) => Some(level),
        _ => None,
    });
    levels.collect()
}

/// A tick may cost so much.
fn govern(config: &mut Config, budget_us: u32) {
    (config.has_governor, config.kinds[Kind::Arena].tick_budget_us) = (true, budget_us);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_room_tells_everybody_and_keeps_those_who_are_in() {
    let gameserver = Gameserver::start_with(|config| govern(config, 1)).await;
    let mut early = gameserver.join("Ada").await;
    let token = early.client.resume_token().unwrap().to_owned();
    early.play(Duration::from_secs(2)).await;
    assert_eq!(told(&mut early).last(), Some(&Level::Joins));
    assert_eq!(gameserver.metric("service_level").await, 4.0);
    assert_eq!((gameserver.metric("sheds_total").await, gameserver.metric("recoveries_total").await), (4.0, 0.0));

    let mut late = Player::on(gameserver.open().await, Client::new());
    late.say_hello("Bea", Some(gameserver.ticket()), None).await;
    assert_eq!(late.socket.hear_close().await.0, CloseReason::Overloaded.code());
    let (_, _, body) = gameserver.get_replayed(&format!("/gameserver/{}/status", gameserver.instance)).await;
    let status: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert!(status["kinds"].as_object().unwrap().values().all(|kind| kind["seats"] == 0), "of any kind: {body}");

    // Who was there comes back, and is told after the welcome.
    let mut again = Player::on(gameserver.open().await, Client::new());
    again.say_hello("Ada", None, Some(token)).await;
    again.wait_for_welcome().await;
    again.play(Duration::from_millis(500)).await;
    assert_eq!(told(&mut again), [Level::Joins]);
    assert_eq!(again.client.stats().mismatches, 0);
    gameserver.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_governor_service_stays_full() {
    let gameserver = Gameserver::start_with(|config| config.has_governor = false).await;
    let mut player = gameserver.join("Ada").await;
    player.play(Duration::from_millis(500)).await;
    assert_eq!(told(&mut player), []);
    assert_eq!(gameserver.metric("service_level").await, 0.0);
    assert!(gameserver.metric("simulate_seconds_count").await > 0.0);
    gameserver.server.stop().await;
}

const PLAYERS: usize = 24;
/// A tick's whole length: a machine that is busy with other things alone sheds nothing.
const WHOLE_TICK: Budget = Budget::of_tick(TICK_US);
/// Service must be full again this soon after the budget is.
const RECOVERY_MAX_TICKS: f64 = 5.0 * 60.0;

/// Ticks of the room's clock, and of frames handed out, while this passes.
async fn count(gameserver: &Gameserver, time: Duration) -> (f64, f64) {
    let before = (gameserver.ticks().await.0, gameserver.metric("frames_total").await);
    tokio::time::sleep(time).await;
    (gameserver.ticks().await.0 - before.0, gameserver.metric("frames_total").await - before.1)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_budget_that_is_cut_costs_smoothness_and_nobody_the_flight() {
    let gameserver = Gameserver::start_with(|config| govern(config, WHOLE_TICK.tick_us)).await;
    let (end, ended) = watch::channel(());
    let mut players = Vec::new();
    for number in 0..PLAYERS {
        let (mut player, ended) = (gameserver.join(&format!("Pilot {number}")).await, ended.clone());
        players.push(tokio::spawn(async move {
            while !ended.has_changed().unwrap() {
                // Panics when the connection is lost.
                player.play(Duration::from_millis(100)).await;
            }
            player
        }));
    }
    let (ticks, frames) = count(&gameserver, Duration::from_secs(1)).await;
    assert_eq!(gameserver.metric("service_level").await, 0.0, "what a whole tick is enough for is not shed");
    let (seconds, count_of_ticks) =
        (gameserver.metric("tick_seconds_sum").await, gameserver.metric("tick_seconds_count").await);
    let mean_us = seconds / count_of_ticks * 1e6;

    gameserver.server.set_tick_budget(Budget::of_tick(mean_us as u32 / 3)).await;
    gameserver.wait_for_metric("service_level", 2.0).await;
    let (ticks_cut, frames_cut) = count(&gameserver, Duration::from_secs(1)).await;
    assert!(ticks_cut > 0.7 * ticks, "the tick rate is held: {ticks_cut} ticks a second, {ticks} before");
    let rarer = (frames_cut / ticks_cut) / (frames / ticks);
    assert!(rarer < 0.5, "frames come {rarer} times as often");
    assert_eq!(gameserver.metric("members").await, PLAYERS as f64);

    gameserver.server.set_tick_budget(WHOLE_TICK).await;
    let (returned, began) = (gameserver.ticks().await.0, Instant::now());
    while gameserver.metric("service_level").await > 0.0 {
        assert!(began.elapsed() < Duration::from_secs(60), "service stays reduced");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let took = gameserver.ticks().await.0 - returned;
    assert!(took <= RECOVERY_MAX_TICKS, "full service after {took} ticks");
    end.send_replace(());
    for player in players {
        let mut player = player.await.expect("the connection is kept");
        let mut heard = told(&mut player);
        // The last word may still be on its way.
        while heard.last() != Some(&Level::Full) {
            assert!(began.elapsed() < Duration::from_secs(60), "{heard:?}");
            player.play(Duration::from_millis(100)).await;
            heard.extend(told(&mut player));
        }
        assert!(heard.contains(&Level::Detail), "{heard:?}");
        assert_eq!(player.client.stats().mismatches, 0);
    }
    gameserver.server.stop().await;
}
