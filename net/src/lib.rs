//! The gameserver: a thin shell of sockets, clocks and threads around `sync::Room`.
//!
//! Path of an input: [`socket`] (one reading task per socket) → bounded crossbeam queue → [`tick`] (one OS thread per
//! room, 60 Hz) → an [`Engine`], which is `Room` here. Path of a frame: `Room` → [`tick`] → one batch per tick and worker → [`writer`] → [`outbox`].
//! HTTP comes in through [`routes`], after [`replay`] has checked that the lobby sent it.
//! Invariants: nothing touches a room between ticks; nobody waits for a socket that does not read; every limit is named.
//! Never: the rules of the game, the lobby, Fly beyond its own `FLY_*` environment and the replay headers.

pub mod config;
pub mod engine;
pub mod server;

mod admission;
mod assets;
mod bucket;
mod clock;
mod metrics;
mod outbox;
mod pages;
mod replay;
mod room_handle;
mod routes;
mod seats;
mod socket;
mod tick;
mod writer;

pub use config::Config;
pub use engine::Engine;
pub use server::Server;
