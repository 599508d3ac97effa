//! Memory per connection that is open and quiet: the real server's, and beside it a bare axum WebSocket server's.
//!
//! Path: [`run`] → for each, a fresh server in a process of its own: resident memory before, connect and join, a pause,
//! resident memory after.
//! Invariant: ours are whole sessions (hello, welcome, seat, queue, reading task, sink at a worker); only frames are
//! missing.

use crate::{
    axum_tasks::READ_BUFFER_BYTES,
    fanout::Client,
    load::{Handshake, Swarm},
    report::{Aim, Figures, Progress},
    serve::{self, Child},
};
use anyhow::ensure;
use std::time::Duration;

const CONNECTIONS_COUNT: usize = 5000;
/// Files of a process beside its connections.
const OTHER_FILES_COUNT: usize = 100;
/// What was needed only for connecting is given back meanwhile.
const PAUSE: Duration = Duration::from_secs(3);
const JOIN_MAX: Duration = Duration::from_secs(30);

/// Measures.
pub(crate) fn run(progress: &Progress) -> anyhow::Result<Figures> {
    serve::allow_files((CONNECTIONS_COUNT + OTHER_FILES_COUNT) as u64)?;
    progress.say("idle: our server");
    let ours = kb_per_connection("serve-fixed", serve::upgrade, true)?;
    progress.say("idle: bare axum");
    let bare = || Handshake::Upgrade { path: "/".to_owned(), headers: Vec::new() };
    let bare = kb_per_connection("serve-tasks", bare, false)?;
    let mut figures = Figures::default();
    figures.add("rss_kb_per_connection", ours, Aim::AtMost(12.0));
    figures.add("bare_axum_kb_per_connection", bare, Aim::None);
    figures.note(format!(
        "{CONNECTIONS_COUNT} connections; bare axum has read_buffer_size({READ_BUFFER_BYTES}) and one task per socket."
    ));
    Ok(figures)
}

fn kb_per_connection(kind: &str, handshake: fn() -> Handshake, has_welcome: bool) -> anyhow::Result<f64> {
    let child = Child::start(&[kind, "0"], &[])?;
    let before = child.rss_bytes()?;
    let mut swarm = Swarm::connect(child.address(), CONNECTIONS_COUNT, |_| handshake(), Client::idle)?;
    swarm.run_until(JOIN_MAX, |client| client.is_welcomed || !has_welcome)?;
    swarm.run_for(PAUSE)?;
    let after = child.rss_bytes()?;
    ensure!(swarm.ended().count() == 0, "A connection ended. {:?}", swarm.ended().next());
    Ok((after - before) / 1024.0 / CONNECTIONS_COUNT as f64)
}
