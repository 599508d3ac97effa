//! The gameserver: a thin shell of sockets, clocks and threads around rooms, which are plain values.
//!
//! Path of an input: [`io::worker`] (a few threads, each with an epoll) → [`io::connection`] (one WebSocket) → bounded
//! queue → [`room::tick_thread`] (one OS thread per room, 60 Hz) → a [`session::Engine`] of one of the [`kinds`]. Path
//! of a frame: the engine writes it into its worker's batch → one batch per tick and worker → [`io::worker`] →
//! [`io::connection`]. HTTP comes in through [`http::listen`] and [`http::routes`], after [`http::fly_replay`] has
//! checked that the lobby sent it; [`http::upgrade`] gives the connection to a worker, whose [`io::handshake`] sends
//! its hello to the room. Life of a room: [`room::rooms`] opens it for the first who may have it opened
//! ([`room::open_policy`]), its [`room::supervisor`] owns and saves it in the [`store`]; a machine without rooms ends
//! by [`sleep`].
//! Invariants: nothing touches a room between ticks; nobody waits for a connection that does not read; every limit is
//! named.
//! Never: what a room is about (only [`kinds`] names a kind), the lobby, Fly beyond its own `FLY_*` environment and the
//! replay headers.

pub mod config;
pub mod server;

mod admission;
mod app;
mod http;
mod io;
mod kind_versions;
mod kinds;
mod live_count;
mod metrics;
mod open_files;
mod room;
mod sleep;
mod store;
mod wall_clock;

pub use config::Config;
pub use room::incarnation::Start;
pub use server::{Server, Stopped};
pub use wall_clock::WallClock;
