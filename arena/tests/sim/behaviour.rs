//! What a player and an operator can observe.

use crate::world::{LineProfile, World, planes, seed};
use arena::{ClientEvent, Killed, view::Scene, wire};
use game::plane::HEALTH_FULL;
use protocol::{
    close::CloseReason,
    entry::Talk,
    message::{KIND_TAG, Operation, Packet},
};
use session::{Engine, SessionEvent};

const CALM: LineProfile = LineProfile { one_way_ms: 0.0, jitter_ms: 0.0, stall_per_mille: 0 };
const FAR: LineProfile = LineProfile { one_way_ms: 75.0, jitter_ms: 10.0, stall_per_mille: 0 };
const BAD: LineProfile = LineProfile { one_way_ms: 120.0, jitter_ms: 60.0, stall_per_mille: 10 };

/// Every client's replica equals the room in every held cell, whatever the line.
/// SPEC A6.3, A6.5 and A6.6.
#[test]
fn replicas_equal_the_room_over_any_line() {
    let mut world = World::new(seed(), 20);
    for line in [CALM, FAR, BAD, FAR, BAD, CALM, BAD, BAD] {
        world.join(line);
    }
    world.run(3000);
    for (index, player) in world.players.iter().enumerate() {
        let stats = player.client.stats();
        assert_eq!(stats.mismatches, 0, "player {index}: {stats:?}");
        // A tick that brings a player no news brings no frame.
        assert!(stats.frames > 500, "player {index}: {stats:?}");
    }
    assert_eq!(world.room.figures().repairs, 0);
}

#[test]
fn many_in_one_place_stay_exact() {
    let mut world = World::new(seed(), 0);
    for index in 0..60 {
        world.join(if index % 3 == 0 { FAR } else { CALM });
    }
    world.run(900);
    assert!(world.players.iter().all(|player| player.client.stats().mismatches == 0));
}

#[test]
fn what_is_encoded_is_shared_by_all_who_watch() {
    const CELLS_HELD: f64 = 26.0;
    let mut world = World::new(seed(), 0);
    for _ in 0..200 {
        world.join(CALM);
    }
    world.run(60);
    let before = world.room.figures();
    world.run(120);
    let after = world.room.figures();
    let frames = (after.frames - before.frames) as f64;
    let encoded = (after.chunks_encoded - before.chunks_encoded) as f64;
    assert!(frames > 200.0 * 110.0, "everybody got a frame a tick");
    assert!(encoded < frames * CELLS_HELD / 20.0, "{encoded} chunks encoded for {frames} frames of 26 cells");
}

/// SPEC A1.1.
#[test]
fn own_plane_is_predicted_without_corrections_while_alone() {
    for one_way_ms in [0.0, 25.0, 75.0, 150.0] {
        let line = LineProfile { one_way_ms, ..CALM };
        let mut world = World::new(seed(), 0);
        let player = world.join(line);
        // Until the room has answered, the clock is a guess and inputs may come late.
        world.run(180);
        let before = world.players[player].client.stats().corrections;
        world.players[player].is_flown = false;
        for turn in 0..20 {
            let controls =
                game::Controls { steer: turn % 15 - 7, throttle: turn % 3, boost: turn % 4 == 0, fire: turn % 5 == 0 };
            world.players[player].client.control(controls);
            world.run(25);
        }
        let after = world.players[player].client.stats();
        assert_eq!(after.corrections - before, 0, "{line:?}: {after:?}");
    }
}

/// SPEC S4.3.
#[test]
fn a_dropped_socket_resumes_with_the_suffix() {
    let mut world = World::new(seed(), 20);
    let player = world.join(FAR);
    world.run(300);
    let pilot = world.players[player].client.pilot();
    world.cut(player);
    world.run(40);
    world.players[player].events.clear();
    world.connect(player, None);
    world.run(120);
    let player = &world.players[player];
    assert_eq!(player.client.pilot(), pilot);
    assert_eq!(player.client.stats().mismatches, 0);
    let welcomed = |event: &ClientEvent| {
        matches!(event, ClientEvent::Session(SessionEvent::Welcomed { continues: true, resumed: true, .. }))
    };
    assert!(player.events.iter().any(welcomed), "{:?}", player.events);
}

/// The packet with the change never arrives; the hand does not move again.
#[test]
fn a_resume_sends_again_what_was_not_acknowledged() {
    let controls = game::Controls { steer: 5, throttle: 2, boost: false, fire: false };
    let mut world = World::new(seed(), 0);
    let player = world.join(FAR);
    world.run(120);
    world.players[player].is_flown = false;
    world.players[player].client.control(controls);
    world.run(2);
    world.cut(player);
    world.run(30);
    world.connect(player, None);
    world.run(60);
    let (_, plane) = planes(world.room.rows()).next().unwrap();
    assert_eq!(game::Controls::of(&plane), controls);
}

#[test]
fn a_line_that_breaks_again_before_the_welcome_keeps_the_session() {
    let mut world = World::new(seed(), 5);
    let player = world.join(FAR);
    world.run(120);
    let pilot = world.players[player].client.pilot();
    for _ in 0..3 {
        world.cut(player);
        world.connect(player, None);
    }
    world.run(120);
    assert_eq!(world.players[player].client.pilot(), pilot);
    assert_eq!(world.players[player].client.stats().mismatches, 0);
}

/// Two windows share a session; each shows the newest token that either was given.
#[test]
fn a_session_goes_to_and_fro_between_two_clients() {
    let mut world = World::new(seed(), 5);
    let player = world.join(FAR);
    world.run(120);
    let pilot = world.players[player].client.pilot();
    let mut other = arena::Client::new();
    for _ in 0..3 {
        let newest = world.players[player].client.resume_token().map(str::to_owned);
        world.cut(player);
        std::mem::swap(&mut world.players[player].client, &mut other);
        world.connect(player, newest);
        world.run(120);
        assert_eq!(world.players[player].client.pilot(), pilot);
        assert_eq!(world.players[player].client.stats().mismatches, 0);
    }
}

#[test]
fn whoever_is_gone_longest_makes_room_in_a_full_room() {
    let mut world = World::with(seed(), |config| config.max_players = 2);
    let (gone, stays) = (world.join(CALM), world.join(CALM));
    world.run(60);
    let late = world.join(CALM);
    assert_eq!(world.players[late].closed, Some(CloseReason::RoomFull));
    world.cut(gone);
    world.players[gone].is_frozen = true;
    let newcomer = world.join(CALM);
    world.run(60);
    assert_eq!(world.players[newcomer].closed, None);
    assert_eq!(world.room.figures().players, 2);
    // Nothing happens around it, so it hears something every 100 ms.
    assert!(world.players[stays].client.stats().frames >= 120 / 6);
}

/// SPEC A6.6 and A8.2.
#[test]
fn repairs_are_rare_whatever_a_client_asks() {
    let mut world = World::new(seed(), 5);
    let player = world.join(CALM);
    world.run(60);
    for _ in 0..60 {
        let repair = [&[KIND_TAG], &wire::Request::Repair((0..60).collect()).encode()[..]].concat();
        let connection = world.players[player].connection.unwrap();
        world.room.receive(connection, Packet::Kind(&repair));
        world.tick();
    }
    assert!(world.room.figures().repairs <= 2 * 26, "{:?}", world.room.figures());
    assert_eq!(world.players[player].client.stats().mismatches, 0);
}

/// SPEC A5.2.
#[test]
fn a_fast_screen_sends_one_packet_a_tick() {
    let mut world = World::new(seed(), 0);
    let player = world.join(CALM);
    world.run(60);
    let client = &mut world.players[player].client;
    let packets = (0..240).filter(|frame| {
        client.control(game::Controls { steer: frame % 15 - 7, ..game::Controls::default() });
        client.poll_send(world.now_ms + f64::from(*frame) * 1000.0 / 240.0).is_some()
    });
    let packets = packets.count();
    assert!((50..=62).contains(&packets), "{packets} packets in a second");
}

/// A picture may follow a mere acknowledgement within the same tick; the key is answered in it all the same.
/// SPEC A5.2.
#[test]
fn an_acknowledgement_does_not_use_up_the_tick_of_a_key() {
    let mut world = World::new(seed(), 0);
    let player = world.join(CALM);
    world.run(60);
    world.players[player].is_flown = false;
    world.run(30);
    let client = &mut world.players[player].client;
    let now_ms = world.now_ms + 200.0;
    let inputs = |bytes: Option<Vec<u8>>| match wire::Packet::decode(&bytes.expect("a packet is due")) {
        Ok(wire::Packet::Inputs(packet)) => packet.inputs.len(),
        other => panic!("{other:?}"),
    };
    assert_eq!(inputs(client.poll_send(now_ms)), 0);
    assert_eq!(client.poll_send(now_ms), None, "one acknowledgement a tick");
    client.control(game::Controls { steer: 5, ..game::Controls::default() });
    assert_eq!(inputs(client.poll_send(now_ms)), 1);
    client.control(game::Controls::default());
    assert_eq!(client.poll_send(now_ms), None, "one change a tick");
}

/// SPEC S4.3.
#[test]
fn a_reloaded_page_is_the_same_pilot_and_starts_from_whole_cells() {
    let mut world = World::new(seed(), 5);
    let player = world.join(CALM);
    world.run(100);
    let (pilot, token) =
        (world.players[player].client.pilot(), world.players[player].client.resume_token().unwrap().to_owned());
    world.cut(player);
    world.players[player].client = arena::Client::new();
    world.connect(player, Some(token.clone()));
    world.run(100);
    assert_eq!(world.players[player].client.pilot(), pilot);
    assert_eq!(world.players[player].client.stats().mismatches, 0);
    // The token was rotated, and the page has spoken since: a copy of the old one opens a new session at most.
    let thief = world.join(CALM);
    world.players[thief].client = arena::Client::new();
    world.connect(thief, Some(token));
    world.run(10);
    assert_ne!(world.players[thief].client.pilot(), pilot);
}

/// SPEC S4.4.
#[test]
fn an_abandoned_plane_leaves_after_the_grace() {
    let mut world = World::new(seed(), 0);
    let stays = world.join(CALM);
    let goes = world.join(CALM);
    world.run(60);
    world.cut(goes);
    world.run(60 * 14);
    assert_eq!(world.room.figures().pilots, 2);
    world.run(60 * 2);
    assert_eq!(world.room.figures().pilots, 1);
    let left =
        |event: &ClientEvent| matches!(event, ClientEvent::Session(SessionEvent::Entry { talk: Talk::Left(_), .. }));
    assert!(world.players[stays].events.iter().any(left));
}

/// SPEC S7.3.
#[test]
fn a_silent_client_gets_no_more_frames_and_is_closed() {
    let mut world = World::new(seed(), 3);
    let player = world.join(CALM);
    world.run(60);
    world.players[player].is_frozen = true;
    world.run(120);
    let frames = world.room.figures().frames;
    world.run(60);
    assert_eq!(world.room.figures().frames, frames, "the window is closed");
    world.run(60 * 10);
    assert_eq!(world.players[player].closed, Some(CloseReason::Silent));
}

#[test]
fn a_newcomer_sees_the_last_hundred_lines_of_chat() {
    let mut world = World::new(seed(), 0);
    let talker = world.join(CALM);
    for line in 0..110 {
        world.players[talker].client.operate(Operation::Chat(format!("line {line}")));
        world.run(61);
    }
    let newcomer = world.join(FAR);
    world.run(60);
    let Some(ClientEvent::Session(SessionEvent::Welcomed { history, .. })) = world.players[newcomer].events.first()
    else {
        panic!("no welcome")
    };
    assert_eq!(history.len(), 100);
    assert!(matches!(history.last().unwrap().talk(), Ok(Some(Talk::Chat(line))) if line.text == "line 109"));
    world.players[talker].client.operate(Operation::Chat("hello".into()));
    world.run(30);
    let heard = |event: &ClientEvent| matches!(event, ClientEvent::Session(SessionEvent::Entry { talk: Talk::Chat(line), .. }) if line.text == "hello");
    assert_eq!(world.players[newcomer].events.iter().filter(|event| heard(event)).count(), 1);
}

#[test]
fn players_see_each_other_and_only_what_is_near() {
    let mut world = World::new(seed(), 40);
    let player = world.join(CALM);
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..600 {
        world.tick();
        let Some(replica) = world.players[player].client.replica() else { continue };
        assert!(replica.rows().iter().all(|row| replica.held().contains(&row.cell)));
        assert!(replica.held().len() <= 26);
        seen.extend(planes(replica.rows()).map(|(id, _)| id));
    }
    assert!(seen.len() > 5, "in ten seconds one meets others: {seen:?}");
    let nearby = planes(world.players[player].client.replica().unwrap().rows()).count();
    assert!(nearby < 35, "not everybody: {nearby}");
}

/// SPEC A6.6 and A8.2.
#[test]
fn a_damaged_replica_is_found_and_repaired() {
    let mut world = World::new(seed(), 20);
    let player = world.join(CALM);
    world.run(120);
    // A damaged row may leave before it is asked for, or make the next frame unreadable; one in a few does neither.
    let mut repaired_at_once = 0;
    for _ in 0..10 {
        world.players[player].is_to_be_damaged = true;
        while world.players[player].is_to_be_damaged {
            world.tick();
        }
        let mismatches = world.players[player].client.stats().mismatches;
        assert!(mismatches > 0);
        // A row that leaves its cell before the repair takes the damage along: then a second one, a second later.
        world.run(90);
        let settled = world.players[player].client.stats().mismatches;
        repaired_at_once += u32::from(settled < mismatches + 15);
        assert!(settled < mismatches + 75, "{mismatches} and then {settled}");
        world.run(120);
        assert_eq!(world.players[player].client.stats().mismatches, settled);
    }
    assert!(repaired_at_once >= 8, "{repaired_at_once} of 10");
    assert!(world.room.figures().repairs > 0);
}

/// SPEC A6.8 and A8.1.
#[test]
fn the_shot_down_fly_again_and_the_camera_waits_there() {
    let mut world = World::new(seed(), 20);
    let player = world.join(FAR);
    world.players[player].is_flown = false;
    let mut was_down = false;
    for _ in 0..6000 {
        world.tick();
        let me = &mut world.players[player];
        let down = me.client.is_welcomed() && me.plane_cell().is_none() && me.client.stats().frames > 100;
        if down && !was_down {
            me.client.fly_again();
            was_down = true;
        }
        if was_down && me.plane_cell().is_some() {
            assert_eq!(me.client.stats().mismatches, 0);
            return;
        }
    }
    panic!("twenty pilots shoot down someone who flies straight on, and he comes back");
}

/// What a page does sixty times a second or more often reuses the memory of the last time.
#[test]
fn pictures_of_steady_play_need_no_new_memory() {
    let mut world = World::new(seed(), 20);
    let player = world.join(FAR);
    let mut scene = Scene::default();
    let mut pictures = |world: &mut World| {
        world.tick();
        let (now_ms, client) = (world.now_ms, &mut world.players[player].client);
        allocation_counter::measure(|| client.scene(now_ms, &mut scene)).count_total
    };
    (0..3000).for_each(|_| _ = pictures(&mut world));
    let allocated: u64 = (0..600).map(|_| pictures(&mut world)).sum();
    assert!(allocated < 30, "{allocated} in 600 pictures");
}

/// Nothing comes for longer than the own plane is predicted.
#[test]
fn where_prediction_ends_the_camera_stands_still() {
    let mut world = World::new(seed(), 0);
    let player = world.join(FAR);
    world.run(300);
    world.players[player].is_deaf = true;
    world.run(180);
    let mut scene = Scene::default();
    let mut look = |now_ms: f64| {
        let client = &mut world.players[player].client;
        client.scene(now_ms, &mut scene);
        client.camera()
    };
    // What remains of an earlier correction has faded a second later.
    look(world.now_ms);
    let began_ms = world.now_ms + 1000.0;
    let place = look(began_ms);
    assert_ne!(place, (0.0, 0.0));
    for picture in 1..120 {
        let (x, y) = look(began_ms + f64::from(picture) * 1000.0 / 144.0);
        assert!((x - place.0).hypot(y - place.1) < 1e-3, "picture {picture}");
    }
}

/// One is chased and rammed over a slow line. What the ram does to both shows when both have long known of it.
#[test]
fn a_ram_corrects_nobody_on_a_line_of_150_ms() {
    let mut world = World::new(seed(), 0);
    let line = LineProfile { jitter_ms: 0.0, ..FAR };
    let pair = [world.join(line), world.join(line)];
    world.run(180);
    pair.iter().for_each(|player| world.players[*player].is_flown = false);
    let [chaser, chased] = pair.map(|player| world.players[player].client.pilot());
    world.players[pair[1]].client.control(game::Controls { throttle: 0, ..game::Controls::default() });
    let corrections = |world: &World| pair.map(|player| world.players[player].client.stats().corrections);
    let plane_of = |world: &World, pilot: u16| {
        let (_, plane) = planes(world.room.rows()).find(|(id, _)| *id == pilot).expect("it flies");
        plane
    };
    world.run(30);
    let (before, mut ticks_hurt) = (corrections(&world), 0);
    for _ in 0..6000 {
        let (own, other) = (plane_of(&world, chaser), plane_of(&world, chased));
        let way = (other.position() - own.position()).as_vec2();
        let controls = game::Controls { throttle: 2, ..game::Controls::default() };
        let now_ms = world.now_ms;
        world.players[pair[0]].client.control_towards(way.y.atan2(way.x), controls, now_ms);
        world.tick();
        ticks_hurt += u32::from(own.health < HEALTH_FULL);
        if ticks_hurt > 60 {
            break;
        }
    }
    assert!(ticks_hurt > 60, "they never met");
    assert_eq!(corrections(&world), before);
}

/// SPEC A8.3.
#[test]
fn kills_are_told_with_names() {
    let mut world = World::new(seed(), 40);
    let player = world.join(FAR);
    let (mut kills, mut unnamed) = (0, 0);
    for _ in 0..3600 {
        world.tick();
        let me = &mut world.players[player];
        for event in std::mem::take(&mut me.events) {
            if let ClientEvent::Kill(Killed { killer, victim, .. }) = event {
                kills += 1;
                unnamed += u32::from([killer, victim].iter().any(|pilot| me.client.profile(*pilot).is_none()));
            }
        }
    }
    assert!(kills > 20 && unnamed == 0, "{unnamed} of {kills} without names");
}

/// SPEC A6.7.
#[test]
fn a_frame_that_cannot_be_read_voids_what_was_held() {
    let mut world = World::new(seed(), 5);
    let player = world.join(CALM);
    world.run(60);
    let client = &mut world.players[player].client;
    assert!(client.replica().is_some_and(|replica| !replica.rows().is_empty()));
    assert!(client.receive(&[0x80, 1], world.now_ms).is_err(), "half a checksum");
    assert!(client.replica().is_none());
    let said = protocol::message::ClientMessage::decode(&client.hello("P", 0, None, None))
        .expect("clients send what servers read");
    let protocol::message::ClientMessage::Hello(hello) = said else { panic!("{said:?} is no hello") };
    assert_eq!(hello.have_tick, 0, "it begins with nothing");
}
