//! All apps and machines of the local Fly.
//!
//! Path: [`Fleet::seed`] makes one lobby machine and the pool of `assets/fleet.toml`; API and proxy look machines up.
//! Invariants: machines are neither added nor removed afterwards, so no lock is needed; ids are unique.
//! Never: decides where a request goes.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, ensure};
use serde::Deserialize;

use crate::app::App;
use crate::machine::{Machine, State};
use crate::regions::Regions;
use crate::replay::Candidate;

/// Apps and machines, by name and id.
#[derive(Debug)]
pub(crate) struct Fleet {
    /// The app that answers every public request first.
    pub(crate) lobby: Arc<App>,
    /// The app that only replays reach.
    pub(crate) game: Arc<App>,
    machines: BTreeMap<String, Arc<Machine>>,
}

/// The pool as `assets/fleet.toml` describes it.
#[derive(Debug, Deserialize)]
pub(crate) struct Pools {
    pool: Vec<Pool>,
}

#[derive(Debug, Deserialize)]
struct Pool {
    region: String,
    machines: u32,
}

impl Pools {
    /// Reads the file and checks that `regions` knows every region in it.
    pub(crate) fn load(path: &Path, regions: &Regions) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("The fleet file {} cannot be read.", path.display()))?;
        let pools: Self =
            toml::from_str(&text).with_context(|| format!("The fleet file {} is not valid.", path.display()))?;
        for pool in &pools.pool {
            ensure!(regions.knows(&pool.region), "{} names a region there is not: {}.", path.display(), pool.region);
        }
        Ok(pools)
    }
}

impl Fleet {
    /// Creates every machine; none of them runs yet.
    pub(crate) fn seed(lobby: App, game: App, pools: &Pools) -> Self {
        let (lobby, game) = (Arc::new(lobby), Arc::new(game));
        let front = Machine::launch(Arc::clone(&lobby), &lobby.primary_region, 0, State::Created);
        let pool = pools.pool.iter().flat_map(|pool| (0..pool.machines).map(|index| (pool.region.as_str(), index)));
        let machines = pool
            .map(|(region, index)| Machine::launch(Arc::clone(&game), region, index, State::Stopped))
            .chain([front])
            .map(|machine| (machine.identity.id.clone(), Arc::new(machine)))
            .collect();
        Self { lobby, game, machines }
    }

    /// The app of that name.
    pub(crate) fn app(&self, name: &str) -> Option<&Arc<App>> {
        [&self.lobby, &self.game].into_iter().find(|app| app.name == name)
    }

    /// The machine of that id.
    pub(crate) fn machine(&self, id: &str) -> Option<&Arc<Machine>> {
        self.machines.get(id)
    }

    /// All machines, by id.
    pub(crate) fn machines(&self) -> impl Iterator<Item = &Arc<Machine>> {
        self.machines.values()
    }

    /// All machines as the proxy's choice at the edge in `edge_region` sees them.
    pub(crate) fn candidates(&self, edge_region: &str, regions: &Regions) -> Vec<Candidate> {
        let seen = |machine: &Arc<Machine>| {
            let identity = &machine.identity;
            Candidate {
                id: identity.id.clone(),
                app: identity.app.name.clone(),
                region: identity.region.clone(),
                running: machine.state() == State::Started,
                startable: identity.app.service.autostart,
                distance: regions.one_way(edge_region, &identity.region),
            }
        };
        self.machines().map(seen).collect()
    }

    /// Stops every machine for good and waits until all have ended; each gets its app's grace, then it is killed.
    pub(crate) async fn end(&self) {
        futures_util::future::join_all(self.machines().map(|machine| machine.end())).await;
    }
}
