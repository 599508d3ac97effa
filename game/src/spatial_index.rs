//! The spatial index: finds the planes near a place. A uniform grid of buckets, built anew each tick after they moved.
//!
//! Invariants: planes are in the order of their buckets, row by row, then of their ids; what is here is how they were
//! right after the motion step (hits and rams of the same tick are in the components).

use crate::{
    plane::{MotionRules, Plane},
    roster::PilotId,
    schedule::{Phase, Setup},
    schema::{CELL_UNITS, CellId, Grid, VIEW_CELLS},
};
use bevy_ecs::prelude::*;
use glam::IVec2;

/// Side of a bucket: four plane lengths. A bullet's path touches few of them, and even the largest field, however empty,
/// has few enough to begin anew every tick.
const BUCKET_UNITS: i32 = CELL_UNITS / 2;

/// A plane in the air.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Aloft {
    pub(crate) id: u16,
    pub(crate) entity: Entity,
    pub(crate) plane: Plane,
}

/// The planes, by place.
#[derive(Debug, Default, Resource)]
pub(crate) struct SpatialIndex {
    /// By bucket, then id.
    planes: Vec<Aloft>,
    /// Where each bucket starts in `planes`, row by row; one more for the end.
    starts: Vec<u32>,
    /// Buckets a side.
    side: i32,
}

impl SpatialIndex {
    /// All planes, by bucket, then id.
    pub(crate) fn planes(&self) -> &[Aloft] {
        &self.planes
    }

    /// All planes in the buckets that this box touches: more than those inside of it, never fewer.
    pub(crate) fn near(&self, low: IVec2, high: IVec2) -> impl Iterator<Item = &Aloft> {
        let (low, high) = (self.bucket(low), self.bucket(high));
        (low.y..=high.y).flat_map(move |y| {
            let row = y * self.side;
            let (from, to) = (self.starts[(row + low.x) as usize], self.starts[(row + high.x) as usize + 1]);
            &self.planes[from as usize..to as usize]
        })
    }

    /// What a pilot at this place may see: the planes in its cell and the two cells around in every direction.
    pub(crate) fn seen_from(&self, place: IVec2, grid: Grid) -> impl Iterator<Item = &Aloft> {
        let cell = CellId::at(place, grid).place(grid).expect("a position is in a cell of the field");
        let low = (cell - VIEW_CELLS / 2) * CELL_UNITS;
        let high = (cell + VIEW_CELLS / 2 + 1) * CELL_UNITS - 1;
        // Buckets divide cells evenly, so that none holds a plane from beyond.
        self.near(low, high)
    }

    /// Column and row of the bucket at a place, or of the nearest one.
    fn bucket(&self, place: IVec2) -> IVec2 {
        (place / BUCKET_UNITS).clamp(IVec2::ZERO, IVec2::splat(self.side - 1))
    }

    fn index(&self, plane: &Plane) -> usize {
        let bucket = self.bucket(plane.position());
        (bucket.y * self.side + bucket.x) as usize
    }

    /// A counting sort of all planes into buckets; `planes` gives the same ones each time, in any order.
    fn fill<I: Iterator<Item = Aloft>>(&mut self, planes: impl Fn() -> I, grid: Grid) {
        self.side = grid.side_units() / BUCKET_UNITS;
        self.starts.clear();
        self.starts.resize((self.side * self.side) as usize + 1, 0);
        for aloft in planes() {
            let bucket = self.index(&aloft.plane);
            self.starts[bucket] += 1;
        }
        let mut end = 0;
        for start in &mut self.starts {
            end += *start;
            *start = end;
        }
        // Whatever is here is overwritten below: there are `end` planes.
        self.planes.resize(end as usize, Aloft { id: 0, entity: Entity::PLACEHOLDER, plane: Plane::default() });
        for aloft in planes() {
            // Each bucket is filled from behind, so that its end becomes its start.
            let bucket = self.index(&aloft.plane);
            self.starts[bucket] -= 1;
            self.planes[self.starts[bucket] as usize] = aloft;
        }
        for bucket in self.starts.windows(2).filter(|bucket| bucket[1] - bucket[0] > 1) {
            self.planes[bucket[0] as usize..bucket[1] as usize].sort_unstable_by_key(|aloft| aloft.id);
        }
    }
}

/// Builds the index.
pub(crate) fn plugin(setup: &mut Setup) {
    setup.world.init_resource::<SpatialIndex>();
    setup.schedule.add_systems(build.in_set(Phase::Index));
}

fn build(rules: Res<MotionRules>, mut index: ResMut<SpatialIndex>, planes: Query<(Entity, &PilotId, &Plane)>) {
    let aloft = |(entity, pilot, plane): (Entity, &PilotId, &Plane)| Aloft { id: pilot.0, entity, plane: *plane };
    index.fill(|| planes.iter().map(aloft), rules.grid);
}
