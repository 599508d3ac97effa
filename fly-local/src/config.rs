//! What a person can choose when starting the local Fly.
//!
//! Path: `main` parses the command line into a [`Config`]; tests build one by hand with port 0.
//! Never: opens a file or a socket; the parts that use a setting do.

use std::path::PathBuf;

use crate::settings::{Settings, Switch};

/// How to run the local Fly. Paths are relative to the working directory.
#[derive(Debug, Clone, clap::Parser)]
#[command(name = "fly-local", about = "A local Fly: edge proxy, Machines API and regions, over real processes")]
pub struct Config {
    /// Port of the edge proxy on 127.0.0.1, the address people open; 0 takes any free one.
    #[arg(long, env = "PORT", default_value_t = 8080)]
    pub port: u16,
    /// Port of the Machines API on 127.0.0.1; 0 takes any free one.
    #[arg(long, env = "FLY_API_PORT", default_value_t = 4280)]
    pub api_port: u16,
    /// Port of the lobby's metrics on 127.0.0.1; without it, it serves none.
    #[arg(long)]
    pub metrics_port: Option<u16>,
    /// The `fly.toml` of the lobby app, which gets every public request first.
    #[arg(long, default_value = "fly.toml")]
    pub lobby_config: PathBuf,
    /// The `fly.toml` of the gameserver app.
    #[arg(long, default_value = "net/fly.toml")]
    pub game_config: PathBuf,
    /// Private network of the gameserver app; without it, the lobby's.
    #[arg(long)]
    pub game_network: Option<String>,
    /// The pool of gameserver machines, by region.
    #[arg(long, default_value = "assets/fleet.toml")]
    pub fleet: PathBuf,
    /// All regions with their places on the globe.
    #[arg(long, default_value = "assets/regions.json")]
    pub regions: PathBuf,
    /// Folder of the programs `lobby` and `gameserver`; without it, the folder of fly-local itself.
    #[arg(long)]
    pub bin_dir: Option<PathBuf>,
    /// Folder of the machines' disks and of the object store; without it, `target/fly-local/<port>`, or for port 0 one
    /// that is deleted at the end.
    #[arg(long)]
    pub data_dir: Option<PathBuf>,
    /// Object store that machines find as STORE_URL; without it, `store` in the folder of data.
    #[arg(long, env = "STORE_URL")]
    pub store_url: Option<String>,
    /// Region of the edge that "you" connect to.
    #[arg(long, default_value = "ewr")]
    pub edge_region: String,
    /// Whether bytes take as long as the distance to a machine's region asks.
    #[arg(long, value_enum, default_value_t = Switch::On)]
    pub latency: Switch,
    /// A JSON file of faults to begin with, as `GET /_fly/api/faults` shows them.
    #[arg(long)]
    pub faults: Option<PathBuf>,
    /// The token that the Machines API asks for, for whoever provisions from outside; without it, a random one.
    #[arg(long)]
    pub api_token: Option<String>,
    /// The secret both apps share; without it, a random one for this run.
    #[arg(long, env = "AERODROME_SECRET", hide = true, hide_env_values = true)]
    pub secret: Option<String>,
    /// How Fly behaves where it does not say.
    #[command(flatten)]
    pub settings: Settings,
}
