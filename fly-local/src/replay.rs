//! What a `Fly-Replay` header says, and which machines it means.
//!
//! Path: the proxy finds the header on an answer → [`Directive::parse`] → [`Directive::choose`] → it tries the chosen
//! machines in order.
//! Invariants: pure; the same header and fleet give the same choice.
//! Never: a socket, a clock or a process. The JSON form, transforms and the replay cache are left out.

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
    pub(crate) running: bool,
    /// Whether a request may start it.
    pub(crate) startable: bool,
    /// One-way delay from the edge; the nearest wins.
    pub(crate) distance: Duration,
}

/// Why a header cannot be obeyed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The header breaks the syntax (Fly's PA03); says how.
    Malformed(String),
    /// No app of that name (Fly's PA04).
    UnknownApp(String),
    /// The app is there, and no machine of it fits.
    NoCandidate,
}

impl Directive {
    /// Reads `key=value` pairs separated by `;`, where a value may be in double quotes.
    /// An unknown key is refused: a misspelt one would otherwise go unnoticed until a real deployment.
    pub(crate) fn parse(header: &str) -> Result<Self, Refusal> {
        let mut directive = Self::default();
        for field in split_outside_quotes(header) {
            let (key, value) =
                field.split_once('=').ok_or_else(|| Refusal::Malformed(format!("`{field}` is not key=value")))?;
            directive.set(key.trim().to_ascii_lowercase().as_str(), value.trim().trim_matches('"'))?;
        }
        Ok(directive)
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), Refusal> {
        let text = || Some(value.to_owned());
        let malformed = || Refusal::Malformed(format!("`{value}` is no value for `{key}`"));
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
            _ => return Err(Refusal::Malformed(format!("`{key}` is not a field"))),
        }
        Ok(())
    }

    /// The machines of `fleet` this means when `from` answered it, best first and never none.
    pub(crate) fn choose<'a>(
        &self,
        from: &Candidate,
        fleet: &'a [Candidate],
        regions: &Regions,
    ) -> Result<Vec<&'a Candidate>, Refusal> {
        let app = self.app.as_deref().unwrap_or(&from.app);
        if !fleet.iter().any(|candidate| candidate.app == app) {
            return Err(Refusal::UnknownApp(app.to_owned()));
        }
        let mut fitting: Vec<_> = fleet
            .iter()
            .filter(|candidate| candidate.app == app && (candidate.running || candidate.startable))
            .filter(|candidate| self.instance.as_ref().is_none_or(|id| *id == candidate.id))
            .filter(|candidate| !(self.elsewhere && candidate.id == from.id))
            .filter_map(|candidate| Some((self.region_rank(candidate, regions)?, candidate)))
            .collect();
        fitting.sort_by_key(|(rank, candidate)| {
            let preferred = self.prefer_instance.as_ref() == Some(&candidate.id);
            (!preferred, *rank, !candidate.running, candidate.distance, candidate.id.clone())
        });
        if fitting.is_empty() {
            return Err(Refusal::NoCandidate);
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
            assert!(matches!(Directive::parse(header), Err(Refusal::Malformed(_))), "{header}");
        }
    }

    fn candidate(id: &str, app: &str, region: &str, running: bool) -> Candidate {
        let distance = regions().one_way("ewr", region);
        Candidate { id: id.into(), app: app.into(), region: region.into(), running, startable: true, distance }
    }

    fn fleet() -> Vec<Candidate> {
        vec![
            candidate("lobby1", "lobby", "ewr", true),
            candidate("lobby2", "lobby", "cdg", true),
            candidate("game-ewr", "game", "ewr", false),
            candidate("game-cdg", "game", "cdg", true),
            candidate("game-nrt", "game", "nrt", true),
        ]
    }

    #[test]
    fn each_header_means_these_machines() {
        let fleet = fleet();
        for (header, expected) in [
            ("app=game;instance=game-nrt", Ok(vec!["game-nrt"])),
            ("app=game;instance=gone", Err(Refusal::NoCandidate)),
            // A machine of another app is not a machine of this one.
            ("instance=game-nrt", Err(Refusal::NoCandidate)),
            ("app=nobody", Err(Refusal::UnknownApp("nobody".into()))),
            // Running and near first; the sleeper is woken only when nothing else is left.
            ("app=game", Ok(vec!["game-cdg", "game-nrt", "game-ewr"])),
            ("app=game;region=ewr", Ok(vec!["game-ewr"])),
            ("app=game;region=\"nrt,eu\"", Ok(vec!["game-nrt", "game-cdg"])),
            ("app=game;region=syd", Err(Refusal::NoCandidate)),
            ("app=game;prefer_instance=game-ewr", Ok(vec!["game-ewr", "game-cdg", "game-nrt"])),
            ("app=game;prefer_instance=gone;region=eu", Ok(vec!["game-cdg"])),
            ("elsewhere=true", Ok(vec!["lobby2"])),
            ("instance=lobby1;elsewhere=true", Err(Refusal::NoCandidate)),
            ("state=x", Ok(vec!["lobby1", "lobby2"])),
        ] {
            let directive = Directive::parse(header).unwrap();
            let chosen = directive.choose(&fleet[0], &fleet, &regions());
            let ids = chosen.map(|chosen| chosen.iter().map(|c| c.id.as_str()).collect::<Vec<_>>());
            assert_eq!(ids, expected, "{header}");
        }
    }
}
