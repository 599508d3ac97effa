//! A room put aside and taken up again, beside one that never stopped.

#![allow(clippy::unwrap_used, reason = "clippy's own exception covers test functions, not what they call")]

use arena::{Output, Room, RoomConfig, SessionId, SnapshotError};
use protocol::{
    PROTOCOL_VERSION,
    close::CloseReason,
    message::{ClientMessage, ClientPacket, Event, Hello, Input, InputPacket, ServerMessage, Welcome},
    token::Key,
};

fn config(epoch: u32) -> RoomConfig {
    let key = Key::new("a secret of enough length").unwrap();
    RoomConfig::new("arena-m1", key, epoch, 5, include_str!("../../assets/tuning.ron")).unwrap()
}

fn hello(name: &str, resume: Option<String>) -> Hello {
    let name = name.to_owned();
    Hello { version: PROTOCOL_VERSION, ticket: None, resume, have_tick: 0, have_event: 0, name, hue: 2 }
}

/// Joins and returns the welcome; other messages are dropped.
fn join(room: &mut Room, hello: &Hello, is_admitted: bool) -> Result<(SessionId, Welcome), CloseReason> {
    let id = room.join(hello, is_admitted)?;
    while let Some(output) = room.poll_output() {
        if let Output::Message(to, bytes) = output
            && to == id
            && let Ok(ServerMessage::Welcome(welcome)) = ServerMessage::decode(&bytes)
        {
            return Ok((id, *welcome));
        }
    }
    panic!("no welcome");
}

/// What everybody does at a tick: steers, shoots, talks and flies again, by lot.
fn act(room: &mut Room, sessions: &[SessionId], tick: u32) {
    for id in sessions {
        let lot = (tick.wrapping_mul(2_654_435_761) ^ id.0.wrapping_mul(40_503)).wrapping_mul(2_246_822_519) >> 8;
        let inputs = vec![Input { tick: tick + 2, controls: lot as u16 }];
        let packet = InputPacket { number: 1 + (tick % 255) as u8, ack: tick, at: tick + 2, view_delay: 60, inputs };
        if lot.is_multiple_of(3) {
            room.handle(*id, ClientPacket::Inputs(packet));
        } else if lot.is_multiple_of(20) {
            room.handle(*id, ClientPacket::Message(ClientMessage::FlyAgain));
        } else if lot.is_multiple_of(211) {
            room.handle(*id, ClientPacket::Message(ClientMessage::Chat(format!("at {tick}"))));
        } else {
            let packet =
                InputPacket { number: 1 + (tick % 255) as u8, ack: tick, at: tick + 2, view_delay: 60, inputs: vec![] };
            room.handle(*id, ClientPacket::Inputs(packet));
        }
    }
}

/// A tick, everybody's frames, and everything else that is said.
fn tick(room: &mut Room, sessions: &[SessionId]) -> (Vec<Option<Vec<u8>>>, Vec<Output>) {
    act(room, sessions, room.stats().tick);
    room.tick();
    let frames = sessions.iter().map(|id| room.frame_for(*id).map(|frame| frame.to_vec())).collect();
    (frames, std::iter::from_fn(|| room.poll_output()).collect())
}

#[test]
fn a_restored_room_equals_one_that_never_stopped() {
    let mut room = Room::new(config(1));
    let names = ["Ada", "Bob", "Cyd", "Dee", "Eve"];
    let mut welcomes = names.map(|name| join(&mut room, &hello(name, None), true).unwrap());
    for (life, epoch) in (2..6).enumerate() {
        let ids: Vec<_> = welcomes.iter().map(|(id, _)| *id).collect();
        (0..500 + 7 * life).for_each(|_| _ = tick(&mut room, &ids));
        // One has been gone for a while when the room is put aside.
        room.disconnect(ids[4]);
        (0..20).for_each(|_| _ = tick(&mut room, &ids[..4]));

        let saved = room.snapshot();
        let mut restored = Room::restore(config(epoch), &saved).unwrap();
        ids.iter().for_each(|id| room.disconnect(*id));
        assert_eq!(restored.rows(), room.rows());
        // Nobody is there for a moment, then all come back one after the other.
        for _ in 0..30 {
            assert_eq!(tick(&mut restored, &[]), tick(&mut room, &[]));
            assert_eq!(restored.rows(), room.rows());
        }
        for (id, welcome) in &mut welcomes {
            let hello = hello("", Some(welcome.resume.clone()));
            let (again, expected) = join(&mut room, &hello, false).unwrap();
            let (there, found) = join(&mut restored, &hello, false).unwrap();
            assert_eq!((again, there), (*id, *id));
            assert!(found.resumed && !found.history.is_empty());
            assert_eq!(found, Welcome { epoch, ..expected }, "all but the room's life is the same");
            *welcome = found;
        }
        for _ in 0..600 {
            assert_eq!(tick(&mut restored, &ids), tick(&mut room, &ids));
            assert_eq!(restored.rows(), room.rows(), "tick {}", room.stats().tick);
        }
        assert_eq!(restored.snapshot(), room.snapshot());
        room = restored;
    }
    let kept = &welcomes[0].1.history;
    assert!(kept.len() > 10 && kept.iter().all(|event| matches!(event, Event::Chat { .. })), "{}", kept.len());
}

#[test]
fn a_session_of_a_forgotten_life_does_not_open_anothers() {
    let mut room = Room::new(config(1));
    let (_, ada) = join(&mut room, &hello("Ada", None), true).unwrap();
    room.tick();
    let saved = room.snapshot();
    let (forgotten, bob) = join(&mut room, &hello("Bob", None), true).unwrap();

    let mut restored = Room::restore(config(2), &saved).unwrap();
    let (eve_id, eve) = join(&mut restored, &hello("Eve", None), true).unwrap();
    assert_eq!(eve_id, forgotten, "numbers go on where the save was");
    assert_eq!(join(&mut restored, &hello("", Some(bob.resume)), false).unwrap_err(), CloseReason::BadTicket);
    assert!(join(&mut restored, &hello("", Some(ada.resume)), false).unwrap().1.resumed);
    assert!(join(&mut restored, &hello("", Some(eve.resume)), false).unwrap().1.resumed);
}

#[test]
fn a_token_given_out_after_the_save_is_good_and_rotates() {
    let mut room = Room::new(config(1));
    let (id, first) = join(&mut room, &hello("Ada", None), true).unwrap();
    room.handle(id, ClientPacket::Message(ClientMessage::FlyAgain));
    room.tick();
    let saved = room.snapshot();
    let (_, second) = join(&mut room, &hello("", Some(first.resume.clone())), false).unwrap();
    let (_, third) = join(&mut room, &hello("", Some(second.resume)), false).unwrap();

    let mut restored = Room::restore(config(2), &saved).unwrap();
    let (id, fourth) = join(&mut restored, &hello("", Some(third.resume.clone())), false).unwrap();
    restored.handle(id, ClientPacket::Message(ClientMessage::FlyAgain));
    let refused = |room: &mut Room, reason| {
        for old in [&first, &third] {
            assert_eq!(join(room, &hello("", Some(old.resume.clone())), false).unwrap_err(), reason);
        }
    };
    refused(&mut restored, CloseReason::Replaced);
    restored.disconnect(id);
    refused(&mut restored, CloseReason::BadTicket);
    assert!(join(&mut restored, &hello("", Some(fourth.resume)), false).unwrap().1.resumed);
}

#[test]
fn a_room_of_another_field_is_refused_with_a_sentence() {
    let saved = Room::new(config(1)).snapshot();
    let mut other = config(2);
    other.rules.motion.grid.cells += 1;
    let error = Room::restore(other, &saved).map(|_| ()).unwrap_err();
    assert_eq!(error.to_string(), "it is of a field of another size");
    let error = Room::restore(config(2), b"GIF89a, not a room").map(|_| ()).unwrap_err();
    assert_eq!(error, SnapshotError::Foreign);
}
