//! Rooms: which are open, who owns and saves them, and the thread that ticks each.

pub(crate) mod address;
pub(crate) mod clock;
pub(crate) mod connections;
pub(crate) mod handle;
pub(crate) mod incarnation;
pub(crate) mod load;
pub(crate) mod machine;
pub(crate) mod open_policy;
pub(crate) mod rooms;
pub(crate) mod starter;
pub(crate) mod supervisor;
pub(crate) mod thread_priority;
pub(crate) mod tick_thread;
