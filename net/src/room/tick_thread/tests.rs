//! What the tests through the whole server cannot bring about: a room that is slow, and one that has nothing to do.

use super::*;
use protocol::{message::Hello, room::Kind, token::Role};
use session::Stats;
use std::{ops::RangeInclusive, sync::atomic::AtomicU32};
use tokio::sync::oneshot;

const TICK: Duration = Duration::from_millis(60);
const PACE: Pace =
    Pace { tick_hz: 60, sleep_after: Duration::from_secs(16), save_interval: Duration::from_millis(200) };

/// A room whose ticks take as long as three or four.
struct Slow;

impl Engine for Slow {
    const KIND: Kind = Kind::Arena;
    const TICK_HZ: u32 = 60;
    const BEGINS_ANEW: bool = true;

    fn versions() -> RangeInclusive<u32> {
        1..=1
    }

    fn connect(&mut self, _: ConnectionId, _: &Hello, _: Option<Role>) {}

    fn receive(&mut self, _: ConnectionId, _: Packet<'_>) {}

    fn committed(&mut self, _: u32) {}

    fn disconnect(&mut self, _: ConnectionId) {}

    fn command(&mut self, _: Command) {}

    fn tick(&mut self) {
        thread::sleep(TICK);
    }

    fn frames(&mut self, _: &mut dyn FrameSink) {}

    fn poll_output(&mut self) -> Option<Output> {
        None
    }

    fn snapshot(&self) -> Option<Vec<u8>> {
        Some(vec![1])
    }

    fn stats(&self) -> Stats {
        Stats::default()
    }
}

/// With each save the supervisor renews the lease, which runs by time.
#[test]
fn a_slow_room_that_was_used_is_saved_as_often_as_any_also_while_nobody_is_there() {
    for was_used in [true, false] {
        let (id, metrics): (Arc<str>, _) = ("field-a".into(), Arc::new(Metrics::new()));
        let (saves, mut handed) = mpsc::channel(SAVES_MAX_COUNT);
        let (_events, events) = crossbeam_channel::bounded(1);
        let (saved, is_anew, facts, (unusable, _)) = (None, false, Arc::default(), oneshot::channel());
        let id_too = Arc::clone(&id);
        let incarnation =
            Incarnation { id: id_too, epoch: 1, saved, is_anew, was_used, events, facts, saves, unusable };
        let load = Load::new(id, (Kind::Arena, 60), None, Arc::default(), Arc::clone(&metrics));
        let mut thread = TickThread::new(Slow, incarnation, Arc::from([]), metrics, load, PACE);
        let mut saves_count = 0;
        // By ticks it would be due once.
        for _ in 0..12 {
            thread.tick();
            saves_count += usize::from(handed.try_recv().is_ok());
        }
        assert!(if was_used { saves_count >= 2 } else { saves_count == 0 }, "{saves_count} saves");
    }
}

/// A room in which nothing is ever to be done but what comes; counts its ticks, those left out apart.
struct Resting {
    ticks: Arc<AtomicU32>,
    skipped: Arc<AtomicU32>,
}

/// Five seconds.
const IDLE_TICKS: u32 = 200;

impl Engine for Resting {
    const KIND: Kind = Kind::Arena;
    const TICK_HZ: u32 = 40;
    const BEGINS_ANEW: bool = true;

    fn versions() -> RangeInclusive<u32> {
        1..=1
    }

    fn connect(&mut self, _: ConnectionId, _: &Hello, _: Option<Role>) {}

    fn receive(&mut self, _: ConnectionId, _: Packet<'_>) {}

    fn disconnect(&mut self, _: ConnectionId) {}

    fn command(&mut self, _: Command) {}

    fn committed(&mut self, _: u32) {}

    fn tick(&mut self) {
        self.ticks.fetch_add(1, Ordering::Relaxed);
    }

    fn idle_ticks(&self) -> u32 {
        IDLE_TICKS
    }

    fn skip(&mut self, ticks: u32) {
        assert!(ticks <= IDLE_TICKS);
        self.skipped.fetch_add(ticks, Ordering::Relaxed);
    }

    fn frames(&mut self, _: &mut dyn FrameSink) {}

    fn poll_output(&mut self) -> Option<Output> {
        None
    }

    fn snapshot(&self) -> Option<Vec<u8>> {
        None
    }

    fn stats(&self) -> Stats {
        Stats::default()
    }
}

#[test]
fn a_room_with_nothing_to_do_wakes_no_thread_and_its_time_goes_on() {
    let (id, metrics): (Arc<str>, _) = ("arena-p-a".into(), Arc::new(Metrics::new()));
    let (saves, mut handed) = mpsc::channel(SAVES_MAX_COUNT);
    let (sender, events) = crossbeam_channel::bounded(4);
    let facts: Arc<RoomFacts> = Arc::default();
    let incarnation = Incarnation {
        id: Arc::clone(&id),
        epoch: 1,
        saved: None,
        is_anew: false,
        was_used: false,
        events,
        facts: Arc::clone(&facts),
        saves,
        unusable: oneshot::channel().0,
    };
    let (ticks, skipped): (Arc<AtomicU32>, Arc<AtomicU32>) = Default::default();
    let room = Resting { ticks: Arc::clone(&ticks), skipped: Arc::clone(&skipped) };
    let load = Load::new(id, (Kind::Arena, 40), None, Arc::clone(&facts), Arc::clone(&metrics));
    let pace = Pace { tick_hz: 40, sleep_after: Duration::from_secs(16), save_interval: Duration::from_secs(10) };
    let began = Instant::now();
    let running = thread::spawn(move || TickThread::new(room, incarnation, Arc::from([]), metrics, load, pace).run());
    thread::sleep(Duration::from_millis(1_500));
    assert!(ticks.load(Ordering::Relaxed) <= 2, "it rests");
    // Something comes: it is seen by the next tick, to which time has gone on meanwhile.
    sender.send(RoomEvent::Nudge).unwrap();
    let before = ticks.load(Ordering::Relaxed);
    while ticks.load(Ordering::Relaxed) == before {
        assert!(began.elapsed() < Duration::from_secs(4), "it wakes long before there would be anything to do");
        thread::sleep(Duration::from_millis(1));
    }
    let done = ticks.load(Ordering::Relaxed) + skipped.load(Ordering::Relaxed);
    let due = (began.elapsed().as_secs_f64() * 40.0) as u32;
    assert!((60..=due + 1).contains(&done), "{done} ticks, {due} due");
    // The machine wants to sleep: the room hears of it at once, though it rests.
    facts.shall_sleep.store(true, Ordering::Relaxed);
    sender.send(RoomEvent::Nudge).unwrap();
    running.join().unwrap();
    assert!(began.elapsed() < Duration::from_secs(8) && handed.try_recv().unwrap().is_last);
}
