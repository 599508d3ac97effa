//! What the text of the lounge's wire (`SPEC.md`) says and no other test shows.

#![allow(clippy::unwrap_used, reason = "clippy's own exception covers test functions, not what they call")]

use lounge::{Client, ClientEvent, Room, RoomConfig, TICK_HZ, wire};
use protocol::{
    close::CloseReason,
    message::{ClientMessage, Hello, Operation, Packet, ServerMessage, Welcome},
    room::Kind,
    token::{Key, Role},
};
use session::{
    Command, Engine, Level, Output, SessionEvent,
    sim::{self, Outbox},
};

fn room() -> Room {
    Room::new(RoomConfig {
        name: "lounge-m1".into(),
        key: Key::new("only for this simulation").unwrap(),
        epoch: 1,
        max_members: 100,
        max_readers: 2,
        beat_ticks: 4,
        idle_ms: 5000,
        silence_max_ms: 60_000,
        begins_s: 0,
    })
}

fn outputs(room: &mut Room) -> Vec<Output> {
    std::iter::from_fn(|| room.poll_output()).collect()
}

/// Somebody without a name comes by connection `number`.
fn enter(room: &mut Room, number: u32) -> Welcome {
    let hello = Hello::to(Kind::Lounge, *wire::VERSIONS.end(), "", 9);
    room.connect(sim::connection(number), &hello, Some(Role::Member));
    match &outputs(room)[..] {
        [Output::Message(_, message)] => match ServerMessage::decode(message).unwrap() {
            ServerMessage::Welcome(welcome) => *welcome,
            other => panic!("{other:?} is no welcome"),
        },
        other => panic!("{other:?} is no welcome"),
    }
}

fn operate(room: &mut Room, connection: u32, number: u32, operation: Operation) -> ServerMessage {
    let message = ClientMessage::Operation { number, operation };
    room.receive(sim::connection(connection), Packet::Session(message));
    let told = outputs(room);
    let [Output::Message(_, message)] = &told[..] else { panic!("{told:?} is no answer") };
    ServerMessage::decode(message).unwrap()
}

/// SPEC L1.1 and S5.4.
#[test]
fn members_are_numbered_as_they_come_and_guests_without_a_name() {
    let mut room = room();
    let welcomes = [1, 2, 3].map(|number| enter(&mut room, number));
    assert_eq!(welcomes.each_ref().map(|welcome| welcome.member), [1, 2, 3]);
    assert_eq!((&*welcomes[2].profile.name, welcomes[2].profile.hue), ("Guest", 1));
    assert_eq!(wire::VERSIONS, 1..=1);
    assert_eq!(TICK_HZ, 40);
}

/// SPEC L2.2.
#[test]
fn an_operation_of_a_kind_is_declined() {
    let mut room = room();
    enter(&mut room, 1);
    for (number, body) in [(1, vec![]), (2, vec![0]), (3, vec![255; 1024])] {
        let answer = operate(&mut room, 1, number, Operation::Kind(body));
        assert!(matches!(answer, ServerMessage::Declined { number: told, .. } if told == number), "{answer:?}");
    }
}

/// Frames that the first of many members gets in a second in which somebody talks on each tick.
fn frames_a_second(level: Level) -> usize {
    let mut room = room();
    (1..=40).for_each(|number| _ = enter(&mut room, number));
    room.command(Command::Relieve(level));
    let mut frames = 0;
    for tick in 1..=2 * TICK_HZ {
        room.tick();
        operate(&mut room, tick % 40 + 1, tick, Operation::Chat("hello".into()));
        let mut outbox = Outbox::default();
        room.frames(&mut outbox);
        let of_the_first = outbox.frames.iter().filter(|(to, _)| *to == sim::connection(1)).count();
        frames += if tick > TICK_HZ { of_the_first } else { 0 };
    }
    frames
}

/// SPEC L1.4 and L3.2.
#[test]
fn a_busy_room_tells_four_times_a_second_and_lets_nobody_new_in_at_last() {
    assert_eq!(frames_a_second(Level::Full), 10);
    for level in [Level::Cadence, Level::Detail, Level::Extras] {
        assert_eq!(frames_a_second(level), 4, "{level:?}");
    }
    let mut room = room();
    room.command(Command::Relieve(Level::Joins));
    let hello = Hello::to(Kind::Lounge, *wire::VERSIONS.end(), "Ada", 0);
    room.connect(sim::connection(1), &hello, Some(Role::Member));
    assert_eq!(outputs(&mut room), [Output::Refuse(sim::connection(1), CloseReason::Overloaded)]);
}

/// SPEC L3.1, L3.2, S7.1, S7.5 and S8.1: frames as the text writes them.
#[test]
fn frames_written_by_the_text_are_read() {
    let mut room = room();
    let welcome = ServerMessage::Welcome(Box::new(enter(&mut room, 1)));
    let mut client = Client::new();
    client.hello("Ada", 1, None, None);
    client.receive(&welcome.encode()).unwrap();
    let entry = [&[0, 7, 3][..], b"Bob", &[2], b"hi", &[0]].concat();
    let begins = [&[0x80 | 32 | 16 | 1, 0][..], &100_u32.to_le_bytes(), &300_u32.to_le_bytes()].concat();
    let section = [&1_u32.to_le_bytes()[..], &[1], &(entry.len() as u16).to_le_bytes(), &entry].concat();
    client.receive(&[begins, section].concat()).unwrap();
    // Behind a gap of entries that are forgotten, long after.
    let later = [&[0x80 | 32 | 16, 0][..], &400_u32.to_le_bytes(), &9_u32.to_le_bytes(), &[0x81], &9_u32.to_le_bytes()];
    let later = [&later.concat()[..], &(entry.len() as u16).to_le_bytes(), &entry].concat();
    client.receive(&later).unwrap();
    client.receive(&[0x80 | 32, 64]).unwrap();
    let events: Vec<_> = std::iter::from_fn(|| client.poll_event()).collect();
    assert!(events.contains(&ClientEvent::People(300)), "{events:?}");
    let numbers = events.iter().filter_map(|event| match event {
        ClientEvent::Session(SessionEvent::Entry { number, .. }) => Some(*number),
        _ => None,
    });
    assert_eq!(numbers.collect::<Vec<_>>(), [1, 9], "{events:?}");
    assert!(client.receive(&[0x80 | 32, 65]).is_err(), "no frame covers so much");
}
