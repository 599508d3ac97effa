//! The rules of a room: one `bevy_ecs` world, a plugin per feature, stepped at 60 Hz.
//!
//! Path: [`Game::join`] and [`Game::control`] say what the pilots want → [`Game::step`] is one tick, in the order of
//! `schedule::Phase` → [`Game::rows`] is all that can be seen; `arena` replicates it, and its replicas step the rows with
//! the same function ([`step_row`]).
//! Invariants: same seed, rules and calls → same rows at every tick, on every platform and whatever the order of the
//! ECS's tables; all state is integers within the ranges that the kinds declare.
//! Never: a clock, a socket, a file, a thread, a generator of randomness with a state; the wire.
#![expect(elided_lifetimes_in_paths, reason = "the parameters of a system read better without")]

pub mod bullet;
mod collisions;
mod controls;
mod fillers;
pub mod flight;
mod game;
pub mod geometry;
mod hits;
mod kills;
pub mod lag_compensation;
pub mod minimap;
mod motion;
#[cfg(test)]
mod order_tests;
pub mod pilot;
pub mod plane;
pub mod ramming;
mod random;
mod roster;
mod row_kinds;
pub mod rules;
mod schedule;
pub mod schema;
mod snapshot;
mod spatial_index;
pub mod spawn;
pub mod standing;
#[cfg(test)]
mod test_support;
mod tuning;
mod visible;

pub use bullet::BULLET;
pub use controls::Controls;
pub use game::Game;
pub use kills::Kill;
pub use minimap::SECTOR;
pub use motion::step_row;
pub use plane::PLANE;
pub use roster::{PILOTS_MAX_COUNT, PilotId};
pub use row_kinds::KINDS;
pub use snapshot::{GameSnapshot, UnfitSnapshot};
pub use spawn::NOTICE_TICKS as RESPAWN_NOTICE_TICKS;
pub use standing::{Respawn, SCORE_MAX, STANDING, Standing};
