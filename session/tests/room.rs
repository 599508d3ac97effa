//! Both ends of what every room has, and nothing else: a room of no kind, its members, and lines between them, in virtual
//! time from one seed (`SIM_SEED=…` replays).

#![allow(clippy::unwrap_used, reason = "clippy's own exception covers test functions, not what they call")]

use protocol::{
    Tick,
    bits::BitReader,
    close::CloseReason,
    entry::{Entry, Talk},
    frame::{Head, decode_entries},
    limits::{FRAME_SPAN_MAX_TICKS, RESUME_GRACE_MS, SILENCE_MAX_MS},
    message::{ClientMessage, HOT_BIT, Hello, Operation, Packet, ServerMessage, Welcome},
    room::Kind,
    token::{Key, Role},
};
use session::{
    Command, ConnectionId, Ending, Engine, Entrance, FrameSink, Host, HostConfig, Incoming, Level, MemberId, Output,
    Peer, SavedLog, SavedMembers, Sent, Sentences, SessionEvent, Stats,
    save::{self, Unreadable},
    sim::{self, Link, LinkConditions, Outbox, Rng},
};
use std::{collections::BTreeMap, ops::RangeInclusive};

const TICK_HZ: u32 = 60;
const TICK_MS: f64 = 1000.0 / TICK_HZ as f64;
const BEGINS_S: u64 = 1_700_000_000;
/// The topic of the kind's own entries.
const BELL: u8 = protocol::entry::KIND_TOPICS;

/// A room in which people are, and talk. Whoever has read all there is hears from it ten times a second.
struct Bare {
    host: Host<(), ()>,
    tick: Tick,
    next_author: u32,
}

fn config(epoch: u32, capacity: u32) -> HostConfig {
    let sentences = Sentences {
        nameless: "Nobody",
        chat_too_fast: "Slower.",
        chat_out_of_range: "Shorter.",
        reader: "You only read.",
    };
    HostConfig {
        name: "bare-m1".into(),
        key: Key::new("only for this simulation").unwrap(),
        epoch,
        kind: Bare::KIND,
        versions: Bare::versions(),
        tick_hz: TICK_HZ,
        capacity,
        readers: 2,
        silence_max_ms: SILENCE_MAX_MS,
        tells_comings: true,
        begins_s: BEGINS_S,
        sentences,
    }
}

impl Bare {
    fn new(capacity: u32) -> Self {
        Self { host: Host::new(config(1, capacity)), tick: 1, next_author: 1 }
    }

    fn restore(epoch: u32, bytes: &[u8]) -> Result<Self, Unreadable> {
        let (tick, next_author, members, log): (Tick, u32, SavedMembers<()>, SavedLog) = save::open(Self::KIND, bytes)?;
        assert!(members.is_sound(&log, std::iter::empty()));
        Ok(Self { host: Host::restore(config(epoch, 50), members, log, tick, |()| ()), tick, next_author })
    }

    fn enter(&mut self, from: ConnectionId, hello: &Hello, admission: Option<Role>) -> Result<(), CloseReason> {
        let known = self.host.recognise(hello, admission)?;
        let is_resumed = known.is_ok();
        let id = match known {
            Ok(id) => id,
            Err(role) => {
                if let Some(gone) = self.host.make_place(role)? {
                    self.host.remove(gone);
                }
                self.next_author += 1;
                let author = if role == Role::Reader { 0 } else { self.next_author };
                self.host.admit((author, role), hello, self.tick, ())
            }
        };
        let since = self.host.connect(id, from, if is_resumed { hello.have_tick } else { 0 }, self.tick);
        self.host.welcome(id, Entrance { is_resumed, since, have_entry: hello.have_entry, kind: vec![7] }, self.tick);
        Ok(())
    }
}

impl Engine for Bare {
    const KIND: Kind = Kind::Arena;
    const TICK_HZ: u32 = TICK_HZ;
    const BEGINS_ANEW: bool = true;

    fn versions() -> RangeInclusive<u32> {
        3..=4
    }

    fn connect(&mut self, from: ConnectionId, hello: &Hello, admission: Option<Role>) {
        if let Err(reason) = self.enter(from, hello, admission) {
            self.host.refuse(from, reason);
        }
    }

    fn committed(&mut self, entry: u32) {
        self.host.committed(entry);
    }

    fn receive(&mut self, from: ConnectionId, packet: Packet<'_>) {
        match packet {
            Packet::Kind(bytes) => {
                let Some(member) = self.host.member_at(from) else { return };
                member.note_activity(self.tick);
                member.window.acknowledge(Tick::from_le_bytes(bytes[1..].try_into().unwrap()));
            }
            Packet::Session(message) => match self.host.receive(from, message, self.tick) {
                Incoming::Leave(id) => _ = self.host.remove(id),
                // The kind's own operation rings a bell.
                Incoming::Operation { id, number, body } => {
                    let author = self.host.member(id).unwrap().author;
                    let entry = self.host.publish(BELL, author, body);
                    self.host.take(id, number, entry);
                }
                Incoming::Handled | Incoming::Closed(_) => {}
            },
        }
    }

    fn disconnect(&mut self, from: ConnectionId) {
        self.host.disconnect(from, self.tick);
    }

    fn command(&mut self, Command::Relieve(level): Command) {
        self.host.relieve(level);
    }

    fn tick(&mut self) {
        self.tick += 1;
        for (id, ending) in self.host.endings(self.tick) {
            match ending {
                Ending::Close(reason) => self.host.close(id, reason, self.tick),
                Ending::Leave => _ = self.host.remove(id),
            }
        }
    }

    fn frames(&mut self, sink: &mut dyn FrameSink) {
        let tick = self.tick;
        let (log, shards) = self.host.frame_parts();
        for shard in shards {
            let (members, section) = shard.connected();
            for (to, member) in members {
                let last = member.window.last().filter(|last| last.tick + FRAME_SPAN_MAX_TICKS >= tick);
                let waited = last.map_or(Tick::MAX, |last| tick - last.tick);
                let has_entries = member.cursor != log.end();
                let is_due = (has_entries || waited >= 6) && member.has_window(tick, waited);
                if !is_due || !sink.can_take(to) {
                    continue;
                }
                let span = last.map_or(0, |last| (tick - last.tick) as u8);
                sink.put(to, &mut |bytes| {
                    Head { tick, span, has_entries, ..Head::default() }.encode(bytes);
                    if has_entries {
                        section.encode_after(log, &mut member.cursor, bytes);
                    }
                });
                member.window.handed(Sent { tick, view: () });
            }
        }
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.host.poll_output()
    }

    fn snapshot(&self) -> Option<Vec<u8>> {
        let (members, log) = self.host.save(|()| ());
        Some(save::seal(Self::KIND, self.tick, &(self.tick, self.next_author, members, log)))
    }

    fn stats(&self) -> Stats {
        self.host.stats(self.tick)
    }
}

/// A member's end, and the line to it.
struct Client {
    peer: Peer,
    tick: Tick,
    connection: ConnectionId,
    up: Link,
    down: Link,
    conditions: LinkConditions,
    /// What it has read, by number: who caused it, and what it says.
    entries: BTreeMap<u32, (u32, Talk)>,
    bells: Vec<Entry>,
    events: Vec<SessionEvent>,
    closed: Option<CloseReason>,
    is_silent: bool,
}

impl Client {
    fn receive(&mut self, bytes: &[u8]) {
        self.peer.count_in(bytes);
        if bytes[0] & HOT_BIT == 0 {
            if let Some(welcome) = self.peer.receive(ServerMessage::decode(bytes).unwrap()) {
                assert_eq!(welcome.kind, [7], "the kind's part comes as it was given");
                let continues = welcome.since == self.tick && welcome.since != 0;
                self.tick = welcome.tick.min(if continues { self.tick } else { welcome.tick });
                self.peer.welcomed(*welcome, continues);
            }
            return self.note_events();
        }
        let mut reader = BitReader::new(bytes);
        let head = Head::decode(&mut reader, self.tick).unwrap();
        assert!(head.span == 0 || head.tick == self.tick + u32::from(head.span), "frames follow each other");
        self.tick = head.tick;
        if head.has_entries {
            let entries = decode_entries(&mut reader, self.peer.last_entry()).unwrap();
            self.bells.extend(self.peer.take_entries(entries).unwrap());
        }
        assert!(reader.rest().is_empty());
        self.note_events();
    }

    fn note_events(&mut self) {
        while let Some(event) = self.peer.poll_event() {
            match event {
                SessionEvent::Entry { number, author, talk } => {
                    assert!(self.entries.insert(number, (author, talk)).is_none(), "an entry is taken once");
                }
                event => self.events.push(event),
            }
        }
    }

    fn lines(&self) -> impl Iterator<Item = &protocol::entry::Line> {
        self.entries.values().filter_map(|(_, talk)| if let Talk::Chat(line) = talk { Some(line) } else { None })
    }

    /// What became of its operations: done or not, by id.
    fn answers(&self) -> Vec<(u32, bool)> {
        let answer = |event: &SessionEvent| match event {
            SessionEvent::Taken { id, .. } => Some((*id, true)),
            SessionEvent::Declined { id, .. } => Some((*id, false)),
            _ => None,
        };
        self.events.iter().filter_map(answer).collect()
    }
}

struct World {
    room: Bare,
    clients: Vec<Client>,
    now_ms: f64,
    connections: u32,
    rng: Rng,
}

impl World {
    fn new(capacity: u32) -> Self {
        let seed = std::env::var("SIM_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(7);
        eprintln!("SIM_SEED={seed}");
        Self { room: Bare::new(capacity), clients: vec![], now_ms: 0.0, connections: 0, rng: Rng::new(seed) }
    }

    fn join(&mut self, conditions: LinkConditions) -> usize {
        self.clients.push(Client {
            peer: Peer::new(Bare::KIND, *Bare::versions().end()),
            tick: 0,
            connection: sim::connection(0),
            up: Link::default(),
            down: Link::default(),
            conditions,
            entries: BTreeMap::new(),
            bells: vec![],
            events: vec![],
            closed: None,
            is_silent: false,
        });
        self.connect(self.clients.len() - 1, Some(Role::Member));
        self.clients.len() - 1
    }

    /// A new connection, on whichever of three workers has its turn.
    fn connect(&mut self, index: usize, admission: Option<Role>) {
        self.connections += 1;
        let client = &mut self.clients[index];
        let shard = (self.connections % 3) as u8;
        client.connection = ConnectionId { shard, ..sim::connection(self.connections) };
        (client.up, client.down, client.closed) = (Link::default(), Link::default(), None);
        let bytes = client.peer.hello((&format!("P{index}"), 1), None, None, client.tick);
        let ClientMessage::Hello(hello) = ClientMessage::decode(&bytes).unwrap() else { panic!("a hello was encoded") };
        self.room.connect(client.connection, &hello, admission);
    }

    fn cut(&mut self, index: usize) {
        self.room.disconnect(self.clients[index].connection);
    }

    fn run(&mut self, ticks: u32) {
        (0..ticks).for_each(|_| self.tick());
    }

    fn tick(&mut self) {
        self.now_ms += TICK_MS;
        for client in &mut self.clients {
            while let Some(bytes) = client.up.receive(self.now_ms) {
                self.room.receive(client.connection, Packet::decode(&bytes).unwrap());
            }
            let ack = [&[HOT_BIT], &client.tick.to_le_bytes()[..]].concat();
            let ack = (client.peer.is_welcomed() && !client.is_silent).then_some(ack);
            let messages: Vec<_> = std::iter::from_fn(|| client.peer.poll_message()).chain(ack).collect();
            for bytes in messages {
                client.up.send(bytes, client.conditions, self.rng.share(), self.now_ms);
            }
        }
        self.room.tick();
        self.hand_over();
        for client in &mut self.clients {
            while let Some(bytes) = client.down.receive(self.now_ms) {
                client.receive(&bytes);
            }
        }
    }

    fn hand_over(&mut self) {
        while let Some(output) = self.room.poll_output() {
            match output {
                Output::Message(to, bytes) => self.send(to, bytes.to_vec()),
                Output::Close(to, reason) | Output::Refuse(to, reason) => {
                    if let Some(client) = self.clients.iter_mut().find(|client| client.connection == to) {
                        client.closed = Some(reason);
                    }
                }
            }
        }
        let mut outbox = Outbox::default();
        self.room.frames(&mut outbox);
        outbox.frames.into_iter().for_each(|(to, bytes)| self.send(to, bytes));
    }

    fn send(&mut self, to: ConnectionId, bytes: Vec<u8>) {
        let chance = self.rng.share();
        if let Some(client) = self.clients.iter_mut().find(|client| client.connection == to) {
            client.down.send(bytes, client.conditions, chance, self.now_ms);
        }
    }

    fn say(&mut self, index: usize, text: &str) {
        self.clients[index].peer.operate(Operation::Chat(text.to_owned()));
    }
}

const CALM: LinkConditions = LinkConditions { one_way_ms: 0.0, jitter_ms: 0.0 };
const BAD: LinkConditions = LinkConditions { one_way_ms: 90.0, jitter_ms: 80.0 };

/// SPEC S7.5 and S8.2.
#[test]
fn everybody_reads_the_same_log_in_the_same_order_over_any_line_and_any_cut() {
    let mut world = World::new(50);
    for index in 0..12 {
        world.join(if index % 3 == 0 { BAD } else { CALM });
    }
    for round in 0..60 {
        world.run(20);
        let (talker, lost) = (world.rng.draw(12) as usize, world.rng.draw(12) as usize);
        world.say(talker, &format!("line {round}"));
        if round % 4 == 0 {
            world.cut(lost);
            world.run(1 + world.connections % 30);
            world.connect(lost, None);
        }
    }
    world.run(120);
    let all: BTreeMap<u32, (u32, Talk)> = world.clients.iter().flat_map(|client| client.entries.clone()).collect();
    assert!(all.values().filter(|(_, talk)| matches!(talk, Talk::Chat(_))).count() > 50);
    for (index, client) in world.clients.iter().enumerate() {
        assert_eq!(client.closed, None, "client {index}");
        assert!(client.entries.iter().all(|(number, entry)| all[number] == *entry), "client {index}");
        let first = *client.entries.keys().next().unwrap();
        let missing: Vec<_> = all.range(first..).filter(|(number, _)| !client.entries.contains_key(number)).collect();
        // Whoever begins anew is given the chat of before in its welcome instead.
        let was_told = |text: &str| {
            client.events.iter().any(|event| {
                matches!(event, SessionEvent::Welcomed { history, .. }
                if history.iter().any(|entry| matches!(entry.talk(), Ok(Some(Talk::Chat(line))) if line.text == text)))
            })
        };
        for (number, (_, talk)) in missing {
            assert!(
                matches!(talk, Talk::Joined(_)) || matches!(talk, Talk::Chat(line) if was_told(&line.text)),
                "client {index} never heard of {number}: {talk:?}"
            );
        }
    }
}

/// SPEC S7.2.
#[test]
fn a_short_cut_continues_and_a_member_is_the_same_on_another_worker() {
    let mut world = World::new(50);
    let (talker, other) = (world.join(CALM), world.join(CALM));
    world.run(60);
    world.cut(talker);
    world.run(10);
    world.say(other, "while you were away");
    world.run(10);
    world.connect(talker, None);
    world.run(20);
    let client = &world.clients[talker];
    let welcomed = |event: &SessionEvent| match event {
        SessionEvent::Welcomed { resumed, continues, .. } => Some((*resumed, *continues)),
        _ => None,
    };
    assert_eq!(client.events.iter().filter_map(welcomed).collect::<Vec<_>>(), [(false, false), (true, true)]);
    assert!(client.lines().count() == 1, "what was missed has come");
    assert_eq!(world.room.stats().members, 2);
}

#[test]
fn who_falls_silent_is_closed_and_who_does_not_come_back_has_left() {
    let mut world = World::new(50);
    let (silent, stays) = (world.join(CALM), world.join(CALM));
    world.run(10);
    world.clients[silent].is_silent = true;
    world.run((SILENCE_MAX_MS / 1000) as u32 * TICK_HZ + 60);
    assert!(matches!(world.clients[silent].closed, Some(CloseReason::Silent | CloseReason::TooSlow)));
    assert_eq!((world.room.stats().members, world.room.stats().population), (1, 2), "a place is kept");
    world.run((RESUME_GRACE_MS / 1000) as u32 * TICK_HZ + 60);
    assert_eq!(world.room.stats().population, 1);
    let left = |entry: &&(u32, Talk)| matches!(&entry.1, Talk::Left(name) if name == "P0");
    assert_eq!(world.clients[stays].entries.values().filter(left).count(), 1);
}

/// SPEC S4.4.
#[test]
fn a_full_room_gives_the_place_of_who_has_been_gone_longest_and_refuses_when_all_are_there() {
    let mut world = World::new(3);
    let all: Vec<_> = (0..3).map(|_| world.join(CALM)).collect();
    world.run(10);
    let refused = world.join(CALM);
    world.run(2);
    assert_eq!(world.clients[refused].closed, Some(CloseReason::RoomFull));
    world.cut(all[1]);
    world.run(5);
    world.cut(all[0]);
    world.run(5);
    let newcomer = world.join(CALM);
    world.run(5);
    assert!(world.clients[newcomer].closed.is_none() && world.clients[newcomer].peer.is_welcomed());
    world.connect(all[1], None);
    world.run(2);
    assert_eq!(world.clients[all[1]].closed, Some(CloseReason::BadTicket), "it had been gone longest");
    world.connect(all[0], None);
    world.run(2);
    assert_eq!(world.clients[all[0]].closed, None);
}

#[test]
fn overload_refuses_newcomers_and_lets_back_in_who_was_there() {
    let mut world = World::new(50);
    let known = world.join(CALM);
    world.run(10);
    world.room.command(Command::Relieve(Level::Joins));
    world.cut(known);
    world.connect(known, None);
    let newcomer = world.join(CALM);
    world.run(5);
    assert_eq!((world.clients[known].closed, world.clients[newcomer].closed), (None, Some(CloseReason::Overloaded)));
}

/// SPEC S5.1 and S6.1.
#[test]
fn names_are_told_on_demand_and_a_new_one_to_everybody() {
    let mut world = World::new(50);
    let (early, late) = (world.join(CALM), world.join(BAD));
    world.run(60);
    let author = |(author, talk): &(u32, Talk)| matches!(talk, Talk::Joined(_)).then_some(*author);
    let of_late = world.clients[early].entries.values().find_map(author).unwrap();
    // Who was there first came before the late one's log: its name must be asked for.
    let of_early = of_late - 1;
    world.clients[late].peer.profiles.want(of_early);
    world.run(60);
    assert_eq!(world.clients[late].peer.profiles.get(of_early).unwrap().name, "P0");
    world.clients[early].peer.operate(Operation::Rename { name: "Ada".into(), hue: 3 });
    world.run(60);
    assert_eq!(world.clients[late].peer.profiles.get(of_early).unwrap().name, "Ada");
}

#[test]
fn who_talks_too_much_is_told_and_the_others_are_spared() {
    let mut world = World::new(50);
    let (talker, other) = (world.join(CALM), world.join(CALM));
    world.run(10);
    (0..20).for_each(|number| world.say(talker, &format!("{number}")));
    world.run(30);
    let lines = world.clients[other].lines().count();
    let answers = world.clients[talker].answers();
    assert_eq!((answers.len(), answers.iter().filter(|(_, is_done)| *is_done).count()), (20, lines));
    assert!((5..10).contains(&lines) && world.clients[other].answers().is_empty(), "{lines} lines got through");
}

/// SPEC S5.7.
#[test]
fn a_second_hello_closes_the_connection_that_says_it_and_no_other() {
    let mut world = World::new(50);
    let (rude, other) = (world.join(CALM), world.join(CALM));
    world.run(5);
    let hello = Hello::to(Bare::KIND, 4, "again", 0);
    let connection = world.clients[rude].connection;
    world.room.receive(connection, Packet::Session(ClientMessage::Hello(hello)));
    world.run(2);
    assert_eq!(world.clients[rude].closed, Some(CloseReason::BadMessage));
    assert!(world.clients[other].closed.is_none() && world.room.stats().members == 1);
}

#[test]
fn a_connection_whose_place_another_has_taken_is_gone_and_takes_nothing_along() {
    let mut room = Bare::new(50);
    let at = |number| ConnectionId { number, ..sim::connection(3) };
    let hello = |name: &str, resume: Option<String>| Hello { resume, ..Hello::to(Bare::KIND, 3, name, 0) };
    room.connect(at(1), &hello("Ada", None), Some(Role::Member));
    let ada = welcome(&mut room);
    // That the first one ended is not heard before another has its place.
    room.connect(at(2), &hello("Bob", None), Some(Role::Member));
    assert_eq!(room.stats().members, 1, "Ada's has ended");
    room.disconnect(at(1));
    room.connect(sim::connection(4), &hello("", Some(ada.resume)), None);
    assert_eq!((room.stats().members, room.stats().population), (2, 2));
    assert!(room.host.member_at(at(2)).is_some() && room.host.member_at(at(1)).is_none());
}

#[test]
fn a_restored_room_has_the_same_members_numbers_and_talk() {
    let mut world = World::new(50);
    let (ada, bob) = (world.join(CALM), world.join(BAD));
    world.run(30);
    world.say(ada, "before");
    world.run(60);
    let before = world.clients[ada].entries.len();
    let saved = world.room.snapshot().unwrap();
    world.room = Bare::restore(2, &saved).unwrap();
    let again = world.room.snapshot().unwrap();
    assert_eq!(Bare::restore(2, &again).unwrap().snapshot(), Some(again));
    [ada, bob].into_iter().for_each(|index| world.connect(index, None));
    world.run(30);
    world.say(bob, "after");
    world.run(60);
    let client = &world.clients[ada];
    assert!(client.closed.is_none() && client.entries.len() == before + 1, "numbers go on: {:?}", client.entries);
    let history = client.events.iter().rev().find_map(|event| match event {
        SessionEvent::Welcomed { resumed: true, history, .. } => Some(history.len()),
        _ => None,
    });
    assert_eq!(history, Some(1), "what was said before is told to whoever begins anew");
    assert!(matches!(Bare::restore(3, &saved[1..]), Err(Unreadable::Foreign)));
    assert!(matches!(Bare::restore(3, &saved[..saved.len() - 1]), Err(Unreadable::Damaged)));
}

/// Members are numbered for good: a room that counts on gives nobody the number of somebody else.
#[test]
fn a_member_that_left_is_nobody_any_more() {
    let mut world = World::new(50);
    let (goes, stays) = (world.join(CALM), world.join(CALM));
    world.run(10);
    world.clients[goes].peer.leave();
    world.run(10);
    assert_eq!(world.room.stats().population, 1);
    assert!(world.room.host.member(MemberId(1)).is_none() && world.room.host.member(MemberId(2)).is_some());
    world.connect(goes, None);
    world.run(5);
    assert_eq!((world.clients[goes].closed, world.clients[stays].closed), (Some(CloseReason::BadTicket), None));
}

/// The answer to a hello that was just said.
fn welcome(room: &mut Bare) -> Box<Welcome> {
    let Some(Output::Message(_, bytes)) = room.poll_output() else { panic!("a hello is answered") };
    let Ok(ServerMessage::Welcome(welcome)) = ServerMessage::decode(&bytes) else { panic!("with a welcome") };
    welcome
}

/// SPEC S2.3.
#[test]
fn another_kind_or_version_is_refused_and_every_version_that_is_understood_let_in() {
    let mut room = Bare::new(50);
    let good = Hello::to(Bare::KIND, 3, "Ada", 0);
    for (hello, is_welcome) in [
        (Hello { kind_version: 3, ..good.clone() }, true),
        (Hello { kind_version: 4, ..good.clone() }, true),
        (Hello { kind_version: 2, ..good.clone() }, false),
        (Hello { kind_version: 5, ..good.clone() }, false),
        (Hello { kind: 200, ..good.clone() }, false),
        (Hello { version: 4, ..good }, false),
    ] {
        room.connect(sim::connection(1), &hello, Some(Role::Member));
        match room.poll_output() {
            Some(Output::Message(..)) => assert!(is_welcome, "{hello:?}"),
            Some(Output::Refuse(_, CloseReason::VersionMismatch)) => assert!(!is_welcome, "{hello:?}"),
            other => panic!("{hello:?}: {other:?}"),
        }
        room.disconnect(sim::connection(1));
    }
}

/// SPEC S5.3.
#[test]
fn an_operation_counts_once_however_often_the_line_breaks_under_it() {
    let mut world = World::new(50);
    let (talker, other) = (world.join(BAD), world.join(CALM));
    world.run(60);
    let mut wanted = 0;
    for round in 0..40 {
        world.clients[talker].peer.operate(Operation::Kind(vec![round]));
        wanted += 1;
        world.run(4 + u32::from(round) % 9);
        if round % 3 == 0 {
            // What was on its way in either direction is lost with the line.
            world.cut(talker);
            world.connect(talker, None);
        }
    }
    world.run(240);
    let rung: Vec<_> = world.clients[other].bells.iter().map(|bell| bell.body[0]).collect();
    assert_eq!(rung, (0..wanted).collect::<Vec<_>>(), "each once, in order");
    assert_eq!(world.clients[talker].answers(), (1..=u32::from(wanted)).map(|id| (id, true)).collect::<Vec<_>>());
}

/// SPEC S5.3.
#[test]
fn what_was_done_before_a_save_is_not_done_again_after_it() {
    let mut world = World::new(50);
    let talker = world.join(CALM);
    world.run(10);
    world.clients[talker].peer.operate(Operation::Kind(vec![1]));
    world.run(2);
    let saved = world.room.snapshot().unwrap();
    world.clients[talker].peer.operate(Operation::Kind(vec![2]));
    world.run(1);
    // The machine is lost, and with it what it did last; the client has heard of none of it.
    world.room = Bare::restore(2, &saved).unwrap();
    world.connect(talker, None);
    world.run(20);
    let answers = world.clients[talker].answers();
    assert_eq!(answers.iter().map(|(id, _)| *id).max(), Some(2), "{answers:?}");
    assert!(answers.iter().all(|(_, is_done)| *is_done));
    assert_eq!(world.room.stats().last_entry, 3, "joined, and each bell once");
}

/// SPEC S7.5 and S7.6.
#[test]
fn what_is_kept_is_told_to_everybody_once_and_costs_nothing_else() {
    let mut world = World::new(50);
    let (ada, bob) = (world.join(CALM), world.join(CALM));
    world.run(10);
    world.say(ada, "hello");
    world.run(30);
    let kept = |client: &Client| {
        let kept = client.events.iter().filter_map(|event| match event {
            SessionEvent::Kept(entry) => Some(*entry),
            _ => None,
        });
        kept.collect::<Vec<_>>()
    };
    assert_eq!((kept(&world.clients[ada]), kept(&world.clients[bob])), (vec![0], vec![0]));
    let last = world.room.stats().last_entry;
    world.room.committed(last);
    world.run(30);
    assert_eq!((kept(&world.clients[ada]), kept(&world.clients[bob])), (vec![0, last], vec![0, last]));
    let bytes = world.clients[bob].peer.bytes().0;
    world.run(60);
    assert!(world.clients[bob].peer.bytes().0 <= bytes + 11 * 2, "a head every 100 ms, and no section");
}

/// SPEC S8.1.
#[test]
fn a_line_bears_the_time_at_which_it_was_said() {
    let mut world = World::new(50);
    let ada = world.join(CALM);
    world.run(TICK_HZ * 7);
    world.say(ada, "seven");
    world.run(30);
    assert_eq!(world.clients[ada].lines().next().unwrap().at_s, BEGINS_S + 7);
}

/// SPEC S3.8 and S5.3.
#[test]
fn a_reader_sees_all_changes_nothing_and_takes_nobodys_place() {
    let mut world = World::new(1);
    let member = world.join(CALM);
    let readers = [(); 3].map(|()| {
        let reader = world.join(CALM);
        world.connect(reader, Some(Role::Reader));
        reader
    });
    world.run(10);
    let stats = world.room.stats();
    assert_eq!((stats.members, stats.readers, stats.population), (1, 2, 1), "two may read, and nobody knows of them");
    assert_eq!(world.clients[readers[2]].closed, Some(CloseReason::RoomFull));
    world.say(readers[0], "let me talk");
    world.clients[readers[1]].peer.operate(Operation::Kind(vec![1]));
    world.say(member, "hello");
    world.run(30);
    for reader in &readers[..2] {
        let client = &world.clients[*reader];
        assert_eq!((client.answers(), client.lines().count(), client.bells.len()), (vec![(1, false)], 1, 0));
        let sentence = SessionEvent::Declined { id: 1, sentence: "You only read.".into() };
        assert!(client.events.contains(&sentence));
    }
    let saved = world.room.snapshot().unwrap();
    world.cut(readers[0]);
    world.connect(readers[0], None);
    world.run(10);
    assert_eq!(world.room.stats().readers, 2, "it comes back as what it was");
    world.room = Bare::restore(2, &saved).unwrap();
    world.connect(readers[0], None);
    world.run(5);
    assert_eq!(world.clients[readers[0]].closed, Some(CloseReason::BadTicket), "a save keeps no readers");
}
