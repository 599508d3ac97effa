//! The kinds of room that bots can go to: the one file that names their crates.
//!
//! Path: [`players`] → a [`Player`] per bot, around its kind's own client and computer player.
//! Invariant: a player knows only what its own client was told.
//! Never: a socket, a clock; what is common to all kinds lies around this file.

use crate::{
    figures::{Figure, Times, Value},
    latency::InputWatch,
    player::{Player, SessionEnd},
    staleness::PictureWatch,
};
use arena::{
    bot::{Asks, BotConfig, Decides, Sight},
    wire::Packet,
};
use game::{Controls, plane::Plane};
use protocol::{
    DecodeError,
    entry::Talk,
    message::{HOT_BIT, Operation},
    room::Kind,
};
use session::SessionEvent;
use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

/// How pilots fly: one seed will do, since every pilot id has its own character.
const PILOT: BotConfig = BotConfig { seed: 1, decides: Decides::OnOwnTicks, asks: Asks::AfterMs(500.0) };
/// Own lines on their way at most; a stalled connection collects them. Policy: the oldest is not counted.
const UNREAD_MAX_COUNT: usize = 256;

/// Makes the players of a kind, by number.
pub(crate) type Players = Box<dyn Fn(u32) -> Box<dyn Player>>;

/// The players of a kind; those who talk say a line so often, on average.
pub(crate) fn players(kind: Kind, say_interval: Duration) -> Players {
    match kind {
        Kind::Arena => {
            let tables = arena::code_tables();
            Box::new(move |_| Box::new(Pilot::new(arena::Client::sharing(Arc::clone(&tables)))))
        }
        Kind::Lounge => Box::new(move |number| Box::new(Guest::new(number, say_interval))),
    }
}

/// Flies in a dogfight.
struct Pilot {
    client: arena::Client,
    bot: arena::bot::Bot,
    /// The client's milliseconds count from here.
    clock: Instant,
    end: Option<SessionEnd>,
    inputs: InputWatch,
    picture: PictureWatch,
    input_to_state: Times,
}

impl Pilot {
    fn new(client: arena::Client) -> Self {
        Self {
            client,
            bot: arena::bot::Bot::new(PILOT),
            clock: Instant::now(),
            end: None,
            inputs: InputWatch::default(),
            picture: PictureWatch::default(),
            input_to_state: Times::default(),
        }
    }

    fn note_frame(&mut self, arrived: Instant) {
        self.picture.frame(arrived);
        let (tick, shown) = self.own_controls();
        let delay = self.inputs.shown(tick, self.client.input_ack().packet, shown, arrived);
        if let Some(delay) = delay.filter(|_| self.picture.is_counting()) {
            self.input_to_state.record(delay);
        }
    }

    /// The replica's tick, and the controls its own plane's row shows, if it flies.
    fn own_controls(&self) -> (u32, Option<u16>) {
        let Some(replica) = self.client.replica() else { return (0, None) };
        let key = (game::PLANE, u32::from(self.client.pilot()));
        let row = replica.rows().iter().find(|row| row.key() == key);
        (replica.tick(), row.map(|row| Controls::of(&Plane::from_fields(&row.fields)).to_bits()))
    }
}

impl Player for Pilot {
    fn hello(&mut self, name: &str, hue: u8, ticket: String) -> Vec<u8> {
        (self.bot, self.inputs) = (arena::bot::Bot::new(PILOT), InputWatch::default());
        self.client.hello(name, hue, Some(ticket), None)
    }

    fn receive(&mut self, bytes: &[u8], arrived: Instant) -> Result<(), DecodeError> {
        let now_ms = milliseconds(self.clock, arrived);
        self.client.receive(bytes, now_ms)?;
        if bytes.first().is_some_and(|tag| tag & HOT_BIT != 0) {
            self.note_frame(arrived);
            self.bot.fly(&mut self.client, now_ms, now_ms, Sight::Replica);
        }
        while let Some(event) = self.client.poll_event() {
            if let arena::ClientEvent::Session(SessionEvent::Ended { reason, code }) = event {
                self.end = Some(SessionEnd { reason, code });
            }
        }
        Ok(())
    }

    fn poll_send(&mut self, now: Instant) -> Option<Vec<u8>> {
        let bytes = self.client.poll_send(milliseconds(self.clock, now))?;
        if let Ok(Packet::Inputs(packet)) = Packet::decode(&bytes)
            && let Some(input) = packet.inputs.last()
        {
            self.inputs.sent(packet.number, input.tick, input.controls, now);
        }
        Some(bytes)
    }

    fn is_welcomed(&self) -> bool {
        self.client.is_welcomed()
    }

    fn poll_end(&mut self) -> Option<SessionEnd> {
        self.end.take()
    }

    fn say(&mut self, line: &str) {
        self.client.operate(Operation::Chat(line.to_owned()));
    }

    fn leave(&mut self) {
        self.client.leave();
    }

    fn begin(&mut self, now: Instant) {
        self.picture.begin(now);
    }

    fn end(&mut self, now: Instant) {
        self.picture.end(now);
    }

    fn figures(&self) -> Vec<Figure> {
        vec![
            Figure::new("checksum_mismatches", "wrong checksums", Value::Count(self.client.stats().mismatches)),
            Figure::new("picture_older_than", "picture older than", Value::Ages(self.picture.staleness())),
            Figure::new("input_to_state_ms", "input to state", Value::Times(self.input_to_state.clone())),
        ]
    }
}

/// A line of one's own that was not read yet.
struct Unread {
    operation: u32,
    /// When it was said; `None`: it had to wait for the welcome, and does not count.
    said: Option<Instant>,
    /// Its number in the log; 0 until the room says that it took it.
    entry: u32,
}

/// Reads and talks in a chat room.
struct Guest {
    client: lounge::Client,
    bot: lounge::bot::Bot,
    /// The client's milliseconds count from here.
    clock: Instant,
    end: Option<SessionEnd>,
    is_counting: bool,
    /// Own lines that were not read yet, oldest first.
    unread: VecDeque<Unread>,
    said: u64,
    read: u64,
    declined: u64,
    said_to_read: Times,
}

impl Guest {
    fn new(number: u32, say_interval: Duration) -> Self {
        Self {
            client: lounge::Client::new(),
            bot: lounge::bot::Bot::new(u64::from(number), say_interval.as_secs_f64() * 1000.0),
            clock: Instant::now(),
            end: None,
            is_counting: false,
            unread: VecDeque::new(),
            said: 0,
            read: 0,
            declined: 0,
            said_to_read: Times::default(),
        }
    }

    fn note_said(&mut self, operation: u32, said: Option<Instant>) {
        if self.unread.len() == UNREAD_MAX_COUNT {
            self.unread.pop_front();
        }
        self.unread.push_back(Unread { operation, said, entry: 0 });
        self.said += u64::from(self.is_counting);
    }

    /// A line came. One's own may come before the room says that it took it, and come in order.
    fn note_line(&mut self, author: u32, number: u32, arrived: Instant) {
        let is_it = |unread: &Unread| unread.entry == number || unread.entry == 0;
        let is_own = author == self.client.member();
        let own = self.unread.iter().position(is_it).filter(|_| is_own).and_then(|at| self.unread.remove(at));
        if self.is_counting {
            self.read += 1;
            let said = own.and_then(|own| own.said);
            said.iter().for_each(|said| self.said_to_read.record(arrived.saturating_duration_since(*said)));
        }
    }

    fn note_event(&mut self, event: SessionEvent, arrived: Instant) {
        match event {
            SessionEvent::Entry { number, author, talk: Talk::Chat(_) } => self.note_line(author, number, arrived),
            // What was taken meanwhile is in the history.
            SessionEvent::Welcomed { continues: false, .. } => self.unread.retain(|unread| unread.entry == 0),
            SessionEvent::Taken { id, entry } => {
                // After a lost socket nobody knows which entry it became.
                self.unread.retain(|unread| unread.operation != id || entry != 0);
                self.unread.iter_mut().filter(|unread| unread.operation == id).for_each(|unread| unread.entry = entry);
            }
            SessionEvent::Declined { id, .. } => {
                self.declined += 1;
                self.unread.retain(|unread| unread.operation != id);
            }
            SessionEvent::Ended { reason, code } => self.end = Some(SessionEnd { reason, code }),
            _ => {}
        }
    }
}

impl Player for Guest {
    fn hello(&mut self, name: &str, hue: u8, ticket: String) -> Vec<u8> {
        self.client.hello(name, hue, Some(ticket), None)
    }

    fn receive(&mut self, bytes: &[u8], arrived: Instant) -> Result<(), DecodeError> {
        self.client.receive(bytes)?;
        while let Some(event) = self.client.poll_event() {
            if let lounge::ClientEvent::Session(event) = event {
                self.note_event(event, arrived);
            }
        }
        Ok(())
    }

    fn poll_send(&mut self, now: Instant) -> Option<Vec<u8>> {
        let now_ms = milliseconds(self.clock, now);
        if let Some(id) = self.bot.act(&mut self.client, now_ms) {
            self.note_said(id, Some(now));
        }
        self.client.poll_send(now_ms)
    }

    fn is_welcomed(&self) -> bool {
        self.client.is_welcomed()
    }

    fn poll_end(&mut self) -> Option<SessionEnd> {
        self.end.take()
    }

    fn say(&mut self, line: &str) {
        let id = self.client.operate(Operation::Chat(line.to_owned()));
        self.note_said(id, None);
    }

    fn leave(&mut self) {
        self.client.leave();
    }

    fn begin(&mut self, _now: Instant) {
        self.is_counting = true;
    }

    fn end(&mut self, _now: Instant) {
        self.is_counting = false;
    }

    fn figures(&self) -> Vec<Figure> {
        vec![
            Figure::new("lines_said", "lines said", Value::Count(self.said)),
            Figure::new("lines_read", "lines read, all together", Value::Count(self.read)),
            Figure::new("lines_declined", "lines declined", Value::Count(self.declined)),
            Figure::new("said_to_read_ms", "from saying to reading it", Value::Times(self.said_to_read.clone())),
        ]
    }
}

fn milliseconds(clock: Instant, at: Instant) -> f64 {
    at.saturating_duration_since(clock).as_secs_f64() * 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_a_kind_count_the_same_things() {
        for kind in Kind::ALL {
            let players = players(kind, Duration::from_secs(20));
            let names = |number: u32| players(number).figures().iter().map(|figure| figure.name).collect::<Vec<_>>();
            assert_eq!(names(0), names(1));
            assert!(!players(0).is_welcomed());
        }
    }
}
