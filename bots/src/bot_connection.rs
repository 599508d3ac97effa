//! One bot's connection, from hello to goodbye: measures what arrives and lets a computer pilot answer.
//!
//! Path: [`BotConnection::run`] says hello, then for every message: count → `Client::receive` → decide → send what is due; a
//! timer sends in between. Invariants: the pilot knows only the own replica; times are taken when a message has arrived
//! and before it is decoded; every wait has an end.

use crate::{
    entry::Socket, figures::Figures, latency::InputWatch, phase::RunPhase, progress::Progress, staleness::PictureWatch,
};
use arena::{
    Client, ClientEvent,
    bot::{Asks, Bot, BotConfig, Decides, Sight},
    wire::Packet,
};
use futures_util::{SinkExt, StreamExt};
use game::{Controls, plane::Plane};
use protocol::{
    close::CloseReason,
    message::{HOT_BIT, Operation},
};
use session::SessionEvent;
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
/// How they fly: one seed will do, since every pilot id has its own character.
const PILOT: BotConfig = BotConfig { seed: 1, decides: Decides::OnOwnTicks, asks: Asks::AfterMs(500.0) };

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
    client: &'a mut Client,
    figures: &'a mut Figures,
    picture: &'a mut PictureWatch,
    progress: &'a Progress,
    clock: Instant,
    began: Instant,
    inputs: InputWatch,
    last_frame: Option<Instant>,
    /// Since when it counts: in the room, in the measured time.
    counts_since: Option<Instant>,
    /// When the run or the visit was over, after which nothing counts.
    counts_until: Option<Instant>,
    pilot: Bot,
    /// What the room said before it closed the socket.
    goodbye: Option<ConnectionEnd>,
}

impl<'a> BotConnection<'a> {
    /// A socket on which nothing was said; the client's milliseconds count from `clock`.
    pub(crate) fn new(
        socket: Socket,
        client: &'a mut Client,
        (figures, picture): (&'a mut Figures, &'a mut PictureWatch),
        progress: &'a Progress,
        clock: Instant,
    ) -> Self {
        let inputs = InputWatch::default();
        let began = Instant::now();
        let (last_frame, counts_since, counts_until, goodbye) = (None, None, None, None);
        let pilot = Bot::new(PILOT);
        Self {
            socket,
            client,
            figures,
            picture,
            progress,
            clock,
            began,
            inputs,
            last_frame,
            counts_since,
            counts_until,
            pilot,
            goodbye,
        }
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
            self.client.operate(Operation::Chat(GREETING.to_owned()));
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
                        Some(Ok(_)) | None => Err(ConnectionEnd::Lost("The field closed the socket.".to_owned())),
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
        let was_welcomed = self.client.is_welcomed();
        self.progress.present.fetch_sub(u32::from(was_welcomed), Relaxed);
        let Some(since) = self.counts_since else { return was_welcomed };
        let until = self.counts_until.unwrap_or_else(Instant::now);
        self.figures.present += until - since;
        let silence = self.last_frame.map_or(Duration::ZERO, |last| until.saturating_duration_since(last));
        if silence > Duration::from_millis(SILENCE_MIN_MS) {
            Figures::record(&mut self.figures.intervals_us, silence);
        }
        if self.counts_until.is_some() {
            self.picture.end(until);
        }
        was_welcomed
    }

    /// Notices when the measuring begins.
    fn note_phase(&mut self, phase: RunPhase) {
        if phase == RunPhase::Measuring && self.counts_since.is_none() && self.client.is_welcomed() {
            let now = Instant::now();
            self.counts_since = Some(now);
            self.picture.begin(now);
        }
    }

    async fn receive(&mut self, bytes: &[u8]) -> Result<(), ConnectionEnd> {
        let now = Instant::now();
        if self.counts_since.is_some() {
            self.figures.bytes_in += bytes.len() as u64;
        }
        let was_in = self.client.is_welcomed();
        self.client.receive(bytes, self.milliseconds(now)).map_err(|error| {
            self.figures.decode_errors += 1;
            ConnectionEnd::Lost(format!("A message could not be read: {error}."))
        })?;
        if self.client.is_welcomed() && !was_in {
            self.note_welcome();
        }
        if bytes.first().is_some_and(|tag| tag & HOT_BIT != 0) {
            self.note_frame(now);
            let now_ms = self.milliseconds(now);
            self.pilot.fly(self.client, now_ms, now_ms, Sight::Replica);
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
        self.picture.frame(arrived);
        let (tick, shown) = self.own_controls();
        let delay = self.inputs.shown(tick, self.client.input_ack().packet, shown, arrived);
        if self.counts_since.is_none() {
            return;
        }
        self.figures.frames += 1;
        if let Some(last) = last {
            Figures::record(&mut self.figures.intervals_us, arrived - last);
        }
        if let Some(delay) = delay {
            Figures::record(&mut self.figures.input_to_state_us, delay);
        }
    }

    /// The replica's tick, and the controls its own plane's row shows, if it flies.
    fn own_controls(&self) -> (u32, Option<Controls>) {
        let Some(replica) = self.client.replica() else { return (0, None) };
        let key = (game::PLANE, u32::from(self.client.pilot()));
        let row = replica.rows().iter().find(|row| row.key() == key);
        (replica.tick(), row.map(|row| Controls::of(&Plane::from_fields(&row.fields))))
    }

    /// Of all events, only the end of the session matters here.
    fn note_end(&mut self) {
        while let Some(event) = self.client.poll_event() {
            let ClientEvent::Session(SessionEvent::Ended { reason, code }) = event else { continue };
            let sentence =
                reason.map_or_else(|| format!("The field closed with {code}."), |why| why.wire_text().to_owned());
            let is_worth_retrying = reason.is_some_and(CloseReason::is_worth_retrying);
            self.goodbye =
                Some(if is_worth_retrying { ConnectionEnd::Lost(sentence) } else { ConnectionEnd::Refused(sentence) });
        }
    }

    /// The timer: nothing came for a while.
    async fn on_timer(&mut self) -> Result<(), ConnectionEnd> {
        if !self.client.is_welcomed() && self.began.elapsed() > Duration::from_millis(WELCOME_MAX_MS) {
            return Err(ConnectionEnd::Lost("No welcome came.".to_owned()));
        }
        self.send_due().await
    }

    async fn send_due(&mut self) -> Result<(), ConnectionEnd> {
        while let Some(bytes) = self.client.poll_send(self.milliseconds(Instant::now())) {
            if let Ok(Packet::Inputs(packet)) = Packet::decode(&bytes) {
                self.inputs.sent(&packet, Instant::now());
            }
            self.send(bytes).await?;
        }
        Ok(())
    }

    async fn send(&mut self, bytes: Vec<u8>) -> Result<(), ConnectionEnd> {
        let sending = self.socket.send(Message::Binary(bytes.into()));
        match timeout(Duration::from_millis(SEND_MAX_MS), sending).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(ConnectionEnd::Lost(format!("The socket broke ({error})."))),
            Err(_) => Err(ConnectionEnd::Lost("The field stopped reading.".to_owned())),
        }
    }

    /// Says goodbye and waits for the answer; a room that does not answer is simply left.
    async fn leave(&mut self) {
        let farewell = async {
            if self.client.is_welcomed() {
                self.client.leave();
                self.send_due().await.ok()?;
            }
            self.socket.close(None).await.ok()?;
            while let Some(Ok(_)) = self.socket.next().await {}
            Some(())
        };
        let _ = timeout(Duration::from_millis(LEAVE_MAX_MS), farewell).await;
    }

    fn milliseconds(&self, at: Instant) -> f64 {
        at.duration_since(self.clock).as_secs_f64() * 1000.0
    }
}
