//! A computer pilot at the controls of a [`Client`]: looks, decides, steers, and asks to fly again after it was shot down.
//!
//! Path: who has the client calls [`Bot::fly`] as often as it likes → the pilot looks at its [`Sight`] → `game::pilot`
//! decides → [`Client::control`]; without a plane, [`Client::fly_again`]. Sending is up to the caller, as it is when
//! a person steers.
//! Invariants: it knows only what its client knows; same calls, same controls; between its decisions a plane that flies
//! is left alone, without even being predicted.
//! Never: a socket, a clock (times are arguments).

use crate::{
    Client, Replica, TICK_HZ,
    client::view::{PlaneView, Scene},
};
use game::{
    Controls,
    geometry::{PLANE_LENGTH_UNITS, TURN},
    pilot,
    plane::Plane,
};
use protocol::Tick;

const TICK_MS: f64 = 1000.0 / TICK_HZ as f64;

/// What differs between the users of a pilot.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BotConfig {
    /// Of its chances. Its character comes from its id as well.
    pub seed: u64,
    /// When it decides.
    pub decides: Decides,
    /// When it asks to fly again.
    pub asks: Asks,
}

/// When a pilot decides; its own ticks are those that `game::pilot` names for its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decides {
    /// At every call: on ticks that are not its own, what its plane flies by is what it wants.
    Always,
    /// At every call on one of its own ticks.
    OnOwnTicks,
    /// At the first call on each of its own ticks.
    OnceOnOwnTicks,
}

/// When a pilot without a plane asks for one, if none is announced.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Asks {
    /// Once more than so many milliseconds have passed since the last time.
    AfterMs(f64),
    /// On every tick of its watch that is a multiple of this.
    EveryTicks(u32),
}

/// Where a pilot sees the others.
#[derive(Debug, Clone, Copy)]
pub enum Sight<'a> {
    /// In its client's replica, at the replica's tick.
    Replica,
    /// In this picture, at the tick of its watch.
    Picture(&'a Scene),
}

/// See the module.
#[derive(Debug, Clone)]
pub struct Bot {
    config: BotConfig,
    controls: Controls,
    /// The tick of the last decision, and when it asked the last time.
    decided: Tick,
    asked_ms: f64,
}

impl Bot {
    /// A pilot whose watch begins at 0.
    pub fn new(config: BotConfig) -> Self {
        Self { config, controls: Controls::default(), decided: 0, asked_ms: 0.0 }
    }

    /// What it last wanted.
    pub fn controls(&self) -> Controls {
        self.controls
    }

    /// Steers, if it is time to. `now_ms` is the client's time; `watch_ms` is the pilot's own, which a client's clock that
    /// jumps does not move.
    pub fn fly(&mut self, client: &mut Client, now_ms: f64, watch_ms: f64, sight: Sight<'_>) {
        let Some(replica) = client.replica() else { return };
        let (id, watch_tick) = (client.pilot(), (watch_ms / TICK_MS) as Tick);
        let tick = match sight {
            Sight::Replica => replica.tick(),
            Sight::Picture(_) => watch_tick,
        };
        let is_due = self.is_due(tick, id);
        // Who looks at pictures asks for the own plane in each, as a page does, which moves the client's clocks on.
        let is_drawn = matches!(sight, Sight::Picture(_));
        if !is_due && !is_drawn && is_flying(replica, id) {
            return;
        }
        match client.own_plane(now_ms) {
            Some(me) if is_due => self.decide(client, &me, tick, sight),
            Some(_) => {}
            None => {
                self.controls = Controls::default();
                client.control(self.controls);
                self.ask(client, watch_ms, watch_tick);
            }
        }
    }

    fn is_due(&self, tick: Tick, id: u16) -> bool {
        let is_own = || (tick + u32::from(id)).is_multiple_of(pilot::DECISION_TICKS);
        match self.config.decides {
            Decides::Always => true,
            Decides::OnOwnTicks => is_own(),
            Decides::OnceOnOwnTicks => tick != self.decided && is_own(),
        }
    }

    fn decide(&mut self, client: &mut Client, me: &Plane, tick: Tick, sight: Sight<'_>) {
        let (id, replica) = (client.pilot(), client.replica().expect("the own plane comes from it"));
        let other_rows = replica.rows().iter().filter(|row| row.kind == game::PLANE && row.id != u32::from(id));
        let mut in_replica = other_rows.map(|row| (row.id as u16, Plane::from_fields(&row.fields)));
        let mut in_picture;
        let others: &mut dyn Iterator<Item = (u16, Plane)> = match sight {
            Sight::Replica => &mut in_replica,
            Sight::Picture(scene) => {
                in_picture = scene.planes.iter().filter(|plane| plane.id != id).map(made_out);
                &mut in_picture
            }
        };
        self.decided = tick;
        self.controls = pilot::decide(me, id, others, replica.rules(), tick, self.config.seed);
        client.control(self.controls);
    }

    fn ask(&mut self, client: &mut Client, watch_ms: f64, watch_tick: Tick) {
        let may_ask = match self.config.asks {
            Asks::AfterMs(pause_ms) => watch_ms > self.asked_ms + pause_ms,
            Asks::EveryTicks(ticks) => watch_tick.is_multiple_of(ticks),
        };
        if may_ask && client.respawn_in().is_none() {
            self.asked_ms = watch_ms;
            client.fly_again();
        }
    }
}

/// Whether its plane will be there at the next tick too: one without health is seen for the tick in which it ends.
fn is_flying(replica: &Replica, id: u16) -> bool {
    let own = replica.rows().iter().find(|row| row.key() == (game::PLANE, id.into()));
    own.is_some_and(|row| Plane::from_fields(&row.fields).health > 0)
}

/// A plane as a pilot makes it out on the screen.
fn made_out(view: &PlaneView) -> (u16, Plane) {
    let units = |lengths: f32| (lengths * PLANE_LENGTH_UNITS as f32) as i32;
    let turn = view.heading / std::f32::consts::TAU * TURN as f32;
    let plane = Plane {
        x: units(view.x),
        y: units(view.y),
        heading: (turn as i32).rem_euclid(TURN),
        speed: units(view.speed) * 16 / TICK_HZ as i32,
        health: i32::from(view.health > 0.0),
        shield: i32::from(view.is_shielded),
        ..Plane::default()
    };
    (view.id, plane)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Room, RoomConfig};
    use protocol::{
        message::{ClientMessage, Operation, Packet},
        token::{Key, Role},
    };
    use session::{Engine, Output, sim};

    fn config(decides: Decides, asks: Asks) -> BotConfig {
        BotConfig { seed: 1, decides, asks }
    }

    /// A client that was welcomed and has no frame yet: it does not know of any plane.
    fn welcomed() -> Client {
        let config = RoomConfig {
            name: "arena".into(),
            key: Key::new("only for this test, and long enough").unwrap(),
            epoch: 1,
            seed: 7,
            rules: game::rules::Rules::default(),
            fillers: 0,
            max_players: 10,
            max_readers: 1,
            silence_max_ms: 10_000,
            begins_s: 0,
            cadence_ticks: 1,
        };
        let (mut client, mut room) = (Client::new(), Room::new(config));
        let hello = ClientMessage::decode(&client.hello("Bot", 0, None, None)).unwrap();
        let ClientMessage::Hello(hello) = hello else { panic!("a hello was encoded") };
        room.connect(sim::connection(1), &hello, Some(Role::Member));
        while let Some(Output::Message(_, bytes)) = room.poll_output() {
            client.receive(&bytes, 0.0).unwrap();
        }
        client
    }

    fn has_asked(client: &mut Client) -> bool {
        let mut sent = std::iter::from_fn(|| client.poll_send(0.0));
        let asks = |bytes: Vec<u8>| {
            let wish = Operation::Kind(crate::wire::Operation::FlyAgain.encode());
            matches!(Packet::decode(&bytes), Ok(Packet::Session(ClientMessage::Operation { operation, .. }))
                if operation == wish)
        };
        sent.any(asks)
    }

    #[test]
    fn without_a_plane_it_asks_once_an_interval() {
        let (mut client, mut bot) = (welcomed(), Bot::new(config(Decides::OnOwnTicks, Asks::AfterMs(500.0))));
        let mut asks_at = |watch_ms: f64| {
            bot.fly(&mut client, 0.0, watch_ms, Sight::Replica);
            has_asked(&mut client)
        };
        assert_eq!(
            [400.0, 500.0, 501.0, 900.0, 1001.0, 1002.0].map(&mut asks_at),
            [false, false, true, false, false, true]
        );
    }

    #[test]
    fn it_asks_on_the_ticks_that_it_is_told() {
        let (mut client, mut bot) = (welcomed(), Bot::new(config(Decides::Always, Asks::EveryTicks(30))));
        let mut asks_at = |tick: f64| {
            bot.fly(&mut client, 0.0, (tick + 0.5) * TICK_MS, Sight::Replica);
            has_asked(&mut client)
        };
        assert_eq!([29.0, 30.0, 31.0, 60.0].map(&mut asks_at), [false, true, false, true]);
    }

    #[test]
    fn it_decides_on_its_own_ticks() {
        let due = |decides, decided| {
            let bot = Bot { decided, ..Bot::new(config(decides, Asks::AfterMs(0.0))) };
            (6..10).map(|tick| bot.is_due(tick, 2)).collect::<Vec<_>>()
        };
        assert_eq!(due(Decides::Always, 7), [true; 4]);
        assert_eq!(due(Decides::OnOwnTicks, 7), [false, true, false, false]);
        assert_eq!(due(Decides::OnceOnOwnTicks, 7), [false; 4]);
        assert_eq!(due(Decides::OnceOnOwnTicks, 4), [false, true, false, false]);
    }
}
