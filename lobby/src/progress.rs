//! The progress of a join, as it is shown to the player.
//!
//! Invariants: a step is reported when it begins, never guessed; each has a word for programs and a plain sentence.

use crate::api_errors::WakeError;
use serde_json::{Value, json};

/// One step of a join.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// A start is requested from the Machines API.
    Asking,
    /// A new machine is requested.
    Creating,
    /// The API refused for now, for this reason; the request is repeated soon.
    Waiting(WakeError),
    /// The API accepted the start: the machine boots, until it answers on the path a player takes.
    Booting,
    /// This machine does not come up, for this reason; another one is tried.
    Another(WakeError),
    /// A machine is there.
    Ready,
}

impl Progress {
    /// For programs.
    pub fn word(self) -> &'static str {
        match self {
            Self::Asking => "asking",
            Self::Creating => "creating",
            Self::Waiting(_) => "waiting",
            Self::Booting => "booting",
            Self::Another(_) => "another",
            Self::Ready => "ready",
        }
    }

    /// For the person who waits for a machine in `place`.
    pub fn sentence(self, place: &str) -> String {
        match self {
            Self::Asking => format!("Asking Fly to wake {place}."),
            Self::Creating => format!("{place} is busy, so we ask Fly for another machine there."),
            Self::Waiting(WakeError::ApiDown) => "Fly is busy. We ask again in a moment.".to_owned(),
            Self::Waiting(_) => format!("Fly is not done with {place} yet. We ask again in a moment."),
            Self::Booting => format!("{place} is booting."),
            Self::Another(WakeError::Silent) => {
                format!("That machine does not answer. We try another one in {place}.")
            }
            Self::Another(_) => format!("That machine does not come up. We try another one in {place}."),
            Self::Ready => format!("{place} is ready."),
        }
    }

    /// As the stream of a join carries it.
    pub fn to_json(self, place: &str) -> Value {
        json!({"stage": self.word(), "message": self.sentence(place)})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_is_one_plain_sentence() {
        let waiting = [Progress::Waiting(WakeError::ApiDown), Progress::Waiting(WakeError::TooSlow)];
        let others = [
            Progress::Asking,
            Progress::Creating,
            Progress::Booting,
            Progress::Another(WakeError::Gone),
            Progress::Ready,
        ];
        let silent = [Progress::Another(WakeError::Silent)];
        for stage in waiting.into_iter().chain(others).chain(silent) {
            let json = stage.to_json("Paris");
            assert!(json["message"].as_str().unwrap().ends_with('.'), "{json}");
            assert_eq!(json["stage"], stage.word());
        }
    }
}
