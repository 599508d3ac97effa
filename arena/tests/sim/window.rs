//! The window: what becomes of a client that talks but does not acknowledge (SPEC S7.3).

use crate::world::{LineProfile, World, seed};
use game::Controls;
use protocol::close::CloseReason;

const CALM: LineProfile = LineProfile { one_way_ms: 0.0, jitter_ms: 0.0, stall_per_mille: 0 };
/// Most ticks between two acknowledgements of a client that reads.
const ACK_TICKS: usize = 6;

/// A room with a frame a tick, in it a player who stops reading and one who does not.
fn world_with_a_deaf_player() -> (World, usize, usize) {
    let mut world = World::with(seed(), |config| (config.fillers, config.cadence_ticks) = (20, 1));
    let (deaf, other) = (world.join(CALM), world.join(CALM));
    world.run(120);
    world.players[deaf].is_deaf = true;
    (world, deaf, other)
}

/// Messages for a player within so many ticks, in which it moves its stick all the time.
fn sent_within(world: &mut World, player: usize, ticks: u32) -> usize {
    let before = world.players[player].unread();
    for tick in 0..ticks {
        let steer = tick as i32 % 15 - 7;
        world.players[player].client.control(Controls { steer, ..Controls::default() });
        world.tick();
    }
    world.players[player].unread() - before
}

/// SPEC S7.3.
#[test]
fn who_does_not_acknowledge_gets_rarer_frames_then_none_and_is_closed_as_too_slow() {
    let (mut world, deaf, other) = world_with_a_deaf_player();
    world.players[deaf].is_flown = false;
    assert_eq!(sent_within(&mut world, deaf, 30), 30, "a frame a tick within the window");
    let rarer = sent_within(&mut world, deaf, 30);
    assert!((8..24).contains(&rarer), "{rarer} frames in the 30 ticks after");
    assert_eq!(sent_within(&mut world, deaf, 500), 0, "none beyond the window");
    assert_eq!(world.players[deaf].closed, None, "but for ten seconds the socket stays");
    sent_within(&mut world, deaf, 80);
    assert_eq!(world.players[deaf].closed, Some(CloseReason::TooSlow));
    assert_eq!(world.players[other].closed, None);
    assert_eq!(world.players[other].client.stats().mismatches, 0);
}

#[test]
fn who_reads_again_in_time_catches_up() {
    let (mut world, deaf, _) = world_with_a_deaf_player();
    world.run(550);
    world.players[deaf].is_deaf = false;
    world.run(ACK_TICKS as u32 + 2);
    let before = world.players[deaf].client.stats().frames;
    world.run(60);
    let player = &world.players[deaf];
    assert_eq!((player.closed, player.client.stats().mismatches), (None, 0));
    assert_eq!(player.client.stats().frames - before, 60, "a frame a tick again");
}
