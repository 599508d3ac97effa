//! Saving and restoring a game: everything the next step depends on, as plain data by the names of its fields.
//!
//! Path: [`Game::snapshot`] between two steps → whoever keeps it makes bytes of it → [`Game::restore`].
//! Invariants: a game that was restored by the same rules goes on as if it had never stopped; one that an older version
//! saved keeps all that today's has a name for, and new fields get their default; on a field of another size it keeps all
//! but places: everybody takes off anew. Whatever the data says, no row of it leaves a field's declared range.
//! Never: a format, what a step works out anew (spatial index, ranking), kills that nobody drained.

mod saved_rows;

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
    spawn::{NOTICE_TICKS, Presence, Status},
    standing::{Board, SCORE_MAX, Score},
};
use bevy_ecs::{prelude::*, query::QueryData};
use glam::IVec2;
use saved_rows::SavedRows;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, error, fmt};

/// The last tick of a game that is taken up again, 413 days of play: a day before those who show it cannot count on.
/// Policy: refuse the snapshot.
pub(crate) const TICK_MAX: u32 = u32::MAX / 2 - 24 * 3600 * 60;
/// What the places of planes in the last ticks are called among the rows.
const HISTORY: &str = "history";

/// See the module. A field that is added needs a default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GameSnapshot {
    tick: u32,
    seed: u64,
    /// Side of the field: places mean nothing on another.
    field_cells: i32,
    last_pilot: u16,
    #[serde(default)]
    is_board_stale: bool,
    /// By id.
    pilots: Vec<SavedPilot>,
    /// By the kind's name; a plane has its pilot's id. Kinds that nobody knows any more are left out.
    #[serde(default)]
    rows: BTreeMap<String, SavedRows>,
}

/// What the features know of a pilot, but for its rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct SavedPilot {
    id: PilotId,
    #[serde(default)]
    is_bot: bool,
    #[serde(default)]
    wanted: Controls,
    #[serde(default)]
    view_delay: u32,
    status: Status,
    #[serde(default)]
    score: i32,
    #[serde(default)]
    shots: i32,
    #[serde(default)]
    is_leaving: bool,
}

/// The rows of a snapshot as today's rules have them, by id.
struct Rows {
    planes: BTreeMap<u32, Fields>,
    bullets: BTreeMap<u32, Fields>,
    /// As many lines as the field has.
    minimap: Vec<Fields>,
    histories: BTreeMap<u32, PositionHistory>,
}

/// Why a snapshot is not taken up: the name of what is not as a game can have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnfitSnapshot(pub &'static str);

impl fmt::Display for UnfitSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no game can have such a value: {}", self.0)
    }
}

impl error::Error for UnfitSnapshot {}

impl Game {
    /// Everything, between two steps.
    pub fn snapshot(&self) -> GameSnapshot {
        let world = &self.world;
        let mut pilots = world.try_query::<AllOfAPilot<'_>>().expect("registered by the plugins");
        let mut pilots: Vec<_> = pilots.iter(world).map(saved).collect();
        pilots.sort_unstable_by_key(|pilot| pilot.id);
        let clock = world.resource::<Clock>();
        GameSnapshot {
            tick: clock.tick,
            seed: clock.seed,
            field_cells: self.rules().motion.grid.cells,
            last_pilot: world.resource::<Roster>().last_id,
            is_board_stale: world.resource::<Board>().is_stale,
            pilots,
            rows: self.saved_rows(),
        }
    }

    fn saved_rows(&self) -> BTreeMap<String, SavedRows> {
        let world = &self.world;
        let mut planes = world.try_query::<(&PilotId, &Plane)>().expect("registered by the plugins");
        let mut bullets = world.try_query::<(&BulletId, &Bullet)>().expect("as above");
        let mut histories = world.try_query::<(&PilotId, &PositionHistory)>().expect("as above");
        let planes = planes.iter(world).map(|(id, plane)| (id.0.into(), plane.to_fields()));
        let bullets = bullets.iter(world).map(|(id, bullet)| (id.0, bullet.to_fields()));
        let lines = world.resource::<Minimap>().0.iter().enumerate().map(|(line, fields)| (line as u32, *fields));
        let pasts = histories.iter(world).flat_map(|(id, history)| history.to_rows().map(|row| (id.0.into(), row)));
        BTreeMap::from([
            (plane::KIND.name.to_owned(), SavedRows::new(plane::KIND.fields, planes)),
            (bullet::KIND.name.to_owned(), SavedRows::new(bullet::KIND.fields, bullets)),
            (minimap::KIND.name.to_owned(), SavedRows::new(minimap::KIND.fields, lines)),
            (HISTORY.to_owned(), SavedRows::new(&PositionHistory::FIELDS, pasts)),
        ])
    }

    /// Takes a game up again, by these rules.
    ///
    /// # Errors
    /// [`UnfitSnapshot`].
    pub fn restore(snapshot: GameSnapshot, rules: Rules) -> Result<Self, UnfitSnapshot> {
        let (snapshot, mut rows) = snapshot.by(rules.motion.grid)?;
        let mut game = Self::new(snapshot.seed, rules);
        let world = &mut game.world;
        world.resource_mut::<Clock>().tick = snapshot.tick;
        world.resource_mut::<Minimap>().0 = rows.minimap;
        let mut board = world.resource_mut::<Board>();
        // Whoever came since the last step is not ranked yet.
        let old = snapshot.pilots.iter().filter(|pilot| pilot.status != Status::New);
        board.rank_all(old.map(|pilot| (pilot.id, Score(pilot.score))));
        board.is_stale = snapshot.is_board_stale;
        for SavedPilot { id, is_bot, wanted, view_delay, status, score, shots, is_leaving } in snapshot.pilots {
            let presence = Presence { status, shots, is_leaving };
            let history = rows.histories.remove(&id.0.into()).unwrap_or_default();
            let state = (wanted, ViewDelay(view_delay), history, presence, Score(score));
            let entity = spawn_pilot(world, id, is_bot, state);
            if let Some(fields) = rows.planes.remove(&id.0.into()) {
                world.entity_mut(entity).insert(Plane::from_fields(&fields));
            }
            if !is_leaving {
                world.resource_mut::<Roster>().insert(id, entity);
            }
        }
        world.resource_mut::<Roster>().last_id = snapshot.last_pilot;
        for (id, fields) in rows.bullets {
            world.spawn((BulletId(id), Bullet::from_fields(&fields)));
        }
        Ok(game)
    }

    /// Everybody who plays, by id.
    pub fn pilots(&self) -> impl Iterator<Item = PilotId> {
        self.world.resource::<Roster>().ids()
    }
}

/// What a snapshot reads of a pilot, but for its rows.
type AllOfAPilot<'a> = (&'a PilotId, Has<Bot>, &'a Controls, &'a ViewDelay, &'a Presence, &'a Score);

fn saved(
    (id, is_bot, wanted, view_delay, presence, score): <AllOfAPilot<'_> as QueryData>::Item<'_, '_>,
) -> SavedPilot {
    let Presence { status, shots, is_leaving } = presence.clone();
    let (wanted, view_delay, score) = (*wanted, view_delay.0, score.0);
    SavedPilot { id: *id, is_bot, wanted, view_delay, status, score, shots, is_leaving }
}

impl GameSnapshot {
    /// The same as today's rules have it: a step of that can be taken without leaving a range.
    fn by(mut self, grid: Grid) -> Result<(Self, Rows), UnfitSnapshot> {
        within(self.tick <= TICK_MAX, "tick")?;
        if self.field_cells != grid.cells {
            self.leave_field();
        }
        self.pilots.iter_mut().for_each(|pilot| pilot.limit(self.tick));
        let rows = Rows {
            planes: self.rows_of(&plane::KIND, grid)?,
            bullets: self.rows_of(&bullet::KIND, grid)?,
            minimap: self.minimap(grid)?,
            histories: self.histories(grid)?,
        };
        within(self.pilots.len() <= PILOTS_MAX_COUNT, "number of pilots")?;
        within(self.pilots.is_sorted_by(|a, b| a.id < b.id), "order of pilots")?;
        let mut aloft = 0;
        for pilot in &self.pilots {
            let is_aloft = rows.planes.contains_key(&pilot.id.0.into());
            pilot.check(is_aloft, grid)?;
            aloft += usize::from(is_aloft);
        }
        within(aloft == rows.planes.len(), "plane of nobody")?;
        Ok((self, rows))
    }

    /// Everybody is to take off anew; nothing else that flies is left.
    fn leave_field(&mut self) {
        self.rows.clear();
        self.pilots.iter_mut().for_each(|pilot| pilot.status = Status::New);
        self.is_board_stale = true;
    }

    /// A kind's rows: each id once and in its range, each place on the field.
    fn rows_of(&self, kind: &Kind, grid: Grid) -> Result<BTreeMap<u32, Fields>, UnfitSnapshot> {
        let Some(saved) = self.rows.get(kind.name) else { return Ok(BTreeMap::new()) };
        let mut rows = BTreeMap::new();
        for (id, fields) in saved.read(kind.name, kind.fields)? {
            within(u64::from(id) < 1 << kind.id_bits, kind.name)?;
            within(!kind.is_placed || is_inside(IVec2::new(fields[0], fields[1]), grid), kind.name)?;
            within(rows.insert(id, fields).is_none(), kind.name)?;
        }
        Ok(rows)
    }

    /// The lines that the field has; until the next count, one that was not saved is empty.
    fn minimap(&self, grid: Grid) -> Result<Vec<Fields>, UnfitSnapshot> {
        let saved = self.rows_of(&minimap::KIND, grid)?;
        Ok((0..minimap::side(grid) as u32).map(|line| saved.get(&line).copied().unwrap_or_default()).collect())
    }

    fn histories(&self, grid: Grid) -> Result<BTreeMap<u32, PositionHistory>, UnfitSnapshot> {
        let Some(saved) = self.rows.get(HISTORY) else { return Ok(BTreeMap::new()) };
        let mut histories = BTreeMap::<_, PositionHistory>::new();
        for (id, past) in saved.read(HISTORY, &PositionHistory::FIELDS)? {
            within(is_inside(IVec2::new(past[1], past[2]), grid), HISTORY)?;
            histories.entry(id).or_default().put(&past);
        }
        Ok(histories)
    }
}

impl SavedPilot {
    /// What is beyond a limit that may have become narrower becomes the nearest within.
    fn limit(&mut self, tick: u32) {
        self.wanted = Controls::from_bits(self.wanted.to_bits());
        self.view_delay = self.view_delay.min(VIEW_DELAY_MAX);
        self.score = self.score.clamp(0, SCORE_MAX);
        self.shots = self.shots.clamp(0, 255);
        match &mut self.status {
            Status::New | Status::Flying => {}
            Status::Down { since, .. } => *since = tick.min(*since),
            Status::Returning(place) => place.tick = place.tick.clamp(tick + 1, tick + NOTICE_TICKS),
        }
    }

    fn check(&self, is_aloft: bool, grid: Grid) -> Result<(), UnfitSnapshot> {
        let is_status = match &self.status {
            Status::New => !is_aloft,
            Status::Flying => is_aloft,
            Status::Down { .. } => true,
            Status::Returning(place) => !is_aloft && is_inside(place.at, grid) && (0..TURN).contains(&place.heading),
        };
        within(self.id.0 != 0, "pilot's id")?;
        within(is_status, "pilot's status")
    }
}

fn is_inside(place: IVec2, grid: Grid) -> bool {
    place.min_element() >= 0 && place.max_element() < grid.side_units()
}

fn within(is_within: bool, name: &'static str) -> Result<(), UnfitSnapshot> {
    if is_within { Ok(()) } else { Err(UnfitSnapshot(name)) }
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

    /// As whoever keeps it has it: by names.
    fn edited(snapshot: &GameSnapshot, change: impl FnOnce(&mut serde_json::Value)) -> GameSnapshot {
        let mut value = serde_json::to_value(snapshot).unwrap();
        change(&mut value);
        serde_json::from_value(value).unwrap()
    }

    fn points(game: &Game) -> Vec<Option<i32>> {
        game.pilots().map(|pilot| game.standing(pilot).map(|standing| standing.score)).collect()
    }

    #[test]
    fn what_no_game_can_have_is_refused_by_name() {
        let game = busy_game();
        let good = game.snapshot();
        let refused = |name: &'static str, change: &dyn Fn(&mut GameSnapshot)| {
            let mut bad = good.clone();
            change(&mut bad);
            assert_eq!(Game::restore(bad, game.rules().clone()).map(|_| ()), Err(UnfitSnapshot(name)));
        };
        refused("tick", &|bad| bad.tick = TICK_MAX + 1);
        refused("order of pilots", &|bad| bad.pilots.swap(0, 1));
        refused("pilot's id", &|bad| bad.pilots[0].id = PilotId(0));
        let aloft = good.pilots.iter().position(|pilot| pilot.status == Status::Flying).unwrap();
        refused("pilot's status", &|bad| bad.pilots[aloft].status = Status::New);
        refused("plane of nobody", &|bad| _ = bad.pilots.remove(aloft));
        let refused = |name: &'static str, change: &dyn Fn(&mut serde_json::Value)| {
            let bad = edited(&good, |value| change(&mut value["rows"]));
            assert_eq!(Game::restore(bad, game.rules().clone()).map(|_| ()), Err(UnfitSnapshot(name)));
        };
        refused("plane", &|rows| rows["plane"]["values"][0] = (10 * 16_384).into());
        refused("plane", &|rows| rows["plane"]["ids"][0] = rows["plane"]["ids"][1].clone());
        refused("plane", &|rows| rows["plane"]["ids"][0] = 65_536.into());
        refused("bullet", &|rows| _ = rows["bullet"]["ids"].as_array_mut().unwrap().pop());
        refused("history", &|rows| rows["history"]["values"][1] = (10 * 16_384).into());
    }

    #[test]
    fn what_is_beyond_a_limit_that_became_narrower_is_the_nearest_within() {
        let (game, beyond) = (busy_game(), i32::MAX);
        let mut wide = game.snapshot();
        let tick = wide.tick;
        let down = wide.pilots.iter().position(|pilot| matches!(pilot.status, Status::Down { .. })).unwrap();
        wide.pilots[down].status = Status::Down { since: tick + 1, is_ready: false };
        let pilot = &mut wide.pilots[0];
        (pilot.score, pilot.shots, pilot.view_delay) = (beyond, beyond, u32::MAX);
        (pilot.wanted.steer, pilot.wanted.throttle) = (-beyond, beyond);
        let wide = edited(&wide, |value| value["rows"]["sector"]["values"][0] = 4.into());
        let restored = Game::restore(wide, game.rules().clone()).unwrap().snapshot();
        let pilot = &restored.pilots[0];
        assert_eq!((pilot.score, pilot.shots, pilot.view_delay), (SCORE_MAX, 255, VIEW_DELAY_MAX));
        assert_eq!((pilot.wanted.steer, pilot.wanted.throttle), (-7, 2));
        assert_eq!(restored.pilots[down].status, Status::Down { since: tick, is_ready: false });
        let value = serde_json::to_value(restored).unwrap();
        assert_eq!(value["rows"]["sector"]["values"][0], 3);
    }

    #[test]
    fn a_save_of_an_older_game_gets_the_defaults_of_what_is_new_and_loses_what_is_gone() {
        let game = busy_game();
        let old = edited(&game.snapshot(), |value| {
            let pilot = value["pilots"][0].as_object_mut().unwrap();
            for name in ["is_bot", "wanted", "view_delay", "shots", "is_leaving"] {
                pilot.remove(name).unwrap();
            }
            pilot.insert("medals".to_owned(), 3.into());
            value["weather"] = "fair".into();
            let rows = value["rows"].as_object_mut().unwrap();
            rows.insert("cloud".to_owned(), serde_json::json!({"fields": ["x"], "ids": [1], "values": [2]}));
            rows.remove("sector").unwrap();
            rows.remove("history").unwrap();
            // Planes had no energy, but a colour.
            let names = rows["plane"]["fields"].as_array_mut().unwrap();
            *names.iter_mut().find(|name| **name == "energy").unwrap() = "colour".into();
        });
        let mut restored = Game::restore(old, game.rules().clone()).unwrap();
        let energies = |game: &Game| {
            let planes = game.all_rows().into_iter().filter(|row| row.kind == plane::PLANE);
            planes.map(|row| Plane::from_fields(&row.fields).energy).collect::<Vec<_>>()
        };
        assert!(energies(&game).iter().any(|energy| *energy != plane::ENERGY_FULL));
        assert!(energies(&restored).iter().all(|energy| *energy == plane::ENERGY_FULL));
        assert_eq!(points(&restored), points(&game));
        play(&mut restored, 120);
    }

    #[test]
    fn on_a_field_of_another_size_everybody_takes_off_anew_with_the_points_of_before() {
        let game = busy_game();
        let mut rules = game.rules().clone();
        rules.motion.grid.cells += 1;
        let mut restored = Game::restore(game.snapshot(), rules).unwrap();
        assert!(restored.pilots().eq(game.pilots()));
        restored.step();
        assert_eq!(points(&restored), points(&game));
        let planes = restored.all_rows().into_iter().filter(|row| row.kind == plane::PLANE).count();
        assert_eq!(planes, game.pilots().count());
        play(&mut restored, 120);
    }
}
