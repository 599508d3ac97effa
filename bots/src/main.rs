//! The swarm: computer pilots that join, fly and leave as people do, knowing only the wire; and the load report.
//!
//! Path: [`options`] → a [`door`] (through the [`lobby`], or [`direct`]) → [`swarm`] lets one [`bot`] after the other
//! in, each with its own [`flight`] per socket → [`report`]: a table on standard output and JSON for programs.
//! Invariants: exit code 0 when somebody flew, 1 with a plain sentence when nobody could, 2 for bad arguments.
//! Never: anything server-side. What a bot knows came over its own socket.

mod bot;
mod direct;
mod door;
mod figures;
mod flight;
mod latency;
mod lobby;
mod options;
mod progress;
mod report;
mod sight;
mod swarm;

use anyhow::{Context, bail};
use clap::{CommandFactory, Parser, error::ErrorKind};
use door::Door;
use options::Options;
use report::Report;
use std::{
    io::{self, Write},
    process::ExitCode,
    sync::Arc,
};

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let options = Options::parse();
    let door = match Door::new(&options, std::env::var("AERODROME_SECRET").ok().as_deref()) {
        Ok(door) => Arc::new(door),
        Err(sentence) => Options::command().error(ErrorKind::ValueValidation, sentence).exit(),
    };
    match run(&options, door).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The whole run; an error is a sentence for the person.
async fn run(options: &Options, door: Arc<Door>) -> anyhow::Result<()> {
    door.knock().await?;
    let flown = swarm::fly(options, door).await;
    for (reason, bots) in flown.reasons() {
        eprintln!("{bots} × {reason}");
    }
    let report = Report::new(options.players, &flown);
    if report.joined == 0 {
        bail!("Nobody could join.");
    }
    writeln!(io::stdout(), "{}", report.table()).context("The report could not be printed")?;
    if let Some(path) = &options.json {
        let json = serde_json::to_string_pretty(&report).context("The report has no JSON")?;
        std::fs::write(path, json + "\n").with_context(|| format!("{} could not be written", path.display()))?;
    }
    Ok(())
}
