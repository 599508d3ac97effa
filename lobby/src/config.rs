//! The lobby's configuration, read from the environment.
//!
//! Path: `main` calls [`Config::from_env`] once and hands the parts on; tests call [`Config::read`] with their own map.
//! Invariants: a complete configuration or one plain sentence that says what to do; secrets are never shown.
//! Never: read again while running.

use crate::api_config::{ApiConfig, base_url};
use crate::in_flight;
use crate::listen::Deadlines;
use crate::pools::Pools;
use protocol::token::{Key, SECRET_MIN_BYTES};
use std::net::{IpAddr, SocketAddr};

const PORT_DEFAULT: &str = "8080";
const BIND_DEFAULT: &str = "0.0.0.0";

/// The whole configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen. Port 0 takes any free one.
    pub listen: SocketAddr,
    /// Where to serve the metrics, and nothing else; `None`: nowhere.
    pub metrics: Option<SocketAddr>,
    /// Signs tickets and replay states.
    pub key: Key,
    /// The Machines API.
    pub api: ApiConfig,
    /// The pool of machines that there is to be.
    pub pools: Pools,
    /// The address players open, without a slash at its end: the status of machines is read through it.
    pub public_url: String,
    /// Origins (as browsers write them, `https://example.com`) whose pages may act here beside our own. The gameservers have
    /// the same setting.
    pub allowed_origins: Vec<String>,
    /// What a client may keep a connection waiting for.
    pub deadlines: Deadlines,
    /// Requests that one address may have under way at once.
    pub requests_max_count: usize,
    /// Region this lobby runs in; stands in for a player's edge region when that is unknown.
    pub region: Option<String>,
    /// Log lines as JSON instead of text.
    pub log_json: bool,
}

impl Config {
    /// Reads the process environment.
    ///
    /// # Errors
    /// One sentence for the person who starts the program.
    pub fn from_env() -> Result<Self, String> {
        Self::read(|name| std::env::var(name).ok())
    }

    /// Reads variables from `lookup`; an empty one counts as missing.
    ///
    /// # Errors
    /// One sentence for the person who starts the program.
    pub fn read(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let get = |name: &str| lookup(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
        let need = |name: &str, what: &str| get(name).ok_or_else(|| format!("Set {name}: {what}."));
        let or = |name: &str, default: &str| get(name).unwrap_or_else(|| default.to_owned());

        let secret = need("AERODROME_SECRET", "the secret that the lobby and the gameservers share")?;
        let key = Key::new(&secret).ok_or_else(|| {
            format!("AERODROME_SECRET is too short: it needs at least {SECRET_MIN_BYTES} characters.")
        })?;
        let api = ApiConfig::read(&lookup)?;
        let pools = match get("FLEET_FILE") {
            None => Pools::built_in(),
            Some(path) => Pools::load(&path)?,
        };
        let public_url = need(
            "PUBLIC_URL",
            "the address players open, such as https://aerodrome.fly.dev; machines are asked through it",
        )?;
        let bind = or("BIND", BIND_DEFAULT);
        let port = or("PORT", PORT_DEFAULT);
        let bind: IpAddr = bind.parse().map_err(|_| format!("BIND must be an IP address; it is \"{bind}\"."))?;
        let port = read_port("PORT", &port)?;
        let metrics_port = get("METRICS_PORT").map(|port| read_port("METRICS_PORT", &port)).transpose()?;
        let log_json = match or("LOG_FORMAT", "text").as_str() {
            "json" => true,
            "text" => false,
            other => return Err(format!("LOG_FORMAT must be \"json\" or \"text\"; it is \"{other}\".")),
        };
        Ok(Self {
            listen: SocketAddr::new(bind, port),
            metrics: metrics_port.map(|port| SocketAddr::new(bind, port)),
            key,
            api,
            pools,
            public_url: base_url("PUBLIC_URL", &public_url)?,
            allowed_origins: or("ALLOWED_ORIGINS", "")
                .split(',')
                .map(|o| o.trim().to_owned())
                .filter(|o| !o.is_empty())
                .collect(),
            deadlines: Deadlines::default(),
            requests_max_count: in_flight::REQUESTS_MAX_COUNT,
            region: get("FLY_REGION"),
            log_json,
        })
    }
}

fn read_port(name: &str, port: &str) -> Result<u16, String> {
    port.parse().map_err(|_| format!("{name} must be a number from 0 to 65535; it is \"{port}\"."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    fn complete() -> HashMap<&'static str, &'static str> {
        HashMap::from([
            ("AERODROME_SECRET", "a secret of enough length"),
            ("FLY_API_TOKEN", "token"),
            ("PUBLIC_URL", "http://127.0.0.1:8080/"),
        ])
    }

    fn read(env: &HashMap<&str, &str>) -> Result<Config, String> {
        Config::read(|name| env.get(name).map(|&value| value.to_owned()))
    }

    #[test]
    fn defaults_fill_what_is_not_secret() {
        let config = read(&complete()).unwrap();
        assert_eq!(config.listen.to_string(), "0.0.0.0:8080");
        assert_eq!(config.api.url, "https://api.machines.dev");
        assert_eq!(config.api.game_app, "aerodrome-game");
        assert_eq!(config.public_url, "http://127.0.0.1:8080");
        assert!(!config.log_json && config.metrics.is_none(), "nobody is shown metrics who was not meant to see them");
    }

    #[test]
    fn what_is_missing_or_wrong_is_named_in_a_sentence() {
        for (name, value) in [
            ("AERODROME_SECRET", ""),
            ("AERODROME_SECRET", "short"),
            ("FLY_API_TOKEN", ""),
            ("PUBLIC_URL", " "),
            ("PUBLIC_URL", "aerodrome.fly.dev"),
            ("FLY_API_HOSTNAME", "ftp://somewhere"),
            ("PORT", "70000"),
            ("METRICS_PORT", "yes"),
            ("BIND", "localhost"),
            ("LOG_FORMAT", "xml"),
            ("FLEET_FILE", "/nowhere/fleet.toml"),
        ] {
            let mut env = complete();
            env.insert(name, value);
            let sentence = read(&env).unwrap_err();
            let names_it = sentence.contains(name) || sentence.contains(value.trim()) && !value.trim().is_empty();
            assert!(names_it && sentence.ends_with('.'), "{name}={value}: {sentence}");
            assert!(!sentence.contains("short\""), "a secret is never repeated: {sentence}");
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        let shown = format!("{:?}", read(&complete()).unwrap());
        assert!(!shown.contains("a secret") && !shown.contains("\"token\""), "{shown}");
    }
}
