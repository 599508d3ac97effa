//! What the tests through the whole server cannot bring about: a room that is slow.

use super::*;
use protocol::{message::Hello, room::Kind, token::Role};
use session::Stats;
use std::ops::RangeInclusive;

const TICK: Duration = Duration::from_millis(60);
const PACE: Pace =
    Pace { tick_hz: 60, sleep_after: Duration::from_secs(16), save_interval: Duration::from_millis(200) };

/// A room whose ticks take as long as three or four.
struct Slow;

impl Engine for Slow {
    const KIND: Kind = Kind::Arena;
    const TICK_HZ: u32 = 60;

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
        let (saved, facts) = (None, Arc::default());
        let incarnation = Incarnation { id: Arc::clone(&id), epoch: 1, saved, was_used, events, facts, saves };
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
