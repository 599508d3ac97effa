//! Saving and restoring a game: everything the next step depends on, as plain data.
//!
//! Path: [`Game::snapshot`] between two steps → whoever keeps it makes bytes of it → [`Game::restore`].
//! Invariants: a game that was restored goes on as if it had never stopped; whatever the data says, no row of it leaves
//! a field's declared range.
//! Never: a format, what a step works out anew (spatial index, ranking), kills that nobody drained.

use crate::{
    bullet::{self, Bullet},
    controls::Controls,
    game::{Game, spawn_pilot},
    geometry::TURN,
    lag_compensation::{PositionHistory, VIEW_DELAY_MAX, ViewDelay},
    minimap::{self, Minimap},
    motion::BulletId,
    plane::{self, Plane},
    roster::{Bot, PILOTS_MAX_COUNT, PilotId, Roster},
    rules::Rules,
    schedule::Clock,
    schema::{Fields, Grid, Kind},
    spawn::{NOTICE_TICKS, Place, Presence, Status},
    standing::{Board, SCORE_MAX, Score},
};
use bevy_ecs::{prelude::*, query::QueryData};
use glam::IVec2;
use serde::{Deserialize, Serialize};
use std::{error, fmt};

/// The last tick of a game that is taken up again, 413 days of play: a day before those who show it cannot count on.
/// Policy: refuse the snapshot.
pub(crate) const TICK_MAX: u32 = u32::MAX / 2 - 24 * 3600 * 60;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GameSnapshot {
    tick: u32,
    seed: u64,
    /// Side of the field: places mean nothing on another.
    field_cells: i32,
    last_pilot: u16,
    is_board_stale: bool,
    minimap: Vec<Fields>,
    /// By id.
    pilots: Vec<(SavedPilot, PositionHistory, Option<Fields>)>,
    /// By id.
    bullets: Vec<(u32, Fields)>,
}

/// What the features know of a pilot, but for its position history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct SavedPilot {
    id: PilotId,
    is_bot: bool,
    wanted: Controls,
    view_delay: u32,
    status: Status,
    score: i32,
    shots: i32,
    is_leaving: bool,
}

/// Why a snapshot is not taken up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnfitSnapshot {
    /// The rules say another size of the field.
    OtherField,
    /// A value that no game can have; the name is the value's.
    OutOfRange(&'static str),
}

impl fmt::Display for UnfitSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherField => f.write_str("it is of a field of another size"),
            Self::OutOfRange(name) => write!(f, "{name} is out of its range"),
        }
    }
}

impl error::Error for UnfitSnapshot {}

impl Game {
    /// Everything, between two steps.
    pub fn snapshot(&self) -> GameSnapshot {
        let world = &self.world;
        let mut pilots = world.try_query::<AllOfAPilot<'_>>().expect("registered by the plugins");
        let mut bullets = world.try_query::<(&BulletId, &Bullet)>().expect("as above");
        let mut pilots: Vec<_> = pilots.iter(world).map(saved).collect();
        let mut bullets: Vec<_> = bullets.iter(world).map(|(id, bullet)| (id.0, bullet.to_fields())).collect();
        pilots.sort_unstable_by_key(|(pilot, ..)| pilot.id);
        bullets.sort_unstable_by_key(|(id, _)| *id);
        let clock = world.resource::<Clock>();
        GameSnapshot {
            tick: clock.tick,
            seed: clock.seed,
            field_cells: self.rules().motion.grid.cells,
            last_pilot: world.resource::<Roster>().last_id,
            is_board_stale: world.resource::<Board>().is_stale,
            minimap: world.resource::<Minimap>().0.clone(),
            pilots,
            bullets,
        }
    }

    /// Takes a game up again, by these rules.
    ///
    /// # Errors
    /// [`UnfitSnapshot`].
    pub fn restore(snapshot: GameSnapshot, rules: Rules) -> Result<Self, UnfitSnapshot> {
        snapshot.check(rules.motion.grid)?;
        let mut game = Self::new(snapshot.seed, rules);
        let world = &mut game.world;
        world.resource_mut::<Clock>().tick = snapshot.tick;
        world.resource_mut::<Minimap>().0 = snapshot.minimap;
        let mut board = world.resource_mut::<Board>();
        // Whoever came since the last step is not ranked yet.
        let old = snapshot.pilots.iter().map(|(pilot, ..)| pilot).filter(|pilot| pilot.status != Status::New);
        board.rank_all(old.map(|pilot| (pilot.id, Score(pilot.score))));
        board.is_stale = snapshot.is_board_stale;
        for (pilot, history, plane) in snapshot.pilots {
            let (id, is_leaving) = (pilot.id, pilot.is_leaving);
            let SavedPilot { is_bot, wanted, view_delay, status, score, shots, .. } = pilot;
            let presence = Presence { status, shots, is_leaving };
            let state = (wanted, ViewDelay(view_delay), history, presence, Score(score));
            let entity = spawn_pilot(world, id, is_bot, state);
            if let Some(fields) = plane {
                world.entity_mut(entity).insert(Plane::from_fields(&fields));
            }
            if !is_leaving {
                world.resource_mut::<Roster>().insert(id, entity);
            }
        }
        world.resource_mut::<Roster>().last_id = snapshot.last_pilot;
        for (id, fields) in snapshot.bullets {
            world.spawn((BulletId(id), Bullet::from_fields(&fields)));
        }
        Ok(game)
    }

    /// Everybody who plays, by id.
    pub fn pilots(&self) -> impl Iterator<Item = PilotId> {
        self.world.resource::<Roster>().ids()
    }
}

/// What a snapshot reads of a pilot.
type AllOfAPilot<'a> = (
    &'a PilotId,
    Has<Bot>,
    &'a Controls,
    &'a ViewDelay,
    &'a Presence,
    &'a Score,
    &'a PositionHistory,
    Option<&'a Plane>,
);

fn saved(
    (id, is_bot, wanted, view_delay, presence, score, history, plane): <AllOfAPilot<'_> as QueryData>::Item<'_, '_>,
) -> (SavedPilot, PositionHistory, Option<Fields>) {
    let Presence { status, shots, is_leaving } = presence.clone();
    let (wanted, view_delay, score) = (*wanted, view_delay.0, score.0);
    let pilot = SavedPilot { id: *id, is_bot, wanted, view_delay, status, score, shots, is_leaving };
    (pilot, history.clone(), plane.map(|plane| plane.to_fields()))
}

impl GameSnapshot {
    /// Whether a step of this can be taken without leaving a range.
    fn check(&self, grid: Grid) -> Result<(), UnfitSnapshot> {
        if self.field_cells != grid.cells {
            return Err(UnfitSnapshot::OtherField);
        }
        within(self.tick <= TICK_MAX, "tick")?;
        let side = minimap::side(grid) as usize;
        within(self.minimap.len() == side, "minimap")?;
        let mut lines = self.minimap.iter().enumerate();
        lines.try_for_each(|(line, fields)| check_row(&minimap::KIND, line as u32, fields, grid))?;
        within(self.pilots.len() <= PILOTS_MAX_COUNT, "number of pilots")?;
        within(self.pilots.is_sorted_by(|(a, ..), (b, ..)| a.id < b.id), "order of pilots")?;
        within(self.bullets.is_sorted_by(|(a, _), (b, _)| a < b), "order of bullets")?;
        for (pilot, history, plane) in &self.pilots {
            pilot.check(self.tick, plane.is_some(), grid)?;
            within(history.is_within(grid.side_units()), "position history")?;
            plane.iter().try_for_each(|fields| check_row(&plane::KIND, pilot.id.0.into(), fields, grid))?;
        }
        self.bullets.iter().try_for_each(|(id, fields)| check_row(&bullet::KIND, *id, fields, grid))
    }
}

impl SavedPilot {
    fn check(&self, tick: u32, is_aloft: bool, grid: Grid) -> Result<(), UnfitSnapshot> {
        let is_place = |place: &Place| {
            (tick + 1..=tick + NOTICE_TICKS).contains(&place.tick)
                && is_inside(place.at, grid)
                && (0..TURN).contains(&place.heading)
        };
        let is_status = match &self.status {
            Status::New => !is_aloft,
            Status::Flying => is_aloft,
            Status::Down { since, .. } => *since <= tick,
            Status::Returning(place) => !is_aloft && is_place(place),
        };
        within(self.id.0 != 0, "pilot's id")?;
        within(self.wanted == Controls::from_bits(self.wanted.to_bits()), "pilot's controls")?;
        within(self.view_delay <= VIEW_DELAY_MAX, "pilot's view")?;
        within(is_status, "pilot's status")?;
        within((0..=SCORE_MAX).contains(&self.score), "pilot's score")?;
        within((0..=255).contains(&self.shots), "pilot's shots")
    }
}

/// A row's id and fields are what its kind declares, and its place is on the field.
fn check_row(kind: &Kind, id: u32, fields: &Fields, grid: Grid) -> Result<(), UnfitSnapshot> {
    within(u64::from(id) < 1 << kind.id_bits, kind.name)?;
    let (used, unused) = fields.split_at(kind.fields.len());
    let are_fields = used.iter().zip(kind.fields).all(|(value, field)| field.range.contains(value));
    within(are_fields && unused.iter().all(|value| *value == 0), kind.name)?;
    within(!kind.is_placed || is_inside(IVec2::new(fields[0], fields[1]), grid), kind.name)
}

fn is_inside(place: IVec2, grid: Grid) -> bool {
    place.min_element() >= 0 && place.max_element() < grid.side_units()
}

fn within(is_within: bool, name: &'static str) -> Result<(), UnfitSnapshot> {
    if is_within { Ok(()) } else { Err(UnfitSnapshot::OutOfRange(name)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::rand;

    /// A room in which everything happens: people who come, go, steer, shoot, die and come back, among computer pilots.
    fn play(game: &mut Game, ticks: u32) {
        for _ in 0..ticks {
            let tick = game.tick();
            let roll = |purpose: u32| rand(99, tick, 0, purpose);
            if roll(1).is_multiple_of(40) {
                game.join(roll(2).is_multiple_of(2));
            }
            let pilots: Vec<_> = game.pilots().collect();
            let any = pilots[roll(3) as usize % pilots.len()];
            match roll(4) % 8 {
                0 if pilots.len() > 30 => game.leave(any),
                1..=3 => game.control(any, Controls::from_bits(roll(5) as u16)),
                4 => game.look(any, roll(6) as u32 % 300),
                5 | 6 => game.fly_again(any),
                _ => {}
            }
            game.step();
            game.drain_kills();
        }
    }

    fn busy_game() -> Game {
        let mut game = Game::new(7, Rules::default());
        assert!((0..40).all(|_| game.join(true).is_some()));
        play(&mut game, 900);
        game
    }

    #[test]
    fn a_restored_game_goes_on_as_if_it_had_never_stopped() {
        let mut game = busy_game();
        for pause in 0..12 {
            // Also with somebody who just came and somebody who just left.
            game.join(false);
            let leaving = game.pilots().next().unwrap();
            game.leave(leaving);
            let mut restored = Game::restore(game.snapshot(), game.rules().clone()).unwrap();
            assert_eq!(restored.all_rows(), game.all_rows());
            for tick in 0..150 {
                assert_eq!(restored.snapshot(), game.snapshot(), "tick {tick} after pause {pause}");
                play(&mut game, 1);
                play(&mut restored, 1);
                assert_eq!(restored.all_rows(), game.all_rows(), "tick {tick} after pause {pause}");
                let standings = |game: &Game| game.pilots().map(|pilot| game.standing(pilot)).collect::<Vec<_>>();
                assert_eq!(standings(&restored), standings(&game), "tick {tick} after pause {pause}");
            }
            game = restored;
        }
    }

    #[test]
    fn what_no_game_can_have_is_refused_by_name() {
        let game = busy_game();
        let good = game.snapshot();
        let refused = |change: &dyn Fn(&mut GameSnapshot), name: &'static str| {
            let mut bad = good.clone();
            change(&mut bad);
            let error = Game::restore(bad, game.rules().clone()).map(|_| ()).unwrap_err();
            assert_eq!(error, UnfitSnapshot::OutOfRange(name));
        };
        refused(&|bad| bad.tick = TICK_MAX + 1, "tick");
        refused(&|bad| bad.minimap[3][2] = 4, "sector");
        refused(&|bad| _ = bad.minimap.pop(), "minimap");
        refused(&|bad| bad.pilots.swap(0, 1), "order of pilots");
        refused(&|bad| bad.pilots[0].0.id = PilotId(0), "pilot's id");
        refused(&|bad| bad.pilots[0].0.score = -1, "pilot's score");
        refused(&|bad| bad.pilots[0].0.shots = 256, "pilot's shots");
        refused(&|bad| bad.pilots[0].0.view_delay = VIEW_DELAY_MAX + 1, "pilot's view");
        refused(&|bad| bad.pilots[0].0.wanted.steer = 100, "pilot's controls");
        refused(
            &|bad| bad.pilots[0].0.status = Status::Down { since: bad.tick + 1, is_ready: false },
            "pilot's status",
        );
        let aloft = good.pilots.iter().position(|(_, _, plane)| plane.is_some()).unwrap();
        refused(&|bad| bad.pilots[aloft].2.as_mut().unwrap()[0] = 10 * 16_384, "plane");
        refused(&|bad| bad.pilots[aloft].2.as_mut().unwrap()[8] = 101, "plane");
        refused(&|bad| bad.pilots[aloft].2.as_mut().unwrap()[15] = 1, "plane");
        refused(&|bad| bad.bullets[0].1[4] = 256, "bullet");
        let mut other = game.rules().clone();
        other.motion.grid.cells = 11;
        assert_eq!(Game::restore(good.clone(), other).map(|_| ()).unwrap_err(), UnfitSnapshot::OtherField);
    }
}
