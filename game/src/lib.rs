//! The rules of a room: one `bevy_ecs` world, a plugin per feature, stepped at 60 Hz.
//!
//! Path: [`Game::join`] and [`Game::control`] say what the pilots want → [`Game::step`] is one tick, in the order of
//! `schedule::Phase` → [`Game::rows`] is all that can be seen; `arena` replicates it, and its replicas step the rows with
//! the same functions ([`KINDS`]).
//! Invariants: same seed, rules and calls → same rows at every tick, on every platform and whatever the order of the
//! ECS's tables; all state is integers within the ranges that the kinds declare.
//! Never: a clock, a socket, a file, a thread, a generator of randomness with a state; the wire.
#![expect(elided_lifetimes_in_paths, reason = "the parameters of a system read better without")]

pub mod bullet;
mod collisions;
mod controls;
mod fillers;
pub mod geometry;
mod hits;
pub mod lag_compensation;
pub mod minimap;
mod motion;
#[cfg(test)]
mod order_tests;
pub mod pilot;
pub mod plane;
mod random;
mod roster;
pub mod rules;
mod schedule;
pub mod schema;
mod snapshot;
mod spatial_index;
mod spawn;
pub mod standing;
#[cfg(test)]
mod test_support;
mod tuning;
mod visible;

pub use controls::Controls;
pub use roster::{Kill, PILOTS_MAX_COUNT, PilotId, SCORE_MAX};
pub use snapshot::{GameSnapshot, UnfitSnapshot};
pub use spawn::NOTICE_TICKS as RESPAWN_NOTICE_TICKS;
pub use standing::{Respawn, Standing};

use bevy_ecs::prelude::*;
use rules::Rules;
use schema::{Kind, Row};
use std::fmt;

/// Every kind of row; a [`Row::kind`] is an index.
pub static KINDS: &[Kind] = &[plane::KIND, bullet::KIND, standing::KIND, minimap::KIND];
/// Kind of the rows of planes.
pub const PLANE: u8 = 0;
/// Kind of the rows of bullets.
pub const BULLET: u8 = 1;
/// Kind of the top list's rows.
pub const STANDING: u8 = 2;
/// Kind of the minimap's rows.
pub const SECTOR: u8 = 3;

/// A room's game.
pub struct Game {
    world: World,
    tick: Schedule,
}

/// Time and chance, for the systems.
#[derive(Debug, Resource)]
pub(crate) struct Clock {
    pub(crate) tick: u32,
    pub(crate) seed: u64,
}

impl Game {
    /// An empty field at tick 0.
    pub fn new(seed: u64, rules: Rules) -> Self {
        let mut setup = schedule::Setup::new();
        roster::plugin(&mut setup);
        motion::plugin(&mut setup);
        spatial_index::plugin(&mut setup);
        hits::plugin(&mut setup);
        collisions::plugin(&mut setup);
        spawn::plugin(&mut setup);
        fillers::plugin(&mut setup);
        controls::plugin(&mut setup);
        lag_compensation::plugin(&mut setup);
        standing::plugin(&mut setup);
        minimap::plugin(&mut setup, &rules);
        let schedule::Setup { mut world, schedule: tick } = setup;
        world.insert_resource(Clock { tick: 0, seed });
        world.insert_resource(rules);
        Self { world, tick }
    }

    /// Ticks stepped so far.
    pub fn tick(&self) -> u32 {
        self.world.resource::<Clock>().tick
    }

    /// The numbers this room plays by.
    pub fn rules(&self) -> &Rules {
        self.world.resource()
    }

    /// Adds a pilot, who flies from the next step on, protected at first; a computer pilot flies by itself
    /// ([`pilot::decide`]). `None` if the room has [`PILOTS_MAX_COUNT`] pilots.
    pub fn join(&mut self, is_bot: bool) -> Option<PilotId> {
        roster::join(&mut self.world, is_bot)
    }

    /// Takes a pilot out; its plane is gone with the next step, its bullets fly on.
    pub fn leave(&mut self, pilot: PilotId) {
        roster::leave(&mut self.world, pilot);
    }

    /// Says what a pilot wants its controls to be from the end of the next step on.
    pub fn control(&mut self, pilot: PilotId, controls: Controls) {
        if let Some(mut pilot) = roster::find_mut(&mut self.world, pilot) {
            pilot.wanted = controls.in_range();
        }
    }

    /// Says how far in the past a pilot sees the others, parts of a tick ([`lag_compensation::PARTS`]): from the next step on its bullets
    /// meet them there. At most [`lag_compensation::BEHIND_MAX`].
    pub fn look(&mut self, pilot: PilotId, behind: u32) {
        if let Some(mut pilot) = roster::find_mut(&mut self.world, pilot) {
            pilot.behind = behind.min(lag_compensation::BEHIND_MAX);
        }
    }

    /// Asks to fly again; heard only of a pilot who was shot down. See [`Standing::respawn`] for where and when.
    pub fn fly_again(&mut self, pilot: PilotId) {
        if let Some(mut pilot) = roster::find_mut(&mut self.world, pilot)
            && let spawn::Status::Down { is_ready, .. } = &mut pilot.status
        {
            *is_ready = true;
        }
    }

    /// One tick.
    pub fn step(&mut self) {
        self.world.resource_mut::<Clock>().tick += 1;
        self.tick.run(&mut self.world);
        // Nobody asks what was removed; without this the list of it would grow forever.
        self.world.clear_trackers();
    }

    /// Replaces `rows` by all that can be seen, in canonical order.
    pub fn rows(&self, rows: &mut Vec<Row>) {
        visible::list(&self.world, rows);
    }

    /// The kills since the last call, in the order they happened.
    pub fn drain_kills(&mut self) -> Vec<Kill> {
        std::mem::take(&mut self.world.resource_mut::<roster::Kills>().0)
    }

    /// How a pilot stands; `None` for one who is not here.
    pub fn standing(&self, pilot: PilotId) -> Option<Standing> {
        let pilot = self.world.get::<roster::Pilot>(self.world.resource::<roster::Roster>().entity(pilot)?)?;
        let respawn = match pilot.status {
            spawn::Status::Returning(spawn::Place { tick, at, heading }) => {
                Some(Respawn { in_ticks: tick - self.tick(), x: at.x, y: at.y, heading, shots: pilot.shots })
            }
            _ => None,
        };
        let board = self.world.resource::<standing::Board>();
        Some(Standing { score: pilot.score, rank: board.rank(pilot), ranked: board.ranked(), respawn })
    }
}

impl fmt::Debug for Game {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pilots = self.world.resource::<roster::Roster>().len();
        f.debug_struct("Game").field("tick", &self.tick()).field("pilots", &pilots).finish_non_exhaustive()
    }
}
