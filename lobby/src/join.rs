//! A join: which machine, awake, with a ticket.
//!
//! Path: [`Wish::parse`] reads the body → [`pick`] orders the machines that would do → the first that is or comes up
//! gets the player → [`Joined`].
//! Invariants: the pick is pure; each ticket has its own nonce; whoever leaves while waiting costs nobody else.
//! Never: a socket to a machine, a session.

use crate::book::{Condition, Server, Snapshot};
use crate::fleet::Fleet;
use crate::machines::WakeError;
use crate::random::nonce;
use crate::refusal::Refusal;
use crate::steer::{PREFIX, is_name};
use crate::wake::{WAKE_DEADLINE_MS, Wakes};
use crate::{now_s, regions};
use protocol::token::Key;
use serde::Serialize;
use serde_json::{Map, Value};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

const ROOM_PUBLIC: &str = "arena";
/// Longest a join may wait for machines to wake, all that are tried together: a wake's own deadline, and a moment so
/// that its own reason is heard. Policy: a sentence that says so; the wake itself goes on.
const JOIN_DEADLINE_MS: u64 = WAKE_DEADLINE_MS + 1_000;

/// What a player asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    target: Target,
    room: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Target {
    Region(String),
    Instance(String),
}

/// Where to fly, with a ticket for it.
#[derive(Debug, Serialize)]
pub struct Joined {
    path: String,
    ticket: String,
    instance: String,
    region: String,
    room: String,
}

impl Wish {
    /// Reads `{"region" or "instance", "room"?}`; where both are given the instance counts.
    ///
    /// # Errors
    /// [`Refusal::BadRequest`] with a sentence that names the field.
    pub fn parse(body: &[u8]) -> Result<Self, Refusal> {
        let json: Value = serde_json::from_slice(body)
            .map_err(|error| Refusal::BadRequest(format!("The body is not JSON: {error}.")))?;
        let Value::Object(fields) = json else {
            return Err(Refusal::BadRequest("The body must be a JSON object with \"region\" or \"instance\".".into()));
        };
        let (region, instance) = (field(&fields, "region")?, field(&fields, "instance")?);
        let target = match (instance, region) {
            (Some(instance), _) => Target::Instance(instance),
            (None, Some(region)) => Target::Region(region),
            (None, None) => return Err(Refusal::BadRequest("Name a \"region\" or an \"instance\".".into())),
        };
        match field(&fields, "room")? {
            Some(room) if room != ROOM_PUBLIC => Err(Refusal::BadRequest(format!(
                "There is no room \"{room}\"; the \"room\" of every field is \"{ROOM_PUBLIC}\"."
            ))),
            _ => Ok(Self { target, room: ROOM_PUBLIC.to_owned() }),
        }
    }
}

fn field(fields: &Map<String, Value>, name: &str) -> Result<Option<String>, Refusal> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if is_name(text) => Ok(Some(text.clone())),
        Some(_) => Err(Refusal::BadRequest(format!(
            "\"{name}\" must be a name of 1 to 64 characters from a to z, 0 to 9 and -."
        ))),
    }
}

/// Finds a machine, wakes it if needed, and signs a ticket for it.
///
/// # Errors
/// [`Refusal`], with a sentence for the player.
pub async fn join(wish: &Wish, fleet: &Fleet, wakes: &Arc<Wakes>, key: &Key) -> Result<Joined, Refusal> {
    let snapshot = fleet.fresh().await;
    let deadline = Instant::now() + Duration::from_millis(JOIN_DEADLINE_MS);
    let mut refusal = Refusal::Full;
    for server in pick(wish, &snapshot)? {
        if server.is_started {
            return Ok(ticket_for(server, &wish.room, key));
        }
        let woken = timeout_at(deadline, wakes.wake(&server.instance)).await;
        match woken.unwrap_or(Err(WakeError::TooSlow)) {
            Ok(()) => return Ok(ticket_for(server, &wish.room, key)),
            // Quick refusals that say something about this one machine: the next of the region may do.
            Err(error @ (WakeError::Gone | WakeError::NoCapacity | WakeError::HostUnreachable)) => {
                refusal = Refusal::NotWoken(error);
            }
            Err(error) => return Err(Refusal::NotWoken(error)),
        }
    }
    Err(refusal)
}

/// The machines that fulfil the wish, best first: the fullest with room (so that others can empty), then one that is
/// coming up, then a sleeper. Never empty.
fn pick<'a>(wish: &Wish, snapshot: &'a Snapshot) -> Result<Vec<&'a Server>, Refusal> {
    if !snapshot.is_known {
        return Err(Refusal::FleetUnknown);
    }
    let (mut servers, missing): (Vec<&Server>, _) = match &wish.target {
        Target::Instance(id) => (
            snapshot.servers.iter().filter(|server| server.instance == *id).collect(),
            Refusal::UnknownServer(id.clone()),
        ),
        Target::Region(code) => {
            let region = regions::find(code).ok_or_else(|| Refusal::UnknownRegion(code.clone()))?;
            let missing = Refusal::NoServer(region.place().to_owned());
            (snapshot.servers.iter().filter(|server| server.region == *code).collect(), missing)
        }
    };
    if servers.is_empty() {
        return Err(missing);
    }
    let is_full = servers.iter().any(|server| server.condition == Condition::Full);
    servers.retain(|server| !matches!(server.condition, Condition::Full | Condition::Unreachable));
    if servers.is_empty() {
        return Err(if is_full { Refusal::Full } else { Refusal::Unreachable });
    }
    servers.sort_by_key(|server| {
        let players = server.occupancy.map_or(0, |said| said.players);
        (condition_rank(server.condition), std::cmp::Reverse(players), &server.instance)
    });
    Ok(servers)
}

fn condition_rank(condition: Condition) -> u8 {
    match condition {
        Condition::Ready => 0,
        Condition::Waking => 1,
        Condition::Asleep => 2,
        Condition::Full | Condition::Unreachable => 3,
    }
}

fn ticket_for(server: &Server, room: &str, key: &Key) -> Joined {
    Joined {
        path: format!("{PREFIX}{}/{room}", server.instance),
        ticket: key.sign_ticket(&server.instance, room, nonce(), now_s()),
        instance: server.instance.clone(),
        region: server.region.clone(),
        room: room.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::book::Occupancy;

    fn server(instance: &str, region: &str, condition: Condition, players: u32) -> Server {
        let occupancy = Some(Occupancy { players, pilots: players, capacity: 9 });
        Server { instance: instance.into(), region: region.into(), condition, is_started: false, occupancy }
    }

    fn picked(body: &str, servers: &[Server]) -> Result<Vec<String>, &'static str> {
        let snapshot = Snapshot { servers: servers.to_vec(), is_known: true, ..Snapshot::default() };
        let servers = pick(&Wish::parse(body.as_bytes()).unwrap(), &snapshot);
        servers.map(|list| list.iter().map(|s| s.instance.clone()).collect()).map_err(|refusal| refusal.code())
    }

    #[test]
    fn the_fullest_with_room_comes_first_and_a_sleeper_last() {
        use Condition::{Asleep, Full, Ready, Unreachable, Waking};
        let fleet = [
            server("asleep", "ewr", Asleep, 0),
            server("quiet", "ewr", Ready, 1),
            server("busy", "ewr", Ready, 7),
            server("full", "ewr", Full, 9),
            server("rising", "ewr", Waking, 0),
            server("paris", "cdg", Full, 9),
            server("tokyo", "nrt", Unreachable, 0),
        ];
        let all = ["busy", "quiet", "rising", "asleep"].map(str::to_owned).to_vec();
        assert_eq!(picked(r#"{"region":"ewr"}"#, &fleet), Ok(all));
        assert_eq!(picked(r#"{"instance":"quiet"}"#, &fleet), Ok(vec!["quiet".to_owned()]));
        assert_eq!(picked(r#"{"region":"cdg"}"#, &fleet), Err("full"));
        assert_eq!(picked(r#"{"instance":"full"}"#, &fleet), Err("full"));
        assert_eq!(picked(r#"{"region":"nrt"}"#, &fleet), Err("unreachable"));
        assert_eq!(picked(r#"{"region":"syd"}"#, &fleet), Err("no_server"));
        assert_eq!(picked(r#"{"region":"zzz"}"#, &fleet), Err("unknown_region"));
        assert_eq!(picked(r#"{"instance":"nobody"}"#, &fleet), Err("unknown_server"));
    }

    #[test]
    fn a_bad_body_is_told_which_field_is_wrong() {
        for (body, word) in [
            ("", "JSON"),
            ("{", "JSON"),
            ("[]", "object"),
            ("{}", "\"region\""),
            (r#"{"region":5}"#, "\"region\""),
            (r#"{"region":""}"#, "\"region\""),
            (r#"{"instance":"../x"}"#, "\"instance\""),
            (r#"{"region":"ewr","room":"A B"}"#, "\"room\""),
        ] {
            let Err(Refusal::BadRequest(sentence)) = Wish::parse(body.as_bytes()) else { panic!("{body} was taken") };
            assert!(sentence.contains(word) && sentence.ends_with('.'), "{body}: {sentence}");
        }
        let wish = Wish::parse(br#"{"region":"ewr","room":null}"#).unwrap();
        assert_eq!((wish.target, wish.room.as_str()), (Target::Region("ewr".into()), "arena"));
    }
}
