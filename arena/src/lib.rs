//! Both ends of the wire, as plain values: the caller owns clock, socket and thread.
//!
//! Path: [`Room`] (server end) steps the game, finds what the motion step could not know, logs it per cell and assembles
//! frames; [`Replica`] (client end) runs the same motion step and applies the frames; [`Client`] is a whole player's end
//! around a replica: hello, clock, inputs, prediction, what to draw.
//! Invariants: a replica that applied a frame equals the room in every held cell (checksums tell); what a room encodes
//! depends on what happened, never on how many watch.
//! Never: a socket, a clock (time is an argument), a lock, async.

mod assemble;
mod chunk;
pub mod client;
mod due;
mod events;
mod eye;
mod feed;
mod fillers;
pub mod governor;
mod happening;
pub mod line;
mod log;
mod model;
mod names;
mod pace;
mod predict;
mod replica;
mod room;
mod rows;
mod session;
mod sessions;
mod shots;
mod tally;
pub mod view;
mod window;

pub use client::{Client, ClientStats};
pub use governor::Level;
pub use happening::{Happening, Spot};
pub use model::Choice;
pub use replica::Replica;
pub use room::{CADENCE_TICKS, Output, Room, RoomConfig, RoomStats, SnapshotError};
pub use session::SessionId;
pub use shots::ShotCounts;
pub use tally::{Counts, Tally};

// The game and the wire are leaves that do not know each other; here they meet.
const _: () = assert!(game::rules::TICKS_PER_S as u32 == protocol::TICK_HZ);
const _: () = assert!(game::past::PARTS == protocol::message::PARTS_PER_TICK);

/// Controls from a page's numbers, each brought into its range.
pub fn controls(steer: i32, throttle: i32, boost: bool, fire: bool) -> game::Controls {
    game::Controls { steer, throttle, boost, fire }.in_range()
}
