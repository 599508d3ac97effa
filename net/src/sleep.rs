//! How a machine that nobody needs falls asleep: it ends by itself, and whoever asks for it starts it again.
//!
//! Path: nobody has been in a room for a while → every room is saved and closed → the listener is closed → whoever had
//! connected by then is heard out → the process ends, or, if one of them wants to play, listens again.
//! Invariants: pings, status and pages keep nobody awake; from the moment the listener is closed a connection is refused,
//! so that the proxy tries again and starts the machine anew; nobody who got a socket is put out by sleep.

use crate::server::Server;
use anyhow::Context;
use std::{future::pending, time::Duration};
use tokio::{
    net::TcpListener,
    time::{Instant, sleep},
};

/// How often occupancy is looked at.
const POLL: Duration = Duration::from_millis(200);
/// How often rooms are asked to fall asleep until they are; at most as long as the store takes to save them.
const FALL_ASLEEP_POLL: Duration = Duration::from_millis(50);
/// How often occupancy is looked at while those who connected last are heard out.
const SETTLE_POLL: Duration = Duration::from_millis(5);
/// Longest time that takes. Policy: who has said nothing by then is cut off.
const SETTLE_MAX: Duration = Duration::from_millis(1_000);

impl Server {
    /// Returns when nobody has been here for long and everything is saved and closed; never, if the configuration says so.
    ///
    /// # Errors
    /// When somebody came at the last moment and the address cannot be had again.
    pub async fn asleep(&self) -> anyhow::Result<()> {
        let Some(after) = self.app.config.sleep_after else { return pending().await };
        loop {
            self.idle_for(after).await;
            if !self.are_rooms_asleep().await {
                continue;
            }
            self.close_listener().await;
            if !self.is_wanted().await {
                tracing::info!("nobody is here: the machine sleeps");
                return Ok(());
            }
            tracing::info!("somebody came while the machine fell asleep: it stays awake");
            let listener = TcpListener::bind(self.address).await.context("the address cannot be listened on again")?;
            self.listen(listener).await;
        }
    }

    /// Waits until nobody has been here for so long. A socket that has not said hello yet is somebody, for a moment.
    async fn idle_for(&self, time: Duration) {
        let mut since = Instant::now();
        while since.elapsed() < time {
            sleep(POLL.min(time)).await;
            if self.app.admission.visitors() > 0 {
                since = Instant::now();
            }
        }
    }

    /// Has every room saved and closed; false when somebody comes meanwhile.
    async fn are_rooms_asleep(&self) -> bool {
        while !self.app.rooms.are_all_closed() {
            if self.app.admission.visitors() > 0 {
                return false;
            }
            // Again and again: one that was just about to hear of somebody's end has not listened.
            self.app.rooms.put_to_sleep();
            sleep(FALL_ASLEEP_POLL).await;
        }
        true
    }

    /// Whether one of those who connected before the listener was closed wants to play.
    async fn is_wanted(&self) -> bool {
        let until = Instant::now() + SETTLE_MAX;
        while self.app.admission.visitors() == 0 {
            if self.app.connections.is_zero() || Instant::now() > until {
                // An upgrade is a visitor before its connection is not HTTP's any more.
                return self.app.admission.visitors() > 0;
            }
            sleep(SETTLE_POLL).await;
        }
        true
    }
}
