//! A player: a real client, its links with the room, a screen, and a computer pilot that sees what the screen shows.
//!
//! Path: [`Player::receive`] takes what arrived, as a page's message handler does → [`Player::render`] is a rendered
//! frame: steer, send, draw. Invariant: the pilot knows nothing that is not in the picture.

use super::player_log::{Correction, DrawnPlane, Picture, PlayerLog};
use arena::wire::Packet;
use arena::{
    Client,
    bot::{Asks, Bot, BotConfig, Decides, Sight},
    view::{PlaneView, Scene},
};
use game::{
    geometry::{PLANE_LENGTH_UNITS, squared},
    plane::Plane,
};
use session::{
    ConnectionId,
    sim::{Link, LinkConditions, Rng},
};
use std::collections::VecDeque;

/// Screens that people have, pictures a second.
const SCREENS_HZ: [f64; 4] = [60.0, 59.94, 144.0, 120.0];
const PILOT: BotConfig = BotConfig { seed: 1, decides: Decides::OnceOnOwnTicks, asks: Asks::AfterMs(500.0) };

/// See the module.
#[derive(Debug)]
pub(crate) struct Player {
    pub(crate) client: Client,
    pub(crate) connection: ConnectionId,
    pub(crate) conditions: LinkConditions,
    pub(crate) up: Link,
    pub(crate) down: Link,
    pub(crate) log: PlayerLog,
    /// When the player changed what is on its way, one per input, oldest first.
    pub(crate) input_times_ms: VecDeque<f64>,
    /// The device's clock is so far off.
    clock_ms: f64,
    /// The device sleeps until then: it reads and draws nothing.
    asleep_until_ms: f64,
    screen_ms: f64,
    next_picture_ms: f64,
    scene: Scene,
    pilot: Bot,
    changed_ms: f64,
}

impl Player {
    /// Player number `number`, whose first frame is rendered at `now_ms` or soon after.
    pub(crate) fn new(
        client: Client,
        connection: ConnectionId,
        conditions: LinkConditions,
        number: usize,
        now_ms: f64,
    ) -> Self {
        let screen_ms = 1000.0 / SCREENS_HZ[number % SCREENS_HZ.len()];
        Self {
            client,
            connection,
            conditions,
            up: Link::default(),
            down: Link::default(),
            log: PlayerLog::default(),
            input_times_ms: VecDeque::new(),
            clock_ms: 0.0,
            asleep_until_ms: 0.0,
            screen_ms,
            next_picture_ms: now_ms + number as f64 * 7.3 % screen_ms,
            scene: Scene::default(),
            pilot: Bot::new(PILOT),
            changed_ms: now_ms,
        }
    }

    /// The device sleeps for so long, and its clock with it.
    pub(crate) fn sleep(&mut self, for_ms: f64, now_ms: f64) {
        self.asleep_until_ms = now_ms + for_ms;
        self.clock_ms -= for_ms;
    }

    /// The device's clock goes ahead.
    pub(crate) fn gain(&mut self, ms: f64) {
        self.clock_ms += ms;
    }

    /// What has arrived by now.
    pub(crate) fn receive(&mut self, rng: &mut Rng, now_ms: f64) -> anyhow::Result<()> {
        if now_ms < self.asleep_until_ms {
            return Ok(());
        }
        let mut has_come = false;
        let page_ms = now_ms + self.clock_ms;
        while let Some(bytes) = self.down.receive(now_ms) {
            let before = (self.tick(), self.client.own_plane(page_ms));
            self.client.receive(&bytes, page_ms)?;
            let after = (self.tick(), self.client.own_plane(page_ms));
            if after.0 != before.0 {
                self.log.frames.push((now_ms, after.0));
                self.compare(before, after, now_ms);
            }
            has_come = true;
        }
        if has_come {
            // As a page does: one answer to all that came in one go.
            self.send(rng, now_ms);
        }
        while self.client.poll_event().is_some() {}
        Ok(())
    }

    fn tick(&self) -> u32 {
        self.client.replica().map_or(0, arena::Replica::tick)
    }

    fn compare(&mut self, before: (u32, Option<Plane>), after: (u32, Option<Plane>), came_ms: f64) {
        let flight = |plane: &Plane| (plane.position(), plane.heading, plane.speed, plane.shots);
        let is_right = before.1.as_ref().map(flight) == after.1.as_ref().map(flight);
        if !is_right {
            let lengths = before.1.zip(after.1).map(|(before, after)| {
                let off = squared(before.position() - after.position()) as f64;
                off.sqrt() / f64::from(PLANE_LENGTH_UNITS)
            });
            self.log.corrections.push(Correction { ticks: (before.0, after.0), came_ms, lengths });
        }
    }

    /// A rendered frame, if it is time for one.
    pub(crate) fn render(&mut self, rng: &mut Rng, now_ms: f64) {
        if now_ms < self.next_picture_ms.max(self.asleep_until_ms) {
            return;
        }
        self.next_picture_ms = self.next_picture_ms.max(self.asleep_until_ms) + self.screen_ms;
        if !self.client.is_welcomed() {
            return;
        }
        self.fly(now_ms);
        self.send(rng, now_ms);
        self.client.scene(now_ms + self.clock_ms, &mut self.scene);
        self.note_picture(now_ms);
    }

    fn fly(&mut self, now_ms: f64) {
        let before = self.pilot.controls();
        self.pilot.fly(&mut self.client, now_ms + self.clock_ms, now_ms, Sight::Picture(&self.scene));
        if self.pilot.controls() != before {
            self.changed_ms = now_ms;
        }
    }

    fn send(&mut self, rng: &mut Rng, now_ms: f64) {
        while let Some(bytes) = self.client.poll_send(now_ms + self.clock_ms) {
            if let Ok(Packet::Inputs(packet)) = Packet::decode(&bytes) {
                self.input_times_ms.extend(packet.inputs.iter().map(|_| self.changed_ms));
            }
            self.up.send(bytes, self.conditions, rng.share(), now_ms);
        }
    }

    fn note_picture(&mut self, now_ms: f64) {
        let id = self.client.pilot();
        let drawn = |plane: &PlaneView| DrawnPlane {
            id: plane.id,
            x: plane.x.into(),
            y: plane.y.into(),
            opacity: plane.opacity,
        };
        let own = self.scene.planes.first().filter(|plane| plane.id == id).map(drawn);
        let others = self.scene.planes.iter().filter(|plane| plane.id != id).map(drawn).collect();
        self.log.pictures.push(Picture {
            now_ms,
            own_at: self.client.own_at(now_ms + self.clock_ms),
            shown_at: self.client.shown_at(now_ms + self.clock_ms),
            newest: self.tick(),
            lead: self.client.stats().lead_ticks,
            own,
            others,
        });
    }
}
