//! Both ends of what every room has, and nothing else: a room of no kind, its members, and lines between them, in virtual
//! time from one seed (`SIM_SEED=…` replays).

#![allow(clippy::unwrap_used, reason = "clippy's own exception covers test functions, not what they call")]

use protocol::{
    Tick,
    bits::BitReader,
    close::CloseReason,
    frame::{Header, decode_entries},
    limits::{FRAME_SPAN_MAX_TICKS, RESUME_GRACE_MS, SILENCE_MAX_MS},
    message::{ClientMessage, ClientPacket, Event, HOT_BIT, Hello, InputPacket, ServerMessage},
    token::Key,
};
use session::{
    Command, ConnectionId, Ending, Engine, Entrance, FrameSink, Host, HostConfig, Incoming, Level, MemberId, Output,
    Peer, Received, SavedLog, SavedMembers, Sent, Sentences, SessionEvent, Stats,
    save::{self, Unreadable},
    sim::{self, Link, LinkConditions, Outbox, Rng},
};
use std::collections::BTreeMap;

const TICK_MS: f64 = 1000.0 / protocol::TICK_HZ as f64;
const FORMAT: u32 = 1;

/// A room in which people are, and talk. Whoever has read all there is hears from it ten times a second.
struct Bare {
    host: Host<(), ()>,
    tick: Tick,
    next_author: u16,
}

fn config(epoch: u32, capacity: u16) -> HostConfig {
    let key = Key::new("only for this simulation").unwrap();
    let sentences = Sentences { chat_too_fast: "Slower.", chat_out_of_range: "Shorter." };
    HostConfig { name: "bare-m1".into(), key, epoch, capacity, sentences }
}

impl Bare {
    fn new(capacity: u16) -> Self {
        Self { host: Host::new(config(1, capacity)), tick: 1, next_author: 1 }
    }

    fn restore(epoch: u32, bytes: &[u8]) -> Result<Self, Unreadable> {
        let (tick, next_author, members, log): (Tick, u16, SavedMembers<()>, SavedLog) = save::open(FORMAT, bytes)?;
        assert!(members.is_sound(&log, std::iter::empty()));
        Ok(Self { host: Host::restore(config(epoch, 50), members, log, tick, |()| ()), tick, next_author })
    }

    fn enter(&mut self, from: ConnectionId, hello: &Hello, is_admitted: bool) -> Result<(), CloseReason> {
        let known = self.host.recognise(hello, is_admitted)?;
        let is_resumed = known.is_some();
        let id = match known {
            Some(id) => id,
            None => {
                if let Some(gone) = self.host.make_place()? {
                    self.host.remove(gone);
                }
                self.next_author += 1;
                self.host.admit(self.next_author, hello, self.tick, ())
            }
        };
        let since = self.host.connect(id, from, if is_resumed { hello.have_tick } else { 0 }, self.tick);
        self.host.welcome(id, Entrance { is_resumed, since, have_entry: hello.have_event, kind: vec![7] }, self.tick);
        Ok(())
    }
}

impl Engine for Bare {
    fn connect(&mut self, from: ConnectionId, hello: &Hello, is_admitted: bool) {
        if let Err(reason) = self.enter(from, hello, is_admitted) {
            self.host.refuse(from, reason);
        }
    }

    fn receive(&mut self, from: ConnectionId, packet: ClientPacket) {
        match packet {
            ClientPacket::Inputs(packet) => {
                let Some(member) = self.host.member_at(from) else { return };
                member.note_activity(self.tick);
                member.window.acknowledge(packet.ack);
            }
            ClientPacket::Message(message) => match self.host.receive(from, message, self.tick) {
                Incoming::Leave(id) => _ = self.host.remove(id),
                Incoming::Handled | Incoming::Closed(_) | Incoming::Kind(..) => {}
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
                let has_events = member.cursor < log.last();
                let is_due = (has_events || waited >= 6) && member.has_window(tick, waited);
                if !is_due || !sink.can_take(to) {
                    continue;
                }
                let span = last.map_or(0, |last| (tick - last.tick) as u8);
                sink.put(to, &mut |bytes| {
                    Header { tick, span, has_events, ..Header::default() }.encode(bytes);
                    if has_events {
                        member.cursor = section.encode_after(log, member.cursor, bytes);
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
        Some(save::seal(FORMAT, self.tick, &(self.tick, self.next_author, members, log)))
    }

    fn stats(&self) -> Stats {
        let (members, population) = (self.host.connected() as u32, self.host.population() as u32);
        Stats { tick: self.tick, members, population, capacity: self.host.capacity() }
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
    /// What it has read, by number.
    entries: BTreeMap<u32, Event>,
    events: Vec<SessionEvent>,
    closed: Option<CloseReason>,
    is_silent: bool,
}

impl Client {
    fn receive(&mut self, bytes: &[u8]) {
        self.peer.count_in(bytes);
        if bytes[0] & HOT_BIT == 0 {
            match self.peer.receive(ServerMessage::decode(bytes).unwrap()) {
                Received::Welcome(welcome) => {
                    assert_eq!(welcome.rules, [7], "the kind's part comes as it was given");
                    let continues = welcome.since == self.tick && welcome.since != 0;
                    self.tick = welcome.tick.min(if continues { self.tick } else { welcome.tick });
                    let event = self.peer.welcomed(*welcome, continues);
                    self.events.push(event);
                }
                Received::Event(event) => self.events.push(event),
                Received::Noted => {}
            }
            return;
        }
        let mut reader = BitReader::new(bytes);
        let header = Header::decode(&mut reader, self.tick).unwrap();
        assert!(header.span == 0 || header.tick == self.tick + u32::from(header.span), "frames follow each other");
        self.tick = header.tick;
        let entries = if header.has_events { decode_entries(&mut reader).unwrap() } else { vec![] };
        for (number, entry) in entries {
            if self.peer.take_entry(number, &entry) {
                assert!(self.entries.insert(number, entry).is_none(), "an entry is taken once");
            }
        }
    }

    fn notices(&self) -> usize {
        self.events.iter().filter(|event| matches!(event, SessionEvent::Notice(_))).count()
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
    fn new(capacity: u16) -> Self {
        let seed = std::env::var("SIM_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(7);
        eprintln!("SIM_SEED={seed}");
        Self { room: Bare::new(capacity), clients: vec![], now_ms: 0.0, connections: 0, rng: Rng::new(seed) }
    }

    fn join(&mut self, conditions: LinkConditions) -> usize {
        self.clients.push(Client {
            peer: Peer::default(),
            tick: 0,
            connection: sim::connection(0),
            up: Link::default(),
            down: Link::default(),
            conditions,
            entries: BTreeMap::new(),
            events: vec![],
            closed: None,
            is_silent: false,
        });
        self.connect(self.clients.len() - 1, true);
        self.clients.len() - 1
    }

    /// A new connection, on whichever of three workers has its turn.
    fn connect(&mut self, index: usize, is_admitted: bool) {
        self.connections += 1;
        let client = &mut self.clients[index];
        let shard = (self.connections % 3) as u8;
        client.connection = ConnectionId { shard, ..sim::connection(self.connections) };
        (client.up, client.down, client.closed) = (Link::default(), Link::default(), None);
        let bytes = client.peer.hello((&format!("P{index}"), 1), None, None, client.tick);
        let ClientPacket::Message(ClientMessage::Hello(hello)) = ClientPacket::decode(&bytes).unwrap() else {
            panic!("a hello was encoded")
        };
        self.room.connect(client.connection, &hello, is_admitted);
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
                self.room.receive(client.connection, ClientPacket::decode(&bytes).unwrap());
            }
            let ack = InputPacket { number: 1, ack: client.tick, at: client.tick, view_delay: 0, inputs: vec![] };
            let ack = (client.peer.is_welcomed() && !client.is_silent).then(|| ack.encode());
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
        self.clients[index].peer.say(ClientMessage::Chat(text.to_owned()));
    }
}

const CALM: LinkConditions = LinkConditions { one_way_ms: 0.0, jitter_ms: 0.0 };
const BAD: LinkConditions = LinkConditions { one_way_ms: 90.0, jitter_ms: 80.0 };

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
            world.connect(lost, false);
        }
    }
    world.run(120);
    let all: BTreeMap<u32, Event> = world.clients.iter().flat_map(|client| client.entries.clone()).collect();
    assert!(all.values().filter(|entry| matches!(entry, Event::Chat { .. })).count() > 50);
    for (index, client) in world.clients.iter().enumerate() {
        assert_eq!(client.closed, None, "client {index}");
        assert!(client.entries.iter().all(|(number, entry)| all[number] == *entry), "client {index}");
        let first = *client.entries.keys().next().unwrap();
        let missing: Vec<_> = all.range(first..).filter(|(number, _)| !client.entries.contains_key(number)).collect();
        // Whoever begins anew is given the chat of before in its welcome instead.
        let was_told = |text: &str| {
            client.events.iter().any(|event| {
                matches!(event, SessionEvent::Welcomed { history, .. }
                if history.iter().any(|line| matches!(line, Event::Chat { text: said, .. } if said == text)))
            })
        };
        for (number, entry) in missing {
            assert!(
                matches!(entry, Event::Joined { .. }) || matches!(entry, Event::Chat { text, .. } if was_told(text)),
                "client {index} never heard of {number}: {entry:?}"
            );
        }
    }
}

#[test]
fn a_short_cut_continues_and_a_member_is_the_same_on_another_worker() {
    let mut world = World::new(50);
    let (talker, other) = (world.join(CALM), world.join(CALM));
    world.run(60);
    world.cut(talker);
    world.run(10);
    world.say(other, "while you were away");
    world.run(10);
    world.connect(talker, false);
    world.run(20);
    let client = &world.clients[talker];
    let welcomed = |event: &SessionEvent| match event {
        SessionEvent::Welcomed { resumed, continues, .. } => Some((*resumed, *continues)),
        _ => None,
    };
    assert_eq!(client.events.iter().filter_map(welcomed).collect::<Vec<_>>(), [(false, false), (true, true)]);
    assert!(client.entries.values().any(|entry| matches!(entry, Event::Chat { .. })), "what was missed has come");
    assert_eq!(world.room.stats().members, 2);
}

#[test]
fn who_falls_silent_is_closed_and_who_does_not_come_back_has_left() {
    let mut world = World::new(50);
    let (silent, stays) = (world.join(CALM), world.join(CALM));
    world.run(10);
    world.clients[silent].is_silent = true;
    world.run((SILENCE_MAX_MS / 1000) as u32 * protocol::TICK_HZ + 60);
    assert!(matches!(world.clients[silent].closed, Some(CloseReason::Silent | CloseReason::TooSlow)));
    assert_eq!((world.room.stats().members, world.room.stats().population), (1, 2), "a place is kept");
    world.run((RESUME_GRACE_MS / 1000) as u32 * protocol::TICK_HZ + 60);
    assert_eq!(world.room.stats().population, 1);
    let left = |entry: &&Event| matches!(entry, Event::Left { name, .. } if name == "P0");
    assert_eq!(world.clients[stays].entries.values().filter(left).count(), 1);
}

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
    world.connect(all[1], false);
    world.run(2);
    assert_eq!(world.clients[all[1]].closed, Some(CloseReason::BadTicket), "it had been gone longest");
    world.connect(all[0], false);
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
    world.connect(known, false);
    let newcomer = world.join(CALM);
    world.run(5);
    assert_eq!((world.clients[known].closed, world.clients[newcomer].closed), (None, Some(CloseReason::Overloaded)));
}

#[test]
fn names_are_told_on_demand_and_a_new_one_to_everybody() {
    let mut world = World::new(50);
    let (early, late) = (world.join(CALM), world.join(BAD));
    world.run(60);
    let author = |entry: &Event| if let Event::Joined { pilot, .. } = entry { Some(*pilot) } else { None };
    let of_late = world.clients[early].entries.values().find_map(author).unwrap();
    // Who was there first came before the late one's log: its name must be asked for.
    let of_early = of_late - 1;
    world.clients[late].peer.profiles.want(of_early);
    world.run(60);
    assert_eq!(world.clients[late].peer.profiles.get(of_early).unwrap().name, "P0");
    world.clients[early].peer.say(ClientMessage::Rename { name: "Ada".into(), hue: 3 });
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
    let lines = world.clients[other].entries.values().filter(|entry| matches!(entry, Event::Chat { .. })).count();
    assert_eq!((lines + world.clients[talker].notices(), world.clients[other].notices()), (20, 0));
    assert!((5..10).contains(&lines), "{lines} lines got through");
}

#[test]
fn a_second_hello_closes_the_connection_that_says_it_and_no_other() {
    let mut world = World::new(50);
    let (rude, other) = (world.join(CALM), world.join(CALM));
    world.run(5);
    let hello = Hello {
        version: protocol::PROTOCOL_VERSION,
        ticket: None,
        resume: None,
        have_tick: 0,
        have_event: 0,
        name: "again".into(),
        hue: 0,
    };
    let connection = world.clients[rude].connection;
    world.room.receive(connection, ClientPacket::Message(ClientMessage::Hello(hello)));
    world.run(2);
    assert_eq!(world.clients[rude].closed, Some(CloseReason::BadMessage));
    assert!(world.clients[other].closed.is_none() && world.room.stats().members == 1);
}

#[test]
fn a_connection_whose_place_another_has_taken_is_gone_and_takes_nothing_along() {
    let mut room = Bare::new(50);
    let at = |number| ConnectionId { number, ..sim::connection(3) };
    let hello = |name: &str, resume: Option<String>| Hello {
        version: protocol::PROTOCOL_VERSION,
        ticket: None,
        resume,
        have_tick: 0,
        have_event: 0,
        name: name.into(),
        hue: 0,
    };
    room.connect(at(1), &hello("Ada", None), true);
    let Some(Output::Message(_, bytes)) = room.poll_output() else { panic!("a hello is answered") };
    let Ok(ServerMessage::Welcome(ada)) = ServerMessage::decode(&bytes) else { panic!("with a welcome") };
    // That the first one ended is not heard before another has its place.
    room.connect(at(2), &hello("Bob", None), true);
    assert_eq!(room.stats().members, 1, "Ada's has ended");
    room.disconnect(at(1));
    room.connect(sim::connection(4), &hello("", Some(ada.resume)), false);
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
    assert_eq!(world.room.snapshot().unwrap().len(), saved.len());
    [ada, bob].into_iter().for_each(|index| world.connect(index, false));
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
    world.clients[goes].peer.say(ClientMessage::Leave);
    world.run(10);
    assert_eq!(world.room.stats().population, 1);
    assert!(world.room.host.member(MemberId(1)).is_none() && world.room.host.member(MemberId(2)).is_some());
    world.connect(goes, false);
    world.run(5);
    assert_eq!((world.clients[goes].closed, world.clients[stays].closed), (Some(CloseReason::BadTicket), None));
}
