//! A join: finds a machine, has it started if needed, and signs a ticket for it.
//!
//! Path: [`JoinRequest::parse`] reads the body → `placement` orders the candidates → the first machine that is up or comes
//! up, and has a seat, gets the player → [`JoinGrant`]. Progress is reported on the way.
//! Invariants: each ticket has its own nonce; a ticket has a room opened only where that room may be: a new name where it
//! was made, another machine's public room only while that machine is lost; a host is who had the room made, and a reader who
//! comes by a room's alias or only looks on; a player who leaves while waiting costs nobody
//! else; a join ends at [`JOIN_DEADLINE_MS`], whatever the API does; no other region is chosen for a player who named one.
//! Never: opens a socket to a machine, keeps a session.

use crate::api_errors::WakeError;
use crate::app::App;
use crate::fleet_state::FleetSnapshot;
use crate::join_request::{JoinRequest, Target};
use crate::machine_view::{Condition, Need};
use crate::placement::{self, NoGrowth, Step};
use crate::progress::Progress;
use crate::random::{letters, nonce};
use crate::refusal::{Offer, Refusal, RefusedJoin};
use crate::regions::{self, Region};
use crate::steer::PREFIX;
use crate::unix_time::now_s;
use protocol::alias::is_alias;
use protocol::room::{Kind, durable_id, home_of};
use protocol::token::{Grant, Role};
use serde::Serialize;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// Longest a join may wait for machines, all that are tried together. Policy: a sentence that says so; a start under
/// way goes on.
const JOIN_DEADLINE_MS: u64 = 60_000;
/// Letters and digits of a private room's name: 50 bits, so that nobody finds one by trying.
const PRIVATE_NAME_LETTERS: usize = 10;
/// Tells the gameserver that nobody has been in this room, so that its page is not "gone".
const FRESH_ROOM_QUERY: &str = "?new";
/// Tells the lobby, whenever the page is loaded or connects, to wake nothing for somebody who only looks on.
const WATCH_QUERY: &str = "?watch";

/// Where to go, with a ticket for it.
#[derive(Debug, Serialize)]
pub struct JoinGrant {
    path: String,
    ticket: String,
    instance: String,
    region: String,
    room: String,
    /// For whom a room was made: the proof that they are its host, for as long as the room and the secret last.
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<String>,
}

/// A room that somebody wants into, and as what.
#[derive(Debug, Clone, Copy)]
struct Wanted<'a> {
    kind: Kind,
    room: &'a str,
    role: Role,
}

/// One player's way in.
pub(crate) struct Join<'a, F> {
    pub(crate) app: &'a Arc<App>,
    /// The region of the player's edge, or ours.
    pub(crate) from: Option<&'static Region>,
    /// Receives each step of the progress and the place it is about.
    pub(crate) report: F,
    /// Called before a room is opened for this player; false when there were too many.
    pub(crate) may_open: &'a (dyn Fn() -> bool + Send + Sync),
}

/// What is tried, in which region, in this order.
type Plan = Vec<(String, Step)>;

impl<F: Fn(Progress, &str)> Join<'_, F> {
    /// Finds a machine, wakes it if needed, and signs a ticket for it.
    pub(crate) async fn run(&self, request: &JoinRequest) -> Result<JoinGrant, RefusedJoin> {
        self.app.fleet.fresh().await;
        let snapshot = self.app.fleet.current();
        if !snapshot.is_known {
            return Err(Refusal::FleetUnknown.into());
        }
        match &request.target {
            _ if request.is_watching => self.watch(request, &snapshot).await,
            Target::Region(code) => self.in_region(code, request, &snapshot).await,
            Target::Instance(id) => {
                let role = self.role(id, request)?;
                self.on_instance(id, request, role, &snapshot).await
            }
        }
    }

    /// What whoever asks for this room may do there: an alias is for readers, and nobody is the host who cannot prove it.
    fn role(&self, id: &str, JoinRequest { room, host, .. }: &JoinRequest) -> Result<Role, Refusal> {
        let key = &self.app.key;
        match host {
            _ if is_alias(room) && key.open_alias(room).is_none() => Err(Refusal::UnknownLink),
            Some(proof) if key.verify_host(proof, &durable_id(id, room)).is_ok() => Ok(Role::Host),
            Some(_) => Err(Refusal::NotTheHost),
            None if is_alias(room) => Ok(Role::Reader),
            None => Ok(Role::Member),
        }
    }

    /// A place to look on from at a public room that is open: nothing is woken or opened for it, and no seat is taken.
    async fn watch(&self, request: &JoinRequest, snapshot: &FleetSnapshot) -> Result<JoinGrant, RefusedJoin> {
        let kind = request.kind;
        let (code, machines) = match &request.target {
            Target::Region(code) => (code.clone(), placement::watchable(code, kind, snapshot)),
            Target::Instance(id) => {
                let home = home_of(&request.room).unwrap_or(id);
                let machine = snapshot.find(home).ok_or_else(|| Refusal::UnknownMachine(home.to_owned()))?;
                (machine.region.clone(), machine.is_open(kind).then(|| home.to_owned()).into_iter().collect())
            }
        };
        let region = regions::find(&code).ok_or_else(|| Refusal::UnknownRegion(code.clone()))?;
        for instance in machines {
            if !self.app.fleet.is_silent(&instance).await {
                return Ok(self.ticket(instance, code, kind.word().to_owned(), (Grant::Watch, Role::Reader)));
            }
        }
        Err(Refusal::NothingToWatch(region.place().to_owned()).into())
    }

    async fn in_region(
        &self,
        code: &str,
        request: &JoinRequest,
        snapshot: &FleetSnapshot,
    ) -> Result<JoinGrant, RefusedJoin> {
        let region = regions::find(code).ok_or_else(|| Refusal::UnknownRegion(code.to_owned()))?;
        let (kind, need) = (request.kind, if request.is_private { Need::Room } else { Need::Seat(request.kind) });
        if request.is_private && !(self.may_open)() {
            return Err(Refusal::TooManyRooms.into());
        }
        let steps = placement::steps(code, need, snapshot, &self.app.pools);
        let plan: Plan = steps.into_iter().map(|step| (code.to_owned(), step)).collect();
        let found = if plan.is_empty() {
            Err(self.no_steps_refusal(region, need, snapshot))
        } else {
            self.try_all(plan, need).await
        };
        let (instance, region) = found.map_err(|refusal| self.with_offer(refusal, kind, code))?;
        if !request.is_private {
            return Ok(self.ticket(instance, region, request.room.clone(), (Grant::Enter, Role::Member)));
        }
        let room = kind.private_room(&letters(PRIVATE_NAME_LETTERS));
        let host = Some(self.app.key.sign_host(&room));
        Ok(JoinGrant { host, ..self.ticket(instance, region, room, (Grant::Open, Role::Host)) })
    }

    /// A room is where its machine is; if that machine is lost, the room goes to another one. A public room that had moved
    /// goes home if it can.
    async fn on_instance(
        &self,
        id: &str,
        request: &JoinRequest,
        role: Role,
        snapshot: &FleetSnapshot,
    ) -> Result<JoinGrant, RefusedJoin> {
        let JoinRequest { kind, room, .. } = request;
        let wanted = |room| Wanted { kind: *kind, room, role };
        if let Some(joined) = self.at(id, wanted(room), snapshot).await? {
            return Ok(joined);
        }
        let durable = durable_id(id, room);
        if let Some(home) = home_of(&durable).filter(|home| *home != id)
            && let Some(joined) = self.at(home, wanted(kind.word()), snapshot).await?
        {
            return Ok(joined);
        }
        self.elsewhere(id, wanted(room)).await
    }

    /// A way into a room on this very machine; `None` if the machine is lost.
    async fn at(
        &self,
        id: &str,
        Wanted { kind, room, role }: Wanted<'_>,
        snapshot: &FleetSnapshot,
    ) -> Result<Option<JoinGrant>, RefusedJoin> {
        let Some(machine) = snapshot.find(id) else {
            return if self.app.fleet.is_lost(id) { Ok(None) } else { Err(Refusal::FleetUnknown.into()) };
        };
        if !machine.is_available() {
            return Ok(None);
        }
        // A reader takes no seat.
        if role == Role::Reader && machine.is_up() && !self.app.fleet.is_silent(id).await {
            return Ok(Some(self.seat(id.to_owned(), machine.region.clone(), room, role)));
        }
        let is_own = home_of(&durable_id(id, room)) == Some(id);
        let need = if is_own { Need::Seat(kind) } else { Need::Link };
        let step = match machine.condition {
            Condition::Asleep | Condition::Waking => Step::Wake(id.to_owned()),
            _ if machine.takes(need) => Step::Take(id.to_owned()),
            Condition::Ready | Condition::Full | Condition::Unreachable => {
                return Err(self.with_offer(Refusal::Full(place_name(&machine.region)), kind, &machine.region));
            }
        };
        match self.try_all(vec![(machine.region.clone(), step)], need).await {
            Ok((instance, region)) => Ok(Some(self.seat(instance, region, room, role))),
            Err(Refusal::NotWoken(error, _)) if error.is_about_this_machine() => Ok(None),
            Err(refusal) => Err(self.with_offer(refusal, kind, &machine.region)),
        }
    }

    /// A place in a room that is there, or may come there.
    fn seat(&self, instance: String, region: String, room: &str, role: Role) -> JoinGrant {
        let grant = self.grant(&instance, room);
        self.ticket(instance, region, room.to_owned(), (grant, role))
    }

    /// Another machine's public room may be opened while that machine is lost.
    fn grant(&self, instance: &str, room: &str) -> Grant {
        let durable = durable_id(instance, room);
        let home = home_of(&durable).filter(|home| *home != instance);
        if home.is_some_and(|home| self.app.fleet.is_lost(home)) { Grant::Move } else { Grant::Enter }
    }

    /// Another machine for a room of `id`, which is lost, under the name that means this room everywhere. The first who asks
    /// has it opened there; the others follow.
    async fn elsewhere(&self, id: &str, wanted: Wanted<'_>) -> Result<JoinGrant, RefusedJoin> {
        let Wanted { kind, room, role } = wanted;
        let (app, durable) = (self.app, durable_id(id, room));
        if let Some(other) = app.moved_to(&durable)
            && let Some(joined) = self.at(&other, Wanted { room: &durable, ..wanted }, &app.fleet.current()).await?
        {
            return Ok(joined);
        }
        if !(self.may_open)() {
            return Err(Refusal::TooManyRooms.into());
        }
        let near = app.fleet.region_of(id).and_then(|code| regions::find(&code)).or(self.from);
        let plan = placement::elsewhere(id, near, &app.fleet.current(), &app.pools);
        let Some((_, first)) = plan.first() else {
            return Err(match app.fleet.current().find(id) {
                Some(machine) => {
                    self.with_offer(Refusal::Unreachable(place_name(&machine.region)), kind, &machine.region)
                }
                None => Refusal::UnknownMachine(id.to_owned()).into(),
            });
        };
        // Players who ask while it starts already go there, too.
        if let Step::Take(other) | Step::Wake(other) = first {
            app.note_move(&durable, other);
        }
        let (instance, region) = self.try_all(plan, Need::Room).await?;
        app.note_move(&durable, &instance);
        Ok(self.ticket(instance, region, durable, (Grant::Move, role)))
    }

    /// Goes through the plan until a machine is up and has what is needed.
    async fn try_all(&self, plan: Plan, need: Need) -> Result<(String, String), Refusal> {
        let deadline = Instant::now() + Duration::from_millis(JOIN_DEADLINE_MS);
        let mut refusal = None;
        for (region, step) in plan {
            let place = place_name(&region);
            if let Some(Refusal::NotWoken(error, _)) = &refusal {
                (self.report)(Progress::Another(*error), &place);
            }
            let attempt = timeout_at(deadline, self.attempt(&region, &step, &place)).await;
            match attempt.unwrap_or(Err(WakeError::TooSlow)) {
                Ok(id) if self.app.fleet.reserve(&id, need) => {
                    (self.report)(Progress::Ready, &place);
                    self.prepare_spare(&region);
                    return Ok((id, region));
                }
                // It filled up while we looked.
                Ok(_) => refusal = Some(Refusal::Full(place)),
                Err(error) if error.is_about_this_machine() => refusal = Some(Refusal::NotWoken(error, place)),
                Err(error) => return Err(Refusal::NotWoken(error, place)),
            }
        }
        Err(refusal.expect("a plan has at least one step"))
    }

    async fn attempt(&self, region: &str, step: &Step, place: &str) -> Result<String, WakeError> {
        let report = |progress| (self.report)(progress, place);
        match step {
            Step::Take(id) if self.app.fleet.is_silent(id).await => Err(WakeError::Silent),
            Step::Take(id) => Ok(id.clone()),
            Step::Wake(id) => self.app.start_tasks.wake(id, report).await,
            Step::Create(name) => {
                let template = self.app.fleet.current().template.ok_or(WakeError::Refused)?;
                self.app.start_tasks.create(region, name, &template, report).await
            }
        }
    }

    /// Gets another machine ready when this region is nearly full; nobody waits for it.
    fn prepare_spare(&self, region: &str) {
        let Some(step) = placement::spare(region, &self.app.fleet.current(), &self.app.pools) else { return };
        let (app, region) = (self.app.clone(), region.to_owned());
        tokio::spawn(async move {
            let join = Join { app: &app, from: None, report: |_, _: &str| (), may_open: &|| true };
            // Refusals are logged where they happen, and the next join tries again.
            let _ = join.attempt(&region, &step, "").await;
        });
    }

    fn no_steps_refusal(&self, region: &Region, need: Need, snapshot: &FleetSnapshot) -> Refusal {
        let place = region.place().to_owned();
        let here: Vec<_> = snapshot.machines.iter().filter(|machine| machine.region == region.code).collect();
        let has = |condition| here.iter().any(|machine| machine.condition_for(need) == condition);
        let is_up = here.iter().any(|machine| machine.condition == Condition::Ready);
        let has_none = here.is_empty();
        if is_up && need == Need::Room {
            return Refusal::NoRoom(place);
        }
        match placement::growth(&region.code, snapshot, &self.app.pools) {
            Err(NoGrowth::RefusedLately(why)) => Refusal::NotWoken(why, place),
            Err(NoGrowth::FleetAtLimit) if has_none || has(Condition::Full) => Refusal::FleetAtLimit(place),
            _ if has(Condition::Full) || has(Condition::Ready) => Refusal::Full(place),
            _ if has_none => Refusal::NoMachine(place),
            _ => Refusal::Unreachable(place),
        }
    }

    fn with_offer(&self, refusal: Refusal, kind: Kind, region: &str) -> RefusedJoin {
        let (app, is_helpful) = (self.app, refusal.is_about_the_region());
        let best = is_helpful.then(|| placement::offer(kind, region, self.from, &app.fleet.current(), &app.pools));
        let offer = best.flatten().map(|code| Offer {
            place: place_name(&code),
            latency_ms: placement::latency_ms(&code, self.from),
            region: code,
        });
        RefusedJoin { refusal, offer }
    }

    fn ticket(&self, instance: String, region: String, room: String, for_what: (Grant, Role)) -> JoinGrant {
        let query = match for_what.0 {
            Grant::Open => FRESH_ROOM_QUERY,
            Grant::Watch => WATCH_QUERY,
            Grant::Enter | Grant::Move => "",
        };
        JoinGrant {
            path: format!("{PREFIX}{instance}/{room}{query}"),
            ticket: self.app.key.sign_ticket((&instance, &room), for_what, nonce(), now_s()),
            instance,
            region,
            room,
            host: None,
        }
    }
}

fn place_name(code: &str) -> String {
    regions::find(code).map_or(code, Region::place).to_owned()
}

impl JoinGrant {
    /// As programs read it.
    pub fn to_json(&self) -> Value {
        serde_json::to_value(self).expect("text always serialises")
    }
}
