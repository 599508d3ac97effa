//! The dogfight's two ends, as plain values: the caller owns clock, socket and thread.
//!
//! Path: [`Room`] (server end) steps the game, finds what the motion step could not know, logs it per cell and assembles
//! frames; [`Replica`] (client end) runs the same motion step and applies the frames; [`Client`] is a whole player's end
//! around a replica: hello, clock, inputs, prediction, what to draw.
//! Invariants: a replica that applied a frame equals the room in every held cell (checksums tell); what a room encodes
//! depends on what happened, never on how many watch.
//! Never: a socket, a clock (time is an argument), a lock, async; another kind of room.

pub mod bot;
pub mod client;
mod replica;
mod room;
mod rows;
pub mod wire;

pub use client::{
    Client, ClientStats,
    event::{ClientEvent, Killed, Spot},
    hit_prediction::ShotCounts,
    view,
};
pub use replica::{Applied, Replica};
pub use room::{CADENCE_TICKS, Room, RoomConfig, RoomStats, SnapshotError};
pub use rows::{
    code_stats::{CodeStats, Counts},
    code_tables::{Choice, CodeTables},
};

use game::{KINDS, schema::Grid};
use rows::codec::Codec;
use std::sync::Arc;

// The game and the wire are leaves that do not know each other; here they meet.
const _: () = assert!(game::lag_compensation::PARTS == wire::PARTS_PER_TICK);

/// Ticks a second.
pub const TICK_HZ: u32 = game::rules::TICKS_PER_S as u32;

/// How both ends code the game's rows.
fn codec(tables: Arc<CodeTables>, grid: Grid) -> Codec {
    Codec { kinds: KINDS, tables, grid }
}

/// The tables that both ends code the game's rows by. They are some 70 kB and take a moment to read, so whoever has many
/// clients gives all of them the same.
pub fn code_tables() -> Arc<CodeTables> {
    Arc::new(CodeTables::shipped(KINDS, wire::version()))
}

/// Controls from a page's numbers, each brought into its range.
pub fn controls(steer: i32, throttle: i32, boost: bool, fire: bool) -> game::Controls {
    game::Controls { steer, throttle, boost, fire }.in_range()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_page_knows_how_often_the_room_ticks() {
        let page = include_str!("../../web-client/arena/ticks.ts");
        assert!(page.contains(&format!("TICK_HZ = {};", super::TICK_HZ)), "{page}");
    }
}
