//! Computer pilots among the others: they see what a player may see and want what `pilot::decide` says.

use crate::{
    controls::Controls,
    pilot,
    plane::Plane,
    roster::{Bot, PilotId},
    rules::Rules,
    schedule::{Clock, Phase, Setup},
    spatial_index::SpatialIndex,
};
use bevy_ecs::prelude::*;

/// Flies the computer pilots.
pub(crate) fn plugin(setup: &mut Setup) {
    setup.schedule.add_systems(decide.in_set(Phase::Fillers));
}

fn decide(
    rules: Res<Rules>,
    clock: Res<Clock>,
    index: Res<SpatialIndex>,
    mut bots: Query<(&PilotId, &mut Controls, &Plane), With<Bot>>,
) {
    for (PilotId(id), mut wanted, plane) in &mut bots {
        let seen = index.seen_from(plane.position(), rules.motion.grid).filter(|aloft| aloft.id != *id);
        let mut others = seen.map(|aloft| (aloft.id, aloft.plane));
        *wanted = pilot::decide(plane, *id, &mut others, &rules, clock.tick, clock.seed);
    }
}
