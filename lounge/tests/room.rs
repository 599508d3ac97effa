//! Whole chat rooms, with guests on good and bad lines, in virtual time from one seed (`SIM_SEED=…` replays).

#![allow(clippy::unwrap_used, reason = "clippy's own exception covers test functions, not what they call")]

use lounge::{Client, ClientEvent, Room, RoomConfig, TICK_HZ, Unfit, bot::Bot};
use protocol::{
    close::CloseReason,
    entry::{Entry, Line, Talk},
    message::{ClientMessage, Operation, Packet},
    token::{Key, Role},
};
use session::{
    ConnectionId, Engine, Output, SessionEvent,
    sim::{self, Link, LinkConditions, Outbox, Rng},
};

const TICK_MS: f64 = 1000.0 / TICK_HZ as f64;
const CALM: LinkConditions = LinkConditions { one_way_ms: 2.0, jitter_ms: 0.0 };
const BAD: LinkConditions = LinkConditions { one_way_ms: 90.0, jitter_ms: 120.0 };

fn config(epoch: u32) -> RoomConfig {
    RoomConfig {
        name: "lounge-m1".into(),
        key: Key::new("only for this simulation").unwrap(),
        epoch,
        max_members: 2000,
        max_readers: 2,
        beat_ticks: 4,
        idle_ms: 5000,
        silence_max_ms: 60_000,
        begins_s: 1_700_000_000,
    }
}

/// Somebody in the room, and the line to it.
struct Guest {
    client: Client,
    bot: Option<Bot>,
    connection: ConnectionId,
    up: Link,
    down: Link,
    conditions: LinkConditions,
    lines: Vec<(u32, Line)>,
    events: Vec<ClientEvent>,
    closed: Option<CloseReason>,
    frames: u32,
}

struct World {
    room: Room,
    guests: Vec<Guest>,
    now_ms: f64,
    connections: u32,
    rng: Rng,
    /// Connections that take no frames.
    blocked: Vec<ConnectionId>,
}

impl Guest {
    fn note(&mut self) {
        while let Some(event) = self.client.poll_event() {
            match event {
                ClientEvent::Session(SessionEvent::Entry { number, talk: Talk::Chat(line), .. }) => {
                    self.lines.push((number, line));
                }
                ClientEvent::Session(SessionEvent::Welcomed { history, continues, .. }) if !continues => {
                    self.lines = history.iter().map(said).collect();
                }
                event => self.events.push(event),
            }
        }
    }

    fn people(&self) -> Option<u32> {
        let people = |event: &ClientEvent| if let ClientEvent::People(count) = event { Some(*count) } else { None };
        self.events.iter().rev().find_map(people)
    }
}

fn said(entry: &Entry) -> (u32, Line) {
    let Ok(Some(Talk::Chat(line))) = entry.talk() else { panic!("a history is lines") };
    (entry.number, line)
}

impl World {
    fn new() -> Self {
        let seed = std::env::var("SIM_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(7);
        eprintln!("SIM_SEED={seed}");
        let (room, rng) = (Room::new(config(1)), Rng::new(seed));
        Self { room, guests: vec![], now_ms: 0.0, connections: 0, rng, blocked: vec![] }
    }

    fn join(&mut self, conditions: LinkConditions, role: Role) -> usize {
        let (up, down, connection) = (Link::default(), Link::default(), sim::connection(0));
        let (client, lines, events) = (Client::new(), vec![], vec![]);
        let (bot, closed, frames) = (None, None, 0);
        self.guests.push(Guest { client, bot, connection, up, down, conditions, lines, events, closed, frames });
        self.connect(self.guests.len() - 1, Some(role));
        self.guests.len() - 1
    }

    fn connect(&mut self, index: usize, admission: Option<Role>) {
        self.connections += 1;
        let guest = &mut self.guests[index];
        guest.connection = ConnectionId { shard: (self.connections % 3) as u8, ..sim::connection(self.connections) };
        (guest.up, guest.down, guest.closed) = (Link::default(), Link::default(), None);
        let hello = guest.client.hello(&format!("G{index}"), 1, None, None);
        let Ok(ClientMessage::Hello(hello)) = ClientMessage::decode(&hello) else { panic!("a hello was encoded") };
        self.room.connect(guest.connection, &hello, admission);
    }

    fn cut(&mut self, index: usize) {
        self.room.disconnect(self.guests[index].connection);
    }

    fn run_s(&mut self, seconds: f64) {
        (0..(seconds * f64::from(TICK_HZ)) as u32).for_each(|_| self.tick());
    }

    fn tick(&mut self) {
        self.now_ms += TICK_MS;
        for guest in &mut self.guests {
            while let Some(bytes) = guest.up.receive(self.now_ms) {
                self.room.receive(guest.connection, Packet::decode(&bytes).unwrap());
            }
            if let Some(bot) = &mut guest.bot {
                bot.act(&mut guest.client, self.now_ms);
            }
            while let Some(bytes) = guest.client.poll_send(self.now_ms) {
                guest.up.send(bytes, guest.conditions, self.rng.share(), self.now_ms);
            }
        }
        self.room.tick();
        self.hand_over();
        for guest in &mut self.guests {
            while let Some(bytes) = guest.down.receive(self.now_ms) {
                guest.client.receive(&bytes).expect("servers send what clients read");
                guest.note();
            }
        }
    }

    fn hand_over(&mut self) {
        let mut outbox = Outbox { blocked: self.blocked.iter().copied().collect(), ..Outbox::default() };
        self.room.frames(&mut outbox);
        outbox.frames.iter().for_each(|(to, _)| self.guest_at(*to).frames += 1);
        while let Some(output) = self.room.poll_output() {
            match output {
                Output::Message(to, bytes) => self.send(to, bytes.to_vec()),
                Output::Close(to, reason) | Output::Refuse(to, reason) => self.guest_at(to).closed = Some(reason),
            }
        }
        outbox.frames.into_iter().for_each(|(to, bytes)| self.send(to, bytes));
    }

    fn guest_at(&mut self, connection: ConnectionId) -> &mut Guest {
        self.guests.iter_mut().find(|guest| guest.connection == connection).unwrap()
    }

    fn send(&mut self, to: ConnectionId, bytes: Vec<u8>) {
        let (chance, now_ms) = (self.rng.share(), self.now_ms);
        let guest = self.guest_at(to);
        guest.down.send(bytes, guest.conditions, chance, now_ms);
    }

    fn say(&mut self, index: usize, text: &str) {
        self.guests[index].client.operate(Operation::Chat(text.to_owned()));
    }

    fn texts(&self, index: usize) -> Vec<&str> {
        self.guests[index].lines.iter().map(|(_, line)| &*line.text).collect()
    }
}

#[test]
fn everybody_reads_the_same_lines_in_the_same_order_over_any_line_and_any_cut() {
    let mut world = World::new();
    for index in 0..30 {
        let guest = world.join(if index % 3 == 0 { BAD } else { CALM }, Role::Member);
        world.guests[guest].bot = Some(Bot::new(index, 4000.0));
    }
    for _ in 0..40 {
        world.run_s(0.7);
        let lost = world.rng.draw(30) as usize;
        world.cut(lost);
        world.run_s(0.3);
        world.connect(lost, None);
    }
    world.guests.iter_mut().for_each(|guest| guest.bot = None);
    world.run_s(3.0);
    let all = world.guests[1].lines.clone();
    assert!(all.len() > 100, "{} lines", all.len());
    for guest in &world.guests {
        assert_eq!(guest.closed, None);
        // Whoever began anew has the last hundred before its return.
        let first = guest.lines[0].0;
        let same: Vec<_> = all.iter().filter(|(number, _)| *number >= first).collect();
        assert_eq!(guest.lines.iter().collect::<Vec<_>>(), same);
    }
}

#[test]
fn a_newcomer_reads_the_last_hundred_lines_and_when_they_were_said() {
    let mut world = World::new();
    let talker = world.join(CALM, Role::Member);
    for number in 0..110 {
        world.say(talker, &format!("line {number}"));
        world.run_s(1.1);
    }
    let newcomer = world.join(BAD, Role::Member);
    world.run_s(1.0);
    let lines = &world.guests[newcomer].lines;
    assert_eq!((lines.len(), &*lines[0].1.text, &*lines[99].1.text), (100, "line 10", "line 109"));
    assert!((108..=109).contains(&(lines[99].1.at_s - lines[0].1.at_s)), "99 times 1.1 s, in whole seconds");
    assert_eq!(world.guests[newcomer].people(), Some(2));
}

/// SPEC L1.2 and L1.3.
#[test]
fn who_comes_and_goes_is_a_number_and_no_line() {
    let mut world = World::new();
    let stays = world.join(CALM, Role::Member);
    world.run_s(1.0);
    let goes = world.join(CALM, Role::Member);
    world.run_s(1.0);
    assert_eq!(world.guests[stays].people(), Some(2));
    world.guests[goes].client.leave();
    world.run_s(1.0);
    assert_eq!((world.guests[stays].people(), world.room.stats().last_entry), (Some(1), 0));
}

/// SPEC L3.2.
#[test]
fn a_quiet_room_sends_a_frame_every_five_seconds_and_counts_a_tick_a_second() {
    let mut world = World::new();
    let guests: Vec<_> = (0..10).map(|_| world.join(CALM, Role::Member)).collect();
    world.run_s(2.0);
    let before: Vec<_> = guests.iter().map(|guest| world.guests[*guest].frames).collect();
    let mut counted = 0;
    for _ in 0..60 * TICK_HZ {
        counted += u32::from(world.room.idle_ticks() == 0);
        world.tick();
    }
    for (guest, before) in guests.iter().zip(before) {
        let frames = world.guests[*guest].frames - before;
        assert!((11..=13).contains(&frames), "{frames} frames in a minute");
        assert_eq!(world.guests[*guest].closed, None, "to be there is enough");
    }
    assert!(counted <= 61, "{counted} ticks of {} count", 60 * TICK_HZ);
}

/// A room that leaves out the ticks that it need not count is the same as one that counts all.
#[test]
fn ticks_that_bring_nothing_can_be_left_out() {
    let (mut every, mut some) = (Room::new(config(1)), Room::new(config(1)));
    let mut client = Client::new();
    let Ok(ClientMessage::Hello(hello)) = ClientMessage::decode(&client.hello("Ada", 1, None, None)) else {
        panic!("a hello was encoded")
    };
    for room in [&mut every, &mut some] {
        room.connect(sim::connection(1), &hello, Some(Role::Member));
    }
    let (mut frames, mut left_out) = ((Outbox::default(), Outbox::default()), 0);
    for tick in 1..20 * TICK_HZ {
        if tick.is_multiple_of(100) {
            let chat = |number| ClientMessage::Operation { number, operation: Operation::Chat("hello".into()) };
            for room in [&mut every, &mut some] {
                room.receive(sim::connection(1), Packet::Session(chat(tick)));
            }
        }
        every.tick();
        every.frames(&mut frames.0);
        if some.idle_ticks() > 0 {
            left_out += 1;
            some.skip(1);
        } else {
            some.tick();
            some.frames(&mut frames.1);
        }
        let outputs = |room: &mut Room| std::iter::from_fn(|| room.poll_output()).collect::<Vec<_>>();
        assert_eq!(outputs(&mut every), outputs(&mut some), "tick {tick}");
    }
    assert_eq!((frames.0.frames, every.save()), (frames.1.frames, some.save()));
    assert!(left_out > 19 * TICK_HZ - 100, "{left_out}");
}

/// SPEC L3.3.
#[test]
fn whoever_cannot_keep_up_gets_all_of_it_later_and_costs_nobody_anything() {
    let mut world = World::new();
    let (talker, slow) = (world.join(CALM, Role::Member), world.join(CALM, Role::Member));
    world.run_s(1.0);
    world.blocked.push(world.guests[slow].connection);
    for number in 0..40 {
        world.say(talker, &format!("line {number}"));
        world.run_s(0.2);
    }
    assert!(world.texts(talker).len() > 8 && world.texts(slow).is_empty());
    world.blocked.clear();
    world.run_s(1.0);
    assert_eq!(world.texts(slow), world.texts(talker));
}

#[test]
fn a_reader_reads_and_is_told_why_it_cannot_talk() {
    let mut world = World::new();
    let (member, reader) = (world.join(CALM, Role::Member), world.join(CALM, Role::Reader));
    world.say(member, "hello");
    world.say(reader, "me too");
    world.run_s(1.0);
    assert_eq!((world.texts(reader), world.guests[member].people()), (vec!["hello"], Some(1)));
    let declined = |event: &ClientEvent| matches!(event, ClientEvent::Session(SessionEvent::Declined { sentence, .. }) if sentence.starts_with("You are reading"));
    assert!(world.guests[reader].events.iter().any(declined));
}

#[test]
fn a_restored_room_has_its_talk_and_its_members_and_a_damaged_save_is_refused() {
    let mut world = World::new();
    let (ada, bob) = (world.join(CALM, Role::Member), world.join(CALM, Role::Member));
    world.say(ada, "before");
    world.run_s(1.0);
    let saved = world.room.save();
    world.room = Room::restore(config(2), &saved).unwrap();
    [ada, bob].into_iter().for_each(|guest| world.connect(guest, None));
    world.say(bob, "after");
    world.run_s(1.0);
    assert_eq!((world.texts(ada), world.texts(bob)), (vec!["before", "after"], vec!["before", "after"]));
    for at in 0..saved.len() {
        let mut bad = saved.clone();
        bad[at] ^= 1 << (at % 8);
        assert!(matches!(Room::restore(config(3), &bad), Err(Unfit::Unreadable(_))), "at {at}");
    }
}

/// SPEC L2.1.
#[test]
fn bytes_that_no_client_sends_close_the_connection_that_sent_them() {
    let mut world = World::new();
    let (rude, other) = (world.join(CALM, Role::Member), world.join(CALM, Role::Member));
    world.run_s(0.5);
    world.room.receive(world.guests[rude].connection, Packet::Kind(&[0x80, 1]));
    world.run_s(0.5);
    assert_eq!((world.guests[rude].closed, world.guests[other].closed), (Some(CloseReason::BadMessage), None));
}
