//! Records kills until the room takes them.

use crate::{roster::PilotId, schedule::Setup};
use bevy_ecs::prelude::Resource;

/// Kills kept until somebody drains them. Policy: what comes after is not recorded.
const KILLS_MAX_COUNT: usize = 4096;

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
    pub view_delay: u32,
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

/// The list of kills.
pub(crate) fn plugin(setup: &mut Setup) {
    setup.world.init_resource::<Kills>();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kills_nobody_drains_do_not_pile_up() {
        let mut kills = Kills::default();
        let kill = Kill { killer: PilotId(1), victim: PilotId(2), rammed: false, view_delay: 0 };
        (0..2 * KILLS_MAX_COUNT).for_each(|_| kills.record(kill));
        assert_eq!(kills.0.len(), KILLS_MAX_COUNT);
    }
}
