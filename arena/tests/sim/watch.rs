//! Whoever only watches: sees the fight, follows a plane, changes nothing.

use crate::world::{LineProfile, World, seed};
use arena::{ClientEvent, view::Scene};
use protocol::{close::CloseReason, message::ClientMessage, token::Role};
use session::{Engine, SessionEvent};

const CALM: LineProfile = LineProfile { one_way_ms: 5.0, jitter_ms: 1.0, stall_per_mille: 0 };
const BAD: LineProfile = LineProfile { one_way_ms: 90.0, jitter_ms: 40.0, stall_per_mille: 5 };

/// Joins, only to watch.
fn watch(world: &mut World, line: LineProfile) -> usize {
    let watcher = world.join_as(line, Role::Reader);
    world.players[watcher].is_flown = false;
    watcher
}

#[test]
fn a_watcher_follows_a_plane_and_holds_what_is_around_it() {
    let mut world = World::new(seed(), 30);
    let watchers = [watch(&mut world, CALM), watch(&mut world, BAD)];
    world.run(180);
    let (mut scene, mut moved) = (Scene::default(), 0.0);
    for watcher in watchers {
        let mut last = None;
        for _ in 0..900 {
            world.tick();
            let (player, now_ms) = (&mut world.players[watcher], world.now_ms);
            player.client.scene(now_ms, &mut scene);
            let (x, y) = player.client.camera();
            let is_seen = scene.planes.iter().any(|plane| (plane.x, plane.y) == (x, y));
            assert!(is_seen, "the camera is at a plane, {} are seen", scene.planes.len());
            moved += last.map_or(0.0, |(from_x, from_y): (f32, f32)| (x - from_x).hypot(y - from_y).min(1.0));
            last = Some((x, y));
        }
        let stats = world.players[watcher].client.stats();
        assert_eq!((stats.mismatches, world.players[watcher].client.pilot()), (0, 0));
        assert!(world.players[watcher].closed.is_none() && stats.frames > 200, "{stats:?}");
    }
    assert!(moved > 100.0, "it follows: {moved} lengths");
}

#[test]
fn a_watcher_changes_nothing() {
    let (mut alone, mut watched) = (World::new(seed(), 30), World::new(seed(), 30));
    let watcher = watch(&mut watched, CALM);
    for tick in 0..600 {
        let client = &mut watched.players[watcher].client;
        client.control(game::Controls { steer: tick % 15 - 7, fire: true, boost: true, ..game::Controls::default() });
        client.fly_again();
        alone.tick();
        watched.tick();
        assert_eq!(alone.room.rows(), watched.room.rows(), "tick {tick}");
    }
    let stats = watched.room.stats();
    assert_eq!((stats.members, stats.readers, stats.population), (0, 1, 30), "no filler makes room for it");
    let declined = watched.players[watcher].events.iter().filter(|event| {
        matches!(event, ClientEvent::Session(SessionEvent::Declined { sentence, .. }) if sentence.starts_with("You are watching"))
    });
    assert!(declined.count() > 0, "it is told why");
}

#[test]
fn watchers_have_places_of_their_own_and_no_more() {
    let mut world = World::with(seed(), |config| (config.max_players, config.max_readers) = (1, 2));
    world.join(CALM);
    let watchers = [(); 3].map(|()| watch(&mut world, CALM));
    world.run(30);
    let closed = watchers.map(|watcher| world.players[watcher].closed);
    assert_eq!(closed, [None, None, Some(CloseReason::RoomFull)]);
    // Whoever leaves makes room.
    world.players[watchers[0]].client.leave();
    world.run(30);
    let hello = world.players[watchers[2]].client.hello("late", 0, None, None);
    let Ok(ClientMessage::Hello(hello)) = ClientMessage::decode(&hello) else { panic!("a hello was encoded") };
    world.say_hello(watchers[2], &hello, Some(Role::Reader));
    world.run(30);
    assert_eq!((world.players[watchers[2]].closed, world.room.stats().readers), (None, 2));
}
