//! Progress of a run: counters that all bots share, and the line on the terminal that shows them.
//!
//! Invariant: bots only add to counters and never wait; one task draws.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

/// Shared by all bots.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// Bots that are in now.
    pub(crate) present: AtomicU32,
    /// Bots that know whether they got in.
    pub(crate) settled: AtomicU32,
    /// Frames so far, all bots together.
    pub(crate) frames: AtomicU64,
    /// What the person should hear, and whether it was said.
    remark: Mutex<Remark>,
}

#[derive(Debug, Default)]
enum Remark {
    #[default]
    None,
    Waiting(String),
    Said,
}

impl Progress {
    /// Something worth a line; only the first of a run is shown, the others say the same.
    pub(crate) fn remark_once(&self, sentence: &str) {
        let mut remark = self.remark.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*remark, Remark::None) {
            *remark = Remark::Waiting(sentence.to_owned());
        }
    }

    fn take_remark(&self) -> Option<String> {
        let mut remark = self.remark.lock().unwrap_or_else(PoisonError::into_inner);
        match std::mem::take(&mut *remark) {
            Remark::Waiting(sentence) => {
                *remark = Remark::Said;
                Some(sentence)
            }
            other => {
                *remark = other;
                None
            }
        }
    }
}

/// One line on standard error; nothing where that is no terminal.
pub(crate) struct Bar {
    bar: ProgressBar,
    frames: u64,
    at: Instant,
    per_s: f64,
}

/// Frames a second are averaged over about so long.
const RATE_WINDOW_S: f64 = 1.0;

impl Bar {
    /// A line that counts `players` in; a quiet one shows nothing.
    pub(crate) fn new(players: u32, is_quiet: bool) -> Self {
        let target = if is_quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let style = ProgressStyle::with_template("{bar:30} {msg}").expect("the template is well-formed");
        let bar = ProgressBar::with_draw_target(Some(u64::from(players)), target).with_style(style);
        Self { bar, frames: 0, at: Instant::now(), per_s: 0.0 }
    }

    /// Bots are coming in.
    pub(crate) fn joining(&mut self, progress: &Progress, players: u32) {
        let present = progress.present.load(Relaxed);
        self.bar.set_position(u64::from(present));
        self.bar.set_message(format!("{present} of {players} are in"));
        self.say_remark(progress);
    }

    /// Bots are playing.
    pub(crate) fn playing(&mut self, progress: &Progress, elapsed: Duration, of: Duration) {
        self.bar.set_length(of.as_millis() as u64);
        self.bar.set_position(elapsed.as_millis() as u64);
        let (now, frames) = (Instant::now(), progress.frames.load(Relaxed));
        let passed_s = now.duration_since(self.at).as_secs_f64();
        let rate = frames.saturating_sub(self.frames) as f64 / passed_s.max(1e-3);
        let weight = if self.frames == 0 { 0.0 } else { (passed_s / RATE_WINDOW_S).min(1.0) };
        self.per_s = if self.per_s == 0.0 { rate } else { self.per_s } * (1.0 - weight) + rate * weight;
        (self.at, self.frames) = (now, frames);
        let (present, per_s) = (progress.present.load(Relaxed), self.per_s);
        let (elapsed_s, of_s) = (elapsed.as_secs(), of.as_secs());
        self.bar.set_message(format!("{present} in · {per_s:.0} frames/s · {elapsed_s} s of {of_s} s"));
        self.say_remark(progress);
    }

    /// The line disappears.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }

    fn say_remark(&self, progress: &Progress) {
        if let Some(sentence) = progress.take_remark() {
            self.bar.suspend(|| eprintln!("{sentence}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remark_is_made_once() {
        let progress = Progress::default();
        assert_eq!(progress.take_remark(), None);
        progress.remark_once("Slowly, please.");
        progress.remark_once("Slowly, please.");
        assert_eq!(progress.take_remark().as_deref(), Some("Slowly, please."));
        progress.remark_once("Slowly, please.");
        assert_eq!(progress.take_remark(), None);
    }
}
