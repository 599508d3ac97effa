//! The order of a tick, and the room under construction that each feature's plugin adds to.
//!
//! Invariants: [`Phase`] is the whole order of a tick; the executor is single-threaded (a tick of a thousand planes is
//! shorter than what threads cost to start it); systems that could notice the order of entities sort by row id.

use bevy_ecs::{
    prelude::*,
    schedule::{ScheduleLabel, SingleThreadedExecutor},
};

/// Time and chance, for the systems.
#[derive(Debug, Resource)]
pub(crate) struct Clock {
    pub(crate) tick: u32,
    pub(crate) seed: u64,
}

/// The parts of a tick, in order. First what both ends of the wire compute alike, then the surprises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, SystemSet)]
pub(crate) enum Phase {
    /// Every row takes its motion step; guns fire.
    Motion,
    /// Who is where.
    Index,
    /// Bullets hit planes.
    Hits,
    /// Planes ram planes.
    Collisions,
    /// Pilots leave, come and come back.
    Spawns,
    /// Computer pilots decide.
    Fillers,
    /// The pilots' controls go into the rows.
    Controls,
    /// Notes where everybody is, for lag compensation.
    History,
    /// Top list and minimap.
    Boards,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, ScheduleLabel)]
struct Tick;

/// A room under construction.
pub(crate) struct Setup {
    pub(crate) world: World,
    pub(crate) schedule: Schedule,
}

impl Setup {
    pub(crate) fn new() -> Self {
        let mut schedule = Schedule::new(Tick);
        schedule.set_executor(SingleThreadedExecutor::new());
        schedule.configure_sets(
            (
                Phase::Motion,
                Phase::Index,
                Phase::Hits,
                Phase::Collisions,
                Phase::Spawns,
                Phase::Fillers,
                Phase::Controls,
                Phase::History,
                Phase::Boards,
            )
                .chain(),
        );
        Self { world: World::new(), schedule }
    }
}
