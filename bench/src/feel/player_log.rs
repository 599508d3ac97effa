//! What a player's page showed and sent, as a stop-watch beside it would have noted it.
//!
//! Invariant: nothing is judged here; that takes [`super::ground_truth::GroundTruth`], which knows more at the end of a run.

use arena::ShotCounts;
use protocol::Tick;

/// The newest truth put the own plane elsewhere than the page had predicted it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Correction {
    /// The ticks that the frame brought: those after the first, up to the second.
    pub(crate) ticks: (Tick, Tick),
    pub(crate) came_ms: f64,
    /// How far it moves the plane, plane lengths; `None` if it ends it, or begins it.
    pub(crate) lengths: Option<f64>,
}

/// An input, from the player's hand to the room.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sent {
    /// When the player changed the controls.
    pub(crate) changed_ms: f64,
    /// What it was stamped with, and what the room made of that.
    pub(crate) tick: Tick,
    pub(crate) effect: Tick,
}

/// A plane in a picture, plane lengths.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DrawnPlane {
    pub(crate) id: u16,
    pub(crate) x: f64,
    pub(crate) y: f64,
    pub(crate) opacity: f32,
}

/// A rendered frame.
#[derive(Debug, Clone)]
pub(crate) struct Picture {
    pub(crate) now_ms: f64,
    /// The own plane's tick and the others'.
    pub(crate) own_at: f64,
    pub(crate) shown_at: f64,
    /// The newest tick that had come, and how early the room said the last packet was.
    pub(crate) newest: Tick,
    pub(crate) lead: i8,
    pub(crate) own: Option<DrawnPlane>,
    pub(crate) others: Vec<DrawnPlane>,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct PlayerLog {
    pub(crate) corrections: Vec<Correction>,
    pub(crate) sent: Vec<Sent>,
    pub(crate) pictures: Vec<Picture>,
    /// When each frame came, and its tick.
    pub(crate) frames: Vec<(f64, Tick)>,
    /// Stalls: from when to when.
    pub(crate) stalls: Vec<(f64, f64)>,
    /// Shots that count for an earlier log.
    pub(crate) earlier_shots: ShotCounts,
}

impl PlayerLog {
    /// Whether an input was on its way later than its tick at some time within the ticks after `from`, up to `to`.
    pub(crate) fn was_late(&self, from: Tick, to: Tick) -> bool {
        let is_late = |sent: &&Sent| sent.effect > sent.tick;
        self.sent.iter().filter(is_late).any(|sent| sent.tick <= to && sent.effect > from)
    }
}

/// The value that this share of the values does not exceed; `None` of none.
pub(crate) fn quantile(values: &mut [f64], share: f64) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    let index = ((values.len() as f64 * share).ceil() as usize).clamp(1, values.len().max(1)) - 1;
    values.get(index).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_that_were_seen() {
        let mut values: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!([0.5, 0.95, 1.0].map(|share| quantile(&mut values, share)), [Some(50.0), Some(95.0), Some(100.0)]);
        assert_eq!(quantile(&mut [], 0.5), None);
    }
}
