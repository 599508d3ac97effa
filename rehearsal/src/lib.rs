//! Rehearses the whole fleet: the real lobby and the real gameservers as processes behind the local Fly, and people who
//! join them as people do.
//!
//! Path: [`Cluster::start`] starts a local Fly on free ports with a folder of its own → [`Visitor::join`] asks the lobby as a
//! page does, opens the socket and plays: a [`Pilot`] in an arena, a [`Guest`] in a lounge → [`Cluster`] also injects faults: it stops, kills and destroys machines and makes
//! the Machines API refuse.
//! Invariants: a cluster listens on loopback only and takes its machines with it when it is dropped; every wait has an end.
//! Never: looks into a program; all it knows comes over the addresses that players, operators and Fly have.

mod cluster;
mod guest;
mod pilot;
mod visitor;

pub use cluster::{Cluster, ClusterConfig, Machine, SECRET, SecondLobby};
pub use guest::{Chat, Guest};
pub use pilot::{Flight, Pilot};
pub use visitor::{JoinGrant, JoinRefused, Player, Socket, SocketState, Visitor, connect, request_join};
