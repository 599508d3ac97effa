//! A player who does not read costs nobody anything.

use crate::harness::{Gameserver, Player, Received, Socket};
use arena::wire::InputPacket;
use protocol::{
    close::CloseReason,
    message::{ClientMessage, Hello},
    room::Kind,
};
use std::{
    cell::Cell,
    time::{Duration, Instant},
};

/// Acknowledges whatever was sent: the room takes it for the newest.
const EVERYTHING: u32 = u32::MAX;

/// A page that is in and then reads nothing more, with as little receive buffer as the kernel gives.
async fn join_deaf(gameserver: &Gameserver) -> Socket {
    let mut socket = gameserver.open_with_receive_buffer(2048).await;
    let hello = Hello::to(Kind::Arena, arena::wire::version(), "Deaf", 0);
    let hello = Hello { ticket: Some(gameserver.ticket()), ..hello };
    socket.send(ClientMessage::Hello(hello).encode()).await;
    assert!(matches!(socket.hear().await, Received::Message(_)));
    socket
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_reader_costs_nobody_else() {
    let gameserver = Gameserver::start().await;
    let mut deaf = join_deaf(&gameserver).await;
    let mut player = gameserver.join("Ada").await;
    // The deaf one acknowledges blindly, so that the room's window stays open and only the full socket holds it back.
    let is_full = Cell::new(false);
    let acknowledge = async {
        for number in (0..=255).cycle() {
            if !is_full.get() {
                deaf.send(ClientMessage::Whois((0..64).collect()).encode()).await;
            }
            deaf.send(InputPacket { number, ack: EVERYTHING, at: 0, view_delay: 0, inputs: vec![] }.encode()).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let watch = async {
        let began = Instant::now();
        while gameserver.metric("sockets_slow").await < 1.0 {
            player.play(Duration::from_millis(100)).await;
            assert!(began.elapsed() < Duration::from_secs(30), "the deaf one's socket never filled");
        }
        is_full.set(true);
        let share = share_of_ticks(&gameserver, &mut player).await;
        assert!(share > 0.8, "frames of {share} of the ticks beside a slow reader");
        assert_eq!(player.client.stats().mismatches, 0);
        assert_eq!(gameserver.metric("sockets_slow").await, 1.0);
    };
    tokio::select! {
        () = acknowledge => unreachable!("it goes on for good"),
        () = watch => {}
    }
    // Reading again, it gets what was on its way and then the present: nothing was queued for it meanwhile.
    let mut frames = 0;
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(700) {
        if let Received::Message(_) = deaf.hear().await {
            frames += 1;
        }
        deaf.send(InputPacket { number: 1, ack: EVERYTHING, at: 0, view_delay: 0, inputs: vec![] }.encode()).await;
        if gameserver.metric("sockets_slow").await == 0.0 {
            break;
        }
    }
    assert!(frames > 0);
    gameserver.wait_for_metric("sockets_set_aside_total", 1.0).await;
    gameserver.server.stop().await;
}

/// SPEC S1.6.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn questions_without_reading_answers_end_it() {
    let gameserver = Gameserver::start().await;
    let mut deaf = join_deaf(&gameserver).await;
    let question = ClientMessage::Whois((0..64).collect()).encode();
    let closed = format!("sockets_closed_total{{reason=\"{:?}\"}}", CloseReason::TooFast);
    let began = Instant::now();
    while gameserver.metric(&closed).await < 1.0 {
        deaf.send(question.clone()).await;
        tokio::time::sleep(Duration::from_millis(10)).await;
        assert!(began.elapsed() < Duration::from_secs(30), "its answers pile up");
    }
    // The socket cannot even take its close, so it is cut off.
    let began = Instant::now();
    while gameserver.metric("sockets").await > 0.0 {
        assert!(began.elapsed() < Duration::from_secs(6), "the socket stays");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    gameserver.server.stop().await;
}

/// Of the ticks of two seconds, how many this player got a frame for.
async fn share_of_ticks(gameserver: &Gameserver, player: &mut Player) -> f64 {
    let (before, (tick, _)) = (player.frames, gameserver.ticks().await);
    player.play(Duration::from_secs(2)).await;
    (player.frames - before) as f64 / (gameserver.ticks().await.0 - tick)
}
