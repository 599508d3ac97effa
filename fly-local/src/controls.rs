//! The state behind the control API: settings, injected faults, and the updates that its page is sent.
//!
//! Path: edge, API and machines ask for [`Controls::settings`] and [`Controls::machine_faults`] when they act, and
//! [`Controls::publish`] what happened; the control API changes the first two and listens to the third.
//! Invariants: a change holds from the next question on; updates are never waited for, so a slow listener loses some
//! and its channel says so.
//! Never: knows a machine, a socket or a page.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard};

use serde::{Deserialize, Serialize};
use tokio::sync::{broadcast, watch};

use crate::settings::Settings;

/// Updates a listener may be behind. Policy: it loses the oldest and reads everything anew.
const UPDATES_MAX: usize = 256;
/// Replays remembered for a page that is opened later. Policy: the oldest is forgotten.
const REPLAYS_KEPT_MAX: usize = 100;

/// Everything that goes wrong on purpose.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Faults {
    /// Regions in which no new machine finds a host: `create` answers 422.
    pub regions_full: BTreeSet<String>,
    /// What is wrong with single machines, by id.
    pub machines: BTreeMap<String, MachineFaults>,
    /// How much longer every answer of the API takes.
    pub api_delay_ms: u64,
    /// Answers that the API gives instead of its own; the first one that fits counts.
    pub answers: Vec<Answer>,
}

/// What is wrong with one machine.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MachineFaults {
    /// How its host is.
    pub host: Host,
    /// It stays in the transient state it is in or gets into.
    pub is_stuck: bool,
    /// Its boot ends in `failed`.
    pub boot_fails: bool,
    /// How long it boots, instead of the setting.
    pub boot_ms: Option<u64>,
    /// How much longer every byte takes to it and from it. Without latency, only new connections notice.
    pub extra_ms: u64,
    /// How far the edge's picture of it lags, instead of the setting.
    pub edge_lag_ms: Option<u64>,
}

/// How a machine's host is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Host {
    /// Well.
    #[default]
    Ok,
    /// Without room: nothing starts there. What runs or is suspended keeps its place.
    Full,
    /// Out of reach: the API answers 408, the edge gets no connection, and open WebSockets are cut. The process goes
    /// on, as behind a broken network.
    Unreachable,
}

/// An answer that the API gives instead of its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// Only for requests of this method; without it, for all.
    #[serde(default)]
    pub method: Option<String>,
    /// Only for paths that end like this, such as `/start`; empty: for all.
    #[serde(default)]
    pub path_end: String,
    /// Status, such as 503.
    pub status: u16,
    /// The body's `error`.
    pub error: String,
    /// The body's `status`, such as `insufficient_capacity`.
    #[serde(default)]
    pub code: Option<String>,
    /// How often; without it, until it is taken away.
    #[serde(default)]
    pub times: Option<u32>,
}

impl Faults {
    /// Checks what the types cannot say. The error names the field.
    pub(crate) fn check(&self) -> Result<(), String> {
        match self.answers.iter().find(|answer| !(400..600).contains(&answer.status)) {
            Some(answer) => Err(format!("answers: status {} is no error; it must be 400 to 599", answer.status)),
            None => Ok(()),
        }
    }
}

/// A request that was replayed, for people to look at.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Replay {
    /// Milliseconds since 1970.
    pub(crate) at_ms: u64,
    /// Method and path.
    pub(crate) request: String,
    /// The machine that answered `Fly-Replay`.
    pub(crate) from: String,
    /// The machine that got the request then; without it, none could be reached.
    pub(crate) to: Option<String>,
    /// `reached`, or why not: `timeout`, `retries_exhausted`, `no_candidate`, or an error's sentence.
    pub(crate) outcome: String,
    /// From the answer to the connection.
    pub(crate) took_ms: u64,
}

/// Something that happened.
#[derive(Debug, Clone)]
pub(crate) enum Update {
    /// The machine of this id changed, came or went.
    Machine(String),
    /// A request was replayed.
    Replay(Replay),
    /// Settings or faults were changed.
    Controls,
}

/// The state behind the control API.
#[derive(Debug)]
pub(crate) struct Controls {
    settings: watch::Sender<Settings>,
    faults: watch::Sender<Faults>,
    updates: broadcast::Sender<Update>,
    replays: Mutex<VecDeque<Replay>>,
}

impl Controls {
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            settings: watch::Sender::new(settings),
            faults: watch::Sender::default(),
            updates: broadcast::Sender::new(UPDATES_MAX),
            replays: Mutex::default(),
        }
    }

    /// The settings now.
    pub(crate) fn settings(&self) -> Settings {
        *self.settings.borrow()
    }

    /// The faults now.
    pub(crate) fn faults(&self) -> Faults {
        self.faults.borrow().clone()
    }

    /// What is wrong with the machine `id` now.
    pub(crate) fn machine_faults(&self, id: &str) -> MachineFaults {
        self.faults.borrow().machines.get(id).cloned().unwrap_or_default()
    }

    /// How the host of the machine `id` is now.
    pub(crate) fn host(&self, id: &str) -> Host {
        self.faults.borrow().machines.get(id).map_or(Host::Ok, |faults| faults.host)
    }

    /// Whether no new machine finds a host in `region`.
    pub(crate) fn is_region_full(&self, region: &str) -> bool {
        self.faults.borrow().regions_full.contains(region)
    }

    /// Returns when the host of the machine `id` is out of reach.
    pub(crate) async fn until_unreachable(&self, id: &str) {
        let is_gone = |faults: &Faults| faults.machines.get(id).is_some_and(|it| it.host == Host::Unreachable);
        // The sender is ours, so waiting cannot fail.
        let _ = self.faults.subscribe().wait_for(is_gone).await;
    }

    /// The answer to give instead of the API's own, if there is one; counts it.
    pub(crate) fn forced_answer(&self, method: &str, path: &str) -> Option<Answer> {
        let fits = |answer: &Answer| {
            answer.method.as_ref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(method))
                && path.ends_with(&answer.path_end)
                && answer.times != Some(0)
        };
        // Most calls meet no rule: only those that do take the write lock.
        self.faults.borrow().answers.iter().find(|answer| fits(answer))?;
        let mut found = None;
        self.faults.send_modify(|faults| {
            if let Some(answer) = faults.answers.iter_mut().find(|answer| fits(answer)) {
                found = Some(answer.clone());
                answer.times = answer.times.map(|times| times - 1);
            }
        });
        found
    }

    pub(crate) fn set_settings(&self, settings: Settings) {
        self.settings.send_replace(settings);
        self.publish(Update::Controls);
    }

    pub(crate) fn set_faults(&self, faults: Faults) {
        self.faults.send_replace(faults);
        self.publish(Update::Controls);
    }

    /// Changes what is wrong with one machine.
    pub(crate) fn modify_machine_faults(&self, id: &str, change: impl FnOnce(&mut MachineFaults)) {
        self.faults.send_modify(|faults| change(faults.machines.entry(id.to_owned()).or_default()));
        self.publish(Update::Controls);
    }

    /// Sends an update to all subscribers, and remembers replays.
    pub(crate) fn publish(&self, update: Update) {
        if let Update::Replay(replay) = &update {
            let mut replays = self.replays_kept();
            replays.push_front(replay.clone());
            replays.truncate(REPLAYS_KEPT_MAX);
        }
        // Nobody listens while no page is open.
        let _ = self.updates.send(update);
    }

    pub(crate) fn subscribe(&self) -> broadcast::Receiver<Update> {
        self.updates.subscribe()
    }

    /// The latest replays, newest first.
    pub(crate) fn replays(&self) -> Vec<Replay> {
        self.replays_kept().iter().cloned().collect()
    }

    fn replays_kept(&self) -> MutexGuard<'_, VecDeque<Replay>> {
        self.replays.lock().expect("nobody panics while holding the replays")
    }
}
