//! `arena::Client` for the browser: types that JavaScript understands, and no decisions of its own.
//!
//! Path: the page gives bytes and moments, and draws what [`Client::view`] fills in. Invariant: in steady play nothing
//! is left to the garbage collector; the array of the view is reused. Names in `lower_case` are the page's.

mod report;

use arena::{
    controls,
    view::{BulletView, PlaneView, Scene},
};
use protocol::message::Operation;
use wasm_bindgen::prelude::*;

/// Floats before the planes, of a plane and of a bullet.
const HEADER_FLOATS: usize = 16;
const PLANE_FLOATS: usize = 12;
const BULLET_FLOATS: usize = 6;
/// The view has room for this many planes and bullets at first, and doubles when it must.
const FIRST_FLOATS: usize = HEADER_FLOATS + 64 * PLANE_FLOATS + 128 * BULLET_FLOATS;

/// A player's end of the wire.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Client {
    client: arena::Client,
    scene: Scene,
    floats: Vec<f32>,
    view: js_sys::Float32Array,
}

#[wasm_bindgen]
impl Client {
    /// A client that has never been anywhere.
    #[wasm_bindgen(constructor)]
    #[allow(clippy::new_without_default, reason = "JavaScript has constructors, not defaults")]
    pub fn new() -> Self {
        Self {
            client: arena::Client::new(),
            scene: Scene::default(),
            floats: vec![0.0; FIRST_FLOATS],
            view: js_sys::Float32Array::new_with_length(FIRST_FLOATS as u32),
        }
    }

    /// Bytes of the hello: the first message on every new socket.
    pub fn hello(&mut self, name: &str, hue: u8, ticket: Option<String>, resume: Option<String>) -> Vec<u8> {
        self.client.hello(name, hue, ticket, resume)
    }

    /// A binary message arrived.
    ///
    /// # Errors
    /// A sentence, if it was not understood: close the socket and connect anew.
    pub fn receive(&mut self, bytes: &[u8], now_ms: f64) -> Result<(), JsError> {
        self.client.receive(bytes, now_ms).map_err(|error| JsError::new(&error.to_string()))
    }

    /// Wanted controls from now on: steer -7..=7 (right positive), throttle 0..=2 (1 = cruise).
    pub fn control(&mut self, steer: i32, throttle: i32, boost: bool, fire: bool) {
        self.client.control(controls(steer, throttle, boost, fire));
    }

    /// The same, but turning the own plane, where it is by now, towards this angle (radians; 0 = east, π/2 = south).
    pub fn control_towards(&mut self, angle: f32, throttle: i32, boost: bool, fire: bool, now_ms: f64) {
        self.client.control_towards(angle, controls(0, throttle, boost, fire), now_ms);
    }

    /// Queues a line for the tower.
    ///
    /// Returns the number by which events tell what became of it.
    pub fn chat(&mut self, text: String) -> u32 {
        self.client.operate(Operation::Chat(text))
    }

    /// Queues a change of call sign and colour.
    pub fn rename(&mut self, name: String, hue: u8) {
        self.client.operate(Operation::Rename { name, hue });
    }

    /// Queues the wish to fly again.
    pub fn fly_again(&mut self) {
        self.client.fly_again();
    }

    /// Queues the end of the session.
    pub fn leave(&mut self) {
        self.client.leave();
    }

    /// The next message to send, `undefined` when none is due.
    pub fn poll_send(&mut self, now_ms: f64) -> Option<Vec<u8>> {
        self.client.poll_send(now_ms)
    }

    /// What to draw now, in plane lengths; valid until the next call.
    ///
    /// 16 floats: planes, bullets, camera x and y, own plane's index or -1, ticks until the respawn or -1, own health
    /// and energy (0..1), score, rank (0 unknown), pilots ranked, field side, tick shown, ticks of delay, own plane
    /// flies (0/1), in sync (0/1). Then per plane 12: id, x, y, heading, speed per second, health, flags (1 own,
    /// 2 boosting, 4 firing, 8 shielded, 16 rammed), hue, steer -1..1, throttle 0..2, opacity, 0. Then per bullet 6: id, x, y,
    /// heading, 1 if own, age 0..1.
    pub fn view(&mut self, now_ms: f64) -> js_sys::Float32Array {
        self.client.scene(now_ms, &mut self.scene);
        let used = HEADER_FLOATS + self.scene.planes.len() * PLANE_FLOATS + self.scene.bullets.len() * BULLET_FLOATS;
        if used > self.floats.len() {
            let length = used.next_power_of_two();
            self.floats.resize(length, 0.0);
            self.view = js_sys::Float32Array::new_with_length(length as u32);
        }
        self.fill(now_ms);
        self.view.copy_from(&self.floats);
        self.view.clone()
    }

    /// The next event as JSON, `undefined` when none is left.
    pub fn poll_event(&mut self) -> Option<String> {
        let event = self.client.poll_event()?;
        Some(report::client_event(&event, &mut self.client))
    }

    /// A pilot's call sign; `undefined` until the answer is there.
    pub fn name_of(&mut self, pilot: u16) -> Option<String> {
        self.client.profile(pilot).map(|profile| profile.name.clone())
    }

    /// A pilot's colour, 0..=7.
    pub fn hue_of(&mut self, pilot: u16) -> u8 {
        self.client.profile(pilot).map_or((pilot % 8) as u8, |profile| profile.hue)
    }

    /// The top list as JSON: rank, pilot, name, score.
    pub fn standings(&mut self) -> String {
        report::standings(&mut self.client)
    }

    /// Densities 0..=3 of the minimap's sectors, line by line, as many lines as sectors in a line.
    pub fn minimap(&self) -> Vec<u8> {
        self.client.minimap()
    }

    /// Cells a side of the field.
    pub fn field_cells(&self) -> i32 {
        self.client.replica().map_or(0, |replica| replica.rules().motion.grid.cells)
    }

    /// The own pilot's id, 0 before the welcome.
    pub fn pilot(&self) -> u16 {
        self.client.pilot()
    }

    /// The token that resumes this session.
    pub fn resume_token(&self) -> Option<String> {
        self.client.resume_token().map(str::to_owned)
    }

    /// Figures of the line as JSON.
    pub fn stats(&self) -> String {
        report::stats(&self.client.stats())
    }

    fn fill(&mut self, now_ms: f64) {
        let (camera_x, camera_y) = self.client.camera();
        let own_id = self.client.pilot();
        let standing = self.client.private_state();
        let own = self.scene.planes.first().filter(|plane| plane.id == own_id);
        let header = [
            self.scene.planes.len() as f32,
            self.scene.bullets.len() as f32,
            camera_x,
            camera_y,
            own.map_or(-1.0, |_| 0.0),
            self.client.respawn_in().map_or(-1.0, |ticks| ticks as f32),
            own.map_or(0.0, |plane| plane.health),
            own.map_or(0.0, |plane| plane.energy),
            standing.score as f32,
            f32::from(standing.rank),
            f32::from(standing.ranked),
            self.client.field_side(),
            self.client.shown_at(now_ms) as f32,
            self.client.stats().delay_ticks as f32,
            f32::from(u8::from(own.is_some())),
            f32::from(u8::from(self.client.is_welcomed() && self.client.stats().frames > 0)),
        ];
        self.floats[..HEADER_FLOATS].copy_from_slice(&header);
        let mut rest = &mut self.floats[HEADER_FLOATS..];
        for plane in &self.scene.planes {
            let (slot, after) = rest.split_at_mut(PLANE_FLOATS);
            let hue = self.client.hue(plane.id);
            slot.copy_from_slice(&plane_floats(plane, plane.id == own_id, hue));
            rest = after;
        }
        for bullet in &self.scene.bullets {
            let (slot, after) = rest.split_at_mut(BULLET_FLOATS);
            slot.copy_from_slice(&bullet_floats(bullet));
            rest = after;
        }
    }
}

fn plane_floats(plane: &PlaneView, is_own: bool, hue: u8) -> [f32; PLANE_FLOATS] {
    let flags = [is_own, plane.is_boosting, plane.is_firing, plane.is_shielded, plane.is_rammed];
    let flags = flags.iter().enumerate().fold(0u8, |all, (bit, set)| all | u8::from(*set) << bit);
    [
        f32::from(plane.id),
        plane.x,
        plane.y,
        plane.heading,
        plane.speed,
        plane.health,
        f32::from(flags),
        f32::from(hue),
        plane.steer,
        plane.throttle,
        plane.opacity,
        0.0,
    ]
}

fn bullet_floats(bullet: &BulletView) -> [f32; BULLET_FLOATS] {
    [bullet.id as f32, bullet.x, bullet.y, bullet.heading, f32::from(u8::from(bullet.is_own)), bullet.age]
}
