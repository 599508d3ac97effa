//! Decides which members get a frame this tick, and assembles it.
//!
//! Path: [`Shared::due`] says whether a frame is due and what of → a header and the shared body go straight into the sink.
//! Invariants: at most one frame a tick; whatever happens within weapon range of the own plane goes out with its tick;
//! what happens farther away waits at most [`RoomConfig::cadence_ticks`]; a silent member hears something at least
//! every [`HEARTBEAT_MAX_TICKS`]. Ticks in which all that waits goes out are the same for all who look from one cell, so
//! that bodies stay shared.

use super::{
    Room,
    member::{Member, State, View, derived_viewpoint, pilot_of},
};
use crate::rows::{
    cell_log::Logs,
    frame_body::{Assembly, Now, Wanted},
    interest::Viewpoint,
    step,
};
use crate::{
    TICK_HZ,
    wire::{Header, PrivateState, Respawn},
};
use game::{
    Game, PilotId, Standing,
    geometry::squared,
    plane::STICK_TICKS,
    schema::{CELL_UNITS, CellId, Grid, Row},
    standing::StandingRow,
};
use glam::IVec2;
use protocol::token::Role;
use protocol::{
    Tick,
    limits::{FRAME_INTERVAL_MAX_MS, FRAME_SPAN_MAX_TICKS},
};
use session::{FrameSink, Level, Sent, Shard, log::Log};

/// Longest time between two frames of a session whose window has room.
const HEARTBEAT_MAX_TICKS: u32 = (FRAME_INTERVAL_MAX_MS * TICK_HZ as u64 / 1000) as u32;
/// How often frames go out at most while the room sheds cadence: 20 Hz, in step with the sticks.
const SHED_CADENCE_TICKS: u32 = 3;
/// And while it sheds more than that: 10 Hz.
const SHED_MORE_CADENCE_TICKS: u32 = HEARTBEAT_MAX_TICKS;
/// Where a pilot's plane is.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Whereabouts {
    /// When it was there.
    pub(super) tick: Tick,
    pub(super) cell: CellId,
    pub(super) place: IVec2,
}

/// What all frames of a tick share: only read while they are assembled.
#[derive(Clone, Copy)]
struct Shared<'a> {
    now: Now<'a>,
    game: &'a Game,
    logs: &'a Logs,
    log: &'a Log,
    planes: &'a [Whereabouts],
    /// The pilot with the most points of those in the air.
    leader: Option<PilotId>,
    level: Level,
    schedule: SendSchedule,
    reach_units: i32,
}

/// What frames share can be read by several threads, and what they do not share can be given to one each.
const _: () = {
    const fn is_sync<T: Sync>() {}
    const fn is_send<T: Send>() {}
    is_sync::<Shared<'_>>();
    is_send::<(Shard<View, State>, Assembly)>();
};

/// What a member is to be shown, if a frame goes out.
struct FrameContents {
    viewpoint: Viewpoint,
    plane: Option<Whereabouts>,
    /// Whom a reader watches: its plane stands for the own one.
    watches: Option<PilotId>,
    private: Option<PrivateState>,
    has_entries: bool,
}

impl Room {
    /// Puts everybody's frames that are due into the sink.
    pub(super) fn assemble_frames(&mut self, sink: &mut dyn FrameSink) {
        let (tick, level) = (self.game.tick(), self.host.level());
        let (log, shards) = self.host.frame_parts();
        let now = Now { tick, codec: &self.codec, rows: &self.mirror, starts: &self.starts, sums: &self.sums };
        let schedule = SendSchedule::new(self.config.cadence_ticks, level);
        let (game, planes) = (&self.game, &self.planes[..]);
        let (logs, reach_units) = (&self.logs, self.reach);
        let leader = leader(&self.mirror[..self.starts[1] as usize], planes, tick);
        let shared = Shared { now, game, logs, log, planes, leader, level, schedule, reach_units };
        let cells = self.sums.len();
        self.assemblies.resize_with(self.assemblies.len().max(shards.len()), || Assembly::new(cells));
        for (shard, assembly) in shards.iter_mut().zip(&mut self.assemblies) {
            self.frames += shared.frames_of(shard, assembly, sink);
        }
    }
}

impl Shared<'_> {
    /// The frames of one shard; returns how many.
    fn frames_of(self, shard: &mut Shard<View, State>, assembly: &mut Assembly, sink: &mut dyn FrameSink) -> u64 {
        let mut frames = 0;
        let (members, section) = shard.connected();
        for (connection, member) in members {
            let Some(due) = self.due(member).filter(|_| sink.can_take(connection)) else { continue };
            sink.put(connection, &mut |bytes| {
                self.encode(member, &due, assembly, bytes);
                if due.has_entries {
                    section.encode_after(self.log, &mut member.cursor, bytes);
                }
            });
            member.state.handed(due.private);
            // A client moves its viewpoint with its own plane only.
            let own_cell = due.plane.filter(|_| due.watches.is_none()).map(|plane| plane.cell);
            let next = due.viewpoint.next(own_cell, self.now.codec.grid);
            member.state.watches = due.watches;
            member.window.handed(Sent { tick: self.now.tick, view: View { viewpoint: due.viewpoint, next } });
            frames += 1;
        }
        frames
    }

    /// Whether a frame is due, and what of.
    fn due(self, member: &Member) -> Option<FrameContents> {
        let (tick, grid) = (self.now.tick, self.now.codec.grid);
        let waited = member.window.last().map_or(Tick::MAX, |last| tick - last.tick);
        if waited == 0 || !member.has_window(tick, waited) {
            return None;
        }
        let (pilot, state) = (pilot_of(member), &member.state);
        let watches = if member.role == Role::Reader { self.watched(state.watches) } else { None };
        let plane = in_the_air(self.planes, watches.unwrap_or(pilot), tick);
        // Nobody reads a score 60 times a second; whoever is in the air does not wait for a place to come back to.
        let knows_standing = plane.is_some() && state.private.is_some_and(|private| private.respawn.is_none());
        let is_fresh = knows_standing && waited < HEARTBEAT_MAX_TICKS && !tick.is_multiple_of(STICK_TICKS);
        let standing = if is_fresh { None } else { self.game.standing(pilot) };
        let derived = derived_viewpoint(member);
        let expected = Viewpoint { is_near: self.level >= Level::Detail, ..derived };
        let viewpoint = match plane {
            Some(plane) if watches.is_some() => Viewpoint { cell: plane.cell, ..expected },
            _ => viewpoint_of(expected, plane, standing.as_ref(), grid),
        };
        let private = standing.map_or(state.private, |standing| Some(private_state(standing, tick)));
        let has_entries = member.cursor != self.log.end();
        let is_send_tick = self.schedule.is_send_tick(tick, viewpoint.cell, waited);
        // Scores, ranks and entries come often in a full room and hurt nobody: they wait as news from afar do.
        let has_private = (private != state.private || has_entries) && is_send_tick;
        let is_due = viewpoint != derived || state.has_asked() || has_private;
        if !is_due && waited < HEARTBEAT_MAX_TICKS && !self.schedule.is_always() {
            let since = tick - waited;
            let news = viewpoint.area(grid).cells().filter(|cell| self.logs.newest(*cell) > since);
            let is_urgent = |cell: &CellId| self.schedule.is_urgent(*cell, plane, self.reach_units, grid);
            news.into_iter().find(|cell| is_send_tick || is_urgent(cell))?;
        }
        Some(FrameContents { viewpoint, plane, watches, private, has_entries })
    }

    /// Whom a reader watches: the same as before for as long as it flies, then the leader.
    fn watched(self, before: Option<PilotId>) -> Option<PilotId> {
        before.filter(|pilot| in_the_air(self.planes, *pilot, self.now.tick).is_some()).or(self.leader)
    }

    /// Appends a frame, up to its section of entries.
    fn encode(self, member: &Member, due: &FrameContents, assembly: &mut Assembly, bytes: &mut Vec<u8>) {
        let (tick, state) = (self.now.tick, &member.state);
        let last = member.window.last().filter(|last| last.tick + FRAME_SPAN_MAX_TICKS >= tick);
        let from = last.map(|last| (last.tick, last.view.viewpoint));
        let body = assembly.body(self.logs, self.now, Wanted { from, viewpoint: due.viewpoint, lost: &state.lost });
        let header = Header {
            tick,
            span: last.map_or(0, |last| (tick - last.tick) as u8),
            checksum: body.checksum,
            input_ack: state.unanswered,
            viewpoint: (due.viewpoint != derived_viewpoint(member)).then_some(due.viewpoint.to_bits()),
            private: due.private.filter(|_| due.private != state.private),
            has_whole: body.has_whole,
            has_sums: state.wants_sums,
            has_entries: due.has_entries,
        };
        header.encode(bytes);
        bytes.extend_from_slice(body.bytes);
        if state.wants_sums {
            encode_sums(self.now, due.viewpoint, bytes);
        }
    }
}

/// Where a pilot's plane is, if it flies.
fn in_the_air(planes: &[Whereabouts], pilot: PilotId, now: Tick) -> Option<Whereabouts> {
    planes.get(usize::from(pilot.0)).copied().filter(|plane| plane.tick == now)
}

/// The first of the top list who flies, else anybody who does. `rows` are those that everybody sees.
fn leader(rows: &[Row], planes: &[Whereabouts], now: Tick) -> Option<PilotId> {
    let listed = rows.iter().filter(|row| row.kind == game::STANDING);
    let ranked = listed.map(|row| PilotId(StandingRow::from_fields(&row.fields).pilot as u16));
    let anybody = (0..planes.len() as u16).map(PilotId);
    ranked.chain(anybody).find(|pilot| in_the_air(planes, *pilot, now).is_some())
}

/// What only the own pilot sees of its standing.
fn private_state(standing: Standing, now: Tick) -> PrivateState {
    let short = |number: u32| number.try_into().unwrap_or(u16::MAX);
    let respawn = standing.respawn.map(|respawn| Respawn {
        tick: now + respawn.in_ticks,
        x: respawn.x as u32,
        y: respawn.y as u32,
        heading: respawn.heading as u16,
        shots: respawn.shots as u8,
    });
    let (score, rank, ranked) = (standing.score.max(0) as u32, short(standing.rank), short(standing.ranked));
    PrivateState { score, rank, ranked, respawn }
}

/// Where a session looks: where its plane will come back, else where the client itself expects to look, unless the plane
/// is not to be seen from there.
fn viewpoint_of(expected: Viewpoint, plane: Option<Whereabouts>, standing: Option<&Standing>, grid: Grid) -> Viewpoint {
    let cell = match (standing.and_then(|standing| standing.respawn), plane) {
        (Some(respawn), _) => CellId::at(IVec2::new(respawn.x, respawn.y), grid),
        (None, Some(plane)) if !expected.holds(plane.cell, grid) => plane.cell,
        _ => expected.cell,
    };
    Viewpoint { cell, ..expected }
}

/// Per held cell its checksum, folded to 16 bits (LE), in canonical order.
fn encode_sums(now: Now<'_>, viewpoint: Viewpoint, bytes: &mut Vec<u8>) {
    for cell in viewpoint.interest(now.codec.grid) {
        bytes.extend_from_slice(&step::fold(now.sums[usize::from(cell.0)]).to_le_bytes());
    }
}

/// How long news may wait.
#[derive(Debug, Clone, Copy)]
struct SendSchedule {
    /// What waits goes out on multiples of this.
    cadence_ticks: u32,
    /// News within weapon range wait as well.
    all_wait: bool,
}

impl SendSchedule {
    fn new(cadence_ticks: u32, level: Level) -> Self {
        match level {
            Level::Full => Self { cadence_ticks, all_wait: false },
            Level::Cadence => Self { cadence_ticks: cadence_ticks.max(SHED_CADENCE_TICKS), all_wait: true },
            _ => Self { cadence_ticks: cadence_ticks.max(SHED_MORE_CADENCE_TICKS), all_wait: true },
        }
    }

    /// A frame a tick, whether there is news or not.
    fn is_always(self) -> bool {
        self.cadence_ticks == 1
    }

    /// Whether what waits goes out. With full service that is on the ticks on which sticks are read. While everything
    /// waits, each cell has a phase of its own, or all frames would fall on the same tick; whoever comes from a cell of
    /// another phase waits no longer for that.
    fn is_send_tick(self, tick: Tick, viewpoint: CellId, waited: Tick) -> bool {
        if !self.all_wait {
            return tick.is_multiple_of(self.cadence_ticks);
        }
        (tick + Tick::from(viewpoint.0)).is_multiple_of(self.cadence_ticks) || waited >= self.cadence_ticks
    }

    /// Whether news of a cell cannot wait: the cell is within weapon range (`reach_units`) of the own plane.
    fn is_urgent(self, cell: CellId, plane: Option<Whereabouts>, reach_units: i32, grid: Grid) -> bool {
        let (Some(plane), Some(column_and_row), false) = (plane, cell.place(grid), self.all_wait) else {
            return false;
        };
        let corner = column_and_row * CELL_UNITS;
        let nearest = plane.place.clamp(corner, corner + CELL_UNITS);
        squared(nearest - plane.place) <= squared(IVec2::new(reach_units, 0))
    }
}
