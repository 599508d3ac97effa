//! The figures as people and programs read them.
//!
//! Invariant: the names are fixed, other tools read the JSON; what was never measured is null, not zero.

use crate::swarm::RunResult;
use hdrhistogram::Histogram;
use serde::Serialize;

/// What a run was like. Frames, bytes and times are of the measured time, when everybody was in.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Report {
    /// Wanted.
    pub(crate) players: u32,
    /// Let in.
    pub(crate) joined: u32,
    /// Sockets lost.
    pub(crate) disconnects: u64,
    /// Measured time.
    pub(crate) seconds: f64,
    /// Frames applied.
    pub(crate) frames: u64,
    /// Messages that could not be read.
    pub(crate) decode_errors: u64,
    /// Frames after which a replica differed from the server.
    pub(crate) checksum_mismatches: u64,
    /// WebSocket payload in.
    pub(crate) bytes_per_player_per_s: Option<f64>,
    /// Between the arrivals of a bot's frames.
    pub(crate) frame_interval_ms: Interval,
    /// How much of the time the newest frame had come longer ago than that, 0 to 1; unlike the intervals this weighs a
    /// stall by its length.
    pub(crate) picture_older_than: Older,
    /// From sending a change of controls to the frame that shows it (see `latency`).
    pub(crate) input_to_state_ms: Delay,
}

/// Of all bots' frames.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Interval {
    p50: Option<f64>,
    p99: Option<f64>,
    max: Option<f64>,
}

/// Shares of all bots' time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Older {
    #[serde(rename = "100_ms")]
    than_100_ms: Option<f64>,
    #[serde(rename = "250_ms")]
    than_250_ms: Option<f64>,
    #[serde(rename = "1000_ms")]
    than_1000_ms: Option<f64>,
}

/// Of all bots' changes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Delay {
    p50: Option<f64>,
    p99: Option<f64>,
}

impl Report {
    /// Of a run that was to have so many players.
    pub(crate) fn new(players: u32, result: &RunResult) -> Self {
        let figures = &result.figures;
        let (intervals, delays) = (&figures.intervals_us, &figures.input_to_state_us);
        let [than_100_ms, than_250_ms, than_1000_ms] = match figures.staleness.shares() {
            Some(shares) => shares.map(|share| Some(rounded(share, 10_000.0))),
            None => [None; 3],
        };
        let present_s = figures.present.as_secs_f64();
        Self {
            players,
            joined: figures.joined,
            disconnects: figures.disconnects,
            seconds: rounded(result.measured.as_secs_f64(), 1000.0),
            frames: figures.frames,
            decode_errors: figures.decode_errors,
            checksum_mismatches: figures.checksum_mismatches,
            bytes_per_player_per_s: (present_s > 0.0).then(|| rounded(figures.bytes_in as f64 / present_s, 10.0)),
            frame_interval_ms: Interval {
                p50: milliseconds(intervals, 0.5),
                p99: milliseconds(intervals, 0.99),
                max: milliseconds(intervals, 1.0),
            },
            picture_older_than: Older { than_100_ms, than_250_ms, than_1000_ms },
            input_to_state_ms: Delay { p50: milliseconds(delays, 0.5), p99: milliseconds(delays, 0.99) },
        }
    }

    /// For a person.
    pub(crate) fn table(&self) -> String {
        let known = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| format!("{value}"));
        let percent = |share: Option<f64>| {
            share.map_or_else(|| "–".to_owned(), |share| format!("{} %", rounded(share * 100.0, 100.0)))
        };
        let (interval, older, delay) = (self.frame_interval_ms, self.picture_older_than, self.input_to_state_ms);
        let lines = [
            ("players in", format!("{} of {}", self.joined, self.players)),
            ("disconnects", self.disconnects.to_string()),
            ("measured", format!("{} s", self.seconds)),
            ("frames", self.frames.to_string()),
            ("decode errors", self.decode_errors.to_string()),
            ("wrong checksums", self.checksum_mismatches.to_string()),
            ("bytes per player and second", known(self.bytes_per_player_per_s)),
            (
                "frame interval",
                format!("p50 {}, p99 {}, max {} ms", known(interval.p50), known(interval.p99), known(interval.max)),
            ),
            (
                "picture older than",
                format!(
                    "100 ms {}, 250 ms {}, 1000 ms {} of the time",
                    percent(older.than_100_ms),
                    percent(older.than_250_ms),
                    percent(older.than_1000_ms)
                ),
            ),
            ("input to state", format!("p50 {}, p99 {} ms", known(delay.p50), known(delay.p99))),
        ];
        lines.map(|(name, value)| format!("{name:<29}{value}")).join("\n")
    }
}

/// A quantile of recorded microseconds, to a hundredth of a millisecond.
fn milliseconds(histogram: &Histogram<u32>, quantile: f64) -> Option<f64> {
    (!histogram.is_empty()).then(|| rounded(histogram.value_at_quantile(quantile) as f64 / 1000.0, 100.0))
}

/// To a fraction of one in `parts`.
fn rounded(value: f64, parts: f64) -> f64 {
    (value * parts).round() / parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{figures::Figures, staleness::PictureWatch};
    use std::time::{Duration, Instant};

    fn result() -> RunResult {
        let mut figures = Figures { joined: 2, frames: 1198, bytes_in: 40_000, ..Figures::default() };
        figures.present = Duration::from_secs(20);
        for _ in 0..98 {
            Figures::record(&mut figures.intervals_us, Duration::from_micros(16_600));
        }
        Figures::record(&mut figures.intervals_us, Duration::from_micros(33_000));
        Figures::record(&mut figures.intervals_us, Duration::from_micros(250_000));
        RunResult { figures, measured: Duration::from_millis(10_004) }
    }

    #[test]
    fn figures_are_per_player_and_second() {
        let report = Report::new(3, &result());
        assert_eq!((report.players, report.joined, report.seconds), (3, 2, 10.004));
        assert_eq!(report.bytes_per_player_per_s, Some(2000.0));
        let Interval { p50, p99, max } = report.frame_interval_ms;
        // A histogram of three digits errs by a thousandth.
        for (value, expected) in [(p50, 16.6), (p99, 33.0), (max, 250.0)] {
            assert!((value.unwrap() / expected - 1.0).abs() < 2e-3, "{value:?} instead of {expected}");
        }
        assert_eq!(report.input_to_state_ms, Delay { p50: None, p99: None });
    }

    #[test]
    fn the_json_has_exactly_the_agreed_names() {
        let json = serde_json::to_value(Report::new(3, &result())).unwrap();
        let names =
            |value: &serde_json::Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(" ");
        assert_eq!(
            names(&json),
            "bytes_per_player_per_s checksum_mismatches decode_errors disconnects frame_interval_ms frames \
             input_to_state_ms joined picture_older_than players seconds"
        );
        assert_eq!(names(&json["picture_older_than"]), "1000_ms 100_ms 250_ms");
        assert_eq!(names(&json["frame_interval_ms"]), "max p50 p99");
        assert_eq!(names(&json["input_to_state_ms"]), "p50 p99");
    }

    #[test]
    fn the_table_says_what_is_unknown() {
        let table = Report::new(3, &result()).table();
        assert!(table.contains("players in                   2 of 3"));
        assert!(table.contains("input to state               p50 –, p99 – ms"));
        assert!(table.contains("picture older than           100 ms –, 250 ms –, 1000 ms – of the time"));
    }

    #[test]
    fn a_stall_shows_in_the_shares_though_not_in_the_intervals() {
        let (mut picture, start) = (PictureWatch::default(), Instant::now());
        let mut figures = Figures::default();
        let times = (0..=20_000).step_by(20).filter(|ms| !(5_000..7_000).contains(ms));
        let (mut last, mut times) = (start, times.map(|ms| start + Duration::from_millis(ms)));
        picture.begin(start);
        times.by_ref().skip(1).for_each(|at| {
            Figures::record(&mut figures.intervals_us, at - std::mem::replace(&mut last, at));
            picture.frame(at);
        });
        figures.staleness = picture.staleness();
        let report = Report::new(1, &RunResult { figures, measured: Duration::from_secs(20) });
        assert!(report.frame_interval_ms.p99.unwrap() < 21.0, "{:?}", report.frame_interval_ms);
        let Older { than_100_ms, than_250_ms, than_1000_ms } = report.picture_older_than;
        assert_eq!((than_100_ms, than_250_ms, than_1000_ms), (Some(0.096), Some(0.0885), Some(0.051)));
        let table = report.table();
        assert!(table.contains("100 ms 9.6 %, 250 ms 8.85 %, 1000 ms 5.1 % of the time"), "{table}");
    }
}
