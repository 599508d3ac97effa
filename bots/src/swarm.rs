//! Runs all bots: lets them in one after the other, measures while they play, then has them leave together.
//!
//! Path: [`run`] starts a task per bot → waits until each knows whether it is in → measures → says that it is over →
//! adds up. Invariants: Ctrl-C at any time leads to the same orderly end; every wait has an end.

use crate::{
    bot,
    entry::Entry,
    figures::Figures,
    kinds,
    options::Options,
    phase::RunPhase,
    player::Player,
    progress::{Bar, Progress},
};
use protocol::room::Kind;
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
    /// Kind by kind: bots that were wanted, and the counts of all of them.
    pub(crate) groups: Vec<(Kind, u32, Figures)>,
    /// How long was measured.
    pub(crate) measured: Duration,
}

impl RunResult {
    /// Why bots stayed out or lost a socket, and how often.
    pub(crate) fn reasons(&self) -> impl Iterator<Item = (&str, u32)> {
        let reasons = self.groups.iter().flat_map(|(.., figures)| &figures.reasons);
        reasons.map(|(reason, count)| (reason.as_str(), *count))
    }
}

/// A whole run.
pub(crate) async fn run(options: &Options, entry: Arc<Entry>) -> RunResult {
    let (phase, watching) = watch::channel(RunPhase::Joining);
    let progress = Arc::<Progress>::default();
    let mut bots = JoinSet::new();
    let stay = options.stay.map(|seconds| Duration::from_secs(seconds.into()));
    let mut groups: Vec<_> =
        options.groups().into_iter().map(|(kind, players)| (kind, players, Figures::default())).collect();
    for (number, (kind, player)) in players(options).enumerate() {
        let (entry, progress, phase) = (Arc::clone(&entry), Arc::clone(&progress), watching.clone());
        bots.spawn(bot::run(number as u32, (kind, player), stay, entry, progress, phase));
    }
    let wanted = bots.len() as u32;
    drop(watching);
    let mut bar = Bar::new(wanted, options.quiet);
    let measured = tokio::select! {
        measured = measure((wanted, options.seconds), &phase, &progress, &mut bar) => measured,
        // If there is no such signal here, only the time ends the run.
        Ok(since) = interrupted(&phase) => since,
    };
    phase.send_replace(RunPhase::Over);
    bar.finish();
    while let Some(ended) = bots.join_next().await {
        match ended {
            Ok((kind, own)) => {
                let group = groups.iter_mut().find(|group| group.0 == kind);
                group.expect("bots are of these kinds").2.add(own);
            }
            Err(error) => groups[0].2.note(format!("A bot broke, which is a bug ({error}).")),
        }
    }
    RunResult { groups, measured }
}

/// All players, kind by kind.
fn players(options: &Options) -> impl Iterator<Item = (Kind, Box<dyn Player>)> {
    let say_interval = Duration::from_secs(options.say_every.into());
    options.groups().into_iter().flat_map(move |(kind, players)| {
        let player = kinds::players(kind, say_interval);
        (0..players).map(move |number| (kind, player(number)))
    })
}

/// Waits for the bots, then measures; how long.
async fn measure(
    (players, seconds): (u32, u32),
    phase: &watch::Sender<RunPhase>,
    progress: &Progress,
    bar: &mut Bar,
) -> Duration {
    let mut show = interval(Duration::from_millis(SHOW_INTERVAL_MS));
    show.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let deadline = Instant::now() + bot::join_delay(players) + Duration::from_millis(JOINING_MAX_MS);
    while progress.settled.load(Relaxed) < players && Instant::now() < deadline {
        show.tick().await;
        bar.joining(progress, players);
    }
    if progress.present.load(Relaxed) == 0 {
        return Duration::ZERO;
    }
    sleep(Duration::from_millis(SETTLE_MS)).await;
    phase.send_replace(RunPhase::Measuring);
    let (began, length) = (Instant::now(), Duration::from_secs(u64::from(seconds)));
    while began.elapsed() < length {
        bar.playing(progress, began.elapsed(), length);
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
