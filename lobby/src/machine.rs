//! A machine as the Machines API lists it, read into what it means for a player.
//!
//! Invariants: pure; nobody outside this file reads Fly's JSON of a machine: a configuration is copied and marked, and
//! passed back to the API as a whole.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::sync::Arc;

/// In a machine's metadata: a lobby created it under load, and may destroy it again.
const GROWN: &str = "aerodrome_grown";

/// A machine, as far as the lobby cares.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "WireMachine")]
pub struct Machine {
    /// Fly's id: the instance of a Fly-Replay.
    pub id: String,
    /// Its name, unique in the app.
    pub name: String,
    /// Region code.
    pub region: String,
    /// What its state means for a player.
    pub state: MachineState,
    /// Whether its host answers.
    pub is_host_ok: bool,
    /// When something last happened to it, in unix milliseconds; 0 if the API does not say.
    pub changed_at_ms: u64,
    /// Which version of its configuration this is, to update no other one.
    pub version: String,
    /// What it is made of.
    pub config: Arc<MachineConfig>,
}

/// What a machine's state means for a player.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MachineState {
    /// It runs.
    Started,
    /// On its way up.
    Waking,
    /// It can be started, perhaps after some seconds.
    Asleep,
    /// It will not come back.
    Gone,
}

/// Image, services, guest and all that, as the API has it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MachineConfig(Value);

impl MachineConfig {
    /// Whether there is anything in it: the API may leave it out.
    pub fn is_known(&self) -> bool {
        self.0.is_object()
    }

    /// Counts deployments; flyctl writes it.
    pub fn release(&self) -> u64 {
        self.0["metadata"]["fly_release_version"].as_str().and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    /// Whether a lobby created the machine of this configuration under load.
    pub fn is_grown(&self) -> bool {
        !self.0["metadata"][GROWN].is_null()
    }

    /// The same with or without the mark of a machine that was created under load.
    #[must_use]
    pub fn marked(&self, is_grown: bool) -> Self {
        let mut config = self.0.clone();
        if !config["metadata"].is_object() {
            config["metadata"] = Value::Object(Map::new());
        }
        if let Some(metadata) = config["metadata"].as_object_mut() {
            metadata.remove(GROWN);
            if is_grown {
                metadata.insert(GROWN.to_owned(), "yes".into());
            }
        }
        Self(config)
    }

    /// The same with another image.
    #[must_use]
    pub fn with_image(&self, image: &str) -> Self {
        let mut config = self.0.clone();
        config["image"] = image.into();
        Self(config)
    }
}

/// As the API writes it.
#[derive(Deserialize)]
struct WireMachine {
    id: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    region: String,
    #[serde(default)]
    state: String,
    #[serde(default)]
    host_status: Option<String>,
    #[serde(default)]
    instance_id: String,
    #[serde(default)]
    config: MachineConfig,
    #[serde(default)]
    events: Value,
}

impl From<WireMachine> for Machine {
    fn from(wire: WireMachine) -> Self {
        let state = match wire.state.as_str() {
            "started" => MachineState::Started,
            "creating" | "starting" | "restarting" | "updating" | "replacing" => MachineState::Waking,
            // `created` settles into `stopped`; a start cancels `suspending`, and one after `stopping` is tried again.
            "stopped" | "suspended" | "created" | "stopping" | "suspending" | "failed" => MachineState::Asleep,
            _ => MachineState::Gone,
        };
        Self {
            id: wire.id,
            name: wire.name,
            region: wire.region,
            state,
            is_host_ok: wire.host_status.is_none_or(|status| status != "unreachable"),
            changed_at_ms: newest_event_ms(&wire.events),
            version: wire.instance_id,
            config: Arc::new(wire.config),
        }
    }
}

/// Events are meant for people: whatever is not a number counts as no event.
fn newest_event_ms(events: &Value) -> u64 {
    let times = events.as_array().into_iter().flatten().filter_map(|event| event["timestamp"].as_u64());
    times.max().unwrap_or(0)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use serde_json::json;

    /// A machine that was never deployed, whose host answers.
    pub(crate) fn machine(id: &str, region: &str, state: MachineState) -> Machine {
        Machine {
            id: id.into(),
            name: id.into(),
            region: region.into(),
            state,
            is_host_ok: true,
            changed_at_ms: 0,
            version: String::new(),
            config: Arc::default(),
        }
    }

    /// A configuration of this image and release.
    pub(crate) fn config(image: &str, release: &str) -> MachineConfig {
        MachineConfig(json!({"image": image, "metadata": {"fly_release_version": release}}))
    }

    #[test]
    fn states_are_read_as_what_they_mean() {
        let read = |state: &str, host: &str| {
            let json = format!(
                r#"{{"id":"a","region":"ewr","state":"{state}","host_status":"{host}","config":{{}},
                   "events":[{{"timestamp":20}},{{"timestamp":10}}]}}"#
            );
            serde_json::from_str::<Machine>(&json).unwrap()
        };
        assert_eq!((read("started", "ok").state, read("started", "ok").changed_at_ms), (MachineState::Started, 20));
        assert_eq!(read("starting", "ok").state, MachineState::Waking);
        for state in ["stopped", "suspended", "created", "stopping"] {
            assert_eq!(read(state, "ok").state, MachineState::Asleep, "{state}");
        }
        for state in ["destroyed", "destroying", "replaced", "some new word"] {
            assert_eq!(read(state, "ok").state, MachineState::Gone, "{state}");
        }
        assert!(!read("stopped", "unreachable").is_host_ok);
        assert!(read("stopped", "unknown").is_host_ok);
    }

    #[test]
    fn a_configuration_is_copied_whole_but_for_mark_and_image() {
        let bare = MachineConfig(json!({"image": "game:1", "guest": {"cpus": 1}}));
        let grown = bare.marked(true);
        assert!(grown.is_grown() && !bare.is_grown() && !grown.marked(false).is_grown());
        let wire = json!({"image": "game:2", "guest": {"cpus": 1}, "metadata": {"aerodrome_grown": "yes"}});
        assert_eq!(serde_json::to_value(grown.with_image("game:2")).unwrap(), wire);
        assert!(grown.is_known() && !MachineConfig::default().is_known());
    }
}
