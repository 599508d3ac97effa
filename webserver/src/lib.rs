//! HTTP code that lobby and gameserver share.
//!
//! Path: [`BoundedListener`] accepts → the server's own routes → [`client_address`] says who asks, [`page`] and [`asset`]
//! answer from the embedded files, [`notice`] from a sentence, [`metrics`] from the registry.
//! Never: knows a room, a machine or a fleet; decides a timeout (the servers differ in what their clients may hold up).

mod assets;
mod bounded_listener;
mod client_address;
mod responses;

pub use assets::{asset, page};
pub use bounded_listener::BoundedListener;
pub use client_address::client_address;
pub use responses::{REFERRER_POLICY, metrics, notice};
