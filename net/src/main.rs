//! The `gameserver` binary: reads the environment, serves until nobody needs it, or until it is told to stop; then it
//! says goodbye to everybody.
//!
//! Exit code 0 means "asleep, or stopped as asked", with every room in the store; a configuration it cannot work with,
//! or a room that the store does not take, is one sentence and exit code 1.

use anyhow::Context;
use mimalloc::MiMalloc;
use net::{Config, Server};
use std::io::IsTerminal;
use tokio::signal::unix::{SignalKind, signal};

/// With glibc's, memory grows for hours (`make soak`).
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let log_format = std::env::var("LOG_FORMAT").unwrap_or_default();
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into());
    let has_colours = std::io::stderr().is_terminal();
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(has_colours);
    match log_format.as_str() {
        "json" => log.json().init(),
        _ => log.init(),
    }

    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be watched")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT cannot be watched")?;
    let server = Server::start(Config::from_env()?).await?;
    tokio::select! {
        _ = terminate.recv() => tracing::info!("SIGTERM: stopping"),
        _ = interrupt.recv() => tracing::info!("SIGINT: stopping"),
        slept = server.asleep() => return slept,
    }
    server.stop().await.result()
}
