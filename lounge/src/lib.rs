//! The chat room's two ends, as plain values: the caller owns clock, socket and thread.
//!
//! Path: [`Room`] (server end) puts what everybody says into one order and tells it to all on a beat; [`Client`] is the end
//! of somebody who reads and talks.
//! Invariants: everybody reads the same lines in the same order; what all are told is encoded once.
//! Never: a socket, a clock (time is an argument), a lock, async; another kind of room.

pub mod bot;
mod client;
mod room;
pub mod wire;

pub use client::{Client, ClientEvent};
pub use room::{Room, RoomConfig, Unfit};

/// Ticks a second: an answer waits for the next tick, what all are told for the next beat.
pub const TICK_HZ: u32 = 40;
