//! The lobby's program: environment, logs, signals.
//!
//! Path: without a command [`Config::from_env`] → logs → listener → [`lobby::serve`] until SIGTERM or SIGINT, then exit 0;
//! `lobby provision` makes the pool of machines what the fleet file says, and ends.

use anyhow::Context;
use clap::{Parser, Subcommand};
use lobby::api_config::ApiConfig;
use lobby::config::Config;
use lobby::pools::Pools;
use lobby::provision;
use mimalloc::MiMalloc;
use std::process::ExitCode;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// With glibc's, memory grows for hours (`make soak`).
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Shows the fleet, wakes machines and steers players to them. What it needs to know comes from the environment.
#[derive(Debug, Parser)]
#[command(name = "lobby", version)]
struct Args {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Create and update the pool of gameserver machines (needs FLY_API_TOKEN; GAME_APP names the app)
    Provision {
        /// Print what would be done, and do nothing
        #[arg(long)]
        dry_run: bool,
        /// Image for all machines, instead of that of the newest deployment
        #[arg(long)]
        image: Option<String>,
        /// The pool; without it, the one this program was built with
        #[arg(long, env = "FLEET_FILE")]
        fleet: Option<String>,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    match Args::parse().command {
        None => match Config::from_env() {
            Ok(config) => {
                start_logs(config.log_json);
                exit_code(run(&config).await)
            }
            Err(sentence) => misconfigured(&sentence),
        },
        Some(Command::Provision { dry_run, image, fleet }) => {
            start_logs(false);
            let api = ApiConfig::read(|name| std::env::var(name).ok());
            let pools = fleet.map_or_else(|| Ok(Pools::built_in()), |path| Pools::load(&path));
            match (api, pools) {
                (Ok(api), Ok(pools)) => {
                    let image = image.as_deref();
                    exit_code(provision::run(&api, &pools, image, dry_run, &mut std::io::stdout()).await)
                }
                (Err(sentence), _) | (_, Err(sentence)) => misconfigured(&sentence),
            }
        }
    }
}

fn exit_code(outcome: anyhow::Result<()>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn misconfigured(sentence: &str) -> ExitCode {
    eprintln!("lobby: {sentence}");
    ExitCode::from(2)
}

fn start_logs(as_json: bool) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if as_json { logs.json().init() } else { logs.init() }
}

async fn run(config: &Config) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listening for SIGINT")?;
    let listener = TcpListener::bind(config.listen).await.with_context(|| {
        format!("Port {} cannot be used; is another program on it? PORT= changes it", config.listen)
    })?;
    let metrics = match config.metrics {
        Some(address) => Some(TcpListener::bind(address).await.with_context(|| {
            format!("Port {address} cannot be used; is another program on it? METRICS_PORT= changes it")
        })?),
        None => None,
    };
    tracing::info!(address = %listener.local_addr()?, app = config.api.game_app, "the lobby is open");
    let stop = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("the lobby closes");
    };
    lobby::serve(config, listener, metrics, stop).await;
    Ok(())
}
