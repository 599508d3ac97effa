//! The lobby's metrics, for Prometheus.
//!
//! Invariants: labels take few values (never an instance, an address or a name).

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry};
use std::time::Duration;

/// Upper bounds of the wake times' buckets: a warm resume, a usual boot, a slow one, the deadline.
const WAKE_BUCKETS_S: [f64; 9] = [0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 15.0];

type Labels = [(&'static str, String); 1];
type CallLabels = [(&'static str, String); 2];

/// All counters of one lobby.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    joins: Family<Labels, Counter>,
    steered: Family<Labels, Counter>,
    wakes: Family<Labels, Counter>,
    creations: Family<Labels, Counter>,
    wake_s: Histogram,
    api_calls: Family<CallLabels, Counter>,
    /// Open streams of the board.
    pub watchers: Gauge,
    /// How far the clock of the machine that differs most is ahead of ours, ms.
    pub machine_clock_ahead_ms: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("lobby");
        let r = &mut registry;
        Self {
            joins: add(r, "joins", "Answers to joins, by outcome", Family::default()),
            steered: add(r, "steered", "Requests for a gameserver, by decision", Family::default()),
            wakes: add(r, "wakes", "Machines woken, by outcome", Family::default()),
            creations: add(r, "creations", "Machines created under load, by outcome", Family::default()),
            wake_s: add(
                r,
                "wake_seconds",
                "From asking for a start to a machine that answers on a player's path",
                Histogram::new(WAKE_BUCKETS_S),
            ),
            api_calls: add(r, "api_calls", "Calls of the Machines API, by call and status", Family::default()),
            watchers: add(r, "watchers", "Open streams of the board", Gauge::default()),
            machine_clock_ahead_ms: add(
                r,
                "machine_clock_ahead_ms",
                "How far the clock of the machine that differs most is ahead of the lobby's, at least (behind: negative)",
                Gauge::default(),
            ),
            registry,
        }
    }
}

fn add<M: Metric + Clone>(registry: &mut Registry, name: &str, help: &str, metric: M) -> M {
    registry.register(name, help, metric.clone());
    metric
}

impl Metrics {
    /// A join was answered; `outcome` is `ok` or an error code.
    pub fn count_join(&self, outcome: &str) {
        self.joins.get_or_create(&[("outcome", outcome.to_owned())]).inc();
    }

    /// A request below `/gameserver/` was answered.
    pub fn count_steered(&self, decision: &str) {
        self.steered.get_or_create(&[("decision", decision.to_owned())]).inc();
    }

    /// A machine was woken, or not.
    pub fn count_wake(&self, outcome: &str, took: Duration) {
        self.wakes.get_or_create(&[("outcome", outcome.to_owned())]).inc();
        self.wake_s.observe(took.as_secs_f64());
    }

    /// A machine was created, or not.
    pub fn count_creation(&self, outcome: &str) {
        self.creations.get_or_create(&[("outcome", outcome.to_owned())]).inc();
    }

    /// The Machines API was called; without a status it did not answer.
    pub fn count_api_call(&self, call: &str, status: Option<u16>) {
        let status = status.map_or_else(|| "none".to_owned(), |status| status.to_string());
        self.api_calls.get_or_create(&[("call", call.to_owned()), ("status", status)]).inc();
    }

    /// Everything in Prometheus' text format.
    pub fn text(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("writing to a String cannot fail");
        text
    }
}
