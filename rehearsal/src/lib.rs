//! Rehearses the whole fleet: the real lobby and the real gameservers as processes behind the local Fly, and players who
//! join them as people do.
//!
//! Path: [`Cluster::start`] starts a local Fly on free ports with a folder of its own → [`Pilot::join`] asks the lobby as a
//! page does, opens the socket and flies → [`Cluster`] also injects faults: it stops, kills and destroys machines and makes
//! the Machines API refuse.
//! Invariants: a cluster listens on loopback only and takes its machines with it when it is dropped; every wait has an end.
//! Never: looks into a program; all it knows comes over the addresses that players, operators and Fly have.

mod cluster;
mod pilot;

pub use cluster::{Cluster, ClusterConfig, Machine, SECRET, SecondLobby};
pub use pilot::{JoinGrant, JoinRefused, Pilot, Socket, SocketState, connect, request_join};
