//! The lobby over real sockets, in front of a scripted Machines API.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod board;
mod deploy;
mod foreign;
mod growth;
mod invites;
mod joins;
mod previews;
mod provision;
mod roles;
mod silent;
mod slow;
mod support;
mod wakes;
