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
    swarm::Phase,
};
use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};
use sync::Client;
use tokio::{sync::watch, time::sleep};

/// Bots ask for tickets this far apart: 40 a second.
const JOIN_INTERVAL_MS: u64 = 25;
/// Before another socket.
const RETRY_PAUSE_MS: u64 = 1_000;
/// Sockets in a row that never led into the room. Policy: stay out.
const FAILURES_MAX_COUNT: u32 = 3;

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
    door: Arc<Door>,
    progress: Arc<Progress>,
    phase: watch::Receiver<Phase>,
}

impl Bot {
    async fn live(mut self) -> Figures {
        let turn = Duration::from_millis(JOIN_INTERVAL_MS * u64::from(self.number));
        let mut is_on = !self.over_within(turn).await;
        let mut failures = 0;
        while is_on {
            let was_in = self.figures.joined == 1;
            let is_worthwhile = match self.go_once().await {
                Ending::Over => break,
                Ending::Lost(reason) => {
                    self.figures.note(reason);
                    true
                }
                Ending::Refused(reason) => {
                    self.figures.note(reason);
                    false
                }
            };
            let got_in = self.client.is_welcomed();
            self.figures.disconnects += u64::from(got_in);
            failures = if got_in { 0 } else { failures + 1 };
            if !is_worthwhile || failures == FAILURES_MAX_COUNT {
                self.progress.settled.fetch_add(u32::from(!was_in && !got_in), Relaxed);
                break;
            }
            is_on = !self.over_within(Duration::from_millis(RETRY_PAUSE_MS)).await;
        }
        self.figures.checksum_mismatches = self.client.stats().mismatches;
        self.figures
    }

    /// One ticket and one socket, to its end.
    async fn go_once(&mut self) -> Ending {
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
            Err(ending) => {
                // A hello would have begun anew; without one, the welcome of before must not count for this try.
                self.client.hello("", 0, None, None);
                return ending;
            }
        };
        let hello =
            self.client.hello(&format!("Bot {}", self.number + 1), (self.number % 8) as u8, Some(seat.ticket), None);
        let mut flight = Flight::new(socket, &mut self.client, &mut self.figures, &self.progress, self.clock);
        let ending = flight.fly(hello, self.phase.clone()).await;
        flight.end();
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
