//! The game of a room: the world, its schedule, and all that can be asked of it from outside.
//!
//! Path: [`Game::join`] and [`Game::control`] say what the pilots want → [`Game::step`] is one tick, in the order of
//! [`crate::schedule::Phase`] → [`Game::rows`] is all that can be seen.

use crate::{
    collisions,
    controls::{self, Controls},
    fillers, hits,
    kills::{self, Kill, Kills},
    lag_compensation::{self, PositionHistory, VIEW_DELAY_MAX, ViewDelay},
    minimap, motion,
    roster::{self, Bot, PilotId, Roster},
    rules::Rules,
    schedule::{Clock, Setup},
    schema::Row,
    spatial_index,
    spawn::{self, Place, Presence, Status},
    standing::{self, Board, Respawn, Score, Standing},
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
        kills::plugin(&mut setup);
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
        let id = self.world.resource::<Roster>().free_id()?;
        let state =
            (Controls::default(), ViewDelay::default(), PositionHistory::default(), Presence::NEW, Score::default());
        let entity = spawn_pilot(&mut self.world, id, is_bot, state);
        self.world.resource_mut::<Roster>().insert(id, entity);
        self.world.resource_mut::<Board>().is_stale = true;
        Some(id)
    }

    /// Takes a pilot out; its plane is gone with the next step, its bullets fly on.
    pub fn leave(&mut self, pilot: PilotId) {
        if let Some(entity) = self.world.resource_mut::<Roster>().remove(pilot) {
            self.world.get_mut::<Presence>(entity).expect("whoever is on the roster is a pilot").is_leaving = true;
            self.world.resource_mut::<Board>().is_stale = true;
        }
    }

    /// Says what a pilot wants its controls to be from the end of the next step on.
    pub fn control(&mut self, pilot: PilotId, controls: Controls) {
        if let Some(mut wanted) = roster::find_mut::<Controls>(&mut self.world, pilot) {
            *wanted = controls.in_range();
        }
    }

    /// Says how far in the past a pilot sees the others, parts of a tick ([`lag_compensation::PARTS`]): from the next step on its bullets
    /// meet them there. At most [`VIEW_DELAY_MAX`].
    pub fn look(&mut self, pilot: PilotId, view_delay: u32) {
        if let Some(mut delay) = roster::find_mut::<ViewDelay>(&mut self.world, pilot) {
            delay.0 = view_delay.min(VIEW_DELAY_MAX);
        }
    }

    /// Asks to fly again; heard only of a pilot who was shot down. See [`Standing::respawn`] for where and when.
    pub fn fly_again(&mut self, pilot: PilotId) {
        if let Some(mut presence) = roster::find_mut::<Presence>(&mut self.world, pilot)
            && let Status::Down { is_ready, .. } = &mut presence.status
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
        let entity = self.world.get_entity(self.world.resource::<Roster>().entity(pilot)?).ok()?;
        let (presence, score) = entity.get_components::<(&Presence, &Score)>().ok()?;
        let respawn = match presence.status {
            Status::Returning(Place { tick, at, heading }) => {
                Some(Respawn { in_ticks: tick - self.tick(), x: at.x, y: at.y, heading, shots: presence.shots })
            }
            _ => None,
        };
        let board = self.world.resource::<Board>();
        Some(Standing { score: score.0, rank: board.rank(pilot, *score), ranked: board.ranked(), respawn })
    }
}

/// What the features know of a pilot.
pub(crate) type PilotState = (Controls, ViewDelay, PositionHistory, Presence, Score);

/// A pilot as an entity; the roster does not know of it yet.
pub(crate) fn spawn_pilot(world: &mut World, id: PilotId, is_bot: bool, state: PilotState) -> Entity {
    let mut pilot = world.spawn((id, state));
    if is_bot {
        pilot.insert(Bot);
    }
    pilot.id()
}

impl fmt::Debug for Game {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pilots = self.world.resource::<Roster>().len();
        f.debug_struct("Game").field("tick", &self.tick()).field("pilots", &pilots).finish_non_exhaustive()
    }
}
