//! What a gameserver says of the ticks of its arena, from its metrics page.
//!
//! Invariant: counters only grow, so what happened in a while is the difference of two looks.

use anyhow::{Context, ensure};
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// Longest wait for the page. Policy: the measurement fails.
const ANSWER_MAX: Duration = Duration::from_secs(5);
const TICK: &str = "gameserver_tick_seconds";
const TICK_CPU: &str = "gameserver_tick_cpu_seconds";
const FRAMES_PART: &str = "gameserver_frames_seconds";
const FRAMES: &str = "gameserver_frames_total";
const LEFT_OUT: &str = "gameserver_ticks_dropped_total";
const LEVEL: &str = "gameserver_service_level";
const TICKS_FIRST: &str = "gameserver_ticks_first";

/// One look, or the difference of two.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Scrape {
    /// Ticks that were dropped.
    pub(crate) left_out: f64,
    /// How long ticks took.
    pub(crate) tick: Histogram,
    /// Their processor time.
    pub(crate) tick_cpu: Histogram,
    /// How long their frames took.
    pub(crate) frames_part: Histogram,
    /// Frames handed to sockets.
    pub(crate) frames: f64,
    /// What overload left out, as it is now.
    pub(crate) level: f64,
    /// 1 when ticks go before every other thread now.
    pub(crate) ticks_first: f64,
}

/// How many ticks were how long.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Histogram {
    /// Per bucket: its upper bound, ms, and how many ticks were at most that long.
    buckets: Vec<(f64, f64)>,
    sum_ms: f64,
}

impl Scrape {
    /// Looks now.
    ///
    /// # Errors
    /// When there is no answer, or it is not understood.
    pub(crate) fn of(server: SocketAddr) -> anyhow::Result<Self> {
        let mut stream = TcpStream::connect(server).context("the gameserver does not answer")?;
        stream.set_read_timeout(Some(ANSWER_MAX))?;
        stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")?;
        let mut page = String::new();
        stream.read_to_string(&mut page).context("the gameserver does not answer")?;
        let scrape = Self::read(&page);
        for (name, histogram) in
            [(TICK, &scrape.tick), (TICK_CPU, &scrape.tick_cpu), (FRAMES_PART, &scrape.frames_part)]
        {
            ensure!(!histogram.buckets.is_empty(), "The gameserver's metrics have no {name}.");
        }
        Ok(scrape)
    }

    fn read(page: &str) -> Self {
        let mut scrape = Self::default();
        for (name, value) in page.lines().filter_map(|line| line.split_once(' ')) {
            let Ok(value) = value.trim().parse::<f64>() else { continue };
            // Of what is told by kind, the arena's.
            let name = name.replace(",kind=\"arena\"}", "}").replace("{kind=\"arena\"}", "");
            match &*name {
                other if other.contains("kind=") => {}
                LEFT_OUT => scrape.left_out = value,
                FRAMES => scrape.frames = value,
                LEVEL => scrape.level = value,
                TICKS_FIRST => scrape.ticks_first = value,
                _ => {
                    scrape.tick.read(TICK, &name, value);
                    scrape.tick_cpu.read(TICK_CPU, &name, value);
                    scrape.frames_part.read(FRAMES_PART, &name, value);
                }
            }
        }
        scrape
    }

    /// What happened between `before` and this look.
    pub(crate) fn since(&self, before: &Self) -> Self {
        Self {
            left_out: self.left_out - before.left_out,
            tick: self.tick.since(&before.tick),
            tick_cpu: self.tick_cpu.since(&before.tick_cpu),
            frames_part: self.frames_part.since(&before.frames_part),
            frames: self.frames - before.frames,
            level: self.level,
            ticks_first: self.ticks_first,
        }
    }
}

impl Histogram {
    /// Takes a line's value if the line is this metric's.
    fn read(&mut self, metric: &str, name: &str, value: f64) {
        let Some(rest) = name.strip_prefix(metric) else { return };
        if rest == "_sum" {
            self.sum_ms = value * 1000.0;
        } else if let Some(bound) = rest.strip_prefix("_bucket{le=\"").and_then(|rest| rest.strip_suffix("\"}")) {
            let bound = if bound == "+Inf" { f64::INFINITY } else { bound.parse().unwrap_or(f64::NAN) };
            self.buckets.push((bound * 1000.0, value));
        }
    }

    fn since(&self, before: &Self) -> Self {
        let buckets = self.buckets.iter().zip(&before.buckets);
        Self {
            buckets: buckets.map(|((bound, now), (_, before))| (*bound, now - before)).collect(),
            sum_ms: self.sum_ms - before.sum_ms,
        }
    }

    /// The time within which this share of the ticks was done, between a bucket's bounds by proportion; `None` without
    /// ticks. Beyond the last bound it is infinite.
    pub(crate) fn quantile_ms(&self, share: f64) -> Option<f64> {
        let wanted = self.count() * share;
        let (mut from, mut below) = (0.0, 0.0);
        for (bound, count) in &self.buckets {
            if *count >= wanted && *count > below {
                return Some(from + (bound - from) * ((wanted - below) / (count - below)));
            }
            (from, below) = (*bound, *count);
        }
        None
    }

    /// Mean time of a tick.
    pub(crate) fn mean_ms(&self) -> f64 {
        self.sum_ms / self.count().max(1.0)
    }

    /// Ticks.
    pub(crate) fn count(&self) -> f64 {
        self.buckets.last().map_or(0.0, |(_, count)| *count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(counts: [u32; 3], dropped: u32) -> String {
        let [first, second, all] = counts;
        format!(
            "HTTP/1.1 200 OK\r\n\r\n# TYPE gameserver_tick_seconds histogram\n\
             gameserver_tick_seconds_sum{{kind=\"arena\"}} {}\n\
             gameserver_tick_seconds_count{{kind=\"arena\"}} {all}\n\
             gameserver_tick_seconds_bucket{{le=\"0.004\",kind=\"arena\"}} {first}\n\
             gameserver_tick_seconds_bucket{{le=\"0.008\",kind=\"arena\"}} {second}\n\
             gameserver_tick_seconds_bucket{{le=\"+Inf\",kind=\"arena\"}} {all}\n\
             gameserver_tick_seconds_sum{{kind=\"cellar\"}} 99\n\
             gameserver_tick_seconds_bucket{{le=\"0.004\",kind=\"cellar\"}} 99\n\
             gameserver_ticks_dropped_total {dropped}\n",
            f64::from(all) / 500.0
        )
    }

    #[test]
    fn quantiles_come_from_the_difference_of_two_looks() {
        let before = Scrape::read(&page([100, 100, 100], 3));
        let after = Scrape::read(&page([150, 200, 200], 5)).since(&before);
        let ticks = &after.tick;
        assert_eq!((after.left_out, ticks.quantile_ms(0.5), ticks.quantile_ms(0.75)), (2.0, Some(4.0), Some(6.0)));
        assert_eq!(ticks.mean_ms(), 2.0);
        let slow = Scrape::read(&page([100, 100, 110], 3)).since(&before);
        assert_eq!(slow.tick.quantile_ms(0.5), Some(f64::INFINITY));
        assert_eq!(before.since(&before).tick.quantile_ms(0.5), None);
        assert_eq!(before.tick_cpu, Histogram::default(), "another metric's lines are not taken");
    }
}
