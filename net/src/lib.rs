//! The gameserver: a thin shell of sockets, clocks and threads around `arena::Room`.
//!
//! Path of an input: [`io::worker`] (a few threads, each with an epoll) → [`io::connection`] (one WebSocket) → bounded
//! queue → [`room::tick_thread`] (one OS thread per room, 60 Hz) → an [`Engine`], which is `Room` here. Path of a
//! frame: `Room` → [`room::tick_thread`] → one batch per tick and worker → [`io::worker`] → [`io::connection`]. HTTP
//! comes in through [`http::listen`] and [`http::routes`], after [`http::fly_replay`] has checked that the lobby sent
//! it; [`http::upgrade`] gives the connection to a worker. Life of a room: [`room::rooms`] opens it for the first who
//! may have it opened ([`room::open_policy`]), its [`room::supervisor`] owns and saves it in the [`store`]; a machine
//! without rooms ends by [`sleep`].
//! Invariants: nothing touches a room between ticks; nobody waits for a connection that does not read; every limit is
//! named.
//! Never: the rules of the game, the lobby, Fly beyond its own `FLY_*` environment and the replay headers.

pub mod config;
pub mod engine;
pub mod server;

mod admission;
mod app;
mod http;
mod io;
mod live_count;
mod metrics;
mod room;
mod sleep;
mod store;
mod wall_clock;

pub use config::Config;
pub use engine::{Engine, Start};
pub use server::{Server, Stopped};
pub use wall_clock::WallClock;
