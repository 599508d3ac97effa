//! `lobby provision`: makes the pool of machines what `assets/fleet.toml` says.
//!
//! Path: list → [`plan`] (pure, printed) → create what is missing, asleep; update what differs from the newest deployment.
//! Invariants: doing it twice does nothing the second time; nothing is destroyed, and no machine that runs is touched,
//! because people may be playing on it; a name is created once, even if somebody else provisions at the same time.

use crate::api_config::ApiConfig;
use crate::api_errors::WakeError;
use crate::http_client::HttpClient;
use crate::machine::{Machine, MachineConfig, MachineState};
use crate::machines_api::MachinesApi;
use crate::metrics::Metrics;
use crate::pools::{self, Pools};
use crate::template;
use anyhow::{Context, bail};
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Longest one creation may take, tries and pauses included. Policy: the run ends with a sentence; run it again.
const CREATE_DEADLINE_MS: u64 = 90_000;

/// What to do about one machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// It is missing.
    Create {
        /// Where.
        region: String,
        /// Its name.
        name: String,
    },
    /// It sleeps and has another configuration than the newest deployment.
    Update(Machine),
    /// It is as it should be.
    Keep(Machine),
    /// It differs or is in no pool, and stays as it is, for this reason.
    Leave(Machine, &'static str),
}

/// What the pool needs, in the order of the file; and the configuration that every machine of it gets.
///
/// # Errors
/// A sentence, when there is nothing to copy.
pub fn plan(machines: &[Machine], pools: &Pools, image: Option<&str>) -> Result<(Vec<Action>, MachineConfig), String> {
    let template = template::newest(machines)
        .ok_or("There is no machine to copy yet. Deploy once (fly deploy -c net/fly.toml), then provision again.")?;
    let config = image.map_or_else(|| MachineConfig::clone(&template), |image| template.with_image(image));
    let there: Vec<&Machine> = machines.iter().filter(|machine| machine.state != MachineState::Gone).collect();
    let mut actions = Vec::new();
    let mut names: Vec<String> = there.iter().map(|machine| machine.name.clone()).collect();
    for pool in &pools.regions {
        let own = there.iter().filter(|machine| machine.region == pool.region);
        actions.extend(own.clone().map(|machine| compare(machine, &config)));
        for _ in own.count()..pool.machines as usize {
            let taken = names.iter().map(String::as_str);
            let name = pools::free_name(&pool.region, pool.machines_max, taken);
            let Some(name) = name else {
                return Err(format!("All names of the region \"{}\" are taken by machines elsewhere.", pool.region));
            };
            names.push(name.clone());
            actions.push(Action::Create { region: pool.region.clone(), name });
        }
    }
    let strangers = there.iter().filter(|machine| pools.find(&machine.region).is_none());
    actions.extend(strangers.map(|&machine| Action::Leave(machine.clone(), "its region has no pool")));
    Ok((actions, config))
}

fn compare(machine: &Machine, config: &MachineConfig) -> Action {
    let machine = machine.clone();
    if *machine.config == config.marked(machine.config.is_grown()) {
        Action::Keep(machine)
    } else if !machine.is_host_ok {
        Action::Leave(machine, "its host does not answer")
    } else if machine.state == MachineState::Asleep {
        Action::Update(machine)
    } else {
        Action::Leave(machine, "it runs; provision again when it sleeps")
    }
}

impl std::fmt::Display for Action {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Create { region, name } => write!(f, "create  {region}  {name}"),
            Self::Update(machine) => write!(f, "update  {}  {} ({})", machine.region, machine.name, machine.id),
            Self::Keep(machine) => write!(f, "keep    {}  {} ({})", machine.region, machine.name, machine.id),
            Self::Leave(machine, why) => {
                write!(f, "leave   {}  {} ({}): {why}", machine.region, machine.name, machine.id)
            }
        }
    }
}

/// Prints the plan to `out`, and carries it out unless it `is_dry_run`.
///
/// # Errors
/// With context; what was done before stays done, and a second run continues.
pub async fn run(
    config: &ApiConfig,
    pools: &Pools,
    image: Option<&str>,
    is_dry_run: bool,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let api = MachinesApi::new(config, HttpClient::new(), Arc::new(Metrics::default()));
    let listed = api.list().await.map_err(|error| anyhow::anyhow!("{error}")).context("listing the machines")?;
    let (actions, machine_config) = plan(&listed, pools, image).map_err(anyhow::Error::msg)?;
    for action in &actions {
        writeln!(out, "{action}")?;
    }
    if is_dry_run {
        writeln!(out, "Nothing was changed: this was a dry run.")?;
        return Ok(());
    }
    for action in &actions {
        apply(&api, action, &machine_config).await.with_context(|| action.to_string())?;
    }
    writeln!(out, "The pool of {} is as the fleet file says.", config.game_app)?;
    Ok(())
}

async fn apply(api: &MachinesApi, action: &Action, config: &MachineConfig) -> anyhow::Result<()> {
    let outcome = match action {
        Action::Create { region, name } => {
            let deadline = Instant::now() + Duration::from_millis(CREATE_DEADLINE_MS);
            api.create(region, name, config, false, deadline).await.map(drop)
        }
        Action::Update(machine) => api.update(machine, &config.marked(machine.config.is_grown())).await,
        Action::Keep(_) | Action::Leave(..) => Ok(()),
    };
    match outcome {
        Ok(()) => Ok(()),
        Err(WakeError::NoCapacity) => bail!("Fly has no capacity there right now; try again later"),
        Err(WakeError::NotAllowed) => bail!("Fly refused the token; it needs to manage machines of this app"),
        Err(error) => bail!("Fly refused ({error:?}); the log above says why"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::tests::{self, config};

    fn machine(id: &str, region: &str, state: MachineState, image: &str) -> Machine {
        Machine { config: Arc::new(config(image, "1")), ..tests::machine(id, region, state) }
    }

    fn pools() -> Pools {
        let pool = |region: &str, machines: u32| {
            format!("[[pool]]\nregion = \"{region}\"\nmachines = {machines}\nmachines_max = 4\n")
        };
        Pools::parse(&format!("machines_max = 9\n{}{}", pool("ewr", 2), pool("cdg", 1))).unwrap()
    }

    fn lines(machines: &[Machine], image: Option<&str>) -> Vec<String> {
        plan(machines, &pools(), image).unwrap().0.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_is_missing_is_created_and_what_differs_is_updated_unless_it_runs() {
        let first = machine("a", "ewr", MachineState::Started, "game:2");
        assert_eq!(
            lines(std::slice::from_ref(&first), None),
            ["keep    ewr  a (a)", "create  ewr  ewr-1", "create  cdg  cdg-1"]
        );
        let old = machine("b", "ewr", MachineState::Asleep, "game:1");
        let busy = machine("c", "cdg", MachineState::Started, "game:1");
        let lost = Machine { is_host_ok: false, ..machine("d", "cdg", MachineState::Asleep, "game:1") };
        let far = machine("e", "syd", MachineState::Asleep, "game:2");
        assert_eq!(
            lines(&[first, old, busy, lost, far], None),
            [
                "keep    ewr  a (a)",
                "update  ewr  b (b)",
                "leave   cdg  c (c): it runs; provision again when it sleeps",
                "leave   cdg  d (d): its host does not answer",
                "leave   syd  e (e): its region has no pool",
            ]
        );
    }

    #[test]
    fn a_second_run_has_nothing_to_do() {
        let there = [
            machine("a", "ewr", MachineState::Asleep, "game:2"),
            machine("ewr-1", "ewr", MachineState::Asleep, "game:2"),
            machine("cdg-1", "cdg", MachineState::Asleep, "game:2"),
        ];
        let (actions, _) = plan(&there, &pools(), None).unwrap();
        assert!(actions.iter().all(|action| matches!(action, Action::Keep(_))), "{actions:?}");
        let (actions, new) = plan(&there, &pools(), Some("game:3")).unwrap();
        assert!(actions.iter().all(|action| matches!(action, Action::Update(_))), "{actions:?}");
        assert_eq!(new, config("game:3", "1"));
    }

    #[test]
    fn with_nothing_deployed_there_is_nothing_to_copy() {
        assert!(plan(&[], &pools(), None).unwrap_err().contains("fly deploy"));
        let gone = machine("a", "ewr", MachineState::Gone, "game:1");
        assert!(plan(&[gone], &pools(), None).is_err());
    }
}
