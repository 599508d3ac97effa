//! One bot's life: a ticket, a socket, and another one should that be lost, until it is over.
//!
//! Path: [`live`] waits for its turn → ticket → socket → [`Flight`] → after a loss, a pause and the next socket, as a
//! page that is reloaded: a new ticket, and the resume token of before.
//! Invariant: whatever happens, its figures come back.

use crate::{
    door::Door,
    figures::Figures,
    flight::{Ending, Flight},
    progress::Progress,
    sight::Sight,
    swarm::Phase,
};
use arena::Client;
use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};
use tokio::{sync::watch, time::sleep};

/// Bots ask for tickets this far apart: 40 a second.
const JOIN_INTERVAL_MS: u64 = 25;
/// Before another socket.
const RETRY_PAUSE_MS: u64 = 1_000;
/// Sockets in a row that never led into the room. Policy: stay out.
const FAILURES_MAX_COUNT: u32 = 3;

/// When a bot asks for its first ticket, from the start of the run.
pub(crate) fn turn(number: u32) -> Duration {
    Duration::from_millis(JOIN_INTERVAL_MS * u64::from(number))
}

/// Bot number `number` from the start to the end of the run.
pub(crate) async fn live(
    number: u32,
    door: Arc<Door>,
    progress: Arc<Progress>,
    phase: watch::Receiver<Phase>,
) -> Figures {
    let bot = Bot {
        number,
        client: Client::new(),
        clock: Instant::now(),
        figures: Figures::default(),
        sight: Sight::default(),
        got_in: false,
        door,
        phase,
        progress,
    };
    bot.live().await
}

struct Bot {
    number: u32,
    client: Client,
    /// The client's milliseconds count from here.
    clock: Instant,
    figures: Figures,
    sight: Sight,
    /// Whether the newest socket led into the room.
    got_in: bool,
    door: Arc<Door>,
    progress: Arc<Progress>,
    phase: watch::Receiver<Phase>,
}

impl Bot {
    async fn live(mut self) -> Figures {
        let mut failures = 0;
        let mut pause = turn(self.number);
        while !self.over_within(pause).await {
            let (is_worthwhile, reason) = match self.go_once().await {
                Ending::Over => break,
                Ending::Lost(reason) => (true, reason),
                Ending::Refused(reason) => (false, reason),
            };
            self.figures.note(reason);
            self.figures.disconnects += u64::from(self.got_in);
            failures = if self.got_in { 0 } else { failures + 1 };
            if !is_worthwhile || failures == FAILURES_MAX_COUNT {
                // Whoever was in before has settled then.
                self.progress.settled.fetch_add(u32::from(self.figures.joined == 0), Relaxed);
                break;
            }
            pause = Duration::from_millis(RETRY_PAUSE_MS);
        }
        if self.sight.is_counting() {
            // Whoever is out sees nothing, until the end.
            let _ = self.phase.wait_for(|phase| *phase == Phase::Over).await;
            self.sight.end(Instant::now());
        }
        self.figures.staleness = self.sight.staleness();
        self.figures.checksum_mismatches = self.client.stats().mismatches;
        self.figures
    }

    /// One ticket and one socket, to its end.
    async fn go_once(&mut self) -> Ending {
        self.got_in = false;
        let mut phase = self.phase.clone();
        let opening = async {
            let seat = self.door.seat(&self.progress).await.map_err(Ending::Refused)?;
            let socket = self.door.connect(&seat).await.map_err(Ending::Lost)?;
            Ok((seat, socket))
        };
        let opened = tokio::select! {
            opened = opening => opened,
            // The run ends first, or whoever would say so is gone.
            _ = phase.wait_for(|phase| *phase == Phase::Over) => return Ending::Over,
        };
        let (seat, socket) = match opened {
            Ok(opened) => opened,
            Err(ending) => return ending,
        };
        let (name, hue) = (format!("Bot {}", self.number + 1), (self.number % 8) as u8);
        let hello = self.client.hello(&name, hue, Some(seat.ticket), None);
        let mut flight =
            Flight::new(socket, &mut self.client, (&mut self.figures, &mut self.sight), &self.progress, self.clock);
        let ending = flight.fly(hello, self.phase.clone()).await;
        self.got_in = flight.end();
        ending
    }

    /// Waits; true when the run is over by then.
    async fn over_within(&mut self, pause: Duration) -> bool {
        tokio::select! {
            () = sleep(pause) => false,
            _ = self.phase.wait_for(|phase| *phase == Phase::Over) => true,
        }
    }
}
