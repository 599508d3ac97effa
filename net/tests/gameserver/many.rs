//! As many rooms as a machine may have, in which nobody does anything.

use crate::harness::{Gameserver, PUBLIC_ROOMS, Received, Socket, config};
use arena::Client;
use catalogue::Catalogue;
use protocol::{
    close::CloseReason,
    message::{Hello, Packet},
    room::Kind,
    token::Role,
};
use session::{Command, ConnectionId, Engine, FrameSink, Output, Stats};
use std::{
    collections::VecDeque,
    ops::RangeInclusive,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

/// A room that has nothing to do for an hour, and says one byte to whoever comes.
struct Resting {
    ticks: Arc<AtomicU32>,
    output: VecDeque<Output>,
}

impl Engine for Resting {
    const KIND: Kind = Kind::Arena;
    const TICK_HZ: u32 = 60;
    const BEGINS_ANEW: bool = true;

    fn versions() -> RangeInclusive<u32> {
        0..=u32::MAX
    }

    fn connect(&mut self, from: ConnectionId, _: &Hello, _: Option<Role>) {
        self.output.push_back(Output::Message(from, vec![1].into()));
    }

    fn receive(&mut self, _: ConnectionId, _: Packet<'_>) {}

    fn disconnect(&mut self, _: ConnectionId) {}

    fn command(&mut self, _: Command) {}

    fn committed(&mut self, _: u32) {}

    fn tick(&mut self) {
        self.ticks.fetch_add(1, Ordering::Relaxed);
    }

    fn idle_ticks(&self) -> u32 {
        3600 * 60
    }

    fn skip(&mut self, _: u32) {}

    fn frames(&mut self, _: &mut dyn FrameSink) {}

    fn poll_output(&mut self) -> Option<Output> {
        self.output.pop_front()
    }

    fn snapshot(&self) -> Option<Vec<u8>> {
        None
    }

    fn stats(&self) -> Stats {
        Stats::default()
    }
}

/// Somebody who wants into a room, from an address that nobody else has.
async fn visit(gameserver: &Gameserver, room: &str, number: u32) -> Socket {
    let [.., high, low] = number.to_be_bytes();
    let address = format!("198.18.{high}.{low}");
    let mut socket = gameserver.upgrade(room, &[("fly-client-ip", &address)], None).await.unwrap();
    socket.send(Client::new().hello("Ada", 0, Some(gameserver.ticket_for(room)), None)).await;
    socket
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hundreds_of_rooms_can_be_open_and_those_with_nothing_to_do_wake_nobody() {
    let ticks: Arc<AtomicU32> = Arc::default();
    let counted = Arc::clone(&ticks);
    let engine = move |_: net::Start<'_>| Ok(Resting { ticks: Arc::clone(&counted), output: VecDeque::new() });
    let gameserver = Gameserver::start_engine(config(), engine).await;
    let rooms = Catalogue::built_in().rooms;
    let mut sockets = Vec::new();
    for number in 0..rooms - PUBLIC_ROOMS {
        let mut socket = visit(&gameserver, &Kind::Arena.private_room(&format!("many{number}")), number).await;
        assert_eq!(socket.hear().await, Received::Message(vec![1]), "{number}");
        sockets.push(socket);
    }
    let mut late = visit(&gameserver, &Kind::Arena.private_room("late"), rooms).await;
    assert_eq!(late.hear_close().await.0, CloseReason::RoomFull.code());
    let mut public = visit(&gameserver, Resting::KIND.word(), rooms + 1).await;
    assert_eq!(public.hear().await, Received::Message(vec![1]), "a public room always has a place");
    tokio::time::sleep(Duration::from_millis(500)).await;
    let before = ticks.load(Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let woken = ticks.load(Ordering::Relaxed) - before;
    assert_eq!(woken, 0, "of {rooms} rooms");
    gameserver.server.stop().await;
}
