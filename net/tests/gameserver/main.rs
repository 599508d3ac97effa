//! The gameserver through real sockets on port 0: what a player, a stranger and an operator can observe.

mod field;
mod http;
mod joining;
mod refusals;
mod slow_reader;
mod stopping;
