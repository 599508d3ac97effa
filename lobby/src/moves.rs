//! Remembers where rooms of lost machines were sent: later players go to the same machine, and do not count as opening a
//! room there.
//!
//! Invariants: memory is bounded by [`ROOMS_MAX_COUNT`]; pure: the time is an argument. A lobby that does not know
//! of a move may send somebody to another machine, which sends them on.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// A room that nobody has asked for since is forgotten after this long.
const REMEMBERED_MAX: Duration = Duration::from_secs(60);
/// Rooms remembered. Policy: further ones are not, so that each join of them counts as an opening.
const ROOMS_MAX_COUNT: usize = 1_000;

/// By the room's durable id: where it went, and when somebody last asked.
#[derive(Debug, Default)]
pub(crate) struct Moves(HashMap<String, (String, Instant)>);

impl Moves {
    /// The machine to which this room went, if that was a moment ago.
    pub(crate) fn find(&mut self, room: &str, now: Instant) -> Option<String> {
        let (instance, asked_at) = self.0.get_mut(room)?;
        let is_lately = now.saturating_duration_since(*asked_at) < REMEMBERED_MAX;
        is_lately.then(|| {
            *asked_at = now;
            instance.clone()
        })
    }

    /// This room goes to that machine.
    pub(crate) fn note(&mut self, room: String, instance: String, now: Instant) {
        if self.0.len() >= ROOMS_MAX_COUNT {
            self.0.retain(|_, (_, asked_at)| now.saturating_duration_since(*asked_at) < REMEMBERED_MAX);
        }
        if self.0.len() < ROOMS_MAX_COUNT || self.0.contains_key(&room) {
            self.0.insert(room, (instance, now));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_move_is_known_as_long_as_somebody_asks() {
        let (mut moves, start) = (Moves::default(), Instant::now());
        let at = |s| start + Duration::from_secs(s);
        moves.note("arena-m1".into(), "m2".into(), start);
        assert_eq!(moves.find("arena-m1", at(59)).as_deref(), Some("m2"));
        assert_eq!(moves.find("arena-m1", at(118)).as_deref(), Some("m2"));
        assert_eq!(moves.find("arena-m1", at(178)), None);
        assert_eq!(moves.find("arena-m2", start), None);
    }

    #[test]
    fn made_up_rooms_take_bounded_memory() {
        let (mut moves, now) = (Moves::default(), Instant::now());
        for number in 0..5_000 {
            moves.note(format!("field-{number}"), "m2".into(), now);
        }
        assert_eq!(moves.0.len(), ROOMS_MAX_COUNT);
        moves.note("field-late".into(), "m2".into(), now + REMEMBERED_MAX);
        assert_eq!(moves.0.len(), 1, "what nobody asks for makes room");
    }
}
