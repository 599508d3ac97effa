//! The dogfight's two ends, as plain values: the caller owns clock, socket and thread.
//!
//! Path: [`Room`] (server end) steps the game, finds what the motion step could not know, logs it per cell and assembles
//! frames; [`Replica`] (client end) runs the same motion step and applies the frames; [`Client`] is a whole player's end
//! around a replica: hello, clock, inputs, prediction, what to draw.
//! Invariants: a replica that applied a frame equals the room in every held cell (checksums tell); what a room encodes
//! depends on what happened, never on how many watch.
//! Never: a socket, a clock (time is an argument), a lock, async.

pub mod bot;
pub mod client;
mod events;
pub mod governor;
mod names;
mod room;
mod rows;
mod session;
mod sessions;
pub mod sim_link;
mod window;

pub use client::{
    Client, ClientStats,
    event::{ClientEvent, Spot},
    hit_prediction::ShotCounts,
    view,
};
pub use governor::Level;
pub use room::{CADENCE_TICKS, Output, Room, RoomConfig, RoomStats, SnapshotError};
pub use rows::{
    code_stats::{CodeStats, Counts},
    code_tables::Choice,
    replica::Replica,
};
pub use session::SessionId;

// The game and the wire are leaves that do not know each other; here they meet.
const _: () = assert!(game::rules::TICKS_PER_S as u32 == protocol::TICK_HZ);
const _: () = assert!(game::lag_compensation::PARTS == protocol::message::PARTS_PER_TICK);

/// Controls from a page's numbers, each brought into its range.
pub fn controls(steer: i32, throttle: i32, boost: bool, fire: bool) -> game::Controls {
    game::Controls { steer, throttle, boost, fire }.in_range()
}
