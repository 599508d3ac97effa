//! Ends an idle machine's process, so that the next request starts it again.
//!
//! Path: nobody has been in a room for a while → every room is saved and closed → the listener is closed → the
//! connections that were already made are served → the process ends, or, if one of them wants to play, listens again.
//! Invariants: a machine does not sleep on a room that the store does not have; it tries on, and ends with an error
//! when that takes too long; nor does it while somebody waits for a room of a lost machine, whose owner it watches;
//! pings, status, pages and those who only read keep nobody awake; from the moment the listener is closed a connection
//! is refused, so that the proxy tries again and starts the machine anew; nobody who got a connection and takes part is
//! put out by sleep.

use crate::server::{Server, lost};
use anyhow::{Context, bail};
use std::{future::pending, time::Duration};
use tokio::{
    net::TcpListener,
    time::{Instant, sleep},
};

/// How often occupancy is looked at.
const POLL: Duration = Duration::from_millis(200);
/// How often rooms are asked to fall asleep until they are; at most as long as the store takes to save them.
const FALL_ASLEEP_POLL: Duration = Duration::from_millis(50);
/// How often occupancy is looked at while the last connections are served.
const SETTLE_POLL: Duration = Duration::from_millis(5);
/// Longest time that takes. Policy: who has said nothing by then is cut off.
const SETTLE_MAX: Duration = Duration::from_millis(1_000);

/// What became of the rooms of a machine that wants to sleep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rooms {
    Asleep,
    /// Somebody came.
    Wanted,
    /// The store takes none of those that are left, for long.
    Unwritable,
}

impl Server {
    /// Returns when nobody has been here for long and everything is saved and closed; never, if the configuration says
    /// so.
    ///
    /// # Errors
    /// When the store did not take some empty rooms for `Config::unwritable_max`, or somebody came at the last moment and
    /// the address cannot be had again.
    pub async fn asleep(&self) -> anyhow::Result<()> {
        let Some(after) = self.app.config.sleep_after else { return pending().await };
        loop {
            self.idle_for(after).await;
            let rooms = self.put_rooms_to_sleep().await;
            if rooms == Rooms::Wanted {
                continue;
            }
            self.close_listener().await;
            if !self.is_wanted().await {
                return self.end(rooms);
            }
            tracing::info!("somebody came while the machine fell asleep: it stays awake");
            let listener = TcpListener::bind(self.address).await.context("the address cannot be listened on again")?;
            self.listen(listener).await;
        }
    }

    fn end(&self, rooms: Rooms) -> anyhow::Result<()> {
        let left = if rooms == Rooms::Unwritable { self.app.rooms.give_up() } else { Vec::new() };
        if left.is_empty() {
            tracing::info!("nobody is here: the machine sleeps");
            return Ok(());
        }
        let tried_s = self.app.config.unwritable_max.as_secs();
        bail!("Nobody is here, and for {tried_s} s the store took nothing. {}", lost(&left))
    }

    /// Waits until nobody has been here for so long. A connection that has not said hello yet is somebody, for a
    /// moment.
    async fn idle_for(&self, time: Duration) {
        let mut since = Instant::now();
        while since.elapsed() < time {
            sleep(POLL.min(time)).await;
            if self.app.admission.visitors() > 0 || self.app.store.is_awaited() {
                since = Instant::now();
            }
        }
    }

    /// Has every room saved and closed that the store takes.
    async fn put_rooms_to_sleep(&self) -> Rooms {
        let mut writable_at = Instant::now();
        while !self.app.rooms.are_all_closed() {
            if self.app.admission.visitors() > 0 {
                return Rooms::Wanted;
            }
            if !self.app.rooms.are_all_unwritable() {
                writable_at = Instant::now();
            } else if writable_at.elapsed() >= self.app.config.unwritable_max {
                return Rooms::Unwritable;
            }
            // Again and again: one that was just about to hear of somebody's end has not listened.
            self.app.rooms.put_to_sleep();
            sleep(FALL_ASLEEP_POLL).await;
        }
        Rooms::Asleep
    }

    /// Whether one of those who connected before the listener was closed wants to play.
    async fn is_wanted(&self) -> bool {
        let until = Instant::now() + SETTLE_MAX;
        while self.app.admission.visitors() == 0 {
            if self.app.http_connections.is_zero() || Instant::now() > until {
                // An upgrade is a visitor before its connection is not HTTP's any more.
                return self.app.admission.visitors() > 0;
            }
            sleep(SETTLE_POLL).await;
        }
        true
    }
}
