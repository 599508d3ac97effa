//! The figures as people and programs read them.
//!
//! Invariant: the names are fixed, other tools read the JSON; what was never measured is null, not zero.

use crate::{
    figures::{Figure, Figures, Times, Value},
    staleness::Staleness,
    swarm::RunResult,
};
use serde::{Serialize, Serializer};
use serde_json::{Value as Json, json};
use std::{collections::BTreeMap, time::Duration};

/// What a run was like.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Report {
    /// For bots of one kind.
    One(KindReport),
    /// For those of each kind, by its word, of a run that was of several.
    Mix(BTreeMap<&'static str, KindReport>),
}

/// What a run was like for bots of one kind. Frames, bytes and times are of the measured time, when everybody was in.
#[derive(Debug, Serialize)]
pub(crate) struct KindReport {
    /// Wanted.
    players: u32,
    /// Let in.
    joined: u32,
    /// Sockets lost.
    disconnects: u64,
    /// Measured time.
    seconds: f64,
    /// Frames applied.
    frames: u64,
    /// Messages that could not be read.
    decode_errors: u64,
    /// WebSocket payload in.
    bytes_per_player_per_s: Option<f64>,
    /// Between the arrivals of a bot's frames.
    frame_interval_ms: Interval,
    /// What only this kind of room has, each by its name.
    #[serde(flatten, serialize_with = "by_name")]
    own: Vec<Figure>,
}

/// Of all bots' frames.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
struct Interval {
    p50: Option<f64>,
    p99: Option<f64>,
    max: Option<f64>,
}

impl Report {
    /// Of a run; `is_mix`: of several kinds.
    pub(crate) fn new(is_mix: bool, result: &RunResult) -> Self {
        let mut reports = result
            .groups
            .iter()
            .map(|(kind, players, figures)| (kind.word(), KindReport::new(*players, figures, result.measured)));
        match reports.next() {
            Some((_, only)) if !is_mix => Self::One(only),
            first => Self::Mix(first.into_iter().chain(reports).collect()),
        }
    }

    /// Whether somebody was let in.
    pub(crate) fn has_anybody(&self) -> bool {
        match self {
            Self::One(report) => report.joined > 0,
            Self::Mix(reports) => reports.values().any(|report| report.joined > 0),
        }
    }

    /// For a person.
    pub(crate) fn table(&self) -> String {
        match self {
            Self::One(report) => report.table(),
            Self::Mix(reports) => {
                let tables = reports.iter().map(|(word, report)| format!("{word}\n{}", report.table()));
                tables.collect::<Vec<_>>().join("\n\n")
            }
        }
    }
}

impl KindReport {
    fn new(players: u32, figures: &Figures, measured: Duration) -> Self {
        let (intervals, present_s) = (&figures.intervals, figures.present.as_secs_f64());
        Self {
            players,
            joined: figures.joined,
            disconnects: figures.disconnects,
            seconds: rounded(measured.as_secs_f64(), 1000.0),
            frames: figures.frames,
            decode_errors: figures.decode_errors,
            bytes_per_player_per_s: (present_s > 0.0).then(|| rounded(figures.bytes_in as f64 / present_s, 10.0)),
            frame_interval_ms: Interval {
                p50: milliseconds(intervals, 0.5),
                p99: milliseconds(intervals, 0.99),
                max: milliseconds(intervals, 1.0),
            },
            own: figures.own.clone(),
        }
    }

    fn table(&self) -> String {
        let interval = self.frame_interval_ms;
        let lines = [
            ("players in", format!("{} of {}", self.joined, self.players)),
            ("disconnects", self.disconnects.to_string()),
            ("measured", format!("{} s", self.seconds)),
            ("frames", self.frames.to_string()),
            ("decode errors", self.decode_errors.to_string()),
            ("bytes per player and second", known(self.bytes_per_player_per_s)),
            (
                "frame interval",
                format!("p50 {}, p99 {}, max {} ms", known(interval.p50), known(interval.p99), known(interval.max)),
            ),
        ];
        let own = self.own.iter().map(|figure| (figure.title, text(&figure.value)));
        lines.into_iter().chain(own).map(|(name, value)| format!("{name:<29}{value}")).collect::<Vec<_>>().join("\n")
    }
}

fn by_name<S: Serializer>(figures: &[Figure], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(figures.iter().map(|figure| (figure.name, value(&figure.value))))
}

/// For a program.
fn value(value: &Value) -> Json {
    match value {
        Value::Count(count) => json!(count),
        Value::Times(times) => json!({ "p50": milliseconds(times, 0.5), "p99": milliseconds(times, 0.99) }),
        Value::Ages(ages) => {
            let [older_100, older_250, older_1000] = shares(*ages);
            json!({ "100_ms": older_100, "250_ms": older_250, "1000_ms": older_1000 })
        }
    }
}

/// For a person.
fn text(value: &Value) -> String {
    match value {
        Value::Count(count) => count.to_string(),
        Value::Times(times) => {
            format!("p50 {}, p99 {} ms", known(milliseconds(times, 0.5)), known(milliseconds(times, 0.99)))
        }
        Value::Ages(ages) => {
            let [older_100, older_250, older_1000] = shares(*ages).map(|share| {
                share.map_or_else(|| "–".to_owned(), |share| format!("{} %", rounded(share * 100.0, 100.0)))
            });
            format!("100 ms {older_100}, 250 ms {older_250}, 1000 ms {older_1000} of the time")
        }
    }
}

/// How much of the time the newest frame had come longer ago than that, 0 to 1; unlike the intervals this weighs a stall by
/// its length.
fn shares(ages: Staleness) -> [Option<f64>; 3] {
    ages.shares().map_or([None; 3], |shares| shares.map(|share| Some(rounded(share, 10_000.0))))
}

fn known(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value}"))
}

/// A quantile, to a hundredth of a millisecond.
fn milliseconds(times: &Times, quantile: f64) -> Option<f64> {
    times.quantile_ms(quantile).map(|ms| rounded(ms, 100.0))
}

/// To a fraction of one in `parts`.
fn rounded(value: f64, parts: f64) -> f64 {
    (value * parts).round() / parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{kinds::players, staleness::PictureWatch};
    use protocol::room::Kind;
    use std::time::Instant;

    /// Of a bot of this kind that was in for ten seconds with another, and counted nothing of its own.
    fn group(kind: Kind) -> (Kind, u32, Figures) {
        let own = players(kind, Duration::from_secs(20))(0).figures();
        let mut figures = Figures { joined: 2, frames: 1198, bytes_in: 40_000, own, ..Figures::default() };
        figures.present = Duration::from_secs(20);
        (0..98).for_each(|_| figures.intervals.record(Duration::from_micros(16_600)));
        figures.intervals.record(Duration::from_micros(33_000));
        figures.intervals.record(Duration::from_micros(250_000));
        (kind, 3, figures)
    }

    fn report(kinds: &[Kind]) -> Report {
        let groups = kinds.iter().copied().map(group).collect();
        Report::new(kinds.len() > 1, &RunResult { groups, measured: Duration::from_millis(10_004) })
    }

    fn names(json: &Json) -> String {
        json.as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn figures_are_per_player_and_second() {
        let Report::One(report) = report(&Kind::ALL[..1]) else { panic!("it was one kind") };
        assert_eq!((report.players, report.joined, report.seconds), (3, 2, 10.004));
        assert_eq!(report.bytes_per_player_per_s, Some(2000.0));
        let Interval { p50, p99, max } = report.frame_interval_ms;
        // A histogram of two digits errs by a hundredth.
        for (value, expected) in [(p50, 16.6), (p99, 33.0), (max, 250.0)] {
            assert!((value.unwrap() / expected - 1.0).abs() < 1e-2, "{value:?} instead of {expected}");
        }
    }

    #[test]
    fn the_json_has_exactly_the_agreed_names() {
        let arena = "bytes_per_player_per_s checksum_mismatches decode_errors disconnects frame_interval_ms frames \
                     input_to_state_ms joined picture_older_than players seconds";
        let lounge = "bytes_per_player_per_s decode_errors disconnects frame_interval_ms frames joined lines_declined \
                      lines_read lines_said players said_to_read_ms seconds";
        let json = serde_json::to_value(report(&Kind::ALL[..1])).unwrap();
        assert_eq!(names(&json), arena);
        assert_eq!(names(&json["picture_older_than"]), "1000_ms 100_ms 250_ms");
        assert_eq!(names(&json["frame_interval_ms"]), "max p50 p99");
        assert_eq!(names(&json["input_to_state_ms"]), "p50 p99");
        let json = serde_json::to_value(report(&Kind::ALL)).unwrap();
        assert_eq!((names(&json["arena"]), names(&json["lounge"])), (arena.to_owned(), lounge.to_owned()));
    }

    #[test]
    fn the_table_says_what_is_unknown() {
        let table = report(&Kind::ALL[..1]).table();
        assert!(table.contains("players in                   2 of 3"), "{table}");
        assert!(table.contains("input to state               p50 –, p99 – ms"), "{table}");
        assert!(table.contains("picture older than           100 ms –, 250 ms –, 1000 ms – of the time"), "{table}");
    }

    #[test]
    fn a_mix_has_a_table_for_each_kind() {
        let table = report(&Kind::ALL).table();
        let (arena, lounge) = table.split_once("\n\n").unwrap();
        assert!(arena.starts_with("arena\nplayers in") && arena.contains("wrong checksums              0"), "{table}");
        assert!(
            lounge.starts_with("lounge\nplayers in") && lounge.contains("lines declined               0"),
            "{table}"
        );
    }

    #[test]
    fn a_stall_shows_in_the_shares_though_not_in_the_intervals() {
        let (mut picture, start) = (PictureWatch::default(), Instant::now());
        let mut figures = Figures::default();
        let times = (0..=20_000).step_by(20).filter(|ms| !(5_000..7_000).contains(ms));
        let (mut last, mut times) = (start, times.map(|ms| start + Duration::from_millis(ms)));
        picture.begin(start);
        times.by_ref().skip(1).for_each(|at| {
            figures.intervals.record(at - std::mem::replace(&mut last, at));
            picture.frame(at);
        });
        figures.own = vec![Figure::new("picture_older_than", "picture", Value::Ages(picture.staleness()))];
        let report = KindReport::new(1, &figures, Duration::from_secs(20));
        assert!(report.frame_interval_ms.p99.unwrap() < 21.0, "{:?}", report.frame_interval_ms);
        assert_eq!(value(&figures.own[0].value), json!({ "100_ms": 0.096, "250_ms": 0.0885, "1000_ms": 0.051 }));
        let table = report.table();
        assert!(table.contains("100 ms 9.6 %, 250 ms 8.85 %, 1000 ms 5.1 % of the time"), "{table}");
    }
}
