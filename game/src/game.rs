//! The game of a room: the world, its schedule, and all that can be asked of it from outside.
//!
//! Path: [`Game::join`] and [`Game::control`] say what the pilots want → [`Game::step`] is one tick, in the order of
//! [`crate::schedule::Phase`] → [`Game::rows`] is all that can be seen.

use crate::{
    collisions,
    controls::{self, Controls},
    fillers, hits,
    lag_compensation::{self, BEHIND_MAX},
    minimap, motion,
    roster::{self, Kill, Kills, Pilot, PilotId, Roster},
    rules::Rules,
    schedule::{Clock, Setup},
    schema::Row,
    spatial_index,
    spawn::{self, Place, Status},
    standing::{self, Board, Respawn, Standing},
    visible,
};
use bevy_ecs::prelude::*;
use std::fmt;

/// A room's game.
pub struct Game {
    pub(crate) world: World,
    tick: Schedule,
}

impl Game {
    /// An empty field at tick 0.
    pub fn new(seed: u64, rules: Rules) -> Self {
        let mut setup = Setup::new();
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
        minimap::plugin(&mut setup, rules.motion.grid);
        let Setup { mut world, schedule: tick } = setup;
        world.insert_resource(Clock { tick: 0, seed });
        world.insert_resource(rules.motion.clone());
        world.insert_resource(rules.respawn.clone());
        world.insert_resource(rules.score.clone());
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
    /// ([`crate::pilot::decide`]). `None` if the room has [`roster::PILOTS_MAX_COUNT`] pilots.
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
    /// meet them there. At most [`BEHIND_MAX`].
    pub fn look(&mut self, pilot: PilotId, behind: u32) {
        if let Some(mut pilot) = roster::find_mut(&mut self.world, pilot) {
            pilot.behind = behind.min(BEHIND_MAX);
        }
    }

    /// Asks to fly again; heard only of a pilot who was shot down. See [`Standing::respawn`] for where and when.
    pub fn fly_again(&mut self, pilot: PilotId) {
        if let Some(mut pilot) = roster::find_mut(&mut self.world, pilot)
            && let Status::Down { is_ready, .. } = &mut pilot.status
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
        std::mem::take(&mut self.world.resource_mut::<Kills>().0)
    }

    /// How a pilot stands; `None` for one who is not here.
    pub fn standing(&self, pilot: PilotId) -> Option<Standing> {
        let pilot = self.world.get::<Pilot>(self.world.resource::<Roster>().entity(pilot)?)?;
        let respawn = match pilot.status {
            Status::Returning(Place { tick, at, heading }) => {
                Some(Respawn { in_ticks: tick - self.tick(), x: at.x, y: at.y, heading, shots: pilot.shots })
            }
            _ => None,
        };
        let board = self.world.resource::<Board>();
        Some(Standing { score: pilot.score, rank: board.rank(pilot), ranked: board.ranked(), respawn })
    }
}

impl fmt::Debug for Game {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pilots = self.world.resource::<Roster>().len();
        f.debug_struct("Game").field("tick", &self.tick()).field("pilots", &pilots).finish_non_exhaustive()
    }
}
