//! One bot's connection, from hello to goodbye: measures what arrives and lets a player answer.
//!
//! Path: [`BotConnection::run`] says hello, then for every message: count → `Player::receive` → send what is due; a timer
//! sends in between. Invariants: times are taken when a message has arrived and before it is decoded; every wait has an end.

use crate::{
    entry::Socket,
    figures::Figures,
    phase::RunPhase,
    player::{Player, SessionEnd},
    progress::Progress,
};
use futures_util::{SinkExt, StreamExt};
use protocol::{close::CloseReason, message::HOT_BIT};
use std::{
    sync::atomic::Ordering::Relaxed,
    time::{Duration, Instant},
};
use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval, sleep, timeout},
};
use tokio_tungstenite::tungstenite::Message;

/// What is due is sent with every frame, and this often when none comes.
const SEND_INTERVAL_MS: u64 = 50;
/// Longest wait for the welcome. Policy: another socket.
const WELCOME_MAX_MS: u64 = 10_000;
/// Longest a message may wait to be taken by the socket. Policy: another socket.
const SEND_MAX_MS: u64 = 5_000;
/// Longest goodbye. Policy: drop the socket.
const LEAVE_MAX_MS: u64 = 2_000;
/// A silence this long at the end of the measured time counts as an interval, or a connection that died would look fine.
const SILENCE_MIN_MS: u64 = 250;
/// What those say who come for a while.
const GREETING: &str = "Hello, everybody!";

/// How a socket ended.
#[derive(Debug)]
pub(crate) enum ConnectionEnd {
    /// The run is over and the bot said goodbye.
    Over,
    /// The bot went, to come back.
    VisitOver,
    /// Another socket may do.
    Lost(String),
    /// Another socket would not.
    Refused(String),
}

/// A stay that ends before the run does.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Visit {
    pub(crate) length: Duration,
    pub(crate) says_goodbye: bool,
}

/// See the module.
pub(crate) struct BotConnection<'a> {
    socket: Socket,
    player: &'a mut dyn Player,
    figures: &'a mut Figures,
    progress: &'a Progress,
    began: Instant,
    last_frame: Option<Instant>,
    /// Since when it counts: in the room, in the measured time.
    counts_since: Option<Instant>,
    /// When the run or the visit was over, after which nothing counts.
    counts_until: Option<Instant>,
    /// What the room said before it closed the socket.
    goodbye: Option<ConnectionEnd>,
}

impl<'a> BotConnection<'a> {
    /// A socket on which nothing was said.
    pub(crate) fn new(
        socket: Socket,
        player: &'a mut dyn Player,
        figures: &'a mut Figures,
        progress: &'a Progress,
    ) -> Self {
        let (last_frame, counts_since, counts_until, goodbye) = (None, None, None, None);
        let began = Instant::now();
        Self { socket, player, figures, progress, began, last_frame, counts_since, counts_until, goodbye }
    }

    /// Runs until the run is over, the visit is, or the socket ends.
    pub(crate) async fn run(
        &mut self,
        hello: Vec<u8>,
        visit: Option<Visit>,
        phase: watch::Receiver<RunPhase>,
    ) -> ConnectionEnd {
        if let Err(ending) = self.send(hello).await {
            return ending;
        }
        if visit.is_some() {
            self.player.say(GREETING);
        }
        let stay_over = sleep(visit.map_or(Duration::MAX, |visit| visit.length));
        tokio::pin!(stay_over);
        let mut ends = phase.clone();
        let over = async move { drop(ends.wait_for(|phase| *phase == RunPhase::Over).await) };
        tokio::pin!(over);
        let mut timer = interval(Duration::from_millis(SEND_INTERVAL_MS));
        timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let result = tokio::select! {
                () = &mut over => {
                    self.counts_until = Some(Instant::now());
                    self.leave().await;
                    return ConnectionEnd::Over;
                }
                () = &mut stay_over => {
                    self.counts_until = Some(Instant::now());
                    if visit.is_some_and(|visit| visit.says_goodbye) {
                        self.leave().await;
                    }
                    return ConnectionEnd::VisitOver;
                }
                item = self.socket.next() => {
                    self.note_phase(*phase.borrow());
                    match item {
                        Some(Ok(Message::Binary(bytes))) => self.receive(&bytes).await,
                        Some(Ok(Message::Ping(_) | Message::Pong(_))) => Ok(()),
                        Some(Ok(_)) | None => Err(ConnectionEnd::Lost("The room closed the socket.".to_owned())),
                        Some(Err(error)) => Err(ConnectionEnd::Lost(format!("The socket broke ({error})."))),
                    }
                }
                _ = timer.tick() => {
                    self.note_phase(*phase.borrow());
                    self.on_timer().await
                }
            };
            if let Err(ending) = result {
                return self.goodbye.take().unwrap_or(ending);
            }
        }
    }

    /// Adds up the figures; whether the socket had led into the room.
    pub(crate) fn finish(self) -> bool {
        let was_welcomed = self.player.is_welcomed();
        self.progress.present.fetch_sub(u32::from(was_welcomed), Relaxed);
        let Some(since) = self.counts_since else { return was_welcomed };
        let until = self.counts_until.unwrap_or_else(Instant::now);
        self.figures.present += until - since;
        let silence = self.last_frame.map_or(Duration::ZERO, |last| until.saturating_duration_since(last));
        if silence > Duration::from_millis(SILENCE_MIN_MS) {
            self.figures.intervals.record(silence);
        }
        if self.counts_until.is_some() {
            self.player.end(until);
        }
        was_welcomed
    }

    /// Notices when the measuring begins.
    fn note_phase(&mut self, phase: RunPhase) {
        if phase == RunPhase::Measuring && self.counts_since.is_none() && self.player.is_welcomed() {
            let now = Instant::now();
            self.counts_since = Some(now);
            self.player.begin(now);
        }
    }

    async fn receive(&mut self, bytes: &[u8]) -> Result<(), ConnectionEnd> {
        let now = Instant::now();
        if self.counts_since.is_some() {
            self.figures.bytes_in += bytes.len() as u64;
        }
        let was_in = self.player.is_welcomed();
        self.player.receive(bytes, now).map_err(|error| {
            self.figures.decode_errors += 1;
            ConnectionEnd::Lost(format!("A message could not be read: {error}."))
        })?;
        if self.player.is_welcomed() && !was_in {
            self.note_welcome();
        }
        if bytes.first().is_some_and(|tag| tag & HOT_BIT != 0) {
            self.note_frame(now);
        }
        self.note_end();
        self.send_due().await
    }

    /// In the room, for the first time or again.
    fn note_welcome(&mut self) {
        self.progress.present.fetch_add(1, Relaxed);
        self.progress.settled.fetch_add(u32::from(self.figures.joined == 0), Relaxed);
        self.figures.joined = 1;
    }

    /// Counts a frame that was applied.
    fn note_frame(&mut self, arrived: Instant) {
        self.progress.frames.fetch_add(1, Relaxed);
        let last = self.last_frame.replace(arrived);
        if self.counts_since.is_none() {
            return;
        }
        self.figures.frames += 1;
        if let Some(last) = last {
            self.figures.intervals.record(arrived - last);
        }
    }

    /// Whether the room ended the session.
    fn note_end(&mut self) {
        let Some(SessionEnd { reason, code }) = self.player.poll_end() else { return };
        let sentence = reason.map_or_else(|| format!("The room closed with {code}."), |why| why.wire_text().to_owned());
        let is_worth_retrying = reason.is_some_and(CloseReason::is_worth_retrying);
        self.goodbye =
            Some(if is_worth_retrying { ConnectionEnd::Lost(sentence) } else { ConnectionEnd::Refused(sentence) });
    }

    /// The timer: nothing came for a while.
    async fn on_timer(&mut self) -> Result<(), ConnectionEnd> {
        if !self.player.is_welcomed() && self.began.elapsed() > Duration::from_millis(WELCOME_MAX_MS) {
            return Err(ConnectionEnd::Lost("No welcome came.".to_owned()));
        }
        self.send_due().await
    }

    async fn send_due(&mut self) -> Result<(), ConnectionEnd> {
        while let Some(bytes) = self.player.poll_send(Instant::now()) {
            self.send(bytes).await?;
        }
        Ok(())
    }

    async fn send(&mut self, bytes: Vec<u8>) -> Result<(), ConnectionEnd> {
        let sending = self.socket.send(Message::Binary(bytes.into()));
        match timeout(Duration::from_millis(SEND_MAX_MS), sending).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(ConnectionEnd::Lost(format!("The socket broke ({error})."))),
            Err(_) => Err(ConnectionEnd::Lost("The room stopped reading.".to_owned())),
        }
    }

    /// Says goodbye and waits for the answer; a room that does not answer is simply left.
    async fn leave(&mut self) {
        let farewell = async {
            if self.player.is_welcomed() {
                self.player.leave();
                self.send_due().await.ok()?;
            }
            self.socket.close(None).await.ok()?;
            while let Some(Ok(_)) = self.socket.next().await {}
            Some(())
        };
        let _ = timeout(Duration::from_millis(LEAVE_MAX_MS), farewell).await;
    }
}
