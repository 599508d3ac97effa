//! Measures ticks, feeds the governor, and reports changes of the service level.
//!
//! Path: the tick thread measures its parts → [`Load::note`] feeds the governor, the metrics and the log → the thread
//! relieves the room and tells everybody. Newcomers are told by [`Load::message`].
//! Invariants: each change is logged and told once; without a governor the parts are measured all the same.

use crate::{
    metrics::{Metrics, TickTimes},
    room::handle::RoomFacts,
};
use bytes::Bytes;
use protocol::{message::ServerMessage, room::Kind};
use session::{
    Level,
    governor::{Budget, Governor, Spent},
};
use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

/// What a tick changed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Change {
    /// For the room.
    pub(crate) level: Option<Level>,
    /// For everybody.
    pub(crate) message: Option<Bytes>,
}

/// How busy a room is.
#[derive(Debug)]
pub(crate) struct Load {
    room: Arc<str>,
    /// `None`: nothing is governed.
    governor: Option<Governor>,
    facts: Arc<RoomFacts>,
    times: TickTimes,
    metrics: Arc<Metrics>,
}

impl Load {
    /// A room of so many ticks a second with full service; without a budget it keeps it whatever it costs.
    pub(crate) fn new(
        room: Arc<str>,
        (kind, tick_hz): (Kind, u32),
        budget: Option<Budget>,
        facts: Arc<RoomFacts>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let load = Self {
            room,
            governor: budget.map(|budget| Governor::new(budget, tick_hz)),
            facts,
            times: metrics.tick_times(kind),
            metrics,
        };
        load.publish();
        load
    }

    /// From now on a tick may cost this; what is not governed stays so.
    pub(crate) fn set_budget(&mut self, budget: Budget) {
        if let Some(governor) = &mut self.governor {
            governor.set_budget(budget);
        }
    }

    /// Whether there is full service, and nothing to take back.
    pub(crate) fn is_at_ease(&self) -> bool {
        self.service() == (Level::Full, false)
    }

    /// A tick was done.
    pub(crate) fn note(&mut self, simulate: Duration, frames: Duration) -> Change {
        self.times.simulate_seconds.observe(simulate.as_secs_f64());
        self.times.frames_seconds.observe(frames.as_secs_f64());
        self.times.tick_seconds.observe((simulate + frames).as_secs_f64());
        let Some(governor) = &mut self.governor else { return Change::default() };
        let before = (governor.level(), governor.is_slow());
        let level = governor.note(Spent { simulate_us: micros(simulate), frames_us: micros(frames) });
        let after = (governor.level(), governor.is_slow());
        if before == after {
            return Change::default();
        }
        self.report(before, after);
        Change { level, message: Some(encode(after)) }
    }

    /// The processor time of a whole tick.
    pub(crate) fn note_processor_time(&self, time: Duration) {
        self.times.tick_cpu_seconds.observe(time.as_secs_f64());
    }

    /// What a newcomer must know, if anything.
    pub(crate) fn message(&self) -> Option<Bytes> {
        Some(self.service()).filter(|service| *service != (Level::Full, false)).map(encode)
    }

    fn service(&self) -> (Level, bool) {
        self.governor.as_ref().map_or((Level::Full, false), |governor| (governor.level(), governor.is_slow()))
    }

    fn report(&self, before: (Level, bool), after: (Level, bool)) {
        let room = &*self.room;
        let ((earlier, was_slow), (level, is_slow)) = (before, after);
        if level > earlier {
            self.metrics.sheds.inc();
            tracing::warn!(room, ?level, "ticks cost more than their budget: service is reduced");
        } else if level < earlier {
            self.metrics.recoveries.inc();
            tracing::info!(room, ?level, "ticks have room to spare: service recovers");
        }
        if is_slow && !was_slow {
            tracing::warn!(room, "simulation takes longer than a tick: time runs slower for everybody");
        } else if was_slow && !is_slow {
            tracing::info!(room, "time runs at its usual speed again");
        }
        self.publish();
    }

    fn publish(&self) {
        let (level, is_slow) = self.service();
        self.facts.level.store(level.number().into(), Ordering::Relaxed);
        self.facts.is_slow.store(is_slow, Ordering::Relaxed);
    }
}

fn encode((level, is_slow): (Level, bool)) -> Bytes {
    ServerMessage::Service { level: level.number(), is_slow }.encode().into()
}

/// Whole microseconds; an hour and more is all the same to a governor.
fn micros(time: Duration) -> u32 {
    u32::try_from(time.as_micros()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EASY: Duration = Duration::from_millis(1);
    const HARD: Duration = Duration::from_millis(12);

    fn load(budget: Option<Budget>) -> (Load, Arc<Metrics>) {
        let metrics = Arc::new(Metrics::new());
        (Load::new("arena-m1".into(), (Kind::Arena, 60), budget, Arc::default(), Arc::clone(&metrics)), metrics)
    }

    fn level(load: &Load) -> u32 {
        load.facts.level.load(Ordering::Relaxed)
    }

    /// Notes ticks until something changes.
    fn change(load: &mut Load, simulate: Duration, frames: Duration) -> Change {
        let mut changes = (0..1000).map(|_| load.note(simulate, frames));
        changes.find(|change| *change != Change::default()).expect("something changes")
    }

    fn told(change: &Change) -> Option<ServerMessage> {
        change.message.as_ref().map(|bytes| ServerMessage::decode(bytes).unwrap())
    }

    /// SPEC S6.3.
    #[test]
    fn each_change_is_told_and_counted_once() {
        let (mut load, metrics) = load(Some(Budget::default()));
        assert_eq!(load.message(), None);
        let shed = change(&mut load, EASY, HARD);
        assert_eq!(shed.level, Some(Level::Cadence));
        assert_eq!(told(&shed), Some(ServerMessage::Service { level: 1, is_slow: false }));
        assert_eq!(load.message(), shed.message, "newcomers are told the same");
        assert_eq!((level(&load), metrics.sheds.get(), metrics.recoveries.get()), (1, 1, 0));
        let recovered = change(&mut load, EASY, EASY);
        assert_eq!(recovered.level, Some(Level::Full));
        assert_eq!(told(&recovered), Some(ServerMessage::Service { level: 0, is_slow: false }));
        assert_eq!(load.message(), None);
        assert_eq!((level(&load), metrics.sheds.get(), metrics.recoveries.get()), (0, 1, 1));
    }

    #[test]
    fn slow_time_is_told_though_there_is_nothing_left_to_shed() {
        let (mut load, _metrics) = load(Some(Budget::default()));
        (0..100).for_each(|_| _ = load.note(2 * HARD, EASY));
        assert_eq!((level(&load), load.facts.is_slow.load(Ordering::Relaxed)), (4, true));
        assert!(load.facts.is_overloaded());
        let quick = change(&mut load, EASY, EASY);
        assert_eq!((quick.level, told(&quick)), (None, Some(ServerMessage::Service { level: 4, is_slow: false })));
        load.facts.clear();
        assert!(!load.facts.is_overloaded(), "a room that is closed");
    }

    #[test]
    fn without_a_governor_ticks_are_measured_and_nothing_changes() {
        let (mut load, metrics) = load(None);
        for _ in 0..1000 {
            assert_eq!(load.note(2 * HARD, HARD), Change::default());
        }
        assert_eq!(load.message(), None);
        let text = metrics.encode();
        for line in [
            "gameserver_tick_seconds_bucket{le=\"0.033\",kind=\"arena\"} 0",
            "gameserver_simulate_seconds_bucket{le=\"0.02\",kind=\"arena\"} 0",
            "gameserver_simulate_seconds_bucket{le=\"0.033\",kind=\"arena\"} 1000",
            "gameserver_frames_seconds_bucket{le=\"0.0125\",kind=\"arena\"} 1000",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is not in {text}");
        }
    }
}
