//! What an operator sees: counters and gauges in the Prometheus text form.
//!
//! Invariant: nothing here is read by the server itself; occupancy for the lobby is `RoomFacts`.

use prometheus_client::{
    encoding::text,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};
use protocol::{close::CloseReason, room::Kind};

/// A tick has 16.7 ms and a budget of 8.3 ms; around them the steps are fine.
const TICK_BUCKETS_S: [f64; 18] = [
    0.0001, 0.0002, 0.0005, 0.001, 0.0015, 0.002, 0.003, 0.004, 0.005, 0.006, 0.007, 0.008, 0.01, 0.0125, 0.0167, 0.02,
    0.033, 0.066,
];

/// Counters told apart by a reason; the reasons are few and fixed.
type ByReason = Family<[(&'static str, String); 1], Counter>;

/// Gauges and times told apart by the kind of room.
type GaugeByKind = Family<[(&'static str, &'static str); 1], Gauge>;
type TimesByKind = Family<[(&'static str, &'static str); 1], Histogram, fn() -> Histogram>;

/// Handles to every metric; cheap to update from any thread.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    members: GaugeByKind,
    population: GaugeByKind,
    rooms_open: GaugeByKind,
    service_level: GaugeByKind,
    time_is_slow: GaugeByKind,
    tick_seconds: TimesByKind,
    tick_cpu_seconds: TimesByKind,
    simulate_seconds: TimesByKind,
    frames_seconds: TimesByKind,
    pub(crate) sheds: Counter,
    pub(crate) recoveries: Counter,
    pub(crate) ticks_first: Gauge,
    pub(crate) ticks_late: Counter,
    pub(crate) ticks_dropped: Counter,
    pub(crate) frames: Counter,
    pub(crate) bytes_out: Counter,
    pub(crate) sockets: Gauge,
    pub(crate) sockets_slow: Gauge,
    pub(crate) sockets_set_aside: Counter,
    pub(crate) workers_behind: Counter,
    pub(crate) queue_full: Counter,
    pub(crate) room_failures: Counter,
    pub(crate) saves: Counter,
    pub(crate) saves_failed: Counter,
    pub(crate) saves_unusable: Counter,
    pub(crate) unwritten_seconds: Gauge,
    pub(crate) rooms_unwritable: Gauge,
    pub(crate) clock_ahead_of_store_ms: Gauge,
    pub(crate) clock_ahead_of_lobby_seconds: Gauge,
    closed: ByReason,
    refused_upgrades: ByReason,
}

/// What is open of one kind, all its rooms together.
#[derive(Debug, Default)]
pub(crate) struct Occupation {
    pub(crate) rooms: i64,
    pub(crate) members: i64,
    pub(crate) population: i64,
    /// Of the room that leaves out most: [`session::Level`] as a number.
    pub(crate) level: i64,
    pub(crate) is_slow: bool,
}

/// Where the ticks of rooms of one kind are counted.
#[derive(Debug)]
pub(crate) struct TickTimes {
    pub(crate) tick_seconds: Histogram,
    pub(crate) tick_cpu_seconds: Histogram,
    pub(crate) simulate_seconds: Histogram,
    pub(crate) frames_seconds: Histogram,
}

impl Metrics {
    /// All metrics at zero.
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("gameserver");
        let r = &mut registry;
        let metrics = Self {
            members: by_kind(r, "members", "People in the rooms"),
            population: by_kind(r, "population", "People, and whoever a computer plays, in the rooms"),
            rooms_open: by_kind(r, "rooms_open", "Rooms that are open"),
            service_level: by_kind(
                r,
                "service_level",
                "What overload left out in some room, from 0 (nothing) to 4 (new joins too)",
            ),
            time_is_slow: by_kind(r, "time_is_slow", "1 while simulation takes longer than a tick in some room"),
            tick_seconds: times(r, "tick_seconds", "Work of a tick, waiting not included"),
            tick_cpu_seconds: times(r, "tick_cpu_seconds", "Processor time of a tick: what others took is not in it"),
            simulate_seconds: times(r, "simulate_seconds", "Of that, handling what came in and simulating"),
            frames_seconds: times(r, "frames_seconds", "Of that, assembling frames and handing them over"),
            sheds: counter(r, "sheds", "Times service was reduced by a level"),
            recoveries: counter(r, "recoveries", "Times service recovered by a level"),
            ticks_first: gauge(r, "ticks_first", "Rooms whose ticks go before every other thread"),
            ticks_late: counter(r, "ticks_late", "Ticks that began after their deadline to catch up"),
            ticks_dropped: counter(r, "ticks_dropped", "Ticks that were left out after a stall"),
            frames: counter(r, "frames", "Frames handed to sockets"),
            bytes_out: counter(r, "bytes_out", "Bytes of frames and control messages handed to sockets"),
            sockets: gauge(r, "sockets", "Open WebSockets, pings included"),
            sockets_slow: gauge(r, "sockets_slow", "Sockets that are set aside because they do not take what is sent"),
            sockets_set_aside: counter(r, "sockets_set_aside", "Times a socket was set aside for a while"),
            workers_behind: counter(r, "workers_behind", "Hand-overs a writer worker had no place for"),
            queue_full: counter(r, "queue_full", "Times a reading task found its room's queue full and waited"),
            room_failures: counter(r, "room_failures", "Rooms that were begun anew after a bug"),
            saves: counter(r, "saves", "Times a room was saved"),
            saves_failed: counter(r, "saves_failed", "Times a room could not be saved, or not be opened"),
            saves_unusable: counter(
                r,
                "saves_unusable",
                "Times a room could not be begun from its save: it began anew, or did not open",
            ),
            unwritten_seconds: gauge(
                r,
                "unwritten_seconds",
                "Age of the oldest state of a room that is not in the store: what a crash would cost now",
            ),
            rooms_unwritable: gauge(r, "rooms_unwritable", "Open rooms that the store does not take at the moment"),
            clock_ahead_of_store_ms: gauge(
                r,
                "clock_ahead_of_store_ms",
                "How far the wall clock is ahead of the store's, at least (behind: negative)",
            ),
            clock_ahead_of_lobby_seconds: gauge(
                r,
                "clock_ahead_of_lobby_seconds",
                "How far the wall clock is ahead of the lobby's: at most, by the youngest of its words; behind (negative): at least",
            ),
            closed: family(r, "sockets_closed", "Sockets closed by the server, by reason"),
            refused_upgrades: family(
                r,
                "upgrades_refused",
                "WebSocket upgrades refused with an HTTP status, by reason",
            ),
            registry,
        };
        // An operator sees every kind from the start.
        Kind::ALL.into_iter().for_each(|kind| drop(metrics.tick_times(kind)));
        metrics
    }

    /// What is open of a kind now.
    pub(crate) fn set_occupation(&self, kind: Kind, now: &Occupation) {
        let set = |gauge: &GaugeByKind, value| _ = gauge.get_or_create(&label(kind)).set(value);
        set(&self.rooms_open, now.rooms);
        set(&self.members, now.members);
        set(&self.population, now.population);
        set(&self.service_level, now.level);
        set(&self.time_is_slow, i64::from(now.is_slow));
    }

    /// For a room of this kind.
    pub(crate) fn tick_times(&self, kind: Kind) -> TickTimes {
        let of = |times: &TimesByKind| times.get_or_create(&label(kind)).clone();
        TickTimes {
            tick_seconds: of(&self.tick_seconds),
            tick_cpu_seconds: of(&self.tick_cpu_seconds),
            simulate_seconds: of(&self.simulate_seconds),
            frames_seconds: of(&self.frames_seconds),
        }
    }

    /// Counts a socket that the server closed.
    pub(crate) fn closed(&self, reason: CloseReason) {
        self.closed.get_or_create(&[("reason", format!("{reason:?}"))]).inc();
    }

    /// Counts an upgrade that was refused before there was a socket.
    pub(crate) fn refused_upgrade(&self, reason: &'static str) {
        self.refused_upgrades.get_or_create(&[("reason", reason.to_owned())]).inc();
    }

    /// The text form that Prometheus scrapes.
    pub(crate) fn encode(&self) -> String {
        let mut text = String::new();
        text::encode(&mut text, &self.registry).expect("a string takes everything");
        text
    }
}

fn gauge(registry: &mut Registry, name: &str, help: &str) -> Gauge {
    let gauge = Gauge::default();
    registry.register(name, help, gauge.clone());
    gauge
}

fn counter(registry: &mut Registry, name: &str, help: &str) -> Counter {
    let counter = Counter::default();
    registry.register(name, help, counter.clone());
    counter
}

fn family(registry: &mut Registry, name: &str, help: &str) -> ByReason {
    let family = ByReason::default();
    registry.register(name, help, family.clone());
    family
}

fn label(kind: Kind) -> [(&'static str, &'static str); 1] {
    [("kind", kind.word())]
}

fn by_kind(registry: &mut Registry, name: &str, help: &str) -> GaugeByKind {
    let family = GaugeByKind::default();
    registry.register(name, help, family.clone());
    family
}

fn times(registry: &mut Registry, name: &str, help: &str) -> TimesByKind {
    let family = TimesByKind::new_with_constructor(|| Histogram::new(TICK_BUCKETS_S));
    registry.register(name, help, family.clone());
    family
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_written_by_name_and_reason() {
        let metrics = Metrics::new();
        metrics.frames.inc_by(7);
        metrics.closed(CloseReason::TooFast);
        metrics.refused_upgrade("origin");
        let text = metrics.encode();
        for line in [
            "gameserver_frames_total 7",
            "gameserver_sockets_closed_total{reason=\"TooFast\"} 1",
            "gameserver_upgrades_refused_total{reason=\"origin\"} 1",
        ] {
            assert!(text.lines().any(|l| l == line), "{text}");
        }
    }
}
