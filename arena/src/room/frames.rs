//! Decides which sessions get a frame this tick, and assembles it.
//!
//! Path: [`Room::frame_for`] asks whether a frame is due, then joins a header with the shared body.
//! Invariants: at most one frame a tick; whatever happens within weapon range of the own plane goes out with its tick;
//! what happens farther away waits at most [`RoomConfig::cadence_ticks`]; a silent session hears something at least
//! every [`HEARTBEAT_MAX_TICKS`]. Ticks in which all that waits goes out are the same for all who look from one cell, so
//! that bodies stay shared.

use super::{Room, private_state};
use crate::{
    SessionId,
    governor::Level,
    rows::frame_body::{Now, Wanted},
    rows::interest::Viewpoint,
    rows::step,
    window::Sent,
};
use bytes::Bytes;
use game::{
    Standing,
    geometry::squared,
    plane::STICK_TICKS,
    schema::{CELL_UNITS, CellId, Grid},
};
use glam::IVec2;
use protocol::{
    TICK_HZ, Tick,
    frame::Header,
    limits::{FRAME_INTERVAL_MAX_MS, FRAME_SPAN_MAX_TICKS},
};

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

impl Room {
    /// What the session is shown next, if something is due and its window has room; to be sent, since the session counts
    /// it as handed over.
    pub fn frame_for(&mut self, id: SessionId) -> Option<Bytes> {
        let (tick, grid) = (self.game.tick(), self.codec.grid);
        let session = self.sessions.get_mut(&id)?;
        let waited = session.window.last().map_or(Tick::MAX, |last| tick - last.tick);
        if waited == 0 || !session.has_window(tick, waited) {
            return None;
        }
        let plane = self.planes.get(usize::from(session.pilot.0)).copied().filter(|plane| plane.tick == tick);
        // Nobody reads a score 60 times a second; whoever is in the air does not wait for a place to come back to.
        let knows_standing = plane.is_some() && session.private.is_some_and(|private| private.respawn.is_none());
        let is_fresh = knows_standing && waited < HEARTBEAT_MAX_TICKS && !tick.is_multiple_of(STICK_TICKS);
        let standing = if is_fresh { None } else { self.game.standing(session.pilot) };
        let derived = session.derived_viewpoint();
        let viewpoint =
            viewpoint_of(Viewpoint { is_near: self.level >= Level::Detail, ..derived }, plane, standing.as_ref(), grid);
        let private = standing.map_or(session.private, |standing| Some(private_state(standing, tick)));
        let has_events = session.event < self.events.last();
        let schedule = SendSchedule::new(self.config.cadence_ticks, self.level);
        let is_send_tick = schedule.is_send_tick(tick, viewpoint.cell, waited);
        // Scores, ranks and events come often in a full room and hurt nobody: they wait as news from afar do.
        let has_private = (private != session.private || has_events) && is_send_tick;
        let is_due = viewpoint != derived || session.has_asked() || has_private;
        if !is_due && waited < HEARTBEAT_MAX_TICKS && !schedule.is_always() {
            let since = tick - waited;
            let news = viewpoint.area(grid).cells().filter(|cell| self.logs.newest(*cell) > since);
            let mut urgent = news.filter(|cell| is_send_tick || schedule.is_urgent(*cell, plane, self.reach, grid));
            urgent.next()?;
        }

        let last = session.window.last().filter(|last| last.tick + FRAME_SPAN_MAX_TICKS >= tick);
        let from = last.map(|last| (last.tick, last.viewpoint));
        let now = Now { tick, codec: &self.codec, rows: &self.mirror, starts: &self.starts, sums: &self.sums };
        let bytes = &mut self.frame;
        bytes.clear();
        let body = self.assembly.body(&mut self.logs, now, Wanted { from, viewpoint, lost: &session.lost });
        let header = Header {
            tick,
            span: last.map_or(0, |last| (tick - last.tick) as u8),
            checksum: body.checksum,
            input_ack: session.unanswered,
            viewpoint: (viewpoint != derived).then_some(viewpoint.to_bits()),
            private: private.filter(|_| private != session.private),
            has_whole: body.has_whole,
            has_sums: session.wants_sums,
            has_events,
        };
        header.encode(bytes);
        bytes.extend_from_slice(body.bytes);
        if session.wants_sums {
            encode_sums(now, viewpoint, bytes);
        }
        if has_events {
            session.event = self.events.encode_after(session.event, bytes);
        }
        session.private = private;
        session.handed(Sent { tick, viewpoint, next_viewpoint: viewpoint.next(plane.map(|plane| plane.cell), grid) });
        self.frames += 1;
        self.arena.extend_from_slice(bytes);
        Some(self.arena.split().freeze())
    }
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
