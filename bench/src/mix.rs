//! What an arena feels of a chat room beside it, on one gameserver, in which everybody talks.
//!
//! Path: [`run`] → in each round a fresh gameserver: pilots join the arena and are measured alone → guests join the lounge of
//! the same machine and talk → the pilots are measured again.
//! Invariants: the governor is off, so that nothing is left out; the load is on the same cores, so that it, too, costs the
//! arena's ticks time: processor time tells the rooms' own part.

use crate::{
    capacity::bot::Bot,
    load::{LoadClient, Outbox, Swarm},
    report::{Aim, Figures, Progress},
    scrape::Scrape,
    serve::{self, Child},
    world,
};
use anyhow::Context;
use lounge::{Client, ClientEvent};
use protocol::{entry::Talk, room::Kind};
use session::SessionEvent;
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

const PILOTS_COUNT: usize = 100;
/// One pilot in so many is a whole client: 5 %.
const FULL_EVERY: usize = 20;
const GUESTS_COUNT: usize = 500;
/// Each guest says a line so often on average: 100 lines a second in all.
const SAY_INTERVAL_MS: f64 = 5_000.0;
/// Files of a process beside its connections.
const OTHER_FILES_COUNT: usize = 100;
const ROUNDS: usize = 3;
const JOIN_MAX: Duration = Duration::from_secs(30);
/// Until all have been digested, and all guests talk.
const WARM_UP: Duration = Duration::from_secs(6);
const MEASURED: Duration = Duration::from_secs(10);

/// Measures.
pub(crate) fn run(progress: &Progress) -> anyhow::Result<Figures> {
    serve::allow_files((PILOTS_COUNT + GUESTS_COUNT + OTHER_FILES_COUNT) as u64)?;
    let mut rounds = Vec::new();
    for round in 1..=ROUNDS {
        progress.say(&format!("mix: round {round} of {ROUNDS}"));
        rounds.push(Round::measure()?);
    }
    let each = |of: &dyn Fn(&Round) -> f64| rounds.iter().map(of).collect::<Vec<_>>();
    let mut figures = Figures::default();
    for (what, value) in Part::VALUES {
        figures.add_median(format!("alone_{what}"), each(&|round| value(&round.alone)), Aim::None);
        figures.add_median(format!("beside_{what}"), each(&|round| value(&round.beside)), Aim::None);
    }
    figures.add_median("lines_per_s", each(&|round| round.lines_per_s), Aim::None);
    figures.add_median("lines_read_per_s", each(&|round| round.lines_read_per_s), Aim::None);
    figures.add_median("said_to_read_p50_ms", each(&|round| round.said_to_read_ms(0.5)), Aim::None);
    figures.add_median("said_to_read_p99_ms", each(&|round| round.said_to_read_ms(0.99)), Aim::None);
    let sum = |of: fn(&Round) -> f64| rounds.iter().map(of).sum::<f64>();
    figures.add("lines_declined", sum(|round| round.declined), Aim::AtMost(0.0));
    figures.add("connections_lost", sum(|round| round.lost), Aim::AtMost(0.0));
    figures.add("wrong_checksums", sum(|round| round.wrong_checksums), Aim::AtMost(0.0));
    figures.note(format!(
        "{PILOTS_COUNT} pilots in an arena, alone and beside {GUESTS_COUNT} guests in a lounge who each say a line every \
         {} s; one gameserver, the load on the same cores; {} s each, median of {ROUNDS} rounds.",
        SAY_INTERVAL_MS / 1000.0,
        MEASURED.as_secs()
    ));
    Ok(figures)
}

/// A figure's name, and what it is of a part.
type Value = (&'static str, fn(&Part) -> f64);

/// What the arena's ticks and the gameserver were like for a while.
#[derive(Debug)]
struct Part {
    tick_p50_ms: f64,
    tick_p99_ms: f64,
    tick_cpu_p99_ms: f64,
    ticks_left_out: f64,
    server_cores: f64,
}

impl Part {
    const VALUES: [Value; 5] = [
        ("tick_p50_ms", |part| part.tick_p50_ms),
        ("tick_p99_ms", |part| part.tick_p99_ms),
        ("tick_cpu_p99_ms", |part| part.tick_cpu_p99_ms),
        ("ticks_left_out", |part| part.ticks_left_out),
        ("server_cores", |part| part.server_cores),
    ];

    fn measure(child: &Child, swarm: &mut Swarm<Somebody>) -> anyhow::Result<Self> {
        let (before, at, used) = (Scrape::of(child.address())?, Instant::now(), child.usage()?);
        swarm.run_for(MEASURED)?;
        let used = child.usage()? - used;
        let ticks = Scrape::of(child.address())?.since(&before);
        let none = "the gameserver counted no ticks";
        Ok(Self {
            tick_p50_ms: ticks.tick.quantile_ms(0.5).context(none)?,
            tick_p99_ms: ticks.tick.quantile_ms(0.99).context(none)?,
            tick_cpu_p99_ms: ticks.tick_cpu.quantile_ms(0.99).context(none)?,
            ticks_left_out: ticks.left_out,
            server_cores: used.us() / at.elapsed().as_secs_f64() / 1e6,
        })
    }
}

/// What one gameserver was like.
#[derive(Debug)]
struct Round {
    alone: Part,
    beside: Part,
    lines_per_s: f64,
    /// By all guests together.
    lines_read_per_s: f64,
    /// From saying to reading one's own line, ascending.
    delays_ms: Vec<f64>,
    declined: f64,
    lost: f64,
    wrong_checksums: f64,
}

impl Round {
    fn measure() -> anyhow::Result<Self> {
        let (tuning, kinds) =
            (world::tuning_for(PILOTS_COUNT), serve::kinds(|entry| entry.members = PILOTS_COUNT as u32));
        let own = [("TUNING", &*tuning), ("KINDS", &*kinds), ("GOVERNOR", "off")];
        let child = Child::start(&["serve-gameserver"], &[&serve::ENVIRONMENT[..], &own[..]].concat())?;
        let began = Instant::now();
        let pilot = |number: usize| Somebody::pilot(number, began);
        let mut swarm = Swarm::connect(child.address(), PILOTS_COUNT, |_| serve::upgrade(), pilot)?;
        swarm.run_until(JOIN_MAX, Somebody::is_in)?;
        swarm.run_for(WARM_UP)?;
        let alone = Part::measure(&child, &mut swarm)?;

        let lounge = Kind::Lounge.word();
        swarm.add(GUESTS_COUNT, |_| serve::upgrade_to(lounge), |number| Somebody::guest(number, began))?;
        swarm.run_until(JOIN_MAX, Somebody::is_in)?;
        swarm.run_for(WARM_UP)?;
        swarm.guests_mut().for_each(Guest::begin);
        let at = Instant::now();
        let beside = Part::measure(&child, &mut swarm)?;
        let seconds = at.elapsed().as_secs_f64();
        let sum = |of: fn(&Guest) -> u64| swarm.guests().map(of).sum::<u64>() as f64;
        let mut delays_ms: Vec<f64> = swarm.guests().flat_map(|guest| guest.delays_ms.iter().copied()).collect();
        delays_ms.sort_by(f64::total_cmp);
        Ok(Self {
            alone,
            beside,
            lines_per_s: sum(|guest| guest.said) / seconds,
            lines_read_per_s: sum(|guest| guest.read) / seconds,
            delays_ms,
            declined: sum(|guest| guest.declined),
            lost: swarm.ended().count() as f64,
            wrong_checksums: swarm.pilots().map(Bot::wrong_checksums).sum::<u64>() as f64,
        })
    }

    fn said_to_read_ms(&self, share: f64) -> f64 {
        let at = (self.delays_ms.len() as f64 * share) as usize;
        self.delays_ms.get(at).copied().unwrap_or(f64::NAN)
    }
}

/// A client of the load, of either kind.
#[derive(Debug)]
enum Somebody {
    Pilot(Box<Bot>),
    Guest(Box<Guest>),
}

impl Somebody {
    fn pilot(number: usize, began: Instant) -> Self {
        Self::Pilot(Box::new(Bot::new(number, number.is_multiple_of(FULL_EVERY), began)))
    }

    fn guest(number: usize, began: Instant) -> Self {
        Self::Guest(Box::new(Guest::new(number, began)))
    }

    fn is_in(&self) -> bool {
        match self {
            Self::Pilot(bot) => bot.is_in(),
            Self::Guest(guest) => guest.client.is_welcomed(),
        }
    }
}

impl Swarm<Somebody> {
    fn pilots(&self) -> impl Iterator<Item = &Bot> {
        self.clients().filter_map(|client| if let Somebody::Pilot(bot) = client { Some(bot.as_ref()) } else { None })
    }

    fn guests(&self) -> impl Iterator<Item = &Guest> {
        self.clients()
            .filter_map(|client| if let Somebody::Guest(guest) = client { Some(guest.as_ref()) } else { None })
    }

    fn guests_mut(&mut self) -> impl Iterator<Item = &mut Guest> {
        self.clients_mut()
            .filter_map(|client| if let Somebody::Guest(guest) = client { Some(guest.as_mut()) } else { None })
    }
}

impl LoadClient for Somebody {
    fn opened(&mut self, outbox: &mut Outbox) {
        match self {
            Self::Pilot(bot) => bot.opened(outbox),
            Self::Guest(guest) => guest.opened(outbox),
        }
    }

    fn message(&mut self, bytes: &[u8], at: Instant, outbox: &mut Outbox) {
        match self {
            Self::Pilot(bot) => bot.message(bytes, at, outbox),
            Self::Guest(guest) => guest.message(bytes, at),
        }
    }

    fn tick(&mut self, at: Instant, outbox: &mut Outbox) {
        match self {
            Self::Pilot(bot) => bot.tick(at, outbox),
            Self::Guest(guest) => guest.tick(at, outbox),
        }
    }
}

/// Somebody in the lounge.
#[derive(Debug)]
struct Guest {
    number: usize,
    client: Client,
    bot: lounge::bot::Bot,
    /// Milliseconds count from here.
    began: Instant,
    /// Own lines that were not read yet, and when they were said, oldest first.
    unread: VecDeque<Instant>,
    said: u64,
    read: u64,
    declined: u64,
    delays_ms: Vec<f64>,
}

impl Guest {
    fn new(number: usize, began: Instant) -> Self {
        Self {
            number,
            client: Client::new(),
            bot: lounge::bot::Bot::new(number as u64, SAY_INTERVAL_MS),
            began,
            unread: VecDeque::new(),
            said: 0,
            read: 0,
            declined: 0,
            delays_ms: Vec::new(),
        }
    }

    /// From now on it counts.
    fn begin(&mut self) {
        (self.said, self.read) = (0, 0);
        self.delays_ms.clear();
    }

    fn opened(&mut self, outbox: &mut Outbox) {
        let ticket = serve::ticket_to(Kind::Lounge.word(), self.number);
        outbox.send(&self.client.hello(&format!("Guest {}", self.number), 0, Some(ticket), None));
    }

    fn message(&mut self, bytes: &[u8], at: Instant) {
        // A frame that cannot be read is a bug; it shows as a guest who reads nothing any more.
        let _ = self.client.receive(bytes);
        while let Some(event) = self.client.poll_event() {
            match event {
                ClientEvent::Session(SessionEvent::Entry { author, talk: Talk::Chat(_), .. }) => {
                    self.read += 1;
                    if author == self.client.member() {
                        let said = self.unread.pop_front();
                        self.delays_ms.extend(said.map(|said| (at - said).as_secs_f64() * 1000.0));
                    }
                }
                ClientEvent::Session(SessionEvent::Declined { .. }) => {
                    self.declined += 1;
                    self.unread.pop_back();
                }
                _ => {}
            }
        }
    }

    fn tick(&mut self, at: Instant, outbox: &mut Outbox) {
        let now_ms = at.duration_since(self.began).as_secs_f64() * 1000.0;
        if self.bot.act(&mut self.client, now_ms).is_some() {
            self.said += 1;
            self.unread.push_back(at);
        }
        while let Some(message) = self.client.poll_send(now_ms) {
            outbox.send(&message);
        }
    }
}
