//! Why the edge answers by itself, and what the client then sees.
//!
//! Path: the proxy returns a [`Failure`] → [`Failure::status`] and its text make the answer.
//! Invariants: the codes are Fly's own. Fly sends them to the log only and leaves the body empty; here the sentence is
//! in the body too, for the person who is debugging.

use std::fmt;

use hyper::StatusCode;

use crate::fly_replay::ReplayError;
use crate::settings::Settings;

/// Why a request got no answer from an app.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The client's body ended early.
    BodyBroken,
    /// A request with a longer body cannot be replayed.
    BodyTooLong,
    TooManyReplays,
    /// A request that came back to its source was replayed again.
    ReplayAfterFallback,
    Replay(ReplayError),
    /// The machines that fit could not be reached in time.
    Unreached,
    /// The machine took the connection and gave no answer.
    NoAnswer(String),
}

impl Failure {
    /// Fly documents the status of few of these, so the settings say what they are.
    pub(crate) fn status(&self, settings: &Settings) -> StatusCode {
        let status = match self {
            Self::BodyBroken => 400,
            Self::Replay(ReplayError::NoCandidate) => settings.status_no_candidate,
            Self::Unreached | Self::NoAnswer(_) => settings.status_unreached,
            Self::BodyTooLong | Self::TooManyReplays | Self::ReplayAfterFallback | Self::Replay(_) => {
                settings.status_refused
            }
        };
        StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BodyBroken => write!(f, "The request's body ended early."),
            Self::BodyTooLong => write!(f, "PA01: this request is too long to be replayed."),
            Self::TooManyReplays => write!(f, "PA02: this request was replayed too often."),
            Self::ReplayAfterFallback => write!(f, "PA02: a request that came back may not be replayed again."),
            Self::Replay(ReplayError::Malformed(why)) => write!(f, "PA03: malformed fly-replay: {why}."),
            Self::Replay(ReplayError::UnknownApp(app)) => write!(f, "PA04: there is no app `{app}` to replay to."),
            Self::Replay(ReplayError::OtherNetwork(app)) => {
                write!(f, "PA05: the app `{app}` is on another private network, and replays may not cross.")
            }
            Self::Replay(ReplayError::NoCandidate) => write!(f, "PR01: no machine fits this request."),
            Self::Unreached => write!(f, "PR03: the machine could not be reached in time."),
            Self::NoAnswer(why) => write!(f, "PU02: the machine did not answer: {why}."),
        }
    }
}

impl From<ReplayError> for Failure {
    fn from(refusal: ReplayError) -> Self {
        Self::Replay(refusal)
    }
}
