//! What nobody outside Fly can know, or what differs from day to day: each is a setting with a default.
//!
//! Path: the command line fills [`Settings`]; the control API changes them while everything runs.
//! Invariants: the defaults stand in the arguments' attributes and nowhere else; README.md lists them, and a test
//! compares the two.
//! Never: acts; the parts that a setting is about read it when they need it.

use clap::{Args, Parser, ValueEnum};
use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};

/// How the emulated Fly behaves where the real one is undocumented, contradictory or a matter of luck.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Args)]
#[command(next_help_heading = "How Fly behaves where it does not say (also at run time: PATCH /_fly/api/settings)")]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Status of `start` for a machine that runs already.
    #[arg(long, value_enum, default_value_t = StartOnStarted::Ok)]
    pub start_on_started: StartOnStarted,
    /// How long a new machine reads `created` while its image is prepared; a start is refused meanwhile.
    #[arg(long, default_value_t = 1_000)]
    pub create_ms: u64,
    /// Whether a machine created without a launch then reads `stopped`; `off`: it stays `created`.
    #[arg(long, value_enum, default_value_t = Switch::On)]
    pub created_settles: Switch,
    /// How long a machine is `starting` before its process runs.
    #[arg(long, default_value_t = 400)]
    pub boot_ms: u64,
    /// How long a suspended machine is `starting` before its process goes on.
    #[arg(long, default_value_t = 200)]
    pub resume_ms: u64,
    /// How long a machine is `suspending`; a start cancels it.
    #[arg(long, default_value_t = 500)]
    pub suspend_ms: u64,
    /// How long a machine that did not run is `replacing` after an update.
    #[arg(long, default_value_t = 500)]
    pub replace_ms: u64,
    /// How long a machine is `destroying`.
    #[arg(long, default_value_t = 200)]
    pub destroy_ms: u64,
    /// How long the API still shows a destroyed machine before it answers 404.
    #[arg(long, default_value_t = 2_000)]
    pub destroyed_shows_ms: u64,
    /// How long a machine that reads `stopped` refuses to start, because it is still being taken down.
    #[arg(long, default_value_t = 500)]
    pub teardown_ms: u64,
    /// Most memory a machine may have and still be suspended.
    #[arg(long, default_value_t = 2_048)]
    pub suspend_memory_max_mb: u32,
    /// Signal that stops a machine whose configuration names none.
    #[arg(long, value_enum, default_value_t = KillSignal::Sigint)]
    pub kill_signal: KillSignal,
    /// Grace before the kill, for a machine whose configuration names none.
    #[arg(long, default_value_t = 5_000)]
    pub kill_timeout_ms: u64,
    /// Whether a service that does not say so may be started by a request.
    #[arg(long, value_enum, default_value_t = Switch::On)]
    pub autostart_default: Switch,
    /// Whether `wait` for `stopped` is refused without the machine's version.
    #[arg(long, value_enum, default_value_t = Switch::Off)]
    pub wait_stopped_needs_version: Switch,
    /// Whether the API counts calls: 1/s with bursts of 3 per action and machine or app; 5/s with 10 for one machine.
    #[arg(long, value_enum, default_value_t = Switch::On)]
    pub rate_limits: Switch,
    /// Most machines of all apps together; a further one is refused with 422.
    #[arg(long, default_value_t = 50)]
    pub machines_max: usize,
    /// Whether a start on a full host moves the machine to another host.
    #[arg(long, value_enum, default_value_t = Switch::Off)]
    pub migrate_from_full_host: Switch,
    /// Whether a replay may reach an app on another private network.
    #[arg(long, value_enum, default_value_t = Switch::Off)]
    pub cross_network_replay: Switch,
    /// How far the edge's picture of the machines lags behind the truth.
    #[arg(long, default_value_t = 100)]
    pub edge_lag_ms: u64,
    /// The public port that the edge's listener stands for; only services on this port are reached.
    #[arg(long, default_value_t = 443)]
    pub edge_serves_port: u16,
    /// Replays of one request before the edge gives up.
    #[arg(long, default_value_t = 10)]
    pub replays_max: u32,
    /// Longest body that can be replayed. Fly's own pages say 1 MB and 10 MB.
    #[arg(long, default_value_t = 1_048_576)]
    pub replay_body_max_bytes: usize,
    /// Which answers to a WebSocket's request may replay it.
    #[arg(long, value_enum, default_value_t = WebsocketReplay::Any)]
    pub websocket_replay: WebsocketReplay,
    /// How long a machine is tried when a replay names no `timeout`.
    #[arg(long, default_value_t = 15_000)]
    pub reach_timeout_ms: u64,
    /// Whether a cordon also holds against `instance=`.
    #[arg(long, value_enum, default_value_t = Switch::On)]
    pub cordon_binds_instance: Switch,
    /// Whether the edge strips `fly-` headers that a client forged.
    #[arg(long, value_enum, default_value_t = Switch::On)]
    pub strip_forged: Switch,
    /// Client's status for a replay that may not be obeyed (PA01 to PA05).
    #[arg(long, default_value_t = 502, value_parser = status())]
    pub status_refused: u16,
    /// Client's status when no machine fits (PR01).
    #[arg(long, default_value_t = 503, value_parser = status())]
    pub status_no_candidate: u16,
    /// Client's status when the machines that fit could not be reached (PR03, PU02).
    #[arg(long, default_value_t = 502, value_parser = status())]
    pub status_unreached: u16,
}

/// An error's status: 400 to 599.
fn status() -> clap::builder::RangedI64ValueParser<u16> {
    clap::value_parser!(u16).range(400..600)
}

/// On or off, as command line and JSON spell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Switch {
    /// Do it.
    On,
    /// Leave it out.
    Off,
}

impl Switch {
    /// Whether it is on.
    pub fn is_on(self) -> bool {
        self == Self::On
    }
}

/// What `start` answers for a machine that runs already; all three were seen or are documented.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
pub enum StartOnStarted {
    /// Success.
    #[value(name = "200")]
    #[serde(rename = "200")]
    Ok,
    /// Conflict.
    #[value(name = "409")]
    #[serde(rename = "409")]
    Conflict,
    /// Precondition failed.
    #[value(name = "412")]
    #[serde(rename = "412")]
    Precondition,
}

/// The two signals that Fly's pages name as default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
pub enum KillSignal {
    /// What the configuration pages and flyctl say.
    #[value(name = "SIGINT")]
    #[serde(rename = "SIGINT")]
    Sigint,
    /// What a newer guide says.
    #[value(name = "SIGTERM")]
    #[serde(rename = "SIGTERM")]
    Sigterm,
}

impl From<KillSignal> for Signal {
    fn from(named: KillSignal) -> Self {
        match named {
            KillSignal::Sigint => Self::SIGINT,
            KillSignal::Sigterm => Self::SIGTERM,
        }
    }
}

/// Which answers to a WebSocket's request may replay it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum WebsocketReplay {
    /// Any status.
    Any,
    /// Only a 101, as older examples say; another answer goes to the client as it is.
    #[value(name = "only-101")]
    #[serde(rename = "only-101")]
    Only101,
    /// Anything but a 101, which is taken at its word.
    #[value(name = "never-101")]
    #[serde(rename = "never-101")]
    Never101,
}

#[derive(Parser)]
struct Bare {
    #[command(flatten)]
    settings: Settings,
}

impl Default for Settings {
    fn default() -> Self {
        Bare::parse_from(["fly-local"]).settings
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_readme_lists_every_setting_with_its_default() {
        let readme = include_str!("../README.md");
        let rows: Vec<_> = readme.lines().filter(|line| line.starts_with("| `--")).collect();
        let command = Bare::command();
        let settings: Vec<_> =
            command.get_arguments().filter(|arg| arg.get_long().is_some_and(|l| l != "help")).collect();
        for arg in &settings {
            let default = arg.get_default_values()[0].to_string_lossy();
            let row = format!("| `--{}` | {default} |", arg.get_long().unwrap());
            assert!(rows.iter().any(|line| line.starts_with(&row)), "README.md has no row `{row} ..`");
        }
        assert_eq!(rows.len(), settings.len(), "README.md lists a setting there is not");
    }

    #[test]
    fn json_and_command_line_spell_alike() {
        let json = serde_json::to_value(Settings::default()).unwrap();
        assert_eq!((&json["start_on_started"], &json["websocket_replay"]), (&"200".into(), &"any".into()));
        for arg in Bare::command().get_arguments().filter(|arg| arg.get_long().is_some_and(|l| l != "help")) {
            let value = &json[arg.get_id().as_str()];
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            assert_eq!(arg.get_default_values()[0].to_string_lossy(), text, "{}", arg.get_id());
        }
        assert_eq!(serde_json::from_value::<Settings>(json).unwrap(), Settings::default());
    }
}
