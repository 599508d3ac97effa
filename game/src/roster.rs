//! The roster: pilots, their ids and their entities. What a pilot is besides, each feature keeps in a component of its
//! own.
//!
//! Invariants: a pilot is one entity, which has a `Plane` while it flies; an id is never 0 and goes round, so that it is not
//! given again until hundreds of others have been.

use crate::schedule::Setup;
use bevy_ecs::{component::Mutable, prelude::*};
use serde::{Deserialize, Serialize};

/// Most pilots of a room. Policy: the next one is refused.
pub const PILOTS_MAX_COUNT: usize = 16_384;

/// Ids go round below this, or below four times as many as are there, so that lists by id stay short.
const IDS_MIN_COUNT: usize = 1024;

/// A pilot, person or computer; also the id of the row of its plane. Never 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Component, Serialize, Deserialize)]
pub struct PilotId(pub u16);

/// A pilot that is a computer.
#[derive(Debug, Component)]
pub(crate) struct Bot;

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

    pub(crate) fn remove(&mut self, id: PilotId) -> Option<Entity> {
        let entity = self.entities.get_mut(usize::from(id.0))?.take()?;
        self.count -= 1;
        Some(entity)
    }

    /// The id after the last one given that nobody has; `None` if the room is full.
    pub(crate) fn free_id(&self) -> Option<PilotId> {
        let round = (4 * self.len()).next_power_of_two().max(IDS_MIN_COUNT);
        let after = (1..=round).map(|step| (usize::from(self.last_id) + step) % round);
        let mut free = after.map(|id| PilotId(id as u16)).filter(|id| id.0 != 0 && self.entity(*id).is_none());
        free.next().filter(|_| self.len() < PILOTS_MAX_COUNT)
    }
}

/// A feature's state of a pilot.
pub(crate) fn find_mut<C: Component<Mutability = Mutable>>(world: &mut World, id: PilotId) -> Option<Mut<'_, C>> {
    let entity = world.resource::<Roster>().entity(id)?;
    world.get_mut(entity)
}

/// The list of pilots.
pub(crate) fn plugin(setup: &mut Setup) {
    setup.world.register_component::<PilotId>();
    setup.world.register_component::<Bot>();
    setup.world.init_resource::<Roster>();
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
        game.world.resource_mut::<Roster>().last_id = IDS_MIN_COUNT as u16 - 2;
        let ids = [game.join(false), game.join(false)];
        assert_eq!(ids, [Some(PilotId(IDS_MIN_COUNT as u16 - 1)), Some(PilotId(2))]);
    }

    #[test]
    fn the_list_stays_short_however_many_come_and_go() {
        let mut game = Game::new(1, Rules::default());
        for _ in 0..300 {
            game.join(false).unwrap();
        }
        for _ in 0..5_000 {
            let guest = game.join(false).unwrap();
            game.leave(guest);
        }
        assert!(game.world.resource::<Roster>().entities.len() <= 2 * IDS_MIN_COUNT);
    }
}
