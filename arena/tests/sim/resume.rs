//! Resume tokens: whoever keeps the newest one that arrived comes back, whatever got lost.

use crate::world::{config, seed};
use arena::{
    Room, RoomConfig,
    wire::{self, Request},
};
use protocol::{
    close::CloseReason,
    limits::RESUME_GRACE_MS,
    message::{Hello, KIND_TAG, Packet, ServerMessage, Welcome},
    room::Kind,
    token::Role,
};
use session::{
    ConnectionId, Engine, Output,
    sim::{self, Rng},
};

/// Longest a client of the random test is without a socket, ticks: well within the grace.
const GONE_MAX_TICKS: u32 = (RESUME_GRACE_MS / 1000 - 5) as u32 * arena::TICK_HZ;

fn hello(resume: Option<&str>) -> Hello {
    Hello { resume: resume.map(str::to_owned), ..Hello::to(Kind::Arena, wire::version(), "Ada", 0) }
}

/// A room, and one member's way into it: connection by connection, the newest last.
struct Entry {
    room: Room,
    connections: u32,
}

impl Entry {
    fn new(room: Room) -> Self {
        Self { room, connections: 0 }
    }

    /// Says hello on a new connection; the welcome, or why there is none.
    fn hello(&mut self, token: Option<&str>, is_admitted: bool) -> Result<Welcome, CloseReason> {
        self.connections += 1;
        let from = self.newest();
        self.room.connect(from, &hello(token), is_admitted.then_some(Role::Member));
        let answers = std::iter::from_fn(|| self.room.poll_output()).filter_map(|output| match output {
            Output::Message(_, bytes) => match ServerMessage::decode(&bytes) {
                Ok(ServerMessage::Welcome(welcome)) => Some(Ok(*welcome)),
                _ => None,
            },
            Output::Refuse(_, reason) => Some(Err(reason)),
            Output::Close(..) => None,
        });
        answers.last().expect("a hello is answered")
    }

    /// Comes back with a token and reads the next one, or loses it: the caller decides.
    fn come_back(&mut self, token: &str) -> Result<String, CloseReason> {
        self.hello(Some(token), false).map(|welcome| welcome.resume)
    }

    fn newest(&self) -> ConnectionId {
        sim::connection(self.connections)
    }

    fn disconnect(&mut self) {
        (1..=self.connections).for_each(|number| self.room.disconnect(sim::connection(number)));
    }

    /// Something from whoever is connected.
    fn say(&mut self) {
        for number in 1..=self.connections {
            let verify = [&[KIND_TAG], &Request::Verify.encode()[..]].concat();
            self.room.receive(sim::connection(number), Packet::Kind(&verify));
        }
    }
}

fn begin() -> (Entry, u32, String) {
    let mut entry = Entry::new(Room::new(config(seed())));
    let welcome = entry.hello(None, true).expect("a ticket lets in");
    (entry, welcome.member, welcome.resume)
}

/// SPEC S3.4.
#[test]
fn a_token_that_was_used_is_good_until_the_next_welcome_is_known_to_have_come() {
    let (mut entry, _, t0) = begin();
    entry.disconnect();
    let t1 = entry.come_back(&t0).unwrap();
    entry.disconnect();
    let lost = entry.come_back(&t1).unwrap();
    entry.disconnect();
    assert_eq!(entry.come_back(&t0), Err(CloseReason::BadTicket), "whoever used t1 has it");
    for _ in 0..3 {
        assert_ne!(entry.come_back(&t1).unwrap(), lost, "each welcome has a token of its own");
        entry.disconnect();
    }
}

/// SPEC S3.5.
#[test]
fn of_those_who_race_with_one_token_the_last_who_may_is_in_and_the_others_are_replaced() {
    let (mut entry, pilot, t0) = begin();
    entry.say();
    let tokens: Vec<_> = (0..5).map(|_| entry.come_back(&t0).unwrap()).collect();
    entry.say();
    assert_eq!(entry.come_back(&t0), Err(CloseReason::Replaced), "the last one is known to be in");
    for older in &tokens[..4] {
        assert_eq!(entry.come_back(older), Err(CloseReason::Replaced));
    }
    assert!(entry.hello(Some(&t0), true).is_ok_and(|other| other.member != pilot), "a ticket makes a new pilot");
    assert!(entry.come_back(&tokens[4]).is_ok());
}

#[test]
fn an_older_connection_is_closed_as_replaced_and_leads_nowhere() {
    let (mut entry, _, t0) = begin();
    let older = entry.newest();
    entry.connections += 1;
    entry.room.connect(entry.newest(), &hello(Some(&t0)), None);
    let outputs: Vec<_> = std::iter::from_fn(|| entry.room.poll_output()).collect();
    assert!(outputs.contains(&Output::Close(older, CloseReason::Replaced)), "{outputs:?}");
    entry.room.disconnect(older);
    assert_eq!(entry.room.stats().members, 1, "that one is gone is no news of the other");
}

/// A client at the end of a bad line.
struct Visitor {
    entry: Entry,
    pilot: u32,
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

impl Visitor {
    fn step(&mut self) {
        match self.chance.draw(8) {
            0..3 => self.connect(),
            3 if self.is_welcomed => self.prove(),
            4 => self.lose_connection(),
            5 => self.save = (self.entry.room.save(), self.gone_ticks),
            6 if self.chance.draw(4) == 0 => self.crash(),
            _ => self.wait(),
        }
        self.try_an_old_token();
    }

    /// Half of the welcomes are lost.
    fn connect(&mut self) {
        let newest = self.tokens.last().expect("the first one arrived").clone();
        let welcome = self.entry.hello(Some(&newest), false);
        let welcome = welcome.unwrap_or_else(|why| panic!("the newest of {} tokens: {why:?}", self.tokens.len()));
        assert_eq!(welcome.member, self.pilot);
        self.old = self.tokens.len() - 1;
        (self.is_connected, self.gone_ticks) = (true, 0);
        self.is_welcomed = self.chance.draw(2) == 0;
        if self.is_welcomed {
            self.tokens.push(welcome.resume);
        }
    }

    fn prove(&mut self) {
        self.entry.say();
        self.old = self.tokens.len() - 1;
    }

    fn lose_connection(&mut self) {
        if self.is_connected {
            self.entry.disconnect();
        }
        (self.is_connected, self.is_welcomed) = (false, false);
    }

    /// The room goes on from an older save, on another machine perhaps.
    fn crash(&mut self) {
        self.epoch += 1;
        let config = RoomConfig { epoch: self.epoch, ..config(seed()) };
        self.entry.room = Room::restore(config, &self.save.0).expect("a save can be used");
        (self.is_connected, self.is_welcomed, self.gone_ticks, self.old) = (false, false, self.save.1, 0);
    }

    fn wait(&mut self) {
        let ticks = self.chance.draw(200) as u32;
        if self.gone_ticks + ticks > GONE_MAX_TICKS {
            return self.connect();
        }
        self.gone_ticks += if self.is_connected { 0 } else { ticks };
        (0..ticks).for_each(|_| self.entry.room.tick());
        while let Some(output) = self.entry.room.poll_output() {
            if matches!(output, Output::Close(..)) {
                (self.is_connected, self.is_welcomed) = (false, false);
            }
        }
    }

    fn try_an_old_token(&mut self) {
        if self.old > 0 {
            let old = &self.tokens[self.chance.draw(self.old as u64) as usize];
            let refused = self.entry.come_back(&old.clone()).expect_err("an old token opens nothing");
            assert!(matches!(refused, CloseReason::Replaced | CloseReason::BadTicket), "{refused:?}");
        }
    }
}

/// SPEC S3.4.
#[test]
fn whoever_keeps_the_newest_token_that_arrived_is_never_refused_within_the_grace() {
    let (mut connects, mut crashes) = (0, 0);
    for run in 0..40 {
        let (entry, pilot, token) = begin();
        let save = (entry.room.save(), 0);
        let chance = Rng::new(seed() + run);
        let (tokens, old, epoch) = (vec![token], 0, 1);
        let (is_connected, is_welcomed, gone_ticks) = (true, true, 0);
        let mut visitor =
            Visitor { entry, pilot, chance, tokens, old, is_connected, is_welcomed, gone_ticks, epoch, save };
        (0..300).for_each(|_| visitor.step());
        (connects, crashes) = (connects + visitor.tokens.len(), crashes + visitor.epoch - 1);
    }
    assert!(connects > 1000 && crashes > 100, "{connects} welcomes arrived, {crashes} crashes: nothing was tested");
}
