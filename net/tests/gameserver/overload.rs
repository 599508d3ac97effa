//! What a busy gameserver tells players and operators. The budget is one that no tick can keep.

use crate::field::{Field, Player};
use protocol::close::CloseReason;
use std::time::Duration;
use sync::{Client, Happening, Level, governor::Budget};

/// What a player was told about the service, in order.
fn told(player: &mut Player) -> Vec<Level> {
    let happenings = std::iter::from_fn(|| player.client.poll_happening());
    let levels = happenings.filter_map(|happening| match happening {
        Happening::Service { level, .. } => Some(level),
        _ => None,
    });
    levels.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_room_tells_everybody_and_keeps_those_who_are_in() {
    let field = Field::start_with(|config| config.tick_budget = Some(Budget::of_tick(1))).await;
    let mut early = field.join("Ada").await;
    let token = early.client.resume_token().unwrap().to_owned();
    early.play(Duration::from_secs(2)).await;
    assert_eq!(told(&mut early).last(), Some(&Level::Joins));
    assert_eq!(field.metric("service_level").await, 4.0);
    assert_eq!((field.metric("sheds_total").await, field.metric("recoveries_total").await), (4.0, 0.0));

    let mut late = Player::on(field.open().await, Client::new());
    late.say_hello("Bea", Some(field.ticket()), None).await;
    assert_eq!(late.socket.hear_close().await.0, CloseReason::Overloaded.code());

    // Who was there comes back, and is told after the welcome.
    let mut again = Player::on(field.open().await, Client::new());
    again.say_hello("Ada", None, Some(token)).await;
    again.wait_for_welcome().await;
    again.play(Duration::from_millis(500)).await;
    assert_eq!(told(&mut again), [Level::Joins]);
    assert_eq!(again.client.stats().mismatches, 0);
    field.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_governor_service_stays_full() {
    let field = Field::start_with(|config| config.tick_budget = None).await;
    let mut player = field.join("Ada").await;
    player.play(Duration::from_millis(500)).await;
    assert_eq!(told(&mut player), []);
    assert_eq!(field.metric("service_level").await, 0.0);
    assert!(field.metric("simulate_seconds_count").await > 0.0);
    field.server.stop().await;
}
