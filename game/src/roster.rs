//! Who plays: pilots, their ids, and what befell them.
//!
//! Invariants: a pilot is one entity, which has a `Plane` while it flies; an id is never 0 and is not given again while
//! the room lives, until 65535 have been given (then those in use are skipped).

use crate::{
    controls::Controls, lag_compensation::PositionHistory, plane::Plane, schedule::Setup, spawn::Status,
    standing::Board,
};
use bevy_ecs::prelude::*;
use serde::{Deserialize, Serialize};

/// Most pilots of a room. Policy: the next one is refused.
pub const PILOTS_MAX_COUNT: usize = 16_384;
/// Kills kept until somebody drains them. Policy: what comes after is not recorded.
const KILLS_MAX_COUNT: usize = 4096;
/// Highest score. Policy: it stays there.
pub const SCORE_MAX: i32 = 1_000_000;

/// A pilot, person or computer; also the id of the row of its plane. Never 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PilotId(pub u16);

/// Somebody was shot down or rammed to death.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kill {
    /// Who did it; may have left meanwhile.
    pub killer: PilotId,
    /// Whose plane it was.
    pub victim: PilotId,
    /// By ramming.
    pub rammed: bool,
    /// How far in the past the killer saw the victim, parts of a tick ([`crate::lag_compensation::PARTS`]).
    pub behind: u32,
}

/// What a pilot is besides its plane.
#[derive(Debug, Clone, PartialEq, Eq, Component, Serialize, Deserialize)]
pub(crate) struct Pilot {
    pub(crate) id: PilotId,
    /// Flown by `pilot::decide`.
    pub(crate) is_bot: bool,
    /// What it wants its controls to be.
    pub(crate) wanted: Controls,
    /// How far in the past it sees others, parts of a tick.
    pub(crate) behind: u32,
    pub(crate) status: Status,
    pub(crate) score: i32,
    /// The next plane counts its shots from here.
    pub(crate) shots: i32,
    /// Gone by the next tick.
    pub(crate) is_leaving: bool,
}

impl Pilot {
    /// More points, up to [`SCORE_MAX`].
    pub(crate) fn win(&mut self, points: i32) {
        self.score = (self.score + points).min(SCORE_MAX);
    }

    /// Takes health from the pilot's plane; `true` if that was the last of it.
    pub(crate) fn hurt(&mut self, plane: &mut Plane, amount: i32, tick: u32) -> bool {
        let was_alive = plane.health > 0;
        plane.health = (plane.health - amount).max(0);
        let is_shot_down = was_alive && plane.health == 0;
        if is_shot_down {
            self.status = Status::Down { since: tick, is_ready: false };
            self.shots = plane.shots;
        }
        is_shot_down
    }
}

/// Every pilot's entity, by id.
#[derive(Debug, Default, Resource)]
pub(crate) struct Roster {
    pub(crate) last_id: u16,
    /// As long as the highest id ever given; looked up for every input of every pilot.
    entities: Vec<Option<Entity>>,
    count: usize,
}

impl Roster {
    pub(crate) fn entity(&self, id: PilotId) -> Option<Entity> {
        self.entities.get(usize::from(id.0)).copied().flatten()
    }

    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// Everybody's ids, ascending.
    pub(crate) fn ids(&self) -> impl Iterator<Item = PilotId> {
        let present = self.entities.iter().enumerate().filter(|(_, entity)| entity.is_some());
        present.map(|(id, _)| PilotId(id as u16))
    }

    pub(crate) fn insert(&mut self, id: PilotId, entity: Entity) {
        let index = usize::from(id.0);
        if index >= self.entities.len() {
            self.entities.resize(index + 1, None);
        }
        self.entities[index] = Some(entity);
        (self.last_id, self.count) = (id.0, self.count + 1);
    }

    fn remove(&mut self, id: PilotId) -> Option<Entity> {
        let entity = self.entities.get_mut(usize::from(id.0))?.take()?;
        self.count -= 1;
        Some(entity)
    }

    /// The id after the last one given that nobody has; `None` if the room is full.
    fn free_id(&self) -> Option<PilotId> {
        let after = (1..=u16::MAX).map(|step| self.last_id.wrapping_add(step));
        let mut free = after.map(PilotId).filter(|id| id.0 != 0 && self.entity(*id).is_none());
        free.next().filter(|_| self.len() < PILOTS_MAX_COUNT)
    }
}

/// Adds a pilot, who will fly from the next tick on; `None` if the room is full.
pub(crate) fn join(world: &mut World, is_bot: bool) -> Option<PilotId> {
    let id = world.resource::<Roster>().free_id()?;
    let pilot = Pilot {
        id,
        is_bot,
        wanted: Controls::default(),
        behind: 0,
        status: Status::New,
        score: 0,
        shots: 0,
        is_leaving: false,
    };
    let entity = world.spawn((pilot, PositionHistory::default())).id();
    world.resource_mut::<Roster>().insert(id, entity);
    world.resource_mut::<Board>().is_stale = true;
    Some(id)
}

/// Kills since the last drain, in the order they happened.
#[derive(Debug, Default, Resource)]
pub(crate) struct Kills(pub(crate) Vec<Kill>);

impl Kills {
    pub(crate) fn record(&mut self, kill: Kill) {
        if self.0.len() < KILLS_MAX_COUNT {
            self.0.push(kill);
        }
    }
}

/// Takes a pilot off the roster; the entity goes with the next tick.
pub(crate) fn leave(world: &mut World, id: PilotId) {
    if let Some(entity) = world.resource_mut::<Roster>().remove(id) {
        world.get_mut::<Pilot>(entity).expect("whoever is on the roster is a pilot").is_leaving = true;
        world.resource_mut::<Board>().is_stale = true;
    }
}

/// A pilot's state.
pub(crate) fn find_mut(world: &mut World, id: PilotId) -> Option<Mut<'_, Pilot>> {
    let entity = world.resource::<Roster>().entity(id)?;
    world.get_mut(entity)
}

/// The lists of pilots and of kills.
pub(crate) fn plugin(setup: &mut Setup) {
    setup.world.register_component::<Pilot>();
    setup.world.init_resource::<Roster>();
    setup.world.init_resource::<Kills>();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Game, rules::Rules};

    #[test]
    fn a_full_room_refuses() {
        let mut game = Game::new(1, Rules::default());
        assert!((0..PILOTS_MAX_COUNT).all(|_| game.join(false).is_some()));
        assert_eq!(game.join(false), None);
        game.leave(PilotId(7));
        assert_eq!(game.join(false), Some(PilotId(PILOTS_MAX_COUNT as u16 + 1)));
    }

    #[test]
    fn ids_wrap_past_those_in_use_and_are_never_0() {
        let mut game = Game::new(1, Rules::default());
        assert_eq!(game.join(false), Some(PilotId(1)));
        game.world.resource_mut::<Roster>().last_id = u16::MAX - 1;
        let ids = [game.join(false), game.join(false)];
        assert_eq!(ids, [Some(PilotId(u16::MAX)), Some(PilotId(2))]);
    }

    #[test]
    fn kills_nobody_drains_do_not_pile_up() {
        let mut kills = Kills::default();
        let kill = Kill { killer: PilotId(1), victim: PilotId(2), rammed: false, behind: 0 };
        (0..2 * KILLS_MAX_COUNT).for_each(|_| kills.record(kill));
        assert_eq!(kills.0.len(), KILLS_MAX_COUNT);
    }
}
