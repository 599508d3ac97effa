//! Prediction and reconciliation: replays unacknowledged inputs on the newest truth by the room's own motion step.
//!
//! Path: [`Inputs`] keeps what was stamped; [`PredictedRows`] replays it on the replica's own rows. Reconciliation is by
//! construction: every prediction starts from the newest truth. Invariant: an input is replayed until a frame both
//! acknowledges its packet and has reached its tick; from then on it is in the truth.

use crate::wire::{INPUTS_MAX_COUNT, Input, Respawn};
use game::{
    Controls, PilotId, bullet,
    plane::{self, Plane},
    rules::Rules,
    schema::{Grid, Row},
    step_row,
};
use glam::IVec2;
use protocol::Tick;
use std::collections::VecDeque;

/// Inputs kept at most; a client that gets no frames for so long is about to reconnect. Policy: the oldest is dropped.
const PENDING_MAX_COUNT: usize = 256;

/// Packets are numbered 1 to 255 and again from 1. Fewer are under way: that would be four seconds of a change on every tick.
const PACKET_NUMBERS: i32 = 255;

#[derive(Debug, Clone, Copy)]
struct Pending {
    input: Input,
    /// The packet it went out with, `None` while it waits.
    packet: Option<u8>,
    is_received: bool,
}

/// The own inputs that the truth may not show yet.
#[derive(Debug, Clone, Default)]
pub(crate) struct Inputs {
    pending: VecDeque<Pending>,
    /// What the room held the pilot to want before the first pending input.
    settled: Controls,
    /// What the room has or will have as the newest controls; `None` on a new connection.
    stamped: Option<Controls>,
}

impl Inputs {
    /// These controls are wanted from `tick` on, whatever was wanted of later ones; a change is kept for sending.
    pub(crate) fn stamp(&mut self, controls: Controls, tick: Tick) {
        if self.stamped == Some(controls) {
            return;
        }
        self.stamped = Some(controls);
        while self.pending.pop_back_if(|pending| pending.input.tick > tick).is_some() {}
        let input = Input { tick, controls: controls.to_bits() };
        let fresh = Pending { input, packet: None, is_received: false };
        match self.pending.back_mut() {
            Some(last) if last.input.tick == input.tick && last.packet.is_none() => *last = fresh,
            _ => self.pending.push_back(fresh),
        }
        if self.pending.len() > PENDING_MAX_COUNT {
            self.pending.pop_front();
        }
    }

    /// The own clock went back: the room is to hear anew what is wanted, which voids what it was told of later ticks.
    pub(crate) fn say_again(&mut self) {
        self.stamped = None;
    }

    /// Whether something waits to be sent.
    pub(crate) fn has_unsent(&self) -> bool {
        self.pending.back().is_some_and(|pending| pending.packet.is_none())
    }

    /// The inputs for the next packet, which is number `packet`.
    pub(crate) fn take_unsent(&mut self, packet: u8) -> Vec<Input> {
        let unsent = self.pending.iter_mut().filter(|pending| pending.packet.is_none()).take(INPUTS_MAX_COUNT);
        unsent
            .map(|pending| {
                pending.packet = Some(packet);
                pending.input
            })
            .collect()
    }

    /// A frame of `tick` says that of all packets up to number `newest`, which went out last, those up to `ack` (0: none) have
    /// been received.
    pub(crate) fn acknowledge(&mut self, ack: u8, newest: u8, tick: Tick) {
        let age = |packet: u8| (i32::from(newest) - i32::from(packet)).rem_euclid(PACKET_NUMBERS);
        let has_come = |packet: u8| ack != 0 && age(packet) >= age(ack);
        let sent = self.pending.iter_mut().filter(|pending| pending.packet.is_some_and(has_come));
        sent.for_each(|pending| pending.is_received = true);
        while let Some(first) = self.pending.pop_front_if(|first| first.is_received && first.input.tick <= tick) {
            self.settled = Controls::from_bits(first.input.controls);
        }
    }

    /// The tick of the oldest input that was sent and of which the room has not said that it came.
    pub(crate) fn oldest_unheard(&self) -> Option<Tick> {
        let unheard = self.pending.iter().find(|pending| pending.packet.is_some() && !pending.is_received);
        unheard.map(|pending| pending.input.tick)
    }

    /// Whether the truth has passed the tick of an input that the room does not have yet.
    pub(crate) fn is_overdue(&self, tick: Tick) -> bool {
        self.pending.iter().any(|pending| !pending.is_received && pending.input.tick <= tick)
    }

    /// A new connection: the room has let go of the stick. What it may not have is sent again: all of it is late by now, so that
    /// it counts for one tick, of which the last word counts: the newest controls alone, stamped anew.
    pub(crate) fn new_connection(&mut self) {
        self.stamped = None;
        self.settled = Controls::default();
        self.pending.clear();
    }

    /// The controls that the pilot wants at the end of `tick`, as far as the room will know by then.
    fn wanted_at(&self, tick: Tick) -> Controls {
        let known = self.pending.iter().rev().find(|pending| pending.input.tick <= tick);
        known.map_or(self.settled, |pending| Controls::from_bits(pending.input.controls))
    }
}

/// The pilot's own rows.
pub(crate) fn own_rows(rows: &[Row], pilot: PilotId) -> impl Iterator<Item = &Row> {
    rows.iter().filter(move |row| is_own(row, pilot))
}

/// Whether a row is the pilot's plane or a bullet of it.
pub(crate) fn is_own(row: &Row, pilot: PilotId) -> bool {
    match row.kind {
        game::PLANE => row.id == u32::from(pilot.0),
        game::BULLET => bullet::owner(row.id) == pilot.0,
        _ => false,
    }
}

/// What is known of the own pilot's future.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Future<'a> {
    pub(crate) pilot: PilotId,
    pub(crate) inputs: &'a Inputs,
    /// Announced ahead, so that the plane is there when the room has it.
    pub(crate) respawn: Option<Respawn>,
    pub(crate) rules: &'a Rules,
}

/// The own rows on their way ahead of the truth. Kept for its memory: every picture and every frame needs them.
#[derive(Debug, Clone, Default)]
pub(crate) struct PredictedRows {
    rows: Vec<Row>,
    before: Vec<Row>,
}

impl PredictedRows {
    /// Begins anew with the pilot's own among `rows`.
    pub(crate) fn begin(&mut self, rows: &[Row], pilot: PilotId) {
        self.rows.clear();
        self.rows.extend(own_rows(rows, pilot));
    }

    /// The rows after the last step.
    pub(crate) fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The rows before the last step; there must have been one.
    pub(crate) fn before(&self) -> &[Row] {
        &self.before
    }

    /// Steps from tick `from`, where the rows are now, to tick `to`; `on_tick` sees them after every tick.
    pub(crate) fn fly(&mut self, future: Future<'_>, from: Tick, to: Tick, mut on_tick: impl FnMut(Tick, &[Row])) {
        let Future { pilot, inputs, respawn, rules } = future;
        for tick in from + 1..=to {
            std::mem::swap(&mut self.rows, &mut self.before);
            self.rows.clear();
            self.before.iter().for_each(|row| step_row(row, rules, &mut self.rows));
            if let Some(respawn) = respawn.filter(|respawn| respawn.tick == tick) {
                let at = IVec2::new(respawn.x as i32, respawn.y as i32);
                let plane = Plane::new(
                    at,
                    respawn.heading.into(),
                    respawn.shots.into(),
                    &rules.motion.flight,
                    rules.respawn.shield,
                );
                self.rows.insert(0, Row::new(&plane::KIND, pilot.0.into(), plane.to_fields(), rules.motion.grid));
            }
            let wanted = inputs.wanted_at(tick);
            let planes = self.rows.iter_mut().filter(|row| row.kind == game::PLANE);
            planes.for_each(|row| take_over(row, wanted, tick, rules.motion.grid));
            on_tick(tick, &self.rows);
        }
    }
}

fn take_over(row: &mut Row, controls: Controls, tick: Tick, grid: Grid) {
    let mut plane = Plane::from_fields(&row.fields);
    plane.take_over(controls, tick);
    *row = Row::new(&plane::KIND, row.id, plane.to_fields(), grid);
}
