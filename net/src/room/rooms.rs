//! The rooms of this machine: opened by the first who may come in, closed when nobody has been there for a while.
//!
//! Path: a worker sends a hello that passed the handshake as a [`JoinRequest`] → the rooms' task, which alone owns the
//! list, puts it into the room's queue and answers with the way there; if the room is not open, its queue is there at
//! once and a supervisor ([`crate::room::supervisor`]) opens it behind. Others see a copy of the list ([`Rooms`]).
//! Invariants: at most `Catalogue::rooms` are open, and the machine's own public rooms always have a place among them;
//! each other opening counts against the address of whoever asked for it, unless another machine has the room or the
//! store does not work; nobody who was let in is forgotten: one task lets people in and closes rooms, and it closes one
//! only while nobody waits in its queue; the task ends with [`Rooms`], and with it all that it supervises.
//! Never: the store, a tick; no thread waits for this task.

use crate::{
    admission::{Charge, Opener},
    io::worker_queue::{Joined, worker_of},
    room::{
        handle::{Join, RoomEvent, RoomHandle},
        machine::{Machine, Shutdown},
        supervisor::Supervisor,
    },
};
use crossbeam_channel::TrySendError;
use protocol::{close::CloseReason, room::Kind, token::Grant};
use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};
use tokio::{
    sync::{mpsc, watch},
    task::{self, JoinError, JoinSet},
    time::{sleep, timeout},
};

/// Joins on their way to the task, which waits for nobody. Policy: close with `RoomFull`.
pub(crate) const JOINS_MAX_COUNT: usize = 4096;
/// Pause before a room whose queue was full is told again to stop. Policy: delay.
const STOP_RETRY: Duration = Duration::from_millis(10);

/// A connection that may join a room, and have it opened if its grant allows; that is found out behind.
#[derive(Debug)]
pub(crate) struct JoinRequest {
    /// The room's durable id.
    pub(crate) room: Arc<str>,
    pub(crate) join: Box<Join>,
    pub(crate) grant: Grant,
    /// Whom an opening is charged to.
    pub(crate) opener: Opener,
}

/// The rooms as everybody but their own task sees them, and the word to stop.
#[derive(Debug)]
pub(crate) struct Rooms {
    machine: Arc<Machine>,
    shutdown: watch::Sender<Shutdown>,
    open: watch::Receiver<Open>,
}

/// What is open, as the task last had it.
#[derive(Debug, Clone)]
struct Open {
    /// The machine's own public rooms first.
    rooms: Arc<[RoomHandle]>,
    /// No room will be added.
    is_stopping: bool,
}

impl Rooms {
    /// Starts the task; no room is open. `shutdown` is the sender of [`Machine::shutdown`].
    pub(crate) fn start(
        machine: Arc<Machine>,
        max_rooms: usize,
        shutdown: watch::Sender<Shutdown>,
        joins: mpsc::Receiver<JoinRequest>,
    ) -> Self {
        let (task, open) = RoomsTask::new(Arc::clone(&machine), max_rooms);
        let task = tokio::spawn(task.run(joins));
        tokio::spawn(async move {
            if let Err(error) = task.await {
                // A bug of ours. Nobody can join any more; those who wait are told so in time, and open rooms play on.
                tracing::error!("the rooms' task failed: {error}");
            }
        });
        Self { machine, shutdown, open }
    }

    /// Everything that is open, the machine's own public rooms first.
    pub(crate) fn list(&self) -> Arc<[RoomHandle]> {
        Arc::clone(&self.open.borrow().rooms)
    }

    pub(crate) fn is_open(&self, id: &str) -> bool {
        self.list().iter().any(|room| *room.id == *id)
    }

    /// Whether this is one of this machine's own public rooms.
    pub(crate) fn is_public(&self, id: &str) -> bool {
        self.machine.is_public(id)
    }

    pub(crate) fn is_stopping(&self) -> bool {
        *self.shutdown.borrow() >= Shutdown::Stopping
    }

    /// Asks every room to be saved and closed, unless somebody is there.
    pub(crate) fn put_to_sleep(&self) {
        for room in self.list().iter() {
            if !room.facts.shall_sleep.swap(true, Ordering::Relaxed) {
                room.nudge();
            }
        }
    }

    /// Lets nobody in any more, ends every room and returns when all are saved and everybody is told, or when they have
    /// had enough time for it: then with the rooms that the store did not take.
    pub(crate) async fn stop(&self, at_most: Duration) -> Vec<Arc<str>> {
        // What was given up stays so.
        self.shutdown.send_modify(|shutdown| *shutdown = Shutdown::Stopping.max(*shutdown));
        let mut open = self.open.clone();
        _ = timeout(at_most, open.wait_for(|open| open.is_stopping && open.rooms.is_empty())).await;
        self.give_up()
    }

    /// Tries to write nothing any more; the rooms that the store did not take. One that was only about to open lost
    /// nothing.
    pub(crate) fn give_up(&self) -> Vec<Arc<str>> {
        // Before they hear of it: a room that is given up is forgotten, and would not be among them.
        let rooms = self.list();
        let unwritten =
            rooms.iter().filter(|room| room.facts.is_unwritten()).map(|room| Arc::clone(&room.id)).collect();
        self.shutdown.send_replace(Shutdown::GivenUp);
        unwritten
    }

    /// Whether rooms are open, and none of them for another reason than that the store does not take it.
    pub(crate) fn are_all_unwritable(&self) -> bool {
        let rooms = self.list();
        !rooms.is_empty() && rooms.iter().all(|room| room.facts.is_unwritable.load(Ordering::Relaxed))
    }

    pub(crate) fn are_all_closed(&self) -> bool {
        self.list().is_empty()
    }
}

/// The task that owns the rooms.
struct RoomsTask {
    machine: Arc<Machine>,
    max_rooms: usize,
    by_id: BTreeMap<Arc<str>, Listed>,
    supervisors: JoinSet<Supervisor>,
    open: watch::Sender<Open>,
    is_stopping: bool,
    /// Rooms to be told to stop.
    untold: Vec<RoomHandle>,
}

struct Listed {
    room: RoomHandle,
    /// The most that anybody who came was granted.
    grant: watch::Sender<Grant>,
    supervisor: task::Id,
}

impl RoomsTask {
    fn new(machine: Arc<Machine>, max_rooms: usize) -> (Self, watch::Receiver<Open>) {
        let (open, seen) = watch::channel(Open { rooms: Arc::new([]), is_stopping: false });
        let (by_id, supervisors, untold) = (BTreeMap::new(), JoinSet::new(), Vec::new());
        (Self { machine, max_rooms, by_id, supervisors, open, is_stopping: false, untold }, seen)
    }

    /// Serves joins until nobody needs rooms any more.
    async fn run(mut self, mut joins: mpsc::Receiver<JoinRequest>) {
        let mut shutdown = self.machine.shutdown.clone();
        loop {
            tokio::select! {
                Some(request) = joins.recv() => self.join(request),
                Some(ended) = self.supervisors.join_next_with_id() => self.note_ended(ended).await,
                changed = shutdown.changed() => match changed {
                    Ok(()) => self.stop(),
                    Err(_) => return,
                },
                () = sleep(STOP_RETRY), if !self.untold.is_empty() => self.tell_stop(),
            }
        }
    }

    /// Brings somebody into a room, and has it opened if need be.
    fn join(&mut self, request: JoinRequest) {
        let connection = request.join.connection;
        let joined = self.try_join(request);
        self.machine.workers[worker_of(connection)].answer(connection, joined);
    }

    /// `RoomFull` when the machine has no place for another room, `TooManyRooms`, `ServerStopping`, `Asleep`.
    fn try_join(&mut self, request: JoinRequest) -> Result<Joined, CloseReason> {
        let JoinRequest { room: id, mut join, grant, opener } = request;
        if self.machine.is_stopping() {
            return Err(CloseReason::ServerStopping);
        }
        let room = match self.by_id.get(&id) {
            Some(listed) => {
                listed.grant.send_modify(|most| *most = grant.max(*most));
                listed.room.clone()
            }
            None if grant == Grant::Watch => return Err(CloseReason::Asleep),
            None => {
                let charge = self.take_place(&id, &opener)?;
                self.open(id, grant, charge)
            }
        };
        // Whoever only looks on is no reason to begin the room again, should it just end.
        join._waiting = (grant > Grant::Watch).then(|| room.waiting.enter());
        let unsent = match room.events.try_send(RoomEvent::Join(join)) {
            Ok(()) => None,
            Err(TrySendError::Full(event)) => Some(event),
            // A bug of ours: its supervisor has failed, and that is about to be noticed.
            Err(TrySendError::Disconnected(_)) => return Err(CloseReason::RoomFailed),
        };
        Ok(Joined { events: room.events, unsent })
    }

    /// Whether there is a place for one more room, and what that counts for: for the machine's own public ones always, and nothing.
    fn take_place(&self, id: &str, opener: &Opener) -> Result<Option<Charge>, CloseReason> {
        if self.machine.is_public(id) {
            return Ok(None);
        }
        let others = self.by_id.keys().filter(|id| !self.machine.is_public(id)).count();
        if others + Kind::ALL.len() >= self.max_rooms {
            return Err(CloseReason::RoomFull);
        }
        opener.charge(Instant::now()).map(Some).ok_or(CloseReason::TooManyRooms)
    }

    fn open(&mut self, id: Arc<str>, grant: Grant, charge: Option<Charge>) -> RoomHandle {
        let (room, events) = RoomHandle::new(Arc::clone(&id));
        let (grant, granted) = watch::channel(grant);
        let supervisor = Supervisor::new(Arc::clone(&self.machine), room.clone(), events, granted, charge);
        let supervisor = self.supervisors.spawn(supervisor.run()).id();
        self.by_id.insert(id, Listed { room: room.clone(), grant, supervisor });
        self.publish();
        room
    }

    /// A room is closed: it is forgotten, or begins again for those who wait. When the machine stops, nobody can wait
    /// for anything.
    async fn note_ended(&mut self, ended: Result<(task::Id, Supervisor), JoinError>) {
        let supervisor = match ended {
            Ok((_, supervisor)) => supervisor,
            Err(error) => {
                tracing::error!("a room lost its supervisor: {error}");
                self.by_id.retain(|_, listed| listed.supervisor != error.id());
                return self.publish();
            }
        };
        let listed = self.by_id.get_mut(supervisor.room()).expect("a room is listed as long as it is supervised");
        let is_stopping = self.machine.is_stopping();
        if !is_stopping && !listed.room.waiting.is_zero() {
            listed.supervisor = self.supervisors.spawn(supervisor.run()).id();
            return;
        }
        self.by_id.remove(supervisor.room());
        self.publish();
        let reason = if is_stopping { CloseReason::ServerStopping } else { CloseReason::Asleep };
        supervisor.refuse_waiting(reason).await;
    }

    fn stop(&mut self) {
        if std::mem::replace(&mut self.is_stopping, true) {
            return;
        }
        self.untold = self.by_id.values().map(|listed| listed.room.clone()).collect();
        self.tell_stop();
        self.publish();
    }

    /// One whose queue is full keeps no other from being told.
    fn tell_stop(&mut self) {
        self.untold.retain(|room| matches!(room.events.try_send(RoomEvent::Stop), Err(TrySendError::Full(_))));
    }

    fn publish(&self) {
        let mut rooms: Vec<_> = self.by_id.values().map(|listed| listed.room.clone()).collect();
        rooms.sort_by_key(|room| !self.machine.is_public(&room.id));
        self.open.send_replace(Open { rooms: rooms.into(), is_stopping: self.is_stopping });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{admission::Admission, config::Config, io::flow::FlowCounter, metrics::Metrics, store::Store};
    use crossbeam_channel::Receiver;
    use protocol::{message::Hello, room::Kind, token::Role};
    use session::ConnectionId;

    const CONNECTION: ConnectionId = ConnectionId { shard: 0, slot: 0, number: 0 };

    /// A machine on which no thread is ever started, and nobody runs the task.
    fn rooms() -> (Rooms, RoomsTask) {
        let (shutdown, seen) = watch::channel(Shutdown::Running);
        let machine = Machine {
            instance: "m1".to_owned(),
            store: Store::open("memory:///").unwrap(),
            metrics: Arc::new(Metrics::new()),
            workers: Arc::new([]),
            starts: BTreeMap::new(),
            shutdown: seen,
        };
        let machine = Arc::new(machine);
        let (task, open) = RoomsTask::new(Arc::clone(&machine), 3 + Kind::ALL.len());
        (Rooms { machine, shutdown, open }, task)
    }

    fn request(room: &str) -> JoinRequest {
        let config = Config::from_lookup(|name| match name {
            "AERODROME_SECRET" => Some("a secret of enough length".to_owned()),
            "FLY_MACHINE_ID" => Some("m1".to_owned()),
            _ => None,
        });
        let admission = Arc::new(Admission::new(&config.unwrap(), 0));
        let permit = admission.open([127, 0, 0, 1].into(), Some(Kind::Arena), Instant::now()).unwrap();
        let hello = Hello::to(Kind::Arena, 1, "Ada", 0);
        let flow = FlowCounter::default();
        let join =
            Box::new(Join { connection: CONNECTION, flow, hello, admission: Some(Role::Member), _waiting: None });
        JoinRequest { room: room.into(), join, grant: Grant::Enter, opener: permit.opener() }
    }

    /// A room without a supervisor, and what it is told.
    fn list(task: &mut RoomsTask, id: &str) -> (RoomHandle, Receiver<RoomEvent>) {
        let (room, events) = RoomHandle::new(id.into());
        let (grant, _) = watch::channel(Grant::Enter);
        let supervisor = tokio::spawn(async {}).id();
        task.by_id.insert(id.into(), Listed { room: room.clone(), grant, supervisor });
        task.publish();
        (room, events)
    }

    #[tokio::test]
    async fn only_a_room_of_which_something_is_unwritten_is_given_up_as_lost() {
        let (rooms, mut task) = rooms();
        // Its supervisor has not even begun to ask the store.
        assert!(task.try_join(request("arena-m1")).unwrap().unsent.is_none());
        let (flown, _events) = list(&mut task, "field-a");
        flown.facts.note_unwritten(tokio::time::Instant::now());
        assert_eq!(rooms.give_up(), ["field-a".into()]);
        flown.facts.set_written(None);
        assert!(rooms.give_up().is_empty());
    }

    #[tokio::test]
    async fn a_room_whose_queue_is_full_keeps_no_other_from_being_told_to_stop() {
        let (rooms, mut task) = rooms();
        let [(stuck, _stuck_events), (_, events)] = ["field-a", "field-b"].map(|id| list(&mut task, id));
        while stuck.events.try_send(RoomEvent::Disconnected(CONNECTION)).is_ok() {}
        let (_joins, requests) = mpsc::channel(1);
        tokio::spawn(task.run(requests));
        timeout(Duration::from_secs(10), rooms.stop(Duration::from_millis(100))).await.expect("it ends in time");
        assert!(matches!(events.try_recv(), Ok(RoomEvent::Stop)));
        assert!(events.is_empty(), "it is told once");
    }

    #[tokio::test]
    async fn a_machine_that_stops_lets_nobody_in() {
        let (rooms, mut task) = rooms();
        rooms.stop(Duration::ZERO).await;
        assert_eq!(task.try_join(request("arena-m1")).err(), Some(CloseReason::ServerStopping));
        assert!(rooms.are_all_closed());
    }
}
