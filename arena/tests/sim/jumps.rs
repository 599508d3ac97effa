//! Clocks that jump: a server that pauses, a device that sleeps or gains time, over any line.
//!
//! A key's way is looked at all the time: by how much the own clock is ahead of the tick at which an input that is made now
//! could count at the soonest. Half a second after a jump it is what it was before, and so is how late others are shown.

use crate::world::{LineProfile, TICK_MS, World, planes, seed};
use arena::ClientEvent;

const BACK_MS: f64 = 500.0;
/// What counts as back: 42 ms, and half of the line's jitter.
const USUAL_TICKS: f64 = 2.5;
/// And after several faults, which leave a window of packets that were late by less than a stall.
const AFTER_MANY_TICKS: f64 = 3.0;
/// The very first packets, sent by a clock that is a guess, are forgotten by then.
const SETTLED_TICKS: u32 = 1200;
/// After a jump: the plane is elsewhere, at once and when the jump is known more exactly; a key that was late; and with each
/// frame until then, where prediction waits for it. What a sleep kept back is read in one go, each message with a
/// correction that nobody sees.
const CORRECTIONS_MAX_COUNT: u64 = 10;
const BACKLOG_MAX_COUNT: u64 = 20;

const fn line(one_way_ms: f64, jitter_ms: f64) -> LineProfile {
    LineProfile { one_way_ms, jitter_ms, stall_per_mille: 0 }
}

const LINES: [LineProfile; 6] =
    [line(0.0, 0.0), line(25.0, 20.0), line(75.0, 20.0), line(75.0, 50.0), line(150.0, 0.0), line(150.0, 50.0)];

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fault {
    /// The server stands still.
    Pause,
    /// The device sleeps, and its clock with it.
    Sleep,
    /// The device's clock goes ahead.
    Gain,
    /// The line stands still.
    Stall,
}

/// How late keys count, and how late others are shown, ticks more than the line's shortest way.
#[derive(Debug, Clone, Copy)]
struct Delays {
    keys: f64,
    others: f64,
}

/// A room with one player in it, and perhaps with others.
struct Scene {
    world: World,
    player: usize,
}

impl Scene {
    fn new(seed: u64, line: LineProfile, fillers: u16) -> Self {
        let mut world = World::new(seed, fillers);
        let player = world.join(line);
        world.run(SETTLED_TICKS);
        Self { world, player }
    }

    fn delays(&mut self) -> Delays {
        let (room, now_ms) = (f64::from(self.world.room.figures().tick), self.world.now_ms);
        let player = &mut self.world.players[self.player];
        let (page_ms, way) = (now_ms + player.clock_ms, player.line.one_way_ms / TICK_MS);
        let (own_at, shown_at) = (player.client.own_at(page_ms), player.client.shown_at(page_ms));
        Delays { keys: own_at - room - way, others: room - way - shown_at }
    }

    /// On average over a second.
    fn usual(&mut self) -> Delays {
        let mut sum = Delays { keys: 0.0, others: 0.0 };
        for _ in 0..60 {
            self.world.tick();
            let Delays { keys, others } = self.delays();
            (sum.keys, sum.others) = (sum.keys + keys / 60.0, sum.others + others / 60.0);
        }
        sum
    }

    fn begin(&mut self, fault: Fault, for_ms: f64) {
        match fault {
            Fault::Pause => self.world.is_paused = true,
            Fault::Sleep => {
                let player = &mut self.world.players[self.player];
                (player.is_asleep, player.clock_ms) = (true, player.clock_ms - for_ms);
            }
            Fault::Gain => self.world.players[self.player].clock_ms += for_ms,
            Fault::Stall => self.world.stall(self.player, for_ms),
        }
    }

    fn end(&mut self, fault: Fault) {
        match fault {
            Fault::Pause => self.world.is_paused = false,
            Fault::Sleep => self.world.players[self.player].is_asleep = false,
            Fault::Gain | Fault::Stall => {}
        }
    }

    fn suffer(&mut self, fault: Fault, for_ms: f64) {
        self.begin(fault, for_ms);
        if fault != Fault::Gain {
            self.world.run((for_ms / TICK_MS).round() as u32);
        }
        self.end(fault);
    }

    /// Half a second later, and from then on, all is as it was.
    fn assert_back(&mut self, usual: Delays, what: &str) {
        let line = self.world.players[self.player].line;
        let most = USUAL_TICKS + line.jitter_ms / 2.0 / TICK_MS;
        self.assert_within(usual, BACK_MS, most, what);
    }

    /// The same after several faults: each may have been found out, wrongly at first, in a round trip of its own; and what
    /// waited in them for less than a stall is taken for jitter.
    fn assert_back_at_last(&mut self, usual: Delays, what: &str) {
        let line = self.world.players[self.player].line;
        let most = USUAL_TICKS + AFTER_MANY_TICKS + line.jitter_ms / 2.0 / TICK_MS;
        self.assert_within(usual, BACK_MS + 2.0 * (line.one_way_ms + line.jitter_ms), most, what);
    }

    fn assert_within(&mut self, usual: Delays, after_ms: f64, most: f64, what: &str) {
        self.world.run((after_ms / TICK_MS).ceil() as u32);
        for _ in 0..60 {
            self.world.tick();
            let now = self.delays();
            let off = Delays { keys: now.keys - usual.keys, others: now.others - usual.others };
            let is_back = off.keys.abs() <= most && off.others.abs() <= most;
            assert!(is_back, "{what}: {now:?}, usual is {usual:?}");
        }
    }

    fn corrections(&self) -> u64 {
        self.world.players[self.player].client.stats().corrections
    }

    /// All jumps that were told since this was last asked.
    fn told(&mut self) -> Vec<(f64, bool)> {
        let events = std::mem::take(&mut self.world.players[self.player].events);
        let jumps = events.into_iter().filter_map(|event| match event {
            ClientEvent::ClockJumped { ms, is_own } => Some((ms, is_own)),
            _ => None,
        });
        jumps.collect()
    }
}

/// Every fault over every line, with and without others around; what is told of it is `is_told(ms, is_own)`.
fn over_every_line(fault: Fault, for_ms: &[f64], is_told: impl Fn(f64, f64, bool) -> bool) {
    for line in LINES {
        for (for_ms, fillers) in for_ms.iter().flat_map(|ms| [(*ms, 0), (*ms, 20)]) {
            let mut scene = Scene::new(seed(), line, fillers);
            let (usual, before) = (scene.usual(), scene.corrections());
            scene.told();
            scene.suffer(fault, for_ms);
            let what = format!("{fault:?} of {for_ms} ms, {fillers} others, {line:?}");
            scene.assert_back(usual, &what);
            let told = scene.told();
            let (ms, is_own) = *told.last().unwrap_or_else(|| panic!("{what}: nothing is told"));
            assert!(is_told(for_ms, ms, is_own), "{what}: {told:?}");
            if fillers == 0 {
                let corrections = scene.corrections() - before;
                let backlog = if fault == Fault::Sleep { BACKLOG_MAX_COUNT } else { 0 };
                assert!(corrections <= CORRECTIONS_MAX_COUNT + backlog, "{what}: {corrections} corrections");
            }
        }
    }
}

/// Told are the ticks that were dropped, as exactly as the line allows.
fn is_near(ms: f64, expected_ms: f64) -> bool {
    (ms - expected_ms).abs() < 75.0
}

/// SPEC A5.8.
#[test]
fn after_a_pause_of_the_server_all_is_as_before_within_half_a_second() {
    let caught_up_ms = 3.0 * TICK_MS;
    over_every_line(Fault::Pause, &[400.0, 1500.0, 4000.0], |for_ms, ms, is_own| {
        !is_own && is_near(ms, caught_up_ms - for_ms)
    });
}

#[test]
fn after_a_sleep_of_the_device_all_is_as_before_within_half_a_second() {
    over_every_line(Fault::Sleep, &[250.0, 1000.0, 4000.0], |for_ms, ms, is_own| is_own && is_near(ms, for_ms));
}

#[test]
fn after_the_own_clock_gained_time_all_is_as_before_within_half_a_second() {
    over_every_line(Fault::Gain, &[250.0, 1000.0, 4000.0], |for_ms, ms, is_own| is_own && is_near(ms, -for_ms));
}

#[test]
fn a_stalled_line_is_no_jump() {
    for (index, line) in LINES.into_iter().enumerate() {
        let mut scene = Scene::new(seed() + index as u64, line, 20);
        let usual = scene.usual();
        scene.told();
        for for_ms in [300.0, 1000.0, 2500.0, 4000.0] {
            scene.suffer(Fault::Stall, for_ms);
            scene.assert_back(usual, &format!("a stall of {for_ms} ms, {line:?}"));
            assert_eq!(scene.told(), [], "a stall of {for_ms} ms, {line:?}");
        }
    }
}

#[test]
fn a_line_that_changes_is_no_jump() {
    for fillers in [0, 20] {
        let mut scene = Scene::new(seed(), LINES[4], fillers);
        scene.told();
        for line in [LINES[1], LINES[3], LINES[0], LINES[5], LINES[2], LINES[4], LINES[0]] {
            scene.world.players[scene.player].line = line;
            scene.world.run(600);
            assert_eq!(scene.told(), [], "the line is {line:?} now");
        }
    }
}

/// The clock gains two seconds, by which the next key is stamped. The one after it, half a second later, is no later for that.
#[test]
fn what_a_wrong_clock_stamped_keeps_no_key_waiting() {
    let stick = |steer: i32| game::Controls { steer, ..game::Controls::default() };
    for line in LINES {
        let mut scene = Scene::new(seed(), line, 0);
        let player = scene.player;
        scene.world.players[player].is_flown = false;
        scene.world.players[player].client.control(stick(2));
        scene.world.run(60);
        scene.begin(Fault::Gain, 2000.0);
        scene.world.players[player].client.control(stick(5));
        scene.world.run((BACK_MS / TICK_MS) as u32);
        scene.world.players[player].client.control(stick(-5));
        // The way, the buffer for twice the jitter, and a stick that is read every third tick.
        scene.world.run(((line.one_way_ms + 2.0 * line.jitter_ms) / TICK_MS) as u32 + 8);
        for _ in 0..120 {
            let (_, plane) = planes(scene.world.room.rows()).next().expect("nobody is there to shoot it down");
            assert_eq!(game::Controls::of(&plane), stick(-5), "{line:?}");
            scene.world.tick();
        }
    }
}

#[test]
fn pauses_may_follow_one_another() {
    for line in LINES {
        let mut scene = Scene::new(seed(), line, 10);
        let usual = scene.usual();
        for gap_ms in [0.0, 50.0, 150.0, 300.0, 700.0] {
            for for_ms in [200.0, 1000.0, 300.0, 2000.0] {
                scene.suffer(Fault::Pause, for_ms);
                scene.world.run((gap_ms / TICK_MS) as u32);
            }
            scene.assert_back_at_last(usual, &format!("four pauses, {gap_ms} ms apart, {line:?}"));
        }
    }
}

#[test]
fn a_server_may_pause_while_the_line_stalls() {
    for line in LINES {
        let mut scene = Scene::new(seed(), line, 10);
        let usual = scene.usual();
        for (pause_ms, stall_ms) in [(400.0, 400.0), (1500.0, 600.0), (600.0, 1500.0), (2000.0, 2500.0)] {
            scene.begin(Fault::Stall, stall_ms);
            scene.suffer(Fault::Pause, pause_ms);
            scene.world.run(((stall_ms - pause_ms).max(0.0) / TICK_MS) as u32);
            scene.assert_back_at_last(usual, &format!("{pause_ms} ms of pause and {stall_ms} ms of stall, {line:?}"));
        }
    }
}

/// Two or three faults, begun within half a second, of any length up to 3 s.
#[test]
fn whatever_comes_together_is_over_half_a_second_later() {
    for round in 0..24 {
        let mut scene = Scene::new(seed() + round, LINES[round as usize % LINES.len()], 10);
        let usual = scene.usual();
        for turn in 0..6 {
            let mut faults = vec![];
            let mut last_end = 0;
            for _ in 0..2 + scene.world.draw(2) {
                let fault = [Fault::Pause, Fault::Sleep, Fault::Gain, Fault::Stall][scene.world.draw(4) as usize];
                if faults.iter().any(|(_, _, other)| *other == fault) {
                    continue;
                }
                let (begin, ticks) = (scene.world.draw(30) as u32, 12 + scene.world.draw(168) as u32);
                faults.push((begin, begin + ticks, fault));
                last_end = last_end.max(begin + ticks);
            }
            for tick in 0..=last_end {
                for (begin, end, fault) in &faults {
                    if *begin == tick {
                        scene.begin(*fault, f64::from(end - begin) * TICK_MS);
                    } else if *end == tick {
                        scene.end(*fault);
                    }
                }
                scene.world.tick();
            }
            let line = scene.world.players[scene.player].line;
            scene.assert_back_at_last(usual, &format!("round {round}, turn {turn}, {faults:?}, {line:?}"));
        }
    }
}
