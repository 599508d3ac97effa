//! The phases of a run, which all bots watch.

/// What a run is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RunPhase {
    /// Coming in.
    Joining,
    /// Playing, and counting.
    Measuring,
    /// Leaving.
    Over,
}
