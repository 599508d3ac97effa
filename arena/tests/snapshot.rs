//! A room that is saved and restored, beside one that never stopped.

#![allow(clippy::unwrap_used, reason = "clippy's own exception covers test functions, not what they call")]

use arena::{
    Room, RoomConfig, SnapshotError,
    wire::{self, Input, InputPacket},
};
use protocol::{
    close::CloseReason,
    entry::{Entry, Line, Talk},
    message::{ClientMessage, Hello, Operation, Packet, ServerMessage, Welcome},
    room::Kind,
    token::{Key, Resume, Role},
};
use session::{
    ConnectionId, Engine, Output,
    save::{self, Unreadable},
    sim::{self, Outbox},
};

fn config(epoch: u32) -> RoomConfig {
    let key = Key::new("a secret of enough length").unwrap();
    RoomConfig::new("arena-m1", key, epoch, 5, include_str!("../../assets/tuning.ron")).unwrap()
}

fn hello(name: &str, resume: Option<String>) -> Hello {
    Hello { resume, ..Hello::to(Kind::Arena, wire::version(), name, 2) }
}

/// Connects under this number and returns the welcome; other messages are dropped.
fn join(room: &mut Room, number: u32, hello: &Hello, admission: Option<Role>) -> Result<Welcome, CloseReason> {
    room.connect(sim::connection(number), hello, admission);
    let mut answer = None;
    while let Some(output) = room.poll_output() {
        match output {
            Output::Message(to, bytes) if to == sim::connection(number) => match ServerMessage::decode(&bytes) {
                Ok(ServerMessage::Welcome(welcome)) => answer = Some(Ok(*welcome)),
                other => panic!("no welcome but {other:?}"),
            },
            Output::Refuse(_, reason) => answer = Some(Err(reason)),
            _ => {}
        }
    }
    answer.expect("a hello is answered")
}

fn operate(number: u32, operation: Operation) -> Packet<'static> {
    Packet::Session(ClientMessage::Operation { number, operation })
}

/// What everybody (members 1 to `count`) does at a tick: steers, shoots, talks and flies again, by lot.
fn act(room: &mut Room, count: u32, tick: u32) {
    for number in 1..=count {
        let lot = (tick.wrapping_mul(2_654_435_761) ^ number.wrapping_mul(40_503)).wrapping_mul(2_246_822_519) >> 8;
        let inputs = if lot.is_multiple_of(3) { vec![Input { tick: tick + 2, controls: lot as u16 }] } else { vec![] };
        let packet = InputPacket { number: 1 + (tick % 255) as u8, ack: tick, at: tick + 2, view_delay: 60, inputs };
        let operation = if !lot.is_multiple_of(3) && lot.is_multiple_of(20) {
            Operation::Kind(wire::Operation::FlyAgain.encode())
        } else if !lot.is_multiple_of(3) && lot.is_multiple_of(211) {
            Operation::Chat(format!("at {tick}"))
        } else {
            room.receive(sim::connection(number), Packet::Kind(&packet.encode()));
            continue;
        };
        room.receive(sim::connection(number), operate(tick + 1, operation));
    }
}

/// A tick, everybody's frames, and everything else that is said.
fn tick(room: &mut Room, count: u32) -> (Vec<(ConnectionId, Vec<u8>)>, Vec<Output>) {
    act(room, count, room.stats().tick);
    room.tick();
    let mut outbox = Outbox::default();
    room.frames(&mut outbox);
    (outbox.frames, std::iter::from_fn(|| room.poll_output()).collect())
}

#[test]
fn a_restored_room_equals_one_that_never_stopped() {
    let mut room = Room::new(config(1));
    let names = ["Ada", "Bob", "Cyd", "Dee", "Eve"];
    let mut number = 0;
    let mut welcomes = names.map(|name| {
        number += 1;
        join(&mut room, number, &hello(name, None), Some(Role::Member)).unwrap()
    });
    for (life, epoch) in (2..6).enumerate() {
        (0..500 + 7 * life).for_each(|_| _ = tick(&mut room, 5));
        // One has been gone for a while when the room is saved.
        room.disconnect(sim::connection(5));
        (0..20).for_each(|_| _ = tick(&mut room, 4));

        let saved = room.save();
        let mut restored = Room::restore(config(epoch), &saved).unwrap();
        (1..=5).for_each(|number| room.disconnect(sim::connection(number)));
        assert_eq!(restored.rows(), room.rows());
        // Nobody is there for a moment, then all come back one after the other.
        for _ in 0..30 {
            assert_eq!(tick(&mut restored, 0), tick(&mut room, 0));
            assert_eq!(restored.rows(), room.rows());
        }
        for (number, welcome) in (1..).zip(&mut welcomes) {
            let hello = hello("", Some(welcome.resume.clone()));
            let expected = join(&mut room, number, &hello, None).unwrap();
            let found = join(&mut restored, number, &hello, None).unwrap();
            assert_eq!(found.member, welcome.member);
            assert!(found.resumed && !found.history.is_empty());
            assert_eq!(found, Welcome { epoch, ..expected }, "all but the room's life is the same");
            *welcome = found;
        }
        for _ in 0..600 {
            assert_eq!(tick(&mut restored, 5), tick(&mut room, 5));
            assert_eq!(restored.rows(), room.rows(), "tick {}", room.stats().tick);
        }
        assert_eq!(restored.save(), room.save());
        room = restored;
    }
    let kept = &welcomes[0].history;
    assert!(kept.len() > 10 && kept.iter().all(Entry::is_chat), "{}", kept.len());
}

/// SPEC S3.4.
#[test]
fn a_session_of_a_forgotten_life_does_not_open_anothers() {
    let mut room = Room::new(config(1));
    let ada = join(&mut room, 1, &hello("Ada", None), Some(Role::Member)).unwrap();
    room.tick();
    let saved = room.save();
    let bob = join(&mut room, 2, &hello("Bob", None), Some(Role::Member)).unwrap();

    let mut restored = Room::restore(config(2), &saved).unwrap();
    let eve = join(&mut restored, 3, &hello("Eve", None), Some(Role::Member)).unwrap();
    let key = Key::new("a secret of enough length").unwrap();
    let member = |welcome: &Welcome| key.verify_resume(&welcome.resume, "arena-m1").unwrap().member;
    assert_eq!(member(&eve), member(&bob), "numbers go on where the save was");
    assert_eq!(join(&mut restored, 4, &hello("", Some(bob.resume)), None), Err(CloseReason::BadTicket));
    assert!(join(&mut restored, 5, &hello("", Some(ada.resume)), None).unwrap().resumed);
    assert!(join(&mut restored, 6, &hello("", Some(eve.resume)), None).unwrap().resumed);
}

#[test]
fn a_token_given_out_after_the_save_is_good_and_rotates() {
    let fly_again = || operate(1, Operation::Kind(wire::Operation::FlyAgain.encode()));
    let mut room = Room::new(config(1));
    let first = join(&mut room, 1, &hello("Ada", None), Some(Role::Member)).unwrap();
    room.receive(sim::connection(1), fly_again());
    room.tick();
    let saved = room.save();
    let second = join(&mut room, 2, &hello("", Some(first.resume.clone())), None).unwrap();
    let third = join(&mut room, 3, &hello("", Some(second.resume)), None).unwrap();

    let mut restored = Room::restore(config(2), &saved).unwrap();
    let fourth = join(&mut restored, 4, &hello("", Some(third.resume.clone())), None).unwrap();
    restored.receive(sim::connection(4), fly_again());
    let refused = |room: &mut Room, reason| {
        for old in [&first, &third] {
            assert_eq!(join(room, 5, &hello("", Some(old.resume.clone())), None), Err(reason));
        }
    };
    refused(&mut restored, CloseReason::Replaced);
    restored.disconnect(sim::connection(4));
    refused(&mut restored, CloseReason::BadTicket);
    assert!(join(&mut restored, 6, &hello("", Some(fourth.resume)), None).unwrap().resumed);
}

#[test]
fn a_room_wakes_up_on_a_field_of_another_size_with_everybody_in_it() {
    let mut room = Room::new(config(1));
    let ada = join(&mut room, 1, &hello("Ada", None), Some(Role::Member)).unwrap();
    (0..200).for_each(|_| _ = tick(&mut room, 1));
    let mut other = config(2);
    other.rules.motion.grid.cells += 1;
    let mut restored = Room::restore(other, &room.save()).unwrap();
    let back = join(&mut restored, 1, &hello("", Some(ada.resume)), None).unwrap();
    assert!(back.resumed && back.member == ada.member && back.profile.name == "Ada");
    (0..200).for_each(|_| _ = tick(&mut restored, 1));
    assert!(!restored.rows().is_empty());
}

#[test]
fn what_is_no_save_of_an_arena_is_refused_with_a_sentence() {
    let refusal = |bytes: &[u8]| Room::restore(config(2), bytes).map(|_| ()).unwrap_err();
    assert_eq!(refusal(b"GIF89a, not a room"), SnapshotError::Unreadable(Unreadable::Foreign));
    assert_eq!(refusal(b"GIF89a, not a room").to_string(), "it is no save of a room");
    let other = save::seal(Kind::Arena, 1, &"not an arena");
    let sentence =
        "it has a field that cannot be taken over: invalid type: string \"not an arena\", expected struct Saved";
    assert!(refusal(&other).to_string().starts_with(sentence), "{}", refusal(&other));
}

/// See `saves/README.md`.
#[test]
fn a_save_of_before_fields_had_names_is_restored() {
    let saved = include_bytes!("saves/arena-format-2.snapshot");
    let mut config = config(2);
    config.rules.motion.grid.cells = 10;
    let mut room = Room::restore(config.clone(), saved).unwrap();
    assert_eq!((room.stats().tick, room.stats().members, room.figures().pilots), (607, 0, 20));
    let count = |room: &Room, kind| room.rows().iter().filter(|row| row.kind == kind).count();
    assert_eq!([game::PLANE, game::BULLET, game::STANDING].map(|kind| count(&room, kind)), [18, 20, 10]);
    let best = room.rows().iter().find(|row| (row.kind, row.id) == (game::STANDING, 0)).unwrap();
    assert_eq!(best.fields[..2], [9, 27]);
    let plane = room.rows().iter().find(|row| (row.kind, row.id) == (game::PLANE, 23)).unwrap();
    assert_eq!(plane.fields[..15], [100_680, 132_872, 46_387, 4_299, 7, 2, 1, 1, 100, 61, 2, 0, 42, 11, 0]);

    // As if it had been saved by today's version, it goes on to the same.
    let mut again = Room::restore(config, &room.save()).unwrap();
    for _ in 0..300 {
        assert_eq!(tick(&mut again, 0), tick(&mut room, 0));
        assert_eq!(again.rows(), room.rows());
    }
    assert_eq!(again.save(), room.save());
}

#[test]
fn whoever_was_in_a_room_of_before_fields_had_names_comes_back_to_it() {
    let saved = include_bytes!("saves/arena-format-2.snapshot");
    let mut room = Room::restore(config(2), saved).unwrap();
    let key = Key::new("a secret of enough length").unwrap();
    let mut back = |number: u32, member, generation| {
        let resume = Resume { epoch: 1, member, generation, role: Role::Member };
        join(&mut room, number, &hello("", Some(key.sign_resume("arena-m1", resume))), None)
    };
    assert_eq!(back(1, 1, 1), Err(CloseReason::BadTicket), "Ada has used a newer one");
    for (session, pilot, name) in
        [(1, 21, "Ada"), (2, 22, "Bobby"), (3, 23, "Cyd"), (5, 25, "Eve"), (8, 28, "Höð"), (9, 30, "Ivy")]
    {
        let welcome = back(session + 1, session, if session == 1 { 2 } else { 1 }).unwrap();
        assert_eq!((welcome.resumed, welcome.member, welcome.profile.name.as_str()), (true, pilot, name));
        assert_eq!((welcome.last_entry, welcome.history.len()), (31, 14));
        let newest = &welcome.history[13];
        let line = Line { name: "Bobby".to_owned(), text: "at 543, says 2 ✈".to_owned(), at_s: 0 };
        assert_eq!((newest.author, newest.talk()), (22, Ok(Some(Talk::Chat(line)))));
    }
    assert_eq!(back(20, 6, 1), Err(CloseReason::BadTicket), "Fay has left");
}
