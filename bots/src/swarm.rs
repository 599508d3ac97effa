//! Runs all bots: lets them in one after the other, measures while they fly, then has them leave together.
//!
//! Path: [`run`] starts a task per bot → waits until each knows whether it is in → measures → says that it is over →
//! adds up. Invariants: Ctrl-C at any time leads to the same orderly end; every wait has an end.

use crate::{
    bot,
    entry::Entry,
    figures::Figures,
    options::Options,
    phase::RunPhase,
    progress::{Bar, Progress},
};
use arena::Client;
use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};
use tokio::{
    signal,
    sync::watch,
    task::JoinSet,
    time::{MissedTickBehavior, interval, sleep},
};

/// Longest wait, after the last bot's turn, for all to get in or give up. Policy: measure those that are in.
const JOINING_MAX_MS: u64 = 90_000;
/// Between the last arrival and the measuring: whole cells of the newcomers are on their way.
const SETTLE_MS: u64 = 1_000;
/// The progress line is drawn this often.
const SHOW_INTERVAL_MS: u64 = 100;

/// A run that ended.
#[derive(Debug)]
pub(crate) struct RunResult {
    /// All bots' counts.
    pub(crate) figures: Figures,
    /// How long was measured.
    pub(crate) measured: Duration,
}

impl RunResult {
    /// Why bots stayed out or lost a socket, and how often.
    pub(crate) fn reasons(&self) -> impl Iterator<Item = (&str, u32)> {
        self.figures.reasons.iter().map(|(reason, count)| (reason.as_str(), *count))
    }
}

/// A whole run.
pub(crate) async fn run(options: &Options, entry: Arc<Entry>) -> RunResult {
    let (phase, watching) = watch::channel(RunPhase::Joining);
    let progress = Arc::<Progress>::default();
    let (mut bots, tables) = (JoinSet::new(), arena::code_tables());
    let stay = options.stay.map(|seconds| Duration::from_secs(seconds.into()));
    for number in 0..options.players {
        let client = Client::sharing(Arc::clone(&tables));
        bots.spawn(bot::run(number, client, stay, Arc::clone(&entry), Arc::clone(&progress), watching.clone()));
    }
    drop(watching);
    let mut bar = Bar::new(options.players, options.quiet);
    let measured = tokio::select! {
        measured = measure(options, &phase, &progress, &mut bar) => measured,
        // If there is no such signal here, only the time ends the run.
        Ok(since) = interrupted(&phase) => since,
    };
    phase.send_replace(RunPhase::Over);
    bar.finish();
    let mut figures = Figures::default();
    while let Some(ended) = bots.join_next().await {
        match ended {
            Ok(own) => figures.add(own),
            Err(error) => figures.note(format!("A bot broke, which is a bug ({error}).")),
        }
    }
    RunResult { figures, measured }
}

/// Waits for the bots, then measures; how long.
async fn measure(options: &Options, phase: &watch::Sender<RunPhase>, progress: &Progress, bar: &mut Bar) -> Duration {
    let mut show = interval(Duration::from_millis(SHOW_INTERVAL_MS));
    show.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let deadline = Instant::now() + bot::join_delay(options.players) + Duration::from_millis(JOINING_MAX_MS);
    while progress.settled.load(Relaxed) < options.players && Instant::now() < deadline {
        show.tick().await;
        bar.joining(progress, options.players);
    }
    if progress.present.load(Relaxed) == 0 {
        return Duration::ZERO;
    }
    sleep(Duration::from_millis(SETTLE_MS)).await;
    phase.send_replace(RunPhase::Measuring);
    let (began, length) = (Instant::now(), Duration::from_secs(u64::from(options.seconds)));
    while began.elapsed() < length {
        bar.flying(progress, began.elapsed(), length);
        let left = length.saturating_sub(began.elapsed());
        tokio::select! { _ = show.tick() => {}, () = sleep(left) => {} }
    }
    began.elapsed()
}

/// Ctrl-C was pressed; how long had been measured then.
async fn interrupted(phase: &watch::Sender<RunPhase>) -> std::io::Result<Duration> {
    let mut watching = phase.subscribe();
    let pressed = signal::ctrl_c();
    tokio::pin!(pressed);
    let began = tokio::select! {
        result = &mut pressed => return result.map(|()| Duration::ZERO),
        _ = watching.wait_for(|phase| *phase == RunPhase::Measuring) => Instant::now(),
    };
    pressed.await.map(|()| began.elapsed())
}
