//! The gameserver: a thin shell of sockets, clocks and threads around `arena::Room`.
//!
//! Path of an input: [`worker`] (a few threads, each with an epoll) → [`line`] (one socket) → bounded queue →
//! [`tick`] (one OS thread per room, 60 Hz) → an [`Engine`], which is `Room` here. Path of a frame: `Room` → [`tick`] →
//! one batch per tick and worker → [`worker`] → [`line`]. HTTP comes in through [`listen`] and [`routes`], after
//! [`replay`] has checked that the lobby sent it; [`upgrade`] gives the connection to a worker. Life of a room: [`rooms`]
//! opens it for the first who may have it opened ([`opening`]), its [`keeper`] owns and saves it in the [`store`]; a
//! machine without rooms ends by [`sleep`].
//! Invariants: nothing touches a room between ticks; nobody waits for a socket that does not read; every limit is named.
//! Never: the rules of the game, the lobby, Fly beyond its own `FLY_*` environment and the replay headers.

pub mod config;
pub mod engine;
pub mod server;

mod admission;
mod assets;
mod bucket;
mod clock;
mod counted;
mod door;
mod gate;
mod inbox;
mod keeper;
mod line;
mod listen;
mod load;
mod metrics;
mod opening;
mod outgoing;
mod pages;
mod ping;
mod precedence;
mod replay;
mod room_handle;
mod rooms;
mod routes;
mod seats;
mod sleep;
mod store;
mod stream;
mod tick;
mod upgrade;
mod wall;
mod watch;
mod worker;

pub use config::Config;
pub use engine::{Birth, Engine};
pub use server::{Server, Stopped};
pub use wall::Wall;
