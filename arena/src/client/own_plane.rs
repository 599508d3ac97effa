//! The own plane: predicted ahead of the newest truth, and smoothed when a prediction was wrong.
//!
//! Path: [`Client::scene`] predicts the own rows up to the own clock, predicts what own shots hit and interpolates the others; every
//! frame compares what was predicted with the newest truth and leaves the difference to [`ErrorSmoothing`].
//! Invariants: prediction always starts from the newest truth; without contact, late packets or a stall it is never
//! wrong; what remains of an error fades and never shows as a jump of less than [`EASED_MAX_LENGTHS`].

use super::Client;
use crate::{
    ClientEvent, Replica, Spot,
    client::prediction::{self, Future},
    client::view::{Scene, lengths},
};
use game::{
    PilotId,
    geometry::{TURN, turn_between},
    plane::Plane,
    rules::Rules,
    schema::Row,
    step_row,
};
use protocol::Tick;

/// Corrections larger than this are shown as they are: the plane was elsewhere.
const EASED_MAX_LENGTHS: f32 = 4.0;
/// What is left of a correction after a second of smoothing.
const EASED_LEFT_PER_S: f32 = 1e-3;
/// What is older than this, truth or input, was under way in a stall: when it ends everything is elsewhere, and the pilot
/// wants to see where. Policy: nothing of such a correction is eased.
const EASED_MAX_TICKS: u32 = 36;
/// Furthest the own plane is predicted beyond the newest frame: 2.5 s, so that it flies on through a stall. Policy: it waits
/// there.
const PREDICTION_MAX_TICKS: u32 = 150;

impl Client {
    /// Fills `scene` with what to draw now; the own plane comes first, if it flies.
    pub fn scene(&mut self, now_ms: f64, scene: &mut Scene) {
        scene.clear();
        let (own_at, shown_at) = (self.clock_sync.own_at(now_ms), self.clock_sync.shown_at(now_ms));
        if self.replica.is_none() {
            return;
        }
        self.fly_ahead(own_at, scene);
        match (scene.planes.first_mut(), self.private.respawn) {
            (Some(own), _) => {
                self.smoothing.apply(now_ms, own);
                self.camera = (own.x, own.y);
            }
            (None, Some(respawn)) => self.camera = (lengths(respawn.x as i32), lengths(respawn.y as i32)),
            (None, None) => {}
        }
        let replica = self.replica.as_ref().expect("it was there");
        self.history.at(shown_at, self.pilot, replica.rules(), scene);
        if self.pilot.0 == 0 {
            self.watch_somebody(scene);
        }
        let replica = self.replica.as_ref().expect("it was there");
        // What is known is known around where the room has the own plane, and that is behind the camera.
        let own = replica.rows().iter().find(|row| row.key() == (game::PLANE, self.pilot.0.into()));
        let middle = own.map(|row| Plane::from_fields(&row.fields).position());
        scene.fade(middle.map_or(self.camera, |place| (lengths(place.x), lengths(place.y))));
        scene.planes.iter().for_each(|plane| self.peer.profiles.want(plane.id.into()));
    }

    /// The camera of whoever only watches stays with a plane for as long as that is seen, then goes to the leader's.
    fn watch_somebody(&mut self, scene: &Scene) {
        let seen = |pilot: u16| scene.planes.iter().find(|plane| plane.id == pilot);
        let leader = || self.standings().into_iter().find_map(|(_, pilot, _)| seen(pilot));
        if let Some(plane) = seen(self.watched).or_else(leader).or(scene.planes.first()) {
            (self.watched, self.camera) = (plane.id, (plane.x, plane.y));
        }
    }

    /// Draws the own rows at this (fractional) tick of the own clock; every new tick's shots are judged on the way.
    fn fly_ahead(&mut self, own_at: f64, scene: &mut Scene) {
        let Self { replica: Some(replica), shots, history, events, flight, .. } = self else { return };
        let (rules, view_delay) = (replica.rules(), self.clock_sync.view_delay());
        let future = Future { pilot: self.pilot, inputs: &self.inputs, respawn: self.private.respawn, rules };
        let (from, to) = span(replica, own_at);
        flight.begin(replica.rows(), self.pilot);
        flight.fly(future, from, to, |tick, rows| {
            let tell = |met: Spot| events.push_back(ClientEvent::Hit(met));
            let fired = shots.predict(tick, rows, view_delay, history, rules, tell);
            events.extend(fired.map(ClientEvent::Shot));
        });
        flight.fly(future, to, to + 1, |_, _| {});
        // Where prediction ends, it stands still.
        let part = (own_at - f64::from(to)).clamp(0.0, 1.0) as f32;
        for row in flight.rows().iter().filter(|row| !shots.has_met(row)) {
            let earlier = flight.before().iter().find(|other| other.key() == row.key()).unwrap_or(row);
            scene.add(earlier, row, part, self.pilot, rules);
        }
        self.drawn = to;
    }

    /// The own plane as predicted for now.
    pub fn own_plane(&mut self, now_ms: f64) -> Option<Plane> {
        let replica = self.replica.take()?;
        let plane = self.predicted_plane(&replica, now_ms);
        self.replica = Some(replica);
        plane
    }

    /// How long ago, by the own clock, was the last moment that the room is known to share, ticks.
    pub(super) fn guessed_ticks(&mut self, replica: &Replica, now_ms: f64) -> u32 {
        let unheard = self.inputs.oldest_unheard().unwrap_or(Tick::MAX);
        (self.clock_sync.own_at(now_ms) as Tick).saturating_sub(replica.tick().min(unheard))
    }

    pub(super) fn predicted_plane(&mut self, replica: &Replica, now_ms: f64) -> Option<Plane> {
        let (from, to) = span(replica, self.clock_sync.own_at(now_ms));
        let rules = replica.rules();
        let future = Future { pilot: self.pilot, inputs: &self.inputs, respawn: self.private.respawn, rules };
        self.flight.begin(replica.rows(), self.pilot);
        self.flight.fly(future, from, to, |_, _| {});
        self.flight.rows().iter().find(|row| row.kind == game::PLANE).map(|row| Plane::from_fields(&row.fields))
    }

    /// The newest truth puts the own plane elsewhere than it was predicted, by what was known `ticks` ago;
    /// `is_explained`: something happened that nobody could predict.
    pub(super) fn correct(&mut self, before: &Plane, after: &Plane, ticks: u32, is_explained: bool) {
        let error = before.position() - after.position();
        let turn = turn_between(after.heading, before.heading);
        if error == glam::IVec2::ZERO && turn == 0 {
            return;
        }
        let (x, y) = (lengths(error.x), lengths(error.y));
        self.stats.corrections += 1;
        self.stats.corrections_unexplained += u64::from(!is_explained);
        self.stats.correction_lengths = x.hypot(y);
        if ticks > EASED_MAX_TICKS {
            self.smoothing = ErrorSmoothing::default();
        } else {
            self.smoothing.add(x, y, turn as f32 * std::f32::consts::TAU / TURN as f32);
        }
    }
}

/// From the newest truth to this tick of the own clock, or as near to it as prediction goes.
fn span(replica: &Replica, own_at: f64) -> (Tick, Tick) {
    let from = replica.tick();
    (from, (own_at.floor() as Tick).clamp(from, from + PREDICTION_MAX_TICKS))
}

/// What remains of corrections, to be added to the own plane as it is drawn.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ErrorSmoothing {
    x: f32,
    y: f32,
    turn: f32,
    at_ms: f64,
}

impl ErrorSmoothing {
    fn add(&mut self, x: f32, y: f32, turn: f32) {
        (self.x, self.y, self.turn) = (self.x + x, self.y + y, self.turn + turn);
        if self.x.hypot(self.y) > EASED_MAX_LENGTHS {
            (self.x, self.y, self.turn) = (0.0, 0.0, 0.0);
        }
    }

    fn apply(&mut self, now_ms: f64, plane: &mut crate::client::view::PlaneView) {
        let elapsed_s = ((now_ms - self.at_ms) / 1000.0).clamp(0.0, 1.0) as f32;
        let left = EASED_LEFT_PER_S.powf(elapsed_s);
        (self.x, self.y, self.turn, self.at_ms) = (self.x * left, self.y * left, self.turn * left, now_ms);
        (plane.x, plane.y, plane.heading) = (plane.x + self.x, plane.y + self.y, plane.heading + self.turn);
    }
}

/// Watches the own plane through the ticks of a frame: did it do anything that its own motion step does not explain?
#[derive(Debug, Clone, Default)]
pub(super) struct OwnFlight {
    before: Vec<Row>,
    stepped: Vec<Row>,
    was_touched: bool,
}

impl OwnFlight {
    /// Begins with what the replica holds before a frame.
    pub(super) fn begin(&mut self, replica: &Replica) {
        self.before.clear();
        self.before.extend(prediction::own_rows(replica.rows(), replica.pilot()));
        self.was_touched = false;
    }

    /// The rows of the next tick.
    pub(super) fn look(&mut self, rows: &[Row], own: PilotId, rules: &Rules) {
        let plane = |rows: &[Row]| {
            let row = rows.iter().find(|row| row.kind == game::PLANE && prediction::is_own(row, own));
            row.map(|row| Plane::from_fields(&row.fields))
        };
        self.stepped.clear();
        self.before.iter().for_each(|row| step_row(row, rules, &mut self.stepped));
        let flight = |plane: Plane| (plane.position(), plane.heading, plane.speed, plane.health, plane.reel);
        let (stepped, actual) = (plane(&self.stepped).map(flight), plane(rows).map(flight));
        // A plane that was not there before took off: that was announced.
        self.was_touched |= stepped.is_some() && stepped != actual;
        self.before.clear();
        self.before.extend(prediction::own_rows(rows, own));
    }

    pub(super) fn was_touched(&self) -> bool {
        self.was_touched
    }
}
