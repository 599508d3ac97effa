//! The Colyseus room of `bench/peers/colyseus`: its packages, its process, and what a client of it says.
//!
//! Path: [`install`] → [`start`] → [`seats`] (matchmaking over HTTP) → a [`ColyseusClient`] per seat.
//! Invariants: of the state only its bytes are counted, but a client answers the handshake as the SDK does, or it would
//! get no state. Protocol: `@colyseus/shared-types/src/Protocol.ts` of the version in the lock file.

use super::protocol_client::ProtocolClient;
use crate::{
    load::{Handshake, Outbox},
    report::Progress,
    serve::Child,
};
use anyhow::{Context, bail};
use game::Controls;
use serde_json::Value;
use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    os::unix::process::CommandExt,
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

/// The hidden first argument that makes this program become the room.
pub(crate) const SERVE: &str = "serve-colyseus";
/// Protocol codes: a message's first byte.
const JOIN_ROOM: u8 = 10;
const ERROR: u8 = 11;
const ROOM_STATE: u8 = 14;
const ROOM_STATE_PATCH: u8 = 15;
const ROOM_DATA_BYTES: u8 = 17;
/// Message types of the room, as Colyseus encodes small numbers.
const CONTROLS: u8 = 0;
const FLY_AGAIN: u8 = 1;

/// Oldest Node that Colyseus 0.18 runs on.
const NODE_MIN_VERSION: u32 = 22;
/// Longest wait for an answer over HTTP. Policy: the measurement fails.
const HTTP_MAX_MS: u64 = 10_000;

/// Where the room is.
fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/peers/colyseus"))
}

/// Has npm install the room's packages, if they are not there.
///
/// # Errors
/// A sentence when npm is missing or fails.
pub(crate) fn install(progress: &Progress) -> anyhow::Result<()> {
    let folder = folder();
    // npm writes this file last.
    if folder.join("node_modules/.package-lock.json").exists() {
        return Ok(());
    }
    progress.say("peers: npm installs Colyseus from the lock file, once (100 MB)");
    let npm = Command::new("npm").arg("ci").current_dir(&folder).output();
    let npm = npm.context("npm does not start; `peers` needs Node's package manager to install Colyseus")?;
    if !npm.status.success() {
        bail!("`npm ci` failed in {}: {}", folder.display(), String::from_utf8_lossy(&npm.stderr));
    }
    Ok(())
}

/// A Node that is new enough: the one people have, or the one that was installed with the room; and its version.
///
/// # Errors
/// A sentence when there is neither.
pub(crate) fn node() -> anyhow::Result<(PathBuf, String)> {
    let version_of = |node: &PathBuf| {
        let output = Command::new(node).arg("--version").output().ok()?;
        let version = String::from_utf8(output.stdout).ok()?.trim().to_owned();
        let major: u32 = version.strip_prefix('v')?.split('.').next()?.parse().ok()?;
        (major >= NODE_MIN_VERSION).then_some(version)
    };
    [PathBuf::from("node"), folder().join("node_modules/.bin/node")]
        .into_iter()
        .find_map(|node| version_of(&node).map(|version| (node, version)))
        .with_context(|| format!("Colyseus needs Node {NODE_MIN_VERSION} or newer, and there is none on the PATH."))
}

/// The version of an installed package.
///
/// # Errors
/// When it is not installed.
pub(crate) fn version(package: &str) -> anyhow::Result<String> {
    let path = folder().join("node_modules").join(package).join("package.json");
    let text = fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))?;
    let json: Value = serde_json::from_str(&text)?;
    Ok(json["version"].as_str().unwrap_or_default().to_owned())
}

/// Starts the room on a field of `cells` × `cells`.
///
/// # Errors
/// When it does not start.
pub(crate) fn start(cells: u32) -> anyhow::Result<Child> {
    Child::start(&[SERVE], &[("NODE_ENV", "production"), ("CELLS", &cells.to_string()), ("PORT", "0")])
}

/// The child's side: this process becomes the room's.
///
/// # Errors
/// Returns only when it cannot.
pub(crate) fn serve() -> anyhow::Result<()> {
    let (node, _) = node()?;
    Err(Command::new(node).arg("src/server.js").current_dir(folder()).exec()).context("Node does not start")
}

/// Reserves a seat for each of `count` players, and says how each opens its connection.
///
/// # Errors
/// When the matchmaker does not answer as expected.
pub(crate) fn seats(server: SocketAddr, count: usize) -> anyhow::Result<Vec<Handshake>> {
    let seat = || {
        let answer = http(server, "POST", "/matchmake/joinOrCreate/arena", "{}")?;
        let field = |name: &str| {
            answer[name].as_str().with_context(|| format!("Colyseus's matchmaker gave no {name}: {answer}"))
        };
        let path = format!("/{}/{}?sessionId={}", field("processId")?, field("roomId")?, field("sessionId")?);
        Ok(Handshake::Upgrade { path, headers: Vec::new() })
    };
    (0..count).map(|_| seat()).collect()
}

/// What the room tells about itself.
///
/// # Errors
/// When it does not answer.
pub(crate) fn figures(server: SocketAddr) -> anyhow::Result<Value> {
    http(server, "GET", "/figures", "")
}

/// A request and its JSON answer.
fn http(server: SocketAddr, method: &str, path: &str, body: &str) -> anyhow::Result<Value> {
    let mut stream = TcpStream::connect(server).with_context(|| format!("nothing answers at {server}"))?;
    stream.set_read_timeout(Some(Duration::from_millis(HTTP_MAX_MS)))?;
    let length = body.len();
    let head = format!("{method} {path} HTTP/1.1\r\nhost: {server}\r\nconnection: close\r\n");
    write!(stream, "{head}content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).with_context(|| format!("{path} was not answered"))?;
    let (head, json) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    serde_json::from_str(json).with_context(|| format!("{path} was answered with \"{head}\", not with JSON"))
}

/// A client's side of the protocol.
#[derive(Debug, Default)]
pub(crate) struct ColyseusClient {
    has_state: bool,
    patches: u64,
}

impl ProtocolClient for ColyseusClient {
    fn opened(&mut self, _at: Instant, _outbox: &mut Outbox) {}

    fn message(&mut self, bytes: &[u8], _at: Instant, outbox: &mut Outbox) {
        match bytes.first() {
            Some(&JOIN_ROOM) => outbox.send(&[JOIN_ROOM]),
            Some(&ROOM_STATE) => self.has_state = true,
            Some(&ROOM_STATE_PATCH) => self.patches += 1,
            Some(&ERROR) => self.has_state = false,
            _ => {}
        }
    }

    fn is_in(&self) -> bool {
        self.has_state
    }

    fn shown_ticks(&self) -> u64 {
        self.patches
    }

    fn tick(&mut self, changed: Option<Controls>, _at: Instant, outbox: &mut Outbox) {
        if let Some(controls) = changed {
            outbox.send(&[ROOM_DATA_BYTES, CONTROLS, controls.to_bits() as u8]);
        }
    }

    fn fly_again(&mut self, outbox: &mut Outbox) {
        outbox.send(&[ROOM_DATA_BYTES, FLY_AGAIN]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use game::rules::Rules;

    #[test]
    fn the_room_plays_by_the_shipped_rules() {
        let text = fs::read_to_string(folder().join("rules.json")).unwrap();
        // Flat and by other names, but in the same order.
        let numbers = |text: &str| -> Vec<String> {
            let words = text.split(|c: char| !c.is_ascii_digit()).filter(|word| !word.is_empty());
            words.map(str::to_owned).collect()
        };
        let ours = serde_json::to_string(&Rules::default()).unwrap();
        assert_eq!(numbers(&text), numbers(&ours), "copy the numbers of assets/tuning.ron to rules.json");
    }
}
