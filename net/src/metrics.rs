//! What an operator sees: counters and gauges in the Prometheus text form.
//!
//! Invariant: nothing here is read by the server itself; occupancy for the lobby is `RoomFacts`.

use prometheus_client::{
    encoding::text,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};
use protocol::close::CloseReason;

/// A tick has 16.7 ms and a budget of 8.3 ms; around them the steps are fine.
const TICK_BUCKETS_S: [f64; 18] = [
    0.0001, 0.0002, 0.0005, 0.001, 0.0015, 0.002, 0.003, 0.004, 0.005, 0.006, 0.007, 0.008, 0.01, 0.0125, 0.0167, 0.02,
    0.033, 0.066,
];

/// Counters told apart by a reason; the reasons are few and fixed.
type ByReason = Family<[(&'static str, String); 1], Counter>;

/// Handles to every metric; cheap to update from any thread.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    pub(crate) players: Gauge,
    pub(crate) pilots: Gauge,
    pub(crate) tick_seconds: Histogram,
    pub(crate) tick_cpu_seconds: Histogram,
    pub(crate) simulate_seconds: Histogram,
    pub(crate) frames_seconds: Histogram,
    /// [`session::Level`] as a number.
    pub(crate) service_level: Gauge,
    pub(crate) time_is_slow: Gauge,
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
    pub(crate) rooms_open: Gauge,
    pub(crate) saves: Counter,
    pub(crate) saves_failed: Counter,
    pub(crate) unwritten_seconds: Gauge,
    pub(crate) rooms_unwritable: Gauge,
    pub(crate) clock_ahead_of_store_ms: Gauge,
    pub(crate) clock_ahead_of_lobby_seconds: Gauge,
    closed: ByReason,
    refused_upgrades: ByReason,
}

impl Metrics {
    /// All metrics at zero.
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("gameserver");
        let r = &mut registry;
        Self {
            players: gauge(r, "players", "People in the rooms"),
            pilots: gauge(r, "pilots", "People and computer pilots in the rooms"),
            tick_seconds: histogram(r, "tick_seconds", "Work of a tick, waiting not included"),
            tick_cpu_seconds: histogram(
                r,
                "tick_cpu_seconds",
                "Processor time of a tick: what others took is not in it",
            ),
            simulate_seconds: histogram(r, "simulate_seconds", "Of that, handling what came in and simulating"),
            frames_seconds: histogram(r, "frames_seconds", "Of that, assembling frames and handing them over"),
            service_level: gauge(r, "service_level", "What overload left out, from 0 (nothing) to 4 (new joins too)"),
            time_is_slow: gauge(r, "time_is_slow", "1 while simulation takes longer than a tick"),
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
            rooms_open: gauge(r, "rooms_open", "Rooms that are open"),
            saves: counter(r, "saves", "Times a room was saved"),
            saves_failed: counter(r, "saves_failed", "Times a room could not be saved, or not be opened"),
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

fn histogram(registry: &mut Registry, name: &str, help: &str) -> Histogram {
    let histogram = Histogram::new(TICK_BUCKETS_S);
    registry.register(name, help, histogram.clone());
    histogram
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
