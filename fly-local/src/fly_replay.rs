//! Parses a `Fly-Replay` header and chooses the machines that it means.
//!
//! Path: the proxy finds the header on an answer → [`Directive::parse`] → [`Directive::choose`] → it tries the chosen
//! machines in order.
//! Invariants: pure; the same header and fleet give the same choice.
//! Never: a socket, a clock or a process. The JSON form, transforms and the replay cache are left out.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::regions::Regions;

/// A parsed `Fly-Replay` header.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Directive {
    /// App to replay to; without it, the app that answered.
    pub(crate) app: Option<String>,
    /// Exactly this machine.
    pub(crate) instance: Option<String>,
    /// This machine if possible, else any other that fits.
    pub(crate) prefer_instance: Option<String>,
    /// Regions or aliases, tried in order; empty means anywhere.
    pub(crate) regions: Vec<String>,
    /// Free text handed to the target in `fly-replay-src`.
    pub(crate) state: Option<String>,
    /// Leave the machine that answered out.
    pub(crate) elsewhere: bool,
    /// How long to try to reach the target.
    pub(crate) timeout: Option<Duration>,
    /// Who answers when the target cannot be reached.
    pub(crate) fallback: Option<Fallback>,
}

/// Who gets the request back when the target of a replay cannot be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fallback {
    /// Exactly the machine that issued the replay.
    ForceSelf,
    /// That machine first, else any machine of its app.
    PreferSelf,
}

/// Apps and machines as the edge sees them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FleetView {
    /// Names of all apps, with their private networks.
    pub(crate) apps: BTreeMap<String, String>,
    pub(crate) machines: Vec<Candidate>,
    /// Whether a replay may reach another private network.
    pub(crate) is_crossing_networks: bool,
    /// Whether a cordon also holds against `instance`.
    pub(crate) cordon_binds_instance: bool,
}

/// A machine as the choice sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Candidate {
    /// Machine id.
    pub(crate) id: String,
    /// Name of its app.
    pub(crate) app: String,
    /// Code of its region.
    pub(crate) region: String,
    /// Whether it runs now.
    pub(crate) is_running: bool,
    /// Whether a request may start it.
    pub(crate) is_startable: bool,
    /// Whether it has a service on the edge's public port.
    pub(crate) is_served: bool,
    pub(crate) is_cordoned: bool,
    /// How busy it is, against its limits.
    pub(crate) load: Load,
    /// How busy it is; of machines that are equally near, the least busy wins.
    pub(crate) connections: u32,
    /// One-way delay from the edge; the nearest wins.
    pub(crate) distance: Duration,
}

/// How busy a machine is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Load {
    /// Below its soft limit.
    Light,
    /// Others are better, even if they have to be started.
    Heavy,
    /// At its hard limit: whoever insists waits.
    Full,
}

impl Load {
    pub(crate) fn of(connections: u32, soft_limit: u32, hard_limit: u32) -> Self {
        match connections {
            n if n >= hard_limit => Self::Full,
            n if n >= soft_limit => Self::Heavy,
            _ => Self::Light,
        }
    }
}

/// Why a header cannot be obeyed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ReplayError {
    /// The header breaks the syntax (Fly's PA03); says how.
    Malformed(String),
    /// No app of that name (Fly's PA04).
    UnknownApp(String),
    /// The app is on another private network (Fly's PA05).
    OtherNetwork(String),
    /// The app is there, and no machine of it fits.
    NoCandidate,
}

impl Directive {
    /// Reads `key=value` pairs separated by `;`, where a value may be in double quotes.
    /// An unknown key is refused: a misspelt one would otherwise go unnoticed until a real deployment.
    pub(crate) fn parse(header: &str) -> Result<Self, ReplayError> {
        let mut directive = Self::default();
        for field in split_outside_quotes(header) {
            let (key, value) =
                field.split_once('=').ok_or_else(|| ReplayError::Malformed(format!("`{field}` is not key=value")))?;
            directive.set(key.trim().to_ascii_lowercase().as_str(), value.trim().trim_matches('"'))?;
        }
        Ok(directive)
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), ReplayError> {
        let text = || Some(value.to_owned());
        let malformed = || ReplayError::Malformed(format!("`{value}` is no value for `{key}`"));
        if value.is_empty() && key != "state" {
            return Err(malformed());
        }
        match key {
            "app" => self.app = text(),
            "instance" => self.instance = text(),
            "prefer_instance" => self.prefer_instance = text(),
            "region" => self.regions = value.split(',').map(|region| region.trim().to_owned()).collect(),
            "state" => self.state = text(),
            "elsewhere" => self.elsewhere = value.parse().map_err(|_| malformed())?,
            "timeout" => self.timeout = Some(humantime::parse_duration(value).map_err(|_| malformed())?),
            "fallback" => {
                self.fallback = Some(match value {
                    "force_self" => Fallback::ForceSelf,
                    "prefer_self" => Fallback::PreferSelf,
                    _ => return Err(malformed()),
                });
            }
            _ => return Err(ReplayError::Malformed(format!("`{key}` is not a field"))),
        }
        Ok(())
    }

    /// The machines this means when a machine `from` of the app `from_app` answered it, best first and never none.
    pub(crate) fn choose<'a>(
        &self,
        from: &str,
        from_app: &str,
        seen: &'a FleetView,
        regions: &Regions,
    ) -> Result<Vec<&'a Candidate>, ReplayError> {
        let app = self.app.as_deref().unwrap_or(from_app);
        let network = seen.apps.get(app).ok_or_else(|| ReplayError::UnknownApp(app.to_owned()))?;
        if seen.apps.get(from_app) != Some(network) && !seen.is_crossing_networks {
            return Err(ReplayError::OtherNetwork(app.to_owned()));
        }
        let mut fitting: Vec<_> = seen
            .machines
            .iter()
            .filter(|it| it.app == app && it.is_served && (it.is_running || it.is_startable))
            .filter(|it| self.instance.as_ref().is_none_or(|id| *id == it.id))
            .filter(|it| !it.is_cordoned || (self.instance.is_some() && !seen.cordon_binds_instance))
            .filter(|it| !(self.elsewhere && it.id == from))
            .filter_map(|it| Some((self.region_rank(it, regions)?, it)))
            .collect();
        fitting.sort_by_key(|(rank, it)| {
            let is_preferred = self.prefer_instance.as_ref() == Some(&it.id);
            (it.load == Load::Full, !is_preferred, *rank, it.effort(), it.distance, it.connections, it.id.clone())
        });
        if fitting.is_empty() {
            return Err(ReplayError::NoCandidate);
        }
        Ok(fitting.into_iter().map(|(_, candidate)| candidate).collect())
    }

    fn region_rank(&self, candidate: &Candidate, regions: &Regions) -> Option<usize> {
        if self.regions.is_empty() {
            return Some(0);
        }
        self.regions.iter().position(|wanted| regions.matches(wanted, &candidate.region))
    }
}

impl Candidate {
    /// A sleeper is woken only when whatever runs is busy already.
    fn effort(&self) -> u8 {
        match (self.is_running, self.load) {
            (true, Load::Light) => 0,
            (false, _) => 1,
            (true, _) => 2,
        }
    }
}

fn split_outside_quotes(header: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    header
        .split(move |c| {
            quoted ^= c == '"';
            c == ';' && !quoted
        })
        .map(str::trim)
        .filter(|field| !field.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::regions::tests::regions;

    #[test]
    fn the_lobbys_header_is_understood() {
        let header = "app=aerodrome-game;instance=148e21ea7d3889;state=1a.0.ff=;timeout=10s;fallback=prefer_self";
        let expected = Directive {
            app: Some("aerodrome-game".into()),
            instance: Some("148e21ea7d3889".into()),
            state: Some("1a.0.ff=".into()),
            timeout: Some(Duration::from_secs(10)),
            fallback: Some(Fallback::PreferSelf),
            ..Directive::default()
        };
        assert_eq!(Directive::parse(header), Ok(expected));
    }

    #[test]
    fn a_quoted_region_list_keeps_its_order() {
        let directive = Directive::parse("region=\"iad,us,any\"; app=x; timeout=800ms; elsewhere=true;").unwrap();
        assert_eq!(directive.regions, ["iad", "us", "any"]);
        assert_eq!(directive.timeout, Some(Duration::from_millis(800)));
        assert!(directive.elsewhere);
    }

    #[test]
    fn what_is_malformed_is_refused() {
        for header in ["instance", "instance=", "timeout=soon", "fallback=self", "elsewhere=maybe", "regoin=ewr"] {
            assert!(matches!(Directive::parse(header), Err(ReplayError::Malformed(_))), "{header}");
        }
    }

    fn candidate(id: &str, app: &str, region: &str, is_running: bool) -> Candidate {
        Candidate {
            id: id.into(),
            app: app.into(),
            region: region.into(),
            is_running,
            is_startable: true,
            is_served: true,
            is_cordoned: false,
            load: Load::Light,
            connections: 0,
            distance: regions().one_way("ewr", region),
        }
    }

    fn seen() -> FleetView {
        let apps = [("lobby", "default"), ("game", "default"), ("alone", "private"), ("empty", "default")];
        FleetView {
            apps: apps.map(|(name, network)| (name.into(), network.into())).into(),
            machines: vec![
                candidate("lobby1", "lobby", "ewr", true),
                candidate("lobby2", "lobby", "cdg", true),
                candidate("game-ewr", "game", "ewr", false),
                candidate("game-cdg", "game", "cdg", true),
                candidate("game-nrt", "game", "nrt", true),
                candidate("alone-ewr", "alone", "ewr", true),
            ],
            is_crossing_networks: false,
            cordon_binds_instance: true,
        }
    }

    fn chosen(header: &str, seen: &FleetView) -> Result<Vec<String>, ReplayError> {
        let chosen = Directive::parse(header).unwrap().choose("lobby1", "lobby", seen, &regions())?;
        Ok(chosen.into_iter().map(|it| it.id.clone()).collect())
    }

    #[test]
    fn each_header_means_these_machines() {
        let seen = seen();
        for (header, expected) in [
            ("app=game;instance=game-nrt", Ok(vec!["game-nrt"])),
            ("app=game;instance=gone", Err(ReplayError::NoCandidate)),
            // A machine of another app is not a machine of this one.
            ("instance=game-nrt", Err(ReplayError::NoCandidate)),
            ("app=nobody", Err(ReplayError::UnknownApp("nobody".into()))),
            ("app=empty", Err(ReplayError::NoCandidate)),
            ("app=alone", Err(ReplayError::OtherNetwork("alone".into()))),
            // Running and near first; the sleeper is woken only when nothing else is left.
            ("app=game", Ok(vec!["game-cdg", "game-nrt", "game-ewr"])),
            ("app=game;region=ewr", Ok(vec!["game-ewr"])),
            ("app=game;region=\"nrt,eu\"", Ok(vec!["game-nrt", "game-cdg"])),
            ("app=game;region=\"nrt,any\"", Ok(vec!["game-nrt", "game-cdg", "game-ewr"])),
            ("app=game;region=syd", Err(ReplayError::NoCandidate)),
            ("app=game;prefer_instance=game-ewr", Ok(vec!["game-ewr", "game-cdg", "game-nrt"])),
            ("app=game;prefer_instance=gone;region=eu", Ok(vec!["game-cdg"])),
            ("elsewhere=true", Ok(vec!["lobby2"])),
            ("instance=lobby1;elsewhere=true", Err(ReplayError::NoCandidate)),
            ("state=x", Ok(vec!["lobby1", "lobby2"])),
        ] {
            let expected = expected.map(|ids| ids.into_iter().map(str::to_owned).collect());
            assert_eq!(chosen(header, &seen), expected, "{header}");
        }
    }

    #[test]
    fn the_networks_switch_lets_a_replay_across() {
        let mut seen = seen();
        seen.is_crossing_networks = true;
        assert_eq!(chosen("app=alone", &seen).unwrap(), ["alone-ewr"]);
    }

    #[test]
    fn cordoned_and_unserved_machines_get_nothing() {
        let mut seen = seen();
        seen.machines[3].is_cordoned = true;
        seen.machines[4].is_served = false;
        assert_eq!(chosen("app=game", &seen).unwrap(), ["game-ewr"]);
        assert_eq!(chosen("app=game;instance=game-cdg", &seen), Err(ReplayError::NoCandidate));
        assert_eq!(chosen("app=game;instance=game-nrt", &seen), Err(ReplayError::NoCandidate));
        seen.cordon_binds_instance = false;
        assert_eq!(chosen("app=game;instance=game-cdg", &seen).unwrap(), ["game-cdg"]);
    }

    #[test]
    fn a_busy_machine_comes_after_one_that_must_be_woken_and_a_full_one_last() {
        let mut seen = seen();
        seen.machines[3].load = Load::Heavy;
        assert_eq!(chosen("app=game;region=\"ewr,cdg\"", &seen).unwrap(), ["game-ewr", "game-cdg"]);
        assert_eq!(chosen("app=game", &seen).unwrap(), ["game-nrt", "game-ewr", "game-cdg"]);
        seen.machines[3].load = Load::Full;
        let preferred = "app=game;prefer_instance=game-cdg";
        assert_eq!(chosen(preferred, &seen).unwrap(), ["game-nrt", "game-ewr", "game-cdg"]);
        assert_eq!([9, 10, 19, 20].map(|n| Load::of(n, 10, 20)), [Load::Light, Load::Heavy, Load::Heavy, Load::Full]);
    }

    #[test]
    fn of_two_equally_near_the_less_busy_wins() {
        let mut seen = seen();
        seen.machines.push(candidate("game-cdg2", "game", "cdg", true));
        seen.machines[3].connections = 2;
        assert_eq!(chosen("app=game;region=cdg", &seen).unwrap(), ["game-cdg2", "game-cdg"]);
    }
}
