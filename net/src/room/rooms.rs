//! The rooms of this machine: opened by the first who may come in, closed when nobody has been there for a while.
//!
//! Path: a worker brings a hello that the handshake let through to [`Rooms::join`]; if the room is not open, its queue
//! is there at once and its supervisor ([`crate::room::supervisor`]) opens it behind.
//! Invariants: at most `max_rooms` are open, and one of these places is the public room's own, whatever else is open;
//! each other opening counts against the address of whoever asked for it, unless another machine has the room or the
//! store does not work; nobody who was let in is forgotten: a room is closed under the same lock under which people
//! come in, and only while nobody waits in its queue.

use crate::{
    admission::Charge,
    config::Config,
    io::worker_queue::WorkerSender,
    metrics::Metrics,
    room::{
        handle::{Join, RoomEvent, RoomHandle},
        open_policy,
        supervisor::{self, StartThread},
    },
    store::{Owner, Store},
};
use crossbeam_channel::{Sender, TrySendError};
use protocol::{
    close::CloseReason,
    room::{ARENA, durable_id},
    token::Grant,
};
use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, atomic::Ordering},
    time::Duration,
};
use tokio::{
    runtime::Handle,
    time::{sleep, timeout},
};

/// How often stopping looks whether all rooms are closed.
const STOP_POLL: Duration = Duration::from_millis(10);

/// See the module; shared by all.
#[derive(Debug)]
pub(crate) struct Rooms {
    pub(crate) instance: String,
    pub(crate) store: Store,
    pub(crate) metrics: Arc<Metrics>,
    /// The public room's durable id.
    public: Arc<str>,
    max_rooms: usize,
    runtime: Handle,
    /// Set before anybody can come.
    machinery: OnceLock<Machinery>,
    open: Mutex<Open>,
}

/// What rooms run on.
pub(crate) struct Machinery {
    pub(crate) start: StartThread,
    pub(crate) workers: Arc<[WorkerSender]>,
}

impl fmt::Debug for Machinery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Machinery").field("workers", &self.workers).finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct Open {
    by_id: BTreeMap<Arc<str>, Listed>,
    is_stopping: bool,
    /// What is not in the store by now is lost.
    has_given_up: bool,
}

#[derive(Debug)]
struct Listed {
    room: RoomHandle,
    /// The most that anybody who came was granted: whoever has to be turned away takes nobody along who need not be.
    grant: Grant,
}

/// How to talk to a room that was joined; the event is the join itself if the room's queue had no place for it.
pub(crate) type Joined = (Sender<RoomEvent>, Option<RoomEvent>);

impl Rooms {
    /// No room is open. Called within the runtime that is to keep the rooms.
    pub(crate) fn new(config: &Config, store: Store, metrics: Arc<Metrics>) -> Arc<Self> {
        Arc::new(Self {
            instance: config.instance.clone(),
            store,
            metrics,
            public: durable_id(&config.instance, ARENA).into(),
            max_rooms: config.max_rooms,
            runtime: Handle::current(),
            machinery: OnceLock::new(),
            open: Mutex::default(),
        })
    }

    /// Says what rooms run on.
    pub(crate) fn equip(&self, machinery: Machinery) {
        assert!(self.machinery.set(machinery).is_ok(), "a machine is started once");
    }

    pub(crate) fn machinery(&self) -> &Machinery {
        self.machinery.get().expect("rooms are equipped before anybody comes")
    }

    /// Brings somebody into a room, and has it opened if need be; whether they may have it opened is found out behind.
    /// `charge` counts it against their address, if that may have it opened.
    ///
    /// # Errors
    /// `RoomFull` when the machine has no place for another room, `TooManyRooms`, `ServerStopping`.
    pub(crate) fn join(
        self: &Arc<Self>,
        id: &Arc<str>,
        mut join: Box<Join>,
        grant: Grant,
        charge: impl FnOnce() -> Option<Charge>,
    ) -> Result<Joined, CloseReason> {
        let mut open = self.lock();
        if open.is_stopping {
            return Err(CloseReason::ServerStopping);
        }
        let room = match open.by_id.get_mut(id) {
            Some(listed) => {
                listed.grant = listed.grant.max(grant);
                listed.room.clone()
            }
            None => {
                let charge = self.take_place(&open, id, charge)?;
                let (room, events) = RoomHandle::new(Arc::clone(id));
                open.by_id.insert(Arc::clone(id), Listed { room: room.clone(), grant });
                self.runtime.spawn(supervisor::supervise(Arc::clone(self), room.clone(), events, charge));
                room
            }
        };
        join._waiting = Some(room.waiting.enter());
        let waiting = match room.events.try_send(RoomEvent::Join(join)) {
            Ok(()) => None,
            Err(TrySendError::Full(event)) => Some(event),
            Err(TrySendError::Disconnected(_)) => {
                unreachable!("a supervisor has the queue as long as its room is listed")
            }
        };
        Ok((room.events, waiting))
    }

    /// Whether there is a place for one more room, and what that counts for: for the public one always, and nothing.
    fn take_place(
        &self,
        open: &Open,
        id: &str,
        charge: impl FnOnce() -> Option<Charge>,
    ) -> Result<Option<Charge>, CloseReason> {
        if self.is_public(id) {
            return Ok(None);
        }
        let others = open.by_id.keys().filter(|id| !self.is_public(id)).count();
        if others + 1 >= self.max_rooms {
            return Err(CloseReason::RoomFull);
        }
        charge().map(Some).ok_or(CloseReason::TooManyRooms)
    }

    /// Whether those who wait for a room may have it opened; `kept` is who had it last, as the store has it.
    ///
    /// # Errors
    /// What they are told.
    pub(crate) fn check_opening(&self, id: &str, kept: Option<&Owner>) -> Result<(), CloseReason> {
        let grant = self.lock().by_id.get(id).map_or(Grant::Enter, |listed| listed.grant);
        open_policy::check(id, &self.instance, grant, kept)
    }

    /// Forgets a room nobody waits for; false if somebody does. When the machine stops, nobody can wait for anything.
    pub(crate) fn forget_if_quiet(&self, room: &RoomHandle) -> bool {
        let mut open = self.lock();
        let is_quiet = open.is_stopping || room.waiting.is_zero();
        if is_quiet {
            open.by_id.remove(&room.id);
        }
        is_quiet
    }

    /// Everything that is open, the public room first.
    pub(crate) fn list(&self) -> Vec<RoomHandle> {
        let mut rooms: Vec<_> = self.lock().by_id.values().map(|listed| listed.room.clone()).collect();
        rooms.sort_by_key(|room| !self.is_public(&room.id));
        rooms
    }

    pub(crate) fn is_open(&self, id: &str) -> bool {
        self.lock().by_id.contains_key(id)
    }

    /// Whether this is this machine's own public room.
    pub(crate) fn is_public(&self, id: &str) -> bool {
        *self.public == *id
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.lock().is_stopping
    }

    /// Asks every room to be saved and closed, unless somebody is there.
    pub(crate) fn put_to_sleep(&self) {
        for room in self.list() {
            room.facts.shall_sleep.store(true, Ordering::Relaxed);
        }
    }

    /// Lets nobody in any more, ends every room and returns when all are saved and everybody is told, or when they have
    /// had enough time for it: then with the rooms that the store did not take.
    pub(crate) async fn stop(&self, at_most: Duration) -> Vec<Arc<str>> {
        self.lock().is_stopping = true;
        // One whose queue is full keeps no other from being told.
        let mut untold = self.list();
        let closed = async {
            while !self.are_all_closed() {
                untold.retain(|room| room.events.try_send(RoomEvent::Stop).is_err());
                sleep(STOP_POLL).await;
            }
        };
        _ = timeout(at_most, closed).await;
        self.give_up()
    }

    /// Tries to write nothing any more; the rooms that the store did not take. One that was only about to open lost
    /// nothing.
    pub(crate) fn give_up(&self) -> Vec<Arc<str>> {
        let mut open = self.lock();
        open.has_given_up = true;
        let unwritten = open.by_id.iter().filter(|(_, listed)| listed.room.facts.is_unwritten());
        unwritten.map(|(id, _)| Arc::clone(id)).collect()
    }

    pub(crate) fn has_given_up(&self) -> bool {
        self.lock().has_given_up
    }

    /// Whether rooms are open, and none of them for another reason than that the store does not take it.
    pub(crate) fn are_all_unwritable(&self) -> bool {
        let open = self.lock();
        let is_unwritable = |listed: &Listed| listed.room.facts.is_unwritable.load(Ordering::Relaxed);
        !open.by_id.is_empty() && open.by_id.values().all(is_unwritable)
    }

    pub(crate) fn are_all_closed(&self) -> bool {
        self.lock().by_id.is_empty()
    }

    /// The map is whole after any panic: every change is a single insert or remove.
    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{io::flow::FlowCounter, room::handle::ConnectionId};
    use crossbeam_channel::Receiver;
    use protocol::message::Hello;
    use tokio::time::Instant;

    /// A machine on which no thread is ever started.
    fn rooms() -> Arc<Rooms> {
        let config = Config::from_lookup(|name| match name {
            "AERODROME_SECRET" => Some("a secret of enough length".to_owned()),
            "FLY_MACHINE_ID" => Some("m1".to_owned()),
            _ => None,
        });
        let store = Store::open("memory:///").unwrap();
        Rooms::new(&config.unwrap(), store, Arc::new(Metrics::new()))
    }

    /// A room without a supervisor, and what it is told.
    fn list(rooms: &Rooms, id: &str) -> (RoomHandle, Receiver<RoomEvent>) {
        let (room, events) = RoomHandle::new(id.into());
        rooms.lock().by_id.insert(id.into(), Listed { room: room.clone(), grant: Grant::Enter });
        (room, events)
    }

    #[tokio::test]
    async fn only_a_room_of_which_something_is_unwritten_is_given_up_as_lost() {
        let rooms = rooms();
        let hello = Hello {
            version: protocol::PROTOCOL_VERSION,
            ticket: None,
            resume: None,
            have_tick: 0,
            have_event: 0,
            name: "Ada".to_owned(),
            hue: 0,
        };
        let connection = ConnectionId { worker: 0, slot: 0, number: 0 };
        let join = Box::new(Join { connection, flow: FlowCounter::default(), hello, admitted: true, _waiting: None });
        // Its supervisor has not even begun to ask the store.
        rooms.join(&"arena-m1".into(), join, Grant::Enter, || None).unwrap();
        let (flown, _events) = list(&rooms, "field-a");
        flown.facts.note_unwritten(Instant::now());
        assert_eq!(rooms.give_up(), ["field-a".into()]);
        flown.facts.set_written(None);
        assert!(rooms.give_up().is_empty());
    }

    #[tokio::test]
    async fn a_room_whose_queue_is_full_keeps_no_other_from_being_told_to_stop() {
        let rooms = rooms();
        let [(stuck, _stuck_events), (_, events)] = ["field-a", "field-b"].map(|id| list(&rooms, id));
        let connection = ConnectionId { worker: 0, slot: 0, number: 0 };
        while stuck.events.try_send(RoomEvent::Disconnected(connection)).is_ok() {}
        timeout(Duration::from_secs(10), rooms.stop(Duration::from_millis(100))).await.expect("it ends in time");
        assert!(matches!(events.try_recv(), Ok(RoomEvent::Stop)));
        assert!(events.is_empty(), "it is told once");
    }
}
