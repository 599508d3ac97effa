//! The gameserver through real sockets on port 0: what a player, a stranger and an operator can observe.

#![allow(clippy::unwrap_used, reason = "clippy's own exception covers test functions, not what they call")]

mod clocks;
mod floods;
mod harness;
mod http;
mod joining;
mod lounge;
mod many;
mod openings;
mod overload;
mod refusals;
mod roles;
mod rooms;
mod sleep;
mod slow_reader;
mod stopping;
mod unusable;
mod unwritable;
mod upgrades;
