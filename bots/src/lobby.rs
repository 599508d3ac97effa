//! Joins through the lobby as people do: reads the board of regions, then asks for a ticket.
//!
//! Path: [`Lobby::check_reachable`] reads `/api/regions` and settles where all bots go → [`Lobby::request_grant`] per bot.
//! Invariants: a lobby that asks for patience gets it, up to [`JOIN_MAX_MS`]; its own sentences are passed on.

use crate::{
    grant::{JoinGrant, REACHABLE_MAX_MS, nothing_answers},
    progress::Progress,
    source::{self, BOTS_PER_ADDRESS_COUNT},
};
use anyhow::{Context, anyhow, bail};
use protocol::room::Kind;
use reqwest::{Client, Response, StatusCode, Url, header};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    sync::OnceLock,
    time::{Duration, Instant},
};
use tokio::time::sleep;

/// Longest a bot tries to join. Policy: it stays out, with the lobby's last sentence.
const JOIN_MAX_MS: u64 = 90_000;
/// Longest answer to one join: the lobby itself may wait 60 s for machines to wake. Policy: try again.
const ANSWER_MAX_MS: u64 = 65_000;
/// Tries when the lobby says that a machine is full or does not wake. Policy: stay out.
const TRIES_MAX_COUNT: u32 = 3;
/// Wait before another try when the lobby names no time, and the most it may name.
const RETRY_AFTER_S: u64 = 2;
const RETRY_AFTER_MAX_S: u64 = 30;

/// See the module.
#[derive(Debug)]
pub(crate) struct Lobby {
    base: Url,
    /// One for each address that bots come from.
    http: Vec<Client>,
    /// Where the options want them to go, if anywhere.
    requested: Option<Value>,
    /// Where those of each kind go.
    targets: OnceLock<BTreeMap<Kind, Value>>,
}

#[derive(Debug, Deserialize)]
struct Board {
    regions: Vec<Region>,
}

#[derive(Debug, Deserialize)]
struct Region {
    region: String,
    kinds: BTreeMap<String, RegionKind>,
}

/// What those who want one kind of room can expect of a region.
#[derive(Debug, Deserialize)]
struct RegionKind {
    status: String,
}

#[derive(Debug, Deserialize)]
struct Joined {
    path: String,
    ticket: String,
}

#[derive(Debug, Deserialize)]
struct Refusal {
    error: Reason,
}

#[derive(Debug, Deserialize)]
struct Reason {
    message: String,
}

/// What one request for a ticket came to.
enum Answer {
    Granted(JoinGrant),
    /// Too many at once: wait so long.
    Later(Duration, String),
    /// It may be different in a moment.
    NotNow(String),
    /// It will not be different.
    Never(String),
}

impl Lobby {
    /// The lobby at `base` for so many bots; where to: this instance, else this region, else wherever the lobby lists first.
    ///
    /// # Errors
    /// A sentence, when no HTTP client can be made.
    pub(crate) fn new(base: Url, region: Option<String>, instance: Option<String>, bots: u32) -> Result<Self, String> {
        let client = |number| {
            let client = Client::builder().timeout(Duration::from_millis(ANSWER_MAX_MS)).tcp_nodelay(true);
            client.local_address(source::of(&base, number)).build()
        };
        let firsts = (0..bots.max(1)).step_by(BOTS_PER_ADDRESS_COUNT as usize);
        let http = firsts.map(client).collect::<Result<Vec<_>, _>>();
        let http = http.map_err(|error| format!("There is no HTTP here ({error})."))?;
        let instance = instance.map(|instance| json!({ "instance": instance }));
        let requested = instance.or_else(|| region.map(|region| json!({ "region": region })));
        Ok(Self { base, http, requested, targets: OnceLock::new() })
    }

    /// The lobby's own address.
    pub(crate) fn base(&self) -> &Url {
        &self.base
    }

    /// Whether the lobby answers; settles where the bots go.
    ///
    /// # Errors
    /// A sentence that says what to do.
    pub(crate) async fn check_reachable(&self) -> anyhow::Result<()> {
        let address = self.base.join("/api/regions").context("The address cannot be asked")?;
        let asked = self.http[0].get(address).timeout(Duration::from_millis(REACHABLE_MAX_MS)).send().await;
        let answer = asked.map_err(|_| anyhow!(nothing_answers(&self.base)))?;
        if !answer.status().is_success() {
            bail!("What answers at {} is not ready: it said {} to /api/regions.", self.base, answer.status());
        }
        let board: Board =
            answer.json().await.map_err(|_| anyhow!("What answers at {} is no lobby of this game.", self.base))?;
        let target = |kind: Kind| {
            let mut target = match &self.requested {
                Some(requested) => requested.clone(),
                None => json!({ "region": best_region(&board, kind).context("The lobby lists no region.")? }),
            };
            target["kind"] = kind.word().into();
            anyhow::Ok((kind, target))
        };
        let targets = Kind::ALL.into_iter().map(target).collect::<anyhow::Result<_>>()?;
        self.targets.get_or_init(|| targets);
        Ok(())
    }

    /// A grant for bot `number` to a room of this kind, waiting as the lobby asks.
    ///
    /// # Errors
    /// The lobby's sentence.
    pub(crate) async fn request_grant(
        &self,
        kind: Kind,
        number: u32,
        progress: &Progress,
    ) -> Result<JoinGrant, String> {
        let give_up = Instant::now() + Duration::from_millis(JOIN_MAX_MS);
        let mut tries = 1;
        loop {
            let (pause, sentence) = match self.request_once(kind, number).await {
                Answer::Granted(grant) => return Ok(grant),
                Answer::Never(sentence) => return Err(sentence),
                Answer::NotNow(sentence) if tries == TRIES_MAX_COUNT => return Err(sentence),
                Answer::NotNow(sentence) => {
                    tries += 1;
                    (Duration::from_secs(RETRY_AFTER_S), sentence)
                }
                Answer::Later(pause, sentence) => {
                    progress.remark_once(&format!("The lobby asks the bots to slow down, so they do: {sentence}"));
                    (pause, sentence)
                }
            };
            if Instant::now() + pause > give_up {
                return Err(sentence);
            }
            sleep(pause).await;
        }
    }

    async fn request_once(&self, kind: Kind, number: u32) -> Answer {
        let target = &self.targets.get().expect("check_reachable comes before the first join")[&kind];
        let http = &self.http[(number / BOTS_PER_ADDRESS_COUNT) as usize];
        let address = self.base.join("/api/join").expect("a base that was asked before takes this path too");
        match http.post(address).json(target).send().await {
            Ok(answer) if answer.status().is_success() => match answer.json::<Joined>().await {
                Ok(Joined { path, ticket }) => Answer::Granted(JoinGrant { path, ticket }),
                Err(error) => Answer::Never(format!("The lobby's ticket could not be read ({error}).")),
            },
            Ok(answer) => refused(answer).await,
            Err(error) if error.is_timeout() => Answer::NotNow("The lobby took too long to answer.".to_owned()),
            Err(_) => Answer::NotNow("The lobby does not answer any more.".to_owned()),
        }
    }
}

/// The first region of the board that has room for this kind, else the first.
fn best_region(board: &Board, kind: Kind) -> Option<&str> {
    let status = |region: &Region| region.kinds.get(kind.word()).map(|kind| kind.status.clone());
    let has_room = |region: &&Region| status(region).is_some_and(|status| status != "full" && status != "unreachable");
    let best = board.regions.iter().find(has_room).or(board.regions.first());
    best.map(|region| region.region.as_str())
}

async fn refused(answer: Response) -> Answer {
    let status = answer.status();
    let named = answer.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    let pause = Duration::from_secs(named.unwrap_or(RETRY_AFTER_S).clamp(1, RETRY_AFTER_MAX_S));
    let said = answer.json::<Refusal>().await.ok().map(|refusal| refusal.error.message);
    let sentence = said.unwrap_or_else(|| format!("The lobby said {status}."));
    match status {
        StatusCode::TOO_MANY_REQUESTS => Answer::Later(pause, sentence),
        status if status.is_server_error() => Answer::NotNow(sentence),
        _ => Answer::Never(sentence),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_region_is_the_first_that_has_room_for_the_kind() {
        let (first, second) = (Kind::ALL[0], Kind::ALL[1]);
        let board = |rows: &[(&str, [&str; 2])]| {
            let row = |(region, [one, other]): &(&str, [&str; 2])| json!({ "region": region, "kinds": { first.word(): { "status": one }, second.word(): { "status": other } } });
            let regions: Vec<_> = rows.iter().map(row).collect();
            serde_json::from_value::<Board>(json!({ "regions": regions })).unwrap()
        };
        let some = board(&[("ewr", ["full", "up"]), ("cdg", ["asleep", "up"])]);
        assert_eq!((best_region(&some, first), best_region(&some, second)), (Some("cdg"), Some("ewr")));
        assert_eq!(best_region(&board(&[("ewr", ["full", "unreachable"])]), first), Some("ewr"));
        assert_eq!(best_region(&board(&[]), first), None);
    }
}
