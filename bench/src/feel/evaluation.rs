//! Computes the figures: compares what the pages showed with what really was.
//!
//! Path: [`Evaluation::new`] is given a world after its run → one method per figure. Every figure is defined where it is
//! computed. Invariant: a client's own opinion of itself counts for shots alone, since only it knows what it has seen.

use super::{
    ground_truth::GroundTruth,
    player::Player,
    player_log::{DrawnPlane, Picture, PlayerLog, quantile},
    world::{TICK_MS, World},
};
use game::lag_compensation::{PARTS, VIEW_DELAY_MAX};
use protocol::Tick;

/// A picture is right if nobody is farther off than this, plane lengths.
pub(crate) const RIGHT_LENGTHS: f64 = 0.25;
/// A plane that is less visible than this may come and go.
const FAINT: f32 = 0.25;
/// A camera that moves farther than this between two pictures was cut, plane lengths.
const CUT_LENGTHS: f64 = 2.0;
/// Within so long after a correction its greatest step is shown, ms.
const SOON_MS: f64 = 100.0;
/// Planes nearer to the own one than this are on the screen for sure, plane lengths.
const NEAR_LENGTHS: f64 = 12.0;
/// After a stall the picture counts as right again once it stays so for this long, ms.
const STAYS_RIGHT_MS: f64 = 100.0;

/// Hits, as shooters saw them.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Shots {
    pub(crate) met: f64,
    pub(crate) confirmed: f64,
    pub(crate) unseen: f64,
}

/// See the module.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Evaluation<'a> {
    world: &'a World,
}

impl<'a> Evaluation<'a> {
    pub(crate) fn new(world: &'a World) -> Self {
        Self { world }
    }

    fn truth(&self) -> &'a GroundTruth {
        &self.world.truth
    }

    fn logs(&self) -> impl Iterator<Item = &'a PlayerLog> {
        self.world.players.iter().map(|player| &player.log)
    }

    /// Corrections in ticks in which no input was late and nothing touched the plane.
    pub(crate) fn corrections_without_contact(&self) -> f64 {
        let players = self.world.players.iter();
        players.map(|player| self.unexplained(player)).sum::<usize>() as f64
    }

    fn unexplained(&self, player: &Player) -> usize {
        let (id, truth, log) = (player.client.pilot(), self.truth(), &player.log);
        let unexplained = log.corrections.iter().filter(|correction| {
            let (from, to) = correction.ticks;
            // What a stall kept back may have been an announcement, whose plane appears when it is read.
            let lateness_ms = correction.came_ms - f64::from(to) * TICK_MS;
            let is_stalled = lateness_ms > player.conditions.one_way_ms + player.conditions.jitter_ms + 2.0 * TICK_MS;
            let is_news = is_stalled && truth.plane(to, id).is_none();
            !(truth.is_touched(from, to, id) || log.was_late(from, to) || is_news)
        });
        unexplained.count()
    }

    /// The sizes of all corrections of planes that flew before and after, plane lengths.
    pub(crate) fn corrections(&self) -> Vec<f64> {
        self.logs().flat_map(|log| &log.corrections).filter_map(|correction| correction.lengths).collect()
    }

    /// What the eye sees of each correction: the greatest step towards or away from the truth between two pictures soon after
    /// it, plane lengths.
    pub(crate) fn corrections_shown(&self) -> Vec<f64> {
        let steps = self.logs().flat_map(|log| {
            log.corrections.iter().filter_map(|correction| {
                let from =
                    log.pictures.partition_point(|picture| picture.now_ms < correction.came_ms).checked_sub(1)?;
                let soon =
                    log.pictures[from..].iter().take_while(|picture| picture.now_ms < correction.came_ms + SOON_MS);
                let off: Vec<_> = soon.filter_map(|picture| self.off(picture.own_at, picture.own.as_ref()?)).collect();
                let step = |pair: &[(f64, f64)]| (pair[1].0 - pair[0].0).hypot(pair[1].1 - pair[0].1);
                off.windows(2).map(step).max_by(f64::total_cmp)
            })
        });
        steps.collect()
    }

    /// Share of inputs that came after their tick.
    pub(crate) fn late_input_share(&self) -> f64 {
        let (mut late, mut all) = (0, 0);
        for sent in self.logs().flat_map(|log| &log.sent) {
            all += 1;
            late += u32::from(sent.effect > sent.tick);
        }
        f64::from(late) / f64::from(all.max(1))
    }

    /// From the player's change of controls to the end of the tick that applies it, less the one-way delay, ticks.
    pub(crate) fn input_delays(&self) -> Vec<f64> {
        let delays = self.world.players.iter().flat_map(|player| {
            let floor_ms = player.conditions.one_way_ms;
            player.log.sent.iter().map(move |sent| f64::from(sent.effect) - (sent.changed_ms + floor_ms) / TICK_MS)
        });
        delays.collect()
    }

    /// How far behind the newest moment that the network could have brought the others are shown, ticks.
    pub(crate) fn interpolation_delays(&self) -> Vec<f64> {
        let delays = self.world.players.iter().flat_map(|player| {
            let pictures = player.log.pictures.iter();
            pictures.map(|picture| (picture.now_ms - player.conditions.one_way_ms) / TICK_MS - picture.shown_at)
        });
        delays.collect()
    }

    /// What became of all shots that met somebody, on the screens that show others within the bound.
    pub(crate) fn shots(&self) -> Shots {
        self.world.players.iter().fold(Shots::default(), |sum, player| {
            let (counts, earlier) = (player.client.stats().shots, player.log.earlier_shots);
            Shots {
                met: sum.met + (counts.met - earlier.met) as f64,
                confirmed: sum.confirmed + (counts.confirmed - earlier.confirmed) as f64,
                unseen: sum.unseen + (counts.unseen - earlier.unseen) as f64,
            }
        })
    }

    /// By the target's own clock: from when it was last in the way of the bullet to the tick that heeds the hit, ms; 0 if it
    /// still was.
    pub(crate) fn after_escape_ms(&self) -> Vec<f64> {
        self.player_hits().map(|(hit, _)| f64::from(hit.after_escape_ticks) * TICK_MS).collect()
    }

    /// The same on the target's screen, its own network included: from the picture that shows it out of the way to the arrival
    /// of the news.
    pub(crate) fn after_escape_shown_ms(&self) -> Vec<f64> {
        let shown = self.player_hits().filter(|(hit, _)| hit.after_escape_ticks > 0).filter_map(|(hit, victim)| {
            let left = f64::from(hit.tick - hit.after_escape_ticks);
            let seen = victim.log.pictures.iter().find(|picture| picture.own_at >= left)?.now_ms;
            let told = victim.log.frames.iter().find(|(_, tick)| *tick >= hit.tick)?.0;
            Some((told - seen).max(0.0))
        });
        shown.collect()
    }

    /// Hits by players of players.
    fn player_hits(&self) -> impl Iterator<Item = (&'a super::ground_truth::Hit, &'a Player)> {
        let of = |id: u16| self.world.players.iter().find(move |player| player.client.pilot() == id);
        let hits = self.truth().hits.iter();
        hits.filter_map(move |hit| of(hit.shooter).and(of(hit.victim)).map(|victim| (hit, victim)))
    }

    /// How far others are drawn from where they were at the tick they are shown at, plane lengths; and by how much that
    /// changed from one picture to the next: what the eye sees jump.
    pub(crate) fn others(&self) -> (Vec<f64>, Vec<f64>) {
        let (mut errors, mut jumps) = (Vec::new(), Vec::new());
        for log in self.logs() {
            for (before, after) in log.pictures.iter().zip(log.pictures.iter().skip(1)) {
                for drawn in after.others.iter().filter(|drawn| drawn.opacity > FAINT) {
                    let Some(off) = self.off(after.shown_at, drawn) else { continue };
                    errors.push(off.0.hypot(off.1));
                    let earlier = before.others.iter().find(|other| other.id == drawn.id);
                    let earlier = earlier.and_then(|other| self.off(before.shown_at, other));
                    jumps.extend(earlier.map(|earlier| (off.0 - earlier.0).hypot(off.1 - earlier.1)));
                }
            }
        }
        (errors, jumps)
    }

    fn off(&self, at: f64, drawn: &DrawnPlane) -> Option<(f64, f64)> {
        let (x, y, _) = self.truth().place(at, drawn.id)?;
        Some((drawn.x - x, drawn.y - y))
    }

    /// From one picture to the next: by which share the own plane's step differs from what it flies in that time. A screen
    /// of any rate shows an even flight if that is small.
    pub(crate) fn uneven_steps(&self) -> Vec<f64> {
        let steps = self.world.players.iter().flat_map(|player| {
            let pictures = &player.log.pictures;
            pictures.iter().zip(pictures.iter().skip(1)).filter_map(move |(before, after)| {
                let (from, to) = before.own.zip(after.own)?;
                let plane = self.truth().plane(after.own_at as Tick, player.client.pilot())?;
                let length = f64::from(game::geometry::PLANE_LENGTH_UNITS);
                let flown = f64::from(plane.speed) / 16.0 / length * (after.now_ms - before.now_ms) / TICK_MS;
                let step = (to.x - from.x).hypot(to.y - from.y);
                (step < CUT_LENGTHS).then_some((step / flown - 1.0).abs())
            })
        });
        steps.collect()
    }

    /// Planes that came into a picture or went out of it while they were plain to see, and neither took off nor ended.
    pub(crate) fn pops(&self) -> f64 {
        let mut pops = 0;
        for log in self.logs() {
            for (before, after) in log.pictures.iter().zip(log.pictures.iter().skip(1)) {
                // A camera that cuts to another place shows others there.
                let cuts = before
                    .own
                    .zip(after.own)
                    .is_none_or(|(from, to)| (to.x - from.x).hypot(to.y - from.y) > CUT_LENGTHS);
                if cuts {
                    continue;
                }
                let is_in = |picture: &Picture, id: u16| picture.others.iter().any(|other| other.id == id);
                let was = |at: f64, id: u16| self.truth().plane((at - 2.0).max(0.0) as Tick, id).is_some();
                let is = |at: f64, id: u16| self.truth().plane(at as Tick + 2, id).is_some();
                let came =
                    after.others.iter().filter(|other| !is_in(before, other.id) && was(after.shown_at, other.id));
                let went =
                    before.others.iter().filter(|other| !is_in(after, other.id) && is(before.shown_at, other.id));
                pops += came.chain(went).filter(|other| other.opacity > FAINT).count();
            }
        }
        f64::from(pops as u32)
    }

    /// From the end of each stall to the first picture that is right and stays so, ms.
    pub(crate) fn stall_recoveries_ms(&self) -> Vec<f64> {
        let mut recoveries = Vec::new();
        for player in &self.world.players {
            for (_, end_ms) in &player.log.stalls {
                let mut right_since = None;
                for picture in player.log.pictures.iter().filter(|picture| picture.now_ms >= *end_ms) {
                    let since = right_since.get_or_insert(picture.now_ms);
                    if picture.now_ms - *since > STAYS_RIGHT_MS {
                        break;
                    }
                    if !self.is_right(player, picture) {
                        right_since = None;
                    }
                }
                recoveries.push(right_since.map_or(f64::INFINITY, |since| since - end_ms));
            }
        }
        recoveries
    }

    /// Whether the own plane is drawn where the room has it at that tick, and all who are near where they were at theirs. A
    /// plane that something touched since cannot be known to anybody.
    fn is_right(&self, player: &Player, picture: &Picture) -> bool {
        let (truth, id) = (self.truth(), player.client.pilot());
        let own_tick = picture.own_at.floor() as Tick;
        if truth.is_touched(picture.newest, own_tick + 1, id) {
            return true;
        }
        let Some(own) = &picture.own else { return truth.plane(own_tick, id).is_none() };
        let Some((x, y)) = self.off(picture.own_at, own) else { return true };
        let is_near = |other: &DrawnPlane| (other.x - own.x).hypot(other.y - own.y) < NEAR_LENGTHS;
        let is_placed = |other: &DrawnPlane| {
            self.off(picture.shown_at, other).is_none_or(|(x, y)| x.hypot(y) < RIGHT_LENGTHS)
                || truth.is_touched(picture.newest, picture.shown_at as Tick + 1, other.id)
        };
        x.hypot(y) < RIGHT_LENGTHS && picture.others.iter().filter(|other| is_near(other)).all(is_placed)
    }

    /// The bound on how far back a bullet may meet its target, ms.
    pub(crate) fn bound_ms() -> f64 {
        f64::from(VIEW_DELAY_MAX / PARTS) * TICK_MS
    }

    /// One quantile of the corrections' sizes and so on, of all values together.
    pub(crate) fn quantile(mut values: Vec<f64>, share: f64) -> Option<f64> {
        quantile(&mut values, share)
    }
}
