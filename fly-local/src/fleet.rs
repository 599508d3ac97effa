//! All apps and machines of the local Fly.
//!
//! Path: [`Fleet::seed`] makes one lobby machine and the pool of `assets/fleet.toml`; the API adds and removes apps and
//! machines; API and edge look them up.
//! Invariants: ids are unique, names are within an app; a destroyed machine is shown a little longer and is then
//! forgotten.
//! Never: decides where a request goes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};
use std::time::{Duration, SystemTime};

use anyhow::{Context, ensure};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::app::App;
use crate::boot::app_of_image;
use crate::controls::{Controls, Faults, Host, Update};
use crate::fly_replay::{Candidate, FleetView, Load};
use crate::machine::Machine;
use crate::machine_state::{Identity, State};
use crate::regions::Regions;
use crate::spec::Spec;

/// Destroyed machines that are remembered. Policy: the oldest is forgotten.
const DESTROYED_KEPT_MAX: usize = 100;

/// Apps and machines, by name and id.
#[derive(Debug)]
pub(crate) struct Fleet {
    /// The app that answers every public request first.
    pub(crate) lobby: Arc<App>,
    /// The app that only replays reach.
    pub(crate) game: Arc<App>,
    pub(crate) regions: Regions,
    pub(crate) controls: Arc<Controls>,
    /// Region of the edge, for whoever asks for "near me".
    pub(crate) edge_region: String,
    /// Folder of the machines' root disks.
    disks: PathBuf,
    /// What every machine finds in its environment, whatever its configuration says.
    common_env: BTreeMap<String, String>,
    apps: RwLock<BTreeMap<String, Arc<App>>>,
    machines: RwLock<BTreeMap<String, Arc<Machine>>>,
}

/// The pool as `assets/fleet.toml` describes it.
#[derive(Debug, Deserialize)]
pub(crate) struct Pools {
    #[serde(default)]
    pool: Vec<Pool>,
}

#[derive(Debug, Deserialize)]
struct Pool {
    region: String,
    #[serde(default = "one")]
    machines: u32,
}

/// What all machines have in common.
#[derive(Debug)]
pub(crate) struct MachineDefaults {
    /// Folder of their root disks.
    pub(crate) disks: PathBuf,
    /// What each finds in its environment, whatever its configuration says.
    pub(crate) common_env: BTreeMap<String, String>,
}

/// A machine to be created.
#[derive(Debug)]
pub(crate) struct NewMachine {
    /// Without one, one is made up.
    pub(crate) name: Option<String>,
    /// Regions or aliases, tried in order; without any, the edge's.
    pub(crate) regions: Vec<String>,
    pub(crate) spec: Spec,
    pub(crate) launch: bool,
    pub(crate) is_cordoned: bool,
}

/// Why there is no new machine.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum CreateError {
    /// The machine of this id has the name already.
    NameTaken(String, String),
    UnknownRegion(String),
    /// No program belongs to this image.
    UnknownImage(String),
    /// There may be this many.
    TooMany(usize),
    RegionsFull,
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
    pub(crate) fn seed(
        mut lobby: App,
        mut game: App,
        pools: &Pools,
        regions: Regions,
        edge_region: String,
        defaults: MachineDefaults,
        controls: Arc<Controls>,
    ) -> Self {
        let MachineDefaults { disks, common_env } = defaults;
        for app in [&mut lobby, &mut game] {
            app.secrets.extend(common_env.clone());
        }
        let (lobby, game) = (Arc::new(lobby), Arc::new(game));
        let apps = [&lobby, &game].map(|app| (app.name.clone(), Arc::clone(app)));
        let fleet = Self {
            lobby: Arc::clone(&lobby),
            game: Arc::clone(&game),
            regions,
            controls,
            edge_region,
            disks,
            common_env,
            apps: RwLock::new(apps.into()),
            machines: RwLock::default(),
        };
        fleet.seed_machine(&lobby, &lobby.primary_region, 0);
        for pool in &pools.pool {
            for index in 0..pool.machines {
                fleet.seed_machine(&game, &pool.region, index);
            }
        }
        fleet
    }

    /// The machine number `index` of its app and region, with the same id on every run so that links survive one.
    fn seed_machine(&self, app: &Arc<App>, region: &str, index: u32) {
        let digest = Sha256::digest(format!("{}/{region}/{index}", app.name));
        let program = app.program.clone().expect("the apps of the start have a program");
        let spec = app.template.clone().expect("the apps of the start have a template");
        let name = format!("{}-{region}-{index}", app.name);
        let identity = self.identity(app, hex(&digest[..7]), name, region.to_owned(), program);
        self.add(identity, spec, State::Stopped, false);
    }

    fn identity(&self, app: &Arc<App>, id: String, name: String, region: String, program: PathBuf) -> Identity {
        let (app, root) = (Arc::clone(app), self.disks.join(&id));
        Identity { id, name, region, app, program, root, created_at: SystemTime::now() }
    }

    fn add(&self, identity: Identity, spec: Spec, state: State, launch: bool) -> Arc<Machine> {
        let id = identity.id.clone();
        let machine = Machine::launch(identity, spec, state, launch, Arc::clone(&self.controls));
        let mut machines = write(&self.machines);
        machines.insert(id, Arc::clone(&machine));
        forget_destroyed(&mut machines);
        machine
    }

    /// Makes the machine that `new` describes.
    pub(crate) fn create(&self, app: &Arc<App>, new: NewMachine) -> Result<Arc<Machine>, CreateError> {
        let id = hex(&random_bytes());
        let machines: Vec<_> = self.machines().into_iter().filter(|it| it.state() != State::Destroyed).collect();
        let name = new.name.unwrap_or_else(|| format!("nameless-{}", &id[..6]));
        let twin = machines.iter().find(|it| it.identity.app.name == app.name && it.identity.name == name);
        if let Some(twin) = twin {
            return Err(CreateError::NameTaken(twin.identity.id.clone(), name));
        }
        let limit = self.controls.settings().machines_max;
        if machines.len() >= limit {
            return Err(CreateError::TooMany(limit));
        }
        let unknown_image = || CreateError::UnknownImage(new.spec.image().to_owned());
        let program = self.program_of(app, &new.spec).ok_or_else(unknown_image)?;
        let region = self.choose_region(&new.regions)?;
        let identity = self.identity(app, id, name, region, program);
        let machine = self.add(identity, new.spec, State::Created, new.launch);
        if new.is_cordoned {
            machine.modify(|view| view.is_cordoned = true);
        }
        Ok(machine)
    }

    /// What machines of `app` run; an app without a program runs that of the app whose image is named.
    fn program_of(&self, app: &App, spec: &Spec) -> Option<PathBuf> {
        let named = || self.app(app_of_image(spec.image()))?.program.clone();
        app.program.clone().or_else(named)
    }

    /// The first wanted region that has room.
    fn choose_region(&self, wanted: &[String]) -> Result<String, CreateError> {
        let here = std::slice::from_ref(&self.edge_region);
        for wanted in if wanted.is_empty() { here } else { wanted } {
            let codes = self.regions.meant_by(wanted, &self.edge_region);
            if codes.is_empty() {
                return Err(CreateError::UnknownRegion(wanted.clone()));
            }
            if let Some(code) = codes.into_iter().find(|code| !self.controls.is_region_full(code)) {
                return Ok(code.to_owned());
            }
        }
        Err(CreateError::RegionsFull)
    }

    /// All apps, by name.
    pub(crate) fn apps(&self) -> Vec<Arc<App>> {
        read(&self.apps).values().cloned().collect()
    }

    /// The app of that name.
    pub(crate) fn app(&self, name: &str) -> Option<Arc<App>> {
        read(&self.apps).get(name).cloned()
    }

    /// Adds an app. False if its name is taken.
    pub(crate) fn add_app(&self, name: &str, network: &str) -> bool {
        let mut apps = write(&self.apps);
        if apps.contains_key(name) {
            return false;
        }
        let app = App::without_file(name.into(), network.into(), self.edge_region.clone(), self.common_env.clone());
        apps.insert(name.into(), Arc::new(app));
        drop(apps);
        self.controls.publish(Update::Controls);
        true
    }

    pub(crate) fn remove_app(&self, name: &str) {
        write(&self.apps).remove(name);
        self.controls.publish(Update::Controls);
    }

    /// The machine of that id, also when it is destroyed.
    pub(crate) fn machine(&self, id: &str) -> Option<Arc<Machine>> {
        read(&self.machines).get(id).cloned()
    }

    /// All machines, by id, also destroyed ones.
    pub(crate) fn machines(&self) -> Vec<Arc<Machine>> {
        read(&self.machines).values().cloned().collect()
    }

    /// Whether the API still shows this machine.
    pub(crate) fn is_shown(&self, machine: &Machine) -> bool {
        let shows = Duration::from_millis(self.controls.settings().destroyed_shows_ms);
        machine.with_view(|view| {
            view.state != State::Destroyed || view.updated_at.elapsed().is_ok_and(|since| since < shows)
        })
    }

    /// Apps and machines as the edge sees them, which is a little late.
    pub(crate) fn view(&self) -> FleetView {
        let settings = self.controls.settings();
        let see = |machine: &Arc<Machine>| {
            let identity = &machine.identity;
            let faults = self.controls.machine_faults(&identity.id);
            let lag = Duration::from_millis(faults.edge_lag_ms.unwrap_or(settings.edge_lag_ms));
            let state = machine.state_seen_after(lag);
            let (is_cordoned, spec) = machine.with_view(|view| (view.is_cordoned, Arc::clone(&view.spec)));
            let service = spec.service(settings.edge_serves_port);
            let connections = machine.load();
            Candidate {
                id: identity.id.clone(),
                app: identity.app.name.clone(),
                region: identity.region.clone(),
                is_running: state == State::Started,
                is_startable: service.is_some_and(|service| service.is_autostarted(settings.autostart_default))
                    && !matches!(state, State::Destroying | State::Destroyed),
                is_served: service.is_some(),
                is_cordoned,
                load: service
                    .map_or(Load::Light, |service| Load::of(connections, service.soft_limit(), service.hard_limit())),
                connections,
                distance: self.regions.one_way(&self.edge_region, &identity.region),
            }
        };
        FleetView {
            apps: self.apps().into_iter().map(|app| (app.name.clone(), app.network.clone())).collect(),
            machines: read(&self.machines).values().map(see).collect(),
            is_crossing_networks: settings.cross_network_replay.is_on(),
            cordon_binds_instance: settings.cordon_binds_instance.is_on(),
        }
    }

    /// Checks that faults speak of what there is; a machine that has a fault already may be forgotten by now.
    pub(crate) fn check(&self, faults: &Faults) -> Result<(), String> {
        let current = self.controls.faults();
        if let Some(region) = faults.regions_full.iter().find(|region| !self.regions.knows(region)) {
            return Err(format!("regions_full: there is no region `{region}`"));
        }
        let is_known = |id: &str| self.machine(id).is_some() || current.machines.contains_key(id);
        match faults.machines.keys().find(|id| !is_known(id)) {
            Some(id) => Err(format!("machines.{id}: there is no such machine")),
            None => faults.check(),
        }
    }

    /// How the host of `machine` is.
    pub(crate) fn host(&self, machine: &Machine) -> Host {
        self.controls.host(&machine.identity.id)
    }

    /// Stops every machine for good and waits until all have ended; each gets its grace, then it is killed.
    pub(crate) async fn end(&self) {
        let machines = self.machines();
        futures_util::future::join_all(machines.iter().map(|machine| machine.end())).await;
    }
}

fn forget_destroyed(machines: &mut BTreeMap<String, Arc<Machine>>) {
    let gone = |machine: &Machine| machine.state() == State::Destroyed;
    while machines.values().filter(|machine| gone(machine)).count() > DESTROYED_KEPT_MAX {
        let gone = machines.values().filter(|machine| gone(machine));
        let oldest = gone.min_by_key(|machine| machine.with_view(|view| view.updated_at));
        let Some(id) = oldest.map(|machine| machine.identity.id.clone()) else { return };
        machines.remove(&id);
    }
}

fn read<T>(lock: &RwLock<T>) -> std::sync::RwLockReadGuard<'_, T> {
    lock.read().expect("nobody panics while holding the fleet")
}

fn write<T>(lock: &RwLock<T>) -> std::sync::RwLockWriteGuard<'_, T> {
    lock.write().expect("nobody panics while holding the fleet")
}

fn random_bytes() -> [u8; 7] {
    let mut bytes = [0; 7];
    getrandom::fill(&mut bytes).expect("the system gave randomness when fly-local started");
    bytes
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn one() -> u32 {
    1
}
