//! Row replication: how the rows of a room's cells become bytes, and rows again at the other end.
//!
//! Path: [`step`] moves rows as every replica does → the [`codec`] codes what differs, by static [`code_tables`], into each
//! cell's [`cell_log`] → [`frame_body`] joins what a viewpoint holds ([`interest`]) → [`replica`] applies it.
//! Never: who is in the room, what a session is.

pub(crate) mod cell_log;
pub(crate) mod code_stats;
pub(crate) mod code_tables;
pub(crate) mod codec;
pub(crate) mod frame_body;
pub(crate) mod interest;
pub(crate) mod replica;
pub(crate) mod step;
