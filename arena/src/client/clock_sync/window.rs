//! A sliding window of delay samples, and their quantiles.
//!
//! Invariants: a stall's values are left out; what is asked for is always there once a value is in.

/// See the module.
#[derive(Debug, Clone, Default)]
pub(super) struct Window {
    /// In the order they came, the oldest at `next` once it is full.
    values: Vec<f64>,
    ascending: Vec<f64>,
    next: usize,
    /// Values left out in a row.
    stalled: usize,
}

impl Window {
    /// Values kept: two seconds of frames.
    const KEPT_COUNT: usize = 128;
    /// What comes this much later than the least is a stall: it says nothing of what comes after it.
    pub(super) const STALL_TICKS: f64 = 9.0;
    /// After so many in a row the line is another one now.
    const STALLED_MAX_COUNT: usize = 90;

    pub(super) fn is_empty(&self) -> bool {
        self.ascending.is_empty()
    }

    /// Values in it.
    pub(super) fn count(&self) -> usize {
        self.ascending.len()
    }

    /// The least value; there must be one.
    pub(super) fn least(&self) -> f64 {
        self.ascending[0]
    }

    /// The least value of the older half: what came since a clock jumped, bit by bit perhaps, is not in it. There must be one.
    pub(super) fn least_before(&self) -> f64 {
        self.by_age().take(self.half()).fold(f64::INFINITY, f64::min)
    }

    /// The same of the newer half if that is more: what is later than that is not so because the line is another one by now.
    pub(super) fn least_of_late(&self) -> f64 {
        let newer = self.by_age().skip(self.half()).reduce(f64::min);
        newer.map_or(self.least_before(), |newer| newer.max(self.least_before()))
    }

    fn half(&self) -> usize {
        self.values.len().div_ceil(2)
    }

    /// The oldest first.
    fn by_age(&self) -> impl Iterator<Item = f64> {
        let (newer, older) = self.values.split_at(self.next);
        older.iter().chain(newer).copied()
    }

    /// The greatest value; there must be one.
    pub(super) fn greatest(&self) -> f64 {
        self.ascending[self.ascending.len() - 1]
    }

    /// The value that this share of them does not exceed; there must be one.
    pub(super) fn quantile(&self, share: f64) -> f64 {
        self.ascending[((self.ascending.len() as f64 * share) as usize).min(self.ascending.len() - 1)]
    }

    /// Whether a value is so late that it is left out.
    pub(super) fn is_stall(&self, value: f64) -> bool {
        self.ascending.first().is_some_and(|least| value > least + Self::STALL_TICKS)
    }

    pub(super) fn add(&mut self, value: f64) {
        if self.is_stall(value) {
            self.stalled += 1;
            if self.stalled <= Self::STALLED_MAX_COUNT {
                return;
            }
            *self = Self::default();
        }
        self.stalled = 0;
        if self.values.len() < Self::KEPT_COUNT {
            self.values.push(value);
        } else {
            let oldest = std::mem::replace(&mut self.values[self.next], value);
            self.next = (self.next + 1) % Self::KEPT_COUNT;
            let at = self.ascending.partition_point(|other| *other < oldest);
            self.ascending.remove(at);
        }
        let at = self.ascending.partition_point(|other| *other < value);
        self.ascending.insert(at, value);
    }

    /// A clock jumped, which made values later by so much before it was known: brings those back. What it made earlier says
    /// nothing of the line, and counts as the soonest.
    pub(super) fn jump(&mut self, later_ticks: f64) {
        let least = self.least_before();
        for value in &mut self.values {
            *value = if *value >= least + later_ticks { *value - later_ticks } else { value.max(least) };
        }
        self.ascending.clone_from(&self.values);
        self.ascending.sort_unstable_by(f64::total_cmp);
        self.stalled = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_longer_line_is_believed_after_a_while() {
        let mut window = Window::default();
        (0..200).for_each(|_| window.add(1.0));
        (0..=Window::STALLED_MAX_COUNT).for_each(|_| window.add(13.0));
        assert_eq!(window.least(), 13.0);
    }

    #[test]
    fn what_a_jump_moved_is_brought_back_and_nothing_else() {
        let window = |values: &[f64]| {
            let mut window = Window::default();
            values.iter().for_each(|value| window.add(*value));
            window
        };
        let mut late = window(&[2.0, 1.0, 3.5, 6.0, 6.5]);
        late.jump(5.0);
        assert_eq!(late.values, [2.0, 1.0, 3.5, 1.0, 1.5]);
        assert_eq!(late.ascending, [1.0, 1.0, 1.5, 2.0, 3.5]);
        let mut early = window(&[2.0, 1.0, 3.5, -1.0, -4.0]);
        early.jump(5.0);
        assert_eq!(early.values, [2.0, 1.0, 3.5, 1.0, 1.0]);
    }

    #[test]
    fn what_came_of_late_does_not_tell_what_is_usual() {
        let mut window = Window::default();
        (0..300).for_each(|_| window.add(1.0));
        (1..=30).for_each(|early| window.add(-0.1 * f64::from(early)));
        assert_eq!((window.least(), window.least_before(), window.least_of_late()), (-3.0, 1.0, 1.0));
        (0..70).for_each(|_| window.add(5.0));
        assert_eq!((window.least_before(), window.least_of_late()), (-3.0, 5.0));
    }
}
