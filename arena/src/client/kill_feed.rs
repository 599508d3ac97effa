//! The kill feed: holds a kill back until both names are known.
//!
//! Path: [`Feed::note`] when a frame tells of a kill → [`Feed::ready`] after every message. Each waits by itself, so that
//! a stranger's name keeps back nobody else's end.
//! Invariant: every kill comes out, once.

use crate::client::event::Killed;
use session::KnownProfiles;

/// Policy: after so long a kill is told without the names.
const NAMES_MAX_MS: f64 = 500.0;

/// Kills that wait for names, oldest first. They come with frames, each of which lets go of those that waited too long.
#[derive(Debug, Clone, Default)]
pub(crate) struct Feed {
    waiting: Vec<Waiting>,
}

#[derive(Debug, Clone)]
struct Waiting {
    since_ms: f64,
    kill: Killed,
}

impl Waiting {
    fn pilots(&self) -> [u16; 2] {
        [self.kill.killer, self.kill.victim]
    }
}

impl Feed {
    /// A kill became known now.
    pub(crate) fn note(&mut self, kill: Killed, now_ms: f64) {
        self.waiting.push(Waiting { since_ms: now_ms, kill });
    }

    /// Whose names are waited for, or have come.
    pub(crate) fn pilots(&self) -> impl Iterator<Item = u16> {
        self.waiting.iter().flat_map(Waiting::pilots)
    }

    /// Takes out the kills that can be told now, in the order they came.
    pub(crate) fn ready(&mut self, names: &KnownProfiles, now_ms: f64) -> impl Iterator<Item = Killed> {
        let is_ready = move |waiting: &mut Waiting| {
            now_ms - waiting.since_ms > NAMES_MAX_MS
                || waiting.pilots().iter().all(|pilot| names.get((*pilot).into()).is_some())
        };
        self.waiting.extract_if(.., is_ready).map(|waiting| waiting.kill)
    }

    /// Takes out all of them: whoever waits for their names would wait for ever.
    pub(crate) fn rest(&mut self) -> impl Iterator<Item = Killed> {
        self.waiting.drain(..).map(|waiting| waiting.kill)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::profile::Profile;

    fn note(feed: &mut Feed, killer: u16, victim: u16, now_ms: f64) {
        feed.note(Killed { killer, victim, rammed: false, view_delay: 0 }, now_ms);
    }

    fn victims(kills: impl Iterator<Item = Killed>) -> Vec<u16> {
        kills.map(|kill| kill.victim).collect()
    }

    #[test]
    fn a_kill_waits_for_its_own_names_and_not_for_ever() {
        let (mut feed, mut names) = (Feed::default(), KnownProfiles::default());
        names.learn([1, 2, 3].map(|pilot| (pilot, Profile { name: pilot.to_string(), hue: 0, is_bot: true })));
        note(&mut feed, 1, 9, 1000.0);
        note(&mut feed, 2, 1, 1010.0);
        assert_eq!(victims(feed.ready(&names, 1010.0)), [1], "the stranger's end keeps nobody back");
        note(&mut feed, 9, 3, 1020.0);
        assert_eq!(victims(feed.ready(&names, 1500.0)), [0; 0]);
        assert_eq!(victims(feed.ready(&names, 1501.0)), [9]);
        names.learn([(9, Profile { name: "9".into(), hue: 0, is_bot: true })]);
        assert_eq!(victims(feed.ready(&names, 1502.0)), [3]);
        assert_eq!(feed.pilots().count(), 0);
    }
}
