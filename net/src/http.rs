//! HTTP: the listener, the routes, and how a request becomes a player's connection.

pub(crate) mod assets;
pub(crate) mod fly_replay;
pub(crate) mod listen;
pub(crate) mod pages;
pub(crate) mod ping;
pub(crate) mod routes;
pub(crate) mod status;
pub(crate) mod upgrade;
pub(crate) mod write_timeout;
