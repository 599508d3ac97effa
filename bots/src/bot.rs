//! Runs one bot: gets it a ticket and a socket, and reconnects when the socket is lost, until the run ends.
//!
//! Path: [`run`] waits for its turn → ticket → socket → [`BotConnection`] → after a loss, or a visit that was to be no
//! longer, a pause and the next socket, as a page that is reloaded: a new ticket, and the resume token of before.
//! Invariant: the bot's figures are returned however it ends.

use crate::{
    bot_connection::{BotConnection, ConnectionEnd, Visit},
    entry::Entry,
    figures::Figures,
    phase::RunPhase,
    player::Player,
    progress::Progress,
};
use protocol::room::Kind;
use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};
use tokio::{sync::watch, time::sleep};

/// Bots ask for tickets this far apart: 40 a second.
const JOIN_INTERVAL_MS: u64 = 25;
/// Before another socket.
const RETRY_PAUSE_MS: u64 = 1_000;
/// Multiples of it, without their whole parts, lie evenly between 0 and 1, however many there are.
const GOLDEN_RATIO: f64 = 1.618_033_988_749_895;
/// Sockets in a row that never led into the room. Policy: stay out.
const FAILURES_MAX_COUNT: u32 = 3;

/// When a bot asks for its first ticket, from the start of the run.
pub(crate) fn join_delay(number: u32) -> Duration {
    Duration::from_millis(JOIN_INTERVAL_MS * u64::from(number))
}

/// Bot number `number` from the start to the end of the run, in a room of this kind, for so long at a time.
pub(crate) async fn run(
    number: u32,
    (kind, player): (Kind, Box<dyn Player>),
    stay: Option<Duration>,
    entry: Arc<Entry>,
    progress: Arc<Progress>,
    phase: watch::Receiver<RunPhase>,
) -> (Kind, Figures) {
    let (visits, figures, was_welcomed) = (0, Figures::default(), false);
    let bot = Bot { number, kind, player, stay, visits, figures, was_welcomed, entry, phase, progress };
    (kind, bot.run().await)
}

struct Bot {
    number: u32,
    kind: Kind,
    player: Box<dyn Player>,
    stay: Option<Duration>,
    /// Visits that were over in time.
    visits: u32,
    figures: Figures,
    /// Whether the newest socket led into the room.
    was_welcomed: bool,
    entry: Arc<Entry>,
    progress: Arc<Progress>,
    phase: watch::Receiver<RunPhase>,
}

impl Bot {
    async fn run(mut self) -> Figures {
        let mut failures = 0;
        let mut pause = join_delay(self.number);
        while !self.is_over_after(pause).await {
            pause = Duration::from_millis(RETRY_PAUSE_MS);
            let (is_worth_retrying, reason) = match self.connect_once().await {
                ConnectionEnd::Over => break,
                ConnectionEnd::VisitOver => {
                    self.visits += 1;
                    continue;
                }
                ConnectionEnd::Lost(reason) => (true, reason),
                ConnectionEnd::Refused(reason) => (false, reason),
            };
            self.figures.note(reason);
            self.figures.disconnects += u64::from(self.was_welcomed);
            failures = if self.was_welcomed { 0 } else { failures + 1 };
            if !is_worth_retrying || failures == FAILURES_MAX_COUNT {
                // A bot that was in before has been counted as settled then.
                self.progress.settled.fetch_add(u32::from(self.figures.joined == 0), Relaxed);
                break;
            }
        }
        // A bot that is out sees nothing until the end, which counts if it was in.
        let _ = self.phase.wait_for(|phase| *phase == RunPhase::Over).await;
        self.player.end(Instant::now());
        self.figures.own = self.player.figures();
        self.figures
    }

    /// One ticket and one socket, to its end.
    async fn connect_once(&mut self) -> ConnectionEnd {
        self.was_welcomed = false;
        let mut phase = self.phase.clone();
        // Not `self`: what a player is can only be sent, not shared.
        let (entry, progress, kind, number) = (&self.entry, &self.progress, self.kind, self.number);
        let connecting = async move {
            let grant = entry.request_grant(kind, number, progress).await.map_err(ConnectionEnd::Refused)?;
            let socket = entry.connect(number, &grant).await.map_err(ConnectionEnd::Lost)?;
            Ok((grant, socket))
        };
        let connected = tokio::select! {
            connected = connecting => connected,
            // The run ends first, or its sender is gone.
            _ = phase.wait_for(|phase| *phase == RunPhase::Over) => return ConnectionEnd::Over,
        };
        let (grant, socket) = match connected {
            Ok(connected) => connected,
            Err(ending) => return ending,
        };
        let visit = self.next_visit();
        let (name, hue) = (format!("Bot {}", self.number + 1), (self.number % 8) as u8);
        let hello = self.player.hello(&name, hue, grant.ticket);
        let mut connection = BotConnection::new(socket, &mut *self.player, &mut self.figures, &self.progress);
        let ending = connection.run(hello, visit, self.phase.clone()).await;
        self.was_welcomed = connection.finish();
        ending
    }

    /// The first one is shorter, for each another length, so that they do not all go at once. Every second one ends as when
    /// a tab is closed.
    fn next_visit(&self) -> Option<Visit> {
        let share = if self.visits == 0 { f64::from(self.number) * GOLDEN_RATIO % 1.0 } else { 1.0 };
        let says_goodbye = (self.number + self.visits).is_multiple_of(2);
        self.stay.map(|stay| Visit { length: stay.mul_f64(share), says_goodbye })
    }

    /// Waits; true when the run is over by then.
    async fn is_over_after(&mut self, pause: Duration) -> bool {
        tokio::select! {
            () = sleep(pause) => false,
            _ = self.phase.wait_for(|phase| *phase == RunPhase::Over) => true,
        }
    }
}
