//! The whole fleet on a stage: the real lobby and the real gameservers as processes behind the local Fly, and players who
//! come through the front door.
//!
//! Path: [`Stage::open`] starts a local Fly on free ports with a folder of its own → [`Pilot::join`] asks the lobby as a
//! page does, opens the socket and flies → [`Stage`] also plays fate: it stops, kills and destroys machines and makes the
//! Machines API refuse.
//! Invariants: a stage listens on loopback only and takes its machines with it when it is dropped; every wait has an end.
//! Never: looks into a program; all it knows comes over the addresses that players, operators and Fly have.

mod pilot;
mod stage;

pub use pilot::{Ending, Joined, NotIn, Pilot, ask};
pub use stage::{Machine, SECRET, SecondLobby, Stage, StageConfig};
