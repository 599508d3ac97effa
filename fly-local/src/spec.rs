//! A machine's configuration: the `config` object of the Machines API.
//!
//! Path: `fly.toml` (see `app.rs`) or a request's body → [`Spec::parse`] → what acts, typed, beside the whole object as
//! it was given, which answers show.
//! Invariants: whatever the types name is checked here, once; unknown keys are kept and shown, and do nothing.
//! Never: knows a machine's state.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::settings::{Settings, Switch};

/// Fly's own upper limit for the grace. Policy: more is refused.
const KILL_TIMEOUT_MAX: Duration = Duration::from_secs(300);
/// Fly's default number of restarts before a machine is left stopped.
const RESTARTS_DEFAULT: u32 = 10;
const MEMORY_DEFAULT_MB: u32 = 256;
const SOFT_LIMIT_DEFAULT: u32 = 20;

/// A machine's configuration.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Spec {
    /// As it was given, apart from `autostop`, which the API answers in its older spelling.
    shown: Map<String, Value>,
    acting: Acting,
}

/// The part of a configuration that does something here.
#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Acting {
    image: String,
    #[serde(default)]
    env: BTreeMap<String, String>,
    #[serde(default)]
    restart: Restart,
    #[serde(default)]
    stop_config: StopConfig,
    #[serde(default)]
    services: Vec<Service>,
    #[serde(default)]
    guest: Guest,
    #[serde(default)]
    metadata: BTreeMap<String, String>,
    #[serde(default)]
    auto_destroy: bool,
    #[serde(default)]
    schedule: Option<String>,
}

/// What happens when a process ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct Restart {
    /// In which cases it is started again.
    pub(crate) policy: RestartPolicy,
    /// How often in a row.
    pub(crate) max_retries: u32,
}

impl Default for Restart {
    fn default() -> Self {
        Self { policy: RestartPolicy::OnFailure, max_retries: RESTARTS_DEFAULT }
    }
}

/// In which cases a process is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum RestartPolicy {
    /// Never.
    #[serde(alias = "never")]
    No,
    /// When it ended with anything but exit code 0.
    OnFailure,
    /// Unless somebody asked it to stop.
    Always,
}

/// How a machine is asked to stop.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct StopConfig {
    #[serde(deserialize_with = "signal")]
    pub(crate) signal: Option<Signal>,
    #[serde(deserialize_with = "grace")]
    pub(crate) timeout: Option<Duration>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct Guest {
    memory_mb: u32,
}

impl Default for Guest {
    fn default() -> Self {
        Self { memory_mb: MEMORY_DEFAULT_MB }
    }
}

/// What the proxy may reach.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Service {
    #[serde(default)]
    ports: Vec<Port>,
    #[serde(default)]
    autostart: Option<bool>,
    #[serde(default)]
    concurrency: Option<Concurrency>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Port {
    port: Option<u16>,
    start_port: Option<u16>,
    end_port: Option<u16>,
    #[serde(default)]
    handlers: Vec<String>,
}

/// Loads at which the proxy looks for another machine. Here a connection carries one request, so both types are one.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Concurrency {
    soft_limit: Option<u32>,
    hard_limit: Option<u32>,
}

impl Spec {
    /// Reads a `config` object. The error is a sentence that names the field.
    pub(crate) fn parse(mut shown: Map<String, Value>) -> Result<Self, String> {
        let acting: Acting = serde_path_to_error::deserialize(Value::Object(shown.clone()))
            .map_err(|error| format!("config.{}: {}", error.path(), error.inner()))?;
        if acting.image.is_empty() {
            return Err("config.image: must name an image".into());
        }
        if let Some(name) = acting.env.keys().find(|name| name.starts_with("FLY_")) {
            return Err(format!("config.env: {name} may not be set: FLY_ is Fly's"));
        }
        for service in shown.get_mut("services").and_then(Value::as_array_mut).into_iter().flatten() {
            if let Some(autostop) = service.get_mut("autostop") {
                *autostop = match autostop.as_str() {
                    Some("off") => Value::Bool(false),
                    Some("stop") => Value::Bool(true),
                    _ => autostop.take(),
                };
                if *autostop != Value::Bool(false) {
                    tracing::warn!("a service asks for autostop, which fly-local does not do");
                }
            }
        }
        Ok(Self { shown, acting })
    }

    /// The object, as answers show it.
    pub(crate) fn shown(&self) -> &Map<String, Value> {
        &self.shown
    }

    pub(crate) fn image(&self) -> &str {
        &self.acting.image
    }

    pub(crate) fn env(&self) -> &BTreeMap<String, String> {
        &self.acting.env
    }

    pub(crate) fn restart(&self) -> Restart {
        self.acting.restart
    }

    pub(crate) fn memory_mb(&self) -> u32 {
        self.acting.guest.memory_mb
    }

    /// Whether the machine is destroyed when its process has ended.
    pub(crate) fn is_auto_destroyed(&self) -> bool {
        self.acting.auto_destroy
    }

    /// Whether it runs by a schedule, which rules out a suspension.
    pub(crate) fn is_scheduled(&self) -> bool {
        self.acting.schedule.is_some()
    }

    pub(crate) fn metadata(&self) -> &BTreeMap<String, String> {
        &self.acting.metadata
    }

    /// The same configuration with other metadata.
    pub(crate) fn with_metadata(&self, metadata: BTreeMap<String, String>) -> Self {
        let mut changed = self.clone();
        let shown = metadata.iter().map(|(key, value)| (key.clone(), Value::String(value.clone()))).collect();
        changed.shown.insert("metadata".into(), Value::Object(shown));
        changed.acting.metadata = metadata;
        changed
    }

    /// Signal and grace of a stop.
    pub(crate) fn stop(&self, settings: &Settings) -> (Signal, Duration) {
        let StopConfig { signal, timeout } = self.acting.stop_config;
        let grace = timeout.unwrap_or(Duration::from_millis(settings.kill_timeout_ms));
        (signal.unwrap_or(settings.kill_signal.into()), grace)
    }

    /// The service behind the public port, if there is one that speaks HTTP.
    pub(crate) fn service(&self, public_port: u16) -> Option<&Service> {
        self.acting.services.iter().find(|service| service.ports.iter().any(|port| port.serves(public_port)))
    }
}

impl Service {
    /// Whether a request may start a machine that does not run.
    pub(crate) fn is_autostarted(&self, default: Switch) -> bool {
        self.autostart.unwrap_or(default.is_on())
    }

    /// From this load on the proxy prefers other machines.
    pub(crate) fn soft_limit(&self) -> u32 {
        self.concurrency.as_ref().and_then(|limits| limits.soft_limit).unwrap_or(SOFT_LIMIT_DEFAULT)
    }

    /// At this load nothing more gets in.
    pub(crate) fn hard_limit(&self) -> u32 {
        self.concurrency.as_ref().and_then(|limits| limits.hard_limit).unwrap_or(u32::MAX)
    }
}

impl Port {
    /// A replay needs the `http` handler.
    fn serves(&self, public_port: u16) -> bool {
        let first = self.port.or(self.start_port);
        let last = self.port.or(self.end_port);
        let is_inside = first.is_some_and(|first| first <= public_port) && last.is_some_and(|last| public_port <= last);
        is_inside && self.handlers.iter().any(|handler| handler == "http")
    }
}

/// Text such as `10s`, or nanoseconds. The error is a sentence.
pub(crate) fn duration(value: &Value) -> Result<Duration, String> {
    let parsed = match value {
        Value::String(text) => humantime::parse_duration(text).ok(),
        number => number.as_u64().map(Duration::from_nanos),
    };
    parsed.ok_or_else(|| format!("{value} is not a duration such as \"10s\""))
}

fn grace<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let value = Option::<Value>::deserialize(deserializer)?;
    let grace = value.map(|value| duration(&value)).transpose().map_err(serde::de::Error::custom)?;
    match grace {
        Some(grace) if grace > KILL_TIMEOUT_MAX => Err(serde::de::Error::custom("may be at most 5 minutes")),
        grace => Ok(grace),
    }
}

fn signal<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Signal>, D::Error> {
    let name = Option::<String>::deserialize(deserializer)?.filter(|name| !name.is_empty());
    let unknown = |name: String| serde::de::Error::custom(format!("`{name}` is not a signal such as SIGTERM"));
    name.map(|name| Signal::from_str(&name).map_err(|_| unknown(name))).transpose()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(value: Value) -> Result<Spec, String> {
        Spec::parse(value.as_object().unwrap().clone())
    }

    #[test]
    fn what_is_left_out_gets_flys_defaults() {
        let spec = parse(json!({ "image": "a" })).unwrap();
        assert_eq!(spec.stop(&Settings::default()), (Signal::SIGINT, Duration::from_secs(5)));
        assert_eq!(spec.restart(), Restart { policy: RestartPolicy::OnFailure, max_retries: 10 });
        assert_eq!(spec.memory_mb(), 256);
        assert!(spec.service(443).is_none(), "a machine without services is reached by nobody");
    }

    #[test]
    fn a_bad_field_is_named() {
        for (config, start) in [
            (json!({}), "config.image: "),
            (json!({ "image": "" }), "config.image: "),
            (json!({ "image": "a", "env": { "FLY_REGION": "x" } }), "config.env: FLY_REGION"),
            (json!({ "image": "a", "guest": { "memory_mb": "much" } }), "config.guest.memory_mb: "),
            (json!({ "image": "a", "restart": { "policy": "sometimes" } }), "config.restart.policy: "),
            (json!({ "image": "a", "stop_config": { "signal": "SIGNOT" } }), "config.stop_config.signal: "),
            (json!({ "image": "a", "stop_config": { "timeout": "301s" } }), "config.stop_config.timeout: "),
            (
                json!({ "image": "a", "services": [{ "ports": [{ "port": 70000 }] }] }),
                "config.services[0].ports[0].port",
            ),
        ] {
            let error = parse(config.clone()).unwrap_err();
            assert!(error.starts_with(start) || (start == "config.image: " && error.contains("image")), "{error}");
        }
    }

    #[test]
    fn a_service_is_found_by_its_public_port() {
        let ports = json!([
            { "port": 80, "handlers": ["http"] },
            { "start_port": 9000, "end_port": 9009, "handlers": ["tls", "http"] },
            { "port": 25, "handlers": [] },
        ]);
        let spec = parse(json!({ "image": "a", "services": [{ "ports": ports }] })).unwrap();
        for (port, expected) in [(80, true), (9000, true), (9009, true), (9010, false), (443, false), (25, false)] {
            assert_eq!(spec.service(port).is_some(), expected, "{port}");
        }
    }

    #[test]
    fn unknown_keys_are_shown_and_autostop_reads_as_the_api_writes_it() {
        let spec = parse(json!({ "image": "a", "dns": { "x": 1 }, "services": [{ "autostop": "off" }] })).unwrap();
        assert_eq!(spec.shown()["dns"], json!({ "x": 1 }));
        assert_eq!(spec.shown()["services"][0]["autostop"], json!(false));
    }
}
