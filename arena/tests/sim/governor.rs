//! Overload: what players and operators see while a room's budget is cut, and after it has returned.
//!
//! Costs are a model, so that a run is the same everywhere: per row simulated, per frame and per byte; see the
//! constants. A cut takes the same share of everything: the budget and the machine's time between two ticks.

use crate::world::{LineProfile, World, seed};
use arena::Client;
use protocol::close::CloseReason;
use session::{
    Command, Engine, Level,
    governor::{Budget, Governor, Spent},
};

const CALM: LineProfile = LineProfile { one_way_ms: 0.0, jitter_ms: 0.0, stall_per_mille: 0 };
const FAR: LineProfile = LineProfile { one_way_ms: 75.0, jitter_ms: 10.0, stall_per_mille: 0 };
const BAD: LineProfile = LineProfile { one_way_ms: 120.0, jitter_ms: 60.0, stall_per_mille: 10 };

/// Simulating, comparing and logging a row: 1 ms a tick for 1000 planes.
const ROW_NS: u64 = 1_000;
/// Assembling a frame and handing it over.
const FRAME_NS: u64 = 5_000;
/// Copying and sending a byte.
const BYTE_NS: u64 = 20;

const PLAYERS: usize = 200;
/// So many fillers fly beside the players.
const FILLERS: usize = 20;
const SECOND_TICKS: usize = 60;
const WARM_UP_TICKS: usize = 5 * SECOND_TICKS;
/// A clock that is further behind skips ticks, as `net`'s does.
const CATCH_UP_MAX_TICKS: u32 = 3;

/// A world whose room is governed.
struct Governed {
    world: World,
    governor: Governor,
    budget: Budget,
    frames: u64,
    bytes: u64,
    /// Work the machine has not come to yet.
    behind_us: u32,
    skipped_ticks: u32,
    ticks: usize,
    costs_us: Vec<u32>,
    changes: Vec<(usize, Level)>,
}

impl Governed {
    /// A full room and the budget that its full service needs, and a quarter more.
    fn at_full_load() -> Self {
        let mut world = World::with(seed(), |config| config.fillers = (PLAYERS + FILLERS) as u16);
        for index in 0..PLAYERS {
            world.join(if index % 8 == 0 { FAR } else { CALM });
        }
        let budget = Budget::of_tick(u32::MAX);
        let governor = Governor::new(budget, arena::TICK_HZ);
        let (costs_us, changes) = (vec![], vec![]);
        let (frames, bytes, behind_us, skipped_ticks, ticks) = (0, 0, 0, 0, 0);
        let mut governed =
            Self { world, governor, budget, frames, bytes, behind_us, skipped_ticks, ticks, costs_us, changes };
        // They begin close together and spread out.
        governed.run(WARM_UP_TICKS);
        governed.set_budget(Budget::of_tick(governed.mean_us() * 5 / 4));
        governed
    }

    fn set_budget(&mut self, budget: Budget) {
        self.budget = budget;
        self.governor.set_budget(budget);
        self.changes.clear();
        self.measured();
    }

    fn measured(&mut self) {
        (self.ticks, self.skipped_ticks) = (0, 0);
        self.costs_us.clear();
    }

    fn run(&mut self, ticks: usize) {
        for _ in 0..ticks {
            self.tick();
        }
    }

    fn tick(&mut self) {
        self.world.tick();
        self.ticks += 1;
        let spent = self.spent();
        let cost_us = spent.simulate_us + spent.frames_us;
        self.costs_us.push(cost_us);
        // Half of the time between two ticks is the tick thread's budget.
        let tick_us = self.budget.tick_us.saturating_mul(2);
        self.behind_us = (self.behind_us + cost_us).saturating_sub(tick_us);
        while self.behind_us > tick_us.saturating_mul(CATCH_UP_MAX_TICKS) {
            self.behind_us -= tick_us;
            self.skipped_ticks += 1;
        }
        if let Some(level) = self.governor.note(spent) {
            self.world.room.command(Command::Relieve(level));
            self.changes.push((self.ticks, level));
        }
    }

    /// What the last tick cost.
    fn spent(&mut self) -> Spent {
        let stats = self.world.room.figures();
        let bytes = self.world.players.iter().map(|player| player.client.stats().bytes_in).sum();
        let frames_ns = (stats.frames - self.frames) * FRAME_NS + (bytes - self.bytes) * BYTE_NS;
        (self.frames, self.bytes) = (stats.frames, bytes);
        let us = |ns: u64| (ns / 1000) as u32;
        Spent { simulate_us: us(u64::from(stats.rows) * ROW_NS), frames_us: us(frames_ns) }
    }

    /// The mean cost of the last second.
    fn mean_us(&self) -> u32 {
        let last = &self.costs_us[self.costs_us.len() - SECOND_TICKS..];
        last.iter().sum::<u32>() / SECOND_TICKS as u32
    }

    fn levels(&self) -> Vec<Level> {
        self.changes.iter().map(|(_, level)| *level).collect()
    }

    /// Nobody was closed, everybody is exact, no tick was skipped.
    fn check(&self) {
        assert_eq!(self.skipped_ticks, 0);
        assert_eq!(self.world.room.figures().repairs, 0);
        check_players(&self.world);
    }
}

fn check_players(world: &World) {
    assert_eq!(world.room.figures().players as usize, world.players.len(), "every connection is kept");
    for (index, player) in world.players.iter().enumerate() {
        assert_eq!(player.closed, None, "player {index}");
        assert_eq!(player.client.stats().mismatches, 0, "player {index}");
    }
}

/// Runs, and returns how many frames the players got, the fewest first.
fn frames_got(world: &mut World, ticks: usize) -> Vec<u64> {
    let before: Vec<u64> = world.players.iter().map(|player| player.client.stats().frames).collect();
    world.run(ticks as u32);
    let after = world.players.iter().map(|player| player.client.stats().frames);
    let mut got: Vec<u64> = after.zip(before).map(|(after, before)| after - before).collect();
    got.sort_unstable();
    got
}

#[test]
fn a_third_of_the_budget_costs_smoothness_and_nobody_the_flight() {
    let mut room = Governed::at_full_load();
    let full = room.budget;
    room.run(5 * SECOND_TICKS);
    assert_eq!(room.changes, [], "full load fits");
    room.check();

    let cut = Budget::of_tick(full.tick_us / 3);
    room.set_budget(cut);
    room.run(2 * SECOND_TICKS);
    let shed = room.levels();
    assert_eq!(shed, Level::ALL[1..=shed.len()], "in the stated order");
    room.run(8 * SECOND_TICKS);
    eprintln!("full {full:?}, cut: {:?}, mean {} us", room.changes, room.mean_us());
    for second in room.costs_us[2 * SECOND_TICKS..].chunks(SECOND_TICKS) {
        let mean_us = second.iter().sum::<u32>() / SECOND_TICKS as u32;
        assert!(mean_us <= cut.tick_us, "{mean_us} us in {cut:?}");
    }
    room.check();

    room.set_budget(full);
    room.run(5 * SECOND_TICKS);
    eprintln!("back: {:?}", room.changes);
    assert_eq!(room.governor.level(), Level::Full);
    assert!(room.levels().is_sorted_by(|before, after| before > after), "nothing is shed again: {:?}", room.changes);
    room.run(2 * SECOND_TICKS);
    assert_eq!(room.governor.level(), Level::Full);
    room.check();
}

#[test]
fn a_tenth_of_the_budget_sheds_everything_and_keeps_everybody() {
    let mut room = Governed::at_full_load();
    let full = room.budget;
    room.set_budget(Budget::of_tick(full.tick_us / 10));
    room.run(2 * SECOND_TICKS);
    assert_eq!(room.levels(), Level::ALL[1..]);
    let all_shed = room.changes.last().map_or(0, |(tick, _)| *tick);
    assert!(all_shed <= SECOND_TICKS, "within a second: {:?}", room.changes);
    assert_eq!(room.world.room.figures().pilots as usize, PLAYERS, "no fillers");
    check_players(&room.world);

    room.set_budget(full);
    room.run(5 * SECOND_TICKS);
    assert_eq!(room.levels(), [Level::Extras, Level::Detail, Level::Cadence, Level::Full]);
    assert_eq!(room.world.room.figures().pilots as usize, PLAYERS + FILLERS);
    room.check();
}

/// SPEC A1.4.
#[test]
fn every_level_is_exact_over_any_line() {
    let mut world = World::new(seed(), 60);
    for line in [CALM, FAR, BAD].into_iter().cycle().take(30) {
        world.join(line);
    }
    world.run(120);
    let there_and_back = Level::ALL.into_iter().chain(Level::ALL.into_iter().rev());
    for level in there_and_back {
        world.room.command(Command::Relieve(level));
        let frames = frames_got(&mut world, 3 * SECOND_TICKS);
        assert!(frames[0] >= 10, "{level:?}: {frames:?} frames in three seconds over all lines");
        check_players(&world);
        let held = world.players.iter().filter_map(|player| player.client.replica());
        let most_held = held.map(|replica| replica.held().len()).max().expect("there are players");
        assert_eq!(most_held <= 10, level >= Level::Detail, "{level:?}: {most_held} cells");
    }
    assert_eq!(world.room.figures().repairs, 0);
}

/// SPEC A1.4.
#[test]
fn frames_are_rarer_by_level_whatever_happens() {
    let mut world = World::with(seed(), |config| config.cadence_ticks = 1);
    (0..40).for_each(|_| _ = world.join(CALM));
    world.run(60);
    let mut frames_at = |level| {
        world.room.command(Command::Relieve(level));
        world.run(12);
        let frames = frames_got(&mut world, 2 * SECOND_TICKS);
        (frames[0], frames[frames.len() / 2], frames[frames.len() - 1])
    };
    let (fewest, ..) = frames_at(Level::Full);
    assert!(fewest >= 118, "{fewest} frames at 60 Hz in two seconds");
    // A new place to look from does not wait: some get a few more.
    for (level, hz) in [(Level::Cadence, 20), (Level::Detail, 10), (Level::Joins, 10)] {
        let (fewest, usual, most) = frames_at(level);
        assert!(fewest >= 2 * 10 && usual <= 2 * hz + 2 && most <= 2 * hz + 10, "{level:?}: {fewest}, {usual}, {most}");
    }
}

#[test]
fn shed_frames_do_not_fall_on_the_same_tick() {
    let mut world = World::new(seed(), 0);
    (0..120).for_each(|_| _ = world.join(CALM));
    world.run(WARM_UP_TICKS as u32);
    for (level, cadence_ticks) in [(Level::Cadence, 3), (Level::Detail, 6)] {
        world.room.command(Command::Relieve(level));
        world.run(12);
        let frames = world.room.figures().frames;
        let most = (0..SECOND_TICKS).fold(0, |most, _| {
            let before = world.room.figures().frames;
            world.tick();
            most.max(world.room.figures().frames - before)
        });
        let mean = (world.room.figures().frames - frames) as f64 / SECOND_TICKS as f64;
        let per_send_tick = world.players.len() as f64 / f64::from(cadence_ticks);
        assert!(most as f64 <= 1.8 * per_send_tick, "{level:?}: {most} frames in a tick, {mean} in the mean");
        // Few sessions look from one cell here, so most have no other to share a body with; but none is sent oftener.
        assert!(mean <= 1.15 * per_send_tick, "{level:?}: {mean} frames a tick");
    }
    check_players(&world);
}

/// SPEC A1.4.
#[test]
fn with_joins_shed_only_those_who_were_there_come_in() {
    let mut world = World::new(seed(), 5);
    let player = world.join(CALM);
    world.run(60);
    let pilot = world.players[player].client.pilot();
    world.room.command(Command::Relieve(Level::Joins));
    let newcomer = world.join(CALM);
    assert_eq!(world.players[newcomer].closed, Some(CloseReason::Overloaded));
    world.players[newcomer].is_frozen = true;
    world.cut(player);
    world.run(30);
    world.connect(player, None);
    world.run(60);
    assert_eq!((world.players[player].closed, world.players[player].client.pilot()), (None, pilot));
    assert_eq!(world.players[player].client.stats().mismatches, 0);
    world.room.command(Command::Relieve(Level::Extras));
    world.players[newcomer].client = Client::new();
    world.players[newcomer].is_frozen = false;
    world.connect(newcomer, None);
    world.run(60);
    assert!(world.players[newcomer].client.is_welcomed());
}
