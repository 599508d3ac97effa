//! What every room has, both ends, as plain values: the caller owns clock, socket and thread.
//!
//! Path: a room of some kind owns a [`Host`] and is an [`Engine`], which a thread or a simulation drives; a client of that
//! kind owns a [`Peer`].
//! Never: a kind of room; a socket, a clock (time is an argument), a lock, async.

pub mod engine;
pub mod governor;
mod host;
pub mod log;
mod member;
mod members;
mod peer;
mod profiles;
pub mod save;
pub mod sim;
mod window;

pub use engine::{Command, ConnectionId, Engine, FrameSink, Output, Stats};
pub use governor::Level;
pub use host::{Entrance, Host, HostConfig, Incoming, SavedMembers, Sentences};
pub use log::SavedLog;
pub use member::{Ending, Member, MemberId, SavedMember};
pub use members::Shard;
pub use peer::{Peer, SessionEvent};
pub use profiles::KnownProfiles;
pub use window::{Sent, Window};
