//! Every claim about speed and size is a name here: `bench NAME` measures it, `bench` alone measures all.
//!
//! Path: [`BENCHES`] names what there is → each gives [`report::Figures`] → a table, and JSON for programs.
//! Invariants: a ratio comes from one run in which both sides take turns, as a median with its spread; every figure
//! says what it should reach. Figures are for comparing on one machine: machines differ, and drift.

mod axum_tasks;
mod fixed_engine;
mod line;
mod load;
mod mouse_input;
mod raw_server;
mod report;
mod scrape;
mod serve;
mod stopwatch;
mod world;

mod capacity;
mod delta;
mod fanout;
mod feel;
mod fleet;
mod flood;
mod frames;
mod growth;
mod idle;
mod mix;
mod overload;
mod peers;
mod soak;
mod tick;
mod train;

use anyhow::{Context, bail, ensure};
use clap::{Parser, value_parser};
use mimalloc::MiMalloc;
use report::{Figures, Progress, Report};
use std::path::PathBuf;

/// With glibc's, memory grows for hours (`make soak`).
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Measures what the README claims.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Options {
    /// What to measure; nothing = all of it. `list` names them.
    names: Vec<String>,
    /// Write the figures to this file as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// How long `soak` takes
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = value_parser!(u32).range(1..=1440))]
    minutes: u32,
}

/// A measurement.
struct Bench {
    name: &'static str,
    about: &'static str,
    run: fn(&Progress) -> anyhow::Result<Figures>,
}

/// All measurements, in the order in which they run.
const BENCHES: &[Bench] = &[
    Bench {
        name: "fanout",
        about: "a message to a client, over the smallest program that sends one",
        run: fanout::run,
    },
    Bench { name: "frames", about: "assembling, encoding and decoding frames", run: frames::run },
    Bench { name: "delta", about: "bytes on the wire", run: delta::run },
    Bench { name: "feel", about: "what players see over good and bad lines", run: feel::run },
    Bench { name: "tick", about: "the game's step", run: tick::run },
    Bench { name: "idle", about: "memory per connection", run: idle::run },
    Bench { name: "capacity", about: "players in one room", run: capacity::run },
    Bench { name: "overload", about: "a full room whose budget is cut and returns", run: overload::run },
    Bench { name: "mix", about: "an arena beside a chat room in which all talk", run: mix::run },
    Bench { name: "flood", about: "players while strangers send without end", run: flood::run },
    Bench { name: "fleet", about: "joins, sleep and the replay's hop behind the local Fly", run: fleet::run },
    Bench { name: "growth", about: "how a room's cost grows with its players", run: growth::run },
    Bench { name: "peers", about: "the same arena on Colyseus and on our gameserver", run: peers::run },
];

/// Parts of them that can be had alone, by name.
const PARTS: &[Bench] =
    &[Bench { name: "capacity-fixed", about: "what a client costs the server", run: capacity::run_fixed }];

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    // A server under test is this program again.
    if options.names.first().is_some_and(|name| name == peers::colyseus::SERVE) {
        return peers::colyseus::serve();
    }
    if let Some((kind, arguments)) = options.names.split_first().filter(|(kind, _)| kind.starts_with("serve-")) {
        return serve::run(kind, arguments);
    }
    let all = || BENCHES.iter().chain(PARTS);
    let progress = Progress::new();
    match options.names.first().map(String::as_str) {
        Some("list") => {
            all().for_each(|bench| progress.print(&format!("{:14} {}", bench.name, bench.about)));
            return Ok(());
        }
        Some("soak") => return soak(&progress, &options),
        Some("train") => return train::run(&progress),
        Some("pictures") => return feel::pictures::draw(&progress),
        _ => {}
    }
    if let Some(unknown) = options.names.iter().find(|name| all().all(|bench| bench.name != **name)) {
        let names: Vec<_> = all().map(|bench| bench.name).collect();
        bail!("There is no measurement \"{unknown}\". There are: {}, soak, train and pictures.", names.join(", "));
    }
    let is_named = |bench: &&Bench| options.names.iter().any(|name| name == bench.name);
    let is_wanted = |bench: &&Bench| options.names.is_empty() || is_named(bench);
    let mut report = Report::default();
    for bench in BENCHES.iter().filter(is_wanted).chain(PARTS.iter().filter(is_named)) {
        progress.say(&format!("{}: {}", bench.name, bench.about));
        let figures = (bench.run)(&progress).with_context(|| format!("{} could not be measured", bench.name))?;
        progress.print(&report.add(bench.name, figures));
    }
    write(&options, &report)
}

/// Alone and never among all: it takes an hour, and its aims are a condition.
fn soak(progress: &Progress, options: &Options) -> anyhow::Result<()> {
    let figures = soak::run(progress, options.minutes).context("soak could not be measured")?;
    let missed: Vec<_> = figures.missed().map(str::to_owned).collect();
    let mut report = Report::default();
    progress.print(&report.add("soak", figures));
    write(options, &report)?;
    ensure!(missed.is_empty(), "Memory grows: {}.", missed.join(", "));
    Ok(())
}

fn write(options: &Options, report: &Report) -> anyhow::Result<()> {
    let Some(path) = &options.json else { return Ok(()) };
    std::fs::write(path, report.to_json()).with_context(|| format!("{} cannot be written", path.display()))
}
