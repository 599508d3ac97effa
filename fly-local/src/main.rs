//! `fly-local`: runs the whole fleet on this machine until Ctrl-C.
//!
//! Path: command line → [`FlyLocal::start`] → one block that ends with the address to open → a signal → shutdown.
//! Invariants: standard output carries that block and the machines' own lines; our own log goes to standard error.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use fly_local::{Config, FlyLocal};
use mimalloc::MiMalloc;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// With glibc's, memory grows for hours (`make soak`).
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// How long the lobby may take until it answers.
const READY_TIMEOUT: Duration = Duration::from_secs(30);

#[tokio::main]
async fn main() -> ExitCode {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into());
    let colours = std::io::stderr().is_terminal();
    tracing_subscriber::fmt()
        .with_ansi(colours)
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        .init();
    match run(Config::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "{error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(config: Config) -> anyhow::Result<()> {
    let mut signals = Signals::new()?;
    let running = FlyLocal::start(config).await?;
    let ready = tokio::select! {
        ready = running.ready(READY_TIMEOUT) => ready.map(|()| true),
        () = signals.next() => Ok(false),
    };
    if let Ok(true) = ready {
        announce(&running)?;
        signals.next().await;
    }
    tracing::info!("stopping every machine; once more ends them at once");
    tokio::select! {
        () = running.shutdown() => {}
        () = signals.next() => tracing::warn!("machines were killed before they had finished"),
    }
    ready.map(drop)
}

fn announce(running: &FlyLocal) -> std::io::Result<()> {
    let regions = running.pool_regions().join(", ");
    let (api, edge) = (running.api(), running.edge());
    let mut out = std::io::stdout().lock();
    write!(
        out,
        "\n  Gameservers sleep in {regions} and wake for the first player.\n  \
         Machines API: http://{api}\n  \
         What happens, and what should go wrong: http://{edge}/_fly\n  \
         Ctrl-C stops everything.\n\nAerodrome is ready: http://{edge}\n"
    )?;
    out.flush()
}

/// The signals that end us.
struct Signals([Signal; 3]);

impl Signals {
    fn new() -> std::io::Result<Self> {
        let [interrupt, terminate, hangup] = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        Ok(Self([signal(interrupt)?, signal(terminate)?, signal(hangup)?]))
    }

    async fn next(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}
