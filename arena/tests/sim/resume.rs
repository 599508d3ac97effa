//! Resume tokens: whoever keeps the newest one that arrived comes back, whatever got lost.

use crate::world::{config, seed};
use arena::{Output, Room, SessionId, sim_link::Rng};
use protocol::{
    PROTOCOL_VERSION,
    close::CloseReason,
    limits::RESUME_GRACE_MS,
    message::{ClientMessage, ClientPacket, Hello, ServerMessage},
};

/// Longest a client of the random test is without a socket, ticks: well within the grace.
const GONE_MAX_TICKS: u32 = (RESUME_GRACE_MS / 1000 - 5) as u32 * protocol::TICK_HZ;

fn hello(resume: Option<&str>) -> Hello {
    let (name, resume) = ("Ada".to_owned(), resume.map(str::to_owned));
    Hello { version: PROTOCOL_VERSION, ticket: None, resume, have_tick: 0, have_event: 0, name, hue: 0 }
}

/// The token of the welcome that the room has just answered with.
fn welcomed(room: &mut Room) -> String {
    let mut token = None;
    while let Some(output) = room.poll_output() {
        if let Output::Message(_, bytes) = output
            && let Ok(ServerMessage::Welcome(welcome)) = ServerMessage::decode(&bytes)
        {
            token = Some(welcome.resume);
        }
    }
    token.expect("there was a welcome")
}

/// Comes back and reads the welcome, or loses it: the caller decides.
fn come_back(room: &mut Room, token: &str) -> Result<String, CloseReason> {
    room.join(&hello(Some(token)), false).map(|_| welcomed(room))
}

fn begin() -> (Room, SessionId, String) {
    let mut room = Room::new(config(seed()));
    let session = room.join(&hello(None), true).expect("a ticket lets in");
    let token = welcomed(&mut room);
    (room, session, token)
}

fn say(room: &mut Room, session: SessionId) {
    room.handle(session, ClientPacket::Message(ClientMessage::Verify));
}

#[test]
fn a_token_that_was_used_is_good_until_the_next_welcome_is_known_to_have_come() {
    let (mut room, session, t0) = begin();
    room.disconnect(session);
    let t1 = come_back(&mut room, &t0).unwrap();
    room.disconnect(session);
    let lost = come_back(&mut room, &t1).unwrap();
    room.disconnect(session);
    assert_eq!(come_back(&mut room, &t0), Err(CloseReason::BadTicket), "whoever used t1 has it");
    for _ in 0..3 {
        assert_ne!(come_back(&mut room, &t1).unwrap(), lost, "each welcome has a token of its own");
        room.disconnect(session);
    }
}

#[test]
fn of_those_who_race_with_one_token_the_last_who_may_is_in_and_the_others_are_replaced() {
    let (mut room, session, t0) = begin();
    say(&mut room, session);
    let sockets: Vec<_> = (0..5).map(|_| come_back(&mut room, &t0).unwrap()).collect();
    say(&mut room, session);
    assert_eq!(come_back(&mut room, &t0), Err(CloseReason::Replaced), "the last one is known to be in");
    for older in &sockets[..4] {
        assert_eq!(come_back(&mut room, older), Err(CloseReason::Replaced));
    }
    assert!(room.join(&hello(Some(&t0)), true).is_ok_and(|other| other != session), "a ticket makes a new pilot");
    assert!(come_back(&mut room, &sockets[4]).is_ok());
}

/// A client at the end of a bad line.
struct Keeper {
    room: Room,
    session: SessionId,
    chance: Rng,
    /// Every token that arrived.
    tokens: Vec<String>,
    /// Of these, so many are known to be old.
    old: usize,
    is_connected: bool,
    is_welcomed: bool,
    gone_ticks: u32,
    epoch: u32,
    /// A save, how long the client was gone then, and which of its tokens there were.
    save: (Vec<u8>, u32),
}

impl Keeper {
    fn step(&mut self) {
        match self.chance.draw(8) {
            0..3 => self.connect(),
            3 if self.is_welcomed => self.prove(),
            4 => self.lose_socket(),
            5 => self.save = (self.room.snapshot(), self.gone_ticks),
            6 if self.chance.draw(4) == 0 => self.crash(),
            _ => self.wait(),
        }
        self.try_an_old_token();
    }

    /// Half of the welcomes are lost.
    fn connect(&mut self) {
        let newest = self.tokens.last().expect("the first one arrived").clone();
        let joined = self.room.join(&hello(Some(&newest)), false);
        assert_eq!(joined, Ok(self.session), "the newest of {} tokens that arrived", self.tokens.len());
        let token = welcomed(&mut self.room);
        self.old = self.tokens.len() - 1;
        (self.is_connected, self.gone_ticks) = (true, 0);
        self.is_welcomed = self.chance.draw(2) == 0;
        if self.is_welcomed {
            self.tokens.push(token);
        }
    }

    fn prove(&mut self) {
        say(&mut self.room, self.session);
        self.old = self.tokens.len() - 1;
    }

    fn lose_socket(&mut self) {
        if self.is_connected {
            self.room.disconnect(self.session);
        }
        (self.is_connected, self.is_welcomed) = (false, false);
    }

    /// The room goes on from an older save, on another machine perhaps.
    fn crash(&mut self) {
        self.epoch += 1;
        let config = arena::RoomConfig { epoch: self.epoch, ..config(seed()) };
        self.room = Room::restore(config, &self.save.0).expect("a save can be used");
        (self.is_connected, self.is_welcomed, self.gone_ticks, self.old) = (false, false, self.save.1, 0);
    }

    fn wait(&mut self) {
        let ticks = self.chance.draw(200) as u32;
        if self.gone_ticks + ticks > GONE_MAX_TICKS {
            return self.connect();
        }
        self.gone_ticks += if self.is_connected { 0 } else { ticks };
        (0..ticks).for_each(|_| self.room.tick());
        while let Some(output) = self.room.poll_output() {
            if matches!(output, Output::Close(..)) {
                (self.is_connected, self.is_welcomed) = (false, false);
            }
        }
    }

    fn try_an_old_token(&mut self) {
        if self.old > 0 {
            let old = &self.tokens[self.chance.draw(self.old as u64) as usize];
            let refused = self.room.join(&hello(Some(old)), false).expect_err("an old token opens nothing");
            assert!(matches!(refused, CloseReason::Replaced | CloseReason::BadTicket), "{refused:?}");
        }
    }
}

#[test]
fn whoever_keeps_the_newest_token_that_arrived_is_never_refused_within_the_grace() {
    let (mut connects, mut crashes) = (0, 0);
    for run in 0..40 {
        let (room, session, token) = begin();
        let save = (room.snapshot(), 0);
        let chance = Rng::new(seed() + run);
        let (tokens, old, epoch) = (vec![token], 0, 1);
        let (is_connected, is_welcomed, gone_ticks) = (true, true, 0);
        let mut keeper =
            Keeper { room, session, chance, tokens, old, is_connected, is_welcomed, gone_ticks, epoch, save };
        (0..300).for_each(|_| keeper.step());
        (connects, crashes) = (connects + keeper.tokens.len(), crashes + keeper.epoch - 1);
    }
    assert!(connects > 1000 && crashes > 100, "{connects} welcomes arrived, {crashes} crashes: nothing was tested");
}
