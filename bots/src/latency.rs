//! Input latency: how long until the server's state shows the controls that the pilot asked for.
//!
//! A sample begins when a packet that carries a change of controls is handed to the socket. It ends with the arrival of
//! the first frame that acknowledges the packet, has reached the tick the change was stamped with, and whose own plane
//! row has exactly these controls. So it holds the network both ways, the server's tick, and the lead by which a client
//! stamps its inputs ahead of time. A change that a newer one overtook before any frame showed it is not counted, nor
//! one whose plane was shot down meanwhile.
//! Never: a socket, a clock.

use protocol::Tick;
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// Changes on their way at most; a stalled connection collects them. Policy: the oldest is not counted.
const WAITING_MAX_COUNT: usize = 256;

#[derive(Debug, Clone, Copy)]
struct Waiting {
    packet: u8,
    tick: Tick,
    controls: u16,
    sent: Instant,
    is_acknowledged: bool,
}

/// The changes that no frame has shown yet, oldest first.
#[derive(Debug, Default)]
pub(crate) struct InputWatch {
    waiting: VecDeque<Waiting>,
}

impl InputWatch {
    /// A packet goes out now; its last change, which is for `tick`, is what the plane will fly by.
    pub(crate) fn sent(&mut self, packet: u8, tick: Tick, controls: u16, now: Instant) {
        if self.waiting.len() == WAITING_MAX_COUNT {
            self.waiting.pop_front();
        }
        self.waiting.push_back(Waiting { packet, tick, controls, sent: now, is_acknowledged: false });
    }

    /// A frame of `tick` arrived that acknowledges packet `ack` and shows the own plane flying by `shown`, if it flies;
    /// how long the newest change it shows took.
    pub(crate) fn shown(&mut self, tick: Tick, ack: u8, shown: Option<u16>, now: Instant) -> Option<Duration> {
        let Some(shown) = shown else {
            self.waiting.clear();
            return None;
        };
        if let Some(last) = self.waiting.iter().rposition(|change| change.packet == ack) {
            self.waiting.iter_mut().take(last + 1).for_each(|change| change.is_acknowledged = true);
        }
        let is_seen = |change: &Waiting| change.is_acknowledged && change.tick <= tick && change.controls == shown;
        let newest = self.waiting.iter().rposition(is_seen)?;
        let change = self.waiting.drain(..=newest).next_back().expect("it was found in there");
        Some(now.saturating_duration_since(change.sent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEFT: u16 = 1;
    const RIGHT: u16 = 2;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn ends_with_the_first_frame_that_shows_the_change() {
        let (mut watch, start) = (InputWatch::default(), Instant::now());
        watch.sent(1, 10, LEFT, start);
        assert_eq!(watch.shown(9, 1, Some(RIGHT), start + ms(20)), None);
        assert_eq!(watch.shown(10, 1, Some(LEFT), start + ms(40)), Some(ms(40)));
        assert_eq!(watch.shown(11, 1, Some(LEFT), start + ms(60)), None, "once");
    }

    #[test]
    fn controls_of_before_do_not_pass_for_the_change() {
        let (mut watch, start) = (InputWatch::default(), Instant::now());
        // Left was flown already; right and left again are on their way.
        watch.sent(1, 10, RIGHT, start);
        watch.sent(2, 12, LEFT, start + ms(30));
        assert_eq!(watch.shown(9, 0, Some(LEFT), start + ms(31)), None, "too early a tick");
        assert_eq!(watch.shown(12, 0, Some(LEFT), start + ms(50)), None, "nothing was acknowledged");
        assert_eq!(watch.shown(13, 2, Some(LEFT), start + ms(80)), Some(ms(50)));
        assert_eq!(watch.shown(14, 2, Some(RIGHT), start + ms(99)), None, "the overtaken one is not counted");
    }

    #[test]
    fn a_plane_that_is_down_shows_nothing() {
        let (mut watch, start) = (InputWatch::default(), Instant::now());
        watch.sent(1, 10, LEFT, start);
        assert_eq!(watch.shown(10, 1, None, start), None);
        assert_eq!(watch.shown(11, 1, Some(LEFT), start), None);
    }
}
