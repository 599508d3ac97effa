//! The bot swarm: computer players that join, play and leave as people do over the public interfaces, and the load report.
//!
//! Path: [`options`] → an [`entry`] (through the [`lobby`], or [`direct`]) → [`swarm`] lets one [`bot`] after the other
//! in, each a [`player`] of its kind of room with a [`bot_connection`] per socket → [`report`]: a table on standard output
//! and JSON for programs. Invariants: exit code 0 when at least one bot was in a room, 1 with a plain sentence when none could, 2 for bad arguments.
//! Never: anything server-side. What a bot knows came over its own socket.

mod bot;
mod bot_connection;
mod direct;
mod entry;
mod figures;
mod grant;
mod kinds;
mod latency;
mod lobby;
mod options;
mod phase;
mod player;
mod progress;
mod report;
mod source;
mod staleness;
mod swarm;

use anyhow::{Context, bail};
use clap::{CommandFactory, Parser, error::ErrorKind};
use entry::Entry;
use mimalloc::MiMalloc;
use options::Options;
use report::Report;
use std::{
    io::{self, Write},
    process::ExitCode,
    sync::Arc,
};

/// With glibc's, memory grows for hours (`make soak`).
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let options = Options::parse();
    let entry = match Entry::new(&options, std::env::var("AERODROME_SECRET").ok().as_deref()) {
        Ok(entry) => Arc::new(entry),
        Err(sentence) => Options::command().error(ErrorKind::ValueValidation, sentence).exit(),
    };
    match run(&options, entry).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The whole run; an error is a sentence for the person.
async fn run(options: &Options, entry: Arc<Entry>) -> anyhow::Result<()> {
    entry.check_reachable().await?;
    if let Some(sentence) = source::remark(entry.base(), options.groups().iter().map(|(_, players)| players).sum()) {
        eprintln!("{sentence}");
    }
    let result = swarm::run(options, entry).await;
    for (reason, bots) in result.reasons() {
        eprintln!("{bots} × {reason}");
    }
    let report = Report::new(options.mix.is_some(), &result);
    if !report.has_anybody() {
        bail!("Nobody could join.");
    }
    writeln!(io::stdout(), "{}", report.table()).context("The report could not be printed")?;
    if let Some(path) = &options.json {
        let json = serde_json::to_string_pretty(&report).context("The report has no JSON")?;
        std::fs::write(path, json + "\n").with_context(|| format!("{} could not be written", path.display()))?;
    }
    Ok(())
}
