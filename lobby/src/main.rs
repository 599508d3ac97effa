//! The lobby's program: environment, logs, signals.
//!
//! Path: [`Config::from_env`] → logs → listener → [`lobby::serve`] until SIGTERM or SIGINT, then exit 0.

use anyhow::Context;
use lobby::config::Config;
use std::process::ExitCode;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

#[tokio::main]
async fn main() -> ExitCode {
    let config = match Config::from_env() {
        Ok(config) => config,
        Err(sentence) => {
            eprintln!("lobby: {sentence}");
            return ExitCode::from(2);
        }
    };
    start_logs(config.log_json);
    match run(&config).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
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
    tracing::info!(address = %listener.local_addr()?, app = config.game_app, "the lobby is open");
    let stop = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("the lobby closes");
    };
    lobby::serve(config, listener, stop).await.context("serving")
}
