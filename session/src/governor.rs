//! Decides how much service a room can afford, from what its ticks cost.
//!
//! Path: the tick's owner measures each part → [`Governor::note`] → a changed [`Level`] goes to [`crate::engine::Engine::command`].
//! Rule: the last [`MEAN_TICKS`] ticks and as many before are compared with the [`Budget`]. When both cost more, one
//! level is shed; when both have cost less than 70 % of it for [`PATIENCE_TICKS`], one is taken back. After each change
//! both begin anew, so that a level is judged by its own ticks alone. A recovery that had to be undone doubles the
//! patience with that level, until the room costs clearly less than it did then: a steady load cannot make the level
//! flap, and a budget that returns is used at once.
//! Invariants: levels change one step at a time; the same costs give the same levels.
//! Never: a clock (costs are arguments).

/// How much service is left out; each level includes those before it. A kind says what it can leave out at each, which may
/// be nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Nothing is left out.
    #[default]
    Full,
    /// Frames come at most every few ticks.
    Cadence,
    /// Members see less at once.
    Detail,
    /// Nobody is there whom a computer plays.
    Extras,
    /// New members are refused with `Overloaded`; resumes are let in.
    Joins,
}

impl Level {
    /// Every level, in order.
    pub const ALL: [Self; 5] = [Self::Full, Self::Cadence, Self::Detail, Self::Extras, Self::Joins];

    /// The level as a number: 0 is full service.
    pub fn number(self) -> u8 {
        self as u8
    }

    /// The level of a number; one beyond the last is the last, since more is left out than we know of.
    pub fn from_number(number: u8) -> Self {
        Self::ALL.get(usize::from(number)).copied().unwrap_or(Self::Joins)
    }

    /// The next level with less service; the last stays.
    fn worse(self) -> Self {
        Self::from_number(self.number() + 1)
    }

    /// The next level with more service; the first stays.
    fn better(self) -> Self {
        Self::from_number(self.number().saturating_sub(1))
    }
}

/// Ticks a second of the kind of room that ticks most often; the times below are told in its ticks.
const HZ: u32 = 60;
/// Length of such a tick.
pub const TICK_US: u32 = 1_000_000 / HZ;
/// Time of a tick that may be spent on its thread. Half of a tick: writers, readers and the kernel get the rest, and a
/// tick that takes twice the usual time is still no skipped one.
pub const TICK_BUDGET_US: u32 = TICK_US / 2;
/// Share of a tick's budget that one part may take, so that one which grows does not use up what the other will need.
const PART_PERCENT: u32 = 75;

/// What a tick may cost, together and per part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Everything on the tick's thread.
    pub tick_us: u32,
    /// Handling what came in, and the room's tick.
    pub simulate_us: u32,
    /// Assembling frames and handing them over.
    pub frames_us: u32,
}

impl Budget {
    /// The budget for a tick that may take `tick_us`.
    pub const fn of_tick(tick_us: u32) -> Self {
        let part_us = tick_us / 100 * PART_PERCENT + tick_us % 100 * PART_PERCENT / 100;
        Self { tick_us, simulate_us: part_us, frames_us: part_us }
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self::of_tick(TICK_BUDGET_US)
    }
}

/// What a tick cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spent {
    /// Handling what came in, and the room's tick.
    pub simulate_us: u32,
    /// Assembling frames and handing them over.
    pub frames_us: u32,
}

/// Ticks a mean is over, 0.1 s: the longest cadence of frames, so that frames every few ticks do not make it swing. A
/// single hiccup, however long, is in one of two neighbouring means only and sheds nothing; all four levels are shed
/// within a second.
pub const MEAN_TICKS: usize = 6;
/// Ticks from a change to the first judgement.
const JUDGED_TICKS: usize = 2 * MEAN_TICKS;
/// A cost below this share of the budget leaves room for the next better level.
const SPARE_PERCENT: u64 = 70;
/// Ticks in a row with room to spare before a recovery; with the 12 of two means, four recoveries take 2.8 s.
pub const PATIENCE_TICKS: u32 = 30;
/// Longest patience with a level whose recoveries had to be taken back.
const PATIENCE_MAX_TICKS: u32 = 60 * HZ;
/// A recovery that is taken back within this time was a mistake; later, the load has grown.
const PROBATION_TICKS: u32 = 10 * HZ;
/// A mistake is forgotten once the level costs less than this share of what it cost before the mistake.
const CHANGED_PERCENT: u64 = 75;
/// Simulations longer than a tick, less the others, that make a room slow.
const SLOW_TICKS: u32 = 12;

/// A recovery that had to be taken back.
#[derive(Debug, Clone, Copy)]
struct Mistake {
    /// The level to which the service had to return.
    level: Level,
    /// What that level had cost, per mille of the budget.
    cost_pm: u64,
    patience_ticks: u32,
}

/// The newest change, when it was a recovery.
#[derive(Debug, Clone, Copy)]
struct Recovery {
    cost_pm: u64,
    patience_ticks: u32,
    ticks_ago: u32,
}

/// See the module.
#[derive(Debug, Clone)]
pub struct Governor {
    budget: Budget,
    /// Length of the room's ticks.
    tick_us: u32,
    level: Level,
    /// The ticks since the last change, the newest of them; a ring.
    recent: [Spent; JUDGED_TICKS],
    noted: usize,
    /// Ticks in a row with room to spare.
    spare_ticks: u32,
    recovery: Option<Recovery>,
    mistake: Option<Mistake>,
    /// Counts up with each slow simulation and down with each other.
    slowness: u32,
    is_slow: bool,
}

impl Governor {
    /// Begins with full service, in a room that ticks so often a second.
    pub fn new(budget: Budget, tick_hz: u32) -> Self {
        Self {
            budget,
            tick_us: 1_000_000 / tick_hz,
            level: Level::Full,
            recent: [Spent::default(); JUDGED_TICKS],
            noted: 0,
            spare_ticks: 0,
            recovery: None,
            mistake: None,
            slowness: 0,
            is_slow: false,
        }
    }

    /// A tick was done; returns the level if it changes now.
    pub fn note(&mut self, spent: Spent) -> Option<Level> {
        self.watch_slowness(spent);
        self.recent[self.noted % JUDGED_TICKS] = spent;
        self.noted += 1;
        self.age_recovery();
        if self.noted < JUDGED_TICKS {
            return None;
        }
        let (newer_pm, older_pm) = (self.cost_pm(0), self.cost_pm(MEAN_TICKS));
        let cost_pm = newer_pm.max(older_pm);
        self.spare_ticks = if cost_pm < SPARE_PERCENT * 10 { self.spare_ticks + 1 } else { 0 };
        if newer_pm.min(older_pm) > 1000 && self.level != Level::Joins {
            Some(self.shed())
        } else if self.level != Level::Full && self.spare_ticks >= self.patience_ticks(cost_pm) {
            Some(self.recover(cost_pm))
        } else {
            None
        }
    }

    /// From now on this may be spent.
    pub fn set_budget(&mut self, budget: Budget) {
        self.budget = budget;
    }

    /// The service at present.
    pub fn level(&self) -> Level {
        self.level
    }

    /// Whether simulation alone takes longer than a tick: time runs slower than it should, and nothing can be shed
    /// against it.
    pub fn is_slow(&self) -> bool {
        self.is_slow
    }

    /// The mean cost of [`MEAN_TICKS`] ticks, the newest `ago` ticks old, per mille of the budget: of the tick's, or of
    /// the part's that is nearest to its own.
    fn cost_pm(&self, ago: usize) -> u64 {
        let newest = self.noted - ago;
        let ticks = (newest - MEAN_TICKS..newest).map(|at| self.recent[at % JUDGED_TICKS]);
        let (simulate_us, frames_us) = ticks.fold((0u64, 0u64), |(simulate_us, frames_us), spent| {
            (simulate_us + u64::from(spent.simulate_us), frames_us + u64::from(spent.frames_us))
        });
        let share_pm = |us: u64, budget_us: u32| us * 1000 / (u64::from(budget_us.max(1)) * MEAN_TICKS as u64);
        share_pm(simulate_us + frames_us, self.budget.tick_us)
            .max(share_pm(simulate_us, self.budget.simulate_us))
            .max(share_pm(frames_us, self.budget.frames_us))
    }

    /// How long there must be room to spare at this level and cost.
    fn patience_ticks(&self, cost_pm: u64) -> u32 {
        self.mistake
            .filter(|mistake| mistake.level == self.level && cost_pm * 100 > mistake.cost_pm * CHANGED_PERCENT)
            .map_or(PATIENCE_TICKS, |mistake| mistake.patience_ticks)
    }

    fn shed(&mut self) -> Level {
        let worse = self.level.worse();
        if let Some(recovery) = self.recovery.take() {
            let patience_ticks = (recovery.patience_ticks * 2).min(PATIENCE_MAX_TICKS);
            self.mistake = Some(Mistake { level: worse, cost_pm: recovery.cost_pm, patience_ticks });
        }
        self.change(worse)
    }

    fn recover(&mut self, cost_pm: u64) -> Level {
        let patience_ticks = self.patience_ticks(cost_pm);
        self.recovery = Some(Recovery { cost_pm, patience_ticks, ticks_ago: 0 });
        self.change(self.level.better())
    }

    /// Begins to predict anew.
    fn change(&mut self, level: Level) -> Level {
        (self.noted, self.spare_ticks, self.level) = (0, 0, level);
        level
    }

    /// A recovery that held for the probation was right, whatever was thought of that level before.
    fn age_recovery(&mut self) {
        let Some(recovery) = &mut self.recovery else { return };
        recovery.ticks_ago += 1;
        if recovery.ticks_ago > PROBATION_TICKS {
            self.recovery = None;
            let is_disproved = |mistake: &mut Mistake| mistake.level == self.level.worse();
            _ = self.mistake.take_if(is_disproved);
        }
    }

    fn watch_slowness(&mut self, spent: Spent) {
        self.slowness = if spent.simulate_us > self.tick_us {
            SLOW_TICKS.min(self.slowness + 1)
        } else {
            self.slowness.saturating_sub(1)
        };
        // Between the two ends it stays as it was, so that people are not told now this, now that.
        self.is_slow = if self.is_slow { self.slowness > 0 } else { self.slowness == SLOW_TICKS };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A room whose frames cost less at each level, as told in per cent of full service.
    struct Load {
        governor: Governor,
        simulate_us: u32,
        frames_us: u32,
        /// Per level, per cent of `frames_us`.
        left_percent: [u32; 5],
        changes: Vec<(u32, Level)>,
        ticks: u32,
    }

    impl Load {
        fn new(simulate_us: u32, frames_us: u32) -> Self {
            let governor = Governor::new(Budget::default(), HZ);
            let left_percent = [100, 50, 35, 30, 30];
            Self { governor, simulate_us, frames_us, left_percent, changes: vec![], ticks: 0 }
        }

        fn run(&mut self, ticks: u32) {
            for _ in 0..ticks {
                let left_percent = self.left_percent[usize::from(self.governor.level().number())];
                let frames_us = self.frames_us * left_percent / 100;
                self.ticks += 1;
                if let Some(level) = self.governor.note(Spent { simulate_us: self.simulate_us, frames_us }) {
                    self.changes.push((self.ticks, level));
                }
            }
        }

        fn levels(&self) -> Vec<Level> {
            self.changes.iter().map(|(_, level)| *level).collect()
        }
    }

    #[test]
    fn what_fits_is_served_in_full() {
        let mut load = Load::new(2_500, 5_500);
        load.run(100_000);
        assert_eq!(load.changes, []);
    }

    #[test]
    fn everything_is_shed_in_order_within_a_second_and_comes_back_within_five() {
        let mut load = Load::new(1_000, 5_500);
        load.run(600);
        load.governor.set_budget(Budget::of_tick(TICK_BUDGET_US / 8));
        load.run(60);
        assert_eq!(load.levels(), Level::ALL[1..]);
        load.run(6_000);
        assert_eq!(load.changes.len(), 4, "there is nothing more to shed, and no room to spare");
        load.governor.set_budget(Budget::default());
        load.changes.clear();
        load.run(5 * HZ);
        assert_eq!(load.levels(), [Level::Extras, Level::Detail, Level::Cadence, Level::Full]);
    }

    #[test]
    fn no_more_is_shed_than_needed() {
        let mut load = Load::new(500, 5_800);
        load.governor.set_budget(Budget::of_tick(TICK_BUDGET_US / 3));
        load.run(3_000);
        assert_eq!(load.levels(), [Level::Cadence, Level::Detail]);
    }

    #[test]
    fn a_part_above_its_own_budget_sheds_though_the_tick_fits() {
        let mut load = Load::new(100, 7_000);
        load.run(30);
        assert_eq!(load.levels(), [Level::Cadence]);
    }

    #[test]
    fn a_hiccup_sheds_nothing() {
        let mut load = Load::new(500, 4_500);
        for _ in 0..100 {
            load.run(60);
            load.governor.note(Spent { simulate_us: 400_000, frames_us: 0 });
        }
        assert_eq!(load.changes, []);
    }

    #[test]
    fn frames_every_few_ticks_are_judged_by_their_mean() {
        for every in [1, 2, 3, 6] {
            let mut governor = Governor::new(Budget::default(), HZ);
            for tick in 0..600 {
                let frames_us = if tick % every == 0 { 5_500 * every } else { 0 };
                assert_eq!(governor.note(Spent { simulate_us: 500, frames_us }), None, "every {every}, tick {tick}");
            }
        }
    }

    /// Full service costs twice what there is, the next level half of it: each try is a mistake.
    #[test]
    fn a_steady_load_does_not_make_the_level_flap() {
        let mut load = Load::new(200, 12_000);
        load.left_percent = [100, 30, 30, 30, 30];
        load.run(60 * HZ);
        let first_minute = load.changes.len();
        assert!(first_minute <= 14, "{:?}", load.changes);
        load.run(10 * 60 * HZ);
        let per_ten_minutes = load.changes.len() - first_minute;
        assert!(per_ten_minutes <= 20, "one try a minute: {:?}", load.changes);
        assert!(load.levels().iter().all(|level| *level <= Level::Cadence));
    }

    #[test]
    fn mistakes_do_not_delay_a_budget_that_returns() {
        let mut load = Load::new(200, 5_000);
        load.left_percent = [100, 30, 30, 30, 30];
        load.governor.set_budget(Budget::of_tick(TICK_BUDGET_US / 3));
        load.run(20 * 60 * HZ);
        load.governor.set_budget(Budget::default());
        load.run(PATIENCE_TICKS + JUDGED_TICKS as u32);
        assert_eq!(load.governor.level(), Level::Full);
        // What was learnt is void once the recovery has held: the next overload is a first one.
        load.run(PROBATION_TICKS + 1);
        assert!(load.governor.mistake.is_none() && load.governor.recovery.is_none());
    }

    #[test]
    fn a_load_that_grows_later_is_no_mistake() {
        let mut load = Load::new(200, 5_000);
        load.governor.set_budget(Budget::of_tick(TICK_BUDGET_US / 3));
        load.run(60);
        load.governor.set_budget(Budget::default());
        load.run(300 + PROBATION_TICKS);
        load.frames_us = 9_000;
        load.run(60);
        load.frames_us = 5_000;
        load.changes.clear();
        load.run(PATIENCE_TICKS + JUDGED_TICKS as u32);
        assert_eq!(load.levels(), [Level::Full]);
    }

    /// SPEC S6.3.
    #[test]
    fn time_is_slow_while_simulation_alone_takes_longer_than_a_tick() {
        let mut load = Load::new(TICK_US + 1, 1_000);
        load.run(SLOW_TICKS - 1);
        assert!(!load.governor.is_slow());
        load.run(60);
        assert!(load.governor.is_slow());
        assert_eq!(load.governor.level(), Level::Joins);
        load.simulate_us = 3_000;
        load.run(SLOW_TICKS - 1);
        assert!(load.governor.is_slow(), "not at the first quick tick");
        load.run(1);
        assert!(!load.governor.is_slow());
    }

    /// SPEC S6.3.
    #[test]
    fn numbers_stand_for_levels() {
        for (number, level) in Level::ALL.into_iter().enumerate() {
            assert_eq!((level.number(), Level::from_number(number as u8)), (number as u8, level));
        }
        assert_eq!(Level::from_number(200), Level::Joins);
    }

    #[test]
    fn parts_have_three_quarters_of_any_budget() {
        assert_eq!(Budget::default(), Budget { tick_us: 8_333, simulate_us: 6_249, frames_us: 6_249 });
        assert_eq!(Budget::of_tick(u32::MAX).frames_us, 3_221_225_471);
        let mut governor = Governor::new(Budget::of_tick(0), HZ);
        (0..1000).for_each(|_| _ = governor.note(Spent { simulate_us: u32::MAX, frames_us: u32::MAX }));
        assert_eq!(governor.level(), Level::Joins);
    }
}
